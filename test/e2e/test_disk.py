# SPDX-License-Identifier: Apache-2.0
"""Files exchanged with Apache in both directions, and the golden directories.

`snapshot_of` is everything that clients can see of a server: each node with data, ACL and all
stat fields, and whether each session can still be renewed. It must be the same on whichever
program starts on the directory.
"""
import itertools
import json
import os
import time

import pytest

import harness
import zk

DISK = os.path.join(harness.GOLDEN, "disk")
SUPER = {"DigestAuthenticationProvider.superDigest": "super:lK75jTNcA+U9vtVEw5vB51mj/w4="}
# Nothing may expire or be reaped while two servers are compared.
LONG_MS = 600000
CONFIG = dict(SUPER, tickTime=2000, maxSessionTimeout=LONG_MS, snapCount=40, preAllocSize=64,
              enforceQuota="true", **{"znode.container.checkIntervalMs": 3600000})
CONFIG_NODE = "/zookeeper/config"


def state_of(server, sessions=()):
    """The whole tree as super sees it; sessions (id, password) are renewed and dropped."""
    conn = zk.Conn(server.port, timeout_ms=LONG_MS)
    assert conn.auth("digest", b"super:secret") == 0
    nodes = zk.tree(conn)
    alive = []
    for session in sessions:
        renewed = zk.Conn(server.port, handshake=False)
        if renewed.handshake(LONG_MS, *session):
            alive.append(session)
        renewed.drop()
    conn.close()
    return nodes, alive


def assert_same_state(old, new):
    """A restarted server's stat of a node differs in nothing."""
    assert sorted(old[0]) == sorted(new[0])
    for path, node in old[0].items():
        assert new[0][path] == node, path
    assert old[1] == new[1]


class Writer:
    """Makes every kind of node and transaction through the protocol; keeps its sessions alive."""

    def __init__(self, server, prefix):
        self.server = server
        self.prefix = prefix
        self.sessions = []
        self.closed_sessions = []

    def session(self):
        conn = zk.Conn(self.server.port, timeout_ms=LONG_MS)
        self.sessions.append(conn.session)
        return conn

    def write(self):
        c = self.session()
        p = self.prefix
        c.auth("digest", b"user:pass")
        c.create(p, b"root of all")
        self.plain_nodes(c, p)
        self.acls(c, p)
        self.special_nodes(c, p)
        self.multis(c, p)
        self.quota(c, p)
        self.failures(c, p)
        gone = zk.Conn(self.server.port)
        gone.create(p + "/gone-with-session", flags=zk.EPHEMERAL)
        gone.close()
        self.closed_sessions.append(gone.session)
        c.set("/", b"the root has data too")
        c.drop()

    def plain_nodes(self, c, p):
        c.create(p + "/null", None)
        c.create(p + "/empty", b"")
        c.create(p + "/big", bytes(range(256)) * 400)
        c.create(p + "/Käse-中文", "ü".encode())
        for n in range(60):                 # enough transactions for several snapshots
            c.create(f"{p}/n{n:02d}", b"x" * n)
        for n in range(0, 60, 3):
            c.delete(f"{p}/n{n:02d}")
        for n in range(1, 60, 3):
            c.set(f"{p}/n{n:02d}", b"changed %d" % n)
        for _ in range(3):
            c.create(p + "/seq-", flags=zk.SEQUENTIAL)
        deep = p
        for _ in range(40):
            deep += "/d"
            c.create(deep)

    def acls(self, c, p):
        c.create(p + "/acl", acls=[(zk.READ, "world", "anyone"), (zk.ALL, "auth", "")])
        c.create(p + "/ip", acls=[(zk.ALL, "ip", "127.0.0.0/8")])
        c.create(p + "/odd", acls=[(255, "world", "anyone")])
        c.create(p + "/closed", b"secret", acls=[(0, "world", "anyone")])
        c.set_acl(p + "/acl", [(zk.ALL, "digest", "a:b"), (zk.READ, "world", "anyone")])
        c.set_acl(p + "/ip", zk.OPEN_ACL)

    def special_nodes(self, c, p):
        c.create(p + "/eph", b"e", flags=zk.EPHEMERAL)
        c.create(p + "/eph-", b"e", flags=zk.EPHEMERAL_SEQUENTIAL)
        c.create2(p + "/container", b"c", flags=zk.CONTAINER)
        c.create(p + "/container/k")
        c.create2(p + "/ttl", b"t", flags=zk.TTL, ttl=LONG_MS)
        c.create2(p + "/ttl-", b"t", flags=zk.TTL_SEQUENTIAL, ttl=0xFFFFFFFFFF)
        other = self.session()
        other.create(p + "/container/eph", flags=zk.EPHEMERAL)
        other.drop()

    # The create2 among them: up to 3.8.1 Apache loses what follows one in a logged multi, so it is
    # not logged as one.
    def multis(self, c, p):
        c.multi([(zk.CREATE, zk.create_request(p + "/m1", b"1")),
                 (zk.CREATE2, zk.create_request(p + "/m2", b"2", flags=zk.EPHEMERAL)),
                 (zk.SET_DATA, zk.ustr(p + "/m1") + zk.buf(b"3") + zk.i32(0)),
                 (zk.CREATE, zk.create_request(p + "/m3")),
                 (zk.DELETE, zk.ustr(p + "/m3") + zk.i32(-1)),
                 (zk.CHECK, zk.ustr(p) + zk.i32(-1)),
                 (zk.CREATE_CONTAINER, zk.create_request(p + "/mc", flags=zk.CONTAINER)),
                 (zk.CREATE_TTL, zk.create_request(p + "/mt", flags=zk.TTL, ttl=LONG_MS))])
        c.multi([(zk.CREATE, zk.create_request(p + "/never")),
                 (zk.CHECK, zk.ustr(p) + zk.i32(99))])
        c.multi([])

    def quota(self, c, p):
        q = "/zookeeper/quota"
        for part in p.strip("/").split("/"):
            q += "/" + part
            c.create(q, None)
        c.create(q + "/zookeeper_limits", b"count=9999,bytes=-1=;byteHardLimit=9999999")
        c.create(q + "/zookeeper_stats", b"count=0,bytes=0")
        c.create(p + "/counted", b"12345")
        c.delete(p + "/counted")

    def failures(self, c, p):
        assert c.err(zk.CREATE, zk.create_request(p)) == zk.NODEEXISTS
        assert c.err(zk.DELETE, zk.ustr(p) + zk.i32(-1)) == zk.NOTEMPTY
        assert c.err(zk.SET_DATA, zk.ustr(p + "/none") + zk.buf(b"") + zk.i32(-1)) == zk.NONODE


