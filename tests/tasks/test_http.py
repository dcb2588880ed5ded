"""http.Request, http.Download and http.SseRequest against a loopback service."""

import hashlib
import json
import re
import threading

import httpx
import pytest

from engine.errors import TaskFailed
from engine.tasks.address_guard import is_metadata_address
from engine.tasks.outbound import leaves
from tests.wire.certificates import self_signed
from tests.wire.loopback import Answered, Received, serving

REQUEST = "io.kestra.plugin.core.http.Request"
DOWNLOAD = "io.kestra.plugin.core.http.Download"
SSE = "io.kestra.plugin.core.http.SseRequest"


def echo(request: Received) -> Answered:
    match request.path:
        case "/events" | "/short" | "/digest":
            return streamed(request)
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
        case "/letters":
            return Answered(
                "é".encode(request.query["charset"]),
                headers={"Content-Type": f"text/plain; charset={request.query['charset']}"},
            )
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


EVENTS = [
    b": hello\n\nid: 1\nevent: part\nda",
    b'ta: {"text": "Good ", "n": 1}\nretry: 1500\n\n',
    b'data: {"text": "morning", "n": 2}\r\n\r\nda',
    b"ta: two\ndata: lines\n\ndata: {}",
]


def streamed(request: Received) -> Answered:
    match request.path:
        case "/events":
            return Answered(chunks=iter(EVENTS), headers={"Content-Type": "text/event-stream"})
        case "/short":
            return Answered(b"four", headers={"Content-Length": "9", "Connection": "close"})
    return digest(request)


def digest(request: Received) -> Answered:
    """What a service with HTTP Digest does, as RFC 7616 says."""

    def md5(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode()).hexdigest()

    given = dict(re.findall(r'(\w+)="?([^",]+)"?', request.headers.get("authorization", "")))
    expected = md5(
        md5("ann", "shop", "pw"), "n1", given.get("nc", ""), given.get("cnonce", ""), "auth", md5("GET", "/digest")
    )
    if given.get("response") == expected:
        return Answered("welcome")
    return Answered("who?", 401, headers={"WWW-Authenticate": 'Digest realm="shop", nonce="n1", qop="auth"'})


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
        headers={"X-Trace": "{{ flow.id }}", "X-Number": 5, "X-Who": "Zoë"},
        body='{"title": "{{ inputs.title }}"}',
    )
    assert (found.code, found.headers["X-Twice"]) == (200, ["one"])
    said = json.loads(found.body)
    assert said["method"] == "POST"
    assert said["query"] == {"x": "1"}
    assert json.loads(said["body"]) == {"title": 'a "quoted" title\nand a line'}
    assert said["headers"]["content-type"] == "application/json"
    assert (said["headers"]["x-trace"], said["headers"]["x-number"]) == ("a_flow", "5")
    assert said["headers"]["x-who"].encode("latin-1").decode() == "Zoë"
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
    with pytest.raises(TaskFailed, match=r"redirected more than.*lead back to itself"):
        await context.run(type=REQUEST, uri=f"{service.url}/loop")


async def test_headers_of_a_flow_go_along_to_another_service_but_for_credentials(context, service):
    with serving(lambda request: Answered(status=307, headers={"Location": f"{service.url}/echo"})) as before:
        headers = {"X-Api-Key": "k", "Authorization": "Bearer t"}
        await context.run(type=REQUEST, uri=before.url, headers=headers)
        assert service.last.headers["x-api-key"] == "k"
        assert "authorization" not in service.last.headers
        auth = {"type": "BASIC", "username": "ann", "password": "pw"}
        await context.run(type=REQUEST, uri=before.url, options={"auth": auth})
        assert "authorization" in before.last.headers
        assert "authorization" not in service.last.headers


@pytest.mark.parametrize(("code", "body"), [(307, b"a=1"), (308, b"a=1"), (302, b""), (303, b"")])
async def test_what_body_a_redirect_to_another_service_takes_along(context, code, body):
    """RFC 9110: the first two repeat the request, as curl, browsers and httpx do."""
    with (
        serving(lambda request: Answered({})) as other,
        serving(lambda request: Answered(status=code, headers={"Location": other.url})) as first,
    ):
        await context.run(type=REQUEST, uri=first.url, method="POST", body="a=1")
        assert (other.last.method, other.last.body) == ("POST" if body else "GET", body)


