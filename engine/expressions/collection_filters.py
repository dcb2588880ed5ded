"""Filters on lists and maps."""

from functools import cmp_to_key
from typing import Final

from engine.expressions.failures import fail, kind
from engine.expressions.frame import Frame
from engine.expressions.limits import MAX_ITEMS, MAX_TEXT
from engine.expressions.operations import FILTERS
from engine.expressions.printing import digits, java_text, measure, to_json
from engine.expressions.text_filters import amount_of
from engine.expressions.values import Entry, Value, is_list, is_map, is_number

_BITS: Final = 60


def _list(value: Value, name: str) -> list[Value]:
    if not is_list(value):
        fail(f"{name!r} takes a list, not {kind(value)}.")
    return list(value)


@FILTERS.add("default", "default")
def default(value: Value, otherwise: Value) -> Value:
    """The value, or another when it is missing, null, blank or empty; 0 and false are values."""
    blank = value is None or (isinstance(value, str) and not value.strip())
    return otherwise if blank or ((is_list(value) or is_map(value)) and not value) else value


@FILTERS.add("first")
def first(value: Value) -> Value:
    """The first item of a list, or character of a text."""
    return _end(value, "first", 0)


@FILTERS.add("last")
def last(value: Value) -> Value:
    """The last item of a list, or character of a text."""
    return _end(value, "last", -1)


def _end(value: Value, name: str, index: int) -> Value:
    if value is None:
        return None
    if isinstance(value, str):
        if not value:
            fail(f"{name!r} was given an empty text.", "Guard it: `x is empty ? '' : (x | " + name + ")`.")
        return value[index]
    items = _list(value, name)
    return items[index] if items else None


@FILTERS.add("length")
def length(value: Value) -> int:
    """How many characters, items or entries; 0 for anything else."""
    return len(value) if isinstance(value, str) or is_list(value) or is_map(value) else 0


@FILTERS.add("join", "separator", separator="")
def join(value: Value, separator: Value) -> Value:
    """`{{ [1, 2] | join('-') }}` → 1-2."""
    if value is None:
        return None
    if separator is not None and not isinstance(separator, str):
        fail(f"'join' takes a text as separator, not {kind(separator)}.")
    texts = []
    room = MAX_TEXT
    for item in _list(value, "join"):
        texts.append(java_text(item))
        room -= len(texts[-1]) + len(separator or "")
        if room < 0:
            fail(f"'join' makes a text of more than {MAX_TEXT:,} characters.")
    return (separator or "").join(texts)


@FILTERS.add("reverse")
def reverse(value: Value) -> Value:
    """The list from its end."""
    return None if value is None else _list(value, "reverse")[::-1]


def _compared(left: Value, right: Value) -> int:
    if isinstance(left, bool) is isinstance(right, bool) and (
        (is_number(left) and is_number(right)) or (type(left) is type(right) and not is_list(left) and not is_map(left))
    ):
        return int(left > right) - int(left < right)
    return fail(f"'sort' cannot compare {kind(left)} with {kind(right)}.")


def _sorted(frame: Frame, items: list[Value], falling: bool) -> list[Value]:
    kinds = {type(item) for item in items}
    if kinds <= {int, float} or kinds == {str}:
        frame.charge(len(items))
        return sorted(items, reverse=falling)
    frame.charge(len(items) * 20)  # one by one is slow
    return sorted(items, key=cmp_to_key(_compared), reverse=falling)


@FILTERS.add("sort", contextual=True)
def sort(frame: Frame, value: Value) -> Value:
    """The list in order."""
    return None if value is None else _sorted(frame, _list(value, "sort"), falling=False)


@FILTERS.add("rsort", contextual=True)
def rsort(frame: Frame, value: Value) -> Value:
    """The list in falling order."""
    return None if value is None else _sorted(frame, _list(value, "rsort"), falling=True)


@FILTERS.add("slice", "fromIndex", "toIndex", fromIndex=0, toIndex=None)
def slice_(value: Value, from_index: Value, to_index: Value) -> Value:
    """`{{ 'Kestra' | slice(1, 3) }}` → es."""
    if value is None:
        return None
    found = value if isinstance(value, str) else _list(value, "slice")
    start = 0 if from_index is None else amount_of(from_index, "slice", "fromIndex")
    end = len(found) if to_index is None else amount_of(to_index, "slice", "toIndex")
    if not start < end <= len(found):
        fail(f"'slice' cannot cut from {start} to {end}: there are {len(found)} parts.", "Check `| length` first.")
    return found[start:end]


@FILTERS.add("merge", "items")
def merge(value: Value, items: Value) -> Value:
    """Two maps, lists, or one of each, in one; the right one wins."""
    if value is None or items is None:
        if value is None and items is None:
            fail("'merge' was given null on both sides.")
        return items if value is None else value
    if is_map(value):
        if is_map(items):
            return {**value, **items}
        if is_list(items):
            return {**value, **{java_text(item): item for item in items}}
    elif is_list(value):
        if is_map(items):
            return [*value, *(Entry(key, item) for key, item in items.items())]
        if is_list(items):
            return [*value, *items]
    return fail(f"'merge' joins lists and maps, not {kind(value)} with {kind(items)}.")


@FILTERS.add("chunk", "size")
def chunk(value: Value, size: Value) -> Value:
    """`{{ [1, 2, 3] | chunk(2) }}` → [[1,2],[3]]."""
    if value is None:
        return None
    items, step = _list(value, "chunk"), amount_of(size, "chunk", "size")
    if not step:
        fail("'chunk' takes a size of at least 1.")
    return [items[start : start + step] for start in range(0, len(items), step)]


@FILTERS.add("flatten")
def flatten(value: Value) -> Value:
    """Lists inside the list dissolved, one level."""
    if value is None:
        return None
    items = _list(value, "flatten")
    if sum(len(item) if is_list(item) else 1 for item in items) > MAX_ITEMS:
        fail(f"'flatten' makes a list of more than {MAX_ITEMS:,} items.")
    return [one for item in items for one in (item if is_list(item) else (item,))]


@FILTERS.add("keys")
def keys(value: Value) -> Value:
    """The keys of a map, or the indexes of a list."""
    if value is None:
        return None
    if is_map(value):
        return list(value)
    return list(range(len(_list(value, "keys"))))


@FILTERS.add("values")
def values(value: Value) -> Value:
    """The values of a map."""
    if value is None:
        return None
    if not is_map(value):
        fail(f"'values' takes a map, not {kind(value)}.")
    return list(value.values())


@FILTERS.add("distinct")
def distinct(value: Value) -> Value:
    """The list without what stands in it already."""
    if value is None:
        return "null"
    items = _list(value, "distinct")
    measure(items)
    found: list[Value] = []
    seen: set[tuple[type, Value]] = set()
    key: tuple[type, Value]
    for item in items:
        if isinstance(item, (str, int, float)):
            # Long integers could be chosen so that they all land in one bucket of the set; their digits cannot.
            known = digits(item) if isinstance(item, int) and item.bit_length() > _BITS else item
            key = (bool if isinstance(item, bool) else str if isinstance(item, str) else float, known)
        else:
            key = (list, to_json(item))
        if key not in seen:
            seen.add(key)
            found.append(item)
    return found
