"""A desk with rules of its own, small but whole: flows with inputs, drafts, pauses, receipts. It outlives a restart of
the front end, as the real one's database does."""

import asyncio
from dataclasses import replace

from bot.commands import grammar
from bot.conversation import (
    Action,
    Card,
    Click,
    Command,
    Confirm,
    Fact,
    Field,
    FieldErrors,
    Form,
    Listing,
    Notice,
    Option,
    Reply,
    Row,
    Submission,
    Transcript,
)

COUNTRIES = tuple(Option(f"c{n:02d}", f"Country {n:02d}") for n in range(60))
FLOWS = {
    "company.ai/hello": (Field("name", "STRING", "Name"), Field("times", "INT", "How often", default="1")),
    "company.ai/long": tuple(Field(f"field{n}", "STRING", f"Field {n}", required=False) for n in range(12)),
    "company.ai/travel": (Field("country", "SELECT", "Country", options=COUNTRIES),),
    "company.ai/upload": (
        Field("photo", "FILE", "Photo", required=False),
        Field("note", "STRING", "Note", help="h" * 150),
    ),
}
APPROVE, REJECT, KILL, FORM = "p1:ap:01JP:111111", "p1:rj:01JP:222222", "p1:kl:01JR:333333", "p1:an:01JP:444444"


class RuleDesk:
    """Answers by rules; `delay` is how long each answer takes."""

    def __init__(self):
        self.drafts: dict[str, Form] = {}
        self.given: dict[str, dict] = {}
        self.started: list[tuple[str, dict, str]] = []
        self.receipts: dict[str, object] = {}
        self.heard: list[object] = []
        self.decided = ""
        self.delay = 0.0
        self.broken = False

    async def _once(self, said, answer):
        self.heard.append(said)
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.broken:
            raise RuntimeError("the desk fell over")
        if said.receipt not in self.receipts:
            self.receipts[said.receipt] = answer(said)
        return self.receipts[said.receipt]

    async def command(self, command: Command):
        return await self._once(command, self._command)

    async def click(self, click: Click):
        return await self._once(click, self._click)

    async def submit(self, submission: Submission):
        return await self._once(submission, self._submit)

    def _command(self, command):
        line = grammar.parse(command.text)
        match line.verb:
            case "run":
                return self._run(line, command)
            case "list":
                begin = line.number("from", 0)
                rows = tuple(Row(name, "A flow", (Action(f"p1:rn:{n}:1", "Run"),)) for n, name in enumerate(FLOWS))
                return Reply(Listing("Flows", rows[begin : begin + 2], more="list --from=2" if not begin else ""))
            case "logs":
                return Reply(Transcript("Log", tuple(f"line {n}" for n in range(100))))
            case "status":
                kill = Action(KILL, "Kill", "danger", Confirm("Kill the run?", "It cannot be resumed."))
                return Reply(Card("run", "01JR", "running", "hello: RUNNING", actions=(kill,)))
            case "whoami":
                roles = ",".join(command.person.roles)
                return Reply(Notice("info", f"{command.person.id} {command.person.name} roles={roles}"))
            case _:
                return Reply(Notice("warning", f"I don't know `{line.verb}`.", code="E01"))

    def _run(self, line, command):
        name = line.word(0)
        if name not in FLOWS:
            return Reply(Notice("warning", f"No flow matches `{name}`.", code="E02"))
        values = {key: given.value for key, given in line.pairs.items() if isinstance(given, grammar.Text)}
        values |= {"photo": command.attachments[0]} if command.attachments else {}
        missing = [
            field for field in FLOWS[name] if field.required and field.default is None and field.id not in values
        ]
        if missing or line.flags.get("form"):
            form = Form(f"draft:{len(self.drafts):026d}", f"Run {name}", "Run", FLOWS[name], values=values)
            self.drafts[form.id] = form
            return Reply(form)
        return self._start(name, values, command.person)

    def _start(self, name, values, person):
        self.started.append((name, dict(values), person.id))
        return Reply(Notice("success", f"Started {name}"), public=True)

    def _click(self, click):
        match click.action_id:
            case x if x == FORM:
                form = Form(
                    "draft:answer", "Answer", "Send", (Field("feedback", "STRING", "Feedback", required=False),)
                )
                self.drafts[form.id] = form
                return Reply(form)
            case x if x in (APPROVE, REJECT):
                if self.decided:
                    return Reply(Notice("warning", f"Already decided by {self.decided}. Nothing changed.", code="E21"))
                self.decided = click.person.name
                return Reply(Notice("success", "Done"))
            case x if x == KILL:
                return Reply(Notice("success", "Killed"))
            case "p1:st:over:1":
                return Reply(Card("pause", "01JP", "success", "Approved"), replaces=True)
            case other:
                return Reply(Notice("warning", f"pressed {other}"))

    def _submit(self, submission):
        form = self.drafts.get(submission.form_id)
        if form is None:
            return Reply(Notice("warning", "This form is no longer kept.", code="E18"))
        values = {**form.values, **submission.values}
        self.drafts[form.id] = form = replace(form, values=values)
        if not submission.last:
            return Reply(replace(form, page=submission.page + 1))
        errors = {}
        for field in form.fields:
            value = values.get(field.id, field.default)
            if field.type == "INT" and not str(value).isdecimal():
                errors[field.id] = f"`{value}` is not a whole number."
            if field.type == "SELECT" and value not in {option.value for option in field.options}:
                errors[field.id] = "is not one of the countries."
        if errors:
            return FieldErrors(form, errors)
        return self._start(form.title.removeprefix("Run "), values, submission.person)

    async def form(self, form_id):
        if self.delay:
            await asyncio.sleep(self.delay)
        return self.drafts.get(form_id)

    async def options(self, form_id, field_id, typed, limit):
        field = next(field for field in self.drafts[form_id].fields if field.id == field_id)
        return tuple(option for option in field.options if typed.lower() in option.label.lower())[:limit]

    async def complete(self, argument, typed, person_id, room, limit):
        if self.delay:
            await asyncio.sleep(self.delay)
        assert argument in ("flow", "run", "pause", "key")
        return tuple(Option(name, name) for name in FLOWS if typed in name)[:limit]


def pause_card(**more) -> Card:
    """A request that waits."""
    given = {
        "kind": "pause", "entity": "01JP", "tone": "paused", "title": "Approval needed",
        "facts": (Fact("Requested by", "ann"),),
        "actions": (
            Action(APPROVE, "Approve", "primary"), Action(REJECT, "Reject", "danger"),
            Action(FORM, "Answer in form", opens_form=True),
        ),
    }  # fmt: skip
    return Card(**{**given, **more})
