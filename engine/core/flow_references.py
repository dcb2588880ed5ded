"""The names in a flow's templates: do they exist, and is there a value yet where they are read?"""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from engine.core import output_reads, template_comparisons, template_reads, template_roots
from engine.core.finding import Finding
from engine.core.flow import Flow
from engine.core.flow_scope import BY_VALUE, HOLDER, Scope, Standing
from engine.core.property import has_template, marker
from engine.core.task import Task
from engine.core.template_reads import Read, of_read, reads
from engine.core.template_roots import ELSEWHERE, GIVEN, HAVE, LIKE, ROOTS, SURELY
from engine.core.yaml_text import Path
from engine.errors import ExpressionFailed
from engine.expressions import parse
from engine.expressions.access import has_method
from engine.expressions.templates import Template

ITEMS = ("_split", "_items", "_merge")  # task runs that a ForEachItem makes of itself
# Parts of a flow in which these names belong to another execution, or to what a form asks.
FOREIGN = {
    "outputs": {"triggers"},
    "tasks": {"triggers"},
    "inputs": {"triggers", "onResume"},
    "vars": {"triggers"},
    "labels": {"triggers"},
}
AFTERWARDS = frozenset({"assets"})  # properties that are rendered when the task has run
PLAIN = frozenset({"Sequential", "Parallel", "If", "Switch", "Dag", "AllowFailure", "WorkingDirectory", "Pause"})
ALIKE = PLAIN - {"WorkingDirectory"}  # whose tasks see no value of another one's
HOLDS_VALUE = ("WorkingDirectory", "Loop")  # whose tasks see a value of their own, or none of those around
LATE = {
    Standing.LATER: "runs later, so it has no outputs here yet",
    Standing.ELSEWHERE: "is in another branch, so it has no outputs here",
    Standing.BESIDE: "runs at the same time, so its outputs may not be there yet",
    Standing.SELF: "is this task itself, which has no outputs before it has run",
}
CODES = {"inputs": "unknown-input", "vars": "unknown-variable", "outputs": "unknown-task", "tasks": "unknown-task"}
NOUNS = {"inputs": "input", "vars": "variable", "outputs": "task", "tasks": "task"}


# What `trigger` has, by what started the execution. Other triggers have what they found.
STARTED = {
    "Schedule": ("date", "next", "previous", "backfill"),
    "Webhook": ("body", "headers", "parameters"),
    "Flow": (
        *("executionId", "namespace", "flowId", "flowRevision", "state", "executionLabels", "startDate", "endDate"),
        *("firstFailedTaskId", "lastTaskId", "outputs"),
    ),
}
OF_OTHER_TRIGGERS = {  # what people call what `trigger` has
    **dict.fromkeys(("payload", "data", "json", "event", "request", "message", "content"), "body"),
    **dict.fromkeys(("query", "params", "queryParams", "queryParameters", "args"), "parameters"),
    **dict.fromkeys(("scheduledDate", "scheduleDate", "executionDate", "startDate", "timestamp", "time"), "date"),
    **dict.fromkeys(("nextDate", "nextExecutionDate"), "next"),
    **dict.fromkeys(("status", "executionState"), "state"),
}
SINGLE = frozenset({"STRING", "SELECT", "ENUM", "INT", "FLOAT", "BOOLEAN", "BOOL", "SECRET", "EMAIL", "URI", "FILE"})
PARSED = frozenset({"JSON", "YAML", "ION", "ARRAY", "MULTISELECT"})
BLOCKS = frozenset({"tasks", "errors", "finally", "afterExecution", "outputs"})
OF_OTHERS = frozenset({"onResume", "outputs", "assets"})  # what is rendered elsewhere, with names of its own
OF_UPSTREAM = frozenset({"namespace", "flowId", "state", "hasRetryAttempt"})  # … which `when` of a trigger asks for


