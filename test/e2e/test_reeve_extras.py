# SPDX-License-Identifier: Apache-2.0
"""What the shell has beyond Apache's: subtrees, JSON, following, and programs run under a lock.

Each command runs against Reeve and against Apache, some below a chroot; where a lock is contended,
kazoo contends as well. Helpers are those of test_reeve_shell.py.
"""
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import harness
import zk
from test_reeve_shell import (INTERRUPTED, KINDS, NO, NO_CONNECTION, OK, SHELL, SUPER, USAGE,
                              WAIT_S, Answer, environment, ok, run)

kazoo_client = pytest.importorskip("kazoo.client")

MANY = 10000


def new_server(kind, directory):
    why = harness.missing_tools(kind)
    assert why is None, why
    srv = harness.Server(kind, directory, {
        "tickTime": 500, "minSessionTimeout": 600, "maxSessionTimeout": 60000, "maxClientCnxns": 0,
        **SUPER})
    return srv.start()


@pytest.fixture(scope="module", params=KINDS)
def service(request, tmp_path_factory):
    srv = new_server(request.param, tmp_path_factory.mktemp(request.param))
    yield srv
    srv.stop()


@pytest.fixture(params=KINDS)
def mortal(request, tmp_path):
    """A server of the test's own, to be killed."""
    srv = new_server(request.param, tmp_path / "server")
    yield srv
    srv.kill()


_numbers = iter(range(1, 10000))


@pytest.fixture
def conn(service):
    c = zk.Conn(service.port, timeout_ms=60000)
    yield c
    c.close()


@pytest.fixture
def top(conn):
    path = f"/x{next(_numbers)}"
    conn.create(path)
    return path


def jsons(answer):
    return [json.loads(line) for line in answer.lines]


def plant(conn, top, *paths):
    for path in paths:
        conn.create(f"{top}/{path}", path.encode())


