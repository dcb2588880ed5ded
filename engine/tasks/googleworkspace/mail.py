"""`io.kestra.plugin.googleworkspace.mail`: mail in Gmail."""

import base64
import mimetypes
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.core.durations import Duration
from engine.plugin import (
    Look,
    Outputs,
    Part,
    PollContext,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    TaskFailed,
)
from engine.tasks import rest_service
from engine.tasks.email import addresses
from engine.tasks.http_options import HttpOptions, Timeouts
from engine.tasks.pages import Pages
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList
from engine.tasks.trigger_fields import fields_of

API, TOKENS = "https://gmail.googleapis.com/gmail/v1/users/me", "https://oauth2.googleapis.com/token"
MOST = 500  # messages of one page
MOST_PAGES = 40  # of one look


class GmailConnected(Part):
    """Whose mail it is: a refresh token of theirs, or an access token that is still good."""

    client_id: Property[OptionalText] = None
    client_secret: Property[OptionalText] = None
    refresh_token: Property[OptionalText] = None
    access_token: Property[OptionalText] = None
    scopes: Property[TextList | None] = Field(default=None, description="Said when the refresh token was made.")
    read_timeout: Property[OptionalInteger] = Field(default=120, description="Seconds Google may be silent.")

    async def token(self, context: RunContext) -> str:
        """An access token; TaskFailed when there is none to be had."""
        for secret in (self.client_secret, self.refresh_token, self.access_token):
            if secret:
                context.mask(secret)
        if self.access_token:
            return self.access_token
        if not (self.client_id and self.client_secret and self.refresh_token):
            raise TaskFailed(
                "It is not said who asks.", fix="Give `clientId`, `clientSecret` and `refreshToken`, or `accessToken`."
            )
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        url = context.settings.provider("google_oauth").base_url or TOKENS
        found = await rest_service.mapping(context, "Google", "POST", url, data=form)
        token = str(rest_service.held(found, "Google", "access_token"))
        context.mask(token)
        return token

    async def gmail(self, context: RunContext, token: str, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON of one call; TaskFailed when Google refuses."""
        base = (context.settings.provider("google_mail").base_url or API).rstrip("/")
        options = HttpOptions(timeout=Timeouts(read_idle_timeout=timedelta(seconds=self.read_timeout or 120)))
        headers, url = {"Authorization": f"Bearer {token}"}, f"{base}/{path}"
        return await rest_service.mapping(context, "Gmail", method, url, headers=headers, options=options, **given)


class Sent(Outputs):
    """The message that was sent."""

    messageId: str  # noqa: N815 - appears as written
    threadId: str | None = None  # noqa: N815


class Send(GmailConnected, RunnableTask):
    """Send a mail."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.googleworkspace.mail.Send
clientId: "{{ secret('GMAIL_CLIENT_ID') }}"
clientSecret: "{{ secret('GMAIL_CLIENT_SECRET') }}"
refreshToken: "{{ secret('GMAIL_REFRESH_TOKEN') }}"
to: [team@example.com]
subject: Report of {{ now() | date("yyyy-MM-dd") }}
htmlBody: "<p>See the attachment.</p>"
attachments:
  - "{{ outputs.report.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.mail.Send"]
    to: Property[TextList | None] = None
    cc: Property[TextList | None] = None
    bcc: Property[TextList | None] = None
    from_: Property[OptionalText] = Field(default=None, alias="from")
    subject: Property[OptionalText] = None
    text_body: Property[OptionalText] = None
    html_body: Property[OptionalText] = None
    attachments: Property[TextList | None] = None

    async def run(self, context: RunContext) -> Sent:
        message = await self._message(context)
        raw = base64.urlsafe_b64encode(message.as_bytes()).decode().rstrip("=")
        token = await self.token(context)
        done = await self.gmail(context, token, "POST", "messages/send", json={"raw": raw})
        return Sent(messageId=str(rest_service.held(done, "Gmail", "id")), threadId=done.get("threadId"))

    async def _message(self, context: RunContext) -> EmailMessage:
        if not (self.to or self.cc or self.bcc):
            raise TaskFailed("It is not said who gets it.", fix="Give `to`, `cc` or `bcc`.")
        message = EmailMessage()
        for name, given in (("To", self.to), ("Cc", self.cc), ("Bcc", self.bcc)):
            if given:
                message[name] = addresses("; ".join(given), name.lower())
        if self.from_:
            message["From"] = addresses(self.from_, "from")
        message["Subject"] = " ".join((self.subject or "").split())  # a line break would begin another header
        if self.html_body is None or self.text_body is not None:
            message.set_content(self.text_body or "")
        else:
            message.set_content(self.html_body, subtype="html")
        if self.html_body is not None and self.text_body is not None:
            message.add_alternative(self.html_body, subtype="html")
        for uri in self.attachments or ():
            name = PurePosixPath(uri).name
            main, _, sub = (mimetypes.guess_type(name)[0] or "application/octet-stream").partition("/")
            message.add_attachment(await context.files.read(uri), main, sub, filename=name)
        return message


