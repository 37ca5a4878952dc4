# SPDX-License-Identifier: Apache-2.0
"""Ensembles of other shapes: five voters, two, one; more observers than voters; groups and weights.

Whatever the shape: a quorum is served, less than one is not, and nothing that was answered is lost.
"""
import os

import pytest

import cases
import ensemble
import harness
import reconfig
import zk

LONG = bool(os.environ.get("REEVE_E2E_LONG"))


def compositions(*short, more=()):
    return pytest.mark.parametrize("members", [*short, *(more if LONG else ())])


def wait_unserved(e, members):
    for m in members:
        harness.poll_until(lambda m=m: m.mode() is None, 15,
                           lambda m=m: f"{m} stops serving\n" + e.words())


def check_written(e, paths):
    tree = e.wait_equal()
    for path in paths:
        assert path in tree, f"{path} was answered and is gone"


def write(m, path):
    with ensemble.connect(m) as c:
        c.create(path)
    return path


@compositions("RRRRR", more=["ARARA", "RARAR"])
def test_five_survive_two_deaths_of_leaders(make_ensemble, members):
    e = make_ensemble(members).start(leader=5)
    written = [write(m, f"/five-{m.sid}") for m in e]
    for n in range(2):
        e.wait_leader().kill()
        e.wait_leader()
        left = [m for m in e if m.up()]
        e.wait_serving(left)
        written += [write(m, f"/after-{n}-{m.sid}") for m in left]
    third = e.wait_leader()
    third.kill()
    left = [m for m in e if m.up()]
    wait_unserved(e, left)
    dead = [m for m in e if not m.up()]
    dead[0].start()
    e.wait_serving()
    written.append(write(dead[0], "/back"))
    for m in dead[1:]:
        m.start()
    e.wait_serving()
    check_written(e, written)


@compositions("RR", "AR", more=["RA"])
def test_two_voters(make_ensemble, members):
    e = make_ensemble(members).start(leader=2)
    written = [write(m, f"/two-{m.sid}") for m in e]
    for m, other in ((e[1], e[2]), (e[2], e[1])):
        m.kill()
        wait_unserved(e, [other])
        m.start()
        e.wait_serving()
        written.append(write(m, f"/again-{m.sid}"))
    check_written(e, written)


@compositions("RRRRoRoRoRo", more=["RRAAoAoRoRo", "AARRoRoRo"])
def test_more_observers_than_voters(make_ensemble, members):
    """The dead among the voters count, those among the observers do not."""
    e = make_ensemble(members).start(leader=3)
    observers = [m for m in e if m.role == "observer"]
    written = [write(m, f"/observers-{m.sid}") for m in e]
    for m in observers[1:]:
        m.kill()
    e[1].kill()
    e.wait_serving()
    written += [write(m, f"/fewer-{m.sid}") for m in e if m.up()]
    for m in observers[1:]:
        m.start()
    e.wait_serving()
    e[2].kill()
    wait_unserved(e, [e[3], *observers])
    e[1].start()
    e.wait_serving()
    written += [write(m, f"/more-{m.sid}") for m in observers]
    e[2].start()
    e.wait_serving()
    check_written(e, written)


# -- groups and weights

def with_groups(make_ensemble, members, lines, **more):
    e = make_ensemble(members, **more)
    for m in e:
        m.config_lines += lines
    return e


def test_groups(make_ensemble):
    """Of three groups a majority of the weight in two is a quorum, whatever the number of heads."""
    e = with_groups(make_ensemble, "RRRRRRR", ["group.1=1:2:3", "group.2=4:5:6", "group.3=7"])
    e.start()
    written = [write(m, f"/groups-{m.sid}") for m in e]
    for sid in (7, 6, 3):
        e[sid].kill()
    e.wait_leader()
    e.wait_serving()
    written += [write(m, f"/four-{m.sid}") for m in e if m.up()]
    e[5].kill()         # 1, 2 of group 1; 4 of group 2
    wait_unserved(e, [e[1], e[2], e[4]])
    e[7].start()        # groups 1 and 3
    e.wait_serving([e[1], e[2], e[7]])
    e[4].kill()         # three of seven are a quorum now
    e.wait_leader()
    e.wait_serving([e[1], e[2], e[7]])
    written += [write(e[sid], f"/three-{sid}") for sid in (1, 2, 7)]
    for m in e:
        if not m.alive():
            m.start()
    e.wait_serving()
    check_written(e, written)


@compositions("RRR", "ARR", more=["RRA", "AAR", "RAR"])
def test_weights(make_ensemble, members):
    """Group 1 is sid 1 alone, as sid 2 weighs nothing; both groups are needed."""
    e = with_groups(make_ensemble, members, ["group.1=1:2", "group.2=3", "weight.1=1",
                                             "weight.2=0", "weight.3=1"])
    e.start()
    written = [write(m, f"/weights-{m.sid}") for m in e]
    e[2].kill()
    e.wait_leader()
    e.wait_serving([e[1], e[3]])
    written.append(write(e[1], "/without-2"))
    e[2].start()
    e.wait_serving()
    e[1].kill()
    wait_unserved(e, [e[2], e[3]])
    e[1].start()
    e.wait_serving()
    assert e.wait_leader() is not e[2], "one who weighs nothing leads"
    check_written(e, written)


@compositions("RRRR", more=["ARRR", "RRRA"])
def test_groups_change_in_bulk_only(make_ensemble, members):
    e = with_groups(make_ensemble, members, ["group.1=1:2", "group.2=3", "group.3=4"],
                    client_in_server_line=True, config=reconfig.CONFIG)
    e.start()
    with reconfig.admin(e[1]) as c:
        assert reconfig.request(c, leaving="4").err == zk.BADARGUMENTS
    servers = [reconfig.line(e, m) for m in e]
    # A server without a group, and a text with a group of nobody's.
    for bad in (["group.1=1:2", "group.2=3"], ["group.1=1:2", "group.2=3:9", "group.3=4:1"]):
        with reconfig.admin(e[2]) as c:
            assert reconfig.request(c, members=",".join(servers + bad)).err == zk.BADARGUMENTS
    lines = reconfig.apply(e, e[2], members=",".join([
        *servers, "group.1=1:2:3", "group.2=4", "weight.1=1", "weight.2=1", "weight.3=1",
        "weight.4=1"]))
    e.wait_leader()
    e.wait_serving()
    reconfig.wait_config(e, lines)
    assert "group.2=4" in lines
    e[3].kill()
    e.wait_leader()
    e.wait_serving([e[1], e[2], e[4]])
    e[3].start()
    e.wait_serving()
    lines = reconfig.apply(e, e[1], members=",".join(servers))      # and back to heads
    assert not any(x.startswith(("group", "weight")) for x in lines)
    reconfig.wait_config(e, lines)
    cases.write_everywhere(e, "heads")
    e.stop()
    e.start()
    reconfig.wait_config(e, lines)
    e.wait_equal()
