"""`options` of everything that calls a URL: timeouts, proxy, auth, TLS, which answers count as failure."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from engine.core.durations import Duration
from engine.core.retries import Retry
from engine.plugin import Instead, Part
from engine.tasks.property_types import JsonMap, OptionalText, document_from_text

if TYPE_CHECKING:  # a flow that names it need not load it
    import httpx

LogPart = Literal["REQUEST_HEADERS", "REQUEST_BODY", "RESPONSE_HEADERS", "RESPONSE_BODY"]
LOGGED: dict[str, tuple[LogPart, ...]] = {
    "TRACE": ("REQUEST_HEADERS", "REQUEST_BODY", "RESPONSE_HEADERS", "RESPONSE_BODY"),
    "DEBUG": ("REQUEST_HEADERS", "RESPONSE_HEADERS"),
    "INFO": ("RESPONSE_HEADERS",),
}


class Timeouts(Part):
    """How long to wait for a connection, and for the next byte."""

    connect_timeout: Duration | None = None
    read_idle_timeout: Duration | None = None


class Proxy(Part):
    """A proxy to go through."""

    type: Literal["DIRECT", "HTTP", "SOCKS"] = "HTTP"
    address: str
    port: int
    username: OptionalText = None
    password: OptionalText = None

    def url(self) -> str:
        """Where it is, with its user."""
        import httpx

        scheme = "socks5" if self.type == "SOCKS" else "http"
        return str(
            httpx.URL(
                scheme=scheme,
                host=self.address,
                port=self.port,
                username=self.username or "",
                password=self.password or "",
            )
        )


class Auth(Part):
    """Who we are to the service."""

    type: Literal["BASIC", "BEARER", "DIGEST"]
    username: OptionalText = None
    password: OptionalText = None
    token: OptionalText = None


class Ssl(Part):
    """How the service's certificate is checked."""

    insecure_trust_all_certificates: bool = False


class HttpOptions(Part):
    """Everything about a call but what is called."""

    timeout: Timeouts | None = None
    proxy: Proxy | None = None
    auth: Auth | None = None
    ssl: Ssl | None = Field(default=None, validation_alias=AliasChoices("ssl", "sslOptions"))
    follow_redirects: bool = Field(
        default=True,
        description="A 307 or 308 takes the body along, also to another host, as in curl and browsers; `auth` stays.",
    )
    allow_failed: bool = False
    allowed_response_codes: Annotated[list[int], BeforeValidator(document_from_text)] | None = None
    default_charset: str = "UTF-8"
    logs: tuple[LogPart, ...] = ()
    headers: JsonMap | None = None
    retry: Retry | None = None
    retry_on_status_codes: tuple[int, ...] = ()
    # Names of older flows.
    connect_timeout: Annotated[Duration | None, Instead("timeout.connectTimeout")] = None
    read_timeout: Annotated[Duration | None, Instead("timeout.readIdleTimeout")] = None
    read_idle_timeout: Annotated[Duration | None, Instead("timeout.readIdleTimeout")] = None
    proxy_address: Annotated[OptionalText, Instead("proxy.address")] = None
    proxy_port: Annotated[int | None, Instead("proxy.port")] = None
    proxy_type: Annotated[Literal["DIRECT", "HTTP", "SOCKS"] | None, Instead("proxy.type")] = None
    proxy_username: Annotated[OptionalText, Instead("proxy.username")] = None
    proxy_password: Annotated[OptionalText, Instead("proxy.password")] = None
    basic_auth_user: Annotated[OptionalText, Instead("auth.username", "beside `type: BASIC`")] = None
    basic_auth_password: Annotated[OptionalText, Instead("auth.password", "beside `type: BASIC`")] = None
    log_level: Annotated[str | None, Instead("logs")] = None
    max_content_length: Annotated[Any, Instead("")] = None
    connection_pool_idle_timeout: Annotated[Any, Instead("")] = None

    @property
    def told(self) -> tuple[LogPart, ...]:
        """What of a call is written to the log, also as the older `logLevel` says it."""
        return self.logs or LOGGED.get((self.log_level or "").upper(), ())

    def timeouts(self) -> "httpx.Timeout":
        """The waits, 10 s to connect and five minutes between two bytes unless said otherwise."""
        import httpx

        given = self.timeout or Timeouts()
        connect = given.connect_timeout or self.connect_timeout or timedelta(seconds=10)
        read = given.read_idle_timeout or self.read_idle_timeout or self.read_timeout or timedelta(minutes=5)
        return httpx.Timeout(read.total_seconds(), connect=connect.total_seconds())

    def proxy_url(self) -> str | None:
        """The proxy to use, if any."""
        if self.proxy is not None:
            return None if self.proxy.type == "DIRECT" else self.proxy.url()
        if self.proxy_address and self.proxy_port and self.proxy_type != "DIRECT":
            return Proxy(
                type=self.proxy_type or "HTTP",
                address=self.proxy_address,
                port=self.proxy_port,
                username=self.proxy_username,
                password=self.proxy_password,
            ).url()
        return None

    def credentials(self) -> "httpx.Auth | str | None":
        """User and password, a bearer token, or nothing."""
        import httpx

        auth = self.auth
        if auth is None and self.basic_auth_user:
            auth = Auth(type="BASIC", username=self.basic_auth_user, password=self.basic_auth_password)
        if auth is None:
            return None
        if auth.type == "BEARER":
            return auth.token or ""
        kind = httpx.DigestAuth if auth.type == "DIGEST" else httpx.BasicAuth
        return kind(auth.username or "", auth.password or "")

    @property
    def is_plain(self) -> bool:
        """Whether the shared client will do."""
        return self.proxy_url() is None and not (self.ssl and self.ssl.insecure_trust_all_certificates)


class MessageOptions(HttpOptions):
    """The same of what sends messages: as in Kestra's plugins for them, waits have no `timeout` around them there."""

    connect_timeout: Duration | None = None
    read_timeout: Duration | None = None
    read_idle_timeout: Duration | None = None
    max_content_length: Any = None
    connection_pool_idle_timeout: Any = None


DEFAULT = HttpOptions()
