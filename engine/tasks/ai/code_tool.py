"""`io.kestra.plugin.ai.tool`: code of a model, run far away."""

import base64
from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.ai.conversation import Call, Described
from engine.tasks.ai.tool import SingleTool
from engine.tasks.property_types import Text

JUDGE0 = "https://judge0-ce.p.rapidapi.com"
JAVASCRIPT = 102  # what Judge0 calls Node.js 22
ACCEPTED = 3
ABOUT = (
    "Runs JavaScript and tells what it printed to the console. Use it wherever exactness counts: for arithmetic, "
    "dates, sorting, filtering, counting, and work on text."
)
SCHEMA = {
    "type": "object",
    "properties": {
        "javaScriptCode": {"type": "string", "description": "The code; its result must be printed by console.log."}
    },
    "required": ["javaScriptCode"],
}


class CodeExecution(SingleTool):
    """Let a model run JavaScript, at the service Judge0 (by RapidAPI): nothing runs on this machine."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.CodeExecution
apiKey: "{{ secret('RAPID_API_KEY') }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.CodeExecution"]
    api_key: Property[Text]

    async def describe(self, context: RunContext) -> Described:
        context.mask(self.api_key)
        return Described("executeJavaScriptCode", ABOUT, SCHEMA)

    async def use(self, context: RunContext, call: Call, number: int) -> str:
        code = call.arguments.get("javaScriptCode")
        if not isinstance(code, str) or not code.strip():
            raise TaskFailed("`javaScriptCode` must be given.")
        base = (context.settings.provider("judge0").base_url or JUDGE0).rstrip("/")
        told = await rest_service.document(
            context, "Judge0", "POST", f"{base}/submissions", headers={"X-RapidAPI-Key": self.api_key},
            params={"base64_encoded": "true", "wait": "true", "fields": "*"},
            json={"language_id": JAVASCRIPT, "source_code": base64.b64encode(code.encode()).decode()},
        )  # fmt: skip
        told = told or {}
        status = told.get("status") or {}
        if status.get("id") != ACCEPTED:
            said = " ".join(filter(None, (_text(told, name) for name in ("compile_output", "stderr", "message"))))
            raise TaskFailed(f"{status.get('description') or 'The code did not run'}. {said}".strip())
        return _text(told, "stdout") or "The code printed nothing; print the result by console.log."


def _text(told: dict[str, Any], name: str) -> str:
    return base64.b64decode(told.get(name) or "").decode("utf-8", "replace").strip()
