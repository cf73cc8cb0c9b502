"""What looks like a secret is masked in texts, and what says what happened is left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.masking import MASK, masked, masked_text

HIDDEN = (
    "could not connect to postgres://studio:s3cr3t@db/x",
    "redis://:s3cr3t@cache:6379 refused",
    "postgres://u:s3cr3t@s3cr3t@db/x",
    "password=s3cr3t host=db",
    "PGPASSWORD=s3cr3t",
    "smtp_password: s3cr3t, port 25",
    "{'api_key': 's3cr3t', 'n': 1}",
    '{"apiKey":"s3cr3t s3cr3t"}',
    "client_secret = 's3cr3t",
    "Authorization: Bearer s3cr3t",
    "sent Bearer s3cr3ts3cr3t to the server",
    "key sk-s3cr3ts3cr3ts3cr3t was refused",
    "Cookie: s3cr3t",
    "Cookie: theme=dark; session=s3cr3t",
    "Authorization: Token s3cr3t",
    r"body {\"password\": \"s3cr3t\"} refused",
    "password=ab&s3cr3t",
)
TELLING = (
    "ConnectionError: the mail server is away",
    "KeyError: 'token'",
    "the password is wrong",
    "https://host:8443/path?q=1",
    "passed 3 of 4 at 12:30:01",
)


@pytest.mark.parametrize("text", HIDDEN)
def test_a_secret_is_masked(text: str) -> None:
    assert "s3cr3t" not in masked_text(text)
    assert MASK in masked_text(text)


@pytest.mark.parametrize("text", TELLING)
def test_what_happened_is_told(text: str) -> None:
    assert masked_text(text) == text


def test_members_of_telling_names_are_masked_however_deep() -> None:
    assert masked({"to": ["ann", {"Passphrase": {"x": 1}}]}) == {"to": ["ann", {"Passphrase": MASK}]}


@given(st.text())
def test_whatever_it_was_a_text_column_holds_it(text: str) -> None:
    masked_text(text + "\0\ud800" + text).encode()
    assert "\0" not in masked_text(text)
    assert len(masked_text(text * 50, 100)) <= 100


def test_a_long_text_is_bounded_and_quickly_so() -> None:
    """Quadratic matching would take hours."""
    for text in ("token" * 2**20, "://" * 2**20, "password: " * 2**20, "'" * 2**20, "a" * 2**22, "=" * 2**20):
        assert len(masked_text(text)) <= 2000
