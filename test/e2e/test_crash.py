# SPDX-License-Identifier: Apache-2.0
"""Crashes and broken files: what was answered is there afterwards, and the server starts.

A kill -9 keeps what the kernel has; that a power cut loses nothing either is the simulator's
business. Torn tails and half-written snapshots are made by hand on copies of the files.
"""
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

import harness
import zk

CONFIG = {"snapCount": 500, "preAllocSize": 64, "maxClientCnxns": 0, "tickTime": 2000}


class Load(threading.Thread):
    """One client that writes as fast as it is answered, and remembers every answer."""

    def __init__(self, port, number, depth=20):
        super().__init__(daemon=True)
        self.number = number
        self.depth = depth
        self.port = port
        self.answered = {}          # path -> data of creates that were answered
        self.asked_to_delete = set()
        self.deleted = []           # answered deletions
        self.session = None

    def run(self):
        try:
            self.work()
        except (zk.Closed, OSError, TimeoutError):
            pass                    # the server was killed: that is the point

    def work(self):
        conn = zk.Conn(self.port, timeout_ms=40000)
        self.session = conn.session
        top = f"/c{self.number}"
        conn.create(top)
        conn.create(top + "/eph", flags=zk.EPHEMERAL)
        self.answered[top] = b""
        in_flight, n = [], 0
        while True:
            while len(in_flight) < self.depth:
                path, data = f"{top}/{n}", b"%d" % n * (n % 50 + 1)
                if n % 10 == 9:
                    gone = f"{top}/{n - 5}"
                    self.asked_to_delete.add(gone)
                    conn.send(zk.MULTI, zk.multi_request(
                        [(zk.CREATE, zk.create_request(path, data)),
                         (zk.DELETE, zk.ustr(gone) + zk.i32(-1))]))
                    in_flight.append((path, data, gone))
                else:
                    conn.send(zk.CREATE, zk.create_request(path, data))
                    in_flight.append((path, data, None))
                n += 1
            reply = conn.recv_reply()
            assert reply.err == 0
            path, data, gone = in_flight.pop(0)
            if gone is not None:
                self.deleted.append(gone)
            self.answered[path] = data


def read_all(conn, paths):
    """What each path holds, None if it is not there; asked for in batches, not one by one."""
    paths = list(paths)
    for start in range(0, len(paths), 500):
        batch = paths[start:start + 500]
        for path in batch:
            conn.send(zk.GET_DATA, zk.ustr(path) + zk.boolean(False))
        for path in batch:
            reply = conn.recv_reply()
            assert reply.err in (0, zk.NONODE)
            yield path, None if reply.err else zk.Reader(reply.body).buf()


def check_answered(server, loads):
    with zk.Conn(server.port) as conn:
        for load in loads:
            # What was asked to be deleted is gone if that was logged, answered or not.
            for path, data in read_all(conn, load.answered.keys() - load.asked_to_delete):
                assert data is not None, f"{path} was answered and is gone"
                assert data == load.answered[path]
            for path, data in read_all(conn, load.deleted):
                assert data is None, f"{path} was deleted and is back"
        for load in loads:
            top = conn.exists(f"/c{load.number}")
            assert top.num_children == len(conn.children(f"/c{load.number}"))


@pytest.mark.parametrize("round_", range(3))
def test_kill_under_load(make_server, round_):
    server = make_server(CONFIG)
    rng = random.Random(round_)
    loads = []
    for generation in range(3):
        new = [Load(server.port, f"{generation}-{n}") for n in range(4)]
        for load in new:
            load.start()
        harness.poll_until(lambda: all(len(load.answered) > 50 for load in new), 20, "some load")
        time.sleep(rng.random() * 0.3)          # a random point, not a wait for something
        server.kill()
        for load in new:
            load.join(10)
        loads += new
        server.start()
        check_answered(server, loads)
        for load in new:
            renewed = zk.Conn(server.port, session=load.session, timeout_ms=40000)
            assert renewed.exists(f"/c{load.number}/eph").ephemeral_owner == renewed.session_id
            renewed.close()
        with zk.Conn(server.port) as conn:
            for load in new:
                assert conn.exists(f"/c{load.number}/eph") is None


def test_kill_at_once_after_each_answer(make_server):
    """Single answers, so that no batch hides a missing flush."""
    server = make_server(CONFIG)
    for n in range(4):
        conn = zk.Conn(server.port)
        conn.create(f"/n{n}", b"%d" % n)
        server.restart(kill=True)
    with zk.Conn(server.port) as conn:
        assert [conn.get(f"/n{n}")[0] for n in range(4)] == [b"0", b"1", b"2", b"3"]


