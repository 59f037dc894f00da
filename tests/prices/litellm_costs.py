"""Costs of usage objects by litellm's own readers and calculator, run by its own interpreter (independent.py).

Argument: the instant of the calls, for prices by the hour. Standard input: a JSON list of (seller, model, shape, usage object).
Last line of the output: as many of (USD, error).
"""

import json
import sys
from datetime import datetime

import litellm
from litellm._internal_context import pinned_billing_time
from litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini import VertexGeminiConfig
from litellm.responses.utils import ResponseAPILoggingUtils
from litellm.types.utils import EmbeddingResponse, ModelResponse, Usage

SELLERS = {"google": "gemini", "vertex": "vertex_ai", "together": "together_ai"}


def read(shape, usage):
    if shape == "anthropic.messages":
        return litellm.AnthropicConfig().calculate_usage(usage, None)
    if shape == "gemini.generateContent":
        return VertexGeminiConfig._calculate_usage({"usageMetadata": usage})
    if shape == "openai.responses":
        return ResponseAPILoggingUtils.transform_response_api_usage_to_chat_usage(usage)
    if shape == "bedrock.converse":
        return litellm.AmazonConverseConfig()._transform_usage(usage)
    return Usage(**usage)


def cost(seller, model, shape, usage):
    is_embedding = shape == "openai.embeddings"
    response = (EmbeddingResponse if is_embedding else ModelResponse)(model=model, usage=read(shape, usage))
    return litellm.completion_cost(
        completion_response=response,
        model=model,
        custom_llm_provider=SELLERS.get(seller, seller),
        call_type="aembedding" if is_embedding else "completion",
    )


answers = []
# Without an instant it prices by the clock, so that the answers are others at night.
with pinned_billing_time(datetime.fromisoformat(sys.argv[1].replace("Z", "+00:00"))):
    for asked in json.load(sys.stdin):
        try:
            answers.append((cost(*asked), ""))
        except Exception as error:
            answers.append((None, type(error).__name__))
print()
print(json.dumps(answers))
