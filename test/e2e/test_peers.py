# SPDX-License-Identifier: Apache-2.0
"""One or two real servers among scripted peers (peer.py): both ports as Apache's peers use them, as
they must not, and as nobody should.

In `world` the server has sid 2, a ghost with a smaller and one with a larger sid stand beside it.
What a test does to it, at the end a good peer forms a quorum with it again: the fixture asks that
of every test.
"""
import os
import socket
import struct
import time

import pytest

import ensemble
import harness
import peer
import zk
from peer import (ACK, ACKEPOCH, COMMIT, DIFF, FOLLOWERINFO, FOLLOWING, INFORM, LEADERINFO, LEADING,
                  LOOKING, NEWLEADER, OBSERVERINFO, OBSERVING, PING, PROPOSAL, REQUEST, REVALIDATE,
                  SNAP, SYNC, TRUNC, UPTODATE, zx)

pytestmark = pytest.mark.skipif(harness.KIND == "apache", reason="about Reeve's own bounds, too")


@pytest.fixture
def make_world(tmp_path):
    made = []

    def make(**more):
        made.append(peer.World(tmp_path / f"world{len(made)}", **more))
        make.servers += made[-1].real
        return made[-1].start()

    make.servers = []
    yield make
    try:
        for w in made:
            for m in w.real:
                assert m.proc is None or m.alive(), f"{m} died\n{m.stderr_tail()}"
                recover(w, m)
    finally:
        for w in made:
            w.close()


@pytest.fixture
def world(make_world):
    return make_world(real=[2], ghosts=[1, 3])


def recover(w, m):
    """Whatever was done to this server: with a good leader it serves and writes."""
    if m.proc is None:
        return
    w.end_ghosts()
    q = w.ghost(max(w.members)).lead_well(m) if len(w.real) == 1 else None
    if q:
        z = zx(q.epoch, 1)
        q.commit(z, peer.create_txn(z, f"/recovered-{z:x}"))
        assert w[m.sid].mode() == "follower"
        harness.poll_until(lambda: m.zxid() == z, 5, "the write is applied")


def test_good_leader(world):
    q = world.ghost(3).lead_well(world[2])
    z = zx(q.epoch, 1)
    q.commit(z, peer.create_txn(z, "/a", b"1"))


def test_good_learner(world):
    q = world.ghost(1).follow(world[2])
    assert [k.kind for k in q.sync] == [DIFF, NEWLEADER]


# -- hostile input: the election port

GARBAGE = bytes((i * 73 + 41) & 0xff for i in range(4096))


def say(m, data, port="election_port", wait=True):
    with peer.Stream(peer.connect(getattr(m, port))) as s:
        s.write(data)
        if wait:
            s.wait_closed()


BROKEN_HELLOS = [
    GARBAGE,
    struct.pack(">qqi", -65534, 3, 5) + b"a:1:1",
    struct.pack(">qqi", peer.V1, 3, -1),
    struct.pack(">qqi", peer.V1, 3, 0),
    struct.pack(">qqi", peer.V1, 3, 2049) + b"x" * 2049,
    struct.pack(">qqi", peer.V1, 3, 0x7fffffff),
    peer.hello(3, "no port in here"),
    peer.hello(3, "127.0.0.1:99999"),
    peer.hello(-5, "127.0.0.1:1"),
    struct.pack(">q", peer.NOBODY),
    b"ruok",
]


def test_broken_hellos(world):
    for data in BROKEN_HELLOS:
        with peer.Stream(peer.connect(world[2].election_port)) as s:
            s.write(data)
            if len(data) >= 8:
                s.wait_closed()


def test_notifications_of_impossible_lengths(world):
    for length in (0, -1, 524289, 0x7fffffff, peer.NOBODY >> 32):
        link = world.ghost(3).link(world[2])
        link.recv()
        link.write(struct.pack(">i", length) + b"x" * 100)
        link.wait_closed()


def test_notifications_that_break_their_form_are_dropped_alone(world):
    """3769: too short, n negative or beyond the end, unknown states: the connection stays."""
    g, m = world.ghost(3), world[2]
    link = g.link(m)
    mine = link.recv()
    good = peer.note(LOOKING, 3, zx(9), mine.round, 9)
    for body in (b"x", good[:27], good[:29], good[:39], good[:41], good[:43],
                 good[:40] + struct.pack(">i", -2), good[:40] + struct.pack(">i", 1),
                 good[:40] + struct.pack(">i", 0x7fffffff), struct.pack(">i", 4) + good[4:],
                 struct.pack(">i", -1) + good[4:], GARBAGE):
        link.write(peer.frame(body))
    link.send(LOOKING, 3, zx(9), mine.round, 9, config=b"version=zz\nserver.=;\n\\u12")
    assert link.recv_where(lambda n: n.leader == 3).zxid == zx(9)


def test_notification_of_half_a_megabyte(world):
    link = world.ghost(3).link(world[2])
    mine = link.recv()
    text = b"".join(b"server.%d=127.0.0.1:%d:%d:participant\n" % (i, i, i + 1)
                    for i in range(1, 14000))[:524288 - 44]
    for state in (LOOKING, FOLLOWING, LEADING, OBSERVING):
        link.send(state, 3, zx(9), mine.round, 9, config=text)
    assert link.recv_where(lambda n: n.leader == 3).zxid == zx(9)
    link.write(struct.pack(">i", 524288))
    link.dribble(text[:2000])


def test_hundreds_of_half_open_dialers(world):
    m = world[2]
    open_ = [peer.connect(m.election_port) for _ in range(400)]
    for i, s in enumerate(open_):
        if i % 2:
            s.sendall(struct.pack(">qqi", peer.V1, 3, 20)[:i % 20])
    world.ghost(3).lead_well(m)
    for s in open_:
        s.close()


def test_dialers_of_every_sid(world):
    """Strangers by the hundreds, larger and smaller, with addresses that nobody listens on."""
    m = world[2]
    before = m.status_kb("VmRSS")
    open_ = []
    for sid in [*range(4, 700), 0, 1, 2, 0x7fffffffffffffff, 0x7ffffffffffffffe]:
        s = peer.connect(m.election_port)
        s.sendall(peer.hello(sid, "127.0.0.1:9"))
        open_.append(s)
    world.ghost(3).lead_well(m)
    assert m.status_kb("VmRSS") - before < 32 * 1024
    for s in open_:
        s.close()


def test_own_sid(world):
    m = world[2]
    with peer.Stream(peer.connect(m.election_port)) as s:
        s.write(peer.hello(2, f"127.0.0.1:{m.election_port}"))
        s.write(peer.frame(peer.note(LOOKING, 2, zx(50), 1000, 50)))
        q = world.ghost(3).lead(m)
        assert q.discover()[1] == 0


