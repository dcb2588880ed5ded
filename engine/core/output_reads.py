"""What a template reads of a task that has run: does it hand that on?"""

from difflib import get_close_matches
from typing import Any

from engine.core import task_outputs
from engine.core.finding import Finding
from engine.core.flow_scope import BY_VALUE, Scope
from engine.core.property import has_template
from engine.core.task import Task
from engine.core.template_reads import Read, of_read
from engine.core.yaml_text import Path, walk
from engine.expressions.access import has_method

WRAPPERS = ("outputs", "output", "result", "value", "data")  # `outputs.call.outputs.body`
PRINTED = frozenset({"stdout", "stderr", "output", "result", "logs", "log", "stdoutlines"})  # of a script
OF_CALLS = {"Subflow": frozenset({"executionId", "state", "outputs"})}
WITHOUT = frozenset({*BY_VALUE, "Sequential", "Parallel", "Dag", "AllowFailure"})  # they hand on nothing of their own


def told(path: Path, read: Read, place: Path, scope: Scope) -> Finding | None:
    """What is to be said when a template reads what the task at a place does not hand on."""
    if scope.kind(place) in WITHOUT:
        return _of_tasks(path, read, place, scope)
    task = scope.tasks[place]
    fields = OF_CALLS.get(scope.kind(place)) or task_outputs.output_fields(type(task))
    if loops := scope.loops_of(place):
        return _in_loops(path, read, fields, loops, scope)
    return _told(path, read, place, scope, fields) if len(read.path) > 2 else None


def _told(path: Path, read: Read, place: Path, scope: Scope, fields: frozenset[str]) -> Finding | None:
    task, name, wanted = scope.tasks[place], *read.path[1:3]
    loops = (one for one in scope.around(place)[:-1] if scope.kind(one) == "Loop" and path[: len(one)] != one)
    if wanted in fields and (left := next(loops, None)) is not None:
        return _left_behind(path, read, scope.tasks[left])
    if _is_child(place, wanted, scope):
        return _of_tasks(path, read, place, scope)
    if wanted == "onResume" and len(read.path) > 3:
        return _answer(path, read, place, scope)
    if task_outputs.hands_on_nothing(type(scope.tasks[place])):
        said = f"`{name}` is a {scope.kind(place)}, which hands on nothing."
        return of_read(path, read, said, "unknown-output")
    if wanted == "outputFiles" and wanted in fields and len(read.path) > 3 and not read.guarded:
        return _file(path, read, place, scope)
    asked = [one.id for one in getattr(scope.tasks[place], "on_resume", ())]
    if wanted in asked or (asked and wanted == "onresume"):
        said = f"`{name}` has no output `{wanted}`."
        meant = ".".join(("onResume", *read.path[2 if wanted in asked else 3 :]))
        return of_read(path, read, said, "unknown-output", f"Did you mean `outputs.{name}.{meant}`?")
    if len(read.path) > 3 and task_outputs.is_text(type(scope.tasks[place]), wanted, read.path[3]):
        return None if read.guarded else _in_text(path, read)
    if wanted in fields and (unlike := task_outputs.unfetched(task, wanted)) is not None:
        said = f"`{name}` hands on no `{wanted}`: its `fetchType` is `{unlike[0]}`."
        return of_read(path, read, said, "unknown-output", unlike[1])
    if not fields or wanted in fields:
        return None
    held = task_outputs.kept(wanted, fields, task) or task_outputs.listed(wanted, type(task))
    inner = list(fields) if wanted in WRAPPERS and len(fields) == 1 else []
    inner = inner or [one for one in read.path[3:4] if wanted in WRAPPERS and one in fields]
    near = inner or held or task_outputs.meant(wanted, fields, task)
    advice = f"Did you mean `outputs.{name}.{near[0]}`?" if near else _instead(name, wanted, fields)
    return of_read(path, read, f"`{name}` has no output `{wanted}`.", "unknown-output", advice)


