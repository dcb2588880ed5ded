"""Secrets that show nowhere, files that are read by those who may, values with a kind and an end."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from engine.core.state import State
from engine.errors import ExpressionFailed, InputInvalid, NotFound, Refused, SettingInvalid, StoreFailed
from engine.expressions import Services, render
from engine.files import FileStore, Scope, slug, task_folder
from engine.runtime import Engine
from engine.secrets import Masker, Secrets, Vault
from engine.settings import Settings
from tests.runtime.marks import marks, registry

SECRET = "hunter2-hunter2"


@pytest.fixture
def everything(settings):
    """Every byte that the engine wrote into its database."""
    return lambda: b"".join(path.read_bytes() for path in settings.data.glob("parley.db*"))


# --- where secrets come from


@pytest.mark.parametrize(
    ("name", "value"),
    [("SECRET_MY_KEY", base64.b64encode(SECRET.encode()).decode()), ("PARLEY_SECRET_MY_KEY", SECRET)],
)
def test_a_secret_of_the_environment(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert Secrets(Settings(), Masker()).get("my-key") == SECRET


def test_a_secret_of_a_mounted_folder(tmp_path):
    (tmp_path / "MY_KEY").write_text(SECRET + "\n")
    assert Secrets(Settings(secrets_dir=tmp_path), Masker()).get("my_key") == SECRET


def test_a_secret_whose_file_cannot_be_read_is_an_error_of_ours(tmp_path):
    (tmp_path / "BYTES").write_bytes(b"\xff\xfe")
    secrets = Secrets(Settings(secrets_dir=tmp_path), Masker())
    with pytest.raises(ExpressionFailed, match="file of the secret BYTES can't be read"):
        secrets.get("bytes")
    with pytest.raises(ExpressionFailed, match="at most 200 characters"):
        secrets.get("a" * 300)


def test_a_file_whose_name_is_too_long_is_not_there(tmp_path):
    with pytest.raises(NotFound):
        FileStore(tmp_path).path("a" * 300, Scope("company"))


# Errors show beginnings of values: 60 characters, or 11 where jq writes them.
@pytest.mark.parametrize(
    "template",
    [
        "{{ fromJson(secret('KEY')) }}", "{{ secret('KEY') | date }}", "{{ 2 * secret('KEY') }}",
        "{{ secret('KEY') | number }}", "{{ 0 | date(timeZone=secret('KEY')) }}", "{{ flow[secret('KEY')] }}",
        "{{ secret('KEY') | jq('.') }}", "{{ {'a': secret('KEY')} | jq('.a | tonumber') }}",
        "{{ {'a': secret('KEY')} | jq('.a.b') }}", "{{ 1 | jq('.[\"' ~ secret('KEY') ~ '\"]') }}",
        "{{ [1] | jq('\"' ~ secret('KEY') ~ '\" | .a') }}", "{{ 'a' | jq('\"' ~ secret('KEY') ~ '\" |') }}",
        "{{ 'a' | jq('def a: a; \"' ~ secret('KEY') ~ '\" * .') }}", "{{ 'a' | slice(secret('KEY')) }}",
    ],
)  # fmt: skip
def test_no_error_shows_the_beginning_of_a_secret(template):
    key = "k" + "".join(f"{number:02d}secret" for number in range(20))
    masker = Masker()
    masker.add(key)
    with pytest.raises(ExpressionFailed) as raised:
        render(template, {"flow": {"id": "f"}}, Services(secret=lambda *a, **b: key, mask=masker.mask))
    assert key[:8] not in str(raised.value)
    assert "".join(str(raised.value).split()), "it says something"


@pytest.mark.parametrize(
    "template",
    [
        "{{ secret('KEY') | base64encode }}", "{{ 'ann:' ~ secret('KEY') | base64encode }}",
        "{{ ['x', secret('KEY')] | base64encode }}", "{{ 'Key ' ~ secret('KEY') | upper }}",
        "{{ 'Key ' ~ secret('KEY') | lower }}", "{{ secret('KEY') | base64encode | urlencode }}",
        "{{ secret('KEY') | upper | toJson }}",
    ],
)  # fmt: skip
def test_a_secret_that_is_written_in_another_way_is_still_hidden(template):
    masker = Masker()
    masker.add("Hunter2>Hunter2")
    services = Services(secret=lambda *a, **b: "Hunter2>Hunter2", mask=masker.mask, hide=masker.follow)
    written = render(template, {}, services)
    hidden = masker.mask(f"sent {written}")
    assert not any(written[at : at + 6] in hidden for at in range(4, len(written) - 5))


def test_many_secrets_written_in_another_way_push_no_other_out(monkeypatch):
    masker = Masker()
    masker.add("another-secret")
    masker.add(SECRET)
    services = Services(secret=lambda *a, **b: SECRET, mask=masker.mask, hide=masker.follow)
    with pytest.raises(ExpressionFailed, match="steps"):
        render("{% for i in 1..2000 %}{{ (secret('KEY') ~ i) | base64encode }}{% endfor %}", {}, services)
    assert masker.finds("another-secret")


def test_a_folder_gives_nothing_outside_itself(tmp_path):
    (tmp_path / "key").write_text("outside")
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(ExpressionFailed):
        Secrets(Settings(secrets_dir=inner), Masker()).get("../key")


def test_a_missing_secret_says_what_to_set():
    with pytest.raises(ExpressionFailed, match=r"Cannot find secret for key 'nope'\. Set PARLEY_SECRET_NOPE"):
        Secrets(Settings(), Masker()).get("nope")


def test_what_is_no_base64_is_said_without_showing_it(monkeypatch):
    monkeypatch.setenv("SECRET_X", "not base64 at all")
    with pytest.raises(ExpressionFailed, match="does not hold Base64") as raised:
        Secrets(Settings(), Masker()).get("x")
    assert "not base64" not in str(raised.value)


# --- masking


def test_masking():
    masker = Masker()
    masker.add(SECRET)
    assert masker.mask(f"a {SECRET} b") == "a **masked*****" + "*" * 0 + " b" or SECRET not in masker.mask(
        f"a {SECRET} b"
    )
    assert SECRET not in masker.mask(f"a {SECRET} b {SECRET}")
    assert masker.mask("nothing here") == "nothing here"
    assert masker.mask_value({"a": [SECRET, 1, None]})["a"][1:] == [1, None]


def test_a_secret_stays_hidden_however_many_come_after_it():
    masker = Masker()
    masker.add("the-first-of-them")
    for number in range(5000):
        masker.add(f"token-{number:05}-of-a-service")
    assert masker.mask("it is the-first-of-them") == "it is **masked*********"
    assert masker.mask("token-00000-of-a-service, token-04999-of-a-service").count("of") == 0


@pytest.mark.parametrize(("bound", "value"), [("REMEMBERED", 20), ("REMEMBERED_TEXT", 400)])
def test_what_secret_gives_is_never_forgotten_and_of_the_rest_the_oldest(monkeypatch, bound, value):
    monkeypatch.setattr(f"engine.secrets.{bound}", value)
    monkeypatch.setenv("PARLEY_SECRET_KEY", SECRET)
    masker = Masker()
    masker.add(SECRET)  # seen before it was known to be one of the settings
    Secrets(Settings(), masker).get("key")
    for number in range(100):
        masker.add(f"token-{number:03}-of-a-service")
    assert masker.finds(SECRET)
    assert masker.finds("token-099-of-a-service")
    assert not masker.finds("token-000-of-a-service")


@given(st.lists(st.text("abc", min_size=1, max_size=5)), st.text("abc"))
def test_many_secrets_are_hidden_as_few_are(secrets, text):
    with pytest.MonkeyPatch.context() as patched:
        few, many = Masker(), Masker()
        for secret in secrets:
            few.add(secret)
            many.add(secret)
        hidden = few.mask(text)
        patched.setattr("engine.secrets.FEW", -1)
        assert many.mask(text) == hidden


def test_a_secret_of_several_lines_is_masked_line_by_line_and_inside_json():
    masker = Masker()
    masker.add('{"private_key": "-----BEGIN-----\nabcdefghijklmnop\n-----END-----"}')
    assert "abcdefghijklmnop" not in masker.mask("found: abcdefghijklmnop")
    masker.add('with "quotes" inside')
    assert "quotes" not in masker.mask(r'{"a": "with \"quotes\" inside"}')


def test_short_and_common_words_are_no_secrets():
    masker = Masker()
    for word in ("a", "", "true", "no"):
        masker.add(word)
    assert masker.mask("a true no") == "a true no"


# --- the vault


def test_a_vault_opens_what_older_keys_sealed_and_rotates_it():
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    sealed = Vault([old]).seal("x", "kv:a/b")
    both = Vault([new, old])
    assert both.open(sealed, "kv:a/b") == "x"
    rotated = both.rotate(sealed)
    assert Vault([new]).open(rotated, "kv:a/b") == "x"
    with pytest.raises(StoreFailed, match="another key"):
        Vault([new]).open(sealed, "kv:a/b")
    with pytest.raises(StoreFailed, match="moved"):
        both.open(sealed, "kv:a/c")


def test_a_key_is_made_once_for_the_owner_only(tmp_path):
    settings = Settings(data=tmp_path)
    sealed = Vault.of(settings).seal("x", "o")
    assert (tmp_path / "encryption.key").stat().st_mode & 0o777 == 0o600
    assert Vault.of(settings).open(sealed, "o") == "x"


def test_a_wrong_key_is_said_without_showing_it(tmp_path):
    with pytest.raises(SettingInvalid, match="URL-safe Base64") as raised:
        Vault.of(Settings(data=tmp_path, encryption_key="my password"))
    assert "my password" not in str(raised.value)


# --- secrets in executions

USES = """
inputs:
  - {id: pin, type: SECRET}
