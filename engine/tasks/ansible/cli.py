"""`io.kestra.plugin.ansible.cli`: configuration of machines."""

from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext
from engine.tasks.property_types import OptionalText
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult
from engine.tasks.working_files import STORAGE, collect

LOG = "log"


class AnsibleCLI(CommandsTask):
    """Run commands of `ansible`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: configure
type: io.kestra.plugin.ansible.cli.AnsibleCLI
inputFiles:
  inventory.ini: "localhost ansible_connection=local"
  playbook.yml: |
    - hosts: localhost
      tasks:
        - name: Say hello
          ansible.builtin.debug:
            msg: Hello
commands:
  - ansible-playbook -i inventory.ini playbook.yml
outputLogFile: true
""",
    )
    default_image: ClassVar[str] = "cytopia/ansible:latest-tools"
    type: Literal["io.kestra.plugin.ansible.cli.AnsibleCLI"]
    ansible_config: Property[OptionalText] = None
    output_log_file: Property[bool] = False
    outputs_mode: Any = None
    auto_install_python_requirements: Any = None
    auto_install_galaxy_requirements: Any = None

    def variables(self) -> dict[str, str]:
        found = {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"}
        return found | ({"ANSIBLE_LOG_PATH": LOG} if self.output_log_file else {})

    async def run(self, context: RunContext) -> ScriptResult:
        if config := self.ansible_config:
            stored = config.strip().startswith(STORAGE)
            content = await context.files.read(config.strip()) if stored else config.encode()
            (context.working_dir / "ansible.cfg").write_bytes(content)
        # The folder may be writable by everybody, where ansible reads no `ansible.cfg` unless it is named.
        named = {"ANSIBLE_CONFIG": str(context.working_dir / "ansible.cfg")} if self.ansible_config else {}
        commands = await self.rendered_lines(context, self.commands)
        result = await self.run_commands(context, commands, env=self.variables() | named)
        if not self.output_log_file:
            return result
        logged = await collect(context, [LOG])
        return result.model_copy(update={"outputFiles": result.outputFiles | logged})
