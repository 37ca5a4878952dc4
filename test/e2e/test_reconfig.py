# SPDX-License-Identifier: Apache-2.0
"""Changes of the membership while the ensemble runs (quorum-protocol: dynamic reconfiguration).

Each test is true of Apache's servers, too (REEVE_E2E_SERVER=apache), and of mixed ensembles; with
REEVE_E2E_LONG every test runs with mixed ones as well.
"""
import os
import threading

import pytest

import cases
import ensemble
import harness
import mover
import reconfig
import zk

LONG = bool(os.environ.get("REEVE_E2E_LONG"))


def compositions(*short, more=()):
    return pytest.mark.parametrize("members", [*short, *(more if LONG else ())])


@pytest.fixture
def make(make_ensemble):
    def make_(members="RRR", leader=3, config=None, **more):
        e = make_ensemble(members, client_in_server_line=True,
                          config={**reconfig.CONFIG, **(config or {})}, **more)
        return e.start(leader=leader)
    return make_


def kind_of(letter):
    return "apache" if harness.KIND == "apache" else ensemble.PROGRAMS[letter]


# -- refusals, in the order in which they are checked

def refused(c, **change):
    return reconfig.request(c, **change).err


def test_refused_when_disabled(make_ensemble):
    e = make_ensemble("RRR", client_in_server_line=True).start(leader=3)
    for m in e:
        with reconfig.admin(m) as c:
            assert refused(c, leaving="1") == zk.RECONFIGDISABLED
            assert refused(c, members="nonsense", version=77) == zk.RECONFIGDISABLED


def test_refused_by_a_server_alone(make_server):
    server = make_server({"reconfigEnabled": "true"})
    with zk.Conn(server.port) as c:
        assert refused(c, leaving="1") == zk.UNIMPLEMENTED


@compositions("RRR", more=["ARR", "RRA"])
def test_refusals(make, members):
    e = make(members)
    lines = reconfig.config_of(e[1])
    version = reconfig.version(lines)
    new = ensemble.Member(e[1].kind, e.dir + "/none", 4, "participant", {})
    address = "server.4=" + e.address(new)
    for m in e:
        with reconfig.admin(m) as c:
            assert refused(c, leaving="1", version=version + 1) == zk.BADVERSION
            assert refused(c, leaving="1", version=0) == zk.BADVERSION
            for bad in (dict(joining="nonsense"), dict(joining="server.4=127.0.0.1"),
                        dict(joining="server.4=127.0.0.1:1;2"),
                        dict(joining=address.split(";")[0]),        # without a client port
                        dict(joining=address.replace(":participant", ":emperor")),
                        dict(leaving="1,2,3"), dict(members="nonsense"),
                        dict(members="server.1=127.0.0.1;1"),
                        dict(joining="server.4=10.9.8.7:1:2;3,server.5=10.9.8.7:1:4;5")):
                assert refused(c, **bad) == zk.BADARGUMENTS, bad
            # Apache has a general word for what it did not expect.
            for bad in (dict(joining="server.x=" + e.address(new)), dict(leaving="one"),
                        dict(members=reconfig.line(e, e[1], role="observer"))):
                assert refused(c, **bad) in (zk.BADARGUMENTS, zk.MARSHALLINGERROR), bad
            # One connected voter of three, and one of four: no quorum.
            nobody = ",".join(f"server.{n}=127.0.0.1:{n}:{n}1;{n}2" for n in (7, 8, 9))
            assert refused(c, members=f"{reconfig.line(e, e[1])},{nobody}") == zk.NEWCONFIGNOQUORUM
            assert refused(c, joining=nobody + f",{address}") == zk.NEWCONFIGNOQUORUM
        with ensemble.connect(m) as c:
            assert refused(c, leaving="9") == zk.NOAUTH
    assert reconfig.config_of(e[1]) == lines, "a refused request changed something"
    e.wait_equal()


def test_two_voters_at_least_where_a_server_may_be_alone(make):
    e = make("RRR", config={"standaloneEnabled": "true"})
    with reconfig.admin(e[3]) as c:
        assert refused(c, leaving="1,2") == zk.BADARGUMENTS
        assert reconfig.sids(reconfig.lines_of(reconfig.request(c, leaving="1"))) == [2, 3]


def test_whom_the_acl_allows(make):
    """Without the super user: a changed ACL of the node."""
    e = make("RRR")
    with reconfig.admin(e[1]) as c:
        c.set_acl(ensemble.CONFIG_NODE, [(zk.ALL, "world", "anyone")])
    with ensemble.connect(e[2]) as c:
        c.sync("/")
        assert reconfig.sids(reconfig.lines_of(reconfig.request(c, leaving="9"))) == [1, 2, 3]


