"""The installed genai-prices package as dated rates and names.

The package is data here: its calculator is never called and nothing is fetched. Where it is known to say something
wrong or nothing at all, the constants below say what is done about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from genai_prices import types as package_types
from genai_prices.data import providers as package_providers

from pipelines.prices.rates import BEGINNING, CONTEXT_END, DAY_END_S, EVERY_DAY, OPEN_END, Rate
from pipelines.prices.version import package_version

# Upload day of each version we have read (package index). A version not listed counts from its newest past start date.
PUBLISHED_ON = {"0.2.3": date(2026, 11, 10)}

# Sellers whose key here is not the package's. Google's list serves the Gemini API and Vertex AI alike.
SELLERS = {"x-ai": ("xai",), "aws": ("bedrock",), "google": ("google", "vertex")}
# Lists of other products that repeat model names of a seller under another tariff.
NOT_SELLERS = frozenset({"openai-decisions"})
# Claude is in Google's list, but only Vertex AI sells it.
ONLY_ON_VERTEX = "claude-"
# Azure's own list is short; the package falls back to the makers' lists and loses the tier on the way (13.2.3), so only
# their standard prices are taken over.
TAKES_LIST_OF = {"azure": ("openai", "anthropic")}
# A bare 'gpt-4' answered by Azure may be any of the gpt-4 models, turbo at a third of the price (litellm#7004).
AMBIGUOUS_NAMES = frozenset({("azure", "gpt-4")})

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

# Days on which the package began to list tiers of hundreds of models at once; the tiers themselves are older. A tier's
# price is carried back to the start of the standard price it belongs to, as assumed.
TIERS_LISTED_ON = frozenset({date(2026, 10, 12), date(2026, 10, 14), date(2026, 10, 15)})
# One source says that these off-peak windows hold all day on weekends: there the peak price is doubtful.
DOUBTFUL_WEEKENDS = re.compile(r"deepseek-(?:v4|flash)")
WEEKDAYS, WEEKEND = 31, 96

PLACES = Decimal("0.000000001")

UNITS = {
    "input_mtok": ("input", 1_000_000),
    "output_mtok": ("output", 1_000_000),
    "output_reasoning_mtok": ("output_reasoning", 1_000_000),
    "cache_read_mtok": ("cache_read", 1_000_000),
    "cache_write_mtok": ("cache_write_5m", 1_000_000),
    "cache_write_5m_mtok": ("cache_write_5m", 1_000_000),
    "cache_write_1h_mtok": ("cache_write_1h", 1_000_000),
    "input_audio_mtok": ("audio_in", 1_000_000),
    "cache_audio_read_mtok": ("audio_cache_read", 1_000_000),
    "output_audio_mtok": ("audio_out", 1_000_000),
    "input_image_mtok": ("image_in", 1_000_000),
    "cache_image_read_mtok": ("image_cache_read", 1_000_000),
    "output_image_mtok": ("image_out", 1_000_000),
    "input_video_mtok": ("video_in", 1_000_000),
    "output_video_mtok": ("video_out", 1_000_000),
    "output_citation_mtok": ("citation_out", 1_000_000),
    "input_mchars": ("character", 1_000_000),
    "web_searches_kcount": ("web_search", 1_000),
    "storage_searches_kcount": ("file_search", 1_000),
    "requests_kcount": ("request", 1_000),
    "input_text_messages_kcount": ("text_message", 1_000),
    "input_document_kpages": ("page", 1_000),
    "input_annotated_document_kpages": ("annotated_page", 1_000),
    "audio_hours": ("audio_hour", 1),
    "input_audio_hours": ("audio_hour", 1),
}
_CACHE_READS = frozenset({"cache_read", "audio_cache_read", "image_cache_read"})
_DATE_IN_NAME = re.compile(r"(?<!\d)(20\d{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")

Price = Decimal | package_types.TieredPrices
Prices = dict[str, tuple[int, Price]]


class Name(NamedTuple):
    """A name or pattern that means a model of a seller. Names are compared in lower case."""

    provider: str
    pattern_kind: str
    pattern: str
    model_id: str
    priority: int
    valid_from_date: date | None
    valid_to_date: date | None
    region_class: str | None
    source_ref: str


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


@dataclass(frozen=True)
class _Period:
    start: datetime
    end: datetime
    prices: Prices
    is_dated: bool
    windows: tuple[tuple[int, int, Prices], ...] = ()


@cache
def read_package() -> Package:
    """All rates and names of the installed package, in its own order. Takes about a second, once a process."""
    installed = package_version()
    package = Package(installed, _published(installed))
    if installed not in PUBLISHED_ON:
        package.problems.append(
            f"genai-prices {installed} is not known: its prices without a start count as assumed before "
            f"{package.published:%Y-%m-%d}, its newest past start. Add its upload day to PUBLISHED_ON."
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
    package.names = _settled(package.names)
    return package


def _published(installed: str) -> datetime:
    known = PUBLISHED_ON.get(installed)
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
    return _midnight(known)


def _is_first_of_a_quarter(day: date) -> bool:
    """Price changes announced ahead start on such a day: no sign of when the package was made."""
    return day.day == 1 and day.month in (1, 4, 7, 10, 12)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _seconds(at: time) -> int:
    moved = datetime.combine(date(1970, 1, 2), at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    return moved.hour * 3600 + moved.minute * 60 + moved.second


def _priced(prices: package_types.ModelPrice, where: str, rounded: list[str]) -> Prices:
    """Units and prices of the package's record, exact to 9 places."""
    found: Prices = {}
    for name, price in vars(prices).items():
        if price is None:
            continue
        unit, per_units = UNITS[name]
        if unit in found and name == "cache_write_mtok":
            continue
        if isinstance(price, package_types.TieredPrices):
            exact: Price = package_types.TieredPrices(
                base=_exact(price.base, where, unit, rounded),
                tiers=[
                    package_types.Tier(start=t.start, price=_exact(t.price, where, unit, rounded)) for t in price.tiers
                ],
            )
        else:
            exact = _exact(price, where, unit, rounded)
        found[unit] = (per_units, exact)
    return found