def test_flood_of_connections_of_one_sid(world):
    """Each replaces the one before; the last one is served."""
    m = world[2]
    g = world.ghost(3)
    cpu = m.cpu_s()
    links = [g.link(m) for _ in range(300)]
    assert links[-1].recv().state == LOOKING
    for link in links[:-1]:
        link.wait_closed()
    assert m.cpu_s() - cpu < 2


def test_link_that_never_reads(world):
    """What is said to it does not pile up."""
    m, g = world[2], world.ghost(3)
    q = g.lead_well(m)
    link = g.link(m)
    before = m.status_kb("VmRSS")
    body = peer.frame(peer.note(LOOKING, 3, 0, 1, 0))
    link.sock.setblocking(False)
    end, rest = time.monotonic() + 1.0, b""
    while time.monotonic() < end:
        rest = rest or body * 1000
        try:
            rest = rest[link.sock.send(rest):]
        except BlockingIOError:
            time.sleep(0.01)
            q.send(PING, 0)
    assert m.status_kb("VmRSS") - before < 16 * 1024
    q.close()


# -- hostile input: the quorum port of a leader

REFUSED = [
    GARBAGE,
    struct.pack(">iqi", FOLLOWERINFO, 0, -2),
    struct.pack(">iqi", FOLLOWERINFO, 0, 0x7fffffff),
    struct.pack(">iqi", FOLLOWERINFO, 0, 3000000),
    peer.packet(FOLLOWERINFO, 0, b"1234567"),
    peer.packet(FOLLOWERINFO, 0, struct.pack(">qi", 3, 1)),
    peer.packet(FOLLOWERINFO, 0, struct.pack(">qiq", 2, 0x10000, 0)),
    peer.packet(FOLLOWERINFO, 0, struct.pack(">qiq", peer.NOBODY, 0x10000, 0)),
    peer.packet(FOLLOWERINFO, 0, struct.pack(">qiq", 3, 0x10000, 1)),
    peer.packet(ACK, 0), peer.packet(REQUEST, -1, peer.request(1, 1, 1)),
    peer.packet(PING, 0, b""), peer.packet(77, 0),
    peer.packet(FOLLOWERINFO, 0, struct.pack(">qiq", 3, 0x10000, 0)) + peer.packet(ACK, 0),
    peer.packet(FOLLOWERINFO, 0, struct.pack(">qiq", 3, 0x10000, 0)) * 2,
]


def test_learners_that_are_refused(world):
    """First before the epoch is known, then while the leader serves."""
    m, g = world[2], world.ghost(1)
    q = g.make_leader(m)
    for data in REFUSED:
        say(m, data, "quorum_port")
    g.join(m, q=q)
    q.take_sync()
    q.live()
    m.wait_mode("leader")
    for data in REFUSED:
        say(m, data, "quorum_port")
    write(m, q.tend(), "/on")


def test_learners_with_odd_sids(world):
    """A learner nobody knows is served; the ensemble does not depend on it."""
    m, g = world[2], world.ghost(1)
    good = g.follow(m).tend()
    for sid in (-1, -2, 0x7fffffffffffffff, 0, 12345):
        for kind in (FOLLOWERINFO, OBSERVERINFO):
            with peer.Quorum(peer.connect(m.quorum_port)) as q:
                q.send(kind, 0, struct.pack(">qiq", sid, 0x10000, 0))
                q.leader_info()
                q.ack_epoch(0, 0)
                q.take_sync()
                q.live()
    write(m, good, "/still")


def write(m, q, path):
    """A client's write at the leader whose learner q is tended."""
    c = zk.Conn(m.port, io_timeout_s=5)
    c.create(path)
    return c


def test_learners_with_impossible_epochs(world):
    """They would drag the ensemble to the end of all epochs."""
    m, g = world[2], world.ghost(1)
    q = g.make_leader(m)
    for epoch in (0x7fffffff, 0x7ffffffe, -1, peer.NOBODY >> 32):
        for kind in (FOLLOWERINFO, OBSERVERINFO):
            with peer.Quorum(peer.connect(m.quorum_port)) as bad:
                bad.introduce(77, epoch, kind)
                if epoch > 0:
                    bad.wait_closed()
    g.join(m, q=q, accepted=0)
    q.take_sync()
    q.live()
    m.wait_mode("leader")
    assert q.epoch == 1


def test_late_learners_with_odd_zxids(world):
    m, g = world[2], world.ghost(1)
    q = g.follow(m).tend()
    write(m, q, "/w").drop()
    for zxid, current in ((-1, 0), (peer.NOBODY, 0), (0x7fffffffffffffff, 0), (zx(0, 5), 0),
                          (zx(77, 5), 77), (zx(1, 0), 1), (zx(1, 0xffffffff), -1), (zx(-5, 3), -1),
                          (0, 0x7fffffff)):
        odd = world.ghost(3).join(m, accepted=0, last_zxid=zxid, current=current)
        got = odd.take_sync()
        assert got[0].kind in (SNAP, TRUNC, DIFF)
        if got[0].kind == TRUNC:
            assert got[0].zxid < zxid
        odd.live()


def test_learner_that_breaks_its_packets(world):
    """18: a PING that is no list of sessions, a REQUEST or REVALIDATE that is too short."""
    m = world[2]
    q = world.ghost(1).follow(m).tend()
    bad = world.ghost(3)
    for k in (peer.packet(PING, 0, b"12345"), peer.packet(PING, 0), peer.packet(REQUEST, -1),
              peer.packet(REQUEST, -1, b"x" * 15), peer.packet(REVALIDATE, -1, b"x" * 11),
              peer.packet(REVALIDATE, -1), struct.pack(">iqi", ACK, 0, -7),
              struct.pack(">iqii", ACK, 0, -1, 0x7fffffff),
              struct.pack(">iqiii", ACK, 0, -1, 1, -5),
              peer.packet(FOLLOWERINFO, 0, struct.pack(">qiq", 3, 0x10000, 0)),
              peer.packet(ACKEPOCH, 0, struct.pack(">i", 0))):
        x = bad.follow_more(m)
        x.write(k)
        x.wait_closed(1.0)     # not by silence, which takes 1.6 s
    write(m, q, "/on")


