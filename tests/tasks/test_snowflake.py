"""Statements for Snowflake, by the interface of its drivers: signing in, sessions, rows in chunks, long statements."""

import asyncio
import base64
import gzip
import hashlib
import json
from zoneinfo import ZoneInfo

import boto3
import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.snowflake_session import row_of
from engine.tasks.snowflake_stores import store_of
from tests.wire.aws import aws
from tests.wire.loopback import serving
from tests.wire.snowflake import Account, pem
from tests.wire.snowflake_stage import STAGES, Store, sealed, told, unsealed

SNOWFLAKE = "io.kestra.plugin.jdbc.snowflake"


@pytest.fixture
def account():
    """The account and what every task for it says."""
    with serving(made := Account()) as wire:
        yield made, {"url": wire.url, "username": "flows", "password": "s3cret"}


async def test_rows_of_one_statement(context, account):
    known, at = account
    query = {"type": f"{SNOWFLAKE}.Query", **at, "sql": "SELECT id, name FROM people WHERE id > :least"}
    rows = [{"ID": 1, "NAME": "Ann"}, {"ID": 2, "NAME": None}, {"ID": 3, "NAME": "it's"}, {"ID": 4, "NAME": "Bo"}]
    found = await context.run(**query, parameters={"least": 0}, fetchType="FETCH")
    assert (found.rows, found.size) == (rows, 4)
    found = await context.run(**query, parameters={"least": 3}, fetch=True)
    assert found.rows == rows[3:]
    found = await context.run(**query, parameters={"least": 0}, fetchOne=True)
    assert (found.row, found.size) == (rows[0], 1)
    found = await context.run(**query, parameters={"least": 0}, store=True)
    assert [json.loads(line) for line in context.files.text(found.uri).splitlines()] == rows
    found = await context.run(**{**query, "sql": "SELECT :a AS name"}, parameters={"a": "o'\\x"}, fetchOne=True)
    assert found.row == {"NAME": "o'\\x"}
    found = await context.run(**{**query, "sql": "INSERT INTO people VALUES (5, 'x')"}, fetch=True)
    assert (found.rows, found.size) == ([], 0)
    assert sorted(known.closed) == sorted(known.sessions)
    with pytest.raises(TaskFailed, match="refused: SQL compilation error: no such table: nope"):
        await context.run(**{**query, "sql": "SELECT * FROM nope"})
    assert sorted(known.closed) == sorted(known.sessions)


async def test_several_statements_share_a_session(context, account):
    known, at = account
    sql = (
        "CREATE TEMPORARY TABLE fresh AS SELECT id FROM people; SELECT count(*) AS n FROM fresh; SELECT 'a\\\\'';' AS t"
    )
    found = await context.run(type=f"{SNOWFLAKE}.Queries", **at, sql=sql, fetchType="FETCH_ONE")
    assert [one.row for one in found.outputs] == [{"N": 4}, {"T": "a\\';"}]
    assert len(known.logins) == 1


@pytest.mark.parametrize(
    ("said", "then", "left"),
    [
        ({}, "nope", 4),
        ({"transaction": False}, "nope", 0),
        ({}, "people", 0),
        ({"transaction": "{{ 1 == 2 }}"}, "nope", 0),
    ],
)
async def test_several_statements_hold_all_or_none(context, account, said, then, left):
    known, at = account
    sql = f"DELETE FROM people; INSERT INTO {then} VALUES (9, 'x'); DELETE FROM people WHERE id = 9"
    running = context.run(type=f"{SNOWFLAKE}.Queries", **at, sql=sql, queryTag="q", **said)
    if then == "nope":
        with pytest.raises(TaskFailed, match="no such table"):
            await running
    else:
        await running
    [session] = known.sessions.values()
    assert not session.in_transaction
    assert session.execute("SELECT count(*) FROM people").fetchone() == (left,)
    assert known.logins[0][1]["SESSION_PARAMETERS"]["QUERY_TAG"] == "q"


@pytest.mark.parametrize(("then", "left"), [("nope", 4), ("people", 0)])
async def test_what_follows_a_statement_is_kept_with_it_or_not_at_all(context, account, then, left):
    known, at = account
    query = {"type": f"{SNOWFLAKE}.Query", **at, "sql": "DELETE FROM people", "afterSQL": f"DELETE FROM {then}"}
    if then == "nope":
        with pytest.raises(TaskFailed, match="no such table"):
            await context.run(**query)
    else:
        await context.run(**query)
    [session] = known.sessions.values()
    assert not session.in_transaction
    assert session.execute("SELECT count(*) FROM people").fetchone() == (left,)


