"""Model tasks against a real, small language model."""

import json

import pytest
from jsonschema import validate

from tests.wire.llm import language_model, model_service
from tests.wire.llm_facades import real_gemini, real_ollama

__all__ = ["language_model", "model_service", "real_gemini", "real_ollama"]

pytestmark = pytest.mark.llm
TASKS = {
    "type": "object",
    "properties": {
        "tasks": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {
                "type": "object",
                "properties": {
                    "title": {"type": "string", "maxLength": 30},
                    "due_date": {"type": "string", "maxLength": 20},
                },
                "required": ["title", "due_date"],
            },
        }
    },
    "required": ["tasks"],
}


async def test_ollama(make_context, real_ollama):
    context = make_context(
        {"providers": {"ollama": {"base_url": real_ollama.url}}}, inputs={"x": 'Fix "parser"\nAdd `docs`'}
    )
    found = await context.run(
        type="io.kestra.plugin.ollama.cli.OllamaCLI",
        commands=['ollama run gemma3:1b "Summarize these commits: {{ inputs.x }}" > output.txt'],
        outputFiles=["output.txt"],
    )
    text = context.files.text(found.outputFiles["output.txt"])
    assert len(text.split()) > 3
    assert real_ollama.prompts == ['Summarize these commits: Fix "parser"\nAdd `docs`']
    assert context.metrics["candidate.token.count"] > 0


async def test_deepseek(make_context, model_service):
    model_service.schema = TASKS
    context = make_context({"providers": {"deepseek": {"base_url": model_service.url}}})
    found = await context.run(
        type="io.kestra.plugin.deepseek.ChatCompletion",
        apiKey="key",
        modelName="deepseek-chat",
        messages=[{"type": "USER", "content": "I need to go shopping on Friday."}],
        jsonResponseSchema=json.dumps(TASKS),
    )
    validate(json.loads(found.response), TASKS)


async def test_gemini(make_context, real_gemini):
    schema = {"type": "object", "properties": {"wind": {"type": "number"}, "go_sailing": {"type": "boolean"}}}
    context = make_context({"providers": {"gemini": {"base_url": real_gemini.url}}})
    found = await context.run(
        type="io.kestra.plugin.gemini.StructuredOutputCompletion",
        apiKey="key",
        model="gemini-2.5-flash",
        prompt="The wind is 15 knots. Should I go sailing?",
        jsonResponseSchema=json.dumps(schema),
    )
    (answer,) = map(json.loads, found.predictions)
    assert isinstance(answer["go_sailing"], bool)
    assert isinstance(answer["wind"], int | float)
    assert context.metrics["total.token.count"] > 0
