"""What services answer that is no answer of theirs: a sentence tells so, whichever service it is."""

import pytest

from engine.errors import TaskFailed
from engine.plugin import PollingTrigger
from engine.tasks import catalogue
from tests.wire.gcp import gcp_service
from tests.wire.loopback import Answered, serving

__all__ = ["gcp_service"]

PLUGIN = "io.kestra.plugin"
DATABRICKS = {"authentication": {"token": "t"}}
WAREHOUSE = {"accessToken": "t", "httpPath": "/sql/1.0/warehouses/w", "sql": "SELECT 1"}
DBT = {"accountId": "1", "token": "t"}
HUBSPOT = {"apiKey": "k"}
TRELLO = {"apiKey": "k", "apiToken": "t"}
AIRTABLE = {"apiKey": "k", "baseId": "b", "tableId": "t"}
STRIPE = {"apiKey": "k"}
SHOPIFY = {"accessToken": "t"}
BRANCHES = {"token": "t", "projectId": "p", "title": "t", "sourceBranch": "a", "targetBranch": "b"}
RECORD = {"apiToken": "t", "zoneId": "z", "recordType": "A", "name": "n", "content": "c"}
PAGE = "0123456789abcdef0123456789abcdef"
JIRA = {"accessToken": "t"}
NOTION = {"apiToken": "t"}
CONNECTOR = {"connectorName": "c"}
TWILIO = {"accountSID": "a", "authToken": "t", "to": "+1", "from": "+2", "body": "b"}
AZURE = {"tenantId": "t", "clientId": "c", "clientSecret": "s"}
PIPELINE = {**AZURE, "subscriptionId": "s", "resourceGroupName": "g", "factoryName": "f", "pipelineName": "p"}
SERVICENOW = {"username": "u", "password": "p", "table": "incident"}

