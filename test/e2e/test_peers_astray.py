# SPDX-License-Identifier: Apache-2.0
"""Leaders and learners that break off, stall or say what no good peer says: the server must neither
die of it, nor wait for ever, nor keep what was never committed.
"""
import glob
import os
import struct

import pytest

import harness
import peer
from peer import ACK, COMMIT, DIFF, PROPOSAL, SNAP, TRUNC, zx

pytestmark = pytest.mark.skipif(harness.KIND == "apache", reason="about Reeve's own bounds, too")


@pytest.fixture
def world(make_world):
    return make_world(real=[2], ghosts=[1, 3], config={
        "initLimit": 10, "syncLimit": 5, "reconfigEnabled": "true"})


def text_of(world, version, sids=None):
    lines = [f"server.{m.sid}=127.0.0.1:{m.quorum_port}:{m.election_port}:participant"
             f";127.0.0.1:{m.port if m.sid == 2 else m.quorum_port + 1000}"
             for m in world.members.values() if sids is None or m.sid in sids]
    return ("\n".join(lines) + f"\nversion={version:x}").encode()


def reconfig_txn(zxid, text):
    return peer.txn(zxid, peer.RECONFIG,
                    peer.jstr("/zookeeper/config") + peer.buf(text) + struct.pack(">i", -1))


def next_files(m):
    return glob.glob(os.path.join(m.dir, "**", "*.dynamic.next"), recursive=True)


def test_membership_that_was_cut_off_is_not_activated(world):
    """A reconfiguration that only this server had in its log, and the next leader cuts away."""
    m, g = world[2], world.ghost(3)
    q = g.lead(m)
    last, _ = q.discover()
    q.send(DIFF, last)
    old = text_of(world, zx(q.epoch))
    q.finish(old)
    m.wait_mode("follower")
    z = zx(q.epoch, 1)
    q.commit(z, peer.create_txn(z, "/a"))
    lost = zx(q.epoch, 2)
    q.send(PROPOSAL, lost, reconfig_txn(lost, text_of(world, lost, [2, 3])))
    q.expect(ACK, lost)
    assert next_files(m), "the ACK came before the proposed membership was on the disk"
    g.close()
    g = world.ghost(3)
    q = g.lead(m)
    last, _ = q.discover()
    assert last == lost
    q.send(TRUNC, z)
    q.finish(old)
    m.wait_mode("follower")
    z = zx(q.epoch, 1)
    q.commit(z, peer.create_txn(z, "/b"))
    harness.poll_until(lambda: m.zxid() == z, 5, "the write is applied")
    assert m.said(f"version 0x{lost:x} is forgotten")
    assert not m.said(f"version 0x{lost:x} is active")
    m.stop()
    m.start()
    q = world.ghost(3).lead(m)
    q.learner_info()
    assert q.config_version < lost
    assert not next_files(m)


def test_snapshot_that_stands_still(world):
    """A leader that is paused in the middle of its snapshot, its connection open."""
    m = world[2]
    q = world.ghost(3).lead(m)
    q.discover()
    q.send(SNAP, zx(q.epoch))
    q.write(peer.snapshot([("/a", b"1")])[:60])
    m.wait_said("following ends", timeout_s=8)


def test_snapshot_that_is_ahead_of_what_follows_it(world):
    """A leader under load: what it queued before it began the snapshot is in that already."""
    m = world[2]
    q = world.ghost(3).lead(m)
    q.discover()
    e = q.epoch
    q.send(SNAP, zx(e, 3))
    q.write(peer.snapshot([("/a", b"3"), ("/b", b"")]) + peer.SIGNATURE)
    for i in (2, 3):
        q.send(PROPOSAL, zx(e, i), peer.create_txn(zx(e, i), "/a", b"%d" % i))
    q.send(COMMIT, zx(e, 2))
    q.send(PROPOSAL, zx(e, 4), peer.create_txn(zx(e, 4), "/b"))
    q.send(COMMIT, zx(e, 3))
    q.send(COMMIT, zx(e, 4))
    q.finish()
    z = zx(e, 5)
    q.commit(z, peer.create_txn(z, "/c"))
    harness.poll_until(lambda: m.zxid() == z, 5, "the write is applied")


def test_leader_whose_only_follower_leaves_before_it_serves(world):
    """It does not wait for the rest of initLimit: who left looks for a leader and finds none."""
    m, g = world[2], world.ghost(1)
    q = g.make_leader(m)
    q.introduce(1, 0)
    q.leader_info()
    q.close()
    m.wait_said("leading ends", timeout_s=1)
    world.ghost(1).follow(m)
