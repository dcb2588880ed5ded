"""Scenes as pages and as text, in the look of one platform."""

from datetime import datetime

from bot.conversation import Card, Form, Listing, Notice, Room
from bot.discord.views import cards as discord_cards
from bot.discord.views import forms as discord_forms
from bot.discord.views import listings as discord_listings
from bot.discord.views import steps as discord_steps
from bot.preview import discord_look, slack_look
from bot.preview.scenes import Scene
from bot.slack import forms as slack_forms
from bot.slack import views as slack_views
from bot.texts import bare
from bot.web import views as web_views

PLATFORMS = ("slack", "discord", "web")
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body{{margin:0;padding:20px;display:inline-block;background:{ground}}}{style}</style></head><body>{body}</body></html>
"""


def page(scene: Scene, platform: str) -> str:
    """A whole HTML page of one scene."""
    if platform == "discord":
        body, style, ground = _discord(scene.body, scene.at)
    else:
        body, style, ground = {"slack": _slack, "web": _web}[platform](scene.body)
    return _PAGE.format(title=scene.name, body=body, style=style, ground=ground)


def text(scene: Scene) -> str:
    """The scene as plain lines."""
    lines = [f"── {scene.name}"]
    body = scene.body
    if isinstance(body, Notice):
        return (
            "\n".join([*lines, bare(body.text), "  ".join(f"[{action.label}]" for action in body.actions)]).rstrip()
            + "\n"
        )
    if isinstance(body, Listing):
        return "\n".join([*lines, body.title, *(bare(f"{row.title}: {row.text}") for row in body.rows)]) + "\n"
    if isinstance(body, Card):
        lines += [body.title, bare(body.subtitle), bare(body.body)]
        lines += [f"{fact.label}: {bare(fact.value)}" for fact in body.facts]
        lines += [f"{'  ' * step.depth}- {bare(step.label)}: {step.state}" for step in body.steps]
        lines.append("  ".join(f"[{action.label}]" for action in body.actions))
        return "\n".join(line for line in lines if line) + "\n"
    lines += [body.title, *([body.intro] if body.intro else [])]
    for before, field in zip((None, *body.fields), body.fields, strict=False):
        if field.group and (before is None or before.group != field.group):
            lines.append(f"-- {field.group}")
        must = " *" if field.required else ""
        choices = f" ({', '.join(option.label for option in field.options)})" if field.options else ""
        given = "" if field.default is None else f" = {field.default}"
        lines.append(f"{field.label}{must}: {field.type}{choices}{given}")
        if field.help:
            lines.append(f"    {field.help}")
    lines.append(f"[{body.submit}]")
    return "\n".join(lines) + "\n"


def _slack(body: Card | Form | Listing | Notice) -> tuple[str, str, str]:
    if not isinstance(body, Form):
        return slack_look.message(slack_views.message(body).payload), slack_look.STYLE, "#fff"
    origin = slack_forms.Origin(Room("slack", "C0PREVIEW"))
    count = len(slack_forms.pages(body))
    drawn = [slack_look.modal(slack_forms.form_view(body, origin, number).payload) for number in range(count)]
    return "<br>".join(drawn), slack_look.STYLE, "#fff"


def _discord(body: Card | Form | Listing | Notice, now: datetime) -> tuple[str, str, str]:
    ground = "#313338"
    if not isinstance(body, Form):
        match body:
            case Card():
                payload = discord_cards.card(body).payload
            case Listing():
                payload = discord_listings.listing(body).payload
            case Notice():
                payload = discord_cards.notice(body).payload
        return discord_look.message(discord_look.counted_from(now, payload)), discord_look.STYLE, ground
    count = len(discord_forms.pages(body))
    drawn = []
    for number in range(count):
        if number:
            drawn.append(discord_look.message(discord_steps.step(body, number).payload))
        drawn.append(discord_look.modal(discord_forms.modal(body, number).payload))
    return "<br>".join(drawn), discord_look.STYLE, ground


def _web(body: Card | Form | Listing | Notice) -> tuple[str, str, str]:
    style = (web_views.HERE / "static" / "parley.css").read_text(encoding="utf-8")
    if not isinstance(body, Form):
        return web_views.part(type(body).__name__.lower(), body, "", "lobby"), style, "#f3f6f9"
    return web_views.part("form", body, "", "lobby"), style, "#f3f6f9"
