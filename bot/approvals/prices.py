"""What models and tasks cost: the `prices` section of parley.yaml. None is built in, since prices change. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field, model_validator

from engine.core.executor.starting import group_of
from engine.core.flow import Flow
from engine.core.task import Task
from engine.settings import Section
from engine.tasks.scripts.script_task import PROCESS, ScriptTask

MILLION = 1_000_000
Money = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class ModelPrice(Section):
    """Of a million tokens."""

    input: Money = Field(default=Decimal(0), description="That the model reads.")
    output: Money = Field(default=Decimal(0), description="That it writes.")

    def of(self, asked: int, answered: int) -> Decimal:
        """What so many tokens cost."""
        return (self.input * asked + self.output * answered) / MILLION


@dataclass(frozen=True, slots=True)
class Kind:
    """By what a task is found in the list of prices."""

    type: str
    image: str = ""
    runner: str = ""
    group: str = ""


class TaskPrice(Section):
    """Of every task that fits all globs."""

    type: str = "*"
    image: str | None = Field(default=None, description="Of its container, as the flow names it.")
    runner: str | None = Field(default=None, description="The type of its `taskRunner`.")
    group: str | None = Field(default=None, description="Of the workers it runs on.")
    minute: Money = Decimal(0)
    run: Money = Decimal(0)

    @model_validator(mode="after")
    def _says_a_price(self) -> "TaskPrice":
        if not self.model_fields_set & {"minute", "run"}:
            raise ValueError("give `minute`, `run` or both")
        return self

    def fits(self, kind: Kind) -> bool:
        """Whether it is the price of such a task."""
        asked = ((self.image, kind.image), (self.runner, kind.runner), (self.group, kind.group))
        return fnmatchcase(kind.type, self.type) and all(
            glob is None or (name != "" and fnmatchcase(name, glob)) for glob, name in asked
        )

    def of(self, seconds: float) -> Decimal:
        """What one run of so many seconds costs."""
        return self.run + self.minute * Decimal(str(round(seconds, 3))) / 60


class Prices(Section):
    """The first entry of `tasks` that fits counts; a model's own name counts before globs."""

    currency: str = Field(default="", max_length=12)
    models: dict[str, ModelPrice] = Field(default_factory=dict)
    tasks: tuple[TaskPrice, ...] = ()

    @model_validator(mode="after")
    def _says_the_currency(self) -> "Prices":
        if (self.models or self.tasks) and not self.currency.strip():
            raise ValueError("say in which `currency` the prices are, as `currency: EUR`")
        return self

    def __bool__(self) -> bool:
        return bool(self.models or self.tasks)

    def of_model(self, name: str) -> ModelPrice | None:
        """The price of a model; None when none is set."""
        globs = (price for glob, price in self.models.items() if fnmatchcase(name, glob))
        return self.models.get(name) or next(globs, None)

    def of_task(self, kind: Kind) -> TaskPrice | None:
        """The price of a task; None when none is set."""
        return next((price for price in self.tasks if price.fits(kind)), None)


NO_PRICES = Prices()


def kind_of(task: Task, flow: Flow) -> Kind:
    """What the price of a task goes by, as its flow is written."""
    image, runner = str(getattr(task, "container_image", None) or ""), ""
    if isinstance(task, ScriptTask):
        runner = task.runner_type
        image = "" if runner == PROCESS else task.asked_image()
    return Kind(task.type, image, runner, group_of(task) or group_of(flow) or "")
