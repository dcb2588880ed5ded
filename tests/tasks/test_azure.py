"""Blobs in Azure Storage: Microsoft's own emulator answers."""

import asyncio
import threading
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha256

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ContentSettings,
    ResourceTypes,
    generate_account_sas,
)

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.wire.azurite import ACCOUNT, KEY, azurite
from tests.wire.loopback import Answered, serving

BLOB, ADLS = "io.kestra.plugin.azure.storage.blob", "io.kestra.plugin.azure.storage.adls"

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with azurite(tmp_path_factory.mktemp("azurite")) as found:
        yield found


@pytest.fixture
def who(endpoint):
    return {"endpoint": endpoint, "sharedKeyAccountName": ACCOUNT, "sharedKeyAccountAccessKey": KEY}


@pytest.fixture
def containers(endpoint, request):
    """Two containers of the test's own."""
    name = request.node.name.replace("_", "-")[:50].strip("-")
    with BlobServiceClient(endpoint, credential=KEY) as client:
        for one in ("in", "out"):
            client.create_container(f"{name}-{one}")
    return f"{name}-in", f"{name}-out"


async def test_blobs_there_and_back(context, who, containers, endpoint):
    inbox, archive = containers
    uri = await context.files.put(b"1;2\n", "report.csv")
    given = {"container": inbox, "from_": uri, "name": "2026/report.csv", "metadata": {"team": "ops"}}
    done = await context.run(type=f"{BLOB}.Upload", **who, **given, accessTier="COOL")
    assert (done.blob["name"], done.blob["size"]) == ("2026/report.csv", 4)
    with BlobServiceClient(endpoint, credential=KEY) as client:
        about = client.get_blob_client(inbox, "2026/report.csv").get_blob_properties()
        assert (about.metadata, about.blob_tier) == ({"team": "ops"}, "Cool")
    connection = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"
    place = {"container": inbox, "name": "2026/report.csv"}
    found = await context.run(type=f"{BLOB}.Download", connectionString=connection, **place)
    assert context.files.text(found.blob["uri"]) == "1;2\n"
    assert {KEY, connection} <= context.masked
    copy = {"type": f"{BLOB}.Copy", "from_": place, "to": {"container": archive, "name": "b.csv"}}
    copied = await context.run(**copy, **who, delete=True)
    assert (copied.blob["container"], copied.blob["name"], copied.blob["size"]) == (archive, "b.csv", 4)
    gone = {"type": f"{BLOB}.Delete", **who, **place}
    assert not (await context.run(**gone)).deleted
    with pytest.raises(TaskFailed, match="There is no blob"):
        await context.run(**gone, errorOnMissing=True)
    assert (await context.run(type=f"{BLOB}.Delete", **who, container=archive, name="b.csv")).deleted
    with pytest.raises(TaskFailed, match="Azure answered BlobNotFound"):
        await context.run(type=f"{BLOB}.Download", **who, **place)


async def test_blobs_are_listed_taken_and_deleted(context, who, containers, endpoint):
    inbox, archive = containers
    with BlobServiceClient(endpoint, credential=KEY) as client:
        for name in ("in/a.csv", "in/b.csv", "in/c.txt", "in/old/d.csv"):
            client.get_blob_client(inbox, name).upload_blob(name.encode())

    async def names(**more):
        found = await context.run(type=f"{BLOB}.List", **who, container=inbox, prefix="in/", **more)
        return [blob["name"] for blob in found.blobs]

    assert await names() == ["in/a.csv", "in/b.csv", "in/c.txt", "in/old/d.csv"]
    assert await names(delimiter="/", filter="BOTH") == ["in/a.csv", "in/b.csv", "in/c.txt", "in/old/"]
    assert await names(regexp=r".*\.csv", maxFiles=2) == ["in/a.csv", "in/b.csv"]
    take = {"type": f"{BLOB}.Downloads", **who, "container": inbox, "prefix": "in/", "regexp": r"in/[ab]\.csv"}
    found = await context.run(**take, action="MOVE", moveTo={"container": archive, "name": "done/"})
    assert [context.files.text(blob["uri"]) for blob in found.blobs] == ["in/a.csv", "in/b.csv"]
    with BlobServiceClient(endpoint, credential=KEY) as client:
        kept = [blob.name for blob in client.get_container_client(archive).list_blobs()]
    assert kept == ["done/a.csv", "done/b.csv"]
    with pytest.raises(TaskFailed, match="where to move"):
        await context.run(**take, action="MOVE")
    there = {"type": f"{BLOB}.Downloads", **who, "container": archive}
    await context.run(**there, action="MOVE", moveTo={"container": archive, "name": "done"})
    with BlobServiceClient(endpoint, credential=KEY) as client:
        client.get_blob_client(archive, "a/").upload_blob(b"")
    found = await context.run(**there, action="DELETE", maxFiles=2)
    assert [blob["name"] for blob in found.blobs] == ["done/a.csv", "done/b.csv"]
    cls = catalogue().find(f"{BLOB}.Trigger")
    given = {"id": "t", "type": f"{BLOB}.Trigger", **who, "container": inbox, "prefix": "{{ 'in/c' }}"}
    trigger = cls.model_validate({**given, "action": "DELETE"}, context={"registry": catalogue()})
    stays = cls.model_validate(given, context={"registry": catalogue()})
    seen = await stays.poll(context)
    assert [(blob["name"], blob["changeType"]) for blob in seen.found.blobs] == [("in/c.txt", "CREATE")]
    context.memory = seen.memory
    assert (await stays.poll(context)).found is None
    with BlobServiceClient(endpoint, credential=KEY) as client:
        client.get_blob_client(inbox, "in/c.txt").upload_blob(b"another", overwrite=True)
    assert [blob["changeType"] for blob in (await stays.poll(context)).found.blobs] == ["UPDATE"]
    assert [blob["name"] for blob in (await trigger.poll(context)).found.blobs] == ["in/c.txt"]
    assert (await trigger.poll(context)).found is None
    tidy = {"type": f"{BLOB}.DeleteList", **who, "container": inbox, "prefix": "in/"}
    tidied = await context.run(**tidy)
    assert (tidied.count, tidied.size) == (1, len("in/old/d.csv"))
    with pytest.raises(TaskFailed, match="nothing to delete"):
        await context.run(**tidy, errorOnEmpty=True)


