"""`io.kestra.plugin.email`: mail out over SMTP, and mail that comes."""

import asyncio
import html
import imaplib
import mimetypes
import poplib
import re
import smtplib
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import getaddresses, make_msgid
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.core.durations import Duration
from engine.plugin import (
    Look,
    Message,
    Outputs,
    Part,
    PollContext,
    PollingTrigger,
    Property,
    RealtimeTrigger,
    RunContext,
    RunnableTask,
    TaskFailed,
)
from engine.tasks.address_guard import check_host
from engine.tasks.execution_facts import facts
from engine.tasks.execution_text import summary_text
from engine.tasks.mailbox import Mailbox, new_mails
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, TextList, document_from_text
from engine.tasks.threads import in_own_thread
from engine.tasks.trigger_fields import fields_of

SEMICOLON = re.compile(r';(?=(?:[^"]*"[^"]*")*[^"]*$)')  # outside quoted names
PLAIN = "Please view this email in a modern email client"


class Attachment(Part):
    """A file from internal storage."""

    name: Text
    uri: Text
    content_type: Text = "application/octet-stream"


Attachments = Annotated[list[Attachment], BeforeValidator(document_from_text)]


class MailTask(RunnableTask):
    """What both tasks have."""

    needed_to_run: ClassVar[tuple[str, ...]] = ("host", "from_", "to")
    host: Property[Text] = ""
    port: Property[OptionalInteger] = None
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    access_token: Property[OptionalText] = Field(
        default=None, description="Of OAuth 2, with `transportStrategy: SMTP_OAUTH2`; `password` may hold it, too."
    )
    transport_strategy: Property[Literal["SMTP", "SMTPS", "SMTP_TLS", "SMTP_OAUTH2"]] = "SMTPS"
    from_: Property[Text] = Field(default="", alias="from")
    to: Property[Text] = ""
    cc: Property[OptionalText] = None
    subject: Property[OptionalText] = None
    attachments: Property[Attachments | None] = None
    embedded_images: Property[Attachments | None] = None
    html_text_content: Property[OptionalText] = None
    plain_text_content: Property[OptionalText] = None
    session_timeout: Property[OptionalInteger] = 10_000
    verify_server_identity: Property[bool] = True
    trusted_hosts: Property[TextList | None] = Field(
        default=None, description="Hosts whose certificate is taken as it is; all others must have a good one."
    )

    async def send(self, context: RunContext, plain: str, markup: str | None) -> None:
        """Send one message; TaskFailed when the server refuses it."""
        await check_host(self.host, context.settings)
        for secret in filter(None, (self.password, self.access_token)):
            context.mask(secret)
        if self.transport_strategy == "SMTP_OAUTH2" and not (self.username and (self.access_token or self.password)):
            raise TaskFailed("`SMTP_OAUTH2` needs a `username` and an `accessToken`.", fix="Give both.")
        message = await self._message(context, plain, markup)
        try:
            await in_own_thread(lambda: self._deliver(message))
        except smtplib.SMTPResponseException as error:
            said = (
                error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            fix = "Check `username` and `password`." if isinstance(error, smtplib.SMTPAuthenticationError) else ""
            raise TaskFailed(f"{self.host} answered {error.smtp_code}: {said}", fix=fix) from error
        except smtplib.SMTPRecipientsRefused as error:
            raise TaskFailed(
                f"{self.host} takes no mail for {', '.join(error.recipients)}.", fix="Check the addresses."
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            raise TaskFailed(
                f"Mail could not be sent by {self.host}: {error}.", fix="Check `host`, `port` and `transportStrategy`."
            ) from error

    async def _message(self, context: RunContext, plain: str, markup: str | None) -> EmailMessage:
        message = EmailMessage()
        message["From"] = addresses(self.from_, "from")
        message["To"] = addresses(self.to, "to")
        if self.cc:
            message["Cc"] = addresses(self.cc, "cc")
        message["Subject"] = " ".join((self.subject or "").split())  # a line break would begin another header
        message["Message-ID"] = make_msgid(context.task_run_id, domain="parley.invalid")
        message.set_content(plain)
        if markup is not None:
            message.add_alternative(markup, subtype="html")
            markup_part = message.get_payload()[-1]  # type: ignore[index]
            for image in self.embedded_images or []:
                content = await context.files.read(image.uri)
                main, _, sub = self._kind(image).partition("/")
                markup_part.add_related(content, main, sub, cid=f"<{image.name}>", filename=image.name)  # type: ignore[union-attr]
        loose = [] if markup is not None else self.embedded_images or []  # no HTML that could show them
        for attachment in [*(self.attachments or []), *loose]:
            content = await context.files.read(attachment.uri)
            main, _, sub = self._kind(attachment).partition("/")
            message.add_attachment(content, main, sub, filename=attachment.name)
        return message

    def _kind(self, attachment: Attachment) -> str:
        guessed = mimetypes.guess_type(attachment.name)[0]
        unknown = "content_type" not in attachment.model_fields_set
        return guessed if unknown and guessed else attachment.content_type

    def _deliver(self, message: EmailMessage) -> None:
        seconds = (self.session_timeout or 10_000) / 1000
        tls = ssl.create_default_context()
        trusted = self.host in self.trusted_hosts if self.trusted_hosts else not self.verify_server_identity
        if trusted:
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        if self.transport_strategy == "SMTPS":
            client: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port or 465, timeout=seconds, context=tls)
        else:
            client = smtplib.SMTP(
                self.host, self.port or (25 if self.transport_strategy == "SMTP" else 587), timeout=seconds
            )
        with client:
            if self.transport_strategy in ("SMTP_TLS", "SMTP_OAUTH2"):
                client.starttls(context=tls)
            if self.transport_strategy == "SMTP_OAUTH2":
                client.ehlo_or_helo_if_needed()
                said = f"user={self.username}\x01auth=Bearer {self.access_token or self.password}\x01\x01"
                client.auth("XOAUTH2", lambda challenge=None: said if challenge is None else "")
            elif self.username:
                client.login(self.username, self.password or "")
            client.send_message(message)


class MailSend(MailTask):
    """Send a mail, as text and as HTML, with attachments."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.email.MailSend
host: smtp.example.com
port: 465
username: "{{ secret('MAIL_USER') }}"
password: "{{ secret('MAIL_PASSWORD') }}"
from: flows@example.com
to: team@example.com
subject: Report of {{ now() | date("yyyy-MM-dd") }}
htmlTextContent: "<p>See the attachment.</p>"
attachments:
  - name: report.csv
    uri: "{{ outputs.report.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.email.MailSend", "io.kestra.plugin.notifications.mail.MailSend"]

    async def run(self, context: RunContext) -> None:
        await self.send(context, self.plain_text_content or PLAIN, self.html_text_content)


class MailExecution(MailTask):
    """Send a mail about an execution."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: alert
type: io.kestra.plugin.email.MailExecution
host: smtp.example.com
from: flows@example.com
to: team@example.com
executionId: "{{ trigger.executionId }}"
""",
    )
    type: Literal["io.kestra.plugin.email.MailExecution", "io.kestra.plugin.notifications.mail.MailExecution"]
    execution_id: Property[OptionalText] = None
    custom_fields: Property[JsonMap | None] = None
    custom_message: Property[OptionalText] = None
    template_render_map: Any = None

    async def run(self, context: RunContext) -> None:
        about = facts(await context.execution_map(self.execution_id))
        fields = {"Execution ID": about.id, **(self.custom_fields or {})}
        text = summary_text(about, self.custom_message, fields)
        subject = self.subject or about.headline
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in text.splitlines())
        markup = self.html_text_content or lines
        await self.model_copy(update={"subject": subject}).send(context, self.plain_text_content or text, markup)


class Received(Outputs):
    """Mails that came."""

    latestEmail: dict[str, Any]  # noqa: N815 - appears as written
    total: int
    emails: list[dict[str, Any]]


class MailboxFields(Part):
    """Where mail is looked for."""

    protocol: Property[Literal["IMAP", "POP3"]] = Field(default="IMAP", description="How the server is asked.")
    host: Property[Text] = Field(description="The mail server.")
    port: Property[OptionalInteger] = Field(
        default=None, description="993 or 143 (IMAP), 995 or 110 (POP3) unless given: with and without `ssl`."
    )
    username: Property[Text] = Field(description="Whose mail it is.")
    password: Property[Text] = Field(description="The password.")
    folder: Property[Text] = Field(default="INBOX", description="Which folder (IMAP).")
    ssl: Property[bool] = Field(default=True, description="Speak TLS.")
    trust_all_certificates: Property[bool] = Field(default=False, description="Take any certificate.")

    @property
    def place(self) -> str:
        """Which mailbox it is."""
        return f"{self.protocol} {self.host} {self.username} {self.folder}"

    async def new(self, context: RunContext, known: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Mails that came since a look, and what to remember for the next one; TaskFailed."""
        await check_host(self.host, context.settings)
        context.mask(self.password)
        box = Mailbox(
            self.protocol,
            self.host,
            self.port,
            self.username,
            self.password,
            self.folder,
            self.ssl,
            self.trust_all_certificates,
        )
        try:
            return await in_own_thread(lambda: new_mails(box, known))
        except (imaplib.IMAP4.error, poplib.error_proto) as error:
            said = error.args[0] if error.args else error
            text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            raise TaskFailed(
                f"{self.host} refused: {text}", fix="Check `username`, `password` and `folder`."
            ) from error
        except OSError as error:
            raise TaskFailed(
                f"{self.host} can't be reached: {error}.", fix="Check `host`, `port` and `ssl`."
            ) from error


class MailReceivedTrigger(MailboxFields, PollingTrigger):
    """Start an execution when mail comes; what lies there at the first look is old."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.email.MailReceivedTrigger
interval: PT1M
protocol: IMAP
host: imap.example.com
username: "{{ secret('MAIL_USER') }}"
password: "{{ secret('MAIL_PASSWORD') }}"
folder: INBOX
""",
    )
    type: Literal[
        "io.kestra.plugin.email.MailReceivedTrigger", "io.kestra.plugin.notifications.mail.MailReceivedTrigger"
    ]

    async def poll(self, context: PollContext) -> Look:
        asked = await fields_of(self, MailboxFields, context)
        known = context.memory if context.memory.get("place") == asked.place else {}
        mails, memory = await asked.new(context, known)
        found = Received(latestEmail=mails[-1], total=len(mails), emails=mails) if mails else None
        return Look(found, {**memory, "place": asked.place})


