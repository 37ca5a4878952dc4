# SPDX-License-Identifier: Apache-2.0
"""The network between the members of an ensemble, as one process of relays that can be broken.

Every ordered pair of members (who dials, who is dialed) has a relay port for the quorum port
and one for the election port; member a's zoo.cfg names, for every other member, the relays of
the pairs (a, other). So each connection belongs to a known pair, and each byte to a known
direction. A direction (x, y), the bytes from x to y on all connections of the two, is

    open    passes everything, after `delay_s` when that is set
    hold    keeps bytes, ends of streams and new connections back, as a network that drops
            packets does; what was held goes on when the direction opens again
    cut     kills the connections of the two with a reset and refuses new ones

An election connection begins with a message that names the dialer's own election address, and
the server with the larger sid dials back there: the relay puts its own port for the way back into
that text, so nothing goes round it. This needs reconfigEnabled=false: with it, members would
take over the leader's view of the addresses.

Whoever dials a relay gets a connection before the relay has one to the server behind it. So that a
learner that dials a moment too early is not turned away by that, the relay tries the server
for DIAL_RETRY_S before it resets the dialer.

Of each quorum connection the relay reads along what the leader sends up to NEWLEADER, so a test
can ask how a learner was synchronised (`Relay.syncs`), whatever program it is.

As a program: lines of JSON on stdin (commands) and stdout (answers); it ends with its stdin.
"""
import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import time

DIAL_RETRY_S = 1.0
CHUNK = 65536
QUEUE_CHUNKS = 64
NEWLEADER, LEADERINFO, SNAP = 10, 17, 15
PACKET_NAMES = {2: "PROPOSAL", 4: "COMMIT", 8: "INFORM", 9: "COMMITANDACTIVATE", 10: "NEWLEADER",
                12: "UPTODATE", 13: "DIFF", 14: "TRUNC", 15: "SNAP", 17: "LEADERINFO",
                19: "INFORMANDACTIVATE", 5: "PING"}