def _exact(price: Decimal, where: str, unit: str, rounded: list[str]) -> Decimal:
    exact = price.quantize(PLACES)
    if exact != price:
        rounded.append(f"{where} {unit} {price} -> {exact.normalize():f}")
    return exact


def _periods(model: package_types.ModelInfo, where: str, rounded: list[str]) -> list[_Period]:
    """The standard prices of a model, period after period, with the windows of the day in the last of them.

    The package lists windows after all dates and without one, so that its own calculator lets them win at all dates
    (13.2.1). They were introduced with the newest list: earlier periods have none.
    """
    listed = model.prices if isinstance(model.prices, list) else [package_types.ConditionalPrice(prices=model.prices)]
    in_name = _DATE_IN_NAME.search(model.id)
    first = _midnight(date(*map(int, in_name.groups()))) if in_name else BEGINNING
    starts: list[tuple[datetime, Prices, bool]] = []
    windows: list[tuple[int, int, Prices]] = []
    for entry in listed:
        prices = _priced(entry.prices, where, rounded)
        match entry.constraint:
            case None:
                starts.append((first, prices, False))
            case package_types.StartDateConstraint(start_date=day):
                starts.append((_midnight(day), prices, True))
            case package_types.TimeOfDateConstraint(start_time=opens, end_time=closes):
                from_s, to_s = _seconds(opens), _seconds(closes) or DAY_END_S
                windows += (
                    [(from_s, to_s, prices)] if from_s < to_s else [(from_s, DAY_END_S, prices), (0, to_s, prices)]
                )
    starts.sort(key=lambda entry: entry[0])
    found = []
    for place, (start, prices, is_dated) in enumerate(starts):
        is_last = place == len(starts) - 1
        end = OPEN_END if is_last else starts[place + 1][0]
        if start < end:
            found.append(
                _Period(start, end, prices, is_dated, tuple(sorted(windows, key=lambda w: w[0])) if is_last else ())
            )
    return found


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
    periods = _periods(model, where, rounded)

    def rate(unit: str, per_units: int, price: Decimal, start: datetime, end: datetime) -> Rate:
        return Rate(
            provider=seller,
            model_id=model_id,
            unit=unit,
            per_units=per_units,
            unit_price=price,
            currency="USD",
            effective_from=start,
            effective_to=end,
            known_at=package.published,
            service_tier="standard",
            processing="sync",
            ctx_min_tokens=0,
            ctx_max_tokens=CONTEXT_END,
            region_class=region,
            window_from_s=0,
            window_to_s=DAY_END_S,
            weekday_mask=EVERY_DAY,
            source="genai-prices",
            source_ref=f"genai-prices {package.version}: {where}",
            retrieved_at=package.published,
            confidence="published",
            supersedes=None,
            book_version=f"genai-prices {package.version}",
        )

    rates = []
    for period in periods:
        for prices, from_s, to_s, mask, is_doubtful in _parts_of_day(period, model_id):
            for unit, (per_units, price) in prices.items():
                for low, high, amount in _context_ranges(price):
                    whole = rate(unit, per_units, amount, period.start, period.end)._replace(
                        ctx_min_tokens=low,
                        ctx_max_tokens=high,
                        window_from_s=from_s,
                        window_to_s=to_s,
                        weekday_mask=mask,
                    )
                    if is_doubtful:
                        rates.append(whole._replace(confidence="assumed"))
                    else:
                        rates += _marked(whole, period.is_dated, package.published)
    if seller == "mistral":
        rates += _cached_at_a_tenth(rates)
    if not is_taken_over:
        rates += _tier_rates(package, listed_by, model, periods, where, rounded, rate)
    if is_taken_over:
        rates = [r._replace(confidence="derived") if r.confidence == "published" else r for r in rates]
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
        for name in _names_of(seller, model, model_id, package.version)
        if (seller, name.pattern) not in AMBIGUOUS_NAMES
    ]


