"""`io.kestra.plugin.redis.cli`: the command line of Redis."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import LateShellText, Property, RunContext, TaskFailed
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.scripts.script_task import ScriptResult, ScriptTask, quoted

# What a command says, as an output of the script: one line of JSON. Some refusals of redis-cli end well.
TELL = r"""
tell() {
  said=$(eval "$2" 2>&1); code=$?
  if printf '%s' "$said" | grep -Eiq '^(\(error\)|ERR |WRONGTYPE |NOAUTH |NOPERM |READONLY )'; then code=1; fi
  printf '%s\n' "$said"
  json=$(printf '%s' "$said" | sed -e 's/[\\"]/\\&/g' -e 's/\r$//' |
    awk '{ gsub(/\t/, "\\t") } NR > 1 { printf "%s", "\\n" } { printf "%s", $0 }')
  printf '::{"outputs":{"%s":"%s"}}::\n' "$1" "$json"
  if [ "$code" -ne 0 ]; then exit "$code"; fi
}
"""


class RedisCLI(ScriptTask):
    """Run commands of `redis-cli`, one after another; what the first says is `vars.command_1`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: visits
type: io.kestra.plugin.redis.cli.RedisCLI
host: redis.example.com
password: "{{ secret('REDIS_PASSWORD') }}"
commands:
  - INCR visits
  - LRANGE latest 0 -1
""",
    )
    default_image: ClassVar[str] = "redis:7-alpine"
    type: Literal["io.kestra.plugin.redis.cli.RedisCLI"]
    host: Property[Text]
    port: Property[int] = 6379
    database: Property[int] = 0
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    tls: Property[bool] = False
    json_output: Property[bool] = Field(default=False, description="JSON, which redis-cli writes from version 7 on.")
    commands: LateShellText[list[str] | str]

    async def run(self, context: RunContext) -> ScriptResult:
        if self.password:
            context.mask(self.password)
        lines = await self.rendered_lines(context, self.commands)
        if not lines:
            raise TaskFailed("`commands` is empty.", fix="Name a command.")
        words = ["redis-cli", "-h", self.host, "-p", str(self.port), "-n", str(self.database)]
        words += ["--user", self.username] if self.username else []
        words += [*(["--tls"] if self.tls else []), *(["--json"] if self.json_output else [])]
        call = quoted(words)
        told = [quoted(["tell", f"command_{number}", f"{call} {line}"]) for number, line in enumerate(lines, 1)]
        env = {"REDISCLI_AUTH": self.password} if self.password else {}
        result = await self.run_commands(context, [TELL, *told], env=env, fail_fast=False)
        context.metric("executed.commands.count", len(lines))
        return result
