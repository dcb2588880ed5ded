"""MongoDB's wire protocol (OP_MSG) on loopback: documents in memory, and what the tests ask of them."""

import math
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bson
from bson.codec_options import CodecOptions

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
UTC_AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
Doc = dict[str, Any]


class Failed(Exception):
    def __init__(self, code: int, name: str, said: str) -> None:
        super().__init__(said)
        self.answer = {"ok": 0.0, "code": code, "codeName": name, "errmsg": said}


class Mongo:
    """Collections by `database.name`; who does not sign in as flows (PLAIN) may ask nothing."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Doc]] = {}
        self.cursors: dict[int, list[Doc]] = {}
        self.heard: list[Doc] = []
        self.indexes: dict[str, list[Doc]] = {}

    def answer(self, asked: Doc, signed: list[str]) -> Doc:
        name = next(iter(asked))
        if name.lower() in ("hello", "ismaster"):
            limits = {"maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000}
            return {"isWritablePrimary": True, "ismaster": True, "helloOk": True, "maxWireVersion": 25, **limits}
        if name == "saslStart":
            _, user, password = bytes(asked["payload"]).split(b"\0")
            if (user, password) != (b"flows", b"s3cret"):
                raise Failed(18, "AuthenticationFailed", "Authentication failed.")
            signed.append(user.decode())
            return {"conversationId": 1, "done": True, "payload": b""}
        if name in ("endSessions", "ping", "killCursors"):
            return {}
        if not signed:
            raise Failed(13, "Unauthorized", f"Command {name} requires authentication")
        self.heard.append(asked)
        return getattr(self, f"do_{name.lower()}")(asked)

    def rows(self, asked: Doc, name: str) -> list[Doc]:
        return self.kept.setdefault(f"{asked['$db']}.{asked[name]}", [])

    def cursor(self, asked: Doc, name: str, rows: list[Doc], size: int) -> Doc:
        where = f"{asked['$db']}.{asked[name]}"
        number = 0
        if len(rows) > size:
            number = len(self.cursors) + 1
            self.cursors[number] = rows[size:]
        return {"cursor": {"id": bson.Int64(number), "ns": where, "firstBatch": rows[:size]}}

    def do_find(self, asked: Doc) -> Doc:
        found = [dict(one) for one in self.rows(asked, "find") if matches(one, asked.get("filter", {}))]
        found = ordered(found, asked.get("sort", {}))[asked.get("skip", 0) :]
        found = found[: asked["limit"]] if asked.get("limit") else found
        if shown := asked.get("projection"):
            found = [{key: value for key, value in one.items() if shown.get(key, key == "_id")} for one in found]
        return self.cursor(asked, "find", found, 2)

    def do_getmore(self, asked: Doc) -> Doc:
        rows = self.cursors.pop(asked["getMore"])
        return {"cursor": {"id": bson.Int64(0), "ns": f"{asked['$db']}.x", "nextBatch": rows}}

    def do_aggregate(self, asked: Doc) -> Doc:
        found = [dict(one) for one in self.rows(asked, "aggregate")]
        for stage in asked["pipeline"]:
            ((kind, body),) = stage.items()
            if kind == "$match":
                found = [one for one in found if matches(one, body)]
            elif kind == "$sort":
                found = ordered(found, body)
            elif kind == "$listSearchIndexes":
                known = self.indexes.get(f"{asked['$db']}.{asked['aggregate']}", [])
                found = [{**one, "queryable": True} for one in known if one["name"] == body.get("name", one["name"])]
            elif kind == "$vectorSearch":
                scored = [(likeness(one[body["path"]], body["queryVector"]), one) for one in found]
                best = sorted(scored, key=lambda pair: -pair[0])[: body["limit"]]
                found = [{**one, "score": (1 + score) / 2} for score, one in best]
            elif kind == "$project":
                found = [{key: value for key, value in one.items() if key in ("_id", *body)} for one in found]
            elif kind == "$group":
                found = grouped(found, body)
            else:
                raise Failed(40324, "Location40324", f"Unrecognized pipeline stage name: '{kind}'")
        return self.cursor(asked, "aggregate", found, asked["cursor"].get("batchSize", 2))

    def do_listcollections(self, asked: Doc) -> Doc:
        names = [name.partition(".")[2] for name in self.kept if name.startswith(f"{asked['$db']}.")]
        return self.cursor({**asked, "listCollections": "$cmd"}, "listCollections", [{"name": n} for n in names], 99)

    def do_create(self, asked: Doc) -> Doc:
        self.rows(asked, "create")
        return {}

    def do_createsearchindexes(self, asked: Doc) -> Doc:
        self.indexes.setdefault(f"{asked['$db']}.{asked['createSearchIndexes']}", []).extend(asked["indexes"])
        return {"indexesCreated": [{"id": "1", "name": one["name"]} for one in asked["indexes"]]}

    def do_insert(self, asked: Doc) -> Doc:
        rows, n = self.rows(asked, "insert"), 0
        for index, one in enumerate(asked["documents"]):
            if any(other["_id"] == one["_id"] for other in rows):
                said = f"E11000 duplicate key error collection: {asked['$db']}.{asked['insert']}"
                return {"n": n, "writeErrors": [{"index": index, "code": 11000, "errmsg": said}]}
            rows.append(one)
            n += 1
        return {"n": n}

    def do_update(self, asked: Doc) -> Doc:
        rows, n, changed, made = self.rows(asked, "update"), 0, 0, []
        for index, update in enumerate(asked["updates"]):
            found = [one for one in rows if matches(one, update["q"])]
            for one in found if update.get("multi") else found[:1]:
                before = dict(one)
                change(one, update["u"])
                n, changed = n + 1, changed + (one != before)
            if not found and update.get("upsert"):
                fresh = {"_id": bson.ObjectId(), **{k: v for k, v in update["q"].items() if not isinstance(v, dict)}}
                change(fresh, update["u"])
                rows.append(fresh)
                made.append({"index": index, "_id": fresh["_id"]})
        return {"n": n + len(made), "nModified": changed, **({"upserted": made} if made else {})}

    def do_delete(self, asked: Doc) -> Doc:
        rows, n = self.rows(asked, "delete"), 0
        for one in asked["deletes"]:
            found = [row for row in rows if matches(row, one["q"])]
            for row in found[: one["limit"] or len(found)]:
                rows.remove(row)
                n += 1
        return {"n": n}


COMPARED = {
    "$gt": lambda a, b: a is not None and a > b,
    "$gte": lambda a, b: a is not None and a >= b,
    "$lt": lambda a, b: a is not None and a < b,
    "$in": lambda a, b: a in b,
}


def matches(one: Doc, wanted: Doc) -> bool:
    for key, value in wanted.items():
        if isinstance(value, dict) and any(name.startswith("$") for name in value):
            for operator, other in value.items():
                if operator not in COMPARED:
                    raise Failed(2, "BadValue", f"unknown operator: {operator}")
                if not COMPARED[operator](one.get(key), other):
                    return False
        elif one.get(key) != value:
            return False
    return True


def likeness(one: list[float], other: list[float]) -> float:
    """The cosine of two vectors."""
    return sum(a * b for a, b in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other)


def ordered(rows: list[Doc], by: Doc) -> list[Doc]:
    for key, direction in reversed(list(by.items())):
        rows = sorted(rows, key=lambda one: one[key], reverse=direction < 0)
    return rows


def grouped(rows: list[Doc], body: Doc) -> list[Doc]:
    groups: dict[Any, Doc] = {}
    for row in rows:
        key = row.get(body["_id"].removeprefix("$"))
        group = groups.setdefault(key, {"_id": key, **{name: 0 for name in body if name != "_id"}})
        for name in group.keys() - {"_id"}:
            what = body[name]["$sum"]
            group[name] += row[what.removeprefix("$")] if isinstance(what, str) else what
    return list(groups.values())


def change(one: Doc, update: Doc) -> None:
    if not any(name.startswith("$") for name in update):
        kept = one["_id"]
        one.clear()
        one |= {"_id": kept, **update}
        return
    one |= update["$set"]


def parsed(body: bytes) -> Doc:
    """The command of an OP_MSG, its sequences of documents as lists."""
    asked: Doc = {}
    at = 4
    while at < len(body):
        kind = body[at]
        (size,) = struct.unpack_from("<i", body, at + 1)
        if kind == 0:
            asked |= bson.decode(body[at + 1 : at + 1 + size], UTC_AWARE)
        else:
            end = body.index(b"\0", at + 5)
            rest = body[end + 1 : at + 1 + size]
            asked.setdefault(body[at + 5 : end].decode(), []).extend(bson.decode_all(rest, UTC_AWARE))
        at += 1 + size
    return asked


class Talk(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        signed: list[str] = []
        while head := self.exactly(16):
            size, request, _, code = struct.unpack("<iiii", head)
            body = self.exactly(size - 16)
            if code == OP_QUERY:  # only the first greeting is asked so
                name_end = body.index(b"\0", 4) + 1
                asked = bson.decode(body[name_end + 8 :], UTC_AWARE)
            else:
                asked = parsed(body)
            try:
                answer = {"ok": 1.0, **self.server.mongo.answer(asked, signed)}  # type: ignore[attr-defined]
            except Failed as failed:
                answer = failed.answer
            content = bson.encode(answer)
            if code == OP_QUERY:
                code, content = OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + content
            else:
                content = struct.pack("<iB", 0, 0) + content
            self.request.sendall(struct.pack("<iiii", 16 + len(content), 1, request, code) + content)

    def exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            try:
                more = self.request.recv(size - len(found))
            except OSError:
                return b""
            if not more:
                return b""
            found += more
        return found


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    mongo: Mongo
    talking: list[socket.socket]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.talking.append(request)
        super().process_request(request, client_address)


@contextmanager
def mongo() -> Iterator[tuple[str, Mongo]]:
    """Where it is (`127.0.0.1:port`), and what it keeps."""
    with Server(("127.0.0.1", 0), Talk) as server:
        server.mongo, server.talking = Mongo(), []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", server.mongo
        finally:
            server.shutdown()
            for one in server.talking:
                one.close()
            thread.join(10)
