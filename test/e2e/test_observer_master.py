# SPDX-License-Identifier: Apache-2.0
"""Observer masters: an observer that hangs on a follower instead of the leader.

Three voters, each at an address of its own because all open the same observerMasterPort, and sid 4,
the observer. sid 3 leads. Under REEVE_E2E_SERVER=apache all members are Apache servers.
"""
import pytest

import cases
import ensemble
import harness
import reconfig
import zk


@pytest.fixture(params=["RRRRo", "AAARo", "RRRAo"],
                ids=["reeve", "observer-of-apache", "apache-of-reeve"])
def with_master(request, make_ensemble):
    port = harness.free_port()
    e = make_ensemble(request.param, own_hosts=True, config={"observerMasterPort": port})
    return e.start(leader=3)


def master_of(e, observer):
    """The follower that the observer hangs on: by its own words and by the followers'."""
    def found():
        sid = observer.mntr().get("zk_observer_master_id")
        having = [m.sid for m in e.voters
                  if m.mode() == "follower" and m.mntr().get("zk_synced_observers") == "1"]
        return e[having[0]] if len(having) == 1 and sid == str(having[0]) else None

    return harness.poll_until(found, 20, lambda: "a master of the observer\n" + e.words())


def renews_its_session(a, b):
    """A session that moves between the master's clients and the observer's is one of both."""
    c = ensemble.connect(a)
    c.create("/kept", flags=zk.EPHEMERAL)
    c.drop()
    with ensemble.connect(b, session=c.session) as d:
        d.sync("/kept")
        assert d.exists("/kept") is not None
        d.set("/kept", b"by the observer")
        assert d.get("/kept")[0] == b"by the observer"


def test_an_observer_hangs_on_a_follower(with_master):
    e = with_master
    observer = e[4]
    master = master_of(e, observer)
    assert e.leader().mntr()["zk_synced_observers"] == "0"
    cases.write_everywhere(e, "first")
    cases.ephemerals_follow_the_session(e, "first")
    renews_its_session(master, observer)
    e.wait_equal()

    # A DIFF after an absence, a snapshot after the loss of its disk.
    observer.kill()
    with ensemble.connect(e[3]) as c:
        cases.fill(c, "/while-away", 50)
    observer.start()
    e.wait_serving()
    master_of(e, observer)
    e.wait_equal()
    observer.kill()
    observer.wipe()
    observer.start()
    e.wait_serving()
    e.wait_equal()

    # The master goes: the other follower takes its place.
    master = master_of(e, observer)
    master.kill()
    e.wait_serving([observer])
    assert master_of(e, observer) is not master
    cases.write_everywhere([m for m in e if m.up()], "second")
    master.start()
    e.wait_serving()
    e.wait_equal()


def test_a_session_lives_on_by_what_the_observer_hears(with_master):
    """Its client is silent towards everybody else, and reads only: the master passes it on."""
    e = with_master
    master_of(e, e[4])
    with ensemble.connect(e[4], timeout_ms=2000) as c:
        c.create("/heard", flags=zk.EPHEMERAL)
        for _ in range(12):
            c.ping()
            assert c.quiet(0.5)
        with ensemble.connect(e[3]) as other:
            assert other.exists("/heard") is not None


def test_the_leader_changes(with_master):
    e = with_master
    master_of(e, e[4])
    old = e.leader()
    old.kill()
    new = e.wait_leader(e.others(old))
    old.start()
    e.wait_serving()
    assert master_of(e, e[4]) is not new
    cases.write_everywhere(e, "after")
    e.wait_equal()


@pytest.mark.parametrize("members", ["RRRRo", "RRRAo", "AAARo"])
def test_the_membership_changes_below_a_master(make_ensemble, members):
    """The observer hears of it with the transaction and goes on."""
    config = dict(reconfig.CONFIG, observerMasterPort=harness.free_port())
    e = make_ensemble(members, own_hosts=True, client_in_server_line=True, config=config)
    e.start(leader=3)
    observer = e[4]
    master = master_of(e, observer)
    other = e.others(e[3], master, observer)[0]
    with reconfig.admin(e[3]) as c:
        lines = reconfig.lines_of(reconfig.request(c, leaving=str(other.sid)))
    ensemble.wait_for(lambda: reconfig.config_of(observer) == lines, 10, "the new membership")
    assert master_of(e, observer) is master
    reconfig.drop_member(e, other)
    cases.write_everywhere(e, "after")
    e.wait_equal()
