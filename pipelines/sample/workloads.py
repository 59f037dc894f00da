"""The sample company's features: which models they call, how often and how long, and what happens to them when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from pipelines.sample import lengths
from pipelines.sample.chance import Grid
from pipelines.sample.forms import (
    BEGINNING,
    Burst,
    Change,
    Loop,
    Model,
    Outcomes,
    PromptVersion,
    Step,
    TaskKind,
    Workload,
)

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
# Release 2026.18 wrote the time of day before the agent's instructions, so that hardly a prompt began like the one before, for six
# days.
CACHE_DROP = Change(date(2026, 9, 15), date(2026, 9, 21), cache_hit_per_mille=300)
# Release 2026.22 sends a third of the mail that is to be sorted to the dearer model.
MISROUTING = Change(date(2026, 11, 10), date(2026, 11, 16), routed_to=GPT_4O.served, routed_per_mille=350)
# A customer's archive was sent in for summaries once more, all on one Wednesday.
BURST = Burst(date(2026, 10, 7), 155)
_SUPPORT_VERSIONS = (PromptVersion(BEGINNING, "7"), PromptVersion(DRIFT_DATE, "8", 1_400))
# The same prompt, but release 2026.21 hands it the annexes of a document as well: more to read and as much more to say.
DEARER_DATE, DEARER_RELEASE = date(2026, 10, 27), "2026.21"
_DOCUMENT_VERSIONS = (PromptVersion(BEGINNING, "1"), PromptVersion(DEARER_DATE, "1", 1_550, 1_550))
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
                        changes=(MISROUTING,),
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
                        max_output_tokens=32_000,
                        # Six in a thousand answers repeat a sentence until the cap ends them.
                        endless_per_mille=6,
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
                        versions=_DOCUMENT_VERSIONS,
                    ),
                )
            ),
        ),
        outcomes=Outcomes("last_call", success_per_mille=955, known_per_mille=980),
        customer_tiers=EVERYONE,
        api_key_name="key-docs-prod",
        frameworks={"direct-sdk": 1},
        burst=BURST,
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
                        changes=(CACHE_DROP,),
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
                        changes=(CACHE_DROP,),
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
    """The same company in which nothing happens: no launch, no loop, no burst, the same mix and models, and prompts that answer at
    one length and are cached alike."""
    return tuple(
        replace(
            workload,
            launched=BEGINNING,
            loop=None,
            burst=None,
            kinds=tuple(
                replace(
                    kind,
                    weights=kind.weights[:1],
                    steps=tuple(
                        replace(
                            step,
                            versions=tuple(
                                replace(one, output_per_mille=1_000, input_per_mille=1_000) for one in step.versions
                            ),
                            changes=(),
                            endless_per_mille=0,
                        )
                        for step in kind.steps
                    ),
                )
                for kind in workload.kinds
            ),
        )
        for workload in workloads
    )