def test_requests_that_are_malformed(world):
    """Each takes a zxid as an error at most; nothing else happens."""
    m = world[2]
    good = world.ghost(1).follow(m).tend()
    session = write(m, good, "/a").session_id
    q = world.ghost(3).follow_more(m)
    ops = [-11, -10, -9, -1, 0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 14, 15, 16, 18, 19, 20, 21, 100,
           101, 106, 107, 99999, -2 ** 31, 2 ** 31 - 1]
    bodies = [b"", b"\xff" * 40, struct.pack(">i", 0x7fffffff), struct.pack(">i", -2), GARBAGE,
              peer.jstr("/") + b"\0" * 60, peer.jstr("/a\0b") + b"\xff" * 9,
              peer.create_request("/x" * 3000), peer.create_request("no-slash"),
              peer.create_request("/zookeeper/config/x")]
    ids = [None, [], [("super", "")], [("ip", "127.0.0.1")], [("x" * 300, "y" * 300)] * 100]
    n = 0
    for op in ops:
        for body in bodies:
            who = [session, 0, -1, 0x7fffffffffffffff][n % 4]
            if op != -11 or who != session:
                q.send(REQUEST, -1, peer.request(who, n, op, body), ids[n % len(ids)])
            n += 1
        q.send(PING, 0, b"")
    q.send(REQUEST, -1, peer.sync_seen(session, 1), [])
    while (k := q.recv()).kind != SYNC:
        if k.kind == PROPOSAL:
            q.send(ACK, k.zxid)
    assert len(m.stderr_text()) < 100000
    write(m, good, "/on")


def test_acks_of_anything(world):
    m = world[2]
    good = world.ghost(1).follow(m).tend()
    q = world.ghost(3).follow_more(m)
    for z in (0, 1, -1, zx(q.epoch), zx(q.epoch, 1), zx(q.epoch, 999), zx(q.epoch + 1, 1),
              peer.NOBODY, 0x7fffffffffffffff):
        q.send(ACK, z)
    for kind in (LEADERINFO, NEWLEADER, DIFF, TRUNC, SNAP, UPTODATE, COMMIT, PROPOSAL, INFORM, SYNC,
                 0, -1, 20, 0x7fffffff):
        q.send(kind, zx(q.epoch, 1), b"x" * 40 if kind in (PROPOSAL, INFORM) else None)
        if not q.ready(0.02):
            continue
        try:
            q.recv()
        except peer.Gone:
            q = world.ghost(3).follow_more(m)
    write(m, good, "/on")


def test_early_ack_is_no_ack(world):
    """11.2: an ACK of what is not proposed yet counts for nothing."""
    m = world[2]
    q = world.ghost(1).follow(m)
    for n in range(1, 10):
        q.send(ACK, zx(q.epoch, n))
    c = zk.Conn(m.port, handshake=False)
    c.send_frame(zk.connect_request(10000, 0, b"\0" * 16, 0, False))
    k = q.expect(PROPOSAL)
    q.nothing([COMMIT], 0.3)
    q.send(ACK, k.zxid)
    q.expect(COMMIT, k.zxid)
    c.read_connect_response()
    c.drop()


def test_half_open_learners_by_the_hundreds(world):
    m, g = world[2], world.ghost(1)
    q = g.make_leader(m)
    before = m.status_kb("VmRSS")
    open_ = [peer.connect(m.quorum_port) for _ in range(300)]
    big = struct.pack(">iqi", FOLLOWERINFO, 0, 2000000) + b"x" * 200000
    for s in open_:
        s.setblocking(False)
        try:
            s.send(big)
        except (BlockingIOError, ConnectionError):
            pass
    q = g.join(m, q=g.dial(m))
    q.take_sync()
    q.live()
    m.wait_mode("leader")
    assert m.status_kb("VmRSS") - before < 24 * 1024
    for s in open_:
        s.close()


def test_learners_of_thousands_of_sids(world):
    m, g = world[2], world.ghost(1)
    q = g.follow(m).tend()
    before = m.status_kb("VmRSS")
    open_ = []
    for sid in range(10, 700):
        s = peer.Quorum(peer.connect(m.quorum_port))
        open_.append(s)
        try:
            s.introduce(sid, 0)
            s.ack_epoch(0, 0)
        except peer.Gone:
            pass
    write(m, q, "/on")
    assert m.status_kb("VmRSS") - before < 64 * 1024
    for s in open_:
        s.close()


def test_learner_one_byte_at_a_time(world):
    m, g = world[2], world.ghost(1)
    q = g.make_leader(m)
    q.dribble(peer.packet(FOLLOWERINFO, 0, struct.pack(">qiq", 1, 0x10000, 0)))
    q.leader_info()
    q.dribble(peer.packet(ACKEPOCH, 0, struct.pack(">i", 0)))
    q.take_sync()
    q.dribble(peer.packet(ACK, zx(q.epoch)))
    q.expect(UPTODATE)
    write(m, q.tend(), "/on")


def test_learner_that_reconnects_at_once(world):
    """A refused one that comes again at once costs little, and does not fill the log."""
    m = world[2]
    q = world.ghost(1).follow(m).tend()
    cpu, said = m.cpu_s(), len(m.stderr_text())
    end, n = time.monotonic() + 1.5, 0
    while time.monotonic() < end:
        with peer.Quorum(peer.connect(m.quorum_port)) as bad:
            bad.introduce(3, 0, config_version=99)
            bad.wait_closed()
        n += 1
    assert m.cpu_s() - cpu < 1.2
    assert n > 100
    assert len(m.stderr_text()) - said < 10000, f"{n} connections"
    write(m, q, "/on")


def test_revalidate_with_odd_timeouts(world):
    m = world[2]
    good = world.ghost(1).follow(m).tend()
    session = write(m, good, "/a").session_id
    q = world.ghost(3).follow_more(m)
    for timeout_ms in (-1, -2 ** 31, 2 ** 31 - 1, 0, 10000):
        q.send(REVALIDATE, -1, struct.pack(">qi", session, timeout_ms))
        k = q.expect(REVALIDATE, -1)
        assert k.data == struct.pack(">q?", session, True), timeout_ms
    q.nothing([PROPOSAL], 0.5)
    q.send(REVALIDATE, -1, struct.pack(">qi", 4711, 10000))
    assert q.expect(REVALIDATE).data == struct.pack(">q?", 4711, False)


# -- hostile input: a leader

def test_leader_info_of_odd_epochs(world):
    """8.3: older than accepted: dropped; the same: ACKEPOCH -1; a packet that is none: dropped."""
    m, g = world[2], world.ghost(3)
    g.lead_well(m, epoch=7)
    for epoch in (6, -0x80000000):
        q = g.lead(m)
        q.learner_info()
        assert q.accepted == 7
        q.send(LEADERINFO, zx(epoch), struct.pack(">i", 0x10000))
        q.wait_closed()
    q = g.lead(m)
    assert q.discover(7) == (0, -1)
    q = g.lead(m)
    assert q.discover(0x7ffffffe)[1] == 7
    assert m.epoch_file("acceptedEpoch") == 0x7ffffffe
    q.close()


