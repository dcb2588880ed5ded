"""Microsoft Entra: who an application is, and tokens for it."""

from typing import Any
from urllib.parse import quote

from engine.plugin import RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.extras import extra

ENTRA = "https://login.microsoftonline.com"


def credential_of(tenant: str | None, client: str | None, secret: str | None, certificate: str | None) -> Any:
    """The credential of an application for Azure's own libraries; None when it is not said which."""
    if not (tenant and client and (secret or certificate)):
        return None
    identity = extra("azure.identity", "azure")
    if secret:
        return identity.ClientSecretCredential(tenant_id=tenant, client_id=client, client_secret=secret)
    pem = str(certificate).encode()
    return identity.CertificateCredential(tenant_id=tenant, client_id=client, certificate_data=pem)


async def token_of(
    context: RunContext, tenant: str | None, client: str | None, secret: str | None, scope: str, instead: str = ""
) -> str:
    """A token of an application for what `scope` names; TaskFailed when it is not said which (`instead` of it), or
    Entra refuses."""
    if not (tenant and client and secret):
        raise TaskFailed(
            "It is not said who asks Azure.", fix=f"Give {instead}`tenantId`, `clientId` and `clientSecret`."
        )
    form = {"grant_type": "client_credentials", "scope": scope, "client_id": client, "client_secret": secret}
    return await _token(context, tenant, form, secret, "`tenantId`, `clientId` and `clientSecret`")


async def token_of_person(
    context: RunContext, tenant: str, client: str, username: str, password: str, scope: str
) -> str:
    """A token of a person for what `scope` names, got by an application; TaskFailed when Entra refuses."""
    form = {"grant_type": "password", "scope": scope, "client_id": client, "username": username, "password": password}
    return await _token(context, tenant, form, password, "`tenantId`, `clientId`, `username` and `password`")


async def _token(context: RunContext, tenant: str, form: dict[str, str], secret: str, given_by: str) -> str:
    context.mask(secret)
    base = (context.settings.provider("entra").base_url or ENTRA).rstrip("/")
    url = f"{base}/{quote(tenant, safe='')}/oauth2/v2.0/token"
    given = await rest_service.document(context, "Microsoft Entra", "POST", url, data=form) or {}
    if not (token := given.get("access_token")):
        raise TaskFailed("Microsoft Entra gave no token.", fix=f"Check {given_by}.")
    context.mask(token)
    return str(token)
