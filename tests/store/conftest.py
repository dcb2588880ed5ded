"""A database and a vault for store tests."""

import pytest
from cryptography.fernet import Fernet

from engine.secrets import AtRest, Masker, Vault
from engine.store.database import SqliteDatabase


@pytest.fixture
async def database(tmp_path):
    opened = await SqliteDatabase.open(tmp_path / "parley.db")
    yield opened
    await opened.close()


@pytest.fixture
def masker():
    return Masker()


@pytest.fixture
def sealer(masker):
    return AtRest(Vault([Fernet.generate_key().decode()]), masker)