# type, which setting or property says where the service is, the task, and what an empty answer misses
# ("": nothing; None: the task has a sentence of its own)
TASKS = [
    ("airbyte.connections.Sync", "url", {"connectionId": "c"}, "job.id"),
    ("airbyte.connections.CheckStatus", "url", {"jobId": "7"}, "job.status"),
    ("airbyte.cloud.jobs.Sync", "airbyte", {"token": "t", "connectionId": "c"}, "jobId"),
    ("airbyte.cloud.jobs.Sync", "airbyte", {"clientId": "i", "clientSecret": "s", "connectionId": "c"}, "access_token"),
    ("airflow.dags.TriggerDagRun", "baseUrl", {"dagId": "d"}, None),
    ("airtable.records.List", "airtable", AIRTABLE, ""),
    ("airtable.records.Get", "airtable", {**AIRTABLE, "recordId": "r", "fields": ["a"]}, "fields"),
    ("airtable.records.Create", "airtable", {**AIRTABLE, "fields": {"a": 1}}, "records"),
    ("airtable.records.Update", "airtable", {**AIRTABLE, "recordId": "r", "fields": {"a": 1}}, "id"),
    ("apify.actor.Run", "apify", {"apiToken": "t", "actorId": "a"}, "data"),
    ("azure.datafactory.CreateRun", "azure_management", PIPELINE, "runId"),
    ("cloudflare.zones.List", "cloudflare", {"apiToken": "t"}, None),
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
    ("elasticsearch.Search", "hosts", {"request": {}}, "hits"),
    ("elasticsearch.Scroll", "hosts", {"request": {}}, "hits.hits"),
    ("elasticsearch.Esql", "hosts", {"query": "FROM a"}, "columns"),
    ("elasticsearch.Put", "hosts", {"index": "i", "value": {"a": 1}}, "_id"),
    ("fivetran.connectors.Sync", "baseUrl", {"apiKey": "k", "apiSecret": "s", "connectorId": "c", "wait": False}, ""),
    ("gitlab.issues.Create", "url", {"token": "t", "projectId": "p", "title": "t"}, "id"),
    ("gitlab.mergerequests.Create", "url", BRANCHES, "id"),
    ("googleworkspace.mail.Get", "google_mail", {"accessToken": "t", "messageId": "m"}, "id"),
    ("googleworkspace.mail.List", "google_mail", {"accessToken": "t"}, ""),
    ("hightouch.Sync", "hightouch", {"token": "t", "syncId": 1}, "id"),
    ("hubspot.companies.Create", "hubspot", {**HUBSPOT, "name": "n", "domain": "d"}, "id"),
    ("hubspot.companies.Search", "hubspot", HUBSPOT, ""),
    ("jira.issues.Create", "baseUrl", {**JIRA, "projectKey": "P", "summary": "s"}, ""),
    ("kafka.ConnectorCreate", "connectUrl", {**CONNECTOR, "config": {}}, "name"),
    ("kafka.ConnectorGetStatus", "connectUrl", CONNECTOR, ""),
    ("kafka.ConnectorGetOffsets", "connectUrl", CONNECTOR, ""),
    ("kafka.ConnectorList", "connectUrl", {"expandStatus": True}, ""),
    ("kestra.executions.Delete", "kestraUrl", {"executionId": "e"}, "state.current"),
    ("linear.issues.Create", "linear", {"token": "t", "team": "T", "title": "t"}, None),
    ("linkedin.GetPostAnalytics", "apiBaseUrl", {"accessToken": "t", "activityUrns": ["u"]}, ""),
    ("notion.page.Read", "notion", {**NOTION, "pageId": PAGE}, "results"),
    ("notion.page.Archive", "notion", {**NOTION, "pageId": PAGE}, "id"),
    ("notion.database.Query", "notion", {**NOTION, "databaseId": PAGE}, ""),
    ("notion.database.Update", "notion", {**NOTION, "databaseId": PAGE, "title": "t"}, "id"),
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
    ("twilio.notify.sms.Send", "twilio", TWILIO, "sid"),
    ("zendesk.tickets.Create", "domain", {"username": "u", "token": "t", "subject": "s"}, "ticket.id"),
]
SETTINGS = {"airbyte", "airtable", "apify", "azure_management", "cloudflare", "hightouch", "hubspot", "linear"}
SETTINGS |= {"google_mail", "notion", "stripe", "twilio"}
ODD = pytest.mark.parametrize("told", [["x"], "7", {}, b"null"], ids=["list", "number", "empty", "null"])


@ODD
@pytest.mark.parametrize(("name", "where", "given", "missed"), TASKS, ids=[f"{one[0]}-{one[3]}" for one in TASKS])
async def test_an_odd_answer_ends_in_a_sentence(make_context, name, where, given, missed, told):
    def service(request):
        return Answered({"access_token": "t"} if "oauth2" in request.path else told)

    is_object = told in ({}, b"null")
    with serving(service) as wire:
        context = make_context({"providers": {one: {"base_url": wire.url} for one in ("entra", *SETTINGS)}})
        own = (
            {}
            if where in SETTINGS
            else {"connection": {"hosts": [wire.url]}}
            if where == "hosts"
            else {where: wire.url}
        )
        work = context.run(type=f"{PLUGIN}.{name}", **given, **own)
        if is_object and missed == "":
            await work
            return
        why = f"answered without `{missed}`" if missed else "."
        with pytest.raises(TaskFailed, match=why if is_object else "answered with"):
            await work


