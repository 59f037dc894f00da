"""A SQL file's header: what it must say, and the messages where it does not."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from pipelines import contract, kept, paths, remembered
from pipelines.contract import TOKEN_CLASS_NAMES, TOKEN_CLASSES
from pipelines.models import ModelError, expanded, inputs, load, main, models, parse, remembering

GOOD = """/*
about: >-
  Spend by week.
  One row per week.
grain: [week_start_date]
partition: week
reads_back: 4 weeks
columns:
  week_start_date: DATE; Monday of the ISO week: the first day
  spent_usd: DECIMAL(38,2); spend; null where nothing is priced
checks:
  - between: [spent_usd, 0, null]
  - rule: spent_usd < 10
    severity: warning
    null_passes: true
*/
with weeks as (select * from ledger_costs), joined as (select * from weeks join main.ref_features on true)
select * from joined, (select 1 from staged_requests)
"""


def write(folder: Path, text: str, name: str = "marts/showback/mart_spend_weekly.sql") -> Path:
    path = folder / "sql" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_header_says_everything_about_a_table(tmp_path: Path) -> None:
    model = parse(write(tmp_path, GOOD), tmp_path / "sql")

    assert model.about == "Spend by week. One row per week."
    assert model.types == {"week_start_date": "DATE", "spent_usd": "DECIMAL(38,2)"}
    assert model.columns[0].meaning == "Monday of the ISO week: the first day"
    assert model.partition_column == "week_start_date"
    assert model.reads_back == timedelta(weeks=4)
    assert (model.layer, model.subject) == ("marts", "showback")
    assert [(check.kind, check.severity) for check in model.checks] == [
        ("unique", "critical"),
        ("between", "critical"),
        ("rule", "warning"),
    ]


def test_inputs_are_parsed_from_the_query_and_never_listed(tmp_path: Path) -> None:
    assert parse(write(tmp_path, GOOD), tmp_path / "sql").inputs == {"ledger_costs", "ref_features", "staged_requests"}
    assert inputs("with a as (select 1) select * from a where exists (from b) union all select * from c") == {"b", "c"}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("about: >-", "abuot: >-", "unknown entries abuot"),
        ("grain: [week_start_date]", "grain: [week]", "the grain names week, which is not among the columns"),
        ("DATE; Monday of the ISO week: the first day", "DATE", "not of the form 'name: TYPE; meaning'"),
        ("partition: week", "partition: year", "partition is 'year', expected one of day, week, month"),
        ("reads_back: 4 weeks", "joins: by_size", "joins is 'by_size', expected as_written"),
        ("reads_back: 4 weeks", "reads_back: a while", "'a while' is not a span"),
        ("between: [spent_usd, 0, null]", "between: [cost, 0, null]", "names cost, which is not among the columns"),
        ("between: [spent_usd, 0, null]", "between: [spent_usd, null, null]", "between nothing and nothing"),
        ("severity: warning", "severity: mild", "severity 'mild'"),
        ("rule: spent_usd < 10", "law: spent_usd < 10", "unknown kind 'law'"),
        ("select * from joined,", "selec * from joined,", "not a query that DuckDB can parse"),
        ("/*\n", "", "a model begins with"),
    ],
)
def test_a_header_that_is_wrong_is_named_with_what_is_wrong(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    with pytest.raises(ModelError, match=f"(?s)sql/marts/showback/mart_spend_weekly.sql: .*{message}"):
        parse(write(tmp_path, GOOD.replace(before, after, 1)), tmp_path / "sql")


def test_a_list_is_written_once_in_the_header_and_the_query(tmp_path: Path) -> None:
    """A class gives a column, a check and a sum; what has no Jinja is taken as it is."""
    loop = "{% for class in token_classes %}"
    text = GOOD.replace(
        "  spent_usd: DEC",
        f"{loop}\n  {{{{ class.tokens }}}}: BIGINT; {{{{ class.meaning }}}}\n{{% endfor %}}\n  spent_usd: DEC",
    )
    text = text.replace("select * from joined,", f"select {loop}{{{{ class.tokens }}}}, {{% endfor %}} * from joined,")

    model = parse(write(tmp_path, text), tmp_path / "sql")

    assert [column.name for column in model.columns] == ["week_start_date", *TOKEN_CLASS_NAMES, "spent_usd"]
    assert model.columns[1].meaning == "uncached text input, and uncached input whose modality is not split"
    assert f"select {', '.join(TOKEN_CLASS_NAMES)},  * from joined," in model.query
    assert expanded(write(tmp_path, GOOD), tmp_path / "sql") == GOOD


def test_the_text_that_runs_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["ledger_usage"])

    printed = capsys.readouterr().out
    assert models()["ledger_usage"].query in printed
    assert "  output_image_tokens: BIGINT; generated pictures" in printed
    assert "{%" not in printed


def test_macros_and_parts_are_taken_in_and_are_no_models(tmp_path: Path) -> None:
    text = GOOD.replace(
        "*/\nwith ", '*/\n{% from "macros/sums.sql" import twice %}\nwith\n{% include "parts/none.sql" %}\n\n'
    )
    text = text.replace("select * from joined,", 'select {{ twice("spent_usd") }} from joined,')
    write(tmp_path, "{% macro twice(name) %}{{ name }} + {{ name }}{% endmacro %}\n", "macros/sums.sql")
    write(tmp_path, "{# Nothing. #}\nnone as (select * from ledger_none),\n", "parts/none.sql")
    write(tmp_path, text)

    [model] = load(tmp_path / "sql").values()

    assert model.query.startswith("with\nnone as (select * from ledger_none),\n\nweeks as (")
    assert "select spent_usd + spent_usd from joined" in model.query
    assert "ledger_none" in model.inputs


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("{{ token_clases }}", "mart_spend_weekly.sql, line 18: 'token_clases' is undefined"),
        ("{{ token_classes[0].price }}", "mart_spend_weekly.sql, line 18: .* has no attribute 'price'"),
        ("{{ 1 / 0 }}", "mart_spend_weekly.sql, line 18: division by zero"),
        ("{% for class in %}", "mart_spend_weekly.sql, line 18: Expected an expression"),
        ('{% include "parts/gone.sql" %}', "mart_spend_weekly.sql, line 18: 'parts/gone.sql' not found"),
        ('{% include "parts/broken.sql" %}', "sql/parts/broken.sql, line 2: 'account' is undefined"),
        ('{% include "parts/open.sql" %}', "sql/parts/open.sql, line 3: Unexpected end of template"),
    ],
)
def test_a_fault_in_a_template_is_named_with_its_file_and_line(tmp_path: Path, wrong: str, message: str) -> None:
    write(tmp_path, "-- Two lines.\n{{ account }}\n", "parts/broken.sql")
    write(tmp_path, "-- Three lines.\n{% for class in token_classes %}\nnever ended", "parts/open.sql")
    path = write(tmp_path, GOOD.replace("select * from joined,", f"{wrong} select * from joined,"))

    with pytest.raises(ModelError, match=message):
        parse(path, tmp_path / "sql")


def test_a_table_is_named_for_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="tables of sql/ledger are named ledger_<noun>"):
        parse(write(tmp_path, GOOD, "ledger/mart_spend_weekly.sql"), tmp_path / "sql")


def test_tables_that_read_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("ledger_costs", "mart_other_weekly"))
    write(tmp_path, GOOD.replace("ledger_costs", "mart_spend_weekly"), "marts/showback/mart_other_weekly.sql")

    with pytest.raises(
        ModelError, match="read each other: mart_other_weekly -> mart_spend_weekly -> mart_other_weekly"
    ):
        load(tmp_path / "sql")


def test_every_model_stands_behind_its_inputs() -> None:
    order = list(models())

    assert all(
        order.index(table) < order.index(name)
        for name, model in models().items()
        for table in model.inputs
        if table in models() and table != name
    )


@pytest.mark.parametrize("folder", ["kept", "file/kept"], ids=["by the installation", "in the data root"])
def test_a_file_that_an_earlier_process_read_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("read again")

    (tmp_path / "file").touch()
    monkeypatch.setattr(kept, "FOLDER", tmp_path / folder)
    path = tmp_path / "query_inputs.json"
    with remembering(path):
        pass
    assert path.exists() != (tmp_path / "kept").exists()
    monkeypatch.setattr("pipelines.remembered.known", {kind: {} for kind in remembered.KINDS})
    monkeypatch.setattr("pipelines.models._parsed_inputs", refuse)
    monkeypatch.setattr("pipelines.models._render", refuse)
    monkeypatch.setattr("pipelines.models.read_yaml", refuse)

    with remembering(path):
        for model in models().values():
            assert inputs(model.query) - {model.name} == model.inputs - {model.name}
            assert model.query in expanded(model.path, paths.SQL)
            assert all(inputs(check.query) for check in model.checks if check.query)
        assert dict(load(paths.SQL)) == dict(models())


def test_a_header_with_values_that_json_does_not_know_is_read_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day without quotes: YAML makes a date of it, which JSON would give back as a text."""
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "kept")
    headers = {"with a day": {"notes": [date(2026, 1, 1)]}, "with a text": {"notes": ["2026-01-01"]}}
    monkeypatch.setattr(remembered, "known", {"inputs": {}, "texts": {}, "headers": headers})

    remembered.keep(tmp_path / "file", {}, {"inputs": [], "texts": [], "headers": headers})

    assert remembered.recall()["headers"] == {"with a text": {"notes": ["2026-01-01"]}}


