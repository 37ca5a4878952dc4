# SPDX-License-Identifier: Apache-2.0
"""`reeve log` and `reeve snapshot` on the directories of real servers: Reeve's after kill -9 under
load, Apache's own, and damaged copies that both programs are then started on.

What Apache's own tools say of the same files is the measure where there is one.
"""
import base64
import json
import os
import random
import re
import shutil
import subprocess
import threading

import pytest

import harness
import zk

SHELL = os.environ.get("REEVE_SHELL", os.path.join(os.path.dirname(harness.REEVE_BIN), "reeve"))
OK, NO, USAGE = 0, 1, 2
KINDS = ["reeve", "apache"]
GOLDEN = os.path.join(harness.GOLDEN, "disk")
HEADER = 16
APACHE_TOOLS = ":".join([harness.CLASSPATH, os.path.join(harness.JAVA_DIR, "commons-cli.jar")])


class Answer:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.lines = self.out.splitlines()

    def objects(self):
        return [json.loads(line) for line in self.lines]


def reeve(*words):
    env = dict(os.environ, LC_ALL="C.UTF-8")
    env.setdefault("ASAN_OPTIONS", "abort_on_error=1")
    done = subprocess.run([SHELL, *map(str, words)], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, env=env)
    assert done.returncode >= 0, done.stderr
    return Answer(subprocess.CompletedProcess(done.args, done.returncode,
                                              done.stdout.decode("utf-8", "replace"),
                                              done.stderr.decode("utf-8", "replace")))


