"""`io.kestra.plugin.crypto.openpgp`: files encrypted for people who have a key, by GnuPG."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.compress import MAX_BYTES
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.runners import own_file


class Made(Outputs):
    """The file."""

    uri: StoredUri


class Encrypt(RunnableTask):
    """Encrypt a file for its recipients, and sign it if told by whom."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: seal
type: io.kestra.plugin.crypto.openpgp.Encrypt
from: "{{ outputs.report.uri }}"
key: "{{ secret('PARTNER_PUBLIC_KEY') }}"
recipients: [partner@example.com]
""",
    )
    type: Literal["io.kestra.plugin.crypto.openpgp.Encrypt"]
    from_: Property[Text] = Field(alias="from")
    key: Property[OptionalText] = Field(default=None, description="The recipients' public keys (`gpg --export -a`).")
    recipients: Property[TextList]
    sign_public_key: Property[OptionalText] = None
    sign_private_key: Property[OptionalText] = None
    sign_passphrase: Property[OptionalText] = None
    sign_user: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Made:
        for secret in (self.sign_private_key, self.sign_passphrase):
            if secret:
                context.mask(secret)
        source, target = context.files.path(self.from_), _target(context)
        async with ring(context) as gpg:
            for key in (self.key, self.sign_public_key, self.sign_private_key):
                if key:
                    await gpg.take(key, self.sign_passphrase)
            words = ["--trust-model", "always", "--output", str(target)]
            for one in self.recipients:
                words += ["--recipient", one]
            if self.sign_user:
                words += ["--sign", "--local-user", self.sign_user]
            await gpg.ask([*words, "--encrypt", str(source)], self.sign_passphrase)
        return await _kept(context, target, f"{PurePosixPath(self.from_).name}.pgp")


class Decrypt(RunnableTask):
    """Decrypt a file, and make sure who signed it if told so."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: open
type: io.kestra.plugin.crypto.openpgp.Decrypt
from: "{{ outputs.fetch.uri }}"
privateKey: "{{ secret('PRIVATE_KEY') }}"
privateKeyPassphrase: "{{ secret('PASSPHRASE') }}"
""",
    )
    type: Literal["io.kestra.plugin.crypto.openpgp.Decrypt"]
    from_: Property[Text] = Field(alias="from")
    private_key: Property[OptionalText] = None
    private_key_passphrase: Property[OptionalText] = None
    sign_users_key: Property[TextList | None] = None
    required_signer_users: Property[TextList | None] = None

    async def run(self, context: RunContext) -> Made:
        for secret in (self.private_key, self.private_key_passphrase):
            if secret:
                context.mask(secret)
        source, target = context.files.path(self.from_), _target(context)
        async with ring(context) as gpg:
            for key in (self.private_key, *(self.sign_users_key or ())):
                if key:
                    await gpg.take(key, self.private_key_passphrase)
            words = ["--trust-model", "always", "--status-fd", "1", "--output", str(target)]
            words += ["--max-output", str(MAX_BYTES)]
            words += [] if self.required_signer_users else ["--skip-verify"]
            told = await gpg.ask([*words, "--decrypt", str(source)], self.private_key_passphrase)
            signers = [line.split(" ", 3)[3] for line in told.splitlines() if line.startswith("[GNUPG:] GOODSIG ")]
            for wanted in self.required_signer_users or ():
                if not any(_is(wanted, signer) for signer in signers):
                    target.unlink()
                    who = ", ".join(signers) or "nobody whose key is in `signUsersKey`"
                    raise TaskFailed(f"The file is not signed by {wanted}, but by {who}.", fix="Ask who sent it.")
        return await _kept(context, target, PurePosixPath(self.from_).name.removesuffix(".pgp").removesuffix(".gpg"))


class Ring:
    """Keys in a folder of their own, which GnuPG works with."""

    def __init__(self, program: str, home: Path) -> None:
        self._program, self._home = program, home

    async def take(self, key: str, passphrase: str | None) -> None:
        """Add keys; TaskFailed when the text holds none."""
        path = self._home / "key.asc"
        path.write_text(key.strip() + "\n", "utf-8")
        try:
            await self.ask(["--import", str(path)], passphrase)
        finally:
            path.unlink()

    async def ask(self, words: Sequence[str], passphrase: str | None) -> str:
        """What GnuPG tells of an act; TaskFailed when it refuses."""
        usual = ["--homedir", str(self._home), "--batch", "--yes", "--no-tty", "--quiet"]
        secret = ["--pinentry-mode", "loopback", "--passphrase-fd", "0"]
        alone = ["--disable-dirmngr", "--no-auto-key-locate", "--no-auto-key-retrieve"]  # asks nobody for keys
        process = await asyncio.create_subprocess_exec(
            self._program,
            *usual,
            *secret,
            *alone,
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        )
        try:
            told, said = await process.communicate((passphrase or "").encode() + b"\n")
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            lines = [
                line.removeprefix("gpg: ") for line in said.decode("utf-8", "replace").splitlines() if line.strip()
            ]
            why = "; ".join(lines[-3:])[:500] or f"exit code {process.returncode}"
            raise TaskFailed(f"GnuPG refused: {why}.", fix="Check the keys, their passphrase and the names.")
        return told.decode("utf-8", "replace")

    async def left(self) -> None:
        """End what GnuPG keeps running for a folder."""
        program = shutil.which("gpgconf", path=Path(self._program).parent)
        if program:
            process = await asyncio.create_subprocess_exec(
                program, "--homedir", str(self._home), "--kill", "all", stderr=asyncio.subprocess.DEVNULL
            )
            await process.wait()


@asynccontextmanager
async def ring(context: RunContext) -> AsyncIterator[Ring]:
    """An empty ring of keys, gone at the end."""
    program = shutil.which("gpg")
    if program is None:
        raise TaskFailed("GnuPG is not installed here, which this task needs.", fix="apt-get install gnupg")
    home = Path(tempfile.mkdtemp(prefix="pgp-"))  # short: sockets lie in it; and nobody else's to read
    (home / "gpg-agent.conf").write_text("s2k-count 65536\n", "ascii")  # else it measures first what it could bear
    found = Ring(program, home)
    try:
        yield found
    finally:
        await asyncio.shield(found.left())
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


def _target(context: RunContext) -> Path:
    path = own_file(context, "pgp")
    path.unlink(missing_ok=True)
    return path


async def _kept(context: RunContext, path: Path, name: str) -> Made:
    try:
        return Made(uri=await context.files.put(path, name or "file"))
    finally:
        await asyncio.to_thread(path.unlink)


def _is(wanted: str, signer: str) -> bool:
    """Whether a signer (`Ann <ann@example.com>`) is who is wanted."""
    return wanted.strip() == signer or wanted.strip().lower() == signer.rpartition("<")[2].rstrip(">").lower()
