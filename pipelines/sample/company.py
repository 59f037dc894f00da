"""The sample company as data: what it sells, to whom, with which models. Nothing here comes from a real company.

Fernhill Desk sells a help desk with six features that call language models. To change the sample, change this page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from math import isqrt
from typing import Literal

from pipelines.sample import lengths
from pipelines.sample.chance import Grid, always

SEED = 20_261_116
# The first day after the sample; a Monday.
END = date(2026, 11, 16)
# On that morning everything is pulled: by then the last week is over.
PULLED_AT = datetime(2026, 11, 16, 6, 15, tzinfo=UTC)
# The company's first day: nothing is dated before it.
BEGINNING = date(2026, 1, 1)

Api = Literal["openai.chat", "openai.responses", "anthropic.messages", "gemini.generateContent"]


@dataclass(frozen=True)
class Model:
    """A model as responses name it.

    ``untraced_per_mille``: what the bill has beyond the traces, lowest and highest of a day.
    """

    served: str
    requested: str
    provider: str
    api: Api
    first_token_ms: Grid
    ms_per_100_tokens: int
    reasoning: Grid = field(default_factory=lambda: always(0))
    untraced_per_mille: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class PromptVersion:
    """A version of a prompt, from a day on; its answers are so many thousandths of the grid's length."""

    from_date: date
    version: str
    output_per_mille: int = 1_000


@dataclass(frozen=True)
class Step:
    """One kind of call of a task.

    ``input`` is what comes on top of the constant prompt, or all input where ``has_prompt_inside``. Of what is not constant, up to
    ``repeated_per_mille`` repeats an earlier call and can be read from the cache. ``keeps_context``: each call of the step carries
    what came before it in the task. ``tools``: what such a call is named after.
    """

    name: str
    models: Mapping[str, int]
    input: Grid
    output: Grid
    max_output_tokens: int
    static_prompt_tokens: int = 0
    has_prompt_inside: bool = False
    repeated_per_mille: int = 0
    cache_hit_per_mille: int = 0
    calls: Grid = field(default_factory=lambda: always(1))
    calls_when_failing: Grid | None = None
    keeps_context: bool = False
    tools: Mapping[str, int] = field(default_factory=dict)
    versions: tuple[PromptVersion, ...] = (PromptVersion(BEGINNING, "1"),)


@dataclass(frozen=True)
class TaskKind:
    """Tasks of a feature that take the same steps; their weight among the feature's tasks, each from a day on."""

    steps: tuple[Step, ...]
    weights: tuple[tuple[date, int], ...] = ((BEGINNING, 1),)


@dataclass(frozen=True)
class Loop:
    """Sessions of one customer that call one tool over and over, until the cap on their calls ends them."""

    from_date: date
    to_date: date
    customer_id: str
    per_mille: int
    tool: str
    calls: Grid
    input: Grid
    output: Grid


@dataclass(frozen=True)
class Outcomes:
    """Where an application's log says the outcome of a task: on its last call, or later by another system in units of work."""

    told_by: Literal["last_call", "system", "nobody"]
    success_per_mille: int = 1_000
    known_per_mille: int = 1_000
    unit: str = ""


@dataclass(frozen=True)
class Workload:
    """What makes calls. ``tagged_by``: the record names the feature, only the API key tells it, or nothing does."""

    name: str
    weight: int
    team: str
    cost_centre: str
    description: str
    workload: Literal["interactive", "async"]
    kinds: tuple[TaskKind, ...]
    outcomes: Outcomes
    customer_tiers: tuple[str, ...]
    api_key_name: str
    frameworks: Mapping[str, int]
    tagged_by: Literal["record", "api_key", "nothing"] = "record"
    launched: date = BEGINNING
    session: Literal["task", "user_day", "none"] = "none"
    loop: Loop | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for kind in self.kinds for step in kind.steps)


@dataclass(frozen=True)
class Customer:
    """A customer: its pricing tiers and what it pays a month, each from a day on (the latter in cents).

    ``appetite``: how much more than others of its weight it uses a feature, in thousandths.
    """

    customer_id: str
    name: str
    tiers: tuple[tuple[date, str], ...]
    users: int
    weight: int
    monthly_cents: tuple[tuple[date, int], ...] = ()
    appetite: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """How a call fails. ``has_usage``: the response states tokens; ``duration_ms`` None: as long as an answer."""

    error_class: str
    http_status: int | None
    has_usage: bool
    duration_ms: int | None
    weight: int


