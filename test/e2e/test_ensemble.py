# SPDX-License-Identifier: Apache-2.0
"""Ensembles of one program: roles, sessions, failures of servers and of the network, catching up.

With REEVE_E2E_SERVER=apache all members are Apache servers, and the same must hold. `quad` is
three voters (sid 3 leads at first) and an observer (sid 4), shared by the tests of this file;
each leaves it whole or lets the fixture repair it.
"""
import random
import socket
import threading

import pytest

import cases
import ensemble
import harness
import mover
import zk


def gone(m, path):
    with ensemble.connect(m) as c:
        c.sync(path)
        return c.exists(path) is None


# -- roles

def test_one_leads_and_the_others_follow(quad):
    modes = {m.sid: m.mode() for m in quad}
    assert sorted(modes[sid] for sid in (1, 2, 3)) == ["follower", "follower", "leader"]
    assert modes[4] == "observer"


def test_words_tell_the_role(quad):
    quad.wait_equal()
    for m in quad:
        mode, mntr = m.mode(), m.mntr()
        peer = {"leader": "leading", "follower": "following", "observer": "observing"}[mode]
        assert mntr["zk_server_state"] == mode
        assert mntr["zk_peer_state"] == f"{peer} - broadcast"
        assert mntr["zk_quorum_size"] == "3"
        assert harness.four_letter(m.port, "isro") == "rw"
        assert harness.four_letter(m.port, "ruok") == "imok"
        conf = harness.four_letter(m.port, "conf")
        for line in (f"serverId={m.sid}", "initLimit=20", "syncLimit=8", "electionAlg=3",
                     f"electionPort={m.election_port}", f"quorumPort={m.quorum_port}",
                     f"peerType={int(mode == 'observer')}", "membership: ", "version=0"):
            assert line in conf.splitlines(), line
        for other in quad:
            assert quad.server_line(m, other) in conf.splitlines()
        assert ("Proposal sizes last/min/max" in m.srvr()) == (mode == "leader")
        if mode == "leader":
            assert mntr["zk_learners"] == "3"
            assert mntr["zk_synced_followers"] == "2"
            assert mntr["zk_synced_observers"] == "1"
            assert mntr["zk_synced_non_voting_followers"] == "0"
            assert mntr["zk_pending_syncs"] == "0"
        else:
            assert "zk_synced_followers" not in mntr


def test_epoch_files_agree(quad):
    epochs = {m.epoch_file(name) for m in quad for name in ("currentEpoch", "acceptedEpoch")}
    assert len(epochs) == 1
    with ensemble.connect(quad.leader()) as c:
        assert c.ping() >> 32 == epochs.pop()


# -- requests through any member

def test_write_everywhere_read_everywhere(quad):
    cases.write_everywhere(quad, "everywhere")
    quad.wait_equal()


def test_requests_of_a_connection_stay_in_order(quad):
    """Writes and reads in one go through a learner: answered in order, each read after the write
    before it."""
    for m in quad:
        path = f"/order-{m.sid}"
        with ensemble.connect(m) as c:
            c.create(path)
            sent = []
            for n in range(100):
                sent.append(c.send(zk.SET_DATA, zk.ustr(path) + zk.buf(b"%d" % n) + zk.i32(n)))
                sent.append(c.send(zk.GET_DATA, zk.ustr(path) + zk.boolean(False)))
            for n in range(100):
                write, read = c.recv_reply(), c.recv_reply()
                assert (write.xid, read.xid) == (sent[2 * n], sent[2 * n + 1])
                assert (write.err, read.err) == (0, 0)
                assert zk.Reader(read.body).buf() == b"%d" % n
                assert read.zxid >= write.zxid


def test_names_of_sequential_nodes_are_given_once(quad):
    with ensemble.connect(quad[1]) as c:
        c.create("/seq")
    names, lock = [], threading.Lock()

    def work(m):
        with ensemble.connect(m) as c:
            mine = [c.create("/seq/n-", flags=zk.EPHEMERAL_SEQUENTIAL) for _ in range(30)]
            with lock:
                names.extend(mine)

    threads = [threading.Thread(target=work, args=(m,)) for m in quad]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    assert len(names) == len(set(names)) == 30 * len(list(quad))


