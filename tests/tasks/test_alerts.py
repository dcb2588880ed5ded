"""Zulip, LINE, Sentry, and the services that page people."""

import json

import pytest

from engine.errors import TaskFailed
from engine.tasks.sentry import endpoint
from tests.wire.loopback import Answered, serving

PLUGIN = "io.kestra.plugin"


@pytest.fixture
def service():
    with serving(lambda request: Answered({"ok": True})) as running:
        yield running


@pytest.mark.parametrize(
    "kind",
    [
        "zulip.ZulipIncomingWebhook",
        "pagerduty.PagerDutyAlert",
        "opsgenie.OpsgenieAlert",
        "zenduty.ZendutyAlert",
        "squadcast.SquadcastIncomingWebhook",
    ],
)
@pytest.mark.parametrize("family", ["io.kestra.plugin", "io.kestra.plugin.notifications"])
async def test_the_flow_s_own_document(make_context, service, family, kind):
    context = make_context(inputs={"x": 'a "quote"'})
    await context.run(type=f"{family}.{kind}", url=service.url, payload='{"text": "{{ inputs.x }}"}')
    assert service.last.json == {"text": 'a "quote"'}
    assert service.url in context.masked
    with pytest.raises(TaskFailed):
        await context.run(type=f"{family}.{kind}", url=service.url, payload="not json")


EXECUTIONS = [
    ("zulip.ZulipExecution", {"channel": "#a", "iconEmoji": ":x:"}, {"channel": "#a", "icon_emoji": ":x:"}),
    ("opsgenie.OpsgenieExecution", {"priority": "P1", "tags": ["t"]}, {"priority": "P1", "tags": ["t"]}),
    ("opsgenie.OpsgenieExecution", {"responders": {"1": "team"}}, {"responders": [{"id": "1", "type": "team"}]}),
    ("zenduty.ZendutyExecution", {"alertType": "CRITICAL", "summary": "s"}, {"alert_type": "critical", "summary": "s"}),
    ("zenduty.ZendutyExecution", {}, {"entity_id": "01EXECUTION", "message": "[company.ai] a_flow ➛ FAILED"}),
    ("squadcast.SquadcastExecution", {"tags": {"a": 1}}, {"tags": {"a": "1"}, "event_id": "01EXECUTION"}),
    ("pagerduty.PagerDutyExecution", {"routingKey": "k"}, {"routing_key": "k", "event_action": "trigger"}),
    ("pagerduty.PagerDutyExecution", {"eventAction": "resolve", "deduplicationKey": "d"}, {"dedup_key": "d"}),
]


@pytest.mark.parametrize(
    ("state", "given", "expected"),
    [("FAILED", {}, "error"), ("SUCCESS", {}, "info"), ("SUCCESS", {"severity": "CRITICAL"}, "critical")],
)
async def test_how_severe_an_execution_is(make_context, service, state, given, expected):
    context = make_context()
    context.state = state
    await context.run(type=f"{PLUGIN}.pagerduty.PagerDutyExecution", url=service.url, **given)
    assert service.last.json["payload"]["severity"] == expected


@pytest.mark.parametrize(("kind", "given", "expected"), EXECUTIONS)
async def test_a_summary_of_an_execution(make_context, service, kind, given, expected):
    context = make_context({"public_url": "https://flows.test"})
    context.state = "FAILED"
    task = {"customFields": {"Customer": "ACME"}, "customMessage": "Look", "templateRenderMap": {"a": 1}, **given}
    await context.run(type=f"{PLUGIN}.{kind}", url=service.url, **task)
    sent = service.last.json
    assert {key: sent[key] for key in expected} == expected
    assert "https://flows.test/ui/executions/company.ai/a_flow/01EXECUTION" in service.last.body.decode()
    assert "ACME" in service.last.body.decode()