@dataclass(frozen=True)
class Correction:
    """A day's charges for a model that the provider gives back on the next day."""

    incident_date: date
    model: str
    line_item: str


GPT_4O = Model(
    "gpt-4o-2024-08-06", "gpt-4o", "openai", "openai.chat",
    Grid((180, 240, 300, 340, 420, 530, 700, 980, 1_300, 2_400, 4_000)), 1_150, untraced_per_mille=(36, 46),
)  # fmt: skip
GPT_4O_MINI = Model(
    "gpt-4o-mini-2024-07-18", "gpt-4o-mini", "openai", "openai.chat",
    Grid((140, 190, 230, 260, 330, 410, 540, 760, 990, 1_900, 3_100)), 900, untraced_per_mille=(36, 48),
)  # fmt: skip
GPT_5_MINI = Model(
    "gpt-5-mini-2025-08-07", "gpt-5-mini", "openai", "openai.responses",
    Grid((600, 800, 1_000, 1_150, 1_500, 2_100, 3_200, 5_200, 7_600, 14_000, 24_000)), 800,
    reasoning=Grid((0, 0, 0, 64, 128, 256, 448, 832, 1_216, 2_176, 4_096)), untraced_per_mille=(38, 48),
)  # fmt: skip
CLAUDE_SONNET = Model(
    "claude-sonnet-4-6", "claude-sonnet-4-6", "anthropic", "anthropic.messages",
    Grid((500, 640, 760, 850, 1_050, 1_400, 1_900, 2_700, 3_600, 6_000, 9_500)), 1_450,
)  # fmt: skip
GEMINI_FLASH = Model(
    "gemini-2.5-flash", "gemini-2.5-flash", "google", "gemini.generateContent",
    Grid((250, 310, 360, 400, 480, 610, 820, 1_200, 1_600, 2_900, 4_800)), 520,
    reasoning=Grid((0, 0, 0, 0, 0, 0, 96, 310, 520, 1_100, 2_048)),
)  # fmt: skip
# On trial under a name of its own: no price book has it, so its calls stay unpriced until someone adds a row.
GEMINI_TRIAL = Model(
    "fernhill-trial-summariser-02", "fernhill-trial-summariser-02", "google", "gemini.generateContent",
    Grid((250, 310, 360, 400, 480, 610, 820, 1_200, 1_600, 2_900, 4_800)), 520,
)  # fmt: skip

MODELS: Mapping[str, Model] = {
    model.served: model for model in (GPT_4O, GPT_4O_MINI, GPT_5_MINI, CLAUDE_SONNET, GEMINI_FLASH, GEMINI_TRIAL)
}

EVERYONE = ("free", "pro", "enterprise")
PAYING = ("pro", "enterprise")

# The story (docs/sample_company.md): what happens, to whom and when.
# Longer answers that the blended ratio hides: from this day on every answer of support-chat is 40 % longer, and a button in the shop
# brings more of the questions whose answers are short.
DRIFT_DATE = date(2026, 11, 3)
LAUNCH_DATE = date(2026, 10, 20)
# Release 2026.21 broke a tool for one customer until it was mended on the Saturday.
LOOP = Loop(
    date(2026, 10, 28), date(2026, 10, 31), "cu-101", 300, "issue-refund",
    calls=Grid((140, 200, 249, 249), (0, 1_500, 4_000, 10_000)),
    input=Grid((150, 190, 240), (0, 5_000, 10_000)),
    output=Grid((40, 70, 130), (0, 5_000, 10_000)),
)  # fmt: skip
LOSS_CUSTOMER_ID = "cu-202"

_SUPPORT_VERSIONS = (PromptVersion(BEGINNING, "7"), PromptVersion(DRIFT_DATE, "8", 1_400))

