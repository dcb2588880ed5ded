"""git.Clone over smart HTTP and from local folders."""

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.errors import TaskFailed
from engine.tasks.git_repository import protocol_of, without_password
from tests.wire.git_http import git

CLONE = "io.kestra.plugin.git.Clone"


@pytest.fixture
def context(make_context):
    """Its task run is no other test's: git is ended by the name of that, and late where a test has killed it."""
    made = make_context()
    made.task_run_id = f"{uuid.uuid4().hex}.1"
    return made


async def test_a_clone_is_shallow_and_can_be_deepened(context, git_host):
    git_host.create("blueprints", commits=5)
    found = await context.run(
        type=CLONE, url=f"{git_host.url}/blueprints.git", branch="main", cache=True, cacheTtl="PT1H"
    )
    assert found.directory == str(context.working_dir)
    assert (context.working_dir / "README.md").read_text() == "Commit 5\n"
    assert git(context.working_dir, "log", "--oneline").count("\n") == 1
    git(context.working_dir, "fetch", "--unshallow", "origin", "main")
    assert git(context.working_dir, "log", "--format=%s", "origin/main").split("\n")[:2] == ["Commit 5", "Commit 4"]


async def test_files_that_are_there_stay(context, git_host):
    git_host.create("repo")
    (context.working_dir / "mine.txt").write_text("mine")
    await context.run(type=CLONE, url=f"{git_host.url}/repo.git")
    assert (context.working_dir / "mine.txt").read_text() == "mine"
    assert git(context.working_dir, "branch", "--show-current").strip() == "main"
    await context.run(type=CLONE, url=f"{git_host.url}/repo.git", directory="again", depth=2)
    assert (context.working_dir / "again" / "README.md").exists()


async def test_tags_and_commits(context, git_host):
    bare = git_host.create("repo", commits=3)
    first = git(bare, "rev-list", "--max-parents=0", "main").strip()
    await context.run(type=CLONE, url=f"{git_host.url}/repo.git", commit=first, directory="a")
    assert (context.working_dir / "a" / "README.md").read_text() == "Commit 1\n"
    await context.run(
        type=CLONE, url=f"{git_host.url}/repo.git", tag="v1", directory="b", gitConfig={"core.abbrev": "12"}
    )
    assert git(context.working_dir / "b", "describe", "--tags").strip() == "v1"
    assert git(context.working_dir / "b", "config", "core.abbrev").strip() == "12"


async def test_credentials_stay_out_of_the_clone(context, git_host):
    git_host.create("private")
    git_host.credentials = "ann:t0ken"
    with pytest.raises(TaskFailed, match=r"(?s)could not be cloned.*Give `username` and `password`"):
        await context.run(type=CLONE, url=f"{git_host.url}/private.git")
    await context.run(type=CLONE, url=f"{git_host.url}/private.git", username="ann", password="t0ken", directory="a")
    inline = git_host.url.replace("http://", "http://ann:t0ken@")
    await context.run(type=CLONE, url=f"{inline}/private.git", directory="b")
    for folder in ("a", "b"):
        assert (context.working_dir / folder / "README.md").exists()
        assert "t0ken" not in (context.working_dir / folder / ".git" / "config").read_text()
    assert not any("t0ken" in line for _, line in context.lines)
    assert "t0ken" in context.masked


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"branch": "nope"}, "Check `branch`"),
        ({"tag": "nope"}, "Check `branch`"),
        ({"branch": "--upload-pack=id"}, "not a name git allows"),
        ({"branch": "a b; rm"}, "not a name git allows"),
        ({"tag": "v1", "noTags": True}, "cannot be used with"),
        ({"cloneAllBranches": False}, "needs a `branch`"),
        ({"directory": "../out"}, "leaves the working directory"),
    ],
)
async def test_what_does_not_work_is_explained(context, git_host, given, said):
    git_host.create("repo")
    with pytest.raises(TaskFailed, match=said):
        await context.run(type=CLONE, url=f"{git_host.url}/repo.git", **given)


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("fatal: repository 'http://127.0.0.1:34039/missing.git/' not found", "Check the address"),
        ("fatal: unable to access 'https://x.test/r.git/': The requested URL returned error: 403", "Give `username`"),
        ("fatal: Authentication failed for 'https://x.test/r.git/'", "Give `username`"),
        ("error: pathspec 'v403' did not match any file(s) known to git", "Check `branch`"),
    ],
)
def test_what_to_do_about_what_git_said(stderr, said):
    from engine.tasks.git_repository import fix

    assert fix(stderr).startswith(said)


async def test_a_missing_repository(context, git_host):
    with pytest.raises(TaskFailed, match=r"(?s)missing\.git could not be cloned.*Check the address"):
        await context.run(type=CLONE, url=f"{git_host.url}/missing.git")


async def test_servers_that_never_answer_leave_the_shared_threads_to_others(context):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    called, left = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def never(reader, writer):
        called.release()
        await reader.read()
        left.release()
        writer.close()

    async with await asyncio.start_server(never, "127.0.0.1", 0) as silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/x.git"
        clones = [
            asyncio.create_task(context.run(type=CLONE, url=url, branch="main", directory=str(number)))
            for number in range(4)
        ]
        async with asyncio.timeout(40):
            for _ in clones:
                await called.acquire()
            assert await asyncio.to_thread(lambda: "done") == "done"
            for one in clones:
                one.cancel()
            await asyncio.gather(*clones, return_exceptions=True)
            for _ in clones:  # git is gone, and did not wait for `readTimeout`
                await left.acquire()


@pytest.mark.parametrize("url", ["file:///etc", "/etc", "ext::sh -c id", "ftp://x/y", "./x"])
async def test_protocols_need_permission(context, url):
    with pytest.raises(TaskFailed, match="may not be reached over"):
        await context.run(type=CLONE, url=url)


async def test_local_folders_when_permitted(make_context, git_host):
    bare = git_host.create("repo")
    context = make_context({"git": {"protocols": ["file"]}})
    await context.run(type=CLONE, url=f"file://{bare}", branch="main")
    assert (context.working_dir / "README.md").exists()


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("https://a/b", "https"),
        ("git@github.com:a/b.git", "ssh"),
        ("ssh://git@a/b", "ssh"),
        ("ext::sh", "ext"),
        ("/a:b", "file"),
    ],
)
def test_protocols(url, protocol):
    assert protocol_of(url) == protocol


def test_addresses_are_told_without_passwords():
    assert without_password("https://u:p@host:8443/x") == "https://host:8443/x"
    assert without_password("git@host:x") == "git@host:x"
