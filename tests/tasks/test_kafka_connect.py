"""Connectors of Kafka Connect, over its REST API."""

import base64
import json

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.kafka_connect import settings
from tests.wire.loopback import Answered, serving

KAFKA = "io.kestra.plugin.kafka"
SINK = {"connector.class": "FileStreamSink", "topics": "orders", "tasks.max": 2, "connection.password": "s3cret-db"}


class Connect:
    """A worker: connectors by name, with their settings, state and offsets."""

    def __init__(self):
        self.connectors = {}
        self.asked = []

    def answer(self, request):
        if request.headers["Authorization"] != "Basic " + base64.b64encode(b"ann:pass word").decode():
            return Answered("<html>401</html>", 401)
        self.asked.append((request.method, request.path, request.query))
        path = request.path.removeprefix("/connectors").strip("/").split("/")
        if path == [""]:
            return self._all(request)
        name, what = path[0], path[1] if len(path) > 1 else ""
        if (request.method, what) == ("PUT", "config"):
            return self._kept(name, request.json)
        if name not in self.connectors:
            return Answered({"error_code": 404, "message": f"Connector {name} not found"}, 404)
        if what == "offsets" and request.method != "GET":
            return self._moved(request, self.connectors[name])
        return self._one(request.method, what, name)

    def _one(self, method, what, name):
        one = self.connectors[name]
        match method, what:
            case "GET", "config":
                return Answered(one["config"])
            case "GET", "status":
                return Answered(self._status(name))
            case "GET", "offsets":
                return Answered({"offsets": one["offsets"]})
            case "PUT", "pause" | "resume":
                one["state"] = {"pause": "PAUSED", "resume": "RUNNING"}[what]
                return Answered(b"", 202)
            case "POST", "restart":
                one["state"] = "RUNNING"
                return Answered(b"", 204)
            case "DELETE", "":
                del self.connectors[name]
                return Answered(b"", 204)
        return Answered({"error_code": 405, "message": "HTTP 405 Method Not Allowed"}, 405)

    def _moved(self, request, one):
        if one["state"] != "STOPPED":
            said = "Connectors must be in the STOPPED state before their offsets can be modified."
            return Answered({"error_code": 400, "message": said}, 400)
        one["offsets"] = request.json["offsets"] if request.method == "PATCH" else []
        word = "altered" if request.method == "PATCH" else "reset"
        return Answered({"message": f"The offsets for this connector have been {word} successfully"})

    def _all(self, request):
        if request.method == "POST":
            name = request.json["name"]
            if name in self.connectors:
                return Answered({"error_code": 409, "message": f"Connector {name} already exists"}, 409)
            return self._kept(name, request.json["config"])
        if request.query.get("expand") == "status":
            return Answered({name: {"status": self._status(name)} for name in self.connectors})
        return Answered(list(self.connectors))

    def _kept(self, name, config):
        if not all(isinstance(value, str) for value in config.values()) or config["name"] != name:
            return Answered({"error_code": 400, "message": "Connector configuration is invalid"}, 400)
        self.connectors[name] = {"config": config, "state": "RUNNING", "offsets": [], "tasks": "RUNNING"}
        tasks = [{"connector": name, "task": number} for number in range(int(config["tasks.max"]))]
        return Answered({"name": name, "config": config, "tasks": tasks, "type": "sink"}, 201)

    def _status(self, name):
        one, worker = self.connectors[name], "10.0.0.1:8083"
        task = {"id": 0, "state": one["tasks"], "worker_id": worker}
        task |= {"trace": "java.lang.Oops"} if one["tasks"] == "FAILED" else {}
        return {"name": name, "connector": {"state": one["state"], "worker_id": worker}, "tasks": [task]}


@pytest.fixture
def worker():
    running = Connect()
    with serving(running.answer) as service:
        running.url = service.url
        yield running


@pytest.fixture
def at(worker):
    return {"connectUrl": f"{worker.url}/", "username": "ann", "password": "pass word", "connectorName": "a sink"}