def test_a_kept_header_does_not_outlive_its_text(tmp_path: Path) -> None:
    """The file says 4 weeks, and then 2."""
    folder = tmp_path / "sql"
    assert parse(write(tmp_path, GOOD), folder).reads_back == timedelta(weeks=4)

    assert parse(write(tmp_path, GOOD.replace("4 weeks", "2 weeks")), folder).reads_back == timedelta(weeks=2)


def test_a_kept_text_does_not_outlive_what_it_was_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed macro and another list give another text."""
    text = GOOD.replace("select * from joined,", '{% include "parts/columns.sql" %} from joined,')
    path, folder = write(tmp_path, text), tmp_path / "sql"
    write(tmp_path, "select {{ token_classes | length }}", "parts/columns.sql")
    count = len(TOKEN_CLASSES)
    assert f"select {count} from joined" in expanded(path, folder)

    monkeypatch.setattr(contract, "TOKEN_CLASSES", TOKEN_CLASSES[1:])
    assert f"select {count - 1} from joined" in expanded(path, folder)

    write(tmp_path, "select all {{ token_classes | length }}", "parts/columns.sql")
    assert f"select all {count - 1} from joined" in expanded(path, folder)


@pytest.mark.parametrize("broken", ["{ torn", "{}", "[1]", '{"version": "1 0.1.0", "inputs": {}}'])
def test_what_was_kept_of_queries_is_made_anew_where_it_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "file" / "kept")
    path = tmp_path / "query_inputs.json"
    with remembering(path):
        pass
    written = path.read_text(encoding="utf-8")
    path.write_text(broken, encoding="utf-8")

    with remembering(path):
        pass

    assert path.read_text(encoding="utf-8") == written
