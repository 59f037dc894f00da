"""What a sample company is described by: models, steps, tasks, workloads, customers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from pipelines.sample.chance import Grid, always

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
    """A version of a prompt, from a day on; its answers, and what comes on top of it, are so many thousandths of the grids' lengths."""

    from_date: date
    version: str
    output_per_mille: int = 1_000
    input_per_mille: int = 1_000


@dataclass(frozen=True)
class Change:
    """What is otherwise in a step for some days: how often its prompt is in the cache, or another model for some of its calls."""

    from_date: date
    to_date: date
    cache_hit_per_mille: int | None = None
    routed_to: str = ""
    routed_per_mille: int = 0


@dataclass(frozen=True)
class Step:
    """One kind of call of a task.

    ``input`` is what comes on top of the constant prompt, or all input where ``has_prompt_inside``. Of what is not constant, up to
    ``repeated_per_mille`` repeats an earlier call and can be read from the cache. ``keeps_context``: each call of the step carries
    what came before it in the task. ``tools``: what such a call is named after. ``endless_per_mille``: answers that repeat
    themselves until the cap ends them.
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
    changes: tuple[Change, ...] = ()
    endless_per_mille: int = 0


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
class Burst:
    """So many of the tasks that a workload would have had before a day come on that day."""

    on_date: date
    per_mille: int


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
    burst: Burst | None = None

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
