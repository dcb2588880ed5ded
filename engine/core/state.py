"""States of executions and task runs (names and meaning as in Kestra)."""

from enum import StrEnum


class State(StrEnum):
    """Where an execution or a task run stands."""

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    RESTARTED = "RESTARTED"
    KILLING = "KILLING"
    QUEUED = "QUEUED"
    RETRYING = "RETRYING"
    RETRIED = "RETRIED"
    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    FAILED = "FAILED"
    KILLED = "KILLED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in _TERMINAL

    @property
    def is_created(self) -> bool:
        """Whether it waits to be started."""
        return self in (State.CREATED, State.RESTARTED)

    @property
    def is_running(self) -> bool:
        """Whether work may be under way."""
        return self in (State.RUNNING, State.KILLING)


_TERMINAL = frozenset(
    {State.SUCCESS, State.WARNING, State.FAILED, State.KILLED, State.CANCELLED, State.SKIPPED, State.RETRIED}
)
