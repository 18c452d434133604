"""A network between ledger and server that can fail: TCP on this side, the server's Unix socket on the other."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards to the server of `dsn` until it is told otherwise; `dsn` of its own leads through it."""

    def __init__(self, dsn: str, host: str = "127.0.0.1") -> None:
        """`host` is the address that it is reached at."""
        target = conninfo_to_dict(dsn)
        self._direct = dsn
        self._server = str(Path(str(target["host"])) / f".s.PGSQL.{target['port']}")
        self._listener = socket.create_server((host, 0))
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._open = threading.Event()
        self._open.set()
        self._lost_answer: Callable[[], bool] | None = None
        self._losses = 0
        self._refusing = False
        port = self._listener.getsockname()[1]
        self.dsn = make_conninfo(dsn, host=host, port=port, sslmode="disable", gssencmode="disable")
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def losses_left(self) -> int:
        """How many answers are still to be lost."""
        return self._losses

    def lose_answer_to_commits(self, number: int = 1) -> None:
        """Cut the connection when the server has committed the next new event, or flush, before it says so."""
        before = self._commits()
        self._losses = number
        self._lost_answer = lambda: self._commits() > before

    def stall(self) -> None:
        """Forward nothing more, on any connection."""
        self._open.clear()

    def resume(self) -> None:
        """Forward what was held back, and everything after it."""
        self._open.set()

    def forget(self) -> None:
        """Never forward anything on the present connections, without a word, as a firewall after a restart."""
        with self._lock:
            for link in self._links:
                link.forgotten = True

    def cut(self) -> None:
        """Reset every connection."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.cut()

    def refuse(self, refusing: bool = True) -> None:
        """Reset every connection, and each new one, until told otherwise."""
        self._refusing = refusing
        if refusing:
            self.cut()

    def close(self) -> None:
        """End the proxy."""
        self.refuse()
        self._open.set()
        self._listener.close()

    def pass_answer(self) -> bool:
        """Whether an answer may go to the client."""
        if self._losses and self._lost_answer is not None and self._lost_answer():
            with self._lock:
                lost, self._losses = self._losses > 0, max(0, self._losses - 1)
            return not lost
        return True

    def pass_question(self) -> None:
        """Wait out a stall."""
        self.wait_out_stall()

    def wait_out_stall(self) -> None:
        """Return when nothing is held back."""
        self._open.wait()

    def _commits(self) -> int:
        with psycopg.connect(self._direct, application_name="observer") as connection:
            row = connection.execute("SELECT count(*) FROM keyledger.events").fetchone()
        assert row is not None
        return int(row[0])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._refusing:
                    _reset(client)
                    continue
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self._server)
                except OSError:
                    _reset(client)
                    continue
                link = _Link(self, client, server)
                with self._lock:
                    self._links.append(link)
                link.start()


class _Link:
    """One connection, forwarded by two threads."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.forgotten = False
        self._is_in_use = False  # whether it was asked anything yet, after its start
        self._proxy = proxy
        self._client = client
        self._server = server

    def start(self) -> None:
        for work in (self._ask, self._answer):
            threading.Thread(target=work, daemon=True).start()

    def cut(self) -> None:
        """Reset towards the client; towards the server it is a client that went away."""
        with contextlib.suppress(OSError):
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _ask(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._client.recv(65536):
                self._proxy.pass_question()
                self._is_in_use = self._is_in_use or b"keyledger." in data
                if not self.forgotten:
                    self._server.sendall(data)
        if not self.forgotten:
            self.cut()

    def _answer(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._server.recv(65536):
                self._proxy.wait_out_stall()
                if self._is_in_use and not self._proxy.pass_answer():
                    break
                if not self.forgotten:
                    self._client.sendall(data)
        if not self.forgotten:
            self.cut()


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()