async def test_opsgenie_is_told_who_asks(context, service):
    for given, sent in (("abc", "GenieKey abc"), ("GenieKey abc", "GenieKey abc")):
        task = {"type": f"{PLUGIN}.opsgenie.OpsgenieAlert", "url": service.url, "payload": "{}"}
        await context.run(**task, authorizationToken=given)
        assert service.last.headers["authorization"] == sent
        assert given in context.masked


async def test_a_refusal_is_told(context):
    with (
        serving(lambda request: Answered({"message": "Invalid routing key"}, 400)) as refusing,
        pytest.raises(TaskFailed, match=r"PagerDuty answered 400: .*Invalid routing key"),
    ):
        await context.run(type=f"{PLUGIN}.pagerduty.PagerDutyAlert", url=refusing.url, payload="{}")


async def test_line(make_context, service):
    context = make_context()
    task = {"type": f"{PLUGIN}.notifications.line.LineExecution", "url": service.url, "channelAccessToken": "t0ken"}
    await context.run(**task, recipientIds=["U1", "U2"], customMessage="Look")
    first, second = (request.json for request in service.requests)
    assert (first["to"], second["to"]) == ("U1", "U2")
    assert first["messages"][0]["text"].startswith("Look\n[company.ai] a_flow")
    assert service.last.headers["authorization"] == "Bearer t0ken"
    await context.run(**task, recipientIds=["U1"], textBody="word " * 6000)
    assert [len(request.json["messages"]) for request in service.requests[2:]] == [5, 1]
    with pytest.raises(TaskFailed, match="is empty"):
        await context.run(**task, recipientIds=[])


async def test_line_tells_all_followers(context, service):
    task = {"type": f"{PLUGIN}.line.LineExecution", "channelAccessToken": "t0ken", "customMessage": "Look"}
    for url in (service.url, f"{service.url}/", f"{service.url}/v2/bot/message/broadcast"):
        await context.run(**task, url=url)
        assert service.last.path == "/v2/bot/message/broadcast"
        assert list(service.last.json) == ["messages"]
        assert service.last.json["messages"][0]["text"].startswith("Look\n")


async def test_sentry(context, service):
    dsn = service.url.replace("http://", "http://abc123@") + "/42"
    await context.run(type=f"{PLUGIN}.sentry.SentryAlert", dsn=dsn, payload='{"message": "ü"}', eventId="a" * 32)
    head, item, event = service.last.body.decode().splitlines()
    assert service.last.path == "/api/42/envelope/"
    assert "sentry_key=abc123" in service.last.headers["x-sentry-auth"]
    assert json.loads(head)["event_id"] == json.loads(event)["event_id"] == "a" * 32
    assert json.loads(item)["length"] == len(event.encode())
    await context.run(type=f"{PLUGIN}.notifications.sentry.SentryAlert", dsn=dsn, endpointType="STORE")
    assert service.last.path == "/api/42/store/"
    assert service.last.json["message"] == {"message": "Execution 01EXECUTION failed"}
    given = {"level": "WARNING", "extra": {"a": 1}, "endpointType": "STORE", "payload": "of {{ inputs.nobody }}"}
    await context.run(type=f"{PLUGIN}.sentry.SentryExecution", dsn=dsn, **given)
    sent = service.last.json
    assert (sent["level"], sent["extra"]["a"], sent["extra"]["Flow ID"]) == ("warning", 1, "a_flow")
    assert dsn in context.masked
    with pytest.raises(TaskFailed, match="32 hexadecimal"):
        await context.run(type=f"{PLUGIN}.sentry.SentryAlert", dsn=dsn, eventId="x")


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("https://k@o1.ingest.sentry.io/7", ("https://o1.ingest.sentry.io/api/7/envelope/", "k")),
        ("https://k@own.test:9000/sub/7", ("https://own.test:9000/sub/api/7/envelope/", "k")),
        ("https://proxy.test/events", ("https://proxy.test/events", "")),
    ],
)
def test_where_events_go(dsn, expected):
    assert endpoint(dsn, "ENVELOPE") == expected
