"""Stripe and Shopify: their REST APIs, faked at the wire."""

import hashlib
import hmac
import json
import re
import time

import pytest

from engine.errors import TaskFailed
from engine.tasks.stripe.webhook import signed
from tests.wire.loopback import Answered, serving

STRIPE, SHOPIFY = "io.kestra.plugin.stripe", "io.kestra.plugin.shopify"


class Stripe:
    """Customers and payments; the same key of a call again gives the same answer."""

    def __init__(self):
        self.customers, self.calls = {}, {}

    def __call__(self, request):
        if request.headers["authorization"] != "Bearer sk_test":
            error = {"type": "invalid_request_error", "message": "Invalid API Key provided"}
            return Answered({"error": error}, 401)
        if request.method != "POST":
            return Answered(*self.answer(request))
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        key = request.headers["idempotency-key"]
        if key not in self.calls:
            self.calls[key] = self.answer(request)
        return Answered(*self.calls[key])

    def answer(self, request):
        path = request.path.removeprefix("/v1/")
        if path == "balance":
            money = [{"currency": "usd", "amount": 5, "source_types": {"card": 5}}]
            return ({"available": money, "pending": [], "livemode": False},)
        if found := re.fullmatch(r"customers(?:/(.+))?", path):
            return self.customer(request, found[1])
        if path == "payment_intents" and request.method == "POST":
            status = "requires_payment_method"
            return ({"id": "pi_1", "status": status, "client_secret": "pi_1_secret_x", **request.form},)
        if path == "payment_intents":
            return ({"data": [{"id": "pi_1", "client_secret": "pi_1_secret_y", "asked": request.query}]},)
        if path == "payment_intents/pi_1/confirm":
            if request.form["payment_method"] == "pm_declined":
                return {"error": {"code": "card_declined", "message": "Your card was declined."}}, 402
            return ({"id": "pi_1", "status": "succeeded", "client_secret": "pi_1_secret_x"},)
        if path == "refunds":
            return ({"id": "re_1", "status": "succeeded", "amount": 500, "currency": "usd", **request.form},)
        if path == "payment_methods/pm_1/attach":
            return ({"id": "pm_1", "type": "card", **request.form},)
        assert (path, request.query) == ("payment_methods", {"customer": "cus_0", "type": "card"})
        return ({"data": [{"id": "pm_1"}, {"id": "pm_2"}], "has_more": False},)

    def customer(self, request, key):
        if key is None and request.method == "GET":
            assert request.query.pop("limit") == "10"
            return ({"data": [one for one in self.customers.values() if request.query.items() <= one.items()]},)
        if key is None:
            key = f"cus_{len(self.customers)}"
            self.customers[key] = {"id": key}
        if key not in self.customers:
            return {"error": {"message": f"No such customer: '{key}'"}}, 404
        if request.method == "DELETE":
            return ({**self.customers.pop(key), "deleted": True},)
        if request.method == "POST":
            self.customers[key] |= request.form
        return (self.customers[key],)


