"""Which types exist: type name → class, aliases, nearest names. A class is imported when the first flow names it."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import SequenceMatcher
from functools import lru_cache
from importlib import import_module
from itertools import islice
from typing import Any

from engine.core.task import Typed
from engine.errors import UnknownTaskType

LIKE = 0.8  # how much of a name must be the same for a guess …
SPELT = 0.82  # … and of each part before the last: GitLab isn't GitHub, and Dremio isn't Druid
QUOTES = " \"'“”„‘’‚«»`"  # around a name, from a text that was pasted
KINDS = frozenset({"a task", "a trigger", "a condition"})
SIBLINGS = 6  # how many types of a package are named to somebody who asked for one that it lacks
ROOT = "io.kestra.plugin"
SERVICES = f"{ROOT}."
SPREAD = "core"  # the plugin whose parts are not others' products
FLOWS = f"{SERVICES}{SPREAD}.flow"
FORMS = {"Script": "script", "Commands": "commands"}  # of a language → what only tasks of this form have
_TYPE = re.compile(r"io\.kestra\.plugin\.[\w.]+\.(?:Script|Commands)\b")


class Registry:
    """Classes by every name a flow may call them.

    `places` maps type names to `module:Class`; `rename` gives the installed name behind an older one, or None;
    `plugins` finds third-party classes and is asked once, when a name is not among the others; `absent` says of types
    that are not to be had, and of families of them (`….`), what to do without them; `elsewhere` says so of a kind of
    part, for services that nothing is installed for.
    """

    def __init__(
        self,
        classes: Iterable[type[Typed]] = (),
        *,
        places: Mapping[str, str] | None = None,
        rename: Callable[[str], str | None] = lambda name: None,
        plugins: Callable[[], Iterable[type[Typed]]] = tuple,
        absent: Mapping[str, str] | None = None,
        elsewhere: Mapping[str, str] | None = None,
    ) -> None:
        self._loaded: dict[str, type[Typed]] = {}
        self._places = dict(places or {})
        self._rename = rename
        self._absent, self._elsewhere = dict(absent or {}), dict(elsewhere or {})
        self._plugins: Callable[[], Iterable[type[Typed]]] | None = plugins
        self._nearest: dict[tuple[str, str], list[str]] = {}
        self._add(classes)

    def resolve(self, declaration: Any, kind: str = "task") -> type[Typed]:
        """Class for a declaration of a `kind` of part as read from YAML; UnknownTaskType names the nearest."""
        name = declaration.get("type") if isinstance(declaration, Mapping) else None
        cls = self.find(str(name))
        if cls is None:
            raise self.unknown(str(name), kind, declaration if isinstance(declaration, Mapping) else ())
        return cls

    def unknown(self, name: str, kind: str = "task", written: Collection[str] = ()) -> UnknownTaskType:
        """What to tell about a type that is not installed, by the names of what is written beside it."""
        family = max((one for one in self._absent if one.endswith(".") and name.startswith(one)), key=len, default="")
        absent = self._absent.get(name)
        nearest = [] if absent else [self._fitting(one, written) for one in self.nearest(name, kind)]
        advice = _TYPE.sub(lambda one: self._fitting(one[0], written), absent or "") or self._absent.get(family, "")
        if not advice and not nearest and name.startswith(SERVICES) and not name.startswith(f"{SERVICES}{SPREAD}."):
            beside = self._listed(f"{name.rpartition('.')[0]}.", kind)
            advice = f"Beside it there is {beside}." if beside else self._elsewhere.get(kind, "")
        if not absent and (held := self._listed(f"{name}.", kind, written) or self._packages(f"{name}.")):
            nearest, advice = [], f"This is a package, in which there is {held}."
        return UnknownTaskType(name, nearest, advice, kind)

    def _listed(self, package: str, kind: str, written: Collection[str] = ()) -> str:
        """What there is in a package; empty without such a package."""
        held = [one for one in self.names() if one.startswith(package) and "." not in one.removeprefix(package)]
        today = [self._fitting(self.canonical(one), written) for one in held if self._is_kind(one, kind)]
        return _first(today)

    def _packages(self, package: str) -> str:
        """The packages in one; empty when there is none."""
        return _first([one.rpartition(".")[0] for one in self.names() if one.startswith(package)])

    def _fitting(self, name: str, written: Collection[str]) -> str:
        """The Script of a language in place of its Commands where a `script` is written, and the other way round."""
        package, _, last = name.rpartition(".")
        given = [form for form, key in FORMS.items() if key in written]
        other = f"{package}.{given[0]}" if last in FORMS and len(given) == 1 else name
        return other if self.find(other) is not None else name

    def find(self, name: str) -> type[Typed] | None:
        """Class of a type name or alias, None when it is not installed."""
        if name in self._loaded:
            return self._loaded[name]
        if name in self._places:
            module, _, attribute = self._places[name].partition(":")
            self._add([getattr(import_module(module), attribute)])
            return self._loaded[name]
        modern = self._rename(name)
        if modern is not None and modern != name:
            return self.find(modern)
        if self._plugins is not None:
            plugins, self._plugins = self._plugins, None
            self._add(plugins())
            return self.find(name)
        return None

    def canonical(self, name: str) -> str:
        """The current name of a type, itself when it is not installed."""
        cls = self.find(name)
        return cls.type_names()[0] if cls else name

    def names(self) -> list[str]:
        """Every name a flow may use, sorted; imports third-party types but none of our own."""
        if self._plugins is not None:
            plugins, self._plugins = self._plugins, None
            self._add(plugins())
        return sorted({*self._places, *self._loaded})

    def canonical_names(self) -> list[str]:
        """The current name of every type, sorted; imports all of them."""
        return [cls.type_names()[0] for cls in self.classes()]

    def classes(self) -> list[type[Typed]]:
        """Every class, by canonical name; imports all of them."""
        found = {cls.type_names()[0]: cls for cls in map(self.find, self.names()) if cls}
        return [found[name] for name in sorted(found)]

    def nearest(self, name: str, kind: str = "") -> list[str]:
        """Up to three installed names that look like this one, the likeliest first; none for a service of its own.

        With a `kind` of part only names of such parts; what differs by its case alone stands by itself.
        """
        if (name, kind) not in self._nearest:
            plain = name.strip(f"{QUOTES}.,;: ")
            begun = ".".join(plain.split(".")[:3])
            if begun != ROOT and SequenceMatcher(None, begun, ROOT).ratio() > SPELT:
                plain = ROOT + plain.removeprefix(begun)
            package, _, last_name = plain.rpartition(".")
            wanted = last_name.lower()

            def likeness(candidate: str) -> float:
                other, _, last = candidate.rpartition(".")
                if not package:  # the end of a name alone
                    return 3 if last.lower() == wanted else 0
                if candidate.lower() == plain.lower() or candidate.endswith(f".{plain}"):
                    return 4
                if last.lower() == wanted and (_is_deeper(package, other) or _are_of_flows(package, other)):
                    return 3
                if not _is_misspelt(package, other):
                    return 0
                whole = SequenceMatcher(None, plain, candidate).ratio()
                if whole <= LIKE:
                    return 0
                return SequenceMatcher(None, wanted, last.lower()).ratio() * 2 + whole

            scored = sorted(((likeness(candidate), candidate) for candidate in self.names()), reverse=True)
            known = [candidate for score, candidate in scored if score > 2]
            same = [one for one in known if one.lower() == plain.lower()]
            fit = (one for one in same or known if self._is_kind(one, kind))
            self._nearest[name, kind] = list(dict.fromkeys(map(self.canonical, islice(fit, 6))))[:3]
        return self._nearest[name, kind]

    def _is_kind(self, name: str, kind: str) -> bool:
        cls = self.find(name)
        noun = f"a {kind}" if f"a {kind}" in KINDS else ""
        return cls is None or not kind or noun == (cls.noun if cls.noun in KINDS else "")

    def _add(self, classes: Iterable[type[Typed]]) -> None:
        for cls in classes:
            for name in cls.type_names():
                self._loaded.setdefault(name, cls)


def _first(names: Iterable[str]) -> str:
    """Some of these, and whether there are more."""
    listed = [f"`{one}`" for one in dict.fromkeys(names)]
    return ", ".join(listed[:SIBLINGS]) + (", and more, which `parley plugins` lists" if listed[SIBLINGS:] else "")


@lru_cache(maxsize=1024)
def _is_misspelt(package: str, other: str) -> bool:
    """Whether a package may be another one misspelt, part by part: what every name begins with says nothing."""
    mine, theirs = (one.removeprefix("io.kestra.").removeprefix("plugin.").split(".") for one in (package, other))
    if mine[0] == SPREAD == theirs[0]:
        return True
    return all(any(SequenceMatcher(None, part, one).ratio() > SPELT for one in theirs) for part in mine)


def _is_deeper(package: str, other: str) -> bool:
    """Whether a package stands below another one of the same service."""
    return other.startswith(SERVICES) and package.startswith(f"{other}.")


def _are_of_flows(package: str, other: str) -> bool:
    """Whether a package that ends as that of If and ForEach does is looked up in theirs: no service has its own."""
    return other == FLOWS and package.rpartition(".")[2] == FLOWS.rpartition(".")[2]
