"""http.Request and http.Download against a loopback service."""

import json

import httpx
import pytest

from engine.errors import TaskFailed
from engine.tasks.address_guard import is_metadata_address
from tests.wire.loopback import Answered, Received, serving

REQUEST = "io.kestra.plugin.core.http.Request"
DOWNLOAD = "io.kestra.plugin.core.http.Download"


def echo(request: Received) -> Answered:
    match request.path:
        case "/redirect":
            return Answered(status=302, headers={"Location": "/echo"})
        case "/loop":
            return Answered(status=302, headers={"Location": "/loop"})
        case "/to-metadata":
            return Answered(status=302, headers={"Location": "http://169.254.169.254/latest"})
        case "/gone":
            return Answered("This endpoint is deprecated.", 410)
        case "/big":
            return Answered(b"x" * 5000)
        case "/binary":
            return Answered(b"\xff\xfe\x00")
        case "/file":
            return Answered(b"a,b\n1,2\n", headers={"Content-Disposition": 'attachment; filename="../rep ort.csv"'})
        case "/empty":
            return Answered(b"")
        case "/flaky":
            return Answered("later", 503) if request.headers.get("x-try") != "3" else Answered("ok")
    return Answered(
        {
            "method": request.method,
            "query": request.query,
            "headers": {key.lower(): value for key, value in request.headers.items()},
            "body": request.body.decode("latin-1"),
        },
        headers={"X-Twice": "one"},
    )


@pytest.fixture
def service():
    with serving(echo) as service:
        yield service


async def test_request_sends_and_hands_on(make_context, service):
    context = make_context(inputs={"title": 'a "quoted" title\nand a line'})
    found = await context.run(
        type=REQUEST,
        uri=f"{service.url}/a path?x=1",
        method="POST",
        headers={"X-Trace": "{{ flow.id }}", "X-Number": 5},
        body='{"title": "{{ inputs.title }}"}',
    )
    assert (found.code, found.headers["X-Twice"]) == (200, ["one"])
    said = json.loads(found.body)
    assert said["method"] == "POST"
    assert said["query"] == {"x": "1"}
    assert json.loads(said["body"]) == {"title": 'a "quoted" title\nand a line'}
    assert said["headers"]["content-type"] == "application/json"
    assert (said["headers"]["x-trace"], said["headers"]["x-number"]) == ("a_flow", "5")
    assert service.last.path == "/a path"
    assert context.metrics["request.count"] == 1


async def test_a_form(context, service):
    await context.run(
        type=REQUEST,
        uri=service.url,
        method="POST",
        contentType="application/x-www-form-urlencoded",
        formData={"a": "x y", "b": {"c": 1}},
    )
    assert service.last.form == {"a": "x y", "b": '{"c": 1}'}


async def test_multipart(context, service):
    uri = await context.files.put(b"stored", "stored.txt")
    form = {"file": uri, "named": {"name": "n.csv", "content": "a,b"}, "text": "plain", "map": {"x": 1}}
    await context.run(type=REQUEST, uri=service.url, method="POST", contentType="multipart/form-data", formData=form)
    assert service.last.parts == {
        "file": ("stored.txt", b"stored"),
        "named": ("n.csv", b"a,b"),
        "text": (None, b"plain"),
        "map": (None, b'{"x": 1}'),
    }


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"type": "BASIC", "username": "ann", "password": "pw"}, "Basic YW5uOnB3"),
        ({"type": "BEARER", "token": "{{ secret('TOKEN') }}"}, "Bearer t0ken"),
    ],
)
async def test_auth(context, service, auth, header):
    context.secrets["TOKEN"] = "t0ken"
    await context.run(type=REQUEST, uri=service.url, options={"auth": auth})
    assert service.last.headers["authorization"] == header
    await context.run(type=REQUEST, uri=service.url, auth=auth)
    assert service.last.headers["authorization"] == header


async def test_redirects(context, service):
    found = await context.run(type=REQUEST, uri=f"{service.url}/redirect")
    assert found.uri == f"{service.url}/echo"
    found = await context.run(type=REQUEST, uri=f"{service.url}/redirect", options={"followRedirects": False})
    assert found.code == 302
    with pytest.raises(TaskFailed, match="redirected more than"):
        await context.run(type=REQUEST, uri=f"{service.url}/loop")


