"""Apify's API: what its tasks share."""

from typing import Any

from engine.plugin import Property, RunContext, RunnableTask
from engine.tasks import rest_service
from engine.tasks.property_types import Text

API = "https://api.apify.com/v2"


class ApifyTask(RunnableTask):
    """Who asks."""

    api_token: Property[Text]

    async def apify(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        """The JSON of one call; TaskFailed when Apify refuses."""
        context.mask(self.api_token)
        base = context.settings.provider("apify").base_url or API
        params = {name: worded(value) for name, value in given.pop("params", {}).items() if value is not None}
        headers = {"Authorization": f"Bearer {self.api_token}"}
        url = f"{base.rstrip('/')}/{path}"
        return await rest_service.document(context, "Apify", method, url, headers=headers, params=params, **given)


def worded(value: Any) -> str:
    """A value as it stands in an address."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
