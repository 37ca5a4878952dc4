# SPDX-License-Identifier: Apache-2.0
"""The part of bench/run that measures ensembles of three, Apache's and Reeve's, side by side.

An ensemble is three processes on loopback with their data on one disk and the settings of Apache's
sample file (tickTime 2000, initLimit 10, syncLimit 5). Load comes from reeve-bench, spread over
the three where the row says so; CPU is the sum of the three processes.

A failover is measured by three writers, one per server, that write one after the other, reconnect
at once, to the next server, with their session, and note every answer: the gap is the longest time
around the fault in which none of them was answered.
"""
import os
import shutil
import socket
import statistics
import struct
import threading
import time

import servers

TIMES = {"tickTime": 2000, "initLimit": 10, "syncLimit": 5}
WRITE_PAUSE_S = 0.002
FAULT_LIMIT_S = 60
MILLION_HEAP_MB = 3000


def word(port, text):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
            s.sendall(text)
            answer = b""
            while part := s.recv(4096):
                answer += part
            return answer.decode(errors="replace")
    except OSError:
        return ""


class Member:
    """One server of a trio."""

    def __init__(self, trio, sid):
        self.trio, self.sid = trio, sid
        self.dir = os.path.join(trio.dir, str(sid))
        self.port = servers.free_port()
        self.quorum_port = servers.free_port()
        self.election_port = servers.free_port()
        self.child = None

    def write_config(self, settings):
        data = os.path.join(self.dir, "data")
        os.makedirs(data, exist_ok=True)
        with open(os.path.join(data, "myid"), "w") as f:
            f.write(f"{self.sid}\n")
        lines = {**TIMES, "clientPort": self.port, "clientPortAddress": "127.0.0.1",
                 "dataDir": data, "maxClientCnxns": 0, "admin.enableServer": "false", **settings}
        for m in self.trio.members:
            lines[f"server.{m.sid}"] = f"127.0.0.1:{m.quorum_port}:{m.election_port}"
        path = os.path.join(self.dir, "zoo.cfg")
        with open(path, "w") as f:
            f.writelines(f"{k}={v}\n" for k, v in lines.items())
        return path

    def start(self):
        config = self.write_config(self.trio.settings)
        with open(os.path.join(self.dir, "log.txt"), "ab") as log:
            self.child = servers.spawn(self.trio.command(config), stdout=log, stderr=log)

    def wait_serving(self, limit_s=120):
        begin = time.monotonic()
        door = servers.Knocker(self.port)
        while not door.knock():
            if self.child.poll() is not None:
                raise servers.Failed(f"{self.trio.name} {self.sid} ended by itself with status "
                                     f"{self.child.returncode}")
            if time.monotonic() - begin > limit_s:
                raise servers.Failed(f"{self.trio.name} {self.sid} does not serve")

    def end(self, how):
        """how: a signal method of Popen, kill or terminate; waits for the end."""
        if self.child is None:
            return
        getattr(self.child, how)()
        self.child.wait(30)
        servers.children.remove(self.child)
        self.child = None

    def leads(self):
        return self.child is not None and "Mode: leader" in word(self.port, b"srvr")


class Trio:
    """Three servers of one program."""

    def __init__(self, name, top, program, heap_mb):
        self.name, self.program, self.heap_mb = name, program, heap_mb
        self.dir = os.path.join(top, f"three-{name.lower()}")
        self.members = []
        self.members = [Member(self, sid) for sid in (1, 2, 3)]
        self.settings = {}

    def command(self, config):
        if self.name == "Apache":
            return ["java", f"-Xmx{self.heap_mb}m", "-cp", servers.APACHE_CLASSPATH,
                    servers.APACHE_MAIN, config]
        return [self.program, config]

    def start(self, source=None):
        """Starts all, each on an empty directory or on a copy of `source`."""
        self.stop()
        for m in self.members:
            shutil.rmtree(m.dir, ignore_errors=True)
            os.makedirs(m.dir)
            if source:
                shutil.copytree(source, os.path.join(m.dir, "data"))
        for m in self.members:
            m.start()
        for m in self.members:
            m.wait_serving()

    def leader(self):
        for _ in range(500):
            for m in self.members:
                if m.leads():
                    return m
            time.sleep(0.02)
        raise servers.Failed(f"{self.name}: no leader")

    def ordered(self):
        """The leader first."""
        leader = self.leader()
        return [leader] + [m for m in self.members if m is not leader]

    def ports(self):
        return ",".join(str(m.port) for m in self.ordered())

    def pids(self):
        return ",".join(str(m.child.pid) for m in self.members)

    def stop(self):
        for m in self.members:
            m.end("kill")