@ODD
@pytest.mark.parametrize(
    ("name", "given", "missed"),
    [
        ("gcs.List", {"from": "gs://b/"}, ""),
        ("gcs.Copy", {"from": "gs://b/a", "to": "gs://b/c"}, "rewriteToken"),
        ("bigquery.CreateDataset", {"name": "d"}, "datasetReference.datasetId"),
        ("bigquery.CreateTable", {"dataset": "d", "table": "t"}, "tableReference.projectId"),
        ("bigquery.Query", {"sql": "SELECT 1"}, "jobReference"),
        ("dataproc.clusters.Delete", {"clusterName": "c", "region": "r"}, "name"),
    ],
)
async def test_an_odd_answer_of_google_cloud_ends_in_a_sentence(make_context, gcp_service, name, given, missed, told):
    with serving(lambda request: Answered(told)) as wire:
        at = {one: {"base_url": wire.url} for one in ("gcs", "bigquery", "gcp_dataproc")}
        who = {"serviceAccount": gcp_service.service_account, "projectId": "p"}
        work = make_context({"providers": at}).run(type=f"{PLUGIN}.gcp.{name}", **who, **given)
        is_object = told in ({}, b"null")
        if is_object and not missed:
            await work
            return
        with pytest.raises(TaskFailed, match=f"answered without `{missed}`" if is_object else "answered with"):
            await work


@pytest.mark.parametrize("result", [["x"], "x", {}, None])
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("dns.records.Create", RECORD),
        ("dns.records.Get", {"apiToken": "t", "zoneId": "z", "recordId": "r"}),
        ("dns.records.Delete", {"apiToken": "t", "zoneId": "z", "recordId": "r"}),
    ],
)
async def test_an_odd_result_of_cloudflare_ends_in_a_sentence(make_context, name, given, result):
    with serving(lambda request: Answered({"success": True, "result": result})) as wire:
        context = make_context({"providers": {"cloudflare": {"base_url": wire.url}}})
        with pytest.raises(TaskFailed, match="Cloudflare answered with"):
            await context.run(type=f"{PLUGIN}.cloudflare.{name}", **given)


@ODD
@pytest.mark.parametrize(
    ("name", "given", "missed"),
    [
        ("sheets.CreateSpreadsheet", {"title": "t"}, "Google Sheets answered without `spreadsheetId`"),
        ("calendar.GetEvent", {"calendarId": "c", "eventId": "e"}, ""),
    ],
)
async def test_an_odd_answer_of_google_workspace_ends_in_a_sentence(
    make_context, gcp_service, name, given, missed, told
):
    with serving(lambda request: Answered(told)) as wire:
        at = {one: {"base_url": wire.url} for one in ("google_sheets", "google_calendar")}
        work = make_context({"providers": at}).run(
            type=f"{PLUGIN}.googleworkspace.{name}", serviceAccount=gcp_service.service_account, **given
        )
        is_object = told in ({}, b"null")
        if is_object and not missed:
            await work
            return
        with pytest.raises(TaskFailed, match=missed if is_object else "Google .* answered with no object"):
            await work


@ODD
@pytest.mark.parametrize(
    ("name", "given", "missed"),
    [
        ("athena.Query", {"query": "SELECT 1", "database": "d", "outputLocation": "s3://b/"}, "QueryExecutionId"),
        ("ecr.GetAuthToken", {}, "authorizationData"),
        ("emr.CreateServerlessApplication", {"releaseLabel": "r", "applicationType": "SPARK"}, "applicationId"),
        ("glue.StartJobRun", {"jobName": "j"}, "JobRunId"),
    ],
)
async def test_an_odd_answer_of_aws_ends_in_a_sentence(context, name, given, missed, told):
    with serving(lambda request: Answered(told)) as wire:
        who = {"endpointOverride": wire.url, "accessKeyId": "AKIA", "secretKeyId": "s", "region": "eu-central-1"}
        why = f"answered without `{missed}`" if told == {} else "answered with something"
        with pytest.raises(TaskFailed, match=why):
            await context.run(type=f"{PLUGIN}.aws.{name}", **who, **given)


def _stacks(told):
    return f"<DescribeStacksResponse><DescribeStacksResult>{told}</DescribeStacksResult></DescribeStacksResponse>"


