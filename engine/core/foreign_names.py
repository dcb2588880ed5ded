"""What other tools, languages and people call things → what they are here."""

from collections.abc import Mapping

from pydantic import BaseModel

from engine.core.flow import Flow
from engine.core.inputs import Input
from engine.core.task import Task

PROPERTIES = {  # what other tools and people call a property → ours, the likeliest first
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
    "requirements": "dependencies",
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
ABSENT: Mapping[type[BaseModel], Mapping[str, str]] = {  # what people expect of a part → what does the same here
    Flow: {
        "quotas": "Only Kestra's Enterprise Edition has it. Begin with `io.kestra.plugin.core.execution.Count` over "
        "that time and `io.kestra.plugin.core.execution.Exit` when there were too many; `concurrency` limits how many "
        "run at once.",
        "schedule": SCHEDULE,
        "cron": SCHEDULE,
    },
    Task: {"dependsOn": GRAPH, "needs": GRAPH, "loop": LOOP, "with_items": LOOP},
    Input: {"optional": "Write `required: false`.", "nullable": "Write `required: false`."},
}
INSIDE = {  # what is written below properties that people give a single value
    "concurrency": "`limit: {}`",
    "checkFrequency": "`interval: {}`",
    "timeout": "`readIdleTimeout: {}`",
    "dependsOn": "`inputs: [{}]`",
    "retry": "`type: constant`, `interval: PT10S` and `maxAttempts: 3`",
}
OPERATIONS: Mapping[str, Mapping[str, str]] = {  # filters and functions
    "len": {"function": "value | length"},
    "size": {"function": "value | length", "filter": "value | length"},
    "count": {"function": "value | length", "filter": "value | length"},
    "str": {"function": "value | string"},
    "int": {"function": "value | number", "filter": "value | number"},
    "float": {"function": "value | number", "filter": "value | number"},
    "strftime": {"function": "now() | date('yyyy-MM-dd')", "filter": "value | date('yyyy-MM-dd')"},
    "format_date": {"filter": "value | date('yyyy-MM-dd')"},
    "formatDate": {"filter": "value | date('yyyy-MM-dd')"},
    "today": {"function": "now() | date('yyyy-MM-dd')"},
    "tojson": {"filter": "value | toJson"},
    "to_json": {"filter": "value | toJson"},
    "from_json": {"function": "fromJson(value)", "filter": "fromJson(value)"},
    "parse_json": {"function": "fromJson(value)", "filter": "fromJson(value)"},
    "parseJson": {"function": "fromJson(value)", "filter": "fromJson(value)"},
    "getenv": {"function": "envs.name"},
    "truncate": {"filter": "value | abbreviate(100)"},
    "unique": {"filter": "value | distinct"},
    "uniq": {"filter": "value | distinct"},
    "strip": {"filter": "value | trim"},
    "lstrip": {"filter": "value | trim"},
    "rstrip": {"filter": "value | trim"},
    "toInt": {"filter": "value | number"},
    "substr": {"filter": "value | slice(0, 10)"},
    "substring": {"filter": "value | slice(0, 10)"},
    "match": {"filter": "value | regexMatch('pattern')"},
    "map": {"filter": "value | jq('.[].name')"},
    "pluck": {"filter": "value | jq('.[].name')"},
    "select": {"filter": "value | jq('map(select(.name == 1))')"},
    "where": {"filter": "value | jq('map(select(.name == 1))')"},
    "round": {"filter": "value | numberFormat('0.00')"},
    "ternary": {"filter": "condition ? value : other"},
    "d": {"filter": "value | default('…')"},
    "iif": {"function": "condition ? a : b"},
    "items": {"filter": "value | jq('to_entries')"},
    "filter": {"filter": "value | jq('map(select(.name))')"},
    "sum": {"filter": "value | jq('add') | first"},
    "regex_replace": {"filter": "value | regexReplace('a', 'b')"},
    "base64": {"function": "value | base64encode", "filter": "value | base64encode"},
    "b64encode": {"filter": "value | base64encode"},
    "b64decode": {"filter": "value | base64decode"},
    "from_yaml": {"filter": "yaml(value)"},
    "to_yaml": {"filter": "value | yaml"},
    "utcnow": {"function": "now()"},
    "uuid4": {"function": "uuid()"},
    "lowercase": {"filter": "value | lower"},
    "uppercase": {"filter": "value | upper"},
    "toLowerCase": {"filter": "value | lower", "function": "value | lower"},
    "toUpperCase": {"filter": "value | upper", "function": "value | upper"},
}