@pytest.mark.parametrize(
    ("before", "after", "another"),
    [
        ("https://a.test/x", "https://a.test/y", False),
        ("http://a.test/x", "https://a.test/x", False),
        ("https://a.test/x", "http://a.test/x", True),
        ("http://a.test/x", "https://a.test:8443/x", True),
        ("https://a.test/x", "https://a.test:8443/x", True),
        ("https://a.test/x", "https://a.test.evil.test/x", True),
        ("http://a.test/x", "https://b.test/x", True),
    ],
)
def test_a_redirect_leads_to_another_service(before, after, another):
    assert leaves(httpx.URL(before), httpx.URL(after)) is another


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


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            {"type": "io.kestra.plugin.fs.tcp.Send", "host": "mail..test", "port": 1, "payload": "a"},
            "no name of a machine",
        ),
        (
            {"type": "io.kestra.plugin.fs.sftp.List", "host": "x" * 70, "username": "a", "from_": "/"},
            "no name of a machi",
        ),
        ({"type": REQUEST, "uri": "http://mail..test/"}, "is no name of a"),
        ({"type": "io.kestra.plugin.azure.storage.blob.List", "endpoint": "https://a:b", "container": "c"}, "be read"),
    ],
)
async def test_hosts_that_are_none_are_told(context, task, said):
    with pytest.raises(TaskFailed, match=said):
        await context.run(**task)


async def test_a_mail_server_may_be_named_by_its_ipv6_address(context):
    mail = {"from_": "a@b.test", "to": "c@d.test", "subject": "s", "port": 1}
    with pytest.raises(TaskFailed, match="::1"):
        await context.run(type="io.kestra.plugin.email.MailSend", host="::1", **mail)


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
    assert context.said("is empty", "WARN")
    found = await context.run(type=DOWNLOAD, uri=f"{service.url}/empty", options={"allowFailed": True})
    assert found.length == 0
    with pytest.raises(TaskFailed, match="failed"):
        await context.run(type=DOWNLOAD, uri=f"{service.url}/short")


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


async def test_digest_auth_answers_the_challenge(context, service):
    auth = {"type": "DIGEST", "username": "ann", "password": "pw"}
    found = await context.run(type=REQUEST, uri=f"{service.url}/digest", options={"auth": auth})
    assert (found.body, len(service.requests)) == ("welcome", 2)
    with pytest.raises(TaskFailed, match="answered 401"):
        await context.run(type=REQUEST, uri=f"{service.url}/digest", options={"auth": auth | {"password": "no"}})


async def test_names_of_older_flows(context, service):
    options = {
        "basicAuthUser": "ann",
        "basicAuthPassword": "pw",
        "connectTimeout": "PT1S",
        "readTimeout": "PT2S",
        "logLevel": "TRACE",
        "maxContentLength": 10,
        "connectionPoolIdleTimeout": "PT1S",
    }
    await context.run(type=REQUEST, uri=service.url, body="b", options=options, sslOptions={}, allowFailed=True)
    assert service.last.headers["authorization"] == "Basic YW5uOnB3"
    assert context.said("^b$", "INFO")
    assert context.said("^GET ")
    assert context.said("^200 ")
    port = int(httpx.URL(service.url).port or 0)
    options = {"proxyAddress": "127.0.0.1", "proxyPort": port, "proxyType": "HTTP", "proxyUsername": "u"}
    await context.run(type=REQUEST, uri="http://nowhere.invalid/x", options=options)
    assert service.last.headers["proxy-authorization"].startswith("Basic ")
    options = {"proxyAddress": "127.0.0.1", "proxyPort": port, "proxyType": "DIRECT"}
    with pytest.raises(TaskFailed, match="could not be reached"):
        await context.run(type=REQUEST, uri="http://nowhere.invalid/x", options=options)


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "UTF-16"])
async def test_an_answer_is_read_in_the_charset_it_names(context, service, charset):
    answer = await context.run(type=REQUEST, uri=f"{service.url}/letters?charset={charset}")
    assert answer.body == "é"


async def test_parameters_come_beside_those_of_the_address(context, service):
    uri = f"{service.url}/echo?a=1#part"
    answer = await context.run(type=REQUEST, uri=uri, params={"b": "x y", "c": 2})
    assert json.loads(answer.body)["query"] == {"a": "1", "b": "x y", "c": "2"}


async def test_a_body_in_another_charset(context, service):
    await context.run(type=REQUEST, uri=service.url, method="POST", body="é", options={"defaultCharset": "ISO-8859-1"})
    assert service.last.body == b"\xe9"
    for charset, body in (("US-ASCII", "é"), ("no-such-set", "e")):
        with pytest.raises(TaskFailed, match="cannot be written as"):
            await context.run(type=REQUEST, uri=service.url, body=body, options={"defaultCharset": charset})


async def test_a_body_that_is_a_secret(context, service):
    found = await context.run(type=REQUEST, uri=f"{service.url}/flaky", headers={"x-try": "3"}, encryptBody=True)
    assert (found.body, found.encryptedBody) == (None, "ok")
    assert context.masked == {"ok"}


