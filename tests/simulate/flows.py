"""Random flows, from a seed. Everything a flow may be made of, small enough that a history stays readable."""

from random import Random
from typing import Any

CORE = "io.kestra.plugin.core.flow."
NAMESPACE = "sim"
CHILDREN = ("small", "smaller")
TEMPLATES = {
    True: ("true", "{{ 1 == 1 }}", "{{ inputs.n >= 0 }}", "{{ execution.state == 'RUNNING' or true }}"),
    False: ("false", "{{ inputs.n < 0 }}", "", "{{ inputs.n == 99 }}"),
}
BROKEN = "{{ nowhere.at.all }}"
WORK = ("work", "work", "work", "work", "fails", "flaky", "warns", "soft", "skips", "off", "exits", "slow")
WAITS = ("sleep", "pause", "asks", "timed", "approval")
GROUPS = (
    "seq", "par", "par", "each", "each", "if", "switch", "dag", "until", "loop", "try", "folder", "call", "items",
    "group",
)  # fmt: skip
RETRIES: tuple[dict[str, Any], ...] = (
    {"type": "constant", "interval": "PT2S", "maxAttempts": 2},
    {"type": "constant", "interval": "PT1S", "maxAttempts": 3, "warningOnRetry": True},
    {"type": "exponential", "interval": "PT1S", "maxInterval": "PT4S", "maxAttempts": 3},
    {"type": "random", "minInterval": "PT1S", "maxInterval": "PT3S", "maxAttempts": 2},
)
Task = dict[str, Any]


