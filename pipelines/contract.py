"""The shapes that sources produce, and what every column of them means.

Four shapes carry data (``requests``, ``usage``, ``bills``, ``scores``), two carry bookkeeping (``windows``: what a pull of
usage or bills covers; ``refusals``: records that could not be booked). A source gives any subset of a shape's columns; the
reader adds the lineage and fills the rest with NULL. Fragments of a shape are the table ``staged_<shape>``.

One line a column: ``name: TYPE; meaning``. Types are DuckDB's. Times are UTC, token classes disjoint, money in decimals;
NULL means "the source does not say".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

# Bumped when a staged column changes its meaning: every landing file is then read again.
CONTRACT_VERSION = 3


@dataclass(frozen=True)
class Column:
    """One column: DuckDB type and what it means (unit, when it is null)."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Shape:
    """A staged shape. ``day_of`` is the instant that decides the UTC day of a row."""

    name: str
    day_of: str
    about: str
    columns: tuple[Column, ...]

    @property
    def table(self) -> str:
        return f"staged_{self.name}"

    @property
    def types(self) -> dict[str, str]:
        return {column.name: column.type for column in self.columns}


@dataclass(frozen=True)
class TokenClass:
    """A class of tokens; no token is in two of them. ``<name>_tokens`` counts it in every table.

    type: input, cache_read, cache_write or output, as bills tell tokens apart; the name begins with it. units: what prices it
    in the price book, the first that has a price.
    """

    name: str
    type: str
    units: tuple[str, ...]
    meaning: str

    @property
    def tokens(self) -> str:
        """The column that counts it."""
        return f"{self.name}_tokens"

    @property
    def words(self) -> str:
        """As a sentence names it."""
        return self.name.replace("_", " ")

    @property
    def billed_as(self) -> str:
        """The class that bills and usage reports count it in: they hold text and reasoning as one."""
        return "output" if self.name in ("output_text", "output_reasoning") else self.name


TOKEN_TYPES = ("input", "cache_read", "cache_write", "output")


def token_classes_of(text: str) -> tuple[TokenClass, ...]:
    """Token classes written one a line as ``name: unit, unit that stands in for it; meaning``.

    Raises ValueError with the line where it is not of that form, or its name does not begin with a token type.
    """
    found = []
    for column in columns_of(text):
        type_ = next((word for word in TOKEN_TYPES if f"{column.name}_".startswith(f"{word}_")), None)
        if type_ is None:
            raise ValueError(f"the name of a token class begins with {' or '.join(TOKEN_TYPES)}: {column.name!r}")
        found.append(TokenClass(column.name, type_, tuple(column.type.split(", ")), column.meaning))
    return tuple(found)


def columns_of(text: str) -> tuple[Column, ...]:
    """Columns written one a line as ``name: TYPE; meaning``.

    Raises ValueError with the line where it is not of that form.
    """
    found = []
    for line in text.splitlines():
        if line.strip():
            name, colon, rest = line.strip().partition(": ")
            type_, semicolon, meaning = rest.partition("; ")
            if not (colon and semicolon and name.isidentifier() and meaning.strip()):
                raise ValueError(f"not of the form 'name: TYPE; meaning': {line.strip()!r}")
            found.append(Column(name, type_.strip(), meaning.strip()))
    return tuple(found)


