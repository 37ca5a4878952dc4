# SPDX-License-Identifier: Apache-2.0
"""libreeve, Reeve's own client library (cprog/clib.c), against Reeve and Apache: one server and
ensembles, servers that die, stop, come back, move, lose their quorum.

The program is linked to the static library that was built beside the server, with the sanitizers'
allocator, so that every test here also finds leaks and memory freed twice.
"""
import os
import queue
import re
import subprocess
import threading
import time

import pytest

import ensemble
import harness
import recipes
import zk
from recipes import LIB, PAIR


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    return recipes.c_program("clib", tmp_path_factory.mktemp("clib"))


class Lib:
    """One client. What it prints is sorted into answers (by number), states and events."""

    def __init__(self, program, hosts, *options):
        self.proc = subprocess.Popen([program, hosts, *options], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.number = 0
        self.answers = {}
        self.states = queue.Queue()
        self.events = queue.Queue()
        self.err = []
        self.readers = [threading.Thread(target=self.read, daemon=True),
                        threading.Thread(target=self.read_err, daemon=True)]
        for r in self.readers:
            r.start()

    def __enter__(self):
        return self

    def __exit__(self, what, *_):
        if what is None:
            self.close()
        else:
            self.proc.kill()

    def read(self):
        for line in self.proc.stdout:
            words = line.rstrip("\n").split(" ")
            if words[0] == "state":
                self.states.put((time.monotonic(), words[1], words[2], " ".join(words[3:])))
            elif words[0] == "event":
                self.events.put(words[1:])
            elif words[0] != "bye":
                number = int(words[0])
                assert number not in self.answers, f"twice: {line}"
                self.answers[number] = line.rstrip("\n").split(" ", 1)[1]

    def read_err(self):
        self.err += self.proc.stderr

    def say(self, line):
        """Submits; returns the number."""
        self.number += 1
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()
        return self.number

    def answer(self, number, timeout_s=30):
        harness.poll_until(lambda: number in self.answers or self.proc.poll() is not None,
                           timeout_s, lambda: f"answer {number}\n" + "".join(self.err[-20:]), 0.005)
        return self.answers[number]

    def ask(self, line, timeout_s=30):
        return self.answer(self.say(line), timeout_s)

    def state(self, name, timeout_s=30):
        """Waits for this state; returns (when, name, session, rest) and drops those before."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                state = self.states.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no state {name} in {timeout_s} s\n" +
                                     "".join(self.err[-20:])) from None
            if state[1] == name:
                return state

    def event(self, timeout_s=30):
        return self.events.get(timeout=timeout_s)

    def quiet(self):
        assert self.events.empty()

    def close(self, word="end"):
        self.proc.stdin.write(word + "\n")
        self.proc.stdin.close()
        code = self.proc.wait(30)
        for r in self.readers:
            r.join(10)
        assert code == 0, "".join(self.err)
        assert len(self.answers) == self.number, "a call without an answer"


@pytest.fixture(scope="module", params=PAIR)
def one(request, tmp_path_factory):
    """One server of each kind for all tests that do it no harm."""
    srv = harness.Server(request.param, tmp_path_factory.mktemp("one"), {
        "tickTime": 500, "maxSessionTimeout": 60000, "maxClientCnxns": 0})
    srv.start()
    yield srv
    srv.stop()


@pytest.fixture(scope="module", params=["R" if p == "reeve" else "A" for p in PAIR])
def three(request, tmp_path_factory):
    e = ensemble.Ensemble(tmp_path_factory.mktemp("three"), request.param * 3)
    e.start()
    yield e
    try:
        e.stop()
    finally:
        e.close()


@pytest.fixture
def trio(three):
    """The ensemble whole again, whatever the test before did to it."""
    for m in three:
        if m.stopped:
            m.resume()
        if not m.alive():
            m.kill()
            m.start()
    three.wait_serving()
    return three


def hosts_of(servers):
    return ",".join(m.hosts for m in servers)


# ---- requests ------------------------------------------------------------------------------------

def test_every_operation(program, one):
    with Lib(program, one.hosts) as a:
        a.state("CONNECTED")
        assert a.ask("create /ops one").startswith("OK created=/ops")
        assert a.ask("create /ops one") == \
            "NODEEXISTS maybe=0; create /ops: the node exists (NODEEXISTS)"
        assert "created=/ops/s-0000000000" in a.ask("create /ops/s- x 2")
        assert a.ask("create /ops/e x 1").startswith("OK")
        assert a.ask("create /ops/c x 4").startswith("OK")
        assert a.ask("create /ops/t x 0 100000").startswith("OK")
        assert a.ask("create /ops/none/x").startswith("NONODE")
        assert a.ask("get /ops").startswith("OK data=one version=0")
        assert a.ask("set /ops two 0").startswith("OK version=1")
        assert a.ask("set /ops two 0").startswith("BADVERSION")
        assert "n=4 " in a.ask("ls /ops")
        assert a.ask("exists /ops/e").startswith("OK version=0 owner=")
        assert a.ask("exists /ops/none").startswith("NONODE")
        assert a.ask("delete /ops").startswith("NOTEMPTY")
        assert a.ask("delete /ops/t").startswith("OK")
        assert a.ask("sync /ops").startswith("OK created=/ops")
        assert a.ask("getacl /ops").endswith("acl=world:anyone:31")
        assert "children=/ops/e" in a.ask("ephemerals /ops")
        assert a.ask("all /ops") == "OK number=3"
        assert "acl=ip:127.0.0.1" in a.ask("whoami")
        assert a.ask("config").split()[0] in ("OK", "NONODE")
        assert a.ask("get relative").startswith("BADARGUMENTS refused")
        assert a.ask("wait /ops").startswith("OK data=two")


def test_multi(program, one):
    with Lib(program, one.hosts) as a:
        a.ask("create /multi one")
        done = a.ask("multi /multi 1 two")
        assert re.findall(r"\[(\w+)", done) == ["OK"] * 4
        assert done.startswith("OK [OK created=/multi/below")
        assert "[OK version=1 " in done
        failed = a.ask("multi /multi 1 three")
        assert failed.startswith("BADVERSION")
        assert re.findall(r"\[(\w+)", failed) == ["OK", "OK", "BADVERSION",
                                                  "RUNTIMEINCONSISTENCY"]
        assert a.ask("get /multi").startswith("OK data=two version=1")
        assert a.ask("ls /multi").endswith("n=0 children=")
        assert re.findall(r"\[(\w+)", a.ask("multiread /multi")) == ["OK", "OK", "NONODE"]


def test_acl_and_auth(program, one):
    with Lib(program, one.hosts) as a, Lib(program, one.hosts) as b:
        assert a.ask("create /acl x") .startswith("OK")
        assert a.ask("auth digest me:secret") == "OK"
        assert a.ask("setacl /acl auth me 31").startswith("OK")
        assert "acl=digest:me:" in a.ask("getacl /acl")
        assert b.ask("get /acl").startswith("NOAUTH")
        assert b.ask("auth digest me:secret") == "OK"
    with Lib(program, one.hosts) as c:
        c.state("CONNECTED")
        assert c.ask("auth nonsense x").startswith("AUTHFAILED")
        c.state("AUTH_FAILED")
        assert c.ask("get /").startswith("AUTHFAILED refused")


def test_watches(program, one):
    with Lib(program, one.hosts) as a, Lib(program, one.hosts) as b:
        assert a.ask("existsw /w").startswith("NONODE")
        b.ask("create /w 1")
        assert a.event() == ["CREATED", "/w", "1", "OK"]
        a.ask("getw /w")
        a.ask("lsw /w")
        b.ask("set /w 2")
        assert a.event() == ["CHANGED", "/w", "1", "OK"]
        b.ask("create /w/a 1")
        assert a.event() == ["CHILDREN", "/w", "1", "OK"]
        assert a.ask("addwatch /w 5").startswith("OK")
        b.ask("create /w/b 1")
        b.ask("set /w/b 2")
        assert a.event() == ["CREATED", "/w/b", "0", "OK"]
        assert a.event() == ["CHANGED", "/w/b", "0", "OK"]
        kind = 3 if one.is_apache else 5        # before 3.9 these two know no newer kinds
        assert a.ask(f"chkwatch /w {kind}").startswith("OK")
        assert a.ask(f"rmwatch /w {kind}").startswith("OK")
        assert a.event() == ["ENDED", "/w", "1", "OK"]
        assert a.ask(f"chkwatch /w {kind}").startswith("NOWATCHER")
        assert a.ask("addwatch /w 4").startswith("OK")
        a.ask("unwatch /w")
        b.ask("set /w 3")
        a.ask("sync /w")
        a.quiet()


def test_chroot(program, one):
    with Lib(program, one.hosts) as a:
        a.ask("create /chroot x")
        with Lib(program, one.hosts + "/chroot") as b:
            assert b.ask("create /x 1").startswith("OK created=/x")
            assert b.ask("getw /x").startswith("OK data=1")
            assert b.ask("ls /").endswith("children=x")
            assert b.ask("config").split()[0] in ("OK", "NONODE")
            a.ask("delete /chroot/x")
            assert b.event() == ["DELETED", "/x", "1", "OK"]
            assert b.ask("get /chroot").startswith("NONODE")


def test_a_list_that_is_too_long(program, one):
    """Over the limit of the client: an error with path and size, and the connection lives on."""
    with Lib(program, one.hosts, "answer=1000000") as a, Lib(program, one.hosts) as b:
        first = a.state("CONNECTED")
        assert a.ask("create /long").startswith("OK")
        assert a.ask("fill /long 12000 100", 60).startswith("OK")
        answer = a.ask("ls /long")
        assert answer.startswith("TOOBIG"), answer
        assert "/long" in answer and re.search(r"\b12[\d,]{5,}", answer), answer
        assert a.ask("get /long").startswith("OK")
        assert a.states.empty()
        assert first[2].split(":")[0]
        assert "n=12000 " in b.ask("ls /long")      # a list of 1.2 MB is no matter otherwise


# ---- one server ----------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", PAIR)
def test_server_dies_and_comes_back(program, make_server, kind):
    server = make_server(kind=kind, config={"tickTime": 500})
    with Lib(program, server.hosts, "timeout=20000") as a:
        session = a.state("CONNECTED")[2]
        a.ask("create /e x 1")
        a.ask("addwatch / 5")
        assert a.ask("getw /e").startswith("OK")
        server.kill()
        a.state("SUSPENDED")
        waits, reads = a.say("set /e 1"), a.say("get /e")
        server.start()
        assert a.state("CONNECTED")[2] == session
        assert a.answer(waits).startswith("OK")     # submitted while there was no connection
        assert a.answer(reads).startswith("OK data=1")
        seen = sorted([a.event(), a.event()])
        assert seen == [["CHANGED", "/e", "0", "OK"], ["CHANGED", "/e", "1", "OK"]]


@pytest.mark.parametrize("kind", PAIR)
def test_server_stands_still(program, make_server, kind):
    """SIGSTOP: the connection stays, nothing comes. LOST comes by the client's own clock."""
    server = make_server(kind=kind, config={"tickTime": 500})
    with Lib(program, server.hosts, "timeout=4000") as a:
        old = a.state("CONNECTED")[2]
        assert a.ask("create /e x 1").startswith("OK")
        assert a.ask("getw /e").startswith("OK")
        begin = time.monotonic()
        server.pause() if hasattr(server, "pause") else os.kill(server.pid, 19)
        read, write = a.say("get /e"), a.say("set /e 1")
        assert a.state("SUSPENDED")[0] - begin < 4
        when = a.state("LOST")[0]
        assert 1.5 < when - begin < 4.3, when - begin
        assert a.answer(read).startswith("SESSIONEXPIRED")
        assert a.answer(write).split()[0] in ("CONNECTIONLOSS", "SESSIONEXPIRED")
        assert a.event() == ["ENDED", "/e", "1", "SESSIONEXPIRED"]
        os.kill(server.pid, 18)
        new = a.state("CONNECTED")[2]
        assert new.split(":")[0] != old.split(":")[0]
        harness.poll_until(lambda: a.ask("exists /e").startswith("NONODE"), 15, "the old is gone")


def test_session_ends_or_not(program, one):
    with Lib(program, one.hosts) as other:
        a = Lib(program, one.hosts, "timeout=30000")
        session = a.state("CONNECTED")[2]
        assert a.ask("create /end x 1").startswith("OK")
        a.close("leave")
        assert other.ask("exists /end").startswith("OK")
        b = Lib(program, one.hosts, "session=" + session)
        assert b.state("CONNECTED")[2] == session
        assert b.ask("get /end").startswith("OK")
        b.close()
        assert other.ask("exists /end").startswith("NONODE")


def test_expired_session(program, one):
    a = Lib(program, one.hosts, "timeout=4000")
    session = a.state("CONNECTED")[2]
    a.close("leave")
    with zk.Conn(one.port) as conn:
        harness.poll_until(lambda: session.split(":")[0] not in
                           harness.four_letter(one.port, "dump"), 15, "the session is over")
        conn.create("/alive")
    with Lib(program, one.hosts, "session=" + session, "one") as b:
        assert b.state("LOST")[2] == session
        assert b.ask("get /").startswith("SESSIONEXPIRED")
    with Lib(program, one.hosts, "session=" + session) as c:
        c.state("LOST")
        assert c.state("CONNECTED")[2] != session


def test_request_timeout(program, one):
    with Lib(program, one.hosts, "request=300", "timeout=20000") as a:
        a.state("CONNECTED")
        a.ask("create /timeout")
        os.kill(one.pid, 19)
        try:
            assert a.ask("get /timeout", 5).startswith("OPERATIONTIMEOUT")
        finally:
            os.kill(one.pid, 18)
        harness.poll_until(lambda: a.ask("get /timeout").startswith("OK"), 10, "it goes on")


# ---- ensembles -----------------------------------------------------------------------------------

def test_leader_dies(program, trio):
    with Lib(program, hosts_of(trio), "timeout=20000") as a:
        session = a.state("CONNECTED")[2]
        top = "/leader-" + session.split(":")[0]
        assert a.ask(f"create {top} 0").startswith("OK")
        assert a.ask(f"create {top}/e x 1").startswith("OK")
        assert a.ask(f"addwatch {top} 5").startswith("OK")
        numbers = [a.say(f"set {top} {i}") for i in range(50)]
        trio.wait_leader().kill()
        numbers += [a.say(f"set {top} {i}") for i in range(50, 100)]
        answers = [a.answer(n, 60) for n in numbers]
        assert {x.split()[0] for x in answers} <= {"OK", "CONNECTIONLOSS"}
        versions = [int(re.search(r"version=(\d+)", x)[1]) for x in answers if x[:2] == "OK"]
        assert versions == sorted(set(versions))    # in the order they were submitted
        assert a.ask(f"set {top} last", 60).startswith("OK")
        assert a.ask(f"exists {top}/e").startswith("OK")
        changed = 0
        while not a.events.empty():
            event = a.events.get()
            changed += event[0] == "CHANGED"
            assert event[0] != "ENDED"
        assert changed >= 1


def test_all_servers_down_and_back(program, trio):
    with Lib(program, hosts_of(trio), "timeout=40000") as a:
        session = a.state("CONNECTED")[2]
        top = "/down-" + session.split(":")[0]
        assert a.ask(f"create {top} x 1").startswith("OK")
        trio.kill()
        a.state("SUSPENDED")
        waits = a.say(f"get {top}")
        for m in trio:
            m.start()
        assert a.state("CONNECTED", 40)[2] == session
        assert a.answer(waits, 40).startswith("OK data=x")
        trio.wait_serving()


def test_member_stands_still(program, trio):
    """The connection's server stops: the client goes to another one within the session."""
    with Lib(program, hosts_of(trio), "timeout=9000") as a:
        state = a.state("CONNECTED")
        here = state[3].split()[2]
        member = [m for m in trio if m.hosts == here][0]
        member.pause()
        read = a.say("get /")
        assert a.state("CONNECTED")[2] == state[2]
        assert a.answer(read).startswith("OK")
        assert a.states.empty()
        member.resume()
        with Lib(program, member.hosts, "timeout=9000") as b:  # it finds out what it has missed
            b.state("CONNECTED")
            assert b.ask("sync /", 40).startswith("OK")


def test_another_list_of_servers(program, trio):
    first, second, third = list(trio)
    with Lib(program, first.hosts) as a:
        session = a.state("CONNECTED")[2]
        assert a.ask("servers " + second.hosts + ",x:0").startswith("BADARGUMENTS")
        assert a.ask("servers " + hosts_of([second, third])) == "OK"
        state = a.state("CONNECTED")
        assert state[2] == session
        assert state[3].split()[2] in (second.hosts, third.hosts)
        assert a.ask("get /").startswith("OK")


@pytest.mark.parametrize("kind", PAIR)
def test_read_only(program, make_ensemble, kind):
    letter = "R" if kind == "reeve" else "A"
    # Apache's read-only servers serve nobody without local sessions.
    e = make_ensemble(letter * 3, config={"readonlymode.enabled": "true",
                                          "localSessionsEnabled": "true",
                                          "localSessionsUpgradingEnabled": "true"})
    e.start()
    with Lib(program, hosts_of(e), "ro", "timeout=20000") as a, \
            Lib(program, hosts_of(e), "timeout=20000") as b:
        a.state("CONNECTED")
        b.state("CONNECTED")
        assert a.ask("create /ro x").startswith("OK")
        for m in list(e)[1:]:
            m.kill()
        a.state("READ_ONLY", 40)
        assert a.ask("get /ro").startswith("OK data=x")
        assert a.ask("set /ro y").startswith("NOTREADONLY")
        waits = b.say("set /ro z")
        for m in list(e)[1:]:
            m.start()
        a.state("CONNECTED", 60)
        assert a.ask("set /ro y").startswith("OK")
        # A local session may have ended with its server; the write is answered in either case.
        assert b.answer(waits, 40).split()[0] in ("OK", "SESSIONEXPIRED")
        assert b.ask("set /ro z").startswith("OK")


# ---- the examples --------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def examples():
    """`make examples`: each is a program that says on standard output what it does."""
    subprocess.run(["make", "--no-print-directory", "-C", harness.REPO,
                    "BUILD=" + os.path.abspath(LIB), "examples"], check=True, capture_output=True)
    return os.path.join(LIB, "examples")


class Example:
    """A running one; its lines so far."""

    def __init__(self, path, *words):
        self.proc = subprocess.Popen([path, *words], stdout=subprocess.PIPE, text=True)
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.proc.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait(self, text, after=0):
        """Waits for a line with this text behind the first `after` lines."""
        harness.poll_until(lambda: any(text in x for x in self.lines[after:]), 20,
                           lambda: f"{text!r} in {self.lines}")

    def stop(self, how="terminate"):
        getattr(self.proc, how)()
        code = self.proc.wait(20)
        self.reader.join(10)
        return code


def test_example_multi(examples, one):
    with zk.Conn(one.port) as c:
        c.create("/bank")
        c.create("/bank/ann", b"100")
        c.create("/bank/bob", b"0")
        move = [os.path.join(examples, "multi"), one.hosts, "/bank/ann", "/bank/bob"]
        many = [subprocess.Popen(move + ["10"], stdout=subprocess.DEVNULL) for _ in range(6)]
        assert [p.wait(30) for p in many] == [0] * 6
        assert (c.get("/bank/ann")[0], c.get("/bank/bob")[0]) == (b"40", b"60")
        too_much = subprocess.run(move + ["41"], capture_output=True, text=True, check=False)
        assert too_much.returncode == 1 and "there are only 40" in too_much.stderr
        assert c.get("/bank/bob")[0] == b"60"
        assert len(c.children("/bank")) == 2 + 6


def test_example_config(examples, make_server):
    server = make_server()
    with zk.Conn(server.port) as c:
        c.create("/config")
        c.create("/config/colour", b"red")
    e = Example(os.path.join(examples, "config"), server.hosts, "/config")
    e.wait("ready")
    assert "new /config/colour = red" in e.lines
    with zk.Conn(server.port) as c:
        c.set("/config/colour", b"blue")
        e.wait("changed /config/colour = blue")
        c.create("/config/size", b"7")
        e.wait("new /config/size = 7")
        c.delete("/config/colour")
        e.wait("gone /config/colour")
    server.kill()
    e.wait("gap")
    server.start()
    e.wait("resynced")
    assert e.stop() == 0
    assert e.lines[-1] == "2 nodes at the end"


def test_example_worker(examples, one):
    a = Example(os.path.join(examples, "worker"), one.hosts, "a")
    a.wait(" a: success")
    b = Example(os.path.join(examples, "worker"), one.hosts, "b")
    a.wait(" a: success", len(a.lines))     # a second later it is still the one that works
    assert b.lines == []
    assert a.stop() == 0                    # a hands over at once
    b.wait(" b: success")
    counts = [int(x.split()[0]) for x in a.lines + b.lines]
    assert counts == list(range(1, len(counts) + 1))
    assert int(b.lines[0].split()[1]) > int(a.lines[0].split()[1])  # a higher token
    assert b.stop() == 0


# ---- the library as it is shipped ----------------------------------------------------------------

def test_only_public_names(program):
    assert program
    for name, how in (("libreeve.so", ["-D"]), ("libreeve.a", ["-g"])):
        out = subprocess.run(["nm", "--defined-only", *how, os.path.join(LIB, name)], check=True,
                             capture_output=True, text=True).stdout
        names = re.findall(r" [A-Z] (\S+)", out)
        assert len(names) > 40
        assert [n for n in names if not n.startswith("reeve_")] == []


def test_declared_is_defined():
    """Every function of the public headers is in the library."""
    folder = os.path.join(harness.REPO, "include", "reeve")
    declared = set()
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text = re.sub(r"//.*", "", file.read())
        declared |= set(re.findall(r"REEVE_API[^;{]*?\b(reeve_\w+)\(", text))
    out = subprocess.run(["nm", "-D", "--defined-only", os.path.join(LIB, "libreeve.so")],
                         check=True, capture_output=True, text=True).stdout
    assert declared - set(re.findall(r" T (\S+)", out)) == set()


def test_install(tmp_path):
    """make install, pkg-config, a program on the shared library, make uninstall."""
    make = ["make", "--no-print-directory", "-C", harness.REPO, "BUILD=" + os.path.abspath(LIB),
            f"DESTDIR={tmp_path}", "PREFIX=/usr"]
    subprocess.run(make + ["install"], check=True, capture_output=True)
    top = tmp_path / "usr"
    text = (top / "lib" / "pkgconfig" / "reeve.pc").read_text()
    assert "-lreeve" in text
    flags = {k: v for k, v in re.findall(r"^(\w+): (.*)$", text, re.M)}
    assert re.fullmatch(r"\d+\.\d+\.\d+", flags["Version"])
    (tmp_path / "p.c").write_text("#include <reeve/reeve.h>\n#include <string.h>\n"
                                  "int main(void) { return strcmp(reeve_version(), "
                                  "REEVE_VERSION); }\n")
    subprocess.run(["cc", f"-I{top}/include", str(tmp_path / "p.c"), f"-L{top}/lib", "-lreeve",
                    "-o", str(tmp_path / "p")], check=True)
    subprocess.run([str(tmp_path / "p")], check=True, env={"LD_LIBRARY_PATH": f"{top}/lib"})
    subprocess.run(make + ["uninstall"], check=True, capture_output=True)
    assert [f for _, _, files in os.walk(top) for f in files] == []
