"""Who may decide, as an administrator writes it in `approvals`: accounts, groups, roles, addresses, everybody. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bot.texts import code, plain

Kind = Literal["account", "name", "group", "email", "domain", "channel", "anyone"]
GROUP_WORDS = {"slack": "usergroup", "discord": "role"}
HOW = (
    "write `user:NAME`, an account such as `slack:U0123`, `discord:42` or `local:NAME`, `slack:usergroup:HANDLE`, "
    "`discord:role:ID`, `email:example.com`, `email:ann@example.com`, `anyone-in-channel` or `anyone`"
)
_ACCOUNT = re.compile(r"(slack:[UW][A-Z0-9]+|discord:[0-9]+|(?:local|token|cli):[^:\s]+)")
_GROUP = re.compile(r"(slack):usergroup:@?([^:\s]+)|(discord):role:@?(\S.*)")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")


@dataclass(frozen=True, slots=True)
class Approver:
    """One entry: `value` is an account, a name, a group's id or handle, an address or a domain."""

    kind: Kind
    value: str = ""
    platform: str = ""

    @property
    def text(self) -> str:
        """The entry as it is written."""
        match self.kind:
            case "account":
                return self.value
            case "name":
                return f"user:{self.value}"
            case "group":
                return f"{self.platform}:{GROUP_WORDS[self.platform]}:{self.value}"
            case "email" | "domain":
                return f"email:{self.value}"
            case "channel":
                return "anyone-in-channel"
        return "anyone"

    def label(self, names: Mapping[str, str] | None = None) -> str:
        """The entry in words, for cards and refusals; Markdown. `names`: how accounts are called."""
        match self.kind:
            case "account" | "name":
                return f"**{plain((names or {}).get(self.value) or self.value, 60)}**"
            case "group" if self.platform == "slack":
                return f"the Slack group {code(self.value, 60)}"
            case "group":
                return f"the Discord role {code(self.value, 60)}"
            case "email":
                return f"**{plain(self.value, 80)}**"
            case "domain":
                return f"anybody with an address at {code(self.value, 60)}"
            case "channel":
                return "anybody in the channel of the card"
        return "anybody"


def approver(text: str) -> Approver:
    """An entry read; ValueError says how entries are written."""
    written = text.strip()
    if written in ("anyone-in-channel", "anyone"):
        return Approver("channel" if written == "anyone-in-channel" else "anyone")
    if found := _GROUP.fullmatch(written):
        return Approver("group", found[2] or found[4], found[1] or found[3])
    if found := _ACCOUNT.fullmatch(written):
        return Approver("account", found[1], found[1].partition(":")[0])
    kind, _, value = written.partition(":")
    if kind == "user" and value:
        return approver(value) if _ACCOUNT.fullmatch(value) else Approver("name", value)
    if kind == "email":
        address = value.lower()
        local, _, domain = address.rpartition("@")
        if _DOMAIN.fullmatch(domain):
            return Approver("email" if local else "domain", address if local else domain)
    raise ValueError(f"{text!r} is nobody who may decide: {HOW}")


def labels(approvers: tuple[Approver, ...], names: Mapping[str, str] | None = None) -> str:
    """All of them in words: `a, b or c`."""
    said = list(dict.fromkeys(one.label(names) for one in approvers))
    return f"{', '.join(said[:-1])} or {said[-1]}" if len(said) > 1 else "".join(said)