class ListFields(GmailConnected):
    """Which messages are meant."""

    query: Property[OptionalText] = None
    label_ids: Property[TextList | None] = None
    include_spam_trash: Property[bool] = False

    def asked(self, most: int, more: str = "") -> dict[str, Any]:
        """What the address says."""
        query = " ".join(part for part in (self.query, more) if part)
        spam = str(self.include_spam_trash).lower()
        told = {"q": query or None, "labelIds": self.label_ids or None, "maxResults": str(min(most, MOST))}
        return {name: value for name, value in told.items() if value is not None} | {"includeSpamTrash": spam}


class Listed(Outputs):
    """Ids of messages and of their threads."""

    messages: list[dict[str, Any]]
    resultSizeEstimate: int = 0  # noqa: N815 - appears as written
    nextPageToken: str | None = None  # noqa: N815


class List(ListFields, RunnableTask):
    """List messages, the newest first."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: unread
type: io.kestra.plugin.googleworkspace.mail.List
clientId: "{{ secret('GMAIL_CLIENT_ID') }}"
clientSecret: "{{ secret('GMAIL_CLIENT_SECRET') }}"
refreshToken: "{{ secret('GMAIL_REFRESH_TOKEN') }}"
query: is:unread from:boss@example.com
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.mail.List"]
    max_results: Property[int] = Field(default=100, ge=1)

    async def run(self, context: RunContext) -> Listed:
        params = self.asked(self.max_results)
        found = await self.gmail(context, await self.token(context), "GET", "messages", params=params)
        messages = rest_service.listed(found, "Gmail", "messages", each=["id"])
        return Listed(
            messages=[{"id": one["id"], "threadId": one.get("threadId")} for one in messages],
            resultSizeEstimate=found.get("resultSizeEstimate") or 0,
            nextPageToken=found.get("nextPageToken"),
        )


class One(Outputs):
    """The message."""

    message: dict[str, Any]


class Get(GmailConnected, RunnableTask):
    """Fetch a message."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: read
type: io.kestra.plugin.googleworkspace.mail.Get
clientId: "{{ secret('GMAIL_CLIENT_ID') }}"
clientSecret: "{{ secret('GMAIL_CLIENT_SECRET') }}"
refreshToken: "{{ secret('GMAIL_REFRESH_TOKEN') }}"
messageId: 1a2b3c4d5e6f7890
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.mail.Get"]
    message_id: Property[Text]
    format: Property[Text] = "full"

    async def run(self, context: RunContext) -> One:
        path, params = f"messages/{quote(self.message_id, safe='')}", {"format": self.format.lower()}
        return One(message=told(await self.gmail(context, await self.token(context), "GET", path, params=params)))


class TriggerFields(ListFields):
    """Which messages are looked for, and how many at once."""

    max_messages_per_poll: Property[int] = Field(default=50, ge=1, le=MOST)
    initial_lookback: Property[timedelta | None] = None

    async def since(self, context: RunContext, token: str, second: int) -> list[str]:
        """The ids of all messages from a second on, the newest first."""
        params, found = self.asked(MOST, f"after:{second}"), list[str]()
        pages = Pages("Gmail")
        for _ in range(MOST_PAGES):
            page = await self.gmail(context, token, "GET", "messages", params=params)
            found += [str(one["id"]) for one in rest_service.listed(page, "Gmail", "messages", each=["id"])]
            if not (following := pages.after(page.get("nextPageToken"))):
                break
            params["pageToken"] = following
        return found


