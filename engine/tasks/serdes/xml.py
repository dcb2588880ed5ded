"""`io.kestra.plugin.serdes.xml`: XML documents."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal
from xml.etree import ElementTree

from pydantic import Field

from engine.plugin import Part, Property, TaskFailed
from engine.tasks.conversion import ConversionTask, TextWriterTask, Warn
from engine.tasks.property_types import OptionalText, Text, TextList, scalar_to_text
from engine.tasks.rows import lines_of, values_of

NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")
WORDS = {"true": True, "false": False, "null": None}
NAME = re.compile(r"[^\w.-]")


class ParserConfiguration(Part):
    """How elements become values."""

    force_list: Property[TextList] = Field(default_factory=list, description="Elements that are lists, even alone.")


class XmlToIon(ConversionTask):
    """Read XML into a file of rows: the whole document, or what a path such as `/orders/order` names."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.serdes.xml.XmlToIon
from: "{{ outputs.download.uri }}"
query: /catalog/book
""",
    )
    type: Literal["io.kestra.plugin.serdes.xml.XmlToIon", "io.kestra.plugin.serdes.xml.XmlReader"]
    query: Property[OptionalText] = None
    parser_configuration: ParserConfiguration | None = None

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        try:
            root = ElementTree.fromstring(source.read_text(self.charset))  # noqa: S314 - reads no other files
        except ElementTree.ParseError as error:
            raise TaskFailed(f"{source.name} is not XML: {error}.") from error
        forced = frozenset(self.parser_configuration.force_list if self.parser_configuration else ())
        found: Any = {_name(root.tag): _value(root, forced)}
        for step in (self.query or "").strip("/").split("/"):
            if step:
                found = found.get(step) if isinstance(found, dict) else None
        rows = found if isinstance(found, list) else [found]
        target.write_text("".join(lines_of(rows)), "utf-8")
        return len(rows)


class IonToXml(TextWriterTask):
    """Write a file of rows as XML."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: document
type: io.kestra.plugin.serdes.xml.IonToXml
from: "{{ outputs.query.uri }}"
rootName: orders
""",
    )
    suffix: ClassVar[str] = ".xml"
    type: Literal["io.kestra.plugin.serdes.xml.IonToXml", "io.kestra.plugin.serdes.xml.XmlWriter"]
    root_name: Property[Text] = "items"

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        root = ElementTree.Element(_name(self.root_name))
        count = 0
        for value in values_of(source):
            root.append(_element("item", value))
            count += 1
        ElementTree.ElementTree(root).write(target, encoding=self.charset, xml_declaration=True)
        return count


def _value(element: ElementTree.Element, forced: frozenset[str]) -> Any:
    """Attributes and children by name, several of a name as a list; the text alone when there is nothing else."""
    found: dict[str, Any] = {}
    several = set(forced)  # lists in `found` that are ours
    for name, value in [*_attributes(element), *((_name(child.tag), _value(child, forced)) for child in element)]:
        if name in forced and name not in found:
            found[name] = [value]
        elif name in found:
            if name not in several:
                several.add(name)
                found[name] = [found[name]]
            found[name].append(value)
        else:
            found[name] = value
    text = (element.text or "").strip()
    if not found:
        return _scalar(text)
    return found | ({"content": _scalar(text)} if text else {})


def _attributes(element: ElementTree.Element) -> Iterator[tuple[str, Any]]:
    return ((_name(name), _scalar(value)) for name, value in element.attrib.items())


def _scalar(text: str) -> Any:
    if text in WORDS:
        return WORDS[text]
    if NUMBER.fullmatch(text):
        return float(text) if any(mark in text for mark in ".eE") else int(text)
    return text


def _name(tag: str) -> str:
    """The name without its namespace, with nothing in it that XML would not take."""
    plain = NAME.sub("_", str(tag).rpartition("}")[2])
    return plain if plain[:1].isalpha() or plain[:1] == "_" else f"_{plain}"


def _element(name: str, value: Any) -> ElementTree.Element:
    made = ElementTree.Element(_name(name))
    if isinstance(value, dict):
        for key, item in value.items():
            made.extend([_element(key, one) for one in (item if isinstance(item, list) else [item])])
    elif isinstance(value, list):
        made.extend([_element("item", item) for item in value])
    elif value is not None:
        made.text = str(scalar_to_text(value))
    return made