@compositions("RRR", more=["ARR", "AAR", "RRA"])
def test_one_at_a_time(make, members):
    """While the followers stand still a change waits for its quorum, and the next is refused."""
    e = make(members)
    leader = e.wait_leader()
    first, second = reconfig.admin(leader), reconfig.admin(leader)
    for m in e.others(leader):
        m.pause()
    first.send(zk.RECONFIG, zk.ustr(None) + zk.ustr("9") + zk.ustr(None) + zk.i64(-1))
    second.send(zk.RECONFIG, zk.ustr(None) + zk.ustr("8") + zk.ustr(None) + zk.i64(-1))
    # Which of the two comes first is not known; Apache's refusal waits behind the first change.
    first.quiet(0.5)
    for m in e.others(leader):
        m.resume()
    errors = {first.recv_reply().err, second.recv_reply().err}
    assert errors == {0, zk.RECONFIGINPROGRESS}
    first.close()
    second.close()
    e.wait_serving()
    e.wait_equal()


# -- changes

@compositions("RRR", more=["ARR", "RAR", "RRA", "AAR"])
def test_observer_voter_and_gone(make, members):
    """A newcomer observes, votes, observes again, leaves; every step at another member."""
    e = make(members)
    new = reconfig.join(e, kind_of("R"), "observer")
    for n, role in enumerate(["observer", "participant", "observer", "participant"]):
        new.role = role
        lines = reconfig.apply(e, e[1 + n % 3], joining=reconfig.line(e, new))
        reconfig.wait_mode(e, new, "observer" if role == "observer" else "follower")
        reconfig.wait_config(e, lines)
        assert any(x.startswith("server.4=") and f":{role};" in x for x in lines)
    e.wait_equal()
    lines = reconfig.apply(e, e[2], leaving="4")
    assert reconfig.sids(lines) == [1, 2, 3]
    # Nobody's member: it goes on as a non-voter, and knows that it is none.
    reconfig.wait_config(e, lines, [e[1], e[2], e[3]])
    reconfig.drop_member(e, new)
    e[1].kill()
    cases.write_everywhere([e[2], e[3]], "two-of-three")
    e[1].start()
    e.wait_serving()
    e.wait_equal()


@compositions("RRR", more=["ARR", "RRA"])
def test_replaced_in_one_request(make, members):
    e = make(members)
    new = reconfig.join(e, kind_of("R"))
    lines = reconfig.apply(e, e[2], joining=reconfig.line(e, new), leaving="1")
    assert reconfig.sids(lines) == [2, 3, 4]
    reconfig.wait_mode(e, new, "follower")
    reconfig.drop_member(e, e[1])
    reconfig.wait_config(e, lines)
    e[3].kill()
    e.wait_leader([e[2], e[4]])
    e[3].start()
    e.wait_serving()
    cases.write_everywhere(e, "replaced")
    e.wait_equal()


@compositions("RRR", more=["RRA"])
def test_all_members_at_once(make, members):
    """The bulk form: the whole membership as text, with commas or newlines, guarded by version."""
    e = make(members)
    new = reconfig.join(e, kind_of("R"))
    version = reconfig.version(reconfig.config_of(e[1]))
    want = [reconfig.line(e, m) for m in (e[2], e[3], e[4])]
    lines = reconfig.apply(e, e[3], members="\n".join(want), version=version)
    assert sorted(lines[:-1]) == sorted(want)
    reconfig.wait_mode(e, new, "follower")
    with reconfig.admin(e[2]) as c:
        assert refused(c, members=",".join(want), version=version) == zk.BADVERSION
    want.append(reconfig.line(e, e[1], role="observer"))
    lines = reconfig.apply(e, e[2], members=",".join(want), version=reconfig.version(lines))
    assert sorted(lines[:-1]) == sorted(want)
    e[1].role = "observer"
    reconfig.wait_mode(e, e[1], "observer")
    reconfig.wait_config(e, lines)
    e.wait_equal()


