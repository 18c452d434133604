"""The README's commands are those that there are, with the options that they take."""

import re
import shlex
from pathlib import Path

import click
import pytest

from keyledger.cli import program

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
LINES = [
    line
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    if not language
    for line in block.splitlines()
    if line.startswith("keyledger ") and not line.startswith("keyledger [")
]


def words(line: str) -> list[str]:
    """What a shell would hand to the command."""
    found = shlex.split(line, comments=True)[1:]
    end = next((place for place, word in enumerate(found) if word in ("<", ">")), len(found))
    return ["ak_" + 32 * "0" if word == "ak_…" else word for word in found[:end]]


@pytest.mark.parametrize("line", LINES)
def test_a_command_is_one_that_there_is(line: str) -> None:
    command: click.Command = program
    rest = words(line)
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    command.make_context(command.name, rest, parent=click.Context(program)).close()


def test_each_command_is_named() -> None:
    assert {words(line)[0] for line in LINES} == set(program.commands)