class MailReceivedTrigger(TriggerFields, PollingTrigger):
    """Start an execution when mail came: `trigger.messages`, and the first of them as `trigger.subject` and so on."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.googleworkspace.mail.MailReceivedTrigger
clientId: "{{ secret('GMAIL_CLIENT_ID') }}"
clientSecret: "{{ secret('GMAIL_CLIENT_SECRET') }}"
refreshToken: "{{ secret('GMAIL_REFRESH_TOKEN') }}"
query: subject:order
interval: PT2M
""",
    )
    type: Literal[
        "io.kestra.plugin.googleworkspace.mail.MailReceivedTrigger",
        "io.kestra.plugin.googleworkspace.mail.MailReceived",
    ]
    interval: Duration = Field(default=timedelta(minutes=5), ge=timedelta(seconds=1))

    async def poll(self, context: PollContext) -> Look:
        fields = await fields_of(self, TriggerFields, context)
        first = datetime.now(UTC) - (fields.initial_lookback or self.interval)
        since = int(context.memory.get("moment", first.timestamp() * 1000))
        known = set(context.memory.get("ids", ()))
        token = await fields.token(context)
        there = await fields.since(context, token, since // 1000 - 1)
        fresh = []
        for one in [one for one in reversed(there) if one not in known][: fields.max_messages_per_poll]:
            known.add(one)
            path = f"messages/{quote(one, safe='')}"
            found = await fields.gmail(context, token, "GET", path, params={"format": "full"})
            if rest_service.whole(found, "Gmail", "internalDate", missing=0) >= since:
                fresh.append(found)
        ids = sorted(known & set(there))  # also older ones: the search knows seconds only
        if not fresh:
            return Look(None, {"moment": since, "ids": ids})
        moment = max(rest_service.whole(one, "Gmail", "internalDate", missing=0) for one in fresh) // 1000 * 1000
        messages = [told(one) for one in fresh]
        return Look({**messages[0], "messages": messages}, {"moment": moment, "ids": ids})


def told(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as flows see it."""
    payload = rest_service.mapped(message.get("payload"), "Gmail")
    named = rest_service.listed(payload, "Gmail", "headers", each=["name", "value"])
    headers = {str(one["name"]).lower(): one["value"] for one in named}
    parts = list(_parts(payload))
    moment = rest_service.whole(message, "Gmail", "internalDate", missing=0)
    when = datetime.fromtimestamp(moment / 1000, UTC).isoformat() if moment else None
    people: dict[str, Any] = {
        name: [one.strip() for one in headers[name].split(",") if one.strip()]
        for name in ("to", "cc", "bcc")
        if name in headers
    }
    return {
        "id": rest_service.held(message, "Gmail", "id"),
        "threadId": message.get("threadId"),
        "labelIds": message.get("labelIds") or [],
        "snippet": message.get("snippet"),
        "historyId": message.get("historyId"),
        "sizeEstimate": message.get("sizeEstimate"),
        "internalDate": when,
        "raw": message.get("raw"),
        "headers": headers,
        "subject": headers.get("subject"),
        "from": headers.get("from"),
        **people,
        "textPlain": next((_text(one) for one in parts if one.get("mimeType") == "text/plain" and _text(one)), None),
        "textHtml": next((_text(one) for one in parts if one.get("mimeType") == "text/html" and _text(one)), None),
        "attachments": [_attachment(one) for one in parts if one.get("filename")],
    }


def _parts(payload: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a message consists of, without what only holds other parts."""
    parts = rest_service.listed(payload, "Gmail", "parts")
    for part in parts:
        yield from _parts(part)
    if not parts:
        yield payload


def _text(part: Mapping[str, Any]) -> str | None:
    if not rest_service.mapped(part, "Gmail", "body").get("data") or part.get("filename"):
        return None
    return rest_service.decoded(part, "Gmail", "body", "data").decode("utf-8", "replace")


def _attachment(part: Mapping[str, Any]) -> dict[str, Any]:
    body = part.get("body") or {}
    about = {"attachmentId": body.get("attachmentId"), "size": body.get("size"), "data": body.get("data")}
    return {**about, "filename": part["filename"], "mimeType": part.get("mimeType")}
