"""A Kubernetes cluster: who we are to it, and where its resources are in its API."""

import base64
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx

from engine.plugin import Part, RunContext, TaskFailed, Unserved
from engine.tasks.address_guard import check_address, check_peer
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.rest_service import HINTS, held, listed, mapped
from engine.tasks.runners import WORK
from engine.tasks.secret_files import kept

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # of a pod
SECONDS = 60
NO_STORE = Unserved(
    "Key stores of Java are not read here.", "Give PEM, as `caCertFile`, `clientCertFile` and `clientKeyFile`."
)


class Connection(Part):
    """Where the cluster is, and who we are to it; in a pod, nothing need be given."""

    master_url: Text = "https://kubernetes.default.svc"
    api_version: Text = "v1"
    namespace: OptionalText = None
    oauth_token: OptionalText = None
    username: OptionalText = None
    password: OptionalText = None
    trust_certs: bool = False
    disable_hostname_verification: bool = False
    ca_cert_data: OptionalText = None
    ca_cert_file: OptionalText = None
    client_cert_data: OptionalText = None
    client_cert_file: OptionalText = None
    client_key_data: OptionalText = None
    client_key_file: OptionalText = None
    client_key_passphrase: OptionalText = None
    client_key_algo: OptionalText = None
    trust_store_file: Annotated[Any, NO_STORE] = None
    trust_store_passphrase: Any = None
    key_store_file: Annotated[Any, NO_STORE] = None
    key_store_passphrase: Any = None
    oauth_token_provider: Annotated[
        Any, Unserved("No task is run for a token here.", "Let a task before this one fetch it, and give `oauthToken`.")
    ] = None

    def trust(self, folder: Path) -> ssl.SSLContext:
        """What a connection accepts and shows; certificates are written into `folder`. TaskFailed."""
        try:
            given = _pem(self.ca_cert_data)
            authority = self.ca_cert_file or (str(ACCOUNT / "ca.crt") if (ACCOUNT / "ca.crt").exists() else None)
            context = ssl.create_default_context(cafile=None if given else authority, cadata=given)
            if self.trust_certs:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            elif self.disable_hostname_verification:
                context.check_hostname = False
            certificate = self.client_cert_file or _written(folder / "client.crt", self.client_cert_data)
            key = self.client_key_file or _written(folder / "client.key", self.client_key_data)
            if certificate:
                context.load_cert_chain(certificate, key, self.client_key_passphrase or "")
        except (OSError, ValueError) as error:
            raise TaskFailed(f"A certificate of `connection` is of no use: {error}") from error
        return context

    def headers(self) -> dict[str, str]:
        """Who we are: a token, a user and password, or the pod's account."""
        token = self.oauth_token
        if token is None and self.username is None and (ACCOUNT / "token").exists():
            token = (ACCOUNT / "token").read_text().strip()
        if token:
            return {"Authorization": f"Bearer {token}"}
        if self.username:
            pair = base64.b64encode(f"{self.username}:{self.password or ''}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}


class Cluster:
    """The API of a cluster, for one task."""

    def __init__(self, context: RunContext, client: httpx.AsyncClient, trust: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.client = client
        self.trust = trust

    async def call(self, method: str, path: str, *, missing: bool = False, **given: Any) -> Any:
        """The JSON of an answer, None for what is not there when it may be missing; TaskFailed on a refusal."""
        try:
            request = self.client.build_request(method, path, **given)
            await check_address(request.url, self.context.settings)
            response = await self.client.send(request, stream=True)
            try:
                check_peer(response, self.context.settings)
                await response.aread()
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise TaskFailed(f"Kubernetes can't be reached: {error}", fix="Check `connection.masterUrl`.") from error
        if response.status_code == 404 and missing:
            return None
        try:
            found = response.json()
        except ValueError:
            found = {"message": response.text[:300]}
        if response.status_code >= 400:
            said = found.get("message", "") if isinstance(found, dict) else response.text[:300]
            raise TaskFailed(
                f"Kubernetes answered {response.status_code}: {said}",
                fix=HINTS.get(response.status_code, ""),
            )
        return mapped(found, "Kubernetes")

    async def path(self, kind: str, *, group: str = "", version: str = "v1", namespace: str) -> str:
        """Where the resources of a kind are, by any of its names (`pod`, `Pod`, `pods`, `po`). TaskFailed."""
        bases = [f"/apis/{group}/{version}" if group else f"/api/{version}"]
        if not group:
            groups = await self.call("GET", "/apis", missing=True) or {}
            bases += [
                f"/apis/{held(one, 'Kubernetes', 'preferredVersion', 'groupVersion')}"
                for one in listed(groups, "Kubernetes", "groups")
            ]
        wanted = kind.lower()
        for base in bases:
            found = await self.call("GET", base, missing=True)
            for one in listed(found, "Kubernetes", "resources", each=["name", "kind"]):
                names = (one["name"], one["kind"], one.get("singularName", ""), *one.get("shortNames", []))
                if "/" not in one["name"] and wanted in {name.lower() for name in names}:
                    inside = f"/namespaces/{namespace}" if one.get("namespaced") else ""
                    return f"{base}{inside}/{one['name']}"
        raise TaskFailed(
            f"Kubernetes has no resources of the kind {kind!r}.", fix="Check `resourceType` and `apiGroup`."
        )


@asynccontextmanager
async def connected(context: RunContext, connection: Connection | None) -> AsyncIterator[Cluster]:
    """The API of a cluster, while it is asked."""
    given = connection or Connection()
    for secret in (given.oauth_token, given.password, given.client_key_passphrase):
        if secret:
            context.mask(secret)
    folder = context.working_dir / WORK / f"cluster-{context.task_run_id}"
    folder.mkdir(parents=True, exist_ok=True)
    trust = given.trust(folder) if given.master_url.startswith("https") else None
    async with httpx.AsyncClient(
        base_url=given.master_url, headers=given.headers(), verify=trust or True, timeout=SECONDS, trust_env=False
    ) as client:
        yield Cluster(context, client, trust)


def _pem(data: str | None) -> str | None:
    if not data:
        return None
    if "-----BEGIN" in data:
        return data
    return base64.b64decode(re.sub(r"\s", "", data)).decode()


def _written(path: Path, data: str | None) -> str | None:
    text = _pem(data)
    return None if text is None else kept(path, text)
