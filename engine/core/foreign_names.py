"""What other tools, languages and people call things → what they are here."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from pydantic import BaseModel

from engine.core import durations
from engine.core.flow import Flow
from engine.core.inputs import Input
from engine.core.request_triggers import RequestTrigger
from engine.core.task import Task
from engine.core.triggers import Trigger
from engine.core.yaml_text import Path

PROPERTIES = {  # what other tools and people call a property → ours, the likeliest first, or `outer.inner` of its own
    "delimiter": "fieldSeparator",
    "separator": "fieldSeparator",
    "expression": "cron value condition",
    "condition": "assert runIf when",
    "if": "condition runIf",
    "tags": "labels",
    "flowid": "preconditions.flows",
    "from": "after value",
    "to": "before",
    "repository": "url",
    "repo": "url",
    "ref": "branch",
    "webhookurl": "url",
    "webhook": "url",
    "max": "limit maxAttempts",
    "count": "maxAttempts",
    "attempts": "maxAttempts",
    "times": "maxAttempts",
    "multiplier": "delayFactor",
    "factor": "delayFactor",
    "backoff": "delayFactor",
    "maxdelay": "maxInterval",
    "mindelay": "minInterval",
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
    "conditions": "runIf",
    "continueonerror": "allowFailure",
    "ignoreerrors": "allowFailure",
    "requirements": "dependencies beforeCommands",
    "dependencies": "beforeCommands",
    "packages": "dependencies beforeCommands",
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
    "outfile": "outputFiles saveAs",
    "outputfile": "outputFiles saveAs",
    "filename": "saveAs",
    "infile": "inputFiles from",
    "until": "condition",
    "files": "include",
    "always": "finally",
    "ensure": "finally",
    "severity": "style",
    "parallelism": "concurrent concurrencyLimit",
    "maxparallel": "concurrent concurrencyLimit",
    "maxconcurrency": "concurrent concurrencyLimit",
    "branches": "tasks",
    "maxattempts": "checkFrequency.maxIterations",
    "data": "value",
    "expire": "ttl",
    "expires": "ttl",
    "expiration": "ttl",
    "expiry": "ttl",
    "database": "url",
    "db": "url",
    "port": "url",
    "file": "from",
    "source": "from",
    "src": "from",
    "path": "from uri gitDirectory",
    "namespace": "preconditions.flows",
    "waitforcompletion": "wait",
    "maximum": "max",
    "minimum": "min",
    "regex": "validator",
    "pattern": "validator",
    "label": "labels displayName",
    "token": "password",
    "verify": "ssl.insecureTrustAllCertificates",
    "verifyssl": "ssl.insecureTrustAllCertificates",
    "content": "messageText htmlTextContent payload",
    "embeds": "payload",
    "apikey": "provider.apiKey",
    "prompt": "messages",
    "params": "inputs parameters",
    "parameters": "inputs",
    "args": "inputs",
    "arguments": "inputs",
    "cmd": "commands",
    "command": "commands",
    "message": "messageText format",
}
UNVERIFIED = "Write `insecureTrustAllCertificates: true` below `ssl`, indented."
IN_PAYLOAD = 'It is a part of the `payload`, which is JSON: `{{"{}": …}}`.'
HOW = {  # how to write a property by its own name, where the value is written otherwise, too
    ("dependencies", "beforeCommands"): "Install them in `beforeCommands`, such as `npm install NAME`.",
    ("prompt", "messages"): "Write it as an item of `messages`, behind `- `.",
    **dict.fromkeys((("database", "url"), ("db", "url"), ("port", "url")), "It is a part of the `url`."),
    **{(name, "payload"): IN_PAYLOAD.format(name) for name in ("content", "embeds")},
    **{(name, "insecureTrustAllCertificates"): UNVERIFIED for name in ("verify", "verifyssl")},
}
SCHEDULE = "Write a trigger of the type `io.kestra.plugin.core.trigger.Schedule` under `triggers`."
OF_LISTS = {  # what stands in the place of a list that is given where a mapping belongs
    "cases": "Write each value as a name, `value:`, and below it, indented, its tasks.",
    "namespaceFiles": "Write `include:` below it, indented, and the list below that.",
}
GRAPH = "Tasks run one after another; in an `io.kestra.plugin.core.flow.Dag` each says what it waits for."
LOOP = "Put the task into an `io.kestra.plugin.core.flow.ForEach`."
RETRY = "Write `retry`, and below it, indented, `type: constant`, `interval: PT10S` and `maxAttempts: 3`."
AFTER = "Tasks under `errors` run when one has failed, those under `finally` always; `allowFailure` lets a flow go on."
FOLDER = (
    "Each task has a folder of its own: begin the command with `cd FOLDER && `, and let tasks that share files stand "
    "in an `io.kestra.plugin.core.flow.WorkingDirectory`."
)
A_LABEL = "A label can say it: write it below `labels`, indented."
OFF = "`disabled: true` switches it off; without it, it is on."
ADDRESS = "Its address is `/api/v1/executions/webhook/NAMESPACE/FLOW/KEY`, of which the `key` alone is chosen."
LACKING = {  # how to write what a part lacks, where its name says too little
    "itemType": "Write the type of its items, such as `itemType: STRING`.",
    "cron": 'Write when it starts, such as `cron: "0 9 * * *"`.',
}
ABSENT: Mapping[type[BaseModel], Mapping[str, str]] = {  # what people expect of a part → what does the same here
    Flow: {
        **dict.fromkeys(("version", "author", "owner", "team", "maintainer", "contact"), A_LABEL),
        **dict.fromkeys(("title", "displayName"), "A flow goes by its `id`; more stands in its `description`."),
        **dict.fromkeys(("kind", "apiVersion", "metadata", "spec"), "No flow has it: leave it out."),
        **dict.fromkeys(("retries", "max_retries", "maxRetries"), RETRY),
        **dict.fromkeys(("onError", "onFailure", "on_failure", "on_error", "catch"), AFTER),
        **dict.fromkeys(("timezone", "timeZone", "tz"), "It stands in each trigger of the type Schedule."),
        **dict.fromkeys(("timeout", "maxDuration"), "An `sla` of the type `MAX_DURATION` limits a whole run."),
        **dict.fromkeys(("enabled", "active"), OFF),
        "quotas": "Only Kestra's Enterprise Edition has it. Begin with `io.kestra.plugin.core.execution.Count` over "
        "that time and `io.kestra.plugin.core.execution.Exit` when there were too many; `concurrency` limits how many "
        "run at once.",
        "schedule": SCHEDULE,
        "cron": SCHEDULE,
    },
    Task: {
        **dict.fromkeys(("dependsOn", "needs", "depends_on", "depends", "after", "upstream"), GRAPH),
        **dict.fromkeys(("loop", "with_items"), LOOP),
        **dict.fromkeys(
            ("approvers", "approver", "assignees"), "Who may answer stands under `approvals` in parley.yaml."
        ),
        **dict.fromkeys(("enabled", "active"), OFF),
        **dict.fromkeys(("workingDirectory", "workingDir", "working_directory", "workdir", "cwd"), FOLDER),
        **dict.fromkeys(("retries", "max_retries", "maxRetries", "retryDelay", "retry_delay", "retryCount"), RETRY),
        **dict.fromkeys(("trigger_rule", "triggerRule", "onError", "onFailure", "on_failure", "catch"), AFTER),
    },
    Trigger: dict.fromkeys(("enabled", "active"), OFF),
    RequestTrigger: {
        **dict.fromkeys(("path", "url", "uri"), ADDRESS),
        **dict.fromkeys(("method", "methods"), "It is called by GET, POST or PUT."),
    },
    Input: {"optional": "Write `required: false`.", "nullable": "Write `required: false`."},
}
INSIDE = {  # what is written below properties that people give a single value
    "concurrency": "`limit: {}`",
    "checkFrequency": "`interval: {}`",
    "timeout": "`readIdleTimeout: {}`",
    "timeWindow": "`type: DURATION_WINDOW` and `window: {}`",
    "dependsOn": "`inputs: [{}]`",
    "memory": "`memory: {}`",
    "docker": "`image: {}`",
    "headers": "each as `name: value`",
    "namespaceFiles": "`include: [{}]`",
    "cpu": "`cpus: {}`",
    "retry": "`type: constant`, `interval: PT10S` and `maxAttempts: 3`",
}
OF_TIME = frozenset({"timeout", "timeWindow", "checkFrequency"})  # those whose value is a length of time
CHOICES: Mapping[str, str] = {  # what people call one of a few choices → the names for it, of which one may be there
    **dict.fromkeys(("completed", "complete", "done", "finished", "succeeded", "ok", "passed"), "SUCCESS"),
    **dict.fromkeys(("aborted", "terminated", "stopped"), "KILLED"),
    **dict.fromkeys(("failure", "errored", "failing"), "FAILED"),
    "pending": "CREATED",
    "fixed": "constant",
    "linear": "constant",
    "backoff": "exponential",
    "jitter": "random",
    "kill": "CANCEL",
    "stop": "CANCEL",
    "abort": "CANCEL",
    "ignore": "NONE",
    "continue": "NONE",
    "queued": "QUEUE",
    "wait": "QUEUE",
    "error": "FAIL FAILED",
    "reject": "FAIL",
    "danger": "ERROR",
    "critical": "ERROR",
    "warning": "WARN",
    "success": "SUCCEED SUCCESS",
}


def inside(path: Path, given: object) -> str:
    """What to write below a property that is given a single value; "" when that can't be told."""
    name = str(path[-1]) if path else ""
    value = durations.likely(given) if name in OF_TIME else given
    return f"Write {INSIDE[name].format(value)} below it, indented." if name in INSIDE and given is not None else ""


def choice(given: str, choices: Collection[str]) -> str:
    """The one of a few choices that is meant by what is none; "" when that can't be told."""
    lowered = {one.lower(): one for one in choices}
    name = given.lower()
    begun = [one for one in lowered if one.startswith(f"{name}_")]
    named = [one.lower() for one in CHOICES.get(name, "").split() if one.lower() in lowered]
    near = [name] if name in lowered else named or (begun if len(begun) == 1 else get_close_matches(name, lowered, n=1))
    return lowered[near[0]] if near else ""
