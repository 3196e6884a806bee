"""A TCP proxy in front of one database, in a process of its own, that a test makes fail and heals again.

    with FaultProxy("127.0.0.1", 5432) as proxy:
        ...                 # connect to proxy.port instead
        proxy.black_hole()  # what is sent is taken and lost; nobody is told
        proxy.heal()

What a black hole has taken a byte from stays one when the proxy is healed, like a connection that a firewall between
both ends has forgotten: only new ones work. What was closed meanwhile the server learns when it is healed, as it would
from a network that is back; from one that only forgets it never does, and what such a connection held stays locked.
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
CHUNK = 65_536


class FaultProxy:
    """The proxy as a test sees it: every method returns when it is in force."""

    def __init__(self, host: str, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.fault_proxy", host, str(port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._answer())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def heal(self) -> None:
        """Hand on what comes, as in the beginning."""
        self._set("heal")

    def black_hole(self) -> None:
        """Take what comes and lose it, on open connections and new ones."""
        self._set("black_hole")

    def forget(self) -> None:
        """Lose what comes on connections that were made before; new ones are handed on."""
        self._set("forget")

    def refuse(self) -> None:
        """Reset what is open, and listen no more."""
        self._set("refuse")

    def close(self) -> None:
        """Reset what is open, and whatever comes as soon as it is there: a balancer without a server behind it."""
        self._set("close")

    def stop(self) -> None:
        """End it, and with it every connection."""
        self._process.terminate()
        self._process.communicate()

    def _set(self, command: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self._answer() == command

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


class _Pair:
    """A client's connection and ours to the database on its behalf."""

    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self.ends = ends
        self.lost = self.left = False

    def reset(self) -> None:
        for end in self.ends:
            end.transport.abort()


class _Proxy:
    """The process itself."""

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.mode = "heal"
        self.pairs: set[_Pair] = set()
        self.server: asyncio.Server | None = None
        self.port = 0

    async def listen(self) -> None:
        if self.server is None:
            self.server = await asyncio.start_server(self.take, "127.0.0.1", self.port, backlog=512)
            self.port = self.server.sockets[0].getsockname()[1]

    async def set(self, command: str) -> None:
        self.mode = command
        for pair in list(self.pairs):
            pair.lost = pair.lost or self.mode == "forget"
            if self.mode in {"refuse", "close"} or (self.mode == "heal" and pair.left):
                pair.reset()
        if self.mode == "refuse" and self.server is not None:
            self.server.close()
            self.server = None
        elif self.mode != "refuse":
            await self.listen()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "close":
            writer.transport.abort()
            return
        if self.mode == "black_hole":
            pair = _Pair(writer)
            pair.lost = True
            await self.hand_on(reader, writer, pair)
        else:
            theirs, ours = await asyncio.open_connection(*self.target)
            pair = _Pair(writer, ours)
            await asyncio.gather(self.hand_on(reader, ours, pair), self.hand_on(theirs, writer, pair))
        self.pairs.discard(pair)
        for end in pair.ends:
            end.close()

    async def hand_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, pair: _Pair) -> None:
        """One direction, to its end. What is lost tells the other side nothing."""
        self.pairs.add(pair)
        try:
            while data := await source.read(CHUNK):
                pair.lost = pair.lost or self.mode == "black_hole"
                if not pair.lost:
                    sink.write(data)
                    await sink.drain()
        except OSError:
            pass
        if pair.lost or self.mode == "black_hole":
            pair.left = True
        else:
            sink.close()


async def _main(host: str, port: int) -> None:
    proxy = _Proxy(host, port)
    await proxy.listen()
    print(proxy.port, flush=True)
    while command := (await asyncio.to_thread(sys.stdin.readline)).strip():
        await proxy.set(command)
        print(command, flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
