"""`io.kestra.plugin.ai.langdock`: what models there are at Langdock; and they as a provider."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import anthropic_service, rest_service
from engine.tasks.ai.conversation import Configuration, Described, Said, Turn
from engine.tasks.ai.model_service import Provider
from engine.tasks.ai.provider import Anthropic, OpenAI
from engine.tasks.property_types import OptionalText, Text

HOST = "https://api.langdock.com"
Family = Literal["OPENAI", "ANTHROPIC"]
Where = Literal["EU", "US"]


def route(context: RunContext, base_url: str | None, family: Family, region: Where) -> str:
    """Where models of a family hear; the task's own address wins over the operator's, that over the public one."""
    if base_url:
        return base_url.strip().rstrip("/")
    host = (context.settings.provider("langdock").base_url or HOST).rstrip("/")
    return f"{host}/{family.lower()}/{region.lower()}/v1"


class Claude(Anthropic):
    """Claude at Langdock, which wants the key as a token."""

    def signed(self) -> dict[str, str]:
        return {**anthropic_service.signed(self.api_key), "Authorization": f"Bearer {self.api_key}"}


class Langdock(Provider):
    """Models at Langdock: of OpenAI and others, or with `modelFamily: ANTHROPIC` Claude."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.Langdock
apiKey: "{{ secret('LANGDOCK_API_KEY') }}"
modelFamily: ANTHROPIC
modelName: claude-sonnet-4-6-default
""",
    )
    type: Literal["io.kestra.plugin.ai.provider.Langdock"]
    api_key: Property[Text]
    model_family: Property[Family] = Field(default="OPENAI", description="Embeddings are always OpenAI's.")
    region: Property[Where] = "EU"

    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described] = (),
    ) -> Said:
        return await self._as(context, self.model_family).ask(context, turns, configuration, tools)

    async def embed(self, context: RunContext, texts: Sequence[str]) -> list[list[float]]:
        return await self._as(context, "OPENAI").embed(context, texts)

    def _as(self, context: RunContext, family: Family) -> Provider:
        """The provider whose API the family has."""
        context.mask(self.api_key)
        kind = Claude if family == "ANTHROPIC" else OpenAI
        address = route(context, self.base_url, family, self.region)
        given: dict[str, str | None] = {"type": kind.type_names()[0]}
        given |= {"modelName": self.model_name, "apiKey": self.api_key, "baseUrl": address}
        given |= {"clientPem": self.client_pem, "caPem": self.ca_pem}
        return kind.model_validate(given, context={"rendered": True})


class Models(Outputs):
    """The models, each with its `id`, `displayName`, `createdAt` and `ownedBy`, as far as Langdock tells."""

    models: list[dict[str, Any]]
    count: int


class ListModels(RunnableTask):
    """List the models of a family."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: models
type: io.kestra.plugin.ai.langdock.ListModels
apiKey: "{{ secret('LANGDOCK_API_KEY') }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.langdock.ListModels"]
    api_key: Property[Text]
    model_family: Property[Family] = "OPENAI"
    region: Property[Where] = "EU"
    base_url: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Models:
        context.mask(self.api_key)
        url = f"{route(context, self.base_url, self.model_family, self.region)}/models"
        headers = {"Authorization": f"Bearer {self.api_key}"}
        told = await rest_service.document(context, "Langdock", "GET", url, headers=headers)
        listed = told.get("data") if isinstance(told, dict) else None
        if not isinstance(listed, list):
            raise TaskFailed("Langdock answered with no list of models.", fix="Check `baseUrl`.")
        found = [_model(one) for one in listed if isinstance(one, dict) and one.get("id") is not None]
        return Models(models=found, count=len(found))


def _model(told: dict[str, Any]) -> dict[str, Any]:
    made: Any = told.get("created")
    at = datetime.fromtimestamp(made, UTC).isoformat().replace("+00:00", "Z") if isinstance(made, int) else None
    return rest_service.present(
        id=str(told["id"]),
        displayName=told.get("display_name"),
        createdAt=at or told.get("created_at"),
        ownedBy=told.get("owned_by"),
    )
