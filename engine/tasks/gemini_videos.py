"""Operations that make videos, at Gemini and at Vertex AI: begun, looked after, and what came of them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.plugin import RunContext, TaskFailed
from engine.tasks import rest_service

FILE = re.compile(r"files/[A-Za-z0-9_-]+")
GEMINI = "https://generativelanguage.googleapis.com"


@dataclass(frozen=True, slots=True)
class Maker:
    """A model, where it is, and who asks."""

    service: str
    url: str  # of the model
    headers: dict[str, str]

    async def begin(self, context: RunContext, prompt: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The operation; TaskFailed when it is refused."""
        body = {"instances": [{"prompt": prompt}], "parameters": parameters}
        return await self._ask(context, "POST", f"{self.url}:predictLongRunning", json=body)

    async def look(self, context: RunContext, name: str) -> dict[str, Any] | None:
        """The operation when it has ended, else None."""
        if self.service == "Gemini":
            found = await self._ask(context, "GET", f"{self.url.partition('/models/')[0]}/{name}")
        else:
            found = await self._ask(context, "POST", f"{self.url}:fetchPredictOperation", json={"operationName": name})
        return found if found.get("done") else None

    async def fetch(self, context: RunContext, url: str, target: Path) -> None:
        """Put the video at an address that Gemini gave into a file; the key goes to the service alone."""
        if (found := FILE.search(url)) is None:
            await rest_service.downloaded(context, self.service, url, target)
            return
        own, params = f"{self.url.partition('/models/')[0]}/{found[0]}:download", {"alt": "media"}
        await rest_service.downloaded(context, self.service, own, target, headers=self.headers, params=params)

    async def _ask(self, context: RunContext, method: str, url: str, **given: Any) -> dict[str, Any]:
        return await rest_service.mapping(context, self.service, method, url, headers=self.headers, **given)


def at_gemini(context: RunContext, key: str, model: str) -> Maker:
    """A model of Gemini's API."""
    context.mask(key)
    base = (context.settings.provider("gemini").base_url or GEMINI).rstrip("/")
    return Maker("Gemini", f"{base}/v1beta/models/{model}", {"x-goog-api-key": key})


def at_vertex(context: RunContext, token: str, project: str, location: str, model: str) -> Maker:
    """A model in a project of Google Cloud."""
    base = context.settings.provider("vertex").base_url or f"https://{location}-aiplatform.googleapis.com"
    path = f"v1/projects/{project}/locations/{location}/publishers/google/models/{model}"
    return Maker("Vertex AI", f"{base.rstrip('/')}/{path}", {"Authorization": f"Bearer {token}"})


def first_video(operation: dict[str, Any]) -> tuple[str, str | None]:
    """Where the first video of an operation that has ended is, and its kind; TaskFailed when it made none."""
    response = operation.get("response") or {}
    made = response.get("generateVideoResponse") or {}
    samples = [one.get("video") or {} for one in made.get("generatedSamples") or ()] or response.get("videos") or []
    first = samples[0] if samples else {}
    if uri := first.get("uri") or first.get("gcsUri"):
        return str(uri), first.get("mimeType") or first.get("encoding")
    reasons = made.get("raiMediaFilteredReasons") or response.get("raiMediaFilteredReasons") or ()
    said = (
        (operation.get("error") or {}).get("message") or "; ".join(map(str, reasons)) or "the service does not say why"
    )
    raise TaskFailed(f"No video was made: {said}.", fix="Change the prompt, or name another model.")
