"""http() in expressions: what goes over the wire, what comes back as a value, and what keeps it from doing harm."""

import asyncio
import threading
from datetime import timedelta

import pytest

from engine.core.state import State
from engine.errors import ExpressionFailed
from engine.expressions import Services, evaluate, render
from engine.expressions.allowance import Allowance, enter
from engine.http_function import HttpFunction
from engine.runtime import Engine
from engine.settings import Settings
from tests.runtime.marks import registry
from tests.runtime.test_schedules import at_rest
from tests.wire.loopback import Answered, serving

RETURN = "type: io.kestra.plugin.core.debug.Return"


JSON = {"Content-Type": "application/json"}
FIXED = {
    "/redirect": Answered(status=302, headers={"Location": "/echo"}),
    "/to-metadata": Answered(status=302, headers={"Location": "http://169.254.169.254/latest"}),
    "/loop": Answered(status=307, headers={"Location": "/loop"}),
    "/text": Answered("30 °C; {{ secret('X') }}"),
    "/yaml": Answered("n: [1, 2]", headers={"Content-Type": "application/yaml"}),
    "/latin": Answered("é".encode("latin-1"), headers={"Content-Type": "text/plain; charset=latin-1"}),
    "/nothing": Answered(status=204),
    "/broken": Answered("{oh", headers={"Content-Type": "application/problem+json"}),
    "/binary": Answered(b"\xff\xfe\x00"),
    "/big": Answered(b"x" * 5_000),
    "/deep": Answered("[" * 500 + "]" * 500, headers=JSON),
    "/gone": Answered({"error": "no such ticket"}, 404),
    "/list": Answered(["red", "blue"]),
}


def answer(request):
    if request.path in FIXED:
        return FIXED[request.path]
    told = {name.lower(): value for name, value in request.headers.items()}
    return Answered(
        {"method": request.method, "query": request.query, "headers": told, "body": request.body.decode("latin-1")}
    )


@pytest.fixture
def service():
    with serving(answer) as running:
        yield running


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def ask(service, tmp_path, warnings):
    """Evaluates an expression in which `url` is the service."""
    settings = Settings(data=tmp_path, http={"max_body": 4_000})
    services = Services(http=HttpFunction(settings, warnings.append))
    return lambda text, **values: evaluate(f"{{{{ {text} }}}}", {"url": service.url, **values}, services)


def test_json_comes_back_as_a_value(ask, service):
    assert ask("http(url ~ '/echo').method") == "GET"
    assert service.last.headers["accept"] == "application/json"
    assert service.last.headers["user-agent"] == "Parley"
    assert "content-type" not in service.last.headers


def test_the_query_may_be_in_the_address_and_beside_it(ask, service):
    ask("http(uri=url ~ '/echo', query={'q': 'a b&c', 'n': 3, 'ok': true})")
    assert service.last.query == {"q": "a b&c", "n": "3", "ok": "true"}
    ask("http(url ~ '/echo?q=1')")
    assert service.last.query == {"q": "1"}
    ask("http(url ~ '/echo?q=1', query={'r': [2, 3]})")
    assert service.last.path == "/echo"
    assert service.last.query == {"q": "1", "r": "3"}


@pytest.mark.parametrize(
    ("body", "kind", "sent"),
    [
        ("{'a': [1, 'é']}", "application/json", '{"a":[1,"é"]}'),
        ("'as it is'", "application/json", "as it is"),
        ("{'a': 1, 'b': [2, 3]}", "application/x-www-form-urlencoded", "a=1&b=2&b=3"),
        ("{'a': 1}", "application/yaml", "a: 1\n"),
        ("{'a': 1}", "application/vnd.api+json; charset=utf-8", '{"a":1}'),
        ("12", "text/plain", "12"),
    ],
)
def test_the_body_is_written_as_its_content_type_says(ask, service, body, kind, sent):
    ask(f"http(url ~ '/echo', 'POST', body={body}, contentType='{kind}', headers={{'Content-Type': 'text/html'}})")
    assert (service.last.method, service.last.body.decode()) == ("POST", sent)
    assert service.last.headers.get_all("content-type") == [kind]


def test_header_values_may_be_lists(ask, service):
    ask("http(url ~ '/echo', headers={'X-One': 'a', 'X-Many': ['b', 'c'], 'Accept': 'x/y'}, accept='text/csv')")
    assert (service.last.headers["x-one"], service.last.headers["x-many"]) == ("a", "b, c")
    assert service.last.headers.get_all("accept") == ["text/csv"]