async def test_refusals_fail_unless_allowed(context, service):
    with pytest.raises(TaskFailed, match=r"answered 410: This endpoint is deprecated.*successor"):
        await context.run(type=REQUEST, uri=f"{service.url}/gone")
    assert (await context.run(type=REQUEST, uri=f"{service.url}/gone", options={"allowFailed": True})).code == 410
    assert (
        await context.run(type=REQUEST, uri=f"{service.url}/gone", options={"allowedResponseCodes": [410]})
    ).code == 410
    with pytest.raises(TaskFailed, match="answered 200"):
        await context.run(type=REQUEST, uri=f"{service.url}/echo", options={"allowedResponseCodes": [201]})


async def test_what_cannot_be_reached(context):
    with pytest.raises(TaskFailed, match=r"could not be reached"):
        await context.run(type=REQUEST, uri="http://127.0.0.1:1/")
    with pytest.raises(TaskFailed, match="not an http or https address"):
        await context.run(type=REQUEST, uri="file:///etc/passwd")


async def test_bodies_are_bounded(make_context, service):
    context = make_context({"http": {"max_body": 1000}})
    with pytest.raises(TaskFailed, match="more than 1000 bytes"):
        await context.run(type=REQUEST, uri=f"{service.url}/big")
    with pytest.raises(TaskFailed, match=r"not UTF-8 text.*Download"):
        await context.run(type=REQUEST, uri=f"{service.url}/binary")


async def test_status_codes_are_retried(context, service):
    options = {"retryOnStatusCodes": [503], "retry": {"type": "constant", "interval": "PT0.01S", "maxAttempts": 3}}
    with pytest.raises(TaskFailed, match="answered 503"):
        await context.run(type=REQUEST, uri=f"{service.url}/flaky", options=options)
    assert len(service.requests) == 3


async def test_operators_move_addresses(make_context, todoist):
    settings = {"urls": {"https://api.todoist.com/rest/v2/": f"{todoist.url}/api/v1/"}}
    context = make_context(settings)
    await context.run(
        type=REQUEST,
        uri="https://api.todoist.com/rest/v2/tasks",
        method="POST",
        headers={"Authorization": "Bearer x"},
        body='{"content": "Buy milk"}',
    )
    assert todoist.tasks == [{"id": "task1", "content": "Buy milk"}]


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",  # the same as a number
        "http://0xa9fea9fe/",
        "http://metadata.google.internal/",
    ],
)
async def test_metadata_services_are_refused(context, uri):
    with pytest.raises(TaskFailed, match="link-local address"):
        await context.run(type=REQUEST, uri=uri)


async def test_a_redirect_to_a_metadata_service_is_refused(context, service):
    with pytest.raises(TaskFailed, match=r"169\.254\.169\.254 is a link-local address"):
        await context.run(type=REQUEST, uri=f"{service.url}/to-metadata")


@pytest.mark.parametrize(("address", "refused"), [("127.0.0.1", False), ("fd00:ec2::254", True), ("name", False)])
def test_addresses(address, refused):
    assert is_metadata_address(address) is refused


async def test_download(context, service):
    found = await context.run(type=DOWNLOAD, uri=f"{service.url}/file")
    assert (found.length, context.files.text(found.uri)) == (8, "a,b\n1,2\n")
    assert found.uri.endswith("/rep ort.csv")
    with pytest.raises(TaskFailed, match="empty file"):
        await context.run(type=DOWNLOAD, uri=f"{service.url}/empty")
    assert (await context.run(type=DOWNLOAD, uri=f"{service.url}/empty", failOnEmptyResponse=False)).length == 0
    with pytest.raises(TaskFailed, match="answered 410"):
        await context.run(type=DOWNLOAD, uri=f"{service.url}/gone")
    assert not list(context.working_dir.iterdir())


async def test_line_breaks_do_not_enter_headers(make_context, service):
    context = make_context(inputs={"x": "a\r\nX-Evil: 1"})
    with pytest.raises(TaskFailed, match="line break"):
        await context.run(type=REQUEST, uri=service.url, headers={"X-Given": "{{ inputs.x }}"})


async def test_a_proxy_is_used(context, service):
    port = int(httpx.URL(service.url).port or 0)
    options = {"proxy": {"address": "127.0.0.1", "port": port}}
    found = await context.run(type=REQUEST, uri="http://nowhere.invalid/x", options=options)
    assert found.code == 200
    assert service.last.headers["host"] == "nowhere.invalid"
