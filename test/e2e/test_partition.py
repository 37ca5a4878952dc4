# SPDX-License-Identifier: Apache-2.0
"""Members on machines of their own (netns.py): packets that vanish, machines that vanish, addresses
that change."""
import os
import time

import pytest

import cases
import ensemble
import harness
import history
import mover
import netns
import zk

LONG = bool(os.environ.get("REEVE_E2E_LONG"))
WHY_NOT = netns.why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
# tickTime 500, syncLimit 8 (ensemble.CONFIG): who hears nothing for so long gives up.
SYNC_LIMIT_S = 4.0
# Checks come every half tick, and this machine does other things, too.
SLACK_S = 1.5


def compositions(*short, more=()):
    return pytest.mark.parametrize("members", [*short, *(more if LONG else ())])


@pytest.fixture
def make(tmp_path):
    made = []

    def make_(members="RRR", **more):
        e = netns.Machines(tmp_path / f"e{len(made)}", members, **more)
        made.append(e)
        make_.servers += e.servers
        return e
    make_.servers = []
    yield make_
    try:
        for e in made:
            for m in e:
                assert m.proc is None or m.alive(), f"{m} died\n{m.stderr_tail()}"
            e.stop()
    finally:
        for e in made:
            e.close()


def gave_up_s(e, m, since):
    """When it stopped to serve, in seconds after `since`."""
    harness.poll_until(lambda: m.mode() is None, 20, lambda: f"{m} gives up\n" + e.words())
    return time.monotonic() - since


def checked(e, h):
    ops = h.stop()
    tree = e.wait_equal()
    history.check(ops, h.initial, {k: (tree[k][0], tree[k][1].version) for k in h.keys})


# -- the leader

@compositions("RRR", more=["ARR", "RAR", "AAR"])
def test_an_isolated_leader(make, members):
    """It answers no write that the others do not have, gives up in time, and comes back clean."""
    e = make(members).start(leader=3)
    old = e[3]
    h = history.History(e, workers=6, keys=2, seed=7, op_timeout_s=2.0).start()
    harness.poll_until(lambda: h.done() > 300, 20, "some load")
    lonely = ensemble.connect(old, timeout_ms=20000)
    lonely.create("/lonely", b"first")
    e.isolate(old)
    begin = time.monotonic()
    lonely.send(zk.SET_DATA, zk.ustr("/lonely") + zk.buf(b"lost") + zk.i32(-1))
    new = e.wait_leader(e.others(old))
    took = gave_up_s(e, old, begin)
    assert took < SYNC_LIMIT_S + SLACK_S, f"it led for {took:.1f} s alone"
    with pytest.raises((zk.Closed, ConnectionError)):
        lonely.recv_frame(5)
    with ensemble.connect(new) as c:
        assert c.get("/lonely")[0] == b"first"
        c.set("/lonely", b"second")
    n = h.done()
    harness.poll_until(lambda: h.done() > n + 200, 20, "the others go on")
    e.heal()
    e.wait_serving()
    checked(e, h)
    assert e.wait_equal()["/lonely"][0] == b"second"
    assert old.mode() == "follower"


@compositions("RRR", more=["ARR", "AAR"])
@pytest.mark.parametrize("way", ["mute", "deaf"])
def test_a_leader_that_only_hears_or_only_speaks(make, members, way):
    e = make(members).start(leader=3)
    old = e[3]
    h = history.History(e, workers=5, keys=2, seed=8, op_timeout_s=2.0).start()
    harness.poll_until(lambda: h.done() > 300, 20, "some load")
    for other in e.others(old):
        e.drop(*((old, other) if way == "mute" else (other, old)), one_way=True)
    begin = time.monotonic()
    took = gave_up_s(e, old, begin)
    assert took < SYNC_LIMIT_S + SLACK_S, f"it led for {took:.1f} s alone"
    e.wait_leader(e.others(old))
    n = h.done()
    harness.poll_until(lambda: h.done() > n + 200, 20, "the others go on")
    e.heal()
    e.wait_serving()
    checked(e, h)


# -- others

@compositions("RRR", more=["RAR", "ARA"])
@pytest.mark.parametrize("way", ["both", *(["to", "from"] if LONG else [])])
def test_a_follower_without_its_leader(make, members, way):
    """The two followers hear each other, so this one knows who leads and cannot reach it."""
    e = make(members).start(leader=3)
    follower, leader = e[1], e[3]
    load = mover.Load([e[2], leader], f"/no-leader-{way}")
    load.start()
    harness.poll_until(lambda: len(load.answered) > 50, 20, "some load")
    if way == "both":
        e.drop(leader, follower)
    else:
        e.drop(*((leader, follower) if way == "to" else (follower, leader)), one_way=True)
    took = gave_up_s(e, follower, time.monotonic())
    assert took < SYNC_LIMIT_S + SLACK_S
    assert e.wait_leader() is leader
    n = len(load.answered)
    harness.poll_until(lambda: len(load.answered) > n + 50, 20, "load goes on")
    assert load.mover.connects == 1, "a follower's trouble reached the others' clients"
    e.heal()
    e.wait_serving()
    load.stop()
    load.check(e.wait_equal())


