"""Everything a form can be, filled in Discord by a person: what was given is what the run has."""

import json
from typing import Any

from tests.bot import monster
from tests.discord.test_real_desk import bot, shown, words
from tests.wire.discord import DiscordWire
from tests.wire.discord_rules import walk

__all__ = ["bot"]
UPLOADS = {"notes.txt": "7001", "one.txt": "7002", "two.txt": "7003"}


def inputs_of(modal: dict[str, Any]) -> list[dict[str, Any]]:
    return [part["component"] for part in modal["components"] if part["type"] == 18]


def filled(component: dict[str, Any], asked: monster.Asked) -> dict[str, Any] | None:
    """What the client sends for one component when the person has answered it; None: left as it is shown."""
    kind, given = component["type"], asked.given
    told = {"type": kind, "id": 9, "custom_id": component["custom_id"]}
    if kind == 4:
        text = component.get("value", "") if given is None else "\n".join(given) if isinstance(given, list) else given
        assert len(text) <= 4000, "Discord's client takes 4000 characters"
        assert component["style"] == 2 or "\n" not in text, "one line only"
        return {**told, "value": text}
    if kind == 19:
        names = [given] if isinstance(given, str) else given
        assert component["min_values"] <= len(names) <= component["max_values"]
        return {**told, "values": [UPLOADS[name] for name in names]}
    if isinstance(given, bool):
        return {**told, "value": "true" if given else "false"}
    wanted = [given] if isinstance(given, str) else given
    chosen = [option["value"] for option in component["options"] if option["label"] in wanted]
    assert len(chosen) <= component.get("max_values", 1)
    return {**told, "value": chosen[0]} if kind == 21 else {**told, "values": chosen}


def press(wire: DiscordWire, label: str) -> tuple[str, str] | None:
    """The newest message with a button, and the button's id."""
    for message in reversed(list(wire.messages.values())):
        for part in message["components"]:
            for each in walk(part):
                if each.get("type") == 2 and each.get("label") == label:
                    return message["id"], each["custom_id"]
    return None


async def answered(wire: DiscordWire, interaction: str) -> dict[str, Any]:
    """What an interaction is answered with; at once, or later when Discord was told to wait."""
    (said, *_) = await wire.responses(interaction)
    return (await wire.responses(interaction, 2))[1] if said.get("type") in (5, 6) else said


async def fill_all(wire: DiscordWire, modal: dict[str, Any]) -> int:
    """Fill window after window; how many there were."""
    wire.files |= {"notes.txt": monster.FILE.content, **dict.fromkeys(monster.FILES.given, monster.FILES.content)}
    uploads = {
        id_: {"id": id_, "filename": name, "size": len(wire.files[name]), "content_type": "text/plain",
              "url": f"{wire.files_url}/{name}", "proxy_url": f"{wire.files_url}/{name}"}
        for name, id_ in UPLOADS.items()
    }  # fmt: skip
    for page in range(1, 40):
        form = await wire.front.desk.form("draft:" + modal["custom_id"].rpartition("draft:")[2])
        parts = []
        for component in inputs_of(modal):
            asked = monster.ASKED[form.fields[int(component["custom_id"].split(":")[1])].id]
            parts.append({"type": 18, "id": 1, "component": filled(component, asked)})
        data = {"custom_id": modal["custom_id"], "components": parts}
        sent = {id_: one for id_, one in uploads.items() if id_ in json.dumps(parts)}
        if sent:
            data["resolved"] = {"attachments": sent}
        said = await answered(wire, await wire.interact(5, data))
        assert "Please check" not in str(said), said
        label = next((one for one in ("Continue", "Open the form") if f'"{one}"' in json.dumps(said)), None)
        if label is None:
            return page
        found = press(wire, label)
        assert found is not None
        modal = (await wire.opened(await wire.click(*found)))["data"]
    raise AssertionError("the form never ends")


async def test_sixty_inputs_of_every_type_reach_the_run_as_they_were_given(bot) -> None:
    wire, engine = bot
    await engine.deploy(monster.flow())
    opened = await wire.opened(await wire.slash("run", flow="monster"))
    assert await fill_all(wire, opened["data"]) > 12
    (run,) = await engine.executions(flow_id="monster")
    monster.check(dict(run.inputs), lambda uri: engine.files.path(uri).read_bytes())


async def test_a_question_of_sixty_inputs_is_answered_the_same_way(bot) -> None:
    wire, engine = bot
    await engine.deploy(monster.flow(pause=True))
    await wire.responses(await wire.slash("run", flow="monster"))
    await wire.until(lambda: shown(wire, "Approval needed"))
    opened = await wire.opened(await wire.click(*press(wire, "Answer…")))
    assert await fill_all(wire, opened["data"]) > 12
    (run,) = await engine.executions(flow_id="monster")
    ended = await engine.wait(run.id, timeout=20)
    (waited,) = [one for one in ended.task_runs.values() if one.task_id == "wait"]
    monster.check(dict(waited.outputs["onResume"]), lambda uri: engine.files.path(uri).read_bytes())


async def test_any_of_three_thousand_choices_can_be_picked(bot) -> None:
    wire, engine = bot
    await engine.deploy(
        "id: trip\nnamespace: company.team\ninputs:\n  - {id: city, type: SELECT, values: "
        + json.dumps(monster.MANY)
        + "}\ntasks: [{id: end, type: io.kestra.plugin.core.log.Log, message: hi}]\n"
    )
    opened = await wire.opened(await wire.slash("run", flow="trip"))
    (refused, *_) = await wire.responses(await wire.fill(opened["data"]["custom_id"], {"f:0": "city-"}))
    assert "Please check" in str(refused)
    (listed, *_) = await wire.responses(await wire.click(*press(wire, "Choose city")))
    assert "3000 choices · page 1 of 120" in str(listed)
    (asked, *_) = await wire.responses(await wire.click(*press(wire, "Filter…")))
    source = wire.messages[press(wire, "Filter…")[0]]
    (found, *_) = await wire.responses(await wire.fill(asked["data"]["custom_id"], {"typed": "299"}, message=source))
    assert "13 choices that fit “299”" in words(found["data"])
    source = wire.messages[press(wire, "Filter…")[0]]
    menu = next(each for part in source["components"] for each in walk(part) if each.get("type") == 3)
    assert "city-2999" in [option["value"] for option in menu["options"]]
    await wire.responses(await wire.click(source["id"], menu["custom_id"], values=["city-2999"]))
    (again, *_) = await wire.responses(await wire.click(*press(wire, "Continue")))
    (field,) = inputs_of(again["data"])
    assert field["value"] == "city-2999"
    await wire.responses(await wire.fill(again["data"]["custom_id"], {"f:0": field["value"]}))
    (run,) = await engine.executions(flow_id="trip")
    assert run.inputs["city"] == "city-2999"
