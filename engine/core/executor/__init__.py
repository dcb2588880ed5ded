"""Deciding what an execution does next: `advance(flow, execution, event) -> (execution', commands)`.

Pure: no clock, no IO, no randomness. What happened comes in as an event (events.py), what is to be done goes out as
commands (commands.py). Task runs of one version never change, and a decision costs what it changes, not what exists.

Timers: `retry:<run>:<attempts>`, `pause:<run>:<pauses>`, `sleep:<run>:<attempt>`, `loop:<run>:<time>`,
`limit:<run>:<time>`, `sla:<id>:<n>`.
"""

from engine.core.executor.advancing import advance
from engine.core.executor.effects import labelled
from engine.core.executor.plans import find_task, plan_of
from engine.core.executor.replays import replayed, restarted_as, retried, status_changed
from engine.core.executor.restarts import check_restart, is_broken_off, restarted, task_state_changed

__all__ = [
    "advance",
    "check_restart",
    "find_task",
    "is_broken_off",
    "labelled",
    "plan_of",
    "replayed",
    "restarted",
    "restarted_as",
    "retried",
    "status_changed",
    "task_state_changed",
]