STREAM = {"streamName": "s", "iteratorType": "TRIM_HORIZON", "maxDuration": "PT1S"}
STACK = {"stackName": "s", "templateBody": "{}"}
MADE = "<StackStatus>CREATE_COMPLETE</StackStatus>"
SHARDS = {"ListShards": {"Shards": [{"ShardId": "a"}]}, "GetShardIterator": {"ShardIterator": "i"}}
RECORD_OF_KINESIS = {"ApproximateArrivalTimestamp": 1, "PartitionKey": "p", "SequenceNumber": "1"}
UNREADABLE = "answered with an item that can't be read"
NO_ANSWER = "answered with something"


@pytest.mark.parametrize(
    ("name", "given", "told", "why"),
    [
        ("cloudformation.Create", STACK, _stacks(""), "without `Stacks`"),
        ("cloudformation.Create", STACK, _stacks(f"<Stacks><member>{MADE}</member></Stacks>"), NO_ANSWER),
        ("cloudwatch.Query", {"metricName": "m", "namespace": "n"}, {}, "without `Datapoints`"),
        ("cloudwatch.Query", {"metricName": "m", "namespace": "n"}, {"Datapoints": [{}]}, "without `Timestamp`"),
        ("eventbridge.PutEvents", {"entries": [{"source": "a"}]}, {}, "without `Entries`"),
        ("kinesis.PutRecords", {"streamName": "s", "records": [{"partitionKey": "a"}]}, {}, "without `Records`"),
        ("kinesis.Consume", STREAM, {}, "without `Shards`"),
        ("kinesis.Consume", STREAM, {"Shards": [{}]}, "without `ShardId`"),
        ("kinesis.Consume", STREAM, {**SHARDS, "GetShardIterator": {}}, "without `ShardIterator`"),
        ("kinesis.Consume", STREAM, {**SHARDS, "GetRecords": {}}, "without `Records`"),
        ("kinesis.Consume", STREAM, {**SHARDS, "GetRecords": {"Records": [{}]}}, "without `Approximate"),
        ("kinesis.Consume", STREAM, {**SHARDS, "GetRecords": {"Records": [RECORD_OF_KINESIS]}}, "without `Data`"),
        ("sqs.Consume", {"maxRecords": 1}, {"Messages": [{}]}, "without `MessageId`"),
        ("sqs.Consume", {"maxRecords": 1}, {"Messages": [{"MessageId": "a"}]}, "without `Body`"),
        ("sqs.Consume", {"maxRecords": 1}, {"Messages": [{"MessageId": "a", "Body": "b"}]}, "without `ReceiptHandle`"),
        ("sns.Publish", {"topicArn": "t", "from": {"data": "a"}}, {}, NO_ANSWER),
        ("dynamodb.Scan", {"tableName": "t"}, {}, "without `Items`"),
        ("dynamodb.Scan", {"tableName": "t"}, {"Items": [{"a": {"Q": "x"}}]}, UNREADABLE),
        ("dynamodb.GetItem", {"tableName": "t", "key": {"a": 1}}, {"Item": {"a": {}}}, UNREADABLE),
        ("s3.List", {"bucket": "b"}, "<ListBucketResult><Contents/></ListBucketResult>", "without `Key`"),
        ("s3.Upload", {"bucket": "b", "key": "k", "from": "kestra:///1/a"}, "no XML", "refused PutObject: 500"),
    ],
)
async def test_an_answer_of_aws_that_lacks_something_ends_in_a_sentence(context, name, given, told, why):
    def service(request):
        method = str(request.headers["x-amz-target"]).partition(".")[2]
        return Answered(told.get(method, told) if isinstance(told, dict) else told)

    await context.files.put(b"text", "a")
    with serving(service) as wire:
        who = {"endpointOverride": wire.url, "accessKeyId": "AKIA", "secretKeyId": "s", "region": "eu-central-1"}
        more = {"queueUrl": f"{wire.url}/queue"} if name.startswith("sqs") else {}
        with pytest.raises(TaskFailed, match=why):
            await context.run(type=f"{PLUGIN}.aws.{name}", **who, **given, **more)


