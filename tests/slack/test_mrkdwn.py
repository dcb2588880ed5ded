"""Markdown to mrkdwn: a table, and laws about what untrusted text can never do."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.mrkdwn import escape, escape_within, inline, plain_line, sections
from tests.wire import slack_rules as rules
from tests.wire import slack_seeing as seeing


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("plain", "plain"),
        ("**bold** and *it* and _it_", "*bold* and _it_ and _it_"),
        ("__bold__ ~~gone~~ `a*b*`", "*bold* ~gone~ `a*b*`"),
        ("***both***", "*_both_*"),
        ("snake_case_name and 2 * 3 * 4", "snake_case_name and 2 * 3 * 4"),
        ("foo**bar**", "foo\u200b*bar*"),
        (r"\*not bold\* \_ \<", "<!date^00000000^{_}|*not bold*> _ &lt;"),
        (r"**wait\_for\_it** \:tada\:", "*wait_for_it* :\u2060tada:"),
        (r"\> no quote", "\u00ad&gt; no quote"),
        (r"[\*a\_b\*](https://a.test)", "<https://a.test|\u2217a_b\u2217>"),
        ("a & b < c > d", "a &amp; b &lt; c &gt; d"),
        ("<!channel> <@U1> <#C1> <!here|x>", "&lt;!channel&gt; &lt;@U1&gt; &lt;#C1&gt; &lt;!here|x&gt;"),
        ("@here @channel @everyone @hereby", "@\u2060here @\u2060channel @\u2060everyone @hereby"),
        ("[docs](https://a.test/x?a=1&b=2)", "<https://a.test/x?a=1&amp;b=2|docs>"),
        ("https://a.test/x, and <https://b.test>", "<https://a.test/x>, and <https://b.test>"),
        ("<https://evil.test|https://bank.test>", "&lt;<https://evil.test>|<https://bank.test>&gt;"),
        ("[https://bank.test](https://evil.test)", "<https://evil.test|https://bank.test> (evil.test)"),
        ("[bank.test/login](https://evil.test/bank.test)", "<https://evil.test/bank.test|bank.test/login> (evil.test)"),
        ("[x](javascript:alert)", "x (javascript:alert)"),
        ("[a|b](https://a.test/p|q)", "<https://a.test/p%7Cq|a¦b>"),
        ("![a fox](https://a.test/f.png)", "<https://a.test/f.png|a fox>"),
        ("[mail](mailto:a@b.test)", "<mailto:a@b.test|mail>"),
    ],
)
def test_inline(markdown: str, expected: str) -> None:
    assert inline(markdown) == expected


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("# Head *it*\ntext", "*Head* *_it_*\ntext"),
        ("- one\n  - two\n* three\n1. four", "• one\n\u2003• two\n• three\n1. four"),
        ("> quoted <b>", "> quoted &lt;b&gt;"),
        ("---", "———"),
        ("```python\na < b\n```\nafter", "```\na &lt; b\n```\nafter"),
        ("~~~\n```\n~~~", "```\n``\u200b`\n```"),
    ],
)
def test_lines(markdown: str, expected: str) -> None:
    assert sections(markdown, 3000, 9000) == ([expected], "")


def test_a_code_block_cut_in_two_stays_code_on_both_sides() -> None:
    pieces, rest = sections("```\n" + "x" * 20 + "\n" + "y" * 20 + "\n```\nend", 36, 1000)
    assert pieces == ["```\n" + "x" * 20 + "\n```", "```\n" + "y" * 20 + "\n```\nend"]
    assert rest == ""
    first, rest = sections("```\n" + "x" * 20 + "\n" + "y" * 20 + "\n```\nend", 36, 40)
    assert first == ["```\n" + "x" * 20 + "\n```"]
    assert rest == "```\n" + "y" * 20 + "\n```\nend"


TEXTS = st.one_of(
    st.text(max_size=400),
    st.text(alphabet="*_~`<>[]()!@#|&\\ \nhereC1https://a.test-", max_size=400),
    st.lists(
        st.sampled_from(
            ["<!here>", "@channel", "**", "[a](https://b.test)", "```\n", "> ", "👩‍👩‍👧‍👦", "م", "\u202e", "\n"]
        ),
        max_size=60,
    ).map("".join),
)


@given(TEXTS, st.integers(40, 300), st.integers(0, 900))
def test_sections_keep_their_limits_and_ping_nobody(markdown: str, each: int, total: int) -> None:
    pieces, rest = sections(markdown, each, total)
    assert all(rules.length(piece) <= each and piece.strip() for piece in pieces)
    assert sum(map(rules.length, pieces)) <= total
    for piece in pieces:
        rules.check_blocks([{"type": "section", "text": {"type": "mrkdwn", "text": piece}}], 50, modal=False)
        assert seeing.pings(piece) == []
        assert all(address.startswith(("https://", "http://", "mailto:")) for address, _ in seeing.links(piece))
    assert len(rest) <= len(markdown) + 4


@given(st.text(alphabet=st.characters(categories=["L", "N", "M", "So"]), max_size=600), st.integers(30, 120))
def test_no_letter_is_lost_between_pieces_and_rest(text: str, total: int) -> None:
    """Words and emoji: what is drawn and what is left are together what was given."""
    pieces, rest = sections(text, 60, total)
    assert "".join(pieces) + rest == text


@given(st.text(max_size=200), st.integers(2, 60))
def test_escape_within(text: str, limit: int) -> None:
    drawn = escape_within(text, limit)
    assert rules.length(drawn) <= limit
    assert seeing.pings(drawn) == []
    assert not re.search(r"[<>]", drawn)


def test_plain_line_and_escape() -> None:
    assert plain_line("**Run** `x`\n[here](https://a.test)") == "Run x here"
    assert escape("<&>@HERE") == "&lt;&amp;&gt;@\u2060HERE"


def test_hostile_markdown_is_quick() -> None:
    """Openers without closers must not take quadratic time to give up on."""
    for pattern in ("**a ", "[a](", "`a ", "_a ", "<https://", "~~x", "***"):
        sections(pattern * 20_000, 3000, 12_000)


def test_a_line_of_nothing_but_marks_is_empty() -> None:
    assert plain_line("\n`\n`") == ""
