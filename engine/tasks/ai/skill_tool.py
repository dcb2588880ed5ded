"""Instructions that an agent reads when it needs them."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks.ai.conversation import Call, Described, Offer
from engine.tasks.ai.tool import Tool
from engine.tasks.property_types import OptionalText, Text


class Resource(Part):
    """A text that belongs to a skill, and is read by itself."""

    relative_path: Property[Text]
    content: Property[Text]


class SkillDefinition(Part):
    """Instructions: written in the flow, or in a file of internal storage."""

    name: Property[Text]
    description: Property[Text] = Field(description="By which the model knows when it needs them.")
    content: Property[OptionalText] = None
    content_uri: Property[OptionalText] = None
    resources: list[Resource] = Field(default_factory=list)


class Skill(Tool):
    """Let a model read instructions when it needs them: it sees their names and descriptions only, until it asks."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.Skill
skills:
  - name: restart
    description: How our services are restarted.
    content: Drain the node first, then restart one service after the other.
    resources:
      - relativePath: services.md
        content: nginx, worker, mailer
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.Skill"]
    skills: list[SkillDefinition] = Field(min_length=1)

    async def offers(self, context: RunContext, held: AsyncExitStack) -> Sequence[Offer]:
        known = {one.name: one for one in self.skills}
        if len(known) < len(self.skills):
            raise TaskFailed("Two skills have the same name.", fix="Give each a name of its own.")
        texts = {name: await _content(context, one) for name, one in known.items()}
        listed = "; ".join(f"{name}: {one.description}" for name, one in known.items())
        which = {"type": "string", "enum": list(known), "description": "Which skill."}
        about = f"Gives the instructions of a skill. Read them before doing what they are for. Skills: {listed}."
        found = [
            Offer(Described("activate_skill", about, _object(skill_name=which)), partial(_activated, known, texts))
        ]
        if paths := sorted({resource.relative_path for one in self.skills for resource in one.resources}):
            path = {"type": "string", "enum": paths, "description": "Which of its texts."}
            about = "Gives a text that belongs to a skill, which its instructions name."
            described = Described("read_skill_resource", about, _object(skill_name=which, relative_path=path))
            found.append(Offer(described, partial(_read, known)))
        return found


async def _content(context: RunContext, skill: SkillDefinition) -> str:
    if (skill.content is None) == (skill.content_uri is None):
        raise TaskFailed(f"The skill {skill.name} has either `content` or `contentUri`.", fix="Give one of them.")
    if skill.content is not None:
        return skill.content
    try:
        return (await context.files.read(str(skill.content_uri))).decode()
    except UnicodeDecodeError as error:
        raise TaskFailed(f"The file of the skill {skill.name} is no text.", fix="Give UTF-8.") from error


async def _activated(known: Mapping[str, SkillDefinition], texts: Mapping[str, str], call: Call, number: int) -> str:
    skill = _named(known, call)
    paths = ", ".join(resource.relative_path for resource in skill.resources)
    return f"{texts[skill.name]}\n\nTexts that belong to it: {paths}" if paths else texts[skill.name]


async def _read(known: Mapping[str, SkillDefinition], call: Call, number: int) -> str:
    skill, wanted = _named(known, call), str(call.arguments.get("relative_path", ""))
    for resource in skill.resources:
        if resource.relative_path == wanted:
            return resource.content
    there = ", ".join(resource.relative_path for resource in skill.resources) or "none"
    raise TaskFailed(f"The skill {skill.name} has no text {wanted!r}; it has {there}.")


def _named(known: Mapping[str, SkillDefinition], call: Call) -> SkillDefinition:
    name = str(call.arguments.get("skill_name", ""))
    if name not in known:
        raise TaskFailed(f"There is no skill {name!r}; there are {', '.join(known)}.")
    return known[name]


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
