"""Requests a second, granian with one worker: a plain ASGI route, the same behind the middleware, and verify.

Between them stand the same route with a bare `verify`, and with the floor of `hot`, which no check can do without.
Behind the middleware it is measured twice: with the read models kept by another process, and in a service that has
its database to itself, and so keeps them too. Each round starts each service anew, as where a process lies in
memory makes a difference of some percent, and no other service runs beside it.
"""

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from keyledger import KeyLedger
from scripts.benchmarks import report
from scripts.benchmarks.databases import new_database
from scripts.benchmarks.scale import Scale

HOST = "127.0.0.1"
CONNECTIONS = 32
MOST_OF_ALL = 0.85  # the middleware may cost 15 % of the requests
PATIENCE_SECONDS = 30
WARM_UP_SECONDS = 1

PLAIN, GUARDED, ALONE = "plain route", "behind the middleware", "the same, the only process"
VERIFY = "POST /api_keys/verify"
BARE, BY_HAND = "with a bare verify", "with the floor by hand"

# A secret has no place in wrk's arguments.
GET = 'wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_KEY")\n'
POST = """
wrk.method = "POST"
wrk.path = "/api_keys/verify"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_CREDENTIAL")
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"secret":"' .. os.getenv("BENCH_KEY") .. '"}'
"""


def run(dsn: str, scale: Scale) -> None:
    """Measure them in turns."""
    if shutil.which("wrk") is None:
        report.note("\nmiddleware: left out, for want of wrk (Debian: apt-get install wrk)")
        return
    with KeyLedger.open(dsn) as ledger, ExitStack() as stack:
        key = ledger.api_keys.create(name="benchmark", subject="org_benchmark", scopes=["read"])
        secrets = {"BENCH_KEY": str(key.secret)}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keyledger-bench-")))
        get = _script(folder, "get", GET)
        own, own_secrets = _own_database(stack, dsn)
        services = {
            PLAIN: Service(partial(_granian, dsn, "plain"), get, secrets),
            BY_HAND: Service(partial(_granian, dsn, "floored", "--factory", **secrets), get, secrets),
            BARE: Service(partial(_granian, dsn, "verifying", "--factory"), get, secrets),
            GUARDED: Service(partial(_granian, dsn, "guarded", "--factory"), get, secrets),
            ALONE: Service(partial(_granian, own, "guarded", "--factory"), get, own_secrets),
        }
        if importlib.util.find_spec("keyledger.http") is not None:
            post, both = _script(folder, "post", POST), {**secrets, "BENCH_CREDENTIAL": _credential(dsn)}
            services[VERIFY] = Service(partial(_keyledger_serve, dsn), post, both)
        rates = _in_turns(services, rounds=scale.rounds, seconds=scale.load_seconds)
    report.throughput(
        f"middleware: requests/s by wrk, {CONNECTIONS} connections, granian with one worker",
        rates,
        least={GUARDED: MOST_OF_ALL, ALONE: MOST_OF_ALL},
    )
    if VERIFY not in rates:
        report.note(f"{VERIFY}: left out, for want of keyledger.http")


class Service(NamedTuple):
    """What starts it and says where it listens, what it is asked, and the secrets for that."""

    start: Callable[[], AbstractContextManager[int]]
    script: Path
    secrets: Mapping[str, str]


def _own_database(stack: ExitStack, dsn: str) -> tuple[str, Mapping[str, str]]:
    """A database that nobody else has open, with a key."""
    own = stack.enter_context(new_database(dsn))
    with KeyLedger.open(own, migrate=True) as ledger:
        key = ledger.api_keys.create(name="benchmark", subject="org_benchmark", scopes=["read"])
    return own, {"BENCH_KEY": str(key.secret)}


def _in_turns(services: Mapping[str, Service], *, rounds: int, seconds: int) -> dict[str, list[float]]:
    """Requests a second in each round."""
    found: dict[str, list[float]] = {name: [] for name in services}
    order = list(services.items())
    for _ in range(rounds):
        for name, service in order:
            with service.start() as port:
                _load(service, port, WARM_UP_SECONDS)
                found[name].append(_load(service, port, seconds))
        order.reverse()
    return found


def _load(service: Service, port: int, seconds: int) -> float:
    address = f"http://{HOST}:{port}/"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(service.script), address]
    done = subprocess.run(
        command,
        env={**os.environ, **service.secrets},
        capture_output=True,
        text=True,
        timeout=seconds + PATIENCE_SECONDS,
        check=True,
    )
    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", done.stdout, re.MULTILINE)
    if rate is None or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"wrk was not answered as it should be:\n{done.stdout}{done.stderr}")
    return float(rate[1])


@contextmanager
def _granian(dsn: str, name: str, *options: str, **env: str) -> Iterator[int]:
    port = _free_port()
    granian = [sys.executable, "-m", "granian", "--host", HOST, "--port", str(port), "--workers", "1"]
    target = f"scripts.benchmarks.services:{name}"
    command = [*granian, "--interface", "asginl", "--log-level", "error", *options, target]
    with _process(command, port, KEYLEDGER_DSN=dsn, **env):
        yield port


@contextmanager
def _keyledger_serve(dsn: str) -> Iterator[int]:
    port = _free_port()
    serve = [sys.executable, "-m", "keyledger", "serve", "--host", HOST, "--port", str(port), "--workers", "1"]
    with _process(serve, port, KEYLEDGER_DSN=dsn):
        yield port


@contextmanager
def _process(command: list[str], port: int, **env: str) -> Iterator[None]:
    """A server that answers, until the end of the block. What it logs is shown only where it does not."""
    log = tempfile.TemporaryFile()  # noqa: SIM115 - the server writes to it until it has ended
    process = subprocess.Popen(command, env={**os.environ, **env}, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise RuntimeError(f"{command[2]} does not answer:\n{log.read().decode(errors='replace')}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS)
        process.kill()
        log.close()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://{HOST}:{port}/", timeout=1).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _credential(dsn: str) -> str:
    command = [sys.executable, "-m", "keyledger", "--json", "credentials", "create", "--name", "benchmark"]
    done = subprocess.run(
        [*command, "--scopes", "keys:verify"],
        env={**os.environ, "KEYLEDGER_DSN": dsn},
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["secret"])


def _script(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.lua"
    path.write_text(text, "utf-8")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