def test_values_of_a_megabyte_pass_through_learners(quad):
    data = bytes(range(256)) * 4000
    for m in quad:
        path = f"/big-{m.sid}"
        with ensemble.connect(m) as c:
            c.create(path, data)
    for m in quad:
        with ensemble.connect(m) as c:
            c.sync("/")
            for other in quad:
                assert c.get(f"/big-{other.sid}")[0] == data
    with ensemble.connect(quad[1]) as c:
        for m in quad:
            c.delete(f"/big-{m.sid}")


def test_identities_of_a_learners_client_count_at_the_leader(quad):
    m = quad.others(quad.leader())[0]
    with ensemble.connect(m) as c:
        assert c.auth("digest", b"joe:secret") == 0
        c.create("/joes", acls=[(zk.ALL, "auth", "")])
        c.set("/joes", b"mine")
    for m in quad:
        with ensemble.connect(m) as c:
            c.sync("/joes")
            request = zk.ustr("/joes") + zk.buf(b"") + zk.i32(-1)
            assert c.err(zk.SET_DATA, request) == zk.NOAUTH
            assert c.auth("digest", b"joe:secret") == 0
            assert c.err(zk.SET_DATA, request) == 0


# -- sessions

def test_a_session_moves_with_its_ephemerals(quad):
    cases.ephemerals_follow_the_session(quad, "moves")


def test_the_old_connection_of_a_moved_session_cannot_write(quad):
    for a, b in ((quad[1], quad[3]), (quad[3], quad[4]), (quad[4], quad[2])):
        old = ensemble.connect(a)
        old.create("/moved")
        new = ensemble.connect(b, session=old.session)
        new.set("/moved", b"new")
        try:
            reply = old.call(zk.SET_DATA, zk.ustr("/moved") + zk.buf(b"old") + zk.i32(-1))
            assert reply.err == zk.SESSIONMOVED
        except (zk.Closed, ConnectionError):
            pass
        assert new.get("/moved")[0] == b"new"
        new.delete("/moved")
        new.close()
        old.drop()


@pytest.mark.parametrize("sid", [1, 2, 3, 4])
def test_a_session_expires_whoever_holds_it(quad, sid):
    """Silent sessions go; one that only pings, to whatever member, stays."""
    silent = ensemble.connect(quad[sid], timeout_ms=1500)
    silent.create(f"/silent-{sid}", flags=zk.EPHEMERAL)
    alive = ensemble.connect(quad[sid], timeout_ms=1500)
    alive.create(f"/alive-{sid}", flags=zk.EPHEMERAL)
    silent.drop()
    watcher = ensemble.connect(quad[1 + sid % 4])

    def expired():
        alive.ping()
        watcher.sync("/")
        return watcher.exists(f"/silent-{sid}") is None

    harness.poll_until(expired, 10, "the silent session expires", every_s=0.2)
    assert watcher.exists(f"/alive-{sid}") is not None
    back = zk.Conn(quad[sid].port, session=silent.session)
    assert back.session_id == 0, "an expired session was taken"
    alive.close()
    watcher.close()


def test_sessions_outlive_the_leader(quad):
    """A session idle over an election keeps its ephemerals; it expires only by silence."""
    leader = quad.wait_leader()
    m = quad.others(leader)[0]
    c = ensemble.connect(m, timeout_ms=10000)
    c.create("/outlives", flags=zk.EPHEMERAL)
    leader.kill()
    quad.wait_leader(quad.others(leader))
    c.drop()
    c = ensemble.connect(quad.wait_leader(), timeout_ms=10000, session=c.session)
    assert c.exists("/outlives").ephemeral_owner == c.session_id
    c.close()


# -- watches