class Running:
    """A shell that goes on while the test does something; its output is read line by line."""

    def __init__(self, hosts, *args, options=(), **more):
        self.proc = subprocess.Popen([SHELL, "-s", hosts, *options, *args], env=environment(),
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, **more)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.proc.stdout:
            self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    def expect(self, n, timeout_s=WAIT_S):
        """The first n lines, once they are there."""
        harness.poll_until(lambda: len(self.lines) >= n or self.proc.poll() is not None, timeout_s,
                           lambda: f"{n} lines; got {self.lines}")
        if self.proc.poll() is not None:
            self.reader.join(5)
        assert len(self.lines) >= n, (self.lines, self.proc.stderr.read())
        return self.lines[:n]

    def end(self, timeout_s=WAIT_S):
        code = self.proc.wait(timeout_s)
        self.reader.join(5)
        return Answer(subprocess.CompletedProcess([], code, "\n".join(self.lines).encode(),
                                                  self.proc.stderr.read()))

    def kill(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()


@pytest.fixture
def running():
    opened = []

    def begin(*args, **more):
        r = Running(*args, **more)
        opened.append(r)
        return r

    yield begin
    for r in opened:
        r.kill()


class Way:
    """To a server, and can be cut: for a client the same as a server that dies. It can also turn
    addWatch into an operation that no server knows."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.hosts = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.port = port
        self.sockets = []
        self.old, self.turned = False, 0
        self.requests_left = None       # after so many it cuts itself
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                return
            self.sockets += [client, server]
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client), daemon=True).start()

    def _copy(self, a, b):
        try:
            while part := a.recv(65536):
                b.sendall(part)
        except OSError:
            pass
        for s in (a, b):
            self._shutdown(s)

    @staticmethod
    def _shutdown(s):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _requests(self, client, server):
        with client.makefile("rb") as f:
            first = True
            try:
                while len(head := f.read(4)) == 4:
                    body = f.read(struct.unpack(">i", head)[0])
                    if self.old and not first and struct.unpack(">i", body[4:8])[0] == zk.ADD_WATCH:
                        body = body[:4] + struct.pack(">i", 250) + body[8:]
                        self.turned += 1
                    if not first and self.requests_left is not None:
                        self.requests_left -= 1
                        if self.requests_left < 0:
                            self.cut()
                    first = False
                    server.sendall(head + body)
                server.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def cut(self):
        self._shutdown(self.listener)   # a thread may wait in accept()
        self.listener.close()
        for s in self.sockets:
            self._shutdown(s)

    def close(self):
        self.cut()
        for s in self.sockets:
            s.close()


@pytest.fixture
def way(service):
    w = Way(service.port)
    yield w
    w.close()


# ---- subtrees ------------------------------------------------------------------------------------


def test_tree(service, conn, top):
    plant(conn, top, "b", "a", "a/x", "a/y", "a/y/deep", "c")
    assert ok(service, "tree", top).lines == [
        top, "├── a", "│   ├── x", "│   └── y", "│       └── deep", "├── b", "└── c", "", "7 nodes"]
    assert ok(service, "tree", "-d", "1", top).lines == [
        top, "├── a  (+2)", "├── b", "└── c", "", "4 nodes"]
    assert ok(service, "tree", "-d0", "-s", top).lines[0].startswith(f"{top}  [0, version 0]")
    conn.create(top + "/e", flags=zk.EPHEMERAL)
    assert f"└── e  [0, version 0, ephemeral 0x{conn.session_id:x}]" in (
        ok(service, "tree", "-s", top).lines)
    found = jsons(ok(service, "tree", "--json", top))
    assert [(v["path"], v["depth"]) for v in found[:3]] == [
        (top, 0), (f"{top}/a", 1), (f"{top}/a/x", 2)]
    assert found[1]["stat"]["numChildren"] == 2


def test_tree_below_a_chroot_and_beside_a_closed_room(service, conn, top):
    plant(conn, top, "open", "closed", "closed/in")
    conn.set_acl(top + "/closed", [(zk.ALL & ~zk.READ, "world", "anyone")])
    answer = run(service, "tree", hosts=service.hosts + top)
    assert answer.code == NO
    assert answer.lines == ["/", "├── closed  (may not be read)", "└── open", "", "3 nodes"]
    assert "/: the children of 1 nodes may not be read (NOAUTH)" in answer.err


def test_find(service, conn, top):
    plant(conn, top, "apple", "apple/pie", "pear", "pear/apple")
    conn.create(top + "/big", b"x" * 3000)
    conn.create(top + "/eph", b"needle in hay", flags=zk.EPHEMERAL)
    names = [top + p for p in ("/apple", "/apple/pie", "/big", "/eph", "/pear", "/pear/apple")]
    assert ok(service, "find", top).lines == [top] + names
    assert ok(service, "find", top, "-name", "*ppl?").lines == [names[0], names[5]]
    assert ok(service, "find", "-name", "[bp]*", top).lines == [names[1], names[2], names[4]]
    assert ok(service, "find", top, "-size", "+2k").lines == [names[2]]
    assert ok(service, "find", top, "-size", "3k").lines == [names[2]]
    assert ok(service, "find", top, "-size", "5").lines == [names[0]]
    assert ok(service, "find", top, "-size", "-1").lines == [top]
    assert ok(service, "find", top, "-ephemeral").lines == [names[3]]
    assert ok(service, "find", top, "-owner", hex(conn.session_id)).lines == [names[3]]
    assert ok(service, "find", top, "-owner", "0x1").lines == []
    assert ok(service, "find", top, "-data", "pple").lines == [names[0], names[1], names[5]]
    assert ok(service, "find", top, "-data", "needle", "-ephemeral").lines == [names[3]]
    assert ok(service, "find", top, "-mtime", "-1h").lines == [top] + names
    assert ok(service, "find", top, "-mtime", "+1m").lines == []
    found = jsons(ok(service, "find", "--json", top, "-size", "+2k"))
    assert found[0]["stat"]["dataLength"] == 3000


def test_du(service, conn, top):
    plant(conn, top, "a", "b")
    conn.create(top + "/b/c", b"x" * 2048)
    conn.create(top + "/a/d", b"y" * 10)
    assert [line.split() for line in ok(service, "du", top).lines] == [
        ["bytes", "znodes", "path"], ["2.0K", "5", top], ["2.0K", "2", f"{top}/b"],
        ["11", "2", f"{top}/a"]]
    assert len(ok(service, "du", "-s", top).lines) == 2
    everything = jsons(ok(service, "du", "--json", "-d", "9", top))
    assert everything[0] == {"path": top, "bytes": 2060, "nodes": 5}
    assert len(everything) == 5


def test_cp(service, conn, top):
    plant(conn, top, "a", "a/b")
    conn.create(top + "/a/null", None)
    conn.set_acl(top + "/a/b", [(zk.READ | zk.ADMIN, "world", "anyone")])
    conn.create(top + "/a/eph", flags=zk.EPHEMERAL)
    assert ok(service, "cp", f"{top}/a", f"{top}/one").out == ""
    assert conn.get(top + "/one")[0] == b"a" and conn.children(top + "/one") == []
    answer = run(service, "cp", "-r", f"{top}/a", f"{top}/all")
    assert answer.code == OK
    assert answer.err == "1 ephemeral nodes were left out: they belong to sessions\n"
    assert sorted(conn.children(top + "/all")) == ["b", "null"]
    assert conn.get(top + "/all/b")[0] == b"a/b" and conn.get(top + "/all/null")[0] is None
    assert conn.get_acl(top + "/all/b")[0] == [(zk.READ | zk.ADMIN, "world", "anyone")]
    ok(service, "cp", f"{top}/a/b", f"{top}/one/")
    assert conn.get(top + "/one/b")[0] == b"a/b"
    again = run(service, "cp", "-r", f"{top}/a", f"{top}/all")
    assert (again.code, again.err) == (
        NO, f"reeve: cp: Node already exists: {top}/all (NODEEXISTS)\n")
    assert "cannot go below itself" in run(service, "cp", "-r", f"{top}/a", f"{top}/a/x").err
    assert "is ephemeral" in run(service, "cp", f"{top}/a/eph", f"{top}/eph").err
    assert run(service, "cp", f"{top}/none", f"{top}/x").code == NO
    assert run(service, "cp", f"{top}/a", f"{top}/no/parent").err == (
        f"reeve: cp: Node does not exist: {top}/no/parent (NONODE)\n")


def test_cp_does_not_open_what_it_cannot_see_closed(service, conn, top):
    who = "u:" + "h" * 27 + "="
    conn.create(top + "/a", acls=[(zk.READ, "world", "anyone"), (zk.ALL, "digest", who)])
    answer = run(service, "cp", f"{top}/a", f"{top}/b")
    assert answer.code == NO and "only those with ADMIN permission see" in answer.err, answer
    assert conn.exists(top + "/b") is None


def test_mv_is_one_transaction(service, conn, top):
    plant(conn, top, "a", "a/b", "a/b/c", "a/d")
    answer = ok(service, "mv", "--json", f"{top}/a", f"{top}/z")
    assert jsons(answer) == [{"from": f"{top}/a", "to": f"{top}/z", "atomic": True}]
    assert conn.exists(top + "/a") is None
    zxids = {conn.exists(top + p).czxid for p in ("/z", "/z/b", "/z/b/c", "/z/d")}
    assert len(zxids) == 1 and conn.get(top + "/z/b/c")[0] == b"a/b/c"


def test_mv_refuses(service, conn, top):
    plant(conn, top, "a", "a/b", "there")
    seq = conn.create(top + "/a/n-", flags=zk.SEQUENTIAL)
    for to, why in ((f"{top}/a/b/c", "cannot go below itself"), (f"{top}/a", "are the same"),
                    (f"{top}/z", f"{seq} has a sequence number")):
        answer = run(service, "mv", f"{top}/a", to)
        assert answer.code == NO and why in answer.err, answer
    assert "cannot be moved" in run(service, "mv", "/", f"{top}/z").err
    assert run(service, "mv", "-f", f"{top}/a", f"{top}/there").err == (
        f"reeve: mv: Node already exists: {top}/there (NODEEXISTS)\n")
    conn.create(top + "/a/eph", flags=zk.EPHEMERAL)
    assert f"{top}/a/eph is ephemeral" in run(service, "mv", "-f", f"{top}/a", f"{top}/z").err
    assert conn.exists(top + "/z") is None and len(conn.children(top + "/a")) == 3
    conn.delete(top + "/a/eph")
    ok(service, "mv", "-f", f"{top}/a", f"{top}/z")
    assert conn.exists(top + "/z/" + seq.rsplit("/", 1)[1])


def test_rm(service, conn, top):
    plant(conn, top, "a", "a/b", "c", "d")
    assert run(service, "rm", f"{top}/a").err == (
        f"reeve: rm: {top}/a has children; -r deletes them too (NOTEMPTY)\n")
    assert run(service, "rm", f"{top}/none").code == NO
    assert run(service, "rm", "-r", f"{top}/d", "").code == USAGE  # and nothing is deleted
    assert ok(service, "rm", "-f", f"{top}/none").out == ""
    answer = run(service, "rm", "-r", f"{top}/a", f"{top}/none", f"{top}/c")
    assert answer.code == NO and f"{top}/none (NONODE)" in answer.err
    assert conn.children(top) == ["d"]
    assert run(service, "rm", "-rf", "/").code == NO
    ok(service, "rm", "-rf", f"{top}/d", f"{top}/none")
    assert conn.children(top) == []


def test_rm_where_some_is_hidden(service, conn, top):
    plant(conn, top, "a", "a/b", "a/b/c")
    conn.set_acl(top + "/a/b", [(zk.READ, "ip", "10.0.0.1")])
    answer = run(service, "rm", "-r", f"{top}/a")
    assert (answer.code, answer.err) == (
        NO, f"reeve: rm: {top}/a: the children of 1 nodes may not be read (NOAUTH)\n")


# ---- export and import ---------------------------------------------------------------------------


def rich(conn, top):
    """Nodes with all kinds of data and lists; what they are by their path."""
    plant(conn, top, "a", "a/text")
    data = {"/bytes": bytes(range(256)), "/empty": b"", "/null": None, "/nul": b"a\0b",
            "/żółw 水": "dane ≠".encode(), '/q"\\': b'{"x": "\\"}'}
    for path, value in data.items():
        conn.create(top + "/a" + path, value)
    conn.create(top + "/a/some", b"c", acls=[
        (zk.READ | zk.WRITE | zk.ADMIN, "world", "anyone"),
        (zk.ALL, "digest", "u:" + "h" * 27 + "="), (zk.ALL, "ip", "10.0.0.0/8")])


def tree_of(conn, path):
    found = {}

    def visit(at):
        found[at[len(path):]] = (conn.get(at)[0], conn.get_acl(at)[0])
        for name in conn.children(at):
            visit(at + "/" + name)
    visit(path)
    return found


def test_export_and_import(service, conn, top, tmp_path):
    rich(conn, top)
    conn.create(top + "/a/eph", flags=zk.EPHEMERAL)
    file = str(tmp_path / "a.json")
    assert ok(service, "export", f"{top}/a", file).out == f"exported 10 nodes to {file}\n"
    conn.delete(top + "/a/eph")
    before = tree_of(conn, top + "/a")
    with open(file, encoding="utf-8") as f:
        nodes = {n["path"]: n for n in json.load(f)["nodes"]}
    assert (nodes[f"{top}/a/bytes"]["encoding"], nodes[f"{top}/a"]["encoding"]) == ("base64",
                                                                                 "utf-8")
    assert nodes[f"{top}/a/eph"]["ephemeral"] is True
    assert os.listdir(tmp_path) == ["a.json"]

    answer = run(service, "import", file)
    assert answer.code == NO and f"{top}/a exists already" in answer.err
    answer = run(service, "import", "--dry-run", file)  # what the import itself would say
    assert answer.code == NO and f"{top}/a exists already" in answer.err
    assert "would be: 0 created, 0 set, 9 kept" in ok_with_note(
        service, "import", "--dry-run", "--merge", file).out
    plan = ok_with_note(service, "import", "--dry-run", file, f"{top}/copy").lines
    assert plan[0] == f"create {top}/copy" and plan[-1] == "would be: 9 created, 0 set, 0 kept"
    assert conn.exists(top + "/copy") is None
    assert ok_with_note(service, "import", file, f"{top}/copy").out == "9 created, 0 set, 0 kept\n"
    assert tree_of(conn, top + "/copy") == before

    conn.set(top + "/copy/nul", b"other")
    conn.delete(top + "/copy/empty")
    assert "1 created, 0 set, 8 kept" in ok_with_note(
        service, "import", "--merge", file, f"{top}/copy").out
    assert conn.get(top + "/copy/nul")[0] == b"other"
    conn.set_acl(top + "/copy/nul", [(zk.ALL, "ip", "127.0.0.1")])
    assert ok_with_note(service, "import", "-f", file, f"{top}/copy").out == (
        "0 created, 9 set, 0 kept\n")
    assert tree_of(conn, top + "/copy") == before


def test_export_replaces_files_and_nothing_else(service, conn, top, tmp_path):
    conn.create(top + "/n", b"data")
    pipe, file, link = tmp_path / "pipe", tmp_path / "file", tmp_path / "link"
    file.write_text("old")
    file.chmod(0o600)
    link.symlink_to(file)
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    ok(service, "export", top, str(pipe))
    piped, _ = reader.communicate(timeout=WAIT_S)
    ok(service, "export", top, str(link))
    assert json.loads(piped)["nodes"] == json.loads(file.read_text())["nodes"]
    assert pipe.is_fifo() and link.is_symlink() and file.stat().st_mode & 0o777 == 0o600
    full = run(service, "export", top, "/dev/full")
    assert full.code == NO and "No space left" in full.err and not os.path.isfile("/dev/full")


def ok_with_note(service, *args, **more):
    answer = run(service, *args, **more)
    assert answer.code == OK, answer
    assert answer.err in ("", "1 ephemeral nodes were left out: their sessions are gone\n"), answer
    return answer


def test_export_through_a_pipe_and_a_chroot(service, conn, top):
    rich(conn, top)
    text = ok(service, "export", "/a", hosts=service.hosts + top).raw
    assert json.loads(text)["nodes"][0]["path"] == "/a"
    conn.create(top + "/other")
    answer = ok(service, "import", "-", hosts=service.hosts + top + "/other", data=text)
    assert answer.out == "9 created, 0 set, 0 kept\n"
    assert tree_of(conn, top + "/other/a") == tree_of(conn, top + "/a")


def test_export_says_what_it_may_not_see(service, conn, top):
    plant(conn, top, "open", "closed")
    conn.create(top + "/masked", acls=[(zk.READ, "world", "anyone"),
                                      (zk.ALL, "digest", "u:" + "h" * 27 + "=")])
    conn.set_acl(top + "/closed", [(zk.ALL & ~zk.READ, "world", "anyone")])
    answer = run(service, "export", top)
    assert answer.code == NO
    assert f"{top}: 1 nodes may not be read and are left out (NOAUTH)" in answer.err
    assert "1 nodes have digests" in answer.err
    assert [n["path"] for n in json.loads(answer.raw)["nodes"]] == [
        top, f"{top}/masked", f"{top}/open"]
    assert "--no-acl" in run(service, "import", "-", f"{top}/c", data=answer.raw).err
    assert conn.exists(top + "/c/masked") is None
    assert run(service, "import", "--no-acl", "--merge", "-", f"{top}/c",
               data=answer.raw).code == OK
    assert conn.get_acl(top + "/c/masked")[0] == [(zk.ALL, "world", "anyone")]


def test_a_snapshot_is_imported(mortal, tmp_path):
    with zk.Conn(mortal.port) as c:
        plant(c, "", "app", "app/a", "app/b")
        c.create("/app/bytes", bytes(range(256)))
        c.create2("/app/box", flags=zk.CONTAINER)
    mortal.restart()            # which leaves a snapshot with all of it, at the latest now
    mortal.stop()
    snapshot = mortal.snapshot_files()[-1]
    text = Answer(subprocess.run([SHELL, "--json", "snapshot", snapshot], env=environment(),
                                 capture_output=True, timeout=WAIT_S, check=False))
    assert text.code == OK
    mortal.start()
    with zk.Conn(mortal.port) as c:
        answer = run(mortal, "import", "--merge", "-", data=text.raw)
        assert answer.code == OK and "below /zookeeper were left out" in answer.err, answer
        c.create("/copy")
        whole = json.loads(text.raw)
        whole["nodes"] = [n for n in whole["nodes"] if n["path"].startswith("/app")]
        if whole["nodes"]:      # Apache's may be older than the nodes
            pretty = json.dumps(whole, indent=2).encode()
            assert ok(mortal, "import", "-", "/copy/app", data=pretty).out.startswith(
                f"{len(whole['nodes'])} created")
            assert c.get("/copy/app/bytes")[0] == bytes(range(256))


@pytest.mark.parametrize("text, why", [
    (b"", "it is not JSON as export"),
    (b"hello", "it is not JSON as export"),
    (b"{}", 'has no member "nodes"'),
    (b'{"nodes": 3}', 'its member "nodes" is no array'),
    (b'{"a": [1, {"b": "]"}], "c": "x\\"y", "d": -1.5e3, "nodes": [{"path": "/p"}', "ends in the"),
    (b'{"nodes": [7]}', "a node is no object"),
    (b'{"nodes": [{"data": "x"}]}', "a node has no path"),
    (b'{"nodes": [{"path": "/p/q", "data": "%", "encoding": "base64"}]}', "are not what their enc"),
    (b'{"nodes": [{"path": "/p/q", "data": "x", "encoding": "rot13"}]}', "are not what their enc"),
    (b'{"nodes": [{"path": "/p/q", "acl": []}]}', "an access control list that is none"),
    (b'{"nodes": [{"path": "/p/q", "ttl_ms": -1}]}', "has a TTL that cannot be"),
    (b'{"nodes": [{"path": "/p"}, {"path": "/q"}]}', "/q is not below /p"),
    (b'{"nodes": [{"path": "/p", "data": "' + b"x" * 100 + b'}', "it is not JSON"),
    (b'{"nodes": [{"path": "/x//y"}]}', "(BADARGUMENTS)"),
    (b'{"nodes": [{"path": "/no/such/parent"}]}', "/no/such/parent (NONODE)"),
])
def test_import_of_nonsense(service, conn, text, why):
    answer = run(service, "import", "-", data=text)
    assert answer.code in (NO, USAGE) and why in answer.err, answer
    assert answer.out == ""
    assert conn.exists("/p") is None


def test_many_nodes(service, conn, top, tmp_path):
    """10,000 nodes in, looked at, copied, moved in parts, and out again; Apache gets a tenth."""
    many = MANY if service.kind == "reeve" else MANY // 10
    file = str(tmp_path / "many.json")
    with open(file, "w", encoding="utf-8") as f:
        nodes = [{"path": "/m"}] + [{"path": f"/m/d{i}"} for i in range(100)] + [
            {"path": f"/m/d{i}/n{k}", "data": "0123456789"} for i in range(100)
            for k in range(many // 100 - 1)]
        json.dump({"nodes": nodes}, f)
    assert len(nodes) == many + 1
    assert f"{many + 1} created" in ok(service, "import", file, f"{top}/m").out
    lines = ok(service, "tree", f"{top}/m").lines
    assert lines[-1] == f"{many + 1} nodes" and len(lines) == many + 3
    assert ok(service, "du", "-s", "--json", f"{top}/m").out == json.dumps(
        {"path": f"{top}/m", "bytes": 10 * (many - 100), "nodes": many + 1},
        separators=(",", ":")) + "\n"
    assert len(ok(service, "find", f"{top}/m", "-name", "n7", "-data", "456").lines) == 100
    answer = run(service, "mv", f"{top}/m", f"{top}/w")
    assert answer.code == OK and "do not fit into one transaction" in answer.err, answer
    assert conn.children(top) == ["w"]
    ok(service, "cp", "-r", f"{top}/w", f"{top}/v")
    for path in ("w", "v"):
        assert ok(service, "getAllChildrenNumber", f"{top}/{path}").out == f"{many}\n"
    exported = json.loads(ok(service, "export", f"{top}/v").raw)
    assert len(exported["nodes"]) == many + 1
    ok(service, "rm", "-r", f"{top}/w", f"{top}/v")
    assert conn.children(top) == []


# ---- following -----------------------------------------------------------------------------------


def watches(service):
    return int(service.mntr()["zk_watch_count"])


def begin_watching(service, running, *args, **more):
    before = watches(service)
    r = running(service.hosts, *args, **more)
    harness.poll_until(lambda: watches(service) > before, 10, "the watch is set")
    return r


def test_watch(service, conn, top, running):
    r = begin_watching(service, running, "watch", top, "--count", "4")
    conn.create(top + "/k")
    conn.set(top, b"hello")
    conn.set(top + "/k", b"not told")
    conn.delete(top + "/k")
    conn.delete(top)
    answer = r.end()
    assert answer.code == OK, answer
    assert [line.split(" ", 1)[1] for line in answer.lines][0::3] == [
        f"NodeChildrenChanged {top}", f"NodeDeleted {top}"]
    assert [line.split()[1] for line in answer.lines] == [
        "NodeChildrenChanged", "NodeDataChanged", "NodeChildrenChanged", "NodeDeleted"]


def test_watch_a_subtree(service, conn, top, running):
    r = begin_watching(service, running, "watch", "-R", "--json", top)
    conn.create(top + "/a", b"12345")
    assert json.loads(r.expect(1)[0])["bytes"] == 5
    conn.create(top + "/a/b")
    conn.set(top + "/a", b"123")
    conn.delete(top + "/a/b")
    events = [json.loads(line) for line in r.expect(4)]
    assert [(e["event"], e["path"]) for e in events] == [
        ("NodeCreated", f"{top}/a"), ("NodeCreated", f"{top}/a/b"), ("NodeDataChanged", f"{top}/a"),
        ("NodeDeleted", f"{top}/a/b")]
    assert events[2]["bytes"] == 3 and abs(events[0]["time"] / 1000 - time.time()) < 60
    r.proc.send_signal(signal.SIGINT)
    assert r.end().code == INTERRUPTED


def test_ctrl_c_right_behind_an_event_is_not_lost(service, conn, top):
    for _ in range(10):
        before = watches(service)
        with subprocess.Popen([SHELL, "-s", service.hosts, "watch", top], env=environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as p:
            harness.poll_until(lambda n=before: watches(service) > n, 10, "the watch is set")
            conn.set(top, b"x")
            p.stdout.readline()             # no polling: the signal comes at once
            p.send_signal(signal.SIGINT)
            try:
                assert p.wait(WAIT_S) == INTERRUPTED
            finally:
                p.kill()


def test_watch_ends_by_itself(service, top):
    begun = time.monotonic()
    assert ok(service, "watch", "--timeout", "0.3", top).out == ""
    assert run(service, "watch", "--timeout", "0.3", "--count", "1", top).code == NO
    assert time.monotonic() - begun < 10


@pytest.fixture
def old(way):
    """The service as one that does not know addWatch."""
    way.old = True
    return way


def test_watch_by_one_shot_watches(service, conn, top, running, old):
    plant(conn, top, "a", "a/b")
    before = watches(service)
    r = running(old.hosts, "watch", "-R", "--json", top)
    harness.poll_until(lambda: watches(service) >= before + 6, 10, "two watches for each node")
    assert old.turned == 1
    steps = [(lambda: conn.create(top + "/a/n", b"1"), "NodeCreated", "/a/n"),
             (lambda: conn.set(top + "/a/n", b"123"), "NodeDataChanged", "/a/n"),
             (lambda: conn.create(top + "/a/n/m"), "NodeCreated", "/a/n/m"),
             (lambda: conn.set(top + "/a/b", b""), "NodeDataChanged", "/a/b"),
             (lambda: conn.delete(top + "/a/n/m"), "NodeDeleted", "/a/n/m"),
             (lambda: conn.delete(top + "/a/n"), "NodeDeleted", "/a/n"),
             (lambda: conn.create(top + "/a/n"), "NodeCreated", "/a/n")]
    for n, (step, event, path) in enumerate(steps, 1):
        step()
        told = json.loads(r.expect(n)[-1])
        assert (told["event"], told["path"]) == (event, top + path)
        # What was told last is watched again: two for each node that there is.
        nodes = 3 + (n < 6) + (n in (3, 4)) + (n == 7)
        harness.poll_until(lambda k=nodes: watches(service) >= before + 2 * k, 10, "set again")


def test_one_shot_watch_of_a_node_that_comes(service, conn, top, running, old):
    before = watches(service)
    r = running(old.hosts, "watch", "--json", top + "/later")
    harness.poll_until(lambda: watches(service) > before, 10, "watched")
    conn.create(top + "/later", b"xy")
    assert json.loads(r.expect(1)[0])["event"] == "NodeCreated"
    harness.poll_until(lambda: watches(service) >= before + 2, 10, "both")
    conn.create(top + "/later/k")
    assert json.loads(r.expect(2)[1])["event"] == "NodeChildrenChanged"


def test_publish_and_subscribe(service, conn, top, running):
    r = begin_watching(service, running, "subscribe", top + "/v", "--count", "3")
    ok(service, "publish", f"{top}/v", "one")
    assert r.expect(1) == ["one"]
    harness.poll_until(lambda: run(service, "publish", f"{top}/v", "-", data=b"two").code == OK)
    assert r.expect(2) == ["one", "two"]
    conn.delete(top + "/v")
    harness.poll_until(lambda: watches(service) > 0, 10, "it waits again")
    conn.create(top + "/v", b"three")
    answer = r.end()
    assert answer.code == OK and answer.lines == ["one", "two", "three"], answer
    assert f"{top}/v does not exist" in answer.err
    missing = run(service, "publish", f"{top}/p/q/r", "x")
    assert missing.code == NO and "-p creates it" in missing.err
    created = jsons(ok(service, "publish", "-p", "--json", f"{top}/p/q/r", "x"))[0]
    assert created["created"] is True and conn.get(top + "/p/q/r")[0] == b"x"
    assert jsons(ok(service, "publish", "--json", f"{top}/p/q/r", "y"))[0]["created"] is False
    got = jsons(ok(service, "subscribe", "--json", "--count", "1", f"{top}/p/q/r"))[0]
    assert (got["data"], got["stat"]["dataVersion"]) == ("y", 1)


def test_follow_over_a_restart(mortal, running):
    """The session outlives the server: the last value is told, watch says that it missed some."""
    with zk.Conn(mortal.port) as c:
        c.create("/v", b"one")
    sub = running(mortal.hosts, "subscribe", "/v")
    watch = running(mortal.hosts, "watch", "/v")
    assert sub.expect(1) == ["one"]
    harness.poll_until(lambda: watches(mortal) >= 2, 10, "both watch")
    mortal.restart(kill=True)
    with zk.Conn(mortal.port, timeout_ms=60000) as c:  # which outlasts every wait below
        c.set("/v", b"two")
        assert sub.expect(2) == ["one", "two"]
        harness.poll_until(lambda: watches(mortal) >= 2, 30, "both watch again")
        c.set("/v", b"three")
        assert sub.expect(3)[2] == "three"
        harness.poll_until(lambda: any("NodeDataChanged" in s for s in watch.lines), 30, "told")
    watch.proc.send_signal(signal.SIGINT)
    assert "what changed meanwhile was not seen" in watch.end().err


# ---- lock and elect ------------------------------------------------------------------------------

TOKEN = 'echo "$REEVE_TOKEN"'


def held(service, running, *args, **more):
    """lock or elect that runs until it is ended, once it runs."""
    r = running(service.hosts, *args, "--", "sh", "-c", "echo $$; exec sleep 60", **more)
    r.child = int(r.expect(1)[0])
    return r


def gone(pid):
    """No such process, or a dead one that nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(") ", 1)[1][0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("how", [("lock",), ("lock", "--shared"), ("lock", "--exclusive"),
                                 ("lock", "--layout", "kazoo"), ("elect",),
                                 ("elect", "--layout", "selector"), ("elect", "--layout", "kazoo")])
def test_a_command_under_a_lock(service, conn, top, how):
    path = top + "/l"
    first = ok(service, *how, path, "--", "sh", "-c", TOKEN)
    second = ok(service, *how, path, "--", "sh", "-c", TOKEN)
    assert 0 < int(first.out) < int(second.out)
    assert conn.children(path) == []
    assert run(service, *how, path, "--", "sh", "-c", "exit 7").code == 7
    assert run(service, *how, path, "--", "sh", "-c", "kill -KILL $$").code == 137
    missing = run(service, *how, path, "--", "/no/such/program")
    assert missing.code == 127 and "/no/such/program cannot be run" in missing.err
    assert run(service, *how, path, "--", "/").code == 126
    assert ok(service, *how, "l2", "--", "echo", "-n", "--", "x", hosts=service.hosts + top
              ).out == "-- x"
    assert conn.exists(top + "/l2") is not None


def test_a_lock_that_others_have(service, conn, top, running):
    r = held(service, running, "lock", top + "/l")
    data = conn.get(f"{top}/l/{conn.children(top + '/l')[0]}")[0].decode()
    assert data == f"{socket.gethostname()} pid {r.proc.pid}"
    for wait in ("0", "0.3"):
        answer = run(service, "lock", "--timeout", wait, top + "/l", "--", "echo", "ran")
        assert (answer.code, answer.out) == (NO, ""), answer
        assert "others have it" in answer.err
    waiting = running(service.hosts, "lock", top + "/l", "--", "echo", "ran")
    harness.poll_until(lambda: len(conn.children(top + "/l")) == 2, 10, "it stands in line")
    r.proc.send_signal(signal.SIGTERM)
    assert r.end().code == 128 + signal.SIGTERM and gone(r.child)
    assert waiting.end().out == "ran"
    assert conn.children(top + "/l") == []


def test_who_waits_can_be_ended(service, conn, top, running):
    held(service, running, "lock", top + "/l")
    for number in (signal.SIGINT, signal.SIGTERM):
        r = running(service.hosts, "lock", top + "/l", "--", "echo", "ran")
        harness.poll_until(lambda: len(conn.children(top + "/l")) == 2, 10, "it stands in line")
        r.proc.send_signal(number)
        answer = r.end()
        assert (answer.code, answer.out) == (128 + number, "")
        assert len(conn.children(top + "/l")) == 1


def test_readers_and_writers(service, conn, top, running):
    a = held(service, running, "lock", "--shared", top + "/l")
    held(service, running, "lock", "--shared", top + "/l")
    writer = ("lock", "--exclusive", "--timeout", "0.2", top + "/l", "--", "true")
    assert run(service, *writer).code == NO
    a.proc.send_signal(signal.SIGUSR1)          # passed on; sleep ends by it
    assert a.end().code == 128 + signal.SIGUSR1
    assert run(service, *writer).code == NO


CRITICAL = "mkdir {d} || {{ echo BROKEN; exit 1; }}; sleep 0.02; rmdir {d}"


@pytest.mark.parametrize("with_kazoo", [False, True])
def test_a_contended_lock(service, top, running, tmp_path, with_kazoo):
    """Whoever is inside makes a directory, which must not be there yet."""
    inside = str(tmp_path / "inside")
    layout = ["--layout", "kazoo"] if with_kazoo else []
    broken, rounds = [], []

    def contend():
        client = kazoo_client.KazooClient(hosts=service.hosts)
        client.start(timeout=WAIT_S)
        try:
            for _ in range(15):
                with client.Lock(top + "/l", "kazoo"):
                    os.mkdir(inside)
                    time.sleep(0.005)
                    os.rmdir(inside)
                rounds.append(1)
        except OSError as e:
            broken.append(e)
        finally:
            client.stop()
            client.close()

    threads = [threading.Thread(target=contend) for _ in range(2)] if with_kazoo else []
    for t in threads:
        t.start()
    shells = []
    for _ in range(3):
        shells += [running(service.hosts, "lock", *layout, top + "/l", "--", "sh", "-c",
                           CRITICAL.format(d=inside)) for _ in range(4)]
        for s in shells:
            answer = s.end()
            assert (answer.code, answer.out, answer.err) == (OK, "", ""), answer
    for t in threads:
        t.join(WAIT_S)
        assert not t.is_alive()
    assert not broken and len(rounds) == 15 * len(threads)


def test_a_killed_leader(service, conn, top, running):
    first = held(service, running, "elect", "--id", "one", top + "/e",
                 options=["--timeout", "1000"])
    second = running(service.hosts, "elect", top + "/e", "--", "sh", "-c", TOKEN)
    harness.poll_until(lambda: len(conn.children(top + "/e")) == 2, 10, "it stands in line")
    datas = {conn.get(f"{top}/e/{name}")[0] for name in conn.children(top + "/e")}
    assert b"one" in datas
    first.proc.send_signal(signal.SIGKILL)
    first.proc.wait()
    harness.poll_until(lambda: gone(first.child), 5, "its command is ended by the system")
    assert second.lines == [], "the session of the killed one lives on for a while"
    answer = second.end()
    assert answer.code == OK and int(answer.out) > 0


@pytest.mark.parametrize("how", ["lock", "elect"])
@pytest.mark.parametrize("deaf", [False, True])
def test_a_lost_session(service, way, top, running, how, deaf):
    trap = "trap '' TERM" if deaf else "trap 'echo term; exit 0' TERM"
    r = running(way.hosts, how, "--grace", "0.3", top + "/l", "--", "sh", "-c",
                trap + "; echo $$; while :; do sleep 0.05; done", options=["--timeout", "800"])
    child = int(r.expect(1)[0])
    begun = time.monotonic()
    way.cut()
    answer = r.end()
    assert time.monotonic() - begun < 10
    assert answer.code == NO_CONNECTION, answer
    assert f"{how}: {top}/l: lost while sh was running" in answer.err
    assert answer.lines[1:] == ([] if deaf else ["term"])
    assert gone(child)


def test_what_the_command_has_started_ends_with_it(service, top, running):
    r = running(service.hosts, "lock", top + "/l", "--", "sh", "-c",
                "sleep 60 & echo $!; wait")
    sleeper = int(r.expect(1)[0])
    r.proc.send_signal(signal.SIGTERM)
    assert r.end().code == 128 + signal.SIGTERM
    harness.poll_until(lambda: gone(sleeper), 5, "the whole group is signalled")


def test_ctrl_c_on_a_terminal(service, conn, top):
    """The terminal sends it to both: the command gets it once, and the lock is given back."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(SHELL, [SHELL, "-s", service.hosts, "lock", top + "/l", "--", "sh", "-c",
                          "trap 'n=x$n' INT; echo ready; while [ -z $n ]; do sleep 0.05; done; "
                          "sleep 0.2; echo got-$n; exit 9"], environment())
    text = b""
    while b"ready" not in text:
        text += os.read(fd, 1000)
    os.write(fd, b"\x03")
    try:
        while part := os.read(fd, 1000):
            text += part
    except OSError:
        pass                    # the terminal of a process that has ended
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert b"got-x\r\n" in text, text
    os.close(fd)
    assert conn.children(top + "/l") == []


# ---- discovery -----------------------------------------------------------------------------------


def test_discover(service, conn, top):
    plant(conn, top, "s", "s/shop", "s/empty", "s/shop/bad")
    instance = {"name": "shop", "id": "i1", "address": "10.0.0.7", "port": 8080, "sslPort": None,
                "payload": {"metadata": {"zone": "a"}}, "registrationTimeUTC": 1700000000000,
                "serviceType": "DYNAMIC", "uriSpec": None, "enabled": True}
    conn.create(top + "/s/shop/i1", json.dumps(instance).encode())
    answer = run(service, "discover", f"{top}/s")
    assert answer.lines == ["shop  i1  10.0.0.7:8080  DYNAMIC zone=a"]
    assert (answer.code, answer.err) == (
        OK, "shop/bad is no instance: its data is not what a discovery writes\n")
    got = jsons(run(service, "discover", "--json", f"{top}/s", "shop"))[0]
    assert (got["service"], got["port"], got["ssl_port"], got["metadata"]) == (
        "shop", 8080, None, {"zone": "a"})
    assert "no instances" in run(service, "discover", f"{top}/s", "empty").err
    assert run(service, "discover", f"{top}/s", "none").err == (
        f"reeve: discover: {top}/s: there is no service none (NONODE)\n")
    assert run(service, "discover").err == (
        "reeve: discover: Node does not exist: /services (NONODE)\n")


def test_discover_dubbo(service, conn, top):
    url = "dubbo%3A%2F%2F10.0.0.9%3A20880%2Forg.Hello%3Fside%3Dprovider%26version%3D1.0"
    plant(conn, top, "d", "d/org.Hello", "d/org.Hello/providers", f"d/org.Hello/providers/{url}")
    assert ok(service, "discover", "--dubbo", f"{top}/d").lines == [
        "org.Hello  providers  dubbo://10.0.0.9:20880 side=provider version=1.0"]
    got = jsons(ok(service, "discover", "--dubbo", "--json", f"{top}/d", "org.Hello"))[0]
    assert (got["port"], got["metadata"]["version"], got["category"]) == (20880, "1.0", "providers")


# ---- trouble -------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [
    ("tree", "-d", "x", "/"), ("tree", "/", "/"), ("find",), ("find", "/", "-size", "big"),
    ("find", "/", "-size", "+"), ("find", "/", "-mtime", "1y"), ("find", "/", "-owner", "me"),
    ("du", "-d", "-1", "/"), ("cp", "/"), ("mv", "/a"), ("rm",), ("export",), ("import",),
    ("import", "--merge", "-f", "x"), ("watch",), ("watch", "--count", "0", "/"),
    ("watch", "--timeout", "soon", "/"), ("subscribe", "--count", "x", "/"), ("publish",),
    ("lock", "/l"), ("lock", "/l", "echo"), ("lock", "/l", "--"), ("lock", "--", "echo", "x"),
    ("lock", "--shared", "--exclusive", "/l", "--", "x"),
    ("lock", "--layout", "x", "/l", "--", "y"),
    ("lock", "--timeout", "x", "/l", "--", "y"), ("elect", "/e", "/f", "--", "y"),
    ("elect", "--layout", "curator", "/e", "--", "y"), ("discover", "/", "a", "b"),
])
def test_wrong_usage(service, args):
    answer = run(service, *args)
    assert answer.code == USAGE, answer
    assert answer.err.startswith(f"reeve: {args[0]}: ") and f"usage: {args[0]} " in answer.err
    assert answer.err.count("\n") == 1 and answer.out == ""


def test_files_that_cannot_be(service, top, tmp_path):
    assert "No such file" in run(service, "import", str(tmp_path / "none"), f"{top}/x").err
    assert "cannot be written" in run(service, "export", top, str(tmp_path / "no" / "file")).err
    answer = run(service, "export", f"{top}/none", str(tmp_path / "file"))
    assert answer.code == NO and os.listdir(tmp_path) == []


@pytest.mark.parametrize("args", [("import", "FILE", "/m"), ("cp", "-r", "/big", "/m"),
                                  ("export", "/big"), ("tree", "/big"), ("rm", "-r", "/big")])
def test_a_server_that_dies_in_the_middle(service, way, top, running, tmp_path, args):
    """The command ends, with a sentence and the code for lost connections."""
    file = str(tmp_path / "file.json")
    with open(file, "w", encoding="utf-8") as f:
        json.dump({"nodes": [{"path": "/big"}] + [{"path": f"/big/n{i}", "data": "x" * 500}
                                                  for i in range(4000)]}, f)
    if "FILE" not in args:
        ok(service, "import", file, top + "/big")
    way.requests_left = 3
    r = running(way.hosts, *(file if a == "FILE" else top + a if a[0] == "/" else a for a in args),
                options=["--timeout", "600", "--connect-timeout", "3000"])
    answer = r.end()
    assert way.requests_left < 0
    assert answer.code == NO_CONNECTION, answer
    assert answer.err.startswith(f"reeve: {args[0]}: ") or "session" in answer.err, answer
