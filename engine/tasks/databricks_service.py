"""Databricks' REST API: who asks, and one call."""

import base64
import re
from typing import Any, Literal

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.property_types import OptionalText

AS_GIVEN = frozenset(
    {"base_parameters", "parameters", "named_parameters", "job_parameters", "spark_conf", "custom_tags"}
)
NAMES = {"spark_python_task_source": "source", "notebook_task_source": "source", "sql_task_source": "source"}


class Authentication(Part):
    """A token, user and password, or a service principal's client."""

    auth_type: Property[OptionalText] = None
    token: Property[OptionalText] = None
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    client_id: Property[OptionalText] = None
    client_secret: Property[OptionalText] = None
    google_credentials: Property[OptionalText] = None
    google_service_account: Property[OptionalText] = None
    azure_client_id: Property[OptionalText] = None
    azure_client_secret: Property[OptionalText] = None
    azure_tenant_id: Property[OptionalText] = None


class DatabricksConnected(Part):
    """Which workspace, and who asks."""

    host: Property[OptionalText] = None
    account_id: Property[OptionalText] = None
    config_file: Property[OptionalText] = None
    authentication: Authentication | None = None

    async def workspace(self, context: RunContext) -> "Workspace":
        """The workspace to call; TaskFailed when it is not said which, or who asks."""
        return await opened(context, self.host, self.authentication or Authentication())


class Workspace:
    """Calls of one workspace."""

    def __init__(self, context: RunContext, host: str, headers: dict[str, str]) -> None:
        self.context, self.host = context, host
        self._headers = headers

    async def ask(self, method: Literal["GET", "POST"], path: str, **given: Any) -> dict[str, Any]:
        """The JSON of one call; TaskFailed when Databricks refuses."""
        url = f"{self.host}/{path.lstrip('/')}"
        return await rest_service.mapping(self.context, "Databricks", method, url, headers=self._headers, **given)


async def opened(context: RunContext, host: str | None, who: Authentication) -> Workspace:
    """A workspace, signed in to."""
    at = context.settings.provider("databricks").base_url or host
    if not at:
        raise TaskFailed("It is not said which workspace of Databricks.", fix="Give `host`.")
    at = at.rstrip("/") if "://" in at else f"https://{at.rstrip('/')}"
    for secret in (who.token, who.password, who.client_secret):
        if secret:
            context.mask(secret)
    if who.token:
        return Workspace(context, at, {"Authorization": f"Bearer {who.token}"})
    if who.client_id and who.client_secret:
        form = {"grant_type": "client_credentials", "scope": "all-apis"}
        given = await rest_service.mapping(
            context, "Databricks", "POST", f"{at}/oidc/v1/token",
            headers={"Authorization": _basic(who.client_id, who.client_secret)}, data=form,
        )  # fmt: skip
        token = str(rest_service.held(given, "Databricks", "access_token"))
        context.mask(token)
        return Workspace(context, at, {"Authorization": f"Bearer {token}"})
    if who.username and who.password:
        return Workspace(context, at, {"Authorization": _basic(who.username, who.password)})
    raise TaskFailed(
        "It is not said who asks Databricks.",
        fix="Give a token, `clientId` and `clientSecret` of a service principal, or `username` and `password`.",
    )


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def worded(value: Any) -> Any:
    """Settings in the words of the API: `sparkPythonTask` is `spark_python_task`; what is nothing is left out."""
    if isinstance(value, list):
        return [worded(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        key = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match[1].lower()}", str(name))
        key = NAMES.get(key, key)
        if inner is not None:
            found[key] = inner if key in AS_GIVEN else worded(inner)
    return found
