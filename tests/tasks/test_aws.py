"""Amazon's services, spoken to through boto3; moto's server answers."""

import asyncio
import itertools
import json
import threading
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from hashlib import md5
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.aws.kinesis_shards import Shards
from tests.tasks.context import heard, in_hand, taken
from tests.wire.aws import aws
from tests.wire.certificates import self_signed
from tests.wire.loopback import Answered, serving

PLUGIN = "io.kestra.plugin.aws"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with aws() as url:
        yield url


@pytest.fixture
def at(server):
    """What every task says."""
    return {"endpointOverride": server, "accessKeyId": "AKIA", "secretKeyId": "s3cret", "region": "eu-central-1"}


async def bucket(context, at, name):
    await context.run(type=f"{PLUGIN}.s3.CreateBucket", **at, bucket=name)
    return {**at, "bucket": name}


async def test_one_object(context, at):
    at = await bucket(context, at, "one")
    source = await context.files.put(b"hello", "in.txt")
    more = {"contentType": "text/plain", "metadata": {"Made-By": "us"}, "tagging": {"team": "a b"}}
    done = await context.run(type=f"{PLUGIN}.s3.Upload", **at, from_=source, key="a/b.txt", **more)
    assert (done.bucket, done.key, len(done.eTag)) == ("one", "a/b.txt", 32)
    found = await context.run(type=f"{PLUGIN}.s3.Download", **at, key="a/b.txt")
    assert context.files.text(found.uri) == "hello"
    assert (found.contentLength, found.contentType, found.metadata) == (5, "text/plain", {"made-by": "us"})
    assert found.uri.endswith("b.txt")
    copied = await context.run(
        type=f"{PLUGIN}.s3.Copy", **{k: v for k, v in at.items() if k != "bucket"},
        from_={"bucket": "one", "key": "a/b.txt"},
        to={"bucket": "one", "key": "c.txt", "serverSideEncryption": "aws:kms", "kmsKeyId": "k1"}, delete=True,
    )  # fmt: skip
    assert copied.key == "c.txt"
    who = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "s3cret", "region_name": "eu-central-1"}
    there = boto3.client("s3", endpoint_url=at["endpointOverride"], **who).head_object(Bucket="one", Key="c.txt")
    assert (there["ServerSideEncryption"], there["SSEKMSKeyId"]) == ("aws:kms", "k1")
    with pytest.raises(TaskFailed, match=r"AWS s3 refused HeadObject: 404.*Check `bucket` and `key`"):
        await context.run(type=f"{PLUGIN}.s3.Download", **at, key="a/b.txt")
    await context.run(type=f"{PLUGIN}.s3.Delete", **at, key="c.txt")
    assert (await context.run(type=f"{PLUGIN}.s3.List", **at)).objects == []
    assert "s3cret" in context.masked


async def test_many_objects(context, at):
    at = await bucket(context, at, "many")
    uris = [await context.files.put(str(n).encode(), f"{n}.csv") for n in range(3)]
    put = await context.run(type=f"{PLUGIN}.s3.Upload", **at, from_=uris, key="in")
    assert list(put.files) == ["0.csv", "1.csv", "2.csv"]
    assert put.files["0.csv"] == {"eTag": md5(b"0").hexdigest(), "versionId": None, "contentLength": 1}
    await context.run(type=f"{PLUGIN}.s3.Upload", **at, from_=json.dumps(uris[:2]), key="more/")
    await context.run(type=f"{PLUGIN}.s3.Upload", **at, from_={"x/y.txt": uris[0]}, key="named")
    twice = await context.run(type=f"{PLUGIN}.s3.Upload", **at, from_=[uris[0], uris[0]], key="in")
    assert list(twice.files) == ["0.csv"]
    found = await context.run(type=f"{PLUGIN}.s3.List", **at, prefix="in/", regexp=r".*/[01]\.csv")
    assert [one["key"] for one in found.objects] == ["in/0.csv", "in/1.csv"]
    assert (await context.run(type=f"{PLUGIN}.s3.List", **at, maxFiles=2)).objects[1]["size"] == 1
    assert context.said("There are 6 objects; the first 2", "WARN")
    files = (await context.run(type=f"{PLUGIN}.s3.Download", **at, prefix="more/")).files
    assert {key: context.files.text(one["uri"]) for key, one in files.items()} == {"more/0.csv": "0", "more/1.csv": "1"}
    taken = await context.run(
        type=f"{PLUGIN}.s3.Downloads", **at, prefix="in/", action="MOVE", moveTo={"key": "archive/"}
    )
    assert [context.files.text(one["uri"]) for one in taken.objects] == ["0", "1", "2"]
    keys = [one["key"] for one in (await context.run(type=f"{PLUGIN}.s3.List", **at)).objects]
    assert keys == [f"archive/{n}.csv" for n in range(3)] + ["more/0.csv", "more/1.csv", "named/x/y.txt"]
    gone = await context.run(type=f"{PLUGIN}.s3.DeleteList", **at, prefix="archive/")
    assert (gone.count, gone.size) == (3, 3)
    with pytest.raises(TaskFailed, match="nothing to delete"):
        await context.run(type=f"{PLUGIN}.s3.DeleteList", **at, prefix="archive/", errorOnEmpty=True)
    with pytest.raises(TaskFailed, match=r"regular expression .* cannot be read"):
        await context.run(type=f"{PLUGIN}.s3.List", **at, regexp="(")


