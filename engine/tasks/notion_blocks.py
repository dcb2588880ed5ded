"""Markdown as Notion's blocks, and back. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from engine.tasks.rest_service import listed, mapped

MOST_TEXT = 2000  # characters of one piece of text
Block = dict[str, Any]
STYLES = {"strong": "bold", "em": "italic", "s": "strikethrough"}
MARKS = (("code", "`"), ("bold", "**"), ("italic", "*"), ("strikethrough", "~~"))
LANGUAGES = {"": "plain text", "py": "python", "js": "javascript", "ts": "typescript", "sh": "shell", "yml": "yaml"}


def blocks_of(markdown: str) -> list[Block]:
    """The blocks of a text."""
    tree = SyntaxTreeNode(MarkdownIt("commonmark").enable(["strikethrough", "table"]).parse(markdown))
    return [block for node in tree.children for block in _blocks(node)]


def markdown_of(blocks: Sequence[Block]) -> str:
    """The text of blocks; what Markdown has no words for is left out."""
    return "\n".join(line for block in blocks for line in _lines(block)).strip()


def plain_text(text: str) -> list[Block]:
    """Text without any marks, in pieces that Notion takes."""
    return list(_pieces(text, {}))


def _blocks(node: SyntaxTreeNode) -> Iterator[Block]:
    match node.type:
        case "heading":
            yield _block(f"heading_{min(int(node.tag[1:]), 3)}", _texts(node))
        case "bullet_list" | "ordered_list":
            kind = "bulleted_list_item" if node.type == "bullet_list" else "numbered_list_item"
            for item in node.children:
                yield _item(item, kind)
        case "blockquote":
            for child in node.children:
                yield _block("quote", _texts(child))
        case "fence" | "code_block":
            language = (node.info or "").split(" ")[0].lower()
            text = _pieces(node.content.rstrip("\n"), {})
            yield _block("code", text, language=LANGUAGES.get(language, language))
        case "hr":
            yield {"object": "block", "type": "divider", "divider": {}}
        case "table":
            rows = [row for part in node.children for row in part.children]
            cells = [[list(_texts(cell)) for cell in row.children] for row in rows]
            children = [{"object": "block", "type": "table_row", "table_row": {"cells": row}} for row in cells]
            table = {"table_width": len(cells[0]), "has_column_header": True, "children": children}
            yield {"object": "block", "type": "table", "table": table}
        case _:
            yield _block("paragraph", _texts(node))


def _item(item: SyntaxTreeNode, kind: str) -> Block:
    """An item of a list; what is below it becomes its children."""
    first, rest = item.children[:1], item.children[1:]
    texts = [piece for node in first for piece in _texts(node)]
    head = texts[0]["text"]["content"] if texts else ""
    more: dict[str, Any] = {}
    if head[:4].lower() in ("[ ] ", "[x] "):
        kind, more = "to_do", {"checked": head[1].lower() == "x"}
        texts[0]["text"]["content"] = head[4:]
    children = [block for child in rest for block in _blocks(child)]
    return _block(kind, texts, **more, **({"children": children} if children else {}))


def _block(kind: str, texts: Iterator[Block] | list[Block], **more: Any) -> Block:
    return {"object": "block", "type": kind, kind: {"rich_text": list(texts), **more}}


def _texts(node: SyntaxTreeNode, style: dict[str, Any] | None = None, link: str | None = None) -> Iterator[Block]:
    """The pieces of text in a node, with how they look."""
    look = style or {}
    for child in node.children:
        if child.type in STYLES:
            yield from _texts(child, {**look, STYLES[child.type]: True}, link)
        elif child.type == "link":
            yield from _texts(child, look, str(child.attrs.get("href", "")))
        elif child.type == "code_inline":
            yield from _pieces(child.content, {**look, "code": True}, link)
        elif child.type in ("softbreak", "hardbreak"):
            yield from _pieces("\n", look, link)
        elif child.children:
            yield from _texts(child, look, link)
        elif child.content:
            yield from _pieces(child.content, look, link)


def _pieces(text: str, look: dict[str, Any], link: str | None = None) -> Iterator[Block]:
    for begin in range(0, len(text), MOST_TEXT):
        content: dict[str, Any] = {"content": text[begin : begin + MOST_TEXT]}
        if link and link.startswith(("http://", "https://", "mailto:")):
            content["link"] = {"url": link}
        yield {"type": "text", "text": content, **({"annotations": dict(look)} if look else {})}


def _lines(block: Block, depth: int = 0) -> Iterator[str]:
    kind = str(block.get("type", ""))
    inside = mapped(block, "Notion", kind)
    text, pad = _said(listed(inside, "Notion", "rich_text")), "  " * depth
    match kind:
        case "heading_1" | "heading_2" | "heading_3":
            yield from (f"{'#' * int(kind[-1])} {text}", "")
        case "bulleted_list_item" | "numbered_list_item":
            yield f"{pad}{'-' if kind[0] == 'b' else '1.'} {text}"
        case "to_do":
            yield f"{pad}- [{'x' if inside.get('checked') else ' '}] {text}"
        case "quote":
            yield from (f"> {text}", "")
        case "code":
            yield from (f"```{inside.get('language') or ''}", text, "```", "")
        case "divider":
            yield from ("---", "")
        case "paragraph":
            yield from (text, "")
    for child in listed(inside, "Notion", "children"):
        yield from _lines(child, depth + 1)


def text_of(piece: Block) -> str:
    """The text of a piece of text, without its marks."""
    return str(piece.get("plain_text") or mapped(piece, "Notion", "text").get("content") or "")


def _said(pieces: Sequence[Block]) -> str:
    said = []
    for piece in pieces:
        text = text_of(piece)
        for name, mark in MARKS:
            if mapped(piece, "Notion", "annotations").get(name) and text.strip():
                text = f"{mark}{text}{mark}"
        link = piece.get("href") or mapped(piece, "Notion", "text", "link").get("url")
        said.append(f"[{text}]({link})" if link else text)
    return "".join(said)