async def test_rows_that_are_marked_by_what_follows(context, account):
    sql = {"sql": "SELECT id FROM people WHERE id < 3", "afterSQL": "DELETE FROM people WHERE id < 3"}
    found = await context.run(type=f"{SNOWFLAKE}.Query", **account[1], **sql, fetchType="FETCH")
    assert found.rows == [{"ID": 1}, {"ID": 2}]
    queries = {"sql": "SELECT 1 AS n", "afterSQL": "SELECT count(*) AS n FROM people"}
    found = await context.run(type=f"{SNOWFLAKE}.Queries", **account[1], **queries, fetchType="FETCH_ONE")
    assert [one.row for one in found.outputs] == [{"N": 1}, {"N": 4}]  # the account begins anew with each session


async def test_a_trigger_looks_for_rows(context, account):
    declared = {"id": "t", "type": f"{SNOWFLAKE}.Trigger", **account[1], "fetchType": "FETCH"}

    async def seen(sql):
        cls = catalogue().resolve(declared)
        trigger = cls.model_validate({**declared, "sql": sql}, context={"registry": catalogue()})
        return await trigger.poll(context)

    assert (await seen("SELECT id FROM people WHERE name = 'Bo'")).rows == [{"ID": 4}]
    assert await seen("SELECT id FROM people WHERE id > 9") is None


async def test_who_asks_and_where(context, account, tmp_path):
    known, at = account
    ask = {"type": f"{SNOWFLAKE}.Query", "sql": "SELECT 1 AS n", "fetchOne": True}
    where = {"warehouse": "W", "database": "D", "schema": "S", "role": "R", "queryTag": "parley"}
    await context.run(**ask, **at, **where)
    query, data = known.logins[-1]
    assert query == {"warehouse": "W", "databaseName": "D", "schemaName": "S", "roleName": "R"}
    assert (data["SESSION_PARAMETERS"], data["ACCOUNT_NAME"]) == ({"QUERY_TAG": "parley"}, "127")
    options = {**at, "url": f"{at['url']}/?db=shop&warehouse=w&account=acme"}
    await context.run(**ask, **options)
    assert known.logins[-1][0] == {"databaseName": "shop", "warehouse": "w"}
    assert known.logins[-1][1]["ACCOUNT_NAME"] == "acme"
    with pytest.raises(TaskFailed, match=r"Incorrect username or password.*Check `username`"):
        await context.run(**ask, **{**at, "password": "no"})
    keyed = {name: value for name, value in options.items() if name != "password"}
    with pytest.raises(TaskFailed, match="who asks"):
        await context.run(**ask, **keyed)
    bare = "".join(line for line in pem().splitlines() if "-----" not in line)
    (context.working_dir / "key.p8").write_text(pem("lock"))
    for key in (
        {"privateKey": pem()},
        {"privateKey": bare},
        {"privateKey": pem("lock"), "privateKeyPassword": "lock"},
        {"privateKeyFile": "key.p8", "privateKeyFilePassword": "lock"},
    ):
        assert (await context.run(**ask, **keyed, **key)).row == {"N": 1}
    with pytest.raises(TaskFailed, match="can't be read"):
        await context.run(**ask, **keyed, privateKey=pem("lock"))
    with pytest.raises(TaskFailed, match="leaves the working directory"):
        await context.run(**ask, **keyed, privateKeyFile="/etc/hostname")
    assert {"s3cret", bare} <= set(context.masked)
    assert set(known.sessions) <= set(context.masked)


async def test_a_long_statement_is_waited_for_and_cancelled(context, account):
    known, at = account
    slow = {"type": f"{SNOWFLAKE}.Query", **at, "sql": "SELECT id FROM people -- slow", "fetchType": "FETCH"}
    assert (await context.run(**slow)).size == 4
    assert known.looks == 2
    known.never_ends = True
    running = asyncio.create_task(context.run(**slow))
    while known.looks < 4:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(known.aborted) == 1
    assert sorted(known.closed) == sorted(known.sessions)