def test_watches_fire_wherever_the_write_came_in(quad):
    members = list(quad)
    with ensemble.connect(members[0]) as c:
        c.create("/watched")
    for n, m in enumerate(members):
        reader = ensemble.connect(m)
        reader.sync("/watched")
        reader.get("/watched", watch=True)
        reader.children("/watched", watch=True)
        assert reader.exists(f"/watched/{n}", watch=True) is None
        with ensemble.connect(members[(n + 1) % len(members)]) as writer:
            writer.set("/watched", b"%d" % n)
            writer.create(f"/watched/{n}")
        events = [reader.next_event(5) for _ in range(3)]
        assert [(e.type, e.path) for e in events[:1]] == [(zk.CHANGED, "/watched")]
        assert {(e.type, e.path) for e in events[1:]} == {
            (zk.CREATED, f"/watched/{n}"), (zk.CHILDREN, "/watched")}
        reader.close()


def test_watches_move_with_their_client(quad):
    """setWatches at another member tells what was missed, and watches the rest."""
    with ensemble.connect(quad[1]) as c:
        c.create("/wm")
        c.create("/wm/a")
        c.create("/wm/b")
    reader = ensemble.connect(quad[1], timeout_ms=10000)
    reader.get("/wm/a", watch=True)
    reader.get("/wm/b", watch=True)
    seen = reader.ping()
    reader.drop()
    with ensemble.connect(quad[2]) as c:
        c.set("/wm/a", b"changed")
    reader = ensemble.connect(quad[4], session=reader.session, last_zxid=seen)
    reader.sync("/wm")
    body = (zk.i64(seen) + zk.vec(["/wm/a", "/wm/b"], zk.ustr) + zk.vec([], zk.ustr)
            + zk.vec([], zk.ustr))
    assert reader.call(zk.SET_WATCHES, body, xid=-8).err == 0
    event = reader.next_event(5)
    assert (event.type, event.path) == (zk.CHANGED, "/wm/a")
    with ensemble.connect(quad[3]) as c:
        c.delete("/wm/b")
    event = reader.next_event(5)
    assert (event.type, event.path) == (zk.DELETED, "/wm/b")
    reader.close()


def test_a_server_behind_the_client_does_not_take_it(quad):
    with ensemble.connect(quad[1]) as c:
        ahead = c.ping() + 1000
    for m in quad:
        with pytest.raises((zk.Closed, ConnectionError)):
            zk.Conn(m.port, last_zxid=ahead)


# -- servers that fail

@pytest.mark.parametrize("how", ["kill", "term", "pause"])
def test_leader_goes_under_load(quad, how):
    old, new, _, _ = cases.kill_leader_under_load(quad, f"leader-{how}", how)
    assert new is not old and new.role == "participant"


def test_follower_goes_and_nobody_else_notices(quad):
    leader = quad.wait_leader()
    victim = next(m for m in quad.voters if m is not leader)
    stay = [m for m in quad if m is not victim]
    loads = [mover.Load([m], f"/follower-gone-{m.sid}") for m in stay]
    for load in loads:
        load.start()
    try:
        harness.poll_until(lambda: all(len(x.answered) > 20 for x in loads), 20, "some load")
        victim.kill()
        counts = [len(x.answered) for x in loads]
        harness.poll_until(lambda: all(len(x.answered) > n + 50 for x, n in zip(loads, counts)),
                           20, "load goes on")
    finally:
        failures = cases.stop_loads(loads)
    assert not failures, failures
    assert [x.mover.connects for x in loads] == [1] * len(loads), "somebody lost a connection"
    victim.start()
    quad.wait_serving()
    tree = quad.wait_equal()
    for load in loads:
        load.check(tree)


def test_all_are_killed_and_come_back(quad):
    loads = [mover.Load(list(quad), f"/all-killed-{n}", first=n, patience_s=1) for n in range(3)]
    for load in loads:
        load.start()
    harness.poll_until(lambda: all(len(x.answered) > 50 for x in loads), 20, "some load")
    epoch = quad[1].epoch_file("currentEpoch")
    for m in quad:
        m.kill()
    for load in loads:
        load.mover.stopping = True
        load.join(30)
    for m in quad:
        m.start()
    quad.wait_serving()
    tree = quad.wait_equal()
    for load in loads:
        load.check(tree)
    assert quad[1].epoch_file("currentEpoch") > epoch


