"""Who sells what, by the names that logs, gateways and bills have for sellers."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from pipelines import paths
from tests.sources.landed import lines
from tests.sources.together import Place, together

NAMES = {
    "azure": "azure_openai azure-openai Azure_OpenAI azure.ai.openai az.ai.inference azure_ai azure.chat microsoft_azure azure_text AzureOpenAI microsoft microsoft_foundry",
    "vertex": "vertex_ai vertexai google-vertex gcp.vertex_ai google_vertexai vertex_ai-language-models google.vertex.chat anthropic_vertex google_anthropic_vertex",
    "google": "gemini gcp.gemini google-gla google_genai google.generative-ai gcp.gen_ai google_ai_studio generative-language",
    "bedrock": "aws aws_bedrock aws.bedrock amazon-bedrock bedrock_converse Amazon_Bedrock bedrock anthropic-bedrock bedrock_mantle",
    "openai": "openai text-completion-openai openai.responses",
    "mistral": "mistral_ai mistralai codestral",
    "xai": "x_ai x-ai x xai.chat grok",
    "anthropic": "anthropic claude anthropic.messages",
    "groq": "groq groqcloud",
    "vercel": "vercel vercel_ai_gateway",
    "together": "together_ai together-ai togetherai",
    "self": "vllm ollama_chat llama.cpp lm_studio hosted_vllm",
}


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute((paths.SOURCES / "sellers.sql").read_text(encoding="utf-8"))
        yield opened


@pytest.mark.parametrize("seller", NAMES)
def test_every_name_of_a_seller_is_known(con, seller):
    found = {name: con.execute("select known_seller(?)", [name]).fetchone()[0] for name in NAMES[seller].split()}
    assert set(found.values()) == {seller}, found


def test_a_name_of_another_product_is_no_sellers(con):
    for name in ("amazon_nova", "openai-compatible", "acme", "azurite", "geminus"):
        assert con.execute("select known_seller(?), seller_named(?)", [name, name]).fetchone() == (None, name)


@together("names")
def test_an_applications_log_and_a_table_of_calls_name_sellers_as_other_sources_do(place: Place) -> None:
    """A name that is not known stays as it was written: a model of one's own may be sold under it."""
    wanted = {
        "azure_openai": "azure",
        "vertex_ai": "vertex",
        "Gemini": "google",
        "aws_bedrock": "bedrock",
        "Acme": "acme",
    }
    call = {"timestamp": "2026-11-18T10:00:00Z", "model": "m", "usage": None}
    place.land("app_log/a.jsonl", lines(*({**call, "id": name, "provider": name} for name in wanted)))
    row = {"started_at": "2026-11-18T10:00:00Z", "model_served": "m"}
    place.land("requests/a.jsonl", lines(*({**row, "source_row_id": name, "provider": name} for name in wanted)))

    yield

    found = place.rows("staged_requests")
    assert len(found) == 2 * len(wanted)
    assert {row["source_row_id"]: row["provider"] for row in found} == wanted
