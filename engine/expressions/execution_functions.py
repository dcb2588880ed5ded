"""Functions on the running execution and on what the services reach."""

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from engine.expressions.allowance import excerpt
from engine.expressions.failures import Missing, fail, kind
from engine.expressions.frame import Frame
from engine.expressions.operations import FUNCTIONS, REST
from engine.expressions.printing import java_text, measure, to_json, to_text
from engine.expressions.values import Value, is_list, is_map

OF_ENTERPRISE = "{}() belongs to Kestra's enterprise edition and is not supported."
ENTERPRISE: Mapping[str, str] = {  # its functions → what to do instead
    "appLink": "People decide by the buttons in chat, or on the page at `kestra.url`: leave the link out.",
    "credential": "Use secret() instead.",
    "assets": "Write the assets into the flow, or keep them as a key of the namespace and use kv().",
}


def _variable(frame: Frame, *path: str) -> Any:
    """A variable by its path; null when it is not there."""
    found: Value = frame.root
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _text(value: Value, function: str, argument: str) -> str:
    if not isinstance(value, str) or not value:
        fail(f"{function}() takes a text for {argument!r}, not {kind(value)}.")
    return value


def _optional_text(value: Value, function: str, argument: str) -> str | None:
    return None if value is None else _text(value, function, argument)


@FUNCTIONS.add(
    "secret", "key", "namespace", "subkey", "full", contextual=True, cost=20, namespace=None, subkey=None, full=False
)
def secret(frame: Frame, key: Value, namespace: Value, subkey: Value, full: Value) -> Value:
    """`{{ secret('TOKEN') }}`: a secret, which logs then hide; `subkey` is a field of one that holds JSON."""
    name = _text(key, "secret", "key")
    return frame.services.secret(
        name,
        namespace=_optional_text(namespace, "secret", "namespace"),
        subkey=_optional_text(subkey, "secret", "subkey"),
        full=full is True,
    )


@FUNCTIONS.add(
    "kv", "key", "namespace", "errorOnMissing", contextual=True, cost=200, namespace=None, errorOnMissing=True
)
def kv(frame: Frame, key: Value, namespace: Value, error_on_missing: Value) -> Value:
    """`{{ kv('color') }}`: a value of the key-value store with its type."""
    return frame.services.kv(
        _text(key, "kv", "key"),
        namespace=_optional_text(namespace, "kv", "namespace"),
        error_on_missing=error_on_missing is not False,
    )


@FUNCTIONS.add(
    "read", "path", "namespace", "version", "revision", contextual=True, cost=200,
    namespace=None, version=None, revision=None,
)  # fmt: skip
def read(frame: Frame, path: Value, namespace: Value, version: Value, revision: Value) -> str:
    """The text of a stored file or of a file of the namespace."""
    place = _optional_text(namespace, "read", "namespace")
    return str(frame.services.read(_text(path, "read", "path"), namespace=place, version=revision or version))


@FUNCTIONS.add("fileSize", "path", "namespace", contextual=True, cost=200, namespace=None)
def file_size(frame: Frame, path: Value, namespace: Value) -> int:
    """How many bytes a file has."""
    place = _optional_text(namespace, "fileSize", "namespace")
    return int(frame.services.file_size(_text(path, "fileSize", "path"), namespace=place))


@FUNCTIONS.add("fileExists", "path", "namespace", contextual=True, cost=200, namespace=None)
def file_exists(frame: Frame, path: Value, namespace: Value) -> bool:
    """Whether a file is there."""
    place = _optional_text(namespace, "fileExists", "namespace")
    return bool(frame.services.file_exists(_text(path, "fileExists", "path"), namespace=place))


@FUNCTIONS.add("isFileEmpty", "path", "namespace", contextual=True, cost=200, namespace=None)
def is_file_empty(frame: Frame, path: Value, namespace: Value) -> bool:
    """Whether a file has no bytes."""
    return int(file_size(frame, path, namespace)) == 0


@FUNCTIONS.add(
    "fileURI", "path", "namespace", "version", "revision", contextual=True, namespace=None, version=None, revision=None
)
def file_uri(frame: Frame, path: Value, namespace: Value, version: Value, revision: Value) -> str:
    """The URI of a file of the namespace, which need not be there yet; only its latest version is kept."""
    name = _text(path, "fileURI", "path").lstrip("/")
    if ".." in re.split(r"[/\\]", name):
        fail("fileURI() does not leave the namespace.", "Leave `..` out of the path.")
    place = _optional_text(namespace, "fileURI", "namespace") or _variable(frame, "flow", "namespace")
    if not isinstance(place, str):
        fail("fileURI() needs a flow.", "Give the namespace as second argument.")
    return f"kestra:///{place.replace('.', '/')}/_files/{name}"


