"""The installed genai-prices package as dated rates and names.

The package is data here: its calculator is never called and nothing is fetched. Where it is known to say something
wrong or nothing at all, the constants below say what is done about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache

from genai_prices import types as package_types
from genai_prices.data import providers as package_providers

from pipelines.prices import observed
from pipelines.prices.package_listing import standard_rates, tier_rates
from pipelines.prices.package_names import AMBIGUOUS_NAMES, Name, names_of, settled_names
from pipelines.prices.package_periods import PLACES, periods_of
from pipelines.prices.rates import BEGINNING, CONTEXT_END, DAY_END_S, EVERY_DAY, OPEN_END, Rate, midnight
from pipelines.prices.version import package_version

# Sellers whose key here is not the package's. Google's list serves the Gemini API and Vertex AI alike.
SELLERS = {"x-ai": ("xai",), "aws": ("bedrock",), "google": ("google", "vertex")}
# Lists of other products that repeat model names of a seller under another tariff.
NOT_SELLERS = frozenset({"openai-decisions"})
# Claude is in Google's list, but only Vertex AI sells it.
ONLY_ON_VERTEX = "claude-"
# Azure's own list is short; the package falls back to the makers' lists and loses the tier on the way (13.2.3), so only
# their standard prices are taken over.
TAKES_LIST_OF = {"azure": ("openai", "anthropic")}
# Bedrock's geography prefixes (inference profiles). 'regional' is an id without one. GovCloud is not listed.
BEDROCK_REGIONS = ("regional", "us", "eu", "apac", "jp", "au", "ca", "sa", "in")
# Claude on the first-party API: data residency costs 1.1 times, on all token classes, for the models that offer it.
REGION_FACTOR = Decimal("1.1")
WITHOUT_RESIDENCY = re.compile(r"claude-(?:v1|2|3|(?:opus|sonnet|haiku)-4-[0-5]$|mythos)")
# OpenAI's regional processing and Vertex AI's regional endpoints cost a tenth more for the models that litellm's map
# 1.106.2 lists with such a factor.
PROCESSED_REGIONALLY = re.compile(r"gpt-(?:5\.[456]|6|realtime-2\.1)(?![0-9])")
DEARER_REGIONALLY = re.compile(
    r"claude-(?:fable|haiku-(?:4-5|5)|opus-(?:4-[5-8]|5)|sonnet-(?:4-[56]|5))"
    r"|gemini-(?:3\.1-flash-(?:image|lite)|3\.[5-9]-flash|4-argon)"
)
# Gemini 3 is charged for each search query of a grounded prompt, 2.x and older for the prompt, however many queries it ran
# (ai.google.dev/gemini-api/docs/pricing, cloud.google.com/vertex-ai/generative-ai/pricing). The package lists both as searches.
CHARGED_BY_PROMPT = re.compile(r"gemini-(?:1|2)(?![0-9])")
# xAI bills the tools that it runs by the call, alike for all models (docs.x.ai/developers/pricing, read 2026-11-22); the package
# lists none. Connectors and a look at a picture cost their tokens alone. Sources were billed by live search, which has ended.
XAI_TOOLS = {
    "web_search": "5",
    "x_search": "5",
    "code_interpreter": "5",
    "attachment_search": "10",
    "document_search": "5",
    "file_search": "2.5",
    "mcp": "0",
    "view_image": "0",
    "view_x_video": "0",
    "search_sources": "0",
}
# docs.x.ai/docs/guides/live-search: 25 dollars for 1,000 sources. That page states no end: it was announced for 2025-12-15
# (langchain-ai/langchain#33961), and refusals were reported from 2026-01-27 on (langgenius/dify-official-plugins#2493). Between the
# two the price and its end are assumed. From, to, price, whether that is certain.
LIVE_SEARCH_PAGE = "docs.x.ai/docs/guides/live-search"
LIVE_SEARCH = (
    (None, datetime(2025, 12, 15, tzinfo=UTC), "25", True),
    (datetime(2025, 12, 15, tzinfo=UTC), datetime(2026, 1, 12, tzinfo=UTC), "25", False),
    (datetime(2026, 1, 12, tzinfo=UTC), datetime(2026, 1, 27, tzinfo=UTC), "0", False),
    (datetime(2026, 1, 27, tzinfo=UTC), None, "0", True),
)


@dataclass
class Package:
    """What the installed package says: rates, names, and what had to be rounded or left out."""

    version: str
    published: datetime
    rates: list[Rate] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    # Lists that Bedrock has of a model: 'global', 'regional', or 'one' for all geographies.
    bedrock_lists: dict[str, set[str]] = field(default_factory=dict)


@cache
def read_package() -> Package:
    """All rates and names of the installed package, in its own order. Takes about a second, once a process."""
    installed = package_version()
    package = Package(installed, _published(installed))
    if installed not in observed.versions():
        package.problems.append(
            f"genai-prices {installed} is not known: its prices without a start count as assumed before "
            f"{package.published:%Y-%m-%d}, its newest past start. Run prices sync --history in a checkout, which adds its day."
        )
    own = {provider.id: {model.id for model in provider.models} for provider in package_providers}
    rounded: list[str] = []
    for provider in package_providers:
        if provider.id in NOT_SELLERS:
            continue
        for seller in SELLERS.get(provider.id, (provider.id,)):
            for model in provider.models:
                if seller == "google" and model.id.startswith(ONLY_ON_VERTEX):
                    continue
                _add_model(package, seller, provider.id, model, rounded)
        for seller, makers in TAKES_LIST_OF.items():
            if provider.id in makers:
                for model in provider.models:
                    if model.id not in own[seller]:
                        _add_model(package, seller, provider.id, model, rounded, is_taken_over=True)
    if rounded:
        package.problems.append(
            f"genai-prices {installed}: {len(rounded)} float artefacts rounded to 9 places: "
            + ", ".join(sorted(set(rounded)))
        )
    _settle_bedrock(package)
    package.names = settled_names(package.names)
    return package


def _published(installed: str) -> datetime:
    known = observed.versions().get(installed)
    if known is None:
        starts = [
            price.constraint.start_date
            for provider in package_providers
            for model in provider.models
            if isinstance(model.prices, list)
            for price in model.prices
            if isinstance(price.constraint, package_types.StartDateConstraint)
            and not _is_first_of_a_quarter(price.constraint.start_date)
        ]
        known = max(starts)
    return midnight(known)


def _is_first_of_a_quarter(day: date) -> bool:
    """Price changes announced ahead start on such a day: no sign of when the package was made."""
    return day.day == 1 and day.month in (1, 4, 7, 10, 12)


def _add_model(
    package: Package,
    seller: str,
    listed_by: str,
    model: package_types.ModelInfo,
    rounded: list[str],
    *,
    is_taken_over: bool = False,
) -> None:
    where = f"{listed_by}/{model.id}"
    model_id, region = model.id, "global"
    if seller == "bedrock":
        found = re.match(r"(global|regional)\.(.*)", model.id)
        if found:
            region, model_id = found[1], found[2]
        package.bedrock_lists.setdefault(model_id, set()).add(found[1] if found else "one")
    whole = blank_rate(seller, model_id)._replace(
        region_class=region,
        known_at=package.published,
        source_ref=f"genai-prices {package.version}: {where}",
        retrieved_at=package.published,
        book_version=f"genai-prices {package.version}",
    )

    def marked(rate: Rate, is_dated: bool) -> Iterable[Rate]:
        return [rate] if is_dated else observed.marked(rate, (listed_by, model.id), package.published)

    periods = periods_of(model, where, rounded)
    rates = list(standard_rates(periods, whole, marked))
    if seller == "mistral":
        rates += _cached_at_a_tenth(rates)
    if not is_taken_over:
        rates += tier_rates(model, periods, listed_by, whole, marked, rounded)
    rates = [r._replace(unit=_charged_unit(seller, model_id, r.unit)) for r in rates]
    if seller == "xai":
        rates += _tools_of_xai(rates)
    if is_taken_over:
        rates = [r._replace(confidence=_derived(r)) for r in rates]
    if seller == "anthropic" and not WITHOUT_RESIDENCY.match(model_id):
        rates += [_dearer(r, "us", "inference_geo us") for r in rates]
    if seller == "openai" and PROCESSED_REGIONALLY.match(model_id):
        rates += [_dearer(r, region, "regional processing") for region in ("us", "eu") for r in rates]
    if seller == "vertex":
        # Of models that are in no list, nobody says what their regional endpoints cost.
        rates += [
            _dearer(r, "regional", "a regional endpoint")
            if DEARER_REGIONALLY.match(model_id)
            else r._replace(region_class="regional", confidence="assumed")
            for r in rates
        ]
    package.rates += rates
    package.names += [
        name
        for name in names_of(seller, model, model_id, package.version)
        if (seller, name.pattern) not in AMBIGUOUS_NAMES
    ]


def blank_rate(provider: str, model_id: str) -> Rate:
    """What every rate of the package begins with: no price yet, and no condition."""
    return Rate(
        provider=provider,
        model_id=model_id,
        unit="",
        per_units=0,
        unit_price=Decimal(0),
        currency="USD",
        effective_from=BEGINNING,
        effective_to=OPEN_END,
        known_at=BEGINNING,
        service_tier="standard",
        processing="sync",
        ctx_min_tokens=0,
        ctx_max_tokens=CONTEXT_END,
        region_class="global",
        window_from_s=0,
        window_to_s=DAY_END_S,
        weekday_mask=EVERY_DAY,
        source="genai-prices",
        source_ref="",
        retrieved_at=None,
        confidence="published",
        supersedes=None,
        book_version="",
    )


def _derived(rate: Rate) -> str:
    """Confidence of what is worked out from a rate: no more than that of the rate."""
    return "derived" if rate.confidence in ("published", "observed") else rate.confidence


def _charged_unit(seller: str, model_id: str, unit: str) -> str:
    """What a search is charged as."""
    is_by_prompt = unit == "web_search" and seller in ("google", "vertex") and CHARGED_BY_PROMPT.match(model_id)
    return "grounded_prompt" if is_by_prompt else unit


def _tools_of_xai(rates: list[Rate]) -> list[Rate]:
    """Prices of xAI's tools for a model, in each tier as long as its input has one."""
    listed = {rate.unit for rate in rates}
    leading = "input" if "input" in listed else "audio_hour"
    stretches = [rate for rate in rates if rate.unit == leading and rate.ctx_min_tokens == 0]
    tools = [
        rate._replace(
            unit=unit,
            per_units=1_000,
            unit_price=Decimal(price),
            ctx_min_tokens=0,
            ctx_max_tokens=CONTEXT_END,
            source="xai",
            source_ref="docs.x.ai/developers/pricing, tool invocation costs",
        )
        for rate in stretches
        for unit, price in XAI_TOOLS.items()
        if unit not in listed
    ]
    searched = [
        rate._replace(
            unit_price=Decimal(price),
            effective_from=max(rate.effective_from, begin or rate.effective_from),
            effective_to=min(rate.effective_to, end or rate.effective_to),
            confidence=rate.confidence if is_certain else "assumed",
            source_ref=f"{LIVE_SEARCH_PAGE}, which states no end" if end else rate.source_ref,
        )
        for rate in tools
        if rate.unit == "search_sources"
        for begin, end, price, is_certain in LIVE_SEARCH
        if (begin is None or rate.effective_to > begin) and (end is None or rate.effective_from < end)
    ]
    return [*(rate for rate in tools if rate.unit != "search_sources"), *searched]


