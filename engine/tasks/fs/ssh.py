"""`io.kestra.plugin.fs.ssh`: commands on other machines."""

import asyncio
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, ShellText, TaskFailed, Unserved
from engine.tasks.property_types import JsonMap, OptionalText, TextList
from engine.tasks.runners import Stream, pass_on
from engine.tasks.script_output import ScriptOutput
from engine.tasks.ssh_connection import OLD_SIGNATURES, SshConnected

BLOCK = 1 << 16


class Told(Outputs):
    """How the commands ended, and what they handed on."""

    vars: dict[str, Any]
    exitCode: int  # noqa: N815 - appears as written
    stdOutLineCount: int  # noqa: N815
    stdErrLineCount: int  # noqa: N815


class Command(SshConnected, RunnableTask):
    """Run commands on another machine."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: restart
type: io.kestra.plugin.fs.ssh.Command
host: web-1.example.com
username: deploy
authMethod: PUBLIC_KEY
privateKey: "{{ secret('DEPLOY_KEY') }}"
commands:
  - sudo systemctl restart nginx
""",
    )
    type: Literal["io.kestra.plugin.fs.ssh.Command"]
    commands: ShellText[TextList]
    auth_method: Property[Literal["PASSWORD", "PUBLIC_KEY", "OPEN_SSH"]] = "PASSWORD"
    private_key: Property[OptionalText] = None
    private_key_passphrase: Property[OptionalText] = None
    strict_host_key_checking: Property[OptionalText] = Field(
        default="no", description="`yes`: only machines that the bot's user has in `known_hosts`."
    )
    env: Property[JsonMap | None] = None
    enable_ssh_rsa1: Property[bool] = False
    open_ssh_config_dir: Any = Field(default=None, alias="openSSHConfigDir")
    open_ssh_config_path: Any = Field(default=None, alias="openSSHConfigPath")
    use_open_ssh_config: Any = Field(default=None, alias="useOpenSSHConfig")
    proxy_command: Annotated[
        Property[OptionalText],
        Unserved("Flows start no command of this machine to reach another.", "Reach the machine directly."),
    ] = None
    warning_on_std_err: Any = None

    def key(self) -> tuple[str | None, str | None]:
        return (self.private_key, self.private_key_passphrase) if self.auth_method == "PUBLIC_KEY" else (None, None)

    def options(self) -> dict[str, Any]:
        if self.auth_method == "OPEN_SSH":
            raise TaskFailed(
                "Flows do not use this machine's own SSH configuration.", fix="Give a password, or a `privateKey`."
            )
        if not (self.password if self.auth_method == "PASSWORD" else self.private_key):
            wanted = "password" if self.auth_method == "PASSWORD" else "privateKey"
            raise TaskFailed(f"`{wanted}` is missing, which {self.auth_method} needs.", fix=f"Give `{wanted}`.")
        hosts: dict[str, Any] = {} if self.strict_host_key_checking in ("yes", "true") else {"known_hosts": None}
        return hosts | (OLD_SIGNATURES if self.enable_ssh_rsa1 else {})

    async def run(self, context: RunContext) -> Told:
        heard = ScriptOutput(context)
        lines: dict[Stream, int] = {"stdout": 0, "stderr": 0}

        async def listen(reader: Any, stream: Stream) -> None:
            while block := await reader.read(BLOCK):
                lines[stream] += block.count(b"\n")
                await pass_on(heard.hear, block, stream)

        async with self.connected(context) as connection:
            env = {str(name): str(value) for name, value in (self.env or {}).items()}
            text = "\n".join(self.commands)
            async with connection.create_process(
                text, env=env, encoding=None, stdin=asyncio.subprocess.DEVNULL
            ) as remote:
                try:
                    await asyncio.gather(listen(remote.stdout, "stdout"), listen(remote.stderr, "stderr"))
                    ended = await remote.wait()
                except asyncio.CancelledError:
                    remote.terminate()
                    raise
                finally:
                    heard.end()
        code = ended.exit_status if ended.exit_status is not None else -1
        told = Told(
            vars=heard.variables, exitCode=code, stdOutLineCount=lines["stdout"], stdErrLineCount=lines["stderr"]
        )
        if code != 0:
            how = f"exit status {code}" if ended.exit_signal is None else f"the signal {ended.exit_signal[0]}"
            raise TaskFailed(f"The command on {self.host} ended with {how}.", outputs=told.model_dump())
        return told
