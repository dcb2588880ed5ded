"""What happens if it is approved, in files: the diff on the card, the whole of it beside, nothing touched or called."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from bot.approvals.diffs import MAX_DIFF, block, told, visible
from bot.approvals.prospect import ahead
from bot.cards.pause_cards import evidence
from bot.cli import app
from bot.conversation import Card, Enclosure
from bot.discord.files import to_send
from bot.discord.views import cards as discord_cards
from bot.slack import views as slack_views
from bot.web.views import part
from engine.core.flow_source import load
from engine.core.state import State
from engine.runtime.foresight import Foreseen, Unknown
from engine.sight import Changes, Content, FileChange
from engine.tasks import catalogue
from tests.bot.rig import Rig
from tests.wire.git_http import git, git_host

__all__ = ["git_host"]
GIT = "io.kestra.plugin.git"
SECRET = "hunter2-hunter2"
HIDDEN = "**masked*" + "*" * (len(SECRET) - 9)


def gate(*tasks: str, namespace: str = "company.team", flow_id: str = "gate") -> str:
    """A flow that asks, and then does what is given."""
    body = "".join(f"  - {task}\n" for task in tasks)
    return f"id: {flow_id}\nnamespace: {namespace}\ntasks:\n  - {{id: wait, type: {PAUSE}}}\n{body}"


PAUSE = "io.kestra.plugin.core.flow.Pause"
DRAW = "{id: draw, type: io.kestra.plugin.core.debug.Return, format: x}"


class Office:
    """A rig, a repository, and the cards of a flow that changes files."""

    def __init__(self, rig, host):
        self.rig, self.host = rig, host
        self.bare = host.create("flows")
        self.url = f"{host.url}/flows.git"

    def task(self, kind: str, **given) -> str:
        more = "".join(f", {name}: {value}" for name, value in given.items())
        return f"{{id: git, type: {GIT}.{kind}, url: '{self.url}', username: ann, password: \"{PASSWORD}\"{more}}}"

    async def asked(self, flow: str):
        """The card of the pause, and that drawing it called nobody."""
        await self.rig.engine.deploy(flow)
        self.host.wire.requests.clear()
        card = await self.rig.asked("run gate")
        assert self.host.wire.requests == [], "whoever only looks calls nobody"
        return card

    async def approved(self, card):
        """The run, once it went on to its end."""
        await self.rig.press(card, "Approve")
        run = (await self.rig.engine.pause_row(card.entity)).execution_id
        done = await self.rig.engine.wait(run, timeout=60)
        assert done.state is State.SUCCESS, [line.message for line in await self.rig.engine.logs(run)]

    def put(self, path: str, text: str, namespace: str = "company.team") -> None:
        self.rig.engine.files.put_namespace_file(namespace, path, text.encode())


PASSWORD = "{{ secret('GIT') }}"


@pytest.fixture
async def office(tmp_path, git_host, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_GIT", "t0ken-t0ken")
    monkeypatch.setenv("PARLEY_SECRET_DEPLOY", SECRET)
    git_host.credentials = "ann:t0ken-t0ken"
    rig = await Rig(tmp_path).start()
    yield Office(rig, git_host)
    await rig.stop()


async def test_a_push_is_shown_against_what_was_seen_of_the_branch_last(office):
    flow = gate(office.task("PushNamespaceFiles", branch="main"))
    office.put("prompt.md", f"Draw a fox.\n{SECRET}\nNothing else.\n")
    office.rig.engine.masker.add(SECRET)
    card = await office.asked(flow)
    assert "`git` changes 1 file in `main of " in card.body
    assert "new `_files/prompt.md`" in card.body
    assert "No task of this namespace has seen the branch yet" in card.body
    assert "--- /dev/null\n+++ b/_files/prompt.md\n" in card.body
    assert f"+Draw a fox.\n+{HIDDEN}\n+Nothing else." in card.body
    assert SECRET not in str(card)
    await office.approved(card)

    office.put("prompt.md", f"Draw a bear.\n{SECRET}\nNothing else.\n")
    card = await office.asked(flow)
    commit = git(office.bare, "rev-parse", "main").strip()
    assert f"Compared with commit {commit[:12]}, seen at " in card.body
    assert r"(+1 −1 lines): `_files/prompt.md`" in card.body
    head = "--- a/_files/prompt.md\n+++ b/_files/prompt.md\n@@ -1,3 +1,3 @@\n"
    assert f"{head}-Draw a fox.\n+Draw a bear.\n {HIDDEN}" in card.body
    assert git(office.bare, "rev-parse", "main").strip() == commit, "nothing is pushed by looking"

    office.rig.engine.files.delete_namespace_file("company.team", "prompt.md")
    office.put("other.md", "x\n")
    card = await office.asked(flow)
    assert "without `_files/prompt.md`" in card.body
    assert "+++ /dev/null" in card.body
    await office.approved(card)
    card = await office.asked(flow)
    assert "`git` changes nothing in `main of " in card.body


async def test_what_one_namespace_saw_of_a_branch_no_other_learns(office):
    office.put("prompt.md", "private\n")
    await office.approved(await office.asked(gate(office.task("PushNamespaceFiles", branch="main"))))
    await office.rig.engine.flows.delete("company.team", "gate")
    office.put("prompt.md", "a guess\n", namespace="other")
    card = await office.asked(gate(office.task("PushNamespaceFiles", branch="main"), namespace="other"))
    assert "No task of this namespace has seen the branch yet" in card.body
    assert "private" not in str(card)


async def test_flows_that_a_sync_would_change_are_shown(office):
    other = "id: kept\nnamespace: prod\ntasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: before}\n"
    gone = other.replace("kept", "gone")
    work = office.host.root / "flows-work"
    (work / "_flows").mkdir()
    (work / "_flows" / "kept.yml").write_text(other.replace("before", "after"))
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "Flows")
    git(work, "push", "-q", "origin", "main")
    await office.rig.engine.deploy(other)
    await office.rig.engine.deploy(gone)
    sync = office.task("SyncFlows", branch="main", targetNamespace="prod", delete="true")
    card = await office.asked(gate(sync))
    assert "so what it brings can't be told before" in card.body
    await office.approved(card)
    await office.rig.engine.deploy(other)
    await office.rig.engine.deploy(gone)
    card = await office.asked(gate(sync))
    assert "`git` changes 2 files in `flows of prod`" in card.body
    assert "As of commit " in card.body
    assert "-  - {id: say, type: io.kestra.plugin.core.log.Log, message: before}\n+  - {id: say" in card.body
    assert "without `prod/gone.yml`" in card.body
    assert "before" in office.rig.engine.flows.get("prod", "kept").model_dump_json(), "nothing is deployed by looking"

    files = gate(office.task("SyncNamespaceFiles", branch="main", gitDirectory="_flows"))
    card = await office.asked(files)
    assert "`git` changes 1 file in `files of company.team`" in card.body
    one = gate(office.task("SyncFlow", branch="main", flowPath="_flows/kept.yml", targetNamespace="prod"))
    assert "`git` changes 1 file in `flows of prod`" in (await office.asked(one)).body
    both = gate(office.task("Sync", branch="main", dryRun="false"))
    body = (await office.asked(both)).body
    assert "new `company.team/kept.yml`" in body
    assert "new `README.md`" in body
    assert "`company.team/gate.yml`" not in body, "the running flow stays"


async def test_both_ways_of_a_namespace_and_a_repository_are_shown(office):
    other = "id: kept\nnamespace: prod\ntasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: before}\n"
    await office.rig.engine.deploy(other)
    office.put("a.txt", "a\n", namespace="prod")
    push = gate(office.task("NamespaceSync", branch="main", namespace="prod"))
    card = await office.asked(push)
    assert "`git` changes 2 files in `main of " in card.body
    assert "new `prod/files/a.txt`, new `prod/flows/kept.yaml`" in card.body
    await office.approved(card)
    assert "`git` changes nothing in `main of " in (await office.asked(push)).body
    await office.rig.engine.deploy(other.replace("before", "after"))
    await office.rig.engine.deploy(other.replace("kept", "gone"))
    office.put("b.txt", "b\n", namespace="prod")
    fetch = office.task("NamespaceSync", branch="main", namespace="prod", sourceOfTruth="GIT")
    body = (await office.asked(gate(fetch))).body
    assert "`git` changes 2 files in `flows of prod`" in body
    assert "without `prod/gone.yml`" in body
    assert "message: after}\n+  - {id: say" in body
    assert "`git` changes 1 file in `files of prod`" in body
    assert "without `b.txt`" in body
    kept = office.task(
        "NamespaceSync", branch="main", namespace="prod", sourceOfTruth="GIT", whenMissingInSource="KEEP"
    )
    assert "gone" not in (await office.asked(gate(kept))).body


async def test_both_ways_of_all_namespaces_and_a_repository_are_shown(office):
    other = "id: kept\nnamespace: prod\ntasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: before}\n"
    await office.rig.engine.deploy(other)
    office.put("a.txt", "a\n", namespace="shop.eu")
    push = gate(office.task("TenantSync", branch="main", gitDirectory="all"))
    card = await office.asked(push)
    assert "`all/prod/flows/kept.yaml`" in card.body
    assert "`all/shop.eu/files/a.txt`" in card.body
    await office.approved(card)
    assert "`git` changes nothing in `main of " in (await office.asked(push)).body
    await office.rig.engine.deploy(other.replace("kept", "gone"))
    fetch = office.task("TenantSync", branch="main", gitDirectory="all", sourceOfTruth="GIT")
    body = (await office.asked(gate(fetch))).body
    assert "`git` changes 1 file in `flows of prod`" in body
    assert "without `prod/gone.yml`" in body
    assert "shop.eu" not in body


async def test_a_push_of_files_and_flows_and_what_is_known_later(office):
    push = office.task(
        "Push", branch="main", inputFiles='{note.md: "{{ outputs.draw.value }}"}', flows="{enabled: false}"
    )
    card = await office.asked(gate(DRAW, push))
    assert "`git` changes files; which, is known after `draw`." in card.body
    push = office.task(
        "Push", branch="main", inputFiles="{note.md: hello, bin/x: '\\0'}", addFilesPattern="[note.md, _flows]"
    )
    card = await office.asked(gate(push))
    assert "new `note.md`" in card.body
    assert "b/bin/x" not in card.body
    assert "new `_flows/gate.yml`" in card.body
    flows = office.task("PushFlows", branch="main", targetNamespace="prod")
    assert "+namespace: prod" in (await office.asked(gate(flows))).body
    inside = f"{{id: wd, type: io.kestra.plugin.core.flow.WorkingDirectory, tasks: [{push}]}}"
    assert "And what its working directory holds by then." in (await office.asked(gate(inside))).body
    trial = office.task("PushFlows", branch="main", dryRun="true")
    assert "changes" not in (await office.asked(gate(trial))).body
    out = office.task("PushExecutionFiles", branch="main", filesMap="{'../x': 'kestra:///a/b'}")
    assert "`git` would fail: " in (await office.asked(gate(out))).body


async def test_files_of_a_namespace_that_go_or_stay(office):
    office.put("drafts/a.txt", "one\n")
    office.put("kept.txt", "two\n")
    kind = "io.kestra.plugin.core.namespace"
    tidy = f"{{id: tidy, type: {kind}.DeleteFiles, namespace: company.team, files: 'drafts/**'}}"
    card = await office.asked(gate(tidy))
    assert "without `drafts/a.txt`" in card.body
    assert "kept.txt" not in card.body
    purge = (
        f"{{id: tidy, type: {kind}.PurgeFiles, namespaces: [company.team], behavior: {{type: version, keepAmount: 0}}}}"
    )
    assert "`tidy` changes 2 files in `files of company.team`" in (await office.asked(gate(purge))).body
    assert len(list(office.rig.engine.files.namespace_files("company.team"))) == 2
    uri = office.rig.engine.files.put("company/team/_files/up", b"three\n", "kept.txt")
    for conflict, said in (("ERROR", "would fail: "), ("SKIP", "changes nothing in "), ("OVERWRITE", "-two\n+three")):
        given = f"namespace: company.team, filesMap: {{kept.txt: '{uri}'}}, conflict: {conflict}"
        assert said in (await office.asked(gate(f"{{id: up, type: {kind}.UploadFiles, {given}}}"))).body


async def test_a_long_diff_is_cut_on_the_card_and_sent_along_whole(office):
    office.put("long.txt", "".join(f"line {n}\n" for n in range(400)))
    card = await office.asked(gate(office.task("PushNamespaceFiles", branch="main")))
    assert "The whole of it is in `changes.diff`." in card.body
    assert "+line 399" not in card.body
    (enclosed,) = card.enclosed
    assert enclosed.name == "changes.diff"
    assert "+line 399" in enclosed.text
    _, files = slack_views.spill(slack_views.card(card).overflow)
    assert dict(files)["changes.diff"] == enclosed.text
    drawn = discord_cards.card(card)
    sent = {one.name: one.content for one in to_send(drawn, {})}
    assert sent["changes.diff"].decode() == enclosed.text
    assert "details.md" not in sent
    before = evidence(card)
    office.put("long.txt", "".join(f"line {n}\n" for n in range(399)) + "another end\n")
    (again,) = await office.rig.desk.pause_cards((await office.rig.engine.pause_row(card.entity)).execution_id)
    assert again.body == card.body
    assert evidence(again) != before, "the hash is of all that was shown, also of what is in the file"
    await office.rig.press(card, "Approve")
    (closed,) = await office.rig.desk.pause_cards((await office.rig.engine.pause_row(card.entity)).execution_id)
    assert closed.enclosed == ()


def test_the_page_shows_the_whole_below_the_card():
    card = Card(
        "pause", "01", "paused", "Ship it?", enclosed=(Enclosure("changes.diff", "Files that change", "+<b>x"),)
    )
    drawn = part("card", card, "", "lobby")
    assert "<summary>Files that change: changes.diff</summary><pre>+&lt;b&gt;x</pre>" in drawn


def test_a_terminal_shows_the_same_before_somebody_answers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make = "{id: make, type: io.kestra.plugin.core.storage.Write, content: '%s'}"
    kind = "io.kestra.plugin.core.namespace.UploadFiles"
    up = f"{{id: up, type: {kind}, filesMap: {{a.txt: '{{{{ outputs.make.uri }}}}'}}}}"
    for name, text in (("short", "one"), ("long", "\\n".join(f"line {n}" for n in range(99)))):
        flow = gate(up).replace("tasks:\n", f"tasks:\n  - {make % text}\n".replace("'", '"'))
        (tmp_path / f"{name}.yaml").write_text(flow)
        done = CliRunner().invoke(app, ["run", f"{name}.yaml"])
        assert done.exit_code == 1
        assert "Then up: namespace.UploadFiles" in done.stderr
        assert "up changes 1 file in files of company.team" in done.stderr
        assert ("+one" if name == "short" else "+line 98\n") in done.stderr
        assert "changes.diff" not in done.stderr, "a terminal has room for all of it"


def change(path: str, before: bytes | None, after: bytes | None) -> FileChange:
    return FileChange(path, *(None if one is None else Content.of(one) for one in (before, after)))


def foreseen(*changes: FileChange, place: str = "files of x") -> Foreseen:
    return Foreseen("push", (Changes(place, changes),))


def test_names_and_contents_from_outside_draw_nothing_of_their_own():
    name = "a\u202etxt.exe`\n[x](http://evil.test)"
    parts, whole = told([foreseen(change(name, None, "```\n\u2066hidden\u2069\r\n\x1b[31m".encode()))])
    assert whole == ""
    text = "\n".join(parts)
    for hidden in ("\u202e", "\u2066", "\x1b", "\r"):
        assert hidden not in text
    assert text.count("```") == 2
    assert "\\u202e" in text
    assert "+\\u2066hidden\\u2069\\u000d" in text
    joined = "caf\u00e9 \u05e9\u05dc\u05d5\u05dd \U0001f469\u200d\U0001f4bb"
    assert visible(joined) == joined


def test_a_change_that_is_all_hidden_is_told():
    before, after = Content.of(b"one"), Content.of(b"two")
    hidden = [replace(one, text="***") for one in (before, after)]
    parts, _ = told([foreseen(FileChange("a.env", *hidden))])
    assert "What is hidden there differs." in parts[-1]


def test_pictures_and_long_files_are_told_by_their_size():
    parts, whole = told([foreseen(change("a.png", b"\x89\0", b"\x89\0\0"), change("b.txt", b"x" * 300_000, None))])
    text = "\n".join(parts) + whole
    assert "Binary or long file a.png: 2 bytes -> 3 bytes, SHA-256 " in text
    assert "Binary or long file b.txt: 300000 bytes -> gone" in text


@pytest.mark.parametrize("count", [499, 500, 501])
def test_many_files_are_bounded_and_counted(count):
    parts, whole = told([foreseen(*(change(f"f{n}", None, b"x") for n in range(count)))])
    assert f"changes {count} files" in parts[0]
    assert f"and {count - 8} more" in parts[0]
    assert len("\n".join(parts)) < MAX_DIFF + 800
    assert whole.count("\n+++ b/") == min(count, 500)
    assert ("1 further files are not shown" in whole) is (count > 500)


def test_small_changes_of_many_long_files_are_counted_line_by_line():
    old = [b"%d\n" % n for n in range(3_000)]
    new = [*old[:1_500], b"changed\n", *old[1_501:]]
    parts, whole = told([foreseen(*(change(f"f{n}", b"".join(old), b"".join(new)) for n in range(40)))])
    assert "(+40 \u221240 lines)" in parts[0]
    assert whole.count("\n+changed") == 40


def test_what_takes_long_to_compare_is_shown_as_gone_and_come():
    """Each alone is within the limit of a file; together they would hold up whoever draws the card."""
    old = b"".join(b"%d\n" % n for n in range(3_000))
    new = b"".join(b"%d\n" % (n if n % 7 else -n - 1) for n in range(3_000))
    parts, whole = told([foreseen(change("a", old, new), change("b", old, new))])
    assert "(+3429 \u22123429 lines)" in parts[0]
    assert whole.count("@@ -1,3000 +1,3000 @@") == 1


def test_a_whole_that_is_too_long_says_so():
    one = b"".join(b"%06d\n" % n for n in range(20_000))
    _, whole = told([foreseen(*(change(f"f{n}", None, one) for n in range(4)))])
    assert "3 further files are not shown." in whole
    assert len(whole) < 300_000


def test_a_block_is_cut_at_its_limits():
    assert block("x" * MAX_DIFF) == f"```\n{'x' * MAX_DIFF}\n```"
    assert block("x" * (MAX_DIFF + 1)).endswith("x\n…\n```")
    assert "…" not in block("\n".join("x" * 24))
    assert "…" in block("\n".join("x" * 25))


def test_what_nobody_can_know_is_said():
    assert told([Foreseen("a", unknown=Unknown(("b",)))]) == (("`a` changes files; which, is known after `b`.",), "")
    assert told([Foreseen("a", unknown=Unknown())]) == (("`a` changes files; which, is known when it runs.",), "")


def test_tasks_that_run_in_any_case_are_asked_up_to_the_next_question():
    push = f"type: {GIT}.PushFlows, url: 'https://x.test/a', branch: main"
    one, two, three, four = (f"{{id: {name}, {push}}}" for name in ("one", "two", "three", "four"))
    flow = load(
        gate(
            f"{{id: both, type: io.kestra.plugin.core.flow.Parallel, tasks: [{one}]}}",
            f"{{id: maybe, type: io.kestra.plugin.core.flow.If, condition: '{{{{ inputs.x }}}}', then: [{two}]}}",
            f"{{id: wd, type: io.kestra.plugin.core.flow.WorkingDirectory, tasks: [{three}]}}",
            f"{{id: again, type: {PAUSE}}}",
            four,
        ),
        catalogue(),
    )
    assert [(step.task.id, step.is_shared) for step in ahead(flow, "wait")] == [("one", False), ("three", True)]
    assert ahead(flow, "nobody") == []