def test_all_stop_and_start_again(quad):
    before = quad.wait_equal()
    quad.stop()
    for m in quad:
        m.start()
    quad.wait_serving()
    after = quad.wait_equal()
    ensemble.compare_trees(before, after, "before and after")


def test_without_a_quorum_nobody_is_served(quad):
    stay, *gone_ = sorted(quad.voters, key=lambda m: m is quad.leader())
    c = ensemble.connect(stay)
    for m in gone_:
        m.kill()
    with pytest.raises((zk.Closed, ConnectionError)):
        c.recv_frame(10)
    for m in (stay, quad[4]):
        harness.poll_until(lambda: m.mode() is None, 10, "it stops serving")
        assert "not currently serving" in harness.four_letter(m.port, "srvr")
        with pytest.raises((zk.Closed, ConnectionError)):
            zk.Conn(m.port)
    gone_[0].start()
    quad.wait_serving()


# -- the network fails

def test_leader_is_cut_off(quad):
    """It answers nothing from then on; the others elect one, and its lonely writes are gone."""
    old = quad.wait_leader()
    c = ensemble.connect(old, timeout_ms=20000)
    c.create("/cut-off", b"old")
    quad.wait_equal()
    quad.network("hold", old)
    c.send(zk.SET_DATA, zk.ustr("/cut-off") + zk.buf(b"lonely") + zk.i32(-1))
    new = quad.wait_leader(quad.others(old))
    with ensemble.connect(new) as other:
        assert other.get("/cut-off")[0] == b"old"
        other.set("/cut-off", b"new")
    with pytest.raises((zk.Closed, ConnectionError)):
        c.recv_frame(10)
    quad.heal()
    quad.wait_serving()
    assert quad.wait_equal()["/cut-off"][0] == b"new"


@pytest.mark.parametrize("direction", ["to", "from"])
def test_follower_hears_or_is_heard_only(quad, direction):
    """One direction between leader and follower is dead: the ensemble goes on, and heals."""
    leader = quad.wait_leader()
    follower = next(m for m in quad.voters if m is not leader)
    ends = (leader, follower) if direction == "to" else (follower, leader)
    quad.network("hold", *ends, one_way=True)
    load = mover.Load([leader], f"/one-way-{direction}", op_timeout_s=10)
    load.start()
    harness.poll_until(lambda: len(load.answered) > 50, 20, "writes are answered")
    harness.poll_until(lambda: follower.mode() is None, 15, "the follower gives up")
    quad.heal()
    quad.wait_serving()
    load.stop()
    load.check(quad.wait_equal())


def test_slow_network(quad):
    """15 ms each way: all is slow and all is well."""
    quad.network("open", delay_s=0.015)
    cases.write_everywhere(quad, "slow")
    quad.heal()
    quad.wait_equal()


def test_connections_are_reset_again_and_again(quad):
    """Every pair in turn loses its connections for a moment."""
    loads = [mover.Load(quad.voters, f"/resets-{n}", first=n) for n in range(2)]
    for load in loads:
        load.start()
    rng = random.Random(5)
    for _ in range(6):
        a, b = rng.sample(list(quad), 2)
        quad.network("cut", a, b)
        quad.network("open", a, b)
        n = min(len(x.answered) for x in loads)
        harness.poll_until(lambda: min(len(x.answered) for x in loads) > n + 5, 20, "goes on")
    failures = cases.stop_loads(loads)
    assert not failures, failures
    quad.wait_serving()
    tree = quad.wait_equal()
    for load in loads:
        load.check(tree)