# The only list of them: shapes, models and checks are written from it. A new class is a line here and a price of its unit.
TOKEN_CLASSES = token_classes_of("""
input_uncached: input; uncached text input, and uncached input whose modality is not split
input_audio: audio_in; uncached audio input
input_image: image_in, input; uncached image input
input_other: input_other, input; uncached input of any other kind (video, document, tool-use prompt)
cache_read: cache_read; input read from the provider's prompt cache, text or unsplit
cache_read_audio: audio_cache_read; cached audio input, where split
cache_read_image: image_cache_read, cache_read; cached image input, where split
cache_write_5m: cache_write_5m; input written to the cache for 5 minutes
cache_write_30m: cache_write_30m, cache_write_5m; input written to the cache for 30 minutes
cache_write_1h: cache_write_1h; input written to the cache for 1 hour
cache_write_12h: cache_write_12h, cache_write_5m; input written to the cache for 12 hours
cache_write: cache_write, cache_write_5m; cache writes whose lifetime is not stated, not the sum of the others
output_text: output; text output, reasoning included where output_reasoning_tokens is null
output_reasoning: output_reasoning, output; reasoning output; null where not split, 0 where none
output_audio: audio_out; generated speech
output_image: image_out; generated pictures
""")
# Tiers of service with the words that calls and keys have for them: OpenAI's, Anthropic's, the Gemini API's and Vertex AI's.
SERVICE_TIERS: dict[str, tuple[str, ...]] = {
    "standard": (
        *("", "default", "standard", "auto", "standard_only", "on_demand", "unspecified", "traffic_type_unspecified"),
        "service_tier_unspecified",
    ),
    "batch": ("batch",),
    "flex": ("flex", "on_demand_flex", "flex_discount"),
    "priority": ("priority", "on_demand_priority", "priority_on_demand"),
    "provisioned": ("provisioned", "provisioned_throughput", "ptu", "reserved"),
}
TOKEN_UNITS = tuple(sorted({unit for token_class in TOKEN_CLASSES for unit in token_class.units}))
TOKEN_CLASS_NAMES = tuple(token_class.tokens for token_class in TOKEN_CLASSES)
INPUT_CLASSES = tuple(token_class.tokens for token_class in TOKEN_CLASSES if token_class.type != "output")
OUTPUT_CLASSES = tuple(token_class.tokens for token_class in TOKEN_CLASSES if token_class.type == "output")

_TOKENS = "\n".join(f"{token_class.tokens}: BIGINT; {token_class.meaning}" for token_class in TOKEN_CLASSES)

LINEAGE = """
source: VARCHAR; folder of landing/ that the record came from
source_account: VARCHAR; first folder below the source, else 'default'
source_schema_version: VARCHAR; version of the file's format that was recognised
source_file: VARCHAR; path of the file below the data root
source_file_sha256: VARCHAR; hash of its bytes
source_row: BIGINT; place of the record in its file, from 1 (the line, where the format has lines)
"""

