"""An execution as JSON, in the shape that the command line and the API give it."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from engine.core.execution import Execution


def execution_json(execution: Execution, mask: Callable[[str], str]) -> Mapping[str, Any]:
    """Kestra's names for what an execution holds; secrets are masked."""
    origin = execution.origin
    whole = {
        "id": execution.id,
        "namespace": execution.namespace,
        "flowId": execution.flow_id,
        "flowRevision": execution.revision,
        "state": {
            "current": execution.state,
            "startDate": execution.created.isoformat(),
            "endDate": execution.ended and execution.ended.isoformat(),
        },
        "labels": [{"key": key, "value": value} for key, value in execution.labels],
        "inputs": execution.inputs,
        "outputs": execution.outputs or {},
        "trigger": {"id": origin.id, "type": origin.type, "variables": origin.variables} if origin else None,
        "taskRunList": [
            {
                "taskId": run.task_id,
                "value": run.value,
                "state": {"current": run.state},
                "outputs": run.outputs or {},
                "attempts": [{"state": {"current": attempt.state}} for attempt in run.attempts],
            }
            for run in execution.task_runs.values()
        ],
    }
    read: Mapping[str, Any] = json.loads(mask(json.dumps(whole, ensure_ascii=False, default=str)))
    return read
