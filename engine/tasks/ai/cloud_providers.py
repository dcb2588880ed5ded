"""`io.kestra.plugin.ai.provider`: models in the big clouds, and at Cloudflare."""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import quote

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import aliases, gemini_service, rest_service
from engine.tasks.ai.conversation import Call, Configuration, Described, Said, Turn, system_texts
from engine.tasks.ai.messages import bedrock_messages
from engine.tasks.ai.model_service import OpenAiFamily, Provider
from engine.tasks.ai.provider import STOPPED, GeminiFamily
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.entra import token_of
from engine.tasks.gcp_service import SCOPE, Region
from engine.tasks.google_account import access_token
from engine.tasks.openai_service import AzureDeployments, connected
from engine.tasks.property_types import OptionalText, Text

if TYPE_CHECKING:
    import openai
    from google.genai import Client

API_VERSION = "2024-10-21"  # of Azure OpenAI, the newest that is stable
SINCE_COMPLETION_TOKENS = "2024-09"
OF_MODELS = "https://cognitiveservices.azure.com/.default"


class AzureOpenAI(OpenAiFamily):
    """A model of OpenAI in a deployment at Azure, whose name is `modelName`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.AzureOpenAI
endpoint: https://company.openai.azure.com/
apiKey: "{{ secret('AZURE_OPENAI_KEY') }}"
modelName: gpt-5-mini
""",
        """
type: io.kestra.plugin.ai.provider.AzureOpenAI
endpoint: https://company.openai.azure.com/
tenantId: "{{ secret('AZURE_TENANT') }}"
clientId: "{{ secret('AZURE_CLIENT_ID') }}"
clientSecret: "{{ secret('AZURE_CLIENT_SECRET') }}"
modelName: gpt-5-mini
serviceVersion: "2024-10-21"
""",
    )
    service: ClassVar[str] = "azure_openai"
    type: Literal["io.kestra.plugin.ai.provider.AzureOpenAI"]
    api_key: Property[Text] = ""
    endpoint: Property[Text]
    service_version: Property[OptionalText] = None
    tenant_id: Property[OptionalText] = None
    client_id: Property[OptionalText] = None
    client_secret: Property[OptionalText] = None

    def limit_name(self, context: RunContext) -> str:
        """Newer models take the newer name alone; versions of the API before it know the older only."""
        is_older = (self.service_version or API_VERSION) < SINCE_COMPLETION_TOKENS
        return "max_tokens" if is_older else "max_completion_tokens"

    @asynccontextmanager
    async def connected(self, context: RunContext) -> AsyncIterator["openai.AsyncOpenAI"]:
        key = self.api_key or await self._token(context)
        azure = AzureDeployments(self.service_version or API_VERSION, by_token=not self.api_key)
        where = (self.service, key, self.base_url or self.endpoint, self.endpoint)
        async with connected(context, *where, tls=self.tls(context), azure=azure) as client:
            yield client

    async def _token(self, context: RunContext) -> str:
        """A token of Entra for the application."""
        who = (self.tenant_id, self.client_id, self.client_secret)
        return await token_of(context, *who, OF_MODELS, instead="`apiKey`, or ")


class GoogleVertexAI(GeminiFamily):
    """Gemini in a project of one's own at Google Cloud."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.GoogleVertexAI
project: company-flows
location: europe-west4
modelName: gemini-2.5-flash
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.provider.GoogleVertexAI"]
    project: Property[Text]
    location: Property[Region]
    endpoint: Property[OptionalText] = None
    service_account: Property[OptionalText] = None  # else the machine's own account

    @asynccontextmanager
    async def connected(self, context: RunContext, name: str) -> AsyncIterator["Client"]:
        token = await access_token(context, self.service_account, [SCOPE])
        vertex = {"project": self.project, "location": self.location}
        address = self.base_url or _address(self.endpoint)
        async with gemini_service.connected(context, token, name, address, self.tls(context), vertex) as client:
            yield client


class AmazonBedrock(Provider):
    """Models at Amazon Bedrock, through its Converse API."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.AmazonBedrock
accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
secretAccessKey: "{{ secret('AWS_SECRET_ACCESS_KEY') }}"
region: eu-central-1
modelName: anthropic.claude-3-5-sonnet-20240620-v1:0
""",
    )
    type: Literal["io.kestra.plugin.ai.provider.AmazonBedrock"]
    access_key_id: Property[OptionalText] = None
    secret_access_key: Property[OptionalText] = None
    region: Property[OptionalText] = None  # else the environment's
    model_type: Property[Literal["COHERE", "TITAN"]] = "COHERE"  # of embeddings

    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described] = (),
    ) -> Said:
        if configuration.seed is not None:
            raise TaskFailed(f"The provider {self.type} has no `seed`.", fix="Leave it out.")
        system = system_texts(turns, configuration)
        limits = {
            "maxTokens": configuration.max_token,
            "temperature": configuration.temperature,
            "topP": configuration.top_p,
        }
        given: dict[str, Any] = {
            "modelId": aliases.model(self.model_name, context.settings.models),
            "messages": bedrock_messages(turns),
            "inferenceConfig": {name: value for name, value in limits.items() if value is not None},
        }
        if system:
            given["system"] = [{"text": text} for text in system]
        if configuration.top_k is not None:
            given["additionalModelRequestFields"] = {"top_k": configuration.top_k}
        if tools:
            specs = [
                {"name": tool.name, "description": tool.description, "inputSchema": {"json": dict(tool.schema)}}
                for tool in tools
            ]
            given["toolConfig"] = {"tools": [{"toolSpec": spec} for spec in specs]}
        answer = await self._amazon.aws(context, SERVICE, lambda client: client.converse(**given))
        blocks, usage = answer["output"]["message"]["content"], answer.get("usage") or {}
        calls = [block["toolUse"] for block in blocks if "toolUse" in block]
        return Said(
            "".join(block.get("text", "") for block in blocks),
            usage.get("inputTokens", 0),
            usage.get("outputTokens", 0),
            {**STOPPED, "guardrail_intervened": "CONTENT_FILTER"}.get(str(answer.get("stopReason")), "OTHER"),
            tuple(Call(call["toolUseId"], call["name"], call.get("input") or {}) for call in calls),
        )

    async def embed(self, context: RunContext, texts: Sequence[str]) -> list[list[float]]:
        name = aliases.model(self.model_name, context.settings.models)
        if self.model_type == "COHERE":
            bodies = [{"texts": list(texts), "input_type": "search_document"}]
        else:
            bodies = [{"inputText": text} for text in texts]

        def work(client: Any) -> list[Any]:
            return [
                json.loads(client.invoke_model(modelId=name, body=json.dumps(body))["body"].read()) for body in bodies
            ]

        found = await self._amazon.aws(context, SERVICE, work)
        return list(found[0]["embeddings"]) if self.model_type == "COHERE" else [one["embedding"] for one in found]

    @property
    def _amazon(self) -> AwsConnected:
        return AwsConnected(
            access_key_id=self.access_key_id,
            secret_key_id=self.secret_access_key,
            region=self.region,
            endpoint_override=self.base_url,
        )


SERVICE = "bedrock-runtime"


class WorkersAI(OpenAiFamily):
    """Models at Cloudflare."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.WorkersAI
accountId: "{{ secret('CLOUDFLARE_ACCOUNT') }}"
apiKey: "{{ secret('CLOUDFLARE_TOKEN') }}"
modelName: "@cf/meta/llama-3.1-8b-instruct"
""",
    )
    service: ClassVar[str] = "workers_ai"
    takes_top_k: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.ai.provider.WorkersAI"]
    account_id: Property[Text]

    def connected(self, context: RunContext) -> AbstractAsyncContextManager["openai.AsyncOpenAI"]:
        return connected(context, self.service, self.api_key, self.base_url, self._usual, tls=self.tls(context))

    def own_fields(self, configuration: Configuration) -> dict[str, Any]:
        return {} if configuration.top_k is None else {"top_k": configuration.top_k}

    async def draw(self, context: RunContext, prompt: str) -> str:
        """OpenAI's address for pictures is not there: models are run by name, and answer with a picture or JSON."""
        name = aliases.model(self.model_name, context.settings.models)
        base = self.base_url or context.settings.provider(self.service).base_url or self._usual
        url = f"{base.rstrip('/').removesuffix('/v1')}/run/{quote(name, safe='@/')}"
        context.mask(self.api_key)
        headers = {"Authorization": f"Bearer {self.api_key}"}
        answer = await rest_service.call(
            context, "Workers AI", "POST", url, headers=headers, tls=self.tls(context), json={"prompt": prompt}
        )
        if answer.headers.get("content-type", "").startswith("image/"):
            return await context.files.put(answer.content, "image.png")
        made = rest_service.held(rest_service.parsed(answer, "Workers AI"), "Workers AI", "result", "image")
        return await context.files.put(base64.b64decode(str(made)), "image.png")

    @property
    def _usual(self) -> str:
        return f"https://api.cloudflare.com/client/v4/accounts/{self.account_id}/ai/v1"


class DockerModel(OpenAiFamily):
    """A model that Docker Model Runner runs on this machine."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.DockerModel
modelName: ai/smollm2
""",
    )
    service: ClassVar[str] = "docker_model"
    default_url: ClassVar[str] = "http://localhost:12434/engines/v1"
    type: Literal["io.kestra.plugin.ai.provider.DockerModel"]
    api_key: Property[Text] = "not-needed"


def _address(endpoint: str | None) -> str | None:
    """An endpoint of Vertex AI as an address; it may be written without `https://`."""
    return endpoint if not endpoint or "://" in endpoint else f"https://{endpoint}"