@compositions("RRR", more=["ARR", "RAR", "RRA", "AAR", "RAA"])
@pytest.mark.parametrize("how", ["leaves", "observes"])
def test_the_leader_goes_by_request(make, members, how):
    """It hands over to a follower without an election; clients lose nothing but a connection."""
    e = make(members)
    loads = [mover.Load([e[1], e[2]], f"/leader-{how}-{n}", first=n) for n in range(2)]
    for load in loads:
        load.start()
    harness.poll_until(lambda: all(len(x.answered) > 20 for x in loads), 20, "some load")
    old = e[3]
    if how == "leaves":
        lines = reconfig.apply(e, e[1], leaving="3")
        left = [e[1], e[2]]
    else:
        old.role = "observer"
        lines = reconfig.apply(e, e[1], joining=reconfig.line(e, old))
        left = list(e)
    new = e.wait_leader([e[1], e[2]])
    assert new is not old
    e.wait_serving(left)
    if how == "observes":
        reconfig.wait_mode(e, old, "observer")
    n = [len(x.answered) for x in loads]
    harness.poll_until(lambda: all(len(x.answered) > k + 20 for x, k in zip(loads, n)), 20,
                       "load goes on")
    failures = cases.stop_loads(loads)
    assert not failures, failures
    reconfig.wait_config(e, lines, left)
    tree = e.wait_equal(left)
    for load in loads:
        load.check(tree)
    if how == "leaves":
        reconfig.drop_member(e, old)


# -- other ports for a server that runs

@compositions("RRR", more=["RAR", "RRA"])
@pytest.mark.parametrize("sid", [1, 3], ids=["follower", "leader"])
@pytest.mark.parametrize("which", ["client", "quorum", "election", "all"])
def test_a_server_moves_to_other_ports(make, members, sid, which):
    e = make(members)
    m = e[sid]
    old_client = m.port
    if which in ("quorum", "all"):
        m.quorum_port = harness.free_port()
    if which in ("election", "all"):
        m.election_port = harness.free_port()
    line = reconfig.line(e, m)
    if which in ("client", "all"):
        m.port = harness.free_port()
        line = reconfig.line(e, m)
        m.port = old_client
    keeper = ensemble.connect(m) if which == "client" else None
    lines = reconfig.apply(e, m, joining=line)
    assert line in lines
    if which in ("client", "all"):
        m.port = int(line.rsplit(":", 1)[1])
        harness.poll_until(lambda: m.mode() is not None, 20,
                           lambda: "it serves on the new port\n" + e.words())
        with pytest.raises(OSError):
            zk.Conn(old_client)
    if keeper:
        keeper.drop()
    e.wait_leader()
    e.wait_serving()
    reconfig.wait_config(e, lines)
    cases.write_everywhere(e, "moved")
    # All find each other again on the new ports.
    e.wait_leader().kill()
    e.wait_leader()
    for other in e:
        if not other.alive():
            other.start()
    e.wait_serving()
    reconfig.wait_config(e, lines)
    e.wait_equal()


# -- growth, restarts, files

@compositions("R", more=["A"])
def test_from_one_to_three_and_back(make, members):
    e = make(members, leader=1)
    assert e[1].mode() == "leader"
    cases.write_everywhere(e, "alone")
    for kind in ("R", "R"):
        new = reconfig.join(e, kind_of(kind), present=[1])
        reconfig.apply(e, e[1], joining=reconfig.line(e, new))
        reconfig.wait_mode(e, new, "follower")
    cases.write_everywhere(e, "three")
    lines = reconfig.config_of(e[3])
    e.wait_equal()
    e[1].kill()
    e.wait_leader([e[2], e[3]])
    e[1].start()
    e.wait_serving()
    e.stop()
    e.start()
    reconfig.wait_config(e, lines)
    reconfig.apply(e, e[1], leaving="2")
    reconfig.drop_member(e, e[2])
    e.wait_serving()
    reconfig.apply(e, e[1], leaving="3")
    reconfig.wait_mode(e, e[1], "leader")
    reconfig.drop_member(e, e[3])
    assert reconfig.sids(reconfig.config_of(e[1])) == [1]
    cases.write_everywhere(e, "alone-again")
    e[1].restart(kill=True)
    e.wait_serving()
    cases.write_everywhere(e, "after-all")


@compositions("RRR", "RAR", more=["ARR", "RRA"])
def test_a_member_that_slept_through_changes(make, members):
    """It comes back with an old configuration and learns the present one by gossip."""
    e = make(members)
    sleeper = e[1]
    sleeper.kill()
    new = [reconfig.join(e, kind_of("R")) for _ in range(2)]
    for m in new:
        reconfig.apply(e, e[2], joining=reconfig.line(e, m))
        reconfig.wait_mode(e, m, "follower")
    lines = reconfig.apply(e, e[2], leaving="3")
    e.wait_leader([e[2], *new])
    reconfig.drop_member(e, e[3])
    sleeper.start()
    e.wait_serving()
    reconfig.wait_config(e, lines)
    e.wait_equal()


