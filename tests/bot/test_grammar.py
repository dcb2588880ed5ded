"""The command line: a table of what people type, and laws."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.grammar import FromFile, Json, Line, LineInvalid, Text, Word, parse, read_json, unwrap, write


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", Line("")),
        ("   \n ", Line("")),
        ("LIST", Line("list")),
        ("run gen image_prompt='a red fox'", Line("run", (Word("gen"),), {"image_prompt": Text("a red fox")})),
        ('run gen p="line\\ntwo \\"x\\" \\\\"', Line("run", (Word("gen"),), {"p": Text('line\ntwo "x" \\')})),
        ("run gen p=```a b\n c=d```", Line("run", (Word("gen"),), {"p": Text("a b\n c=d")})),
        ('run gen p=```json\n{"a": 1}\n```', Line("run", (Word("gen"),), {"p": Text('{"a": 1}')})),
        ("run gen a=", Line("run", (Word("gen"),), {"a": Text("")})),
        ("run gen a='' b=2", Line("run", (Word("gen"),), {"a": Text(""), "b": Text("2")})),
        ("run gen a=b=c", Line("run", (Word("gen"),), {"a": Text("b=c")})),
        ("run gen deep.er-id_1=x", Line("run", (Word("gen"),), {"deep.er-id_1": Text("x")})),
        ("run gen n:=[1, 2]", Line("run", (Word("gen"),), {"n": Json([1, 2])})),
        (
            'run gen n:={"a": {"b": null}} --form',
            Line("run", (Word("gen"),), {"n": Json({"a": {"b": None}})}, {"form": True}),
        ),
        ("run gen n:='[1]'", Line("run", (Word("gen"),), {"n": Json([1])})),
        ("run gen n:={\u201ca\u201d: 1}", Line("run", (Word("gen"),), {"n": Json({"a": 1})})),
        ("run gen photo=@cat.png", Line("run", (Word("gen"),), {"photo": FromFile("cat.png")})),
        ("run gen photo=@'my cat.png'", Line("run", (Word("gen"),), {"photo": FromFile("my cat.png")})),
        ("run gen --Quiet --in=#ops", Line("run", (Word("gen"),), {}, {"quiet": True, "in": "#ops"})),
        ("run gen \u2014form", Line("run", (Word("gen"),), {}, {"form": True})),
        ('run gen --label="a b"', Line("run", (Word("gen"),), {}, {"label": "a b"})),
        ("run gen '--form' \"a=b\"", Line("run", (Word("gen"), Word("--form"), Word("a=b")))),
        ("run gen p=\u201csmart quotes\u201d", Line("run", (Word("gen"),), {"p": Text("smart quotes")})),
        (
            "run gen p=\u2018it\u2019s fine\u2019 q=1",
            Line("run", (Word("gen"),), {"p": Text("it\u2019s fine"), "q": Text("1")}),
        ),
        ("run gen p='it's fine'", Line("run", (Word("gen"),), {"p": Text("it's fine")})),
        ("reject #AB12CD don't like it", Line("reject", tuple(map(Word, ("#AB12CD", "don't", "like", "it"))))),
        ("run gen u=<http://x.test|x.test>", Line("run", (Word("gen"),), {"u": Text("http://x.test")})),
        ("run gen u=<https://x.test/a?b=1>", Line("run", (Word("gen"),), {"u": Text("https://x.test/a?b=1")})),
        ("run gen m=<mailto:a@b.test|a@b.test>", Line("run", (Word("gen"),), {"m": Text("a@b.test")})),
        ("run gen --in=<#C1|ops> <@U1>", Line("run", (Word("gen"), Word("<@U1>")), {}, {"in": "<#C1|ops>"})),
        (
            "run gen p='see <http://x.test|x.test> now'",
            Line("run", (Word("gen"),), {"p": Text("see http://x.test now")}),
        ),
        ("logs last - --tail=5", Line("logs", (Word("last"), Word("-")), {}, {"tail": "5"})),
        ("run gen a<b", Line("run", (Word("gen"), Word("a<b")))),
    ],
)
def test_what_is_typed_is_what_is_read(typed, expected):
    assert parse(typed) == expected


@pytest.mark.parametrize(
    ("typed", "at", "code", "says"),
    [
        ("run gen p='never closed", 11, "E12", "opened at character 11 "),
        ('run gen p="never \\" closed', 11, "E12", "character 11"),
        ("run gen p=```open", 11, "E12", "character 11"),
        ("run gen \u201copen", 9, "E12", "character 9"),
        ("run <http://a.test|a> p='open", 21, "E12", "character 21"),
        ('run gen n:={"a": }', 18, "E10", "`n`: JSON breaks at line 1, column 7"),
        ("run gen n:=```{\n  oops\n}```", 19, "E10", "line 2, column 3"),
        ("run gen n:=1x", 13, "E10", "column 2: something follows the value"),
        ("run gen n:=", 12, "E10", "line 1, column 1"),
        ("run gen n:=NaN", 12, "E10", "NaN is not JSON"),
    ],
)
def test_what_cannot_be_read_says_where(typed, at, code, says):
    with pytest.raises(LineInvalid) as caught:
        parse(typed)
    assert caught.value.answer.code == code
    assert says in caught.value.answer.text
    assert caught.value.at == at


def test_deep_json_is_refused_and_does_not_exhaust_the_stack():
    with pytest.raises(LineInvalid, match="nested too deeply"):
        read_json("[" * 200_000, "n")


def test_positions_of_words_count_in_what_was_typed():
    assert [word.at for word in parse("run  <http://a.test|a> b").words] == [6, 20]


names = st.from_regex(r"[A-Za-z0-9][.A-Za-z0-9_-]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_characters="<", exclude_categories=["Cs"]), max_size=30)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8).filter(lambda t: "<" not in t),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc \u201c", max_size=5), inner, max_size=3),
    max_leaves=6,
)
lines = st.builds(
    Line,
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    st.lists(st.builds(Word, texts), max_size=3).map(tuple),
    st.dictionaries(
        names, st.builds(Text, texts) | st.builds(FromFile, texts) | st.builds(Json, json_values), max_size=3
    ),
    st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,6}", fullmatch=True), st.just(True) | texts, max_size=2),
)


@given(lines)
def test_reading_undoes_writing(line):
    assert parse(write(line)) == line


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text):
    try:
        parse(text)
        return
    except LineInvalid as error:
        refused = error
    assert refused.answer.code in ("E10", "E12")
    assert 1 <= refused.at <= len(unwrap(text)) + 1


@given(st.text(st.sampled_from("<>|:/ax@ "), max_size=30))
def test_unwrapping_twice_changes_nothing_more_in_addresses(text):
    once = unwrap(f"<https://x.test|{text.replace('<', '').replace('>', '')}>")
    assert once == "https://x.test"


@given(json_values)
def test_json_reads_as_json(value):
    assert read_json(f" {json.dumps(value)} ", "n") == value