def elected_s(e, leader=None):
    """Kills the leader, and gives how long the others took to be served by another."""
    old = leader or e.wait_leader()
    begin = time.monotonic()
    old.kill()
    e.wait_leader([m for m in e if m.up()])
    return old, time.monotonic() - begin


def test_a_black_hole_delays_no_election(make):
    """A machine that answers nothing, not even with a refusal: the largest sid, which all dial."""
    e = make("RRRRR").start(leader=4)
    hole = e[5]
    e.isolate(hole)
    harness.poll_until(lambda: hole.mode() is None, 20, "the hole is out")
    for _ in range(3):
        old, took = elected_s(e)
        assert took < 1.0, f"{took:.1f} s to elect a leader\n" + e.words()
        cases.write_everywhere([m for m in e if m.mode() in ("leader", "follower")],
                               f"hole-{old.sid}-{took}")
        old.start()
        e.wait_serving(e.others(hole))
    e.heal()
    e.wait_serving()
    e.wait_equal()


@compositions("RRR", more=["RAR"])
def test_a_machine_that_never_was_there(make, members):
    """The third is dark from the beginning; two start, and start again."""
    e = make(members)
    e.unplug(e[3])
    two = [e[1], e[2]]
    for n in range(2):
        begin = time.monotonic()
        for m in two:
            m.start()
        e.wait_serving(two)
        took = time.monotonic() - begin
        if not any(m.is_apache for m in two):
            assert took < 2.0, f"{took:.1f} s to start\n" + e.words()
        cases.write_everywhere(two, f"dark-{n}")
        for m in two:
            m.kill()
    e.members.pop(3)
    e.start()


def test_a_cable_is_pulled(make):
    """A follower's machine goes without a word; the others' clients notice nothing."""
    e = make("RRR").start(leader=3)
    loads = [mover.Load([m], f"/cable-{m.sid}") for m in (e[2], e[3])]
    for load in loads:
        load.start()
    harness.poll_until(lambda: all(len(x.answered) > 50 for x in loads), 20, "some load")
    e.unplug(e[1])
    time.sleep(SYNC_LIMIT_S + SLACK_S)      # how long it is gone: until everybody has noticed
    failures = cases.stop_loads(loads)
    assert not failures, failures
    assert max(x.longest_gap_s for x in loads) < 1.0, [x.longest_gap_s for x in loads]
    assert [x.mover.connects for x in loads] == [1, 1]
    netns.ip("link", "set", e[1].device + "o", "up")
    e.wait_serving()
    tree = e.wait_equal()
    for load in loads:
        load.check(tree)


# -- names

@compositions("RRR", more=["RAR", "ARA"])
def test_a_name_gets_another_address(make, members):
    """A member comes back elsewhere; the name is looked up again at each attempt to connect, and
    who it is tells its sid."""
    e = make(members, names=True).start(leader=3)
    cases.write_everywhere(e, "before")
    for n, m in enumerate([e[1], e[3]]):
        m.kill()
        e.wait_leader()
        e.move_to(m, f"{e.net}.{100 + n}")
        for other in e:
            e.write_hosts(other)
        m.start()
        e.wait_serving()
        cases.write_everywhere(e, f"moved-{n}")
    elected_s(e)
    dead = next(m for m in e if not m.up())
    dead.start()
    e.wait_serving(timeout_s=60)
    e.wait_equal()


def test_a_name_that_is_not_known_yet(make):
    e = make("RRR", names=True)
    for m in e:
        with open(m.hosts_file, encoding="ascii") as f:
            known = f.read()
        with open(m.hosts_file, "w", encoding="ascii") as f:
            f.write(known if m is e[2] else known.replace(f"{e[2].host} n2\n", ""))
    for m in (e[1], e[3]):
        m.start()
    e.wait_serving([e[1], e[3]])
    e[2].start()
    for m in (e[1], e[3]):
        e.write_hosts(m)
    e.wait_serving()
    cases.write_everywhere(e, "known")
    elected_s(e, e[3])
    e.wait_serving([e[1], e[2]])
    e[3].start()
    e.wait_serving()
    e.wait_equal()
