"""The documents name files and folders that are there."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOPS = ("docs", "domain", "examples", "infrastructure", "keyledger", "projections", "scripts", "tests")
PATH = re.compile(rf"(?:{'|'.join(TOPS)})/[\w./]*")
MODULE = re.compile(r"\w+\.(?:py|sql)")


def sections(text: str) -> Iterator[tuple[str, str]]:
    """The folder in each heading, or nothing, and what stands below."""
    for section in re.split(r"^#+ ", text, flags=re.MULTILINE):
        heading, _, body = section.partition("\n")
        folder = re.search(r"`([^`]+/)`", heading)
        yield folder[1] if folder else "", body


def is_there(name: str, folder: str) -> bool:
    """Below the folder; with none, at the top or anywhere below one of the folders there."""
    below = [folder] if folder else TOPS
    return (not folder and (ROOT / name).exists()) or any(any((ROOT / top).rglob(name)) for top in below)


def missing(text: str) -> list[str]:
    paths = [found[0] for quoted in re.findall(r"`([^`\n]+)`", text) if (found := PATH.match(quoted))]
    modules = [
        (name, folder)
        for folder, body in sections(text)
        for name in re.findall(r"`([^`\n]+)`", body)
        if MODULE.fullmatch(name)
    ]
    return [path for path in paths if not (ROOT / path).exists()] + [
        name for name, folder in modules if not is_there(name, folder)
    ]


def test_every_file_that_the_design_names_is_there() -> None:
    assert missing((ROOT / "docs" / "design.md").read_text("utf-8")) == []


def test_every_file_that_the_readme_names_is_there() -> None:
    assert missing((ROOT / "README.md").read_text("utf-8")) == []


def test_a_name_below_a_folder_s_heading_is_looked_for_in_that_folder() -> None:
    assert missing("# Uses (`infrastructure/uses/`)\n`memory.py` `sequencer.py` `tests/none.py`") == [
        "tests/none.py",
        "sequencer.py",
    ]