def test_answers_are_read_by_their_content_type(ask):
    assert ask("http(url ~ '/yaml').n") == [1, 2]
    assert ask("http(url ~ '/text')") == "30 °C; {{ secret('X') }}"
    assert ask("http(url ~ '/latin')") == "é"
    assert ask("http(url ~ '/nothing')") is None
    assert ask("http(url ~ '/redirect').query") == {}


def test_what_came_is_never_a_template(ask):
    assert ask("render(http(url ~ '/text'))") == "30 °C; {{ secret('X') }}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http(url ~ '/gone')", r"GET http\S+/gone answered 404: .*no such ticket"),
        ("http(url ~ '/gone') ?? 'else'", "answered 404"),
        ("http(url ~ '/redirect', options={'followRedirects': false})", "answered 302"),
        ("http(url ~ '/echo', options={'allowedResponseCodes': [201]})", "answered 200"),
        ("http(url ~ '/broken')", "says it answers with JSON, but does not"),
        ("http(url ~ '/binary')", "not UTF-8 text"),
        ("http(url ~ '/big')", "more than 4000 bytes"),
        ("http(url ~ '/deep')", "levels deep|says it answers with JSON"),
        ("http(url ~ '/loop')", "redirected more than"),
        ("http(url ~ '/to-metadata')", "169.254.169.254 is a link-local address"),
        ("http('http://169.254.169.254/latest/meta-data')", "link-local address"),
        ("http('http://[::ffff:a9fe:a9fe]/')", "link-local address"),
        ("http('http://metadata.google.internal/')", "link-local address"),
        ("http('file:///etc/passwd')", "not an http or https address"),
        ("http('')", "takes a text for 'uri'"),
        ("http('http://127.0.0.1:1/')", "could not be reached"),
        ("http(url, headers='a')", "takes a map for 'headers'"),
        ("http(url, headers={'X': 'a\nb'})", "line break"),
        ("http(url, options={'folowRedirects': false})", r"`options\.folowRedirects`"),
        ("http(url, 'POST', body={'a': 1}, contentType='image/png')", "can't write this body as 'image/png'"),
    ],
)
def test_what_goes_wrong_is_said(ask, text, said):
    with pytest.raises(ExpressionFailed, match=said):
        ask(text)


def test_options_are_those_of_the_task(ask, service):
    ask("http(url ~ '/echo', options={'auth': {'type': 'BEARER', 'token': 't0ken'}})")
    assert service.last.headers["authorization"] == "Bearer t0ken"
    ask("http(url ~ '/echo', options={'basicAuthUser': 'u', 'basicAuthPassword': 'p'})")
    assert service.last.headers["authorization"].startswith("Basic ")
    assert ask("http(url ~ '/gone', options={'allowFailed': true}).error") == "no such ticket"


def test_all_calls_of_a_render_share_its_wait(ask):
    allowance = Allowance()
    allowance.wait = 0.0
    before = enter(allowance)
    try:
        with pytest.raises(ExpressionFailed, match="keeps the template waiting"):
            HttpFunction(Settings(), print)(
                "http://127.0.0.1:9/", method="GET", query=None, body=None, content_type=None, headers=None,
                options=None, accept=None,
            )  # fmt: skip
    finally:
        enter(before)


async def test_the_event_loop_is_never_kept_waiting(ask):
    with pytest.raises(ExpressionFailed, match="not available here"):
        ask("http(url)")


def test_a_render_calls_fifty_times_at_most(service):
    services = Services(http=HttpFunction(Settings(), print))
    with pytest.raises(ExpressionFailed, match="steps"):
        render("{% for i in range(1, 60) %}{{ http(url) }}{% endfor %}", {"url": service.url}, services)
    assert len(service.requests) <= 50


# In flows


async def test_a_flow_calls_where_it_decides_and_where_it_works(service, deploy, run):
    await deploy(f"""
inputs:
  - {{id: color, type: SELECT, expression: "{{{{ http('{service.url}/list') }}}}"}}
checks:
  - {{condition: "{{{{ http('{service.url}/list') contains 'red' }}}}", message: never}}
tasks:
  - {{id: a, {RETURN}, format: "{{{{ http('{service.url}/echo').method }}}} {{{{ inputs.color }}}}"}}
  - {{id: b, {RETURN}, runIf: "{{{{ http('{service.url}/list') | length > 2 }}}}", format: x}}
  - id: c
    type: io.kestra.plugin.core.flow.ForEach
    values: "{{{{ http('{service.url}/list') }}}}"
    tasks: [{{id: d, {RETURN}, format: "{{{{ taskrun.value }}}}"}}]
  - {{id: e, {RETURN}, format: "{{{{ http('{service.url}/gone') }}}}"}}
""")
    ended = await run({"color": "blue"})
    states = [(r.task_id, r.state) for r in ended.task_runs.values()]
    assert states == [
        ("a", State.SUCCESS), ("b", State.SKIPPED), ("c", State.SUCCESS), ("d", State.SUCCESS), ("d", State.SUCCESS),
        ("e", State.FAILED),
    ]  # fmt: skip
    assert next(iter(ended.task_runs.values())).outputs == {"value": "GET blue"}


