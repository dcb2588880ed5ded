import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.flow_source import load
from engine.core.plugin_defaults import apply, merge
from engine.errors import FlowInvalid
from engine.tasks import catalogue


def merged(task, *defaults, global_defaults=()):
    return apply({"tasks": [{"id": "t", "type": "x.y.Task", **task}]}, defaults, global_defaults)["tasks"][0]


def default(values, *, forced=False, type="x.y.Task"):
    return {"type": type, "forced": forced, "values": values}


@pytest.mark.parametrize(
    ("flow_forced", "global_forced", "expected"),
    [
        (False, False, {"foo": "global", "bar": "flow", "baz": "task"}),
        (False, True, {"foo": "global", "bar": "global", "baz": "global"}),
        (True, False, {"foo": "global", "bar": "flow", "baz": "flow"}),
        (True, True, {"foo": "global", "bar": "flow", "baz": "flow"}),
    ],
)
def test_who_wins(flow_forced, global_forced, expected):
    found = merged(
        {"baz": "task"},
        default({"bar": "flow", "baz": "flow"}, forced=flow_forced),
        global_defaults=[default({"foo": "global", "bar": "global", "baz": "global"}, forced=global_forced)],
    )
    assert found == {"id": "t", "type": "x.y.Task", **expected}


def test_maps_merge_and_lists_concatenate():
    assert merge({"m": {"a": 1, "b": 2}, "l": [1], "n": 3}, {"m": {"b": 9}, "l": [2], "n": None}) == {
        "m": {"a": 1, "b": 9},
        "l": [1, 2],
        "n": 3,
    }


def test_a_prefix_of_the_type_is_enough_and_everything_typed_is_reached():
    document = {"tasks": [{"type": "x.y.A", "runner": {"type": "x.r.B"}, "retry": {"type": "constant"}}]}
    found = apply(document, [default({"v": 1}, type="x"), default({"w": 2}, type="constant")])
    assert found["tasks"][0] == {
        "type": "x.y.A",
        "v": 1,
        "runner": {"type": "x.r.B", "v": 1},
        "retry": {"type": "constant", "w": 2},
    }


def test_the_block_itself_is_left_alone():
    document = {"pluginDefaults": [default({"v": 1})], "tasks": []}
    assert apply(document, document["pluginDefaults"]) == document


def test_a_default_under_an_older_name_applies_to_both():
    renamed = {"old.Task": "x.y.Task"}
    found = apply(
        [{"type": "x.y.Task"}, {"type": "old.Task"}],
        [default({"v": 1}, type="old.Task")],
        (),
        lambda n: renamed.get(n, n),
    )
    assert [one["v"] for one in found] == [1, 1]


LEAVES = st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(), max_size=3)
MAPS = st.dictionaries(st.sampled_from("XYZ"), LEAVES, max_size=3)  # a key is a map everywhere or a value everywhere


@given(MAPS, MAPS, MAPS)
def test_merging_maps_is_associative_and_nothing_is_neutral(a, b, c):
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(None, a) == a == merge(a, None)


def test_an_entry_with_a_ref_is_for_those_who_ask_for_it():
    named = {**default({"v": 7, "w": "named"}), "ref": "big"}
    typed = default({"v": 1, "x": "typed"})
    plain = {"id": "t", "type": "x.y.Task"}
    assert merged({}, named, typed) == {**plain, "v": 1, "x": "typed"}
    assert merged({"pluginDefaultsRef": "big", "v": 2}, named, typed) == {**plain, "v": 2, "w": "named"}
    assert merged({"pluginDefaultsRef": "big", "v": 2}, {**named, "forced": True}) == {**plain, "v": 7, "w": "named"}


def test_what_a_type_is_forced_to_holds_for_those_who_ask_for_another_entry():
    named = {**default({"v": 7}, forced=True), "ref": "big"}
    found = merged({"pluginDefaultsRef": "big"}, named, global_defaults=[default({"v": 0}, forced=True)])
    assert found["v"] == 0


@pytest.mark.parametrize("entry", [{"ref": "small"}, {"ref": "big", "type": "x.y"}, {"ref": "big", "type": "x.y.No"}])
def test_a_ref_that_names_no_entry_of_its_type_stays(entry):
    assert merged({"pluginDefaultsRef": "big"}, {**default({"v": 7}), **entry}) == {
        "id": "t",
        "type": "x.y.Task",
        "pluginDefaultsRef": "big",
    }


def test_a_nested_part_asks_for_its_own():
    document = {"tasks": [{"type": "x.y.Task", "taskRunner": {"type": "x.r.Runner", "pluginDefaultsRef": "big"}}]}
    found = apply(document, [{**default({"cpus": 4}, type="x.r.Runner"), "ref": "big"}])
    assert found["tasks"][0]["taskRunner"] == {"type": "x.r.Runner", "cpus": 4}


FAMILY = """
id: setup
namespace: zoomcamp
tasks:
  - id: bucket
    type: io.kestra.plugin.gcp.gcs.CreateBucket
    name: trips
  - id: dataset
    type: io.kestra.plugin.gcp.bigquery.CreateDataset
    name: trips
pluginDefaults:
  - type: io.kestra.plugin.gcp
    values:
      projectId: p
      location: EU
      bucket: trips
"""


def test_what_is_said_of_a_family_is_for_those_that_have_the_property():
    flow = load(FAMILY, catalogue())
    assert [(task.project_id, task.location) for task in flow.tasks] == [("p", "EU"), ("p", "EU")]


def test_what_a_type_does_not_have_is_left_out_also_when_the_default_names_it():
    text = FAMILY.replace("io.kestra.plugin.gcp\n", "io.kestra.plugin.gcp.gcs.CreateBucket\n")
    assert load(text, catalogue()).tasks[0].location == "EU"
    with pytest.raises(FlowInvalid, match="Unknown property `bucket`"):
        load(text.replace("    name: trips\n", "    name: trips\n    bucket: x\n", 1), catalogue())
