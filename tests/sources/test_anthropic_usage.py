"""What becomes of Anthropic's reports: the cases of readers before us, and files with something wrong in them.

Each file lies in an account of its own, and one run reads them all.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.paths import DataRoot
from tests.sources.landed import FATES, Landed, read

EXAMPLES = Path("../shared/formats/examples/anthropic_usage")
START, END, NEXT = "2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z"


def bucket(*results: Any, start: Any = START, end: Any = END) -> dict[str, Any]:
    return {"starting_at": start, "ending_at": end, "results": list(results)}


def page(*rows: Any, **more: Any) -> str:
    return json.dumps({"data": list(rows), "has_more": False, "next_page": None, **more})


def used(uncached: Any = 100, **more: Any) -> dict[str, Any]:
    plain = {
        "uncached_input_tokens": uncached,
        "cache_read_input_tokens": 40,
        "output_tokens": 10,
        "model": "claude-opus-4-6",
    }
    writes = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    return {**plain, "cache_creation": writes, "workspace_id": None, **more}


def cost(amount: Any = "100", **more: Any) -> dict[str, Any]:
    plain = {"description": "Claude Opus 4.6 Usage - Input Tokens", "cost_type": "tokens", "model": "claude-opus-4-6"}
    return {"amount": amount, "currency": "USD", "token_type": "uncached_input_tokens", **plain, **more}


def row(group: Mapping[str, Any], start: str = START, end: str = END, **measures: Any) -> dict[str, Any]:
    return {"starting_at": start, "ending_at": end, "group": dict(group), **measures}


def counted(uncached: int, **more: Any) -> dict[str, Any]:
    return {"usage": used(uncached, requests=3, total_tokens=uncached + 50, **more)}


TOKENS = "usage_date_utc,model_version,usage_type,usage_input_tokens_no_cache,usage_output_tokens"
COST_2024 = "usage_date_utc,model,workspace,api_key,usage_type,token_type,cost_usd"
COST_2026 = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,"
    "inference_geo,speed"
)


def token_line(day: str, tokens: str = "5") -> str:
    return f"{day},claude-haiku-4-5,standard,{tokens},1\n"


def cost_line(day: str, amount: str, key: str = "web") -> str:
    return f"{day},Claude Haiku 4.5,Default,{key},message,output,{amount}\n"


FILES: dict[str, str | bytes] = {
    # Several forms of one instant; none of them is another day.
    "dates/usage.json": page(
        bucket(used(1)),
        bucket(used(2), start="2026-11-18T05:30:00+05:30", end="2026-11-19T05:30:00+05:30"),
        bucket(used(3), start="2026-11-18", end="2026-11-19"),
        bucket(used(4), start=1794960000, end=1795046400),
        bucket(used(5), start="18.11.2026", end=END),
    ),
    "csv_dates/tokens.csv": TOKENS
    + "\n"
    + token_line("2026-11-18")
    + token_line("11/18/26")
    + token_line("2026-11-18 00:00:00")
    + token_line("11/18/2026")
    + token_line("18/11/2026"),
    "generations/old.csv": COST_2024 + "\n" + cost_line("2026-11-17", "0.10"),
    "generations/new.csv": COST_2026
    + "\n2026-11-18,Claude Opus 4.6,Default,web,message,≤ 200k,input_no_cache,0.10,1.00,token,global,\n",
    "unknown/cost.csv": "usage_date_utc,model,dollars\n2026-11-18,Claude Opus 4.6,1\n",
    "bom/cost.csv": (
        "\ufeff"
        + COST_2024
        + "\n"
        + cost_line("2026-11-18", '" $1.50"', '"Team ""A"", B"')
        + cost_line("2026-11-18", "NULL", "x")
    ).replace("\n", "\r\n"),
    "money/cost.csv": COST_2024
    + "\n"
    + cost_line("2026-11-18", "5e-2")
    + cost_line("2026-11-18", '"1.234,56"')
    + cost_line("2026-11-18", "0.1")
    + cost_line("2026-11-18", "0.2")
    + cost_line("2026-11-18", "0.2"),
    "latin/cost.csv": COST_2024.encode()
    + b"\n"
    + cost_line("2026-11-18", "1", "cl\xe9").encode("latin-1")
    + cost_line("2026-11-18", "2").encode(),
    "short/cost.csv": COST_2024 + "\n2026-11-18,Claude Haiku 4.5\n" + cost_line("2026-11-18", "2"),
    "packed/cost.csv.gz": gzip.compress((COST_2024 + "\n" + cost_line("2026-11-18", "2")).encode()),
    "counts/tokens.csv": TOKENS
    + "\n"
    + token_line("2026-11-18", "3.0")
    + token_line("2026-11-18", "3.5")
    + token_line("2026-11-18", ""),
    "gap/a.pulled-20261119T000000Z.csv": COST_2024
    + "\n"
    + cost_line("2026-11-15", "1")
    + cost_line("2026-11-16", "2")
    + cost_line("2026-11-17", "3"),
    "gap/b.pulled-20261120T000000Z.csv": COST_2024 + "\n" + cost_line("2026-11-15", "1") + cost_line("2026-11-17", "4"),
    "rounded/cost.pulled-20261120T000000Z.csv": COST_2024 + "\n" + cost_line("2026-11-18", "1.24"),
    "rounded/cost.pulled-20261119T000000Z.json": page(bucket(cost("123.78912"))),
    "grains/usage.pulled-20261119T000000Z.json": page(
        bucket(used(60, model="claude-opus-4-6"), used(40, model="claude-haiku-4-5"))
    ),
    "grains/usage.pulled-20261120T000000Z.json": page(bucket(used(100, model=None))),
    "apis/usage.pulled-20261119T000000Z.json": page(bucket(used(100))),
    "apis/usage.pulled-20261120T000000Z.json": page(
        row({"model": "claude-opus-4-6"}, **counted(101)), data_refreshed_at="2026-11-19T23:00:00Z"
    ),
    "restated/cost.pulled-20261119T000000Z.json": page(bucket(cost("100"), cost("50", token_type="output_tokens"))),
    "restated/cost.pulled-20261120T000000Z.json": page(bucket(cost("90"))),
    "groups/usage.pulled-20261121T000000Z.json": page(
        row({"rbac_group_id": "rbac_group_a", "model": "m"}, **counted(100)),
        row({"rbac_group_id": "rbac_group_b", "model": "m"}, **counted(100)),
    ),
    "groups/usage.pulled-20261120T000000Z.json": page(row({"model": "claude-opus-4-6"}, **counted(100))),
    "tags/usage.json": page(row({"claude_tag_user_id": "U01", "model": "m"}, **counted(10))),
    "month/cost.json": page(
        row({"model": "m"}, "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", cost={"amount": "1", "currency": "USD"})
    ),
    "workspace/usage.json": page(bucket(used(1, workspace_id=None), used(2, workspace_id="wrkspc_a"))),
    "ungrouped/usage.json": page(bucket(used(1, workspace_id=None))),
    "actors/usage.json": page(
        row(
            {"actor": {"type": "user_actor", "user_id": "user_secret", "email_address": "dev@example.com"}},
            **counted(1),
        ),
        row({"actor": {"type": "api_actor", "api_key_id": "apikey_a"}}, **counted(2)),
        row({"actor": {"type": "federated_actor", "subject": "arn:aws:iam::1:role/x"}}, **counted(3)),
        row({"actor": "user_secret", "actor_type": "user_actor"}, **counted(4)),
    ),
    "cents/cost.json": page(
        bucket(
            cost("123.78912"),
            cost(50),
            cost("1e2"),
            cost("-250", model=None, cost_type=None, token_type=None),
            cost("x"),
            cost(None),
        )
    ),
    "scientific/cost.json": page(bucket(cost("0.1"), cost("0.2"))),
    "error/usage.json": json.dumps(
        {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
    ),
    "mixed/usage.json": page(bucket(used(1))) + json.dumps({"type": "error", "error": {"type": "rate_limit_error"}}),
    "empty/usage.json": page(),
    "nothing/usage.json": "",
    "list/usage.json": "[" + page(bucket(used(1))) + "," + page(bucket(used(2), start=END, end=NEXT)) + "]",
    "cut/usage.json": page(bucket(used(1)))[:-40],
    "stranger/usage.json": json.dumps(
        {"object": "page", "data": [{"object": "bucket", "start_time": 1, "end_time": 2, "results": []}]}
    ),
    "odd/usage.json": page(bucket(used(1)), 5, {"starting_at": START, "ending_at": END}),
    "long/cost.json": page(bucket(cost("1", description="x" * 2_000_000), cost("2"))),
}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    files = {f"anthropic_usage/{name}": content for name, content in FILES.items()}
    landed = read(DataRoot(tmp_path_factory.mktemp("data")), files, FATES)
    assert landed.is_conserved()
    return landed


def counted_rows(books: Landed, shape: str, account: str) -> list[dict[str, Any]]:
    """The rows of the pulls that count."""
    pulls = {
        (pull["source_file_sha256"], pull["window_start_at"])
        for pull in books.rows("ledger_pulls", where=f"source_account = '{account}' and counts")
    }
    day = "bucket_start_at" if shape == "usage" else "charge_start_at"
    return [found for found in books.staged(shape, account) if (found["source_file_sha256"], found[day]) in pulls]


def test_every_form_of_an_instant_is_the_same_day(books):
    """E10: RFC 3339, an offset, a date alone and unix seconds; F2: 11/18/26 is the 18th of November. 18/11/2026 is none."""
    at = datetime(2026, 11, 18, tzinfo=UTC)

    assert [found["bucket_start_at"] for found in books.staged("usage", "dates")] == [at] * 4
    assert books.fates()["anthropic_usage/dates/usage.json"] == (5, 4, 0, 0, 1)
    assert [found["bucket_start_at"] for found in books.staged("usage", "csv_dates")] == [at] * 4
    assert "date is 18/11/2026, expected a date" in books.files()["anthropic_usage/csv_dates/tokens.csv"]["reasons"]


def test_two_generations_of_a_header_lie_in_one_folder(books):
    """F4: each file is read with its own header."""
    old, new = books.staged("bills", "generations")[::-1]

    assert (old["source_schema_version"], old["list_amount"]) == ("console_cost_2024", None)
    assert (new["source_schema_version"], new["list_amount"]) == ("console_cost_2026_03", Decimal(1))
    assert new["context_tier"] == "0-200k"


def test_an_unknown_header_names_the_known_ones(books):
    """F5: the file is refused, the others are read."""
    reason = books.files()["anthropic_usage/unknown/cost.csv"]["reasons"]

    assert reason.startswith(
        "a header of usage_date_utc, model, dollars, which is none of the known ones (console_cost_2024: "
    )
    assert books.fates()["anthropic_usage/unknown/cost.csv"] == (1, 0, 0, 0, 1)


def test_marks_of_spreadsheets_are_no_part_of_a_cell(books):
    """F8: a byte order mark, Windows line ends, a dollar sign, a leading space, quotes, and the word NULL."""
    [line] = books.staged("bills", "bom")

    assert (line["billed_amount"], line["api_key_name"]) == (Decimal("1.5"), 'Team "A", B')
    assert books.fates()["anthropic_usage/bom/cost.csv"] == (2, 1, 0, 1, 0)


def test_money_is_exact_and_never_guessed(books):
    """C14: 0.1 + 0.2 + 0.2 + 0.05 = 0.55; F7: 1.234,56 is refused. F15: two equal lines are two charges."""
    lines = books.staged("bills", "money")

    assert sum(line["billed_amount"] for line in lines) == Decimal("0.55")
    assert len({line["cost_key"] for line in lines}) == 4
    assert "amount is 1.234,56" in books.files()["anthropic_usage/money/cost.csv"]["reasons"]


def test_cents_are_divided_by_100_exactly(books):
    """C13: "123.78912" is 1.2378912 USD; a number of cents, 1e2, and a negative line without a model, which is a credit."""
    lines = books.staged("bills", "cents")

    amounts = [Decimal("1.2378912"), Decimal("0.5"), Decimal(1), Decimal("-2.5")]
    assert [line["billed_amount"] for line in lines] == amounts
    assert [line["amount_scale_source"] for line in lines] == ["cents_str", "cents_number", "cents_str", "cents_str"]
    assert [line["charge_category"] for line in lines] == ["Usage", "Usage", "Usage", "Credit"]
    assert books.fates()["anthropic_usage/cents/cost.json"] == (6, 4, 0, 0, 2)


def test_counts_are_whole_numbers(books):
    """3.0 is 3; 3.5 is refused; a blank count is unknown, not 0."""
    first, second = books.staged("usage", "counts")

    assert (first["input_uncached_tokens"], second["input_uncached_tokens"]) == (3, None)
    assert books.fates()["anthropic_usage/counts/tokens.csv"] == (3, 2, 0, 0, 1)


def test_a_day_that_has_vanished_from_a_later_file_is_gone(books):
    """F16, F26: the second file covers the 15th to the 17th and has nothing on the 16th: 1 + 4, not 1 + 2 + 4."""
    lines = counted_rows(books, "bills", "gap")

    assert sorted(line["billed_amount"] for line in lines) == [1, 4]
    assert books.fates()["anthropic_usage/gap/a.pulled-20261119T000000Z.csv"] == (3, 0, 3, 0, 0)


def test_a_restated_window_with_a_lower_total_wins(books):
    """F26: 0.90 in place of 1.00 and 0.50."""
    assert [line["billed_amount"] for line in counted_rows(books, "bills", "restated")] == [Decimal("0.9")]


def test_lines_of_the_api_stand_before_rounded_ones(books):
    """The Console's file is newer and rounded to cents; 1.2378912 counts."""
    [line] = counted_rows(books, "bills", "rounded")

    assert (line["billed_amount"], line["billed_is_rounded"]) == (Decimal("1.2378912"), False)


