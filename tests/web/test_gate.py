"""Who may pass: pure decisions."""

import pytest

from bot.conversation import Person
from bot.web.gate import Gate, Session, is_loopback, private_key

ANN = Person("local:ann", "ann", "web")
SUE = Person("slack:U1", "Sue", "web")
LOCAL = Gate(b"k" * 32, frozenset({"localhost", "127.0.0.1", "[::1]"}), ANN, {}, "api-token")
GUARDED = Gate(b"k" * 32, frozenset({"parley.example.com"}), ANN, {"ci": "long-token"}, "api-token", True)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:8082", True),
        ("127.0.0.1", True),
        ("[::1]:8082", True),
        ("LOCALHOST", True),
        ("evil.example", False),
        ("localhost.evil.example:8082", False),
        ("", False),
        (None, False),
    ],
)
def test_only_our_own_names_are_answered(host, allowed):
    assert LOCAL.host_allowed(host) is allowed


@pytest.mark.parametrize(
    ("origin", "site", "allowed"),
    [
        ("http://localhost:8082", None, True),
        (None, "same-origin", True),
        (None, None, True),
        ("null", None, False),
        ("https://evil.example", "cross-site", False),
        ("http://localhost.evil.example", None, False),
        (None, "cross-site", False),
        ("file://localhost", None, False),
    ],
)
def test_changes_come_from_our_own_pages(origin, site, allowed):
    assert LOCAL.origin_allowed(origin, site) is allowed


def test_a_csrf_token_fits_one_browser_only():
    one, other = LOCAL.new_session(), LOCAL.new_session()
    assert LOCAL.csrf_matches(one, LOCAL.csrf(one))
    assert not LOCAL.csrf_matches(other, LOCAL.csrf(one))
    assert not LOCAL.csrf_matches(one, None)
    assert not LOCAL.csrf_matches(one, "")


def test_a_cookie_that_was_touched_is_no_session():
    sealed = GUARDED.seal(GUARDED.new_session("token:ci"))
    body, _, mac = sealed.partition(".")
    assert GUARDED.unseal(sealed) is not None
    assert GUARDED.unseal(f"{body}x.{mac}") is None
    assert GUARDED.unseal(f"{body}.{mac[::-1]}") is None
    assert GUARDED.unseal("") is None
    assert GUARDED.unseal(None) is None


def test_an_old_cookie_is_no_session():
    assert GUARDED.unseal(GUARDED.seal(Session("n", "token:ci", expires=1))) is None


def test_without_tokens_the_local_user_asks():
    assert LOCAL.person(None, None) == ANN
    assert LOCAL.person(None, "api-token") == ANN
    assert LOCAL.person(None, "wrong") is None


def test_with_tokens_only_they_open():
    assert GUARDED.person(None, None) is None
    assert GUARDED.person(GUARDED.new_session(), None) is None
    assert GUARDED.person(GUARDED.new_session("token:gone"), None) is None
    assert GUARDED.person(GUARDED.new_session("slack:U1"), None) is None  # a cookie alone proves no account of a chat
    assert GUARDED.person(GUARDED.new_session("token:ci"), None).id == "token:ci"
    assert GUARDED.person(GUARDED.new_session("token:ci"), None, SUE) == SUE
    assert GUARDED.person(None, "api-token") == ANN  # the command line on this machine
    assert GUARDED.person(None, "long-token").name == "ci"
    assert GUARDED.person(None, "") is None


def test_an_empty_api_token_opens_nothing():
    assert Gate(b"k" * 32, frozenset(), ANN, {}, "").person(None, "") is None


@pytest.mark.parametrize(
    ("host", "yes"),
    [("127.0.0.1", True), ("127.0.0.5", True), ("localhost", True), ("0.0.0.0", False), ("10.0.0.1", False)],
)
def test_loopback(host, yes):
    assert is_loopback(host) is yes


def test_a_key_is_made_once_and_kept_private(tmp_path):
    key = private_key(tmp_path / "keys" / "web.key")
    assert private_key(tmp_path / "keys" / "web.key") == key
    assert len(key) == 32
    assert (tmp_path / "keys" / "web.key").stat().st_mode & 0o077 == 0
