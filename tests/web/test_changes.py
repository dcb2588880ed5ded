"""Runs and flows changed from their pages and through the API: roles, CSRF, record, refusals."""

import asyncio

import httpx
import pytest

from bot.commands.bulk import MOST
from bot.people.roles import Role
from engine.core.state import State
from engine.store import audit_chain, chat_audit
from tests.bot.rig import PLAIN
from tests.bot.test_run_changes import FAILS, LINGERS, LONG, TRIED
from tests.web.conftest import Browser, running

MANY = "id: many\nnamespace: company.team\ntasks:\n  - {id: a, type: io.kestra.plugin.core.debug.Return, format: ok}\n"
TOKENS = {"guest": "the-token-of-guests", "owner": "the-token-of-owners"}
ROLES = (
    Role.model_validate({"name": "owners", "members": ["token:owner"], "may": [{"do": ["run", "manage", "approve"]}]}),
    Role.model_validate({"name": "guests", "members": ["token:guest"], "may": [{"do": ["see"]}]}),
)


def of(url, name):
    return httpx.AsyncClient(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {TOKENS[name]}"})


@pytest.fixture
async def app(tmp_path):
    (tmp_path / "flows").mkdir()
    for name, text in (("ship", PLAIN), ("fails", FAILS), ("long", LONG)):
        (tmp_path / "flows" / f"{name}.yaml").write_text(text)
    async with running(tmp_path, flows=tmp_path / "flows", roles=ROLES, tokens=TOKENS) as made:
        yield made


async def started(app, flow, *, until="ended"):
    run = await app.engine.create("company.team", flow, {}, started_by="token:owner")
    return await app.engine.wait(run.id, until=until, timeout=20) if until else run


async def in_state(app, run, state):
    async with asyncio.timeout(20):
        while (await app.engine.execution(run.id)).state is not state:
            await asyncio.sleep(0.01)


async def deeds(app, run):
    told = await app.engine.database.read(lambda c: chat_audit.about(c, run.id))
    return [(deed.person, deed.action) for deed in told]


async def test_the_api_changes_a_run_for_who_may(app):
    failed, paused = await started(app, "fails"), await started(app, "ship", until="ended_or_paused")
    running_ = await started(app, "long", until=None)
    await in_state(app, running_, State.RUNNING)
    task_run = next(iter(failed.task_runs))
    async with of(app.url, "owner") as owner, of(app.url, "guest") as guest:
        calls = [
            ("POST", f"/executions/{failed.id}/change-status?status=WARNING", None, "WARNING"),
            ("POST", f"/executions/{failed.id}/labels", [{"key": "team", "value": "web"}], "WARNING"),
            ("POST", f"/executions/{running_.id}/pause", None, "PAUSED"),
            ("POST", f"/executions/{running_.id}/resume", {}, None),
            ("DELETE", f"/executions/{running_.id}/kill", None, None),
            ("POST", f"/executions/{failed.id}/restart", None, None),
            ("POST", f"/executions/{failed.id}/state", {"taskRunId": task_run, "state": "SUCCESS"}, None),
            ("POST", f"/executions/{failed.id}/replay", None, None),
        ]
        for method, path, body, state in calls:
            refused = await guest.request(method, path, json=body)
            assert refused.status_code == 403, (path, refused.text)
            assert "It needs the role owners" in refused.json()["error"]
            done = await owner.request(method, path, json=body)
            assert done.status_code == 200, (path, done.text)
            if state is not None:
                assert done.json()["state"]["current"] == state, path
            if "restart" in path or "/state" in path or "kill" in path:
                await app.engine.wait(done.json()["id"], timeout=20)
        assert done.json()["id"] not in (failed.id, running_.id), "a replay gives the new run"
        for path, status in (
            (f"/executions/{paused.id}/force-run", 409),
            (f"/executions/{paused.id}/change-status?status=SUCCESS", 409),
            (f"/executions/{paused.id}/change-status?status=RUNNING", 400),
            (f"/executions/{failed.id}/labels", 400),
            (f"/executions/{failed.id}/state", 400),
            ("/executions/01ARZ3NDEKTSV4RRFFQ69G5FAV/pause", 404),
        ):
            assert (await owner.post(path)).status_code == status, path
        gone = await owner.delete(f"/executions/{failed.id}")
        assert gone.status_code == 204
        assert (await owner.delete(f"/executions/{failed.id}")).status_code == 404
    told = [action for _, action in await deeds(app, failed)]
    assert told == ["mark", "labels", "restart", "mark", "delete"]
    assert {person for person, _ in await deeds(app, failed)} == {"token:owner"}
    assert [action for _, action in await deeds(app, running_)] == ["pause", "go on", "kill"]


async def test_the_api_changes_many_runs_or_none(app):
    runs = [await started(app, "fails") for _ in range(3)]
    paused = await started(app, "ship", until="ended_or_paused")
    ids = [one.id for one in runs]
    async with of(app.url, "owner") as owner, of(app.url, "guest") as guest:
        wrong = await owner.post("/executions/restart/by-ids", json=[*ids, paused.id, "nothing"])
        assert wrong.status_code == 400
        assert [(one["id"], one["message"]) for one in wrong.json()["invalids"]] == [
            (paused.id, "execution not in state FAILED"), ("nothing", "execution not found"),
        ]  # fmt: skip
        assert (await guest.post("/executions/restart/by-ids", json=ids)).status_code == 403
        assert (await owner.post("/executions/restart/by-ids", json={})).status_code == 400
        assert (await owner.post("/executions/nothing/by-ids", json=ids)).status_code == 404
        marked = await owner.post("/executions/change-status/by-ids?newStatus=SUCCESS", json=ids)
        assert (marked.status_code, marked.json()) == (200, {"count": 3})
        labels = {"executionsId": ids, "executionLabels": [{"key": "seen", "value": "yes"}]}
        assert (await owner.post("/executions/labels/by-ids", json=labels)).json() == {"count": 3}
        assert (await owner.request("DELETE", "/executions/kill/by-ids", json=[paused.id])).json() == {"count": 1}
        assert (await owner.request("DELETE", "/executions/by-ids", json=ids)).json() == {"count": 3}
    assert {one.id for one in await app.engine.executions(limit=10)} == {paused.id}


async def test_the_api_stops_many_runs_of_which_something_is_still_to_come(app):
    """One that has ended but for what comes after its end, one that is to be tried again."""
    for text in (LINGERS, TRIED):
        await app.engine.deploy(text)
    ids = [(await started(app, flow)).id for flow in ("lingers", "tried")]
    over = await started(app, "fails")
    async with of(app.url, "owner") as owner:
        wrong = await owner.request("DELETE", "/executions/kill/by-ids", json=[*ids, over.id])
        assert [one["id"] for one in wrong.json()["invalids"]] == [over.id]
        found = await owner.request("DELETE", "/executions/kill/by-query?namespace=company.team&dryRun=true")
        assert sorted(found.json()["ids"]) == sorted(ids)
        assert (await owner.request("DELETE", "/executions/kill/by-ids", json=ids)).json() == {"count": 2}
    assert (await app.engine.wait(ids[0], until="settled", timeout=20)).state is State.SUCCESS
    await in_state(app, await app.engine.execution(ids[1]), State.KILLED)


async def test_the_api_changes_the_runs_that_a_query_means(app):
    runs = [await started(app, "fails") for _ in range(3)]
    ids = [one.id for one in runs]
    paused, long = await started(app, "ship", until="ended_or_paused"), await started(app, "long", until=None)
    await in_state(app, long, State.RUNNING)
    fails = {"filters[flowId][EQUALS]": "fails", "filters[namespace][EQUALS]": "company.team"}
    async with of(app.url, "owner") as owner, of(app.url, "guest") as guest:
        for method, path, params, body, status, says in (
            ("POST", "restart", {}, None, 400, "Say to which runs"),
            ("POST", "restart", {**fails, "labels": "a:b"}, None, 400, "can't be chosen by `labels`"),
            ("POST", "restart", {**fails, "dryRun": "maybe"}, None, 400, "`dryRun` is true or false."),
            ("POST", "change-status", fails, None, 400, "Give a state to end in"),
            ("POST", "labels", fails, {"a": "b"}, 400, "Send labels as a list"),
            ("POST", "kill", fails, None, 404, "There is no POST kill."),
            ("POST", "nothing", fails, None, 404, "There is no POST nothing."),
            ("DELETE", "", {**fails, "deleteLogs": "false"}, None, 400, "`deleteLogs` can only be true"),
            ("DELETE", "", {**fails, "includeNonTerminated": "true"}, None, 400, "can only be false"),
        ):
            path = f"/executions/{path}/by-query".replace("//", "/")
            told = await owner.request(method, path, params=params, json=body)
            assert (told.status_code, says in told.text) == (status, True), (path, told.text)
        # What may not be done to any is refused and recorded; what fits none is none.
        refused = await guest.post("/executions/restart/by-query", params=fails)
        assert (refused.status_code, "You may not restart any of the 3 runs" in refused.text) == (403, True)
        last = (await app.engine.database.read(lambda c: list(audit_chain.export(c))))[-1]
        assert (last["person"], last["action"]) == ("token:guest", "refused")
        none = await owner.post("/executions/restart/by-query", params={"flowId": "nothing"})
        assert (none.status_code, none.json()) == (200, {"count": 0})
        # Shown first, and then done to exactly those; what is in no state for it, or asks people, is left alone.
        every = {"namespace": "company"}
        shown = await owner.post("/executions/restart/by-query", params={**every, "dryRun": "true"})
        assert shown.json() == {"count": 3, "left": 2, "ids": ids}
        assert [await deeds(app, one) for one in runs] == [[]] * 3
        dry = await owner.post(
            "/executions/change-status/by-ids?newStatus=SUCCESS&dryRun=true", json=shown.json()["ids"]
        )
        assert dry.json() == {"count": 3}
        assert (await app.engine.execution(ids[0])).state is State.FAILED
        assert (await owner.post("/executions/resume/by-query", params=every)).json() == {"count": 0, "left": 5}
        assert (await owner.post("/executions/pause/by-query", params=every)).json() == {"count": 1, "left": 4}
        assert (await owner.post("/executions/resume/by-query", params=every)).json() == {"count": 1, "left": 4}
        marked = await owner.post("/executions/change-status/by-query", params={**fails, "newStatus": "SUCCESS"})
        assert marked.json() == {"count": 3}
        seen = [{"key": "seen", "value": "yes"}]
        assert (await owner.post("/executions/labels/by-query", params=fails, json=seen)).json() == {"count": 3}
        assert ("seen", "yes") in (await app.engine.execution(ids[2])).labels
        again = await owner.post("/executions/replay/by-query", params={"flowId": "fails", "latestRevision": "true"})
        assert again.json() == {"count": 3}
        stopped = await owner.delete(
            "/executions/kill/by-query", params={"filters[state][IN]": "RUNNING,PAUSED,RESTARTED"}
        )
        assert stopped.json() == {"count": 2}
        assert (await app.engine.wait(long.id, timeout=20)).state is State.KILLED
        gone = await owner.delete("/executions/by-query", params={**fails, "state": "SUCCESS", "deleteLogs": "true"})
        assert gone.json() == {"count": 3}
    left = {one.id for one in await app.engine.executions(limit=20)}
    assert left & {*ids, paused.id} == {paused.id}
    assert [action for _, action in await deeds(app, runs[0])] == ["mark", "labels", "delete"]
    assert [action for _, action in await deeds(app, long)] == ["pause", "go on", "kill"]


async def test_a_query_means_as_many_runs_as_bulk_in_chat(app):
    await app.engine.deploy(MANY)
    await asyncio.gather(
        *(app.engine.create("company.team", "many", {}, started_by="local:x") for _ in range(MOST + 1))
    )
    ran = {"flowId": "many"}
    async with of(app.url, "owner") as owner:
        shown = (await owner.post("/executions/replay/by-query", params={**ran, "dryRun": "true"})).json()
        assert (shown["count"], shown["left"], len(shown["ids"])) == (MOST, 1, MOST)
        assert (await owner.request("DELETE", "/executions/kill/by-ids", json=["x"] * 501)).status_code == 400
        await app.engine.wait(shown["ids"][0], timeout=20)
        assert (await owner.delete(f"/executions/{shown['ids'][0]}")).status_code == 204
        exact = (await owner.post("/executions/replay/by-query", params={**ran, "dryRun": "true"})).json()
        assert (exact["count"], "left" in exact, len(exact["ids"])) == (MOST, False, MOST)
        assert (await owner.request("DELETE", "/executions/kill/by-ids", json=["x"] * 501)).status_code == 400


async def test_the_api_restores_a_revision(app, tmp_path):
    file = tmp_path / "flows" / "ship.yaml"
    file.write_text(PLAIN.replace("shipped", "flown"))
    await app.engine.flows.look()
    async with of(app.url, "owner") as owner, of(app.url, "guest") as guest:
        way = "/flows/company.team/ship/revisions"
        rows = (await guest.get(way)).json()
        assert [(row["revision"], "flown" in row["source"]) for row in rows] == [(1, False), (2, True)]
        assert (await guest.post(f"{way}/1/restore")).status_code == 403
        assert (await owner.post(f"{way}/9/restore")).status_code == 404
        assert (await owner.post(f"{way}/1/restore")).json()["revision"] == 3
        assert "shipped" in file.read_text()


async def test_no_change_without_a_token_in_the_header(app):
    async with httpx.AsyncClient(base_url=f"{app.url}/api/v1") as nobody:
        run = await started(app, "fails")
        for method, path in (
            ("POST", f"/executions/{run.id}/restart"),
            ("DELETE", f"/executions/{run.id}"),
            ("DELETE", "/executions/by-ids"),
            ("DELETE", "/executions/by-query?flowId=fails"),
            ("POST", "/executions/restart/by-query?flowId=fails"),
            ("POST", "/executions/change-status/by-ids?newStatus=SUCCESS"),
            ("POST", "/flows/company.team/ship/revisions/1/restore"),
        ):
            assert (await nobody.request(method, path)).status_code in (401, 403), path
    assert (await app.engine.execution(run.id)).state is State.FAILED


@pytest.fixture
async def browser(app):
    made = Browser(app.url)
    await made.get("/sign-in")
    await made.post("/sign-in", token=TOKENS["owner"])
    yield made
    await made.client.aclose()


async def test_a_run_is_marked_labelled_and_deleted_on_its_page(app, browser):
    run = await started(app, "fails")
    way = f"/ui/executions/company.team/fails/{run.id}"
    page = await browser.get(way)
    assert "Delete…" in page.text
    done = await browser.post(f"/ui/executions/{run.id}/do", word="mark", given="WARNING", back=way)
    assert "counts as done with warnings" in done.text
    await browser.post(f"/ui/executions/{run.id}/do", word="labels", given="team=web", back=way)
    assert ("team", "web") in (await app.engine.execution(run.id)).labels
    shown = await browser.post(f"/ui/executions/{run.id}/do", word="delete", back=way)
    assert "with its log, outputs and files?" in shown.text
    assert (await app.engine.execution(run.id)).id == run.id
    action = shown.text.split('name="action" value="')[1].split('"')[0]
    forged = await browser.client.post("/ui/press", data={"action": action, "csrf": "forged"})
    assert forged.status_code == 403
    gone = await browser.post("/ui/press", action=action, back="/ui/executions")
    assert "Deleted run" in gone.text
    assert run.id not in {one.id for one in await app.engine.executions(limit=10)}
    assert await deeds(app, run) == [("token:owner", "mark"), ("token:owner", "labels"), ("token:owner", "delete")]
    assert "no such button" in (await browser.post(f"/ui/executions/{run.id}/do", word="alias", back=way)).text


async def test_buttons_are_for_who_may(app):
    run = await started(app, "fails")
    guest = Browser(app.url)
    try:
        await guest.get("/sign-in")
        await guest.post("/sign-in", token=TOKENS["guest"])
        page = await guest.get(f"/ui/executions/company.team/fails/{run.id}")
        assert page.status_code == 200
        assert "Delete…" not in page.text
        assert "Replay" not in page.text
        await guest.get("/")
        refused = await guest.post(f"/ui/executions/{run.id}/do", word="mark", given="SUCCESS", back="/")
        assert refused.status_code == 403
        assert "It needs the role" in refused.text
    finally:
        await guest.client.aclose()
    assert (await app.engine.execution(run.id)).state is State.FAILED


async def test_many_runs_and_old_revisions_on_their_pages(app, browser, tmp_path):
    run = await started(app, "fails")
    assert "The same to many runs" in (await browser.get("/ui/executions")).text
    shown = await browser.post(
        "/ui/executions/bulk", what="mark SUCCESS", flow="fails", state="FAILED", since="", until=""
    )
    assert "1 run will be marked as done" in shown.text
    action = shown.text.split('name="action" value="')[1].split('"')[0]
    assert "1 run marked." in (await browser.post("/ui/press", action=action, back="/ui/executions")).text
    assert (await app.engine.execution(run.id)).state is State.SUCCESS
    file = tmp_path / "flows" / "ship.yaml"
    file.write_text(PLAIN.replace("shipped", "flown"))
    await app.engine.flows.look()
    page = await browser.get("/ui/flows/company.team/ship/revisions")
    assert page.text.count("Restore…") == 1
    shown = await browser.post("/ui/flows/company.team/ship/restore", revision="1")
    assert "message: flown" in shown.text
    action = shown.text.split('name="action" value="')[1].split('"')[0]
    assert "says again" in (await browser.post("/ui/press", action=action, back="/ui/flows")).text
    assert "shipped" in file.read_text()
