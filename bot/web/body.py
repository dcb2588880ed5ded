"""How much one request may send, counted as it arrives: a length that was promised proves nothing."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 25 * 1024 * 1024  # bytes


class BodyTooLarge(Exception):
    """A request sent more than `MAX_BODY` bytes; the rest of it is not read."""


class BoundedBody:
    """ASGI middleware: reading past `limit` bytes of a request raises BodyTooLarge in whoever reads."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.limit:
                raise BodyTooLarge
            return message

        await self.app(scope, counted, send)