class References:
    """The names there are in a flow."""

    def __init__(self, flow: Flow) -> None:
        self.scope = Scope(flow)
        self.known = _known(flow, self.scope)
        self.labels = _labels(flow, self.scope)
        self.inputs = {one.id: one.type for one in flow.inputs}
        self.triggers = {type(one).__name__ for one in flow.triggers}
        self._told_values: set[Path] = set()
        self._guards: dict[Path, frozenset[tuple[str, ...]]] = {}

    def findings(self, path: Path, template: Template) -> Iterator[Finding]:
        """What is to be said about the names in one template."""
        said: set[tuple[str, ...]] = set()
        told: set[tuple[str, str, str]] = set()
        words: set[int] = set()  # of names with a `-`, which stand for nothing of their own
        conditions: frozenset[tuple[str, ...]] | None = None
        of_others = OF_UPSTREAM if path[0] == "triggers" and path[-1] == "when" else frozenset()
        there = [read for read in reads(template) if read.path[0] not in of_others]
        for index, read in enumerate(there):
            if index in words or (said and read.at in template_reads.subtracted(template)):
                continue
            dashed = self._dashed(read, there[index + 1 :])
            spelt = dashed or template_reads.dashed(template, read, there[index + 1 :])
            found = self._finding(path, read, spelt)
            words |= set(range(index + 1, index + 1 + (spelt if found else dashed).count("-")))
            if found is None or (found.code, found.message, found.suggestion) in told:
                continue
            if conditions is None:
                conditions = self._guarded(path)
            if read.path[:2] not in conditions:
                said.add(read.path[:2])
                told.add((found.code, found.message, found.suggestion))
                yield found
        if FOREIGN["inputs"].isdisjoint(path) and not self._of_subflow(path):
            for sentence, advice, at in template_comparisons.never(template, self.inputs):
                yield Finding(path, sentence, "never-equal", "warning", advice, "", *at)
        # A slip in another name may be all there is to one behind a `-`: `inputs.my-name` reads `name`, too.
        behind = template_reads.subtracted(template) if said else frozenset()
        knows_all = self._knows_all(path)
        nowhere: dict[str, Finding] = {}  # each name once, where it stands first
        for read in (one for index, one in enumerate(there) if index not in words):
            is_known = knows_all and read.at not in behind
            is_minus = read.at in template_reads.subtracted(template)
            is_text = read.at in template_reads.compared(template)
            if (
                template_roots.cause(read.path[0]) not in nowhere
                and (one := self._nowhere(path, read, is_known, is_minus, is_text)) is not None
            ):
                nowhere[template_roots.cause(read.path[0])] = one
        yield from nowhere.values()

    def _dashed(self, read: Read, following: list[Read]) -> str:
        """The name with a `-` that was meant: `outputs.call-api` reads `outputs.call` and `api`."""
        root, name = (*read.path, "")[:2]
        known = self.known.get(root, ()) if len(read.path) == 2 else ()
        roots = [one.path[0] for one in following]
        return next((one for one in sorted(known) if one.split("-") == [name, *roots[: one.count("-")]]), "")

    def _knows_all(self, path: Path) -> bool:
        """Whether all names that a template sees there are known: in what a task or an output of the flow renders."""
        return path[0] in BLOCKS and OF_OTHERS.isdisjoint(path[1:]) and not self._sets_variables()

    def _nowhere(
        self, path: Path, read: Read, is_known: bool, is_subtracted: bool, is_compared: bool
    ) -> Finding | None:
        """A name that stands nowhere; what looks like a slip of one that there is also where others may be known."""
        root = read.path[0]
        if root in GIVEN or (self._is_of_task(path, root) and root not in template_roots.OF_NO_TASK):
            return None
        is_slip = template_roots.nearest(
            root, LIKE if path[0] in BLOCKS else SURELY
        ) != "" and root not in self.known.get("vars", ())
        if not is_slip and (not is_known or read.guarded or read.conditional):
            return None
        severity = "hint" if read.guarded else "warning"
        said = f"There is no variable `{root}`."
        advice = template_roots.advice(read, is_subtracted=is_subtracted, is_compared=is_compared)
        return of_read(path, read, said, "unknown-variable", advice, severity)

    def _finding(self, path: Path, read: Read, dashed: str) -> Finding | None:
        root, *rest = read.path
        if root in ("item", "parent"):
            return self._out_of_place(path, read)
        if not rest:
            return self._meant_root(path, read)
        if root in HAVE and rest[0] not in HAVE[root]:
            return _unknown_part(path, read)
        if root not in ROOTS and root != "tasks":
            return self._meant_root(path, read)
        if root == "taskrun":
            return self._value_of_loop(path, read)
        if root == "trigger":
            return self._started_by(path, read)
        if not FOREIGN.get(root, set()).isdisjoint(path) or self._of_subflow(path):
            return None
        if root == "labels":
            return self._label(path, read)
        known = self.known.get(root)
        if known is None:
            return None
        if rest[0] not in known:
            return _unknown_name(path, read, known, dashed)
        if root == "inputs" and not read.guarded:
            return self._in_plain(path, read)
        return None if root != "outputs" or read.guarded else self._output(path, read)

    def _in_plain(self, path: Path, read: Read) -> Finding | None:
        """`inputs.name.first` of an input that is a text or a number; `fromJson(inputs.name)` of what is none."""
        kind = self.inputs.get(read.path[1])
        if read.taker == "fromJson" and kind in PARSED and len(read.path) == 2:
            said = f"`{'.'.join(read.path)}` is read already, and `fromJson()` takes a text alone."
            return of_read(path, read, said, "template-call", f"Write `{'.'.join(read.path)}`.")
        if len(read.path) == 2 or has_method(read.path[2]):
            return None
        if kind not in SINGLE:
            return None
        said = f"The input `{read.path[1]}` is a {kind}, which has no `{read.path[2]}`."
        return of_read(path, read, said, "unknown-input")

    def _meant_root(self, path: Path, read: Read) -> Finding | None:
        """`{{ name }}` for an input or a variable, `{{ task.value }}` for what a task hands on, `{{ secrets.X }}`."""
        root, *rest = read.path
        if root in ELSEWHERE and rest and not read.guarded:
            return of_read(path, read, f"There is no variable `{root}`.", "unknown-variable", ELSEWHERE[root](rest[0]))
        if root == "envs" and rest and rest[0] != rest[0].lower():
            said = f"`envs` has its names in small letters, so no `{rest[0]}`."
            advice, severity = f"Write `envs.{rest[0].lower()}`.", "hint" if read.guarded else "warning"
            return of_read(path, read, said, "unknown-variable", advice, severity)
        if root in GIVEN or read.guarded or not FOREIGN["inputs"].isdisjoint(path) or self._of_subflow(path):
            return None
        for kind in ("inputs", "vars", *(("outputs",) if rest else ())):
            if root in self.known.get(kind, ()) and not self._sets_variables():
                is_loop = kind == "outputs" and root in template_roots.OF_TOOLS
                advice = template_roots.advice(read) if is_loop else f"Write `{'.'.join((kind, *read.path))}`."
                return of_read(path, read, f"There is no variable `{root}`.", "unknown-variable", advice)
        return None

    def _out_of_place(self, path: Path, read: Read) -> Finding | None:
        """`item` and `parent` where nothing gives them."""
        root, holders = read.path[0], self.scope.around(path)
        if read.guarded or read.conditional or not holders or not self._knows_all(path):
            return None
        if root == "parent":
            said = "`parent` is there only inside a task that holds others."
            return None if holders[1:] else of_read(path, read, said, "not-here")
        kinds = {self.scope.kind(one) for one in holders}
        if self._is_of_task(path, read.path[0]) or not kinds <= {
            *PLAIN,
            *BY_VALUE,
            "Loop",
            self.scope.kind(holders[-1]),
        }:
            return None
        if "Loop" in kinds:
            is_key = read.path[1:2] == ("value",) and read.path[2:] and not has_method(read.path[2])
            return self._in_value(path, read) if is_key else template_roots.of_item(path, read)
        advice = "Inside of a ForEach write `taskrun.value`." if not kinds.isdisjoint(BY_VALUE) else ""
        advice = "The file of a batch is `taskrun.items`." if self.scope.kind(holders[-1]) == "ForEachItem" else advice
        return of_read(path, read, "`item` is there only inside a Loop.", "not-in-a-loop", advice)

    def _is_of_task(self, path: Path, root: str) -> bool:
        """Whether a task may give a name of its own to a property, which it then renders itself."""
        holders = self.scope.around(path)
        if not holders or len(path) == len(holders[-1]):
            return False
        kind = type(self.scope.tasks[holders[-1]])
        fields = kind.model_fields.items()
        field = next((one for name, one in fields if (one.alias or name) == path[len(holders[-1])]), None)
        mark = marker(field) if field is not None else None
        return mark is not None and mark.late and (kind.sees is None or root in kind.sees)

    def _sets_variables(self) -> bool:
        """Whether a task may set variables of any name while the flow runs."""
        return any(type(task).__name__ in ("SetVariables", "TemplatedTask") for task in self.scope.tasks.values())

    def _started_by(self, path: Path, read: Read) -> Finding | None:
        """`trigger.boddy`: a slip of what the flow's triggers hand on."""
        name = read.path[1]
        if not self.triggers <= STARTED.keys() or read.guarded:
            return None
        has = [one for kind in self.triggers for one in STARTED[kind]]
        meant = [OF_OTHER_TRIGGERS[name]] if OF_OTHER_TRIGGERS.get(name) in has else []
        near = meant or get_close_matches(name, has, n=1, cutoff=0.75)
        of_others = any(name in names for names in STARTED.values())
        if name in has or not (near or (has and of_others)):
            return None
        advice = f"Did you mean `trigger.{near[0]}`?" if near else f"It has {', '.join(has)}."
        return of_read(path, read, f"`trigger` has no `{name}`.", "unknown-variable", advice)

    def _value_of_loop(self, path: Path, read: Read) -> Finding | None:
        """`taskrun.value` outside of loops over values, or in a task that a loop holds only by way of another."""
        holders, kinds = self.scope.around(path), self.scope.kind
        if read.path[1] != "value" or not holders:
            return None
        is_told = read.guarded or read.conditional
        nearest = next((kinds(one) for one in reversed(holders[:-1]) if kinds(one) not in ALIKE), "")
        if nearest == "Loop" and not is_told:
            advice = "Write `item.value`." if not read.path[2:] else f"Write `fromJson(item.value).{read.path[2]}`."
            return of_read(path, read, "A Loop gives no `taskrun.value` to its tasks.", "not-in-a-loop", advice)
        loop = next((one for one in reversed(holders[:-1]) if kinds(one) in BY_VALUE), None)
        if loop is not None and not is_told and not any(kinds(one) in HOLDS_VALUE for one in holders[:-1]):
            reached = self.scope.value_at(path, loop)
            if reached not in ("", "taskrun.value"):
                return self._value_above(path, read, loop, reached)
        if read.path[2:] and not has_method(read.path[2]):
            return self._in_value(path, read)
        if is_told or loop is not None or any(kinds(one) not in PLAIN for one in holders[:-1]):
            return None
        message = "`taskrun.value` is there only inside a loop over values, such as ForEach."
        return of_read(path, read, message, "not-in-a-loop")

    def _value_above(self, path: Path, read: Read, loop: Path, reached: str) -> Finding | None:
        """`taskrun.value` in an If in a ForEach: the value is that of the If. Once a task."""
        holder = self.scope.around(path)[-1]
        if holder in self._told_values:
            return None
        self._told_values.add(holder)
        each, has, own = (self.scope.tasks[one].id for one in (loop, holder[: len(loop) + 2], holder))
        said = f"`{own}` has no `taskrun.value`: `{each}` gives it to `{has}`, which holds `{own}`."
        keys = read.path[2:]
        advice = f"Write `{reached}`." if not keys else f"Write `fromJson({reached}).{'.'.join(keys)}`."
        return of_read(path, read, said, "not-in-a-loop", advice)

    def _in_value(self, path: Path, read: Read) -> Finding | None:
        """`taskrun.value.name`, `item.value.name`: the value of a loop is a text, also for a map. Once a task."""
        holder = (self.scope.around(path) or [()])[-1]
        if read.guarded or holder in self._told_values:
            return None
        self._told_values.add(holder)
        value = ".".join(read.path[:2])
        said = f"`{value}` is a text, which has no `{read.path[2]}`."
        return of_read(path, read, said, "unknown-variable", f"Write `fromJson({value}).{'.'.join(read.path[2:])}`.")

    def _output(self, path: Path, read: Read) -> Finding | None:
        name = read.path[1]
        place = self.scope.places.get(name)
        if place is None or path[0] in ("variables", "sla", "checks", "labels") or not AFTERWARDS.isdisjoint(path):
            return None
        if any(self.scope.kind(one) == HOLDER for one in self.scope.around(place)):
            return None
        standing = self.scope.standing(place, path)
        if standing in LATE:
            advice = "Read it in a later task, or guard it: `?? ''`."
            return of_read(path, read, f"`{name}` {LATE[standing]}.", "not-yet", advice)
        if standing is Standing.MAYBE:
            if read.conditional or read.behind:
                return None
            message = f"`outputs.{name}` may be missing here: `{name}` does not always run before."
            there = f"outputs.{name}" if name.isidentifier() else f"outputs['{name}']"
            alone = f', or let the task run only with it: `runIf: "{{{{ {there} is defined }}}}"`'
            advice = f"Guard it: `?? ''`{alone if 'finally' in path else ''}."
            return of_read(path, read, message, "may-be-missing", advice, "hint")
        given = output_reads.taken(path, read, place, self.scope)
        return given or output_reads.told(path, read, place, self.scope)

    def _label(self, path: Path, read: Read) -> Finding | None:
        name = read.path[1]
        if self.labels is None or name in self.labels or name == "system" or read.guarded:
            return None
        message = f"The flow sets no label `{name}`; it is there only when whoever starts the flow gives it."
        return of_read(path, read, message, "unknown-label", "Guard it: `?? ''`.", "hint")

    def _of_subflow(self, path: Path) -> bool:
        """Whether a template is rendered by the flow that is called: `outputs` of a Subflow."""
        holders = self.scope.around(path)
        return bool(holders) and path[len(holders[-1]) :][:1] == ("outputs",) and self.scope.kind(holders[-1]) != "Loop"

    def _guarded(self, path: Path) -> frozenset[tuple[str, ...]]:
        """Names that conditions of the tasks around a place have looked at."""
        found: set[tuple[str, ...]] = set()
        for holder in self.scope.around(path):
            if holder not in self._guards:
                self._guards[holder] = _looked_at(self.scope.tasks[holder])
            found |= self._guards[holder]
        return frozenset(found)


