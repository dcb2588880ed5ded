"""A flow whose card has a picture and a long diff below it in Slack, and a bot connected to a workspace."""

from pathlib import Path

from bot.slack.app import SlackFrontEnd
from tests.bot.rig import Rig
from tests.wire.slack import APP_TOKEN, BOT_TOKEN

LINES = "".join(f"line {n}\\n" for n in range(200))
FLOW = f"""
id: fills
namespace: company.team
tasks:
  - {{id: draw, type: io.kestra.plugin.core.storage.Write, content: "a picture", extension: .png}}
  - {{id: long, type: io.kestra.plugin.core.storage.Write, content: "{LINES}"}}
  - {{id: again, type: io.kestra.plugin.core.debug.Return, format: "{{{{ outputs.draw.uri }}}}"}}
  - {{id: wait, type: io.kestra.plugin.core.flow.Pause}}
  - id: up
    type: io.kestra.plugin.core.namespace.UploadFiles
    filesMap: {{long.txt: "{{{{ outputs.long.uri }}}}"}}
"""


async def connect(rig: Rig, url: str, folder: Path) -> SlackFrontEnd:
    """Slack in place of the rig's own; it reads the files of the rig's engine."""
    end = SlackFrontEnd(
        BOT_TOKEN,
        APP_TOKEN,
        base_url=f"{url}/api/",
        locate=lambda uri: rig.engine.files.path(uri),
        inbox=folder / "inbox",
        ping_interval=0.2,
        grace=2,
    )
    rig.slack = end  # type: ignore[assignment]
    return end