async def test_an_upload_that_s3_refuses_ends_in_its_sentence(context):
    denied = "<Error><Code>AccessDenied</Code><Message>Not you.</Message></Error>"
    await context.files.put(b"text", "a")
    with serving(lambda request: Answered(denied, 403)) as wire:
        who = {"endpointOverride": wire.url, "accessKeyId": "AKIA", "secretKeyId": "s", "region": "eu-central-1"}
        place = {"bucket": "b", "key": "k", "from": "kestra:///1/a"}
        with pytest.raises(TaskFailed, match="AWS s3 refused PutObject: AccessDenied: Not you") as problem:
            await context.run(type=f"{PLUGIN}.aws.s3.Upload", **who, **place)
        assert problem.value.fix == "Check what the credentials may do."


async def test_an_object_without_an_etag_is_copied(context):
    with serving(lambda request: Answered("<CopyObjectResult/>")) as wire:
        who = {"endpointOverride": wire.url, "accessKeyId": "AKIA", "secretKeyId": "s", "region": "eu-central-1"}
        places = {"from": {"bucket": "b", "key": "k"}, "to": {"bucket": "c"}}
        assert (await context.run(type=f"{PLUGIN}.aws.s3.Copy", **who, **places)).eTag is None


AIKIDO = {"clientId": "c", "clientSecret": "s"}
OCEAN = {"apiToken": "t"}
ZONE = {"apiToken": "t", "zoneId": "z"}
QUERY = {"query": "{ Get { A { b } } }"}
DOCUMENTS = {"key": "k", "index": "i", "from": [{"a": 1}]}
LINEAR = {"token": "t", "team": "T", "title": "t"}
ITEM = {**NOTION, "databaseId": PAGE, "title": "t"}
MAIL = {"accessToken": "t"}
PODS = {"namespace": "n", "resourceType": "pods"}
POSTS = {"accessToken": "t", "activityUrns": ["u"]}
SUBSCRIBED = {"topic": "t", "subscription": "s", "maxRecords": 1}
BOARD = {**TRELLO, "boardId": "b"}


