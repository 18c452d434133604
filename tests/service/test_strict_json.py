"""JSON that two readers cannot understand in two ways."""

import pytest

from keyledger.http.strict_json import DEPTH, NotJSON, decode


def test_json_is_what_it_says() -> None:
    text = '{"a": [1, -2.5, true, null, "é\\ud83d\\ude00"], "big": 123456789012345678901234567890}'
    assert decode(text.encode()) == {"a": [1, -2.5, True, None, "é😀"], "big": 123456789012345678901234567890}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '[{"b": {"a": 1, "\\u0061": 2}}]',
        "NaN",
        "[-Infinity]",
        "1e400",
        '"\\ud800"',
        '{"\\udc00": 1}',
        '"\\u0000"',
        '["a\\ud83dz"]',
        "[1,]",
        "{'a': 1}",
        "01",
        "",
        " ",
        "[1] 2",
        "9" * 5000,
        "[" * (DEPTH + 2) + "]" * (DEPTH + 2),
        '{"a":' * 50_000,
    ],
)
def test_what_is_ambiguous_is_refused(text: str) -> None:
    with pytest.raises(NotJSON):
        decode(text.encode())


@pytest.mark.parametrize("data", [b'"\xff"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf1", '"a"'.encode("utf-16")])
def test_what_is_not_utf_8_is_refused(data: bytes) -> None:
    with pytest.raises(NotJSON):
        decode(data)


def test_nesting_up_to_the_limit_is_read() -> None:
    assert decode(b'{"claims":' + b"[" * (DEPTH - 1) + b"]" * (DEPTH - 1) + b"}")
