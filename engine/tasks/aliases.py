"""The operator's tables of replacements: models, images, URL prefixes, webhooks, and where the web page lives. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

LOCAL_PAGE = re.compile(r"http://localhost:8082(?![0-9])")
DEFAULT_URLS = {"https://api.todoist.com/rest/v2/": "https://api.todoist.com/api/v1/"}  # the old one answers 410 Gone
DEFAULT_IMAGES = {"bitnami/git": "alpine/git:latest"}  # no longer published for free
DEFAULT_MODELS = {"gemini-2.5-flash-preview-05-20": "gemini-2.5-flash"}  # a retired preview name
PLACEHOLDER_ENDINGS = re.compile(
    r"(?i)^(url|<[^>]*>|your[-_ ].*|webhook[-_]?url|x+|\.\.\.|t0+/b0+/x+|placeholder|changeme)$"
)


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel the bot itself is to post in, instead of a webhook."""

    platform: Literal["slack", "discord"]
    channel: str


def rewrite(url: str, table: Mapping[str, str]) -> str:
    """A URL with the longest matching prefix of the table replaced."""
    matching = [prefix for prefix in table if url.startswith(prefix)]
    if not matching:
        return url
    prefix = max(matching, key=len)
    return table[prefix] + url[len(prefix) :]


def model(name: str, table: Mapping[str, str]) -> str:
    """The model to ask for: what the table says, else our own replacement of a retired name, else the name."""
    return table.get(name) or DEFAULT_MODELS.get(name, name)


def image(name: str, table: Mapping[str, str]) -> str:
    """The container image to run, by its full name first and without its tag second."""
    untagged = name.rsplit(":", 1)[0] if ":" in name.rsplit("/", 1)[-1] else name
    for key in (name, untagged):
        if key in table:
            return table[key]
    return name


def fallback_image(name: str) -> str | None:
    """Our own replacement for an image that can no longer be had, for when its pull fails; None when there is none."""
    untagged = name.rsplit(":", 1)[0] if ":" in name.rsplit("/", 1)[-1] else name
    return DEFAULT_IMAGES.get(untagged)


def webhook(url: str, table: Mapping[str, str]) -> Channel | str:
    """Where a webhook's message goes: a channel of the bot, or a URL."""
    target = table.get(url.strip(), url.strip())
    platform, found, channel = target.partition(":")
    if found and not channel.startswith("//"):
        if platform == "slack":
            return Channel("slack", channel)
        if platform == "discord":
            return Channel("discord", channel)
    return target


def is_placeholder(url: str) -> bool:
    """Whether a webhook was never filled in, such as https://discord.com/api/webhooks/URL."""
    parts = urlsplit(url.strip())
    if parts.hostname not in ("discord.com", "discordapp.com", "hooks.slack.com"):
        return not url.strip()
    for prefix in ("/api/webhooks/", "/services/"):
        if parts.path.startswith(prefix):
            return bool(PLACEHOLDER_ENDINGS.match(parts.path.removeprefix(prefix).strip("/") or "url"))
    return False


def public_links(text: str, public_url: str | None) -> str:
    """Text with links to the web page's usual local address pointing to where people can reach it."""
    return LOCAL_PAGE.sub(lambda _: public_url.rstrip("/"), text) if public_url else text
