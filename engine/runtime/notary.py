"""Signs the record of deeds: every few seconds, when it matters at once, and when the process ends.

The last seal is also kept outside of the database, in memory and beside the key: somebody who can write the database
but not the data folder cannot put back an earlier state, or write the record anew, without the next seal saying so.
"""

import asyncio
import contextlib
import json
import logging
from pathlib import Path

from engine.audit_keys import AuditKey, AuditKeys, fingerprint, publics, trusted
from engine.clock import Clock
from engine.errors import EngineError, Refused
from engine.settings import Settings
from engine.store import audit_seals
from engine.store.audit_proof import Head, Trust, canonical
from engine.store.audit_seals import Sealed
from engine.store.database import Beside, Database, Unit

log = logging.getLogger(__name__)

WITNESS = "audit.seal"  # the file that holds the last seal
LOST = (
    "The record of deeds was signed, and the key that signed it is not here: what is recorded from now on is not "
    "signed. Put the former `audit.key` into the data folder (or its text into PARLEY_AUDIT__KEY) and start again; if "
    "it is lost, run `parley audit rotate --lost`."
)


class Notary:
    """Seals what one process knows of. `keys` is None where there is nothing to sign with."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.keys = AuditKeys.there(settings)
        self._settings = settings
        self._database = database
        self._clock = clock
        self._trusted = trusted(settings.audit)
        self._file = settings.data / WITNESS
        self.known = _read(self._file)
        self._told: set[str] = set()  # what the log was told already
        self._is_open = False
        self._sealing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make a key if nobody has signed yet; say so when the key that signed is not here."""
        self._is_open = True
        if self.keys is not None or self._settings.role not in ("all", "bot"):
            return
        if await self._database.read(audit_seals.noted) is None:
            self.keys = AuditKeys.made(self._settings)
        else:
            log.error("%s", LOST)

    def start(self) -> None:
        """Seal every few seconds from now on."""
        if self._sealing is None:
            self._sealing = asyncio.create_task(self._keep_sealing(), name="notary")

    async def stop(self) -> None:
        """Seal what is there, and end."""
        if self._sealing is not None:
            self._sealing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sealing
            self._sealing = None
        if self._is_open:
            self._is_open = False
            await self._try("stop")

    async def seal(self, of: str) -> Sealed | None:
        """Sign what is not signed yet; None where there is no key, or nothing to sign."""
        if self.keys is None or not await self._database.read(lambda c: audit_seals.is_due(c, self.known)):
            return None
        await self.ready()
        return await self._database.transact(lambda unit: self.seal_in(unit, of))

    async def ready(self) -> None:
        """Load what signs, beside the writer and the loop."""
        keys = self.keys
        if keys is not None:
            await self._database.read(lambda _: publics(keys.keys))

    def seal_in(self, unit: Unit, of: str, *, must: bool = False, after_loss: bool = False) -> Sealed | None:
        """Sign inside somebody's transaction. With `must` Refused where this can't: a removal that nobody signs is one
        that `verify` does not believe."""
        keys = self.keys
        if keys is None:
            if must and audit_seals.noted(unit.connection) is not None:
                raise Refused("Nothing may be taken out of the record without the key that signs it.", fix=LOST)
            return None
        now = self._clock.now()
        sealed = audit_seals.seal(
            unit.connection, keys, now, of, known=self.known, trusted=self._trusted, after_loss=after_loss
        )
        if must and sealed.foreign:
            raise Refused("Another key signs the record.", fix=_foreign(sealed.foreign, keys.newest))
        unit.after_commit(lambda: self._saw(sealed, keys))
        return sealed

    async def rotate(self, *, after_loss: bool = False, beside: Beside = None) -> str:
        """A new key from now on, to which the former one hands over, or which takes the place of a lost one; its public
        part. `beside` is written before the first of its seals. Refused, SettingInvalid."""
        if after_loss:
            if self.keys is not None and await self._signs():
                raise Refused(
                    "The key is here, so it is not lost.", fix="Leave out --lost: it hands over to a new one."
                )
            self.keys = AuditKeys.made(self._settings)
        elif self.keys is None:
            raise Refused("There is no key here that could hand over.", fix=LOST)
        elif not await self._signs():
            raise Refused("The key that is here does not sign this record.", fix=LOST)
        else:
            await self.seal("rotation")
            self.keys = self.keys.renewed()
        await self.ready()

        def work(unit: Unit) -> None:
            if beside is not None:
                beside(unit)
            self.seal_in(unit, "rotation", must=True, after_loss=after_loss)

        await self._database.transact(work)
        self.keys = self.keys.alone()
        return self.keys.newest.public

    async def _signs(self) -> bool:
        """Whether a key that is here may sign next."""
        if self.keys is None:
            return False
        await self.ready()
        last = await self._database.read(audit_seals.noted)
        newest = self.keys.newest.public
        return last is None or self.keys.of(last.public) is not None or newest in self._trusted

    def trust(self, accepted: frozenset[int] = frozenset()) -> Trust:
        """What this machine knows of the record. Not for the loop: it may load a library."""
        own = publics(self.keys.keys) if self.keys is not None else frozenset[str]()
        return Trust(own | self._trusted, accepted=accepted, witness=self.known)

    async def _keep_sealing(self) -> None:
        while True:
            await asyncio.sleep(self._settings.audit.seal_every)
            await self._try("time")

    async def _try(self, of: str) -> None:
        try:
            await self.seal(of)
        except EngineError as error:
            log.error("The record could not be signed (%s); trying again.", error)

    def _saw(self, sealed: Sealed, keys: AuditKeys) -> None:
        if sealed.foreign:
            self._tell(_foreign(sealed.foreign, keys.newest))
            return
        if sealed.missing is not None:
            self._tell(
                f"Row {sealed.missing.number} of the record of deeds was sealed here and is not there any more: the "
                "database was put back to an earlier state, or somebody wrote it anew. Row "
                f"{sealed.head.number} of the record says so."
            )
        if sealed.head != self.known:
            self.known = sealed.head
            log.info("The record of deeds is signed up to row %d, %s.", sealed.head.number, sealed.head.hash)
            _write(self._file, sealed.head)

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            log.error("%s", sentence)


def _foreign(public: str, mine: AuditKey) -> str:
    return (
        f"The record of deeds is signed with key {fingerprint(public)}, and the key here is "
        f"{fingerprint(mine.public)}: this process signs nothing. Give it the key of the others (their `audit.key`, or "
        "PARLEY_AUDIT__KEY), or list its public key (`parley audit key`) under `audit.trusted` in the settings of all."
    )


def _read(file: Path) -> Head:
    try:
        number, hash_ = json.loads(file.read_text("ascii"))
    except (OSError, ValueError, TypeError):
        return Head()
    return Head(number, hash_) if isinstance(number, int) and isinstance(hash_, str) else Head()


def _write(file: Path, head: Head) -> None:
    """Never half written; after a power cut it may be the one before, which must be in the record as well."""
    new = file.with_name(f".{file.name}.new")
    try:
        new.write_text(canonical([head.number, head.hash]), "ascii")
        new.replace(file)
    except OSError as error:
        log.error("%s can't be written: %s", file, error.strerror)