@FUNCTIONS.add("errorLogs", contextual=True, cost=100_000)
def error_logs(frame: Frame) -> list[Any]:
    """`{{ errorLogs()[0]['message'] }}`: what this execution logged as errors."""
    return [dict(entry) for entry in frame.services.error_logs()]


@FUNCTIONS.add("fetchContext", contextual=True, also=("printContext",))
def fetch_context(frame: Frame) -> dict[str, Value]:
    """All variables, for looking into a flow."""
    return frame.visible()


@FUNCTIONS.add("env", "name", "default", contextual=True, default=None)
def env(frame: Frame, name: Value, default: Value) -> Value:
    """`{{ env('api_host', 'localhost') }}`: a variable of `envs`."""
    found = _variable(frame, "envs", _text(name, "env", "name"))
    return default if found is None or found == "" else found


@FUNCTIONS.add("currentEachOutput", "outputs", contextual=True)
def current_each_output(frame: Frame, outputs: Value) -> Value:
    """`{{ currentEachOutput(outputs.make).value }}`: the outputs of a sibling in the same iteration."""
    if not is_map(outputs):
        fail(
            f"currentEachOutput() takes the outputs of a task, not {kind(outputs)}.",
            "`currentEachOutput(outputs.task_id)`",
        )
    for value in (*reversed(_parent_values(frame)), _variable(frame, "taskrun", "value")):
        if value is None:
            continue
        outputs = _level(outputs, value, "currentEachOutput")
    return outputs


def _parent_values(frame: Frame) -> list[Value]:
    """Values of the iterations around this one, nearest first."""
    parents = _variable(frame, "parents")
    found = [item.get("taskrun", {}).get("value") for item in parents if is_map(item)] if is_list(parents) else []
    return [value for value in found if value is not None]


def _level(outputs: Value, value: Value, function: str) -> Value:
    if not is_map(outputs) or value not in outputs:
        raise Missing(
            f"{function}(): there is no output for the iteration {excerpt(java_text(value), 40)!r}.",
            name=value, known=outputs if is_map(outputs) else (),
        )  # fmt: skip
    return outputs[value]


@FUNCTIONS.add("tasksWithState", "state", contextual=True)
def tasks_with_state(frame: Frame, state: Value) -> list[dict[str, Value]]:
    """`{{ tasksWithState('FAILED') }}`: ids, and values of iterations, of the tasks in a state."""
    wanted = to_text(state).upper()
    if not wanted:
        fail("tasksWithState() takes a state such as 'FAILED'.")
    found: list[dict[str, Value]] = []
    tasks = _variable(frame, "tasks")
    measure(tasks)
    for task_id, entry in tasks.items() if is_map(tasks) else ():
        _collect(task_id, entry, wanted, None, found)
    return found


def _collect(task_id: Value, entry: Value, wanted: str, value: Value, found: list[dict[str, Value]]) -> None:
    if not is_map(entry):
        return
    state = entry.get("state")
    if state is not None and not is_map(state):
        if to_text(state).upper() == wanted:
            found.append({"taskId": task_id, "state": to_text(state), **({} if value is None else {"value": value})})
        return
    for key, inner in entry.items():
        _collect(task_id, inner, wanted, key, found)


@FUNCTIONS.add("iterationOutput", "taskId", "iteration", contextual=True, taskId=None, iteration=None)
def iteration_output(frame: Frame, task_id: Value, iteration: Value) -> Value:
    """The `value` a task put out in an iteration, the one before unless a number is given; null before it has run."""
    current = _variable(frame, "taskrun", "iteration")
    if current is None:
        fail("iterationOutput() works inside a loop only.")
    wanted = current - 1 if iteration is None else iteration
    if isinstance(wanted, str) and wanted.isdecimal() and len(wanted) < 10:
        wanted = int(wanted)
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 0:
        fail(f"iterationOutput() has no iteration {excerpt(java_text(wanted), 20)}.", "The first iteration is 0.")
    outputs = _variable(frame, "outputs", java_text(_variable(frame, "task", "id") if task_id is None else task_id))
    for value in reversed(_parent_values(frame)):
        outputs = outputs.get(value) if is_map(outputs) else None
    if outputs is None:  # the task has not run there
        return None
    entries = list(outputs.values()) if is_map(outputs) else []
    if wanted >= len(entries):
        fail(f"iterationOutput() has no iteration {wanted}: there are {len(entries)}.")
    entry = entries[wanted]
    return entry.get("value") if is_map(entry) else entry


