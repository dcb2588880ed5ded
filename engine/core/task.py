"""What every task is: a frozen pydantic model whose `type` names it in a flow."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from engine.core.durations import Duration
from engine.core.property import Guard, Property, PropertyMarker, Unserved, has_template, marker
from engine.core.retries import Retry
from engine.core.sentences import sentence
from engine.core.worker_groups import MOST_TAGS, of_tags
from engine.errors import TaskFailed

LogLevel = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]
RenderValue = Callable[[Any, Guard], Any]


class Part(BaseModel):
    """Base of everything a flow is made of: camelCase in YAML, snake_case here, unknown properties refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, coerce_numbers_to_str=True
    )
    needed_to_run: ClassVar[tuple[str, ...]] = ()  # without which it fails when it runs; the flow loads, as in Kestra

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, given: Any, info: ValidationInfo) -> Any:
        """`errors:` with nothing behind it is as if left out; so is every other list and mapping that has a default."""
        if not (info.context or {}).get("source") or not isinstance(given, dict) or None not in given.values():
            return given
        return {name: value for name, value in given.items() if value is not None or name not in containers(cls)}

    def rendered(self, render: RenderValue) -> Self:
        """A copy in which every Property is rendered and is its type, also in parts of parts, but not in child tasks.

        `render(value, guard)` evaluates the templates inside a value. TaskFailed names a property that is not its type.
        """
        markers = _markers(type(self))
        values: dict[str, Any] = {}
        for name in self.model_fields_set:
            value, mark = getattr(self, name), markers.get(name)
            if mark is not None and mark.late:
                values[name] = value
            elif mark is None:
                values[name] = _rendered_inside(value, render)
            else:
                values[name] = render(value, mark.guard) if has_template(value) else _rendered_inside(value, render)
        try:
            return type(self).model_validate(values, context={"rendered": True}).served()
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"] if not str(step).startswith("function-"))
            raise TaskFailed(f"`{where}` {sentence(first)}.".replace("..", ".")) from error

    def served(self) -> Self:
        """This part; TaskFailed when it, or a part of it, gives a property that nothing here serves."""
        for _, mark in self.not_served():
            raise TaskFailed(mark.why, fix=mark.fix)
        for name in self.model_fields_set:
            for part in _parts_in(getattr(self, name)):
                part.served()
        return self

    def not_served(self) -> Iterator[tuple[str, Unserved]]:
        """The properties with which it fails, as they are written, and why: what nothing here serves, and what it needs
        and lacks."""
        for name, mark in _unserved(type(self)).items():
            if getattr(self, name):
                yield type(self).model_fields[name].alias or name, mark
        for name in self.needed_to_run:
            if getattr(self, name) in (None, ""):
                written = type(self).model_fields[name].alias or name
                yield written, Unserved(f"`{written}` is missing.", "Give it here, or in `pluginDefaults`.")


class Typed(Part):
    """A part chosen by its `type`: tasks, triggers, conditions, runners, providers."""

    examples: ClassVar[tuple[str, ...]] = ()
    peers: ClassVar[tuple[str, ...]] = ()  # what other names begin with that are no older than the first
    instead: ClassVar[str] = ""  # what flows should use now, when the class is kept for older ones only
    instead_how: ClassVar[str] = ""  # what else changes then
    reshaped: ClassVar[tuple[str, ...]] = ()  # what older names begin with whose parts had other properties
    is_of_flow: ClassVar[bool] = False  # stands in a list of the flow, and in no property of a task
    noun: ClassVar[str] = "another kind of part"  # what it is called
    stands_in: ClassVar[str] = ""  # where it belongs in a flow
    type: str

    @classmethod
    def type_names(cls) -> tuple[str, ...]:
        """Names of this class in a flow: the canonical one, then its aliases."""
        names: tuple[str, ...] = get_args(cls.model_fields["type"].annotation)
        return names

    @classmethod
    def older_how(cls, declaration: Mapping[str, Any]) -> str:
        """What else changes in a declaration when it gets the current name of its type."""
        return cls.instead_how


class TaskCache(Part):
    """Outputs that are handed on again, without running the task, while the same is asked of it."""

    enabled: bool = True
    ttl: Duration | None = Field(default=None, description="How long they are kept; for good, if left out.")


class WorkerSelector(Part):
    """Tags that a worker must have been started with, as groups; `workerGroup` in older flows."""

    tags: tuple[str, ...] = Field(min_length=1)
    match: Literal["ALL", "ANY"] = Field(default="ALL", description="ANY: workers with the first tag run it.")
    fallback: Literal["WAIT", "FAIL", "CANCEL", "IGNORE"] | None = Field(
        default=None, description="Accepted for flows that carry it; while there is no such worker, the task waits."
    )
    broadcast: bool = Field(default=False, description="Accepted for flows that carry it; one worker runs the task.")

    @model_validator(mode="after")
    def _can_be_served(self) -> "WorkerSelector":
        asked = len(set(self.tags))
        if self.match == "ALL" and asked > MOST_TAGS:
            raise ValueError(f"a worker can be asked for at most {MOST_TAGS} tags together, not for {asked}")
        return self

    @property
    def group(self) -> str:
        """The worker group that stands for it."""
        return self.tags[0] if self.match == "ANY" else of_tags(self.tags)


