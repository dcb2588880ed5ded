"""Campaigns of Klaviyo, as its API answers."""

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

CAMPAIGNS = {one: {"type": "campaign", "id": one, "attributes": {"name": f"Spring {one}"}} for one in ("01A", "01B")}


def klaviyo(request):
    asked = (request.headers["authorization"], request.headers["revision"], request.headers["accept"])
    if asked != ("Klaviyo-API-Key pk_1", "2025-10-15", "application/vnd.api+json"):
        return Answered({"errors": [{"detail": "Missing or invalid private key."}]}, 401)
    found = CAMPAIGNS.get(request.path.removeprefix("/api/campaigns/"))
    return Answered({"data": found}) if found else Answered({"errors": [{"detail": "No such campaign."}]}, 404)


async def test_campaigns_come_in_the_order_asked_for(context):
    with serving(klaviyo) as wire:

        async def run(**given):
            who = {"apiKey": "pk_1", "baseUrl": f"{wire.url}/api/", "campaignIds": ["01B", "01A"]}
            return await context.run(type="io.kestra.plugin.klaviyo.campaign.Get", **{**who, **given})

        found = await run()
        assert ([row["id"] for row in found.rows], found.size) == (["01B", "01A"], 2)
        assert (await run(campaignIds='["01A"]', fetchType="FETCH_ONE")).row == CAMPAIGNS["01A"]
        nothing = await run(fetchType="NONE")
        assert (nothing.rows, nothing.size) == (None, 2)
        with pytest.raises(TaskFailed, match=r"Klaviyo answered 404: .*No such campaign"):
            await run(campaignIds=["01A", "nope"])
        with pytest.raises(TaskFailed, match="Klaviyo answered 401"):
            await run(apiKey="pk_2")


async def test_an_answer_that_is_no_object_is_told(context):
    with serving(lambda request: Answered(["campaign"])) as wire:
        asked = {"apiKey": "pk_1", "baseUrl": wire.url, "campaignIds": ["01A"]}
        with pytest.raises(TaskFailed, match="Klaviyo answered with no object"):
            await context.run(type="io.kestra.plugin.klaviyo.campaign.Get", **asked)