@FUNCTIONS.add("parentOutput", "index", contextual=True, index=None)
def parent_output(frame: Frame, index: Value) -> Value:
    """The outputs of the nearest task around this one, or of the n-th, the outermost being 0."""
    parents = _variable(frame, "parents")
    if not is_list(parents) or not parents:
        fail("parentOutput() works inside another task only.")
    place = 0 if index is None else len(parents) - 1 - index if isinstance(index, int) and index >= 0 else -1
    if not 0 <= place < len(parents):
        fail(f"parentOutput() has no parent {excerpt(java_text(index), 20)}: there are {len(parents)}.")
    parent = parents[place]
    if "task" not in parent:  # as an execution has them: with what the task around gave, not with its id
        return parent.get("outputs")
    outputs = _variable(frame, "outputs", java_text(parent.get("task", {}).get("id")))
    for one in reversed(parents[place:]):
        value = one.get("taskrun", {}).get("value")
        if value is not None and is_map(outputs) and value in outputs:
            outputs = outputs[value]
    return outputs


@FUNCTIONS.add("loopOutputs", "outputs", "name")
def loop_outputs(outputs: Value, name: Value) -> list[Value]:
    """One named output of every iteration of a Loop; null where an iteration has none."""
    rows = outputs.get("outputs") if is_map(outputs) else outputs
    if not is_list(rows):
        fail(
            f"loopOutputs() takes the outputs of a Loop, not {kind(outputs)}.",
            "`loopOutputs(outputs.loop.outputs, 'x')`",
        )
    if name is None:
        fail("loopOutputs() takes the name of an output.", "`loopOutputs(outputs.loop.outputs, 'x')`")
    key = java_text(name)
    return [_variable_of(row, key) for row in rows]


def _variable_of(row: Value, key: str) -> Value:
    inner: Any = row.get("outputs", row) if is_map(row) else None
    return inner.get(key) if is_map(inner) else None


@FUNCTIONS.add(
    "http", "uri", "method", "query", "body", "contentType", "headers", "options", "accept", contextual=True,
    cost=40_000,
    method="GET", query=None, body=None, contentType="application/json", headers=None, options=None,
    accept="application/json",
)  # fmt: skip
def http(
    frame: Frame, uri: Value, method: Value, query: Value, body: Value, content_type: Value, headers: Value,
    options: Value, accept: Value,
) -> Value:  # fmt: skip
    """The body an HTTP service answers, read by its content type."""
    measure([query, body, content_type, headers, options, accept])
    return frame.services.http(
        _text(uri, "http", "uri"), method=to_text(method).upper(), query=query, body=body,
        content_type=content_type, headers=headers, options=options, accept=accept,
    )  # fmt: skip


@FUNCTIONS.add(
    "subflow", "namespace", "id", "inputs", "revision", "labels", "timeout", contextual=True, cost=40_000,
    inputs=None, revision=None, labels=None, timeout=None,
)  # fmt: skip
def subflow(
    frame: Frame, namespace: Value, flow_id: Value, inputs: Value, revision: Value, labels: Value, timeout: Value
) -> Value:
    """Run a flow and give its id, state and outputs; only while a form of inputs is made."""
    measure([inputs, revision, labels, timeout])
    return frame.services.subflow(
        _text(namespace, "subflow", "namespace"), _text(flow_id, "subflow", "id"),
        inputs=inputs, revision=revision, labels=labels, timeout=timeout,
    )  # fmt: skip


def _refuse(name: str, instead: str) -> None:
    """Add a function that fails, and says what to do instead."""

    @FUNCTIONS.add(name, REST)
    def refused(*_arguments: Value) -> NoReturn:
        """Not supported."""
        fail(OF_ENTERPRISE.format(name), instead)


for _name, _instead in ENTERPRISE.items():
    _refuse(_name, _instead)


def field_of(text: str, subkey: str) -> str | None:
    """A field of a JSON secret as text; null when it is not there."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    value = found.get(subkey) if isinstance(found, dict) else None
    return None if value is None else value if isinstance(value, str) else to_json(value)
