"""The engine at work: `Engine` is the only door for the bot, the command line and tests."""

from engine.runtime.changes import Change
from engine.runtime.creation import FailedCheck, Prepared
from engine.runtime.engine import Engine
from engine.store.logs import LogLine
from engine.store.metrics import Metric
from engine.store.pauses import PauseRow

__all__ = ["Change", "Engine", "FailedCheck", "LogLine", "Metric", "PauseRow", "Prepared"]
