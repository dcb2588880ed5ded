"""Whose a process is: decided from a table of processes, where a mistake would kill strangers."""

import os
import subprocess
import sys

import pytest

from engine.tasks import descendants
from engine.tasks.descendants import Seen, belonging

INIT, SHELL, BOT, OTHER = Seen(1, 0, 0), Seen(10, 1, 0), Seen(20, 10, 10), Seen(30, 1, 0)
SCRIPT = Seen(100, 20, 100, "m1")
AROUND = [INIT, SHELL, BOT, OTHER, SCRIPT]


@pytest.mark.parametrize(
    ("process", "is_its"),
    [
        (Seen(101, 100, 100, "m1"), True),  # a plain child
        (Seen(102, 1, 102, "m1"), True),  # a session of its own, and no parent
        (Seen(103, 100, 103), True),  # another environment and session
        (Seen(104, 1, 100), True),  # another environment, and no parent
        (Seen(105, 1, 105, "m2"), False),  # another script's
        (Seen(106, 20, 106, "m2"), False),
        (Seen(107, 20, 10), False),  # the bot's own
        (Seen(108, 1, 0), False),  # of a session that began outside of the container
        (Seen(109, 0, 0), False),
    ],
)
def test_what_belongs_to_a_script(process, is_its):
    grandchild = Seen(200, process.pid, 200)
    found = belonging([*AROUND, process, grandchild], {"m1"}, 100, own=20)
    assert (process.pid in found) is is_its
    assert found <= {100, process.pid, grandchild.pid}


@pytest.mark.parametrize("leader", [None, 0, 1])
def test_without_a_leader_only_the_mark_counts(leader):
    orphan = Seen(102, 1, 102, "m1")
    assert belonging([*AROUND, orphan], {"m1"}, leader, own=20) == {100, 102}
    assert belonging([*AROUND, orphan], set(), leader, own=20) == set()
    assert belonging([*AROUND, orphan], {""}, leader, own=20) == set()


def test_who_asks_and_those_above_are_never_found():
    marked = [Seen(one.pid, one.parent, one.session, "m1") for one in AROUND]
    assert belonging(marked, {"m1"}, 10, own=20) == {30, 100}


def test_a_process_is_seen_with_its_parent_session_and_mark():
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    mark = {**os.environ, descendants.MARK: "abc"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=mark
    ) as child:
        child.stdout.readline()
        there = {one.pid: one for one in descendants._processes()}
        child.stdin.close()
    assert there[child.pid] == Seen(child.pid, os.getpid(), child.pid, "abc")
    assert os.getpid() in there
