"""A second witness: a price map in litellm's form, read from a file that the user names. Never needed for a run.

Old maps are a history: retired models are deleted from the newest. The form has JSON floats; they are read as text, and
a price that needs more than nine places for a million units is left out and named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from pipelines.prices.rates import CONTEXT_END

MILLION = Decimal(1_000_000)
PLACES = Decimal("0.000000001")
# The map's word for a seller, and the prefix that its keys have beside the seller's own name of a model.
SELLERS = {
    "anthropic": ("anthropic", ""),
    "azure": ("azure", "azure/"),
    "bedrock": ("bedrock", ""),
    "bedrock_converse": ("bedrock", ""),
    "cerebras": ("cerebras", "cerebras/"),
    "cohere": ("cohere", ""),
    "cohere_chat": ("cohere", ""),
    "deepseek": ("deepseek", "deepseek/"),
    "gemini": ("google", "gemini/"),
    "groq": ("groq", "groq/"),
    "mistral": ("mistral", "mistral/"),
    "openai": ("openai", ""),
    "openrouter": ("openrouter", "openrouter/"),
    "together_ai": ("together", "together_ai/"),
    "xai": ("xai", "xai/"),
}
UNITS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "output_reasoning",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "audio_in",
    "output_cost_per_audio_token": "audio_out",
    "cache_read_input_audio_token_cost": "audio_cache_read",
    "input_cost_per_image_token": "image_in",
    "cache_read_input_image_token_cost": "image_cache_read",
    "output_cost_per_image_token": "image_out",
}
CONDITIONS = {
    "": ("standard", "sync"),
    "_batches": ("standard", "batch"),
    "_flex": ("flex", "sync"),
    "_priority": ("priority", "sync"),
}
_FIELD = re.compile(
    r"(?P<unit>" + "|".join(sorted(UNITS, key=len, reverse=True)) + r")"
    r"(?:_above_(?P<thousands>\d+)k_tokens)?(?P<condition>_batches|_flex|_priority)?"
)
_GEOGRAPHY = re.compile(r"^(us-gov|us|eu|apac|au|jp|ca|sa|in|global)\.")
# xAI's range begins at its threshold, the others' above it (PRICING 2.2).
INCLUSIVE = frozenset({"xai"})


@dataclass(frozen=True)
class Said:
    """One price of the map, in USD per million units."""

    provider: str
    model: str
    region_class: str
    unit: str
    unit_price: Decimal
    service_tier: str
    processing: str
    ctx_min_tokens: int
    ctx_max_tokens: int


def read_map(path: Path) -> Iterator[Said]:
    """The prices of tokens in a map, or in a wheel that holds one. Sellers that we do not know are passed over."""
    if path.suffix == ".whl":
        with ZipFile(path) as wheel:
            [name] = [n for n in wheel.namelist() if n.endswith("model_prices_and_context_window_backup.json")]
            text = wheel.read(name).decode()
    else:
        text = path.read_text(encoding="utf-8")
    entries: dict[str, Any] = json.loads(text, parse_float=Decimal)
    for key, entry in entries.items():
        sold_by = str(entry.get("litellm_provider", ""))
        seller, prefix = ("vertex", "vertex_ai/") if sold_by.startswith("vertex_ai") else SELLERS.get(sold_by, ("", ""))
        # bedrock/us-west-2/..., azure/eu/...: a region's own price list, which no name of a call carries.
        if seller and not key.startswith("bedrock/") and not (seller == "azure" and key.count("/") > 1):
            yield from _said(seller, key.removeprefix(prefix), entry)


def _said(seller: str, model: str, entry: dict[str, Any]) -> Iterator[Said]:
    region = "global"
    if seller == "bedrock":
        found = _GEOGRAPHY.match(model)
        region = "regional" if found is None else "gov" if found[1] == "us-gov" else found[1]
        model = _GEOGRAPHY.sub("", model)
    prices: dict[tuple[str, str, str], dict[int, Decimal]] = {}
    for name, value in entry.items():
        match = _FIELD.fullmatch(name)
        if match is None or not isinstance(value, (int, Decimal)) or isinstance(value, bool):
            continue
        price = Decimal(value) * MILLION
        # Noise of floats is far behind the sixth place, the longest that a list has.
        exact = price.quantize(Decimal("0.000001")).quantize(PLACES)
        if abs(price - exact) > Decimal("1e-9"):
            continue
        start = int(match["thousands"] or 0) * 1_000
        start += 1 if start and seller not in INCLUSIVE else 0
        tier, processing = CONDITIONS[match["condition"] or ""]
        prices.setdefault((UNITS[match["unit"]], tier, processing), {})[start] = exact
    for (unit, tier, processing), by_start in prices.items():
        starts = sorted(by_start)
        for start, end in zip(starts, [*starts[1:], CONTEXT_END], strict=True):
            yield Said(seller, model, region, unit, by_start[start], tier, processing, start, end)
