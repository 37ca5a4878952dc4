# SPDX-License-Identifier: Apache-2.0
"""Queues, barriers, counters, shared values and caches of libreeve (cprog/queues.c) beside kazoo's
and Curator's at the same paths, on Reeve and on Apache."""
import collections
import socket
import struct
import subprocess
import threading
import time

import pytest
from kazoo.recipe.barrier import DoubleBarrier
from kazoo.recipe.queue import LockingQueue, Queue
from kazoo.security import make_digest_acl

import harness
import recipes
from recipes import WAIT_S


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    return recipes.c_program("queues", tmp_path_factory.mktemp("queues"))


@pytest.fixture(scope="session")
def java(tmp_path_factory):
    return recipes.java_program("Contend", tmp_path_factory.mktemp("contend-java"))


@pytest.fixture(scope="module", params=recipes.PAIR)
def server(request, tmp_path_factory):
    with recipes.running_server(request.param, tmp_path_factory.mktemp("server")) as s:
        yield s


@pytest.fixture
def path(request):
    return "/" + request.node.name.split("[")[0]


@pytest.fixture
def kazoo(server):
    with recipes.kazoo_clients(server.hosts) as new:
        yield new


class Run:
    """One run of a program; its lines as they come."""

    def __init__(self, command, *args):
        self.proc = subprocess.Popen([*command, *map(str, args)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.proc.stdout:
            self.lines.append(line.rstrip("\n "))

    def until(self, line):
        harness.poll_until(lambda: line in self.lines, WAIT_S, f"{line!r} in {self.lines}")

    def end(self):
        """Ends its input; its lines, when it has ended well."""
        self.proc.stdin.close()
        self.proc.wait(timeout=WAIT_S)
        self.reader.join(WAIT_S)
        err = self.proc.stderr.read()
        assert self.proc.returncode == 0 and self.lines[-1] == "bye", (self.lines[-3:], err)
        return self.lines[:-1]

    def kill(self):
        self.proc.kill()
        self.proc.wait(timeout=WAIT_S)


def items_of(lines):
    return [line.split(" ", 1)[1] for line in lines if line.startswith("item ")]


def numbers_of(lines):
    assert all(line.startswith("now ") for line in lines), lines
    return [int(line.split()[1]) for line in lines]


def once_each(found, want):
    assert collections.Counter(found) == collections.Counter(want)


# ---- kazoo --------------------------------------------------------------------------------------


def test_locking_queue_contended_with_kazoo(server, program, path, kazoo):
    items = [f"item-{i}" for i in range(60)]
    seen = []
    idle = threading.Event()

    def consume(client):
        queue = LockingQueue(client, path)
        while not idle.is_set():
            item = queue.get(timeout=0.5)
            if item is not None:
                assert queue.consume()
                seen.append(item.decode())

    consumers = [Run([program, server.hosts], "consume", path, "locking", 3000) for _ in range(2)]
    threads = [threading.Thread(target=consume, args=(kazoo(),)) for _ in range(2)]
    for t in threads:
        t.start()
    producer = Run([program, server.hosts], "put", path, "locking", 100, *items[:30])
    theirs = LockingQueue(kazoo(), path)
    for item in items[30:]:
        theirs.put(item.encode())
    assert producer.end() == ["put OK"] * 30
    mine = [item for c in consumers for item in items_of(c.end())]
    idle.set()
    for t in threads:
        t.join(WAIT_S)
    once_each(mine + seen, items)
    client = kazoo()
    assert client.get_children(path + "/entries") == [] == client.get_children(path + "/taken")


def test_priorities_agree_with_kazoo(server, program, path, kazoo):
    for layout, kind in ("locking", LockingQueue), ("kazoo", Queue):
        theirs = kind(kazoo(), f"{path}-{layout}")
        theirs.put(b"c", 30)
        Run([program, server.hosts], "put", f"{path}-{layout}", layout, 5, "a", "b").end()
        theirs.put(b"d", 30)
        lines = Run([program, server.hosts], "consume", f"{path}-{layout}", layout, 0).end()
        assert lines == ["item a", "item b", "item c", "item d", "end OPERATIONTIMEOUT"]
        Run([program, server.hosts], "put", f"{path}-{layout}", layout, 7, "x").end()
        assert theirs.get() == b"x"


def test_an_item_comes_back_from_who_dies(server, program, path, kazoo):
    queue = LockingQueue(kazoo(), path)
    queue.put(b"precious")
    holder = Run([program, server.hosts], "hold", path, "locking")
    holder.until("held precious")
    assert queue.get(timeout=0.3) is None
    holder.kill()
    assert queue.get(timeout=WAIT_S) == b"precious"
    waiting = Run([program, server.hosts], "hold", path, "locking")
    time.sleep(0.3)
    assert "held precious" not in waiting.lines
    queue.release()
    waiting.until("held precious")
    assert waiting.end()[1:] == ["back OK", "end OK"]
    assert queue.get(timeout=WAIT_S) == b"precious" and queue.consume()


def test_barrier_with_kazoo(server, program, path, kazoo):
    theirs = kazoo().Barrier(path)
    assert Run([program, server.hosts], "close", path).end() == ["close OK"]
    assert not theirs.wait(0.2)
    waiting = Run([program, server.hosts], "wait", path)
    assert Run([program, server.hosts], "open", path).end() == ["open OK"]
    assert theirs.wait(WAIT_S) and waiting.end() == ["wait OK"]
    theirs.create()
    waiting = Run([program, server.hosts], "wait", path)
    time.sleep(0.3)
    assert not waiting.lines
    theirs.remove()
    assert waiting.end() == ["wait OK"]


def test_double_barrier_with_kazoo(server, program, path, kazoo):
    passed, left = [], []
    leave = threading.Event()

    def member(client):
        barrier = DoubleBarrier(client, path, 4)
        barrier.enter()
        passed.append(1)
        leave.wait(WAIT_S)
        barrier.leave()
        left.append(1)

    threads = [threading.Thread(target=member, args=(kazoo(),)) for _ in range(2)]
    for t in threads:
        t.start()
    mine = [Run([program, server.hosts], "double", path, 4)]
    time.sleep(0.3)
    assert not passed and not mine[0].lines
    mine.append(Run([program, server.hosts], "double", path, 4))
    for m in mine:
        m.until("enter OK")
    harness.poll_until(lambda: len(passed) == 2, WAIT_S, "kazoo's members enter")
    leave.set()
    time.sleep(0.3)
    assert not left
    for m in mine:
        m.proc.stdin.close()
    for m in mine:
        m.until("leave OK")
    for t in threads:
        t.join(WAIT_S)
    assert len(left) == 2
    assert kazoo().get_children(path) == []


@pytest.mark.parametrize("layout", ["text", "int"])
def test_counter_with_kazoo(server, program, path, kazoo, layout):
    path += "-" + layout
    mine = [Run([program, server.hosts], "count", path, layout, 20) for _ in range(2)]
    client = kazoo()
    theirs = client.Counter(path, support_curator=layout == "int")
    for _ in range(20):
        theirs += 1
    numbers = [n for m in mine for n in numbers_of(m.end())]
    assert len(set(numbers)) == 40
    assert theirs.value == 60
    assert client.get(path)[0] == (b"60" if layout == "text" else struct.pack(">i", 60))


# ---- Curator ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["simple", "curator"])
def test_queue_contended_with_curator(server, program, java, path, kazoo, layout):
    path += "-" + layout
    theirs = Run(java, server.hosts, "simple" if layout == "simple" else "locked", path, 25)
    mine = Run([program, server.hosts], "consume", path, layout, 4000)
    Run([program, server.hosts], "put", path, layout, 0, *(f"c-{i}" for i in range(25))).end()
    found = items_of(mine.end())
    harness.poll_until(lambda: len(found) + len(items_of(theirs.lines)) >= 50, WAIT_S, "all items")
    once_each(found + items_of(theirs.end()),
              [f"{w}-{i}" for w in ("c", "java") for i in range(25)])
    assert [c for c in kazoo().get_children(path) if c.startswith(("q", "qn"))] == []


def test_priorities_agree_with_curator(server, program, java, path):
    Run(java, server.hosts, "priorities", path, 3).end()
    Run([program, server.hosts], "put", path, "priority", 9, "c").end()
    Run([program, server.hosts], "put", path, "priority", -2, "c-first").end()
    lines = Run([program, server.hosts], "consume", path, "priority", 0).end()
    assert items_of(lines) == ["c-first", "java-minus", "java-8", "java-9", "c", "java-10"]


def test_counter_and_value_with_curator(server, program, java, path, kazoo):
    theirs = Run(java, server.hosts, "count", path + "/n", 20)
    mine = Run([program, server.hosts], "count", path + "/n", "long", 20)
    numbers = numbers_of(mine.end()) + numbers_of(theirs.end())
    assert sorted(numbers) == list(range(1, 41))
    theirs = Run(java, server.hosts, "value", path + "/v", 10)
    Run([program, server.hosts], "value", path + "/v", "c", 10).end()
    theirs.end()
    text = kazoo().get(path + "/v")[0].decode()
    assert sorted(text) == ["c"] * 10 + ["j"] * 10


def test_double_barrier_with_curator(server, program, java, path, kazoo):
    theirs = Run(java, server.hosts, "double", path, 2)
    time.sleep(0.5)
    mine = Run([program, server.hosts], "double", path, 2)
    theirs.until("enter OK")
    mine.until("enter OK")
    mine.proc.stdin.close()
    time.sleep(0.3)
    assert "leave OK" not in mine.lines
    assert theirs.end() == ["enter OK", "leave OK"]
    mine.until("leave OK")
    assert kazoo().get_children(path) == []


# ---- caches -------------------------------------------------------------------------------------


class OlderServer:
    """Stands before a server and answers addWatch as servers before 3.6 do: Unimplemented."""

    def __init__(self, server):
        self.server = server
        self.refused = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.hosts = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self.server.port))
            threading.Thread(target=self.requests, args=(client, there), daemon=True).start()
            threading.Thread(target=self.answers, args=(there, client), daemon=True).start()

    @staticmethod
    def frame(sock):
        head = sock.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return None
        return sock.recv(struct.unpack(">i", head)[0], socket.MSG_WAITALL)

    def requests(self, client, there):
        first = True
        while (body := self.frame(client)) is not None:
            if not first and len(body) >= 8 and struct.unpack(">ii", body[:8])[1] == 106:
                self.refused += 1
                client.sendall(struct.pack(">iiqi", 16, struct.unpack(">i", body[:4])[0], 0, -6))
            else:
                there.sendall(struct.pack(">i", len(body)) + body)
            first = False
        there.close()

    @staticmethod
    def answers(there, client):
        try:
            while data := there.recv(65536):
                client.sendall(data)
        except OSError:
            pass
        client.close()


