"""Discord's own description of its interface as a judge over requests."""

import json
import lzma
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.shared import shared
from tests.wire import discord_rules

_URN = "urn:discord"


class Spec:
    """Requests held against the OpenAPI document."""

    def __init__(self) -> None:
        path = shared("reference/realparts/discord-openapi.json.xz")
        self.document = json.loads(lzma.decompress(path.read_bytes()))
        resource = Resource(contents=self.document, specification=DRAFT202012)
        self.registry = Registry().with_resource(_URN, resource)
        self.validators: dict[tuple[str, str], Draft202012Validator | None] = {}

    def problems(self, method: str, path: str, body: Any) -> list[str]:
        """Everything the document says against a request; an unknown route is a problem too."""
        template = self._template(method.lower(), path)
        if template is None:
            return [f"{method} {path}: no such route"]
        validator = self._validator(method.lower(), template)
        if validator is None:
            return [] if body is None else [f"{method} {path}: takes no JSON"]
        found = list(validator.iter_errors(body))
        return [f"{template}{list(error.absolute_path)}: {error.message[:200]}" for error in found[:3]]

    def _template(self, method: str, path: str) -> str | None:
        wanted = path.strip("/").split("/")
        best: tuple[int, str] | None = None
        for template, item in self.document["paths"].items():
            parts = template.strip("/").split("/")
            if len(parts) != len(wanted) or method not in item:
                continue
            pairs = list(zip(parts, wanted, strict=True))
            if all(part == word or part.startswith("{") for part, word in pairs):
                literal = sum(part == word for part, word in pairs)
                best = max(best or (-1, ""), (literal, template))
        return best[1] if best else None

    def _validator(self, method: str, template: str) -> Draft202012Validator | None:
        key = (method, template)
        if key not in self.validators:
            content = self.document["paths"][template][method].get("requestBody", {}).get("content", {})
            escaped = template.replace("~", "~0").replace("/", "~1")
            where = f"{_URN}#/paths/{escaped}/{method}/requestBody/content/application~1json/schema"
            known = "application/json" in content
            self.validators[key] = Draft202012Validator({"$ref": where}, registry=self.registry) if known else None
        return self.validators[key]


@cache
def spec() -> Spec:
    return Spec()


def judge(method: str, path: str, body: Any) -> list[str]:
    """What either judge has against a request."""
    return spec().problems(method, path, body) + discord_rules.problems(method, path, body)
