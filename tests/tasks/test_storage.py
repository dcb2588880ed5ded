"""Files in internal storage and in the working directory."""

import pytest

from engine.errors import TaskFailed
from engine.tasks.sizes import parse_bytes
from engine.tasks.working_files import collect, glob, inside, place

STORAGE = "io.kestra.plugin.core.storage"


async def test_write_concat_size_delete(context):
    one = (await context.run(type=f"{STORAGE}.Write", content="one", extension=".txt")).uri
    two = (await context.run(type=f"{STORAGE}.Write", content="two")).uri
    joined = (await context.run(type=f"{STORAGE}.Concat", files=[one, two], separator="\n")).uri
    assert context.files.text(joined) == "one\ntwo\n"
    assert (await context.run(type=f"{STORAGE}.Size", uri=joined)).size == 8
    assert (await context.run(type=f"{STORAGE}.Delete", uri=joined)).deleted
    assert not (await context.run(type=f"{STORAGE}.Delete", uri=joined)).deleted
    with pytest.raises(TaskFailed, match="no file"):
        await context.run(type=f"{STORAGE}.Delete", uri=joined, errorOnMissing=True)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"rows": 2}, ["1\n2\n", "3\n4\n", "5\n"]),
        ({"partitions": 2}, ["1\n3\n5\n", "2\n4\n"]),
        ({"bytes": "4B"}, ["1\n2\n", "3\n4\n", "5\n"]),
    ],
)
async def test_split(context, how, expected):
    uri = await context.files.put(b"1\n2\n3\n4\n5\n", "rows.txt")
    found = await context.run(type=f"{STORAGE}.Split", from_=uri, **how)
    assert [context.files.text(part) for part in found.uris] == expected


async def test_split_by_what_a_pattern_finds(context):
    uri = await context.files.put(b"[a] 1\nnone\n[b] 2\n[a] 3\n", "rows.log")
    found = await context.run(type=f"{STORAGE}.Split", from_=uri, regexPattern=r"\[(\w+)\]")
    assert [context.files.text(part) for part in found.uris] == ["[a] 1\n[a] 3\n", "[b] 2\n"]
    with pytest.raises(TaskFailed, match="has no group"):
        await context.run(type=f"{STORAGE}.Split", from_=uri, regexPattern="a")
    with pytest.raises(TaskFailed, match="cannot be read"):
        await context.run(type=f"{STORAGE}.Split", from_=uri, regexPattern="(")
    with pytest.raises(TaskFailed, match="needs to know where to cut"):
        await context.run(type=f"{STORAGE}.Split", from_=uri)


async def test_reverse(context):
    uri = await context.files.put(b"1\n2\n3\n", "rows.txt")
    assert context.files.text((await context.run(type=f"{STORAGE}.Reverse", from_=uri)).uri) == "3\n2\n1\n"


async def test_rows_are_filtered_and_made_unique(context):
    uri = await context.files.put(b'{"k":1,"n":5}\n{"k":2,"n":50}\n{"k":1,"n":70}\n', "rows.jsonl")
    kept = await context.run(type=f"{STORAGE}.FilterItems", from_=uri, filterCondition="{{ n > 10 }}")
    assert (kept.processedItemsTotal, kept.droppedItemsTotal) == (3, 1)
    unique = await context.run(type=f"{STORAGE}.DeduplicateItems", from_=uri, expr="{{ k }}")
    assert context.files.text(unique["uri"]) == '{"k":2,"n":50}\n{"k":1,"n":70}\n'
    with pytest.raises(TaskFailed, match="condition failed for the row"):
        await context.run(type=f"{STORAGE}.FilterItems", from_=uri, filterCondition="{{ missing.x }}")


async def test_local_files(make_context):
    context = make_context(inputs={"name": "Ann"})
    stored = await context.files.put(b"stored", "x")
    found = await context.run(
        type=f"{STORAGE}.LocalFiles",
        inputs={"a.txt": "Hello, {{ inputs.name }}", "sub/b.txt": stored, "empty.txt": None},
        outputs=["**.txt"],
    )
    assert {name: context.files.text(uri) for name, uri in found["uris"].items()} == {
        "a.txt": "Hello, Ann",
        "sub/b.txt": "stored",
        "empty.txt": "",
    }


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "link/x"])
async def test_no_name_leaves_the_folder(context, name, tmp_path):
    (context.working_dir / "link").symlink_to(tmp_path)
    with pytest.raises(TaskFailed, match="leaves the working directory"):
        await place(context, {name: "x"})
    assert not (tmp_path / "x").exists()


async def test_links_out_of_the_folder_are_not_collected(context, tmp_path):
    (tmp_path / "outside.txt").write_text("secret")
    (context.working_dir / "inside.txt").write_text("fine")
    (context.working_dir / "link.txt").symlink_to(tmp_path / "outside.txt")
    assert list(await collect(context, ["*.txt"])) == ["inside.txt"]
    assert inside(context.working_dir, "inside.txt").exists()


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*.txt", "a.txt", True),
        ("*.txt", "sub/a.txt", False),
        ("**.txt", "sub/a.txt", True),
        ("sub/**", "sub/deep/a.txt", True),
        ("glob:*.{txt,csv}", "a.csv", True),
        ("a[0-9].txt", "a5.txt", True),
        ("a[!0-9].txt", "a5.txt", False),
        ("a?.txt", "a/.txt", False),
        ("regex:.*\\.csv", "deep/a.csv", True),
        ("a+b.txt", "a+b.txt", True),
    ],
)
def test_globs_are_java_s(pattern, name, matches):
    assert bool(glob(pattern).fullmatch(name)) is matches


@pytest.mark.parametrize(("text", "size"), [("512Mb", 512 << 20), ("1KiB", 1024), ("10", 10), ("1.5G", 3 << 29)])
def test_sizes(text, size):
    assert parse_bytes(text) == size
