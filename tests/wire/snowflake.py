"""Snowflake's HTTP interface for drivers on loopback; SQLite does the SQL. Later rows come in a chunk."""

import base64
import gzip
import hashlib
import json
import sqlite3
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.wire.loopback import Answered, Received

KEY = rsa.generate_private_key(65537, 2048)
KINDS = {"select": 0x1000, "with": 0x1000, "insert": 0x3100, "delete": 0x3300, "commit": 0x5000, "create": 0x6000}
AT_ONCE = 2


def pem(password: str | None = None) -> str:
    """The private key as people paste it."""
    lock = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    return KEY.private_bytes(serialization.Encoding.PEM, form, lock).decode()


def refused(code: str, message: str) -> Answered:
    return Answered({"success": False, "code": code, "message": message, "data": {}})


class Account:
    """People sign in with a password or the key; every session has its own temporary tables."""

    def __init__(self) -> None:
        self.logins: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.sessions: dict[str, sqlite3.Connection] = {}
        self.closed: list[str] = []
        self.aborted: list[str] = []
        self.chunk = b""
        self.waiting: dict[str, Any] = {}
        self.looks = 0
        self.never_ends = False
        self.staged: Callable[[str], dict[str, Any]] | None = None  # what is told to PUT and GET

    def __call__(self, request: Received) -> Answered:
        assert request.headers["accept"] == "application/json" or request.path == "/chunk"
        if request.path == "/session/v1/login-request":
            return self.login(request)
        if request.path == "/chunk":
            assert request.headers["x-chunk"] == "key"
            return Answered(gzip.compress(self.chunk))
        token = request.headers["authorization"].removeprefix('Snowflake Token="').removesuffix('"')
        if token not in self.sessions:
            return refused("390104", "User must login again to access the service.")
        if request.path == "/session":
            assert request.query == {"delete": "true"}
            self.closed.append(token)
            self.sessions[token].rollback()
            return Answered({"success": True, "data": None})
        if request.path == "/queries/v1/abort-request":
            self.aborted.append(request.json["requestId"])
            return Answered({"success": True, "data": None})
        if request.path == "/result":
            self.looks += 1
            return self.under_way() if self.never_ends or self.looks < 2 else Answered(self.waiting)
        if self.staged and request.json["sqlText"].startswith(("PUT ", "GET ")):
            return Answered({"success": True, "data": self.staged(request.json["sqlText"])})
        answer = self.query(self.sessions[token], request)
        if "slow" in request.json["sqlText"] and isinstance(answer.body, dict):
            self.waiting = answer.body
            return self.under_way()
        return answer

    def under_way(self) -> Answered:
        return Answered({"success": True, "code": "333334", "data": {"getResultUrl": "/result"}})

    def login(self, request: Received) -> Answered:
        data = request.json["data"]
        self.logins.append((request.query, data))
        good = data.get("PASSWORD") == "s3cret" or ("TOKEN" in data and self.signed(data))
        if data["LOGIN_NAME"] != "flows" or not good:
            return refused("390100", "Incorrect username or password was specified.")
        token = f"ver:1-{len(self.sessions)}"
        begins = None if data["SESSION_PARAMETERS"].get("AUTOCOMMIT", True) else "DEFERRED"
        self.sessions[token] = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=begins)
        self.sessions[token].execute("create table people (id int, name text)")
        self.sessions[token].execute("insert into people values (1, 'Ann'), (2, null), (3, 'it''s'), (4, 'Bo')")
        self.sessions[token].commit()
        return Answered({"success": True, "data": {"token": token, "masterToken": "m"}})

    def signed(self, data: dict[str, Any]) -> bool:
        head, claims, signature = data["TOKEN"].split(".")
        public = KEY.public_key()
        given = base64.urlsafe_b64decode(signature + "==")
        public.verify(given, f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
        told = json.loads(base64.urlsafe_b64decode(claims + "=="))
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        print_of_key = hashlib.sha256(public.public_bytes(serialization.Encoding.DER, form)).digest()
        name = f"{data['ACCOUNT_NAME']}.{data['LOGIN_NAME']}".upper()
        issuer = f"{name}.SHA256:{base64.b64encode(print_of_key).decode()}"
        return data["AUTHENTICATOR"] == "SNOWFLAKE_JWT" and (told["iss"], told["sub"]) == (issuer, name)

    def query(self, database: sqlite3.Connection, request: Received) -> Answered:
        text = request.json["sqlText"]
        assert request.query["requestId"]
        kind = KINDS.get(text.split()[0].lower(), 0x1000)
        if kind in (KINDS["create"], KINDS["commit"]):
            database.commit()
        try:
            cursor = database.execute("select 1" if kind == KINDS["commit"] else text.replace(r"\\", "\\"))
        except sqlite3.Error as error:
            return refused("001003", f"SQL compilation error: {error}")
        names = [column[0] for column in cursor.description or [("status",)]]
        rows = [[None if one is None else str(one) for one in row] for row in cursor.fetchall()] or []
        if kind != 0x1000:
            rows = [[str(cursor.rowcount)]]
        numbers = ("id", "n")
        rowtype = [{"name": name.upper(), "type": "fixed" if name in numbers else "text", "scale": 0} for name in names]
        data = {"rowtype": rowtype, "rowset": rows, "total": len(rows), "statementTypeId": kind}
        if len(rows) > AT_ONCE:
            self.chunk = json.dumps(rows[AT_ONCE:])[1:-1].encode()
            chunk = {"url": f"http://{request.headers['host']}/chunk", "rowCount": len(rows) - AT_ONCE}
            data |= {"rowset": rows[:AT_ONCE], "chunks": [chunk], "chunkHeaders": {"x-chunk": "key"}}
        return Answered({"success": True, "code": None, "data": {**data, "queryResultFormat": "json"}})
