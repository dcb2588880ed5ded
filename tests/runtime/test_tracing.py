"""Spans as a collector receives them: decoded from the OTLP requests that arrive at a real address."""

import sys
from collections import Counter
from dataclasses import dataclass

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from engine.core.state import State
from engine.errors import SettingInvalid
from engine.runtime import Engine
from engine.runtime.tracing import NoTracing
from engine.settings import Settings, TracingSettings
from tests.runtime.marks import registry
from tests.runtime.test_cluster import given
from tests.runtime.test_executions import until
from tests.wire.loopback import Answered, serving

LOG = "io.kestra.plugin.core.log.Log"
CHILD = f"""
id: child
namespace: company.team
tasks:
  - {{id: inner, type: {LOG}, message: hello}}
"""
PARENT = f"""
id: parent
namespace: company.team
tasks:
  - id: ask
    type: io.kestra.plugin.core.flow.Pause
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [1, 2]
    tasks:
      - {{id: say, type: {LOG}, message: "{{{{ taskrun.value }}}}"}}
  - id: call
    type: io.kestra.plugin.core.flow.Subflow
    namespace: company.team
    flowId: child
  - id: late
    type: io.kestra.plugin.core.execution.Fail
    errorMessage: "no luck with {{{{ secret('TOKEN') }}}}"
"""


@dataclass
class Collector:
    """What arrived, by name; `settings` send there."""

    service: object
    settings: Settings

    def spans(self):
        return [
            span
            for request in self.service.requests
            for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name):
        found = [span for span in self.spans() if span.name == name]
        assert len(found) == 1, [span.name for span in self.spans()]
        return found[0]


