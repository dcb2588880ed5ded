"""A file of flows is taken apart at its `---`, each text knows its lines, and one can be put in place of another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import yaml_text
from engine.core.flow_texts import flow_text, flow_texts, with_flow
from engine.errors import FlowInvalid

ONE = "id: one\nnamespace: a.b\ntasks: [{id: t}]\n"
TWO = "id: two\nnamespace: a.b\ntasks:\n  - id: t\n    message: |\n      ---\n      a line of a text\n"
BROKEN = 'id: "broken"   # for now\nnamespace: a.b\ntasks:\n  - id: {{ x }}\n'


def texts(text):
    return [(one.line, one.text) for one in flow_texts(text)]


@pytest.mark.parametrize("mark", ["---\n", "--- \n", "---\t# the second\n"])
def test_each_flow_begins_behind_a_mark(mark):
    assert texts(ONE + mark + TWO) == [(1, ONE), (5, TWO)]
    assert [yaml_text.locate(yaml_text.read(one.placed), ("id",)).line for one in flow_texts(ONE + mark + TWO)] == [
        1,
        5,
    ]


def test_a_document_on_the_line_of_a_mark_is_told_when_it_is_read():
    with pytest.raises(FlowInvalid, match="A second document begins at this `---`") as caught:
        yaml_text.read(flow_texts(f"{ONE}--- {{id: two, tasks: []}}\n")[0].placed)
    assert caught.value.problems[0].line == 4


@pytest.mark.parametrize("mark", ["----\n", "---#\n", " ---\n", "---x\n"])
def test_what_only_looks_like_a_mark_is_none(mark):
    assert texts(ONE + mark + TWO) == [(1, ONE + mark + TWO)]


@pytest.mark.parametrize(
    "frame",
    [
        "{}",
        "---\n{}",
        "{}---\n",
        "{}---",
        "# x\n---\n{}---\n# end\n",
        "%YAML 1.1\n---\n{}...\n",
        "\ufeff---\n{}",
        "\n\n{}",
    ],
)
def test_a_file_of_one_flow_is_its_text_whatever_stands_around_it(frame):
    assert texts(frame.format(TWO)) == [(1, frame.format(TWO))]
    assert with_flow(frame.format(TWO), "a.b", "two", ONE) == ONE


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n---\n"])
def test_a_file_without_a_flow_is_one_text(text):
    assert texts(text) == [(1, text)]


def test_empty_documents_between_flows_are_passed_over():
    assert texts(f"# ours\n---\n{ONE}---\n---\n# the other\n---\n{TWO}") == [(3, ONE), (10, TWO)]


@pytest.mark.parametrize("name", ["one", "two", "broken"])
def test_one_flow_is_given_another_text_and_the_rest_stays(name):
    whole = f"# ours\n---\n{ONE}---\n{BROKEN}--- # last\n{TWO}"
    new = f"id: {name}\nnamespace: a.b\ntasks: [{{id: new}}]"
    written = with_flow(whole, "a.b", name, new)
    assert written is not None
    old = {"one": ONE, "two": TWO, "broken": BROKEN}
    assert written == whole.replace(old[name], new if name == "two" else f"{new}\n")
    assert flow_text(written, "a.b", name).text.strip() == new


def test_a_broken_file_is_written_anew():
    assert with_flow(BROKEN, "a.b", "broken", ONE) == ONE
    assert with_flow("}", "a.b", "broken", ONE) == ONE


@pytest.mark.parametrize("whole", [TWO, f"{BROKEN}---\n{TWO}", f"{TWO}---\nkind: Service\n", f"{TWO}---\nid: one.a\n"])
def test_a_file_that_holds_other_flows_is_left_alone(whole):
    assert with_flow(whole, "a.b", "one", ONE) is None
    assert with_flow(whole, "a", "two", ONE) is None


def test_what_is_written_with_marks_of_its_own_is_read_without_them():
    written = with_flow(f"{ONE}---\n{TWO}", "a.b", "one", f"---\n{ONE}---\n")
    assert texts(written) == [(2, ONE), (7, TWO)]


FLOW = st.builds(
    "{}id: f{{}}\nnamespace: a\ntasks: []\n{}".format,
    st.sampled_from(["", "# x\n", "\n"]),
    st.sampled_from(["", "\n", "# y\n"]),
)


@given(st.lists(FLOW, min_size=1, max_size=5), st.data())
def test_law_files_are_the_flows_that_were_put_together(flows, data):
    named = [one.format(number) for number, one in enumerate(flows)]
    whole = "---\n".join(named)
    assert [one.text for one in flow_texts(whole)] == named
    for one in flow_texts(whole):
        assert whole[one.start :].startswith(one.text)
        assert whole.split("\n")[one.line - 1 :] == whole[one.start :].split("\n")
    chosen = data.draw(st.integers(0, len(named) - 1))
    new = f"id: f{chosen}\nnamespace: a\ntasks: [new]\n"
    assert with_flow(whole, "a", f"f{chosen}", new) == "---\n".join([*named[:chosen], new, *named[chosen + 1 :]])