async def test_blobs_that_are_gone_start_an_execution_also_when_the_next_cannot_be_taken(
    context, who, containers, endpoint
):
    inbox, archive = containers
    given = {"id": "t", "type": f"{BLOB}.Trigger", **who, "container": inbox}
    given["moveTo"] = {"container": archive, "name": "done"}
    with BlobServiceClient(endpoint, credential=KEY) as client:
        for name in ("b.csv", "c.csv"):
            client.get_blob_client(inbox, name).upload_blob(name.encode())
        client.get_blob_client(inbox, "b.csv").acquire_lease()
    for action in ("MOVE", "DELETE"):
        with BlobServiceClient(endpoint, credential=KEY) as client:
            client.get_blob_client(inbox, "a.csv").upload_blob(b"a.csv")
        cls = catalogue().find(f"{BLOB}.Trigger")
        trigger = cls.model_validate({**given, "action": action}, context={"registry": catalogue()})
        found = (await trigger.poll(context)).found
        assert ([one["name"] for one in found.blobs], list(found.outputFiles)) == (["a.csv"], ["a.csv"])
        assert context.said("b.csv and what comes after it are left where they are: .*LeaseIdMissing", "WARN")
        context.memory = context.remembered[-1]  # the process dies now
        assert (await trigger.poll(context)).found == found
        context.memory = {}
        with pytest.raises(TaskFailed, match="LeaseIdMissing"):
            await trigger.poll(context)
        with BlobServiceClient(endpoint, credential=KEY) as client:
            assert [blob.name for blob in client.get_container_client(inbox).list_blobs()] == ["b.csv", "c.csv"]


async def test_who_asks(context, who, containers, endpoint):
    inbox, _ = containers
    listing = {"type": f"{BLOB}.List", "container": inbox}
    until = datetime.now(UTC) + timedelta(hours=1)
    allowed = AccountSasPermissions(read=True, list=True)
    sas = generate_account_sas(ACCOUNT, KEY, ResourceTypes(container=True, object=True), allowed, until)
    assert (await context.run(**listing, endpoint=endpoint, sasToken=sas)).blobs == []
    assert sas in context.masked
    wrong = {**who, "sharedKeyAccountAccessKey": "d3Jvbmc="}
    with pytest.raises(TaskFailed, match=r"Azure answered \w+: .*Check the credentials"):
        await context.run(**listing, **wrong)
    with pytest.raises(TaskFailed, match="who asks"):
        await context.run(**listing, endpoint=endpoint)
    with pytest.raises(TaskFailed, match="which storage account"):
        await context.run(**listing, sasToken=sas)
    with pytest.raises(TaskFailed, match="`connectionString` is none"):
        await context.run(**listing, connectionString="nonsense")
    with pytest.raises(TaskFailed, match="link-local"):
        await context.run(**listing, endpoint="http://169.254.169.254/x", sasToken=sas)


