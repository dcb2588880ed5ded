"""Kestra's clients name a tenant in the path of the API. Here is one, `main`: its API is the API."""

from starlette.types import ASGIApp, Receive, Scope, Send

API = "/api/v1/"
MAIN = "main"
NOUNS = frozenset({"executions", "flows", "kv", "audit", "links", "purge"})  # what a path of the API begins with


class OneTenant:
    """ASGI middleware: a path below `/api/v1/main/` is the one below `/api/v1/`, before a route is looked for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, under the path that the routes know."""
        if scope["type"] == "http" and str(scope["path"]).startswith(f"{API}{MAIN}/"):
            whole = f"{API}{MAIN}/".encode()
            raw = scope.get("raw_path") or b""
            known = {"raw_path": API.encode() + raw.removeprefix(whole)} if raw.startswith(whole) else {}
            scope = {**scope, **known, "path": API + scope["path"].removeprefix(f"{API}{MAIN}/")}
        await self.app(scope, receive, send)


def stranger(path: str) -> str | None:
    """The tenant that a path of the API names, when it is another than `main`. Pure."""
    tenant, _, rest = path.removeprefix(API).partition("/")
    is_named = path.startswith(API) and tenant not in NOUNS and rest.partition("/")[0] in NOUNS
    return tenant if is_named else None
