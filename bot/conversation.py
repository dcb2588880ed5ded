"""The vocabulary of any chat: what a front end shows and hears, in no platform's words. Plain values, JSON-able.

Out: Card (a message that changes with the thing it shows), Form (typed fields), Listing (rows, paged), Notice (a
private sentence), Transcript (log lines). In: Command (typed text), Click (a pressed action), Submission (a filled
form).
Renderers are pure functions from these to a platform's payload; they never exceed a limit and say what they moved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

MESSAGE_TEXT = "message.txt"  # the attachment that holds the text of a message somebody chose
Platform = Literal["slack", "discord", "web", "cli"]
Tone = Literal["info", "running", "success", "warning", "danger", "paused"]
Style = Literal["primary", "neutral", "danger", "link"]


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: `id` is `slack:U1`, `discord:123`, `local:ann`, `token:ci`; `mention` is how the platform writes it."""

    id: str
    name: str
    platform: Platform
    mention: str = ""
    zone: str | None = None  # IANA name, where the platform tells
    roles: tuple[str, ...] = ()  # group or role ids the platform sent along
    workspace: str = ""  # the workspace the platform says they are of, where it has several

    @property
    def is_visiting(self) -> bool:
        """Whether somebody of a chat acts on the page, where a link signed them in."""
        return self.platform == "web" and self.id.startswith(("slack:", "discord:"))


@dataclass(frozen=True, slots=True)
class Room:
    """Where something was said: a channel, a thread in it, or a direct message."""

    platform: Platform
    channel: str
    thread: str | None = None
    workspace: str = ""
    is_direct: bool = False


@dataclass(frozen=True, slots=True)
class MessageRef:
    """A message we posted, so that it can be edited later."""

    platform: Platform
    channel: str
    message: str
    thread: str | None = None
    workspace: str = ""


@dataclass(frozen=True, slots=True)
class Confirm:
    """Asked before an action goes out."""

    title: str
    text: str
    yes: str = "Yes"
    no: str = "Cancel"


@dataclass(frozen=True, slots=True)
class Action:
    """One button. `id` is all of `p1:<verb>:<target>:<check>` (≤ 45 characters); link buttons have `url` instead."""

    id: str
    label: str
    style: Style = "neutral"
    confirm: Confirm | None = None
    opens_form: bool = False  # pressing it must open a form within the platform's 3 seconds
    url: str | None = None


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file in internal storage that belongs to a card. `media_type` such as image/png."""

    uri: str
    name: str
    media_type: str = "application/octet-stream"
    size: int = 0
    alt: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A labelled value on a card. A time also comes as `at`, to be drawn in the reader's zone; `value` is it in UTC."""

    label: str
    value: str
    short: bool = True
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a run's progress; `state` is an engine state name."""

    state: str
    label: str
    note: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A text that belongs to a card whole and is too long for it: front ends send it along as a file."""

    name: str
    what: str  # what it is, in words
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """A message about a run or a pause. Text fields are Markdown (CommonMark subset: bold, italic, code, links, lists),
    in which data stands by `texts.plain`, `literal`, `code` or `fenced`; titles, labels and `fallback` are bare text.

    `version` grows with each change; a renderer draws, the outbox compares. `deadline` is drawn in the reader's zone.
    """

    kind: Literal["run", "pause", "post", "menu"]
    entity: str  # execution id, pause id, or a post's id
    tone: Tone
    title: str
    subtitle: str = ""
    body: str = ""
    facts: tuple[Fact, ...] = ()
    steps: tuple[Step, ...] = ()
    files: tuple[FileRef, ...] = ()
    actions: tuple[Action, ...] = ()
    deadline: datetime | None = None
    footer: str = ""
    version: int = 0
    fallback: str = ""  # the plain sentence for notifications
    enclosed: tuple[Enclosure, ...] = ()


FieldType = Literal[
    "STRING", "SELECT", "MULTISELECT", "INT", "FLOAT", "BOOLEAN", "DATE", "TIME", "DATETIME", "DURATION",
    "JSON", "YAML", "ION", "ARRAY", "TABLE", "URI", "EMAIL", "SECRET", "FILE",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Option:
    """One choice."""

    value: str
    label: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One typed question. `id` is the input's id; on the wire fields go by position (`f:<index>`): ids may be long."""

    id: str
    type: FieldType
    label: str
    help: str = ""
    required: bool = True
    default: Any = None  # as text, or a list of texts for MULTISELECT and ARRAY
    minimum: str | None = None
    maximum: str | None = None
    pattern: str | None = None
    options: tuple[Option, ...] = ()
    allow_custom: bool = False
    radio: bool = False
    multiline: bool = False
    extensions: tuple[str, ...] = ()
    item_type: str | None = None
    error: str | None = None
    leads: bool = False  # whether other fields depend on it: they are asked anew once it is answered
    several: bool = False  # of type FILE: any number of files
    group: str = ""  # the heading under which it stands with its neighbours


