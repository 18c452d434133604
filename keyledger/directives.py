"""Cython's directives as decorators of classes: where a source is run they do nothing.

In the copy that `setup.py` compiles, what is imported from here is imported from Cython.
"""

from typing import TypeVar

C = TypeVar("C", bound=type)


def cclass(cls: C) -> C:
    """It is a C structure; this has to stand next to the class, and others above it."""
    return cls


def no_gc(cls: C) -> C:
    """The garbage collector knows of no instance: for what is never in a cycle."""
    return cls