_REQUESTS = f"""
request_key: VARCHAR; md5 of source, account and the source's row id
{LINEAGE}
source_row_id: VARCHAR; the source's own key of the row
source_row_version: VARCHAR; version of the row as ISO 8601 UTC with six digits, the highest wins
entity_key: VARCHAR; the call itself, equal for the same call seen by two tools
provider_response_id: VARCHAR; id that the provider gave its response
gateway_call_id: VARCHAR; id that a gateway gave the call
trace_id: VARCHAR; trace the call belongs to
span_id: VARCHAR; span of the call
parent_span_id: VARCHAR; span above the call
root_span_id: VARCHAR; top span of the trace
session_id: VARCHAR; agent run or conversation
task_id: VARCHAR; unit of user value the call worked for
row_kind: VARCHAR; llm_call, embedding, tool, aggregate_span, aggregate_only, gateway_cache_hit, overhead, batch_line, other or context
is_billable_leaf: BOOLEAN; true where the row enters money
started_at: TIMESTAMP WITH TIME ZONE; start of the call
ended_at: TIMESTAMP WITH TIME ZONE; end of the call
first_token_at: TIMESTAMP WITH TIME ZONE; instant of the first output token
duration_ms: BIGINT; milliseconds from start to end, from the instants
ttft_ms: BIGINT; milliseconds from start to the first token, from the instants
provider: VARCHAR; the seller, whose price list and invoice apply
billing_account_id: VARCHAR; account that is billed; in staged rows only where the record names it
model_maker: VARCHAR; who made the model, where that is not the seller
model_requested: VARCHAR; model that the caller asked for
model_served: VARCHAR; model as the response names it, verbatim
region: VARCHAR; region or endpoint, as the source names it
service_tier: VARCHAR; tier that served the call, as the source names it
api_base: VARCHAR; address of the API that was called
{_TOKENS}
extra_units: MAP(VARCHAR, DECIMAL(38,9)); quantities that are not tokens, by unit (web_search, images, seconds)
unread_usage: MAP(VARCHAR, BIGINT); counts above 0 of the usage object under keys that no rule reads, by key; null where there are none
unread_tokens: BIGINT; sum of unread_usage; null where there are none
is_batch: BOOLEAN; true for a call of a batch
speed: VARCHAR; speed mode (fast), as the source names it
context_test_tokens: BIGINT; tokens that the provider compares with its long-context threshold
provider_total_tokens: BIGINT; the provider's own total
usage_shape: VARCHAR; API shape of the usage object
usage_flags: VARCHAR[]; doubts about the usage, an empty list where there is none
usage_basis: VARCHAR; disjoint, inclusive or ambiguous: how the source's counts were read
usage_group: VARCHAR; rows that count alike (model and SDK, or scope and version), where a source does not say how; null for others
usage_quality: VARCHAR; reported, estimated, replayed, missing or partial
usage_raw: JSON; the usage object as received
cost_raw: JSON; the cost object as received
cost_reported_usd: DECIMAL(18,12); what a provider or gateway said the call cost; null where nothing was said
cost_reported_basis: VARCHAR; provider_charge, gateway_list, user_supplied, with_margin, own_key (through a router) or none
status: VARCHAR; ok, error, partial or cancelled: the call's own end
http_status: INTEGER; HTTP status of the call
error_class: VARCHAR; kind of error
fallback_of: VARCHAR; call that this one stands in for
attempt: INTEGER; number of the attempt, from 1
is_retry: BOOLEAN; true where the call repeats an earlier one
gateway_cache_hit: BOOLEAN; true where a gateway answered from its own cache
saved_cost_usd: DECIMAL(18,12); what the gateway says its cache saved
step_index: BIGINT; place in the session, from 0
max_output_tokens: BIGINT; output cap sent with the call
prompt_hash: VARCHAR; keyed hash of the whole prompt
prompt_prefix_hash: VARCHAR; keyed hash of the constant prefix
static_prompt_tokens: BIGINT; length of the constant prefix
outcome: VARCHAR; success or failure of the task, on its last call; null where not recorded
environment: VARCHAR; deployment environment
release: VARCHAR; release of the application
feature: VARCHAR; product feature
team: VARCHAR; owning team
cost_centre: VARCHAR; cost centre that bears the cost
customer_id: VARCHAR; customer of the company
customer_tier: VARCHAR; pricing tier of the customer (not the model tier)
user_id: VARCHAR; end user
workflow: VARCHAR; workflow that the call is a step of
step: VARCHAR; step within the workflow
prompt_name: VARCHAR; name of the prompt template
prompt_version: VARCHAR; version of the prompt template, as text
api_key_name: VARCHAR; what its owner calls the key
fallback_feature: VARCHAR; feature where neither the row, its trace nor a rule names one: name of the trace or the prompt
fallback_task_id: VARCHAR; task where neither the row nor its trace names one: the trace
request_tags: VARCHAR[]; tags kept by name
attributes: MAP(VARCHAR, VARCHAR); further dimensions kept by name
counts_so_far: VARCHAR; cumulative counts of the session up to this call, equal for a copy of it; null where a source counts by call
forked_from: VARCHAR[]; sessions that the session may begin with a copy of; null where it is none's branch
forked_at: TIMESTAMP WITH TIME ZONE; when the session branched off; null where it did not
"""

_PULL = """
billing_account_id: VARCHAR; account that is billed
pulled_at: TIMESTAMP WITH TIME ZONE; when the file was pulled from the provider
endpoint: VARCHAR; which report of the source the row comes from
pull_grain: VARCHAR[]; dimensions that the pull was grouped by; null where it shows none
dims_null_means: VARCHAR; not_grouped or default: what a null dimension means in this pull
is_final: BOOLEAN; true where the source says the figure is final; null where it never says
provider: VARCHAR; the seller
model_maker: VARCHAR; who made the model, where that is not the seller
host_provider: VARCHAR; upstream behind a router
"""

