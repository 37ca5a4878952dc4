# SPDX-License-Identifier: Apache-2.0
"""Reeve and Apache in one ensemble: every composition, every role, every way to catch up.

Under REEVE_E2E_SERVER=apache all members are Apache servers: the control.
"""
import pytest

import cases
import ensemble
import harness
import mover
import reconfig
import zk

VOTERS = ["AAR", "ARA", "RAA", "ARR", "RAR", "RRA"]
# The second leads, the first follows, the third observes.
WITH_OBSERVER = ["AARo", "ARAo", "RAAo", "ARRo", "RARo", "RRAo"]


@pytest.mark.parametrize("members", VOTERS)
def test_three_voters(make_ensemble, members):
    """The largest sid leads; it is killed, comes back, and each program has led and followed."""
    e = make_ensemble(members).start(leader=3)
    cases.write_everywhere(e, "first")
    cases.ephemerals_follow_the_session(e, "first")
    with ensemble.connect(e[1]) as c:
        cases.fill(c, "/digests", 300)
    e.wait_equal()
    old, new, _, _ = cases.kill_leader_under_load(e, "load")
    assert (old.sid, new is old) == (3, False)
    cases.write_everywhere(e, "second")
    e.wait_equal()
    assert e.check_digests() > 0


@pytest.mark.parametrize("members", WITH_OBSERVER)
def test_with_an_observer(make_ensemble, members):
    e = make_ensemble(members).start(leader=2)
    assert [m.mode() for m in e] == ["follower", "leader", "observer"]
    cases.write_everywhere(e, "first")
    cases.ephemerals_follow_the_session(e, "first")
    e.wait_equal()
    e[3].kill()
    e[3].wipe()
    with ensemble.connect(e[1]) as c:
        c.create("/while-away")
    e[3].start()
    e.wait_serving()
    e[1].restart(kill=True)
    e.wait_serving()
    cases.write_everywhere(e, "second")
    e.wait_equal()


@pytest.mark.parametrize(("members", "factor"), [("RAR", 0), ("RRA", 0), ("RAR", -1), ("RRA", -1)],
                         ids=["reeve-learns", "apache-learns", "reeve-learns-no-log",
                              "apache-learns-no-log"])
def test_synchronisation(make_ensemble, members, factor):
    """sid 3 goes and comes back as learner of sid 2, the other program, in every way there is."""
    e = make_ensemble(members, relays=True, config={"snapshotSizeFactor": factor}).start(leader=3)
    if factor == -1:
        assert cases.sync_far_behind(e, e[3]) in ("SNAP",) + ("DIFF",) * (not e[2].is_apache)
        cases.sync_empty(e, e[3])
        return
    cases.sync_diff(e, e[3])
    assert e.wait_leader() is e[2]
    cases.sync_nothing(e, e[3])
    assert cases.sync_far_behind(e, e[3]) == "DIFF"
    cases.sync_trunc(e, e[3])
    cases.sync_trunc_diff(e, e[3])


def test_rolling_replacement(make_ensemble):
    """All members one by one from Apache to Reeve and back, on their own files, under load: clients
    see reconnects and nothing else."""
    e = make_ensemble("AAA").start(leader=3)
    loads = [mover.Load(list(e), f"/rolling-{n}", first=n) for n in range(3)]
    for load in loads:
        load.start()
    try:
        for kind in ("reeve" if harness.KIND == "reeve" else "apache", "apache"):
            for m in e:
                n = [len(x.answered) for x in loads]
                m.stop()
                m.become(kind)
                m.start()
                e.wait_serving()
                harness.poll_until(
                    lambda n=n: all(len(x.answered) > k + 20 for x, k in zip(loads, n)), 20,
                    "load goes on")
    finally:
        failures = cases.stop_loads(loads)
    assert not failures, failures
    assert [x.mover.expired for x in loads] == [0, 0, 0]
    tree = e.wait_equal()
    for load in loads:
        load.check(tree)


# -- reconfiguration

@pytest.mark.parametrize("members", ["AAR", "RRA"])
def test_reconfiguration(make_ensemble, members):
    """A server of either program joins as observer, becomes voter, the leader leaves."""
    e = make_ensemble(members, client_in_server_line=True, config=reconfig.CONFIG).start(leader=3)
    cases.write_everywhere(e, "before")
    newcomers = []
    for kind in ("apache", "reeve" if harness.KIND == "reeve" else "apache"):
        new = reconfig.join(e, kind, "observer")
        newcomers.append(new)
        with reconfig.admin(e[1]) as c:
            line = f"server.{new.sid}=" + e.address(new)
            assert line in reconfig.lines_of(reconfig.request(c, joining=line))
        harness.poll_until(lambda new=new: new.mode() == "observer", 20,
                           lambda: "it observes\n" + e.words())
        new.role = "participant"
        with reconfig.admin(e[2]) as c:
            line = f"server.{new.sid}=" + e.address(new)
            assert line in reconfig.lines_of(reconfig.request(c, joining=line))
        harness.poll_until(lambda new=new: new.mode() == "follower", 20,
                           lambda: "it follows\n" + e.words())
    cases.write_everywhere(e, "five")
    e.wait_equal()
    c = reconfig.admin(e[1])
    try:
        reconfig.lines_of(reconfig.request(c, leaving="3"))
    except (zk.Closed, ConnectionError):
        pass        # the learner left the old leader before its client had the answer
    c.drop()
    left = e.others(e[3])
    e.wait_leader(left)
    e.wait_serving(left)
    e[3].kill()
    lines = ensemble.wait_for(lambda: reconfig.config_of(e[1]), 10, "a configuration")
    assert [x.split("=")[0] for x in lines] == [
        "server.1", "server.2", "server.4", "server.5", "version"]
    for m in left:
        assert reconfig.config_of(m) == lines, f"{m} has another configuration"
    # All stop and start again on the files the reconfigurations left.
    del e.members[3]
    e.stop()
    for m in e:
        m.start()
    e.wait_serving()
    for m in e:
        assert reconfig.config_of(m) == lines, f"{m} has another configuration after a restart"
    e.wait_equal()
