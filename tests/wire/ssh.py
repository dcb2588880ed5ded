"""A real SSH server of the `asyncssh` package: passwords, keys, commands run by the shell, and SFTP in a folder."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh


class SshServer(asyncssh.SSHServer):
    """Lets `deploy` in, with the password `s3cret` or the key it is told of."""

    allowed: asyncssh.SSHKey

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("deploy", "s3cret")

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == "deploy" and key.public_data == self.allowed.public_data


async def _shell(process: asyncssh.SSHServerProcess[bytes]) -> None:
    env = {"PATH": "/usr/bin:/bin", **{name: str(value) for name, value in process.env.items()}}
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        process.command or "",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    out, err = await child.communicate()
    process.stdout.write(out)
    process.stderr.write(err)
    process.exit(child.returncode or 0)


@asynccontextmanager
async def ssh_server(folder: Path, key: asyncssh.SSHKey) -> AsyncIterator[int]:
    """The server's port, while it runs."""

    class Server(SshServer):
        allowed = key

    def files(channel: Any) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=str(folder))

    server = await asyncssh.create_server(
        Server,
        "127.0.0.1",
        0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        process_factory=_shell,
        sftp_factory=files,
        encoding=None,
    )
    async with server:
        yield server.sockets[0].getsockname()[1]