WORKLOADS: tuple[Workload, ...] = (
    Workload(
        name="support-chat",
        weight=290,
        team="care",
        cost_centre="CC-310",
        description="Answers the questions of a customer's customers in the chat window",
        workload="interactive",
        kinds=(
            TaskKind(
                steps=(
                    Step(
                        name="answer-how-to",
                        models={GPT_4O.served: 82, GPT_4O_MINI.served: 18},
                        input=lengths.CONVERSATION_INPUT,
                        output=lengths.CONVERSATION_OUTPUT,
                        static_prompt_tokens=880,
                        has_prompt_inside=True,
                        repeated_per_mille=620,
                        max_output_tokens=4_096,
                        cache_hit_per_mille=950,
                        versions=_SUPPORT_VERSIONS,
                    ),
                ),
                weights=((BEGINNING, 55), (DRIFT_DATE, 36)),
            ),
            TaskKind(
                steps=(
                    Step(
                        name="answer-complaint",
                        models={GPT_4O.served: 1},
                        input=lengths.AZURE_CHAT_INPUT,
                        output=lengths.AZURE_CHAT_OUTPUT,
                        max_output_tokens=2_048,
                        versions=_SUPPORT_VERSIONS,
                    ),
                ),
                weights=((BEGINNING, 15), (DRIFT_DATE, 9)),
            ),
            TaskKind(
                steps=(
                    Step(
                        name="answer-order-status",
                        models={GPT_4O_MINI.served: 1},
                        input=lengths.CONVERSATION_INPUT,
                        output=lengths.AZURE_CODE_OUTPUT,
                        static_prompt_tokens=880,
                        has_prompt_inside=True,
                        repeated_per_mille=620,
                        max_output_tokens=4_096,
                        cache_hit_per_mille=950,
                        versions=_SUPPORT_VERSIONS,
                    ),
                ),
                weights=((BEGINNING, 30), (DRIFT_DATE, 55)),
            ),
        ),
        outcomes=Outcomes("system", success_per_mille=810, known_per_mille=940, unit="tickets_resolved"),
        customer_tiers=EVERYONE,
        api_key_name="key-chat-prod",
        frameworks={"langchain": 70, "direct-sdk": 30},
        session="user_day",
    ),
    Workload(
        name="ticket-triage",
        weight=200,
        team="care",
        cost_centre="CC-310",
        description="Sorts incoming mail into queues",
        workload="async",
        kinds=(
            TaskKind(
                steps=(
                    Step(
                        name="sort-ticket",
                        models={GPT_4O_MINI.served: 1},
                        input=lengths.AZURE_CHAT_INPUT,
                        output=lengths.AZURE_CODE_OUTPUT,
                        static_prompt_tokens=1_400,
                        max_output_tokens=2_048,
                        cache_hit_per_mille=850,
                    ),
                )
            ),
        ),
        outcomes=Outcomes("system", success_per_mille=930, known_per_mille=970, unit="tickets_sorted"),
        customer_tiers=PAYING,
        api_key_name="key-triage-prod",
        frameworks={"direct-sdk": 1},
        tagged_by="api_key",
    ),
    Workload(
        name="knowledge-search",
        weight=110,
        team="knowledge",
        cost_centre="CC-320",
        description="Answers agents' questions from the knowledge base",
        workload="interactive",
        kinds=(
            TaskKind(
                steps=(
                    Step(
                        name="rewrite-query",
                        models={GPT_4O_MINI.served: 1},
                        input=lengths.AZURE_CODE_INPUT,
                        output=lengths.AZURE_CODE_OUTPUT,
                        static_prompt_tokens=380,
                        max_output_tokens=2_048,
                    ),
                    Step(
                        name="answer-from-passages",
                        models={GPT_5_MINI.served: 1},
                        input=lengths.RAG_INPUT,
                        output=lengths.RAG_OUTPUT,
                        static_prompt_tokens=1_040,
                        has_prompt_inside=True,
                        max_output_tokens=8_000,
                        cache_hit_per_mille=640,
                        # A version that changes hardly anything: no reason for an alarm.
                        versions=(PromptVersion(BEGINNING, "3"), PromptVersion(date(2026, 10, 19), "4", 980)),
                    ),
                )
            ),
        ),
        outcomes=Outcomes("last_call", success_per_mille=860, known_per_mille=720),
        customer_tiers=EVERYONE,
        api_key_name="key-search-prod",
        frameworks={"llamaindex": 1},
    ),
    Workload(
        name="doc-summary",
        weight=90,
        team="knowledge",
        cost_centre="CC-320",
        description="Summarises uploaded documents",
        workload="async",
        kinds=(
            TaskKind(
                steps=(
                    Step(
                        name="summarise",
                        models={GEMINI_FLASH.served: 97, GEMINI_TRIAL.served: 3},
                        input=lengths.DOCUMENT_INPUT,
                        output=lengths.DOCUMENT_OUTPUT,
                        static_prompt_tokens=540,
                        max_output_tokens=8_192,
                    ),
                )
            ),
        ),
        outcomes=Outcomes("last_call", success_per_mille=955, known_per_mille=980),
        customer_tiers=EVERYONE,
        api_key_name="key-docs-prod",
        frameworks={"direct-sdk": 1},
    ),
    Workload(
        name="report-writer",
        weight=9,
        team="automation",
        cost_centre="CC-330",
        description="Writes the weekly service report of a customer, section by section",
        workload="async",
        kinds=(
            TaskKind(
                steps=(
                    Step(
                        name="outline",
                        models={CLAUDE_SONNET.served: 1},
                        input=lengths.DOCUMENT_INPUT,
                        output=lengths.AZURE_CHAT_OUTPUT,
                        static_prompt_tokens=2_240,
                        max_output_tokens=2_048,
                        cache_hit_per_mille=300,
                    ),
                    Step(
                        name="write-section",
                        models={CLAUDE_SONNET.served: 1},
                        input=lengths.DOCUMENT_INPUT,
                        output=lengths.CODING_OUTPUT,
                        static_prompt_tokens=2_240,
                        max_output_tokens=4_096,
                        cache_hit_per_mille=930,
                        calls=Grid((2, 2, 3, 4, 6), (0, 2_500, 5_000, 7_500, 10_000)),
                    ),
                )
            ),
        ),
        outcomes=Outcomes("last_call", success_per_mille=900, known_per_mille=950),
        customer_tiers=PAYING,
        api_key_name="key-reports-prod",
        frameworks={"direct-sdk": 1},
        launched=LAUNCH_DATE,
    ),
    Workload(
        name="workflow-agent",
        weight=11,
        team="automation",
        cost_centre="CC-330",
        description="Carries out refunds, returns and account changes with tools",
        workload="interactive",
        kinds=(
            TaskKind(
                steps=(
                    Step(
                        name="plan",
                        models={CLAUDE_SONNET.served: 1},
                        input=lengths.AZURE_CHAT_INPUT,
                        output=lengths.AZURE_CHAT_OUTPUT,
                        static_prompt_tokens=3_180,
                        max_output_tokens=2_048,
                        cache_hit_per_mille=450,
                    ),
                    Step(
                        name="act",
                        models={CLAUDE_SONNET.served: 1},
                        # What a tool gives back is as long as a chat answer; sessions then are as long as coding calls.
                        input=lengths.AZURE_CHAT_OUTPUT,
                        output=lengths.CODING_OUTPUT,
                        static_prompt_tokens=3_180,
                        max_output_tokens=4_096,
                        cache_hit_per_mille=960,
                        calls=Grid((2, 3, 4, 5, 8, 12, 17, 24, 31, 48, 70)),
                        calls_when_failing=Grid((3, 4, 6, 8, 12, 19, 28, 40, 52, 80, 120)),
                        keeps_context=True,
                        tools={
                            "look-up-order": 34,
                            "look-up-customer": 24,
                            "check-policy": 18,
                            "change-account": 13,
                            "issue-refund": 11,
                        },
                    ),
                )
            ),
        ),
        outcomes=Outcomes("last_call", success_per_mille=780, known_per_mille=970),
        customer_tiers=PAYING,
        api_key_name="key-agent-prod",
        frameworks={"langgraph": 1},
        session="task",
        loop=LOOP,
    ),
    # Scripts that people run with a shared key: no feature, no customer, no task.
    Workload(
        name="scripts",
        weight=18,
        team="",
        cost_centre="",
        description="",
        workload="interactive",
        kinds=(
            TaskKind(
                steps=(
                    Step(
                        name="",
                        models={GPT_4O.served: 70, GPT_4O_MINI.served: 30},
                        input=lengths.CONVERSATION_INPUT,
                        output=lengths.CODING_OUTPUT,
                        max_output_tokens=4_096,
                    ),
                )
            ),
        ),
        outcomes=Outcomes("nobody"),
        customer_tiers=EVERYONE,
        api_key_name="key-shared-scripts",
        frameworks={"direct-sdk": 1},
        tagged_by="nothing",
    ),
)


