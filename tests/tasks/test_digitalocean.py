"""DigitalOcean's droplets, as its API answers."""

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

D = "io.kestra.plugin.digitalocean.droplet"
MACHINE = {
    "id": 3164444,
    "name": "web-1",
    "status": "active",
    "region": {"slug": "nyc3"},
    "size_slug": "s-1vcpu-1gb",
    "networks": {
        "v4": [
            {"ip_address": "10.0.0.2", "type": "private"},
            {"ip_address": "192.0.2.7", "type": "public"},
        ]
    },
    "created_at": "2026-01-01T00:00:00Z",
}


async def test_a_droplet_is_read_and_destroyed(context):
    there = {"3164444": {"droplet": MACHINE}, "2": {"droplet": {"id": 2, "name": "bare"}}, "odd": {}}

    def service(request):
        if request.headers["authorization"] != "Bearer dop_v1":
            return Answered({"id": "unauthorized", "message": "Unable to authenticate you"}, 401)
        name = request.path.removeprefix("/v2/droplets/")
        if name not in there:
            return Answered({"id": "not_found", "message": "The resource could not be found."}, 404)
        return Answered(there[name]) if request.method == "GET" else Answered(status=204 if there.pop(name) else 500)

    with serving(service) as wire:

        async def run(verb, identity, token="dop_v1"):
            return await context.run(type=f"{D}.{verb}", apiToken=token, baseUrl=f"{wire.url}/", dropletId=identity)

        found = await run("Get", 3164444)
        assert found.model_dump() == {
            "id": 3164444,
            "name": "web-1",
            "status": "active",
            "region": "nyc3",
            "sizeSlug": "s-1vcpu-1gb",
            "ip": "192.0.2.7",
            "createdAt": "2026-01-01T00:00:00Z",
        }
        bare = await run("Get", "2")
        assert (bare.name, bare.ip, bare.region) == ("bare", None, None)
        await run("Delete", "2")
        assert (wire.last.method, "2" in there) == ("DELETE", False)
        for identity, token, why in (
            ("2", "dop_v1", "DigitalOcean answered 404: The resource could not be found"),
            ("3164444", "other", "Unable to authenticate you.*Check the credentials"),
            ("odd", "dop_v1", "without a droplet"),
            (" ", "dop_v1", "not said which droplet"),
        ):
            with pytest.raises(TaskFailed, match=why):
                await run("Get", identity, token)
        assert {"dop_v1", "other"} <= context.masked
