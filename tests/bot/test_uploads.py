"""Files people send are kept for a day, whatever becomes of the process, and asked for again after that."""

import os
import time
from pathlib import Path

import pytest

from bot.conversation import Attachment, Click, FieldErrors
from bot.forms.uploads import KEEP, Uploads
from engine.store import chat_audit
from tests.bot.rig import ANN, OPS, Rig

FLOW = """
id: photo
namespace: company.team
inputs:
  - {id: name, type: STRING}
  - {id: photo, type: FILE}
tasks:
  - {id: log, type: io.kestra.plugin.core.log.Log, message: got it}
"""


async def test_a_folder_that_is_given_outlives_the_process_and_forgets_after_a_day(tmp_path):
    uploads = Uploads(tmp_path / "uploads")
    kept = await uploads.keep("../../a name/evil.txt", b"abc", "text/plain")
    again = await uploads.keep("evil.txt", b"def")
    assert kept.path != again.path
    assert (kept.name, kept.size) == ("../../a name/evil.txt", 3)
    uploads.close()
    assert Path(kept.path).read_bytes() == b"abc"
    old = time.time() - KEEP - 60
    os.utime(Path(kept.path).parent, (old, old))
    Uploads.sweep(uploads)
    assert not Path(kept.path).exists()
    assert Path(again.path).is_file()
    assert Path(again.path).is_relative_to(tmp_path / "uploads")


async def test_a_text_longer_than_any_window_takes_comes_as_a_file(tmp_path):
    ask = "id: note\nnamespace: company.team\ninputs:\n  - {id: text, type: STRING}\ntasks:\n"
    pause = (
        "  - {id: wait, type: io.kestra.plugin.core.flow.Pause, onResume: [{id: more, type: STRING, required: true}]}\n"
    )
    rig = await Rig(tmp_path / "bot").start(ask + pause)
    try:
        for name, size in (("text.txt", 3_001), ("more.txt", 40_000)):
            (tmp_path / name).write_text("x" * size)
        files = [Attachment(name, str(tmp_path / name), 1, "text/plain") for name in ("text.txt", "more.txt")]
        await rig.say("run note text=@text.txt", files=(files[0],))
        await rig.slack.shows("pause")
        (run,) = await rig.engine.executions(flow_id="note")
        assert run.inputs["text"] == "x" * 3_001
        said = await rig.say(f"answer {run.id} more=@more.txt", files=(files[1],))
        assert said.tone == "success", said.text
        done = await rig.engine.wait(run.id, timeout=20)
        (wait,) = (one for one in done.task_runs.values() if one.task_id == "wait")
        assert wait.outputs["onResume"]["more"] == "x" * 40_000
    finally:
        await rig.stop()


async def test_without_one_nothing_is_left(tmp_path):
    uploads = Uploads()
    kept = await uploads.keep("a.txt", b"abc")
    uploads.close()
    assert not Path(kept.path).exists()
    uploads.close()


async def test_a_file_on_an_earlier_page_is_there_after_a_restart_or_asked_for_again(tmp_path):
    rig = await Rig(tmp_path).start(FLOW)
    uploads = Uploads(tmp_path / "uploads")
    form = await rig.say("run photo --form")
    await rig.fill(form, last=False, photo=await uploads.keep("fox.png", b"a fox"))
    uploads.close()
    await rig.again()
    await rig.fill(form, page=1, receipt="n1", name="Ann")
    (run,) = await rig.engine.executions(flow_id="photo")
    assert rig.engine.files.path(run.inputs["photo"]).read_bytes() == b"a fox"
    form = await rig.say("run photo --form", receipt="n2")
    lost = await uploads.keep("late.png", b"late")
    await rig.fill(form, last=False, receipt="n3", photo=lost)
    Path(lost.path).unlink()
    refused = await rig.fill(form, page=1, receipt="n4", name="Ann")
    assert isinstance(refused, FieldErrors)
    assert "`late.png` was sent too long ago" in refused.errors["photo"]
    await rig.stop()


GALLERY = """
id: gallery
namespace: company.team
inputs:
  - {id: cover, type: FILE, required: false}
  - {id: photos, type: ARRAY, itemType: FILE}
tasks:
  - {id: end, type: io.kestra.plugin.core.log.Log, message: done}
"""


@pytest.mark.parametrize("named", ["a.txt,b.txt", "a.txt", "a, b.txt"])
async def test_several_files_come_beside_a_command(tmp_path, named):
    rig = await Rig(tmp_path).start(GALLERY)
    try:
        names = ("a.txt", "b.txt", "a, b.txt")
        sent = tuple([await Uploads(tmp_path / "in").keep(name, name.encode()) for name in names])
        assert "no file" in (await rig.say("run gallery photos=@a.txt,gone.txt", files=sent)).text
        assert (await rig.say(f'run gallery photos=@"{named}"', files=sent)).tone == "success"
        (run,) = await rig.engine.executions()
        wanted = ["a, b.txt"] if named == "a, b.txt" else named.split(",")
        got = [rig.engine.files.path(uri).read_bytes().decode() for uri in run.inputs["photos"]]
        assert got == wanted
    finally:
        await rig.stop()


async def test_the_files_of_a_message_go_to_the_single_ones_first(tmp_path):
    rig = await Rig(tmp_path).start(GALLERY)
    try:
        sent = tuple([await Uploads(tmp_path / "in").keep(name, name.encode()) for name in ("a.txt", "b.txt", "c.txt")])
        listing = await rig.say("run", files=sent)
        button = listing.rows[0].actions[0]
        form = (await rig.desk.click(Click(button.id, ANN, OPS, rig.receipt()))).body
        assert form.values["cover"].name == "a.txt"
        assert [file.name for file in form.values["photos"]] == ["b.txt", "c.txt"]
        assert (await rig.fill(form)).body.tone == "success"
        (run,) = await rig.engine.executions()
        assert len(run.inputs["photos"]) == 2
        deeds = await rig.engine.database.read(lambda connection: chat_audit.about(connection, run.id))
        assert deeds[0].details["inputs"]["photos"] == ["b.txt", "c.txt"]
    finally:
        await rig.stop()