class RealTimeTrigger(MailboxFields, RealtimeTrigger):
    """Start an execution for each mail that comes while it listens.

    IMAP is asked every few seconds, POP3 once an `interval`. Mail that comes while the bot is away is heard by a
    MailReceivedTrigger only, which remembers where it was.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.email.RealTimeTrigger
protocol: IMAP
host: imap.example.com
username: "{{ secret('MAIL_USER') }}"
password: "{{ secret('MAIL_PASSWORD') }}"
""",
    )
    type: Literal["io.kestra.plugin.email.RealTimeTrigger", "io.kestra.plugin.notifications.mail.RealTimeTrigger"]
    interval: Duration = Field(
        default=timedelta(seconds=60), ge=timedelta(seconds=1), description="The wait between two looks by POP3."
    )

    prompt: ClassVar[timedelta] = timedelta(seconds=5)

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        asked = await fields_of(self, MailboxFields, context)
        wait = min(self.interval, self.prompt) if asked.protocol == "IMAP" else self.interval
        _, memory = await asked.new(context, {})
        while True:
            try:
                mails, memory = await asked.new(context, memory)
            except TaskFailed as error:  # it goes on where it was
                context.log(f"{error} The next look is in {wait.total_seconds():g} s.", "WARN")
                mails = []
            if mails:
                yield [Message(mail) for mail in mails]
            else:
                await asyncio.sleep(wait.total_seconds())


def addresses(text: str, name: str) -> tuple[Address, ...]:
    """Addresses written with commas or semicolons; TaskFailed when one is none."""
    found = []
    for shown, address in getaddresses([SEMICOLON.sub(",", " ".join(text.split()).rstrip("; "))]):
        local, at, domain = address.rpartition("@")
        if not (at and local and domain):
            raise TaskFailed(
                f"`{name}` {text!r} is not a mail address.", fix="Write them as ann@example.com, bob@example.com."
            )
        found.append(Address(shown, local, domain))
    return tuple(found)
