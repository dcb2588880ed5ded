"""Messages of the room as JSON text and back."""

import json
from hashlib import blake2b
from typing import Any

from pydantic import TypeAdapter

from bot.conversation import Body, Card, FileRef, Form, Listing, Notice, Transcript
from bot.web.views import media_type
from engine.plugin import ChatPost

_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    cls.__name__: TypeAdapter(cls) for cls in (Card, Form, Notice, Listing, Transcript)
}


def encode(body: Body | str, about: str = "") -> str:
    """JSON text of a message; a plain string is what a person typed. `about`: the flow it tells of."""
    if isinstance(body, str):
        return json.dumps({"kind": "text", "text": body}, ensure_ascii=False)
    adapter = _ADAPTERS[type(body).__name__]
    document = {"kind": type(body).__name__, "body": adapter.dump_python(body, mode="json"), "about": about}
    return json.dumps(document, ensure_ascii=False)


def decode(text: str) -> Body | str:
    """The message of a JSON text."""
    read = json.loads(text)
    if read["kind"] == "text":
        return str(read["text"])
    body: Body = _ADAPTERS[read["kind"]].validate_python(read["body"])
    return body


def about(text: str) -> str:
    """The flow a message tells of; "" when it tells of none."""
    return str(json.loads(text).get("about", ""))


def card_of_post(post: ChatPost) -> Card:
    """A task's message as a card without a title of its own."""
    text = post.text or str((post.body or {}).get("text") or (post.body or {}).get("content") or "")
    files = tuple(FileRef(uri, uri.rsplit("/", 1)[-1], media_type(uri)) for uri in post.files)
    digest = blake2b(f"{post.nonce}{text}".encode(), digest_size=8).hexdigest()
    return Card("post", f"post-{digest}", "info", post.username or "", body=text, files=files, fallback=text[:200])