def _marked(rate: Rate, is_dated: bool, published: datetime) -> list[Rate]:
    """A price without a start is assumed before the package that states it was published."""
    if is_dated or rate.effective_from >= published:
        return [rate]
    if rate.effective_to <= published:
        return [rate._replace(confidence="assumed")]
    return [rate._replace(effective_to=published, confidence="assumed"), rate._replace(effective_from=published)]


def _cached_at_a_tenth(rates: list[Rate]) -> list[Rate]:
    """Mistral bills cached input at a tenth of the input for all its models; the package lists it for some."""
    if any(rate.unit == "cache_read" for rate in rates):
        return []
    return [
        rate._replace(
            unit="cache_read",
            unit_price=(rate.unit_price / 10).quantize(PLACES),
            confidence="derived" if rate.confidence == "published" else rate.confidence,
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
        confidence="derived" if rate.confidence == "published" else rate.confidence,
        source_ref=f"{rate.source_ref}, times 1.1 for {what_for}",
    )


def _parts_of_day(period: _Period, model_id: str) -> Iterator[tuple[Prices, int, int, int, bool]]:
    """Prices of a period by seconds of the UTC day; the standard price fills what the windows leave."""
    at = 0
    for from_s, to_s, prices in period.windows:
        if at < from_s:
            yield period.prices, at, from_s, EVERY_DAY, False
        if DOUBTFUL_WEEKENDS.match(model_id):
            yield prices, from_s, to_s, WEEKDAYS, False
            yield prices, from_s, to_s, WEEKEND, True
        else:
            yield prices, from_s, to_s, EVERY_DAY, False
        at = to_s
    if at < DAY_END_S:
        yield period.prices, at, DAY_END_S, EVERY_DAY, False


def _context_ranges(price: Price) -> Iterator[tuple[int, int, Decimal]]:
    """Closed-open context ranges. A tier begins above its start: 200000 is [200001, ..), xAI's 199999 [200000, ..)."""
    if isinstance(price, Decimal):
        yield 0, CONTEXT_END, price
        return
    low, amount = 0, price.base
    for tier in price.tiers:
        if low < tier.start + 1:
            yield low, tier.start + 1, amount
        low, amount = tier.start + 1, tier.price
    yield low, CONTEXT_END, amount


def _condition(when: Mapping[str, str]) -> tuple[str, str] | None:
    """Tier and processing of a variant; None for what is no condition here (default tier, route, search type)."""
    match dict(when):
        case {"processing": "batch", **rest} if not rest:
            return "standard", "batch"
        case {"service_tier": ("flex" | "priority" | "fast") as tier, **rest} if not rest:
            return tier, "sync"
        case {"speed": "fast", **rest} if not rest:
            return "fast", "sync"
    return None


def _tier_rates(
    package: Package,
    listed_by: str,
    model: package_types.ModelInfo,
    periods: list[_Period],
    where: str,
    rounded: list[str],
    rate: Callable[[str, int, Decimal, datetime, datetime], Rate],
) -> Iterator[Rate]:
    """Rates of flex, priority, fast and batch. A unit that no list states for a tier has no rate in it.

    Kept from the standard list are units that are no tokens (a web search costs the same in batch) and Gemini's cached
    reads in batch. A flat tier price beside a standard price with a long-context range ends where that range begins.
    """
    by_condition: dict[tuple[str, str], list[package_types.PriceVariant]] = {}
    for variant in model.price_variants or ():
        condition = _condition(variant.when)
        if condition:
            by_condition.setdefault(condition, []).append(variant)
    for (tier, processing), variants in by_condition.items():
        dated = [(_variant_start(variant), variant) for variant in variants]
        starts = sorted({start or periods[0].start for start, _ in dated})
        for place, start in enumerate(starts):
            end = starts[place + 1] if place + 1 < len(starts) else OPEN_END
            prices: Prices = {}
            for since, variant in dated:  # the first that is active wins, unit by unit
                if since is None or since <= start:
                    for unit, said in _priced(variant.prices, where, rounded).items():
                        prices.setdefault(unit, said)
            is_dated = all(since is not None for since, _ in dated)
            carried_back = place == 0 and start.date() in TIERS_LISTED_ON
            for period in periods:
                low, high = max(period.start, start), min(period.end, end)
                is_assumed_before = low
                if carried_back and period.start < start < period.end:
                    low = period.start
                if low >= high:
                    continue
                for unit, (per_units, price) in _with_kept(prices, period.prices, listed_by, processing).items():
                    limit = _first_threshold(period.prices.get(unit)) if isinstance(price, Decimal) else None
                    for ctx_low, ctx_high, amount in _context_ranges(price):
                        is_kept = unit not in prices
                        whole = rate(unit, per_units, amount, low, high)._replace(
                            service_tier=tier,
                            processing=processing,
                            ctx_min_tokens=ctx_low,
                            ctx_max_tokens=min(ctx_high, limit) if limit and not is_kept else ctx_high,
                            confidence="derived" if is_kept else "published",
                        )
                        if low < is_assumed_before:
                            yield whole._replace(effective_to=is_assumed_before, confidence="assumed")
                            whole = whole._replace(effective_from=is_assumed_before)
                        yield from _marked(whole, is_dated, package.published)


def _variant_start(variant: package_types.PriceVariant) -> datetime | None:
    if isinstance(variant.constraint, package_types.StartDateConstraint):
        return _midnight(variant.constraint.start_date)
    return None


def _with_kept(tier: Prices, standard: Prices, listed_by: str, processing: str) -> Prices:
    kept = {
        unit: price
        for unit, price in standard.items()
        if unit not in tier
        and (price[0] != 1_000_000 or (listed_by == "google" and processing == "batch" and unit in _CACHE_READS))
    }
    return tier | kept


def _first_threshold(standard: tuple[int, Price] | None) -> int | None:
    if standard and isinstance(standard[1], package_types.TieredPrices) and standard[1].tiers:
        return standard[1].tiers[0].start + 1
    return None


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


# What may follow a name that the package gives as a prefix: a dated snapshot, a version or a moving label, never a word
# that could be another member of the family.
_SUFFIX = r"(?:[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{2}-\d{2}|\d{3,4}|latest|default))?"
_BEDROCK_SUFFIX = r"(?:-\d{8})?(?:-v\d+)?(?::\d+)?(?::\d+k)?"
_GEOGRAPHY = re.compile(r"^(?:us-gov|us|eu|apac|au|jp|ca|sa|in|global|regional)\.")


def _names_of(seller: str, model: package_types.ModelInfo, model_id: str, installed: str) -> Iterator[Name]:
    def name(kind: str, pattern: str, priority: int) -> Name:
        return Name(seller, kind, pattern, model_id, priority, None, None, None, f"genai-prices {installed}")

    for clause in _clauses(model.match):
        match clause:
            case package_types.ClauseEquals(equals=text):
                yield name("exact", _plain(seller, text), 100)
            case package_types.ClauseEndsWith(ends_with=text):
                yield name("exact", _plain(seller, text), 110)
            case package_types.ClauseStartsWith(starts_with=text) | package_types.ClauseContains(contains=text):
                plain = _plain(seller, text)
                if plain.startswith("ft:"):
                    yield name("regex", "^" + _escaped(plain) + r"[0-9-]*:.*$", 200)
                elif len(plain) >= 4:
                    if plain[-1] not in "-@":
                        yield name("exact", plain, 120)
                    yield name("regex", _anchored(seller, plain), 200)
            case package_types.ClauseRegex(regex=text):
                if text.startswith("^") and text.endswith("$") and "(?" not in text:
                    yield name("regex", text, 190)
    yield name("exact", model_id.lower(), 130)


def _clauses(match: object) -> Iterator[object]:
    """Clauses that each are enough (of ``and`` only what fixes the beginning: the rest can but narrow it)."""
    if isinstance(match, package_types.ClauseOr):
        for inner in match.or_:
            yield from _clauses(inner)
    elif isinstance(match, package_types.ClauseAnd):
        yield from (inner for inner in match.and_ if isinstance(inner, package_types.ClauseStartsWith))
    else:
        yield match


def _plain(seller: str, text: str) -> str:
    """As names are compared: lower case, Bedrock's geography taken off, of a path the last part."""
    text = text.lower().lstrip("/")
    return _GEOGRAPHY.sub("", text) if seller == "bedrock" else text


def _anchored(seller: str, prefix: str) -> str:
    if seller == "bedrock":
        return "^" + _escaped(prefix) + _BEDROCK_SUFFIX + "$"
    if re.search(r"-20\d\d$", prefix):
        return "^" + _escaped(prefix) + r"(?:\d{4}|-\d{2}-\d{2})$"
    if re.search(r"-0$", prefix):
        return "^" + _escaped(prefix) + r"\d{2}$"
    if prefix[-1] in "-@":
        return "^" + _escaped(prefix[:-1]) + _SUFFIX.removesuffix("?") + "$"
    return "^" + _escaped(prefix) + _SUFFIX + "$"


def _escaped(text: str) -> str:
    return re.sub(r"([.\\+*?()\[\]{}^$|])", r"\\\1", text)


def _settled(names: Iterable[Name]) -> list[Name]:
    """One meaning a pattern: the package's first, as it looks up itself; stated names before those of a prefix."""
    found: dict[tuple[str, str, str], Name] = {}
    for name in names:
        key = (name.provider, name.pattern_kind, name.pattern)
        if key not in found or name.priority < found[key].priority:
            found[key] = name
    return list(found.values())