async def test_objects_are_not_moved_onto_themselves(context, at):
    at = await bucket(context, at, "same")
    source = await context.files.put(b"order", "order.json")
    await context.run(type=f"{PLUGIN}.s3.Upload", **at, from_=source, key="in/order.json")
    take = {"type": f"{PLUGIN}.s3.Downloads", **at, "prefix": "in/", "action": "MOVE", "moveTo": {"key": "in"}}
    assert len((await context.run(**take)).objects) == 1
    who = {name: value for name, value in at.items() if name != "bucket"}
    place = {"bucket": "same", "key": "in/order.json"}
    for to in ({"to": place}, {}):
        with pytest.raises(TaskFailed, match="copied over itself and deleted"):
            await context.run(type=f"{PLUGIN}.s3.Copy", **who, from_=place, **to, delete=True)
    assert [one["key"] for one in (await context.run(type=f"{PLUGIN}.s3.List", **at)).objects] == ["in/order.json"]


@pytest.mark.parametrize("more", [{"action": "DELETE"}, {"action": "MOVE", "moveTo": {"key": "done"}}])
async def test_objects_that_are_gone_start_an_execution_also_when_the_next_cannot_be_taken(context, at, server, more):
    at = await bucket(context, at, f"stops-{more['action'].lower()}")
    uris = [await context.files.put(name.encode(), name) for name in ("a.csv", "b.csv", "c.csv")]
    await context.run(type=f"{PLUGIN}.s3.Upload", **at, from_=uris, key="in")
    resource = f"arn:aws:s3:::{at['bucket']}/in/b.csv"
    kept = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": resource}
    client = boto3.client("s3", endpoint_url=server, aws_access_key_id="A", aws_secret_access_key="s")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [kept]})
    client.put_bucket_policy(Bucket=at["bucket"], Policy=policy)
    client.close()
    declared = {"id": "watch", "type": f"{PLUGIN}.s3.Trigger", **at, "prefix": "in/", **more}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    found = (await trigger.poll(context)).found
    assert ([one["key"] for one in found.objects], list(found.outputFiles)) == (["in/a.csv"], ["in/a.csv"])
    assert context.said("in/b.csv and what comes after it are left where they are: .*refused DeleteObject: 403", "WARN")
    context.memory = context.remembered[-1]  # the process dies now
    assert (await trigger.poll(context)).found == found
    context.memory = {}
    with pytest.raises(TaskFailed, match="refused DeleteObject: 403"):
        await trigger.poll(context)
    keys = [one["key"] for one in (await context.run(type=f"{PLUGIN}.s3.List", **at, prefix="in/")).objects]
    assert keys == ["in/b.csv", "in/c.csv"]


async def test_folders_do_not_count_among_the_objects_that_are_taken(context, at, server):
    at = await bucket(context, at, "folders")
    client = boto3.client("s3", endpoint_url=server, aws_access_key_id="A", aws_secret_access_key="s")
    for key in ("in/", "in/a/", "in/a/order.json"):
        client.put_object(Bucket="folders", Key=key)
    client.close()
    taken = await context.run(type=f"{PLUGIN}.s3.Downloads", **at, action="DELETE", maxFiles=2)
    assert [one["key"] for one in taken.objects] == ["in/a/order.json"]


async def test_the_trigger_takes_each_object_once(context, at):
    at = await bucket(context, at, "inbox")
    source = await context.files.put(b"order", "order.json")
    await context.run(type=f"{PLUGIN}.s3.Upload", **at, from_=source, key="orders/1.json")
    declared = {"id": "watch", "type": f"{PLUGIN}.s3.Trigger", **at, "prefix": "orders/", "action": "DELETE"}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    found = (await trigger.poll(context)).found
    assert context.files.text(found.objects[0]["uri"]) == "order"
    assert (await trigger.poll(context)).found is None
    await context.run(type=f"{PLUGIN}.s3.Upload", **at, from_=source, key="orders/2.json")
    stays = {**declared, "action": "NONE"}
    trigger = catalogue().resolve(stays).model_validate(stays, context={"registry": catalogue()})
    seen = await trigger.poll(context)
    assert [(one["key"], one["changeType"]) for one in seen.found.objects] == [("orders/2.json", "CREATE")]
    context.memory = seen.memory
    assert (await trigger.poll(context)).found is None
    changed = await context.files.put(b"another order", "order.json")
    await context.run(type=f"{PLUGIN}.s3.Upload", **at, from_=changed, key="orders/2.json")
    assert [one["changeType"] for one in (await trigger.poll(context)).found.objects] == ["UPDATE"]
    only_new = trigger.model_copy(update={"on": "CREATE"})
    only_new.model_fields_set.add("on")
    assert (await only_new.poll(context)).found is None
    declared |= {"action": "{{ 'BURN' }}"}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    with pytest.raises(TaskFailed, match="`action` of the trigger 'watch'"):
        await trigger.poll(context)


async def test_what_goes_wrong_is_told(context, at):
    with pytest.raises(TaskFailed, match=r"NoSuchBucket.*Check `bucket`"):
        await context.run(type=f"{PLUGIN}.s3.List", **at, bucket="nope-nope")
    closed = {**at, "endpointOverride": "http://127.0.0.1:1", "bucket": "b"}
    with pytest.raises(TaskFailed, match="could not be reached"):
        await context.run(type=f"{PLUGIN}.s3.List", **closed)
    with pytest.raises(TaskFailed, match="link-local"):
        await context.run(type=f"{PLUGIN}.s3.List", **{**at, "endpointOverride": "http://169.254.169.254"}, bucket="b")


