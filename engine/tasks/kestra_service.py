"""This bot, or another server with Kestra's API: which of both a task means, and calls to the other."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from engine.plugin import Part, Property, RunContext, Selection, TaskFailed
from engine.tasks import http_options, rest_service
from engine.tasks.property_types import OptionalText

MAIN = "main"  # the tenant, unless another is named
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
AFTER, BEFORE = "GREATER_THAN_OR_EQUAL_TO", "LESS_THAN_OR_EQUAL_TO"
Filters = Sequence[tuple[str, str]]


class Auth(Part):
    """Who asks the other server: a token, or a user with a password."""

    api_token: Property[OptionalText] = None
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    auto: Property[bool] = True

    def options(self, context: RunContext) -> http_options.HttpOptions:
        """How a call signs in; TaskFailed when that is said twice, or by half."""
        for secret in (self.api_token, self.password):
            if secret:
                context.mask(secret)
        if self.api_token and (self.username or self.password):
            raise TaskFailed("`auth` has a token and a user.", fix="Give `apiToken`, or `username` and `password`.")
        if bool(self.username) != bool(self.password):
            raise TaskFailed("`username` and `password` of `auth` go together.", fix="Give both, or `apiToken`.")
        if self.api_token:
            return http_options.HttpOptions(auth=http_options.Auth(type="BEARER", token=self.api_token))
        if self.username:
            return http_options.HttpOptions(
                auth=http_options.Auth(type="BASIC", username=self.username, password=self.password)
            )
        return http_options.DEFAULT


@dataclass
class Total:
    """How many there are in all, known once the first were read."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """Another server, and who we are to it."""

    context: RunContext
    api: str
    options: http_options.HttpOptions

    async def call(self, method: str, *steps: str, **given: Any) -> bytes:
        """The body of one answer; TaskFailed when the server refuses."""
        url = "/".join((self.api, *(quote(step, safe="") for step in steps)))
        return (await rest_service.call(self.context, "Kestra", method, url, options=self.options, **given)).content

    async def document(self, method: str, *steps: str, **given: Any) -> Any:
        """The JSON of one answer; TaskFailed when there is none."""
        url = "/".join((self.api, *(quote(step, safe="") for step in steps)))
        return await rest_service.document(self.context, "Kestra", method, url, options=self.options, **given)

    async def found(
        self, *steps: str, asked: Filters, size: int, page: int | None = None, total: Total | None = None
    ) -> AsyncIterator[Mapping[str, Any]]:
        """What a search finds: one page of it, or page after page; `total` is told how many there are."""
        number, tally = page or 1, total or Total()
        while True:
            params = [("page", str(number)), ("size", str(size)), *asked]
            answer = await self.document("GET", *steps, params=params)
            try:
                results, tally.count = list(answer["results"]), int(answer["total"])
            except (TypeError, KeyError, ValueError) as error:
                raise TaskFailed(
                    f"{self.api} answered a search with something else.", fix="Check `kestraUrl`."
                ) from error
            for one in results:
                yield one
            if page is not None or not results or number * size >= tally.count:
                return
            number += 1


class KestraFields(Part):
    """Which server is meant, and as whom. Without `kestraUrl` it is this bot, which needs no `auth`."""

    kestra_url: Property[OptionalText] = None
    auth: Property[Auth | None] = None
    tenant_id: Property[OptionalText] = None

    def elsewhere(self, context: RunContext) -> Server | None:
        """The other server; None when this bot is meant."""
        options = self.auth.options(context) if self.auth else http_options.DEFAULT
        url = (self.kestra_url or "").strip().rstrip("/")
        if not url or origin(url) in {origin(own) for own in context.settings.own_addresses}:
            return None
        if urlsplit(url).username is not None:
            raise TaskFailed("`kestraUrl` holds a user.", fix="Say who asks with `auth`.")
        return Server(context, f"{url}/api/v1/{quote(self.tenant_id or MAIN, safe='')}", options)


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address: what tells servers apart. Pure; TaskFailed when it is no address."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError as error:
        raise TaskFailed("`kestraUrl` is no address.", fix="For instance `https://kestra.example.com`.") from error
    host = parts.hostname or ""
    return parts.scheme, "localhost" if host in LOOPBACK else host, port


def filters(chosen: Selection) -> list[tuple[str, str]]:
    """Which executions are meant, as parameters of a search. Pure."""
    said = [
        ("filters[namespace][EQUALS]", chosen.namespace),
        ("filters[flowId][EQUALS]", chosen.flow_id),
        ("filters[state][IN]", ",".join(chosen.states)),
        (f"filters[startDate][{AFTER}]", chosen.since and chosen.since.isoformat()),
        (f"filters[startDate][{BEFORE}]", chosen.until and chosen.until.isoformat()),
    ]
    return [(name, value) for name, value in said if value]