def apache_tool(name, *words):
    done = subprocess.run([*harness.JAVA, "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp",
                           APACHE_TOOLS, name, *map(str, words)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.stdout


def fill(port, n=40):
    """Something of every kind, and n sets."""
    with zk.Conn(port) as c:
        c.create("/a", b"one")
        c.create("/a/b", b"\xff\x00binary")
        c.create("/a/e", b"", flags=1)
        c.create2("/a/t", b"ttl", flags=5, ttl=3600000)
        c.set_acl("/a/b", [(1, "world", "anyone")])
        c.multi([(zk.CREATE, zk.create_request("/a/m", b"m")),
                 (zk.SET_DATA, zk.ustr("/a") + zk.buf(b"two") + zk.i32(-1))])
        for i in range(n):
            c.set("/a", str(i).encode())
        c.delete("/a/m")


def tree_of(port):
    """{path: (data, version, cversion)} of everything but /zookeeper."""
    found = {}
    with zk.Conn(port) as c:
        todo = ["/"]
        while todo:
            path = todo.pop()
            data, stat = c.get(path)
            found[path] = (data, stat.version, stat.cversion)
            names = [n for n in c.children(path) if path != "/" or n != "zookeeper"]
            todo += [path.rstrip("/") + "/" + n for n in names]
    return found


def read_tree(answer):
    """The same of what `--json snapshot` prints."""
    found = {}
    for node in json.loads(answer.out)["nodes"]:
        data = node["data"]
        if data is not None:
            data = base64.b64decode(data) if node["encoding"] == "base64" else data.encode()
        if not node["path"].startswith(("/zookeeper", "/pad")):
            found[node["path"]] = (data, node["stat"]["dataVersion"], node["stat"]["cversion"])
    return found


def zxid_of(path):
    return int(os.path.basename(path).split(".")[1], 16)


def snapshotted(srv):
    """Writes /pad until there is a snapshot of all that is there now; the tree without /pad."""
    with zk.Conn(srv.port) as c:
        if c.exists("/pad") is None:
            c.create("/pad")
        c.set("/pad", b"now")
        now = c.get("/pad")[1].mzxid
        want = tree_of(srv.port)

        def written():
            c.set("/pad", b"x")
            return zxid_of(srv.snapshot_files()[-1]) >= now

        harness.poll_until(written, 20, "a snapshot")
    del want["/pad"]
    return want


@pytest.fixture(params=KINDS)
def killed(request, make_server):
    """A server of each program that was killed while clients wrote; .kept is what it had."""
    srv = make_server({"preAllocSize": 64, "snapCount": 500}, kind=request.param)
    fill(srv.port)
    srv.kept = tree_of(srv.port)
    stop = threading.Event()

    def load():
        try:
            with zk.Conn(srv.port) as c:
                while not stop.is_set():
                    for _ in range(50):
                        c.send(zk.SET_DATA, zk.ustr("/a/t") + zk.buf(b"x" * 300) + zk.i32(-1))
                    for _ in range(50):
                        c.recv_reply()
        except (OSError, zk.Closed, TimeoutError):
            pass

    thread = threading.Thread(target=load)
    thread.start()
    first = srv.log_files()[0]
    harness.poll_until(lambda: len(srv.log_files()) > 1 or os.path.getsize(first) > 300000, 20,
                       "enough was written")
    srv.kill()
    stop.set()
    thread.join()
    return srv


def test_log_of_a_killed_server(killed):
    # A kill loses nothing that was written; at worst the last write is not all there.
    check = reeve("--json", "log", "--check", killed.data_dir)
    files = check.objects()
    total = files.pop()
    assert total["verdict"] in ("whole", "torn"), check.out
    assert [f["verdict"] for f in files[:-1]] == ["whole"] * (len(files) - 1)
    assert check.code == (OK if total["verdict"] == "whole" else NO)
    printed = reeve("log", killed.data_dir)
    assert printed.code == OK
    records = [line for line in printed.lines if not line.startswith("    ")]
    assert len(records) == total["records"]
    text = printed.out
    assert re.search(r" create2? /a/b 8 bytes\n", text)
    assert re.search(r" create2? /a/e 0 bytes ephemeral\n", text)
    assert re.search(r" createTTL /a/t 3 bytes ttl 3600000 ms\n", text)
    assert re.search(r" setACL /a/b version 1 acl world:anyone:r\n", text)
    assert re.search(r" multi of 2\n    create /a/m 1 bytes\n    setData /a 3 bytes", text)
    assert " closeSession" in text
    data = reeve("log", "-v", killed.data_dir).out
    assert r'/a/b "\xff\x00binary"' in data


def test_the_state_that_a_start_would_find(killed):
    verdict = reeve("--json", "log", "--check", killed.data_dir).objects()[-1]["verdict"]
    shown = reeve("--json", "snapshot", "--replay", killed.data_dir)
    assert shown.code == OK or verdict == "torn", shown.err
    killed.start()
    want = tree_of(killed.port)
    assert int(json.loads(shown.out)["zxid"], 16) <= int(killed.srvr()["Zxid"], 16)
    assert read_tree(shown) == want
    assert want["/a/b"] == killed.kept["/a/b"]


def test_replay_stops_at_damage(make_server):
    srv = make_server({"preAllocSize": 64})
    fill(srv.port)
    srv.kill()
    log = srv.log_files()[-1]
    records = reeve("--json", "log", log).objects()
    victim = [r for r in records if r["op"] == "setData" and r["path"] == "/a"][9]
    spoil(log, victim["offset"] + 12 + 30)
    shown = reeve("--json", "snapshot", "--replay", srv.data_dir)
    assert shown.code == NO
    assert f"{os.path.basename(log)} is damaged at offset {victim['offset']}" in shown.err
    assert f"up to zxid {hex(int(victim['zxid'], 16) - 1)}" in shown.err
    assert read_tree(shown)["/a"][0] == b"8"


def test_apaches_tool_reads_the_same(killed):
    path = killed.log_files()[0]
    theirs = re.findall(r"session (0x\w+) cxid (0x\w+) zxid (0x\w+)",
                        apache_tool("org.apache.zookeeper.server.persistence.TxnLogToolkit", path))
    ours = [(o["session"], hex(o["cxid"]), o["zxid"])
            for o in reeve("--json", "log", path).objects()]
    assert len(ours) > 40
    assert ours[:len(theirs)] == theirs
    assert len(ours) - len(theirs) <= 1     # it stops in front of what is torn


def test_snapshots_of_a_server(make_server):
    for kind in KINDS:
        srv = make_server({"snapCount": 20}, kind=kind)
        fill(srv.port, n=5)
        want = snapshotted(srv)
        shown = reeve("--json", "snapshot", srv.data_dir)
        assert shown.code == OK, shown.err
        assert read_tree(shown) == want
        path = srv.snapshot_files()[-1]
        theirs = apache_tool("org.apache.zookeeper.server.SnapshotFormatter", path)
        count = re.search(r"ZNode Details \(count=(\d+)\)", theirs)
        ours = len(json.loads(shown.out)["nodes"])
        if count:
            assert int(count.group(1)) in (ours, ours + 1)    # Apache counts the root twice
        first, last = os.path.join(GOLDEN, "snapshot.0"), path
        same = reeve("snapshot", "--compare", last, last)
        assert (same.code, same.lines[-1][:9]) == (OK, "the same:")
        other = reeve("snapshot", "--compare", first, srv.data_dir)
        assert other.code == NO
        assert "+ /a: 3 nodes, " in other.out
        summary = reeve("snapshot", "--summary", "--depth", "1", srv.data_dir)
        assert re.search(r"^ +3 +\d+  /a$", summary.out, re.M)


def test_import_reads_a_snapshot(make_server, tmp_path):
    """A subtree comes back from the files of a server that is gone."""
    srv = make_server()
    fill(srv.port)
    want = tree_of(srv.port)
    srv.kill()
    shown = reeve("--json", "snapshot", "--replay", srv.data_dir)
    assert shown.code == OK, shown.err
    dump = tmp_path / "dump.json"
    dump.write_text(shown.out, encoding="utf-8")
    other = make_server()
    done = reeve("-s", other.hosts, "import", "--merge", dump)
    assert done.code == OK, done.err
    got = tree_of(other.port)
    assert {p: v[0] for p, v in got.items()} == {p: v[0] for p, v in want.items()}
    with zk.Conn(other.port) as c:
        assert [a[:3] for a in c.get_acl("/a/b")[0]] == [(1, "world", "anyone")]


def test_compressed_snapshots(make_server):
    for method in ("gz", "snappy"):
        srv = make_server({"snapshot.compression.method": method, "snapCount": 20})
        fill(srv.port)
        want = snapshotted(srv)
        shown = reeve("--json", "snapshot", srv.data_dir)
        assert read_tree(shown) == want
        packed = srv.snapshot_files()[-1]
        assert packed.endswith("." + method)
        # By any name: files are renamed.
        plain = os.path.join(srv.dir, "renamed")
        shutil.copy(packed, plain)
        assert read_tree(reeve("--json", "snapshot", plain)) == want
        cut = os.path.join(srv.dir, "cut")
        with open(packed, "rb") as f, open(cut, "wb") as g:
            g.write(f.read()[:-20])
        damaged = reeve("snapshot", cut)
        assert damaged.code == NO
        assert re.search(r"is damaged at offset \d+ of its unpacked bytes: its compressed bytes "
                         r"are damaged or end too early", damaged.err)


def test_the_newest_good_snapshot_of_a_directory(make_server):
    srv = make_server({"snapCount": 20})
    fill(srv.port)
    snapshotted(srv)
    with zk.Conn(srv.port) as c:
        c.create("/later")
        since = c.exists("/later").czxid
    snapshotted(srv)
    srv.stop()
    for path in srv.snapshot_files()[1:]:
        if zxid_of(path) >= since and path != srv.snapshot_files()[-1]:
            os.unlink(path)
    newest = srv.snapshot_files()[-1]
    assert "/later " in reeve("snapshot", srv.data_dir).out
    with open(newest, "r+b") as f:
        f.truncate(os.path.getsize(newest) - 3)
    older = reeve("snapshot", srv.data_dir)
    assert older.code == OK
    assert f"{newest} is damaged at offset" in older.err
    assert "/later" not in older.out and "\n/a " in older.out
    for path in srv.snapshot_files():       # none is whole: what the newest one with nodes holds
        os.truncate(path, 0 if path == newest else os.path.getsize(path) - 3)
    rest = reeve("snapshot", srv.data_dir)
    assert rest.code == NO and "\n/a " in rest.out
    assert f"{newest} is no snapshot" in rest.err and "nodes and" in rest.err


def spoil(path, offset, n=1):
    with open(path, "r+b") as f:
        f.seek(offset)
        old = f.read(n)
        f.seek(offset)
        f.write(bytes(b ^ 0x5a for b in old))


@pytest.mark.parametrize("reader", KINDS)
def test_recovery(make_server, reader, tmp_path):
    """A damaged log stops a start; what --recover makes of it is good for both programs."""
    srv = make_server({"preAllocSize": 64})
    fill(srv.port)
    with zk.Conn(srv.port) as c:
        c.create("/end", b"last")
    srv.kill()
    log = srv.log_files()[-1]
    records = reeve("--json", "log", log).objects()
    victim = next(r for r in records if r["op"] == "setData" and r["path"] == "/a")
    spoil(log, victim["offset"] + 12 + 30)
    check = reeve("log", "--check", srv.data_dir)
    assert check.code == NO
    assert f"offset {victim['offset']}: the record's checksum or length is wrong" in check.out
    with open(log, "rb") as f:
        before = f.read()
    out = tmp_path / "recovered"
    done = reeve("log", "--recover", out, log)
    assert done.code == OK, done.err
    assert f"{len(records) - 1} records written" in done.out
    with open(log, "rb") as f:
        assert f.read() == before
    again = reeve("log", "--recover", out, log)
    assert again.code == NO and "exists already" in again.err
    shutil.copy(out, log)
    reader_server = make_server({"preAllocSize": 64}, kind=reader, start=False)
    reader_server.load_directory(srv.version_dir)
    reader_server.start()
    with zk.Conn(reader_server.port) as c:
        assert c.get("/end")[0] == b"last"
        assert c.get("/a")[0] == b"39"


def test_recovery_of_a_directory(make_server, tmp_path):
    out = tmp_path / "out"
    done = reeve("log", "--recover", out, GOLDEN)
    assert done.code == OK
    assert sorted(os.listdir(out)) == ["log.100000001", "log.10000000e", "log.100000026",
                                       "log.100000034"]
    checked = reeve("log", "--check", out)
    assert checked.code == OK
    assert checked.lines[-1] == "4 files, 57 records: whole"


def test_a_missing_file_is_a_gap(tmp_path):
    """Without a snapshot that bridges it."""
    for name in ("log.100000001", "log.100000026"):
        shutil.copy(os.path.join(GOLDEN, name), tmp_path)
    check = reeve("log", "--check", tmp_path)
    assert check.code == NO
    assert "no transactions between 0x10000000d and 0x100000026\n" in check.out
    shutil.copy(os.path.join(GOLDEN, "snapshot.100000032"), tmp_path)
    check = reeve("log", "--check", tmp_path)
    assert check.code == OK
    assert "a snapshot has them" in check.out


def test_random_damage(tmp_path):
    """Whatever stands in a file: an answer, no crash, in a moment."""
    rng = random.Random(4)
    sources = [os.path.join(GOLDEN, "log.100000026"), os.path.join(GOLDEN, "snapshot.10000000c"),
               os.path.join(GOLDEN, "variants/3.8.0-gz/snapshot.100000039.gz"),
               os.path.join(GOLDEN, "variants/3.8.0-snappy/snapshot.100000039.snappy")]
    for round_ in range(60):
        source = sources[round_ % len(sources)]
        with open(source, "rb") as f:
            data = bytearray(f.read())
        for _ in range(rng.choice([1, 3, 40])):
            at = rng.randrange(len(data))
            data[at:at + rng.choice([0, 1, 4])] = rng.randbytes(rng.choice([0, 1, 4]))
        path = tmp_path / os.path.basename(source)
        path.write_bytes(data)
        if "log." in source:
            assert reeve("log", "-v", path).code in (OK, NO)
            assert reeve("log", "--check", path).code in (OK, NO)
        else:
            assert reeve("snapshot", "-d", path).code in (OK, NO)
            assert reeve("snapshot", "--compare", path, source).code in (OK, NO, USAGE)


def test_a_reader_that_has_enough():
    """`reeve log FILE | head -1` ends with head."""
    done = subprocess.run(f"{SHELL} log {GOLDEN} | head -1", shell=True, capture_output=True,
                          text=True, timeout=30)
    assert done.stdout.count("\n") == 1
    assert "Broken pipe" not in done.stderr


def test_outputs_that_cannot_be_written(tmp_path):
    log = os.path.join(GOLDEN, "log.100000001")
    refused = reeve("log", "--recover", str(tmp_path / "no" / "new.log"), log)
    assert refused.code == NO and "no/new.log cannot be written: " in refused.err
    assert refused.err.count("\n") == 1
    done = subprocess.run(["sh", "-c", f"{SHELL} log {log} > /dev/full"], capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == NO and "standard output cannot be written" in done.stderr


def test_usage():
    assert reeve("log").code == USAGE
    assert reeve("log", "--from", "zxid", GOLDEN).code == USAGE
    assert reeve("snapshot", GOLDEN, GOLDEN).code == USAGE
    assert reeve("snapshot", "--compare", GOLDEN).code == USAGE
    nothing = reeve("snapshot", "/nowhere")
    assert nothing.code == NO
    assert "cannot read /nowhere: no such file or directory" in nothing.err
    no_log = reeve("snapshot", os.path.join(GOLDEN, "log.100000001"))
    assert no_log.code == NO
    assert no_log.err.count("is no snapshot") == 1, no_log.err
