"""Linear's API: who asks, and one query in GraphQL."""

from typing import Any

from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.pages import Pages
from engine.tasks.property_types import Text

API = "https://api.linear.app/graphql"
MOST_PAGES = 40
NODES = "nodes { id name } pageInfo { hasNextPage endCursor }"


class LinearTask(RunnableTask):
    """Who asks."""

    token: Property[Text]

    async def linear(self, context: RunContext, query: str, **variables: Any) -> dict[str, Any]:
        """The data of one query; TaskFailed when Linear refuses."""
        context.mask(self.token)
        url = context.settings.provider("linear").base_url or API
        body = {"query": query, "variables": variables}
        headers = {"Authorization": self.token}
        told = await rest_service.mapping(context, "Linear", "POST", url, headers=headers, json=body)
        if errors := rest_service.listed(told, "Linear", "errors"):
            raise TaskFailed(f"Linear refused: {errors[0].get('message') or errors[0]}")
        return rest_service.mapped(told.get("data"), "Linear")

    async def named(self, context: RunContext, kind: str) -> list[tuple[str, str]]:
        """Names and ids of all `teams`, or of all `issueLabels`."""
        query = f"query($after: String) {{ {kind}(first: 250, after: $after) {{ {NODES} }} }}"
        found: list[tuple[str, str]] = []
        after, pages = "", Pages("Linear")
        for _ in range(MOST_PAGES):
            told = await self.linear(context, query, after=after or None)
            page = rest_service.mapped(told.get(kind), "Linear")
            nodes = rest_service.listed(page, "Linear", "nodes", each=["name", "id"])
            found += [(str(one["name"]), str(one["id"])) for one in nodes]
            about = rest_service.mapped(page.get("pageInfo"), "Linear")
            after = pages.after(about.get("endCursor")) if about.get("hasNextPage") else ""
            if not after:
                break
        return found