@pytest.mark.parametrize(
    ("name", "where", "given", "told", "why"),
    [
        ("aikido.containers.List", "baseUrl", AIKIDO, ["x"], "no list of objects: "),
        ("aikido.containers.List", "baseUrl", AIKIDO, {"a": 1}, "no list of objects: "),
        ("aikido.containers.Scan", "baseUrl", {**AIKIDO, "containerId": 1}, ["x"], "no object"),
        ("aikido.clouds.ListAssets", "baseUrl", AIKIDO, {"assets": {"a": 1}}, "no list of objects in `assets`"),
        ("aikido.compliance.GetReport", "baseUrl", {**AIKIDO, "framework": "SOC2"}, ["x"], "no object"),
        ("cloudflare.waf.accessrules.List", "baseUrl", ZONE, {"success": True, "result": {"a": 1}}, "no list of"),
        ("cloudflare.waf.accessrules.List", "baseUrl", ZONE, {"errors": ["x"]}, "no list of objects in `errors`"),
        ("digitalocean.droplet.List", "baseUrl", OCEAN, {"droplets": {"a": 1}}, "no list of objects in `droplets`"),
        ("digitalocean.droplet.List", "baseUrl", OCEAN, {"droplets": [], "links": ["x"]}, "no object"),
        ("digitalocean.droplet.Trigger", "baseUrl", OCEAN, {"droplets": [{}]}, "without `id`"),
        ("dropbox.files.List", "dropbox", {"accessToken": "t", "from": "/a"}, {"entries": ["x"]}, "in `entries`"),
        ("dropbox.files.Search", "dropbox", {"accessToken": "t", "query": "a"}, {"matches": {"a": 1}}, "in `matches`"),
        ("elasticsearch.Search", "hosts", {"request": {}}, {"hits": {"hits": ["x"]}}, "in `hits`"),
        ("elasticsearch.Get", "hosts", {"index": "i", "key": "k"}, {"_source": ["x"]}, "no object"),
        ("elasticsearch.Esql", "hosts", {"query": "FROM a"}, {"columns": [{}], "values": []}, "without `name`"),
        ("airbyte.connections.Sync", "url", {"connectionId": "c"}, {"job": {"id": ["x"]}}, "no number in `job.id`"),
        ("googleworkspace.mail.List", "google_mail", MAIL, {"messages": [{}]}, "without `id`"),
        ("googleworkspace.mail.Get", "google_mail", {**MAIL, "messageId": "m"}, {"payload": ["x"]}, "no object"),
        ("googleworkspace.mail.MailReceivedTrigger", "google_mail", MAIL, {"messages": "x"}, "in `messages`"),
        ("hightouch.Sync", "hightouch", {"token": "t", "syncId": 1}, {"id": {}}, "no number in `id`"),
        ("hubspot.companies.Create", "hubspot", {**HUBSPOT, "name": "n", "domain": "d"}, {"id": "x"}, "no number"),
        ("hubspot.companies.Search", "hubspot", HUBSPOT, {"results": {"a": 1}}, "no list of objects in `results`"),
        ("hubspot.companies.Search", "hubspot", HUBSPOT, {"paging": ["x"]}, "no object"),
        ("jenkins.JobInfo", "serverUri", {"jobName": "j"}, ["x"], "Jenkins answered with no object"),
        ("kafka.ConnectorGetStatus", "connectUrl", CONNECTOR, {"connector": ["x"]}, "no object"),
        ("kafka.ConnectorGetStatus", "connectUrl", CONNECTOR, {"tasks": {"a": 1}}, "no list of objects in `tasks`"),
        (
            "kubernetes.kubectl.Get",
            "cluster",
            {**PODS, "apiGroup": "apps"},
            ["x"],
            "Kubernetes answered with no object",
        ),
        ("kubernetes.kubectl.Get", "cluster", PODS, {"groups": [{}]}, "without `preferredVersion.groupVersion`"),
        ("kubernetes.kubectl.Get", "cluster", PODS, {"resources": ["x"]}, "no list of objects in `resources`"),
        ("linear.issues.Create", "linear", LINEAR, {"errors": {"a": 1}}, "no list of objects in `errors`"),
        ("linkedin.GetPostAnalytics", "apiBaseUrl", POSTS, {"elements": ["x"]}, "in `elements`"),
        ("linkedin.GetPostAnalytics", "apiBaseUrl", POSTS, {"paging": ["x"]}, "no object"),
        ("meilisearch.DocumentAdd", "url", DOCUMENTS, {"taskUid": {}}, "no number in `taskUid`"),
        ("meilisearch.DocumentAdd", "url", DOCUMENTS, {}, "answered without `taskUid`"),
        ("notion.database.CreateItem", "notion", ITEM, {"properties": ["x"]}, "no object"),
        ("notion.database.Query", "notion", {**NOTION, "databaseId": PAGE}, {"results": {"a": 1}}, "in `results`"),
        ("notion.page.UpdateTrigger", "notion", NOTION, {"results": ["x"]}, "no list of objects in `results`"),
        ("notion.page.UpdateTrigger", "notion", NOTION, {"results": [{"id": "i"}]}, "without `last_edited_time`"),
        ("trello.cards.Trigger", "apiBaseUrl", BOARD, {"a": 1}, "no list of objects: "),
        ("trello.cards.Trigger", "apiBaseUrl", BOARD, [{}], "without `id`"),
        ("weaviate.Query", "url", QUERY, ["x"], "no object"),
        ("weaviate.Query", "url", QUERY, {"data": {"Get": {"A": {"b": 1}}}}, "no list of objects in `A`"),
        ("weaviate.Query", "url", QUERY, {"errors": "x"}, "no list of objects in `errors`"),
        ("weaviate.BatchCreate", "url", {"className": "A", "objects": [{"b": 1}]}, {"a": 1}, "no list of objects"),
        ("weaviate.Delete", "url", {"className": "A"}, {"results": {"objects": [{}]}}, "without `id`"),
    ],
)
async def test_a_list_that_is_none_ends_in_a_sentence(make_context, name, where, given, told, why):
    def service(request):
        return Answered({"access_token": "t"} if request.path.endswith("/token") else told)

    with serving(service) as wire:
        context = make_context({"providers": {where: {"base_url": wire.url}}})
        is_own = where in ("dropbox", *SETTINGS)
        places = {"hosts": {"connection": {"hosts": [wire.url]}}, "cluster": {"connection": {"masterUrl": wire.url}}}
        own = {} if is_own else places.get(where, {where: wire.url})
        with pytest.raises(TaskFailed, match=why):
            await looked_or_run(context, type=f"{PLUGIN}.{name}", **given, **own)


