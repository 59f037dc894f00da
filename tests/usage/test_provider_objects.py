"""Usage objects as providers really sent them: each is read without a problem, and its sums hold or it is flagged."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import usage
from pipelines.contract import INPUT_CLASSES, OUTPUT_CLASSES

OBJECTS = Path(__file__).parents[1] / "data" / "usage_blocks.jsonl.gz"
# The first part that an address contains decides.
APIS = {
    "/interactions": "gemini.interactions",
    "/cachedContents": "gemini.cachedContents",
    "/guardrail": "bedrock.guardrail",
    "/model/anthropic.": "bedrock.anthropic",
    # What another model answers to InvokeModel is told by its keys.
    "/invoke": None,
    "inference-profile": None,
    "/converse": "bedrock.converse",
    "cohere.com": "cohere.chat",
    "voyageai.com": "voyage.embeddings",
    "mbedContent": "gemini.embedContent",
    "/embeddings": "openai.embeddings",
    "enerateContent": "gemini.generateContent",
    # Addresses that were cut.
    "gemini-2.5-flash:gene": "gemini.generateContent",
    "googleapis.com": "gemini.generateContent",
    "/responses": "openai.responses",
    "api.anthropic.com": "anthropic.messages",
    "/completions": "openai.chat",
    "/chat": "openai.chat",
    "/runs": "openai.chat",
}


@pytest.fixture(scope="module")
def read() -> list[tuple[dict[str, Any], str, dict[str, Any]]]:
    """Each object as sent, its shape, and what became of it."""
    with gzip.open(OBJECTS, "rt", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    known = []
    for record in records:
        api = next(api for part, api in APIS.items() if part in record["uri"])
        known.append((api, record["usage"]))
    with duckdb.connect() as connection:
        usage.register(connection)
        steps = usage.usage_steps("records", api="api", usage="usage")
        rows = connection.execute(
            f"""
            with records as (
                select
                    unnest(range(len($api))) as place,
                    unnest($api::varchar[]) as api,
                    unnest($usage::json[]) as usage
            ), {steps}
            select usage_shape, classed from usage_classed order by place
            """,
            {"api": [api for api, _ in known], "usage": [json.dumps(said) for _, said in known]},
        ).fetchall()
    return [(said, shape, classed) for (_, said), (shape, classed) in zip(known, rows, strict=True)]


def test_every_object_is_of_a_known_shape(read: list[tuple[dict[str, Any], str, dict[str, Any]]]) -> None:
    assert len(read) == 1_248
    assert [(said, shape) for said, shape, _ in read if shape in (None, "ambiguous", "unknown")] == []


def test_no_object_is_refused(read: list[tuple[dict[str, Any], str, dict[str, Any]]]) -> None:
    assert [(said, found["problem"]) for said, _, found in read if found["problem"]] == []
    figures = Counter((shape, found["usage_quality"], *found["usage_flags"]) for _, shape, found in read)
    print(*sorted(figures.items()), sep="\n")


def test_sums_are_the_providers_or_the_row_is_flagged(read: list[tuple[dict[str, Any], str, dict[str, Any]]]) -> None:
    for said, shape, found in read:
        if found["usage_quality"] != "reported":
            continue
        total = sum(found[name] or 0 for name in (*INPUT_CLASSES, *OUTPUT_CLASSES))
        stated = said.get("total_tokens", said.get("totalTokenCount"))
        assert stated in (None, total) or "split_mismatch" in found["usage_flags"], said
        if shape == "anthropic.messages":
            keys = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
            assert total == sum(said.get(key, 0) for key in keys)
            assert said["input_tokens"] == found["input_uncached_tokens"]


@pytest.mark.parametrize(
    ("shape", "least"),
    [
        ("openai.chat", 300),
        ("openai.responses", 140),
        ("anthropic.messages", 220),
        ("gemini.generateContent", 270),
        ("bedrock.converse", 100),
    ],
)
def test_enough_objects_of_a_shape_are_read(
    read: list[tuple[dict[str, Any], str, dict[str, Any]]], shape: str, least: int
) -> None:
    assert sum(1 for _, name, _ in read if name == shape) >= least
