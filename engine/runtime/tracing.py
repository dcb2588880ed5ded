"""Hands complete spans to an OpenTelemetry collector (OTLP over HTTP), in a thread of the SDK's own."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit, urlunsplit

from engine.errors import SettingInvalid
from engine.runtime.decision import Decision
from engine.runtime.spans import Span, spans_of
from engine.settings import TracingSettings
from engine.version import running_version

if TYPE_CHECKING:  # an extra, loaded only where spans are wanted
    from opentelemetry.sdk.trace import ReadableSpan

log = logging.getLogger(__name__)

NAMED_BY_ENVIRONMENT = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
LAST_WORDS = 5.0  # seconds that a collector may take when the process ends


class Tracing(Protocol):
    """Who wants to hear of decisions that are on disk."""

    def decided(self, decision: Decision) -> None:
        """Send on what a decision completed. Never raises, never waits."""

    async def stop(self) -> None:
        """Send what is left."""


class NoTracing:
    """Nobody asked for spans."""

    def decided(self, decision: Decision) -> None:
        """Nothing."""

    async def stop(self) -> None:
        """Nothing."""


class Exporter:
    """Sends spans on in batches; those a collector does not take in time are dropped, and the log says so."""

    def __init__(self, settings: TracingSettings, mask: Callable[[str], str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415

        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": settings.service}
        provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        self._resource, self._sampler = provider.resource, provider.sampler
        self._scope = InstrumentationScope("parley", running_version())
        self._mask = mask
        self._processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=_traces_of(settings.endpoint)))

    def decided(self, decision: Decision) -> None:
        """Send on what a decision completed."""
        try:
            for span in spans_of(decision):
                if (readable := self._readable(span)) is not None:
                    self._processor.on_end(readable)
        except Exception:  # a span is never worth an execution
            log.exception("A span of execution %s could not be made.", decision.after.id)

    async def stop(self) -> None:
        """Send what is left, for `LAST_WORDS` seconds at most."""
        sending = asyncio.create_task(asyncio.to_thread(self._processor.shutdown))
        _, late = await asyncio.wait([sending], timeout=LAST_WORDS)
        if late:
            log.warning("The collector did not take the last spans within %.0f s.", LAST_WORDS)

    def _readable(self, span: Span) -> "ReadableSpan | None":
        from opentelemetry.sdk.trace import Event, ReadableSpan  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import Decision as Sampled  # noqa: PLC0415
        from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags  # noqa: PLC0415

        trace = int(span.trace, 16)
        if self._sampler.should_sample(None, trace, span.name).decision is not Sampled.RECORD_AND_SAMPLE:
            return None

        def context(id_: str) -> SpanContext:
            return SpanContext(trace, int(id_, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

        status = Status(StatusCode.OK) if span.failed is None else Status(StatusCode.ERROR, self._mask(span.failed))
        return ReadableSpan(
            span.name,
            context(span.id),
            context(span.parent) if span.parent else None,
            self._resource,
            self._masked(span.attributes),
            [Event(name, timestamp=_nanoseconds(at)) for name, at in span.marks],
            status=status,
            start_time=_nanoseconds(span.began),
            end_time=_nanoseconds(span.ended),
            instrumentation_scope=self._scope,
        )

    def _masked(self, attributes: Mapping[str, str | int]) -> dict[str, str | int]:
        return {key: self._mask(value) if isinstance(value, str) else value for key, value in attributes.items()}


def open_tracing(settings: TracingSettings, mask: Callable[[str], str]) -> Tracing:
    """What the settings or OpenTelemetry's own variables ask for; SettingInvalid when the library is not there."""
    asked = settings.endpoint or any(os.environ.get(name) for name in NAMED_BY_ENVIRONMENT)
    if not asked or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return NoTracing()
    try:
        return Exporter(settings, mask)
    except ImportError as error:
        raise SettingInvalid(
            "Spans are asked for, and OpenTelemetry is not installed.",
            fix="Install it with `pip install 'parley-bot[otel]'`, or take away `tracing.endpoint`.",
        ) from error


def _traces_of(endpoint: str | None) -> str | None:
    """Where a collector takes spans, from its address; None leaves it to the environment."""
    if endpoint is None:
        return None
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(path="/v1/traces")) if parts.path in ("", "/") else endpoint


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000
