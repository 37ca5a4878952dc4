# SPDX-License-Identifier: Apache-2.0
"""What both test_ensemble.py (one program) and test_mixed.py (two) do to an ensemble.

Each function takes a running ensemble, brings it into one situation, checks, and leaves it
running with all members equal. None of them knows which program a member is, except where the
two are known to differ and where it says so.
"""
import random

import ensemble
import harness
import mover
import zk


def fill(conn, path, count, size=20):
    """`count` transactions on one node, not waited for one by one."""
    conn.create(path)
    body = zk.ustr(path) + zk.buf(b"x" * size) + zk.i32(-1)
    for _ in range(count):
        conn.send(zk.SET_DATA, body)
    for _ in range(count):
        assert conn.recv_reply().err == 0


def write_everywhere(e, name):
    """Each member takes writes of every kind; every other one shows them after a sync."""
    for m in e:
        top = f"/{name}-{m.sid}"
        with ensemble.connect(m) as c:
            c.create(top, b"1")
            assert c.set(top, b"2").version == 1
            assert c.create(top + "/s-", flags=zk.SEQUENTIAL) == top + "/s-0000000000"
            assert c.err(zk.SET_DATA, zk.ustr(top) + zk.buf(b"3") + zk.i32(9)) == zk.BADVERSION
            assert c.err(zk.DELETE, zk.ustr(top) + zk.i32(-1)) == zk.NOTEMPTY
            done = c.multi([(zk.CREATE, zk.create_request(top + "/m", b"m")),
                            (zk.CHECK, zk.ustr(top) + zk.i32(1)),
                            (zk.DELETE, zk.ustr(top + "/s-0000000000") + zk.i32(-1))])
            assert [d[0] for d in done] == [zk.CREATE, zk.CHECK, zk.DELETE]
            failed = c.multi([(zk.CREATE, zk.create_request(top + "/n")),
                              (zk.CHECK, zk.ustr(top) + zk.i32(7))])
            assert failed == [("error", 0), ("error", zk.BADVERSION)]
            c.set_acl(top + "/m", [(zk.READ | zk.ADMIN, "world", "anyone")])
        for other in e:
            with ensemble.connect(other) as c:
                c.sync(top)
                assert c.get(top)[0] == b"2"
                assert c.children(top) == ["m"]
                assert c.get_acl(top + "/m")[0] == [(zk.READ | zk.ADMIN, "world", "anyone")]


def ephemerals_follow_the_session(e, name):
    """A session opened at one member lives on at the others, and its node with it."""
    members = list(e)
    path = f"/{name}-eph"
    c = ensemble.connect(members[0], timeout_ms=8000)
    c.create(path, flags=zk.EPHEMERAL)
    for m in members[1:]:
        c.drop()
        c = ensemble.connect(m, timeout_ms=8000, session=c.session)
        c.sync(path)        # this one may be behind: the session came without its last zxid
        assert c.exists(path).ephemeral_owner == c.session_id
    c.close()
    for m in members:
        with ensemble.connect(m) as other:
            other.sync(path)
            assert other.exists(path) is None


def kill_leader_under_load(e, name, how="kill"):
    """The leader goes; the others go on, and nothing that was answered is lost."""
    loads = [mover.Load([m for m in e if m.role == "participant"], f"/{name}-{n}", first=n)
             for n in range(3)]
    for load in loads:
        load.start()
    try:
        harness.poll_until(lambda: all(len(x.answered) > 20 for x in loads), 20, "some load")
        old = e.wait_leader()
        {"kill": old.kill, "term": old.stop, "pause": old.pause}[how]()
        begin = ensemble.now()
        new = e.wait_leader(e.others(old))
        took = ensemble.now() - begin
        counts = [len(x.answered) for x in loads]
        harness.poll_until(lambda: all(len(x.answered) > n + 20 for x, n in zip(loads, counts)),
                           20, "load after the failover")
        if how == "pause":
            old.resume()
        else:
            old.start()
        e.wait_serving()
        harness.poll_until(lambda: old.mode() in ("follower", "leader"), 20, "old leader is back")
    finally:
        failures = stop_loads(loads)
    assert not failures, failures
    tree = e.wait_equal()
    for load in loads:
        load.check(tree)
    return old, new, took, max(x.longest_gap_s for x in loads)


def stop_loads(loads):
    failures = []
    for load in loads:
        try:
            load.stop()
        except AssertionError as error:
            failures.append(error)
    return failures


# -- synchronisation: sid 3 is X, who comes back; sid 2 is Y, who leads it then

def opening(e, learner, since):
    """Packets of the first synchronisation of this learner after `since` connections."""
    for who, _, packets in e.relay.syncs()[since:]:
        if who == learner.sid and packets:
            return packets
    return []


def leave(e, x):
    """x is killed; gives who leads then (x itself could be elected again if it came back at
    once)."""
    x.kill()
    return e.wait_leader(e.others(x))


