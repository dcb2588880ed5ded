"""`io.kestra.plugin.sifflet`: rules that data must keep, looked after by Sifflet."""

from datetime import timedelta
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.http_options import HttpOptions, Timeouts
from engine.tasks.outbound import send
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.rest_service import refuse_climbing

API = "https://api.siffletdata.com"


class Ran(Outputs):
    """What Sifflet said; `status` is SUCCESS or FAILED, and the task has done its part either way."""

    ruleId: str  # noqa: N815 - appears as written
    status: Literal["SUCCESS", "FAILED"]
    statusCode: int  # noqa: N815
    response: str


class RunRule(RunnableTask):
    """Let Sifflet look whether a rule holds. It only begins: nobody waits for the end."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.sifflet.RunRule
apiKey: "{{ secret('SIFFLET_API_KEY') }}"
ruleId: rule-123
""",
    )
    type: Literal["io.kestra.plugin.sifflet.RunRule"]
    api_key: Property[Text]
    rule_id: Property[Text]
    base_url: Property[OptionalText] = None
    request_timeout: Property[int] = Field(default=30, ge=1, description="In seconds.")

    async def run(self, context: RunContext) -> Ran:
        rule = self.rule_id.strip()
        if not rule:
            raise TaskFailed("It is not said which rule.", fix="Give `ruleId`.")
        context.mask(self.api_key)
        base = self.base_url or context.settings.provider("sifflet").base_url or API
        limit = timedelta(seconds=self.request_timeout)
        options = HttpOptions(timeout=Timeouts(connect_timeout=limit, read_idle_timeout=limit))
        url = f"{base.rstrip('/')}/api/v1/rules/{quote(rule, safe='')}/_run"
        refuse_climbing(url)
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        answer = await send(context, "POST", url, options=options, headers=headers)
        is_done = 200 <= answer.code < 300
        if not is_done:
            context.log(f"Sifflet answered {answer.code}: {answer.text[:500]}", "ERROR")
        return Ran(ruleId=rule, status="SUCCESS" if is_done else "FAILED", statusCode=answer.code, response=answer.text)
