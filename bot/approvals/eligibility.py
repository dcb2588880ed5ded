"""Who may decide a pause: the policy's approvers, looked up when somebody decides, and four eyes.

This is asked by the one path on which pauses are decided (`bot/approvals/decisions.py`), and by the lists that show
what waits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from bot.approvals.approvers import Approver, approver, labels
from bot.approvals.assignment import assigned
from bot.approvals.editors import Editor, Unknown, editors_of
from bot.approvals.policy import NO_RULE, ApprovalRule, is_room, rule_for
from bot.commands.references import short
from bot.conversation import Person, Platform, Room
from bot.frontend import FrontEnd, Unreachable
from bot.people.identities import Identities, Identity
from bot.people.membership import Membership
from bot.people.roles import Role
from bot.texts import Answer, answer, plain
from engine.core.execution import Execution
from engine.runtime import Engine
from engine.store import chat_ladder, chat_messages, chat_receipts, chat_votes, flows
from engine.store.chat_votes import Delegation, Vote
from engine.store.pauses import PauseRow


@dataclass(frozen=True, slots=True)
class Bench:
    """Who may decide one pause: the rule, with who was added to it, and whose votes went to somebody else.

    `only`: whom the flow assigned, when the policy names approvers too; who decides must be of both.
    """

    rule: ApprovalRule
    approvers: tuple[Approver, ...]
    only: tuple[Approver, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)  # of accounts we have heard from

    @property
    def label(self) -> str:
        """Who may decide, in words."""
        said = labels(self.approvers, self.names)
        return f"{said}, who is also {labels(self.only, self.names)}" if self.only else said

    @property
    def is_open(self) -> bool:
        """Whether neither the policy nor the flow says who decides."""
        return self.rule is NO_RULE and self.approvers == NO_RULE.people

    def handed(self, names: Mapping[str, str]) -> str:
        """Who decides instead of whom, in words."""
        return "; ".join(
            f"**{plain(names[one.taker], 60)}** instead of {plain(one.giver_name, 60)}" for one in self.delegations
        )


class Eligibility:
    """Knows who may decide."""

    def __init__(
        self,
        engine: Engine,
        rules: Sequence[ApprovalRule],
        front_ends: Mapping[Platform, FrontEnd],
        identities: Identities,
        roles: Sequence[Role] = (),
    ) -> None:
        self.engine = engine
        self.rules = tuple(rules)
        self.roles = tuple(roles)
        self.membership = Membership(front_ends, identities)
        self.identities = identities

    def rule(self, pause: PauseRow) -> ApprovalRule:
        """The entry that governs a pause."""
        return rule_for(self.rules, f"{pause.namespace}/{pause.flow_id}", pause.task_id)

    def policy_of(self, pause: PauseRow) -> str:
        """The entry that governs a pause, as the record names it: by its number, for names in it may change or go; ""
        where none does."""
        rule = self.rule(pause)
        number = next((number for number, one in enumerate(self.rules, 1) if one is rule), None)
        eyes = "" if rule.four_eyes == "none" else f", four eyes on {rule.four_eyes.replace('+', ' and ')}"
        return f"entry {number}{eyes}" if number is not None else ""

    def assigned(self, execution: Execution, task_run_id: str) -> tuple[Approver, ...]:
        """Whom the flow itself assigned a question to; () for nobody."""
        return assigned(execution, task_run_id, self.roles, self.membership.front_ends)

    async def bench(self, pause: PauseRow, execution: Execution) -> Bench:
        """Who may decide a pause now."""
        rule, only = self.rule(pause), self.assigned(execution, pause.task_run_id)
        people = rule.people
        if only and not rule.names_approvers:
            people, only = only, ()
        handed, escalated = await self.engine.database.read(
            lambda c: (chat_votes.delegations_of(c, pause.id), chat_ladder.done(c, pause.id, "escalate"))
        )
        added = [approver(text) for step in escalated for text in step.detail["to"] if not is_room(text)]
        approvers = tuple(dict.fromkeys([*people, *added]))
        only = tuple(dict.fromkeys([*only, *added])) if only else ()
        accounts = {one.value for one in (*approvers, *only) if one.kind == "account"}
        known = await self.engine.database.read(lambda c: chat_receipts.who(c, accounts)) if accounts else {}
        return Bench(rule, approvers, only, tuple(handed), {id_: person.name for id_, person in known.items()})

    async def refuse(
        self,
        pause: PauseRow,
        execution: Execution,
        person: Person,
        room: Room,
        *,
        fresh: bool = True,
        handing: bool = False,
    ) -> Answer | None:
        """Why somebody can't decide a pause; None when they can. Not `fresh`: by what is remembered, for lists.
        `handing`: what they handed on themselves does not count."""
        if not self.rules and not self.assigned(execution, pause.task_run_id):
            return None
        bench = await self.bench(pause, execution)
        try:
            who = await self.identities.of(person.id)
            if handing:
                kept = tuple(one for one in bench.delegations if one.giver not in {who.id, *who.accounts})
                bench = replace(bench, delegations=kept)
            denied = await self._not_asked(bench, pause, who, person, room, fresh)
            return denied or await self._four_eyes(bench, execution, who, fresh)
        except Unreachable as silence:
            return answer("unsure", why=silence.reason)

    async def void(self, pause: PauseRow, execution: Execution, votes: Sequence[Vote]) -> list[Vote]:
        """Those of some votes that are worth nothing any more: who cast them has left the group, or the policy, or is
        gone since. Where that can't be told a vote is worth what it was when it was cast."""
        if not votes or (not self.rules and not self.assigned(execution, pause.task_run_id)):
            return []
        bench = await self.bench(pause, execution)
        return [one for one in votes if not await self._may_still(bench, execution, one)]

    async def _may_still(self, bench: Bench, execution: Execution, vote: Vote) -> bool:
        voter = Person(vote.person, vote.name, cast(Platform, vote.platform))
        try:
            if not await self.membership.is_there(voter.id):
                return False
            who = await self.identities.of(voter.id)
            asked = [allowed for allowed in (bench.approvers, bench.only) if allowed]
            may = all([await self._had(allowed, who, voter, True) for allowed in asked])
            may = may or await self._may_instead(bench, who, voter, True)
            return may and await self._four_eyes(bench, execution, who, fresh=False) is None
        except Unreachable:
            return True

    async def _not_asked(
        self, bench: Bench, pause: PauseRow, who: Identity, person: Person, room: Room, fresh: bool
    ) -> Answer | None:
        """E20 unless the person is among the approvers, or somebody who is handed them the decision."""
        handed = next((one for one in bench.delegations if one.giver in {who.id, *who.accounts}), None)
        if handed is not None:
            taker = await self._name(handed.taker)
            return answer("handed", who=f"**{plain(taker, 60)}**", run=short(pause.id))
        if await self._may_instead(bench, who, person, fresh):
            return None
        for allowed in (bench.approvers, bench.only):
            if allowed and not await self._is_any(allowed, pause, who, person, room, fresh):
                return answer("E20", approvers=bench.label)
        return None

    async def _may_instead(self, bench: Bench, who: Identity, person: Person, fresh: bool) -> bool:
        """Whether somebody who may still decide handed the decision to a person, themselves or by way of others: a
        right that is lost by now is nobody's. Where it comes from being in a channel, whoever had it has it."""
        givers = [one.giver for one in bench.delegations if one.taker in who.accounts]
        for giver in givers:  # it grows by who handed it to a giver
            has = await self.identities.of(giver)
            asked = [allowed for allowed in (bench.approvers, bench.only) if allowed]
            if all([await self._had(allowed, has, person, fresh) for allowed in asked]):
                return True
            givers += [one.giver for one in bench.delegations if one.taker in has.accounts and one.giver not in givers]
        return False

    async def _had(self, wanted: Iterable[Approver], who: Identity, acting: Person, fresh: bool) -> bool:
        for one in wanted:
            if one.kind == "channel" or await self.membership.fits(one, who, acting, fresh=fresh):
                return True
        return False

    async def _is_any(
        self, wanted: Iterable[Approver], pause: PauseRow, who: Identity, person: Person, room: Room, fresh: bool
    ) -> bool:
        for one in wanted:
            if await self._is(one, pause, who, person, room, fresh):
                return True
        return False

    async def _is(
        self, wanted: Approver, pause: PauseRow, who: Identity, person: Person, room: Room, fresh: bool
    ) -> bool:
        if wanted.kind == "channel":
            return await self._is_shown_in(pause, room) and not await self.membership.is_stranger(person)
        return await self.membership.fits(wanted, who, person, fresh=fresh)

    async def _is_shown_in(self, pause: PauseRow, room: Room) -> bool:
        """Whether the card stands in the channel in which something was pressed or typed."""
        shown = await self.engine.database.read(lambda c: chat_messages.showing(c, entity=pause.id))
        return any(
            message.platform == room.platform
            and room.channel in (message.room["channel"], (message.message or {}).get("channel"))
            for message in shown
        )

    # Four eyes

    async def _four_eyes(self, bench: Bench, execution: Execution, who: Identity, fresh: bool) -> Answer | None:
        """E22 for who started the run, or changed the flow last, where the policy wants somebody else."""
        eyes = bench.rule.four_eyes
        if eyes == "none":
            return None
        if await self._has_asked(execution, who):
            return answer("E22", approver=bench.label)
        if eyes == "requester" or not fresh:
            return None
        editors = await self._editors(execution)
        if isinstance(editors, Unknown):
            return None if bench.rule.unknown_editor == "allow" else answer("unknown-editor", why=editors.why)
        emails = await self.membership.emails(who)
        names = {name.casefold() for name in (who.name, await self._name(who.id)) if name}
        if any(one.email in emails or one.name.casefold() in names for one in editors):
            return answer("own-edit", approver=bench.label)
        return None

    async def is_requester(self, pause: PauseRow, execution: Execution, who: Identity) -> bool:
        """Whether four eyes keep somebody from deciding because they asked for the run."""
        return self.rule(pause).four_eyes != "none" and await self._has_asked(execution, who)

    async def _has_asked(self, execution: Execution, who: Identity) -> bool:
        return bool(set(await self._requesters(execution)) & {who.id, *who.accounts})

    async def _requesters(self, execution: Execution) -> Iterable[str]:
        """Whoever asked for a run: its starter, and whoever started the run that called it."""
        above = await self.engine.database.read(lambda c: chat_messages.start_above(c, execution.id))
        starters = [*([above.person] if above else []), execution.started_by]
        for _ in range(chat_messages.MAX_CALLERS):
            kind, _, caller = starters[-1].partition(":")
            if kind != "execution":
                break
            starters.append((await self.engine.execution(caller)).started_by)
        return [
            one for starter in starters if starter for one in (starter, *(await self.identities.of(starter)).accounts)
        ]

    async def _editors(self, execution: Execution) -> tuple[Editor, ...] | Unknown:
        row = await self.engine.database.read(
            lambda c: flows.revision(c, execution.namespace, execution.flow_id, execution.revision)
        )
        return await editors_of(row.file, row.source) if row else Unknown("its text is not kept any more")

    async def _name(self, person_id: str) -> str:
        known = await self.engine.database.read(lambda c: chat_receipts.who(c, {person_id}))
        return known[person_id].name if person_id in known else person_id.partition(":")[2] or person_id

    def describe(self) -> str:
        """What is in force, for the start-up log."""
        if not self.rules:
            return "No `approvals` are set: whoever may talk to the bot may decide."
        return " | ".join(f"{number}. {rule.describe()}" for number, rule in enumerate(self.rules, 1))
