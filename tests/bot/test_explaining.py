"""*Explain* on a failed run: asked once, told to all who wait, kept; against the wire of each provider."""

import asyncio
import json
import threading
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from bot.conversation import Notice, Room
from bot.explaining import explainer
from bot.explaining.section import ExplainSection
from bot.people.roles import Role
from bot.tallies import EXPLANATIONS
from engine.core.state import State
from engine.store import audit_chain, chat_explanations
from engine.tallies import TOKENS
from tests.bot.rig import ANN, BOB, DEV, OPS, PLAIN, Rig
from tests.wire.gemini import gemini_service
from tests.wire.loopback import serving
from tests.wire.ollama import ollama_service
from tests.wire.openai import openai_service

__all__ = ["gemini_service", "ollama_service", "openai_service"]

FAILS = """
id: fails
namespace: company.team
variables:
  password: hunter2
tasks:
  - {id: before, type: io.kestra.plugin.core.log.Log, message: "about to fail with {{ secret('DB') }}"}
  - {id: boom, type: io.kestra.plugin.core.execution.Fail, errorMessage: the disk is full}
"""


@pytest.fixture(autouse=True)
def secrets_of_the_bot(monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_MODEL_KEY", "the-key-of-the-model")
    monkeypatch.setenv("PARLEY_SECRET_DB", "s3cr3t-of-the-db")


def section(service, **given):
    return ExplainSection(
        **{"provider": "openai", "model": "small", "base_url": service.url, "key": "MODEL_KEY", **given}
    )


async def failed(rig, person=ANN, room=OPS):
    await rig.say("run fails", person, room)
    run = (await rig.engine.executions(flow_id="fails", limit=1))[0]
    return await rig.engine.wait(run.id, timeout=20)


def rigged(folder, service, **given):
    return Rig(folder, explain=section(service, **given)).start(FAILS, PLAIN)


def told_to(end):
    """Answers that came later, by the address of the click."""
    bodies = [reply.body for _, reply in end.answers]
    return [body for body in bodies if "as a model sees it" in body.text or "could not be explained" in body.text]


async def until_told(end, count=1):
    await end.until(lambda: len(told_to(end)) >= count)
    return told_to(end)


async def deeds(rig):
    exported = await rig.engine.database.read(lambda connection: list(audit_chain.export(connection)))
    return [(row["action"], row["person"], row["details"]) for row in exported if row["action"] == "explain"]


async def test_it_is_asked_and_told(tmp_path, openai_service):
    openai_service.replies.append("The **disk** is full.\n- free some space\n- see https://evil.test/x <!here>")
    openai_service.replies.popleft()
    rig = await rigged(tmp_path, openai_service)
    try:
        before = (EXPLANATIONS.counts.get(("done",), 0), TOKENS.counts.get(("input",), 0))
        run = await failed(rig)
        card = (await rig.slack.shows("run", lambda card: "failed" in card.title)).card
        assert [action.label for action in card.actions][:2] == ["Log", "Explain"]
        said = await rig.say(f"explain {run.id}")
        assert (said.tone, "Asking `small` why run" in said.text) == ("info", True)
        (told,) = await until_told(rig.slack)
        assert rig.slack.answers[-1][0] == "https://answer.test/1"
        assert not rig.slack.answers[-1][1].public
        assert "The disk is full.\n- free some space\n- see `https://evil.test/x` \\<!here\\>" in told.text
        assert told.text.endswith("Written by the model `small` from the log and the flow. "
                                  "It may be wrong: check before you act on it.")  # fmt: skip
        (asked,) = openai_service.asked
        assert asked["model"] == "small"
        assert "tools" not in asked
        sent = json.dumps(asked)
        for word in ("the disk is full", "id: boom", "io.kestra.plugin.core.execution.Fail", "about to fail"):
            assert word in sent, word
        for secret in ("hunter2", "s3cr3t", "the-key-of-the-model"):
            assert secret not in sent
        assert "Bearer the-key-of-the-model" in openai_service.wire.requests[-1].headers["authorization"]
        assert await deeds(rig) == [("explain", ANN.id, {"model": "small", "answer": "asked for"})]
        assert (EXPLANATIONS.counts["done",], TOKENS.counts["input",]) == (before[0] + 1, before[1] + 7)
    finally:
        await rig.stop()


async def test_a_second_click_and_another_person_get_the_same(tmp_path, openai_service):
    rig = await rigged(tmp_path, openai_service)
    try:
        run = await failed(rig)
        card = (await rig.slack.shows("run", lambda card: "failed" in card.title)).card
        await rig.press(card, "Explain")
        await rig.slack.until(lambda: rig.slack.notices)  # this click came without an address
        _, told, person = rig.slack.notices[0]
        assert (told.text.count("Hello."), person) == (1, ANN.id)
        assert await rig.press(card, "Explain") == told
        assert await rig.say(f"explain {run.id}", BOB, DEV) == told
        assert len(openai_service.asked) == 1
        rig = await rig.again()
        assert (await rig.say(f"explain {run.id}")).text == told.text
        assert len(openai_service.asked) == 1
        assert [details["answer"] for _, _, details in await deeds(rig)] == ["asked for", "shown", "shown", "shown"]
        # The run fails once more: that is another failure.
        await rig.say(f"restart {run.id}")
        async with asyncio.timeout(20):
            while len((await rig.engine.execution(run.id)).histories) == len(run.histories):
                await asyncio.sleep(0.01)
        await rig.engine.wait(run.id, timeout=20)
        assert "Asking" in (await rig.say(f"explain {run.id}")).text
        await until_told(rig.slack)
        assert len(openai_service.asked) == 2
    finally:
        await rig.stop()


async def test_who_asks_meanwhile_makes_no_second_call_and_hears_it_too(tmp_path, openai_service):
    go = threading.Event()
    answer = openai_service.answer

    def slowly(request):
        assert go.wait(20)
        return answer(request)

    with serving(slowly) as wire:
        openai_service.wire = wire
        rig = await rigged(tmp_path, openai_service)
        try:
            run = await failed(rig)
            room = Room("slack", "C1", thread="170.1", workspace="T1")
            said = await asyncio.gather(
                *(
                    rig.say(f"explain {run.id}", person, where)
                    for person, where in ((ANN, OPS), (ANN, OPS), (BOB, DEV))
                ),
                rig.say(f"explain {run.id}", ANN, room),
            )
            assert {("Asking `small`" in one.text) for one in said} == {True}
            go.set()
            await until_told(rig.slack)
            await until_told(rig.discord)
            await rig.slack.until(lambda: rig.slack.notices)  # in the thread, where an address would not speak
            assert rig.slack.notices[0][0].thread == "170.1"
            assert (len(told_to(rig.slack)), len(told_to(rig.discord)), len(openai_service.asked)) == (1, 1, 1)
            await asyncio.gather(*rig.desk.explaining._going.values())
            assert await rig.engine.database.read(lambda c: chat_explanations.overdue(c, explainer.EVER)) == []
        finally:
            go.set()
            await rig.stop()


async def test_gemini(tmp_path, gemini_service):
    gemini_service.replies[0] = "Gemini says so."
    rig = await rigged(tmp_path, gemini_service, provider="google-genai", model="gemini-2.5-flash")
    try:
        await failed(rig)
        await rig.say("explain last")
        (told,) = await until_told(rig.slack)
        assert "Gemini says so." in told.text
        (asked,) = gemini_service.asked
        assert "never" not in json.dumps(asked.get("tools", []))
        assert asked["generationConfig"]["maxOutputTokens"] == 1000
    finally:
        await rig.stop()


async def test_ollama_and_a_model_that_is_not_there(tmp_path, ollama_service):
    rig = await rigged(tmp_path, ollama_service, provider="ollama", model="tiny", key=None)
    try:
        await failed(rig)
        await rig.say("explain last")
        (told,) = await until_told(rig.slack)
        assert "The service has no model tiny (404)" in told.text
        assert [action.label for action in told.actions] == ["Ask again", "Log"]
        assert ollama_service.models == set(), "nothing is fetched for a click"
        ollama_service.models.add("tiny")
        await rig.say("explain last")
        assert "You said" in (await until_told(rig.slack, 2))[1].text
    finally:
        await rig.stop()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "The model's service refuses our key (401)."),
        (404, "The service has no model small (404)."),
        (422, "The model's service refuses the question (422)."),
    ],
)
async def test_a_refusal_is_a_sentence(tmp_path, openai_service, status, expected):
    openai_service.refusals.append((status, "Incorrect key: the-key-of-the-model at http://10.0.0.1"))
    rig = await rigged(tmp_path, openai_service)
    try:
        await failed(rig)
        await rig.say("explain last")
        (told,) = await until_told(rig.slack)
        assert told.tone == "warning"
        assert expected in told.text
        assert "10.0.0.1" not in told.text
        await rig.say("explain last")  # the next click asks again
        assert "Hello." in (await until_told(rig.slack, 2))[1].text
    finally:
        await rig.stop()


