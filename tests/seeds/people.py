"""People in Slack and in Discord, as far as the flows need them: type, press, fill, and look."""

from dataclasses import dataclass
from typing import Any

from tests.wire.discord import DiscordWire
from tests.wire.discord_rules import walk
from tests.wire.slack import FakeSlack

WITHIN = 30.0


@dataclass
class InSlack:
    """Ann in #ops."""

    slack: FakeSlack

    async def run(self, line: str) -> None:
        await self.slack.command(f"/flow run {line}")

    async def sees(self, *texts: str):
        """The newest message in the channel that shows all of these."""

        def find():
            found = [m for m in self.slack.visible("C1", "U1") if all(text in self.slack.text(m) for text in texts)]
            return found[-1] if found else None

        return await self.slack.until(find, f"a message with {texts}", WITHIN)

    async def pending(self) -> None:
        await self.slack.command("/flow pending")

    async def approve(self) -> None:
        await self.sees("Approve")
        await self.slack.press("Approve")

    async def reject(self, feedback: str) -> None:
        await self.sees("Reject…")
        await self.slack.press("Reject…")
        modal = await self.slack.modal()
        await self.slack.fill(modal, {modal.inputs[0]["label"]["text"]: feedback})

    async def sees_picture(self, text: str) -> bytes:
        """The picture below the newest message of that text."""
        one = await self.sees(text)

        def find():
            return [
                self.slack.contents[f["id"]] for m in self.slack.public("C1") if m.thread == one.ts for f in m.files
            ]

        return (await self.slack.until(find, f"a picture below {text}", WITHIN))[0]


@dataclass
class InDiscord:
    """Somebody in the one channel."""

    wire: DiscordWire

    def words(self, message: dict[str, Any]) -> str:
        parts = [each for part in message.get("components") or () for each in walk(part)]
        said = [str(message.get("content") or "")]
        said += [str(each.get("content") or each.get("label") or "") for each in parts]
        return "\n".join(said).replace("\\", "")  # Markdown's escapes, which nobody sees

    async def run(self, line: str) -> None:
        """A command whose form is filled when one comes."""
        flow, _, given = line.partition(" ")
        opened = (await self.wire.responses(await self.wire.slash("run", flow=flow)))[0]
        assert opened["type"] == 9, opened
        await self.wire.responses(await self.wire.fill(opened["data"]["custom_id"], {"f:0": given.partition("=")[2]}))

    async def sees(self, *texts: str) -> dict[str, Any]:
        def find():
            found = [m for m in self.wire.messages.values() if all(text in self.words(m) for text in texts)]
            return found[-1] if found else None

        return await self.wire.until(find, WITHIN)

    async def pending(self) -> None:
        await self.wire.responses(await self.wire.slash("pending"))

    async def press(self, label: str) -> dict[str, Any]:
        """Press the newest button of that label; what comes back first."""
        message = await self.sees(label)
        button = next(b for part in message["components"] for b in walk(part) if b.get("label") == label)
        return (await self.wire.responses(await self.wire.click(message["id"], button["custom_id"])))[0]

    async def approve(self) -> None:
        await self.press("Approve")

    async def reject(self, feedback: str) -> None:
        opened = await self.press("Reject…")
        assert opened["type"] == 9, opened
        await self.wire.responses(await self.wire.fill(opened["data"]["custom_id"], {"f:0": feedback}))

    async def sees_picture(self, text: str) -> bytes:
        """The picture that came with the newest message of that text."""

        def find():
            posts = [c for c in self.wire.calls if c.method == "POST" and c.path.endswith("/messages")]
            return [file for c in posts if text in (c.json.get("content") or "") for file in c.files.values()]

        return (await self.wire.until(find, WITHIN))[-1]

    def buttons(self, message: dict[str, Any]) -> list[str]:
        """Labels of a message's buttons as it stands now."""
        parts = [each for part in self.wire.messages[message["id"]]["components"] for each in walk(part)]
        return [each["label"] for each in parts if each.get("type") == 2]
