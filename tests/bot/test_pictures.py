"""Pictures of runs and flows: well-formed, nothing outside the paper, and drawn by the real rasterer."""

import re
import struct
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.pictures import svg
from bot.pictures.flow_graph import MAX_TASKS, flow_graph
from bot.pictures.raster import _drawn, has_fonts, png
from bot.pictures.timeline import MAX_ROWS, says_more, timeline
from engine.core.execution import Attempt, Execution, TaskRun
from engine.core.flow_source import load
from engine.core.state import State
from engine.tasks import catalogue
from tests.bot.rig import ANN, OPS, Rig
from tests.shared import part

NOON = datetime(2026, 3, 24, 12, tzinfo=UTC)
ID = "01JD0000000000000000ABCDEF"
NS = "{http://www.w3.org/2000/svg}"
HARD = [
    "fetch",
    "a" * 300,
    "تحميل الملفات من الخادم",
    "בדיקה",
    "deploy 🚀 👩‍👩‍👧 🇩🇪",
    "<b>&\"'",
    "\u202eevil\x00\ud800",
    "数据处理",
]
CATALOGUE = catalogue()


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def ran(number, name, *steps, parent=None, value=None, tries=1):
    states = tuple((state, at(second)) for state, second in steps)
    attempts = tuple(Attempt(steps[-1][0], NOON, NOON) for _ in range(tries))
    parent_id = f"{ID}.{parent}" if parent is not None else None
    return TaskRun(f"{ID}.{number}", name, steps[-1][0], states, parent_id, value, attempts=attempts)


def execution(runs, seconds=100, state=State.SUCCESS, flow_id="f"):
    states = ((State.CREATED, NOON), (State.RUNNING, NOON), (state, at(seconds)))
    return Execution(ID, "a.b", flow_id, 1, state, states, {run.id: run for run in runs})


def usual_run(number, name="task", **more):
    begin = number % 50
    steps = (State.CREATED, begin), (State.RUNNING, begin + 1), (State.SUCCESS, begin + 9)
    return ran(number, name, *steps, **more)


def looked_at(picture):
    """Parsed; every shape and every beginning of a text lies on the paper."""
    root = ET.fromstring(picture)
    width, height = float(root.get("width")), float(root.get("height"))

    def walk(element, dx, dy):
        if moved := re.fullmatch(r"translate\(([-\d.]+) ([-\d.]+)\)", element.get("transform", "")):
            dx, dy = dx + float(moved[1]), dy + float(moved[2])
        if element.tag == f"{NS}defs":
            return
        if element.tag in (f"{NS}rect", f"{NS}text"):
            x, y = dx + float(element.get("x")), dy + float(element.get("y"))
            right = x + float(element.get("width", 0))
            assert x >= -0.1, (element.attrib, x)
            assert right <= width + 0.1, (element.attrib, right, width)
            assert 0 <= y + float(element.get("height", 0)) <= height + 0.1
            if element.tag == f"{NS}text" and element.get("text-anchor") is None:
                assert x + svg.measure("".join(element.itertext()), float(element.get("font-size"))) <= width + 1
        for child in element:
            walk(child, dx, dy)

    walk(root, 0, 0)
    return root


def words(root):
    return ["".join(element.itertext()) for element in root.iter(f"{NS}text")]


def test_a_timeline_has_a_row_a_task_with_waits_pauses_and_tries():
    runs = [
        ran(1, "first", (State.CREATED, 0), (State.RUNNING, 10), (State.SUCCESS, 40), tries=3),
        ran(2, "loop", (State.RUNNING, 40), (State.SUCCESS, 90)),
        ran(3, "inner", (State.RUNNING, 40), (State.PAUSED, 50), (State.RUNNING, 80), (State.FAILED, 90),
            parent=2, value="eu"),
    ]  # fmt: skip
    picture = timeline(execution(runs, state=State.FAILED), NOON)
    said = words(looked_at(picture))
    assert {"f", "first", "loop", "inner", "eu", "failed", "40 s · 3 tries"} <= set(said)
    assert picture.count('fill="url(#pause)"') == 1
    assert "#c2413b" in picture


def test_a_run_that_goes_on_is_drawn_up_to_now():
    run = ran(1, "first", (State.CREATED, 0), (State.RUNNING, 0))
    half = Execution(ID, "a.b", "f", 1, State.RUNNING, ((State.CREATED, NOON), (State.RUNNING, NOON)), {run.id: run})
    assert "1 min 30 s" in " ".join(words(looked_at(timeline(half, at(90)))))
    looked_at(timeline(half, NOON))


@pytest.mark.parametrize("count", [0, 1, 60, MAX_ROWS, MAX_ROWS + 1, 700])
def test_any_number_of_tasks_fits(count):
    runs = [
        usual_run(n, HARD[n % len(HARD)], value=HARD[-n % 8], parent=n - 1 if n % 3 else None) for n in range(count)
    ]
    said = words(looked_at(timeline(execution(runs), NOON)))
    assert (f"{count - MAX_ROWS} further task runs are not shown" in said) == (count > MAX_ROWS)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=60), st.sampled_from(list(State)), st.floats(0, 1e7), st.floats(0, 1e7)),
             max_size=12),
    st.floats(0, 1e8),
    st.text(max_size=80),
)  # fmt: skip
def test_any_run_gives_a_picture_that_can_be_read(made, seconds, flow_id):
    runs = [
        ran(n, name, (State.CREATED, begin), (state, begin + took)) for n, (name, state, begin, took) in enumerate(made)
    ]
    looked_at(timeline(execution(runs, seconds, flow_id=flow_id), at(seconds)))


