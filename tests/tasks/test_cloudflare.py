"""Cloudflare, as its REST API answers."""

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

CLOUDFLARE = "io.kestra.plugin.cloudflare"


class Zone:
    """Records by their ids, and what was purged."""

    def __init__(self):
        self.records, self.purged = {}, []

    def __call__(self, request):
        if request.headers["authorization"] != "Bearer t0ken":
            said = {"success": False, "errors": [{"code": 9109, "message": "Invalid access token"}], "result": None}
            return Answered(said, 403 if request.method == "GET" else 200)
        if (path := request.path.removeprefix("/zones")) in ("", "/z"):
            return self.zones(path, request.query)
        path = request.path.removeprefix("/zones/z/")
        if path == "purge_cache":
            assert all(len(names) <= 30 for names in request.json.values() if isinstance(names, list))
            self.purged.append(request.json)
            return self.told({"id": f"p{len(self.purged)}"})
        if request.method == "DELETE":
            return self.told({"id": self.records.pop(path.rpartition("/")[2])["id"]})
        if request.method == "GET" and path != "dns_records":
            return self.told(self.records[path.rpartition("/")[2]])
        if request.method == "GET":
            asked = {name: value for name, value in request.query.items() if name not in ("page", "per_page")}
            found = [one for one in self.records.values() if asked.items() <= one.items()]
            return self.told(self.paged(found, request.query))
        number = path.rpartition("/")[2] if request.method == "PATCH" else f"r{len(self.records)}"
        self.records[number] = {**self.records.get(number, {"id": number, "proxied": False}), **request.json}
        return self.told(self.records[number])

    def zones(self, path, query):
        there = [{"id": f"z{n}" if n else "z", "name": f"{n}.test", "status": "active", "plan": {}} for n in range(101)]
        if path:
            return self.told(there[0])
        return self.told([one for one in self.paged(there, query) if query.get("name") in (None, one["name"])])

    def paged(self, found, query):
        size = int(query.get("per_page", 100))
        return found[(int(query.get("page", 1)) - 1) * size :][:size]

    def told(self, result):
        return Answered({"success": True, "errors": [], "messages": [], "result": result})


@pytest.fixture
def zone(make_context):
    with serving(made := Zone()) as wire:
        context = make_context({"providers": {"cloudflare": {"base_url": wire.url}}})
        context.who = {"apiToken": "t0ken", "zoneId": "z"}
        yield made, context


async def test_copies_are_forgotten(zone):
    service, context = zone
    purge = {"type": f"{CLOUDFLARE}.cache.Purge", **context.who}
    done = await context.run(**purge, purgeAll=True, files=["https://a.test/"])
    assert (done.id, done.requestId) == ("z", "p1")
    pages = [f"https://a.test/{n}" for n in range(31)]
    await context.run(**purge, files=pages, tags=["shop"])
    rest = [{"files": pages[:30]}, {"files": pages[30:]}, {"tags": ["shop"]}]
    assert service.purged == [{"purge_everything": True}, *rest]
    with pytest.raises(TaskFailed, match="not said what to purge"):
        await context.run(**purge)
    with pytest.raises(TaskFailed, match="Cloudflare refused: Invalid access token"):
        await context.run(**{**purge, "apiToken": "no"}, purgeAll=True)
    assert {"t0ken", "no"} <= context.masked


async def test_a_name_leads_somewhere(zone):
    service, context = zone
    name = {"type": f"{CLOUDFLARE}.dns.records.Upsert", **context.who, "recordType": "a", "name": "app.test"}
    made = await context.run(**name, content="203.0.113.7", proxied=True)
    assert (made.id, made.content, made.action) == ("r0", "203.0.113.7", "created")
    assert (made.recordId, made.ttl, made.proxied) == ("r0", 1, True)
    record = {"id": "r0", "type": "A", "name": "app.test", "content": "203.0.113.7", "ttl": 1, "proxied": True}
    assert service.records == {"r0": record}
    assert (await context.run(**name, content="203.0.113.7")).action == "unchanged"
    assert (await context.run(**name, content="203.0.113.7", ttl=300)).action == "updated"
    moved = await context.run(**name, content="203.0.113.8")
    assert (moved.id, moved.action) == ("r0", "updated")
    assert service.records == {"r0": {**record, "content": "203.0.113.8", "ttl": 300}}
    service.records["r1"] = {**record, "id": "r1"}
    assert (await context.run(**name, content="203.0.113.7")).id == "r1"
    with pytest.raises(TaskFailed, match=r"app\.test has 2 records of the type A"):
        await context.run(**name, content="203.0.113.9")
    with pytest.raises(TaskFailed, match="Cloudflare answered 403"):
        await context.run(**{**name, "apiToken": "no"}, content="x")


async def test_where_cloudflare_is_may_be_said_by_the_flow(make_context):
    with serving(Zone()) as wire:
        where = {
            "apiToken": "t0ken",
            "zoneId": "z",
            "baseUrl": wire.url,
            "options": {"timeout": {"readIdleTimeout": "PT5S"}},
        }
        record = {
            "type": f"{CLOUDFLARE}.dns.records.Upsert",
            "recordType": "A",
            "name": "app.test",
            "content": "203.0.113.7",
        }
        assert (await make_context().run(**where, **record)).action == "created"