async def test_stripe(make_context):
    with serving(service := Stripe()) as wire:
        context = make_context({"providers": {"stripe": {"base_url": wire.url}}})

        async def run(kind, **given):
            context.attempt += 1  # each of these is a task run of its own
            return await context.run(type=f"{STRIPE}.{kind}", **{"apiKey": "sk_test", **given})

        money = await run("balance.Retrieve")
        assert (money.available, money.pending) == ([{"currency": "usd", "amount": 5}], [])
        assert money.raw["livemode"] is False
        ann = await run(
            "customer.Create", name="Ann", email="a@x.test", metadata={"plan": "pro", "seats": 3, "n": None}
        )
        wanted = {
            "name": "Ann",
            "email": "a@x.test",
            "metadata[plan]": "pro",
            "metadata[seats]": "3",
            "metadata[n]": "",
        }
        assert (ann.customerId, ann.customerData) == ("cus_0", {"id": "cus_0", **wanted})
        await run("customer.Update", customerId="cus_0", name="Ann B")
        assert (await run("customer.Get", customerId="cus_0")).customerData["name"] == "Ann B"
        assert (await run("customer.List", email="a@x.test")).totalCount == 1
        assert (await run("customer.List", email="b@x.test")).customers == []
        charge = await run("payment.CreateIntent", amount=1000, currency="usd", customer="cus_0")
        assert (charge.status, charge.rawResponse["amount"]) == ("requires_payment_method", "1000")
        assert {"sk_test", "pi_1_secret_x"} <= set(context.masked)
        paid = await run("payment.ConfirmIntent", paymentIntentId="pi_1", paymentMethod="pm_card_visa")
        assert (paid.status, json.loads(paid.raw)["id"]) == ("succeeded", "pi_1")
        with pytest.raises(TaskFailed, match=r"402: Your card was declined"):
            await run("payment.ConfirmIntent", paymentIntentId="pi_1", paymentMethod="pm_declined")
        found = await run("payment.ListIntents", customer="cus_0", limit=5)
        assert (found.count, found.paymentIntents[0]["asked"]) == (1, {"limit": "5", "customer": "cus_0"})
        assert "pi_1_secret_y" in context.masked
        back = await run("payment.Refund", paymentIntentId="pi_1", amount=500)
        assert (back.refundId, back.amount, json.loads(back.raw)["payment_intent"]) == ("re_1", 500, "pi_1")
        with pytest.raises(TaskFailed, match="not said what to give back"):
            await run("payment.Refund", amount=500)
        method = await run("payment.AttachMethod", paymentMethodId="pm_1", customerId="cus_0")
        assert (method.customerId, method.type) == ("cus_0", "card")
        ways = await run("payment.ListMethods", customerId="cus_0", paymentMethodType="CARD")
        assert ways.paymentMethodIds == ["pm_1", "pm_2"]
        gone = await run("customer.Delete", customerId="cus_0")
        assert (gone.deleted, service.customers) == (True, {})
        with pytest.raises(TaskFailed, match=r"404: No such customer"):
            await run("customer.Get", customerId="cus_0")
        with pytest.raises(TaskFailed, match=r"401: Invalid API Key"):
            await run("balance.Retrieve", apiKey="no")


async def test_an_attempt_at_stripe_that_is_repeated_pays_once(make_context):
    with serving(service := Stripe()) as wire:
        context = make_context({"providers": {"stripe": {"base_url": wire.url}}})
        create = {"type": f"{STRIPE}.customer.Create", "apiKey": "sk_test", "name": "Ann"}
        assert [(await context.run(**create)).customerId for _ in range(2)] == ["cus_0", "cus_0"]
        assert len(service.customers) == 1
        context.attempt += 1
        assert (await context.run(**create)).customerId == "cus_1"


async def test_events_of_stripe_are_checked(context):
    payload = json.dumps({"id": "evt_1", "type": "charge.refunded", "data": {"object": {"id": "ch_1"}}})
    moment = int(time.time())

    def signature(secret="whsec", at=moment, text=payload):
        return f"t={at},v1={hmac.new(secret.encode(), f'{at}.{text}'.encode(), hashlib.sha256).hexdigest()},v0=x"

    event = {"type": f"{STRIPE}.webhook.HandleEvent", "payload": payload, "endpointSecret": "whsec"}
    found = await context.run(**event, signatureHeader=signature())
    assert (found.id, found.type, found.data, found.raw) == ("evt_1", "charge.refunded", {"id": "ch_1"}, payload)
    assert "whsec" in context.masked
    for header in (signature("other"), signature(at=moment - 1000), signature(text="{}"), "t=x,v1=é", ""):
        with pytest.raises(TaskFailed, match="not signed with this secret, or too old"):
            await context.run(**event, signatureHeader=header)
    assert signed(payload, signature(at=1000), "whsec", 1300)
    assert not signed(payload, signature(at=1000), "whsec", 1301)
    with pytest.raises(TaskFailed, match="not an event of Stripe"):
        await context.run(**{**event, "payload": "[]"}, signatureHeader=signature(text="[]"))


