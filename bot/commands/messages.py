"""A message somebody chose (*Run flow with this message*): which flow it is for, then the form with it filled in."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot import documents
from bot.asking import Asking, Parts, name_of
from bot.commands.references import rank
from bot.conversation import MESSAGE_TEXT, Attachment, FieldErrors, Listing, Notice, Reply, Row
from bot.forms.drafts import Draft
from bot.forms.questions import takes_files
from bot.links import Pressed
from bot.office import read_text
from bot.texts import answer, code, listed, plain
from engine.core.flow import Flow
from engine.core.inputs import Input
from engine.errors import EngineError

PURPOSE = "message"
MOST = 90  # flows that are offered
AT_ONCE = 9  # of them; a message of Discord's has room for ten with a button each
_ADDRESS = re.compile(r"https?://\S+")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


async def offer(parts: Parts, asking: Asking, flows: Sequence[Flow]) -> Reply:
    """The flows that can take the message, the often used first, each with a button that opens its form."""
    text, files = await _taken_apart(asking.attachments)
    by_name = {name_of(flow).full: flow for flow in flows if filled(flow.inputs, text, files)}
    names = rank("", by_name, await parts.used(asking.person.id))[:MOST]
    if not names:
        return Reply(Notice("info", "No flow you may run asks for a text or a file. `/flow list` shows all."))
    raw = {"text": text, **{f"file{number}": file for number, file in enumerate(files)}}
    draft = Draft(
        parts.office.new_id(),
        asking.person.id,
        PURPOSE,
        "",
        documents.dump(asking.room),
        raw=raw,
        options={"flows": names},
    )
    await parts.drafts.keep(draft)
    return Reply(_page(parts, draft, by_name, 0))


def _page(parts: Parts, draft: Draft, flows: Mapping[str, Flow], page: int) -> Listing:
    """Some of the flows, and a button for the next."""
    names, first, ids = draft.options["flows"], page * AT_ONCE, parts.office.ids
    text, files = _kept(draft)
    rows = []
    for number, name in list(enumerate(names))[first : first + AT_ONCE]:
        if name not in flows:
            continue
        takes = listed(filled(flows[name].inputs, text, files))
        about = plain((flows[name].description or "").strip().split("\n")[0], 120)
        shown = " \u00b7 ".join(part for part in (about, f"takes it as {takes}") if part)
        rows.append(Row(plain(name), shown, (ids.button("rm", draft.id, "Run\u2026", number),)))
    if left := len(names[first + AT_ONCE :]):
        more = ids.button("mf", draft.id, "More\u2026", page + 1)
        rows.append(Row(f"{left} more", "The flows you run most stand first.", (more,)))
    return Listing("Run which flow with this message?", tuple(rows))


def _kept(draft: Draft) -> tuple[str, list[Attachment]]:
    files = [value for name, value in draft.raw.items() if name != "text"]
    return str(draft.raw.get("text") or ""), files


async def more(parts: Parts, asking: Asking, pressed: Pressed) -> Reply:
    """Further flows for the same message."""
    draft = await parts.shown(asking, pressed.target, PURPOSE, "the message's menu")
    flows = {name_of(flow).full: flow for flow in parts.office.engine.flows.list()}
    return Reply(_page(parts, draft, flows, max(pressed.choice, 0)))


async def begin(parts: Parts, asking: Asking, pressed: Pressed) -> Reply | FieldErrors:
    """The form of the chosen flow, with the message in it; nothing starts before it is sent."""
    draft = await parts.shown(asking, pressed.target, PURPOSE, "the message's menu")
    if not 0 <= pressed.choice < len(draft.options["flows"]):
        return Reply(answer("gone-form", command="the message's menu").notice())
    namespace, _, flow_id = draft.options["flows"][pressed.choice].rpartition("/")
    try:
        flow = parts.office.engine.flows.get(namespace, flow_id)
    except EngineError:
        return Reply(answer("gone-flow", flow=code(flow_id), instead="`/flow list` shows what there is.").notice())
    raw = filled(flow.inputs, *_kept(draft))
    return await parts.starts.begin(flow, raw, asking.person, asking.room, asking.receipt, {}, form=True)


async def _taken_apart(sent: Sequence[Attachment]) -> tuple[str, list[Attachment]]:
    text, files = "", list[Attachment]()
    for file in sent:
        if file.name == MESSAGE_TEXT and not text:
            try:
                text = await read_text(file)
            except (ValueError, OSError):
                files.append(file)
        else:
            files.append(file)
    return text, files


def filled(inputs: Sequence[Input], text: str, files: Sequence[Attachment]) -> Mapping[str, Any]:
    """What of a message goes into which input: an address in it where one is asked for, its text into the first text
    without default, its files into the inputs for files, in order, and the rest into the first list of them. Pure."""
    raw: dict[str, Any] = {}
    texts = [one for one in inputs if one.type in ("STRING", "JSON", "YAML", "ION")]
    blank = [one for one in texts if one.type == "STRING" and one.defaults is None] or texts
    if text.strip():
        for one in inputs:
            pattern = {"URI": _ADDRESS, "EMAIL": _MAIL}.get(one.type)
            if pattern is not None and (found := pattern.search(text)):
                raw[one.id] = found[0].rstrip(">).,")
        if blank:
            raw[blank[0].id] = text.strip()
    places = [one for one in inputs if one.type == "FILE"]
    rest, lists = files[len(places) :], [one for one in inputs if takes_files(one) and one.type != "FILE"]
    if rest and lists:
        raw[lists[0].id] = list(rest)
    return {**raw, **{one.id: file for one, file in zip(places, files, strict=False)}}
