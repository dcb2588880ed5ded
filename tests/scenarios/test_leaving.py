"""A process that is told to end does, whatever its threads wait for."""

import asyncio
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from tests.scenarios.process import Parley

FLOW = """
id: f
namespace: company.team
tasks:
  - {{id: call, type: io.kestra.plugin.core.debug.Return, format: called, runIf: "{{{{ http(uri='{url}') }}}}"}}
triggers:
  - {{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: a-long-webhook-key}}
"""
HANGS = """
import threading
from bot.cli.leaving import leave_soon
threading.Thread(target=threading.Event().wait).start()
print("said")
leave_soon({status})
"""


@pytest.mark.parametrize("status", [0, 130])
def test_a_thread_that_never_ends_keeps_nobody(status):
    ended = subprocess.run(
        [sys.executable, "-c", HANGS.format(status=status)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "said\n", "")


async def test_a_service_that_never_answers_does_not_hold_up_the_end_and_the_run_goes_on_later(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as service:
        service.setblocking(False)
        (tmp_path / "flows").mkdir()
        address = f"http://127.0.0.1:{service.getsockname()[1]}/"
        (tmp_path / "flows" / "f.yaml").write_text(FLOW.format(url=address))
        arguments = ["up", "--port", "0", "--data", str(tmp_path / "data"), "--flows", str(tmp_path / "flows")]
        life = Parley(arguments, tmp_path)
        loop = asyncio.get_running_loop()
        url = await asyncio.to_thread(life.ready)
        async with httpx.AsyncClient() as client:
            await client.post(f"{url}/api/v1/executions/webhook/company.team/f/a-long-webhook-key")
        asked, _ = await asyncio.wait_for(loop.sock_accept(service), 20)
        with asked:
            assert await asyncio.to_thread(life.stop, signal.SIGTERM, 25) == 0  # a call gives up after 30 s
        later = Parley(arguments, tmp_path)
        again, _ = await asyncio.wait_for(loop.sock_accept(service), 30)
        with again:
            await asyncio.to_thread(later.stop, signal.SIGKILL)
        assert "Traceback" not in "".join(life.said + later.said)
