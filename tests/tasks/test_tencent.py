"""Messages through Tencent Cloud IM, as its service takes them."""

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

SAID = {"To_Account": ["100001"], "MsgContent": {"Text": 'two "lines"\n'}}


async def test_a_message_is_posted_with_the_token_or_without(context):
    def service(request):
        refused = request.headers["authorization"] == "Bearer old"
        return Answered({"ErrorInfo": "invalid UserSig"}, 403) if refused else Answered({"ActionStatus": "OK"})

    with serving(service) as wire:

        async def run(**given):
            task = {"type": "io.kestra.plugin.tencent.qq.QQIncomingWebhook", "url": f"{wire.url}/v4/openim/sendmsg"}
            await context.run(**task, payload=SAID, **given)

        await run(token="sig")
        assert (wire.last.method, wire.last.path, wire.last.json) == ("POST", "/v4/openim/sendmsg", SAID)
        assert wire.last.headers["authorization"] == "Bearer sig"
        await run()
        assert wire.last.headers["authorization"] is None
        with pytest.raises(TaskFailed, match="Tencent IM"):
            await run(token="old")


async def test_a_refusal_that_looks_well_is_one(context):
    told = {"ActionStatus": "FAIL", "ErrorCode": 90012, "ErrorInfo": "To_Account not registered"}
    task = {"type": "io.kestra.plugin.tencent.qq.QQIncomingWebhook", "payload": SAID}
    said = "Tencent IM refused: 90012 To_Account not registered"
    with serving(lambda request: Answered(told)) as wire, pytest.raises(TaskFailed, match=said):
        await context.run(**task, url=wire.url)
    with serving(lambda request: Answered("ok")) as wire:
        await context.run(**task, url=wire.url)


async def test_each_is_told_of_an_execution(context):
    with serving(lambda request: Answered({"ActionStatus": "OK"})) as wire:
        task = {"type": "io.kestra.plugin.tencent.qq.QQExecution", "url": f"{wire.url}/v4/openim/sendmsg"}
        await context.run(**task, recipientIds=["100001", "100002"], customMessage="Look at this")
        sent = [request.json for request in wire.requests]
        assert [one["To_Account"] for one in sent] == ["100001", "100002"]
        assert {one["MsgBody"][0]["MsgType"] for one in sent} == {"TIMTextElem"}
        texts = {one["MsgBody"][0]["MsgContent"]["Text"] for one in sent}
        assert [text.splitlines()[0] for text in texts] == ["Look at this"]
        assert all(0 <= one["MsgRandom"] < 2**31 for one in sent)
