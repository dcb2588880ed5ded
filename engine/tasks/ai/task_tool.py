"""Tasks that a model may run: which of their properties it is asked for, and how one is run with what it gave."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, cast

from pydantic import AliasChoices, BeforeValidator, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema

from engine.core.property import Guard, marker
from engine.core.task import AnyTask, Task
from engine.plugin import Outputs, Result, RunContext, RunnableTask, TaskFailed
from engine.tasks.ai.conversation import Call, Described, Offer

ASKED = "..."  # what a flow writes where the model is to choose
MARK = "{{ 'the agent chooses ' }}"  # a template: passes unread where a number or a list must stand
MAX_NAME = 64  # of a tool, at every service
MAX_DEPTH = 6  # of a schema's parts that are shown to a model
ABOUT = "Runs a task of a workflow and tells its outputs."
SHOWN = ("type", "enum", "description", "minimum", "maximum", "format")


def _asked(value: Any, info: ValidationInfo) -> Any:
    """Marks what the model is asked for: properties written as `...`, and required ones that are not there."""
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        return value
    cls = (info.context or {})["registry"].resolve(value)
    given = {name: MARK if item == ASKED else item for name, item in value.items()}
    for name, field in cls.model_fields.items():
        if field.is_required() and name not in ("id", "type") and not {name, *spellings(name, field)} & given.keys():
            given[spellings(name, field)[0]] = MARK
    return given


AskedTask = Annotated[AnyTask, BeforeValidator(_asked)]


def offer(context: RunContext, task: Task) -> Offer:
    """A task as a tool; TaskFailed when it is none that a model could run."""
    if not isinstance(task, RunnableTask):
        raise TaskFailed(f"`{task.id}` is not a task that does work.", fix="Give tasks that run by themselves.")
    wanted = dict(_chosen(task))
    schema = {"type": "object", "properties": wanted, "required": list(wanted)}
    about = f"{task.description or (type(task).__doc__ or ABOUT).strip()} {ABOUT}"
    described = Described(f"kestra_task_{task.id}"[:MAX_NAME], about, schema)
    return Offer(described, partial(_use, context, task))


async def _use(context: RunContext, task: RunnableTask, call: Call, number: int) -> str:
    """Run the task; its outputs as JSON."""
    given = dict(call.arguments)
    wanted = {name: spellings(name, type(task).model_fields[name])[0] for name in _marked(task)}
    missing = [alias for alias in wanted.values() if alias not in given]
    if missing:
        raise TaskFailed(f"{', '.join(f'`{name}`' for name in missing)} must be given.")
    answered = await (await _filled(context, task, {name: given[alias] for name, alias in wanted.items()})).run(
        one_call(context, number)
    )
    result = answered if isinstance(answered, Result) else Result(answered)
    if result.effects:
        context.log(f"`{task.id}` was run by an agent: what it wanted of the execution itself is left out.", "WARN")
    told = result.outputs
    outputs = told.model_dump(mode="json", by_alias=True) if isinstance(told, Outputs) else told
    return json.dumps(outputs, ensure_ascii=False, default=str) if outputs else "Success"


async def _filled(context: RunContext, task: RunnableTask, chosen: Mapping[str, Any]) -> RunnableTask:
    """The task rendered, with the model's values where it was asked: they stand as they came, never as templates."""
    loop = asyncio.get_running_loop()
    marked = {name: f"{MARK}{name}" for name in chosen}
    values = {marked[name]: value for name, value in chosen.items()}

    def render(value: Any, guard: Guard) -> Any:
        if isinstance(value, str) and value in values:
            return values[value]
        return asyncio.run_coroutine_threadsafe(context.render(value, guard=guard), loop).result()

    return await asyncio.to_thread(task.model_copy(update=marked).rendered, render)


def _marked(task: Task) -> Iterator[str]:
    return (name for name in type(task).model_fields if getattr(task, name) == MARK)


def _chosen(task: RunnableTask) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the model is asked for: alias → schema. TaskFailed for a property that is not rendered before it runs."""
    cls = type(task)
    _, document = models_json_schema([(cls, "validation")])
    known = document["$defs"]
    shown = known[cls.__name__]["properties"]
    for name in _marked(task):
        field = cls.model_fields[name]
        alias, mark = spellings(name, field)[0], marker(field)
        if mark is None or mark.late:
            raise TaskFailed(f"`{alias}` of `{task.id}` can't be left to the agent.", fix="Write its value.")
        yield alias, _plain(shown[alias], known, 0)


def _plain(schema: Mapping[str, Any], known: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """A schema without references and choices, which many models do not understand: the first branch of each."""
    if depth > MAX_DEPTH:
        return {}
    inner = partial(_plain, known=known, depth=depth + 1)
    if "$ref" in schema:
        return {**inner(known.get(schema["$ref"].rpartition("/")[2], {})), **_about(schema)}
    if branches := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        first: Mapping[str, Any] = next((branch for branch in branches if branch.get("type") != "null"), {})
        return {**inner(first), **_about(schema)}
    found = {key: schema[key] for key in SHOWN if key in schema}
    if "items" in schema:
        found["items"] = inner(schema["items"])
    if "properties" in schema:
        found["properties"] = {name: inner(one) for name, one in schema["properties"].items()}
        found["required"] = schema.get("required", [])
    return found


def _about(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": schema["description"]} if "description" in schema else {}


def spellings(name: str, field: FieldInfo) -> list[str]:
    """How flows may write a property, the current name first."""
    if isinstance(field.validation_alias, AliasChoices):
        return [choice for choice in field.validation_alias.choices if isinstance(choice, str)]
    return [str(field.validation_alias or field.alias or name)]


def one_call(context: RunContext, number: int) -> RunContext:
    """The context for one call of a tool."""
    return cast("RunContext", _OneCall(context, number))


class _OneCall:
    """The context of one call: what a task does once a run, it does once a call."""

    def __init__(self, context: RunContext, number: int) -> None:
        self._context = context
        self.task_run_id = f"{context.task_run_id}.{number}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)
