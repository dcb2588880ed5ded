"""DigitalOcean's droplets, databases, firewalls, zones and lists, as its API answers."""

import json

import pytest
from pydantic import ValidationError

from engine.errors import TaskFailed
from engine.plugin import Look
from engine.tasks import catalogue, digitalocean_service
from tests.wire.loopback import Answered, serving

OCEAN = "io.kestra.plugin.digitalocean"
D = f"{OCEAN}.droplet"
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
            (" ", "dop_v1", "not said which of the droplets.*Give `dropletId`"),
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


async def test_a_list_without_an_end_is_none(context, monkeypatch):
    monkeypatch.setattr(digitalocean_service, "PAGES", 3)

    def service(request):
        return Answered({"droplets": [MACHINE], "links": {"pages": {"next": request.path}}})

    with serving(service) as wire, pytest.raises(TaskFailed, match=r"more than 3 pages.*Raise `perPage`"):
        await context.run(type=f"{D}.List", apiToken="dop_v1", baseUrl=wire.url)
    assert len(wire.requests) == 3


async def test_new_droplets_start_executions_one_a_look(context):
    there = [MACHINE]

    def service(request):
        page, size = int(request.query["page"]), int(request.query["per_page"])
        rows = there[(page - 1) * size : page * size]
        more = {"pages": {"next": "https://elsewhere"}} if page * size < len(there) else {}
        return Answered({"droplets": rows, "links": more, "meta": {"total": len(there)}})

    with serving(service) as wire:
        declared = {"id": "t", "type": f"{D}.Trigger", "apiToken": "{{ 'dop' ~ '_v1' }}", "baseUrl": wire.url}
        trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})

        async def look():
            seen = await trigger.poll(context)
            assert isinstance(seen, Look)
            context.memory = json.loads(json.dumps(seen.memory))  # as the store keeps it
            return seen.found and seen.found.model_dump()

        assert await look() is None  # those of before
        fresh = [{**MACHINE, "id": 5 + number, "name": f"n{number}"} for number in range(2)]
        there[:0] = fresh
        first = {"id": 5, "name": "n0", "region": "nyc3", "status": "active", "createdAt": "2026-01-01T00:00:00Z"}
        assert await look() == first
        assert (await look())["id"] == 6
        assert await look() is None
        del there[0]  # missing for two looks, and no news when it is back
        assert [await look(), await look()] == [None, None]
        there.append(fresh[0])
        assert await look() is None
        there.remove(fresh[0])
        assert [await look() for _ in range(3)] == [None] * 3
        assert set(context.memory["misses"]) == {"6", "3164444"}
        assert wire.last.headers["authorization"] == "Bearer dop_v1"
        assert "dop_v1" in context.masked


async def test_databases_and_firewalls(context):
    database = {
        "id": "9cc1",
        "name": "db",
        "engine": "pg",
        "region": "nyc1",
        "status": "creating",
        "connection": {"host": "db.example", "port": 25060, "password": "hush", "uri": "postgres://doadmin:hush@db"},
        **{
            f"{of}connection": {"password": "hush"}
            for of in ("private_", "standby_", "standby_private_", "ui_", "schema_registry_", "metrics_")
        },
        "users": [{"name": "doadmin", "password": "hush"}],
    }
    wall = {"id": "bb4b", "name": "web", "status": "waiting", "created_at": "2026-01-01T00:00:00Z"}
    asked = []

    def service(request):
        asked.append((request.method, request.path, request.json if request.body else None))
        kind = request.path.split("/")[2]
        if request.method in ("DELETE", "PUT"):
            return Answered(status=202)
        one = database if kind == "databases" else wall
        if request.method == "GET" and request.path == f"/v2/{kind}":
            return Answered({kind: [one], "links": {}, "meta": {"total": 1}})
        return Answered({kind.removesuffix("s"): one} if "odd" not in request.path else {"odd": True}, 201)

    with serving(service) as wire:

        async def run(verb, **given):
            return await context.run(type=f"{OCEAN}.{verb}", apiToken="dop_v1", baseUrl=wire.url, **given)

        plain = {"name": "db", "engine": "pg", "region": "nyc1", "size": "small"}
        made = await run("database.Create", **plain, engineVersion=16, numNodes=2)
        told = {"id": "9cc1", "name": "db", "engine": "pg", "region": "nyc1", "status": "creating"}
        assert made.model_dump() == {**told, "host": "db.example", "port": 25060}
        assert (await run("database.Get", databaseId="9cc1")).model_dump() == made.model_dump()
        assert (await run("database.List")).rows == [told]
        kept = await run("database.List", fetchType="STORE")
        assert (json.loads(context.files.text(kept.uri)), kept.size, kept.total) == (told, 1, 1)
        await run("database.Resize", databaseId="9cc1", size="big", numNodes=3)
        await run("database.Delete", databaseId="9 c/c1")
        rules = {
            "inboundRules": [{"protocol": "tcp", "ports": "443", "sources": {"addresses": ["0.0.0.0/0"]}}],
            "outboundRules": [],
        }
        walled = await run("firewall.Create", name="web", **rules, dropletIds=["7"])
        seen = {"id": "bb4b", "name": "web", "status": "waiting", "createdAt": "2026-01-01T00:00:00Z"}
        assert walled.model_dump() == seen
        assert (await run("firewall.Get", firewallId="bb4b")).model_dump() == seen
        assert (await run("firewall.List", fetchType="FETCH_ONE")).row == wall
        await run("firewall.Delete", firewallId="bb4b")
        assert asked == [
            ("POST", "/v2/databases", {**plain, "version": "16", "num_nodes": 2}),
            ("GET", "/v2/databases/9cc1", None),
            ("GET", "/v2/databases", None),
            ("GET", "/v2/databases", None),
            ("PUT", "/v2/databases/9cc1/resize", {"size": "big", "num_nodes": 3}),
            ("DELETE", "/v2/databases/9 c/c1", None),  # as it is unquoted again
            (
                "POST",
                "/v2/firewalls",
                {
                    "name": "web",
                    "inbound_rules": rules["inboundRules"],
                    "outbound_rules": rules["outboundRules"],
                    "droplet_ids": [7],
                },
            ),
            ("GET", "/v2/firewalls/bb4b", None),
            ("GET", "/v2/firewalls", None),
            ("DELETE", "/v2/firewalls/bb4b", None),
        ]
        for verb, name, why in (
            ("database.Get", "databaseId", "not said which of the databases"),
            ("firewall.Delete", "firewallId", "not said which of the firewalls"),
        ):
            with pytest.raises(TaskFailed, match=why):
                await run(verb, **{name: " "})
        with pytest.raises(TaskFailed, match="without a firewall"):
            await run("firewall.Get", firewallId="odd")
        with pytest.raises(ValidationError, match="less than or equal to 3"):
            await run("database.Resize", databaseId="9cc1", size="big", numNodes=4)