@compositions("RRR", more=["ARR", "AAR"])
def test_the_files_of_a_reconfiguration(make, members):
    e = make(members)
    new = reconfig.join(e, kind_of("R"))
    lines = reconfig.apply(e, e[1], joining=reconfig.line(e, new))
    reconfig.wait_mode(e, new, "follower")
    reconfig.wait_config(e, lines)
    version = reconfig.version(lines)
    for m in e:
        def settled(m=m):
            static, dynamic, has_next = reconfig.files(m)
            return version in dynamic and not has_next and f".dynamic.{version:x}" in static
        harness.poll_until(settled, 5, lambda m=m: f"the files of {m}: {reconfig.files(m)}")
        static, dynamic, _ = reconfig.files(m)
        assert sorted(dynamic[version].split()) == sorted(lines[:-1])
        for gone in ("server.", "clientPort", "peerType", "version="):
            assert not any(x.startswith(gone) for x in static.splitlines()), static
        for kept in ("tickTime=500", "initLimit=20", "reconfigEnabled=true"):
            assert kept in static.splitlines(), static


@pytest.mark.parametrize("members", ["RRR", "AAA"])
def test_the_other_program_starts_from_the_files(make, members):
    """All change their program on the files that a reconfiguration left, and change them again."""
    e = make(members)
    new = reconfig.join(e, e[1].kind)
    lines = reconfig.apply(e, e[1], joining=reconfig.line(e, new), leaving="2")
    reconfig.wait_mode(e, new, "follower")
    reconfig.drop_member(e, e[2])
    reconfig.wait_config(e, lines)
    before = e.wait_equal()
    e.stop()
    for m in e:
        m.become(kind_of("R" if m.kind == "apache" else "A"))
    e.start()
    reconfig.wait_config(e, lines)
    ensemble.compare_trees(before, e.wait_equal(), "before and after")
    e.members[2] = e.add_member(2, kind_of("R"))
    e.give_lines(e[2])
    os.path.exists(e[2].cfg_path) and os.unlink(e[2].cfg_path)
    e[2].start()
    lines = reconfig.apply(e, e[3], joining=reconfig.line(e, e[2]))
    reconfig.wait_mode(e, e[2], "follower")
    reconfig.wait_config(e, lines)
    e.wait_equal()


# -- many at once

@compositions("RRR", more=["ARR", "AAR"])
def test_concurrent_changes(make, members):
    """Several administrators guard their changes by version: each version is succeeded once."""
    e = make(members)
    done, lock, errors = [], threading.Lock(), []

    def work(m):
        try:
            c = reconfig.admin(m)
            for _ in range(15):
                c.sync("/")
                version = reconfig.version(c.get(ensemble.CONFIG_NODE)[0].decode().split("\n"))
                reply = reconfig.request(c, leaving="9", version=version)
                if reply.err == 0:
                    with lock:
                        done.append((version, reconfig.version(reconfig.lines_of(reply))))
                else:
                    assert reply.err in (zk.BADVERSION, zk.RECONFIGINPROGRESS), reply.err
            c.close()
        except Exception as error:      # told below
            errors.append((m, error))

    threads = [threading.Thread(target=work, args=(m,)) for m in e]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not errors, errors
    done.sort()
    assert len(done) >= 15
    assert len({old for old, _ in done}) == len(done), done
    assert all(a[1] == b[0] for a, b in zip(done, done[1:])), done
    reconfig.wait_config(e, reconfig.config_of(e[1]))


@compositions("RRR", "ARR", more=["AAR", "RRA"])
def test_changes_under_load(make, members):
    """Members come, change and go; the leader leaves and comes back; no write is lost."""
    e = make(members)
    loads = [mover.Load([e[1], e[2]], f"/under-load-{n}", first=n) for n in range(3)]
    for load in loads:
        load.start()
    try:
        for n in range(3 if not LONG else 8):
            new = reconfig.join(e, kind_of("R"), "observer")
            reconfig.apply(e, e[1], joining=reconfig.line(e, new))
            reconfig.wait_mode(e, new, "observer")
            new.role = "participant"
            reconfig.apply(e, e[2], joining=reconfig.line(e, new))
            reconfig.wait_mode(e, new, "follower", "leader")
            # The newcomer stays; another goes: the leader as often as not.
            gone = max((m for m in e if m.sid not in (1, 2, new.sid)), key=lambda m: m.sid)
            reconfig.apply(e, e[1 + n % 2], leaving=str(gone.sid))
            reconfig.drop_member(e, gone)
            e.wait_leader()
            e.wait_serving()
            counts = [len(x.answered) for x in loads]
            harness.poll_until(
                lambda c=counts: all(len(x.answered) > k + 20 for x, k in zip(loads, c)), 20,
                lambda: "load goes on\n" + e.words())
    finally:
        failures = cases.stop_loads(loads)
    assert not failures, failures
    assert [x.mover.expired for x in loads] == [0, 0, 0]
    tree = e.wait_equal()
    for load in loads:
        load.check(tree)