def _instead(name: str, wanted: str, fields: frozenset[str]) -> str:
    """What to read where nothing is like what was wanted: what a script prints for that, what a flow hands on."""
    if "executionId" in fields and "outputs" in fields:
        return f"What the flow hands on is in `outputs.{name}.outputs`."
    if wanted.lower() in PRINTED and fields >= {"exitCode", "vars"}:
        return f'Print `::{{"outputs": {{"name": "value"}}}}::`, and write `outputs.{name}.vars.name`.'
    return f"It has {', '.join(sorted(fields))}."


def taken(path: Path, read: Read, place: Path, scope: Scope) -> Finding | None:
    """What is to be said when `fromJson(outputs.query.row)` is given what is no text."""
    if read.taker != "fromJson" or len(read.path) != 3 or scope.loops_of(place):
        return None
    if not task_outputs.is_no_text(type(scope.tasks[place]), read.path[2]):
        return None
    text = ".".join(read.path)
    said = f"`{text}` is read already, and `fromJson()` takes a text alone."
    return of_read(path, read, said, "template-call", f"Write `{text}`.")


def _in_loops(path: Path, read: Read, fields: frozenset[str], loops: list[Path], scope: Scope) -> Finding | None:
    """`outputs.child.value` of a task that runs in loops over values, where the value of each belongs before it."""
    name, keys = read.path[1], read.keys[2:]
    looked_up = f"outputs.{name}{_keys(path, loops, scope)}"
    missed = ""
    for key, loop in zip(keys, loops, strict=False):
        if key is None or key in _values(scope.tasks[loop]):
            continue
        if key in fields or (_is_listed(scope.tasks[loop]) and task_outputs.meant(key, fields)):
            missed = missed or key
        elif _is_listed(scope.tasks[loop]):
            said = f"`{scope.tasks[loop].id}` never runs for `{key}`."
            return of_read(path, read, said, "loop-output", f"Write `{looked_up}`.")
    wanted = keys[len(loops)] if len(keys) > len(loops) else None
    is_known = wanted is None or wanted in fields or wanted == task_outputs.OF_ANY or has_method(wanted)
    if not fields or (is_known and not missed):
        return None
    if missed or None not in keys[: len(loops)]:
        of = " and ".join(f"`{scope.tasks[one].id}`" for one in loops)
        said = f"`{name}` runs for each value of {of}, and has outputs for each of them."
        near = task_outputs.meant(missed or str(keys[0]), fields)
        other = f"Each is `{looked_up}`, and has {', '.join(sorted(fields))}."
        return of_read(path, read, said, "loop-output", f"Write `{looked_up}.{near[0]}`." if near else other)
    near = task_outputs.meant(str(wanted), fields)
    advice = f"Did you mean `{looked_up}.{near[0]}`?" if near else _instead(name, str(wanted), fields)
    return of_read(path, read, f"`{name}` has no output `{wanted}`.", "unknown-output", advice)


def _left_behind(path: Path, read: Read, loop: Task) -> Finding:
    """`outputs.child.value` behind the Loop that its task stands in."""
    said = f"`{read.path[1]}` runs for each item of `{loop.id}`, which alone hands on what it declares."
    advice = f"Declare it under `outputs` of `{loop.id}`, and write `loopOutputs(outputs.{loop.id}.outputs, '…')`."
    return of_read(path, read, said, "loop-output", advice)


def _keys(path: Path, loops: list[Path], scope: Scope) -> str:
    """By what a template finds the outputs of its own round of loops, or those of any round outside of them."""
    keys = (scope.value_at(path, one) or "'a value'" for one in loops)
    return "".join(f"[{key}]" for key in keys)


