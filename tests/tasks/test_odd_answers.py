"""What services answer that is no answer of theirs: a sentence tells so, whichever service it is."""

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

PLUGIN = "io.kestra.plugin"
DATABRICKS = {"authentication": {"token": "t"}}
WAREHOUSE = {"accessToken": "t", "httpPath": "/sql/1.0/warehouses/w", "sql": "SELECT 1"}
DBT = {"accountId": "1", "token": "t"}
HUBSPOT = {"apiKey": "k"}
TRELLO = {"apiKey": "k", "apiToken": "t"}
AIRTABLE = {"apiKey": "k", "baseId": "b", "tableId": "t"}
STRIPE = {"apiKey": "k"}
SHOPIFY = {"accessToken": "t"}
SERVICENOW = {"username": "u", "password": "p", "table": "incident"}

# type, which setting or property says where the service is, the task, what an empty answer misses ("": nothing)
TASKS = [
    ("airbyte.connections.Sync", "url", {"connectionId": "c"}, "job.id"),
    ("airbyte.connections.CheckStatus", "url", {"jobId": "7"}, "job.status"),
    ("airbyte.cloud.jobs.Sync", "airbyte", {"token": "t", "connectionId": "c"}, "jobId"),
    ("airbyte.cloud.jobs.Sync", "airbyte", {"clientId": "i", "clientSecret": "s", "connectionId": "c"}, "access_token"),
    ("airtable.records.List", "airtable", AIRTABLE, ""),
    ("airtable.records.Get", "airtable", {**AIRTABLE, "recordId": "r", "fields": ["a"]}, "fields"),
    ("airtable.records.Create", "airtable", {**AIRTABLE, "fields": {"a": 1}}, "records"),
    ("airtable.records.Update", "airtable", {**AIRTABLE, "recordId": "r", "fields": {"a": 1}}, "id"),
    ("databricks.job.SubmitRun", "host", {**DATABRICKS, "runTasks": [{"taskKey": "a"}]}, "run_id"),
    ("databricks.job.CreateJob", "host", {**DATABRICKS, "jobName": "n", "jobTasks": [{"taskKey": "a"}]}, "job_id"),
    ("databricks.cluster.CreateCluster", "host", {**DATABRICKS, "clusterName": "n", "sparkVersion": "1"}, "cluster_id"),
    ("databricks.cluster.DeleteCluster", "host", {**DATABRICKS, "clusterId": "c"}, "state"),
    ("databricks.dbfs.Download", "host", {**DATABRICKS, "from": "/a"}, ""),
    ("databricks.sql.Query", "host", WAREHOUSE, "statement_id"),
    (
        "databricks.cluster.DeleteCluster",
        "host",
        {"authentication": {"clientId": "i", "clientSecret": "s"}, "clusterId": "c"},
        "access_token",
    ),
    ("dbt.cloud.TriggerRun", "baseUrl", {**DBT, "jobId": "2"}, "id"),
    ("dbt.cloud.CheckStatus", "baseUrl", {**DBT, "runId": "2"}, "status"),
    ("fivetran.connectors.Sync", "baseUrl", {"apiKey": "k", "apiSecret": "s", "connectorId": "c", "wait": False}, ""),
    ("hightouch.Sync", "hightouch", {"token": "t", "syncId": 1}, "id"),
    ("hubspot.companies.Create", "hubspot", {**HUBSPOT, "name": "n", "domain": "d"}, "id"),
    ("hubspot.companies.Search", "hubspot", HUBSPOT, ""),
    ("linkedin.GetPostAnalytics", "apiBaseUrl", {"accessToken": "t", "activityUrns": ["u"]}, ""),
    ("servicenow.Get", "domain", SERVICENOW, ""),
    ("servicenow.Post", "domain", {**SERVICENOW, "data": {}}, ""),
    ("shopify.orders.List", "storeDomain", SHOPIFY, ""),
    ("shopify.products.Create", "storeDomain", {**SHOPIFY, "title": "t"}, "product"),
    ("stripe.customer.Create", "stripe", STRIPE, "id"),
    ("stripe.customer.List", "stripe", STRIPE, "data"),
    ("stripe.payment.CreateIntent", "stripe", {**STRIPE, "amount": 1, "currency": "usd"}, "id"),
    ("stripe.payment.ListIntents", "stripe", STRIPE, "data"),
    ("stripe.payment.Refund", "stripe", {**STRIPE, "chargeId": "c"}, "id"),
    ("trello.cards.Create", "apiBaseUrl", {**TRELLO, "name": "n", "listId": "l"}, "id"),
    ("trello.cards.Comment", "apiBaseUrl", {**TRELLO, "cardId": "c", "text": "t"}, "id"),
    ("zendesk.tickets.Create", "domain", {"username": "u", "token": "t", "subject": "s"}, "ticket.id"),
]
SETTINGS = {"airbyte", "airtable", "hightouch", "hubspot", "stripe"}


@pytest.mark.parametrize("told", [["x"], "7", {}, b"null"], ids=["list", "number", "empty", "null"])
@pytest.mark.parametrize(("name", "where", "given", "missed"), TASKS, ids=[f"{one[0]}-{one[3]}" for one in TASKS])
async def test_an_odd_answer_ends_in_a_sentence(make_context, name, where, given, missed, told):
    is_object = told in ({}, b"null")
    with serving(lambda request: Answered(told)) as wire:
        context = make_context({"providers": {where: {"base_url": wire.url}}} if where in SETTINGS else {})
        asked = given if where in SETTINGS else {**given, where: wire.url}
        work = context.run(type=f"{PLUGIN}.{name}", **asked)
        if is_object and not missed:
            await work
            return
        with pytest.raises(TaskFailed, match=f"answered without `{missed}`" if is_object else "answered with"):
            await work