async def test_too_many_silent_gone_and_empty(tmp_path, openai_service, monkeypatch):
    refused = [(429, "slow down"), (429, "slow down"), (429, "slow down")]
    openai_service.refusals.extend(refused)
    rig = await rigged(tmp_path, openai_service)
    try:
        await failed(rig)
        await rig.say("explain last")
        assert "takes no more questions now (429)" in (await until_told(rig.slack))[0].text
        openai_service.replies[0] = "  "
        await rig.say("explain last")
        assert "had nothing to say: it answered with no text" in (await until_told(rig.slack, 2))[1].text
        rig.desk.office.explain = section(openai_service, timeout=0.001)
        await rig.say("explain last")
        assert "said nothing within 0.001 s" in (await until_told(rig.slack, 3))[2].text
        rig.desk.office.explain = section(openai_service, base_url="http://127.0.0.1:9/v1")
        await rig.say("explain last")
        assert "could not be reached" in (await until_told(rig.slack, 4))[3].text
        monkeypatch.delenv("PARLEY_SECRET_MODEL_KEY")
        rig.desk.office.explain = section(openai_service)
        await rig.say("explain last")
        assert "no secret MODEL\\_KEY" in (await until_told(rig.slack, 5))[4].text
    finally:
        await rig.stop()


async def test_limits_of_a_person_and_of_all(tmp_path, openai_service):
    rig = await rigged(tmp_path, openai_service, per_person=1, in_total=2)
    try:
        first, second, third = [await failed(rig) for _ in range(3)]
        await rig.say(f"explain {first.id}")
        await until_told(rig.slack)
        said = await rig.say(f"explain {second.id}")
        assert said.text.startswith("You have asked the model once within an hour; it was not asked now. Try again in")
        assert "Hello." in (await rig.say(f"explain {first.id}")).text, "what is known is told all the same"
        await rig.say(f"explain {second.id}", BOB, DEV)
        await until_told(rig.discord)
        said = await rig.say(f"explain {third.id}", BOB, DEV)
        assert said.text.startswith("You have asked")
        rig.desk.office.explain = section(openai_service, per_person=9, in_total=2)
        said = await rig.say(f"explain {third.id}", BOB, DEV)
        assert said.text.startswith("All of you together have asked the model 2 times")
        assert len(openai_service.asked) == 2
        rig.clock.jump(timedelta(hours=1, seconds=1))
        assert "Asking" in (await rig.say(f"explain {third.id}", BOB, DEV)).text
        await until_told(rig.discord, 2)
    finally:
        await rig.stop()