def sync_back(e, x, between=None):
    """Starts x again, waits until it follows; gives how it was synchronised."""
    since = len(e.relay.syncs())
    x.start()
    if between:
        between()
    harness.poll_until(lambda: x.mode() == "follower", 30, lambda: f"{x} follows\n" + e.words())
    return harness.poll_until(lambda: opening(e, x, since), 5, "a synchronisation was seen")


def kinds(packets):
    return [kind for kind, _ in packets]


def sync_nothing(e, x):
    """x missed nothing: DIFF without anything behind it."""
    with ensemble.connect(e.wait_leader()) as c:
        c.create("/nothing")
    for _ in range(3):
        e.wait_equal()
        last = x.zxid()
        leave(e, x)
        packets = sync_back(e, x)
        # A session of an earlier test may have expired meanwhile; then once more.
        if kinds(packets) == ["DIFF", "NEWLEADER"]:
            break
    assert kinds(packets) == ["DIFF", "NEWLEADER"], packets
    assert packets[0][1] == last
    e.wait_equal()


def sync_diff(e, x):
    """x missed a little: DIFF with proposals from the leader's memory."""
    with ensemble.connect(x) as c:
        c.create("/before-diff")
    e.wait_equal()
    y = leave(e, x)
    with ensemble.connect(y) as c:
        for n in range(10):
            c.create(f"/diff-{n}", b"d" * n)
        c.delete("/diff-3")
    packets = sync_back(e, x)
    assert kinds(packets)[0] == "DIFF", packets
    assert kinds(packets).count("PROPOSAL") == kinds(packets).count("COMMIT") >= 11, packets
    e.wait_equal()


def sync_far_behind(e, x):
    """x missed more than the leader keeps in memory; gives the opening packet."""
    y = leave(e, x)
    with ensemble.connect(y, timeout_ms=20000) as c:
        fill(c, "/far", 1500)
    packets = sync_back(e, x)
    e.wait_equal()
    return packets[0][0]


def sync_empty(e, x):
    """x lost its disk: SNAP."""
    leave(e, x)
    x.wipe()
    packets = sync_back(e, x)
    assert kinds(packets)[0] == "SNAP", packets
    e.wait_equal()


def lonely_tail(e, x, data):
    """x leads, is cut off with proposals in its log that nobody else gets, and is killed.
    Gives a session at y that made no transaction since."""
    y = e[2]
    make_leader(e, x)
    e.wait_equal()
    keeper = ensemble.connect(y, timeout_ms=20000)
    writer = ensemble.connect(x, timeout_ms=20000)
    writer.create("/tail-" + data.decode())
    path = "/tail-" + data.decode()
    # All others have it before the cut: the tail begins right behind.
    for m in e.others(x):
        with ensemble.connect(m) as c:
            c.sync(path)
    e.network("hold", x, one_way=True)
    for n in range(3):
        writer.send(zk.SET_DATA, zk.ustr(path) + zk.buf(data + b"-%d" % n) + zk.i32(-1))
    harness.poll_until(lambda: x.logged(data + b"-2"), 5, "the tail is logged")
    assert writer.quiet(0.1), "answered without a quorum"
    writer.drop()
    x.kill()
    e.network("cut", x)
    e.heal()
    e.wait_leader([y])
    keeper.drop()
    return keeper.session


def make_leader(e, x):
    """All members again, with x as leader."""
    if x.mode() == "leader":
        return
    for m in e:
        m.kill()
    e.start(leader=x.sid)


def sync_trunc(e, x):
    """x comes back with proposals in its log that never were committed: TRUNC."""
    data = b"lonely%d" % random.getrandbits(40)
    lonely_tail(e, x, data)
    packets = sync_back(e, x)
    assert kinds(packets) == ["TRUNC", "NEWLEADER"], packets
    tree = e.wait_equal()
    assert tree["/tail-" + data.decode()][0] == b""
    # Nothing of it is left on x's disk either (flaw 1549: a snapshot may have kept it).
    x.restart(kill=True)
    e.wait_serving()
    assert e.wait_equal()["/tail-" + data.decode()][0] == b""


def sync_trunc_diff(e, x):
    """The same while the leader waits for a quorum of a new proposal: TRUNC, then that proposal,
    and x's acknowledgement commits it."""
    y, z = e[2], e[1]
    data = b"outstanding%d" % random.getrandbits(40)
    session = lonely_tail(e, x, data)
    path = "/tail-" + data.decode()
    e.wait_serving([y, z])
    writer = ensemble.connect(y, session=session, timeout_ms=20000)
    e.network("hold", z, y, one_way=True)
    writer.send(zk.SET_DATA, zk.ustr(path) + zk.buf(b"new") + zk.i32(-1))
    harness.poll_until(lambda: y.logged(b"new"), 5, "it is logged")
    assert writer.quiet(0.1), "answered without a quorum"
    packets = sync_back(e, x)
    assert kinds(packets) == ["TRUNC", "PROPOSAL", "NEWLEADER"], packets
    assert writer.recv_reply(5).err == 0
    e.heal()
    writer.close()
    e.wait_serving()
    assert e.wait_equal()[path][0] == b"new"
