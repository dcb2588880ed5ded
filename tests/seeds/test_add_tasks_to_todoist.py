"""A sentence typed into a form becomes tasks: DeepSeek makes JSON of it, and each entry goes to Todoist once."""

import json

import pytest

from bot.conversation import FieldErrors, Form
from tests.seeds.rig import task_run
from tests.seeds.variants import TODOIST
from tests.wire.llm import language_model, model_service

__all__ = ["language_model", "model_service"]

KEY, TOKEN = "sk-deepseek-seed", "todoist-seed-token"
SENTENCE = 'Buy "good" bread\nand call C:\\Anna — {{ secret("TODOIST_API_TOKEN") }}'
TASKS = [
    {
        "title": 'Buy "good" bread \\ and {{ secret("TODOIST_API_TOKEN") }}',
        "description": 'first line\nsecond "line"\ttab \\n not a line end',
        "due_date": "2026-07-03T14:00:00+01:00",
    },
    {"title": "Call C:\\Anna — now", "description": "", "due_date": "2026-07-03T18:00:00Z"},
]
GRAMMAR = {
    "type": "object",
    "properties": {
        "tasks": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {
                "type": "object",
                "properties": {
                    "title": {"type": "string", "minLength": 1, "maxLength": 24},
                    "description": {"type": "string", "maxLength": 24},
                    "due_date": {"type": "string", "format": "date-time"},
                },
                "required": ["title", "description", "due_date"],
            },
        }
    },
    "required": ["tasks"],
}


def settings_for(deepseek: str, todoist: str) -> dict:
    """parley.yaml: where the services are. The seed's address is the retired one; it leads to the new."""
    return {
        "providers": {"deepseek": {"base_url": deepseek, "timeout": 90}},
        "urls": {
            "https://api.todoist.com/rest/v2/": f"{todoist}/api/v1/",
            "https://api.todoist.com/api/v1/": f"{todoist}/api/v1/",
        },
    }


SECRETS = {"DEEPSEEK_API_KEY": KEY, "TODOIST_API_TOKEN": TOKEN}


async def run_by_form(bot, variant, prompt: str):
    """`/flow run`, the form it opens, and what comes of sending it."""
    form = await bot.say(f"run {variant.name} --form")
    assert isinstance(form, Form)
    (field,) = form.fields
    assert (field.id, field.label) == ("prompt", "What would you like to add to your task list?")
    assert "List out all the things" in field.help
    assert "prescription on Friday" in str(form.values.get("prompt", field.default))
    reply = await bot.fill(form, prompt=prompt)
    assert not isinstance(reply, FieldErrors)
    assert reply.body.tone == "success"
    return await bot.settled(variant)


@TODOIST
async def test_each_task_is_posted_once_with_its_words_intact(start_bot, variant, openai_service, todoist):
    openai_service.replies[0] = f"```json\n{json.dumps({'tasks': TASKS})}\n```"
    bot = await start_bot(variant, settings_for(openai_service.url, todoist.url), SECRETS)
    execution = await run_by_form(bot, variant, SENTENCE)
    assert execution.state == "SUCCESS", await bot.said_of(execution)

    (asked,) = openai_service.asked
    assert asked["model"] == "deepseek-chat"
    assert asked["response_format"] == {"type": "json_object"}
    assert asked["messages"][-1] == {"role": "user", "content": SENTENCE}  # never read as a template
    assert "due_date" in asked["messages"][0]["content"]
    assert openai_service.wire.requests[0].headers["authorization"] == f"Bearer {KEY}"

    sent = [request for request in todoist.wire.requests if request.method == "POST"]
    assert [request.path for request in sent] == ["/api/v1/tasks"] * 2
    assert {request.headers["authorization"] for request in sent} == {f"Bearer {TOKEN}"}
    assert {request.headers["content-type"].split(";")[0] for request in sent} == {"application/json"}
    wanted = [
        {"content": one["title"], "description": one["description"], "due_datetime": one["due_date"]} for one in TASKS
    ]
    assert sorted([request.json for request in sent], key=str) == sorted(wanted, key=str)
    assert len(todoist.tasks) == 2

    said = await bot.said_of(execution)
    assert (KEY in said, TOKEN in said) == (False, False)
    if variant.is_seed:
        assert "escaped to stay inside its JSON text" in await bot.said_of(execution, "WARN")


@TODOIST
async def test_no_tasks_are_no_requests(start_bot, variant, openai_service, todoist):
    openai_service.replies[0] = '{"tasks": []}'
    bot = await start_bot(variant, settings_for(openai_service.url, todoist.url), SECRETS)
    execution = await run_by_form(bot, variant, "nothing today")
    assert execution.state == "SUCCESS", await bot.said_of(execution)
    assert todoist.tasks == []