ODD_OPENINGS = [
    peer.packet(TRUNC, zx(0x7fffffff, 1)), peer.packet(TRUNC, -1), peer.packet(TRUNC, peer.NOBODY),
    peer.packet(TRUNC, zx(1, 0xffffffff)), peer.packet(TRUNC, 5), peer.packet(TRUNC, zx(1, 0)),
    peer.packet(SNAP, zx(0x7fffffff, 1)) + peer.snapshot() + peer.SIGNATURE,
    peer.packet(SNAP, -1) + peer.snapshot() + peer.SIGNATURE,
    peer.packet(SNAP, peer.NOBODY) + peer.snapshot() + peer.SIGNATURE,
    peer.packet(SNAP, zx(1, 9)) + GARBAGE,
    peer.packet(SNAP, zx(1, 9)) + peer.snapshot() + peer.jstr("BenWasThere"),
    peer.packet(SNAP, zx(1, 9)) + peer.snapshot([("/a/b", b"")]) + peer.SIGNATURE,
    peer.packet(SNAP, zx(1, 9)) + peer.snapshot([("", b"")]) + peer.SIGNATURE,
    peer.packet(SNAP, zx(1, 9)) + peer.snapshot()[:50],
    peer.packet(SNAP, zx(1, 9)) + struct.pack(">i", 0x7fffffff) + GARBAGE,
    peer.packet(SNAP, zx(1, 9)) + struct.pack(">i", -5),
    peer.packet(DIFF, 0) + peer.packet(DIFF, 0),
    peer.packet(DIFF, 0) + peer.packet(SNAP, 0),
    peer.packet(DIFF, 0) + peer.packet(UPTODATE),
    peer.packet(DIFF, 0) + peer.packet(NEWLEADER, zx(77), b""),
    peer.packet(DIFF, 0) + peer.packet(PROPOSAL, zx(0x7fffffff, 1),
                                       peer.create_txn(zx(0x7fffffff, 1), "/far")),
    peer.packet(NEWLEADER, zx(1), b""), peer.packet(UPTODATE), peer.packet(LEADERINFO, zx(2)),
    peer.packet(PROPOSAL, zx(1, 1), peer.create_txn(zx(1, 1), "/x")), peer.packet(99, 0),
    GARBAGE, struct.pack(">iqi", DIFF, 0, -2), struct.pack(">iqi", DIFF, 0, 0x7fffffff),
    struct.pack(">iqii", DIFF, 0, -1, 0x7fffffff),
]


def test_odd_openings(world):
    """Whatever a leader says first, and then goes: what is on disk starts again."""
    m, g = world[2], world.ghost(3)
    q = g.lead_well(m)
    z = zx(q.epoch, 1)
    q.commit(z, peer.create_txn(z, "/before"))
    q.close()
    for i, data in enumerate(ODD_OPENINGS):
        q = g.lead(m)
        q.discover()
        q.write(data)
        try:
            q.send(NEWLEADER, zx(q.epoch), b"")
            if q.ready(0.1) and q.recv().kind == ACK:
                q.up_to_date()
        except peer.Gone:
            pass
        q.close()
        if i % 6 == 5:
            m.kill()
            m.start()
        assert m.alive(), data[:40]


def test_leader_that_is_refused_costs_little(world):
    """It is elected again and again, and its LEADERINFO is always too old."""
    m, g = world[2], world.ghost(3)
    g.lead_well(m, epoch=9).close()
    cpu, said, n = m.cpu_s(), len(m.stderr_text()), 0
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        q = g.lead(m)
        q.learner_info()
        q.send(LEADERINFO, zx(1), struct.pack(">i", 0x10000))
        q.wait_closed()
        n += 1
    assert n < 20
    assert m.cpu_s() - cpu < 0.5
    assert len(m.stderr_text()) - said < 20000


