# SPDX-License-Identifier: Apache-2.0
"""`reeve status`, `four`, `top` and `bench` on ensembles of both programs, with members that are
dead, paused, or allow little; `top` in a terminal, too.
"""
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

import harness
import zk

SHELL = os.environ.get("REEVE_SHELL", os.path.join(os.path.dirname(harness.REEVE_BIN), "reeve"))
OK, NO, USAGE, NO_CONNECTION, INTERRUPTED = 0, 1, 2, 3, 130
WAIT_S = 30


class Answer:
    def __init__(self, done, took_s):
        self.code, self.took_s = done.returncode, took_s
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")
        self.lines = self.out.splitlines()

    def json(self):
        return json.loads(self.out)


def environment():
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "REEVE_SERVER")}
    env.update({"REEVE_HISTORY": "", "LC_ALL": "C.UTF-8", "TERM": "xterm"})
    env.setdefault("ASAN_OPTIONS", "abort_on_error=1")
    return env


def reeve(servers, *words):
    begun = time.monotonic()
    done = subprocess.run([SHELL, "-s", servers, *map(str, words)], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, env=environment())
    assert done.returncode >= 0, done.stderr
    return Answer(done, time.monotonic() - begun)


def hosts(members):
    return ",".join(m.hosts for m in members)


def by_id(answer):
    return {s["id"]: s for s in answer.json()["servers"]}


