"""Inputs ⇄ Form: the fields a flow or a pause asks for, and what was typed into them as values for the engine. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bot.conversation import Action, Attachment, Field, FieldType, Form, Option
from bot.forms.values import ABSENT, FieldInvalid, Reader, files_in, has_no_choice, is_blank, shown, value_of
from bot.texts import answer, code, did_you_mean, listed, plain
from engine.core.inputs import Input, Resolved, TableInput
from engine.errors import InputProblem

_TYPES: Mapping[str, FieldType] = {
    "STRING": "STRING", "SELECT": "SELECT", "ENUM": "SELECT", "MULTISELECT": "MULTISELECT", "INT": "INT",
    "FLOAT": "FLOAT", "BOOLEAN": "BOOLEAN", "BOOL": "BOOLEAN", "DATE": "DATE", "TIME": "TIME", "DATETIME": "DATETIME",
    "DURATION": "DURATION", "JSON": "JSON", "YAML": "YAML", "ION": "ION", "ARRAY": "ARRAY", "TABLE": "TABLE",
    "URI": "URI", "EMAIL": "EMAIL", "SECRET": "SECRET", "FILE": "FILE",
}  # fmt: skip
_LONG_TEXT = re.compile(
    r"multi-?line|lines|paragraph|prompt|message|body|detail|description|summary|comment|feedback|reason|sql|query|html|"
    r"markdown|script|code|text\b",
    re.IGNORECASE,
)
_LONG_DEFAULT = 80
_MISSING = "missing required input"


def fields_of(
    inputs: Sequence[Input], resolved: Resolved | None = None, *, ids: Collection[str] = ()
) -> tuple[Field, ...]:
    """A field for each input that is asked for; `resolved` (of nothing given) brings rendered defaults and
    choices; `ids`: these and no others, asked for or not."""
    enabled = resolved.enabled if resolved else {}
    leading = {name for one in inputs if one.depends_on for name in one.depends_on.inputs}
    return tuple(
        _field(one, resolved, leads=one.id in leading)
        for one in inputs
        if (one.id in ids if ids else enabled.get(one.id, True))
    )


def _field(declared: Input, resolved: Resolved | None, *, leads: bool = False) -> Field:
    kind = "FILE" if takes_files(declared) else _TYPES[declared.type]
    default = resolved.defaults.get(declared.id) if resolved else declared.defaults
    choices = resolved.options.get(declared.id, declared.choices) if resolved else declared.choices
    low = getattr(declared, "min", None) if kind in ("INT", "FLOAT", "DURATION") else getattr(declared, "after", None)
    high = getattr(declared, "max", None) if kind in ("INT", "FLOAT", "DURATION") else getattr(declared, "before", None)
    labels = declared.labels
    text = f"{declared.id} {declared.display_name or ''} {declared.description or ''}"
    is_long = isinstance(default, str) and ("\n" in default or len(default) > _LONG_DEFAULT)
    return Field(
        declared.id,
        kind,
        declared.label,
        help=_help(declared),
        required=declared.required,
        default=None if kind == "SECRET" or default is None else in_field(declared, default),
        minimum=None if low is None else str(low),
        maximum=None if high is None else str(high),
        pattern=getattr(declared, "validator", None),
        options=tuple(Option(value, labels.get(value, value)) for value in choices),
        allow_custom=bool(getattr(declared, "allow_custom_value", False)),
        radio=bool(getattr(declared, "is_radio", False)),
        multiline=kind in ("JSON", "YAML", "ION", "TABLE")
        or (kind == "STRING" and (is_long or bool(_LONG_TEXT.search(text)))),
        extensions=_extensions(declared),
        item_type=getattr(declared, "item_type", None),
        leads=leads,
        several=kind == "FILE" and declared.type != "FILE",
        group=declared.heading,
    )


def _help(declared: Input) -> str:
    about = (declared.description or "").strip()
    if not isinstance(declared, TableInput):
        return about
    columns = [f"{one.id} ({one.type}{'' if one.required else ', optional'})" for one in declared.columns]
    return f"{about}\nColumns: {', '.join(columns)}.".strip()


def in_field(declared: Input, value: Any) -> Any:
    """A value of an input as it stands in its field."""
    return declared.as_lines(value) if isinstance(declared, TableInput) else shown(value)


def value_in(inputs: Mapping[str, Any], name: str) -> Any:
    """What an execution was given for an input; the dots of its id nest. None when it was given nothing."""
    found: Any = inputs
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def takes_files(declared: Input) -> bool:
    """Whether an input is a file, or a list of them."""
    return declared.type == "FILE" or (declared.type == "ARRAY" and getattr(declared, "item_type", None) == "FILE")


def _extensions(declared: Input) -> tuple[str, ...]:
    allowed = getattr(declared, "allowed_file_extensions", ())
    return tuple(f".{one.removeprefix('.')}" for one in allowed)


@dataclass(frozen=True, slots=True)
class Answers:
    """What was typed, read: `given` for the engine, `errors` beside their fields."""

    given: Mapping[str, Any]
    errors: Mapping[str, str] = field(default_factory=dict)


def read_form(fields: Sequence[Field], raw: Mapping[str, Any], reader: Reader, *, blank_texts: bool = False) -> Answers:
    """Every field of a form. An empty one counts as not given; `blank_texts`: a required text may be empty."""
    given: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for asked in fields:
        value = raw.get(asked.id)
        if is_blank(value):
            blank = _blank(asked, asked.id in raw, blank_texts)
            if isinstance(blank, FieldInvalid):
                errors[asked.id] = blank.answer.text
            elif blank is not ABSENT:
                given[asked.id] = blank
            continue
        try:
            given[asked.id] = value_of(asked, value, reader)
        except FieldInvalid as error:
            errors[asked.id] = error.answer.text
    return Answers(given, errors)


def _blank(asked: Field, was_shown: bool, blank_texts: bool) -> Any:
    if asked.type == "STRING" and not asked.pattern:
        if asked.default is not None and was_shown:
            return ""  # somebody emptied a text that was filled in
        if blank_texts and asked.required and asked.default is None:
            return ""
    if asked.required and asked.default is None:
        why = "no-choice" if has_no_choice(asked) else "E05"
        return FieldInvalid(answer(why, input=code(asked.id), instead=""))
    return ABSENT


def read_pairs(fields: Sequence[Field], pairs: Mapping[str, Any], reader: Reader) -> Answers:
    """What was given on a command line, where an empty text is a value. Every name must be a field's."""
    by_id = {asked.id: asked for asked in fields}
    given: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, value in pairs.items():
        asked = by_id[name]
        if is_blank(value) and asked.type != "STRING":
            continue
        try:
            given[name] = value_of(asked, value, reader)
        except FieldInvalid as error:
            errors[name] = error.answer.text
    return Answers(given, errors)


