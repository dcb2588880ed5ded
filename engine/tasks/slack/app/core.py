"""`io.kestra.plugin.slack.app.core`: what happens at Slack starts executions."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl

from pydantic import Field, model_validator

from engine.core.property import Property
from engine.core.request_triggers import Arrived, Heard, RequestTrigger, Spoken
from engine.tasks.property_types import OptionalText, Text

LATEST = 300  # seconds a request may be old, as Slack advises


class Trigger(RequestTrigger):
    """Start an execution for what a Slack app hears: events, slash commands, buttons, shortcuts."""

    examples = (
        """
        id: mentioned
        type: io.kestra.plugin.slack.app.core.Trigger
        key: slack
        signingSecret: "{{ secret('SLACK_SIGNING_SECRET') }}"
        when: "{{ trigger.body.type == 'app_mention' }}"
        """,
        """
        id: commanded
        type: io.kestra.plugin.slack.app.core.Trigger
        signingSecret: "{{ secret('SLACK_SIGNING_SECRET') }}"
        botToken: "{{ secret('SLACK_BOT_TOKEN') }}"
        """,
    )
    type: Literal["io.kestra.plugin.slack.app.core.Trigger", "io.kestra.plugin.slack.app.Trigger"]
    credentials: ClassVar[tuple[str, ...]] = ("signing_secret", "bot_token")
    is_silent: ClassVar[bool] = True
    has_open_key: ClassVar[bool] = True
    key: str = Field(
        default="",
        max_length=256,
        description="The end of the address to name at Slack; the trigger's id unless given. May be a {{ template }}.",
    )
    signing_secret: Property[Text] = Field(
        description="The app's signing secret: a request that is not signed with it is refused."
    )
    fetch_type: Literal["FETCH"] = Field(default="FETCH", description="What Slack says is read into `trigger.body`.")
    bot_token: Property[OptionalText] = Field(
        default=None, description="The app's bot token: tasks have it as `trigger.token`, and nobody reads it."
    )

    @model_validator(mode="before")
    @classmethod
    def _key_is_the_id(cls, given: Any) -> Any:
        return {**given, "key": given.get("key") or given.get("id")} if isinstance(given, Mapping) else given

    def admit(self, arrived: Arrived, credentials: Mapping[str, str], now: datetime) -> Heard | Spoken:
        """A request of Slack's, when it is signed and new; Slack's question whether we are here is answered."""
        if not is_signed(arrived, credentials["signing_secret"], now):
            return Spoken(401, "Slack's signature is missing, wrong or too old.")
        said = read(arrived)
        if said is None:
            return Spoken(400, "This is no request of Slack's.")
        if said.get("type") == "url_verification":
            return Spoken(200, str(said.get("challenge", "")))
        if "ssl_check" in said:
            return Spoken(200)
        if said.get("type") == "event_callback":
            event = said.get("event")
            body, key = (event if isinstance(event, dict) else {}), said.get("event_id")
        else:
            body, key = said, said.get("trigger_id")
        told = {name: value for name, value in body.items() if name != "token"}
        token = {"token": credentials["bot_token"]} if credentials.get("bot_token") else {}
        return Heard({**arrived.variables(told), **token}, None if key is None else f"slack:{key}")


def is_signed(arrived: Arrived, secret: str, now: datetime) -> bool:
    """Whether Slack signed a request with the app's secret, just now."""
    stamp, signature = arrived.header("x-slack-request-timestamp"), arrived.header("x-slack-signature")
    if not secret or not stamp.isdigit() or abs(now.timestamp() - int(stamp)) > LATEST:
        return False
    said = f"v0:{stamp}:{arrived.body}".encode()
    made = "v0=" + hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()
    return hmac.compare_digest(made.encode(), signature.encode())


def read(arrived: Arrived) -> dict[str, Any] | None:
    """What Slack says: an event as JSON, all else as a form, whose `payload` is JSON; None when it is neither."""
    text = arrived.body
    if "json" not in arrived.header("content-type"):
        form = dict(parse_qsl(text, keep_blank_values=True))
        if "payload" not in form:
            return form or None
        text = form["payload"]
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
