"""What `/metrics` says, in Prometheus' format: the tallies of the process, and what is open, counted when asked."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from bot import tallies as bot
from bot.audit import records
from engine import tallies as engine
from engine.runtime import Engine
from engine.store import census
from engine.store.census import Census
from engine.version import running_version


async def exposition(source: Engine, accept: str) -> tuple[bytes, str]:
    """The text and its content type, as OpenMetrics when the scraper asks for that."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    waiting = await asyncio.to_thread(lambda: source.dispatcher.waiting)  # with several machines the database is asked
    counted = await source.database.read(census.take)
    registry.register(Now(source, counted, waiting, await records.unsigned(source)))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class Now(Collector):
    """Everything there is to tell at this moment."""

    def __init__(self, source: Engine, counted: Census, waiting: int, unsigned: int) -> None:
        self._engine = source
        self._census = counted
        self._waiting = waiting
        self._unsigned = unsigned

    def collect(self) -> Iterator[Metric]:
        """One family after the other; names and labels are documented in bot/docs/monitoring.md."""
        yield gauge("parley_info", "The running version.", ("version",), [(running_version(), 1)])
        yield from self._work()
        yield from self._chat()

    def _work(self) -> Iterator[Metric]:
        source, counted = self._engine, self._census
        yield gauge(
            "parley_executions_open", "Executions that have not ended.", ("namespace", "state"), counted.executions
        )
        yield counter("parley_executions_ended", "Executions that ended since the start.", engine.ENDED)
        yield gauge(
            "parley_queue_depth",
            "What waits: undecided executions, task attempts without a free worker, schedules due, executions to make.",
            ("queue",),
            [
                ("decider", source.decider.busy),
                ("dispatcher", self._waiting),
                ("schedules", source.schedules.busy),
                ("starts", source.starting),
            ],
        )
        running, workers = source.dispatcher.under_way, source.settings.limits.workers
        yield gauge("parley_task_attempts_running", "Task attempts under way.", (), [(running,)])
        yield gauge("parley_workers", "How many may run at once (limits.workers).", (), [(workers,)])
        yield histogram("parley_execution_start_delay_seconds", "From creation to the first task.", engine.START_DELAY)
        yield histogram("parley_fire_lateness_seconds", "From a date to its execution.", engine.FIRE_LATENESS)
        yield histogram("parley_commit_group_size", "Units of work in one commit.", engine.GROUP_SIZE)
        yield counter("parley_llm_tokens", "Tokens that language models read and wrote.", engine.TOKENS)
        broken = len(source.flows.problems())
        yield gauge("parley_flow_files_broken", "Flow files that are not in use as they stand.", (), [(broken,)])

    def _chat(self) -> Iterator[Metric]:
        counted, now = self._census, self._engine.clock.now()
        yield gauge(
            "parley_pauses_waiting",
            "Pauses that wait for a person.",
            ("namespace",),
            [(space, count) for space, count, _ in counted.pauses],
        )
        yield gauge(
            "parley_pause_oldest_age_seconds",
            "How long the oldest of them has waited.",
            ("namespace",),
            [(space, _age(since, now)) for space, _, since in counted.pauses],
        )
        yield histogram("parley_first_click_seconds", "From a question to the first press under it.", bot.FIRST_CLICK)
        yield histogram("parley_decision_seconds", "From a question to what a person decided.", bot.DECISION)
        yield gauge("parley_audit_unsigned_rows", "Rows of the record behind the last seal.", (), [(self._unsigned,)])
        yield counter("parley_deliveries", "Commands, clicks and forms that were answered.", bot.DELIVERIES)
        yield counter("parley_redeliveries", "Copies of them, which counted no second time.", bot.REDELIVERIES)
        yield counter("parley_rate_limited", "Times a platform asked us to slow down.", bot.RATE_LIMITS)
        yield counter("parley_refusals", "What was done about messages that a platform refused.", bot.REFUSALS)
        yield counter("parley_explanations", "Failed runs that a model was asked to explain.", bot.EXPLANATIONS)
        yield gauge("parley_outbox", "Messages that are still to be sent.", ("platform", "kind"), counted.outbox)
        yield gauge("parley_outbox_abandoned", "Cards a platform will never take.", ("platform",), counted.abandoned)


def gauge(name: str, text: str, labels: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Metric:
    """A family of values as they are now; each row is its labels and then the value."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for *values, number in rows:
        family.add_metric([str(value) for value in values], float(str(number)))
    return family


def counter(name: str, text: str, tally: engine.Tally) -> Metric:
    """A family of counts; `_total` is added to the name."""
    family = CounterMetricFamily(name, text, labels=tally.labels)
    for values, number in tuple(tally.counts.items()):
        family.add_metric(values, number)
    return family


def histogram(name: str, text: str, spread: engine.Distribution) -> Metric:
    """A distribution as a family."""
    family = HistogramMetricFamily(name, text)
    family.add_metric([], spread.buckets(), spread.sum)
    return family


def _age(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
