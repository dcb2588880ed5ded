"""Connections by SSH: with a password or a key of the flow, never with those of the machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from pydantic import Field

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks.address_guard import check_host
from engine.tasks.extras import extra
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.remote_tasks import NO_PROXY, Remote

PATIENCE = 30  # seconds for a connection
OLD_SIGNATURES = {"signature_algs": "+ssh-rsa"}  # what RSA keys did with SHA-1


class SshConnected(Part):
    """Which machine, and who we are to it."""

    host: Property[Text]
    port: Property[Text] = "22"
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None

    def key(self) -> tuple[str | None, str | None]:
        """A private key and its passphrase, if there is one."""
        return None, None

    def options(self) -> dict[str, Any]:
        """What is said of the connection beside who we are."""
        return {"known_hosts": None}

    @asynccontextmanager
    async def connected(self, context: RunContext) -> AsyncIterator[Any]:
        """A connection; TaskFailed when the machine can't be reached or doesn't let us in."""
        asyncssh = extra("asyncssh", "ssh")
        if not self.port.strip().isdigit():
            raise TaskFailed(f"`port` {self.port!r} is not a number.", fix="Usually it is 22.")
        await check_host(self.host, context.settings)
        text, passphrase = self.key()
        for secret in (self.password, text, passphrase):
            if secret:
                context.mask(secret)
        try:
            keys = [asyncssh.import_private_key(text.strip() + "\n", passphrase)] if text else None
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise TaskFailed(f"The private key cannot be read: {error}.", fix="Give its whole text.") from error
        where = f"{self.host}:{self.port}"
        try:
            async with asyncssh.connect(
                self.host,
                int(self.port),
                username=self.username or "root",
                password=self.password,
                client_keys=keys,
                agent_path=None,
                config=None,
                connect_timeout=PATIENCE,
                **self.options(),
            ) as connection:
                yield connection
        except asyncssh.PermissionDenied as error:
            raise TaskFailed(
                f"{where} does not let {self.username or 'root'} in: {error.reason}.",
                fix="Check user and password or key.",
            ) from error
        except asyncssh.SFTPError as error:
            raise TaskFailed(
                f"{where} refused: {error.reason}.", fix="Check the path, and what the user may do."
            ) from error
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise TaskFailed(
                f"{where} could not be reached: {error or type(error).__name__}.", fix="Check host, port and network."
            ) from error


class KeyFields(SshConnected, Remote):
    """A machine that files are exchanged with."""

    reached = """host: files.example.com\nusername: shop\npassword: "{{ secret('SFTP_PASSWORD') }}"\n"""
    keyfile: Property[OptionalText] = Field(default=None, description="The private key's text.")
    passphrase: Property[OptionalText] = None
    root_dir: Property[bool] = Field(default=True, description="Whether `/` means the user's home.")
    key_exchange_algorithm: Property[OptionalText] = None
    enable_ssh_rsa1: Property[bool] = Field(default=False, description="Whether keys may sign with SHA-1, too.")
    proxy_address: Annotated[Property[OptionalText], NO_PROXY] = None
    proxy_host: Annotated[Property[OptionalText], NO_PROXY] = None
    proxy_port: Property[OptionalText] = None
    proxy_username: Property[OptionalText] = None
    proxy_user: Property[OptionalText] = None
    proxy_password: Property[OptionalText] = None
    proxy_type: Property[Literal["HTTP", "SOCKS", "SOCKS5", "STREAM", "http", "socks", "socks5", "stream"] | None] = (
        None
    )

    def key(self) -> tuple[str | None, str | None]:
        return self.keyfile, self.passphrase

    def options(self) -> dict[str, Any]:
        more: dict[str, Any] = {"kex_algs": [self.key_exchange_algorithm]} if self.key_exchange_algorithm else {}
        return {**super().options(), **more, **(OLD_SIGNATURES if self.enable_ssh_rsa1 else {})}

    @asynccontextmanager
    async def files(self, context: RunContext) -> AsyncIterator[Any]:
        async with self.connected(context) as connection, connection.start_sftp_client() as sftp:
            yield sftp

    def place(self, path: str) -> str:
        return path.strip().lstrip("/") or "." if self.root_dir else path.strip()
