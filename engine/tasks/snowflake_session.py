"""A session of Snowflake, by the HTTP interface that its drivers use; results come as JSON."""

import asyncio
import base64
import gzip
import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from datetime import time as time_of_day
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

from engine.errors import EngineError
from engine.plugin import RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.sql_rows import json_value

UNDER_WAY = frozenset({"333333", "333334"})
WITHOUT_ROWS = range(
    0x3000, 0x7000
)  # kinds of statements that tell only how many rows they changed, or that it is done
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LIFE_OF_A_TOKEN = 59 * 60
PAUSE = 0.05  # seconds between two looks at a statement under way


@asynccontextmanager
async def signed_in(
    context: RunContext, at: str, who: Mapping[str, Any], place: Mapping[str, str], zone: tzinfo | None
) -> AsyncIterator["Session"]:
    """A session that is closed at the end; TaskFailed when Snowflake does not let us in."""
    body = {"data": {"CLIENT_APP_ID": "Parley", "SESSION_PARAMETERS": {}, **who}}
    answer = await rest_service.document(
        context, "Snowflake", "POST", f"{at}/session/v1/login-request", params=place, json=body, headers=HEADERS
    )
    data = _granted(answer)
    token = str(rest_service.held(data, "Snowflake", "token"))
    context.mask(token)
    session = Session(context, at, token, zone)
    try:
        yield session
    finally:
        with suppress(EngineError):  # it ends by itself
            await session.ask("POST", "/session", params={"delete": "true"})


HEADERS = {"Accept": "application/json"}


class Session:
    """Statements one after the other, in one session."""

    def __init__(self, context: RunContext, at: str, token: str, zone: tzinfo | None) -> None:
        self._context, self._at, self._zone = context, at, zone
        self._headers = {**HEADERS, "Authorization": f'Snowflake Token="{token}"'}
        self._count = 0

    async def ask(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON of one call."""
        return await rest_service.mapping(
            self._context, "Snowflake", method, f"{self._at}{path}", headers=self._headers, **given
        )

    async def told(self, statement: str) -> dict[str, Any]:
        """What Snowflake answers to a statement; TaskFailed when it refuses it."""
        request, self._count = str(uuid4()), self._count + 1
        asked = {"sqlText": statement, "asyncExec": False, "sequenceId": self._count}
        own, about = {"requestId": str(uuid4())}, {"sqlText": statement, "requestId": request}
        stop = partial(self.ask, "POST", "/queries/v1/abort-request", params=own, json=about)
        async with rest_service.stopping(self._context, "The statement", stop):
            answer = await self.ask("POST", "/queries/v1/query-request", params={"requestId": request}, json=asked)
            while str(answer.get("code")) in UNDER_WAY:  # Snowflake holds each look for a while
                await asyncio.sleep(PAUSE)
                answer = await self.ask("GET", rest_service.held(answer, "Snowflake", "data", "getResultUrl"))
        return _granted(answer)

    async def rows(self, statement: str) -> list[dict[str, Any]] | None:
        """The rows of a statement, None when its kind gives none; TaskFailed when Snowflake refuses it."""
        data = await self.told(statement)
        if int(data.get("statementTypeId") or 0) in WITHOUT_ROWS:
            return None
        if data.get("rowset") is None and data.get("rowsetBase64"):
            raise TaskFailed(
                "Snowflake gave its rows in another format than JSON.", fix="Let the user's result format be JSON."
            )
        columns = data.get("rowtype") or []
        found = list(data.get("rowset") or [])
        for chunk in data.get("chunks") or []:
            found += await self._chunk(chunk["url"], data)
        return [row_of(columns, values, self._zone) for values in found]

    async def _chunk(self, url: str, data: Mapping[str, Any]) -> list[list[Any]]:
        headers = dict(data.get("chunkHeaders") or {})
        if not headers and data.get("qrmk"):
            encryption = "x-amz-server-side-encryption-customer"
            headers = {f"{encryption}-algorithm": "AES256", f"{encryption}-key": data["qrmk"]}
        answer = await rest_service.call(self._context, "Snowflake", "GET", url, headers=headers)
        content = gzip.decompress(answer.content) if answer.content[:2] == b"\x1f\x8b" else answer.content
        return list(json.loads(b"[" + content + b"]"))


def _granted(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, Mapping) or not answer.get("success"):
        said = answer.get("message") if isinstance(answer, Mapping) else None
        code = str(answer.get("code") or "") if isinstance(answer, Mapping) else ""
        fix = "Check `username` and `password`, or `privateKey`." if code.startswith("3901") else ""
        raise TaskFailed(f"Snowflake refused: {said or 'it did not say why'}", fix=fix)
    return dict(answer.get("data") or {})


def row_of(columns: Sequence[Mapping[str, Any]], values: Sequence[str | None], zone: tzinfo | None) -> dict[str, Any]:
    """A row by the names of its columns, its values as JSON."""
    pairs = zip(columns, values, strict=True)
    return {str(column["name"]): json_value(value_of(text, column, zone), zone) for column, text in pairs}


def value_of(text: str | None, column: Mapping[str, Any], zone: tzinfo | None) -> Any:
    """What a value stands for that Snowflake wrote as text."""
    if text is None:
        return None
    match str(column.get("type")).lower():
        case "fixed":
            return Decimal(text) if int(column.get("scale") or 0) else int(text)
        case "real":
            return float(text)
        case "boolean":
            return text.lower() in ("1", "true")
        case "date":
            return date(1970, 1, 1) + timedelta(days=int(text))
        case "time":
            return (EPOCH + _since(text)).time() if float(text) < 86400 else time_of_day.max
        case "timestamp_ntz":
            return (EPOCH + _since(text)).replace(tzinfo=None)
        case "timestamp_ltz":
            return (EPOCH + _since(text)).astimezone(zone or UTC)
        case "timestamp_tz":
            moment, _, offset = text.partition(" ")
            return (EPOCH + _since(moment)).astimezone(timezone(timedelta(minutes=int(offset or 1440) - 1440)))
        case "variant" | "object" | "array" | "map":
            with suppress(ValueError):
                return json.loads(text)
    return text


def _since(seconds: str) -> timedelta:
    return timedelta(microseconds=int(Decimal(seconds) * 1_000_000))


def signed_key(account: str, user: str, key: str, password: str | None) -> str:
    """The token by which somebody signs in who has a private key (in PEM, or its body alone); TaskFailed."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    text = key.strip()
    if not text.startswith("-----"):
        kind = "ENCRYPTED PRIVATE KEY" if password else "PRIVATE KEY"
        text = f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----"
    try:
        private = serialization.load_pem_private_key(text.encode(), password.encode() if password else None)
    except (ValueError, TypeError) as error:
        raise TaskFailed(
            "`privateKey` can't be read.", fix="Give it in PEM, and its password if it has one."
        ) from error
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TaskFailed("`privateKey` is no RSA key.", fix="Snowflake takes RSA keys.")
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    name = f"{account}.{user}".upper()
    print_of_key = base64.b64encode(hashlib.sha256(public).digest()).decode()
    now = int(time.time())
    claims = {"iss": f"{name}.SHA256:{print_of_key}", "sub": name, "iat": now, "exp": now + LIFE_OF_A_TOKEN}
    signed = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    return f"{signed}.{_base64(private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