async def test_zones_and_their_records(context):
    zones = {"example.com": {"name": "example.com", "ttl": 1800, "zone_file": None}}
    records = {1: {"id": 1, "type": "A", "name": "www", "data": "192.0.2.1", "ttl": 1800, "flags": None}}

    def service(request):
        steps = request.path.removeprefix("/v2/domains").strip("/").split("/")
        if steps[1:2] == ["records"]:
            if request.method == "POST":
                records[2] = {"id": 2, **request.json}
                return Answered({"domain_record": records[2]}, 201)
            if len(steps) == 2:
                return Answered({"domain_records": list(records.values()), "links": {}})
            if request.method == "DELETE":
                return Answered(status=204 if records.pop(int(steps[2])) else 404)
            return Answered({"domain_record": records[int(steps[2])]})
        if request.method == "POST":
            zones[request.json["name"]] = {"name": request.json["name"], "ttl": None, "zone_file": None}
            return Answered({"domain": zones[request.json["name"]]}, 201)
        if steps == [""]:
            return Answered({"domains": list(zones.values()), "links": {}})
        if request.method == "DELETE":
            return Answered(status=204 if zones.pop(steps[0]) else 404)
        return Answered({"domain": zones[steps[0]]})

    with serving(service) as wire:

        async def run(verb, **given):
            where = {"apiToken": "dop_v1", "baseUrl": wire.url}
            return await context.run(type=f"{OCEAN}.domain.{verb}", **where, **given)

        made = await run("Create", name="example.org", ipAddress="192.0.2.7")
        assert (made.name, made.ttl, wire.last.json) == (
            "example.org",
            None,
            {"name": "example.org", "ip_address": "192.0.2.7"},
        )
        assert (await run("Get", name="example.com")).model_dump() == {
            "name": "example.com",
            "ttl": 1800,
            "zoneFile": None,
        }
        assert [row["name"] for row in (await run("List")).rows] == ["example.com", "example.org"]
        await run("Delete", name="example.org")
        assert list(zones) == ["example.com"]
        with pytest.raises(TaskFailed, match="not said which of the domains"):
            await run("Delete", name=" ")

        inside = {"domain": "example.com"}
        before = await run("record.List", **inside)
        assert (before.total, before.rows) == (1, [records[1]])
        await run("record.Delete", recordId=1, **inside)
        told = {"type": "MX", "name": "@", "data": "mail.example.com.", "ttl": 300}
        mail = await run(
            "record.Create", recordType="MX", name="@", data=told["data"], ttl="300", priority=10, **inside
        )
        assert wire.last.json == {**told, "priority": 10}
        assert mail.model_dump() == {"id": 2, **told}
        assert await run("record.Get", recordId=mail.id, **inside) == mail
        with pytest.raises(TaskFailed, match="Give `recordId`"):
            await run("record.Delete", recordId="", **inside)


@pytest.mark.parametrize(
    ("kind", "path", "key"),
    [
        ("volume", "volumes", "volumes"),
        ("loadbalancer", "load_balancers", "load_balancers"),
        ("kubernetes", "kubernetes/clusters", "kubernetes_clusters"),
    ],
)
async def test_what_else_there_is_is_counted_over_all_pages(context, kind, path, key):
    def service(request):
        assert request.path == f"/v2/{path}"
        page = int(request.query["page"])
        more = {"pages": {"next": f"{request.path}?page={page + 1}"}} if page < 3 else {}
        return Answered({key: [{"id": f"{page}"}], "links": more})

    with serving(service) as wire:
        asked = {"type": f"{OCEAN}.{kind}.List", "apiToken": "dop_v1", "baseUrl": wire.url}
        counted = await context.run(**asked, fetchType="NONE")
        assert (counted.total, counted.rows) == (3, None)
        assert (await context.run(**asked)).rows == [{"id": "1"}, {"id": "2"}, {"id": "3"}]