def quiet(workloads: tuple[Workload, ...]) -> tuple[Workload, ...]:
    """The same company in which nothing happens: no launch, no loop, the same mix, and prompts that answer at one length."""
    return tuple(
        replace(
            workload,
            launched=BEGINNING,
            loop=None,
            kinds=tuple(
                replace(
                    kind,
                    weights=kind.weights[:1],
                    steps=tuple(
                        replace(step, versions=tuple(replace(one, output_per_mille=1_000) for one in step.versions))
                        for step in kind.steps
                    ),
                )
                for kind in workload.kinds
            ),
        )
        for workload in workloads
    )


# Which tool sees the calls of a feature. No call is in two of them.
Source = Literal["app_log", "langfuse"]
SOURCES: Mapping[str, Source] = {"support-chat": "langfuse", "workflow-agent": "langfuse"}


def _customers(
    tier: str, first_number: int, first_rank: int, names: str, users: tuple[int, ...], monthly_usd: int
) -> tuple[Customer, ...]:
    """Customers of a tier by size. The weight falls with the rank among all, so that the first tenth makes most of the calls."""
    return tuple(
        Customer(
            f"cu-{first_number + place}",
            name,
            ((BEGINNING, tier),),
            users[min(place, len(users) - 1)],
            _weight(first_rank + place),
            ((BEGINNING, monthly_usd * 100),) if monthly_usd else (),
        )
        for place, name in enumerate(names.split(", "))
    )


