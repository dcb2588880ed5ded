"""What a webhook is sent: forms with files, forms without, and bytes."""

import base64
import hashlib

import httpx
import pytest

from bot.web.multipart import LONGEST, MOST
from engine.core.state import State

HOOK = "/api/v1/executions/webhook/web.tests/upload/a-long-secret-key"
UPLOAD = """
id: upload
namespace: web.tests
tasks:
  - id: echo
    type: io.kestra.plugin.core.debug.Return
    format: "%s"
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: a-long-secret-key
%s"""


@pytest.fixture
async def sent(parley):
    """Deploys a flow that echoes an expression, sends its webhook a request and gives the answer and what was said."""

    async def do(format_, more="", **request):
        await parley.engine.deploy(UPLOAD % (format_, more))
        async with httpx.AsyncClient(base_url=parley.url, timeout=60) as client:
            answer = await client.post(HOOK, **request)
        if answer.status_code != 200:
            return answer, None
        run = await parley.engine.wait(answer.json()["id"], timeout=20)
        assert run.state is State.SUCCESS
        (echo,) = run.task_runs.values()
        return run, echo.outputs["value"]

    return do


def stored(parley):
    """Files in storage that came with requests."""
    return [path for path in parley.engine.files.root.rglob("webhook/**/*") if path.is_file()]


@pytest.mark.parametrize("kind", ["FETCH", "STORE", "NONE"])
async def test_files_of_a_form_are_stored_and_its_fields_are_lists(sent, parley, kind):
    every = bytes(range(256))
    files = [("doc", ("a.txt", b"hello", "text/plain")), ("doc", ("../../a.txt", every)), ("none", ("", b""))]
    data = {"note": ["one", "zwei ä"], "team": "ops"}
    format_ = "{{ trigger.formFields.note[1] }} {{ trigger.body is defined }} {{ trigger.uri is defined }}"
    run, said = await sent(format_, f"    fetchType: {kind}\n", files=files, data=data)
    assert said == "zwei ä false false"
    seen = run.origin.variables
    assert seen["formFields"] == {"note": ["one", "zwei ä"], "team": ["ops"], "none": [""]}
    first, second = seen["parts"]
    assert {name: first[name] for name in ("name", "filename", "size", "contentType")} == {
        "name": "doc", "filename": "a.txt", "size": 5, "contentType": "text/plain",
    }  # fmt: skip
    assert second["filename"] == "../../a.txt"
    assert first["uri"] != second["uri"]
    assert parley.engine.files.path(second["uri"]).read_bytes() == every
    assert f"/executions/{run.id}/webhook/" in first["uri"]
    await parley.engine.corrections.delete(run.id)  # and they go with it
    assert not stored(parley)


async def test_a_task_reads_a_file_of_a_form(sent):
    _, said = await sent("{{ read(trigger.parts[0].uri) }}", files={"doc": ("a.txt", b"hello")})
    assert said == "hello"


async def test_of_a_form_that_starts_nothing_no_file_stays(sent, parley):
    never = "    when: \"{{ trigger.formFields.team[0] == 'dev' and trigger.parts[0].size == 5 }}\"\n"
    form = {"files": {"doc": ("a.txt", b"hello")}, "data": {"team": "ops"}}
    answer, _ = await sent("x", never, **form)
    assert (answer.status_code, answer.content) == (204, b"")
    broken = '    when: "{{ trigger.formFields.nothing }}"\n'
    assert (await sent("x", broken, **form))[0].status_code == 422
    assert not stored(parley)
    form["data"] = {"team": "dev"}
    assert (await sent("{{ trigger.parts[0].name }}", never, **form))[1] == "doc"


async def test_a_form_without_parts_is_text(sent):
    _, said = await sent("{{ trigger.body }} {{ trigger.parts is defined }}", data={"a": "1", "b": "x y"})
    assert said == "a=1&b=x+y false"


