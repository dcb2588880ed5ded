"""`io.kestra.plugin.powerbi`: datasets of Power BI."""

from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import OptionalText, Text

API, ENTRA = "https://api.powerbi.com", "https://login.microsoftonline.com"
RESOURCE = "https://analysis.windows.net/powerbi/api"
RUNNING = "Unknown"  # what Power BI says of a refresh that has not ended


class Refreshed(Outputs):
    """The refresh, and how it ended if the task waited."""

    requestId: str  # noqa: N815 - appears as written
    status: str | None = None
    extendedStatus: str | None = None  # noqa: N815
    refreshType: str | None = None  # noqa: N815
    startTime: str | None = None  # noqa: N815
    endTime: str | None = None  # noqa: N815


class RefreshGroupDataset(RunnableTask):
    """Refresh a dataset of a workspace. Power BI can not cancel such a refresh: when the task is killed it goes on."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: refresh
type: io.kestra.plugin.powerbi.RefreshGroupDataset
tenantId: "{{ secret('AZURE_TENANT') }}"
clientId: "{{ secret('AZURE_CLIENT_ID') }}"
clientSecret: "{{ secret('AZURE_CLIENT_SECRET') }}"
groupId: 3f2504e0-4f89-11d3-9a0c-0305e82c3301
datasetId: 6fa459ea-ee8a-3ca4-894e-db77e160355e
wait: true
""",
    )
    peers: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.microsoft.fabric.",)
    type: Literal[
        "io.kestra.plugin.powerbi.RefreshGroupDataset", "io.kestra.plugin.microsoft.fabric.powerbi.RefreshGroupDataset"
    ]
    tenant_id: Property[Text]
    client_id: Property[Text]
    client_secret: Property[Text]
    group_id: Property[OptionalText] = None
    dataset_id: Property[OptionalText] = None
    options: Property[HttpOptions | None] = None
    wait: Property[bool] = False
    poll_duration: Property[timedelta] = timedelta(seconds=5)
    wait_duration: Property[timedelta] = timedelta(minutes=10)

    async def run(self, context: RunContext) -> Refreshed:
        if not self.group_id or not self.dataset_id:
            raise TaskFailed("It is not said what to refresh.", fix="Give `groupId` and `datasetId`.")
        base = (context.settings.provider("powerbi").base_url or API).rstrip("/")
        group, dataset = quote(self.group_id, safe=""), quote(self.dataset_id, safe="")
        url = f"{base}/v1.0/myorg/groups/{group}/datasets/{dataset}/refreshes"
        given: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {await self._token(context)}"},
            "options": self.options,
        }
        begun = await rest_service.call(context, "Power BI", "POST", url, **given, json={})
        request = begun.headers.get("requestid")
        if not request:
            raise TaskFailed("Power BI does not say which refresh it began.", fix="Look at the dataset's refreshes.")
        if not self.wait:
            return Refreshed(requestId=request)

        async def look() -> dict[str, Any] | None:
            told = await rest_service.mapping(context, "Power BI", "GET", url, **given)
            for one in told.get("value") or ():
                if one.get("requestId") == request:
                    return None if one.get("status") == RUNNING else dict(one)
            raise TaskFailed(f"Power BI does not know the refresh {request} any more.")

        what = f"The refresh {request}"
        done = await rest_service.waited(context, look, every=self.poll_duration, most=self.wait_duration, what=what)
        if str(done.get("status")).lower() != "completed":
            why = done.get("serviceExceptionJson") or done.get("extendedStatus") or "nothing more is said"
            raise TaskFailed(f"{what} ended as {done.get('status')}: {why}")
        names = ("status", "extendedStatus", "refreshType", "startTime", "endTime")
        return Refreshed(requestId=request, **{name: done.get(name) for name in names})

    async def _token(self, context: RunContext) -> str:
        context.mask(self.client_secret)
        base = (context.settings.provider("entra").base_url or ENTRA).rstrip("/")
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "resource": RESOURCE,
            "scope": f"{RESOURCE}/.default",
        }
        url = f"{base}/{quote(self.tenant_id, safe='')}/oauth2/token"
        found = await rest_service.mapping(context, "Microsoft Entra", "POST", url, data=form)
        token = str(found.get("access_token") or "")
        if not token:
            raise TaskFailed("Microsoft Entra gave no token.", fix="Check `tenantId`, `clientId` and `clientSecret`.")
        context.mask(token)
        return token