def _weight(rank: int) -> int:
    return 10_000_000 // isqrt(rank**3)


CUSTOMERS: tuple[Customer, ...] = (
    Customer(
        "cu-101", "Northgate Rail", ((BEGINNING, "enterprise"),), 420, _weight(1), ((BEGINNING, 190_000),),
    ),
    Customer(
        "cu-102", "Ostrava Glass", ((BEGINNING, "enterprise"),), 260, _weight(2), ((BEGINNING, 120_000),),
    ),
    # Bought a larger plan during the sample: one customer, two tiers.
    Customer(
        "cu-201", "Pinebrook Outfitters", ((BEGINNING, "pro"), (date(2026, 10, 26), "enterprise")), 90, _weight(3),
        ((BEGINNING, 4_900), (date(2026, 10, 26), 64_000)),
    ),
    # Pays as little as the others on its plan, and lets the agent do its work.
    Customer(
        LOSS_CUSTOMER_ID, "Lindqvist Dental", ((BEGINNING, "pro"),), 60, _weight(4), ((BEGINNING, 4_900),),
        appetite={"workflow-agent": 8_000},
    ),
    *_customers("enterprise", 103, 6, "Halden Insurance, Blue Heron Hotels, Sato Freight", (110, 80, 60), 450),
    *_customers(
        "pro", 203, 9,
        "Copper Kettle Coffee, Varga Auto Parts, Meadow Lane Books, Tidewater Kayaks, Ibarra Textiles, Quill and Anchor, "
        "Summit Cycle Works, Osei Pharmacy, Lakeshore Vets, Bright Spoke, Delft Ceramics, Juniper Rugs, Polder Pumps",
        (32, 24, 20, 16, 14, 12, 10, 8, 6, 5, 4), 49,
    ),
    *_customers(
        "free", 301, 14,
        "Anna's Bakery, Tiny Robots Club, Marsh Street Choir, Weekend Woodwork, Paws and Relax, Corner Bike Repair, "
        "Hillside Honey, Stella Lamps, Old Mill Yoga, Fern and Moss, Papercut Zines, Night Owl Tutoring, Rivet Studio, "
        "Saltbox Candles, Green Thumb Rentals, Kite Day, Little Press, Thistle Tea, Amber Alley, Tin Can Radio",
        (6, 5, 4, 3, 3, 2, 2, 1), 0,
    ),
)  # fmt: skip