@dataclass(frozen=True, slots=True)
class Form:
    """Fields to fill, one page or many (front ends page by their own limits). `id` names the draft: `draft:<ULID>`."""

    id: str
    title: str
    submit: str
    fields: tuple[Field, ...]
    intro: str = ""
    page: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)  # what is kept from earlier pages or a refused try
    actions: tuple[Action, ...] = ()  # buttons beside the fields, where a form can have them; each draws the form anew
    edition: int = 0  # grows when values are put into fields that a client may have drawn already


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence: mostly a private answer."""

    tone: Tone
    text: str
    actions: tuple[Action, ...] = ()
    code: str = ""  # E01 … E26 where one applies
    calls: tuple[str, ...] = ()  # groups to be called by it: `slack:usergroup:design`, `discord:role:42`


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a listing."""

    title: str
    text: str = ""
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows, a page of them. `more` is the command text that shows the next page ("" when there is none)."""

    title: str
    rows: tuple[Row, ...]
    note: str = ""
    more: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Log lines; when they are too many for a message the front end attaches them as `name`."""

    title: str
    lines: tuple[str, ...]
    name: str = "run.log"


Body = Card | Form | Notice | Listing | Transcript


@dataclass(frozen=True, slots=True)
class Reply:
    """What to show the person who asked. `public`: everybody in the room. `replaces`: draw it over the clicked message.
    `card`: the clicked message as it is from now on, drawn over it at once, beside the answer.

    Cards that follow a run or a pause are posted by the outbox, not here: a `run` command is answered by a Notice, and
    the run card follows in the room.
    """

    body: Body
    public: bool = False
    replaces: bool = False
    card: Card | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file somebody sent along: already fetched by the front end to a local path."""

    name: str
    path: str
    size: int
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Command:
    """Typed text after `/flow` (or `@parley`). `receipt` is the platform's id of this delivery."""

    text: str
    person: Person
    room: Room
    receipt: str
    attachments: tuple[Attachment, ...] = ()
    answer_url: str | None = (
        None  # where an answer can still be sent after a restart (Slack response_url, Discord token URL)
    )
    is_message: bool = False  # written as a message, by mention or in a direct conversation: it may be no command


@dataclass(frozen=True, slots=True)
class Click:
    """A pressed action."""

    action_id: str
    person: Person
    room: Room
    receipt: str
    message: MessageRef | None = None
    answer_url: str | None = None
    seen: str = ""  # evidence of what a page showed beside it, where the card is no message


@dataclass(frozen=True, slots=True)
class Submission:
    """A filled form, or one page of it. `values` are raw: text, list of texts, bool, or attachments, by field id."""

    form_id: str
    values: Mapping[str, Any]
    person: Person
    room: Room
    receipt: str
    page: int = 0
    last: bool = True  # False: more pages follow, keep and answer with the next page
    answer_url: str | None = None
    message: MessageRef | None = None  # the one whose button opened the form
    full: tuple[str, ...] = ()  # fields with as much text as the window takes: there may have been more


@dataclass(frozen=True, slots=True)
class FieldErrors:
    """Why a submission was refused, by field id; the form comes back with what was typed."""

    form: Form
    errors: Mapping[str, str]