@pytest.fixture
def collector(settings, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_TOKEN", "hush-hush-42")
    with serving(lambda _request: Answered(b"")) as service:
        traced = settings.model_copy(update={"tracing": TracingSettings(endpoint=service.url)})
        yield Collector(service, traced)


async def opened(settings) -> Engine:
    engine = await Engine.open(settings, registry=registry())
    await engine.start(watch=False)
    return engine


def attributes(span):
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


async def test_one_trace_through_processes_flows_and_loops(collector):
    first = await opened(collector.settings)
    await first.deploy(CHILD)
    await first.deploy(PARENT)
    made = await first.create("company.team", "parent", {}, started_by="local:ann")
    await first.wait(made.id, until="ended_or_paused", timeout=20)
    await first.stop()
    assert "company.team.parent" not in [span.name for span in collector.spans()]  # it has not ended

    second = await opened(collector.settings)
    await second.resume(made.id, {}, by="local:ann")
    ended = await second.wait(made.id, timeout=20)
    await second.stop()

    whole, child = collector.named("company.team.parent"), collector.named("company.team.child")
    assert {span.trace_id for span in collector.spans()} == {whole.trace_id}
    assert whole.parent_span_id == b""
    assert child.parent_span_id == whole.span_id
    assert collector.named("inner").parent_span_id == child.span_id
    assert collector.named("call").parent_span_id == whole.span_id
    says = [span for span in collector.spans() if span.name == "say"]
    assert len(says) == 2
    assert {span.parent_span_id for span in says} == {collector.named("each").span_id}
    assert whole.start_time_unix_nano == round(ended.created.timestamp() * 1e6) * 1000
    assert whole.end_time_unix_nano == round(ended.ended.timestamp() * 1e6) * 1000
    asked = collector.named("ask")
    assert asked.start_time_unix_nano < collector.named("each").start_time_unix_nano <= whole.end_time_unix_nano
    assert attributes(whole)["parley.execution.id"] == made.id
    assert attributes(whole)["parley.started_by"] == "local:ann"
    assert [mark.name for mark in whole.events][:3] == ["CREATED", "RUNNING", "PAUSED"]


async def test_one_trace_each_whichever_process_decides(collector, tmp_path, postgres):
    """Executions fall to both of two processes, and a parent's child may fall to the other."""
    engines = [
        await opened(given(tmp_path, postgres, name, tracing=collector.settings.tracing)) for name in ("one", "other")
    ]
    one, other = engines
    await one.deploy(CHILD)
    await one.deploy(PARENT.partition("  - id: late")[0])
    await until(lambda: len(other.cluster.presence.members) == 2 and other.flows.exists("company.team", "parent"))
    made = []
    while {one.cluster.owns(each.id) for each in made} != {True, False}:
        made.append(await one.create("company.team", "parent", {}, started_by="local:ann"))
    for each in made:
        await other.wait(each.id, until="ended_or_paused", timeout=20)
        await other.resume(each.id, {}, by="local:ann")
        assert (await one.wait(each.id, timeout=20)).state is State.SUCCESS
    for engine in engines:
        await engine.stop()
    names = Counter((span.trace_id, span.name) for span in collector.spans())
    every = {"company.team.parent": 1, "ask": 1, "each": 1, "say": 2, "call": 1, "company.team.child": 1, "inner": 1}
    traces = {span.trace_id for span in collector.spans()}
    assert len(traces) == len(made)
    assert names == Counter({(trace, name): number for trace in traces for name, number in every.items()})


async def test_why_it_failed_without_the_secret_and_again_after_a_restart(collector):
    engine = await opened(collector.settings)
    await engine.deploy(
        PARENT.replace("Pause", "Sleep\n    duration: PT0S").replace("id: call", "id: call\n    disabled: true")
    )
    await engine.deploy(CHILD)
    made = await engine.create("company.team", "parent", {}, started_by="local:ann")
    await engine.wait(made.id, timeout=20)
    await engine.restart(made.id, by="local:ann")
    await engine.wait(made.id, timeout=20)
    await engine.stop()
    late = [span for span in collector.spans() if span.name == "late"]
    wholes = [span for span in collector.spans() if span.name == "company.team.parent"]
    assert len(late) == len(wholes) == 2
    assert len({span.span_id for span in (*late, *wholes)}) == 4
    assert [span.parent_span_id for span in late] == [span.span_id for span in wholes]
    assert late[0].status.code == wholes[0].status.code == 2  # STATUS_CODE_ERROR
    assert late[0].status.message.startswith("no luck with *")
    assert not any(b"hush-hush-42" in request.body for request in collector.service.requests)
    assert late[1].start_time_unix_nano >= wholes[0].end_time_unix_nano


async def test_opentelemetrys_own_variables_hold(collector, monkeypatch, settings):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.service.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    engine = await opened(settings)
    await engine.deploy(CHILD)
    made = await engine.create("company.team", "child", {}, started_by="local:ann")
    await engine.wait(made.id, timeout=20)
    await engine.stop()
    request = collector.service.last
    assert request.path == "/v1/traces"
    assert request.headers["authorization"] == "Bearer abc"
    resource = ExportTraceServiceRequest.FromString(request.body).resource_spans[0].resource
    assert attributes(resource) | {"service.name": "parley", "deployment.environment": "test"} == attributes(resource)


@pytest.mark.parametrize(("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_SAMPLER", "always_off")])
async def test_nothing_is_sent_that_nobody_wants(collector, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    engine = await opened(collector.settings)
    await engine.deploy(CHILD)
    made = await engine.create("company.team", "child", {}, started_by="local:ann")
    await engine.wait(made.id, timeout=20)
    await engine.stop()
    assert collector.service.requests == []


async def test_a_collector_that_is_away_costs_spans_only(settings, monkeypatch):
    monkeypatch.setattr("engine.runtime.tracing.LAST_WORDS", 0.1)
    away = settings.model_copy(update={"tracing": TracingSettings(endpoint="http://127.0.0.1:9")})
    engine = await opened(away)
    await engine.deploy(CHILD)
    made = await engine.create("company.team", "child", {}, started_by="local:ann")
    assert (await engine.wait(made.id, timeout=20)).state is State.SUCCESS
    await engine.stop()


async def test_without_the_library_the_setting_says_what_to_install(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    asked = settings.model_copy(update={"tracing": TracingSettings(endpoint="http://127.0.0.1:9")})
    with pytest.raises(SettingInvalid, match="OpenTelemetry is not installed"):
        await Engine.open(asked, registry=registry())


async def test_nobody_asked(engine):
    assert isinstance(engine.tracing, NoTracing)
