# SPDX-License-Identifier: Apache-2.0
"""Data directories with a member's whole life behind them, under the other program.

A member is brought through DIFF, TRUNC and SNAP as learner, so that its directory holds files of
each, what Reeve set aside in `replaced`, and the epoch files; then the other program starts on it
and must show the same tree, take part, and leave the directory to the first again.
"""
import os

import pytest

import cases
import ensemble
import harness

LONG = bool(os.environ.get("REEVE_E2E_LONG"))


def snap_over_old_data(e, x):
    """x has data and is sent a snapshot: leaders with snapshotSizeFactor < 0 send nothing else."""
    y = cases.leave(e, x)
    with ensemble.connect(y, timeout_ms=20000) as c:
        cases.fill(c, f"/far-{ensemble.now()}", 1500)
    packets = cases.sync_back(e, x)
    e.wait_equal()
    return packets[0][0]


def swap(e, kind):
    """All members stop and go on under this program; the tree must be the same."""
    before = e.wait_equal()
    epoch = e[3].epoch_file("currentEpoch")
    e.stop()
    for m in e:
        m.become(kind)
    e.start()
    ensemble.compare_trees(before, e.wait_equal(), "before and after the change of the program")
    for m in e:
        assert m.epoch_file("currentEpoch") > epoch
        assert m.epoch_file("acceptedEpoch") == m.epoch_file("currentEpoch")


@pytest.mark.reeve_only("it is about what Reeve leaves behind")
@pytest.mark.parametrize("first", ["reeve", "apache"] if LONG else ["reeve"])
def test_the_other_program_goes_on(make_ensemble, first):
    other = "apache" if first == "reeve" else "reeve"
    letters = "RRR" if first == "reeve" else "AAA"
    e = make_ensemble(letters, relays=True, config={"snapshotSizeFactor": -1,
                                                    "commitLogCount": 50}).start(leader=3)
    x = e[3]
    cases.sync_trunc(e, x)
    cases.sync_trunc_diff(e, x)
    assert snap_over_old_data(e, x) == "SNAP"
    cases.sync_empty(e, x)
    cases.sync_diff(e, x)
    for kind in (other, first):
        swap(e, kind)
        cases.write_everywhere(e, f"under-{kind}")
        # It is a member like any other: a leader with that history, and a learner.
        cases.make_leader(e, x)
        cases.write_everywhere(e, f"led-under-{kind}")
        cases.sync_nothing(e, x)
        with ensemble.connect(x) as c:
            c.delete("/nothing")
        x.restart(kill=True)
        e.wait_serving()
        e.wait_equal()


@pytest.mark.reeve_only("it is about what Reeve leaves behind")
def test_what_was_set_aside_is_no_ones_data(make_ensemble):
    """A snapshot over old data moves that into `replaced`; neither program reads it again."""
    e = make_ensemble("ARR", relays=True, config={"snapshotSizeFactor": -1,
                                                  "commitLogCount": 10}).start(leader=3)
    x = e[3]
    with ensemble.connect(x) as c:
        c.create("/old", b"x" * 5000)
    e.wait_equal()
    x.kill()
    e.wait_leader(e.others(x))
    with ensemble.connect(e[2], timeout_ms=20000) as c:
        c.delete("/old")
        cases.fill(c, "/fill", 1500)
    since = len(e.relay.syncs())
    x.start()
    e.wait_serving()
    packets = harness.poll_until(lambda: cases.opening(e, x, since), 5, "a synchronisation")
    assert packets[0][0] == "SNAP", packets
    aside = []
    for where, _, names in os.walk(x.data_dir):
        aside += [os.path.join(where, n) for n in names if "replaced" in where]
    assert aside, "nothing was set aside"
    before = e.wait_equal()
    assert "/old" not in before
    e.stop()
    x.become("apache")
    e.start()
    ensemble.compare_trees(before, e.wait_equal(), "before and after")
    e.stop()
    x.become("reeve")
    e.start()
    ensemble.compare_trees(before, e.wait_equal(), "before and after again")
