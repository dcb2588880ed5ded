"""What Slack says about channels, people, files and messages, under the names that flows read."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from engine.plugin import Outputs, TaskFailed


def _moment(seconds: Any) -> str | None:
    """Seconds since 1970 as a date, as in Kestra: Slack's 0 for never is 1970, too."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (TypeError, OverflowError, OSError) as error:
        raise ValueError("is no moment in seconds since 1970") from error


Instant = Annotated[str | None, BeforeValidator(_moment)]
Flag = Annotated[bool, BeforeValidator(bool)]
"""What Slack says only when it is so: false where it says nothing, as in Kestra."""


class Said(Outputs):
    """Slack's own JSON (`is_private`) as flows read it (`isPrivate`); what flows have no name for is left out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, coerce_numbers_to_str=True)

    @classmethod
    def of(cls, said: Any, method: str) -> Self:
        """What Slack says in its answer to a method; TaskFailed when that is nothing of the kind."""
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise TaskFailed(
                f"Slack's answer to {method} can't be read: {f'`{where}`: ' if where else ''}{first['msg']}."
            ) from error

    @classmethod
    def row(cls, said: Any, method: str) -> dict[str, Any]:
        """One entry of a list, as a row; TaskFailed."""
        return cls.of(said, method).model_dump(by_alias=True)


class Topic(Said):
    """The topic or purpose of a channel."""

    value: str = ""
    creator: str | None = None
    last_set: int | None = None


class Conversation(Said):
    """A channel, or a conversation of some people."""

    id: str
    name: str | None = None
    is_private: Flag = False
    is_channel: Flag = False
    is_group: Flag = False
    is_instant_message: Flag = Field(default=False, validation_alias="is_im")
    is_multi_person_instant_message: Flag = Field(default=False, validation_alias="is_mpim")
    created: int | None = None
    is_archived: Flag = False
    is_general: Flag = False
    topic: Topic | None = None
    purpose: Topic | None = None


class Profile(Said):
    """What somebody tells about themselves."""

    title: str | None = None
    phone: str | None = None
    real_name: str | None = None
    display_name: str | None = None
    email: str | None = None
    status_text: str | None = None
    status_emoji: str | None = None


class WholeProfile(Profile):
    """A profile with its pictures."""

    skype: str | None = None
    real_name_normalized: str | None = None
    display_name_normalized: str | None = None
    status_expiration: Instant = None
    avatar_hash: str | None = None
    image_24: str | None = None
    image_32: str | None = None
    image_48: str | None = None
    image_72: str | None = None
    image_192: str | None = None
    image_512: str | None = None
    team: str | None = None


class User(Said):
    """Somebody of the workspace."""

    id: str
    team_id: str | None = None
    name: str | None = None
    deleted: Flag = False
    color: str | None = None
    real_name: str | None = None
    tz: str | None = None
    tz_label: str | None = None
    tz_offset: int | None = None
    profile: WholeProfile | None = None
    is_admin: Flag = False
    is_owner: Flag = False
    is_primary_owner: Flag = False
    is_restricted: Flag = False
    is_ultra_restricted: Flag = False
    is_bot: Flag = False
    is_app_user: Flag = False
    updated: Instant = None
    has2fa: Flag = Field(default=False, alias="has2fa", validation_alias="has_2fa")
    locale: str | None = None


class Presence(Said):
    """Whether somebody is there; only of oneself Slack says more than `presence`."""

    presence: str | None = None
    online: Flag = False
    auto_away: Flag = False
    manual_away: Flag = False
    connection_count: int | None = None
    last_activity: int | None = None


class Thumbnail(Said):
    """Addresses of small pictures of a file."""

    thumb_64: str | None = None
    thumb_80: str | None = None
    thumb_160: str | None = None
    thumb_360: str | None = None
    thumb_480: str | None = None


class File(Said):
    """A file that lies at Slack."""

    id: str
    created: int | None = None
    timestamp: int | None = None
    name: str | None = None
    title: str | None = None
    subject: str | None = None
    mimetype: str | None = None
    filetype: str | None = None
    pretty_type: str | None = None
    user: str | None = None
    user_team_id: str | None = Field(default=None, validation_alias="user_team")
    source_team_id: str | None = Field(default=None, validation_alias="source_team")
    mode: str | None = None
    is_editable: Flag = Field(default=False, validation_alias="editable")
    size: int | None = None
    url_private: str | None = None
    url_private_download: str | None = None
    permalink: str | None = None
    permalink_public: str | None = None
    is_public: Flag = False
    is_external: Flag = False
    external_type: str | None = None
    external_id: str | None = None
    external_url: str | None = None
    thumbnail: Thumbnail | None = None
    channels: list[str] | None = None
    groups: list[str] | None = None
    ims: list[str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _thumbnails_together(cls, said: Any) -> Any:
        return {**said, "thumbnail": said} if isinstance(said, Mapping) else said


class Reaction(Said):
    """An emoji on a message, and whose it is."""

    name: str
    count: int | None = None
    users: list[str] | None = None
    url: str | None = None


class Edited(Said):
    """Who changed a message last, and when."""

    user: str | None = None
    timestamp: str | None = Field(default=None, validation_alias="ts")


class ChannelMessage(Said):
    """A message of a channel."""

    type: str | None = None
    subtype: str | None = None
    team: str | None = None
    channel: str | None = None
    user: str | None = None
    username: str | None = None
    text: str | None = None
    payload: dict[str, Any] | None = None
    timestamp: str | None = Field(default=None, validation_alias="ts")
    thread_timestamp: str | None = Field(default=None, validation_alias="thread_ts")
    is_intro: Flag = False
    is_starred: Flag = False
    pinned_to: list[str] | None = None
    reactions: list[Reaction] | None = None
    app_id: str | None = None
    bot_id: str | None = None
    bot_link: str | None = None
    is_display_as_bot: Flag = Field(default=False, validation_alias="display_as_bot")
    file: File | None = None
    files: list[File] | None = None
    is_upload: Flag = Field(default=False, validation_alias="upload")
    parent_user_id: str | None = None
    inviter: str | None = None
    client_msg_id: str | None = None
    topic: str | None = None
    purpose: str | None = None
    edited: Edited | None = None
    is_unfurl_links: Flag = Field(default=False, validation_alias="unfurl_links")
    is_unfurl_media: Flag = Field(default=False, validation_alias="unfurl_media")
    is_thread_broadcast: Flag = False
    is_locked: Flag = False
    reply_count: int | None = None
    reply_users: list[str] | None = None
    reply_users_count: int | None = None
    latest_reply: str | None = None
    is_subscribed: Flag = Field(default=False, validation_alias="subscribed")
    x_files: list[str] | None = None
    is_hidden: Flag = Field(default=False, validation_alias="hidden")
    last_read: str | None = None
    item_type: str | None = None
    is_no_notifications: Flag = Field(default=False, validation_alias="no_notifications")

    @model_validator(mode="before")
    @classmethod
    def _payload_together(cls, said: Any) -> Any:
        """A message's blocks and attachments are its `payload`."""
        if not isinstance(said, Mapping):
            return said
        payload = {key: said[key] for key in ("blocks", "attachments") if said.get(key)}
        return {**said, "payload": payload or None}