async def test_a_list_of_drive_that_is_none_ends_in_a_sentence(make_context, gcp_service):
    for told, why in [
        ({"files": {"a": 1}}, "Google Drive answered with no list of objects in `files`"),
        ({"files": [{"id": "i"}]}, "Google Drive answered without `createdTime`"),
    ]:
        with serving(lambda request, told=told: Answered(told)) as wire:
            context = make_context({"providers": {"google_drive": {"base_url": wire.url}}})
            given = {"type": f"{PLUGIN}.googleworkspace.drive.FileCreatedTrigger"}
            with pytest.raises(TaskFailed, match=why):
                await looked_or_run(context, serviceAccount=gcp_service.service_account, **given)


@pytest.mark.parametrize(
    ("name", "where", "given", "told", "why"),
    [
        ("gcp.pubsub.Consume", "pubsub", SUBSCRIBED, ["x"], "no object"),
        ("gcp.pubsub.Consume", "pubsub", SUBSCRIBED, {"receivedMessages": [{}]}, "`ackId`"),
        ("gcp.gcs.List", "gcs", {"from": "gs://b/"}, {"items": ["x"]}, "no list of objects in `items`"),
        ("googleworkspace.calendar.ListEvents", "google_calendar", {"calendarId": "c"}, {"items": ["x"]}, "in `items`"),
    ],
)
async def test_a_list_of_google_that_is_none_ends_in_a_sentence(
    make_context, gcp_service, name, where, given, told, why
):
    with serving(lambda request: Answered(told)) as wire:
        context = make_context({"providers": {where: {"base_url": wire.url}}})
        who = {"serviceAccount": gcp_service.service_account} | ({"projectId": "p"} if name.startswith("gcp") else {})
        with pytest.raises(TaskFailed, match=why):
            await context.run(type=f"{PLUGIN}.{name}", **who, **given)


@pytest.mark.parametrize(("told", "why"), [([None], "refused: None"), (["x"], "no object"), ("7", "no object")])
async def test_an_odd_answer_of_surrealdb_ends_in_a_sentence(context, told, why):
    with serving(lambda request: Answered(told)) as wire:
        host, port = wire.url.removeprefix("http://").split(":")
        place = {"host": host, "port": int(port), "namespace": "n", "database": "d", "query": "SELECT 1"}
        with pytest.raises(TaskFailed, match=f"SurrealDB .*{why}"):
            await context.run(type=f"{PLUGIN}.surrealdb.Query", **place)


async def looked_or_run(context, **declaration):
    """What a trigger's look, or a task gives."""
    kind = catalogue().resolve(declaration)
    if not issubclass(kind, PollingTrigger):
        return await context.run(**declaration)
    return await kind.model_validate({"id": "watch", **declaration}).poll(context)
