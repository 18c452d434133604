"""The dict with a limit: what was used lately is kept."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from keyledger.infrastructure.verifying.generations import Generations

calls = st.lists(st.tuples(st.sampled_from(["get", "put", "pop"]), st.integers(0, 12)))


def test_of_what_was_put_the_last_ones_are_kept() -> None:
    kept = Generations[int, int](10)
    forgotten = [kept.put(number, number) for number in range(1000)]

    assert len(kept) == 10
    assert [kept.get(number) for number in range(990, 1000)] == list(range(990, 1000))
    assert forgotten == [None] * 10 + list(range(990))


def test_what_is_used_again_and_again_is_forgotten_once_a_generation_at_most() -> None:
    kept, lost = Generations[int, str](10), 0
    for number in range(1000):
        kept.put(number, "met once")
        if kept.get(-1) is None:
            lost += 1
            kept.put(-1, "in use")
    assert lost <= 1000 / 9 + 1


@given(st.integers(1, 6), calls)
def test_it_holds_what_a_dict_would_unless_it_was_forgotten_and_never_more_than_its_limit(
    limit: int, made: list[tuple[str, int]]
) -> None:
    kept, model = Generations[int, object](limit), OrderedDict[int, object]()
    for call, key in made:
        if call == "put":
            value = object()
            forgotten = kept.put(key, value)
            model[key] = value
            if forgotten is not None:
                (lost,) = (other for other, found in model.items() if found is forgotten)
                assert lost != key
                del model[lost]
        elif call == "get":
            assert kept.get(key) is model.get(key)
        else:
            assert kept.pop(key) is model.pop(key, None)
        assert len(kept) == len(model) <= limit
