# SPDX-License-Identifier: Apache-2.0
"""One or two real servers among scripted peers (peer.py): both ports as Apache's peers use them, as
they must not, and as nobody should.

In `world` the server has sid 2, a ghost with a smaller and one with a larger sid stand beside it.
What a test does to it, at the end a good peer forms a quorum with it again: the fixture asks that
of every test.
"""
import os
import socket
import struct
import time

import pytest

import ensemble
import harness
import peer
import zk
from peer import (ACK, ACKEPOCH, COMMIT, DIFF, FOLLOWERINFO, FOLLOWING, INFORM, LEADERINFO, LEADING,
                  LOOKING, NEWLEADER, OBSERVERINFO, OBSERVING, PING, PROPOSAL, REQUEST, REVALIDATE,
                  SNAP, SYNC, TRUNC, UPTODATE, zx)

pytestmark = pytest.mark.skipif(harness.KIND == "apache", reason="about Reeve's own bounds, too")


@pytest.fixture
def make_world(tmp_path):
    made = []

    def make(**more):
        made.append(peer.World(tmp_path / f"world{len(made)}", **more))
        make.servers += made[-1].real
        return made[-1].start()

    make.servers = []
    yield make
    try:
        for w in made:
            for m in w.real:
                assert m.proc is None or m.alive(), f"{m} died\n{m.stderr_tail()}"
                recover(w, m)
    finally:
        for w in made:
            w.close()


@pytest.fixture
def world(make_world):
    return make_world(real=[2], ghosts=[1, 3])


def recover(w, m):
    """Whatever was done to this server: with a good leader it serves and writes."""
    if m.proc is None:
        return
    w.end_ghosts()
    q = w.ghost(max(w.members)).lead_well(m) if len(w.real) == 1 else None
    if q:
        z = zx(q.epoch, 1)
        q.commit(z, peer.create_txn(z, f"/recovered-{z:x}"))
        assert w[m.sid].mode() == "follower"
        harness.poll_until(lambda: m.zxid() == z, 5, "the write is applied")


def test_good_leader(world):
    q = world.ghost(3).lead_well(world[2])
    z = zx(q.epoch, 1)
    q.commit(z, peer.create_txn(z, "/a", b"1"))


def test_good_learner(world):
    q = world.ghost(1).follow(world[2])
    assert [k.kind for k in q.sync] == [DIFF, NEWLEADER]