# -- torn files

@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A stopped directory with 300 nodes in one log and the zxid of each, to be copied."""
    server = harness.Server(harness.KIND, tmp_path_factory.mktemp("written"),
                            dict(CONFIG, snapCount=100000))
    server.start()
    try:
        with zk.Conn(server.port) as conn:
            stats = [conn.create2(f"/n{n}", b"x" * n)[1].czxid for n in range(300)]
        server.kill()
    finally:
        server.kill()
    return server, stats


def copy_of(make_server, written):
    server = make_server(dict(CONFIG, snapCount=100000), start=False)
    shutil.copytree(written[0].version_dir, server.version_dir)
    return server


def used_length(path):
    """Bytes of a log up to its last record; behind it are zeros."""
    with open(path, "rb") as f:
        return len(f.read().rstrip(b"\0"))


def last_record(path):
    """Where the last record of a log begins; disk-format.md 2."""
    with open(path, "rb") as f:
        data = f.read()
    at, last = 16, None
    while at + 12 < len(data) and (size := int.from_bytes(data[at + 8:at + 12], "big")) > 0:
        last, at = at, at + 12 + size + 1
    return last


def nodes_there(server):
    with zk.Conn(server.port) as conn:
        names = conn.children("/")
    return sorted(int(n[1:]) for n in names if n.startswith("n"))


def check_prefix_and_go_on(server, least):
    """Nodes 0..k and no hole; new writes work and survive, also a second start."""
    there = nodes_there(server)
    assert there == list(range(len(there)))
    assert len(there) >= least
    with zk.Conn(server.port) as conn:
        conn.create("/after")
    server.restart(kill=True)
    assert nodes_there(server) == there
    with zk.Conn(server.port) as conn:
        assert conn.exists("/after") is not None
    return len(there)


CUTS = 8


@pytest.mark.parametrize("seed", range(CUTS))
def test_log_cut_anywhere(make_server, written, seed):
    server = copy_of(make_server, written)
    path = server.log_files()[-1]
    used = used_length(path)
    size = random.Random(seed).randrange(used // 2, used)
    os.truncate(path, size)
    server.start()
    assert check_prefix_and_go_on(server, 1) < 300


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.reeve_only("a torn last record is an I/O error that stops the start")
def test_zeros_or_garbage_in_the_place_of_the_last_record(make_server, written, seed):
    """What a power cut leaves of a last write. It is the one that closes the session."""
    server = copy_of(make_server, written)
    path = server.log_files()[-1]
    rng = random.Random(seed)
    with open(path, "r+b") as f:
        f.seek(rng.randrange(last_record(path), used_length(path)))
        f.write(rng.randbytes(20) if seed % 2 else bytes(20))
    server.start()
    assert check_prefix_and_go_on(server, 300) == 300


def test_zeros_behind_the_last_record(make_server, written):
    server = copy_of(make_server, written)
    path = server.log_files()[-1]
    with open(path, "ab") as f:
        f.write(bytes(100000))
    server.start()
    assert check_prefix_and_go_on(server, 300) == 300


@pytest.mark.reeve_only("garbage behind the last record is an I/O error that stops the start")
def test_garbage_behind_the_last_record(make_server, written):
    for seed in range(4):
        server = copy_of(make_server, written)
        path = server.log_files()[-1]
        rng = random.Random(seed)
        os.truncate(path, used_length(path))
        with open(path, "ab") as f:
            f.write(rng.randbytes(rng.randrange(1, 500)))
        server.start()
        assert check_prefix_and_go_on(server, 300) == 300
        server.stop()


@pytest.mark.reeve_only("a log file of less than 16 bytes stops the start")
@pytest.mark.parametrize("size", [0, 1, 7, 15, 16])
def test_new_log_file_torn_in_its_header(make_server, written, size):
    server = copy_of(make_server, written)
    header = b"ZKLG" + zk.i32(2) + zk.i64(0)
    with open(os.path.join(server.version_dir, "log.fff"), "wb") as f:
        f.write(header[:size])
    server.start()
    assert check_prefix_and_go_on(server, 300) == 300


@pytest.mark.reeve_only("it dies with a stack trace that names no offset")
def test_corruption_in_the_middle_is_refused_and_named(make_server, written):
    """Records behind a broken one were answered: to start without them would lose them."""
    server = copy_of(make_server, written)
    path = server.log_files()[-1]
    with open(path, "r+b") as f:
        f.seek(used_length(path) // 2)
        f.write(b"\xff" * 8)
    server.start(wait=False)
    assert server.wait_exit() != 0
    text = server.stderr_text()
    assert os.path.basename(path) in text


@pytest.mark.parametrize("how", ["cut", "empty", "garbage", "no-seal"])
def test_half_written_snapshot(make_server, how):
    """The newest snapshot is broken: an older one and the logs give the same tree."""
    server = make_server(CONFIG)
    with zk.Conn(server.port) as conn:
        for n in range(300):
            conn.create(f"/n{n}")
    server.restart()
    with zk.Conn(server.port) as conn:
        conn.create("/n300")
        zxid = conn.ping()
    server.kill()
    good = server.snapshot_files()[-1]
    with open(good, "rb") as f:
        data = f.read()
    broken = {"cut": data[:len(data) // 2], "empty": b"", "no-seal": data[:-5],
              "garbage": data[:100] + os.urandom(len(data) - 105) + data[-5:]}[how]
    name = os.path.join(server.version_dir, f"snapshot.{zxid:x}")
    with open(name, "wb") as f:
        f.write(broken)
    server.start()
    assert nodes_there(server) == list(range(301))
    server.restart(kill=True)
    assert nodes_there(server) == list(range(301))


@pytest.mark.reeve_only("it takes log.200.tmp for the log of zxid 0x200")
def test_left_over_temporary_files(make_server, written):
    server = copy_of(make_server, written)
    for name in ("snapshot.200.tmp", "log.200.tmp", "currentEpoch.tmp"):
        with open(os.path.join(server.version_dir, name), "wb") as f:
            f.write(b"half")
    server.start()
    assert check_prefix_and_go_on(server, 300) == 300


# -- disk full

class SmallDisk:
    """A file system of a few megabytes in a mount namespace of its own.

    A process that sleeps holds the namespace; servers enter it, and the test reaches the files
    through /proc. It goes away with the process, whatever happens to the test.
    """

    def __init__(self, path, size_kb):
        self.path = str(path)
        os.makedirs(self.path, exist_ok=True)
        user = [] if os.geteuid() == 0 else ["--map-root-user", "--user"]
        script = (f"mount -t tmpfs -o size={size_kb}k tmpfs {self.path} && echo ready"
                  " && exec sleep inf")
        self.holder = subprocess.Popen(["unshare", *user, "--mount", "sh", "-c", script],
                                       stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n", "cannot make a mount namespace"
        self.outside = f"/proc/{self.holder.pid}/root{self.path}"
        enter = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        self.launcher = ["nsenter", "--target", str(self.holder.pid), *enter, "--mount", "--"]

    def fill(self, leave=0):
        """Takes all space but `leave` bytes with one file."""
        with open(os.path.join(self.outside, "ballast"), "ab", buffering=0) as f:
            try:
                while f.write(bytes(4096)) == 4096:
                    pass
            except OSError:
                pass
            if leave:
                f.truncate(max(f.tell() - leave, 0))

    def free(self):
        os.unlink(os.path.join(self.outside, "ballast"))

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


@pytest.fixture
def small_disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk", 24 * 1024)
    yield disk
    disk.close()


def write_until_refused(conn, path, size=20000):
    """Writes until one is refused: (how many went through, the error or 'closed')."""
    for n in range(5000):
        try:
            err = conn.err(zk.CREATE, zk.create_request(f"{path}/{n}", b"x" * size))
        except zk.Closed:
            return n, "closed"
        if err:
            return n, err
    raise AssertionError("100 MB went onto a disk of 24 MB")


@pytest.mark.reeve_only("it stops serving when its log cannot be written")
def test_disk_full(make_server, small_disk):
    server = make_server(dict(CONFIG, dataDir=small_disk.path, snapCount=1000000),
                         launcher=small_disk.launcher)
    reader = zk.Conn(server.port, timeout_ms=40000)
    writer = zk.Conn(server.port, timeout_ms=40000)
    reader.create("/before", b"kept")
    writer.create("/w")
    small_disk.fill(leave=300000)
    done, how = write_until_refused(writer, "/w")
    assert how != "closed", "a full disk must be an answer, not a lost connection"
    # Reads go on, also for new connections of known sessions; the log says what is wrong.
    assert reader.get("/before")[0] == b"kept"
    assert len(reader.children("/w")) == done
    for _ in range(20):
        assert reader.err(zk.SET_DATA, zk.ustr("/before") + zk.buf(b"y" * 5000) + zk.i32(-1)) != 0
        assert reader.get("/before")[0] == b"kept"
    assert "space" in server.stderr_text().lower()
    assert server.alive()
    small_disk.free()
    harness.poll_until(lambda: writer.err(
        zk.CREATE, zk.create_request("/w/again", b"")) in (0, zk.NODEEXISTS), 20,
        "writes to work again")
    assert len(reader.children("/w")) == done + 1
    assert reader.get("/before")[0] == b"kept"
    # What is on disk is what was answered: no refused write comes back.
    server.restart(kill=True)
    with zk.Conn(server.port) as conn:
        assert conn.get("/before")[0] == b"kept"
        assert sorted(conn.children("/w")) == sorted([str(n) for n in range(done)] + ["again"])
        conn.create("/after")
    server.stop()


@pytest.mark.reeve_only("it stops serving when its log cannot be written")
def test_disk_full_and_killed(make_server, small_disk):
    """Killed while the disk is full; it starts by itself when there is space, nothing is lost."""
    server = make_server(dict(CONFIG, dataDir=small_disk.path, snapCount=1000000),
                         launcher=small_disk.launcher)
    writer = zk.Conn(server.port, timeout_ms=40000)
    writer.create("/w")
    small_disk.fill(leave=500000)
    done, _ = write_until_refused(writer, "/w")
    server.kill()
    small_disk.free()
    server.start()
    with zk.Conn(server.port) as conn:
        assert sorted(conn.children("/w"), key=int)[:done] == [str(n) for n in range(done)]
        assert len(conn.children("/w")) <= done + 1     # the refused one may be there or not
        conn.create("/after")
    server.stop()


@pytest.mark.reeve_only("it stops serving when its log cannot be written")
def test_disk_full_at_start(make_server, small_disk):
    """A start without any space tells what it has or says what is missing; it destroys nothing."""
    server = make_server(dict(CONFIG, dataDir=small_disk.path), launcher=small_disk.launcher)
    with zk.Conn(server.port) as conn:
        conn.create("/kept", b"x" * 1000)
    server.kill()
    small_disk.fill()
    server.start(wait=False)
    harness.poll_until(lambda: not server.alive() or serves_kept(server), 10,
                       "reads or an exit")
    assert server.alive() or "space" in server.stderr_text().lower()
    server.kill()
    small_disk.free()
    server.start()
    with zk.Conn(server.port) as conn:
        assert conn.get("/kept")[0] == b"x" * 1000
    server.stop()


def serves_kept(server):
    """Does a server on a full disk tell what it has? Sessions need a write, words do not."""
    try:
        return server.srvr().get("Node count") == "6"
    except OSError:
        return False


@pytest.mark.reeve_only("it goes on with a failing snapshot only by luck")
def test_disk_too_full_for_a_snapshot(make_server, small_disk):
    """A snapshot that does not fit leaves no file behind and does not stop the writes."""
    server = make_server(dict(CONFIG, dataDir=small_disk.path, snapCount=200),
                         launcher=small_disk.launcher)
    with zk.Conn(server.port) as conn:
        for n in range(100):
            conn.create(f"/big{n}", b"x" * 60000)       # 6 MB of tree, logged once already
        small_disk.fill(leave=3000000)
        for n in range(600):
            conn.create(f"/small{n}")
    server.kill()
    small_disk.free()
    server.start()
    with zk.Conn(server.port) as conn:
        assert conn.exists("/").num_children == 701
    server.stop()


# -- signals and pauses

@pytest.mark.reeve_only("a paused process expires everybody when it goes on")
def test_pause_of_the_process_expires_nobody(make_server):
    """SIGSTOP for longer than the timeouts: the clients could not have pinged, so they live on."""
    server = make_server({"tickTime": 200})
    conns = [zk.Conn(server.port, timeout_ms=1000) for _ in range(5)]
    for n, conn in enumerate(conns):
        conn.create(f"/e{n}", flags=zk.EPHEMERAL)
    server.proc.send_signal(signal.SIGSTOP)
    time.sleep(2.5)                     # longer than any of the sessions may be silent
    server.proc.send_signal(signal.SIGCONT)
    for n, conn in enumerate(conns):
        assert conn.exists(f"/e{n}") is not None
        conn.drop()
