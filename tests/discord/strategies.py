"""Views far beyond every limit, in every script, for the renderers' laws."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from bot.conversation import (
    Action,
    Card,
    Confirm,
    Fact,
    Field,
    FileRef,
    Form,
    Listing,
    Notice,
    Option,
    Row,
    Step,
    Transcript,
)

# What breaks at a cut or in a label: joined emoji, flags, skin tones, combining marks, right-to-left, Hangul, controls.
FRAGMENTS = [
    "word ", "a", "\n", "\n\n", "**bold** ", "`code` ", "```\nfence\n```\n", "[text](https://example.com/a_b) ",
    "@everyone ",    "<@123> ", "||spoiler|| ", "# head\n", "- item\n", "1. one\n", "> quote\n", "\\", "_",
    "![pic](https://x.test/p.png) ",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd", "e\u0301",
    "שלום ", "مرحبا ", "\u202eevil\u202c ", "각", "\u1100\u1161\u11a8", "क्षि", "\x00", "\ud83d", "\u200b", "\t", " ",
    "https://example.com/some_path_here?x=1 ", "日本語", "\U0001f3f4\U000e0067\U000e0062\U000e007f",
]  # fmt: skip


def texts(limit):
    """Text of up to ten times `limit`."""
    piece = st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=8))
    whole = st.builds(
        lambda pieces, size: ("".join(pieces) * (size // max(1, len("".join(pieces))) + 1))[:size],
        st.lists(piece, min_size=1, max_size=6),
        st.one_of(st.integers(0, 20), st.integers(0, limit * 2), st.integers(0, limit * 10)),
    )
    return st.one_of(st.just(""), whole)


ulids = st.integers(0, 9).map(lambda n: f"01JD{n:022d}")
actions = st.builds(
    Action,
    id=st.builds(lambda verb, ulid: f"p1:{verb}:{ulid}:3f7a21", st.sampled_from(["ap", "rj", "an", "kl", "st"]), ulids),
    label=texts(80),
    style=st.sampled_from(["primary", "neutral", "danger"]),
    confirm=st.one_of(st.none(), st.builds(Confirm, texts(100), texts(300))),
    opens_form=st.booleans(),
    url=st.one_of(st.none(), st.none(), st.sampled_from(["https://x.test/run", "javascript:alert(1)"]), texts(512)),
)
files = st.builds(
    FileRef,
    uri=st.integers(0, 40).map(lambda n: f"kestra:///{n}"),
    name=texts(60),
    media_type=st.sampled_from(["image/png", "text/plain", "image/svg+xml"]),
    size=st.sampled_from([0, 10, 5_000_000, 11_000_000]),
    alt=texts(1024),
)
facts = st.builds(
    Fact, texts(60), texts(400), st.booleans(), st.one_of(st.none(), st.just(datetime(2026, 3, 1, tzinfo=UTC)))
)
steps = st.builds(
    Step, st.sampled_from(["RUNNING", "SUCCESS", "FAILED", "ODD"]), texts(60), texts(60), st.integers(0, 20)
)
cards = st.builds(
    Card,
    kind=st.sampled_from(["run", "pause", "post", "menu"]),
    entity=ulids,
    tone=st.sampled_from(["info", "running", "success", "warning", "danger", "paused"]),
    title=texts(256),
    subtitle=texts(300),
    body=texts(4000),
    facts=st.lists(facts, max_size=20).map(tuple),
    steps=st.lists(steps, max_size=60).map(tuple),
    files=st.lists(files, max_size=25, unique_by=lambda ref: ref.uri).map(tuple),
    actions=st.lists(actions, max_size=60).map(tuple),
    deadline=st.one_of(st.none(), st.just(datetime(2026, 3, 1, 12, tzinfo=UTC))),
    footer=texts(300),
)
notices = st.builds(Notice, st.sampled_from(["info", "danger"]), texts(4000), st.lists(actions, max_size=30).map(tuple))
rows = st.builds(Row, texts(256), texts(600), st.lists(actions, max_size=8).map(tuple))
listings = st.builds(Listing, texts(256), st.lists(rows, max_size=60).map(tuple), texts(600), texts(80))
transcripts = st.builds(
    Transcript, texts(256), st.lists(texts(80), max_size=60).map(tuple), st.sampled_from(["run.log", "../x y", ""])
)
options = st.builds(Option, texts(100), texts(100), texts(100))


@st.composite
def fields(draw):
    kind = draw(
        st.sampled_from(
            ["STRING", "SELECT", "MULTISELECT", "INT", "FLOAT", "BOOLEAN", "DATE", "TIME", "DATETIME", "DURATION",
             "JSON", "YAML", "ION", "ARRAY", "TABLE", "URI", "EMAIL", "SECRET", "FILE"]
        )
    )  # fmt: skip
    many = draw(st.sampled_from([0, 1, 2, 10, 11, 25, 26, 60, 100, 101, 250]))
    choices = draw(st.lists(options, max_size=4))
    if kind in ("SELECT", "MULTISELECT"):
        choices = (choices + [Option(f"v{n}", f"Choice {n}") for n in range(many)])[: max(many, len(choices))]
    else:
        choices = []
    picked = [option.value for option in choices[:3]]
    default = draw(st.sampled_from([None, "x", picked, True, {"a": 1}, ["one", "two"]]) | texts(4000))
    return Field(
        id=draw(texts(100)),
        type=kind,
        label=draw(texts(45)),
        help=draw(texts(100)),
        required=draw(st.booleans()),
        default=default,
        minimum=draw(st.sampled_from([None, "1"])),
        maximum=draw(st.sampled_from([None, "10"])),
        options=tuple(choices),
        allow_custom=draw(st.booleans()),
        radio=draw(st.booleans()),
        multiline=draw(st.booleans()),
        extensions=draw(st.sampled_from([(), (".png", ".jpg")])),
        error=draw(st.none() | texts(100)),
        group=draw(st.sampled_from(["", "Where"]) | texts(100)),
    )


forms = st.builds(
    Form,
    id=ulids.map(lambda ulid: f"draft:{ulid}"),
    title=texts(45),
    submit=texts(24),
    fields=st.lists(fields(), max_size=12, unique_by=lambda field: field.id).map(tuple),
    intro=texts(4000),
)
