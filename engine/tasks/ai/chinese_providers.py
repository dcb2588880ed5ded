"""`io.kestra.plugin.ai.provider`: Qwen at Alibaba, and GLM at ZhiPu."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from engine.plugin import Property, RunContext
from engine.tasks.ai.conversation import Configuration
from engine.tasks.ai.model_service import OpenAiFamily
from engine.tasks.property_types import OptionalInteger, OptionalNumber, TextList
from engine.tasks.rest_service import present

if TYPE_CHECKING:
    import openai

NATIVE = re.compile(r"/api/v1/?$")  # the older API of DashScope, which flows name; we speak the one beside it
TEMPERATURE, MOST_TOKENS = 0.7, 512  # of GLM, unless the flow says otherwise, as in Kestra


class DashScope(OpenAiFamily):
    """Alibaba's DashScope (Qwen)."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.DashScope
apiKey: "{{ secret('DASHSCOPE_API_KEY') }}"
baseUrl: https://dashscope.aliyuncs.com/api/v1
modelName: qwen-plus
enableSearch: true
""",
    )
    service: ClassVar[str] = "dashscope"
    default_url: ClassVar[str] = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
    takes_top_k: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.ai.provider.DashScope"]
    repetition_penalty: Property[OptionalNumber] = None
    enable_search: Property[bool] = False
    max_tokens: Property[OptionalInteger] = None

    @property
    def address(self) -> str | None:
        return self.base_url and NATIVE.sub("/compatible-mode/v1", self.base_url)

    def own_fields(self, configuration: Configuration) -> dict[str, Any]:
        return present(
            top_k=configuration.top_k,
            repetition_penalty=self.repetition_penalty,
            enable_search=self.enable_search or None,
            max_tokens=self.max_tokens,
        )


class ZhiPuAI(OpenAiFamily):
    """ZhiPu (GLM)."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.ZhiPuAI
apiKey: "{{ secret('ZHIPU_API_KEY') }}"
modelName: glm-4.5-flash
maxToken: 2000
""",
    )
    service: ClassVar[str] = "zhipu"
    default_url: ClassVar[str] = "https://open.bigmodel.cn/api/paas/v4"
    type: Literal["io.kestra.plugin.ai.provider.ZhiPuAI"]
    stops: Property[TextList | None] = None
    max_retries: Property[int] = 3
    max_token: Property[OptionalInteger] = None

    @property
    def address(self) -> str | None:
        if self.base_url and urlsplit(self.base_url).path in ("", "/"):
            return f"{self.base_url.rstrip('/')}/api/paas/v4"
        return self.base_url

    def own_fields(self, configuration: Configuration) -> dict[str, Any]:
        return present(
            stop=self.stops,
            temperature=TEMPERATURE if configuration.temperature is None else None,
            max_tokens=self.max_token or configuration.max_token or MOST_TOKENS,
        )

    @asynccontextmanager
    async def connected(self, context: RunContext) -> AsyncIterator["openai.AsyncOpenAI"]:
        async with super().connected(context) as client:
            yield client.with_options(max_retries=self.max_retries)
