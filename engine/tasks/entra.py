"""Microsoft Entra: who an application is, and tokens for it."""

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.extras import extra
from engine.tasks.property_types import OptionalText
from engine.tasks.threads import in_own_thread

ENTRA = "https://login.microsoftonline.com"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFE_OF_AN_ASSERTION = timedelta(minutes=10)


def credential_of(tenant: str | None, client: str | None, secret: str | None, certificate: str | None) -> Any:
    """The credential of an application for Azure's own libraries; None when it is not said which."""
    if not (tenant and client and (secret or certificate)):
        return None
    identity = extra("azure.identity", "azure")
    if secret:
        return identity.ClientSecretCredential(tenant_id=tenant, client_id=client, client_secret=secret)
    pem = str(certificate).encode()
    return identity.CertificateCredential(tenant_id=tenant, client_id=client, certificate_data=pem)


class Asks(Part):
    """Who asks Azure: an application by its secret or its certificate, or (with a `tenantId` alone) the machine."""

    tenant_id: Property[OptionalText] = None
    client_id: Property[OptionalText] = None
    client_secret: Property[OptionalText] = None
    pem_certificate: Property[OptionalText] = Field(
        default=None, description="The application's certificate and its private key in PEM, instead of a secret."
    )

    async def token(self, context: RunContext, scope: str) -> str:
        """A token for what `scope` names; TaskFailed when there is none to be had."""
        if self.tenant_id and not (self.client_secret or self.pem_certificate):
            return await _token_of_machine(context, self.tenant_id, scope)
        who = (self.tenant_id, self.client_id, self.client_secret)
        return await token_of(context, *who, scope, certificate=self.pem_certificate)


async def token_of(
    context: RunContext,
    tenant: str | None,
    client: str | None,
    secret: str | None,
    scope: str,
    instead: str = "",
    certificate: str | None = None,
) -> str:
    """A token of an application for what `scope` names, by its secret, else by a certificate and its key in PEM.
    TaskFailed when it is not said which application (`instead` of it), or Entra refuses."""
    if not (tenant and client and (secret or certificate)):
        raise TaskFailed(
            "It is not said who asks Azure.", fix=f"Give {instead}`tenantId`, `clientId` and `clientSecret`."
        )
    form = {"grant_type": "client_credentials", "scope": scope, "client_id": client}
    if secret:
        given_by = "`tenantId`, `clientId` and `clientSecret`"
        return await _token(context, tenant, {**form, "client_secret": secret}, secret, given_by)
    context.mask(str(certificate))
    signed = assertion(str(certificate), client, _address(context, tenant), datetime.now(UTC))
    form |= {"client_assertion_type": ASSERTION, "client_assertion": signed}
    return await _token(context, tenant, form, signed, "`tenantId`, `clientId` and `pemCertificate`")


async def token_of_person(
    context: RunContext, tenant: str, client: str, username: str, password: str, scope: str
) -> str:
    """A token of a person for what `scope` names, got by an application; TaskFailed when Entra refuses."""
    form = {"grant_type": "password", "scope": scope, "client_id": client, "username": username, "password": password}
    return await _token(context, tenant, form, password, "`tenantId`, `clientId`, `username` and `password`")


async def _token_of_machine(context: RunContext, tenant: str, scope: str) -> str:
    """A token of whom the machine itself is to Azure: by the environment, a workload's or a managed identity, or a
    sign-in of Azure's command line. TaskFailed when it is nobody."""
    identity, errors = extra("azure.identity", "azure"), extra("azure.core.exceptions", "azure")

    def ask() -> str:
        with identity.DefaultAzureCredential(additionally_allowed_tenants=[tenant]) as machine:
            return str(machine.get_token(scope, tenant_id=tenant).token)

    try:
        token = await in_own_thread(ask)
    except errors.ClientAuthenticationError as error:
        raise TaskFailed(
            "The machine has no identity that Azure knows.",
            fix="Give `clientSecret` or `pemCertificate`, or let Parley run with a managed identity.",
        ) from error
    context.mask(token)
    return token


def assertion(pem: str, client: str, audience: str, now: datetime) -> str:
    """What an application shows for itself, signed with its key (RFC 7523, as Entra wants it: PS256, and the
    certificate's SHA-256 in `x5t#S256`); TaskFailed when the text does not hold a certificate and its RSA key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    fix = "Give the whole text of the `.pem` file: the certificate, and its private key without a password."
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, TypeError) as error:
        raise TaskFailed("`pemCertificate` does not hold a certificate and its private key.", fix=fix) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TaskFailed("The key in `pemCertificate` is no RSA key.", fix="Entra takes certificates of RSA keys.")
    own = [one for one in certificates if one.public_key() == key.public_key()]
    if not own:
        raise TaskFailed("The key in `pemCertificate` is not that of its certificate.", fix=fix)
    head = {"alg": "PS256", "typ": "JWT", "x5t#S256": _base64(own[0].fingerprint(hashes.SHA256()))}
    moment = int(now.timestamp())
    until = moment + int(LIFE_OF_AN_ASSERTION.total_seconds())
    claims = {"aud": audience, "iss": client, "sub": client, "jti": str(uuid.uuid4()), "nbf": moment, "exp": until}
    signed = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    return f"{signed}.{_base64(key.sign(signed.encode(), pss, hashes.SHA256()))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _address(context: RunContext, tenant: str) -> str:
    base = (context.settings.provider("entra").base_url or ENTRA).rstrip("/")
    return f"{base}/{quote(tenant, safe='')}/oauth2/v2.0/token"


async def _token(context: RunContext, tenant: str, form: dict[str, str], secret: str, given_by: str) -> str:
    context.mask(secret)
    given = await rest_service.mapping(context, "Microsoft Entra", "POST", _address(context, tenant), data=form)
    if not (token := given.get("access_token")):
        raise TaskFailed("Microsoft Entra gave no token.", fix=f"Check {given_by}.")
    context.mask(token)
    return str(token)