class Shopify:
    """Records of three kinds."""

    def __init__(self):
        self.rows = {"order": {7: {"id": 7, "total": "9.90"}, 8: {"id": 8}}, "product": {}, "customer": {}}

    def __call__(self, request):
        if request.headers["x-shopify-access-token"] != "shpat":
            return Answered({"errors": "[API] Invalid API key or access token"}, 401)
        kind, key = re.fullmatch(r"/admin/api/2024-10/(\w+)s(?:/(\d+))?\.json", request.path).groups()
        rows = self.rows[kind]
        if key is None and request.method == "GET":
            self.asked = request.query
            return Answered({f"{kind}s": list(rows.values())})
        if key is None:
            row = {"id": len(rows) + 1, **request.json[kind]}
            rows[row["id"]] = row
            return Answered({kind: row}, 201)
        if int(key) not in rows:
            return Answered({"errors": "Not Found"}, 404)
        if request.method == "DELETE":
            del rows[int(key)]
            return Answered({})
        if request.method == "PUT":
            rows[int(key)] |= request.json[kind]
        return Answered({kind: rows[int(key)]})


async def test_shopify(context):
    with serving(service := Shopify()) as wire:

        async def run(name, **given):
            who = {"storeDomain": wire.url, "accessToken": "shpat"}
            return await context.run(type=f"{SHOPIFY}.{name}", **{**who, **given})

        found = await run("orders.List", status="any", financialStatus="paid", createdAtMin="2026-01-01", limit=5)
        assert (found["count"], found["orders"][0]) == (2, {"id": 7, "total": "9.90"})
        wanted = {"limit": "5", "status": "any", "financial_status": "paid", "created_at_min": "2026-01-01"}
        assert service.asked == wanted
        stored = await run("orders.List", fetchType="STORE")
        assert (stored["orders"], len(context.files.text(stored["uri"]).splitlines())) == (None, 2)
        assert (await run("orders.List", fetchType="FETCH_ONE"))["orders"] == [{"id": 7, "total": "9.90"}]
        assert (await run("orders.Get", orderId=7))["order"]["total"] == "9.90"
        assert await run("orders.Delete", orderId=7) == {"orderId": 7, "deleted": True}
        with pytest.raises(TaskFailed, match="404: Not Found"):
            await run("orders.Get", orderId=7)
        shirt = await run("products.Create", title="Shirt", tags=["a", "b"], seoTitle="S", rateLimitDelay="PT0.001S")
        wanted = {"title": "Shirt", "tags": "a,b", "seo": {"title": "S"}, "status": "draft"}
        assert shirt["product"] == {"id": 1, **wanted}
        await run("products.Update", productId=1, status="ACTIVE", vendor="Us")
        assert service.rows["product"][1] == {"id": 1, **wanted, "status": "active", "vendor": "Us"}
        with pytest.raises(TaskFailed, match="not said what of the product changes"):
            await run("products.Update", productId=1)
        await run("products.List", status="ACTIVE", publishedStatus="PUBLISHED", productType="a&b")
        assert service.asked == {"status": "active", "published_status": "published", "product_type": "a&b"}
        assert (await run("products.Get", productId=1))["product"]["vendor"] == "Us"
        await run("products.Delete", productId=1)
        ann = await run("customers.Create", email="a@x.test", firstName="Ann")
        assert ann["customer"] == {"id": 1, "email": "a@x.test", "first_name": "Ann"}
        assert (await run("customers.Get", customerId=1)) == ann
        assert (await run("customers.List"))["count"] == 1
        await run("customers.Delete", customerId=1)
        assert (await run("customers.List", fetchType="FETCH_ONE"))["customers"] == []
        with pytest.raises(TaskFailed, match=r"401: \[API\] Invalid API key"):
            await run("customers.List", accessToken="no")
    assert "shpat" in context.masked
