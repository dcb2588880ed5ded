"""Who sees what in the page's room: what is typed and answered is private, cards go to those who may see the flow."""

import asyncio

from bot.conversation import Notice, Person, Room
from bot.people.roles import Role
from engine.store import chat_links
from tests.web.conftest import Browser, running

TOKENS = {"ann": "the-token-of-ann", "bob": "the-token-of-bob", "eve": "the-token-of-eve"}
SHIP = """
id: ship
namespace: {namespace}
inputs:
  - {{id: key, type: SECRET, required: false}}
tasks:
  - {{id: wait, type: io.kestra.plugin.core.flow.Pause, description: "{namespace} waits"}}
  - {{id: post, type: parley.chat.Post, text: "posted by {namespace}", to: "web:lobby"}}
"""


def role(name, member, flow):
    may = [{"do": ["run", "approve"], "flow": flow}]
    return Role.model_validate({"name": name, "members": [f"token:{member}"], "may": may})


ROLES = (role("reds", "ann", "red/*"), role("blues", "bob", "blue/*"), role("all", "eve", "*"))


async def signed_in(app, name):
    browser = Browser(app.url)
    await browser.get("/sign-in")
    await browser.post("/sign-in", token=TOKENS[name])
    return browser


async def shows(browser, text):
    async with asyncio.timeout(20):
        while text not in (await browser.get("/")).text:
            await asyncio.sleep(0.05)


async def test_cards_and_posts_are_for_who_may_see_the_flow(tmp_path):
    async with running(tmp_path, roles=ROLES, tokens=TOKENS) as app:
        for namespace in ("red", "blue"):
            await app.engine.deploy(SHIP.format(namespace=namespace))
        browsers = {name: await signed_in(app, name) for name in TOKENS}
        await browsers["ann"].say("/flow run red/ship")
        await browsers["bob"].say("/flow run blue/ship")
        for name, namespace in (("ann", "red"), ("bob", "blue"), ("eve", "red"), ("eve", "blue")):
            await shows(browsers[name], f"{namespace} waits")
        for name, said in (("ann", "approve red/ship"), ("bob", "approve blue/ship")):
            (pause,) = [one for one in await app.engine.pauses(limit=9) if one.namespace in said]
            await browsers[name].say(f"/flow approve {pause.id}")
        for name, text in (
            ("ann", "posted by red"),
            ("bob", "posted by blue"),
            ("eve", "posted by red"),
            ("eve", "posted by blue"),
        ):
            await shows(browsers[name], text)
        ann, bob, eve = [(await browsers[name].get("/")).text for name in ("ann", "bob", "eve")]
        for hidden in ("blue waits", "posted by blue", "/flow run blue/ship"):
            assert hidden not in ann
        for hidden in ("red waits", "posted by red", "/flow run red/ship"):
            assert hidden not in bob
        assert "/flow run" not in eve.replace('value="/flow', "").replace("/flow run …", "")  # what others typed
        for browser in browsers.values():
            await browser.client.aclose()


async def test_what_comes_in_while_a_page_is_open_is_sorted_the_same_way(tmp_path):
    async with running(tmp_path, roles=ROLES, tokens=TOKENS) as app:
        for namespace in ("red", "blue"):
            await app.engine.deploy(SHIP.format(namespace=namespace))
        room = next(end for end in app.front_ends if end.platform == "web")
        ann = Person("token:ann", "ann", "web")
        heard = []

        async def listen():
            async for message in room.listen("lobby", ann, 0):
                heard.append(message)  # noqa: PERF401 - the stream does not end

        listening = asyncio.create_task(listen())
        bob = await signed_in(app, "bob")
        await bob.say("/flow run blue/ship")
        await shows(bob, "blue waits")
        await room.notify(Room("web", "lobby"), Notice("info", "for nobody in particular"))
        await room.notify(Room("web", "lobby"), Notice("info", "for bob"), "token:bob")
        await room.notify(Room("web", "lobby"), Notice("info", "for ann"), "token:ann")
        async with asyncio.timeout(20):
            while not heard:
                await asyncio.sleep(0.02)
        listening.cancel()
        assert [message.body.text for message in heard] == ["for ann"]
        await bob.client.aclose()


async def test_without_roles_cards_are_for_the_room_and_what_is_typed_is_not(tmp_path):
    async with running(tmp_path, tokens=TOKENS) as app:
        await app.engine.deploy(SHIP.format(namespace="red"))
        ann, bob = await signed_in(app, "ann"), await signed_in(app, "bob")
        await ann.say("/flow run red/ship key=s3cret-value")
        await shows(bob, "red waits")
        page = (await bob.get("/")).text
        assert "key=" not in page
        assert "Its card follows here" not in page
        mine = (await ann.get("/")).text
        assert "key=******" in mine
        kept = await app.engine.database.read(lambda c: c.exec_driver_sql("SELECT body FROM room_messages").all())
        assert "s3cret-value" not in str(kept)
        await app.engine.database.transact(
            lambda unit: chat_links.link(unit.connection, "token:ann", "token:bob", app.engine.clock.now())
        )
        assert "key=******" in (await bob.get("/")).text  # another account of the same person
        for browser in (ann, bob):
            await browser.client.aclose()
