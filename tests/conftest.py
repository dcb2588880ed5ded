"""What tests of several folders use: databases of both kinds."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import server

# How fast a machine is proves nothing about a law; tests/bench measures.
settings.register_profile("parley", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("parley")
# Tests say which row is the last; on a slow machine a seal would come in between.
os.environ.setdefault("PARLEY_AUDIT__SEAL_EVERY", "3600")


@pytest.fixture(scope="session")
def postgres_server():
    """One server for all tests of this process, started when the first asks for it."""
    with server() as running:
        yield running


@pytest.fixture(scope="session")
def kept_database(postgres_server):
    """One database for all tests of this process that empty it first: making one takes a while."""
    address = postgres_server.create()
    yield address
    postgres_server.drop(address)


@pytest.fixture
def postgres(kept_database, postgres_server):
    """The address of an empty database with its schema, if it has one already."""
    postgres_server.empty(kept_database)
    return kept_database


@pytest.fixture
def new_postgres(postgres_server):
    """The address of a database that nobody has used."""
    address = postgres_server.create()
    yield address
    postgres_server.drop(address)