async def test_who_may_not_see_the_log_may_not_ask(tmp_path, openai_service):
    role = {"name": "team", "members": [ANN.id], "may": [{"do": ["run"], "flow": "company.team/*"}]}
    rig = Rig(tmp_path, explain=section(openai_service), roles=(Role.model_validate(role),))
    await rig.start(FAILS)
    try:
        run = await failed(rig)
        said = await rig.say(f"explain {run.id}", BOB, DEV)
        assert said.code == "E04"
        assert openai_service.asked == []
        assert await deeds(rig) == []
    finally:
        await rig.stop()


async def test_flows_that_are_left_out_and_runs_that_did_not_fail(tmp_path, openai_service):
    rig = await rigged(tmp_path, openai_service, leave_out=("company.team/*",))
    try:
        run = await failed(rig)
        card = (await rig.slack.shows("run", lambda card: "failed" in card.title)).card
        assert "Explain" not in [action.label for action in card.actions]
        assert "left it out" in (await rig.say(f"explain {run.id}")).text
        rig.desk.office.explain = section(openai_service)
        await rig.say("run ship --quiet")
        waits = (await rig.engine.executions(flow_id="ship", limit=1))[0]
        assert "there is no failure to explain" in (await rig.say(f"explain {waits.id}")).text
        assert openai_service.asked == []
    finally:
        await rig.stop()


async def test_without_a_model_there_is_no_word_of_it(tmp_path):
    rig = await Rig(tmp_path).start(FAILS)
    try:
        run = await failed(rig)
        card = (await rig.slack.shows("run", lambda card: "failed" in card.title)).card
        assert "Explain" not in [action.label for action in card.actions]
        helped = [await rig.say(text) for text in ("help", "help explain", "explian last", "explain last")]
        assert "explain" not in helped[0].text
        assert [said.text.count("model") for said in helped] == [0, 0, 0, 0]
        assert helped[3].code == "E01"
        pressed = rig.desk.office.ids.button("ex", run.id, "Explain")
        card = type(card)("run", run.id, "danger", "x", actions=(pressed,))
        assert "No model is set up here" in (await rig.press(card, "Explain")).text
    finally:
        await rig.stop()


async def test_with_a_model_the_help_tells(tmp_path, openai_service):
    rig = await rigged(tmp_path, openai_service)
    try:
        assert "explain [run]" in (await rig.say("help")).text
        assert "explain last" in (await rig.say("help explain")).text
        assert "Did you mean `explain`" in (await rig.say("explian last")).text
    finally:
        await rig.stop()


