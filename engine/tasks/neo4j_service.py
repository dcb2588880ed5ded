"""Neo4j over HTTP: its Query API (Neo4j 5.19 or newer, and Aura), found by the address that drivers take."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field

from engine.errors import EngineError
from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions, Ssl, Timeouts
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.working_files import STORAGE

BOLT, HTTP, HTTPS = 7687, 7474, 7473  # flows name the first, we speak the others
AURA = ".databases.neo4j.io"
AFFINITY = "neo4j-cluster-affinity"  # by which Aura finds the member that holds a transaction


class Neo4jFields(Part):
    """Where Neo4j is, and who asks."""

    url: Property[Text] = Field(description="As for a driver (bolt://host:7687), or that of HTTP (http://host:7474).")
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    bearer_token: Property[OptionalText] = None
    database: Property[OptionalText] = Field(default=None, description="`neo4j` unless said.")
    access_mode: Property[Literal["READ", "WRITE"]] = "WRITE"
    encryption: Property[bool] = Field(default=False, description="Where the address does not say so (`bolt+s://`).")
    trust_strategy: Property[Literal["SYSTEM", "ALL", "CUSTOM"] | None] = None
    trusted_certificate: Property[OptionalText] = Field(default=None, description="PEM text, or the URI of a file.")
    connection_timeout: Property[timedelta] = timedelta(seconds=30)
    max_connection_pool_size: Property[int] = Field(default=100, description="No effect: every call stands alone.")

    async def asked(self, context: RunContext, statement: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """What one statement gives: `data`, and `counters` of what it changed. TaskFailed when it is refused."""
        return (await self._ask(context, "POST", "", self._body(statement, parameters)))[0]

    @asynccontextmanager
    async def transaction(self, context: RunContext) -> AsyncIterator["Transaction"]:
        """Several statements, all or none of them."""
        told, headers = await self._ask(context, "POST", "/tx", {})
        found = Transaction(self, context, str(rest_service.held(told, "Neo4j", "transaction", "id")), headers)
        try:
            yield found
        except BaseException:
            with suppress(EngineError, TimeoutError):  # Neo4j itself gives up one that is idle
                async with asyncio.timeout(rest_service.PATIENCE):
                    await self._ask(context, "DELETE", f"/tx/{found.id}", None, headers)
            raise
        await self._ask(context, "POST", f"/tx/{found.id}/commit", {}, headers)

    async def within(
        self, context: RunContext, found: "Transaction", statement: str, parameters: Mapping[str, Any]
    ) -> Any:
        """What one statement of a transaction gives."""
        body = self._body(statement, parameters, is_within=True)
        return (await self._ask(context, "POST", f"/tx/{found.id}", body, found.headers))[0]

    def _body(self, statement: str, parameters: Mapping[str, Any] | None, *, is_within: bool = False) -> dict[str, Any]:
        body: dict[str, Any] = {"statement": statement, "includeCounters": True}
        if parameters:
            body["parameters"] = dict(parameters)
        if self.access_mode == "READ" and not is_within:
            body["accessMode"] = "READ"
        return body

    async def _ask(
        self, context: RunContext, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> tuple[Any, dict[str, str]]:
        """The JSON of a call, and the headers that the next of its transaction need."""
        base, trusts_all = address(self.url, is_secure=self.encryption)
        trusts_all = trusts_all or self.trust_strategy == "ALL"
        options = HttpOptions(
            ssl=Ssl(insecure_trust_all_certificates=trusts_all),
            timeout=Timeouts(connect_timeout=self.connection_timeout),
        )
        if bool(self.username) != (self.password is not None):
            raise TaskFailed("`username` and `password` belong together.", fix="Give both, or neither.")
        sent = {"Accept": "application/json", **(headers or {})}
        if self.username and self.password is not None:
            context.mask(self.password)
            sent["Authorization"] = "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()
        elif self.bearer_token:
            context.mask(self.bearer_token)
            sent["Authorization"] = f"Bearer {self.bearer_token}"
        url = f"{base}/db/{quote(self.database or 'neo4j', safe='')}/query/v2{path}"
        given = {} if body is None else {"json": body}
        tls = await self._tls(context)
        answer = await rest_service.call(context, "Neo4j", method, url, options=options, headers=sent, tls=tls, **given)
        told = rest_service.parsed(answer, "Neo4j") or {}
        if not isinstance(told, dict):
            raise TaskFailed("Neo4j answered with no object.", fix="Check `url`: another service may hear there.")
        if errors := told.get("errors"):
            first = errors[0] if isinstance(errors, list) else errors
            said = first.get("message") if isinstance(first, dict) else None
            raise TaskFailed(f"Neo4j refused: {said or first}")
        held = answer.headers.get(AFFINITY)
        return told, {AFFINITY: held} if held else {}

    async def _tls(self, context: RunContext) -> ssl.SSLContext | None:
        """Whom to trust instead of the usual authorities; None when nobody is named."""
        given = self.trusted_certificate
        if (self.trust_strategy == "CUSTOM") != bool(given) and self.trust_strategy is not None:
            raise TaskFailed("`trustStrategy: CUSTOM` and `trustedCertificate` belong together.", fix="Give both.")
        if not given:
            return None
        pem = (await context.files.read(given)).decode("utf-8", "replace") if given.startswith(STORAGE) else given
        try:
            return ssl.create_default_context(cadata=pem)
        except (ssl.SSLError, ValueError) as error:
            raise TaskFailed("`trustedCertificate` is no certificate.", fix="-----BEGIN CERTIFICATE----- …") from error


@dataclass(frozen=True, slots=True)
class Transaction:
    """One that is open."""

    fields: Neo4jFields
    context: RunContext
    id: str
    headers: Mapping[str, str] = field(default_factory=dict)

    async def run(self, statement: str, parameters: Mapping[str, Any]) -> Any:
        """What one statement gives."""
        return await self.fields.within(self.context, self, statement, parameters)


def address(url: str, *, is_secure: bool = False) -> tuple[str, bool]:
    """Where Neo4j speaks HTTP, from the address that a driver is given, and whether any certificate will do; TaskFailed
    when it is no address."""
    parts = urlsplit(url.strip())
    scheme, _, security = parts.scheme.lower().partition("+")
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if scheme not in ("bolt", "neo4j", "http", "https") or not host:
        raise TaskFailed(f"`url` {url!r} is no address of Neo4j.", fix="Write it as bolt://host:7687.")
    shown = f"[{host}]" if ":" in host else host
    if scheme in ("http", "https"):
        return f"{scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}", False
    if host.endswith(AURA):
        return f"https://{shown}", False
    is_secure = is_secure or security in ("s", "ssc")
    at = (HTTPS if is_secure else HTTP) if port in (None, BOLT) else port
    return f"{'https' if is_secure else 'http'}://{shown}:{at}", security == "ssc"


def rows_of(told: Any) -> list[dict[str, Any]]:
    """Every value as a map, as a driver gives it: of a node or a relationship its properties."""
    data = (told or {}).get("data") or {}
    names, found = data.get("fields") or [], []
    for values in data.get("values") or []:
        scalars = {}
        for name, value in zip(names, values, strict=False):
            read = plain(value)
            if isinstance(read, dict):
                found.append(read)
            else:
                scalars[name] = read
        if scalars:
            found.append(scalars)
    return found


def plain(value: Any) -> Any:
    """A value without what Neo4j says about it."""
    if isinstance(value, dict):
        is_entity = "elementId" in value and isinstance(value.get("properties"), dict)
        return {name: plain(one) for name, one in (value["properties"] if is_entity else value).items()}
    return [plain(one) for one in value] if isinstance(value, list) else value