def take_over(make_server, old, kind, kill):
    """Stops one server and starts another kind on the same directory."""
    if kill:
        old.kill()
    else:
        old.stop()
    new = make_server(CONFIG, kind=kind, start=False)
    new.data_dir = old.data_dir
    return new.start()


@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill"])
def test_exchange_both_ways(make_server, kill):
    """Apache writes, the server under test takes over and writes on, Apache takes over again."""
    apache = make_server(CONFIG, kind="apache")
    first = Writer(apache, "/by-apache")
    first.write()
    before = state_of(apache, first.sessions + first.closed_sessions)
    assert before[1] == first.sessions
    assert len(apache.snapshot_files()) >= 2, "the test wants snapshots and logs"

    tested = take_over(make_server, apache, harness.KIND, kill)
    assert_same_state(before, state_of(tested, first.sessions + first.closed_sessions))
    second = Writer(tested, "/by-tested")
    second.write()
    sessions = first.sessions + second.sessions
    before = state_of(tested, sessions)
    assert before[1] == sessions
    zxid = int(tested.srvr()["Zxid"], 16)

    apache = take_over(make_server, tested, "apache", kill)
    assert_same_state(before, state_of(apache, sessions))
    assert int(apache.srvr()["Zxid"], 16) > zxid
    assert "digest mismatch" not in apache.stderr_text().lower()
    assert apache.mntr()["zk_digest_mismatches_count"] == "0"
    with zk.Conn(apache.port) as c:
        c.create("/by-tested/and-on")
        assert c.create("/by-tested/seq-", flags=zk.SEQUENTIAL)[-10:] > "0000000060"


def test_own_files_again_and_again(make_server):
    """Each restart, by TERM and by kill in turn, gives the same state."""
    server = make_server(CONFIG)
    writer = Writer(server, "/p")
    writer.write()
    before = state_of(server, writer.sessions)
    for n in range(6):
        server.restart(kill=n % 2 == 0)
        assert_same_state(before, state_of(server, writer.sessions))


def test_counters_go_on_after_a_restart(make_server):
    server = make_server(CONFIG)
    with zk.Conn(server.port) as c:
        c.create("/p")
        for _ in range(5):
            c.create("/p/s-", flags=zk.SEQUENTIAL)
        c.delete("/p/s-0000000004")
        zxid = c.ping()
    server.restart(kill=True)
    with zk.Conn(server.port) as c:
        assert c.ping() == zxid + 2             # close of the one session, start of the next
        assert c.create("/p/s-", flags=zk.SEQUENTIAL) == "/p/s-0000000005"