_USAGE = f"""
usage_key: VARCHAR; md5 of source, account, endpoint, bucket, dimensions and duplicate ordinal
{LINEAGE}
{_PULL}
bucket_start_at: TIMESTAMP WITH TIME ZONE; first instant that the bucket covers, UTC
bucket_end_at: TIMESTAMP WITH TIME ZONE; end of the bucket, exclusive
org_id: VARCHAR; organisation at the provider
project_id: VARCHAR; project or workspace at the provider
project_name: VARCHAR; what its owner calls the project or workspace
api_key_id: VARCHAR; key that the provider counted the calls under
api_key_name: VARCHAR; what its owner calls the key
user_id: VARCHAR; user at the provider
principal: VARCHAR; cloud identity that called
workload_ref: VARCHAR; agent, session, deployment, vector store or inference profile
tags: MAP(VARCHAR, VARCHAR); labels of the row
model_raw: VARCHAR; model, verbatim
operation: VARCHAR; completion, embedding, moderation, image, tts, stt, web_search, another endpoint's word, or other
service_tier: VARCHAR; tier, as the source names it
is_batch: BOOLEAN; true where the provider's discounted batch service did the work
context_tier: VARCHAR; context bucket, as the source names it
region: VARCHAR; region, as the source names it
speed: VARCHAR; speed mode, as the source names it
modality: VARCHAR; modality, as the source names it
variant: VARCHAR; image size, source or search context level
requests: BIGINT; calls in the bucket; null where unknown
{_TOKENS}
quantity: DECIMAL(38,9); meter that is not tokens
quantity_unit: VARCHAR; what is counted (1000_tokens, images, seconds ...), as the source names it
raw: JSON; the record as received
"""

_BILLS = f"""
cost_key: VARCHAR; md5 of source, account, charge window, dimensions and line item; of equal lines in the ledger with their ordinal
{LINEAGE}
{_PULL}
invoice_issuer: VARCHAR; who issues the invoice, where that is not the seller
sub_account_id: VARCHAR; project or workspace that the line belongs to
sub_account_name: VARCHAR; what its owner calls the project or workspace
invoice_id: VARCHAR; invoice that the line stands on
invoice_month: VARCHAR; month of the invoice as the source states it (not the month of the charge)
charge_start_at: TIMESTAMP WITH TIME ZONE; first instant that the line covers, UTC
charge_end_at: TIMESTAMP WITH TIME ZONE; end of the charge, exclusive
billing_period_start_at: TIMESTAMP WITH TIME ZONE; first instant of the invoice's period, UTC
billing_period_end_at: TIMESTAMP WITH TIME ZONE; end of the billing period, exclusive
charge_category: VARCHAR; Usage, Purchase, Tax, Credit or Adjustment
is_correction: BOOLEAN; true where the line corrects an earlier period
billed_amount: DECIMAL(38,12); invoiced amount in major units of the currency
list_amount: DECIMAL(38,12); amount at list prices
contracted_amount: DECIMAL(38,12); amount at contracted prices
effective_amount: DECIMAL(38,12); amortised amount
currency: VARCHAR; ISO 4217, upper case
virtual_currency_amount: DECIMAL(38,9); amount in credits or tokens of the provider
virtual_currency_unit: VARCHAR; their name
amount_scale_source: VARCHAR; how the amount was written (dollars_float, cents_str ...)
line_item_raw: VARCHAR; text of the line, verbatim
sku_id: VARCHAR; line of the seller's price list, by number
sku_description: VARCHAR; line of the seller's price list, in words
meter_id: VARCHAR; what the cloud measures, as its price list numbers it
usage_type: VARCHAR; kind of use with region and model in one word, as AWS writes it
product_code: VARCHAR; service of the cloud, as its bill abbreviates it
product_name: VARCHAR; service of the cloud, spelled out
model_raw: VARCHAR; model, verbatim
token_type: VARCHAR; input, output, cache_read, cache_write or other
service_tier: VARCHAR; parsed tier
is_batch: BOOLEAN; true where the provider's discounted batch service did the work
context_tier: VARCHAR; parsed context bucket
region_scope: VARCHAR; parsed region scope
cache_ttl: VARCHAR; parsed lifetime of a cache write
modality: VARCHAR; parsed modality
parser_confidence: VARCHAR; exact, grammar or unmapped
quantity: DECIMAL(38,9); billed quantity
quantity_unit: VARCHAR; what is counted (1000_tokens, images, seconds ...), as the source names it
pricing_unit_multiplier: BIGINT; units in one priced unit
metered_tokens: DECIMAL(38,9); quantity times multiplier, for a token meter only
api_key_id: VARCHAR; key that the provider counted the calls under
api_key_name: VARCHAR; what its owner calls the key
user_id: VARCHAR; user at the provider
principal: VARCHAR; cloud identity
resource_id: VARCHAR; cloud resource
tags: MAP(VARCHAR, VARCHAR); labels of the row
cost_categories: MAP(VARCHAR, VARCHAR); labels that the cloud's own rules gave the line
billed_is_rounded: BOOLEAN; true where the source rounds its amounts
raw: JSON; the record as received
"""