async def test_a_form_whose_options_can_not_be_asked_for_shows_no_secret(service, engine, deploy, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_TOKEN", "hunter2 hunter2")
    await deploy(f"""
inputs:
  - id: color
    type: SELECT
    expression: "{{{{ http('{service.url}/gone', query={{'t': secret('TOKEN')}}) }}}}"
tasks: [{{id: a, {RETURN}, format: x}}]
""")
    found = await engine.check_inputs(engine.flows.get("company.team", "f"), {"color": "red"})
    (problem,) = found.problems
    assert "answered 404" in problem.message
    assert service.last.query == {"t": "hunter2 hunter2"}
    assert "hunter2" not in problem.message


async def test_triggers_call_too_but_not_while_dates_are_looked_for(engine, service):
    url = service.url
    await engine.deploy(f"""
id: f
namespace: company.team
inputs: [{{id: n, type: STRING, defaults: none}}]
tasks: [{{id: a, {RETURN}, format: "{{{{ inputs.n }}}}"}}]
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: k
    when: "{{{{ http('{url}/list') contains trigger.body.color }}}}"
    inputs: {{n: "{{{{ http('{url}/list') | first }}}}"}}
  - id: up
    type: io.kestra.plugin.core.trigger.Flow
    when: "{{{{ http('{url}/list') | length == 2 }}}}"
    inputs: {{n: "{{{{ http('{url}/list') | last }}}}"}}
""")
    assert await engine.webhooks.fire("company.team", "f", "k", body='{"color": "green"}') is None
    made = await engine.webhooks.fire("company.team", "f", "k", body='{"color": "red"}')
    assert made.inputs == {"n": "red"}
    await engine.deploy(f"id: other\nnamespace: company.team\ntasks: [{{id: a, {RETURN}, format: x}}]")
    await engine.wait((await engine.create("company.team", "other", {}, started_by="local:ann")).id, timeout=20)
    await at_rest(engine)
    assert {"n": "blue"} in [one.inputs for one in await engine.executions(flow_id="f")]


async def test_a_schedule_whose_conditions_call_fails_and_says_why(engine, service, clock):
    await engine.deploy(f"""
id: f
namespace: company.team
tasks: [{{id: a, {RETURN}, format: x}}]
triggers:
  - id: dates
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 8 * * *"
    when: "{{{{ http('{service.url}/list') | length == 2 }}}}"
""")
    clock.jump(timedelta(minutes=1))
    await at_rest(engine)
    (made,) = await engine.executions(flow_id="f")
    assert made.state is State.FAILED
    assert service.requests == []


async def test_a_slow_service_holds_up_only_who_asks_it(settings):
    """The one that asks is still waiting when others have been decided upon and have ended."""
    free = threading.Event()

    def slow(request):
        free.wait(20)
        return Answered([1])

    engine = await Engine.open(settings, registry=registry())
    await engine.start(watch=False)
    try:
        with serving(slow) as service:
            await engine.deploy(
                f"id: slow\nnamespace: company.team\ntasks: "
                f"[{{id: a, {RETURN}, runIf: \"{{{{ http('{service.url}') }}}}\", format: x}}]"
            )
            await engine.deploy(
                f"id: quick\nnamespace: company.team\ntasks: "
                f"[{{id: a, {RETURN}, format: \"{{{{ kv('x', errorOnMissing=false) }}}}\"}}]"
            )
            waiting = [await engine.create("company.team", "slow", {}, started_by="local:ann") for _ in range(12)]
            while len(service.requests) < 12:
                await asyncio.sleep(0.01)
            quick = await engine.create("company.team", "quick", {}, started_by="local:ann")
            assert (await engine.wait(quick.id, timeout=20)).state is State.SUCCESS
            assert (await engine.execution(waiting[0].id)).state is not State.SUCCESS
            free.set()
            for one in waiting:
                assert (await engine.wait(one.id, timeout=20)).state is State.SUCCESS
    finally:
        free.set()
        await engine.stop(grace=0)
