"""Lists of keys of one type, for the HTTP service."""

from collections.abc import Callable

import pytest

from keyledger import APIKey, InvalidArgument, KeyLedger


def listed(ledger: KeyLedger, kind: str | None, **more: object) -> tuple[list[str], int]:
    page = ledger.api_keys.window(subject="user_1", limit=100, type=kind, **more)  # type: ignore[arg-type]
    return [key.name for key in page.data], page.total_count


@pytest.mark.parametrize("few_keys", [500, 3])  # a subject of few keys is read whole; of many by the counts
def test_only_keys_of_the_type_count(
    ledger: KeyLedger, create: Callable[..., APIKey], list_limits: Callable[..., None], few_keys: int
) -> None:
    list_limits(few_keys=few_keys, leaf_keys=4, most_waiting=100)
    for number in range(6):
        create(name=f"usual {number}")
    ledger.catch_up()
    usual = [f"usual {number}" for number in reversed(range(6))]
    assert listed(ledger, "api_key") == listed(ledger, None) == (usual, 6)
    assert listed(ledger, "machine") == ([], 0)

    create(name="other", type="machine")
    assert listed(ledger, "api_key") == (usual, 6)
    assert listed(ledger, "machine") == (["other"], 1)
    assert listed(ledger, None) == (["other", *usual], 7)
    assert listed(ledger, "api_key", query="OTHER") == ([], 0)
    assert listed(ledger, "machine", query="OTHER") == (["other"], 1)
    assert listed(ledger, "api_key", offset=4) == (["usual 1", "usual 0"], 6)


def test_a_type_is_3_characters_at_least(ledger: KeyLedger) -> None:
    with pytest.raises(InvalidArgument, match="type"):
        listed(ledger, "ab")
