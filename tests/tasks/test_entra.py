"""Who asks Azure: an application by its certificate, or the machine that Parley runs on."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from engine.errors import TaskFailed
from tests.wire.certificates import pem
from tests.wire.loopback import Answered, serving

CARD = {
    "type": "io.kestra.plugin.microsoft365.teams.adaptivecards.Send",
    "teamId": "team",
    "channelId": "c",
    "card": "{}",
}
PIPELINE = {
    "type": "io.kestra.plugin.azure.datafactory.CreateRun",
    "subscriptionId": "s",
    "resourceGroupName": "g",
    "factoryName": "f",
    "pipelineName": "p",
    "wait": False,
}
APP = {"tenantId": "t", "clientId": "app"}
KEY = rsa.generate_private_key(65537, 2048)
PEM = pem(KEY)


def unpacked(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sender(request, address):
    """Whom an assertion is of, as Entra finds out; raises when its signature is not that of the certificate."""
    signed, _, signature = request.form["client_assertion"].rpartition(".")
    head, claims = (json.loads(unpacked(part)) for part in signed.split("."))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    KEY.public_key().verify(unpacked(signature), signed.encode(), pss, hashes.SHA256())
    der = base64.b64decode("".join(PEM.partition("-----BEGIN CERTIFICATE-----")[2].splitlines()[:-1]))
    assert (head["alg"], unpacked(head["x5t#S256"])) == ("PS256", hashlib.sha256(der).digest())
    assert (claims["aud"], claims["iss"]) == (f"{address}/t/oauth2/v2.0/token", claims["sub"])
    assert claims["exp"] - claims["nbf"] == 600
    assert request.form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return claims["sub"]


@pytest.fixture
def azure(make_context):
    def handle(request):
        if request.path == "/t/oauth2/v2.0/token":
            return Answered({"access_token": f"of-{sender(request, wire.url)}"})
        if request.path == "/identity":
            assert request.headers["x-identity-header"] == "machine"
            return Answered({"access_token": f"for-{request.query['resource']}", "expires_on": "4102444800"})
        return Answered({"id": "m1", "runId": "r1"})

    with serving(handle) as wire:
        at = {"base_url": wire.url}
        context = make_context({"providers": dict.fromkeys(("entra", "microsoft_graph", "azure_management"), at)})
        context.wire = wire
        yield context


@pytest.mark.parametrize("task", [CARD, PIPELINE], ids=["card", "pipeline"])
async def test_an_application_shows_its_certificate(azure, task):
    await azure.run(**task, **APP, pemCertificate=PEM)
    assert azure.wire.last.headers["authorization"] == "Bearer of-app"
    assert {PEM, "of-app"} <= azure.masked


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-----BEGIN", "does not hold a certificate and its private key"),
        (PEM[: PEM.index("-----BEGIN CERTIFICATE")], "does not hold a certificate and its private key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "no RSA key"),
        (
            PEM[: PEM.index("-----BEGIN CERTIFICATE")]
            + (other := pem(ec.generate_private_key(ec.SECP256R1())))[other.index("-----BEGIN CERTIFICATE") :],
            "not that of its certificate",
        ),
    ],
)
async def test_a_certificate_that_is_none_is_told(azure, text, said):
    with pytest.raises(TaskFailed, match=said):
        await azure.run(**CARD, **APP, pemCertificate=text)
    assert azure.wire.requests == []


@pytest.mark.parametrize(("task", "of"), [(CARD, "graph"), (PIPELINE, "management")], ids=["card", "pipeline"])
async def test_the_machine_asks_when_nobody_else_does(azure, monkeypatch, task, of):
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{azure.wire.url}/identity")
    monkeypatch.setenv("IDENTITY_HEADER", "machine")
    await azure.run(**task, **APP)
    token = azure.wire.last.headers["authorization"]
    assert token.startswith("Bearer for-https://")
    assert of in token
    assert token.removeprefix("Bearer ") in azure.masked
