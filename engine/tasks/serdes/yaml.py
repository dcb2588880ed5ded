"""`io.kestra.plugin.serdes.yaml`: YAML documents."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml

from engine.core.json_text import any_json
from engine.expressions.limits import MAX_ITEMS
from engine.plugin import TaskFailed
from engine.tasks.conversion import ConversionTask, Warn
from engine.tasks.rows import lines_of, values_of
from engine.tasks.sql_rows import json_value


def documents(source: Path, charset: str) -> list[Any]:
    """The documents of a file, as plain JSON values; TaskFailed says where it is no YAML, or when its aliases make more
    of it than there is room for."""
    return parsed(source.read_text(charset), source.name)


def parsed(text: str, name: str) -> list[Any]:
    """The documents of a text that is called by a name, as `documents` gives them."""
    try:
        found = [one for one in yaml.load_all(text, Loader=_LOADER) if one is not None]
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise TaskFailed(f"{name} is not YAML: {' '.join(str(error).split())}") from error
    if "*" in text and _unfolded(found) > len(text) + MAX_ITEMS:
        raise TaskFailed(f"The aliases of {name} make more than {MAX_ITEMS:,} values.", fix="Use fewer aliases.")
    return [json_value(one) for one in found]


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _unfolded(documents: list[Any]) -> int:
    """How many values there are when each alias is written out. ValueError-free, whatever stands in which."""
    sizes: dict[int, int] = {}

    def size(value: Any) -> int:
        if not isinstance(value, dict | list | tuple | set):
            return 1
        if id(value) not in sizes:
            sizes[id(value)] = ENDLESS  # until it is known: it may stand in itself
            inside = (*value.keys(), *value.values()) if isinstance(value, dict) else value
            sizes[id(value)] = 1 + sum(map(size, inside))
        return sizes[id(value)]

    return sum(map(size, documents))


ENDLESS = 10**12


class YamlToIon(ConversionTask):
    """Read YAML into a file of rows: a document a row, or an entry a row when a document is a list."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.serdes.yaml.YamlToIon
from: "{{ outputs.download.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.serdes.yaml.YamlToIon"]

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        found = [
            row
            for document in documents(source, self.charset)
            for row in (document if isinstance(document, list) else [document])
        ]
        with target.open("w", encoding="utf-8") as made:
            made.writelines(lines_of(found))
        return len(found)


class IonToYaml(ConversionTask):
    """Write a file of rows as YAML, a document a row."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: document
type: io.kestra.plugin.serdes.yaml.IonToYaml
from: "{{ outputs.query.uri }}"
""",
    )
    suffix: ClassVar[str] = ".yaml"
    type: Literal["io.kestra.plugin.serdes.yaml.IonToYaml"]

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        return _write(values_of(source), target, self.charset)


class JsonToYaml(ConversionTask):
    """Write JSON as YAML."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: document
type: io.kestra.plugin.serdes.yaml.JsonToYaml
from: "{{ outputs.download.uri }}"
""",
    )
    suffix: ClassVar[str] = ".yaml"
    type: Literal["io.kestra.plugin.serdes.yaml.JsonToYaml"]

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        text = source.read_text(self.charset)
        try:
            found = [any_json(text)]
        except ValueError:
            found = list(values_of(source, self.charset))
        return _write(found, target, self.charset)


class YamlToJson(ConversionTask):
    """Write YAML as JSON: one document as it is, several a line each."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: document
type: io.kestra.plugin.serdes.yaml.YamlToJson
from: "{{ outputs.download.uri }}"
""",
    )
    suffix: ClassVar[str] = ".json"
    type: Literal["io.kestra.plugin.serdes.yaml.YamlToJson"]

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        found = documents(source, self.charset)
        with target.open("w", encoding="utf-8") as made:
            made.writelines(lines_of(found))
        return len(found)


def _write(values: Iterable[Any], target: Path, charset: str) -> int:
    count = 0
    with target.open("w", encoding=charset) as made:
        for count, value in enumerate(values, 1):
            # LibYAML takes a seventieth of the time, but writes emoji as escapes.
            has_emoji = _ESCAPED.search(json.dumps(value, ensure_ascii=False, default=str))
            dumper = yaml.SafeDumper if has_emoji else _DUMPER
            begins = count > 1  # with a line `---`
            yaml.dump(value, made, Dumper=dumper, sort_keys=False, allow_unicode=True, explicit_start=begins)
    return count


_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_ESCAPED = re.compile("[\x85\ud800-\udfff\U00010000-\U0010ffff]")
