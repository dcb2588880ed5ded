"""Action ids and addresses: what a button carries, and where the web page shows a run. Pure.

`p1:<verb>:<target>:<check>`: the verb has two letters, the target is the ULID of a pause, a run or a draft (or a
name of ours), the check is six digits of an HMAC over verb and target, so that a button of another instance is
recognised. The check is no permission: that is looked up when the button is pressed.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import quote

from bot.conversation import Action

VERBS = {
    "ap": "approve",
    "rj": "reject",
    "an": "answer",
    "ch": "choose",
    "rn": "run",
    "lg": "logs",
    "kl": "kill",
    "rp": "replay",
    "rs": "restart",
    "st": "status",
    "cn": "continue",
    "bk": "back",
    "cx": "cancel",
    "ls": "list",
    "sz": "snooze",
    "as": "ask",
    "aa": "approve all",
    "ba": "approve these",
    "sc": "schedule",
    "ed": "edit and replay",
    "lt": "last time",
    "ex": "explain",
    "mu": "mute",
    "um": "unmute",
    "pa": "post again",
    "dl": "delete",
    "bu": "do to these",
    "rv": "restore",
    "rm": "run with a message",
    "mf": "more flows for a message",
    "lo": "longer text",
    "wh": "that is all of it",
}
OPENS_FORM = frozenset({"rn", "rm", "ed", "an", "cn", "bk", "lt"})  # `rj` opens one only when there is something to ask
_ID = re.compile(r"p1:([a-z]{2}):([A-Za-z0-9_-]{1,26}):([0-9a-f]{6})(?:\.([0-9]{1,5}))?")
MOST_NUMBER = 100_000  # beyond those that a button can carry


@dataclass(frozen=True, slots=True)
class Pressed:
    """An action id as read. `is_ours`: the check fits this instance. `choice` is the number at its end, else -1."""

    verb: str
    target: str
    is_ours: bool
    choice: int = -1


@dataclass(frozen=True, slots=True)
class ActionIds:
    """Makes and reads action ids of one instance."""

    key: bytes

    def __call__(self, verb: str, target: str, choice: int = -1) -> str:
        """The id of an action; at most 45 characters."""
        suffix = f".{choice}" if choice >= 0 else ""
        return f"p1:{verb}:{target}:{self._check(verb, target, choice)}{suffix}"

    def read(self, action_id: str) -> Pressed | None:
        """What was pressed; None when it is none of our ids at all."""
        found = _ID.fullmatch(action_id)
        if not found or found[1] not in VERBS:
            return None
        choice = int(found[4]) if found[4] else -1
        expected = self._check(found[1], found[2], choice)
        return Pressed(found[1], found[2], hmac.compare_digest(expected, found[3]), choice)

    def _check(self, verb: str, target: str, choice: int) -> str:
        text = f"{verb}:{target}:{choice}".encode()
        return hmac.new(self.key, text, hashlib.sha256).hexdigest()[:6]

    def button(self, verb: str, target: str, label: str, choice: int = -1) -> Action:
        """A plain button; use dataclasses.replace for style and confirmation."""
        return Action(self(verb, target, choice), label, opens_form=verb in OPENS_FORM)


def target_of(action_id: str) -> str:
    """What an action is about, whoever made its id; "" when it is no id at all."""
    found = _ID.fullmatch(action_id)
    return found[2] if found else ""


def flow_target(full_name: str) -> str:
    """A flow as an action's target: names can be longer than a button may carry."""
    return base64.b32encode(hashlib.blake2b(full_name.encode(), digest_size=16).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Pages:
    """Addresses of the web page; every method gives None when no public address is set."""

    base: str | None = None

    def execution(self, namespace: str, flow_id: str, execution_id: str) -> str | None:
        """The page of a run, at the path Kestra uses."""
        return self._page("ui", "executions", namespace, flow_id, execution_id)

    def sign_in(self, code: str) -> str | None:
        """The page that signs a browser in, once."""
        return self._page("in", code)

    def _page(self, *parts: str) -> str | None:
        if not self.base:
            return None
        return "/".join([self.base.rstrip("/"), *(quote(part, safe="") for part in parts)])
