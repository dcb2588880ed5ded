"""The end of a process that runs flows: once all that counts is on disk, nothing that hangs in a thread holds it up."""

import logging
import os
import sys
import threading

PATIENCE = 1.0  # seconds for threads to end by themselves


def leave_soon(status: int) -> None:
    """End with a status in a moment, if the process has not come to its end until then: a thread that waits for a
    service which does not answer would keep it."""

    def leave() -> None:
        from engine.tasks.descendants import LEFTOVERS

        LEFTOVERS.end()
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)

    timer = threading.Timer(PATIENCE, leave)
    timer.daemon = True
    timer.start()
