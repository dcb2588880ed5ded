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


async def test_droplets_are_made_listed_and_switched(context):
    asked = []

    def service(request):
        if request.method == "POST":
            asked.append((request.path, request.json))
            begun = {
                "action": {"id": 36805022, "status": "in-progress", "type": request.json.get("type"), "region": {}}
            }
            return Answered(
                {"droplet": {**MACHINE, "status": "new", "networks": {}}} if request.path == "/v2/droplets" else begun,
                202,
            )
        page = int(request.query["page"])
        more = {"pages": {"next": f"https://api.digitalocean.com/v2/droplets?page={page + 1}"}} if page < 3 else {}
        rows = [MACHINE] * (int(request.query["per_page"]) if page < 3 else 1)
        return Answered({"droplets": rows, "links": more, "meta": {"total": 5}})

    with serving(service) as wire:

        async def run(verb, **given):
            return await context.run(type=f"{D}.{verb}", apiToken="dop_v1", baseUrl=wire.url, **given)

        plain = {"name": "web-1", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
        made = await run("Create", **plain, tags=["web"], userData="#cloud-config")
        assert (made.id, made.status, made.ip) == (3164444, "new", None)
        begun = await run("Action", dropletId="7", action="SNAPSHOT", name="before")
        assert begun.model_dump() == {"actionId": 36805022, "status": "in-progress", "type": "snapshot"}
        await run("Action", dropletId="7", action="POWER_OFF", name="of no use")
        assert (await run("Resize", dropletId="7", size="s-2vcpu-2gb")).type == "resize"
        assert asked == [
            ("/v2/droplets", {**plain, "backups": False, "ipv6": False, "tags": ["web"], "user_data": "#cloud-config"}),
            ("/v2/droplets/7/actions", {"type": "snapshot", "name": "before"}),
            ("/v2/droplets/7/actions", {"type": "power_off"}),
            ("/v2/droplets/7/actions", {"type": "resize", "size": "s-2vcpu-2gb", "disk": False}),
        ]
        found = await run("List", perPage=2)
        assert (found.rows, found.size, found.total) == ([MACHINE] * 5, 5, 5)
        first = await run("List", perPage=2, fetchType="FETCH_ONE")
        assert (first.row, first.rows, first.size, first.total) == (MACHINE, None, 1, 5)