@pytest.mark.parametrize(
    ("kind", "is_text"),
    [
        (None, True),
        ("text/plain; charset=utf-8", True),
        ("application/problem+json", True),
        ("application/x-yaml", True),
        ("application/octet-stream", False),
        ("image/png", False),
    ],
)
async def test_bytes_come_as_base64_and_text_as_text(sent, kind, is_text):
    content = b"plain" if is_text else bytes(range(256)) * 2
    headers = {} if kind is None else {"Content-Type": kind}
    _, said = await sent("{{ trigger.body }}", content=content, headers=headers)
    assert said == ("plain" if is_text else base64.b64encode(content).decode())


async def test_a_stored_body_is_byte_for_byte_and_goes_with_its_run(sent, parley):
    content = bytes(range(256)) * 100
    run, uri = await sent(
        "{{ trigger.uri }}", "    fetchType: STORE\n", content=content, headers={"Content-Type": "image/png"}
    )
    kept = parley.engine.files.path(uri).read_bytes()
    assert hashlib.sha256(kept).digest() == hashlib.sha256(content).digest()
    await parley.engine.corrections.delete(run.id)
    assert not stored(parley)
    _, said = await sent("{{ trigger.uri is defined }}", "    fetchType: STORE\n", content=b"")
    assert said == "false"
    assert not stored(parley)


@pytest.mark.parametrize(("over", "status"), [(0, 200), (1, 422)])
async def test_a_form_has_so_many_parts_and_no_more(sent, parley, over, status):
    files = [("f", (f"{number}", b"x")) for number in range(MOST + over)]
    answer, said = await sent("{{ trigger.parts | length }}", files=files)
    if over:
        assert (answer.status_code, len(stored(parley))) == (status, 0)
        assert f"Too many files. Maximum number of files is {MOST}." in answer.json()["error"]
        assert f"{MOST} files and {MOST} fields at most" in answer.json()["error"]
    else:
        assert said == str(MOST)


@pytest.mark.parametrize(("over", "status"), [(0, 200), (1, 422)])
async def test_a_field_is_so_long_and_no_longer(sent, over, status):
    form = {"files": {"doc": ("a.txt", b"")}, "data": {"long": "x" * (LONGEST + over)}}
    answer, said = await sent("{{ trigger.formFields.long[0] | length }}", **form)
    assert (said, getattr(answer, "status_code", 200)) == ((str(LONGEST), 200) if not over else (None, status))


@pytest.mark.parametrize(
    ("kind", "content", "why"),
    [
        ("multipart/form-data", b"x", "Missing boundary"),
        ("multipart/form-data; boundary=b", b"no form at all", "can't be read"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nhalf',
            "ends in the middle",
        ),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", '"name"'),
    ],
)
async def test_what_is_no_form_starts_nothing(sent, parley, kind, content, why):
    answer, _ = await sent("x", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, why in answer.json()["error"]) == (422, True), answer.text
    assert not await parley.engine.executions(flow_id="upload")
    assert not stored(parley)


async def test_who_has_no_key_has_no_form_read(parley):
    await parley.engine.deploy(UPLOAD % ("x", ""))
    async with httpx.AsyncClient(base_url=parley.url) as client:
        answer = await client.post(f"{HOOK}-not", content=b"no form", headers={"Content-Type": "multipart/form-data"})
    assert answer.status_code == 404


@pytest.mark.parametrize("name", ["x" * 300 + ".txt", "\u00e9" * 200, "x" * 2000])
async def test_a_file_with_a_long_name_is_stored_under_a_shorter_one(sent, parley, name):
    run, _ = await sent("x", files={"f": (name, b"content")})
    assert run.state is State.SUCCESS
    (path,) = stored(parley)
    assert path.read_bytes() == b"content"
    assert path.suffix == (".txt" if name.endswith(".txt") else "")


async def test_half_of_a_character_is_answered(sent):
    run, said = await sent("{{ trigger.body.a }}", content=b'{"a": "x\\ud83d"}', params={"q": "1"})
    assert (run.state, said) == (State.SUCCESS, "x?")