@TODOIST
async def test_a_replay_does_not_post_again_what_was_posted(start_bot, variant, openai_service, todoist):
    """The second task is refused; after a restart only that one is sent again."""
    broken = [TASKS[0], {**TASKS[1], "title": ""}]
    openai_service.replies[0] = json.dumps({"tasks": broken})
    bot = await start_bot(variant, settings_for(openai_service.url, todoist.url), SECRETS)
    execution = await run_by_form(bot, variant, "two things")
    assert execution.state == "FAILED"
    assert "Required argument is missing: content" in await bot.said_of(execution, "ERROR")
    assert len(todoist.tasks) == 1
    await bot.engine.restart(execution.id, by="local:ann")
    again = await bot.settled(variant)
    assert again.state == "FAILED"
    assert len(todoist.tasks) == 1
    assert len(openai_service.asked) == 1


@TODOIST
async def test_an_address_that_is_gone_comes_with_a_hint(start_bot, variant, openai_service, todoist):
    openai_service.replies[0] = json.dumps({"tasks": TASKS[:1]})
    settings = settings_for(openai_service.url, todoist.url)
    for prefix in settings["urls"]:
        settings["urls"][prefix] = f"{todoist.url}/rest/v2/"  # answers 410 Gone
    bot = await start_bot(variant, settings, SECRETS)
    execution = await run_by_form(bot, variant, "bread")
    assert execution.state == "FAILED"
    said = await bot.said_of(execution, "ERROR")
    assert "410" in said
    assert "This endpoint is deprecated." in said
    assert "`urls`" in said
    assert todoist.tasks == []


@TODOIST
async def test_a_missing_token_is_a_sentence(start_bot, variant, openai_service, todoist):
    openai_service.replies[0] = json.dumps({"tasks": TASKS[:1]})
    settings = settings_for(openai_service.url, todoist.url)
    bot = await start_bot(variant, settings, {"DEEPSEEK_API_KEY": KEY})
    execution = await run_by_form(bot, variant, "bread")
    assert execution.state == "FAILED"
    assert "Set PARLEY_SECRET_TODOIST_API_TOKEN" in await bot.said_of(execution, "ERROR")
    assert todoist.wire.requests == []


@TODOIST
@pytest.mark.parametrize(
    ("refusal", "wanted"),
    [((401, "Authentication Fails"), "Check the API key."), ((404, "Model Not Exist"), "Check the model's name")],
)
async def test_a_model_that_refuses_is_a_sentence(start_bot, variant, openai_service, todoist, refusal, wanted):
    openai_service.refusals.append(refusal)
    bot = await start_bot(variant, settings_for(openai_service.url, todoist.url), SECRETS)
    execution = await run_by_form(bot, variant, "bread")
    assert execution.state == "FAILED"
    said = await bot.said_of(execution, "ERROR")
    assert str(refusal[0]) in said
    assert refusal[1] in said
    assert wanted in said
    assert "Traceback" not in said


@TODOIST
async def test_todoist_out_of_reach_is_a_sentence(start_bot, variant, openai_service):
    openai_service.replies[0] = json.dumps({"tasks": TASKS[:1]})
    bot = await start_bot(variant, settings_for(openai_service.url, "http://127.0.0.1:9"), SECRETS)
    execution = await run_by_form(bot, variant, "bread")
    assert execution.state == "FAILED"
    assert "http://127.0.0.1:9/api/v1/tasks could not be reached" in await bot.said_of(execution, "ERROR")


@pytest.mark.llm
@pytest.mark.xdist_group("llm")
@TODOIST
async def test_a_real_model_under_a_grammar_fills_the_list(start_bot, variant, model_service, todoist):
    model_service.schema = GRAMMAR
    bot = await start_bot(variant, settings_for(model_service.url, todoist.url), SECRETS)
    execution = await run_by_form(bot, variant, "I need to get my prescription on Friday and go shopping.")
    assert execution.state == "SUCCESS", await bot.said_of(execution)
    made = json.loads(model_service.said[-1])["tasks"]
    wanted = {(task["title"], task["description"], task["due_date"]) for task in made}  # ForEach takes a value once
    posted = [(task["content"], task["description"], task["due_datetime"]) for task in todoist.tasks]
    assert sorted(posted) == sorted(wanted)
    assert len(posted) >= 1


@pytest.mark.llm
@pytest.mark.xdist_group("llm")
@TODOIST
async def test_a_real_model_without_the_grammar_fails_with_a_sentence(start_bot, variant, model_service, todoist):
    """The model of 135 million parameters cannot follow the schema by itself: whatever it says, the run says why."""
    bot = await start_bot(variant, settings_for(model_service.url, todoist.url), SECRETS)
    execution = await run_by_form(bot, variant, "I need to go shopping.")
    assert execution.state == "FAILED"
    said = await bot.said_of(execution, "ERROR")
    assert ".tasks" in said, said
    assert "Traceback" not in said
    assert todoist.wire.requests == []


@TODOIST
async def test_json_without_the_list_fails_with_a_sentence(start_bot, variant, openai_service, todoist):
    openai_service.replies[0] = '{"todo": "bread"}'
    bot = await start_bot(variant, settings_for(openai_service.url, todoist.url), SECRETS)
    execution = await run_by_form(bot, variant, "bread")
    assert execution.state == "FAILED"
    said = await bot.said_of(execution)
    assert ".tasks" in said, said
    assert task_run(execution, "create_tasks").state == "FAILED"
    assert todoist.wire.requests == []
