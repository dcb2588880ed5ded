"""Files encrypted with a password, as `openssl enc` and Kestra write them."""

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from engine.plugin import TaskFailed

Kind = Literal["PBKDF2_SHA256", "PBKDF2_SHA512", "ARGON2ID", "SCRYPT"]
OPENSSL, KESTRA, VERSION = b"Salted__", b"KESTRAENC", 1
SALT, NONCE, TAG, KEY, BLOCK_BITS = 16, 12, 16, 32, 128
NUMBERS: dict[int, tuple[Kind, struct.Struct]] = {  # what follows salt and nonce in a file of Kestra's
    2: ("PBKDF2_SHA512", struct.Struct(">I")),
    3: ("ARGON2ID", struct.Struct(">IIH")),
    4: ("SCRYPT", struct.Struct(">IBB")),
}
SCRYPT_R = 8
MIN_ROUNDS, MAX_ROUNDS, MAX_MEMORY = 10_000, 10_000_000, 1 << 20
MAX_WORK = 1 << 24  # kilobytes that ARGON2ID and SCRYPT may fill: how often they do, a file says itself
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a key comes from a password."""

    kind: Kind
    rounds: int = 0
    memory: int = 0
    lanes: int = 1

    def key(self, password: str, salt: bytes) -> bytes:
        """The key; for PBKDF2_SHA256 what the first block is mixed with follows it. Blocks; TaskFailed."""
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        secret = password.encode()
        if self.kind.startswith("PBKDF2"):
            if not MIN_ROUNDS <= self.rounds <= MAX_ROUNDS:
                raise TaskFailed(f"`iterations` must be from {MIN_ROUNDS} to {MAX_ROUNDS}, not {self.rounds}.")
            size = KEY + BLOCK_BITS // 8 if self.kind == "PBKDF2_SHA256" else KEY
            return hashlib.pbkdf2_hmac(self.kind.removeprefix("PBKDF2_"), secret, salt, self.rounds, size)
        if self.memory > MAX_MEMORY:
            raise TaskFailed(f"`memory` may be {MAX_MEMORY} at most, not {self.memory}.")
        times = self.lanes if self.kind == "SCRYPT" else self.rounds
        if self.memory * times > MAX_WORK:
            raise TaskFailed(
                f"{self.kind} over {self.memory} kilobytes, {times} times, is more than may be worked through here.",
                fix="Encrypt with less `memory`, `argon2TimeCost` or `parallelism`.",
            )
        try:
            if self.kind == "SCRYPT":
                return Scrypt(salt, KEY, n=self.memory, r=SCRYPT_R, p=self.lanes).derive(secret)
            maker = Argon2id(salt=salt, length=KEY, iterations=self.rounds, lanes=self.lanes, memory_cost=self.memory)
            return maker.derive(secret)
        except ValueError as error:
            raise TaskFailed(f"{self.kind} cannot work so: {error}.") from error

    def header(self, salt: bytes, nonce: bytes) -> bytes:
        """What a file of Kestra's begins with. TaskFailed when a number does not fit."""
        number = next(number for number, (kind, _) in NUMBERS.items() if kind == self.kind)
        given = {2: (self.rounds,), 3: (self.rounds, self.memory, self.lanes), 4: (self.memory, SCRYPT_R, self.lanes)}
        try:
            return KESTRA + bytes([VERSION, number]) + salt + nonce + NUMBERS[number][1].pack(*given[number])
        except struct.error as error:
            raise TaskFailed(f"`parallelism` cannot be {self.lanes} with {self.kind}.") from error


def encrypt(source: Path, target: Path, password: str, how: Derivation) -> None:
    """Blocks; TaskFailed."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    with source.open("rb") as given, target.open("wb") as out:
        if how.kind == "PBKDF2_SHA256":
            salt = os.urandom(SALT // 2)
            made = how.key(password, salt)
            writer: Any = Cipher(algorithms.AES(made[:KEY]), modes.CBC(made[KEY:])).encryptor()
            padder = PKCS7(BLOCK_BITS).padder()
            out.write(OPENSSL + salt)
            while block := given.read(CHUNK):
                out.write(writer.update(padder.update(block)))
            out.write(writer.update(padder.finalize()) + writer.finalize())
            return
        salt, nonce = os.urandom(SALT), os.urandom(NONCE)
        header = how.header(salt, nonce)
        writer = Cipher(algorithms.AES(how.key(password, salt)), modes.GCM(nonce)).encryptor()
        writer.authenticate_additional_data(header)
        out.write(header)
        while block := given.read(CHUNK):
            out.write(writer.update(block))
        out.write(writer.finalize() + writer.tag)


def decrypt(source: Path, target: Path, password: str, rounds: int) -> None:
    """Blocks; TaskFailed when it is no such file, was changed, or the password is another."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    try:
        with source.open("rb") as given, target.open("wb") as out:
            begins = given.read(len(OPENSSL))
            if begins == OPENSSL:
                made = Derivation("PBKDF2_SHA256", rounds).key(password, _exactly(given, SALT // 2))
                reader: Any = Cipher(algorithms.AES(made[:KEY]), modes.CBC(made[KEY:])).decryptor()
                padder = PKCS7(BLOCK_BITS).unpadder()
                while block := given.read(CHUNK):
                    out.write(padder.update(reader.update(block)))
                out.write(padder.update(reader.finalize()) + padder.finalize())
                return
            if begins + given.read(len(KESTRA) - len(OPENSSL)) != KESTRA:
                raise TaskFailed(f"{source.name} is not encrypted with a password, or in another way.")
            how, header, salt, nonce = _header(given)
            reader = Cipher(algorithms.AES(how.key(password, salt)), modes.GCM(nonce)).decryptor()
            reader.authenticate_additional_data(header)
            kept = b""  # the last bytes are the file's seal
            while block := given.read(CHUNK):
                kept += block
                out.write(reader.update(kept[:-TAG]))
                kept = kept[-TAG:]
            out.write(reader.finalize_with_tag(kept))
    except (InvalidTag, ValueError) as error:
        fix = "Check `password`, and for a file of `openssl` also `iterations`."
        raise TaskFailed(f"{source.name} cannot be decrypted: another password, or a damaged file.", fix=fix) from error


def _header(given: IO[bytes]) -> tuple[Derivation, bytes, bytes, bytes]:
    """How the key is made, the whole header, salt and nonce."""
    version, number = _exactly(given, 2)
    if version != VERSION or number not in NUMBERS:
        raise TaskFailed(f"The file is of a form that is not known (version {version}, key derivation {number}).")
    salt, nonce = _exactly(given, SALT), _exactly(given, NONCE)
    kind, form = NUMBERS[number]
    packed = _exactly(given, form.size)
    values = form.unpack(packed)
    how = Derivation(kind, memory=values[0], lanes=values[2]) if kind == "SCRYPT" else Derivation(kind, *values)
    return how, KESTRA + bytes([version, number]) + salt + nonce + packed, salt, nonce


def _exactly(given: IO[bytes], size: int) -> bytes:
    found = given.read(size)
    if len(found) < size:
        raise ValueError("it ends too early")
    return found
