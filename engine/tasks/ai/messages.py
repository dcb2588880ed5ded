"""Turns of a conversation and tools in the JSON of each service. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from engine.plugin import TaskFailed
from engine.tasks.ai.conversation import Described, Media, Turn


def openai_message(turn: Turn) -> dict[str, Any]:
    """A message of OpenAI's API."""
    message: dict[str, Any] = {"role": turn.role, "content": turn.text}
    if turn.media:
        message["content"] = [{"type": "text", "text": turn.text}, *map(_openai_part, turn.media)]
    if turn.answers is not None:
        message["tool_call_id"] = turn.answers.id
    if turn.calls:
        message["content"] = turn.text or None
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in turn.calls
        ]
    return message


def _openai_part(media: Media) -> dict[str, Any]:
    url = f"data:{media.kind};base64,{media.encoded}"
    if media.kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": "document.pdf", "file_data": url}}


def openai_function(tool: Described) -> dict[str, Any]:
    """A function of OpenAI's API, and of Ollama's."""
    return {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)}


def ollama_message(turn: Turn) -> dict[str, Any]:
    """A message of Ollama's API."""
    message: dict[str, Any] = {"role": turn.role, "content": turn.text}
    if any(not media.kind.startswith("image/") for media in turn.media):
        raise TaskFailed("Models on Ollama read pictures only.", fix="Leave out the PDF, or use another provider.")
    if turn.media:
        message["images"] = [media.encoded for media in turn.media]
    if turn.answers is not None:
        message["tool_name"] = turn.answers.name
    if turn.calls:
        message["tool_calls"] = [
            {"function": {"name": call.name, "arguments": dict(call.arguments)}} for call in turn.calls
        ]
    return message


def gemini_content(turn: Turn) -> Any:
    """A content of Gemini's API; what the model said goes back as it came, with its signatures."""
    if turn.raw is not None:
        return turn.raw
    if turn.answers is not None:
        response = {"name": turn.answers.name, "response": {"result": turn.text}}
        return {"role": "user", "parts": [{"function_response": response}]}
    parts: list[dict[str, Any]] = [{"text": turn.text}] if turn.text or not turn.calls else []
    parts += [{"inline_data": {"mime_type": media.kind, "data": media.data}} for media in turn.media]
    parts += [{"function_call": {"name": call.name, "args": dict(call.arguments)}} for call in turn.calls]
    return {"role": "model" if turn.role == "assistant" else "user", "parts": parts}


def gemini_function(tool: Described) -> dict[str, Any]:
    """A function declaration of Gemini's API."""
    return {"name": tool.name, "description": tool.description, "parameters_json_schema": dict(tool.schema)}


def anthropic_messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """Messages of Anthropic's API, in which the answers to the calls of one turn are one message."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role == "system":
            continue
        blocks: list[dict[str, Any]] = [{"type": "text", "text": turn.text}] if turn.text else []
        if turn.raw is not None:  # with what it thought, which it has signed
            messages.append({"role": "assistant", "content": list(turn.raw)})
            continue
        blocks += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)} for call in turn.calls
        ]
        blocks += [
            {
                "type": "image" if media.kind.startswith("image/") else "document",
                "source": {"type": "base64", "media_type": media.kind, "data": media.encoded},
            }
            for media in turn.media
        ]
        if turn.answers is not None:
            blocks = [{"type": "tool_result", "tool_use_id": turn.answers.id, "content": turn.text}]
        _say(messages, turn, blocks)
    return messages


def _say(messages: list[dict[str, Any]], turn: Turn, blocks: list[dict[str, Any]]) -> None:
    """Add a turn; to the message before, if that is of the same side."""
    role = "assistant" if turn.role == "assistant" else "user"
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] += blocks
    else:
        messages.append({"role": role, "content": blocks})


def bedrock_messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """Messages of Bedrock's Converse API, in which the answers to the calls of one turn are one message."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role == "system":
            continue
        blocks: list[dict[str, Any]] = [{"text": turn.text}] if turn.text else []
        blocks += [_bedrock_part(media) for media in turn.media]
        blocks += [
            {"toolUse": {"toolUseId": call.id, "name": call.name, "input": dict(call.arguments)}} for call in turn.calls
        ]
        if turn.answers is not None:
            blocks = [{"toolResult": {"toolUseId": turn.answers.id, "content": [{"text": turn.text}]}}]
        _say(messages, turn, blocks)
    return messages


def _bedrock_part(media: Media) -> dict[str, Any]:
    kind, _, form = media.kind.partition("/")
    if kind == "image":
        return {"image": {"format": "jpeg" if form == "jpg" else form, "source": {"bytes": media.data}}}
    return {"document": {"format": form, "name": "document", "source": {"bytes": media.data}}}
