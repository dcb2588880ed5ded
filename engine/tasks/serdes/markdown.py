"""`io.kestra.plugin.serdes.markdown`: Markdown."""

from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urljoin

from pydantic import Field

from engine.plugin import Property, TaskFailed
from engine.tasks.conversion import ConversionTask, Warn
from engine.tasks.extras import extra
from engine.tasks.property_types import OptionalText, TextList


class MarkdownToHtml(ConversionTask):
    """Write Markdown as HTML; HTML inside it is shown, not kept."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.serdes.markdown.MarkdownToHtml
from: "{{ outputs.report.uri }}"
""",
    )
    suffix: ClassVar[str] = ".html"
    type: Literal["io.kestra.plugin.serdes.markdown.MarkdownToHtml"]

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        markup = _parser().render(source.read_text(self.charset))
        target.write_text(markup, self.charset)
        return 1


class MarkdownToText(ConversionTask):
    """Write Markdown as plain text."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: text
type: io.kestra.plugin.serdes.markdown.MarkdownToText
from: "{{ outputs.report.uri }}"
""",
    )
    suffix: ClassVar[str] = ".txt"
    type: Literal["io.kestra.plugin.serdes.markdown.MarkdownToText"]

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        lines: list[str] = []
        for token in _parser().parse(source.read_text(self.charset)):
            if token.type == "inline":
                lines.append("".join(_plain(child) for child in token.children or []))
            elif token.type in ("fence", "code_block"):
                lines.append(token.content.rstrip("\n"))
        target.write_text("\n".join(lines) + "\n", self.charset)
        return 1


class HtmlToMarkdown(ConversionTask):
    """Write a page as Markdown, which is shorter to read for people and for language models."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: shorter
type: io.kestra.plugin.serdes.markdown.HtmlToMarkdown
from: "{{ outputs.page.uri }}"
ignoreTags: [nav, footer]
baseUri: https://example.com/docs/
""",
    )
    suffix: ClassVar[str] = ".md"
    type: Literal["io.kestra.plugin.serdes.markdown.HtmlToMarkdown"]
    ignore_tags: Property[TextList | None] = Field(
        default=None, description="Elements that are left out, besides scripts, styles and the title."
    )
    base_uri: Property[OptionalText] = Field(default=None, description="What links and pictures are relative to.")

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        markdownify = extra("markdownify", "html")
        page = extra("bs4", "html").BeautifulSoup(source.read_text(self.charset), "html.parser")
        for wanted in ("script", "style", "title", *(self.ignore_tags or [])):
            for element in self._found(page, wanted):
                element.decompose()
        for name, link in (("a", "href"), ("img", "src")):
            for element in page.find_all(name, **{link: True}) if self.base_uri else ():
                with suppress(ValueError):  # it is no address then, and stays what it is
                    element[link] = urljoin(self.base_uri or "", element[link])
        text = markdownify.MarkdownConverter(heading_style=markdownify.ATX, bullets="*").convert_soup(page)
        target.write_text(text.strip() + "\n", self.charset)
        return 1

    def _found(self, page: Any, wanted: str) -> list[Any]:
        try:
            return list(page.select(wanted))
        except extra("soupsieve", "html").SelectorSyntaxError as error:
            raise TaskFailed(f"`ignoreTags`: {wanted!r} is no name of an element.", fix="Write them as nav.") from error


def _parser() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table").enable("strikethrough")


def _plain(token: Any) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return str(token.content)
