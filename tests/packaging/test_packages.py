"""The list of packages: an unlisted one would vanish from the wheel in silence."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("domain", "infrastructure", "projections")


def test_every_package_is_listed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    inits = [path.parent for room in ("keyledger", *ROOMS) for path in (ROOT / room).rglob("__init__.py")]
    found = {".".join(folder.relative_to(ROOT).parts) for folder in inits}
    renamed = {name if name.startswith("keyledger") else f"keyledger.{name}" for name in found}
    assert set(listed) == renamed


def test_each_room_is_linked_for_editors_and_type_checkers() -> None:
    for room in ROOMS:
        link = ROOT / "keyledger" / room
        assert link.is_symlink()
        assert str(link.readlink()) == f"../{room}"