async def test_a_blob_is_the_one_that_was_meant(context, who, containers, endpoint):
    inbox, _ = containers
    with BlobServiceClient(endpoint, credential=KEY) as client:
        for name, text in (("a.csv", b"1;2\n"), ("other.csv", b"3;4\n")):
            blob = client.get_blob_client(inbox, name)
            blob.upload_blob(b"1;2\n")
            blob.set_http_headers(ContentSettings(content_md5=bytearray(md5(text).digest())))
        blob = client.get_blob_client(inbox, "none.csv")
        blob.commit_block_list([])
    get = {"type": f"{BLOB}.Download", **who, "container": inbox}
    assert (await context.run(**get, name="a.csv", validateChecksum=True)).blob["size"] == 4
    with pytest.raises(TaskFailed, match=r"The MD5 of other.csv is [0-9a-f]{32}, not [0-9a-f]{32}"):
        await context.run(**get, name="other.csv", validateChecksum=True)
    await context.run(**get, name="none.csv", validateChecksum=True)
    assert context.said("no MD5 kept of none.csv", "WARN")
    with pytest.raises(TaskFailed, match=r"no MD5 kept of none\.csv"):
        await context.run(**get, name="none.csv", validateChecksum=True, failOnMissingChecksum=True)
    digest = sha256(b"1;2\n")
    meant = {**get, "name": "other.csv", "checksumAlgorithm": "SHA_256"}
    for text in (digest.hexdigest().upper(), b64encode(digest.digest()).decode()):
        await context.run(**meant, expectedChecksum=text)
    with pytest.raises(TaskFailed, match=r"The SHA_256 of other\.csv is"):
        await context.run(**meant, expectedChecksum=sha256(b"x").hexdigest())
    with pytest.raises(TaskFailed, match="is no SHA_256"):
        await context.run(**meant, expectedChecksum="x")
    with pytest.raises(TaskFailed, match="Only an MD5 is kept"):
        await context.run(**meant, validateChecksum=True)
    many = {"type": f"{BLOB}.Downloads", **who, "container": inbox, "validateChecksum": True}
    assert [one["name"] for one in (await context.run(**many, regexp="a.csv")).blobs] == ["a.csv"]
    with pytest.raises(TaskFailed, match=r"The MD5 of other\.csv"):
        await context.run(**many)
    read = {"type": f"{ADLS}.Read", **who, "fileSystem": inbox, "filePath": "other.csv"}
    with pytest.raises(TaskFailed, match=r"The MD5 of other\.csv"):
        await context.run(**read, validateChecksum=True)


async def test_files_of_a_lake(context, who, containers):
    lake, _ = containers
    where = {**who, "fileSystem": lake}
    uri = await context.files.put(b"1;2\n", "a.csv")
    for name in ("a.csv", "reports/b.csv", "reports/old/c.csv"):
        made = await context.run(type=f"{ADLS}.Upload", **where, filePath=f"/{name}", from_=uri)
        assert (made.file["name"], made.file["size"], made.file["isDirectory"]) == (name, 4, False)
    found = await context.run(type=f"{ADLS}.List", **where, directoryPath="/")
    assert [(one["name"], one["isDirectory"]) for one in found.files] == [("a.csv", False), ("reports", True)]
    found = await context.run(type=f"{ADLS}.List", **where, directoryPath="reports", maxFiles=1)
    assert len(found.files) == 1
    assert context.said("There are 2 files; the first 1", "WARN")
    read = await context.run(type=f"{ADLS}.Read", **where, filePath="reports/b.csv")
    assert (read.file["fileName"], context.files.text(read.file["uri"])) == ("b.csv", "1;2\n")
    gone = {"type": f"{ADLS}.Delete", **where, "filePath": "reports/b.csv"}
    assert (await context.run(**gone)).deleted
    assert not (await context.run(**gone)).deleted
    with pytest.raises(TaskFailed, match="There is no file"):
        await context.run(**gone, errorOnMissing=True)


async def test_a_killed_task_deletes_nothing_more(context):
    loop, killed = asyncio.get_running_loop(), threading.Event()
    about = "<Properties><BlobType>BlockBlob</BlobType></Properties>"
    blobs = "".join(f"<Blob><Name>{name}</Name>{about}</Blob>" for name in "abc")
    listed = f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>"

    def handle(request):
        if request.method == "GET":
            return Answered(listed.encode(), headers={"Content-Type": "application/xml"})
        if not killed.is_set():
            loop.call_soon_threadsafe(running.cancel)
            killed.wait(30)
        return Answered(None, 202)

    with serving(handle) as service:
        asked = {"type": f"{BLOB}.DeleteList", "endpoint": service.url, "sasToken": "sig=1", "container": "in"}
        running = asyncio.ensure_future(context.run(**asked))
        with pytest.raises(asyncio.CancelledError):
            await running
        killed.set()
        for thread in threading.enumerate():
            if thread.name == "parley-blocking":
                await asyncio.to_thread(thread.join, 30)
        assert [one.path for one in service.requests if one.method == "DELETE"] == ["/in/a"]