def _known(flow: Flow, scope: Scope) -> dict[str, Collection[str]]:
    ids = list(scope.places)
    loops = [name for name, place in scope.places.items() if scope.kind(place) == "ForEachItem"]
    items = {f"{name}{end}" for name in loops for end in ITEMS}
    known: dict[str, Collection[str]] = {
        "outputs": {*ids, *items},
        "tasks": set(ids),
        "inputs": {one.id.partition(".")[0] for one in flow.inputs},
    }
    set_later = [task for task in scope.tasks.values() if type(task).__name__ == "SetVariables"]
    given = [getattr(task, "variables", None) for task in set_later]
    if all(isinstance(one, Mapping) and not has_template(list(one)) for one in given):
        known["vars"] = {*flow.variables, *(str(key) for one in given for key in one or ())}
    return known


def _labels(flow: Flow, scope: Scope) -> frozenset[str] | None:
    """Labels the flow sets; None when that can't be told."""
    if any(type(task).__name__ == "Labels" for task in scope.tasks.values()):
        return None
    given = [flow.labels, *(trigger.labels for trigger in flow.triggers)]
    return frozenset(str(key).partition(".")[0] for labels in given for key, _ in labels)


def _unknown_name(path: Path, read: Read, known: Collection[str], meant: str) -> Finding | None:
    root, name = read.path[:2]
    near = get_close_matches(meant or name, known, n=1, cutoff=0.8 if meant else 0.6)
    dashed = near if meant else sorted(one for one in known if one.startswith(f"{name}-"))
    if read.guarded and not (dashed or near):
        return None
    advice = f"Did you mean `{root}.{near[0]}`?" if near else ""
    if dashed:
        advice = f"A `-` in a name is read as minus; write `{root}['{dashed[0]}']`."
    elif meant:
        advice = f"A `-` in a name is read as minus: it is written `{root}['{meant}']`, and the flow has none."
    message = f"`{root}.{name}` names no {NOUNS[root]} of this flow."
    return of_read(path, read, message, CODES[root], advice, "warning" if meant or not read.guarded else "hint")


def _unknown_part(path: Path, read: Read) -> Finding | None:
    """`flow.nam`: something that this name does not have."""
    advice = template_roots.part(read)
    said = f"`{read.path[0]}` has no `{read.path[1]}`."
    return None if read.guarded or not advice else of_read(path, read, said, "unknown-variable", advice)


def _looked_at(task: Task) -> frozenset[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for name in ("condition", "run_if", "value"):
        text = getattr(task, name, None)
        if isinstance(text, str) and has_template(text):
            try:
                found.update(read.path[:2] for read in reads(parse(text)) if read.guarded)
            except ExpressionFailed:
                continue
    return frozenset(found)