def _cached_at_a_tenth(rates: list[Rate]) -> list[Rate]:
    """Mistral bills cached input at a tenth of the input for all its models; the package lists it for some."""
    if any(rate.unit == "cache_read" for rate in rates):
        return []
    return [
        rate._replace(
            unit="cache_read",
            unit_price=(rate.unit_price / 10).quantize(PLACES),
            confidence=_derived(rate),
            source_ref=f"{rate.source_ref}, cached input at a tenth of the input",
        )
        for rate in rates
        if rate.unit == "input"
    ]


def _dearer(rate: Rate, region_class: str, what_for: str) -> Rate:
    """The price in a region: a tenth more for tokens, the same for other units."""
    if rate.per_units != 1_000_000:
        return rate._replace(region_class=region_class)
    return rate._replace(
        region_class=region_class,
        unit_price=(rate.unit_price * REGION_FACTOR).quantize(PLACES),
        confidence=_derived(rate),
        source_ref=f"{rate.source_ref}, times 1.1 for {what_for}",
    )


def _settle_bedrock(package: Package) -> None:
    """Bedrock's prices by geography: one set of rows a prefix.

    The package has 'global.' and 'regional.' lists of a model, or one list for all. For an id without a prefix both are
    quoted by others where they differ: such a row is assumed.
    """
    spread = []
    for rate in package.rates:
        lists = package.bedrock_lists[rate.model_id] if rate.provider == "bedrock" else set()
        if "one" in lists:
            spread += [rate, *(rate._replace(region_class=region) for region in BEDROCK_REGIONS)]
        elif rate.provider == "bedrock" and rate.region_class == "regional":
            for region in BEDROCK_REGIONS:
                is_doubtful = region == "regional" and "global" in lists
                spread.append(
                    rate._replace(region_class=region, confidence="assumed" if is_doubtful else rate.confidence)
                )
        else:
            spread.append(rate)
    package.rates = spread
