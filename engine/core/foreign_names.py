"""What other tools, languages and people call things → what they are here."""

from collections.abc import Mapping

from pydantic import BaseModel

from engine.core.flow import Flow
from engine.core.inputs import Input
from engine.core.task import Task

PROPERTIES = {  # what other tools and people call a property → ours, the likeliest first, or `outer.inner` of its own
    "delimiter": "fieldSeparator",
    "separator": "fieldSeparator",
    "expression": "cron",
    "schedule": "cron",
    "image": "containerImage",
    "options": "values",
    "choices": "values",
    "name": "id",
    "steps": "tasks",
    "jobs": "tasks",
    "tasks": "then",
    "items": "values",
    "desc": "description",
    "role": "type",
    "env": "variables",
    "environment": "env variables",
    "run": "commands script",
    "if": "runIf",
    "conditions": "runIf",
    "continueonerror": "allowFailure",
    "ignoreerrors": "allowFailure",
    "requirements": "dependencies beforeCommands",
    "interval": "checkFrequency.interval",
    "frequency": "checkFrequency.interval",
    "maxiterations": "checkFrequency.maxIterations",
    "maxduration": "checkFrequency.maxDuration",
    "instructions": "systemMessage",
    "systemprompt": "systemMessage",
    "system": "systemMessage",
    "model": "modelName provider.modelName",
    "on": "triggers",
    "delay": "interval",
    "json": "body",
    "domain": "baseUrl",
    "host": "baseUrl url",
    "endpoint": "baseUrl url uri",
    "url": "uri baseUrl",
    "uri": "url",
    "text": "messageText message",
    "query": "sql",
    "cmd": "commands",
    "command": "commands",
    "message": "messageText format",
}
SCHEDULE = "Write a trigger of the type `io.kestra.plugin.core.trigger.Schedule` under `triggers`."
GRAPH = "Tasks run one after another; in an `io.kestra.plugin.core.flow.Dag` each says what it waits for."
LOOP = "Put the task into an `io.kestra.plugin.core.flow.ForEach`."
FOLDER = (
    "Each task has a folder of its own: begin the command with `cd FOLDER && `, and let tasks that share files stand "
    "in an `io.kestra.plugin.core.flow.WorkingDirectory`."
)
ABSENT: Mapping[type[BaseModel], Mapping[str, str]] = {  # what people expect of a part → what does the same here
    Flow: {
        "quotas": "Only Kestra's Enterprise Edition has it. Begin with `io.kestra.plugin.core.execution.Count` over "
        "that time and `io.kestra.plugin.core.execution.Exit` when there were too many; `concurrency` limits how many "
        "run at once.",
        "schedule": SCHEDULE,
        "cron": SCHEDULE,
    },
    Task: {
        **dict.fromkeys(("dependsOn", "needs"), GRAPH),
        **dict.fromkeys(("loop", "with_items"), LOOP),
        **dict.fromkeys(("workingDirectory", "workingDir", "working_directory", "workdir", "cwd"), FOLDER),
    },
    Input: {"optional": "Write `required: false`.", "nullable": "Write `required: false`."},
}
INSIDE = {  # what is written below properties that people give a single value
    "concurrency": "`limit: {}`",
    "checkFrequency": "`interval: {}`",
    "timeout": "`readIdleTimeout: {}`",
    "dependsOn": "`inputs: [{}]`",
    "retry": "`type: constant`, `interval: PT10S` and `maxAttempts: 3`",
}