_SCORES = f"""
score_key: VARCHAR; md5 of source, account and score id
{LINEAGE}
target_kind: VARCHAR; trace, request, session, task or dataset_run
target_id: VARCHAR; what was scored, as its source names it
name: VARCHAR; name of the score
data_type: VARCHAR; NUMERIC, BOOLEAN or CATEGORICAL
value_num: DOUBLE; numeric value; BOOLEAN gives 1 or 0
value_text: VARCHAR; text value; CATEGORICAL gives the label
score_source: VARCHAR; who scored (API, EVAL, ANNOTATION ...)
source_row_version: VARCHAR; version of the row as ISO 8601 UTC with six digits, the highest wins
scored_at: TIMESTAMP WITH TIME ZONE; when it was scored, the latest wins
quantity: DECIMAL(38,9); business units of the outcome
quantity_unit: VARCHAR; name of the business unit
"""

_WINDOWS = f"""
{LINEAGE}
pulled_at: TIMESTAMP WITH TIME ZONE; when the file was pulled from the provider
endpoint: VARCHAR; which report of the source the pull asked for
pull_grain: VARCHAR[]; dimensions that the pull was grouped by; null where it shows none
window_start_at: TIMESTAMP WITH TIME ZONE; start of what the pull covers on this UTC day
window_end_at: TIMESTAMP WITH TIME ZONE; its end, exclusive
delivery: VARCHAR; files of one delivery count together; null where the file is all of it
is_stated: BOOLEAN; true where the pull itself names the days that it covers, those without a cost too; else they are told by its rows
next_page: VARCHAR; page that the pull says follows, on its last day, or the files that a manifest names, a line each; else null
"""

_REFUSALS = f"""
{LINEAGE}
refused_day_at: TIMESTAMP WITH TIME ZONE; the record's own instant where it has one, else the first instant of its file, else the pull
shape: VARCHAR; staged shape that the record would have had
fate: VARCHAR; quarantined, or not_billable for a record that only carries context
reason: VARCHAR; what was found and what was expected, without the record's text
"""


@cache
def shapes() -> dict[str, Shape]:
    """Every shape by name."""
    return {
        shape.name: shape
        for shape in (
            Shape(
                "requests", "started_at", "One provider call attempt as one source recorded it.", columns_of(_REQUESTS)
            ),
            Shape(
                "usage",
                "bucket_start_at",
                "One bucket and dimension tuple of a provider's usage report.",
                columns_of(_USAGE),
            ),
            Shape("bills", "charge_start_at", "One charge line of a provider's bill.", columns_of(_BILLS)),
            Shape("scores", "scored_at", "One outcome or quality value.", columns_of(_SCORES)),
            Shape(
                "windows",
                "window_start_at",
                "What one pull of usage or bills covers, a row a UTC day.",
                columns_of(_WINDOWS),
            ),
            Shape(
                "refusals", "refused_day_at", "Records that were refused or only carry context.", columns_of(_REFUSALS)
            ),
        )
    }


# Dimensions that every call has a column for; dimensions.csv says under which names tools give them.
DIMENSIONS = (
    "environment",
    "release",
    "feature",
    "team",
    "cost_centre",
    "customer_id",
    "customer_tier",
    "user_id",
    "session_id",
    "task_id",
    "workflow",
    "step",
    "prompt_name",
    "prompt_version",
    "api_key_name",
)
LINEAGE_NAMES = tuple(column.name for column in columns_of(LINEAGE))