async def test_events_are_read_to_the_end(context, service):
    found = await context.run(type=SSE, uri=f"{service.url}/events")
    assert [event["data"] for event in found.events] == [
        {"text": "Good ", "n": 1},
        {"text": "morning", "n": 2},
        "two\nlines",
        {},
    ]
    assert found.events[0] | {"data": 0} == {"data": 0, "id": "1", "name": "part", "comment": None, "retry": 1.5}
    assert (found.size, found.result, context.metrics["size"]) == (4, None, 4)
    assert service.last.headers["accept"] == "text/event-stream"


async def test_events_are_joined_by_a_program(context, service):
    uri = f"{service.url}/events"
    found = await context.run(type=SSE, uri=uri, maxEvents=2, concatJqExpression=".data.text")
    assert (found.size, found.events, found.result) == (2, None, "Good morning")
    found = await context.run(type=SSE, uri=uri, maxEvents=2, concatJqExpression="$.data.n")
    assert found.result == "12"
    with pytest.raises(TaskFailed, match=r"failed on the event 'two.*failedOnMissingJq"):
        await context.run(type=SSE, uri=uri, concatJqExpression=".data.text")
    found = await context.run(type=SSE, uri=uri, concatJqExpression=".data.text", failedOnMissingJq=False)
    assert found.result == "Good morning"


async def test_a_stream_is_bounded_and_may_be_refused(make_context, service):
    context = make_context({"http": {"max_body": 20}})
    with pytest.raises(TaskFailed, match="sent more than 20 bytes"):
        await context.run(type=SSE, uri=f"{service.url}/events")
    with pytest.raises(TaskFailed, match="answered 410"):
        await context.run(type=SSE, uri=f"{service.url}/gone")


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (
            {"title": "{{ inputs.title }}", "tags": ["{{ flow.id }}", 5], "deep": {"on": True, "none": None}},
            {"title": 'a "b"\nc', "tags": ["a_flow", 5], "deep": {"on": True, "none": None}},
        ),
        ([1, {"x": "y"}], [1, {"x": "y"}]),
    ],
)
async def test_a_body_written_as_yaml_is_json(make_context, service, body, sent):
    context = make_context(inputs={"title": 'a "b"\nc'})
    found = await context.run(type=REQUEST, uri=service.url, method="POST", body=body)
    assert json.loads(json.loads(found.body)["body"]) == sent


async def test_what_is_logged_of_a_call(context, service):
    asked = {"logs": ["REQUEST_HEADERS", "REQUEST_BODY", "RESPONSE_HEADERS", "RESPONSE_BODY"]}
    headers = {"X-Trace": "traced"}
    await context.run(type=REQUEST, uri=service.url, method="POST", headers=headers, body="sent", options=asked)
    said = [line for _, line in context.lines]
    for wanted in ("sent", "x-trace", "x-twice", '"method": "POST"'):
        assert any(wanted in line.lower() or wanted in line for line in said), (wanted, said)
    context.lines.clear()
    await context.run(type=REQUEST, uri=service.url, method="POST", headers=headers, body="sent")
    assert not any("traced" in line or "x-twice" in line.lower() for _, line in context.lines)


async def test_a_download_may_be_given_a_name(context, service):
    found = await context.run(type=DOWNLOAD, uri=f"{service.url}/file", saveAs="{{ flow.id }}.csv")
    assert found.uri.endswith("/a_flow.csv")
    assert context.files.text(found.uri) == "a,b\n1,2\n"


async def test_how_long_a_service_may_be_silent(context):
    wait = threading.Event()

    def silent(request: Received) -> Answered:
        wait.wait(20)
        return Answered("late")

    with serving(silent) as service:
        limits = {"timeout": {"readIdleTimeout": "{{ 'PT0.2S' }}", "connectTimeout": "PT5S"}}
        with pytest.raises(TaskFailed, match=r"was silent for 0\.2 s"):
            await context.run(type=REQUEST, uri=service.url, options=limits)
        wait.set()


async def test_a_certificate_nobody_vouches_for(context, tmp_path):
    with serving(lambda request: Answered("hello")) as service:
        service.server.socket = self_signed(tmp_path).wrap_socket(service.server.socket, server_side=True)
        uri = service.url.replace("http://", "https://")
        with pytest.raises(TaskFailed, match=r"(?i)certificate"):
            await context.run(type=REQUEST, uri=uri)
        for trusting in (
            {"options": {"ssl": {"insecureTrustAllCertificates": True}}},
            {"sslOptions": {"insecureTrustAllCertificates": "{{ true }}"}},
        ):
            assert (await context.run(type=REQUEST, uri=uri, **trusting)).body == "hello"
