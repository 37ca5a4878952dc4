# SPDX-License-Identifier: Apache-2.0
"""Locks, leases, elections and groups of libreeve (cprog/locks.c) on Reeve and on Apache, beside
kazoo's and Curator's (cprog/Locks.java) at the same paths."""
import queue
import signal
import socket
import subprocess
import threading
import time

import pytest

import harness
import recipes
import zk
from recipes import WAIT_S


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    return [recipes.c_program("locks", tmp_path_factory.mktemp("locks"))]


@pytest.fixture(scope="session")
def java(tmp_path_factory):
    return recipes.java_program("Locks", tmp_path_factory.mktemp("locks-java"))


@pytest.fixture(scope="module", params=recipes.PAIR)
def server(request, tmp_path_factory):
    with recipes.running_server(request.param, tmp_path_factory.mktemp("server")) as s:
        yield s


class Talker:
    """A program that takes lines and says lines, each with the time it was said."""

    def __init__(self, argv):
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.seen = []
        self.kept = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.proc.stdout:
            self.lines.put((time.monotonic(), line.rstrip("\n")))

    def say(self, line):
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()

    def hear(self, start, timeout_s=WAIT_S, others=None):
        """The rest of the next line that begins so, and when it was said; others are left out."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                at, line = self.kept.pop(0) if self.kept else self.lines.get(
                    timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {start!r} in time; said: {self.seen}") from None
            self.seen.append(line)
            if line.startswith(start):
                self.at = at
                return line[len(start):].strip()
            if others is not None:
                others.append((at, line))

    def ask(self, line, start):
        """The answer. A callback may speak before it; that is heard later."""
        self.say(line)
        others = []
        answer = self.hear(start, others=others)
        self.kept = others + self.kept
        return answer

    def quiet(self, start, for_s=0.5):
        """It does not say this."""
        with pytest.raises(AssertionError):
            self.hear(start, for_s)

    def end(self):
        self.proc.stdin.close()
        assert self.proc.wait(WAIT_S) == 0


class Link:
    """A port that leads to the server until it is held; then nothing passes and nobody is told."""

    def __init__(self, port):
        self.target = port
        self.held = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = [self.listener]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                ends = self.listener.accept()[0], socket.create_connection(
                    ("127.0.0.1", self.target))
            except OSError:
                return
            self.sockets += ends
            for a, b in (ends, ends[::-1]):
                threading.Thread(target=self.carry, args=(a, b), daemon=True).start()

    def carry(self, a, b):
        try:
            while chunk := a.recv(65536):
                if not self.held.is_set():
                    b.sendall(chunk)
        except OSError:
            pass

    def close(self):
        for s in self.sockets:
            s.close()


@pytest.fixture
def talk():
    """talk(argv, hosts, kind, layout, path, id, ...): a Talker that ends with the test."""
    talkers = []

    def new(argv, hosts, *args):
        talkers.append(Talker([*argv, hosts, *map(str, args)]))
        return talkers[-1]
    yield new
    for t in talkers:
        t.proc.kill()
        t.proc.wait()


@pytest.fixture
def kazoo(server):
    with recipes.kazoo_clients(server.hosts) as new:
        yield new


@pytest.fixture
def path(request, kazoo):
    name = "/" + request.node.name.replace("[", "-").replace("]", "")
    zk = kazoo()
    if zk.exists(name):
        zk.delete(name, recursive=True)
    return name


# ---- locks --------------------------------------------------------------------------------------

def kazoo_lock(client, kind, path):
    return {"lock": lambda: client.Lock(path, "kazoo"),
            "writer": lambda: client.WriteLock(path, "kazoo"),
            "lease": lambda: client.Semaphore(path, "kazoo", max_leases=1)}[kind]()


def count(client, lock, node, times):
    for _ in range(times):
        with lock:
            client.set(node, b"%d" % (int(client.get(node)[0]) + 1))


@pytest.mark.parametrize("kind", ["lock", "writer", "lease"])
def test_counting_beside_kazoo(program, server, talk, kazoo, path, kind):
    """A counter that only the lock protects, raised by programs of both libraries."""
    zk = kazoo()
    node = path + "-n"
    zk.create(node, b"0")
    talkers = [talk(program, server.hosts, kind, "kazoo", path, i, 1) for i in range(2)]
    for t in talkers:
        t.say(f"count {node} 40")
    threads = [threading.Thread(target=count, args=(c, kazoo_lock(c, kind, path), node, 20))
               for c in (kazoo(), kazoo())]
    for t in threads:
        t.start()
    for t in threads:
        t.join(WAIT_S)
    for t in talkers:
        t.hear("counted", 60)
        t.end()
    assert zk.get(node)[0] == b"120"
    assert zk.get_children(path) == []
    zk.delete(node)


@pytest.mark.parametrize("kind", ["lock", "writer", "lease"])
def test_counting_beside_curator(program, java, server, talk, kazoo, path, kind):
    zk = kazoo()
    node = path + "-n"
    zk.create(node, b"0")
    talkers = [talk(program, server.hosts, kind, "curator", path, i, 1) for i in range(2)]
    talkers.append(talk(java, server.hosts, kind, "curator", path, "java", 1))
    talkers[2].hear("ready")
    for t in talkers:
        t.say(f"count {node} 40")
    for t in talkers:
        t.hear("counted", 60)
        t.end()
    assert zk.get(node)[0] == b"120"
    zk.delete(node)


def test_in_the_order_of_coming(program, java, server, talk, path):
    """C, Java, C, Java: each waits for the one before it."""
    line = [talk(argv, server.hosts, "lock", "curator", path, i)
            for i, argv in enumerate((program, java, program, java))]
    for t in (line[1], line[3]):
        t.hear("ready")
    line[0].ask("acquire -1", "granted")
    for n, t in enumerate(line[1:], 2):
        t.say("acquire 30000")
        harness.poll_until(lambda n=n: len(line[0].ask("holders", "holders").split()) == n,
                           what="a contender more")
    for t, following in zip(line, line[1:]):
        following.quiet("granted", 0.2)
        t.ask("release", "released")
        following.hear("granted")
    line[3].ask("release", "released")
    assert line[0].ask("acquire 0", "granted")


def test_readers_and_writers_beside_curator(program, java, server, talk, path):
    ours, theirs = (talk(argv, server.hosts, "reader", "curator", path, "r")
                    for argv in (program, java))
    theirs.hear("ready")
    writer = talk(program, server.hosts, "writer", "curator", path, "w")
    jwriter = talk(java, server.hosts, "writer", "curator", path, "w")
    jwriter.hear("ready")
    ours.ask("acquire -1", "granted")
    theirs.ask("acquire 10000", "granted")
    assert writer.ask("acquire 300", "error") == "OPERATIONTIMEOUT"
    assert jwriter.ask("acquire 300", "error") == "OPERATIONTIMEOUT"
    ours.ask("release", "released")
    writer.say("acquire -1")
    writer.quiet("granted")
    theirs.ask("release", "released")
    writer.hear("granted")
    assert theirs.ask("acquire 300", "error") == "OPERATIONTIMEOUT"
    jwriter.say("acquire 10000")
    jwriter.quiet("granted", 0.3)
    writer.ask("release", "released")
    jwriter.hear("granted")
    assert ours.ask("acquire 300", "error") == "OPERATIONTIMEOUT"


def test_readers_and_writers_beside_kazoo(program, server, talk, kazoo, path):
    ours = talk(program, server.hosts, "reader", "kazoo", path, "r")
    writer = talk(program, server.hosts, "writer", "kazoo", path, "w")
    zk = kazoo()
    reader, kwriter = zk.ReadLock(path, "kr"), zk.WriteLock(path, "kw")
    ours.ask("acquire -1", "granted")
    assert reader.acquire(timeout=5)
    assert writer.ask("acquire 300", "error") == "OPERATIONTIMEOUT"
    assert not kwriter.acquire(blocking=False)
    assert ours.ask("holders", "holders") == "r kr"
    ours.ask("release", "released")
    reader.release()
    assert kwriter.acquire(timeout=5)
    assert ours.ask("acquire 300", "error") == "OPERATIONTIMEOUT"
    assert writer.ask("acquire 0", "error") == "OPERATIONTIMEOUT"
    kwriter.release()
    writer.ask("acquire 0", "granted")
    assert not reader.acquire(blocking=False)


@pytest.mark.parametrize("layout", ["kazoo", "curator"])
def test_leases(program, java, server, talk, kazoo, path, layout):
    """Three leases: two of C, one of the other, and the fourth waits."""
    ours = [talk(program, server.hosts, "lease", layout, path, i, 3) for i in range(3)]
    for t in ours[:2]:
        t.ask("acquire -1", "granted")
    if layout == "kazoo":
        other = kazoo().Semaphore(path, "k", max_leases=3)
        assert other.acquire(timeout=5)
        assert kazoo().get(path)[0] == b"3"
    else:
        other = talk(java, server.hosts, "lease", layout, path, "j", 3)
        other.hear("ready")
        other.ask("acquire 10000", "granted")
    assert ours[2].ask("acquire 500", "error") == "OPERATIONTIMEOUT"
    ours[2].say("acquire -1")
    ours[2].quiet("granted")
    if layout == "kazoo":
        other.release()
    else:
        other.ask("release", "released")
    ours[2].hear("granted")
    assert len(ours[0].ask("holders", "holders").split()) == 3


@pytest.mark.parametrize("kind", ["lock", "lease"])
@pytest.mark.parametrize("layout", ["kazoo", "curator"])
def test_of_those_who_may_only(program, server, talk, kazoo, path, monkeypatch, kind, layout):
    """What is made has the list that was given, and who is not on it is refused, and told."""
    monkeypatch.setenv("AUTH", "me:secret")
    ours = [talk(program, server.hosts, kind, layout, path, i, 1) for i in range(2)]
    ours[0].ask("acquire -1", "granted")
    ours[1].say("acquire -1")
    zk = kazoo()
    zk.add_auth("digest", "me:secret")
    made = [path]
    for at in made:
        acl, = zk.get_acls(at)[0]
        assert (acl.id.scheme, acl.id.id.split(":")[0]) == ("digest", "me"), at
        made += [f"{at}/{child}" for child in zk.get_children(at)]
    assert len(made) > 1
    monkeypatch.delenv("AUTH")
    stranger = talk(program, server.hosts, kind, layout, path, "s", 1)
    assert stranger.ask("acquire 5000", "error") == "NOAUTH"
    assert ours[0].ask("release", "released") == "OK"
    ours[1].hear("granted")


# ---- those who do not give back -----------------------------------------------------------------

def test_a_killed_holder_is_followed(program, server, talk, path):
    first, second = (talk(program, server.hosts, "lock", "curator", path, i) for i in range(2))
    token = int(first.ask("acquire -1", "granted"))
    second.say("acquire -1")
    second.quiet("granted", 0.3)
    first.proc.send_signal(signal.SIGKILL)
    assert int(second.hear("granted")) > token


def test_a_stopped_holder_hears_it_first_of_all(program, server, talk, path):
    first, second = (talk(program, server.hosts, "lock", "curator", path, i) for i in range(2))
    token = int(first.ask("acquire -1", "granted"))
    second.say("acquire -1")
    first.proc.send_signal(signal.SIGSTOP)
    assert int(second.hear("granted")) > token
    first.say("release")
    first.proc.send_signal(signal.SIGCONT)
    assert first.hear("") == "lost SESSIONEXPIRED"
    assert first.hear("") == "released NONODE"


def test_a_holder_that_is_cut_off_is_told_before_the_next_has_it(program, server, talk, path):
    link = Link(server.port)
    first = talk(program, f"127.0.0.1:{link.port}", "lock", "curator", path, "first")
    second = talk(program, server.hosts, "lock", "curator", path, "second")
    first.ask("acquire -1", "granted")
    second.say("acquire -1")
    second.quiet("granted", 0.3)
    link.held.set()
    second.hear("granted")
    first.hear("lost SESSIONEXPIRED")
    assert first.at < second.at
    link.close()


# ---- a crowd ------------------------------------------------------------------------------------

def test_a_release_among_a_thousand_wakes_one(program, server, talk, path):
    with zk.Conn(server.port) as c:
        c.create(path)  # or the first of them have to make it, and come behind others
    crowd = talk(program, server.hosts, "crowd", "curator", path, 1000)
    crowd.hear("granted 0", 60)
    quiet_s = time.monotonic() + 60
    before = server.mntr()
    while time.monotonic() < quiet_s:  # until all stand in line, and nothing moves any more
        time.sleep(0.3)
        now = server.mntr()
        moved = int(now["zk_packets_received"]) - int(before["zk_packets_received"])
        before = now
        if moved < 5 and int(now["zk_watch_count"]) >= 1000:
            break
    # One client: who watches its own node and who waits for that node share a watch.
    assert int(before["zk_watch_count"]) == 1000
    for i in range(1, 11):
        crowd.ask("next", f"granted {i}")
    after = server.mntr()
    received, sent = (int(after[k]) - int(before[k])
                      for k in ("zk_packets_received", "zk_packets_sent"))
    # Ten times: delete and getChildren; their answers and a notification. And pings, and mntr.
    assert 20 <= received <= 30
    assert 30 <= sent <= 40
    assert int(after["zk_watch_count"]) == 990


# ---- elections ----------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["latch", "selector"])
def test_election_beside_curator(program, java, server, talk, path, kind):
    first = talk(program, server.hosts, kind, "curator", path, "first")
    first.hear("gained")
    other = talk(java, server.hosts, kind, "curator", path, "java")
    harness.poll_until(lambda: first.ask("participants", "participants") == "first java",
                       what="Curator's part", timeout_s=WAIT_S)
    last = talk(program, server.hosts, kind, "curator", path, "last")
    harness.poll_until(lambda: other.ask("participants", "participants") == "first java last",
                       what="three")
    last.hear("leader first")
    first.ask("leave", "left OK")
    other.hear("gained")
    last.hear("leader java")
    other.proc.kill()
    last.hear("gained")
    last.hear("leader last")
    first.hear("leader last")


def test_election_beside_kazoo(program, server, talk, kazoo, path):
    first = talk(program, server.hosts, "election", "kazoo", path, "first")
    first.hear("gained")
    zk = kazoo()
    leads, enough = threading.Event(), threading.Event()

    def lead():
        leads.set()
        enough.wait(WAIT_S)
    election = zk.Election(path, "kazoo")
    thread = threading.Thread(target=election.run, args=(lead,))
    thread.start()
    harness.poll_until(lambda: election.contenders() == ["first", "kazoo"], what="both")
    first.ask("resign", "resigned OK")
    assert leads.wait(WAIT_S)
    first.hear("leader kazoo")
    enough.set()
    thread.join(WAIT_S)
    first.hear("gained")


# ---- groups -------------------------------------------------------------------------------------

def test_group_beside_curator(program, java, server, talk, path):
    ours = talk(program, server.hosts, "group", "curator", path, "ours")
    ours.hear("joined OK")
    other = talk(java, server.hosts, "group", "curator", path, "java")
    other.hear("joined OK")
    ours.hear("members java=java ours=ours .")
    ours.ask("data new", "set OK")
    harness.poll_until(lambda: other.ask("members", "members") == "java=java ours=new .",
                       what="our data")
    other.ask("data more", "set OK")
    ours.hear("members java=more ours=new .")
    ours.ask("leave", "left OK")
    ours.hear("members java=more .")
    harness.poll_until(lambda: other.ask("members", "members") == "java=more .", what="one less")


def test_group_beside_kazoo(program, server, talk, kazoo, path):
    party = kazoo().Party(path, "theirs")
    party.join()
    ours = talk(program, server.hosts, "group", "kazoo", path, "ours")
    ours.hear("joined OK")
    assert sorted(party) == ["ours", "theirs"]
    ours.proc.kill()
    harness.poll_until(lambda: list(party) == ["theirs"], what="the end of a session", timeout_s=20)