def follow(program, hosts, path, client):
    client.ensure_path(path + "/a/b")
    f = Run([program, hosts], "follow", path)
    f.until("wait OK")
    assert f.lines[-1] == "wait OK" and f"created {path}/a/b" in f.lines
    client.set(path + "/a", b"1")
    f.until(f"changed {path}/a 1")
    client.create(path + "/a/b/c", b"deep")
    f.until(f"created {path}/a/b/c deep")
    client.delete(path + "/a/b/c")
    f.until(f"deleted {path}/a/b/c")
    return f


def test_cache_follows(server, program, path, kazoo):
    f = follow(program, server.hosts, path, kazoo())
    assert f.end()[-1] == "count 3"


def test_cache_follows_on_an_older_server(server, program, path, kazoo):
    older = OlderServer(server)
    f = follow(program, older.hosts, path, kazoo())
    assert older.refused == 1
    older.listener.close()
    assert f.end()[-1] == "count 3"


def test_cache_of_a_node_that_may_not_be_read(server, program, path, kazoo):
    """Servers before 3.8.4 say that it is there, and may not be read."""
    client = kazoo()
    client.create(path, b"x", acl=[make_digest_acl("me", "secret", all=True)], makepath=True)
    f = Run([program, server.hosts], "watch", path)
    f.until("wait NOAUTH")
    assert f.end()[-1] == "count 0"


def test_cache_misses_nothing_while_it_is_cut_off(server, program, path, kazoo):
    client = kazoo()
    client.ensure_path(path + "/a")
    f = Run([program, server.hosts], "follow", path)
    f.until("wait OK")
    server.restart(kill=True)
    harness.poll_until(lambda: client.connected, WAIT_S, "kazoo is back")
    client.retry(client.set, path + "/a", b"after")
    f.until(f"changed {path}/a after")
    f.until(f"resynced {path}")
    assert f"gap {path}" in f.lines
    assert f.end()[-1] == "count 2"