class Maker:
    """Draws the flows of one seed."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.left = random.randint(3, 14)  # tasks still to be made
        self.numbers = 0
        self.callable: tuple[str, ...] = ()

    # --- small draws
    def chance(self, one_in: int) -> bool:
        return self.random.randrange(one_in) == 0

    def name(self, kind: str) -> str:
        self.numbers += 1
        return f"{kind}{self.numbers}"

    def seconds(self) -> float:
        return self.random.choice((0.5, 1, 1, 2, 3, 7))

    def truth(self) -> str:
        holds = not self.chance(3)
        return BROKEN if self.chance(25) else self.random.choice(TEMPLATES[holds])

    def values(self) -> Any:
        drawn = [self.random.choice("abcd") for _ in range(self.random.randint(0, 4))]
        return self.random.choice((drawn, drawn, "{{ inputs.list }}"))

    # --- tasks
    def tasks(self, depth: int, least: int = 1, most: int = 3) -> list[Task]:
        return [self.task(depth) for _ in range(self.random.randint(least, most))]

    def task(self, depth: int) -> Task:
        self.left -= 1
        kinds = WORK + WAITS if depth == 0 or self.left <= 0 else WORK[:6] + WAITS + GROUPS + GROUPS
        kind = self.random.choice(kinds)
        made: Task = getattr(self, f"_{kind}", self._work)(self.name(kind), depth)
        return made

    def work(self, id: str, *ends: str, **more: Any) -> Task:
        return {
            "id": id,
            "type": "tests.simulate.Work",
            "seconds": self.seconds(),
            "ends": ends or ("SUCCESS",),
            **more,
        }

    def _work(self, id: str, depth: int) -> Task:
        made = self.work(id)
        if self.chance(8):
            made["runIf"] = self.truth()
        return made

    def _fails(self, id: str, depth: int) -> Task:
        return self.work(id, "FAILED", **({"retry": self.random.choice(RETRIES)} if self.chance(2) else {}))

    def _flaky(self, id: str, depth: int) -> Task:
        return self.work(id, "FAILED", "SUCCESS", retry=self.random.choice(RETRIES))

    def _warns(self, id: str, depth: int) -> Task:
        return self.work(id, "WARNING", **({"allowWarning": True} if self.chance(2) else {}))

    def _soft(self, id: str, depth: int) -> Task:
        return self.work(id, "FAILED", "SUCCESS", allowFailure=True, allowWarning=self.chance(3))

    def _skips(self, id: str, depth: int) -> Task:
        return self.work(id, runIf=self.random.choice(TEMPLATES[False]))

    def _off(self, id: str, depth: int) -> Task:
        return self.work(id, disabled=True)

    def _exits(self, id: str, depth: int) -> Task:
        return self.work(id, exit=self.random.choice(("SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELED")))

    def _slow(self, id: str, depth: int) -> Task:
        return self.work(id, "SUCCESS", "FAILED", timeout=self.random.choice(("PT1.5S", "PT1H")))

    def _sleep(self, id: str, depth: int) -> Task:
        return {"id": id, "type": CORE + "Sleep", "duration": self.random.choice(("PT1S", "PT3S", "PT0S"))}

    def _pause(self, id: str, depth: int) -> Task:
        made: Task = {"id": id, "type": CORE + "Pause"}
        if depth and self.chance(3):
            made["tasks"] = self.tasks(0, most=2)
        if self.chance(4):
            made["onPause"] = self.work(self.name("first"))
        return made

    def _timed(self, id: str, depth: int) -> Task:
        behavior = self.random.choice(("RESUME", "WARN", "FAIL", "CANCEL"))
        made = {**self._pause(id, depth), "pauseDuration": self.random.choice(("PT4S", "PT11S", "PT30S"))}
        return {**made, "behavior": behavior} if self.chance(2) else made

    def _asks(self, id: str, depth: int) -> Task:
        asked = [{"id": "approve", "type": "BOOLEAN", **({"defaults": True} if self.chance(3) else {})}]
        if self.chance(3):
            asked.append({"id": "why", "type": "STRING", "required": False})
        made: Task = {"id": id, "type": CORE + "Pause", "onResume": asked}
        return {**made, "pauseDuration": "PT20S"} if self.chance(3) else made

    def _approval(self, id: str, depth: int) -> Task:
        made: Task = {"id": id, "type": CORE + "Approval"}
        if self.chance(2):
            made["timeout"] = self.random.choice(("PT6S", "PT25S"))
        for name in ("approveBehavior", "denyBehavior", "expireBehavior"):
            if self.chance(3):
                made[name] = self.random.choice(("CONTINUE", "WARN", "FAIL", "SUCCEED", "CANCEL", "KILL"))
        if self.chance(3):
            made["autoApprove"] = self.random.choice((True, "{{ inputs.n > 2 }}"))
        for name in ("onWait", "onApprove", "onDeny"):
            if self.chance(4):
                made[name] = [self.work(self.name("after"))]
        return made

    # --- tasks that hold others
    def group(self, kind: str, id: str, **more: Any) -> Task:
        made: Task = {"id": id, "type": CORE + kind, **more}
        if self.chance(6):
            made["errors"] = [self.work(self.name("err"), *(("FAILED",) if self.chance(4) else ()))]
        if self.chance(6):
            made["finally"] = [self.work(self.name("fin"))]
        for name, value in (("timeout", "PT5S"), ("allowFailure", True), ("retry", self.random.choice(RETRIES))):
            if self.chance(12):
                made[name] = value
        return made

    def _seq(self, id: str, depth: int) -> Task:
        return self.group("Sequential", id, tasks=self.tasks(depth - 1))

    def _group(self, id: str, depth: int) -> Task:
        made = self.group("Sequential", id, tasks=self.tasks(depth - 1))
        return {**made, "runIf": self.truth()} if self.chance(2) else {**made, "disabled": True}

    def _try(self, id: str, depth: int) -> Task:
        return self.group("AllowFailure", id, tasks=self.tasks(depth - 1))

    def _par(self, id: str, depth: int) -> Task:
        return self.group(
            "Parallel", id, tasks=self.tasks(depth - 1, 2, 4), concurrent=self.random.choice((0, 0, 1, 2))
        )

    def _each(self, id: str, depth: int) -> Task:
        limit = self.random.choice((0, 1, 2))
        return self.group(
            "ForEach", id, values=self.values(), concurrencyLimit=limit, tasks=self.tasks(depth - 1, most=2)
        )

    def _loop(self, id: str, depth: int) -> Task:
        inner = self.tasks(depth - 1, most=2)
        more = {"outputs": [{"id": "said", "type": "STRING", "value": "{{ item.value }}"}]} if self.chance(3) else {}
        limit = self.random.choice((0, 1, 2))
        return self.group(
            "Loop", id, values=self.values(), concurrencyLimit=limit, tasks=inner, transmitFailed=self.chance(2), **more
        )

    def _if(self, id: str, depth: int) -> Task:
        otherwise = {"else": self.tasks(depth - 1, most=2)} if self.chance(2) else {}
        return self.group("If", id, condition=self.truth(), then=self.tasks(depth - 1, most=2), **otherwise)

    def _switch(self, id: str, depth: int) -> Task:
        cases = {"a": self.tasks(depth - 1, most=2), "b": self.tasks(depth - 1, most=1)}
        rest = {"defaults": self.tasks(depth - 1, most=1)} if self.chance(2) else {}
        return self.group("Switch", id, value=self.random.choice(("a", "b", "{{ 'c' }}")), cases=cases, **rest)

    def _dag(self, id: str, depth: int) -> Task:
        inner = self.tasks(depth - 1, 2, 4)
        entries: list[Task] = [{"task": one} for one in inner]
        for number in range(1, len(entries)):
            if self.chance(2):
                entries[number]["dependsOn"] = [inner[self.random.randrange(number)]["id"]]
        return self.group("Dag", id, tasks=entries, concurrent=self.random.choice((0, 0, 2)))

    def _until(self, id: str, depth: int) -> Task:
        frequency = {"interval": self.random.choice(("PT1S", "PT0S")), "maxIterations": self.random.randint(1, 3)}
        return self.group(
            "LoopUntil", id, condition=self.truth(), tasks=self.tasks(depth - 1, most=2), checkFrequency=frequency,
            failOnMaxReached=self.chance(3),
        )  # fmt: skip

    def _folder(self, id: str, depth: int) -> Task:
        inner = [
            self.random.choice((self._work, self._fails, self._soft, self._skips, self._off))(self.name("in"), 0)
            for _ in range(self.random.randint(1, 3))
        ]
        for one in inner:
            one.pop("retry", None)
        made = self.group("WorkingDirectory", id, tasks=inner)
        made.pop("timeout", None)
        return made

    def _call(self, id: str, depth: int) -> Task:
        if not self.callable:
            return self._seq(id, depth)
        others = (*self.callable, *self.callable, "unknown")
        made: Task = {
            "id": id,
            "type": CORE + "Subflow",
            "namespace": NAMESPACE,
            "flowId": self.random.choice(others) if self.chance(4) else self.callable[0],
            "wait": not self.chance(5),
            "transmitFailed": not self.chance(3),
            "inputs": {"n": self.random.randint(0, 4)},
        }  # fmt: skip
        for name, value in (
            ("timeout", "PT6.5S"),
            ("retry", self.random.choice(RETRIES)),
            ("restartBehavior", "NEW_EXECUTION"),
        ):
            if self.chance(5):
                made[name] = value
        return made

    def _items(self, id: str, depth: int) -> Task:
        if not self.callable:
            return self._par(id, depth)
        file = self.work(self.name("file"), lines=self.random.randint(0, 4))
        items = {
            "id": id,
            "type": CORE + "ForEachItem",
            "items": f"{{{{ outputs.{file['id']}.uri }}}}",
            "namespace": NAMESPACE,
            "flowId": self.callable[-1],
            "wait": not self.chance(5),
            "transmitFailed": not self.chance(3),
            "inputs": {"n": "{{ taskrun.iteration + 1 }}"},
        }
        return {"id": f"{id}_both", "type": CORE + "Sequential", "tasks": [file, items]}

    # --- flows
    def flow(self, id: str, depth: int, most: int) -> dict[str, Any]:
        made: dict[str, Any] = {
            "id": id,
            "namespace": NAMESPACE,
            "inputs": [
                {"id": "n", "type": "INT", "defaults": 1},
                {"id": "list", "type": "JSON", "defaults": '["p", "q"]'},
            ],
            "tasks": self.tasks(depth, most=most),
        }
        for name, kind, rarity in (("errors", "err", 4), ("finally", "fin", 4), ("afterExecution", "after", 5)):
            if self.chance(rarity):
                ends = ("FAILED",) if self.chance(5) else ()
                made[name] = [self.work(self.name(kind), *ends) for _ in range(self.random.randint(1, 2))]
        if self.chance(8):
            made["retry"] = {**self.random.choice(RETRIES)}
            if self.chance(2):
                made["retry"] = {"type": "constant", "interval": "PT3S", "maxAttempts": 2}
                made["retry"]["behavior"] = "CREATE_NEW_EXECUTION"
        if self.chance(4):
            behavior = self.random.choice(("QUEUE", "QUEUE", "QUEUE", "FAIL", "CANCEL"))
            made["concurrency"] = {"limit": self.random.randint(1, 2), "behavior": behavior}
        if self.chance(8):
            made["outputs"] = [{"id": "n", "type": "INT", "value": "{{ inputs.n }}"}]
        if self.chance(10):
            duration = {"id": "soon", "type": "MAX_DURATION", "duration": "PT15S"}
            holds = {"id": "holds", "type": "EXECUTION_ASSERTION", "assert": "{{ inputs.n < 4 }}"}
            behavior = self.random.choice(("FAIL", "CANCEL", "NONE"))
            made["sla"] = [{**self.random.choice((duration, holds)), "behavior": behavior}]
        return made

    def flows(self) -> list[dict[str, Any]]:
        """The main flow first, then those it may call."""
        called: list[dict[str, Any]] = []
        for id in CHILDREN[::-1][: self.random.choice((0, 1, 1, 2))]:
            called.append(self.flow(id, 1, 2))
            self.callable = (id, *self.callable)
        self.left = self.random.randint(3, 14)
        return [self.flow("main", self.random.randint(1, 3), 4), *called]


class WideMaker(Maker):
    """Draws from more, in a seed space of its own: what the others draw stays as it is."""

    def _items(self, id: str, depth: int) -> Task:
        made = super()._items(id, depth)
        for items in made["tasks"][1:] if self.callable else ():
            if self.chance(3):
                items["inputs"] = {"n": "{{ taskrun.iteration == 1 and taskrun.attemptsCount == 0 ? no : 1 }}"}
            for name, value in (("timeout", "PT4.5S"), ("retry", self.random.choice(RETRIES))):
                if self.chance(4):
                    items[name] = value
        return made

    def _loop(self, id: str, depth: int) -> Task:
        made = super()._loop(id, depth)
        if self.chance(2):
            made["breakWhen"] = self.random.choice(("{{ item.index == 1 }}", "{{ item.value == 'b' }}", self.truth()))
        return made
