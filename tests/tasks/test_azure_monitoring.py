"""Metrics of Azure Monitor, as its API answers."""

from datetime import datetime, timedelta

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.wire.loopback import Answered, serving

MONITORING = "io.kestra.plugin.azure.monitoring"
RESOURCE = "/subscriptions/s1/resourceGroups/shop/providers/Microsoft.Compute/virtualMachines/web"
POINTS = [{"timeStamp": "2026-01-01T00:00:00Z", "average": 91.5}, {"timeStamp": "2026-01-01T00:01:00Z", "average": 80}]


class Monitor:
    """Entra and Azure Monitor at one address."""

    def __init__(self):
        self.points, self.scopes, self.asked = POINTS, [], []

    def __call__(self, request):
        if request.path.endswith("/oauth2/v2.0/token"):
            self.scopes.append(request.form["scope"])
            if request.form["client_secret"] != "s3cret":
                return Answered({"error": "invalid_client", "error_description": "wrong"}, 401)
            return Answered({"access_token": "t0ken"})
        assert request.headers["authorization"] == "Bearer t0ken"
        self.asked.append((request.method, request.path, request.query, request.json))
        if "dataCollectionRules" in request.path:
            return Answered(None, 204)
        metric = {
            "id": f"{RESOURCE}/metrics/cpu",
            "type": "Microsoft.Insights/metrics",
            "name": {"value": "Percentage CPU", "localizedValue": "CPU"},
            "displayDescription": "How busy",
            "unit": "Percent",
            "timeseries": [{"metadatavalues": [{"name": {"value": "disk"}, "value": "c"}], "data": self.points}],
            "errorCode": "Success",
        }
        lost = {
            "id": "x",
            "name": {"value": "Lost"},
            "timeseries": [],
            "errorCode": "InvalidSeries",
            "errorMessage": "no",
        }
        told = {"starttime": "a", "endtime": "b", "interval": "PT1M", "namespace": "ns", "resourceregion": "we"}
        return Answered({"values": [{**told, "resourceid": RESOURCE, "value": [metric, lost]}]})


@pytest.fixture
def azure(make_context):
    with serving(service := Monitor()) as wire:
        context = make_context({"providers": {"entra": {"base_url": wire.url}}})
        context.who = {"tenantId": "t", "clientId": "c", "clientSecret": "s3cret", "endpoint": f"{wire.url}/"}
        yield service, context


async def test_metrics_are_read(azure):
    service, context = azure
    ask = {
        "type": f"{MONITORING}.Query",
        **context.who,
        "metricsNamespace": "ns",
        "metricNames": ["Percentage CPU", "Lost"],
    }
    more = {"aggregations": ["Average", "Maximum"], "window": "PT10M", "interval": "PT1M", "filter": "Average gt 80"}
    found = await context.run(**ask, **more, resourceIds=[RESOURCE], top=3, orderBy="average desc", rollupBy="disk")
    assert (found.datapoints, found.metrics, found.resources) == (2, 2, 1)
    assert found.results == [
        {
            "resourceId": RESOURCE,
            "namespace": "ns",
            "resourceRegion": "we",
            "granularity": "PT1M",
            "timeInterval": {"startTime": "a", "endTime": "b"},
            "metrics": [
                {
                    "id": f"{RESOURCE}/metrics/cpu",
                    "resourceType": "Microsoft.Insights/metrics",
                    "unit": "Percent",
                    "metricName": "Percentage CPU",
                    "description": "How busy",
                    "timeSeries": [{"values": POINTS, "metadata": {"disk": "c"}}],
                },
                {
                    "id": "x",
                    "metricName": "Lost",
                    "timeSeries": [],
                    "error": {"code": "InvalidSeries", "message": "no"},
                },
            ],
        }
    ]
    ((method, path, query, body),) = service.asked
    assert (method, path, body) == ("POST", "/subscriptions/s1/metrics:getBatch", {"resourceids": [RESOURCE]})
    start, end = (datetime.fromisoformat(query.pop(name)) for name in ("starttime", "endtime"))
    assert end - start == timedelta(minutes=10)
    assert query == {
        "interval": "PT1M",
        "metricnamespace": "ns",
        "metricnames": "Percentage CPU,Lost",
        "aggregation": "Average,Maximum",
        "top": "3",
        "orderby": "average desc",
        "filter": "Average gt 80",
        "rollupby": "disk",
        "api-version": "2024-02-01",
    }
    assert service.scopes == ["https://metrics.monitor.azure.com/.default"]
    for given, why in (
        ({"resourceIds": []}, "`resourceIds` is empty"),
        ({"resourceIds": ["web"]}, "'web' is no id of a resource"),
        ({"resourceIds": [RESOURCE], "clientSecret": "hush"}, "Microsoft Entra answered 401"),
        ({"resourceIds": [RESOURCE], "tenantId": None}, "not said who asks"),
    ):
        with pytest.raises(TaskFailed, match=why):
            await context.run(**{**ask, **given})
    assert {"s3cret", "hush", "t0ken"} <= context.masked


async def test_metrics_start_executions_and_are_sent(azure):
    service, context = azure
    declared = {"id": "t", "type": f"{MONITORING}.Trigger", **context.who, "metricsNamespace": "ns", "interval": "PT5M"}
    declared |= {"metricNames": ["Percentage CPU"], "resourceIds": [RESOURCE], "granularity": "PT1H"}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert (await trigger.poll(context)).datapoints == 2
    assert service.asked[-1][2]["interval"] == "PT1H"
    service.points = []
    assert await trigger.poll(context) is None
    path = "/dataCollectionRules/d/streams/s?api-version=2023-01-01"
    told = await context.run(type=f"{MONITORING}.Push", **context.who, path=path, metrics={"orders": 3})
    assert told.body is None
    assert service.asked[-1] == (
        "POST",
        "/dataCollectionRules/d/streams/s",
        {"api-version": "2023-01-01"},
        {"orders": 3},
    )
    assert service.scopes[-1] == "https://monitor.azure.com/.default"