async def test_a_role_is_taken_on(context, at):
    role = {"stsRoleArn": "arn:aws:iam::123456789012:role/reader", "stsRoleExternalId": "shop"}
    made = await context.run(type=f"{PLUGIN}.s3.CreateBucket", **at, **role, bucket="lent")
    assert (made.bucket, made.region) == ("lent", "eu-central-1")


async def test_dynamodb(context, at, server):
    client = boto3.client("dynamodb", endpoint_url=server, region_name="eu-central-1",
                          aws_access_key_id="AKIA", aws_secret_access_key="s3cret")  # fmt: skip
    client.create_table(
        TableName="people", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
    )  # fmt: skip
    client.close()
    at = {**at, "tableName": "people"}
    item = {"id": 1, "name": "Ann", "price": 1.5, "tags": ["a"], "nested": {"x": None, "y": True}}
    await context.run(type=f"{PLUGIN}.dynamodb.PutItem", **at, item=item)
    await context.run(type=f"{PLUGIN}.dynamodb.PutItem", **at, item='{"id": 2, "name": "Bob"}')
    found = await context.run(type=f"{PLUGIN}.dynamodb.GetItem", **at, key={"id": 1})
    assert found.row == item
    assert (await context.run(type=f"{PLUGIN}.dynamodb.GetItem", **at, key={"id": 9})).row is None
    values = {":id": 2}
    query = {"keyConditionExpression": "id = :id", "expressionAttributeValues": values, "fetchType": "FETCH_ONE"}
    assert (await context.run(type=f"{PLUGIN}.dynamodb.Query", **at, **query)).row == {"id": 2, "name": "Bob"}
    scan = {"filterExpression": "begins_with(#n, :n)", "expressionAttributeValues": {":n": "A"}, "fetchType": "FETCH"}
    names = {"expressionAttributeNames": {"#n": "name"}}
    assert (await context.run(type=f"{PLUGIN}.dynamodb.Scan", **at, **scan, **names)).rows == [item]
    stored = await context.run(type=f"{PLUGIN}.dynamodb.Scan", **at)
    assert (stored.size, len(context.files.text(stored.uri).splitlines())) == (2, 2)
    await context.run(type=f"{PLUGIN}.dynamodb.DeleteItem", **at, key={"id": 1})
    assert (await context.run(type=f"{PLUGIN}.dynamodb.Scan", **at)).size == 1
    with pytest.raises(TaskFailed, match="ResourceNotFoundException"):
        await context.run(type=f"{PLUGIN}.dynamodb.GetItem", **{**at, "tableName": "nope"}, key={"id": 1})


