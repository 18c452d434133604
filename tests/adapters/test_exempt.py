"""Paths that are open to everybody."""

import pytest

from keyledger import InvalidArgument
from keyledger.adapters.exempt import ExemptPaths

PATHS = ExemptPaths(["/health", "/public/*"])


@pytest.mark.parametrize("path", ["/health", "/public/", "/public/a", "/public/a/b.css"])
def test_these_are_open(path: str) -> None:
    assert path in PATHS


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health/",
        "/healthy",
        "/Health",
        "/public",
        "/publicity",
        "/public/../things",
        "/public/a/../../things",
        "/public/./a",
        "/public//things",
        "/public/..",
        "/public/..\\things",
        "//health",
    ],
)
def test_these_are_not(path: str) -> None:
    assert path not in PATHS


@pytest.mark.parametrize("paths", ["/health", ["health"], ["/a*"], ["/a/*/b"], [1], None])
def test_what_is_no_path_is_refused(paths: object) -> None:
    with pytest.raises(InvalidArgument, match="exempt: a list of paths such as /health"):
        ExemptPaths(paths)