class Writer(threading.Thread):
    """Writes to one node for ever; `answers` are the times of what was answered."""

    def __init__(self, members, first):
        super().__init__(daemon=True)
        self.members, self.next = members, first
        self.path = b"/gap-%d" % first
        self.session = (0, bytes(16))
        self.answers = []
        self.stopping = False

    def run(self):
        s = None
        while not self.stopping:
            try:
                s = s or self.connect()
                self.write(s)
                self.answers.append(time.monotonic())
                time.sleep(WRITE_PAUSE_S)
            except OSError:
                if s:
                    s.close()
                s = None
                time.sleep(0.001)
        if s:
            s.close()

    def connect(self):
        member = self.members[self.next % len(self.members)]
        self.next += 1
        s = socket.create_connection(("127.0.0.1", member.port), timeout=1)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sid, password = self.session
        s.sendall(struct.pack(">iiqiqi16sb", 45, 0, 0, 30000, sid, 16, password, 0))
        answer = self.frame(s)
        _, timeout, sid, _, password = struct.unpack_from(">iiqi16s", answer)
        if timeout <= 0:
            self.session = (0, bytes(16))
            s.close()
            raise OSError("session expired")
        self.session = (sid, password)
        acl = struct.pack(">iii5si6s", 1, 31, 5, b"world", 6, b"anyone")
        self.ask(s, 1, self.text(self.path) + self.text(b"") + acl + struct.pack(">i", 0))
        return s

    def write(self, s):
        err = self.ask(s, 5, self.text(self.path) + self.text(b"x" * 100) + struct.pack(">i", -1))
        if err:
            s.close()
            raise OSError(f"error {err}")

    @staticmethod
    def text(data):
        return struct.pack(">i", len(data)) + data

    def ask(self, s, op, body):
        s.sendall(struct.pack(">iii", 8 + len(body), 1, op) + body)
        return struct.unpack_from(">iqi", self.frame(s))[2]

    @staticmethod
    def frame(s):
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack(">i", data[:4])[0]:
            part = s.recv(4096)
            if not part:
                raise OSError("closed")
            data += part
        return data[4:]


def gap(trio, how, victim=None):
    """Longest time without an answered write, ms, when the leader (or `victim`) ends so."""
    target = victim or trio.leader()
    writers = [Writer(trio.members, n) for n in range(3)]
    for w in writers:
        w.start()
    while any(len(w.answers) < 20 for w in writers):
        time.sleep(0.01)
    time.sleep(0.3)
    fault = time.monotonic()
    target.end(how)
    deadline = fault + FAULT_LIMIT_S
    while any(len([t for t in w.answers[-20:] if t > fault]) < 20 for w in writers):
        if time.monotonic() > deadline:
            raise servers.Failed(f"{trio.name}: no writes for {FAULT_LIMIT_S} s after {how}")
        time.sleep(0.02)
    for w in writers:
        w.stopping = True
    for w in writers:
        w.join()
    times = sorted(t for w in writers for t in w.answers)
    longest = max(b - a for a, b in zip(times, times[1:]) if b > fault)
    target.start()
    target.wait_serving()
    time.sleep(1)
    return longest * 1000


class Row:
    """A load on both ensembles in turn. key, unit, target: as in bench/run."""

    def __init__(self, name, title, args, key, unit, target, then, spread):
        self.name, self.title, self.args, self.key = name, title, args, key
        self.unit, self.target, self.then, self.spread = unit, target, then, spread


CPU = ("server_cpu_us", "us CPU of all three")
ROWS = [
    Row("three-set-1", "setData, durable, 1 connection to the leader",
        ["--op", "set", "--connections", "1"], "latency_ms.p50", "ms p50", 0.4, 0.78, False),
    Row("three-set-100", "setData, durable, 100 connections over the three",
        ["--op", "set", "--connections", "100"], *CPU, 20, 101, True),
    Row("three-set-1000", "setData, durable, 100 connections, 10 outstanding each",
        ["--op", "set", "--connections", "100", "--outstanding", "10"], *CPU, 10, 75, True),
    Row("three-get-100", "getData, 100 connections over the three",
        ["--op", "get", "--connections", "100"], *CPU, None, 27, True),
]
OTHERS = ["three-kill", "three-term", "three-follower", "three-million"]
NAMES = [row.name for row in ROWS] + OTHERS


