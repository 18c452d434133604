"""The keyed digest, and peppers that change over the years."""

import hashlib
import hmac

import pytest
from support.streams import KEY

from keyledger.domain import secret
from keyledger.domain.digest import Digest, Peppers
from keyledger.domain.errors import InvalidArgument, PepperUnavailable
from keyledger.domain.ids import new_uuid

OLD, NEW = b"o" * 32, b"n" * 32
TEXT = secret.generate(KEY)


def test_a_digest_is_the_hmac_of_version_key_and_secret() -> None:
    expected = hmac.new(NEW, b"v1" + KEY.bytes + TEXT.encode(), hashlib.sha256).digest()
    assert Peppers({"2026": NEW}).digest(KEY, TEXT) == Digest(
        algorithm="hmac-sha256-v1", kid="2026", value=expected
    )


def test_a_secret_matches_its_own_digest_only() -> None:
    peppers = Peppers({"2026": NEW})
    digest = peppers.digest(KEY, TEXT)
    assert peppers.matches(digest, KEY, TEXT)
    assert not peppers.matches(digest, KEY, secret.generate(KEY))
    assert not peppers.matches(digest, new_uuid(), TEXT)


def test_the_first_pepper_makes_digests_and_the_others_check_older_ones() -> None:
    before, after = Peppers({"old": OLD}), Peppers({"new": NEW, "old": OLD})
    assert after.matches(before.digest(KEY, TEXT), KEY, TEXT)
    assert after.digest(KEY, TEXT).kid == "new"


def test_a_digest_of_a_pepper_that_is_not_there_cannot_be_decided() -> None:
    digest = Peppers({"old": OLD}).digest(KEY, TEXT)
    with pytest.raises(PepperUnavailable, match="'old'"):
        Peppers({"new": NEW}).matches(digest, KEY, TEXT)


def test_with_no_pepper_the_digest_says_so_and_can_be_checked_later_by_those_that_have_one() -> None:
    digest = Peppers({}).digest(KEY, TEXT)
    assert digest.kid == "none"
    assert Peppers({"new": NEW}).matches(digest, KEY, TEXT)


def test_an_unknown_key_costs_the_same_hmac_and_matches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    peppers, made = Peppers({"new": NEW}), []
    real = Peppers._hmac
    monkeypatch.setattr(Peppers, "_hmac", lambda self, *args: made.append(args) or real(self, *args))
    assert not peppers.matches(None, KEY, TEXT)
    assert made == [("new", KEY, TEXT)]


@pytest.mark.parametrize("kid", ["", "none", "a b", "a:b", "x" * 33, "é"])
def test_a_pepper_has_a_plain_id(kid: str) -> None:
    with pytest.raises(InvalidArgument):
        Peppers({kid: NEW})


def test_a_pepper_has_at_least_32_bytes() -> None:
    with pytest.raises(InvalidArgument):
        Peppers({"short": b"x" * 31})


def test_the_repr_of_peppers_shows_their_ids_only() -> None:
    assert repr(Peppers({"2026": NEW})) == "Peppers(2026, none)"