class Task(Typed):
    """Properties every task has (Kestra's `Task`)."""

    is_of_flow = True
    noun = "a task"
    stands_in = "`tasks`"
    sees: ClassVar[frozenset[str] | None] = None  # names it gives to what it renders itself; None: there may be any
    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$", max_length=256)
    description: str | None = None
    disabled: bool = False
    run_if: str | bool | int | None = Field(
        default=None,
        validation_alias=AliasChoices("runIf", "when"),
        description="Falsy: the task is SKIPPED. `when` in newer flows.",
    )
    retry: Retry | None = None
    timeout: Property[timedelta] | None = None
    allow_failure: bool = False
    allow_warning: bool = False
    log_level: LogLevel | None = Field(default=None, description="Lines below this level are left out.")
    log_to_file: bool = False
    worker_group: Any = None
    worker_selector: WorkerSelector | None = None
    policy_refs: Any = None
    task_cache: TaskCache | None = None
    assets: Any = None
    version: str | None = None
    plugin_defaults_ref: Any = None


class ByType:
    """Choose the class by `type` from the registry in the validation context.

    `kind` is what stands here ("a task"), `base` gives the class it must derive from.
    """

    def __init__(self, definition: str, kind: str, base: Callable[[], type[Typed]]) -> None:
        self.definition = definition
        self.kind = kind
        self.noun = kind.removeprefix("a ") if kind.startswith("a ") else ""  # "" where it can be many things
        self.base = base

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any, info: ValidationInfo) -> Typed:
            if isinstance(value, Typed):
                return value
            if not isinstance(value, Mapping):
                raise PydanticCustomError(
                    "not_typed", "{said}", {"said": f"should be {self.kind}: a mapping with a `type`"}
                )
            if not isinstance(value.get("type"), str):
                raise PydanticCustomError("type_missing", "{said}", {"said": f"is {self.kind} without its `type`"})
            context: Mapping[str, Any] = info.context or {}
            cls: type[Typed] = context["registry"].resolve(value, self.noun)
            if not issubclass(cls, self.base()) or (self.base() is Typed and cls.is_of_flow):
                said = f"has the type {value['type']!r}, which is {cls.noun}, not {self.kind}"
                advice = f"Move it to {cls.stands_in}." if cls.stands_in else ""
                raise PydanticCustomError("wrong_kind", "{said}", {"said": said, "advice": advice})
            names = cls.type_names()
            declared = dict(value) if value["type"] in names else {**value, "type": names[0]}
            return cls.model_validate(declared, context=info.context, by_name=not context.get("source", False))

        def dump(part: Typed) -> dict[str, Any]:
            return part.model_dump(by_alias=True, exclude_unset=True, warnings=False)

        serialize = core_schema.plain_serializer_function_ser_schema(dump)
        return core_schema.with_info_plain_validator_function(validate, serialization=serialize)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"allOf": [{"$ref": f"#/$defs/{self.definition}"}]}  # pydantic would look up a bare $ref


AnyTask = Annotated[Task, ByType("AnyTask", "a task", lambda: Task)]
AnyTyped = Annotated[Typed, ByType("AnyTyped", "what belongs here", lambda: Typed)]


@lru_cache(maxsize=1024)
def containers(cls: type[Part]) -> frozenset[str]:
    """Names, as a flow writes them, of the lists and mappings that may be left out."""
    found: set[str] = set()
    for name, field in cls.model_fields.items():
        default = field.get_default(call_default_factory=True) if not field.is_required() else None
        if isinstance(default, tuple | list | dict | Part):
            choices = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else ()
            found |= {one for one in choices if isinstance(one, str)} or {field.alias or name}
    return frozenset(found)


@lru_cache(maxsize=1024)
def _unserved(cls: type[Part]) -> Mapping[str, Unserved]:
    found = {
        name: next((one for one in field.metadata if isinstance(one, Unserved)), None)
        for name, field in cls.model_fields.items()
    }
    return {name: mark for name, mark in found.items() if mark}


@lru_cache(maxsize=1024)
def _markers(cls: type[Part]) -> Mapping[str, PropertyMarker]:
    found = {name: marker(field) for name, field in cls.model_fields.items()}
    return {name: mark for name, mark in found.items() if mark}


def _parts_in(value: Any) -> Iterator[Part]:
    """The part that a value is, or those it holds; child tasks are left alone, they are looked at when they run."""
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else (value,)
    return (item for item in held if isinstance(item, Part) and not isinstance(item, Task))


def _rendered_inside(value: Any, render: RenderValue) -> Any:
    """Parts held by a value, rendered; child tasks are left alone, they are rendered when they run."""
    if isinstance(value, Part):
        return value if isinstance(value, Task) else value.rendered(render)
    if isinstance(value, dict):
        return {key: _rendered_inside(item, render) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_rendered_inside(item, render) for item in value)
    return value
