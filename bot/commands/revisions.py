"""`/flow revisions`, `/flow restore`: what a flow said before, and making that the newest again."""

from dataclasses import replace

from bot import documents
from bot.approvals.diffs import diff
from bot.asking import Asking, Parts, name_of
from bot.cards.parts import for_reader
from bot.commands.flows import PAGE
from bot.commands.grammar import Line
from bot.commands.manual import usage
from bot.commands.references import refused
from bot.commands.schedule_adding import deed_of, may
from bot.conversation import Confirm, Listing, Notice, Reply, Row
from bot.forms.drafts import Draft
from bot.texts import code, listed, plain
from engine.core.flow import Flow
from engine.store import chat_audit, chat_drafts, chat_receipts
from engine.store.database import Unit

PURPOSE = "restore"


async def revisions(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`revisions <flow> [--page=]`: every text a flow had, the newest first."""
    if not line.words:
        return Reply(usage("revisions", "Which flow?"))
    flow = parts.flow(line.word(0))
    await may(parts, asking, flow, deed="see")
    every = list(reversed(await parts.office.engine.flows.revisions(flow.namespace, flow.id)))
    page = max(line.number("page", 1), 1)
    shown = every[(page - 1) * PAGE : page * PAGE]
    rows = tuple(
        Row(
            plain(f"{flow.id} {row.revision}"),
            f"{'the newest, since' if row is every[0] else 'since'} {for_reader(row.created, asking.person)} \u00b7 "
            f"{len(row.source.splitlines())} lines",
        )
        for row in shown
    )
    note = f"`/flow restore {flow.id} {every[1].revision}` brings one back" if len(every) > 1 else "There is only one."
    more = f"revisions {name_of(flow).full} --page={page + 1}" if page * PAGE < len(every) else ""
    return Reply(Listing(f"Revisions of {flow.id}", rows, note, more))


async def restore(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`restore <flow> <revision>`: the difference, and a button that brings the old text back."""
    if not line.words:
        return Reply(usage("restore", "Which flow, and which revision?"))
    flow = parts.flow(line.word(0))
    await may(parts, asking, flow, deed="manage")
    every = await parts.office.engine.flows.revisions(flow.namespace, flow.id)
    numbers = {str(row.revision): row for row in every}
    old = numbers.get(line.word(1).removeprefix("r"))
    if old is None:
        has = listed(reversed(numbers))
        return Reply(usage("restore", f"{code(flow.id)} has no revision {code(line.word(1))}. It has: {has}."))
    if old.revision == every[-1].revision:
        raise refused(f"Revision {old.revision} of {code(flow.id)} is the newest already.")
    mask = parts.office.engine.masker.mask
    difference = diff(f"{flow.id}.yaml", mask(every[-1].source), mask(old.source))
    draft = Draft(
        parts.office.new_id(),
        asking.person.id,
        PURPOSE,
        name_of(flow).full,
        documents.dump(asking.room),
        options={"revision": old.revision, "newest": every[-1].revision},
    )
    await parts.drafts.keep(draft)
    text = f"Make revision {old.revision} of {code(name_of(flow).full)} the newest again? This changes:\n{difference}"
    ids = parts.office.ids
    sure = Confirm("Restore it?", "New runs use this text; the flow's file is changed too.", "Restore", "Cancel")
    yes = replace(ids.button("rv", draft.id, f"Restore {old.revision}"), style="danger", confirm=sure)
    return Reply(Notice("paused", text, (yes, ids.button("cx", draft.id, "Cancel"))))


async def confirmed(parts: Parts, asking: Asking, target: str) -> Reply:
    """*Restore* was pressed: nothing else than what was shown."""
    draft = await parts.shown(asking, target, PURPOSE, "`/flow restore`")
    flow = parts.drafts.flow(draft)
    every = {row.revision: row for row in await parts.office.engine.flows.revisions(flow.namespace, flow.id)}
    wanted, newest = every[draft.options["revision"]], every[max(every)]
    # A bot that was cut off may have written the file already.
    if newest.revision != draft.options["newest"] and newest.source != wanted.source:
        why = f"{code(draft.flow)} changed meanwhile, so what you saw no longer holds. Type `/flow restore` again."
        raise refused(why)
    return await restored(parts, asking, flow, draft.options["revision"], draft.id)


async def restored(parts: Parts, asking: Asking, flow: Flow, revision: int, draft_id: str = "") -> Reply:
    """An old text of a flow is the newest again; revision, audit and answer in one transaction."""
    await may(parts, asking, flow, deed="manage")
    full = name_of(flow).full
    text = f"{code(full)} says again what it said in revision {revision}."
    reply = Reply(Notice("success", text), public=True)
    deed = deed_of(asking, "restore", full, parts.office.now(), {"revision": revision, "instead_of": flow.revision})

    def beside(unit: Unit) -> None:
        chat_audit.record(unit.connection, deed)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        if draft_id:
            chat_drafts.drop(unit.connection, draft_id)

    await parts.office.engine.flows.restore(flow.namespace, flow.id, revision, beside=beside)
    return reply
