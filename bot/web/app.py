"""The web server: routes, the gate before them, and uvicorn around them."""

import getpass
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from bot.conversation import Person
from bot.desk import FrontDesk
from bot.forms.uploads import Uploads
from bot.people.identities import Unlinked
from bot.people.membership import Membership
from bot.people.standing import Standings
from bot.web import accounts, api, bulk, changes, doors, executions, health, operations, pages, pauses
from bot.web.body import BodyTooLarge, BoundedBody
from bot.web.gate import LOOPBACK, Gate, is_loopback, private_key
from bot.web.requests import Stopped, closed_after, let_in, refusal, told
from bot.web.room import ChatRoom
from bot.web.tenants import OneTenant, stranger
from engine.errors import SettingInvalid, StoreFailed
from engine.runtime import Engine

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - only compared, to know that other machines can reach us
SlackHandler = Callable[[bytes, Mapping[str, str]], Awaitable[tuple[int, dict[str, str], bytes]]]


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where the page listens and who may use it."""

    host: str = "127.0.0.1"
    port: int = 8082
    public_url: str | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    demo: bool = False


def make_gate(engine: Engine, settings: WebSettings) -> Gate:
    """The gate of this instance; SettingInvalid when the page would be open to other machines without a token."""
    if not is_loopback(settings.host) and not settings.tokens and not settings.public_url:
        raise SettingInvalid(
            f"The page would listen on {settings.host} without asking who comes in.",
            fix="Set web.token (PARLEY_WEB__TOKEN) to a long random text, or web.public_url for links from chat, or "
            "listen on 127.0.0.1.",
        )
    everywhere = settings.host in EVERYWHERE
    public = urlsplit(settings.public_url or "").hostname or ""
    hosts = set(LOOPBACK) if is_loopback(settings.host) or everywhere else {settings.host.lower()}
    if everywhere:
        hosts.add(socket.gethostname().lower())
    if public:
        hosts.add(public.lower())
    data = engine.settings.data
    local = Person(f"local:{_user()}", _user(), "web")
    token = private_key(data / "api.token").hex()
    # What reaches a public address comes through a proxy or a tunnel: from this machine, and yet from anybody.
    must_sign_in = bool(settings.tokens) or (bool(public) and not is_loopback(public))
    return Gate(private_key(data / "web.key"), frozenset(hosts), local, dict(settings.tokens), token, must_sign_in)


def make_app(
    engine: Engine,
    room: ChatRoom,
    gate: Gate,
    settings: WebSettings,
    desk: FrontDesk,
    slack_handler: SlackHandler | None = None,
) -> FastAPI:
    """The application; every route passes `let_in` first."""
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(closed_after), Depends(let_in)]
    )
    app.add_middleware(BoundedBody)
    app.add_middleware(OneTenant)
    app.state.engine = engine
    app.state.room = room
    app.state.gate = gate
    app.state.standings = desk.office.standings
    app.state.settings = engine.settings
    app.state.demo = settings.demo
    app.state.desk = desk
    app.state.uploads = Uploads(engine.settings.data / "uploads")
    app.state.public_url = settings.public_url
    app.state.slack_handler = slack_handler
    app.state.is_ready = lambda: room.desk is not None and engine.is_connected
    for part in (health, doors, pages, pauses, operations, executions, bulk, changes, accounts, api):
        app.include_router(part.routes)
    _answer_errors(app)
    return app


def make_watched(engine: Engine, gate: Gate, is_ready: Callable[[], bool]) -> FastAPI:
    """What a process without a page says of itself: health and numbers, behind the same gate."""
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(closed_after), Depends(let_in)]
    )
    app.add_middleware(BoundedBody)
    app.state.engine, app.state.gate, app.state.is_ready = engine, gate, is_ready
    app.state.standings = Standings(engine.database, engine.clock, Membership({}, Unlinked()))
    app.include_router(health.routes)
    _answer_errors(app)
    return app


def _answer_errors(app: FastAPI) -> None:
    """Every error is a page that says what happened."""

    @app.exception_handler(Stopped)
    async def stopped(request: Request, error: Stopped) -> Response:
        return error.response

    @app.exception_handler(HTTPException)
    async def not_there(request: Request, error: HTTPException) -> Response:
        if (tenant := stranger(request.url.path)) is not None:
            return told({"error": f"There is no tenant {tenant[:60]!r} here. Leave it out, or write `main`."}, 404)
        text = "There is no such page." if error.status_code == 404 else str(error.detail)
        return refusal(error.status_code, text, "")

    @app.exception_handler(StoreFailed)
    async def not_written(request: Request, error: StoreFailed) -> Response:
        return refusal(503, error.message, error.fix)

    @app.exception_handler(BodyTooLarge)
    async def too_large(request: Request, error: BodyTooLarge) -> Response:
        return refusal(413, "That is more than this page takes (25 MB).", "Send less, or a link to it.")

    @app.exception_handler(ClientDisconnect)
    async def hung_up(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody is left to read it; what was half said is not acted on

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        return refusal(
            500, "Something broke on this side; the log of the bot says more.", "Nothing you typed was acted on twice."
        )


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the bot stops everything in order."""

    def install_signal_handlers(self) -> None:
        """Left to the bot."""

    def capture_signals(self) -> Any:
        """Left to the bot."""
        return _Nothing()


class _Nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


class WebServer:
    """Serves the application until stopped."""

    def __init__(self, app: FastAPI, settings: WebSettings) -> None:
        self.app = app
        self.settings = settings
        self.socket: socket.socket | None = None
        self.server: _Server | None = None

    def bind(self) -> str:
        """Take the port and return the page's address; SettingInvalid when it is taken."""
        family = socket.AF_INET6 if ":" in self.settings.host else socket.AF_INET
        # Said to be TCP: asyncio then sends at once. Else the end of an answer waits 40 ms for the other side to say
        # that it has the beginning.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((self.settings.host, self.settings.port))
        except OSError as error:
            sock.close()
            raise SettingInvalid(
                f"Port {self.settings.port} on {self.settings.host} can't be used: {error.strerror}.",
                fix="Another Parley may be running. Stop it, or choose another port with --port.",
            ) from error
        self.socket = sock
        host = (
            "localhost" if is_loopback(self.settings.host) or self.settings.host in EVERYWHERE else self.settings.host
        )
        return f"http://{host}:{sock.getsockname()[1]}"

    async def serve(self) -> None:
        """Answer requests until `stop` is called."""
        assert self.socket is not None  # noqa: S101 - bind() comes first
        config = uvicorn.Config(
            self.app,
            log_config=None,
            lifespan="off",
            ws="none",
            access_log=False,
            timeout_graceful_shutdown=2,
            server_header=False,
        )
        self.server = _Server(config)
        await self.server.serve(sockets=[self.socket])

    def stop(self) -> None:
        """End `serve` after the requests under way."""
        if self.server is not None:
            self.server.should_exit = True


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "operator"