async def test_queues_and_topics(context, at, server):
    who = {
        "endpoint_url": server,
        "region_name": "eu-central-1",
        "aws_access_key_id": "A",
        "aws_secret_access_key": "s",
    }
    sqs, sns = boto3.client("sqs", **who), boto3.client("sns", **who)
    url = sqs.create_queue(QueueName="work")["QueueUrl"]
    arn = sns.create_topic(Name="news")["TopicArn"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    send = {"type": f"{PLUGIN}.sqs.Publish", **at, "queueUrl": url}
    done = await context.run(**send, from_=[{"data": "one"}, {"data": {"n": 2}, "delaySeconds": 0}])
    assert done.messagesCount == 2
    rows = await context.files.put(b'{"data": "three"}\n', "rows.jsonl")
    await context.run(**send, from_=rows)
    await context.run(type=f"{PLUGIN}.sns.Publish", **at, topicArn=arn, from_={"data": "four", "subject": "S"})
    read = {**at, "queueUrl": url, "maxRecords": 10, "maxDuration": "PT1S"}
    found = await context.run(type=f"{PLUGIN}.sqs.Consume", **read)
    texts = {json.loads(line) for line in context.files.text(found.uri).splitlines()}
    assert (found.count, texts) == (4, {"one", '{"n": 2}', "three", "four"})

    def all_gone():
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return all(left[name] == "0" for name in names)

    declared = {"id": "watch", "type": f"{PLUGIN}.sqs.Trigger", **read, "serdeType": "JSON"}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert await taken(trigger, context) is None
    await context.run(**send, from_={"data": {"n": 5}})
    look = await trigger.poll(context)
    assert (json.loads(context.files.text(look.found.uri)), all_gone()) == ({"n": 5}, False)
    assert (await anext(look.taking, None), all_gone()) == (None, True)
    await context.run(**send, from_=[{"data": {"n": 6}}, {"data": "no JSON"}])

    ears = {"type": f"{PLUGIN}.sqs.RealtimeTrigger", **at, "queueUrl": url, "serdeType": "JSON", "waitTime": "PT1S"}
    messages = await heard(context, 2, **ears, acknowledged=all_gone)
    assert sorted(str(one.variables["data"]) for one in messages) == ["no JSON", "{'n': 6}"]
    assert sorted(one.problem is None for one in messages) == [False, True]
    assert len({one.key for one in messages}) == 2
    for client in (sqs, sns):
        client.close()


async def test_messages_are_taken_out_when_they_are_stored(context, at, server, monkeypatch):
    sqs = boto3.client("sqs", endpoint_url=server, region_name="eu-central-1",
                       aws_access_key_id="A", aws_secret_access_key="s")  # fmt: skip
    url = sqs.create_queue(QueueName="careful")["QueueUrl"]
    for body in ('{"n": 1}', "no JSON"):
        sqs.send_message(QueueUrl=url, MessageBody=body)

    def left():
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return sum(int(n) for n in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())

    read = {"type": f"{PLUGIN}.sqs.Consume", **at, "queueUrl": url, "maxDuration": "PT50S"}
    seconds = itertools.count(0, 10)
    monkeypatch.setattr("engine.tasks.aws.sqs.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    monkeypatch.setattr("engine.tasks.aws.sqs.LONGEST_WAIT", 0)
    monkeypatch.setattr("engine.tasks.message_files.time", SimpleNamespace(monotonic=lambda: 0))
    with pytest.raises(TaskFailed, match="A message is not JSON: 'no JSON'"):
        await context.run(**read, serdeType="JSON")
    assert left() == 2
    sqs.close()


async def test_events_and_streams(context, at, server):
    kinesis = boto3.client("kinesis", endpoint_url=server, region_name="eu-central-1",
                           aws_access_key_id="A", aws_secret_access_key="s")  # fmt: skip
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    records = [{"partitionKey": "a", "data": "x"}, {"partitionKey": "b", "data": {"n": 1}}]
    done = await context.run(type=f"{PLUGIN}.kinesis.PutRecords", **at, streamName="clicks", records=records)
    assert (done.recordCount, done.failedRecordsCount) == (2, 0)
    shard = kinesis.get_shard_iterator(
        StreamName="clicks", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    found = kinesis.get_records(ShardIterator=shard["ShardIterator"])["Records"]
    assert [one["Data"] for one in found] == [b"x", b'{"n": 1}']
    kinesis.close()
    entries = [{"source": "shop", "detailType": "sold", "eventBusName": "default", "detail": {"n": 1}}]
    done = await context.run(type=f"{PLUGIN}.eventbridge.PutEvents", **at, entries=entries)
    assert (done.entryCount, done.failedEntryCount) == (1, 0)
    token = await context.run(type=f"{PLUGIN}.ecr.GetAuthToken", **at)
    assert token.token
    assert token.token in context.masked


async def test_lambda(context, at):
    """Running code needs containers that moto would start; here Lambda's own protocol is answered."""
    from tests.wire.loopback import Answered, serving

    def handle(request):
        assert request.path == "/2015-03-31/functions/adder/invocations"
        if request.json.get("fail"):
            body = json.dumps({"errorMessage": "boom", "errorType": "KeyError"}).encode()
            return Answered(body, 200, {"X-Amz-Function-Error": "Unhandled", "Content-Type": "application/json"})
        return Answered({"sum": request.json["a"] + 1})

    with serving(handle) as service:
        invoke = {"type": f"{PLUGIN}.lambda.Invoke", **at, "endpointOverride": service.url, "functionArn": "adder"}
        found = await context.run(**invoke, functionPayload={"a": 1})
        assert json.loads(context.files.text(found.uri)) == {"sum": 2}
        assert (found.contentType, found.contentLength) == ("application/json", 10)
        with pytest.raises(TaskFailed, match=r"adder failed: KeyError: boom"):
            await context.run(**invoke, functionPayload={"fail": True})


async def test_clusters(context, at, server):
    emr = boto3.client("emr", endpoint_url=server, region_name="eu-central-1",
                       aws_access_key_id="A", aws_secret_access_key="s")  # fmt: skip
    step = {"name": "count", "jar": "command-runner.jar", "actionOnFailure": "CONTINUE"}
    step["commands"] = ["spark-submit s3://jobs/count.py --to s3://out"]
    given = {"clusterName": "nightly", "masterInstanceType": "m5.xlarge", "slaveInstanceType": "m5.xlarge"}
    given |= {"instanceCount": 3, "applications": ["Spark"], "keepJobFlowAliveWhenNoSteps": True, "wait": True}
    kind = f"{PLUGIN}.emr.CreateClusterAndSubmitSteps"
    made = await context.run(type=kind, **at, **given, steps=[step], completionCheckInterval="PT0.1S")
    about = emr.describe_cluster(ClusterId=made.jobFlowId)["Cluster"]
    assert (about["Name"], about["Status"]["State"]) == ("nightly", "WAITING")
    await context.run(
        type=f"{PLUGIN}.emr.SubmitSteps", **at, clusterId=made.jobFlowId, steps=[{**step, "mainClass": "M"}]
    )
    steps = emr.list_steps(ClusterId=made.jobFlowId)["Steps"]
    assert [one["Config"]["Args"] for one in steps] == [["spark-submit", "s3://jobs/count.py", "--to", "s3://out"]] * 2
    await context.run(type=f"{PLUGIN}.emr.DeleteCluster", **at, clusterIds=[made.jobFlowId])
    assert emr.describe_cluster(ClusterId=made.jobFlowId)["Cluster"]["Status"]["State"] == "TERMINATED"
    emr.close()


async def test_jobs_without_a_cluster(context, at, server):
    emr = boto3.client("emr-serverless", endpoint_url=server, region_name="eu-central-1",
                       aws_access_key_id="A", aws_secret_access_key="s")  # fmt: skip
    plugin = f"{PLUGIN}.emr"
    kind = {"releaseLabel": "emr-7.0.0", "applicationType": "SPARK"}
    role = "arn:aws:iam::123456789012:role/jobs"
    job = {"executionRoleArn": role, "jobName": "count", "entryPoint": "s3://jobs/count.py"}
    made = await context.run(type=f"{plugin}.CreateServerlessApplication", **at, **kind)
    about = emr.get_application(applicationId=made.applicationId)["application"]
    assert (about["releaseLabel"], about["type"]) == ("emr-7.0.0", "Spark")  # as Amazon spells it
    begun = await context.run(type=f"{plugin}.StartServerlessJobRun", **at, applicationId=made.applicationId, **job)
    seen = emr.get_job_run(applicationId=made.applicationId, jobRunId=begun.jobRunId)["jobRun"]
    assert (seen["name"], seen["executionRole"]) == ("count", role)
    assert seen["jobDriver"] == {"sparkSubmit": {"entryPoint": "s3://jobs/count.py"}}
    both = {"type": f"{plugin}.CreateServerlessApplicationAndStartJob", **at, **job, **kind}
    ran = await context.run(**{**both, "applicationType": "HIVE", "entryPoint": "SELECT 1"})
    seen = emr.get_job_run(applicationId=ran.applicationId, jobRunId=ran.jobRunId)["jobRun"]
    assert seen["jobDriver"] == {"hive": {"query": "SELECT 1"}}
    assert (await context.run(**both)).applicationId != ran.applicationId
    with pytest.raises(TaskFailed, match="`applicationType` 'FLINK' is none"):
        await context.run(**{**both, "applicationType": "FLINK"})
    gone = {"type": f"{plugin}.DeleteServerlessApplication", **at}
    for one in (made.applicationId, ran.applicationId):
        emr.stop_application(applicationId=one)
    await context.run(**gone, applicationIds=[made.applicationId, ran.applicationId])
    with pytest.raises(TaskFailed, match="refused DeleteApplication"):
        await context.run(**gone, applicationIds=["00unknown"])
    emr.close()


async def test_athena(context, at, server):
    kinds = {"path": "varchar", "visits": "bigint", "share": "double", "new": "boolean"}
    data = [[{"VarCharValue": name} for name in kinds]]
    data += [[{"VarCharValue": text} for text in ("/", "7", "0.5", "true")], [{"VarCharValue": "/a"}, {}, {}, {}]]
    columns = [{"Name": name, "Type": kind, "Nullable": "UNKNOWN"} for name, kind in kinds.items()]
    results = {"results": [{"rows": [{"Data": row} for row in data], "column_info": columns}] * 3}
    where = f"{server}/moto-api/static/athena/query-results"
    answer = await context.http.post(where, json={"account_id": "123456789012", "region": "eu-central-1", **results})
    assert answer.status_code == 201
    ask = {"type": f"{PLUGIN}.athena.Query", **at, "database": "weblogs", "outputLocation": "s3://out"}
    rows = [
        {"path": "/", "visits": 7, "share": 0.5, "new": True},
        {"path": "/a", "visits": None, "share": None, "new": None},
    ]
    found = await context.run(**ask, query="SELECT 1", fetchType="FETCH")
    assert (found.rows, found.size, len(found.queryExecutionId)) == (rows, 2, 36)
    assert (await context.run(**ask, query="SELECT 2", fetchType="FETCH_ONE")).row == rows[0]
    stored = await context.run(**ask, query="SELECT 3", catalog="AwsDataCatalog")
    assert [json.loads(line) for line in context.files.text(stored.uri).splitlines()] == rows
    assert (await context.run(**ask, query="SELECT 4", fetchType="NONE")).rows is None


async def test_minio(context, server, at):
    """The same tasks at an address of their own, which says no region."""
    minio = "io.kestra.plugin.minio"
    at = {"endpoint": server, "accessKeyId": "AKIA", "secretKeyId": "s3cret", "bucket": "mini"}
    for _ in range(2):  # the second time it is there
        assert (await context.run(type=f"{minio}.CreateBucket", **at)).bucket == "mini"
    uris = [await context.files.put(str(n).encode(), f"{n}.csv") for n in range(3)]
    await context.run(type=f"{minio}.Upload", **at, from_=uris, key="in")
    assert context.files.text((await context.run(type=f"{minio}.Download", **at, key="in/1.csv")).uri) == "1"
    objects = (await context.run(type=f"{minio}.List", **at, startAfter="in/0.csv", regexp=r".*\.csv")).objects
    assert [one["key"] for one in objects] == ["in/1.csv", "in/2.csv"]
    assert (await context.run(type=f"{minio}.List", **at, recursive=False)).objects == []
    places = {"from_": {"bucket": "mini", "key": "in/0.csv"}, "to": {"bucket": "mini", "key": "out/0.csv"}}
    where = {name: value for name, value in at.items() if name != "bucket"}
    assert (await context.run(type=f"{minio}.Copy", **where, **places, delete=True)).key == "out/0.csv"
    gone = await context.run(type=f"{minio}.Delete", **at, key="out/0.csv")
    assert (gone.bucket, gone.key) == ("mini", "out/0.csv")
    declared = {"id": "watch", "type": f"{minio}.Trigger", **at, "prefix": "in/1", "action": "DELETE"}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert [one["key"] for one in (await trigger.poll(context)).found.objects] == ["in/1.csv"]
    assert (await trigger.poll(context)).found is None
    assert len((await context.run(type=f"{minio}.Downloads", **at)).objects) == 1
    assert (await context.run(type=f"{minio}.DeleteList", **at)).count == 1
    with pytest.raises(TaskFailed, match=r"MinIO s3 refused HeadObject: 404"):
        await context.run(type=f"{minio}.Download", **at, key="none")
    assert "s3cret" in context.masked


async def test_minio_lists_all_there_is_and_every_version(context, server):
    minio = "io.kestra.plugin.minio"
    at = {"endpoint": server, "accessKeyId": "AKIA", "secretKeyId": "s3cret", "bucket": "thirty"}
    await context.run(type=f"{minio}.CreateBucket", **at)
    uris = [await context.files.put(str(n).encode(), f"{n:02}.csv") for n in range(30)]
    await context.run(type=f"{minio}.Upload", **at, from_=uris, key="in")
    listed = (await context.run(type=f"{minio}.List", **at)).objects
    assert (len(listed), listed[0]["etag"]) == (30, md5(b"0").hexdigest())
    assert len((await context.run(type=f"{minio}.List", **at, maxFiles=2)).objects) == 2
    assert len((await context.run(type=f"{minio}.Downloads", **at, action="NONE")).objects) == 30
    client = boto3.client("s3", endpoint_url=server, aws_access_key_id="A", aws_secret_access_key="s")
    client.put_bucket_versioning(Bucket="thirty", VersioningConfiguration={"Status": "Enabled"})
    await context.run(type=f"{minio}.Upload", **at, from_=uris[1], key="in/00.csv")
    ask = {"type": f"{minio}.List", **at, "regexp": "in/0[01].csv"}
    named = [one["key"] for one in (await context.run(**ask)).objects]
    assert sorted(named) == ["in/00.csv", "in/00.csv", "in/01.csv"]
    newest = (await context.run(**ask, includeVersions=False)).objects
    assert [(one["key"], one["etag"]) for one in newest] == [(f"in/0{n}.csv", md5(b"1").hexdigest()) for n in (0, 1)]


async def test_minio_without_versions(context):
    def handle(request):
        if "versions" in request.query:
            return Answered(b"<Error><Code>NotImplemented</Code><Message>No.</Message></Error>", 501)
        return empty(request)

    with serving(handle) as wire:
        at = {"endpoint": wire.url, "bucket": "b", "accessKeyId": "AKIA", "secretKeyId": "s3cret"}
        assert (await context.run(type="io.kestra.plugin.minio.List", **at)).objects == []
        assert "list-type" in wire.last.query


def empty(_):
    return Answered(
        b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name></ListBucketResult>'
    )


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
async def test_minio_with_certificates_of_its_own(context, tmp_path):
    """What is trusted is what the task says: nobody else's certificate, or anybody's."""
    tls = self_signed(tmp_path)
    certificate = (tmp_path / "server.pem").read_text().partition("-----END PRIVATE KEY-----\n")[2]
    with serving(empty) as wire:
        wire.server.socket = tls.wrap_socket(wire.server.socket, server_side=True)
        at = {"type": "io.kestra.plugin.minio.List", "endpoint": wire.url.replace("http", "https"), "bucket": "b"}
        at |= {"accessKeyId": "A", "secretKeyId": "B"}
        with pytest.raises(TaskFailed, match="MinIO s3 could not be reached: SSL validation failed"):
            await context.run(**at)
        assert (await context.run(**at, caPem=certificate)).objects == []
        assert (await context.run(**at, ssl={"insecureTrustAllCertificates": True})).objects == []


async def test_metrics_of_ones_own(context, at):
    here = {**at, "namespace": "Custom/Shop"}
    push = {"type": f"{PLUGIN}.cloudwatch.Push", **here}
    points = [
        {"metricName": "Orders", "value": "{{ 40 + 2 }}", "unit": "Count", "dimensions": {"env": "prod"}},
        {"metricName": "Orders", "value": 8, "unit": "Count", "dimensions": {"env": "prod"}},
    ]
    assert (await context.run(**push, metrics=points)).count == 2
    asked = {**here, "metricName": "Orders", "statistic": "Sum", "dimensions": [{"name": "env", "value": "prod"}]}
    found = await context.run(type=f"{PLUGIN}.cloudwatch.Query", **asked, periodSeconds=300, window="PT1H")
    assert (found.count, sum(point["Sum"] for point in found.series)) == (len(found.series), 50)
    assert found.series[0]["Timestamp"].endswith("Z")
    declared = {"id": "watch", "type": f"{PLUGIN}.cloudwatch.Trigger", **asked, "metricName": "{{ 'Orders' }}"}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert (await trigger.poll(context)).count >= 1
    none = trigger.model_copy(update={"metric_name": "Others"})
    assert await none.poll(context) is None


@pytest.mark.usefixtures("young_heap")
async def test_records_go_to_the_file_as_they_come(context, at, monkeypatch):
    numbers = itertools.count()

    async def read(_, most):
        return [{"sequenceNumber": next(numbers), "data": ["text"]}][:most]

    monkeypatch.setattr(Shards, "read", read)
    place = "engine.tasks.aws.kinesis_shards.Shards.read"
    held = in_hand(monkeypatch, place, lambda one: type(one) is dict and "sequenceNumber" in one)
    declared = {"type": f"{PLUGIN}.kinesis.Consume", **at, "streamName": "many", "pollDuration": "PT0.001S"}
    found = await context.run(**declared, maxRecords=9)
    rows = [json.loads(line)["sequenceNumber"] for line in context.files.text(found.uri).splitlines()]
    assert (rows, max(held)) == (list(range(9)), 1)


async def test_a_stream_is_read_on(context, at, server):
    kinesis = boto3.client("kinesis", endpoint_url=server, region_name="eu-central-1",
                           aws_access_key_id="A", aws_secret_access_key="s")  # fmt: skip
    kinesis.create_stream(StreamName="steps", ShardCount=2)
    here = {**at, "streamName": "steps", "pollDuration": "PT0.01S"}
    put = {"type": f"{PLUGIN}.kinesis.PutRecords", **at, "streamName": "steps"}
    rows = [{"partitionKey": f"p{n}", "data": {"n": n}} for n in range(20)]
    await context.run(**put, records=rows)
    read = {"type": f"{PLUGIN}.kinesis.Consume", **here, "iteratorType": "TRIM_HORIZON"}

    def numbers(found):
        return sorted(json.loads(json.loads(line)["data"])["n"] for line in context.files.text(found.uri).splitlines())

    found = await context.run(**read, maxDuration="PT0.5S")
    assert (found.count, numbers(found)) == (20, list(range(20)))
    assert sorted(found.lastSequencePerShard) == ["shardId-000000000000", "shardId-000000000001"]
    assert (await context.run(**read, maxRecords=3)).count == 3
    assert (await context.run(**{**read, "iteratorType": "LATEST"}, maxDuration="PT0.1S")).count == 0
    with pytest.raises(TaskFailed, match="Give `startingSequenceNumber`"):
        await context.run(**{**read, "iteratorType": "AT_SEQUENCE_NUMBER"})

    async def look(trigger):
        seen = await trigger.poll(context)
        context.memory = json.loads(json.dumps(seen.memory))  # as the store keeps it
        return numbers(seen.found) if seen.found else []

    for start, first in (("LATEST", []), ("TRIM_HORIZON", list(range(20)))):
        context.memory = {}
        declared = {"id": "t", "type": f"{PLUGIN}.kinesis.Trigger", **here, "iteratorType": start}
        trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
        assert await look(trigger) == first
        await context.run(**put, records=[{"partitionKey": "a", "data": {"n": 30}}])
        assert await look(trigger) == [30]
        assert await look(trigger) == []
        if start == "LATEST":
            kinesis.delete_stream(StreamName="steps")
            kinesis.create_stream(StreamName="steps", ShardCount=2)
            await context.run(**put, records=rows)
    ears = {"type": f"{PLUGIN}.kinesis.RealtimeTrigger", **at, "streamName": "steps", "iteratorType": "TRIM_HORIZON"}
    messages = await heard(context, 21, **ears)
    assert len({one.key for one in messages}) == 21
    assert messages[0].variables["shardId"].startswith("shardId-")
    kinesis.close()


async def test_jobs_of_glue(context, at):
    """moto's jobs run for nothing; Glue's own words are answered here where a run goes wrong."""
    states = iter(["RUNNING", "FAILED"])

    def handle(request):
        called = request.headers["X-Amz-Target"].partition(".")[2]
        if called == "StartJobRun":
            assert request.json == {"JobName": "nightly", "Arguments": {"--day": "1"}, "Timeout": 2}
            return Answered({"JobRunId": "jr_1"})
        if called == "BatchStopJobRun":
            assert request.json == {"JobName": "nightly", "JobRunIds": ["jr_1"]}
            return Answered({"SuccessfulSubmissions": [{"JobName": "nightly", "JobRunId": "jr_1"}], "Errors": []})
        state = next(states, "STOPPED")
        about = {"JobRunState": state, "StartedOn": 1767225600, "ExecutionTime": 7, "Attempt": 0}
        return Answered({"JobRun": about | ({"ErrorMessage": "out of disk"} if state == "FAILED" else {})})

    with serving(handle) as service:
        job = {**at, "endpointOverride": service.url, "jobName": "nightly", "interval": "PT0.01S"}
        start = {"type": f"{PLUGIN}.glue.StartJobRun", **job, "arguments": {"--day": 1}, "maxDuration": "PT90S"}
        with pytest.raises(TaskFailed, match=r"jr_1 of nightly ended as FAILED\. out of disk") as failed:
            await context.run(**start)
        assert failed.value.outputs["state"] == "FAILED"
        stopped = await context.run(type=f"{PLUGIN}.glue.StopJobRun", **job, jobRunId="jr_1")
        assert (stopped.state, stopped.executionTime, stopped.startedOn[:10]) == ("STOPPED", 7, "2026-01-01")
        del job["interval"]
        assert (await context.run(type=f"{PLUGIN}.glue.GetJobRun", **job, jobRunId="jr_1")).state == "STOPPED"


async def test_a_killed_run_of_glue_stays_killed_when_it_can_not_be_stopped(context, at):
    loop = asyncio.get_running_loop()

    def handle(request):
        called = request.headers["X-Amz-Target"].partition(".")[2]
        if called == "StartJobRun":
            return Answered({"JobRunId": "jr_1"})
        if called == "BatchStopJobRun":
            return Answered({"Errors": [{"JobName": "nightly", "ErrorDetail": {"ErrorMessage": "it has ended"}}]})
        loop.call_soon_threadsafe(running.cancel)
        return Answered({"JobRun": {"JobRunState": "RUNNING"}})

    with serving(handle) as service:
        job = {"type": f"{PLUGIN}.glue.StartJobRun", **at, "endpointOverride": service.url, "jobName": "nightly"}
        running = asyncio.ensure_future(context.run(**job))
        with pytest.raises(asyncio.CancelledError):
            await running
    assert context.said("The run jr_1 may still run: .*it has ended", "WARN")


async def test_a_killed_task_terminates_its_cluster_of_emr(context, at):
    loop, sent = asyncio.get_running_loop(), []

    def handle(request):
        called = request.headers["X-Amz-Target"].partition(".")[2]
        sent.append((called, request.json))
        if called == "RunJobFlow":
            return Answered({"JobFlowId": "j-1"})
        if called == "DescribeCluster":
            loop.call_soon_threadsafe(running.cancel)
            return Answered({"Cluster": {"Status": {"State": "RUNNING"}}})
        return Answered({})

    machines = {"masterInstanceType": "m5.xlarge", "slaveInstanceType": "m5.xlarge", "instanceCount": 1}
    with serving(handle) as service:
        cluster = {"type": f"{PLUGIN}.emr.CreateClusterAndSubmitSteps", "clusterName": "nightly", "wait": True}
        there = {**at, "endpointOverride": service.url}
        running = asyncio.ensure_future(context.run(**cluster, **machines, **there))
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [called for called, _ in sent] == ["RunJobFlow", "DescribeCluster", "TerminateJobFlows"]
    assert sent[-1][1] == {"JobFlowIds": ["j-1"]}
    assert context.said("The cluster j-1 is stopped")


@pytest.mark.parametrize(
    ("name", "given", "called"),
    [
        ("sqs.Consume", {"queueUrl": "http://queue/1", "maxDuration": "PT1H"}, {"Messages": []}),
        ("dynamodb.Scan", {"tableName": "t"}, {"Items": [], "LastEvaluatedKey": {"id": {"S": "1"}}}),
    ],
)
async def test_a_killed_task_asks_for_nothing_more(context, at, name, given, called):
    loop, killed = asyncio.get_running_loop(), threading.Event()

    def handle(request):
        if killed.is_set():
            return Answered({"__type": "AccessDeniedException"}, 400)
        loop.call_soon_threadsafe(running.cancel)
        killed.wait(30)
        return Answered(called)

    with serving(handle) as service:
        asked = {"type": f"{PLUGIN}.{name}", **at, "endpointOverride": service.url, **given}
        running = asyncio.ensure_future(context.run(**asked))
        with pytest.raises(asyncio.CancelledError):
            await running
        killed.set()
        for thread in threading.enumerate():
            if thread.name == "parley-blocking":
                await asyncio.to_thread(thread.join, 30)
        assert len(service.requests) == 1


TEMPLATE = """
Parameters:
  Name: {Type: String}
Resources:
  Kept:
    Type: AWS::S3::Bucket
    Properties: {BucketName: !Ref Name}
Outputs:
  Bucket: {Value: !Ref Kept}
"""


async def test_stacks(context, at):
    stack = {**at, "stackName": "kept"}
    make = {"type": f"{PLUGIN}.cloudformation.Create", **stack, "templateBody": TEMPLATE}
    made = await context.run(**make, parameters={"Name": "kept-1"})
    assert made.stackOutputs == {"Bucket": "kept-1"}
    assert ":stack/kept/" in made.stackId
    again = await context.run(**make, parameters={"Name": "kept-2"})
    assert (again.stackId, again.stackOutputs) == (made.stackId, {"Bucket": "kept-2"})
    await context.run(type=f"{PLUGIN}.cloudformation.Delete", **stack)
    with pytest.raises(TaskFailed, match="AWS cloudformation refused CreateStack"):
        await context.run(**make)


async def test_a_token_for_a_cluster(context, at):
    token = (await context.run(type=f"{PLUGIN}.auth.EksToken", **at, clusterName="shop")).token
    kind, _, coded = token["tokenValue"].partition(".")
    url = urlsplit(urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode())
    asked = parse_qs(url.query)
    assert (kind, url.hostname) == ("k8s-aws-v1", "sts.eu-central-1.amazonaws.com")
    assert asked["Action"] == ["GetCallerIdentity"]
    assert asked["X-Amz-SignedHeaders"] == ["host;x-k8s-aws-id"]
    assert asked["X-Amz-Expires"] == ["600"]
    assert token["tokenValue"] in context.masked
    with pytest.raises(TaskFailed, match="Give `region`"):
        await context.run(type=f"{PLUGIN}.auth.EksToken", **{**at, "region": None}, clusterName="shop")


def test_every_task_of_aws_knows_the_properties_of_a_connection():
    named = {"compatibilityMode": True, "forcePathStyle": True}
    found = [cls for cls in catalogue().classes() if cls.type_names()[0].startswith(f"{PLUGIN}.")]
    assert len(found) > 40
    for cls in found:
        assert named.keys() <= {field.alias for field in cls.model_fields.values()}, cls.type_names()[0]


@pytest.mark.parametrize(("style", "expected"), [(True, "s3.eu-central-1.amazonaws.com/one"), (False, "one.s3")])
async def test_a_bucket_stands_in_the_path_or_in_the_host(context, style, expected):
    who = {"access_key_id": "AKIA", "secret_key_id": "s3cret", "region": "eu-central-1"}
    client = await AwsConnected(**who, force_path_style=style).client(context, "s3")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "one", "Key": "a.txt"})
    client.close()
    assert url.startswith(f"https://{expected}")
