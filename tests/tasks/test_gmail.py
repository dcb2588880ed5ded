"""Gmail, LinkedIn, SurrealDB and Vertex AI's jobs: each in its own JSON, faked at the wire."""

import asyncio
import base64
import email
from datetime import UTC, datetime, timedelta
from email.policy import default

import pytest

from engine.errors import TaskFailed
from engine.plugin import Look
from engine.tasks import catalogue, outbound
from tests.wire.gcp import gcp_service
from tests.wire.loopback import Answered, serving

__all__ = ["gcp_service"]

MAIL = "io.kestra.plugin.googleworkspace.mail"


def packed(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


class Gmail:
    """Somebody's messages, the newest first, and what they sent."""

    def __init__(self):
        self.sent, self.messages, self.page = [], [], 500

    def arrive(self, number, moment, subject="Order"):
        headers = [{"name": "Subject", "value": subject}, {"name": "To", "value": "a@x.test, b@x.test"}]
        parts = [
            {"mimeType": "text/plain", "body": {"data": packed(f"text {number} ü")}},
            {"mimeType": "text/html", "body": {"data": packed("<p>")}},
        ]
        file = {"mimeType": "text/csv", "filename": "a.csv", "body": {"attachmentId": "x", "size": 3}}
        payload = {"headers": headers, "parts": [{"mimeType": "multipart/alternative", "parts": parts}, file]}
        about = {"id": f"m{number}", "threadId": "t", "labelIds": ["INBOX"], "internalDate": str(moment)}
        self.messages.insert(0, {**about, "payload": payload})

    def __call__(self, request):
        if request.path == "/token":
            good = request.form["refresh_token"] == "refresh"
            return Answered({"access_token": "ya29.new"} if good else {"error": "invalid_grant"}, 200 if good else 400)
        if request.headers["authorization"] not in ("Bearer ya29.new", "Bearer mine"):
            return Answered({"error": {"code": 401, "message": "Invalid Credentials"}}, 401)
        path = request.path.removeprefix("/me/")
        if path == "messages/send":
            raw = request.json["raw"]
            self.sent.append(email.message_from_bytes(base64.urlsafe_b64decode(raw + "=="), policy=default))
            return Answered({"id": "s1", "threadId": "t1"})
        if path == "messages":
            self.asked = request.parameters
            after = next((int(word[6:]) for word in request.query.get("q", "").split() if word[:6] == "after:"), 0)
            found = [one for one in self.messages if int(one["internalDate"]) // 1000 >= after]
            begin = int(request.query.get("pageToken", 0))
            rows = [{"id": one["id"], "threadId": "t"} for one in found[begin : begin + self.page]]
            more = {"nextPageToken": str(begin + self.page)} if len(found) > begin + self.page else {}
            return Answered({"messages": rows, **more} if rows else {})
        found = next((one for one in self.messages if path == f"messages/{one['id']}"), None)
        return Answered(found) if found else Answered({"error": {"message": "Requested entity was not found."}}, 404)


@pytest.fixture
def gmail(make_context):
    with serving(service := Gmail()) as wire:
        where = {"google_mail": f"{wire.url}/me", "google_oauth": f"{wire.url}/token"}
        service.context = make_context({"providers": {name: {"base_url": url} for name, url in where.items()}})
        service.who = {"clientId": "c", "clientSecret": "s3cret", "refreshToken": "refresh"}

        async def run(kind, **given):
            return await service.context.run(type=f"{MAIL}.{kind}", **{**service.who, **given})

        service.run = run
        yield service


async def test_mail_out(gmail):
    uri = await gmail.context.files.put(b"a,b\n", "report.csv")
    done = await gmail.run(
        "Send",
        to=["Ann <ann@x.test>", "bob@x.test"],
        bcc=["c@x.test"],
        subject="Report\r\nX: y",
        textBody="See ü",
        htmlBody="<p>See</p>",
        attachments=[uri],
    )
    assert (done.messageId, done.threadId) == ("s1", "t1")
    (message,) = gmail.sent
    assert (message["To"], message["Bcc"], message["Subject"]) == (
        "Ann <ann@x.test>, bob@x.test",
        "c@x.test",
        "Report X: y",
    )
    assert message["From"] is None  # Gmail says whose it is
    kinds = [part.get_content_type() for part in message.walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html", "text/csv"]
    assert message.get_body(("plain",)).get_content().strip() == "See ü"
    await gmail.run("Send", to="ann@x.test", htmlBody="<b>", accessToken="mine", from_="me@x.test")
    assert (gmail.sent[1].get_content_type(), gmail.sent[1]["From"]) == ("text/html", "me@x.test")
    assert {"s3cret", "refresh", "ya29.new", "mine"} <= set(gmail.context.masked)
    with pytest.raises(TaskFailed, match="not a mail address"):
        await gmail.run("Send", to=["nobody"])
    with pytest.raises(TaskFailed, match="400: invalid_grant"):
        await gmail.run("Send", to=["a@x.test"], refreshToken="old")
    with pytest.raises(TaskFailed, match="401: Invalid Credentials"):
        await gmail.run("Send", to=["a@x.test"], accessToken="old")
    with pytest.raises(TaskFailed, match="not said who gets it"):
        await gmail.run("Send", subject="x")
    with pytest.raises(TaskFailed, match="not said who asks"):
        await gmail.run("Send", to=["a@x.test"], refreshToken=None)


async def test_mail_in(gmail):
    gmail.arrive(1, 1_750_000_000_000)
    gmail.arrive(2, 1_750_000_001_000)
    found = await gmail.run("List", query="is:unread", labelIds=["INBOX", "X"], maxResults=7)
    assert [one["id"] for one in found.messages] == ["m2", "m1"]
    assert gmail.asked == {
        "q": ["is:unread"],
        "labelIds": ["INBOX", "X"],
        "maxResults": ["7"],
        "includeSpamTrash": ["false"],
    }
    message = (await gmail.run("Get", messageId="m1")).message
    assert (message["subject"], message["to"], message["textPlain"]) == ("Order", ["a@x.test", "b@x.test"], "text 1 ü")
    assert (message["textHtml"], message["attachments"][0]["filename"]) == ("<p>", "a.csv")
    assert message["internalDate"] == "2025-06-15T15:06:40+00:00"
    with pytest.raises(TaskFailed, match="404: Requested entity was not found"):
        await gmail.run("Get", messageId="none")


def looks(gmail, **given):
    """A look of a trigger after the other, each with the ids that it found."""
    declared = {"id": "t", "type": f"{MAIL}.MailReceivedTrigger", **gmail.who, "query": "x", **given}
    declared["initialLookback"] = "PT1H"
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})

    async def look():
        seen = await trigger.poll(gmail.context)
        assert isinstance(seen, Look)
        gmail.context.memory = dict(seen.memory)
        return seen.found and [one["id"] for one in seen.found["messages"]]

    return look


async def test_mail_that_comes_starts_executions(gmail):
    look, now = looks(gmail, maxMessagesPerPoll=2), int(datetime.now(UTC).timestamp() * 1000)
    assert await look() is None
    gmail.arrive(0, now - int(timedelta(hours=2).total_seconds() * 1000))  # before it began to look
    for number in range(1, 4):
        gmail.arrive(number, now + number)
    assert await look() == ["m1", "m2"]  # the oldest first
    assert await look() == ["m3"]
    assert await look() is None
    gmail.arrive(4, now + 3)  # in the same moment as the last
    gmail.arrive(5, now + 5000)
    assert await look() == ["m4", "m5"]
    assert await look() is None


async def test_mail_of_the_second_before_holds_nothing_up(gmail):
    look, second = looks(gmail, maxMessagesPerPoll=1), int(datetime.now(UTC).timestamp()) * 1000
    gmail.arrive(1, second + 200)
    gmail.arrive(2, second + 1100)
    assert [await look() for _ in range(3)] == [["m1"], ["m2"], None]
    gmail.arrive(3, second + 900)  # late, and older than what was seen
    gmail.arrive(4, second + 9000)
    assert [await look() for _ in range(3)] == [None, ["m4"], None]


async def test_no_mail_is_lost_when_much_comes_at_once(gmail):
    look, second = looks(gmail), int(datetime.now(UTC).timestamp()) * 1000
    gmail.page = 2
    for number in range(1, 6):
        gmail.arrive(number, second + number * 1000)
    assert await look() == ["m1", "m2", "m3", "m4", "m5"]


def linkedin(request):
    if request.path == "/token":
        if request.form["refresh_token"] != "refresh":
            return Answered({"error": "invalid_request", "error_description": "expired"}, 400)
        return Answered({"access_token": "AQX", "expires_in": 60, "scope": "r_organization_social"})
    if request.headers["authorization"] != "Bearer AQX":
        return Answered({"message": "Invalid access token", "status": 401}, 401)
    assert (request.headers["linkedin-version"], request.query["q"]) == ("202509", "entity")
    assert request.path == "/rest/reactions/(entity:urn:li:activity:1)"
    kinds = ("LIKE", "PRAISE", "LIKE")
    rows = [{"id": f"r{n}", "reactionType": kind, "created": {"actor": "p", "time": n}} for n, kind in enumerate(kinds)]
    return Answered({"elements": rows, "paging": {"total": 7}})


async def test_linkedin(context):
    with serving(linkedin) as wire:
        plugin = "io.kestra.plugin.linkedin"
        ask = {"type": f"{plugin}.OAuth2", "clientId": "c", "clientSecret": "s3cret", "tokenUrl": f"{wire.url}/token"}
        token = await context.run(**ask, refreshToken="refresh")
        assert (token.accessToken, token.expiresIn, token.scope) == ("AQX", 60, "r_organization_social")
        assert datetime.fromisoformat(token.expiresAt) > datetime.now(UTC)
        assert {"s3cret", "refresh", "AQX"} <= set(context.masked)
        with pytest.raises(TaskFailed, match="400: invalid_request"):
            await context.run(**ask, refreshToken="old")
        look = {"type": f"{plugin}.GetPostAnalytics", "apiBaseUrl": f"{wire.url}/rest"}
        found = await context.run(**look, accessToken="AQX", activityUrns=["urn:li:activity:1"])
        assert (found.totalPosts, found.totalReactions) == (1, 7)
        assert found.posts[0]["reactionsSummary"] == {"LIKE": 2, "PRAISE": 1}
        assert found.posts[0]["reactions"][1]["actorUrn"] == "p"
        with pytest.raises(TaskFailed, match="401: Invalid access token"):
            await context.run(**look, accessToken="no", activityUrns=["urn:li:activity:1"])


def surreal(request):
    if request.headers["authorization"] != "Basic " + base64.b64encode(b"flows:s3cret").decode():
        return Answered({"code": 401, "description": "Your authentication details are invalid."}, 401)
    assert (request.path, request.headers["surreal-ns"], request.headers["db"]) == ("/sql", "company", "shop")
    text = request.body.decode()
    if "nonsense" in text:
        return Answered([{"status": "OK", "result": []}, {"status": "ERR", "result": "Parse error: nonsense"}])
    if "none" in text:
        return Answered([{"status": "OK", "result": [], "time": "1ms"}])
    rows = [{"id": "order:1", "state": request.query.get("state")}, {"id": "order:2"}]
    return Answered([{"status": "OK", "result": None}, {"status": "OK", "result": rows}, {"status": "OK", "result": 7}])


async def test_surrealdb(context, monkeypatch):
    waits, send = [], outbound.send

    async def sent(*given, options, **more):
        waits.append(options.timeouts().connect)
        return await send(*given, options=options, **more)

    monkeypatch.setattr("engine.tasks.outbound.send", sent)
    with serving(surreal) as wire:
        at = {"host": "127.0.0.1", "port": int(wire.url.rpartition(":")[2]), "namespace": "company"}
        at |= {"database": "shop", "username": "flows", "password": "s3cret"}
        query = {"type": "io.kestra.plugin.surrealdb.Query", **at}
        found = await context.run(**query, query="SELECT", parameters={"state": "open"}, fetchType="FETCH")
        assert found.rows == [{"id": "order:1", "state": "open"}, {"id": "order:2"}, {"value": 7}]
        stored = await context.run(**query, query="SELECT", connectionTimeout=7)
        assert waits == [60, 7]
        assert (stored.size, len(context.files.text(stored.uri).splitlines())) == (3, 3)
        with pytest.raises(TaskFailed, match="refused: Parse error: nonsense"):
            await context.run(**query, query="nonsense")
        with pytest.raises(TaskFailed, match="answered 401"):
            await context.run(**{**query, "password": "no"}, query="SELECT")
        declared = {"id": "t", "type": "io.kestra.plugin.surrealdb.Trigger", **at, "query": "{{ 'none' }}"}
        for text, size in (("none", None), ("SELECT", 3)):
            declared["query"] = text
            trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
            seen = await trigger.poll(context)
            assert (seen and seen.size) == size
    assert "s3cret" in context.masked


class Jobs:
    """Training jobs, which end at the second look."""

    def __init__(self, ends):
        self.ends, self.looks, self.deleted, self.cancelled = ends, 0, False, False

    def __call__(self, request):
        name = "projects/parley/locations/eu/customJobs/7"
        if request.path == f"/{name}:cancel":
            self.cancelled = True
            return Answered({})
        if request.method == "POST":
            assert request.path == "/projects/parley/locations/eu/customJobs"
            self.made = request.json
            return Answered({"name": name, "state": "JOB_STATE_QUEUED", "createTime": "2026-01-01T00:00:00Z"})
        assert request.path == f"/{name}"
        if request.method == "DELETE":
            self.deleted = True
            return Answered({"done": False})
        self.looks += 1
        ended = {"endTime": "2026-01-01T01:00:00Z", "state": self.ends, "error": {"message": "Out of memory"}}
        return Answered({"name": name, "state": "JOB_STATE_RUNNING", **(ended if self.looks == 2 else {})})


async def test_jobs_of_vertex_ai(make_context, gcp_service, monkeypatch):
    monkeypatch.setattr("engine.tasks.gcp.vertexai.EVERY", timedelta(seconds=0.01))
    pool = {
        "containerSpec": {"imageUri": "eu/train:1", "commands": ["run"], "args": ["{{ 1 + 1 }}"], "env": {"A": 1}},
        "machineSpec": {"machineType": "n1", "acceleratorCount": 1, "acceleratorType": "NVIDIA_TESLA_T4"},
        "discSpec": {"bootDiskType": "PD_STANDARD"},
        "replicaCount": 2,
    }
    spec = {
        "workerPoolSpecs": [pool],
        "scheduling": {"timeOut": "PT1H"},
        "baseOutputDirectory": {"outputUriPrefix": "gs://b"},
    }
    job = {"type": "io.kestra.plugin.gcp.vertexai.CustomJob", "serviceAccount": gcp_service.service_account}
    job |= {"region": "eu", "displayName": "Nightly", "spec": spec}

    async def run(ends="JOB_STATE_SUCCEEDED", **given):
        with serving(service := Jobs(ends)) as wire:
            context = make_context({"providers": {"gcp_vertexai": {"base_url": wire.url}}})
            return await context.run(**job, **given), service

    done, service = await run()
    assert (done.state, done.endDate, service.deleted) == ("JOB_STATE_SUCCEEDED", "2026-01-01T01:00:00Z", True)
    assert service.made == {
        "displayName": "Nightly",
        "jobSpec": {
            "workerPoolSpecs": [
                {
                    "containerSpec": {
                        "imageUri": "eu/train:1",
                        "command": ["run"],
                        "args": ["2"],
                        "env": [{"name": "A", "value": "1"}],
                    },
                    "machineSpec": {
                        "machineType": "n1",
                        "acceleratorCount": 1,
                        "acceleratorType": "NVIDIA_TESLA_T4",
                    },
                    "diskSpec": {"bootDiskType": "pd-standard", "bootDiskSizeGb": 100},
                    "replicaCount": 2,
                }
            ],
            "scheduling": {"timeout": "3600s"},
            "baseOutputDirectory": {"outputUriPrefix": "gs://b"},
        },
    }
    done, service = await run(wait=False)
    assert (done.state, service.looks) == ("JOB_STATE_QUEUED", 0)
    assert not (await run(delete=False))[1].deleted
    with pytest.raises(TaskFailed, match="ended as JOB_STATE_FAILED: Out of memory"):
        await run("JOB_STATE_FAILED")


async def test_a_killed_job_of_vertex_ai_is_cancelled(make_context, gcp_service, monkeypatch):
    monkeypatch.setattr("engine.tasks.gcp.vertexai.EVERY", timedelta(minutes=1))
    pool = {"containerSpec": {"imageUri": "eu/train:1"}, "machineSpec": {"machineType": "n1"}}
    job = {"type": "io.kestra.plugin.gcp.vertexai.CustomJob", "serviceAccount": gcp_service.service_account}
    job |= {"region": "eu", "displayName": "Nightly", "spec": {"workerPoolSpecs": [pool]}}
    with serving(service := Jobs("JOB_STATE_SUCCEEDED")) as wire:
        context = make_context({"providers": {"gcp_vertexai": {"base_url": wire.url}}})
        running = asyncio.create_task(context.run(**job))
        while not service.looks:
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert service.cancelled