@pytest.fixture(scope="module")
def amazon():
    """A bucket for stages: the address of S3, and a client of it."""
    with aws() as url:
        who = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "x"}
        s3 = boto3.client("s3", endpoint_url=url, region_name="eu-central-1", **who)
        s3.create_bucket(Bucket="stage-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield url, s3


@pytest.fixture(params=["S3", "AZURE", "GCS"])
def stage(request, make_context, account, amazon):
    """A stage in each kind of store: what tasks say of it, how to see and to leave files in it, and a context."""
    kind, path = request.param, "tables/7/raw/"
    names = (
        ("sfcdigest", "encryptiondata", "matdesc") if kind == "AZURE" else ("sfc-digest", "encryptiondata", "matdesc")
    )

    def wrapped(key, iv):
        return json.dumps({"WrappedContentKey": {"EncryptedKey": key}, "ContentEncryptionIV": iv})

    url, s3 = amazon
    with serving(store := Store()) as wire:
        providers = {"aws": {"base_url": url}, "snowflake_stage": {"base_url": wire.url}}
        folder = f"/{STAGES[kind]['location']}"

        def seen(name):
            if kind == "S3":
                found = s3.get_object(Bucket="stage-bucket", Key=path + name)
                beside = [found["Metadata"].get(one, "") for one in ("sfc-digest", "x-amz-key", "x-amz-iv")]
                return found["Body"].read(), *beside, found["Metadata"].get("x-amz-matdesc")
            content, beside = store.files[folder + name]
            about = json.loads(beside.get(names[1], "{}"))
            key = about.get("WrappedContentKey", {}).get("EncryptedKey", "")
            return content, beside[names[0]], key, about.get("ContentEncryptionIV", ""), beside.get(names[2])

        def leave(name, content, key="", iv=""):
            if kind == "S3":
                beside = {"x-amz-key": key, "x-amz-iv": iv} if key else {}
                s3.put_object(Bucket="stage-bucket", Key=path + name, Body=content, Metadata=beside)
            else:
                store.files[folder + name] = (content, {names[1]: wrapped(key, iv)} if key else {})

        yield kind, seen, leave, make_context({"providers": providers}), account


async def test_files_into_a_stage(stage, monkeypatch):
    monkeypatch.setattr("engine.tasks.snowflake_stores.AZURE_BLOCK", 1000)
    kind, seen, _, context, (known, at) = stage
    asked = []

    def staged(sql, sealed=True):
        asked.append(sql)
        return told(kind, "/tmp/x", is_put=True, sealed=sealed)

    known.staged = staged
    upload = {"type": f"{SNOWFLAKE}.Upload", **at, "stageName": "@db.public.%people", "prefix": "raw"}
    for content in (b"", b"id,name\n1,Ann\n", bytes(range(256)) * 100):
        uri = await context.files.put(content, "x.csv")
        done = await context.run(**upload, from_=uri, fileName="a b.csv")
        assert done.uri == "raw/a b.csv.gz"
        body, digest, *lock = seen("a b.csv.gz")
        packed = unsealed(body, *lock)
        assert gzip.decompress(packed) == content
        assert digest == base64.b64encode(hashlib.sha256(packed).digest()).decode()
    assert asked[0] == "PUT 'file:///tmp/a b.csv.gz' '@db.public.%people/raw' AUTO_COMPRESS=FALSE OVERWRITE=TRUE"
    known.staged = lambda sql: staged(sql, sealed=False)
    done = await context.run(**{**upload, "stageName": "mine"}, from_=uri, fileName="b.bin", compress=False)
    assert (done.uri, seen("b.bin")[0]) == ("raw/b.bin", content)
    assert "'@mine/raw'" in asked[-1]
    secrets = {"S3": {"aws-s3cret", "aws-t0ken"}, "AZURE": {"sig=sas-s3cret&se=2030"}, "GCS": {"gcs-t0ken"}}
    assert secrets[kind] <= context.masked
    with pytest.raises(TaskFailed, match="is no name in a stage"):
        await context.run(**upload, from_=uri, fileName="a' OVERWRITE=FALSE --")
    assert sorted(known.closed) == sorted(known.sessions)


def test_what_signs_an_address_is_never_shown(context):
    store_of(context, {**told("GCS", is_put=False), "presignedUrls": ["https://g.example/x?Signature=s1gned"]})
    assert "Signature=s1gned" in context.masked


async def test_files_out_of_a_stage(stage):
    kind, _, leave, context, (known, at) = stage
    there = ["orders.csv.gz"]

    def staged(sql):
        assert sql == "GET '@db.public.%people/raw/orders.csv.gz' 'file:///tmp/'"
        return told(kind, *there, is_put=False)

    known.staged = staged
    download = {"type": f"{SNOWFLAKE}.Download", **at, "stageName": "@db.public.%people"}
    download["fileName"] = "raw/orders.csv.gz"
    big = bytes(range(256)) * 5000
    for content, packed in ((b"id\n1\n", True), (big, True), (b"never packed", False)):
        leave("orders.csv.gz", *sealed(gzip.compress(content) if packed else content))
        found = await context.run(**download)
        assert found.uri.endswith("/orders.csv")
        assert await context.files.read(found.uri) == content
    leave("orders.csv.gz", gzip.compress(b"plain"))  # by Snowflake itself, without a lock
    found = await context.run(**download, compress=False)
    assert gzip.decompress(await context.files.read(found.uri)) == b"plain"
    leave("orders.csv.gz", *sealed(gzip.compress(big)[:-20]))
    with pytest.raises(TaskFailed, match=r"orders\.csv\.gz is no whole gzip.*`compress: false`"):
        await context.run(**download)
    body, key, start = sealed(b"x")
    other = bytearray(base64.b64decode(start))
    other[-1] ^= 0x80  # then the length of the padding is never one
    leave("orders.csv.gz", body, key, base64.b64encode(other).decode())
    with pytest.raises(TaskFailed, match="another key"):
        await context.run(**download)
    there[:] = ["orders.csv.gz.1", "orders.csv.gz"]  # Snowflake takes names for beginnings of names
    leave("orders.csv.gz", *sealed(b"the one"))
    assert await context.files.read((await context.run(**download)).uri) == b"the one"
    there[:] = []
    with pytest.raises(TaskFailed, match=r"has no file 'raw/orders\.csv\.gz'"):
        await context.run(**download)
    there[:] = ["gone.csv"]
    with pytest.raises(TaskFailed, match="404"):
        await context.run(**download)


def test_what_snowflake_writes_as_text():
    columns = [
        ("fixed", 0, "42", 42),
        ("fixed", 2, "1.50", 1.5),
        ("real", None, "1e3", 1000.0),
        ("boolean", None, "1", True),
        ("boolean", None, "false", False),
        ("text", None, "42", "42"),
        ("date", None, "20457", "2026-01-04"),
        ("time", 9, "3661.500000000", "01:01:01.500000"),
        ("timestamp_ntz", 9, "1767484800.123456789", "2026-01-04T00:00:00.123456"),
        ("timestamp_ltz", 9, "1767484800.000000000", "2026-01-04T09:00:00+09:00"),
        ("timestamp_tz", 9, "1767484800.000000000 1500", "2026-01-04T09:00:00+09:00"),
        ("variant", None, '{"a": [1]}', {"a": [1]}),
        ("array", None, "[1, 2]", [1, 2]),
        ("variant", None, "undefined", "undefined"),
        ("binary", None, "DEADBEEF", "DEADBEEF"),
        ("vector", None, None, None),
    ]
    types = [{"name": str(n), "type": kind, "scale": scale} for n, (kind, scale, *_) in enumerate(columns)]
    row = row_of(types, [text for _, _, text, _ in columns], ZoneInfo("Asia/Tokyo"))
    assert list(row.values()) == [expected for *_, expected in columns]


@pytest.mark.parametrize("url", ["jdbc:snowflake://acme-x.eu.snowflakecomputing.com", "jdbc:snowflake://h:443/?db=x"])
def test_an_address_of_snowflake_is_called_over_tls(url, context, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "engine.tasks.jdbc.snowflake.signed_in", lambda context, at, who, *more: asked.append((at, who))
    )
    declared = {"id": "a", "type": f"{SNOWFLAKE}.Query", "url": url, "username": "u", "password": "p", "sql": "x"}
    catalogue().resolve(declared).model_validate(declared).session(context)
    assert asked[0][0].startswith("https://")
    assert asked[0][0].endswith(":443")
    assert asked[0][1]["ACCOUNT_NAME"] in ("acme-x", "h")
