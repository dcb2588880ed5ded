"""render() and renderOnce(): text of the flow's author that holds templates, evaluated where the flow asks for it.

What a pass prints is gone over again only when it comes from the author, too. A value from outside is put in as it is,
so no text that somebody typed, posted or generated is ever evaluated, however often its surroundings are.
"""

from engine.expressions.failures import fail, kind
from engine.expressions.frame import Frame, Out, Printed, printed
from engine.expressions.limits import MAX_CALLS, MAX_PASSES
from engine.expressions.operations import FUNCTIONS
from engine.expressions.printing import measure
from engine.expressions.templates import parse
from engine.expressions.values import Value, is_list, is_map


@FUNCTIONS.add("render", "toRender", "recursive", contextual=True, recursive=True)
def render(frame: Frame, is_foreign: bool, value: Value, recursive: Value) -> Value:
    """`{{ render(vars.greeting) }}`: the text with its templates evaluated, until none is left."""
    if not isinstance(recursive, bool):
        fail(f"render() takes true or false for `recursive`, not {kind(recursive)}.")
    return _rendered(frame, is_foreign, value, MAX_PASSES if recursive else 1)


@FUNCTIONS.add("renderOnce", "toRender", contextual=True)
def render_once(frame: Frame, is_foreign: bool, value: Value) -> Value:
    """`{{ renderOnce(vars.greeting) }}`: the text with its templates evaluated once."""
    return _rendered(frame, is_foreign, value, 1)


def _rendered(frame: Frame, is_foreign: bool, value: Value, passes: int) -> Value:
    if isinstance(value, str):
        if "{{" not in value and "{%" not in value and "{#" not in value:
            return value
        if is_foreign:
            frame.services.warn(
                "render() was given a value from outside the flow that holds a template; it is printed as it is."
            )
            return value
        return _text(frame, value, passes)
    if is_list(value) or is_map(value):
        measure(value)
    if is_map(value):
        found: dict[Value, Value] = {}
        for key, item in value.items():
            found.setdefault(_rendered(frame, is_foreign, key, passes), _rendered(frame, is_foreign, item, passes))
        return found
    return [_rendered(frame, is_foreign, item, passes) for item in value] if is_list(value) else value


def _text(frame: Frame, text: str, passes: int) -> str:
    if frame.calls >= MAX_CALLS:
        fail(f"render() calls itself more than {MAX_CALLS} deep.")
    parts = [text]
    for _ in range(passes):
        before = parts
        parts = [new for part in before for new in ([part] if isinstance(part, Printed) else _pass(frame, part))]
        if len(parts) == len(before) and all(new == old for new, old in zip(parts, before, strict=True)):
            return "".join(parts)
    if passes == MAX_PASSES:
        fail(
            f"Too many rendering attempts: render() still finds templates after {MAX_PASSES} passes.",
            "Break the cycle.",
        )
    return "".join(parts)


def _pass(frame: Frame, text: str) -> list[str]:
    """One pass over author's text: neighbouring pieces that may be gone over again are joined, others stay apart."""
    if "{" not in text:
        return [text]
    visible = frame.visible()
    frame.charge(len(text) * 4 + len(visible))  # reading a template is work, too
    inner = frame.inner(visible)
    inner.recording = True
    out: Out = []
    parse(text).run(inner, out)
    found: list[str] = []
    own: list[str] = []
    for part in out:
        if isinstance(part, Printed) and (part.raw or part.outside):
            found += ["".join(own), part] if own else [part]
            own.clear()
        elif isinstance(part, str):
            own.append(part)
    return [*found, "".join(own)] if own or not found else found


def kept(text: str) -> Printed:
    """Text that no pass goes over."""
    return printed(text, outside=True)
