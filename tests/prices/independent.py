"""The costs of real usage objects by our queries and by two calculators of others, for the tables of differences.

``python tests/prices/independent.py`` writes both tables anew and keeps the reasons; a row without one fails its test.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import genai_prices
from genai_prices.data import providers

from pipelines import usage
from pipelines.contract import TOKEN_CLASS_NAMES
from tests.prices.pricing import DATA, REPOSITORY, Pricing, book_of, request

OBJECTS = DATA / "usage_blocks.jsonl.gz"
TABLES = {name: Path(__file__).parent / f"differences_{name}.csv" for name in ("genai_prices", "litellm")}
# litellm's versions do not go with ours: it has an environment of its own (Makefile).
LITELLM = REPOSITORY / ".venv" / "witness" / "bin" / "python"
# Before the tiers were listed, between the price changes of 2026, and after the package was published.
INSTANTS = ("2025-09-01T12:00:00Z", "2026-07-01T12:00:00Z", "2026-11-16T12:00:00Z")
# Host: our seller, and the package's. The first that the host contains decides.
SELLERS = {
    "api.openai.com": ("openai", "openai"),
    "generativelanguage": ("google", "google"),
    "aiplatform": ("vertex", "google"),
    "api.anthropic.com": ("anthropic", "anthropic"),
    "bedrock-runtime": ("bedrock", "aws"),
    "api.groq.com": ("groq", "groq"),
    "api.mistral.ai": ("mistral", "mistral"),
    "openrouter.ai": ("openrouter", "openrouter"),
    "openai.azure.com": ("azure", "azure"),
    "api.cohere.com": ("cohere", "cohere"),
    "api.deepseek.com": ("deepseek", "deepseek"),
    "api.cerebras.ai": ("cerebras", "cerebras"),
    "api.together": ("together", "together"),
}
# Part of an address: our shape, and the flavour of the package's extractor.
APIS = {
    "/interactions": None,
    "/cachedContents": None,
    "/invoke": None,
    "/converse": ("bedrock.converse", "default"),
    "cohere.com": ("cohere.chat", "default"),
    "mbedContent": None,
    "/embeddings": ("openai.embeddings", "embeddings"),
    "enerateContent": ("gemini.generateContent", "default"),
    "/responses": ("openai.responses", "responses"),
    "api.anthropic.com": ("anthropic.messages", "default"),
    "/chat": ("openai.chat", "chat"),
}


class Case(NamedTuple):
    """A usage object that both sides can read."""

    provider: str
    theirs: str
    model: str
    api: str
    flavour: str
    usage: dict[str, Any]


def cases() -> list[Case]:
    """The objects of sellers and shapes that both know, each different one once."""
    found: dict[tuple[str, ...], Case] = {}
    with gzip.open(OBJECTS, "rt", encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            seller = next((said for part, said in SELLERS.items() if part in record["host"]), None)
            api = next((said for part, said in APIS.items() if part in record["uri"]), None)
            if seller and api and record["model"]:
                case = Case(*seller, record["model"], *api, record["usage"])
                found[case.provider, case.model, case.api, json.dumps(case.usage, sort_keys=True)] = case
    return list(found.values())


def our_costs(cases_: list[Case], instants: tuple[str, ...] = INSTANTS) -> dict[tuple[int, str], dict[str, Any]]:
    """Cost rows by case and instant."""
    pricing = Pricing()
    usage.register(pricing.con)
    found = pricing.con.execute(
        f"""with records as (
            select unnest(range(len($apis))) as place, unnest($apis::varchar[]) as api, unnest($said::json[]) as said
        ), {usage.usage_steps("records", api="api", usage="said")}
        select classed from usage_classed order by place""",
        {"apis": [case.api for case in cases_], "said": [json.dumps(case.usage) for case in cases_]},
    ).fetchall()
    rows = []
    for number, (case, (classed,)) in enumerate(zip(cases_, found, strict=True)):
        kept = (*TOKEN_CLASS_NAMES, "context_test_tokens", "usage_flags", "usage_basis", "usage_quality")
        for instant in instants:
            rows.append(
                request(
                    request_key=f"{number}|{instant}",
                    provider=case.provider,
                    model_served=case.model,
                    started_at=instant,
                    service_tier=classed["service_tier"],
                    speed=classed["speed"],
                    region=classed["inference_geo"],
                    extra_units=classed["extra_units"] or {},
                    **{name: classed[name] for name in kept},
                )
            )
    costs = pricing.costs(rows, book_of())
    pricing.close()
    keyed = {}
    for row in costs:
        number, instant = row["request_key"].split("|")
        keyed[int(number), instant] = row
    return keyed


Cost = tuple[Decimal | None, str]


def genai_prices_costs(cases_: list[Case]) -> dict[tuple[int, str], Cost]:
    """The package's prices and, where there is none, why."""
    return {(n, instant): _genai_price(case, instant) for n, case in enumerate(cases_) for instant in INSTANTS}


