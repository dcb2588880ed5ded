"""A database and a vault for store tests."""

import pytest
from cryptography.fernet import Fernet

from engine.secrets import AtRest, Masker, Vault
from engine.store.database import SqliteDatabase
from engine.store.postgres import PostgresDatabase


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request, tmp_path):
    """One contract, two databases: every test of rows and groups runs on both."""
    if request.param == "sqlite":
        opened = await SqliteDatabase.open(tmp_path / "parley.db")
    else:
        opened = await PostgresDatabase.open(request.getfixturevalue("postgres"))
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite(tmp_path):
    """For what only a file can show."""
    opened = await SqliteDatabase.open(tmp_path / "parley.db")
    yield opened
    await opened.close()


@pytest.fixture
def masker():
    return Masker()


@pytest.fixture
def sealer(masker):
    return AtRest(Vault([Fernet.generate_key().decode()]), masker)