async def test_a_connector_lives_and_goes(context, worker, at):
    make = {"type": f"{KAFKA}.ConnectorCreate", **at}
    made = await context.run(**make, config={**SINK, "name": "of another"})
    assert (made.connectorName, made.type, made.taskIds) == ("a sink", "sink", [0, 1])
    assert worker.connectors["a sink"]["config"] == {**SINK, "tasks.max": "2", "name": "a sink"}
    assert {"s3cret-db", "pass word"} <= set(context.masked)
    more = {"snowflake.private.key": "MIIE", "sasl.jaas.config": 'x required password="p";', "kafka.api.key": "K1"}
    more |= {"basic.auth.user.info": "ann:pw", "key.converter": "StringConverter"}
    settings(context, more)
    assert set(more.values()) - set(context.masked) == {"StringConverter"}
    with pytest.raises(TaskFailed, match="answered 409: Connector a sink already exists"):
        await context.run(**make, config=SINK)
    wider = await context.run(type=f"{KAFKA}.ConnectorUpdateConfig", **at, config={**SINK, "tasks.max": 3})
    assert wider.taskIds == [0, 1, 2]
    read = await context.run(type=f"{KAFKA}.ConnectorGetConfig", **at)
    assert read.config["tasks.max"] == "3"
    await context.run(type=f"{KAFKA}.ConnectorPause", **at)
    seen = await context.run(type=f"{KAFKA}.ConnectorGetStatus", **at)
    assert (seen.connectorState, seen.workerId) == ("PAUSED", "10.0.0.1:8083")
    assert seen.tasks == [{"id": 0, "state": "RUNNING", "workerId": "10.0.0.1:8083", "trace": None}]
    await context.run(type=f"{KAFKA}.ConnectorResume", **at)
    done = await context.run(type=f"{KAFKA}.ConnectorRestart", **at, includeTasks=True)
    assert (done.includeTasks, done.onlyFailed) == (True, False)
    assert worker.asked[-1][2] == {"includeTasks": "true", "onlyFailed": "false"}
    where = {name: value for name, value in at.items() if name != "connectorName"}
    everyone = {"type": f"{KAFKA}.ConnectorList", **where}
    assert (await context.run(**everyone)).model_dump() == {"connectorNames": ["a sink"], "connectors": []}
    assert (await context.run(**everyone, expandStatus=True)).connectors[0].connectorState == "RUNNING"
    await context.run(type=f"{KAFKA}.ConnectorDelete", **at)
    assert worker.connectors == {}
    with pytest.raises(TaskFailed, match="answered 404: Connector a sink not found"):
        await context.run(type=f"{KAFKA}.ConnectorGetStatus", **at)


async def test_how_far_a_connector_has_read(context, worker, at):
    await context.run(type=f"{KAFKA}.ConnectorCreate", **at, config=SINK)
    offsets = [{"partition": {"table": "orders"}, "offset": {"incrementing": 7}}]
    alter = {"type": f"{KAFKA}.ConnectorAlterOffsets", **at, "offsets": offsets}
    with pytest.raises(TaskFailed, match="must be in the STOPPED state"):
        await context.run(**alter)
    worker.connectors["a sink"]["state"] = "STOPPED"
    assert "altered" in (await context.run(**alter)).message
    assert (await context.run(type=f"{KAFKA}.ConnectorGetOffsets", **at)).offsets == offsets
    assert "reset" in (await context.run(type=f"{KAFKA}.ConnectorResetOffsets", **at)).message
    assert (await context.run(type=f"{KAFKA}.ConnectorGetOffsets", **at)).offsets == []


async def test_a_connector_is_watched(context, worker, at):
    declared = {"id": "watch", "type": f"{KAFKA}.ConnectorStatusTrigger", **at, "targetState": "{{ 'failed' }}"}
    watch = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert await watch.poll(context) is None  # there is none
    await context.run(type=f"{KAFKA}.ConnectorCreate", **at, config=SINK)
    assert await watch.poll(context) is None
    worker.connectors["a sink"]["tasks"] = "FAILED"
    found = await watch.poll(context)
    assert (found.connectorState, found.tasks[0]["trace"]) == ("RUNNING", "java.lang.Oops")
    assert json.loads(found.model_dump_json())["connectorName"] == "a sink"


async def test_who_asks_is_checked(context, at):
    with pytest.raises(TaskFailed, match="answered 401"):
        await context.run(type=f"{KAFKA}.ConnectorPause", **{**at, "password": "other"})
    with pytest.raises(TaskFailed, match="go together"):
        await context.run(type=f"{KAFKA}.ConnectorPause", **{**at, "password": None})
