"""The sample company as data: what it sells, to whom, with which models. Nothing here comes from a real company.

Fernhill Desk sells a help desk with six features that call language models. To change the sample, change this page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from pipelines.sample import lengths
from pipelines.sample.chance import Grid, always

SEED = 20_261_116
# The first day after the sample; a Monday.
END = date(2026, 11, 16)
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
    """One kind of call of a task. ``keeps_context``: each call of the step carries what came before it in the task."""

    name: str
    models: Mapping[str, int]
    new_input: Grid
    output: Grid
    static_prompt_tokens: int
    max_output_tokens: int
    cache_hit_per_mille: int = 0
    calls: Grid = field(default_factory=lambda: always(1))
    keeps_context: bool = False
    versions: tuple[PromptVersion, ...] = (PromptVersion(BEGINNING, "1"),)


@dataclass(frozen=True)
class Outcomes:
    """Where the outcome of a task is told: on its last call, or later by another system in units of work."""

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
    steps: tuple[Step, ...]
    outcomes: Outcomes
    customer_tiers: tuple[str, ...]
    api_key_name: str
    frameworks: Mapping[str, int]
    tagged_by: Literal["record", "api_key", "nothing"] = "record"
    launched: date = BEGINNING
    session: Literal["task", "user_day", "none"] = "none"


@dataclass(frozen=True)
class Customer:
    """A customer and its pricing tiers, each from a day on."""

    customer_id: str
    name: str
    tiers: tuple[tuple[date, str], ...]
    users: int
    weight: int


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
    Grid((180, 240, 300, 340, 420, 530, 700, 980, 1_300, 2_400, 4_000)), 1_150, untraced_per_mille=(40, 52),
)  # fmt: skip
GPT_4O_MINI = Model(
    "gpt-4o-mini-2024-07-18", "gpt-4o-mini", "openai", "openai.chat",
    Grid((140, 190, 230, 260, 330, 410, 540, 760, 990, 1_900, 3_100)), 900, untraced_per_mille=(32, 44),
)  # fmt: skip
GPT_5_MINI = Model(
    "gpt-5-mini-2025-08-07", "gpt-5-mini", "openai", "openai.responses",
    Grid((600, 800, 1_000, 1_150, 1_500, 2_100, 3_200, 5_200, 7_600, 14_000, 24_000)), 800,
    reasoning=Grid((0, 0, 0, 64, 128, 256, 448, 832, 1_216, 2_176, 4_096)), untraced_per_mille=(32, 40),
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

WORKLOADS: tuple[Workload, ...] = (
    Workload(
        name="support-chat",
        weight=300,
        team="care",
        cost_centre="CC-310",
        description="Answers the questions of a customer's customers in the chat window",
        workload="interactive",
        steps=(
            Step(
                name="classify-question",
                models={GPT_4O_MINI.served: 1},
                new_input=lengths.AZURE_CODE_INPUT,
                output=lengths.AZURE_CODE_OUTPUT,
                static_prompt_tokens=620,
                max_output_tokens=256,
            ),
            Step(
                name="draft-answer",
                models={GPT_4O.served: 82, GPT_4O_MINI.served: 18},
                new_input=lengths.CONVERSATION_INPUT,
                output=lengths.CONVERSATION_OUTPUT,
                static_prompt_tokens=1_930,
                max_output_tokens=1_024,
                cache_hit_per_mille=760,
                versions=(PromptVersion(BEGINNING, "7"), PromptVersion(date(2026, 10, 27), "8", 1_060)),
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
        weight=250,
        team="care",
        cost_centre="CC-310",
        description="Sorts incoming mail into queues",
        workload="async",
        steps=(
            Step(
                name="sort-ticket",
                models={GPT_4O_MINI.served: 1},
                new_input=lengths.AZURE_CHAT_INPUT,
                output=lengths.AZURE_CODE_OUTPUT,
                static_prompt_tokens=1_400,
                max_output_tokens=512,
                cache_hit_per_mille=850,
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
        weight=200,
        team="knowledge",
        cost_centre="CC-320",
        description="Answers agents' questions from the knowledge base",
        workload="interactive",
        steps=(
            Step(
                name="rewrite-query",
                models={GPT_4O_MINI.served: 1},
                new_input=Grid((4, 6, 9, 12, 20, 38, 70, 140, 220, 420, 900)),
                output=lengths.AZURE_CODE_OUTPUT,
                static_prompt_tokens=380,
                max_output_tokens=256,
            ),
            Step(
                name="answer-from-passages",
                models={GPT_5_MINI.served: 1},
                new_input=lengths.RAG_INPUT,
                output=lengths.RAG_OUTPUT,
                static_prompt_tokens=1_410,
                max_output_tokens=6_000,
                cache_hit_per_mille=640,
                versions=(PromptVersion(BEGINNING, "3"), PromptVersion(date(2026, 10, 19), "4", 980)),
            ),
        ),
        outcomes=Outcomes("last_call", success_per_mille=860, known_per_mille=720),
        customer_tiers=EVERYONE,
        api_key_name="key-search-prod",
        frameworks={"llamaindex": 1},
    ),
    Workload(
        name="doc-summary",
        weight=150,
        team="knowledge",
        cost_centre="CC-320",
        description="Summarises uploaded documents",
        workload="async",
        steps=(
            Step(
                name="summarise",
                models={GEMINI_FLASH.served: 97, GEMINI_TRIAL.served: 3},
                new_input=lengths.DOCUMENT_INPUT,
                output=lengths.DOCUMENT_OUTPUT,
                static_prompt_tokens=540,
                max_output_tokens=4_096,
            ),
        ),
        outcomes=Outcomes("last_call", success_per_mille=955, known_per_mille=980),
        customer_tiers=EVERYONE,
        api_key_name="key-docs-prod",
        frameworks={"direct-sdk": 1},
    ),
    Workload(
        name="report-writer",
        weight=40,
        team="automation",
        cost_centre="CC-330",
        description="Writes the weekly service report of a customer, section by section",
        workload="async",
        steps=(
            Step(
                name="outline",
                models={CLAUDE_SONNET.served: 1},
                new_input=lengths.DOCUMENT_INPUT,
                output=lengths.AZURE_CHAT_OUTPUT,
                static_prompt_tokens=2_240,
                max_output_tokens=2_048,
                cache_hit_per_mille=300,
            ),
            Step(
                name="write-section",
                models={CLAUDE_SONNET.served: 1},
                new_input=lengths.DOCUMENT_INPUT,
                output=lengths.CODING_OUTPUT,
                static_prompt_tokens=2_240,
                max_output_tokens=4_096,
                cache_hit_per_mille=930,
                calls=Grid((2, 2, 3, 4, 6), (0, 2_500, 5_000, 7_500, 10_000)),
            ),
        ),
        outcomes=Outcomes("last_call", success_per_mille=900, known_per_mille=950),
        customer_tiers=PAYING,
        api_key_name="key-reports-prod",
        frameworks={"direct-sdk": 1},
    ),
    Workload(
        name="workflow-agent",
        weight=26,
        team="automation",
        cost_centre="CC-330",
        description="Carries out refunds, returns and account changes with tools",
        workload="interactive",
        steps=(
            Step(
                name="plan",
                models={CLAUDE_SONNET.served: 1},
                new_input=lengths.AZURE_CHAT_INPUT,
                output=lengths.AZURE_CHAT_OUTPUT,
                static_prompt_tokens=3_180,
                max_output_tokens=2_048,
                cache_hit_per_mille=450,
            ),
            Step(
                name="act",
                models={CLAUDE_SONNET.served: 1},
                new_input=Grid((40, 55, 90, 140, 260, 480, 900, 1_700, 2_600, 4_800, 9_000)),
                output=lengths.CODING_OUTPUT,
                static_prompt_tokens=3_180,
                max_output_tokens=4_096,
                cache_hit_per_mille=960,
                calls=Grid((2, 3, 3, 4, 6, 9, 13, 19, 25, 38, 60)),
                keeps_context=True,
            ),
        ),
        outcomes=Outcomes("last_call", success_per_mille=780, known_per_mille=970),
        customer_tiers=PAYING,
        api_key_name="key-agent-prod",
        frameworks={"langgraph": 1},
        session="task",
    ),
    # Scripts that people run with a shared key: no feature, no customer, no task.
    Workload(
        name="scripts",
        weight=38,
        team="",
        cost_centre="",
        description="",
        workload="interactive",
        steps=(
            Step(
                name="",
                models={GPT_4O.served: 70, GPT_4O_MINI.served: 30},
                new_input=lengths.CONVERSATION_INPUT,
                output=lengths.CODING_OUTPUT,
                static_prompt_tokens=0,
                max_output_tokens=4_096,
            ),
        ),
        outcomes=Outcomes("nobody"),
        customer_tiers=EVERYONE,
        api_key_name="key-shared-scripts",
        frameworks={"direct-sdk": 1},
        tagged_by="nothing",
    ),
)


def _customers(tier: str, first_number: int, names: str, users: tuple[int, ...], size: int) -> tuple[Customer, ...]:
    """Customers of a tier by size: the weight falls with the square of the rank, so that few make most of the calls."""
    found = names.split(", ")
    return tuple(
        Customer(
            f"cu-{first_number + rank}",
            name,
            ((BEGINNING, tier),),
            users[min(rank, len(users) - 1)],
            size // (rank + 2) ** 2,
        )
        for rank, name in enumerate(found)
    )


CUSTOMERS: tuple[Customer, ...] = (
    *_customers(
        "enterprise", 101,
        "Northgate Rail, Ostrava Glass, Halden Insurance, Blue Heron Hotels, Sato Freight",
        (420, 260, 180, 120, 90), 400_000,
    ),
    # Bought a larger plan during the sample: one customer, two tiers.
    Customer(
        "cu-201", "Pinebrook Outfitters",
        ((BEGINNING, "pro"), (date(2026, 10, 26), "enterprise")), users=60, weight=52_000,
    ),
    *_customers(
        "pro", 202,
        "Lindqvist Dental, Copper Kettle Coffee, Varga Auto Parts, Meadow Lane Books, Tidewater Kayaks, "
        "Ibarra Textiles, Quill and Anchor, Summit Cycle Works, Osei Pharmacy, Lakeshore Vets, Bright Spoke, "
        "Delft Ceramics",
        (40, 32, 24, 20, 16, 14, 12, 10, 8, 6, 5, 4), 180_000,
    ),
    *_customers(
        "free", 301,
        "Anna's Bakery, Tiny Robots Club, Marsh Street Choir, Weekend Woodwork, Paws and Relax, Corner Bike Repair, "
        "Hillside Honey, Stella Lamps, Old Mill Yoga, Fern and Moss, Papercut Zines, Night Owl Tutoring, Rivet Studio, "
        "Saltbox Candles, Green Thumb Rentals, Kite Day, Little Press, Thistle Tea",
        (6, 5, 4, 3, 3, 2, 2, 1), 60_000,
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
