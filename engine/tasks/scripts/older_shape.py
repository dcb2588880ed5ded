"""The script tasks of the first releases (`io.kestra.core.tasks.scripts.…`), which had properties of other names."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

FAMILY = "io.kestra.core.tasks.scripts."
HERE = "PROCESS"  # they ran as processes until a flow asked for a container
RUNNERS = ("taskRunner", "task_runner", "runner", "docker", "dockerOptions", "containerImage", "container_image")
# What ran when nothing else was said. Python lay in the folder then.
DEFAULTS = {"Python": "./bin/python main.py", "Node": "node main.js"}
OWN_PYTHON = 'mkdir -p bin && ln -sf "$(command -v python3 || command -v python)" bin/python'
LISTS = ("files", "outputsFiles", "outputFiles")
RENAMED = {"requirements": "dependencies", "files": "outputFiles", "outputsFiles": "outputFiles"}
OUTPUT_FILE = re.compile(r"\{\{\s*outputFiles(?:\.(\w+)|\['([^'{}]+)'\])\s*\}\}")
LEFT_OUT = ("interpreterArgs", "args", "pythonPath", "virtualEnv", "nodePath", "npmPath", *LISTS[:2])


def modern(declaration: Any) -> Any:
    """The same task as it is written today; anything else as it is. What it gives is left alone when it comes again."""
    kind = declaration.get("type") if isinstance(declaration, Mapping) else None
    if not isinstance(kind, str) or not kind.startswith(FAMILY):
        return declaration
    found = {name: value for name, value in declaration.items() if name not in LEFT_OUT}
    if not any(name in found for name in RUNNERS):
        found["runner"] = HERE
    if isinstance(found.get("interpreter"), str) or "interpreterArgs" in declaration:
        arguments = declaration.get("interpreterArgs")
        found["interpreter"] = [str(found.get("interpreter") or "/bin/sh"), *_listed(arguments or ["-c"])]
    if files := [name for key in LISTS for name in _listed(declaration.get(key))]:
        found["outputFiles"] = files
    if isinstance(placed := found.get("inputFiles"), Mapping):
        found["inputFiles"] = {name: _plainly_named(content) for name, content in placed.items()}
    name = kind.removeprefix(FAMILY)
    if name == "Python" and "requirements" in found:
        found["dependencies"] = found.pop("requirements")
    if "commands" not in found and name in DEFAULTS:
        arguments = " ".join(_word(one) for one in _listed(declaration.get("args")))
        found["commands"] = [f"{DEFAULTS[name]} {arguments}".strip()]
    commands = found.get("commands")
    if isinstance(commands, list | tuple) and OWN_PYTHON not in commands and "bin/python" in str(commands):
        found["commands"] = [OWN_PYTHON, *commands]
    return found


def changes(declaration: Mapping[str, Any]) -> str:
    """What else to write when such a task gets the name of today; "" when nothing else changes."""
    found = modern(declaration)
    if found is declaration:
        return ""
    told = []
    if "commands" not in declaration and "commands" in found:
        command = str(found["commands"][-1]).removeprefix("./bin/")
        told.append(f"`commands: [{command}]`")
    elif OWN_PYTHON in _listed(found.get("commands")):
        told.append("`python` for `./bin/python`")
    told += [f"`{now}` for `{old}`" for old, now in RENAMED.items() if old in declaration and old not in found]
    if "runner" in found and "runner" not in declaration:
        told.append("`taskRunner: {type: io.kestra.plugin.core.runner.Process}`")
    return f"with {' and '.join(told)}" if told else ""


def _plainly_named(content: Any) -> Any:
    """A script among the files, which knew the files it should write by expressions. They lie in its own folder."""
    return OUTPUT_FILE.sub(lambda found: found[1] or found[2], content) if isinstance(content, str) else content


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _word(value: Any) -> str:
    """A word of a command; a template is put between quotes, where its value is kept inside."""
    text = str(value)
    return f'"{text}"' if "{{" in text and '"' not in text else shlex.quote(text)
