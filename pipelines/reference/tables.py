"""Which tables people edit, and the columns of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines import contract


@dataclass(frozen=True)
class Field:
    """A column of a reference table: its type as people write it, and whether a blank is allowed."""

    name: str
    kind: str
    required: bool = False
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReferenceTable:
    """A CSV file that people edit. Rows of the data root win over ours where ``key`` is equal."""

    name: str
    about: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]

    @property
    def table(self) -> str:
        return f"ref_{self.name}"


def _fields(text: str) -> tuple[Field, ...]:
    """``name[!]:kind[=word|word]`` separated by blanks; ``!`` is required, kind is text where left out."""
    found = []
    for word in text.split():
        name, _, kind = word.partition(":")
        kind, _, allowed = kind.partition("=")
        found.append(
            Field(name.rstrip("!"), kind or "text", name.endswith("!"), tuple(allowed.split("|")) if allowed else ())
        )
    return tuple(found)


_CONDITIONS = (
    "service_tier processing ctx_min_tokens:whole ctx_max_tokens:whole region_class window_from_s:whole window_to_s:whole "
    "weekday_mask:whole"
)
# What a shared charge is known by, what it is shared by, and who may bear it.
_CHARGE_FIELDS = "charge_id|line_item_raw|model_canonical|charge_category|billing_account_id|source|provider|component"
_BASES = "list_cost_usd|effective_cost_usd|requests|tasks|successes|input_total_tokens|output_total_tokens|total_tokens"
_TARGETS = "cost_centre|team|feature|customer_tier|environment|model_canonical|model_tier"
TABLES: Mapping[str, ReferenceTable] = {
    name: ReferenceTable(name, about, _fields(columns), tuple(key.split()))
    for name, about, columns, key in (
        (
            "features",
            "What the product sells, and who owns it when.",
            "feature! owner_team cost_centre description workload:text=interactive|async max_output_tokens:whole unit_of_value "
            "valid_from_date:date valid_to_date:date",
            "feature valid_from_date",
        ),
        (
            "attribution_rules",
            "Rules that give a request a value that its record lacks; the lower priority wins, then the earlier row.",
            "priority!:whole source match_field! match_kind!:text=exact|prefix|glob|regex match_value! dimension! dimension_value! "
            "valid_from_date:date valid_to_date:date",
            "priority source match_field match_kind match_value dimension valid_from_date",
        ),
        (
            "accounts",
            "Billing accounts, by id or name.",
            "provider! account_id! account_name team cost_centre environment paid_by:text=usage|seat",
            "provider account_id",
        ),
        (
            "customers",
            "Customers and their pricing tier when.",
            "customer_id! customer_name customer_tier valid_from_date:date valid_to_date:date",
            "customer_id valid_from_date",
        ),
        (
            "revenue",
            "Revenue of a period, spread evenly over its days.",
            "period_start_date!:date period_end_date!:date customer_id customer_tier feature revenue_amount!:amount currency!:currency "
            "revenue_kind!:text=recognised|arpu_month",
            "period_start_date period_end_date customer_id customer_tier feature revenue_kind",
        ),
        (
            "business_outcomes",
            "Business units done, by day and feature.",
            "outcome_date!:date feature! customer_id unit! quantity!:amount",
            "outcome_date feature customer_id unit",
        ),
        (
            "model_aliases",
            "Other names of models.",
            "provider! pattern_kind!:text=exact|prefix|regex pattern! model_id! priority:whole valid_from_date:date valid_to_date:date",
            "provider pattern_kind pattern valid_from_date",
        ),
        (
            "model_tiers",
            "Capability tier of models (not the customer's tier).",
            "provider! model_id! model_tier!:text=budget|mid|frontier valid_from_date:date valid_to_date:date",
            "provider model_id valid_from_date",
        ),
        (
            "prices",
            "Prices, one row a rate; appended, never overwritten.",
            f"provider! model_id! unit!:unit per_units!:whole=1|1000|1000000 unit_price!:price currency!:currency effective_from:instant "
            f"effective_to:instant known_at:instant {_CONDITIONS} source retrieved_at:instant "
            "confidence:text=published|observed|derived|assumed supersedes",
            "",
        ),
        (
            "price_overrides",
            "Contracts: absolute prices, multipliers, uplifts.",
            f"provider! model_id unit:unit {_CONDITIONS} scope:scope kind!:text=absolute|multiplier|uplift value!:value currency:currency "
            "sequence:whole effective_from:instant effective_to:instant known_at:instant",
            "",
        ),
        (
            "period_charges",
            "Charges and credits of a period that no bill line lists.",
            "charge_id! provider! billing_account_id! kind!:text=credit|commitment|provisioned_throughput|subscription|minimum|tax|fee "
            "period_start_date!:date period_end_date!:date amount_usd:amount amount:amount currency:currency scope "
            f"allocation_basis:text={_BASES} known_at:instant",
            "charge_id known_at",
        ),
        (
            "gpu_pools",
            "GPUs of self-hosted models, and how fast they are: tokens a second of the whole pool, as measured.",
            "pool_id! provider model_id! valid_from_date:date valid_to_date:date gpu_count:amount gpu_hour_usd:amount capex_usd:amount "
            "amortisation_months:amount power_kw:amount pue_ratio:amount electricity_usd_per_kwh:amount ops_usd_per_month:amount "
            "utilisation_share:amount input_tokens_per_s:amount cache_read_tokens_per_s:amount output_tokens_per_s:amount",
            "pool_id valid_from_date",
        ),
        (
            "fx_rates",
            "Rates to USD; one holds until the currency's next.",
            "currency!:currency rate_date!:date fx_rate_to_usd!:rate",
            "currency rate_date",
        ),
        (
            "bill_sources",
            "Which source is the bill of an account.",
            "provider! billing_account_id! source! valid_from_date:date valid_to_date:date",
            "provider billing_account_id valid_from_date",
        ),
        (
            "outcome_labels",
            "Scores and labels as outcomes of tasks.",
            "feature score_name! label threshold:amount outcome!:text=success|failure",
            "feature score_name label threshold",
        ),
        (
            "allocation_rules",
            "How a shared charge is split.",
            f"charge_match_field!:text={_CHARGE_FIELDS} charge_match_value! method!:text=proportional|fixed|even "
            f"basis:text={_BASES} target_kind:text={_TARGETS} target_value share:amount "
            "valid_from_date:date valid_to_date:date",
            "charge_match_field charge_match_value target_kind target_value valid_from_date",
        ),
        (
            "sellers",
            "Names of sellers and their services, as exports for other tools write them.",
            "provider! seller_name! service_name!",
            "provider",
        ),
        (
            "seller_aliases",
            "Which seller, and which account at it, a provider (and account) of a source's records is.",
            "source provider! billing_account_id seller! seller_account_id valid_from_date:date valid_to_date:date",
            "source provider billing_account_id valid_from_date",
        ),
        (
            "ledger_accounts",
            "Accounts of your general ledger that statements are posted to; of one seller, or of all.",
            "line_kind!:text=expense|clearing provider ledger_account!",
            "line_kind provider",
        ),
        (
            "budgets",
            "Budgets of teams and features.",
            "scope_kind! scope_value! month budget_usd!:amount",
            "scope_kind scope_value month",
        ),
        (
            "thresholds",
            "Limits of verdicts and alerts, each with its reason.",
            "name! scope_kind scope_value threshold! unit severity owner valid_from_date:date",
            "name scope_kind scope_value valid_from_date",
        ),
        (
            "alert_channels",
            "Where alerts are sent: webhook, Slack, Teams, e-mail. Secrets stay in the environment; here are the names of their variables.",
            "channel! kind!:text=webhook|slack|teams|email address address_env token_env sender recipients "
            "least_severity:text=info|warning|critical owners valid_from_date:date valid_to_date:date",
            "channel valid_from_date",
        ),
        (
            "dimensions",
            "Further dimensions to break costs down by, and the names under which tools give those that every call has.",
            "dimension! attribute! description",
            "dimension attribute",
        ),
        (
            "span_pairs",
            "Spans that only wrap the call below them, by regular expressions over both names: the outer one is not billed.",
            "outer_step! inner_step!",
            "outer_step inner_step",
        ),
        (
            "repeatable_steps",
            "Steps that a task takes several times on purpose, all of a feature where none is named: no call replaces an earlier one.",
            "feature! step",
            "feature step",
        ),
        (
            "levers_acted",
            "Levers of mart_opportunities_weekly that were pulled, and since when: what they save is followed up.",
            "feature! lever!:text=context_trim|output_cap|retry_waste|prompt_cache|routing|response_cache|batch|fine_tune|self_host "
            "since_date!:date",
            "feature lever",
        ),
        ("scenarios", "What-ifs.", "scenario! lever! parameter! setting unit", "scenario lever parameter"),
    )
}
# What tokens are priced by, those of no class of ours too. Other units have any name: a call's ``extra_units`` say how many there were.
TOKEN_UNITS = sorted({*contract.TOKEN_UNITS, "citation_out", "video_in", "video_out"})
UNITS = (
    *TOKEN_UNITS,
    *"annotated_page audio_hour character file_search grounded_prompt page request text_message web_search web_search_preview".split(),
    *"attachment_search code_interpreter document_search mcp search_sources view_image view_x_video x_search".split(),
)