def test_endless_snapshot(world):
    """A stream that never ends goes to disk and not to memory; its end leaves nothing."""
    m, g = world[2], world.ghost(3)
    q = g.lead(m)
    q.discover()
    before = m.status_kb("VmRSS")
    q.send(SNAP, zx(1, 5))
    q.write(peer.snapshot()[:-5])
    for i in range(60):
        q.write(peer.jstr(f"/n{i}") + peer.buf(b"x" * 1000000)
                + struct.pack(">qqqqqiiiqq", -1, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    assert m.status_kb("VmRSS") - before < 40 * 1024
    q.close()
    q = g.lead(m)
    assert q.discover()[0] == 0
    q.close()


def test_membership_texts_of_a_leader(world):
    """NEWLEADER with a text that is none, or too much."""
    m, g = world[2], world.ghost(3)
    big = b"".join(b"server.%d=h%d:1:2:participant\n" % (i, i) for i in range(1, 30000))
    for text in (None, b"", b"\xff\xfe\0", b"server.1=", b"version=zz", big,
                 b"server.3=127.0.0.1:1:2:participant\nversion=7fffffffffffffff"):
        q = g.lead(m)
        last, _ = q.discover()
        q.send(DIFF, last)
        q.send(NEWLEADER, zx(q.epoch), text)
        try:
            q.expect(ACK, zx(q.epoch))
            q.up_to_date()
            m.wait_mode("follower")
        except peer.Gone:
            pass
        q.close()


# -- what a live follower does with what it is sent

def following(world, sid=3):
    q = world.ghost(sid).lead_well(world[2])
    q.z = zx(q.epoch, 0)
    return q


def looks_again(m, before):
    m.wait_said("looking for a leader", before + 1)


def test_stream_that_breaks_its_order(world):
    """Gaps, COMMITs out of order, what does not decode: the role is over, the process is not."""
    m = world[2]
    for number in range(8):
        q = following(world)
        looked = m.stderr_text().count("looking for a leader")
        one, two, three = (zx(q.epoch, n) for n in (1, 2, 3))
        cases = [
            [(PROPOSAL, two, peer.create_txn(two, "/gap"))],
            [(PROPOSAL, one, peer.create_txn(two, "/other-zxid"))],
            [(PROPOSAL, one, GARBAGE)],
            [(PROPOSAL, one, None)],
            [(PROPOSAL, one, peer.txn(one, 77, b""))],
            [(PROPOSAL, one, peer.create_txn(one, "/a")),
             (PROPOSAL, two, peer.create_txn(two, "/b")), (COMMIT, two)],
            [(PROPOSAL, one, peer.create_txn(one, "/a")), (PROPOSAL, three,
                                                          peer.create_txn(three, "/c"))],
            [(DIFF, one)],
        ]
        for k in cases[number]:
            q.send(*k)
        looks_again(m, looked)
        q.close()


def test_what_a_follower_ignores(world):
    m, q = world[2], following(world)
    one = zx(q.epoch, 1)
    for k in ((COMMIT, zx(q.epoch, 9)), (COMMIT, -1), (UPTODATE,), (99, 5), (-1, 5), (SYNC, 0),
              (ACK, one), (REVALIDATE, -1, struct.pack(">q?", 5, True)),
              (REQUEST, -1, peer.request(1, 1, 1))):
        q.send(*k)
    q.commit(one, peer.create_txn(one, "/on"))
    assert m.mode() == "follower"
    harness.poll_until(lambda: m.zxid() == one, 5, "applied")


def test_silent_leader(world):
    """2: given up after tickTime * syncLimit, 1.6 s."""
    m, q = world[2], following(world)
    looked = m.stderr_text().count("looking for a leader")
    t = time.monotonic()
    looks_again(m, looked)
    assert 1.3 < time.monotonic() - t < 2.6


def test_ping_is_answered_with_touches(world):
    """13.2: the same zxid; each new session once; an empty list is not null."""
    m, q = world[2], following(world)
    q.send(PING, 0x1234)
    k = q.expect(PING, 0x1234, skip=())
    assert k.data == b""
    c = zk.Conn(m.port, handshake=False)
    c.send_frame(zk.connect_request(4000, 0, b"\0" * 16, 0, False))
    k = q.expect(REQUEST, -1)
    session, cxid, op, body = k.request
    assert (cxid, op, body, k.authinfo) == (0, peer.CREATE_SESSION, struct.pack(">i", 4000), None)
    assert session >> 56 == 2
    one = zx(q.epoch, 1)
    q.commit(one, peer.session_txn(one, session, 4000))
    c.read_connect_response()
    assert c.session_id == session
    q.send(PING, one)
    assert q.expect(PING, one, skip=()).touches == [(session, 4000)]
    q.send(PING, one)
    assert q.expect(PING, one, skip=()).data == b""
    c.call(zk.PING, xid=-2)
    q.send(PING, one)
    assert q.expect(PING, one, skip=()).touches == [(session, 4000)]
    c.drop()


def client_of(m, q, n=1):
    """A session at the follower, made by the scripted leader as the n-th of its epoch."""
    c = zk.Conn(m.port, handshake=False)
    c.send_frame(zk.connect_request(4000, 0, b"\0" * 16, 0, False))
    session = q.expect(REQUEST).request[0]
    q.commit(zx(q.epoch, n), peer.session_txn(zx(q.epoch, n), session, 4000))
    c.read_connect_response()
    return c


def test_requests_go_to_the_leader_and_come_back(world):
    """12.1-12.3: forwarded as they came; the answer is the transaction, an error one, or SYNC."""
    m, q = world[2], following(world)
    c = client_of(m, q)
    body = peer.create_request("/a", b"1")
    xid = c.send(zk.CREATE, body)
    k = q.expect(REQUEST, -1)
    assert k.request == (c.session_id, xid, zk.CREATE, body)
    assert k.authinfo == [("ip", "127.0.0.1")]
    z = zx(q.epoch, 2)
    t = bytearray(peer.create_txn(z, "/a", b"1", session=c.session_id))
    t[8:12] = struct.pack(">i", xid)
    q.commit(z, bytes(t))
    reply = c.recv_reply()
    assert (reply.xid, reply.zxid, reply.err) == (xid, z, 0)

    xid = c.send(zk.CREATE, body)
    q.expect(REQUEST)
    z = zx(q.epoch, 3)
    q.commit(z, peer.txn(z, peer.ERROR, struct.pack(">i", -110), c.session_id, xid))
    reply = c.recv_reply()
    assert (reply.xid, reply.zxid, reply.err) == (xid, z, -110)

    xid = c.send(zk.SYNC, zk.ustr("/a"))
    assert q.expect(REQUEST).request[:3] == (c.session_id, xid, zk.SYNC)
    assert c.quiet(0.1)
    q.send(SYNC, 0)
    assert c.recv_reply().xid == xid
    assert c.get("/a")[0] == b"1"       # reads stay here
    assert not q.ready(0.05)
    c.drop()


def test_session_that_comes_to_a_follower_is_revalidated(world):
    m, q = world[2], following(world)
    c = client_of(m, q)
    password, session = c.password, c.session_id
    c.drop()
    for valid in (True, False):
        d = zk.Conn(m.port, handshake=False)
        d.send_frame(zk.connect_request(4000, session, password, 0, False))
        k = q.expect(REVALIDATE, -1)
        assert k.data == struct.pack(">qi", session, 4000)
        assert d.quiet(0.05)
        q.send(REVALIDATE, -1, struct.pack(">q?", session, valid))
        d.read_connect_response()
        assert (d.session_id == session) == valid
        d.drop()


def test_membership_change_that_is_none_of_the_known(world):
    """COMMITANDACTIVATE of what is no reconfiguration, and odd designated leaders."""
    m = world[2]
    for data in (struct.pack(">q", 3), struct.pack(">q", peer.NOBODY), b"", None):
        q = following(world)
        one = zx(q.epoch, 1)
        q.send(PROPOSAL, one, peer.create_txn(one, f"/a{q.epoch}"))
        q.send(peer.COMMITANDACTIVATE, one, data)
        q.send(PING, 0)
        try:
            q.expect(ACK, one)
        except (peer.Gone, AssertionError):
            pass
        q.close()
        assert m.alive()


# -- synchronisation: what a learner has on disk when it says so

def killed(world, q):
    """kill -9, and how far the server says it is then: the zxid of its ACKEPOCH."""
    m = world[2]
    m.kill()
    q.close()
    m.start()
    q = world.ghost(3).lead(m)
    last, _ = q.discover()
    return q, last


def committed(q, *zxids, path="/n"):
    for z in zxids:
        q.send(PROPOSAL, z, peer.create_txn(z, f"{path}{z:x}"))
        q.send(COMMIT, z)


def reads(world, q, *paths, n=1):
    """What a client sees at the follower of q; None: no such node."""
    c = client_of(world[2], q, n)
    got = [c.get(path)[0] if c.exists(path) else None for path in paths]
    c.drop()
    return got


def go_on(world, q, last):
    q.send(DIFF, last)
    q.finish()
    world[2].wait_mode("follower")


def test_zookeeper_4646_4643_3911_ack_of_newleader_is_behind_its_history(world):
    """What came in a DIFF is on disk, then currentEpoch, then ACK; before NEWLEADER is answered
    nothing of the epoch is."""
    m = world[2]
    q = world.ghost(3).lead(m)
    q.discover(epoch=4)
    assert m.epoch_file("acceptedEpoch") == 4
    q.send(DIFF, zx(1, 3))
    committed(q, *(zx(1, n) for n in (1, 2, 3)))
    q.send(PROPOSAL, zx(1, 4), peer.create_txn(zx(1, 4), "/uncommitted"))
    assert m.epoch_file("currentEpoch") == 0
    q.send(NEWLEADER, zx(4), b"")
    q.expect(ACK, zx(4))
    q, last = killed(world, q)
    assert last in (zx(1, 3), zx(1, 4))
    assert (q.accepted, q.current) == (4, 4)
    go_on(world, q, last)
    assert reads(world, q, *(f"/n{zx(1, n):x}" for n in (1, 2, 3))) == [b""] * 3


def test_zookeeper_4394_commit_between_newleader_and_uptodate(world):
    """Of a proposal from before NEWLEADER, and of one from behind it; both are acknowledged only
    after UPTODATE, each once, in order (4685)."""
    m = world[2]
    q = world.ghost(3).lead(m)
    q.discover()
    one, two, three = (zx(q.epoch, n) for n in (1, 2, 3))
    q.send(DIFF, 0)
    q.send(PROPOSAL, one, peer.create_txn(one, "/one"))
    q.send(NEWLEADER, zx(q.epoch), b"")
    q.send(PROPOSAL, two, peer.create_txn(two, "/two"))
    q.send(COMMIT, one)
    q.send(PING, 0)
    q.send(COMMIT, two)
    q.send(PROPOSAL, three, peer.create_txn(three, "/three"))
    q.expect(ACK, zx(q.epoch))
    q.nothing([ACK, PING], 0.1)
    q.send(UPTODATE)
    q.expect(ACK, zx(q.epoch))
    got = [q.expect(ACK).zxid]
    while got[-1] != three:
        got.append(q.expect(ACK).zxid)
    assert got == sorted(set(got))
    q.send(COMMIT, three)
    harness.poll_until(lambda: m.zxid() == three, 5, "applied")


def test_acks_of_proposals_are_behind_the_disk(world):
    m, q = world[2], following(world)
    zxids = [zx(q.epoch, n) for n in range(1, 40)]
    for z in zxids:
        q.send(PROPOSAL, z, peer.create_txn(z, f"/n{z:x}", b"d" * 1000))
    for z in zxids:
        q.expect(ACK, z)
    q, last = killed(world, q)
    assert last == zxids[-1]
    go_on(world, q, last)
    assert reads(world, q, *(f"/n{z:x}" for z in zxids)) == [b"d" * 1000] * len(zxids)


def test_commit_before_its_ack(world):
    """11.3: the ACK comes all the same."""
    m, q = world[2], following(world)
    zxids = [zx(q.epoch, n) for n in range(1, 20)]
    committed(q, *zxids)
    for z in zxids:
        q.expect(ACK, z)
    harness.poll_until(lambda: m.zxid() == zxids[-1], 5, "applied")


def test_zookeeper_2355_the_zxid_of_diff_is_no_state(world):
    q = world.ghost(3).lead(world[2])
    q.discover()
    q.send(DIFF, zx(1, 100))
    committed(q, zx(1, 1))
    q.close()
    q = world.ghost(3).lead(world[2])
    assert q.discover()[0] in (0, zx(1, 1))
    q.close()


def with_history(world, n=5):
    """The server has (1,1) ... (1,n)."""
    q = following(world)
    assert q.epoch == 1
    for i in range(1, n + 1):
        q.commit(zx(1, i), peer.create_txn(zx(1, i), f"/h{i}", b"%d" % i))
    harness.poll_until(lambda: world[2].zxid() == zx(1, n), 5, "applied")
    q.close()


def test_zookeeper_2845_what_was_logged_and_not_committed_counts(world):
    """Before an election the tree is what the log says."""
    m, q = world[2], following(world)
    one = zx(q.epoch, 1)
    q.send(PROPOSAL, one, peer.create_txn(one, "/logged"))
    q.expect(ACK, one)
    q.close()
    q = world.ghost(3).lead(m)
    assert q.discover()[0] == one
    go_on(world, q, one)
    assert reads(world, q, "/logged") == [b""]


def test_zookeeper_5094_trunc_that_breaks_off(world):
    """The tree and the log are the same afterwards, whichever end they have."""
    m = world[2]
    with_history(world)
    q = world.ghost(3).lead(m)
    assert q.discover()[0] == zx(1, 5)
    q.send(TRUNC, zx(1, 3))
    q.close()
    q = world.ghost(3).lead(m)
    last, _ = q.discover()
    assert last in (zx(1, 3), zx(1, 5))
    go_on(world, q, last)
    h3, h5 = reads(world, q, "/h3", "/h5")
    assert (h3, h5 is None) == (b"3", last == zx(1, 3))
    q, again = killed(world, q)
    assert again == zx(q.epoch - 1, 1)
    q.close()


def test_zookeeper_1549_trunc_takes_snapshots_with_it(world):
    m = world[2]
    q = world.ghost(3).lead(m)
    q.discover()
    q.send(SNAP, zx(1, 2))
    q.write(peer.snapshot([("/s", b"")]) + peer.SIGNATURE)
    q.finish()
    m.wait_mode("follower")
    for i in (3, 4, 5):
        q.commit(zx(1, i), peer.create_txn(zx(1, i), f"/h{i}"))
    q.close()
    q = world.ghost(3).lead(m)
    assert q.discover()[0] == zx(1, 5)
    q.send(TRUNC, zx(1, 3))
    committed(q, zx(2, 1))
    q.finish()
    m.wait_mode("follower")
    paths = ("/s", "/h3", "/h4", "/h5", f"/n{zx(2, 1):x}")
    assert reads(world, q, *paths, n=2) == [b"", b"", None, None, b""]
    q, last = killed(world, q)
    assert last == zx(2, 2)
    go_on(world, q, last)
    assert reads(world, q, *paths) == [b"", b"", None, None, b""]


def test_trunc_to_a_zxid_that_is_not_in_the_log(world):
    """17: nothing above it survives; below the log a snapshot is asked for."""
    m = world[2]
    with_history(world)
    q = world.ghost(3).lead(m)
    q.discover()
    q.send(TRUNC, zx(1, 3))
    committed(q, zx(3, 1))
    q.send(NEWLEADER, zx(q.epoch), b"")
    looked = m.stderr_text().count("looking for a leader")
    looks_again(m, looked)      # (3,1) is of an epoch that this leader has not reached
    q.close()
    q = world.ghost(3).lead(m)
    q.discover()
    q.send(TRUNC, 7)
    try:
        q.finish()
    except peer.Gone:
        pass
    q.close()
    q = world.ghost(3).lead(m)
    last, _ = q.discover()
    q.send(SNAP, zx(1, 2))
    q.write(peer.snapshot([("/s", b"")]) + peer.SIGNATURE)
    q.finish()
    m.wait_mode("follower")
    assert reads(world, q, "/s", "/h3") == [b"", None]


def test_zookeeper_3642_snap_that_breaks_off(world):
    m = world[2]
    with_history(world)
    body = peer.snapshot([(f"/s{i}", b"x" * 1000) for i in range(2000)])
    for cut in (10, len(body) // 2, len(body)):
        q = world.ghost(3).lead(m)
        assert q.discover()[0] == zx(1, 5)
        q.send(SNAP, zx(q.epoch, 77))
        q.write(body[:cut])
        q.close()
    q = world.ghost(3).lead(m)
    last, _ = q.discover()
    go_on(world, q, last)
    assert last == zx(1, 5)
    assert reads(world, q, "/h5", "/s1") == [b"5", None]


def test_snapshot_is_on_disk_before_its_ack(world):
    m = world[2]
    with_history(world)
    q = world.ghost(3).lead(m)
    q.discover()
    q.send(SNAP, zx(1, 9))
    q.dribble(peer.snapshot([("/s", b"new")], [(0x200000000000001, 20000)]) + peer.SIGNATURE)
    committed(q, zx(1, 10))
    q.new_leader()
    assert m.epoch_file("currentEpoch") == q.epoch
    q, last = killed(world, q)
    assert last == zx(1, 10)
    go_on(world, q, last)
    assert reads(world, q, "/s", "/h5", f"/n{zx(1, 10):x}") == [b"new", None, b""]


def test_zookeeper_2846_4925_diff_that_does_not_follow(world):
    """A first proposal that is not next to the own last zxid is refused."""
    m = world[2]
    with_history(world)
    for z in (zx(1, 7), zx(1, 5), zx(1, 2), zx(2, 2)):
        q = world.ghost(3).lead(m)
        assert q.discover()[0] == zx(1, 5)
        q.send(DIFF, zx(1, 9))
        committed(q, z)
        q.wait_closed()
        q.close()


# -- a leader, seen by its learners

def test_leader_writes_its_epochs_before_it_says_them(world):
    m, g = world[2], world.ghost(1)
    q = g.make_leader(m)
    q.introduce(1, 6)
    assert q.leader_info() == 7
    assert (m.epoch_file("acceptedEpoch"), m.epoch_file("currentEpoch")) == (7, 0)
    q.ack_epoch(0, 0)
    got = q.take_sync()
    assert got[-1].zxid == zx(7)
    assert m.epoch_file("currentEpoch") == 7
    q.nothing([UPTODATE], 0.1)
    assert m.mode() != "leader"
    q.live()
    m.wait_mode("leader")


def test_learner_ahead_of_the_leader_is_refused(world):
    m, g = world[2], world.ghost(1)
    q = g.make_leader(m)
    q.introduce(1, 0)
    q.leader_info()
    q.ack_epoch(zx(0, 5), 0)
    q.wait_closed()
    q = g.join(m, accepted=0)
    q.take_sync()
    q.live()


def test_sync_is_chosen_by_the_zxid(world):
    """9.2, with the leader's history (1,1) ... (1,5) in memory."""
    m, g = world[2], world.ghost(1)
    with_history(world)
    q = g.join(m, last_zxid=zx(1, 5), current=1, q=g.make_leader(m))
    assert [(k.kind, k.zxid) for k in q.take_sync()] == [(DIFF, zx(1, 5)), (NEWLEADER, zx(2))]
    q.live()
    m.wait_mode("leader")
    q.tend()
    h = world.ghost(3)

    def plan(zxid):
        x = h.join(m, accepted=1, last_zxid=zxid, current=1)
        got = [(k.kind, k.zxid) for k in x.take_sync()]
        x.live()
        x.close()
        assert got[-1] == (NEWLEADER, zx(2))
        return got[:-1]

    def pairs(*zxids):
        return [(kind, z) for z in zxids for kind in (PROPOSAL, COMMIT)]

    assert plan(zx(1, 5)) in ([(DIFF, zx(1, 5))], [(DIFF, zx(2))])
    assert plan(zx(1, 3))[1:] == pairs(zx(1, 4), zx(1, 5))
    write(m, q, "/new").drop()
    new = (zx(2, 1), zx(2, 2))
    assert plan(zx(1, 3))[0][0] == DIFF
    assert plan(zx(1, 3))[1:] == pairs(zx(1, 4), zx(1, 5), *new)
    assert plan(zx(1, 0))[-2 * len(new):] == pairs(*new)
    assert plan(zx(2, 9))[0] == (TRUNC, zx(2, 2))
    odd = plan(zx(1, 9))      # 17: not in the leader's history, which serves
    assert odd[0][0] in (SNAP, TRUNC)


def test_zookeeper_4394_leader_holds_commits_back_until_uptodate(world):
    m = world[2]
    q = world.ghost(1).follow(m).tend()
    x = world.ghost(3).join(m)
    x.take_sync()
    write(m, q, "/meanwhile").drop()
    x.nothing([COMMIT, UPTODATE], 0.2)
    x.send(ACK, zx(x.epoch))
    kinds = []
    while len(kinds) < 3:
        k = x.recv()
        if k.kind in (UPTODATE, COMMIT):
            kinds.append((k.kind, k.zxid))
    assert kinds == [(UPTODATE, -1), (COMMIT, zx(x.epoch, 1)), (COMMIT, zx(x.epoch, 2))]


def test_zookeeper_4685_ack_that_overtakes_that_of_newleader(world):
    m = world[2]
    g = world.ghost(1)
    q = g.join(m, q=g.make_leader(m))
    q.take_sync()
    q.send(ACK, zx(q.epoch, 1))
    q.live()
    m.wait_mode("leader")


def test_proposal_without_ack(world):
    """11.5: a learner that answers pings and acknowledges nothing is dropped in time."""
    m = world[2]
    q = world.ghost(1).follow(m).tend()
    x = world.ghost(3).follow_more(m)
    write(m, q, "/a").drop()
    t = time.monotonic()
    try:
        while time.monotonic() - t < 4:
            k = x.recv()
            if k.kind == PING:
                x.send(PING, k.zxid, b"")
        raise AssertionError("not dropped")
    except peer.Gone:
        assert 1.3 < time.monotonic() - t < 3


def test_leader_without_learners_gives_up(world):
    """11.6: within two ticks after the only follower closed."""
    m = world[2]
    q = world.ghost(1).follow(m)
    looked = m.stderr_text().count("looking for a leader")
    t = time.monotonic()
    q.close()
    looks_again(m, looked)
    assert time.monotonic() - t < 1


def test_observers_and_strangers_count_for_nothing(world):
    """14.1, 14.2: INFORM only, PROPOSAL and COMMIT; their ACKs commit nothing."""
    m = world[2]
    q = world.ghost(1).follow(m)
    observer, joiner = [peer.Quorum(peer.connect(m.quorum_port)) for _ in range(2)]
    for x, sid, kind in ((observer, 50, OBSERVERINFO), (joiner, 60, FOLLOWERINFO)):
        x.introduce(sid, 0, kind)
        x.leader_info()
        x.ack_epoch(0, 0)
        x.take_sync()
        x.live()
    c = zk.Conn(m.port, handshake=False)
    c.send_frame(zk.connect_request(4000, 0, b"\0" * 16, 0, False))
    k = joiner.expect(PROPOSAL)
    joiner.send(ACK, k.zxid)
    observer.send(ACK, k.zxid)
    observer.nothing([INFORM, PROPOSAL, COMMIT], 0.2)
    q.send(ACK, q.expect(PROPOSAL).zxid)
    q.expect(COMMIT)
    joiner.expect(COMMIT, k.zxid)
    assert observer.expect(INFORM, k.zxid).data == k.data
    c.read_connect_response()
    c.drop()


def test_session_moved(world):
    """13.4: a request of a session over a server that it has left."""
    m = world[2]
    q = world.ghost(1).follow(m).tend()
    c = write(m, q, "/a")
    x = world.ghost(3).follow_more(m)
    x.send(REQUEST, -1, peer.request(c.session_id, 77, zk.CREATE, peer.create_request("/moved")),
           [("ip", "127.0.0.1")])
    k = x.expect(PROPOSAL)
    assert struct.unpack_from(">qi", k.data) == (c.session_id, 77)
    assert struct.unpack(">ii", k.data[28:36]) == (-1, -118)
    x.send(ACK, k.zxid)
    x.send(REVALIDATE, -1, struct.pack(">qi", c.session_id, 4000))
    assert x.expect(REVALIDATE, skip=(PING, COMMIT)).data[8:] == b"\1"
    x.send(REQUEST, -1, peer.request(c.session_id, 78, zk.CREATE, peer.create_request("/moved")),
           [("ip", "127.0.0.1")])
    assert struct.unpack(">i", x.expect(PROPOSAL).data[28:32])[0] == zk.CREATE
    c.drop()


# -- the election port, as it should be

def test_initial_message(world):
    """3.2: V1, the configured address; the larger sid keeps what it dialed."""
    m, g = world[2], world.ghost(1)
    link = g.link(m)
    assert (link.version, link.dialer) == (peer.V1, 2)
    assert link.text == f"127.0.0.1:{m.election_port}".encode()
    link.recv()
    assert world.ghost(3).link(m, version=peer.V2).recv().state == LOOKING


def test_last_word_is_said_again(world):
    """3.4: on a new connection."""
    g, m = world.ghost(3), world[2]
    first = g.link(m).recv()
    again = g.link(m).recv()
    assert again.round >= first.round and again.state == LOOKING


def test_first_notification(world):
    n = world.ghost(3).link(world[2]).recv()
    assert (n.state, n.leader, n.zxid, n.peer_epoch, n.version) == (LOOKING, 2, 0, 0, 2)
    assert n.round >= 1
    assert n.config.endswith(b"version=0") and b"server.1=" in n.config


def test_old_forms_of_notifications(world):
    """4: 28 bytes, where the epoch is that of the zxid, and 40."""
    for n in (28, 40):
        g, m = world.ghost(3), world[2]
        link = g.link(m)
        mine = link.recv()
        link.write(peer.frame(peer.note(LOOKING, 3, zx(6, 1), mine.round, 6)[:n]))
        got = link.recv_where(lambda x: x.leader == 3)
        assert (got.zxid, got.peer_epoch) == (zx(6, 1), 6)
        g.accept().close()


def test_behind_in_rounds_is_told(world):
    """5.6: a LOOKING server with an older round gets the proposal; a newer one is taken over."""
    link = world.ghost(3).link(world[2])
    mine = link.recv()
    link.send(LOOKING, 3, 0, mine.round + 10, 0)
    assert link.recv_where(lambda n: n.round == mine.round + 10).leader == 3
    link.send(LOOKING, 1, zx(50), mine.round, 50)
    assert link.recv_where(lambda n: n.round == mine.round + 10).leader == 3


def test_zookeeper_1732_1805_answers_of_a_follower(world):
    """5.6, 10.5: to a LOOKING voter its role and the new epoch; to others nothing."""
    m, q = world[2], following(world)
    link = world.ghost(1).link(m)
    link.send(LOOKING, 1, 0, 1, 0)
    n = link.recv_where(lambda n: n.state != LOOKING)
    assert (n.state, n.leader, n.peer_epoch) == (FOLLOWING, 3, q.epoch)
    link.send(FOLLOWING, 3, 0, 1, 0)
    link.send(LEADING, 1, 0, 1, 0)
    assert not link.ready(0.15)


def test_non_voter_is_answered_at_once(world):
    """5.7: whatever it says, with the round's number; also an anonymous one."""
    m = world[2]
    with peer.Election(peer.connect(m.election_port)) as link:
        link.write(peer.hello(77, "127.0.0.1:9"))
        for state in (LOOKING, OBSERVING, FOLLOWING):
            link.send(state, 77, zx(9), 99, 9)
            n = link.recv()
            assert (n.state, n.leader) == (LOOKING, 2)


def test_joins_a_quorum_that_is_there(world):
    """5.3.6: the leader's own word and enough followers."""
    m = world[2]
    g1, g3 = world.ghost(1), world.ghost(3)
    a, b = g1.link(m), g3.link(m)
    a.recv(), b.recv()
    a.send(FOLLOWING, 3, zx(4), 9, 5)
    assert not g3._accepted()
    b.send(LEADING, 3, zx(4), 9, 5)
    q = g3.accept()
    assert q.discover(5)[0] == 0