# -- golden directories

def golden_tree(folder):
    with open(os.path.join(DISK, folder, "tree.json"), encoding="utf-8") as f:
        return json.load(f)


def golden_state(tree):
    nodes = {}
    for n in tree["nodes"]:
        stat = zk.Stat(
            int(n["czxid"], 16), int(n["mzxid"], 16), n["ctime"], n["mtime"], n["version"],
            n["cversion_client"], n["aversion"], signed(int(n["ephemeralOwner_client"], 16)),
            n["dataLength"], n["numChildren"], int(n["pzxid"], 16))
        data = None if n["data_hex"] is None else bytes.fromhex(n["data_hex"])
        nodes[n["path"]] = (data, stat, [(a["perms"], a["scheme"], a["id"]) for a in n["acl"]])
    return nodes


def signed(v):
    return v - (1 << 64) if v >> 63 else v


def check_golden(server, tree):
    """The loaded tree, read by a session that the load itself knows, so that nothing changes."""
    expected = golden_state(tree)
    sessions = [(signed(int(s["sessionId"], 16)), s["timeout"]) for s in tree["sessions"]]
    assert int(server.srvr()["Zxid"], 16) == int(tree["lastProcessedZxid"], 16)
    assert int(server.srvr()["Node count"]) == len(expected) + 1
    if sessions:
        sid = sessions[0][0]
        conn = zk.Conn(server.port, session=(sid, zk.session_password(sid)), timeout_ms=30000)
    else:
        conn = zk.Conn(server.port)
    assert conn.auth("digest", b"super:secret") == 0
    got = zk.tree(conn)
    conn.drop()
    assert sorted(got) == sorted(expected)
    for path, node in expected.items():
        if path == CONFIG_NODE:
            continue                # the membership of the ensemble that wrote the files
        assert got[path] == node, path
    for sid, _ in sessions:
        renewed = zk.Conn(server.port, session=(sid, zk.session_password(sid)), timeout_ms=30000)
        assert renewed.session_id == sid
        renewed.drop()


def standalone_on(make_server, *folders, only=None):
    """A server that will start on a copy of golden files."""
    server = make_server(dict(CONFIG, tickTime=10000), start=False)
    for folder in folders:
        server.load_directory(os.path.join(DISK, folder))
    if only is not None:
        for name in os.listdir(server.version_dir):
            if not only(name):
                os.unlink(os.path.join(server.version_dir, name))
    return server


TREES = [".", "log-3.5.10-leader", "log-3.9.5-follower", "reconfig"]


@pytest.mark.parametrize("folder", TREES)
def test_golden_directory(make_server, folder):
    server = standalone_on(make_server, folder)
    server.start()
    check_golden(server, golden_tree(folder))


SNAPSHOTS = sorted(n for n in os.listdir(DISK) if n.startswith("snapshot."))


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_golden_any_snapshot_with_the_logs(make_server, name):
    server = standalone_on(make_server, ".",
                           only=lambda n: n == name or n.startswith("log."))
    server.start()
    check_golden(server, golden_tree("."))


VARIANTS = sorted(os.listdir(os.path.join(DISK, "variants")))


@pytest.mark.parametrize("variant", VARIANTS)
def test_golden_snapshot_of_each_version(make_server, variant):
    server = standalone_on(make_server, os.path.join("variants", variant))
    server.start()
    check_golden(server, golden_tree("."))


def test_golden_fuzzy_snapshot_compressed(make_server, tmp_path):
    """gzip in front of the logs, as with snapshot.compression.method=gz."""
    import gzip
    server = standalone_on(make_server, ".", only=lambda n: n.startswith("log."))
    with open(os.path.join(DISK, "snapshot.100000032"), "rb") as f:
        packed = gzip.compress(f.read())
    with open(os.path.join(server.version_dir, "snapshot.100000032.gz"), "wb") as f:
        f.write(packed)
    server.start()
    check_golden(server, golden_tree("."))


def test_golden_digest_is_right(make_server):
    """The recorded digests of Apache are checked at load and none differs."""
    server = standalone_on(make_server, ".")
    server.start()
    assert server.mntr()["zk_digest_mismatches_count"] == "0"
    assert "mismatch" not in server.stderr_text().lower()


def test_golden_directory_is_written_on(make_server):
    """An ensemble's directory goes on as a standalone's, and survives that too."""
    server = standalone_on(make_server, ".")
    server.start()
    writer = Writer(server, "/more")
    writer.write()
    before = state_of(server, writer.sessions)
    server.restart(kill=True)
    assert_same_state(before, state_of(server, writer.sessions))