tasks:
  - id: log
    type: io.kestra.plugin.core.log.Log
    message: "pin {{ inputs.pin }} key {{ secret('API') }}"
  - id: give
    type: io.kestra.plugin.core.debug.Return
    format: "Bearer {{ secret('API') }}"
  - id: use
    type: tests.Mark
    text: "{{ outputs.give.value }} {{ inputs.pin }}"
  - id: call
    type: io.kestra.plugin.core.flow.Subflow
    namespace: company.team
    flowId: child
    inputs: {pass: "{{ secret('API') }}"}
  - id: bad
    type: io.kestra.plugin.core.execution.Fail
    errorMessage: "it was {{ secret('API') }} and {{ inputs.pin }}"
"""
CHILD = "inputs:\n  - {id: pass, type: STRING}\ntasks:\n  - {id: in, type: tests.Mark, text: '{{ inputs.pass }}'}\n"


async def test_a_secret_shows_nowhere_and_still_works(engine, deploy, run, monkeypatch, everything):
    monkeypatch.setenv("PARLEY_SECRET_API", SECRET)
    await deploy(CHILD, "child")
    await deploy(USES)
    done = await run({"pin": "pin-4711-pin"})
    assert done.state is State.FAILED
    assert [line.partition(" ")[2] for line in marks(engine.settings.data)] == [f"Bearer {SECRET} pin-4711-pin", SECRET]
    lines = [line.message for line in await engine.logs(done.id)]
    assert any(line.startswith("pin ") for line in lines)
    shown = str(lines) + str(done) + str(await engine.executions())
    for secret in (SECRET, "pin-4711-pin"):
        assert secret not in shown
        assert secret.encode() not in everything()


async def test_secrets_are_there_again_after_a_restart(settings, clock, everything):
    flow = "id: f\nnamespace: a\ninputs:\n  - {id: pin, type: SECRET}\n"
    flow += "tasks:\n  - {id: p, type: io.kestra.plugin.core.flow.Pause}\n"
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    await first.deploy(flow + "  - {id: t, type: tests.Mark, text: '{{ inputs.pin }}'}\n")
    made = await first.create("a", "f", {"pin": "pin-4711-pin"}, started_by="x")
    await first.wait(made.id, until="ended_or_paused", timeout=10)
    await first.stop()
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        assert "pin-4711-pin" not in str(await second.execution(made.id))
        await second.resume(made.id, {}, by="x")
        assert (await second.wait(made.id, timeout=10)).state is State.SUCCESS
        assert marks(settings.data)[0].endswith("pin-4711-pin")
        assert b"pin-4711-pin" not in everything()
    finally:
        await second.stop()


async def test_what_came_from_outside_is_never_evaluated(engine, deploy, run, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_API", SECRET)
    await deploy(
        "inputs:\n  - {id: name, type: STRING}\ntasks:\n"
        "  - {id: a, type: io.kestra.plugin.core.debug.Return, format: '{{ inputs.name }}'}\n"
        "  - {id: b, type: tests.Mark, text: '{{ outputs.a.value }}'}\n"
    )
    done = await run({"name": "{{ secret('API') }}"})
    assert done.state is State.SUCCESS
    assert marks(engine.settings.data)[0].endswith("{{ secret('API') }}")


async def test_a_field_of_a_secret_that_holds_json(engine, deploy, run, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_DB", '{"user": "ann-ann", "more": {"a": [1, 2]}, "nothing": null}')
    task = "  - {id: NAME, type: tests.Mark, text: \"{{ secret('DB', subkey='NAME') }}\"}\n"
    await deploy("tasks:\n" + "".join(task.replace("NAME", name) for name in ("user", "more", "nothing")))
    assert (await run()).state is State.FAILED
    assert [line.partition(" ")[2] for line in marks(engine.settings.data)] == ["ann-ann", '{"a":[1,2]}']


# --- files


@pytest.fixture
def files(tmp_path):
    return FileStore(tmp_path / "files")


FOLDER = task_folder("company.team", "My_flow one", "E1", "A task", "E1.1")


def test_a_file_has_the_address_kestra_gives_it(files):
    uri = files.put(FOLDER, b"text", "out.txt")
    assert uri == "kestra:///company/team/my-flow-one/executions/E1/tasks/a-task/E1.1/out.txt"
    assert files.path(uri).read_bytes() == b"text"
    assert files.put(FOLDER, b"other", "out.txt").endswith("/out-1.txt")
    assert files.path(uri).read_bytes() == b"text"


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a/b/../../../c", "..", "", "\0", "a\\..\\b", ".hidden"])
def test_a_name_never_leaves_its_folder(files, name):
    path = files.path(files.put(FOLDER, b"x", name))
    assert path.parent == files.root / FOLDER


@pytest.mark.parametrize(
    "uri",
    [
        "kestra:///../secret", "kestra:///company/team/../../../etc/passwd", "kestra:///%2e%2e/%2e%2e/etc/passwd",
        "kestra:///", "file:///etc/passwd", "/etc/passwd", "kestra:///a/..", "kestra:///company\\..\\x",
    ],
)  # fmt: skip
def test_an_address_never_leaves_the_storage(files, uri):
    (files.root.parent / "secret").write_text("no")
    with pytest.raises((Refused, NotFound)):
        files.path(uri)


def test_a_link_in_the_storage_is_not_followed_out_of_it(files):
    (files.root.parent / "secret").write_text("no")
    folder = files.root / "a" / "f" / "executions" / "E1"
    folder.mkdir(parents=True)
    (folder / "x").symlink_to(files.root.parent / "secret")
    with pytest.raises(Refused):
        files.path("kestra:///a/f/executions/E1/x")


@pytest.mark.parametrize(
    ("namespace", "execution", "callers", "allowed"),
    [
        ("company.team", "E9", (), True),  # the own namespace
        ("other", "E1", (), True),  # the own execution
        ("other", "E9", ("E1",), True),  # the execution that called
        ("other", "E9", (), False),
        ("company", "E9", (), False),  # a parent namespace
        ("company.team.sub", "E9", (), False),
    ],
)
def test_who_may_read_a_file(files, namespace, execution, callers, allowed):
    uri = files.put(FOLDER, b"x", "x")
    scope = Scope(namespace, execution, frozenset(callers))
    if allowed:
        assert files.path(uri, scope).is_file()
    else:
        with pytest.raises(Refused, match="another execution"):
            files.path(uri, scope)


def test_namespace_files_belong_to_their_namespace(files):
    uri = files.put_namespace_file("company.team", "scripts/run.sh", b"echo")
    assert uri == "kestra:///company/team/_files/scripts/run.sh"
    assert files.path("scripts/run.sh", Scope("company.team")).read_bytes() == b"echo"
    assert files.path("nsfile:///scripts/run.sh", Scope("company.team")).read_bytes() == b"echo"
    assert [name for name, _ in files.namespace_files("company.team")] == ["scripts/run.sh"]
    with pytest.raises(Refused):
        files.path(uri, Scope("company"))
    with pytest.raises(Refused):
        files.put_namespace_file("company.team", "../x", b"no")


@pytest.mark.parametrize(
    ("text", "expected"), [("My_flow  one", "my-flow-one"), ("a--b", "a-b"), ("Ünï (x)!", "ünï-x")]
)
def test_slugs(text, expected):
    assert slug(text) == expected


async def test_a_subflow_reads_the_files_of_its_caller_and_gives_its_own(engine, deploy, run):
    write = "  - {id: w, type: io.kestra.plugin.core.storage.Write, content: hello, extension: .txt}\n"
    await engine.deploy(
        "id: child\nnamespace: elsewhere\ninputs:\n  - {id: uri, type: STRING}\ntasks:\n"
        '  - {id: r, type: io.kestra.plugin.core.debug.Return, format: "{{ read(inputs.uri) }} world"}\n'
        '  - {id: w, type: io.kestra.plugin.core.storage.Write, content: "{{ outputs.r.value }}", extension: .txt}\n'
        "outputs:\n  - {id: uri, type: STRING, value: '{{ outputs.w.uri }}'}\n"
    )
    await deploy(
        "tasks:\n" + write + "  - id: call\n    type: io.kestra.plugin.core.flow.Subflow\n    namespace: elsewhere\n"
        "    flowId: child\n    inputs: {uri: '{{ outputs.w.uri }}'}\n"
        "  - {id: r, type: io.kestra.plugin.core.debug.Return, format: '{{ read(outputs.call.outputs.uri) }}'}\n"
    )
    done = await run()
    assert done.state is State.SUCCESS
    assert [one.outputs for one in done.task_runs.values()][-1] == {"value": "hello world"}
    await engine.deploy(
        "id: thief\nnamespace: third\ninputs:\n  - {id: uri, type: STRING}\ntasks:\n"
        "  - {id: r, type: io.kestra.plugin.core.debug.Return, format: '{{ read(inputs.uri) }}'}\n"
    )
    uri = next(iter(done.task_runs.values())).outputs["uri"]
    made = await engine.create("third", "thief", {"uri": uri}, started_by="x")
    assert (await engine.wait(made.id, timeout=10)).state is State.FAILED
    assert "another execution" in (await engine.logs(made.id))[0].message


@pytest.mark.parametrize("place", ["machine", "namespace"])
async def test_a_file_that_stands_as_a_default(engine, deploy, run, tmp_path, place):
    local = tmp_path / "a list.txt"
    local.write_text("milk")
    engine.files.put_namespace_file("company.team", "list.txt", b"milk")
    uri = local.as_uri() if place == "machine" else "nsfile:///list.txt"
    await deploy(
        f"inputs:\n  - {{id: list, type: FILE, defaults: '{uri}'}}\n"
        "tasks:\n  - {id: t, type: io.kestra.plugin.core.debug.Return, format: '{{ read(inputs.list) }}'}\n"
    )
    done = await run()
    assert [one.outputs for one in done.task_runs.values()] == [{"value": "milk"}]
    local.unlink()
    assert (await engine.wait((await engine.replay(done.id, by="a")).id, timeout=20)).state is State.SUCCESS


async def test_nobody_but_the_flow_names_a_file_of_the_machine(engine, deploy, run, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("hush")
    await deploy(
        f"inputs:\n  - {{id: list, type: FILE, defaults: '{(tmp_path / 'mine.txt').as_uri()}'}}\n"
        "tasks:\n  - {id: t, type: io.kestra.plugin.core.debug.Return, format: '{{ read(inputs.list) }}'}\n"
    )
    with pytest.raises(InputInvalid, match="only its default may be a file of this machine"):
        await run({"list": other.as_uri()})


async def test_a_file_given_as_input_is_kept(engine, deploy, run, tmp_path):
    await deploy(
        "inputs:\n  - {id: doc, type: FILE}\ntasks:\n"
        "  - {id: r, type: io.kestra.plugin.core.debug.Return, format: '{{ read(inputs.doc) }}'}\n"
    )
    (tmp_path / "doc.txt").write_text("content")
    done = await run({"doc": str(tmp_path / "doc.txt")})
    assert done.inputs["doc"] == f"kestra:///company/team/f/executions/{done.id}/inputs/doc/doc.txt"
    assert [one.outputs for one in done.task_runs.values()] == [{"value": "content"}]
    flow = engine.flows.get("company.team", "f")
    resolved = await engine.check_inputs(flow, {"doc": "/etc/hostname"})
    with pytest.raises(Exception, match="file's URI"):
        await engine.prepare(flow, resolved, local_files=False)


async def test_each_file_of_a_list_is_kept(engine, deploy, run, tmp_path):
    standing = tmp_path / "standing.txt"
    standing.write_text("of the flow")
    await deploy(
        f"inputs:\n  - {{id: docs, type: ARRAY, itemType: FILE, defaults: ['{standing.as_uri()}']}}\ntasks:\n"
        "  - {id: r, type: io.kestra.plugin.core.debug.Return, format: '{% for d in inputs.docs %}{{ read(d) }};"
        "{% endfor %}'}\n"
    )
    (tmp_path / "other").mkdir()
    for folder, text in (("", "one"), ("other", "two")):
        (tmp_path / folder / "doc.txt").write_text(text)
    done = await run({"docs": [str(tmp_path / "doc.txt"), str(tmp_path / "other" / "doc.txt")]})
    folder = f"kestra:///company/team/f/executions/{done.id}/inputs/docs/"
    assert all(uri.startswith(folder) for uri in done.inputs["docs"])
    assert len(set(done.inputs["docs"])) == 2
    assert [one.outputs for one in done.task_runs.values()] == [{"value": "one;two;"}]
    assert [one.outputs for one in (await run()).task_runs.values()] == [{"value": "of the flow;"}]
    flow = engine.flows.get("company.team", "f")
    resolved = await engine.check_inputs(flow, {"docs": ["/etc/hostname"]})
    with pytest.raises(InputInvalid, match="file's URI"):
        await engine.prepare(flow, resolved, local_files=False)
    with pytest.raises(InputInvalid, match="only its default may be a file of this machine"):
        await run({"docs": [(tmp_path / "doc.txt").as_uri()]})


@pytest.mark.parametrize(("kind", "as_given"), [("FILE", str), ("ARRAY, itemType: FILE", lambda path: [str(path)])])
async def test_whoever_answers_names_no_file_of_the_machine(engine, deploy, tmp_path, kind, as_given):
    await deploy(
        "tasks:\n  - id: ask\n    type: io.kestra.plugin.core.flow.Pause\n    onResume:\n"
        f"      - {{id: doc, type: {kind}}}\n"
    )
    (tmp_path / "doc.txt").write_text("hush")
    made = await engine.create("company.team", "f", {}, started_by="a")
    await engine.wait(made.id, until="ended_or_paused", timeout=20)
    given = {"doc": as_given(tmp_path / "doc.txt")}
    with pytest.raises(InputInvalid, match="file's URI"):
        await engine.resume(made.id, given, by="token:ci")
    assert (await engine.pauses(execution_id=made.id))[0].state == "WAITING"
    await engine.resume(made.id, given, by="local:ann", local_files=True)
    assert (await engine.wait(made.id, timeout=20)).state is State.SUCCESS


# --- key/value pairs

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "kind", "expected", "named"),
    [
        ("text", None, "text", "STRING"),
        (3, None, 3, "NUMBER"),
        (True, None, True, "BOOLEAN"),
        ({"a": [1]}, None, {"a": [1]}, "JSON"),
        (NOW, None, NOW, "DATETIME"),
        (timedelta(minutes=5), None, timedelta(minutes=5), "DURATION"),
        ("42", "NUMBER", 42, "NUMBER"),
        ("42", "STRING", "42", "STRING"),
        ("TRUE", "BOOLEAN", True, "BOOLEAN"),
        ('{"a": 1}', "JSON", {"a": 1}, "JSON"),
        ("2026-01-02T03:04:05Z", "DATETIME", NOW, "DATETIME"),
        ("2026-01-02", "DATE", NOW.date(), "DATE"),
        ("PT5M", "DURATION", timedelta(minutes=5), "DURATION"),
        ("s3cr3t-text", "SECRET", "s3cr3t-text", "SECRET"),
    ],
)
async def test_a_value_keeps_its_kind(engine, value, kind, expected, named):
    await engine.kv.set("a", "k", value, kind=kind)
    assert await engine.kv.get("a", "k") == expected
    assert (await engine.kv.entry("a", "k")).kind == named


@pytest.mark.parametrize(
    ("value", "kind"), [("x", "NUMBER"), ("x", "DATE"), ("x", "DURATION"), ("{", "JSON"), ("x", "WHAT")]
)
async def test_a_value_that_does_not_fit_its_kind_is_refused(engine, value, kind):
    with pytest.raises(Refused):
        await engine.kv.set("a", "k", value, kind=kind)


@pytest.mark.parametrize("key", ["", "-a", "a b", "ü", "a/b", "../a"])
async def test_a_key_is_a_name(engine, key):
    with pytest.raises(Refused, match="Key"):
        await engine.kv.set("a", key, 1)


async def test_a_value_expires(engine, clock):
    await engine.kv.set("a", "k", 1, ttl=60)
    assert await engine.kv.keys("a") == ["k"]
    clock.jump(timedelta(seconds=61))
    with pytest.raises(NotFound, match="The requested value has expired"):
        await engine.kv.get("a", "k")
    assert await engine.kv.keys("a") == []
    await engine.kv.set("a", "k", 2, overwrite=False)
    with pytest.raises(Refused, match="already exists"):
        await engine.kv.set("a", "k", 3, overwrite=False)


async def test_a_secret_of_the_kv_store_is_encrypted_and_moves_to_a_new_key(settings, clock, everything):
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    for keys in (old, f"{new},{old}", new):
        engine = await Engine.open(settings.model_copy(update={"encryption_key": keys}), clock=clock)
        await engine.start(watch=False)
        if keys == old:
            await engine.kv.set("a", "k", SECRET, kind="SECRET")
        assert await engine.kv.get("a", "k") == SECRET
        assert SECRET.encode() not in everything()
        await engine.stop()


def test_what_a_trigger_stored_is_read_in_its_namespace(tmp_path):
    files = FileStore(tmp_path)
    uri = files.put("company/team/a-flow/trigger/watch", b"rows", "rows.jsonl")
    assert files.path(uri, Scope("company.team", "e1")).read_bytes() == b"rows"
    with pytest.raises(Refused, match="belongs to another"):
        files.path(uri, Scope("company.other", "e1"))
