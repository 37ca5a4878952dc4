# SPDX-License-Identifier: Apache-2.0
"""A server among scripted peers (peer.py) that speak as Apache's: what each side sends and when,
what is on disk by then, and the known flaws, named after their numbers.

`world` and what is asked of every test at its end: see test_peers.py.
"""
import struct
import time

import pytest

import harness
import peer
import zk
from peer import (ACK, COMMIT, DIFF, FOLLOWERINFO, FOLLOWING, INFORM, LEADING, LOOKING,
                  NEWLEADER, OBSERVERINFO, OBSERVING, PING, PROPOSAL, REQUEST, REVALIDATE, SNAP,
                  SYNC, TRUNC, UPTODATE, GARBAGE, zx, write)

pytestmark = pytest.mark.skipif(harness.KIND == "apache", reason="about Reeve's own bounds, too")


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
    m = world[2]
    following(world)
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
    q = following(world)
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
    q.send(PROPOSAL, zx(3, 1), peer.create_txn(zx(3, 1), "/far"))
    q.wait_closed()     # of an epoch that this leader has not reached
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
    for cut in (len(body) // 2, len(body)):
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
    assert plan(zx(1, 0)) == [(SNAP, zx(2, 2))]
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
    k = x.expect(PROPOSAL, skip=(PING, COMMIT))
    assert struct.unpack(">i", k.data[28:32])[0] == zk.CREATE
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


@pytest.mark.parametrize("length", [28, 40])
def test_old_forms_of_notifications(world, length):
    """4: 28 bytes, where the epoch is that of the zxid, and 40."""
    g, m = world.ghost(3), world[2]
    link = g.link(m)
    mine = link.recv()
    link.write(peer.frame(peer.note(LOOKING, 3, zx(6, 1), mine.round, 6)[:length]))
    got = link.recv_where(lambda n: n.leader == 3)
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
