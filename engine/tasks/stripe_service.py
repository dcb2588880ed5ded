"""Stripe's API: who asks, and one call in the form it wants."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from engine.plugin import Property, RunContext, RunnableTask
from engine.tasks import rest_service
from engine.tasks.property_types import Text, scalar_to_text

API = "https://api.stripe.com"


class StripeTask(RunnableTask):
    """Who asks."""

    api_key: Property[Text]

    async def stripe(self, context: RunContext, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON of one call; TaskFailed when Stripe refuses. The same attempt pays once, however often it asks."""
        context.mask(self.api_key)
        base = (context.settings.provider("stripe").base_url or API).rstrip("/")
        headers = {"Authorization": f"Bearer {self.api_key}"}
        if method == "POST":
            headers["Idempotency-Key"] = f"{context.task_run_id}-{context.attempt}"
        body = {"data" if method == "POST" else "params": fields(given)} if given else {}
        url = f"{base}/v1/{path}"
        return await rest_service.mapping(context, "Stripe", method, url, headers=headers, **body)


def fields(given: Mapping[str, Any]) -> dict[str, str]:
    """What is given as fields of a form, without what is not: a map is `name[key]`."""
    found: dict[str, str] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            found |= {f"{name}[{key}]": "" if one is None else worded(one) for key, one in value.items()}
        elif value is not None:
            found[name] = worded(value)
    return found


def worded(value: Any) -> str:
    """A value as a form holds it."""
    text = scalar_to_text(value)
    return text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)


def step(identity: str) -> str:
    """An id as a step of a path."""
    return quote(identity, safe="")
