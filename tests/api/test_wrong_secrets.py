"""Wrong secrets, of keys and of none: refused from memory after the first, each on record where there is a key."""

from collections.abc import Callable

import pytest

from keyledger import APIKey, KeyLedger, Use
from keyledger.domain.ids import new_uuid
from keyledger.domain.secret import checksum, generate
from keyledger.domain.use import RecordedUse


@pytest.mark.parametrize("cached", [True, False])
def test_the_second_wrong_secret_of_a_key_is_refused_without_a_question_and_each_is_on_record(
    ledger: KeyLedger,
    create: Callable[..., APIKey],
    uses: Callable[[APIKey], list[RecordedUse]],
    cached: bool,
) -> None:
    key, right = create(), Use(request_id="right")
    if cached:
        assert ledger.verify(key.secret, use=right).valid
    wrong = [_with_id_of(key, create()) for _ in range(3)]
    assert ledger.verify(wrong[0], use=Use(request_id="0")).code == "not_found"
    with pytest.MonkeyPatch.context() as forbidden:
        forbidden.setattr(ledger._verifier._views, "look_up", None)
        for number, secret in enumerate(wrong[1:], start=1):
            found = ledger.verify(secret, use=Use(request_id=str(number)))
            assert (found.code, found.api_key) == ("not_found", None)
    assert ledger.verify(key.secret, use=right).valid

    ledger._recorder.flush()
    recorded = {(used.use.request_id, used.outcome) for used in uses(key)}
    assert recorded == {("right", "valid"), ("0", "not_found"), ("1", "not_found"), ("2", "not_found")}


def test_attempts_at_an_unknown_key_leave_nothing_in_the_ledger(
    ledger: KeyLedger, caplog: pytest.LogCaptureFixture
) -> None:
    key_id = new_uuid()
    for _ in range(5):
        assert ledger.verify(generate(key_id)).code == "not_found"
    ledger._recorder.flush()
    assert ledger._recorder.depth == 0
    assert not caplog.text


def _with_id_of(key: APIKey, stranger: APIKey) -> str:
    """A well-formed secret that says it is of a key, and is not."""
    body = str(key.secret)[:25] + str(stranger.secret)[25:68]
    return body + checksum(body)