@given(st.text(max_size=60), st.floats(5, 400))
def test_a_fitted_text_is_no_broader_than_its_room_and_is_cut_between_characters(text, room):
    fitted = svg.fit(text, 13, room)
    assert svg.measure(fitted.replace("\u200f", ""), 13) <= max(room, svg.measure("…", 13)) + 0.01
    assert not set(fitted) & set("\u202a\u202e\u2066\n\x00")


def flow(text):
    return load(f"id: train\nnamespace: a.b\n{text}", CATALOGUE)


LOG = "type: io.kestra.plugin.core.log.Log, message: x"
NESTED = f"""
triggers:
  - {{id: nightly, type: io.kestra.plugin.core.trigger.Schedule, cron: "0 2 * * *"}}
tasks:
  - {{id: fetch, {LOG}}}
  - id: both
    type: io.kestra.plugin.core.flow.Parallel
    tasks: [{{id: linux, {LOG}}}, {{id: mac, {LOG}, disabled: true}}]
  - {{id: ask, type: io.kestra.plugin.core.flow.Pause}}
  - id: decide
    type: io.kestra.plugin.core.flow.If
    condition: "{{{{ true }}}}"
    then: [{{id: ship, {LOG}}}]
    else: [{{id: tell, {LOG}}}]
  - id: graph
    type: io.kestra.plugin.core.flow.Dag
    tasks:
      - task: {{id: one, {LOG}}}
      - {{task: {{id: two, {LOG}}}, dependsOn: [one]}}
errors: [{{id: alarm, {LOG}}}]
finally: [{{id: clean, {LOG}}}]
"""


def test_a_flow_is_drawn_with_all_that_is_in_it():
    said = words(looked_at(flow_graph(flow(NESTED))))
    assert {"fetch", "linux", "mac", "ask", "ship", "tell", "one", "two", "alarm", "clean"} <= set(said)
    assert {"both · Parallel", "decide · If", "then", "else", "graph · Dag", "when something fails", "finally"} <= set(
        said
    )
    assert "a.b · starts by nightly (Schedule)" in said


def test_a_huge_flow_is_cut_and_says_so():
    many = "tasks:\n" + "".join(f"  - {{id: t{n}, {LOG}}}\n" for n in range(MAX_TASKS + 30))
    assert "30 more" in words(looked_at(flow_graph(flow(many))))
    wide = "tasks:\n  - id: all\n    type: io.kestra.plugin.core.flow.Parallel\n    tasks:\n" + "".join(
        f"      - {{id: t{n}, {LOG}}}\n" for n in range(40)
    )
    assert "34 more" in words(looked_at(flow_graph(flow(wide))))


def test_a_picture_becomes_a_png_of_its_size():
    part(has_fonts(), "A font", "install fonts-dejavu-core.")
    for number in (5, 60):
        picture = timeline(execution([usual_run(n, HARD[n % len(HARD)]) for n in range(number)]), NOON)
        drawn = png(picture)
        width, height = struct.unpack(">II", drawn[16:24])
        shape = re.search(r'width="([\d.]+)" height="([\d.]+)"', picture)
        assert drawn.startswith(b"\x89PNG")
        assert abs(width / height - float(shape[1]) / float(shape[2])) < 0.02
        assert len(drawn) < 1_000_000
    assert png(flow_graph(flow(NESTED))).startswith(b"\x89PNG")


def test_what_the_rasterer_can_not_draw_is_no_picture_and_no_end(caplog):
    assert _drawn("<svg", 1.0) is None
    assert png("no picture at all") is None
    assert "could not be drawn" in caplog.text


def test_only_runs_with_something_to_show_get_a_picture():
    assert not says_more(execution([usual_run(1)]))
    assert not says_more(execution([usual_run(n) for n in range(9)], seconds=0.2))
    assert says_more(execution([usual_run(n) for n in range(4)]))


STEPS = f"""
id: steps
namespace: company.team
tasks:
{"".join(f"  - {{id: t{n}, {LOG}}}" + chr(10) for n in range(24))}
  - {{id: sleep, type: io.kestra.plugin.core.flow.Sleep, duration: PT1.1S}}
"""


async def test_the_thread_of_a_run_gets_its_log_and_timeline_as_files(tmp_path):
    rig = await Rig(tmp_path).start(STEPS)
    try:
        await rig.say("settings card=all", ANN, OPS)
        await rig.say("run steps", ANN, OPS)
        shown = await rig.slack.shows("post")
        log, *pictures = shown.card.files
        content = rig.engine.files.path(log.uri).read_text()
        assert content.count("t23: x") == 1
        assert log.name.startswith("run-")
        if has_fonts():
            assert rig.engine.files.path(pictures[0].uri).read_bytes().startswith(b"\x89PNG")
            assert pictures[0].media_type == "image/png"
    finally:
        await rig.stop()