@pytest.mark.parametrize("port", ["election_port", "quorum_port"])
def test_garbage_on_the_ports_of_the_ensemble(quad, port):
    """Strangers that send nonsense, or nothing, disturb nobody."""
    rng = random.Random(port)
    idle = []
    for m in quad:
        if port == "quorum_port" and m.mode() != "leader":
            continue
        for n in range(20):
            s = socket.create_connection(("127.0.0.1", getattr(m, port)), timeout=5)
            idle.append(s)
            if n % 4:
                s.sendall(rng.randbytes(rng.choice([1, 4, 8, 20, 28, 44, 500])))
    cases.write_everywhere(quad, f"garbage-{port[0]}")
    for s in idle:
        s.close()
    leader = quad.wait_leader()
    leader.kill()
    quad.wait_leader(quad.others(leader))


# -- catching up

@pytest.mark.parametrize("case", [cases.sync_nothing, cases.sync_diff, cases.sync_far_behind,
                                  cases.sync_empty, cases.sync_trunc, cases.sync_trunc_diff],
                         ids=lambda f: f.__name__)
def test_synchronisation(quad, case):
    case(quad, quad[3])


def test_observer_comes_back_with_an_empty_disk(quad):
    quad.wait_equal()
    quad[4].kill()
    quad[4].wipe()
    quad[4].start()
    quad.wait_serving()
    quad.wait_equal()


# -- ensembles of other settings

def test_read_only_service_without_a_quorum(make_ensemble):
    """Needs local sessions in Apache's 3.7 and later, or the handshake is answered wrongly."""
    e = make_ensemble("RRR", config={"readonlymode.enabled": "true", "localSessionsEnabled": "true",
                                     "localSessionsUpgradingEnabled": "true"})
    e.start(leader=3)
    with ensemble.connect(e[3]) as c:
        c.create("/ro", b"here")
        assert c.server_read_only is False
    e.wait_equal()
    e[2].kill()
    e[3].kill()
    harness.poll_until(lambda: e[1].mode() == "read-only", 15, "read-only mode")
    assert harness.four_letter(e[1].port, "isro") == "ro"
    with pytest.raises((zk.Closed, ConnectionError)):
        zk.Conn(e[1].port)
    c = zk.Conn(e[1].port, read_only=True)
    assert c.server_read_only
    assert c.get("/ro")[0] == b"here"
    assert c.err(zk.SET_DATA, zk.ustr("/ro") + zk.buf(b"") + zk.i32(-1)) == zk.NOTREADONLY
    assert c.err(zk.SYNC, zk.ustr("/")) == zk.NOTREADONLY
    e[2].start()
    e.wait_serving()
    with pytest.raises((zk.Closed, ConnectionError)):
        c.recv_frame(10)
    with ensemble.connect(e[1], read_only=True) as c:
        assert not c.server_read_only
        c.set("/ro", b"again")


def test_local_sessions_become_global_with_their_first_ephemeral(make_ensemble):
    e = make_ensemble("RRR", config={"localSessionsEnabled": "true",
                                     "localSessionsUpgradingEnabled": "true"})
    e.start(leader=3)
    for m in e:
        before = e.leader().zxid()
        c = ensemble.connect(m)
        c.sync("/")
        assert e.leader().zxid() == before, "a local session made a transaction"
        c.create(f"/local-{m.sid}")
        other = next(x for x in e if x is not m)
        c.create(f"/local-{m.sid}/e", flags=zk.EPHEMERAL)
        with ensemble.connect(other) as o:
            o.sync("/")
            assert o.exists(f"/local-{m.sid}/e").ephemeral_owner == c.session_id
        c.drop()
        c = ensemble.connect(other, session=c.session)      # global: it can move now
        assert c.session_id != 0
        c.close()
        assert gone(m, f"/local-{m.sid}/e")
    local = ensemble.connect(e[1])
    local.drop()
    moved = zk.Conn(e[2].port, session=local.session)
    assert moved.session_id == 0, "a local session is known to its own server only"


def test_two_voters_need_each_other(make_ensemble):
    e = make_ensemble("RR").start(leader=2)
    with ensemble.connect(e[1]) as c:
        cases.fill(c, "/digests", 400)
    e.wait_equal()
    assert e.check_digests() > 0
    e[1].kill()
    harness.poll_until(lambda: e[2].mode() is None, 10, "it stops serving")
    e[1].start()
    e.wait_serving()
    e.wait_equal()
