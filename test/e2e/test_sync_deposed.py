# SPDX-License-Identifier: Apache-2.0
"""A leader that slept through the election of the next one, and is asked for a sync as it wakes."""
import pytest

import ensemble
import harness
import zk

pytestmark = pytest.mark.skipif(harness.KIND == "apache", reason="Apache's leader answers at once")


@pytest.fixture
def three(tmp_path):
    e = ensemble.Ensemble(str(tmp_path), "RRR", {"tickTime": 200, "initLimit": 20, "syncLimit": 5})
    try:
        yield e.start()
    finally:
        e.close()


@pytest.mark.parametrize("attempt", range(3))
def test_sync_at_a_leader_that_was_paused(three, attempt):
    old = three.wait_leader()
    clients = [ensemble.connect(old) for _ in range(2)]
    clients[0].create("/a", b"1")
    old.pause()
    try:
        new = three.wait_leader(among=three.others(old))
        with ensemble.connect(new) as w:
            w.set("/a", b"2")
        for c in clients:
            c.send(zk.SYNC, zk.ustr("/"))
            c.send(zk.GET_DATA, zk.ustr("/a") + zk.boolean(False))
    finally:
        old.resume()
    for c in clients:
        try:
            synced, got = c.recv_reply(), c.recv_reply()
        except (zk.Closed, ConnectionError, TimeoutError):
            continue
        assert synced.err or zk.Reader(got.body).buf() == b"2", "a write was answered before"
    harness.poll_until(lambda: old.mode() == "follower", 10, "it follows")
    with ensemble.connect(old) as c:
        c.sync()
        assert c.get("/a")[0] == b"2"