async def test_a_failure_told_where_no_card_is_shown_has_the_button(tmp_path, openai_service):
    rig = await rigged(tmp_path, openai_service)
    try:
        await rig.say("settings card=off")
        await failed(rig)
        await rig.slack.until(lambda: rig.slack.notices)
        notice: Notice = rig.slack.notices[0][1]
        assert [action.label for action in notice.actions] == ["Log", "Explain", "Retry from here", "Show the run"]
    finally:
        await rig.stop()


async def test_a_run_that_went_on_or_is_gone_is_said(tmp_path, openai_service):
    """What was asked by a process that died is looked at with fresh eyes."""
    rig = await rigged(tmp_path, openai_service)
    try:
        run = await failed(rig)
        now = rig.clock.now()
        for ending, execution_id in ((1, run.id), (3, "01GONE0000000000000000GONE")):
            one = chat_explanations.Explanation(execution_id, ending, "ASKING", "dead", "small", "", now, now)
            question = chat_explanations.Question(execution_id, ANN.id, [ANN.id], 9, 9)

            def work(unit, one=one, question=question):
                chat_explanations.claim(unit.connection, one, question)
                room = {"platform": "slack", "channel": "C1", "thread": None, "workspace": "T1", "is_direct": False}
                chat_explanations.listen(unit.connection, one, ANN.id, room, None)

            await rig.engine.database.transact(work)
        rig = await rig.again()
        await rig.slack.until(lambda: len(rig.slack.notices) == 2)
        assert {notice.text.partition(": ")[2] for _, notice, _ in rig.slack.notices} == {
            "The run has gone on since. Look at its card.",
            "The run is no longer kept.",
        }
        assert openai_service.asked == []
    finally:
        await rig.stop()


async def test_a_purged_run_takes_its_explanation_along(tmp_path, openai_service):
    rig = await rigged(tmp_path, openai_service)
    try:
        run = await failed(rig)
        assert run.state is State.FAILED
        await rig.say(f"explain {run.id}")
        await until_told(rig.slack)
        shown = await rig.say(f"delete {run.id}")
        await rig.press(type("Card", (), {"actions": shown.actions})(), "Delete it")
        ending = len(run.histories)
        assert await rig.engine.database.read(lambda c: chat_explanations.find(c, run.id, ending)) is None
    finally:
        await rig.stop()


def test_the_newest_models_of_openai_take_the_newer_name_of_the_limit():
    from types import SimpleNamespace

    from engine.settings import Provider, Settings
    from engine.tasks.ai.provider import OpenAI

    given = {"type": "io.kestra.plugin.ai.provider.OpenAI", "apiKey": "k", "modelName": "gpt-5-mini"}
    here = SimpleNamespace(settings=Settings())
    elsewhere = SimpleNamespace(settings=Settings(providers={"openai": Provider(base_url="http://127.0.0.1/v1")}))
    made = OpenAI.model_validate(given)
    assert made.limit_name(here) == "max_completion_tokens"
    assert made.limit_name(elsewhere) == "max_tokens"
    assert OpenAI.model_validate({**given, "baseUrl": "http://x/v1"}).limit_name(here) == "max_tokens"


async def test_of_several_processes_one_asks_and_another_goes_on(tmp_path, openai_service, postgres, monkeypatch):
    monkeypatch.setattr(explainer, "LOOK", 0.05)
    monkeypatch.setenv("PARLEY_ENCRYPTION_KEY", Fernet.generate_key().decode())
    go, answer = threading.Event(), openai_service.answer

    def slowly(request):
        assert go.wait(20)
        return answer(request)

    with serving(slowly) as wire:
        openai_service.wire = wire
        one = Rig(tmp_path / "one", database=postgres, explain=section(openai_service))
        other = Rig(tmp_path / "other", database=postgres, explain=section(openai_service))
        await one.start(FAILS)
        await other.start()
        try:
            run = await failed(one)
            for rig, person, room in ((one, ANN, OPS), (other, BOB, DEV)):
                assert "Asking" in (await rig.say(f"explain {run.id}", person, room, receipt=person.id)).text
            assert (len(one.desk.explaining._going), len(other.desk.explaining._going)) == (1, 0)
            await one.desk.explaining.stop()  # it is cut off: it asks no more, and says no more that it does
            go.set()
            other.clock.jump(explainer.ALIVE)
            await until_told(other.slack)
            await until_told(other.discord)
            assert told_to(one.slack) == []
        finally:
            go.set()
            await other.stop()
            await one.stop()
