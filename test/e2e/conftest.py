"""Fixtures of the end-to-end tests.

platform        a running platform on SQLite and the local disk, shared by the tests of a file
any_platform    the same twice: on SQLite with the local disk, and on PostgreSQL with S3
own_platform    a factory for platforms that a test may stop, kill or configure
organization    a new organization of `platform`, with a key
"""

import pytest
from harness.extensions import Extension
from harness.platform import Platform
from harness.postgres import Postgres
from harness.s3 import ObjectStore

STORES = ("sqlite-disk", "postgresql-s3")


@pytest.fixture(scope="session")
def postgres():
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def object_store():
    server = ObjectStore()
    yield server
    server.close()


@pytest.fixture(scope="session")
def store_settings(request):
    """The platform's environment for fresh, empty stores of a kind: store_settings("postgresql-s3")."""

    def make(kind):
        if kind == "sqlite-disk":
            return {}
        database = request.getfixturevalue("postgres").database()
        store = request.getfixturevalue("object_store")
        return {"BULKHEAD_DATABASE_URL": database, **store.settings(store.bucket())}

    return make


@pytest.fixture
def own_platform(tmp_path, store_settings):
    """own_platform(stores="sqlite-disk", **settings): a platform of this test alone, not started yet."""
    made = []

    def make(stores="sqlite-disk", **settings):
        platform = Platform(tmp_path / f"platform-{len(made)}", {**store_settings(stores), **settings})
        made.append(platform)
        return platform

    yield make
    for platform in made:
        platform.close()


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    running = Platform(tmp_path_factory.mktemp("platform"), {"BULKHEAD_LIMITS_RATE_LIMITS": "false"}).start()
    yield running
    running.close()


@pytest.fixture(scope="module", params=STORES)
def any_platform(request, tmp_path_factory, store_settings):
    settings = {"BULKHEAD_LIMITS_RATE_LIMITS": "false", **store_settings(request.param)}
    running = Platform(tmp_path_factory.mktemp("platform"), settings).start()
    yield running
    running.close()


@pytest.fixture
def organization(platform):
    return platform.organization()


@pytest.fixture
def guest(tmp_path):
    """guest("echo", capabilities=[…]): an extension whose module is that test guest."""

    def make(guest_name, /, **manifest):
        return Extension.of_guest(tmp_path, guest_name, **manifest)

    return make
