# SPDX-License-Identifier: Apache-2.0
"""tools/ensemble, as `make run-ensemble` starts it: three servers and a prompt."""
import os
import re
import signal
import socket
import subprocess

import pytest

import harness
import zk

TOOL = os.path.join(harness.REPO, "tools", "ensemble")
ABOVE = (0, 707, 1707)      # ports of clients, quorum and election of server 1
pytestmark = pytest.mark.reeve_only("it starts reeved")


def free_ports():
    """The first of three free ports, and those that the tool adds to them are free, too."""
    def is_free(port):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                return False
            return True

    def candidate():
        port = harness.free_port()
        return port if all(is_free(port + a + n) for a in ABOVE for n in range(3)) else None

    return harness.poll_until(candidate, 10, "nine free ports", every_s=0)


class Tool:
    def __init__(self, folder):
        self.data = str(folder / "ensemble")
        self.output = str(folder / "output")
        self.port = free_ports()
        self.proc = None

    def start(self):
        with open(self.output, "wb") as out:
            self.proc = subprocess.Popen(
                [TOOL, "--reeved", harness.REEVE_BIN, "--data", self.data, "--port",
                 str(self.port)], stdin=subprocess.PIPE, stdout=out, stderr=out)

    def text(self):
        with open(self.output, encoding="utf-8", errors="replace") as f:
            return f.read()

    def say(self, command):
        self.proc.stdin.write(command.encode() + b"\n")
        self.proc.stdin.flush()

    def wait(self, pattern, at_least=1):
        """Waits until so many lines are like that; gives the last match."""
        def found():
            matches = list(re.finditer(pattern, self.text(), re.M))
            return matches[-1] if len(matches) >= at_least else None
        return harness.poll_until(found, 30, lambda: f"{pattern}\n" + self.text())

    def leads(self, at_least):
        m = self.wait(r"^ensemble: server (\d) leads \(pid (\d+)\)", at_least)
        return int(m[1]), int(m[2])

    def end(self, number=signal.SIGINT):
        self.proc.send_signal(number)
        code = self.proc.wait(30)
        self.proc = None
        return code


@pytest.fixture
def tool(tmp_path):
    t = Tool(tmp_path)
    yield t
    if t.proc:
        t.proc.kill()       # its servers go with it
        t.proc.wait()


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_the_leader_is_killed_and_the_others_go_on(tool):
    tool.start()
    first, pid = tool.leads(1)
    with zk.Conn(tool.port + first - 1) as c:
        c.create("/before", b"1")
    tool.say("kill leader")
    tool.wait(rf"^ensemble: server {first} \(pid {pid}\) was ended by SIGKILL")
    second, _ = tool.leads(2)
    assert second != first
    with zk.Conn(tool.port + second - 1) as c:
        assert c.get("/before")[0] == b"1"
        c.create("/after", b"2")
    tool.say(f"start {first}")
    tool.wait(rf"^{first}\| .*following, .* serving ")
    tool.say("status")
    tool.wait(rf"^ensemble: server {first}  follower  .*  nodes 7$")
    with zk.Conn(tool.port + first - 1) as c:
        c.sync()
        assert c.get("/after")[0] == b"2"
    assert re.search(r"^[123]\| .*looking for a leader \(the connection to the leader is gone\)",
                     tool.text(), re.M)


def test_it_stops_all_and_goes_on_with_its_files(tool):
    tool.start()
    first, _ = tool.leads(1)
    tool.say("status")
    pids = [int(tool.wait(rf"^ensemble: server {n}  .*  pid (\d+)")[1]) for n in (1, 2, 3)]
    with zk.Conn(tool.port + first - 1) as c:
        c.create("/kept", b"")
    assert tool.end() == 0
    for n in (1, 2, 3):
        assert re.search(rf"^ensemble: server {n} .* stopped$", tool.text(), re.M), tool.text()
    assert not any(alive(pid) for pid in pids)
    tool.start()
    tool.wait("^ensemble: known servers")
    second, _ = tool.leads(1)
    with zk.Conn(tool.port + second - 1) as c:
        c.get("/kept")
    tool.say("nonsense")
    tool.wait('^ensemble: "nonsense" is no command')
    tool.say("quit")
    assert tool.proc.wait(30) == 0


def test_no_server_outlives_it(tool):
    tool.start()
    tool.leads(1)
    tool.say("status")
    pids = [int(tool.wait(rf"^ensemble: server {n}  .*  pid (\d+)")[1]) for n in (1, 2, 3)]
    tool.proc.kill()
    harness.poll_until(lambda: not any(alive(pid) for pid in pids), 15, "all are gone")