async def test_records_by_their_ids(zone):
    service, context = zone

    async def run(kind, **given):
        return await context.run(**{**context.who, "type": f"{CLOUDFLARE}.dns.records.{kind}", **given})

    made = await run("Create", recordType="TXT", name="_a.test", content="x")
    assert (made.recordId, made.type, made.ttl, made.proxied) == ("r0", "TXT", 1, False)
    assert (await run("Update", recordId="r0", content="y", proxied=False)).id == "r0"
    assert (await run("Get", recordId="r0")).content == "y"
    service.records |= {f"r{n}": {**service.records["r0"], "id": f"r{n}", "zone_name": "a.test"} for n in range(1, 250)}
    found = (await run("List")).records
    assert [one["id"] for one in found] == [f"r{n}" for n in range(250)]
    assert set(found[7]) == {"id", "name", "type", "content", "ttl", "proxied"}
    assert (await run("Delete", recordId="r7")).deletedId == "r7"
    assert "r7" not in service.records
    for kind in ("Delete", "Get", "Update"):
        with pytest.raises(TaskFailed, match="not said which record"):
            await run(kind, recordId=" ")
    with pytest.raises(TaskFailed, match="not said which zone"):
        await run("Delete", recordId="r8", zoneId="")


async def test_zones_are_found(zone):
    _, context = zone
    zones = {"type": f"{CLOUDFLARE}.zones.Get", "apiToken": "t0ken"}
    assert (await context.run(**zones, zoneId="z", hostname="7.test")).name == "0.test"
    assert (await context.run(**zones, hostname="7.test")).model_dump() == {
        "id": "z7",
        "name": "7.test",
        "status": "active",
    }
    with pytest.raises(TaskFailed, match=r"No zone is called 'b\.test'"):
        await context.run(**zones, hostname="b.test")
    found = (await context.run(type=f"{CLOUDFLARE}.zones.List", apiToken="t0ken")).zones
    assert (len(found), found[100]) == (101, {"id": "z100", "name": "100.test", "status": "active"})


async def test_many_records_at_once_and_who_may_come_in(context):
    rules = [
        {"id": f"r{n}", "mode": "block", "configuration": {"target": "ip", "value": "x"}, "scope": {}}
        for n in range(101)
    ]
    asked = []

    def service(request):
        asked.append((request.method, request.path, request.json if request.body else None))
        if request.method == "GET":
            start = (int(request.query["page"]) - 1) * int(request.query["per_page"])
            return Answered({"success": True, "result": rules[start : start + int(request.query["per_page"])]})
        if request.method == "POST" and "odd" in request.path:
            return Answered({"success": True, "result": None})
        answer = {"id": "92f1", **(request.json if request.method == "POST" else {})}
        return Answered({"success": True, "errors": [], "result": answer})

    with serving(service) as wire:

        async def run(verb, **given):
            return await context.run(type=f"{CLOUDFLARE}.{verb}", apiToken="t0ken", baseUrl=wire.url, **given)

        wanted = {
            "posts": [{"type": "A", "name": "a.test", "content": "1.2.3.4", "ttl": 1, "proxied": False}],
            "patches": [{"id": "r1", "content": "5.6.7.8"}],
        }
        assert (await run("dns.records.Batch", zoneId="z", **wanted, deletes=[])).success
        made = await run("waf.accessrules.Create", zoneId="z", mode="BLOCK", target="IP_RANGE", value="192.0.2.0/24")
        assert made.model_dump() == {"ruleId": "92f1", "mode": "block", "target": "ip_range", "value": "192.0.2.0/24"}
        plain = {"mode": "js_challenge", "target": "country", "value": "XX"}
        await run("waf.Create", accountId="a", **plain, notes="why")
        gone = await run("waf.accessrules.Delete", accountId="a", ruleId="92f1")
        assert (gone.ruleId, gone.deleted) == ("92f1", True)
        assert asked == [
            ("POST", "/zones/z/dns_records/batch", wanted),
            (
                "POST",
                "/zones/z/firewall/access_rules/rules",
                {"mode": "block", "configuration": {"target": "ip_range", "value": "192.0.2.0/24"}},
            ),
            (
                "POST",
                "/accounts/a/firewall/access_rules/rules",
                {"mode": "js_challenge", "configuration": {"target": "country", "value": "XX"}, "notes": "why"},
            ),
            ("DELETE", "/accounts/a/firewall/access_rules/rules/92f1", None),
        ]
        assert wire.last.headers["authorization"] == "Bearer t0ken"
        found = (await run("waf.accessrules.List", zoneId="z")).rules
        assert (len(found), found[100]) == (101, {key: rules[100][key] for key in ("id", "mode", "configuration")})
        for verb, given, why in (
            ("dns.records.Batch", {"zoneId": "z"}, "not said what to do"),
            ("waf.accessrules.Create", {**plain, "zoneId": "z", "accountId": "a"}, "Either `zoneId` or `accountId`"),
            ("waf.accessrules.Delete", {"ruleId": "r"}, "Either `zoneId` or `accountId`"),
            ("waf.accessrules.Delete", {"ruleId": " ", "zoneId": "z"}, "not said which rule"),
            ("waf.accessrules.Create", {**plain, "zoneId": "odd"}, "without a rule"),
        ):
            with pytest.raises(TaskFailed, match=why):
                await run(verb, **given)
        assert "t0ken" in context.masked
