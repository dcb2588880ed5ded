"""`io.kestra.plugin.ai.provider.WatsonxAI`: models at IBM."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import aliases, rest_service
from engine.tasks.ai.conversation import Call, Configuration, Described, Said, Turn, json_demand, parsed_arguments
from engine.tasks.ai.messages import openai_function, openai_message
from engine.tasks.ai.model_service import FINISHED, Provider
from engine.tasks.http_options import HttpOptions, Timeouts
from engine.tasks.property_types import Text

IAM = "https://iam.cloud.ibm.com"
BY_KEY = "urn:ibm:params:oauth:grant-type:apikey"
VERSION = "2025-02-11"
CHECK = "Check `baseUrl` and `modelName`."
TEMPERATURE, MOST_TOKENS = 0.7, 512  # unless the flow says otherwise, as in Kestra


class WatsonxAI(Provider):
    """Models at IBM watsonx.ai, in a project there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.WatsonxAI
apiKey: "{{ secret('WATSONX_API_KEY') }}"
projectId: "{{ secret('WATSONX_PROJECT') }}"
baseUrl: https://eu-de.ml.cloud.ibm.com
modelName: ibm/granite-3-3-8b-instruct
""",
    )
    type: Literal["io.kestra.plugin.ai.provider.WatsonxAI"]
    api_key: Property[Text]
    project_id: Property[Text]

    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described] = (),
    ) -> Said:
        if configuration.top_k is not None:
            raise TaskFailed(f"The provider {self.type} has no `topK`.", fix="Leave it out.")
        messages = [openai_message(turn) for turn in turns]
        temperature = TEMPERATURE if configuration.temperature is None else configuration.temperature
        given: dict[str, Any] = {"temperature": temperature, "max_tokens": configuration.max_token or MOST_TOKENS}
        if configuration.wants_json:
            given["response_format"] = {"type": "json_object"}
            messages.insert(0, {"role": "system", "content": json_demand(configuration.schema_)})
        if tools:
            given["tools"] = [{"type": "function", "function": openai_function(tool)} for tool in tools]
        given |= rest_service.present(top_p=configuration.top_p, seed=configuration.seed)
        answer = await self._asked(context, "chat", {"messages": messages, **given})
        if not answer.get("choices"):
            raise TaskFailed("watsonx.ai gave no answer.", fix="Try again, or name another model.")
        try:
            first, usage = answer["choices"][0], answer.get("usage") or {}
            message = first.get("message") or {}
            functions = [(call["id"], call["function"]) for call in message.get("tool_calls") or ()]
            return Said(
                message.get("content") or "",
                usage.get("prompt_tokens", 0),
                usage.get("completion_tokens", 0),
                FINISHED.get(first.get("finish_reason") or "stop", "OTHER"),
                tuple(Call(key, one["name"], parsed_arguments(one.get("arguments") or "")) for key, one in functions),
            )
        except (LookupError, TypeError, AttributeError) as error:
            raise TaskFailed("watsonx.ai answered in another form.", fix=CHECK) from error

    async def embed(self, context: RunContext, texts: Sequence[str]) -> list[list[float]]:
        answer = await self._asked(context, "embeddings", {"inputs": list(texts)})
        try:
            return [list(one["embedding"]) for one in answer["results"]]
        except (KeyError, TypeError) as error:
            raise TaskFailed("watsonx.ai gave no embeddings.", fix=CHECK) from error

    async def _asked(self, context: RunContext, what: str, body: dict[str, Any]) -> dict[str, Any]:
        provider = context.settings.provider("watsonx")
        if not (base := self.base_url or provider.base_url):
            raise TaskFailed("It is not said where watsonx.ai is.", fix="`baseUrl: https://eu-de.ml.cloud.ibm.com`.")
        limit = timedelta(seconds=context.time_limit or provider.timeout)
        given = {"model_id": aliases.model(self.model_name, context.settings.models), "project_id": self.project_id}
        url = f"{base.rstrip('/')}/ml/v1/text/{what}"
        headers = {"Authorization": f"Bearer {await self._token(context)}"}
        options = HttpOptions(timeout=Timeouts(read_idle_timeout=limit))
        answer = await rest_service.document(
            context, "watsonx.ai", "POST", url, options=options, headers=headers, params={"version": VERSION},
            tls=self.tls(context), json={**given, **body},
        )  # fmt: skip
        if not isinstance(answer, dict):
            raise TaskFailed("watsonx.ai answered in another form.", fix=CHECK)
        return answer

    async def _token(self, context: RunContext) -> str:
        """A token of IBM Cloud for the key."""
        context.mask(self.api_key)
        base = (context.settings.provider("ibm_iam").base_url or IAM).rstrip("/")
        form = {"grant_type": BY_KEY, "apikey": self.api_key}
        told = await rest_service.document(context, "IBM Cloud", "POST", f"{base}/identity/token", data=form)
        token = str(told.get("access_token") or "") if isinstance(told, dict) else ""
        if not token:
            raise TaskFailed("IBM Cloud gave no token for the key.", fix="Check `apiKey`.")
        context.mask(token)
        return token
