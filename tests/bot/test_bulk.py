"""The same done to many runs: shown first, to exactly those, each by itself."""

import pytest

from engine.core.state import State
from engine.store import chat_audit, chat_receipts
from tests.bot.rig import BOB, DEV, PLAIN, Rig
from tests.bot.test_run_changes import FAILS, LINGERS, LONG, ROLES, TRIED, buttons, deeds, in_state, started


@pytest.fixture
async def kept(tmp_path):
    made = await Rig(tmp_path, roles=ROLES).start(PLAIN, FAILS, LONG)
    yield made
    await made.stop()


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("bulk", "What shall be done?"),
        ("bulk kil --flow=fails", "Did you mean `kill`?"),
        ("bulk kill", "Say to which runs"),
        ("bulk kill --folw=fails", "There is no `--folw` here."),
        ("bulk kill --flow=fials", "Closest: `company.team/fails`"),
        ("bulk kill --state=RUNING", "Did you mean `RUNNING`?"),
        ("bulk mark --flow=fails", "Which state?"),
        ("bulk labels --flow=fails", "Which labels?"),
        ("bulk delete --until=someday", "I read dates"),
        ("bulk delete --flow=fails", "No run fits."),
    ],
)
async def test_what_cannot_be_done_says_what_to_do(kept, typed, says):
    assert says in (await kept.say(typed)).text


async def test_many_runs_are_marked_once_shown(kept):
    first, second = await started(kept, "fails"), await started(kept, "fails")
    paused = await started(kept, "ship", until="ended_or_paused")
    assert "You may not mark any of the 2 runs" in (await kept.say("bulk mark SUCCESS --flow=fails", BOB, DEV)).text
    assert "none is in a state for that" in (await kept.say("bulk mark SUCCESS --flow=ship")).text
    shown = await kept.say("bulk mark SUCCESS --ns=company --since=yesterday")
    assert shown.text.startswith("2 runs will be marked as done:"), shown.text
    assert "1 further runs fit what you said but are left alone." in shown.text
    late = await started(kept, "fails")
    assert "belongs to" in (await kept.press(buttons(shown), "Yes, mark 2", BOB, DEV)).text
    done = await kept.press(buttons(shown), "Yes, mark 2", receipt="once")
    assert done.text == "2 runs marked."
    assert await kept.press(buttons(shown), "Yes, mark 2", receipt="once") == done
    states = [(await kept.engine.execution(one.id)).state for one in (first, second, late, paused)]
    assert states == [State.SUCCESS, State.SUCCESS, State.FAILED, State.PAUSED]
    assert [await deeds(kept, one) for one in (first, second)] == [["run", "mark"]] * 2


async def test_what_one_run_refuses_stops_none_of_the_others(kept):
    runs = [await started(kept, "fails") for _ in range(2)]
    shown = await kept.say("bulk restart --flow=fails --state=failed")
    await kept.say(f"mark {runs[0].id} SUCCESS --task=build")
    await kept.engine.wait(runs[0].id, timeout=20)
    done = await kept.press(buttons(shown), "Yes, restart 2")
    assert done.tone == "warning"
    assert done.text.startswith("1 run restarted.")
    assert "No task found to restart" in done.text
    assert [action.confirm is not None for action in shown.actions] == [False, False]


async def test_deleting_and_killing_many_asks_twice(kept):
    gone = await started(kept, "fails")
    shown = await kept.say("bulk delete --flow=fails")
    assert shown.actions[0].confirm is not None
    assert shown.actions[0].style == "danger"
    assert (await kept.press(buttons(shown), "Yes, delete 1")).text == "1 run deleted."
    assert gone.id not in {one.id for one in await kept.engine.executions(limit=10)}
    run = await started(kept, "long", until=None)
    await in_state(kept, run, State.RUNNING)
    shown = await kept.say("bulk kill --flow=long --state=RUNNING")
    assert (await kept.press(buttons(shown), "Yes, kill 1")).text == "1 run stopped."
    assert (await kept.engine.wait(run.id, timeout=20)).state is State.KILLED


async def test_what_is_still_to_come_of_a_run_is_stopped_by_itself_and_with_others(kept):
    for text in (LINGERS, TRIED):
        await kept.engine.deploy(text)
    first, second = await started(kept, "lingers"), await started(kept, "lingers")
    again = await started(kept, "tried")
    shown = await kept.say("bulk kill --flow=lingers")
    assert (await kept.press(buttons(shown), "Yes, kill 2")).text == "2 runs stopped."
    for run in (first, second):
        after = await kept.engine.wait(run.id, until="settled", timeout=20)
        assert (after.state, [one.state for one in after.task_runs.values()][-1]) == (State.SUCCESS, State.KILLED)
    assert "is being stopped" in (await kept.say(f"kill {again.id}")).text
    await in_state(kept, again, State.KILLED)
    assert "is being stopped" not in (await kept.say(f"kill {again.id}")).text


async def test_a_batch_that_was_cut_off_does_the_rest(kept, monkeypatch):
    """The desk breaks after the first of two; the click comes again and each is restarted once."""
    runs = [await started(kept, "fails") for _ in range(2)]
    shown = await kept.say("bulk labels seen=yes --flow=fails")
    real = chat_audit.record
    seen = []

    def breaks(connection, deed):
        if deed.action == "labels":
            seen.append(deed.entity)
            if deed.entity != seen[0]:  # also when the unit is done over
                raise RuntimeError("cut off")
        real(connection, deed)

    monkeypatch.setattr(chat_audit, "record", breaks)
    broken = await kept.press(buttons(shown), "Yes, labels 2", receipt="once")
    assert broken.code == "E26"
    monkeypatch.setattr(chat_audit, "record", real)
    # The delivery is open again, as after a crash.
    await kept.engine.database.transact(lambda unit: _forget(unit, "slack:once"))
    done = await kept.press(buttons(shown), "Yes, labels 2", receipt="once")
    assert done.text == "2 runs labelled."
    assert [await deeds(kept, one) for one in runs] == [["run", "labels"]] * 2


def _forget(unit, key):
    from sqlalchemy import delete

    from engine.store.chat_tables import receipts

    assert chat_receipts.find(unit.connection, key) is not None
    unit.connection.execute(delete(receipts).where(receipts.c.key == key))