def explain(problem: InputProblem, asked: Field | None) -> str:
    """The engine's refusal of one input in the desk's words."""
    name = code(problem.input)
    is_missing = _MISSING in problem.message
    if asked and has_no_choice(asked) and (is_missing or "must match the values" in problem.message):
        return answer("no-choice", input=name).text
    if is_missing:
        return answer("E05", input=name, instead="").text
    value = code(problem.value if problem.value is not None else "")
    if asked and "must match the values" in problem.message:
        values = [option.value for option in asked.options]
        guess = did_you_mean(_near(str(problem.value), values))
        return answer("E08", input=name, value=value, choices=listed(values), guess=guess).text
    reason = re.sub(r"^Invalid input for `[^`]*`, ", "", problem.message)
    reason = re.sub(r", but received `.*`$", "", reason, flags=re.DOTALL)
    return f"{name}: {plain(reason)}." if problem.value is None else f"{name}: {value}: {plain(reason)}."


def _near(text: str, values: Sequence[str]) -> list[str]:
    wanted = text.lower()
    return [value for value in values if wanted and (wanted in value.lower() or value.lower() in wanted)][:1]


def missing(fields: Sequence[Field], given: Mapping[str, Any]) -> list[Field]:
    """Required fields that have neither a value nor a default."""
    return [asked for asked in fields if asked.required and asked.default is None and asked.id not in given]


def form(
    form_id: str,
    title: str,
    submit: str,
    fields: Sequence[Field],
    *,
    raw: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    intro: str = "",
    page: int = 0,
    actions: tuple[Action, ...] = (),
    edition: int = 0,
) -> Form:
    """The form to show: what was typed in its fields, what is wrong beside them. Secrets are never shown again."""
    typed = raw or {}
    wrong = errors or {}
    drawn = tuple(replace(asked, error=wrong.get(asked.id)) for asked in fields)
    values = {asked.id: _again(typed[asked.id]) for asked in fields if asked.id in typed and asked.type != "SECRET"}
    return Form(form_id, title, submit, drawn, intro, page, values, actions, edition)


def _again(raw: Any) -> Any:
    return raw if isinstance(raw, str | bool | Attachment | list) else shown(raw)


def prefilled(inputs: Sequence[Input]) -> dict[str, Any]:
    """First values of a form: `prefill` of inputs that are not required."""
    return {one.id: in_field(one, one.prefill) for one in inputs if one.prefill is not None and not one.required}


def intro(description: str) -> str:
    """What stands above a form."""
    return plain(description, 600) if description else ""


def secret_ids(inputs: Sequence[Input]) -> frozenset[str]:
    """Inputs whose values are never shown."""
    return frozenset(one.id for one in inputs if one.type == "SECRET")


def without_files(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values as far as conditions and choices of other inputs may look at them."""
    return {name: value for name, value in given.items() if not files_in(value)}


def masked(given: Mapping[str, Any], secrets: frozenset[str]) -> dict[str, Any]:
    """Given values for the audit: secrets as stars, files by name."""
    return {name: "******" if name in secrets else _by_name(value) for name, value in given.items()}


def _by_name(value: Any) -> Any:
    if isinstance(value, Attachment):
        return value.name
    return [file.name for file in files_in(value)] or shown(value)