class Load:
    """One client that sets and gets as fast as it can."""

    def __init__(self, port):
        self.port = port
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            with zk.Conn(self.port) as c:
                if c.exists("/load") is None:
                    c.create("/load")
                while not self.stop.is_set():
                    c.set("/load", b"x")
                    c.get("/load")
        except (OSError, zk.Closed, TimeoutError, zk.ServerError):
            pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        self.thread.join()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Reeve, Apache, Reeve, and an observer of Apache's; each tells its members where clients
    connect."""
    import ensemble
    e = ensemble.Ensemble(tmp_path_factory.mktemp("mixed"), "RARAo", client_in_server_line=True)
    e.start(leader=3)
    yield e
    try:
        e.stop()
    finally:
        e.close()


@pytest.fixture
def group(mixed):
    """mixed whole and in service, whatever the test before did to it."""
    for m in mixed:
        if m.stopped:
            m.resume()
        if not m.alive():
            m.kill()
            m.start()
    mixed.wait_serving()
    yield mixed


# ---- status -------------------------------------------------------------------------------------

def test_status_of_all_from_one(group):
    answer = reeve(group[1].hosts, "status")
    assert answer.code == OK, answer.out + answer.err
    assert answer.lines[0].split() == ["ID", "SERVER", "MODE", "VERSION", "ZXID", "EPOCH",
                                       "LATENCY", "CONNS", "ZNODES", "WATCHES", "OUTSTANDING",
                                       "ERRORS"]
    rows = [line.split() for line in answer.lines[1:5]]
    assert [r[:2] for r in rows] == [[str(m.sid), m.hosts] for m in group]
    assert [r[2] for r in rows] == [m.mode() for m in group]
    assert [r[3] for r in rows] == [m.golden_version for m in group]
    assert answer.lines[5] == "in service, 4 of 4 servers serve, 3 voters"


def test_status_needs_no_session(group):
    before = group[3].zxid()
    for _ in range(3):
        reeve(group[3].hosts, "status")
    assert group[3].zxid() == before


def test_status_as_json(group):
    answer = reeve(group[2].hosts, "status", "--json")
    assert answer.code == OK
    whole = answer.json()
    assert (whole["quorum"], whole["down"], whole["size"], whole["voters"]) == (True, 0, 4, 3)
    servers = by_id(answer)
    leader = servers[group.leader().sid]
    assert leader["mode"] == "leader" and leader["role"] == "participant"
    assert servers[4]["mode"] == servers[4]["role"] == "observer"
    for m in group:
        one = servers[m.sid]
        assert one["serving"] and one["server"] == m.hosts
        assert one["epoch"] == int(one["zxid"], 16) >> 32
        assert one["znodes"] >= 5 and one["watches"] >= 0 and one["connections"] >= 1
        assert one["latency_ms"]["max"] >= one["latency_ms"]["avg"] >= 0
        assert one["errors"]["unrecoverable_error_count"] == 0


def test_status_with_a_dead_member(group):
    group[2].kill()
    group.wait_serving([m for m in group if m.sid != 2])
    answer = reeve(group[1].hosts, "status")
    assert answer.code == NO
    dead = next(line for line in answer.lines if line.startswith("2 "))
    assert re.fullmatch(rf"2 +{group[2].hosts} +down: Connection refused", dead)
    assert answer.lines[-1] == "in service, 3 of 4 servers serve, 3 voters"
    assert answer.took_s < 2
    one = by_id(reeve(group[1].hosts, "--json", "status"))[2]
    assert (one["serving"], one["answers"], one["cause"]) == (False, False, "Connection refused")


def test_status_with_a_silent_member(group):
    """It holds nobody up longer than the time that is given."""
    group[4].pause()
    answer = reeve(group[1].hosts, "status", "-t", "700")
    group[4].resume()
    assert answer.code == NO
    silent = next(line for line in answer.lines if line.startswith("4 "))
    assert silent.endswith("down: it does not answer")
    assert 0.6 < answer.took_s < 4


def test_status_without_a_quorum(group):
    group[2].kill()
    group[3].kill()
    harness.poll_until(lambda: group[1].mode() is None, WAIT_S, "nobody serves")
    answer = reeve(hosts(group), "status")
    assert answer.code == NO
    assert "not serving: This ZooKeeper instance is not currently serving requests" in answer.out
    assert answer.lines[-1].startswith("NO QUORUM, 0 of 4 servers serve")
    assert by_id(reeve(hosts(group), "status", "--json"))  # and it is JSON


def test_status_of_a_dead_list():
    port = harness.free_port()
    answer = reeve(f"127.0.0.1:{port}", "status")
    assert answer.code == NO
    assert "down: Connection refused" in answer.out
    assert answer.lines[-1].startswith("NO QUORUM, 0 of 1 servers")
    named = reeve("no-such-host.invalid:2181", "status", "-t", "2000")
    assert named.code == NO
    assert "its name is not known" in named.out
    assert reeve("host:99999999", "status").code == USAGE


def test_status_of_a_server_alone(make_server):
    for kind in ("reeve", "apache"):
        srv = make_server(kind=kind)
        answer = reeve(srv.hosts, "status")
        assert answer.code == OK
        assert re.search(rf"^0 +{srv.hosts} +standalone +{srv.golden_version} ", answer.out, re.M)
        assert answer.lines[-1] == "in service, 1 of 1 servers serves"


def test_status_where_only_srvr_is_allowed(make_ensemble):
    """The members come from /zookeeper/config then."""
    e = make_ensemble("RAR", client_in_server_line=True,
                      config={"4lw.commands.whitelist": "srvr"})
    e.start()
    answer = reeve(e[2].hosts, "status")
    assert answer.code == OK, answer.out + answer.err
    assert [line.split()[:2] for line in answer.lines[1:4]] == [[str(m.sid), m.hosts] for m in e]
    assert answer.lines[-1] == "in service, 3 of 3 servers serve, 3 voters"
    refused = reeve(e[2].hosts, "four", "mntr")
    assert refused.code == NO
    assert "mntr is not executed because it is not in the whitelist" in refused.out
    top = reeve(e[2].hosts, "top", "--once", "-d", "0.2")
    assert top.code == OK
    assert "no server tells its connections" in top.out


def test_status_where_members_do_not_tell_client_ports(make_ensemble):
    """Named servers are matched with members, those not named are shown."""
    e = make_ensemble("RRR")
    e.start()
    answer = reeve(hosts(e), "status")
    assert answer.code == OK
    assert [line.split()[:2] for line in answer.lines[1:4]] == [[str(m.sid), m.hosts] for m in e]
    e[3].kill()
    e.wait_serving([e[1], e[2]])
    answer = reeve(hosts(e), "status")
    assert answer.code == NO
    assert len(answer.lines) == 5
    assert re.fullmatch(rf"3 +{e[3].hosts} +down: Connection refused", answer.lines[3])
    one = reeve(e[1].hosts, "status")
    assert one.code == NO
    assert "where its clients connect is not known; name it with -s" in one.out
    follower = next(m for m in (e[1], e[2]) if m is not e.leader())
    follower.pause()                    # the leader has not noticed yet
    answer = reeve(hosts(e), "status", "-t", "300")
    follower.resume()
    assert answer.lines[-1] == (
        "in service, 1 of 3 servers serve, 3 voters; most of them do not serve")


def test_status_where_srvr_is_not_allowed(make_server):
    srv = make_server()
    srv.stop()
    srv.config["4lw.commands.whitelist"] = "mntr"
    srv.start(wait=False)
    harness.poll_until(lambda: "zk_version" in words_of(srv.port, "mntr"), WAIT_S, "a start")
    answer = reeve(srv.hosts, "status")
    assert answer.code == OK
    assert re.search(rf"^- +{srv.hosts} +standalone +3.9.5 +- +- ", answer.out, re.M)
    srv.stop()
    srv.config["4lw.commands.whitelist"] = "ruok"
    srv.start(wait=False)
    harness.poll_until(lambda: words_of(srv.port, "ruok") == "imok", WAIT_S, "a start")
    answer = reeve(srv.hosts, "status")
    assert answer.code == NO
    assert "unknown: srvr is not executed because it is not in the whitelist" in answer.out


def words_of(port, word):
    try:
        return harness.four_letter(port, word)
    except OSError:
        return ""


# ---- four ---------------------------------------------------------------------------------------

def test_four(group):
    answer = reeve(group[1].hosts, "four", "ruok")
    assert (answer.code, answer.out) == (OK, "imok\n")
    both = reeve(hosts([group[1], group[2]]), "four", "srvr")
    assert both.code == OK
    assert both.out.count("Mode: ") == 2
    assert both.lines[0] == group[1].hosts and group[2].hosts in both.lines
    named = reeve("127.0.0.1:1", "four", "isro", group[2].hosts, group[1].hosts)
    assert named.lines == [group[2].hosts, "rw", group[1].hosts, "rw"]
    objects = [json.loads(line) for line in
               reeve(hosts([group[1], group[3]]), "four", "--json", "ruok").lines]
    assert objects == [{"server": group[1].hosts, "answer": "imok"},
                       {"server": group[3].hosts, "answer": "imok"}]


def test_four_that_fails(group):
    port = harness.free_port()
    answer = reeve(f"{group[1].hosts},127.0.0.1:{port}", "four", "ruok")
    assert answer.code == NO
    assert answer.lines == [group[1].hosts, "imok"]
    assert f"four: 127.0.0.1:{port}: Connection refused" in answer.err
    assert reeve(group[1].hosts, "four", "toolong").code == USAGE
    assert reeve(group[1].hosts, "four", "stmk").code == NO
    unknown = reeve(group[1].hosts, "four", "-t", "300", "abcd")
    assert unknown.code == NO
    assert unknown.out == "" and "answer" in unknown.err


# ---- top ----------------------------------------------------------------------------------------

def test_top_shows_rates(group):
    with Load(group[1].port) as _:
        harness.poll_until(lambda: int(group[1].srvr()["Received"]) > 100, WAIT_S, "load")
        whole = reeve(group[2].hosts, "top", "--json", "-d", "0.5").json()
        text = reeve(group[2].hosts, "top", "--once", "-d", "0.3", "-n", "1")
    servers = {s["id"]: s for s in whole["servers"]}
    assert servers[1]["received_s"] > 20 and servers[1]["txns_s"] > 10
    assert servers[1]["received_s"] > servers[4]["received_s"]
    busiest = whole["clients"][0]
    assert busiest["at"] == 1 and busiest["received_s"] > 10
    assert busiest["last_op"] in ("SETD", "GETD")
    assert text.code == OK
    assert text.lines[0] == "in service, 4 of 4 servers, every 0.3 s"
    assert text.lines[2].split()[:4] == ["ID", "SERVER", "MODE", "RECV/s"]
    assert len([line for line in text.lines if re.search(r" 0x[0-9a-f]+ +1 ", line)]) == 1
    assert "\033" not in text.out


def test_top_in_batches(group):
    group[2].kill()
    group.wait_serving([m for m in group if m.sid != 2])
    answer = reeve(group[1].hosts, "top", "--batch", "3", "-d", "0.2")
    assert answer.code == OK
    assert answer.out.count("in service, 3 of 4 servers") == 3
    assert answer.out.count("Connection refused") == 3
    assert reeve(group[1].hosts, "top", "-d", "0").code == USAGE
    assert reeve(group[1].hosts, "top", "--once", "--batch", "2").code == USAGE


class Terminal:
    """The shell in a pty of 24 by 100."""

    def __init__(self, *words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(environment())
            os.execv(SHELL, [SHELL, *words])
        import fcntl
        import struct
        import termios
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.seen = ""

    def read_until(self, pattern):
        deadline = time.monotonic() + WAIT_S
        while not re.search(pattern, self.seen, re.S):
            assert time.monotonic() < deadline, f"{pattern} does not come: {self.seen[-2000:]}"
            ready, _, _ = select.select([self.fd], [], [], 0.2)
            if ready:
                try:
                    self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    break
        return self.seen

    def send(self, text):
        os.write(self.fd, text.encode())

    def wait(self):
        self.read_until(r"\033\[\?1049l")
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_top_in_a_terminal(group):
    with Load(group[1].port):
        t = Terminal("-s", group[1].hosts, "top", "-d", "0.2")
        t.read_until(r"\033\[\?1049h.*q ends.*CLIENT.*\033\[H\033\[J.*CLIENT")
        assert re.search(r"\033\[32mleader", t.seen)
        frames = t.seen.split("\033[H\033[J")[1:-1]
        assert frames and all(f.count("\n") < 24 for f in frames)
        t.send("q")
        assert t.wait() == OK
    assert t.seen.rstrip().endswith("\033[?25h\033[?1049l")


def test_top_gives_the_terminal_back_when_it_is_stopped(group):
    t = Terminal("-s", group[1].hosts, "top", "-d", "5")
    t.read_until("q ends")
    t.send("\x1a")
    t.read_until(r"\033\[\?1049l")
    pid, status = os.waitpid(t.pid, os.WUNTRACED)
    assert pid == t.pid and os.WIFSTOPPED(status)
    os.kill(t.pid, signal.SIGCONT)
    t.seen = ""
    t.read_until(r"\033\[\?1049h.*q ends")
    t.send("q")
    assert t.wait() == OK


def test_top_passes_no_sequences_on():
    """What a server says of itself is no command for a terminal."""
    answers = {b"srvr": b"Zookeeper version: 3, built on x\nMode: \x1b]0;x\x07\nNode count: 5\n",
               b"cons": b" /1\x1b[2J.2.3.4:5[1](queued=0,recved=1,sent=1,sid=0x1,lop=\x1b[2JX)\n"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        answers[b"conf"] = b"serverId=1\nmembership:\nserver.1=127.0.0.1:1:2;%d\n" % port

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.sendall(answers.get(client.recv(100)[:4], b""))
        threading.Thread(target=serve, daemon=True).start()
        t = Terminal("-s", f"127.0.0.1:{port}", "top", "-d", "0.3")
        t.read_until(r"CLIENT.*queued|CLIENT.*0x0*1 ")
        t.send("q")
        assert t.wait() == OK
        listener.shutdown(socket.SHUT_RDWR)
    assert "\\x1b]0;x" in t.seen and "\x1b]0" not in t.seen
    assert t.seen.count("\x1b[2J") == 0


def test_top_ends_by_ctrl_c(group):
    t = Terminal("-s", group[1].hosts, "top", "-d", "5")
    t.read_until("q ends")
    begun = time.monotonic()
    t.send("\x03")
    t.wait()
    assert time.monotonic() - begun < 3


# ---- bench --------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["reeve", "apache"])
def test_bench(make_server, kind):
    srv = make_server({"maxClientCnxns": 0}, kind=kind)
    mix = "get=50,set=20,exists=10,children=10,create=10"
    answer = reeve(srv.hosts, "--json", "bench", "-t", "1", "-c", "3", "-d", "8", "-mix", mix)
    assert answer.code == OK, answer.err
    whole = answer.json()
    assert set(whole["ops"]) == {"get", "set", "exists", "children", "create"}
    assert sum(o["ops"] for o in whole["ops"].values()) == whole["all"]["ops"] > 100
    for row in whole["ops"].values():
        assert row["errors"] == 0 and row["ops"] > 0
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["max_ms"]
    assert whole["ops"]["get"]["ops"] > whole["ops"]["create"]["ops"]
    with zk.Conn(srv.port) as c:
        assert c.children("/") == ["zookeeper"]
    text = reeve(srv.hosts, "bench", "-t", "1", "-c", "1", "-mix", "get")
    assert [line.split()[0] for line in text.lines[1:]] == ["ms", "get", "all"]


def test_bench_that_is_stopped_leaves_nothing(make_server):
    srv = make_server()
    p = subprocess.Popen([SHELL, "-s", srv.hosts, "bench", "-t", "60", "-mix", "create"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    harness.poll_until(lambda: int(srv.srvr()["Node count"]) > 300, WAIT_S, "creates")
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=WAIT_S)
    assert p.returncode == INTERRUPTED, err
    assert b"create" in out
    with zk.Conn(srv.port) as c:
        assert c.children("/") == ["zookeeper"]


def test_bench_that_is_stopped_before_it_measured(make_server):
    srv = make_server()
    p = subprocess.Popen([SHELL, "-s", srv.hosts, "bench", "--json", "-t", "60"],
                         stdout=subprocess.PIPE, env=environment())
    with zk.Conn(srv.port) as c:
        harness.poll_until(lambda: len(c.children("/")) > 1, WAIT_S, "its nodes")
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=WAIT_S)
        assert p.returncode == INTERRUPTED and json.loads(out)["all"]["ops_s"] >= 0
        assert c.children("/") == ["zookeeper"]


def test_bench_ends_without_its_server(make_server):
    srv = make_server()
    p = subprocess.Popen([SHELL, "-s", srv.hosts, "--timeout", "1000", "--connect-timeout", "500",
                          "bench", "-t", "1", "-mix", "create"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    harness.poll_until(lambda: int(srv.srvr()["Node count"]) > 300, WAIT_S, "creates")
    srv.kill()
    out, err = p.communicate(timeout=WAIT_S)
    assert p.returncode != OK and b"its nodes stay" in err and b"requests failed" in err, err
    assert b"create" in out


def test_bench_usage(make_server):
    srv = make_server()
    for words in (["-mix", "fly=1"], ["-c", "0"], ["-t", "x"], ["-mix", "get=0"]):
        assert reeve(srv.hosts, "bench", *words).code == USAGE