class Three:
    """bench: the Bench of bench/run, whose ways to measure, say and note are used."""

    def __init__(self, bench, pick, number, say):
        o = bench.options
        self.bench, self.pick, self.number, self.say = bench, pick, number, say
        self.trios = [Trio(s.name, bench.top, os.path.join(o.build, "reeved"), o.heap)
                      for s in (bench.apache, bench.reeve) if s.missing is None]
        self.rounds = 3 if o.quick else 10
        self.table = []

    def run(self, wanted):
        rows = [row for row in ROWS if row.name in wanted]
        if any(name in wanted for name in NAMES if name != "three-million"):
            for t in self.trios:
                t.start()
            for row in rows:
                self.guard(row.name, self.load, row)
            for name, how, target in (("three-kill", "kill", 250), ("three-term", "terminate", 80)):
                if name in wanted:
                    self.guard(name, self.failover, how, target)
            if "three-follower" in wanted:
                self.guard("three-follower", self.follower)
            for t in self.trios:
                t.stop()
        if "three-million" in wanted:
            self.guard("three-million", self.million)

    def guard(self, name, what, *args):
        self.say(f"{name}")
        try:
            what(*args)
        except (servers.Failed, OSError) as failure:
            self.bench.fail(name, failure)

    def load(self, row):
        found, rates = {t.name: [] for t in self.trios}, {t.name: [] for t in self.trios}
        for turn in range(self.bench.options.repeat):
            for t in self.trios:
                ports = t.ports() if row.spread else t.ports().split(",")[0]
                warmup = self.bench.options.warmup if turn == 0 and t.name == "Apache" else 0.5
                r = self.measure(t, ports, row.args, self.bench.options.duration, warmup)
                found[t.name].append(self.pick(r, row.key))
                rates[t.name].append(r["per_second"])
                self.say(f"  {row.name} {t.name}: {found[t.name][-1]:.3f} {row.unit}, "
                               f"{rates[t.name][-1]:.0f}/s")
        cells = {name: statistics.median(v) for name, v in found.items()}
        rates = {name: statistics.median(v) for name, v in rates.items()}
        self.add(f"{row.title}, {row.unit}", cells, row.target, row.then)
        self.add(f"{row.title}, per second", rates, None, None)

    def measure(self, trio, ports, args, seconds, warmup):
        child = self.bench.spawn_at(ports, trio.pids(), args, seconds, warmup)
        return self.bench.finish(child, trio, seconds + warmup + 90)

    def failover(self, how, target, title=None, rounds=None):
        gaps = {t.name: [] for t in self.trios}
        for _ in range(rounds or self.rounds):
            for t in self.trios:
                gaps[t.name].append(gap(t, how))
        for name, found in gaps.items():
            self.say(f"  {how} {name}: " + " ".join(f"{g:.0f}" for g in found))
        cells = {name: statistics.median(found) for name, found in gaps.items()}
        title = title or ("leader killed with -9" if how == "kill" else "leader stopped by SIGTERM")
        self.add(f"{title}: longest gap, median of {rounds or self.rounds}, ms", cells, target,
                 None)

    def follower(self):
        cells = {}
        for t in self.trios:
            leader = t.leader()
            cells[t.name] = gap(t, "kill", next(m for m in t.members if m is not leader))
        self.add("a follower killed: longest gap, ms", cells, None, None)

    # -- a million znodes

    def million(self):
        """One ensemble after the other: three heaps of that size are enough at a time."""
        source = os.path.join(self.bench.top, "million")
        if not os.path.isdir(source):
            servers.write_snapshot(source, self.bench.million(), 100)
        found = {}
        for t in self.trios:
            t.heap_mb = MILLION_HEAP_MB
            t.start(source)
            rounds = 1 if self.bench.options.quick else 3
            gaps = [gap(t, "kill") for _ in range(rounds)]
            calm = self.write_p99(t, 5)
            took, busy = self.join(t)
            found[t.name] = (statistics.median(gaps), took, calm, busy)
            self.say(f"  million {t.name}: gaps {[round(g) for g in gaps]} ms, joined in "
                           f"{took:.2f} s, p99 of writes {calm:.2f} ms, meanwhile {busy:.2f} ms")
            t.stop()
        n = f"{self.bench.million():,} znodes"
        column = [{name: v[i] for name, v in found.items()} for i in range(4)]
        self.add(f"{n}: leader killed with -9, longest gap, ms", column[0], 250, None)
        third = column[1].get("Apache")
        self.add(f"{n}: a server with an empty disk joins, s", column[1],
                 third / 3 if third else None, None)
        self.add(f"{n}: p99 of writes (400/s), ms", column[2], None, None)
        calm = column[2].get("Reeve")
        self.add(f"{n}: the same while it joins, ms", column[3], calm * 2 if calm else None, None)

    def writer(self, trio, seconds):
        port = trio.ports().split(",")[0]
        return self.bench.spawn_at(port, None, ["--op", "set", "--rate", "400", "--connections",
                                                "4", "--size", "100"], seconds, 0.5)

    def write_p99(self, trio, seconds):
        child = self.writer(trio, seconds)
        return self.bench.finish(child, trio, seconds + 60)["latency_ms"]["p99"]

    def join(self, trio):
        """Seconds until an emptied follower serves, and the p99 of writes until then."""
        leader = trio.leader()
        m = next(x for x in trio.members if x is not leader)
        m.end("kill")
        shutil.rmtree(m.dir)
        os.makedirs(m.dir)
        seconds = 10
        child = self.writer(trio, seconds)
        time.sleep(1)
        begin = time.monotonic()
        m.start()
        m.wait_serving()
        took = time.monotonic() - begin
        return took, self.bench.finish(child, trio, seconds + 90)["latency_ms"]["p99"]

    # -- the table

    def add(self, title, cells, target, then):
        apache, reeve = cells.get("Apache"), cells.get("Reeve")
        text, met = "-", "-"
        if target is not None:
            text = self.number(target)
            scale = apache / then if then and apache is not None else 1
            if then and apache is not None:
                text += f" ({self.number(target * scale)} at this machine's pace, by Apache)"
            if reeve is not None:
                met = ("yes" if reeve <= target else
                       "yes, at this machine's pace" if reeve <= target * scale else "no")
        times = f"{apache / reeve:.1f}" if reeve and apache is not None else "-"
        self.table.append([title, self.number(apache), self.number(reeve), times, text, met])
