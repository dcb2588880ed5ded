"""`io.kestra.plugin.serdes.markdown`: Markdown."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from engine.tasks.conversion import ConversionTask, Warn


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


def _parser() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table").enable("strikethrough")


def _plain(token: Any) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return str(token.content)
