"""Internal storage in a bucket, on a real S3 server: what one machine writes, another reads."""

import pytest

from engine.buckets import BucketFileStore
from engine.errors import NotFound, Refused, SettingInvalid, StoreFailed
from engine.file_settings import open_files
from engine.files import FileStore, Scope, execution_folder, task_folder
from engine.settings import Settings
from tests.wire.aws import aws

FOLDER = task_folder("company.team", "f", "E1", "t", "E1.1")


@pytest.fixture(scope="module")
def s3():
    """An S3 server; its address."""
    with aws() as url:
        yield url


@pytest.fixture
def machine(s3, tmp_path, monkeypatch):
    """Gives the storage as another machine sees it, each with a folder of its own."""
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    import boto3

    client = boto3.client("s3", endpoint_url=s3)
    bucket = f"parley-{tmp_path.name[-20:].strip('_').replace('_', '-').lower()}"
    client.create_bucket(Bucket=bucket)

    def store(name):
        settings = Settings(data=tmp_path / name, storage=f"s3://{bucket}/some/prefix", storage_endpoint=s3)
        return open_files(settings)

    yield store
    for found in client.list_objects_v2(Bucket=bucket).get("Contents", ()):
        assert found["Key"].startswith("some/prefix/")


def test_what_one_machine_writes_another_reads(machine, tmp_path):
    one, other = machine("a"), machine("b")
    assert isinstance(one, BucketFileStore)
    uri = one.put(FOLDER, b"hello", "out.txt")
    assert uri == f"kestra:///{FOLDER}/out.txt"
    assert other.path(uri).read_bytes() == b"hello"
    assert other.path(uri, Scope("company.team")).read_bytes() == b"hello"
    with pytest.raises(Refused):
        other.path(uri, Scope("elsewhere"))
    large = tmp_path / "large"
    large.write_bytes(b"x" * 3_000_000)
    assert machine("c").path(other.put(FOLDER, large, "large.bin")).stat().st_size == 3_000_000


def test_a_name_that_is_taken_elsewhere_gets_a_number(machine):
    one, other = machine("a"), machine("b")
    assert one.put(FOLDER, b"1", "out.txt").endswith("/out.txt")
    assert other.put(FOLDER, b"2", "out.txt").endswith("/out-1.txt")
    assert one.path(f"kestra:///{FOLDER}/out.txt").read_bytes() == b"1"


def test_what_is_not_there_or_was_deleted_elsewhere_is_not_found(machine):
    one, other = machine("a"), machine("b")
    with pytest.raises(NotFound):
        one.path("kestra:///company/team/f/executions/E1/none")
    uri = one.put(FOLDER, b"x", "out.txt")
    other.delete(uri)
    with pytest.raises(NotFound):
        machine("c").path(uri)


def test_files_of_an_execution_are_listed_and_purged_wherever_they_were_written(machine):
    one, other = machine("a"), machine("b")
    uris = sorted([one.put(FOLDER, b"1", "a"), other.put(FOLDER, b"2", "b"), other.put(f"{FOLDER}/x", b"3", "c")])
    other.put(task_folder("company.team", "f", "E10", "t", "E10.1"), b"4", "d")
    assert one.execution_files("company.team", "f", "E1") == uris
    assert {whose[2] for whose, _ in one.executions()} == {"E1", "E10"}
    assert one.delete_execution("company.team", "f", "E1") == 3
    assert other.execution_files("company.team", "f", "E1") == []
    assert len(other.execution_files("company.team", "f", "E10")) == 1
    assert execution_folder("company.team", "f", "E1") in uris[0]


def test_files_of_a_namespace_are_the_newest_everywhere(machine):
    one, other = machine("a"), machine("b")
    uri = one.put_namespace_file("company.team", "sub/q.sql", b"select 1")
    assert other.path("sub/q.sql", Scope("company.team")).read_bytes() == b"select 1"
    other.put_namespace_file("company.team", "sub/q.sql", b"select 2")
    other.put_namespace_file("company.team", "r.sql", b"select 3")
    assert one.path(uri).read_bytes() == b"select 2"
    assert {name: path.read_bytes() for name, path in one.namespace_files("company.team")} == {
        "r.sql": b"select 3",
        "sub/q.sql": b"select 2",
    }
    assert one.namespaces() == ["company.team"]
    assert other.delete_namespace_file("company.team", "sub/q.sql")
    assert not other.delete_namespace_file("company.team", "sub/q.sql")
    assert [name for name, _ in one.namespace_files("company.team")] == ["r.sql"]


def test_files_that_a_task_names_are_fetched_before_it_runs(machine):
    one, other = machine("a"), machine("b")
    uri = one.put(FOLDER, b"hello", "out.txt")
    other.fetch(str({"from": uri, "other": "kestra:///company/team/f/executions/none", "list": [uri]}))
    assert FileStore(other.root).path(uri).read_bytes() == b"hello"


def test_a_bucket_that_is_not_there_is_a_sentence(machine, s3, tmp_path):
    store = open_files(Settings(data=tmp_path / "d", storage="s3://no-such-bucket/x", storage_endpoint=s3))
    with pytest.raises(StoreFailed, match="The bucket no-such-bucket refused"):
        store.put(FOLDER, b"x", "y")
    gone = open_files(Settings(data=tmp_path / "e", storage="s3://b/x", storage_endpoint="http://127.0.0.1:9"))
    with pytest.raises(StoreFailed, match="can't be reached"):
        gone.put(FOLDER, b"x", "y")


def test_a_folder_that_machines_share(tmp_path):
    shared = (tmp_path / "shared").as_uri()
    one = open_files(Settings(data=tmp_path / "a", storage=shared))
    other = open_files(Settings(data=tmp_path / "b", storage=shared))
    assert other.path(one.put(FOLDER, b"hello", "out.txt")).read_bytes() == b"hello"
    for wrong in ("ftp://x/y", "file://host/x", "relative"):
        with pytest.raises(SettingInvalid, match="no place for files"):
            open_files(Settings(data=tmp_path / "a", storage=wrong))
