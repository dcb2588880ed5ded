"""`io.kestra.plugin.github.projects`: boards of projects at GitHub."""

from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.github.service import GithubTask
from engine.tasks.pages import Pages
from engine.tasks.property_types import JsonMap, Text, TextList

# What a kind of field keeps its value as.
VALUES = {"Text": "text", "SingleSelect": "name", "Date": "date", "Number": "number", "Iteration": "title"}

CHOSEN = " ".join(
    f"... on ProjectV2ItemField{kind}Value {{ {value} field {{ ... on ProjectV2FieldCommon {{ name }} }} }}"
    for kind, value in VALUES.items()
)
ISSUE = (
    "number title url createdAt closedAt repository { name } assignees(first: 10) { nodes { login } } "
    "labels(first: 20) { nodes { name } }"
)
QUERY = f"""
query ($organization: String!, $number: Int!, $after: String) {{
  organization(login: $organization) {{
    projectV2(number: $number) {{
      items(first: 100, after: $after) {{
        pageInfo {{ hasNextPage endCursor }}
        nodes {{ fieldValues(first: 50) {{ nodes {{ {CHOSEN} }} }} content {{ ... on Issue {{ {ISSUE} }} }} }}
      }}
    }}
  }}
}}
"""


class List(GithubTask):
    """List the issues on a board of an organization, all or those whose fields, status and labels fit. The token needs
    the scope `read:project`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: started
type: io.kestra.plugin.github.projects.List
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
organization: company
projectNumber: 1
status: [In Progress]
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.github.projects.List"]
    organization: Property[Text]
    project_number: Property[int]
    fields: Property[JsonMap | None] = None
    status: Property[TextList | None] = None
    labels: Property[TextList | None] = None
    limit: Property[int] = 0
    fetch_type: Property[FetchType] = "STORE"

    async def run(self, context: RunContext) -> Fetched:
        rows: list[dict[str, Any]] = []
        after, pages = "", Pages("GitHub")
        while True:
            items = await self._page(context, after or None)
            nodes = rest_service.listed(items, "GitHub", "nodes")
            rows += [row_of(node) for node in nodes if _content(node).get("number") is not None]
            about = rest_service.mapped(items, "GitHub", "pageInfo")
            after = pages.after(about.get("endCursor")) if about.get("hasNextPage") else ""
            if not after:
                break
        fitting = [row for row in rows if self._fits(row)]
        return await fetched(context, fitting[: self.limit] if self.limit > 0 else fitting, self.fetch_type)

    async def _page(self, context: RunContext, after: str | None) -> dict[str, Any]:
        variables = {"organization": self.organization, "number": self.project_number, "after": after}
        asked = {"query": QUERY, "variables": variables}
        answer = rest_service.mapped(await self.github(context, "POST", "graphql", json=asked), "GitHub")
        if errors := rest_service.listed(answer, "GitHub", "errors"):
            said = "; ".join(str(error.get("message")) for error in errors)
            raise TaskFailed(f"GitHub refused: {said}", fix="The token needs the scope `read:project`.")
        project = rest_service.mapped(answer, "GitHub", "data", "organization", "projectV2")
        if not project:
            raise TaskFailed(
                f"There is no project {self.project_number} of {self.organization}.",
                fix="Check `organization` and `projectNumber`, and whether the token may see it.",
            )
        return rest_service.mapped(project, "GitHub", "items")

    def _fits(self, row: dict[str, Any]) -> bool:
        wanted = {str(name): str(value) for name, value in (self.fields or {}).items()}
        return (
            all(row.get(name) == value for name, value in wanted.items())
            and (not self.status or row["status"] in self.status)
            and (not self.labels or any(label in self.labels for label in row["labels"]))
        )


def row_of(node: dict[str, Any]) -> dict[str, Any]:
    """An issue on a board: what it is, its `status`, and each other field of the board by its name, as text."""
    issue = _content(node)
    told = {
        "title": issue.get("title"),
        "number": issue["number"],
        "url": issue.get("url"),
        "repository": rest_service.mapped(issue, "GitHub", "repository").get("name"),
        "createdAt": issue.get("createdAt"),
        "closedAt": issue.get("closedAt"),
        "assignees": [one["login"] for one in _named(issue, "assignees", "login")],
        "labels": [one["name"] for one in _named(issue, "labels", "name")],
    }
    values = {}
    for value in rest_service.listed(node, "GitHub", "fieldValues", "nodes"):
        name = rest_service.mapped(value, "GitHub", "field").get("name")
        found = next((value[key] for key in VALUES.values() if value.get(key) is not None), None)
        if name and found is not None:
            values[str(name)] = f"{found:g}" if isinstance(found, float) else str(found)
    return {**values, **told, "status": values.get("Status")}


def _content(node: dict[str, Any]) -> dict[str, Any]:
    return rest_service.mapped(node, "GitHub", "content")


def _named(issue: dict[str, Any], kind: str, name: str) -> list[dict[str, Any]]:
    return rest_service.listed(issue, "GitHub", kind, "nodes", each=[name])
