# SPDX-License-Identifier: Apache-2.0
"""The part of bench/run that measures client libraries: libreeve beside Apache's C client, the same
load (bench/clients/) against the same server, a Reeve, in turn. CPU is the client's process. And
what a release of a lock takes when a thousand wait for it."""
import json
import os
import select
import shlex
import socket
import statistics
import subprocess
import time

import servers

HERE = os.path.dirname(os.path.abspath(__file__))
LOCK_WAITERS, LOCK_CLIENTS = 1000, 20


class Row:
    """count: requests of one measurement; ratio: of what Apache's client takes, the target."""

    def __init__(self, name, title, op, depth, count, ratio=None):
        self.name, self.title, self.op, self.depth = name, title, op, depth
        self.count, self.ratio = count, ratio


ROWS = [
    Row("client-get-64", "getData 1 KB, 64 outstanding", "get", 64, 100_000, 0.5),
    Row("client-set-64", "setData 1 KB, 64 outstanding", "set", 64, 50_000, 0.5),
    Row("client-get-1", "getData 1 KB, one outstanding", "get", 1, 30_000),
    Row("client-children-64", "getChildren, 64 outstanding", "children", 64, 100_000, 0.5),
]
NAMES = [row.name for row in ROWS] + ["client-locks"]


def compile_load(name, top, build, libraries):
    """One program of bench/clients/; its path."""
    program = os.path.join(top, name)
    command = [*shlex.split(os.environ.get("CC", "cc")), "-std=gnu11", "-O2", "-pthread",
               "-I", os.path.join(os.path.dirname(HERE), "include"), "-o", program,
               os.path.join(HERE, "clients", name + ".c"),
               *(x.replace("BUILD", build) for x in libraries)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise servers.Failed(f"{name}.c: {done.stderr.strip().splitlines()[0]}")
    return program


LIBREEVE = ["BUILD/libreeve.a", "-ljansson"]
APACHE = ["-lzookeeper_mt"]


def facts(server):
    """What mntr says."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as s:
        s.sendall(b"mntr")
        text = b""
        while chunk := s.recv(65536):
            text += chunk
    return dict(line.split("\t", 1) for line in text.decode().splitlines() if "\t" in line)


class Clients:
    """bench: the Bench of bench/run, whose ways to finish, say and note are used."""

    def __init__(self, bench, number, say):
        self.bench, self.number, self.say = bench, number, say
        self.server = bench.reeve
        self.table = []

    def run(self, wanted):
        self.server.start(settings={"4lw.commands.whitelist": "*"})
        for row in ROWS:
            if row.name in wanted:
                self.guard(row.name, self.load, row)
        if "client-locks" in wanted:
            self.guard("client-locks", self.locks)
        self.server.stop()

    def guard(self, name, what, *args):
        self.say(name)
        try:
            what(*args)
        except (servers.Failed, OSError) as failure:
            self.bench.fail(name, failure)

    def spawn(self, program, *args):
        return servers.spawn([program, f"127.0.0.1:{self.server.port}", *map(str, args)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)

    # -- CPU per operation

    def load(self, row):
        o = self.bench.options
        programs = {"Apache's": compile_load("zookeeper_load", self.bench.top, o.build, APACHE),
                    "libreeve": compile_load("reeve_load", self.bench.top, o.build, LIBREEVE)}
        found = {name: [] for name in programs}
        count = row.count // 10 if o.quick else row.count
        for _ in range(o.repeat):
            for name, program in programs.items():
                result = self.bench.finish(self.spawn(program, row.op, count, row.depth),
                                           self.server, 120)
                if result["failed"]:
                    raise servers.Failed(f"{name}: {result['failed']} requests failed")
                found[name].append(result["cpu_us"])
                self.say(f"  {row.name} {name}: {result['cpu_us']:.2f} us CPU, "
                         f"{1e6 / result['wall_us']:.0f}/s")
        theirs, ours = (statistics.median(v) for v in found.values())
        target, met = "-", "-"
        if row.ratio is not None:
            target = f"{row.ratio} x Apache's ({self.number(row.ratio * theirs)})"
            met = "yes" if ours <= row.ratio * theirs else "no"
        self.table.append([f"{row.title}, us CPU", self.number(theirs), self.number(ours),
                           f"{ours / theirs:.2f}", target, met])

    # -- a lock that many wait for

    @staticmethod
    def line(child, limit_s=120):
        ready, _, _ = select.select([child.stdout], [], [], limit_s)
        text = child.stdout.readline() if ready else ""
        if not text:
            child.kill()
            raise servers.Failed(f"locks: {child.stderr.read().strip() or 'no answer'}")
        return text.strip()

    @staticmethod
    def answer(child):
        child.stdin.write("\n")
        child.stdin.flush()

    def wait_in_line(self, handles):
        """Each watches its own node, and all but the first the one before it."""
        for _ in range(300):
            if int(facts(self.server)["zk_watch_count"]) >= 2 * handles - 1:
                return
            time.sleep(0.1)
        raise servers.Failed("locks: they do not all stand in line")

    def release(self, program, releases):
        """One run: what the program measured, and packets per release, to and from the server."""
        child = self.spawn(program, LOCK_WAITERS, LOCK_CLIENTS, releases)
        self.line(child)
        self.wait_in_line(LOCK_WAITERS + releases)
        before = facts(self.server)
        self.answer(child)
        self.line(child)
        after = facts(self.server)
        self.answer(child)
        result = json.loads(self.line(child))
        child.communicate("\n", timeout=60)
        servers.children.remove(child)
        for key in ("received", "sent"):
            name = f"zk_packets_{key}"
            result[key] = (int(after[name]) - int(before[name])) / releases
        return result

    def locks(self):
        o = self.bench.options
        program = compile_load("locks", self.bench.top, o.build, LIBREEVE)
        releases = 100 if o.quick else 500
        runs = []
        for _ in range(o.repeat):
            runs.append(self.release(program, releases))
            self.say("  client-locks " + json.dumps(runs[-1]))
        m = {key: statistics.median(r[key] for r in runs) for key in runs[0]}
        limit = m["notice_us"] + m["two_us"]
        self.table.append([
            f"lock released with {LOCK_WAITERS:,} waiting, until the next one has it, us", "-",
            self.number(m["release_us"]), "-",
            f"one notification and two requests ({self.number(m['notice_us'])} + "
            f"{self.number(m['two_us'])})", "yes" if m["release_us"] <= limit else "no"])
        # In: the delete, the list that the next one looks at. Out: the two answers, the event for
        # the next one, and the holder's own event. Another one that wakes would be three more.
        self.table.append([
            "the same, packets to and from the server", "-",
            f"{m['received']:.2f} + {m['sent']:.2f}", "-", "2 + 4: wakes one",
            "yes" if m["received"] + m["sent"] < 6.5 else "no"])
        self.bench.notes.append(f"`client-locks`: medians of {releases} releases; a write and the "
                                f"list of the lock's nodes take {self.number(m['list_us'])} us")