# -- snapshots and purge

def test_snapshots_are_taken_and_old_files_purged(make_server):
    server = make_server(dict(CONFIG, **{"autopurge.snapRetainCount": 3,
                                         "autopurge.purgeInterval": 1}))
    with zk.Conn(server.port) as c:
        c.create("/p")
        names = itertools.count()

        def enough():
            """Writes on: what comes due while a snapshot is being written makes none."""
            for _ in range(100):
                c.send(zk.CREATE, zk.create_request(f"/p/{next(names)}", b"x" * 100))
            for _ in range(100):
                assert c.recv_reply().err == 0
            return len(server.snapshot_files()) >= 5

        harness.poll_until(enough, 10, "snapshots")
        before = state_of(server)
    server.restart()
    # Both programs purge at start.
    harness.poll_until(lambda: len(server.snapshot_files()) <= 4, 10, "purge")
    assert_same_state(before, state_of(server))
    server.restart(kill=True)
    assert_same_state(before, state_of(server))


def test_snapshot_does_not_stop_the_service(make_server):
    """While a snapshot of 100,000 nodes is written, requests are answered as before."""
    server = make_server(dict(CONFIG, snapCount=20000, preAllocSize=4096))
    conn, reader = zk.Conn(server.port, io_timeout_s=30), zk.Conn(server.port)
    conn.create("/p")
    worst_ms = 0.0
    for start in range(0, 100000, 1000):
        conn.send(zk.MULTI, zk.multi_request(
            [(zk.CREATE, zk.create_request(f"/p/{n}", b"x" * 50))
             for n in range(start, start + 1000)]))
        begin = time.monotonic()
        reader.exists("/p")
        worst_ms = max(worst_ms, (time.monotonic() - begin) * 1000)
        assert conn.recv_reply().err == 0
    for n in range(30000):
        conn.send(zk.SET_DATA, zk.ustr("/p/5") + zk.buf(b"y") + zk.i32(-1))
        if n % 100 == 99:
            for _ in range(100):
                assert conn.recv_reply().err == 0
            begin = time.monotonic()
            reader.exists("/p")
            worst_ms = max(worst_ms, (time.monotonic() - begin) * 1000)
    harness.poll_until(lambda: len(server.snapshot_files()) >= 2, 20, "a snapshot")
    assert worst_ms < 1000
    conn.drop()
    reader.drop()
    server.restart(kill=True)
    with zk.Conn(server.port) as c:
        assert c.exists("/p").num_children == 100000
        assert c.get("/p/5")[1].version == 30000


def test_files_have_apaches_names_and_heads(make_server):
    server = make_server(CONFIG)
    with zk.Conn(server.port) as c:
        c.create("/a")
    server.stop()
    logs, snapshots = server.log_files(), server.snapshot_files()
    assert [os.path.basename(p) for p in logs] == ["log.1"]
    assert os.path.basename(snapshots[0]) == "snapshot.0"
    with open(logs[0], "rb") as f:
        assert f.read(16) == b"ZKLG" + zk.i32(2) + zk.i64(0)
    for path in snapshots:
        with open(path, "rb") as f:
            data = f.read()
        assert data[:16] == b"ZKSN" + zk.i32(2) + zk.i64(-1)
        assert data[-5:] == b"\0\0\0\1/"


@pytest.mark.reeve_only("it needs an explicit switch to start without a snapshot")
def test_log_without_any_snapshot_is_refused_with_a_clear_error(make_server):
    server = standalone_on(make_server, ".", only=lambda n: n.startswith("log."))
    server.start(wait=False)
    assert server.wait_exit() != 0
    assert "snapshot" in server.stderr_text()


def test_log_without_any_snapshot_and_trust_empty(make_server):
    server = make_server(dict(CONFIG, **{"snapshot.trust.empty": "true"}))
    with zk.Conn(server.port) as c:
        c.create("/a")
    server.stop()
    for path in server.snapshot_files():
        os.unlink(path)
    server.start()
    with zk.Conn(server.port) as c:
        assert c.exists("/a") is not None


def test_foreign_files_are_left_alone(make_server):
    server = make_server(CONFIG)
    names = ["notes.txt", "log.backup", "snapshot.old.bak"]
    for name in names:
        with open(os.path.join(server.version_dir, name), "w", encoding="utf-8") as f:
            f.write("mine")
    with zk.Conn(server.port) as c:
        c.create("/a")
    server.restart()
    with zk.Conn(server.port) as c:
        assert c.exists("/a") is not None
    for name in names:
        assert os.path.exists(os.path.join(server.version_dir, name))