def _of_tasks(path: Path, read: Read, place: Path, scope: Scope) -> Finding:
    """`outputs.each` of a task that only runs others: these have outputs, by the value that they run for in loops."""
    name, wanted, *rest = (*read.path[1:3], "")[:2] + read.path[3:]
    said = f"`{name}` has no outputs of its own; each of its tasks has."
    inside = [one for one, at in scope.places.items() if at != place and at[: len(place)] == place]
    if wanted not in inside:
        by_value = ", which has them by value" if scope.kind(place) in BY_VALUE else ""
        advice = f"Read those of a task in it, such as `outputs.{inside[-1]}`{by_value}." if inside else ""
        return of_read(path, read, said, "unknown-output", advice)
    key = _keys(path, scope.loops_of(scope.places[wanted]), scope)
    return of_read(path, read, said, "unknown-output", f"Write `outputs.{'.'.join((f'{wanted}{key}', *rest))}`.")


def _in_text(path: Path, read: Read) -> Finding:
    """`outputs.call.body.name`: a key of what is a text, often that of a document."""
    text, *keys = ".".join(read.path[:3]), *read.path[3:]
    said = f"`{text}` is a text, which has no `{keys[0]}`."
    return of_read(path, read, said, "unknown-output", f"If it is JSON, write `fromJson({text}).{'.'.join(keys)}`.")


def _file(path: Path, read: Read, place: Path, scope: Scope) -> Finding | None:
    """`outputs.script.outputFiles['name']` of a file that the task does not hand on."""
    name, file = read.path[1], read.path[3]
    *around, task = (scope.tasks[one] for one in scope.around(place))
    if any(getattr(one, "output_files", None) for one in around) or task_outputs.may_hand_on_file(task, file):
        return None
    whole = ".".join(read.path[3:])
    if whole in (getattr(task, "output_files", None) or ()):
        said = f"`outputFiles.{whole}` is read as `{read.path[4]}` of `{file}`."
        return of_read(path, read, said, "unknown-output", f"Write `outputs.{name}.outputFiles['{whole}']`.")
    said = f"`{name}` hands on no file `{file}`: its `outputFiles` do not name it."
    named = list(getattr(task, "output_files", None) or ())
    if near := get_close_matches(file, named, n=1, cutoff=0.8):
        return of_read(path, read, said, "unknown-output", f"Did you mean `{near[0]}`?")
    return of_read(path, read, said, "unknown-output", f"Write `outputFiles: [{', '.join([*named, file])}]`.")


def _answer(path: Path, read: Read, place: Path, scope: Scope) -> Finding | None:
    """`outputs.pause.onResume.name` of something that the pause does not ask for."""
    asked = [one.id.partition(".")[0] for one in getattr(scope.tasks[place], "on_resume", ())]
    name, wanted = read.path[1], read.path[3]
    if not asked or wanted in asked or read.guarded:
        return None
    near = get_close_matches(wanted, asked, n=1)
    advice = f"Did you mean `outputs.{name}.onResume.{near[0]}`?" if near else f"It asks for {', '.join(asked)}."
    return of_read(path, read, f"`{name}` does not ask for `{wanted}`.", "unknown-output", advice)


def _is_child(task: Path, name: str, scope: Scope) -> bool:
    """Whether a name is that of a task inside a task, not inside a loop, which has them by value or by item."""
    child = scope.places.get(name, ())
    return child != task and child[: len(task)] == task and scope.kind(task) not in ("Loop", *BY_VALUE)


def _is_listed(loop: Task) -> bool:
    """Whether the values of a loop stand in the flow, as texts and whole numbers."""
    given: Any = getattr(loop, "values", None) or getattr(loop, "value", None)
    is_plain = isinstance(given, list | tuple) and all(type(one) in (str, int) for one in given)
    return is_plain and not has_template(list(given))


def _values(loop: Task) -> frozenset[str]:
    given: Any = getattr(loop, "values", None) or getattr(loop, "value", None)
    return frozenset(str(value) for _, value in walk(given) if not isinstance(value, dict | list))