def test_of_two_grains_of_one_window_one_counts(books):
    """B12: by model 60 + 40, without group_by 100; the sum is 100."""
    assert sum(found["input_uncached_tokens"] for found in counted_rows(books, "usage", "grains")) == 100


def test_both_apis_tell_of_the_same_usage(books):
    """The newer pull counts, and it is not added: 101."""
    [found] = counted_rows(books, "usage", "apis")

    assert (found["input_uncached_tokens"], found["requests"]) == (101, 3)
    assert found["pulled_at"] == datetime(2026, 11, 19, 23, tzinfo=UTC)


def test_rows_of_groups_that_overlap_are_never_summed(books):
    """B11: a member of two groups is in both rows (100 each); the pull without groups counts, though it is older."""
    [found] = counted_rows(books, "usage", "groups")

    assert found["input_uncached_tokens"] == 100
    assert books.fates()["anthropic_usage/groups/usage.pulled-20261121T000000Z.json"] == (2, 0, 0, 2, 0)
    assert (
        "rows of rbac_group_id overlap"
        in books.files()["anthropic_usage/groups/usage.pulled-20261121T000000Z.json"]["reasons"]
    )
    assert books.fates()["anthropic_usage/tags/usage.json"] == (1, 0, 0, 1, 0)


def test_a_row_of_a_month_belongs_to_no_day(books):
    assert (
        "a row of more than a day; pull it with time_bucket_width=1d"
        in books.files()["anthropic_usage/month/cost.json"]["reasons"]
    )


