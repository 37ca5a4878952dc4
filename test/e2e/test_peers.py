# SPDX-License-Identifier: Apache-2.0
"""A server among scripted peers (peer.py) that say on both ports what nobody should.

In `world` the server has sid 2, a ghost with a smaller and one with a larger sid stand beside it.
What a test does to it, at the end a good peer forms a quorum with it again: the fixture asks that
of every test.
"""
import struct
import time

import pytest

import harness
import peer
import zk
from peer import (ACK, ACKEPOCH, COMMIT, DIFF, FOLLOWERINFO, FOLLOWING, INFORM, LEADERINFO,
                  LEADING, LOOKING, NEWLEADER, OBSERVERINFO, OBSERVING, PING, PROPOSAL, REQUEST,
                  REVALIDATE, SNAP, SYNC, TRUNC, UPTODATE, GARBAGE, zx, write)

pytestmark = pytest.mark.skipif(harness.KIND == "apache", reason="about Reeve's own bounds, too")


def test_good_leader(world):
    q = world.ghost(3).lead_well(world[2])
    z = zx(q.epoch, 1)
    q.commit(z, peer.create_txn(z, "/a", b"1"))


def test_good_learner(world):
    q = world.ghost(1).follow(world[2])
    assert [k.kind for k in q.sync] == [DIFF, NEWLEADER]


# -- hostile input: the election port


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
    end, rest = time.monotonic() + 0.6, b""
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
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        q = g.lead(m)
        q.learner_info()
        q.send(LEADERINFO, zx(1), struct.pack(">i", 0x10000))
        q.wait_closed()
        n += 1
    assert n < 15
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