def _genai_price(case: Case, instant: str) -> Cost:
    provider = next(p for p in providers if p.id == case.theirs)
    name = "usageMetadata" if case.api.startswith("gemini") else "usage"
    why = ""
    # Not every seller has a flavour for each of its APIs.
    for flavour in (case.flavour, "default"):
        try:
            _, extracted = provider.extract_usage({"model": case.model, name: case.usage}, api_flavor=flavour)
            price = genai_prices.calc_price(
                extracted,
                case.model,
                provider_id=case.theirs,
                genai_request_timestamp=datetime.fromisoformat(instant.replace("Z", "+00:00")),
            )
        except (LookupError, ValueError, TypeError, KeyError) as error:
            why = why or type(error).__name__
            continue
        return price.total_price, ""
    return None, why


def litellm_costs(cases_: list[Case]) -> dict[tuple[int, str], Cost]:
    """The tool's costs, the same at every instant: its list has hours of the day and no dates. Floats, here to twelve digits."""
    asked = [(case.provider, case.model, case.api, case.usage) for case in cases_]
    answer = subprocess.run(
        [LITELLM, Path(__file__).parent / "litellm_costs.py", INSTANTS[-1]],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    ).stdout
    # Providers' lists are printed before the answer where a name is not known.
    found = json.loads(answer.splitlines()[-1])
    return {
        (n, instant): (None if cost is None else Decimal(f"{cost:.12g}"), why)
        for n, (cost, why) in enumerate(found)
        for instant in INSTANTS
    }


WITNESSES: dict[str, Callable[[list[Case]], dict[tuple[int, str], Cost]]] = {
    "genai_prices": genai_prices_costs,
    "litellm": litellm_costs,
}


def differences(witness: str) -> list[dict[str, str]]:
    """Where the two differ, one row an instant, seller and model: objects, both totals, and our status."""
    objects = cases()
    ours, costs_of_theirs = our_costs(objects), WITNESSES[witness](objects)
    found: dict[tuple[str, ...], list[tuple[Decimal | None, Decimal | None]]] = defaultdict(list)
    for (number, instant), (theirs, why) in costs_of_theirs.items():
        case, row = objects[number], ours[number, instant]
        if row["list_cost_usd"] != theirs:
            said = " ".join(word for word in (row["cost_status"], row["cost_reason"]) if word)
            found[instant[:10], case.provider, case.model, said, why].append((row["list_cost_usd"], theirs))
    return [
        {
            "usage_date": key[0],
            "provider": key[1],
            "model": key[2],
            "objects": str(len(costs)),
            "our_status": key[3],
            "our_usd": _sum(ours for ours, _ in costs),
            "their_error": key[4],
            "their_usd": _sum(theirs for _, theirs in costs),
        }
        for key, costs in sorted(found.items())
    ]


def _sum(costs: Iterable[Decimal | None]) -> str:
    known = [cost for cost in costs if cost is not None]
    return f"{sum(known).normalize():f}" if known else ""


def known_differences(witness: str) -> list[dict[str, str]]:
    with TABLES[witness].open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(witness: str) -> None:
    known = known_differences(witness) if TABLES[witness].exists() else []
    by_row = {tuple(value for name, value in row.items() if name != "reason"): row["reason"] for row in known}
    # A reason holds for a model at every date, so one that moved is only a new figure.
    by_model = {(row["provider"], row["model"], row["our_status"], row["their_error"]): row["reason"] for row in known}
    rows = differences(witness)
    with TABLES[witness].open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "reason"], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            said = by_model.get((row["provider"], row["model"], row["our_status"], row["their_error"]), "")
            writer.writerow({**row, "reason": by_row.get(tuple(row.values()), said)})


if __name__ == "__main__":
    for name in WITNESSES:
        _write(name)
