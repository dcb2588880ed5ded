"""What an expression may reach besides its variables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, NoReturn

from engine.errors import ExpressionFailed


def _absent(
    function: str, fix: str = "Use it in a property of a task, where the execution is known."
) -> Callable[..., Any]:
    def refuse(*_arguments: object, **_named: object) -> NoReturn:
        raise ExpressionFailed(f"{function}() is not available here.", fix=fix)

    return refuse


def _ignore(_message: str) -> None:
    return None


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Services:
    """Clock, zone and everything functions read. All are synchronous; some may block, so render off the loop.

    They raise ExpressionFailed (a missing secret, key or file is one, never NameMissing, so `??` does not hide it).
    `outside` names more roots ("row") or paths ("vars.answer") whose values came from outside: render() never
    evaluates them.
    """

    now: Callable[[], datetime] = _now
    zone: tzinfo = UTC
    secret: Callable[..., Any] = field(default=_absent("secret"))  # (key, namespace=None, subkey=None, full=False)
    kv: Callable[..., Any] = field(default=_absent("kv"))  # (key, namespace=None, error_on_missing=True)
    read: Callable[..., str] = field(default=_absent("read"))  # (path, namespace=None, version=None)
    file_size: Callable[..., int] = field(default=_absent("fileSize"))  # (path, namespace=None)
    file_exists: Callable[..., bool] = field(default=_absent("fileExists"))  # (path, namespace=None)
    error_logs: Callable[[], Sequence[Mapping[str, Any]]] = field(default=_absent("errorLogs"))
    http: Callable[..., Any] = field(
        default=_absent("http")
    )  # (uri, method, query, body, content_type, headers, options, accept)
    subflow: Callable[..., Any] = field(
        default=_absent("subflow", "Let a task of the type `io.kestra.plugin.core.flow.Subflow` run the flow.")
    )  # (namespace, id, inputs, revision, labels, timeout)
    random_port: Callable[[], int] = field(default=_absent("randomPort"))
    warn: Callable[[str], None] = _ignore
    mask: Callable[[str], str] = str  # hides the secrets in a text
    hide: Callable[[str, Callable[[str], str]], bool] | None = None  # (text, work): hide what work makes of secrets
    outside: frozenset[str] = frozenset()
