"""The log of the process on stderr: one line an event, ours and those of libraries alike, secrets as stars.

Every line carries what its task, click or message is about (`execution_id`, `task_run_id`, …), bound by
`structlog.contextvars` where the work begins.
"""

import logging
import sys
import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog

from bot.settings import BotSettings, LogSection
from engine.errors import EngineError
from engine.secrets import Masker

log = logging.getLogger("parley")


class Masking:
    """A processor that takes out every secret its maskers know: of values, of tracebacks, of the finished line."""

    def __init__(self) -> None:
        self.maskers: list[Masker] = []

    def __call__(self, _logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The event without secrets; values that are no text, number or list are written as their repr."""
        return {key: self._plain(value) for key, value in event.items()}

    def line(self, text: str) -> str:
        """A finished line without secrets."""
        for masker in self.maskers:
            text = masker.mask(text)
        return text

    def _plain(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.line(value if isinstance(value, str) else repr(value))


def sentences(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An error that speaks for itself is told in its own words; where it came from helps nobody."""
    given = event.get("exc_info")
    error = given[1] if isinstance(given, tuple) else sys.exc_info()[1] if given is True else given
    if isinstance(error, EngineError):
        event["error"] = str(error)
        del event["exc_info"]
    return event


class Formatter(structlog.stdlib.ProcessorFormatter):
    """Renders a record, then looks once more for secrets in what came out."""

    def __init__(self, masking: Masking, **given: Any) -> None:
        super().__init__(**given)
        self._masking = masking

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return self._masking.line(super().format(record))


MASKING = Masking()


def configure(section: LogSection) -> None:
    """Send everything that is logged in this process, also by libraries and by what nobody caught, to stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        *(() if section.level == "DEBUG" else (sentences,)),
        structlog.processors.format_exc_info,
    ]
    as_text = section.format == "text" or (section.format == "auto" and sys.stderr.isatty())
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if as_text
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    clean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(MASKING, foreign_pre_chain=shared, processors=[clean, MASKING, last]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(section.level)
    log.setLevel("DEBUG" if section.level == "DEBUG" else "INFO")  # what we say of ourselves is worth a line
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def hide(settings: BotSettings) -> None:
    """Keep the bot's own tokens out of the log."""
    own = Masker()
    tokens = (
        settings.slack_bot_token,
        settings.slack_app_token,
        settings.slack_signing_secret,
        settings.discord_token,
        settings.web.token,
        *settings.web.tokens.values(),
    )
    for token in tokens:
        if token is not None:
            own.add(token.get_secret_value())
    MASKING.maskers.append(own)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical("The process ends because of an error.", exc_info=(kind, error, trace))


def _uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is not None:
        info = (given.exc_type, given.exc_value, given.exc_traceback)
        log.critical("A thread ended because of an error.", exc_info=info)
