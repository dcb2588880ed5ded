"""`io.kestra.plugin.azure.function`: functions of Azure, called over HTTP."""

from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import JsonMap, Text


class Called(Outputs):
    """What the function answered: JSON as a value, all else as text; under both names, as flows spell it."""

    responseBody: Any  # noqa: N815 - appears as written
    repsonseBody: Any  # noqa: N815


class HttpFunction(RunnableTask):
    """Call a function and wait for its answer."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: encode
type: io.kestra.plugin.azure.function.HttpFunction
httpMethod: POST
url: https://company.azurewebsites.net/api/encode?code={{ secret('FUNCTION_CODE') }}
httpBody: {text: hello}
""",
    )
    type: Literal["io.kestra.plugin.azure.function.HttpFunction", "io.kestra.plugin.azure.function.HttpTrigger"]
    http_method: Property[Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]]
    url: Property[Text]
    http_body: Property[JsonMap | None] = None
    max_duration: Property[timedelta] = Field(default=timedelta(minutes=60), description="For the answer.")

    async def run(self, context: RunContext) -> Called:
        for key in parse_qs(urlsplit(self.url).query).get("code", []):
            context.mask(key)
        options = HttpOptions.model_validate({"timeout": {"readIdleTimeout": self.max_duration}})
        given = {"json": self.http_body} if self.http_body else {}
        answer = await rest_service.call(context, "The function", self.http_method, self.url, options=options, **given)
        try:
            body = rest_service.parsed(answer, "The function")
        except TaskFailed:
            body = answer.text
        return Called(responseBody=body, repsonseBody=body)
