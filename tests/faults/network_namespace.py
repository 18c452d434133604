"""A network of a test's own, whose cable can be pulled: what is sent then is lost without a word."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class NetworkNamespace:
    """Programs that run `within` reach this machine at `host` only."""

    def __init__(self, name: str, number: int) -> None:
        self._name = name
        self._cable = f"{name}h"
        self.host = f"10.213.{number}.1"
        self.within = ("ip", "netns", "exec", name)
        _ip("netns", "add", name)
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("addr", "add", f"{self.host}/30", "dev", self._cable)
        _ip("link", "set", self._cable, "up")
        _ip("-n", name, "addr", "add", f"10.213.{number}.2/30", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")

    def cut(self) -> None:
        """Lose every packet from now on."""
        _ip("link", "set", self._cable, "down")

    def join(self) -> None:
        """Lose none any more."""
        _ip("link", "set", self._cable, "up")


@contextmanager
def network_namespace() -> Iterator[NetworkNamespace]:
    """One for this test; skips it where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a network namespace")
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not installed")
    name = f"kl{os.getpid()}"
    try:
        namespace = NetworkNamespace(name, os.getpid() % 250 + 1)
    except subprocess.CalledProcessError as error:
        subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
        pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}")
    try:
        yield namespace
    finally:
        _ip("netns", "del", name)  # and with it the cable


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