def test_no_workspace_is_the_default_one_where_it_was_grouped(books):
    """F25: null is the default workspace of a grouped pull; of another it is not grouped."""
    assert [found["project_id"] for found in books.staged("usage", "workspace")] == ["default", "wrkspc_a"]
    [ungrouped] = books.staged("usage", "ungrouped")
    assert (ungrouped["project_id"], ungrouped["dims_null_means"]) == (None, "not_grouped")


def test_actors_are_users_keys_or_principals(books):
    """A user is a pseudonym, equal however the actor is written, and stands in no record as received."""
    found = books.staged("usage", "actors")

    assert [one["principal"] for one in found] == [None, None, "arn:aws:iam::1:role/x", None]
    assert [one["api_key_id"] for one in found] == [None, "apikey_a", None, None]
    assert found[0]["user_id"] == found[3]["user_id"] != "user_secret"
    assert "secret" not in "".join(one["raw"] for one in found)
    assert "example.com" not in "".join(one["raw"] for one in found)


@pytest.mark.parametrize(
    ("name", "fates", "reason"),
    [
        (
            "error/usage.json",
            (1, 0, 0, 0, 1),
            "an error answer of the API, expected a page with data; pull it again",
        ),
        (
            "mixed/usage.json",
            (2, 1, 0, 0, 1),
            "page 2 has no list of data; pull it again",
        ),
        ("empty/usage.json", (0, 0, 0, 0, 0), ""),
        ("nothing/usage.json", (0, 0, 0, 0, 0), ""),
        ("list/usage.json", (2, 2, 0, 0, 0), ""),
        ("cut/usage.json", (1, 0, 0, 0, 1), "not JSON at byte"),
        (
            "stranger/usage.json",
            (1, 0, 0, 0, 1),
            "rows without starting_at, expected pages of /v1/organizations/",
        ),
        ("odd/usage.json", (3, 1, 0, 0, 2), "a JSON ubigint, expected an object"),
        ("long/cost.json", (2, 2, 0, 0, 0), ""),
        ("latin/cost.csv", (2, 1, 0, 0, 1), "not UTF-8 (byte 0xe9)"),
        ("short/cost.csv", (2, 1, 0, 0, 1), "2 cells, expected 7"),
        ("packed/cost.csv.gz", (1, 1, 0, 0, 0), ""),
    ],
)
def test_of_a_file_with_a_fault_the_rest_is_booked(books, name, fates, reason):
    assert books.fates()[f"anthropic_usage/{name}"] == fates
    assert reason in books.files()[f"anthropic_usage/{name}"]["reasons"]


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the shared examples")
def test_the_examples_of_the_documentation_give_what_their_readers_found(tmp_path):
    """G3: 1500 + 200 + 500 + 1000 = 3200, output 500, 10 searches, no count of calls. G4: 1.2378912 USD. G5: 0.47 and 1.37 list."""
    files = {
        f"anthropic_usage/{path.stem}/{path.name}": path.read_bytes()
        for path in EXAMPLES.iterdir()
        if path.suffix in (".json", ".csv")
    }
    books = read(DataRoot(tmp_path), files, FATES)

    [tokens, searches] = books.staged("usage", "usage_report_messages.2026-09")
    [line] = books.staged("bills", "cost_report")
    lines = books.staged("bills", "console_claude_api_cost.2026-08")

    classes = [
        tokens[f"{name}_tokens"]
        for name in ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output_text")
    ]
    assert (classes, sum(classes[:4])) == ([1500, 200, 500, 1000, 500], 3200)
    assert (searches["quantity"], searches["operation"], tokens["requests"]) == (10, "web_search", None)
    assert line["billed_amount"] == Decimal("1.2378912")
    assert (sum(one["billed_amount"] for one in lines), sum(one["list_amount"] for one in lines)) == (
        Decimal("0.47"),
        Decimal("1.37"),
    )
    assert books.is_conserved()
    assert set(books.fates()) == set(files)
    assert all(records == booked > 0 for records, booked, *_ in books.fates().values())
