# SPDX-License-Identifier: Apache-2.0
"""Apache's own shell (ZooKeeperMain of libzookeeper-java), the commands an operator types.

One JVM serves the whole file: commands go in by its standard input, and the answer to
`version`, sent behind each of them, tells where the output of a command ends.
"""
import queue
import subprocess
import threading

import pytest

import harness
import zk

WAIT_S = 30


class Shell:
    MARK = "ZooKeeper CLI version"

    def __init__(self, port):
        self.proc = subprocess.Popen(
            harness.JAVA + ["-cp", harness.CLASSPATH,
                            "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
                            "org.apache.zookeeper.ZooKeeperMain", "-server", f"127.0.0.1:{port}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = queue.Queue()
        self.events = []                # what watchers printed, whenever they did
        threading.Thread(target=self._read, daemon=True).start()
        self.run("ls /")                # waits for the connection

    def _read(self):
        for line in self.proc.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def next_line(self):
        try:
            line = self.lines.get(timeout=WAIT_S)
        except queue.Empty:
            raise AssertionError("the shell does not answer") from None
        assert line is not None, "the shell ended"
        return line

    def is_event(self, line):
        """Watchers print from a thread of their own, between and inside what commands print."""
        if "WatchedEvent state:" in line:
            self.events.append(line)
        return line == "WATCHER::" or "WatchedEvent state:" in line

    def run(self, command):
        """The lines that a command printed."""
        self.proc.stdin.write(command + "\nversion\n")
        self.proc.stdin.flush()
        out = []
        while True:
            line = self.next_line()
            if line.startswith(self.MARK):
                return [text for text in out if text]
            if not self.is_event(line):
                out.append(line)

    def wait_event(self, kind, path):
        """Reads until the watcher prints this event."""
        wanted = f"WatchedEvent state:SyncConnected type:{kind} path:{path}"
        for _ in range(200):
            for line in self.events:
                if wanted in line:
                    self.events.remove(line)
                    return
            self.is_event(self.next_line())
        raise AssertionError(f"{wanted} does not come; last: {self.events[-5:]}")

    def close(self):
        self.proc.stdin.write("quit\n")
        self.proc.stdin.close()
        self.proc.wait(WAIT_S)


@pytest.fixture(scope="module")
def shell(server):
    sh = Shell(server.port)
    yield sh
    sh.close()


def stat_of(lines):
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


def test_create_get_set_delete(shell, root):
    assert shell.run(f"create {root}/a one") == [f"Created {root}/a"]
    assert shell.run(f"create {root}/a again") == [f"Node already exists: {root}/a"]
    out = shell.run(f"get -s {root}/a")
    assert out[0] == "one"
    stat = stat_of(out)
    assert (stat["dataVersion"], stat["dataLength"], stat["numChildren"]) == ("0", "3", "0")
    shell.run(f"set -v 0 {root}/a two")
    assert shell.run(f"get {root}/a") == ["two"]
    assert shell.run(f"set -v 0 {root}/a x") == [f"version No is not valid : {root}/a"]
    assert stat_of(shell.run(f"stat {root}/a"))["dataVersion"] == "1"
    assert shell.run(f"delete -v 7 {root}/a") == [f"version No is not valid : {root}/a"]
    assert shell.run(f"delete -v 1 {root}/a") == []
    assert shell.run(f"get {root}/a") == [f"Node does not exist: {root}/a"]


def test_kinds_of_nodes(shell, root, connect):
    conn = connect()
    assert shell.run(f"create -s {root}/s- x") == [f"Created {root}/s-0000000000"]
    assert shell.run(f"create -e {root}/e x") == [f"Created {root}/e"]
    assert shell.run(f"create -e -s {root}/es- x") == [f"Created {root}/es-0000000002"]
    assert shell.run(f"create -c {root}/c") == [f"Created {root}/c"]
    assert shell.run(f"create -t 200 {root}/t x") == [f"Created {root}/t"]
    stat = stat_of(shell.run(f"stat {root}/e"))
    assert int(stat["ephemeralOwner"], 16) == conn.exists(root + "/e").ephemeral_owner != 0
    assert stat_of(shell.run(f"stat {root}/c"))["ephemeralOwner"] == "0x0"
    shell.run(f"create {root}/c/k x")
    shell.run(f"delete {root}/c/k")
    harness.poll_until(lambda: conn.exists(root + "/c") is None, 5, "container reaped")
    harness.poll_until(lambda: conn.exists(root + "/t") is None, 5, "TTL node reaped")
    (listed,) = shell.run(f"getEphemerals {root}")
    assert sorted(listed.strip("[]").split(", ")) == [f"{root}/e", f"{root}/es-0000000002"]
    assert shell.run(f"create {root}/e/k x") == [f"Ephemerals cannot have children: {root}/e/k"]


def test_ls(shell, root):
    for path in ("a", "a/b", "a/b/c", "d"):
        shell.run(f"create {root}/{path} x")
    assert shell.run(f"ls {root}") == ["[a, d]"]
    assert sorted(shell.run(f"ls -R {root}")) == sorted(
        [root] + [f"{root}/{p}" for p in ("a", "a/b", "a/b/c", "d")])
    assert shell.run(f"delete {root}/a") == [f"Node not empty: {root}/a"]
    out = shell.run(f"ls -s {root}")
    assert out[0].startswith("[a, d]")
    assert stat_of(out)["cversion"] == "2"
    assert shell.run(f"getAllChildrenNumber {root}") == ["4"]
    shell.run(f"deleteall {root}/a")
    assert shell.run(f"ls {root}") == ["[d]"]


def test_acl(shell, root, connect):
    shell.run(f"create {root}/n x")
    assert shell.run(f"getAcl {root}/n") == ["'world,'anyone", ": cdrwa"]
    shell.run(f"setAcl {root}/n world:anyone:r")
    out = shell.run(f"getAcl -s {root}/n")
    assert out[:2] == ["'world,'anyone", ": r"]
    assert stat_of(out)["aclVersion"] == "1"
    assert shell.run(f"set {root}/n y") == [f"Insufficient permission : {root}/n"]
    shell.run("addauth digest user:pass")
    shell.run(f"create {root}/mine x auth::cdrwa")
    assert shell.run(f"getAcl {root}/mine") == [
        "'digest,'user:smGaoVKd/cQkjm7b88GyorAUz20=", ": cdrwa"]
    assert connect().err(zk.GET_DATA, zk.ustr(root + "/mine") + b"\0") == zk.NOAUTH
    out = shell.run("whoami")
    assert out[0] == "Auth scheme: User"
    assert sorted(out[1:]) == ["digest: user", "ip: 127.0.0.1"]
    assert shell.run(f"setAcl {root}/mine digest:nohash:r") == [
        f"Acl is not valid : {root}/mine"]


def test_quota(shell, root, connect):
    shell.run(f"create {root}/q 12345")
    shell.run(f"create {root}/q/k 1")
    shell.run(f"setquota -n 10 {root}/q")
    out = " ".join(shell.run(f"listquota {root}/q"))
    assert "count=10,bytes=-1" in out
    assert "count=2,bytes=6" in out
    shell.run(f"setquota -B 100 {root}/q")
    assert "byteHardLimit=100" in " ".join(shell.run(f"listquota {root}/q"))
    shell.run(f"create {root}/q/k2 x")
    assert connect().get(f"/zookeeper/quota{root}/q/zookeeper_stats")[0] == b"count=3,bytes=7"
    shell.run(f"delquota {root}/q")
    assert shell.run(f"listquota {root}/q")[-1] == f"quota for {root}/q does not exist."


def test_one_shot_watches(shell, root, connect):
    conn = connect()
    shell.run(f"create {root}/n x")
    shell.run(f"get -w {root}/n")
    conn.set(root + "/n", b"1")
    shell.wait_event("NodeDataChanged", root + "/n")
    shell.run(f"ls -w {root}")
    conn.create(root + "/m")
    shell.wait_event("NodeChildrenChanged", root)
    shell.run(f"stat -w {root}/n")
    conn.delete(root + "/n")
    shell.wait_event("NodeDeleted", root + "/n")


def test_add_watch_and_removewatches(shell, root, connect):
    conn = connect()
    shell.run(f"addWatch -m PERSISTENT_RECURSIVE {root}")
    conn.create(root + "/a")
    shell.wait_event("NodeCreated", root + "/a")
    conn.create(root + "/a/b")
    shell.wait_event("NodeCreated", root + "/a/b")
    conn.delete(root + "/a/b")
    shell.wait_event("NodeDeleted", root + "/a/b")
    shell.run(f"removewatches {root} -a")
    conn.set(root + "/a", b"unseen")
    shell.run("ls /")
    assert not any(f"NodeDataChanged path:{root}/a" in line for line in shell.events)
    shell.run(f"addWatch -m PERSISTENT {root}/a")
    conn.set(root + "/a", b"seen")
    shell.wait_event("NodeDataChanged", root + "/a")
    conn.set(root + "/a", b"seen again")
    shell.wait_event("NodeDataChanged", root + "/a")
    shell.run(f"removewatches {root}/a")


def test_small_commands(shell, root):
    assert shell.run(f"sync {root}") == ["Sync is OK"]
    assert any("ls /" in line for line in shell.run("history"))
    assert shell.run("config") == []
    assert shell.run("nonsense")[-1].endswith("Command not found nonsense")
    assert shell.run("ls /none") == ["Node does not exist: /none"]
    assert shell.run("reconfig -add server.5=h:1:2;3") == ["KeeperErrorCode = Reconfig is disabled"]
    assert shell.run(f"removewatches {root}") == [
        f"KeeperErrorCode = No such watcher for {root}"]


def test_deep_tree_deleteall(shell, root):
    path = root
    for n in range(30):
        path += f"/d{n}"
        shell.run(f"create {path} x")
    assert shell.run(f"getAllChildrenNumber {root}") == ["30"]
    shell.run(f"deleteall {root}/d0 -b 5")
    assert shell.run(f"getAllChildrenNumber {root}") == ["0"]
