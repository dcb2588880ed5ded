"""`io.kestra.plugin.ollama.cli`: the commands of `ollama`, by its API where that is enough, else in a shell."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import LateProperty, LateShellText, Part, Property, RunContext, TaskFailed
from engine.tasks import aliases
from engine.tasks.ollama.client import Models, Server, answers, models, server
from engine.tasks.ollama.command_line import NeedsShell, OllamaCommand, parse
from engine.tasks.property_types import OptionalText
from engine.tasks.scripts.runner.docker import check_volume
from engine.tasks.scripts.script_task import ScriptResult, ScriptTask
from engine.tasks.working_files import collect, inside

CACHE = "kestra-ollama-cache"
HOME = "/root/.ollama"
STARTING = 60.0  # seconds a server that somebody named may need until it answers
SERVE = (
    "ollama serve >/dev/null 2>&1 & "
    "tries=0; until ollama list >/dev/null 2>&1 || [ $tries -ge 60 ]; do tries=$((tries+1)); sleep 1; done"
)


class Auth(Part):
    """Who we are to Ollama's cloud."""

    api_key: Property[OptionalText] = None


class OllamaCLI(ScriptTask):
    """Run commands of `ollama`: each expression is one argument, whatever text it gives."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: summary
type: io.kestra.plugin.ollama.cli.OllamaCLI
commands:
  - 'ollama run gemma3:1b "Summarize in two sentences: {{ inputs.text }}" > summary.txt'
outputFiles:
  - summary.txt
""",
    )
    default_image: ClassVar[str] = "ollama/ollama"
    type: Literal["io.kestra.plugin.ollama.cli.OllamaCLI"]
    commands: LateShellText[list[str]] = Field(min_length=1)
    enable_model_caching: Property[bool] = True
    model_cache_path: LateProperty[OptionalText] = Field(
        default=None, description="Only used with a container, yet rendered always."
    )
    host: Property[OptionalText] = None
    auth: Auth | None = None

    async def run(self, context: RunContext) -> ScriptResult:
        key = self.auth.api_key if self.auth else None
        if key:
            context.mask(key)
        if self.model_cache_path:  # a key it needs is missed at once, not only on the machine that has no Ollama
            await context.render(self.model_cache_path)
        at = server(context, self.host, key)
        native = self._parsed() if self.task_runner is None and self.runner is None else None
        patience = min(STARTING, context.settings.provider("ollama").timeout) if at.is_named else 1
        if native is not None and await answers(context, at, patience):
            return await self._run_by_api(context, at, native)
        if native is not None and at.is_named:
            raise TaskFailed(
                f"Ollama at {at.url} does not answer.",
                fix="Start it with `ollama serve`, or correct `providers.ollama`.",
            )
        return await self._run_in_shell(context, at)

    def _parsed(self) -> list[OllamaCommand] | None:
        """The commands as calls of the API; None when one of them needs a shell."""
        try:
            return [parse(command) for command in self.commands]
        except NeedsShell:
            return None

    async def _run_by_api(self, context: RunContext, at: Server, commands: list[OllamaCommand]) -> ScriptResult:
        await self._place_files(context)
        async with models(context, at) as found:
            for command in commands:
                text = await self._say(context, found, command)
                if command.output is None:
                    for line in text.splitlines():
                        context.log(line)
                    continue
                target = inside(context.working_dir, await self._one(context, command.output))
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("a" if command.appends else "w", encoding="utf-8") as file:
                    file.write(text + "\n")
        files = await collect(context, self.output_files or [])
        return ScriptResult(vars={}, exitCode=0, outputFiles=files, taskRunner={"server": at.url})

    async def _say(self, context: RunContext, found: Models, command: OllamaCommand) -> str:
        arguments = [await self._one(context, argument) for argument in command.arguments]
        if command.verb in ("run", "pull", "show", "rm"):
            if not arguments or not arguments[0].strip():
                raise TaskFailed(f"`ollama {command.verb}` names no model.")
            arguments[0] = aliases.model(arguments[0].strip(), context.settings.models)
        match command.verb:
            case "run":
                prompt = " ".join(arguments[1:])
                if command.input is not None:
                    given = inside(context.working_dir, await self._one(context, command.input))
                    if not given.is_file():
                        raise TaskFailed(f"There is no file {given.name!r} to read the prompt from.")
                    prompt = f"{given.read_text('utf-8')} {prompt}".strip()
                flags = {name: await self._one(context, value) for name, value in command.flags.items()}
                return await found.generate(arguments[0], prompt, flags.get("format"), flags.get("keepalive"))
            case "pull":
                await found.pull(arguments[0])
                return "success"
            case "show":
                return await found.shown(arguments[0])
            case "rm":
                return "\n".join([await found.removed(name) for name in arguments])
            case "ps":
                return await found.running()
            case _:
                return await found.listed()

    async def _one(self, context: RunContext, template: str) -> str:
        """An argument, rendered once; nothing reads it again, so nothing needs escaping."""
        return str(await context.render(template, **self.names(context)))

    async def _run_in_shell(self, context: RunContext, at: Server) -> ScriptResult:
        lines: list[str] = []
        for command in await self.rendered_lines(context, self.commands):
            if self.output_files and "ollama rm" in command:
                lines.append("sync")
            lines.append(command)
        env: dict[str, str] = {}
        if at.is_named:
            env["OLLAMA_HOST"] = at.url
        else:
            lines.insert(0, SERVE)
        if at.api_key:
            env["OLLAMA_API_KEY"] = at.api_key
        return await self.run_commands(context, lines, env=env, volumes=await self._cache(context, at), fail_fast=False)

    async def _cache(self, context: RunContext, at: Server) -> list[str]:
        """The volume that keeps models between runs: ours, or a folder of the host where the operator allows it."""
        if not self.enable_model_caching or at.is_named or self.chosen_runner(context).is_local:
            return []
        path: Any = await context.render(self.model_cache_path) if self.model_cache_path else ""
        if not str(path).strip():
            return [f"{CACHE}:{HOME}"]
        volume = f"{str(path).strip()}:{HOME}"
        check_volume(volume, context)
        return [volume]