LANGUAGES: Mapping[str, int] = {"en": 56, "de": 22, "fr": 13, "es": 9}

RELEASES: tuple[tuple[date, str], ...] = (
    (BEGINNING, "2026.15"),
    (date(2026, 8, 18), "2026.16"),
    (date(2026, 9, 1), "2026.17"),
    (date(2026, 9, 15), "2026.18"),
    (date(2026, 9, 29), "2026.19"),
    (date(2026, 10, 13), "2026.20"),
    (date(2026, 10, 27), "2026.21"),
    (date(2026, 11, 10), "2026.22"),
)

# Weights of the days from Monday on, and of the hours from 0 UTC on.
DAY_WEIGHTS: Mapping[str, tuple[int, ...]] = {
    "interactive": (20, 21, 21, 20, 18, 7, 6),
    "async": (18, 17, 17, 17, 16, 10, 9),
}
HOUR_WEIGHTS: Mapping[str, tuple[int, ...]] = {
    "interactive": (2, 2, 1, 1, 2, 4, 8, 14, 20, 23, 22, 19, 17, 20, 22, 21, 18, 14, 11, 9, 7, 5, 4, 3),
    "async": (11, 12, 13, 13, 12, 11, 11, 12, 13, 14, 14, 13, 12, 13, 14, 14, 13, 12, 12, 11, 11, 10, 10, 10),
}
WEEKLY_GROWTH_PER_MILLE = 25

# Of 1,000 calls so many take a second and so many a third attempt; of the latter some end without an answer.
SECOND_ATTEMPT_PER_MILLE = 22
THIRD_ATTEMPT_PER_MILLE = 6
GIVEN_UP_PER_MILLE = 250
FAILURES: tuple[Failure, ...] = (
    Failure("rate_limited", 429, has_usage=False, duration_ms=190, weight=45),
    Failure("server_error", 500, has_usage=False, duration_ms=1_150, weight=20),
    Failure("timeout", None, has_usage=False, duration_ms=60_000, weight=15),
    Failure("invalid_output", 200, has_usage=True, duration_ms=None, weight=20),
)

OPENAI_ACCOUNT = "org-main"
ACCOUNTS: tuple[Mapping[str, str], ...] = (
    {"provider": "openai", "account_id": OPENAI_ACCOUNT, "account_name": "Fernhill Desk", "environment": "production"},
    {"provider": "anthropic", "account_id": "ws-production", "account_name": "Production", "environment": "production"},
    {"provider": "google", "account_id": "fernhill-prod", "account_name": "fernhill-prod", "environment": "production"},
)

# Langfuse's scores as outcomes of tasks.
OUTCOME_LABELS: tuple[Mapping[str, str], ...] = (
    {"score_name": "resolved", "label": "True", "outcome": "success", "why": "Customer care marks every ticket"},
    {"score_name": "resolved", "label": "False", "outcome": "failure", "why": "Customer care marks every ticket"},
)

# Langfuse's own project, and the day from which its weekly export is Parquet in place of JSON Lines.
LANGFUSE_PROJECT = "fernhill-desk"
LANGFUSE_PARQUET_FROM = date(2026, 10, 19)
# At the full size; a smaller sample earns less in proportion to its calls a week, so that margins are alike.
FULL_WEEKS, FULL_REQUESTS = 14, 200_000

CORRECTION = Correction(date(2026, 10, 21), GPT_4O.served, "credit for the incident of 2026-10-21")

CONTRACTS: tuple[Mapping[str, str], ...] = (
    {
        "provider": "anthropic",
        "model_id": "claude-sonnet-4-6",
        "scope": "billing_account_id=ws-production",
        "kind": "multiplier",
        "value": "0.92",
        "sequence": "10",
        "effective_from": "2026-09-01",
        "why": "Order form of 2026-08-27: 8 % off all tokens for a year",
    },
)

FX_RATES: tuple[tuple[str, date, str], ...] = (
    ("EUR", date(2026, 8, 1), "1.0940"),
    ("EUR", date(2026, 9, 1), "1.1015"),
    ("EUR", date(2026, 10, 1), "1.0975"),
    ("EUR", date(2026, 11, 1), "1.1030"),
)
