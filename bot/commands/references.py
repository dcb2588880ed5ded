"""What a word on the command line stands for: flows by unique suffix, runs by short id; else nearest names. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from bot.texts import Answer, answer, code, did_you_mean, listed

SHORT = 6  # characters of a short run id: the random end of a ULID


class Unresolved(Exception):
    """Nothing, or more than one thing, fits; `answer` says which."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


@dataclass(frozen=True, slots=True, order=True)
class FlowName:
    """A flow by its full name."""

    namespace: str
    id: str

    @property
    def full(self) -> str:
        """`namespace/id`, as it is typed."""
        return f"{self.namespace}/{self.id}"


def refused(why: str) -> Unresolved:
    """Why something can't be done."""
    return Unresolved(answer("refused", why=why))


def short(identifier: str) -> str:
    """`#7F3A2K`: how a run is written on cards."""
    return f"#{identifier[-SHORT:]}"


def find_flow(text: str, flows: Sequence[FlowName]) -> FlowName:
    """The one flow a text names: in full, by id, or by a unique end of its full name; Unresolved E02 or E03."""
    for fits in _FLOW_TESTS:
        found = sorted({flow for flow in flows if fits(text, flow)})
        if len(found) == 1:
            return found[0]
        if found:
            raise Unresolved(answer("E03", x=code(text), n=len(found), list=listed(flow.full for flow in found)))
    near = nearest(text, flows)
    closest = f"Closest: {listed(flow.full for flow in near)}." if near else ""
    raise Unresolved(answer("E02", x=code(text), closest=closest))


def _ends(text: str, flow: FlowName) -> bool:
    """`ai/deploy` or `ai.deploy` names company.ai/deploy: the end must begin at a dot or slash."""
    wanted = text.replace("/", ".").lower()
    return bool(wanted) and f".{flow.namespace}.{flow.id}".lower().endswith(f".{wanted}")


_FLOW_TESTS: tuple[Callable[[str, FlowName], bool], ...] = (
    lambda text, flow: text == flow.full,
    lambda text, flow: text in (flow.id, f"{flow.namespace}.{flow.id}"),
    _ends,
)


def nearest(text: str, flows: Sequence[FlowName], limit: int = 3) -> list[FlowName]:
    """Flows whose id or full name resembles a text, best first."""
    by_text: dict[str, FlowName] = {}
    for flow in sorted(flows):
        by_text.setdefault(flow.id.lower(), flow)
        by_text[flow.full.lower()] = flow
    wanted = text.lower()
    close = get_close_matches(wanted, by_text, n=limit * 2, cutoff=0.6)
    holding = [name for name in by_text if wanted and wanted.rsplit("/", 1)[-1] in name]
    return list(dict.fromkeys(by_text[name] for name in [*close, *holding]))[:limit]


def guess(word: str, known: Iterable[str]) -> str:
    """`Did you mean …?` for a mistyped word, "" when nothing is near."""
    return did_you_mean(get_close_matches(word, list(known), n=1, cutoff=0.5))


def find_run(text: str, runs: Sequence[str]) -> str:
    """The one run id, of those given, that a reference names: whole, or by its end with or without `#`; Unresolved."""
    wanted = text.removeprefix("#").upper()
    by_upper = {run.upper(): run for run in runs}
    if wanted in by_upper:
        return by_upper[wanted]
    found = [run for upper, run in by_upper.items() if len(wanted) >= 3 and upper.endswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise Unresolved(answer("many-runs", x=code(text), n=len(found), list=listed(found)))
    close = get_close_matches(wanted[-SHORT:], [upper[-SHORT:] for upper in by_upper], n=2, cutoff=0.6)
    closest = f"Closest: {listed(f'#{end}' for end in close)}." if close else ""
    raise Unresolved(answer("no-run", x=code(text), closest=closest))


def rank(typed: str, names: Iterable[str], used: Mapping[str, int] | None = None) -> list[str]:
    """Names that fit what was typed so far: those that start with it, then a word in them does, then any part; inside
    each group the more often used first."""
    wanted = typed.strip().lower()
    times = used or {}
    scored = [(_score(wanted, name.lower()), -times.get(name, 0), name) for name in names]
    return [name for score, _, name in sorted(scored) if score < _NO_FIT]


_NO_FIT = 4


def _score(wanted: str, name: str) -> int:
    last = name.rsplit("/", 1)[-1]
    if not wanted or name == wanted or last == wanted:
        return 0
    if last.startswith(wanted) or name.startswith(wanted):
        return 1
    if any(part.startswith(wanted) for part in re.split(r"[^a-z0-9]+", name)):
        return 2
    return 3 if wanted in name else _NO_FIT