class Relay:
    """The side of the test: starts the process and speaks with it."""

    def __init__(self, pairs):
        """pairs: list of (dialer, target, kind, relay port, target port)."""
        self.proc = subprocess.Popen([sys.executable, os.path.abspath(__file__)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask({"do": "listen", "pairs": pairs})

    def ask(self, command):
        self.proc.stdin.write(json.dumps(command) + "\n")
        self.proc.stdin.flush()
        answer = json.loads(self.proc.stdout.readline())
        assert answer.get("ok"), answer
        return answer

    def set(self, src, dst, mode, delay_s=0.0):
        """The direction from member src to member dst; other directions stay as they are."""
        self.ask({"do": "set", "src": src, "dst": dst, "mode": mode, "delay_s": delay_s})

    def syncs(self):
        """Per quorum connection so far: (learner, leader, [(packet name, zxid)...]), up to
        NEWLEADER or SNAP, oldest first; LEADERINFO is left out."""
        return [(s["learner"], s["leader"], [tuple(p) for p in s["packets"]])
                for s in self.ask({"do": "syncs"})["syncs"]]

    def close(self):
        self.proc.stdin.close()
        try:
            self.proc.wait(5)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.proc.stdout.close()


# -- the process

class Direction:
    def __init__(self):
        self.mode = "open"
        self.delay_s = 0.0
        self.changed = asyncio.Event()

    def set(self, mode, delay_s):
        self.mode, self.delay_s = mode, delay_s
        self.changed.set()
        self.changed = asyncio.Event()

    async def passable(self):
        """Waits until nothing is held back any more."""
        while self.mode == "hold":
            await self.changed.wait()


class Sniffer:
    """Reads quorum packets up to the end of the synchronisation."""

    LIMIT = 8 << 20

    def __init__(self, learner, leader):
        self.learner, self.leader = learner, leader
        self.packets = []
        self.data = b""
        self.done = False

    def feed(self, data):
        if self.done:
            return
        self.data += data
        while not self.done and self.take():
            pass
        if self.done or len(self.data) > self.LIMIT:
            self.done, self.data = True, b""

    def take(self):
        """One whole packet off the front, or False."""
        if len(self.data) < 20:
            return False
        kind, zxid, n = struct.unpack_from(">iqi", self.data)
        end = 16 + max(n, 0)
        if len(self.data) < end + 4:
            return False
        ids = struct.unpack_from(">i", self.data, end)[0]
        if kind != LEADERINFO:
            self.packets.append((PACKET_NAMES.get(kind, str(kind)), zxid))
        # A leader sends no ids; a stream with some is not what this was made for.
        self.done = kind in (NEWLEADER, SNAP) or ids > 0
        self.data = self.data[end + 4:]
        return True


def reset(writer):
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Network:
    def __init__(self):
        self.directions = {}
        self.ports = {}             # (dialer, target, kind) -> relay port
        self.connections = set()    # (dialer, target, transports)
        self.sniffers = []
        self.servers = []
        self.tasks = set()

    def direction(self, src, dst):
        return self.directions.setdefault((src, dst), Direction())

    async def listen(self, pairs):
        for dialer, target, kind, port, target_port in pairs:
            self.ports[dialer, target, kind] = port

            def accepted(reader, writer, a=dialer, b=target, k=kind, p=target_port):
                return self.accept(reader, writer, a, b, k, p)

            self.servers.append(await asyncio.start_server(accepted, "127.0.0.1", port))

    def is_cut(self, a, b):
        return "cut" in (self.direction(a, b).mode, self.direction(b, a).mode)

    def set(self, src, dst, mode, delay_s):
        self.direction(src, dst).set(mode, delay_s)
        if mode == "cut":
            for a, b, writers in list(self.connections):
                if {a, b} == {src, dst}:
                    for w in writers:
                        reset(w)

    async def accept(self, reader, writer, a, b, kind, port):
        """One connection from its accept to its end."""
        entry = (a, b, (writer,))
        self.connections.add(entry)
        try:
            target = None if self.is_cut(a, b) else await self.dial(a, b, port)
            if target is None or self.is_cut(a, b):
                return
            self.connections.discard(entry)
            entry = (a, b, (writer, target[1]))
            self.connections.add(entry)
            if kind == "election":
                await self.rewrite_hello(reader, target[1], a, b)
            sniffer = None
            if kind == "quorum":
                sniffer = Sniffer(a, b)
                self.sniffers.append(sniffer)
            await asyncio.gather(
                self.pump(reader, target[1], self.direction(a, b), None),
                self.pump(target[0], writer, self.direction(b, a), sniffer))
            for w in entry[2]:
                w.close()           # what is on its way still goes out
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections.discard(entry)
            for w in entry[2]:
                if not w.is_closing():
                    reset(w)

    async def dial(self, a, b, port):
        deadline = time.monotonic() + DIAL_RETRY_S
        while True:
            await self.direction(a, b).passable()
            await self.direction(b, a).passable()
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                if time.monotonic() > deadline or self.is_cut(a, b):
                    return None
            await asyncio.sleep(0.02)

    async def rewrite_hello(self, reader, writer, a, b):
        """Passes the initial message on with the relay's address for the way back in it."""
        head = await reader.readexactly(20)
        version, _, n = struct.unpack(">qqi", head)
        await self.direction(a, b).passable()
        if version in (-65536, -65535) and 0 < n <= 2048:
            await reader.readexactly(n)
            text = b"127.0.0.1:%d" % self.ports[b, a, "election"]
            head = head[:16] + struct.pack(">i", len(text)) + text
        writer.write(head)
        await writer.drain()

    async def pump(self, reader, writer, direction, sniffer):
        """Bytes one way. A reset on either side ends both ways, an end of stream only this."""
        queue = asyncio.Queue(QUEUE_CHUNKS)
        feeder = asyncio.ensure_future(self.feed(reader, queue))
        try:
            while True:
                data, at = await queue.get()
                if isinstance(data, Exception):
                    await direction.passable()
                    raise data
                wait = at + direction.delay_s - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                await direction.passable()
                if not data:
                    writer.write_eof()
                    return
                if sniffer:
                    sniffer.feed(data)
                writer.write(data)
                await writer.drain()
        finally:
            feeder.cancel()

    @staticmethod
    async def feed(reader, queue):
        while True:
            try:
                data = await reader.read(CHUNK)
            except OSError as e:
                data = e
            await queue.put((data, time.monotonic()))
            if not data or isinstance(data, Exception):
                return

    async def obey(self, command):
        if command["do"] == "listen":
            await self.listen(command["pairs"])
        elif command["do"] == "set":
            self.set(command["src"], command["dst"], command["mode"], command["delay_s"])
        elif command["do"] == "syncs":
            return {"ok": True, "syncs": [
                {"learner": s.learner, "leader": s.leader, "packets": s.packets}
                for s in self.sniffers]}
        return {"ok": True}


async def main():
    network = Network()
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            os._exit(0)
        try:
            answer = await network.obey(json.loads(line))
        except OSError as e:
            answer = {"ok": False, "why": str(e)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
