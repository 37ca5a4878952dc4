# SPDX-License-Identifier: Apache-2.0
"""Nodes that the server removes by itself: containers and nodes with a time to live.

The shared server looks for candidates every 200 ms.
"""
import time

import pytest

import harness
import zk

TTL_MAX_MS = 0xFFFFFFFFFF


def wait_gone(conn, path, timeout_s=5.0):
    harness.poll_until(lambda: conn.exists(path) is None, timeout_s, f"{path} reaped")


def test_container_goes_when_its_last_child_has_gone(connect, root):
    conn = connect()
    path, stat = conn.create2(root + "/c", flags=zk.CONTAINER)
    assert (path, stat.ephemeral_owner) == (root + "/c", 0)
    conn.create(path + "/a")
    conn.create(path + "/b", flags=zk.EPHEMERAL)
    conn.delete(path + "/a")
    time.sleep(0.5)                     # two rounds of the reaper, which must leave it alone
    assert conn.exists(path).num_children == 1
    watcher = connect()
    watcher.get(path, watch=True)
    watcher.children(root, watch=True)
    conn.delete(path + "/b")
    wait_gone(conn, path)
    assert watcher.drain_events() == [(zk.DELETED, path), (zk.CHILDREN, root)]


def test_container_that_never_had_a_child_stays(connect, root):
    conn = connect()
    conn.create2(root + "/c", flags=zk.CONTAINER)
    conn.create2(root + "/used", flags=zk.CONTAINER)
    conn.create(root + "/used/k")
    conn.delete(root + "/used/k")
    wait_gone(conn, root + "/used")
    assert conn.exists(root + "/c") is not None


def test_never_used_interval(make_server):
    server = make_server({"znode.container.checkIntervalMs": 100,
                          "znode.container.maxNeverUsedIntervalMs": 300})
    with zk.Conn(server.port) as conn:
        conn.create2("/c", flags=zk.CONTAINER)
        wait_gone(conn, "/c")


def test_ttl(connect, root):
    conn = connect()
    _, stat = conn.create2(root + "/t", b"x", flags=zk.TTL, ttl=300)
    assert stat.ephemeral_owner == 0
    name, _ = conn.create2(root + "/s-", flags=zk.TTL_SEQUENTIAL, ttl=300)
    assert name == root + "/s-0000000001"
    long_name, _ = conn.create2(root + "/long", flags=zk.TTL, ttl=60000)
    wait_gone(conn, root + "/t")
    wait_gone(conn, name)
    assert conn.exists(long_name) is not None


def test_ttl_counts_from_the_last_change(connect, root):
    conn = connect()
    conn.create2(root + "/t", flags=zk.TTL, ttl=600)
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        conn.set(root + "/t", b"still in use")
        time.sleep(0.1)
    wait_gone(conn, root + "/t")


def test_ttl_node_with_a_child_stays(connect, root):
    conn = connect()
    conn.create2(root + "/t", flags=zk.TTL, ttl=100)
    conn.create(root + "/t/k")
    conn.create2(root + "/other", flags=zk.TTL, ttl=300)
    wait_gone(conn, root + "/other")
    assert conn.exists(root + "/t") is not None
    conn.delete(root + "/t/k")
    wait_gone(conn, root + "/t")


@pytest.mark.parametrize("ttl", [0, TTL_MAX_MS + 1, 1 << 62,
                                 pytest.param(-1, id="negative")])
def test_ttl_out_of_range(connect, root, ttl):
    conn = connect()
    request = zk.create_request(root + "/t", flags=zk.TTL, ttl=ttl)
    assert conn.err(zk.CREATE_TTL, request) == zk.BADARGUMENTS
    assert conn.children(root) == []


@pytest.mark.reeve_only("the process aborts and cannot read its own log again")
def test_ttl_request_that_is_none(connect, root, server):
    conn = connect()
    for flags in (0, 1, 2, 3, 4):
        for ttl in (-1, -5, 0, 100):
            request = zk.create_request(root + "/t", flags=flags, ttl=ttl)
            assert conn.err(zk.CREATE_TTL, request) == zk.BADARGUMENTS
    assert conn.children(root) == []
    assert server.alive()


def test_ttl_needs_extended_types(make_server):
    server = make_server({"extendedTypesEnabled": "false",
                          "znode.container.checkIntervalMs": 100})
    with zk.Conn(server.port) as conn:
        request = zk.create_request("/t", flags=zk.TTL, ttl=100)
        assert conn.err(zk.CREATE_TTL, request) == zk.UNIMPLEMENTED
        assert conn.err(zk.CREATE, zk.create_request("/t", flags=zk.TTL)) == zk.UNIMPLEMENTED
        conn.create2("/c", flags=zk.CONTAINER)          # containers need no switch
        conn.create("/c/k")
        conn.delete("/c/k")
        wait_gone(conn, "/c")


def test_flag_4_of_plain_create_makes_a_plain_node(connect, root):
    conn = connect()
    conn.create(root + "/c", flags=zk.CONTAINER)
    conn.create2(root + "/real", flags=zk.CONTAINER)
    for name in ("/c", "/real"):
        conn.create(root + name + "/k")
        conn.delete(root + name + "/k")
    wait_gone(conn, root + "/real")
    assert conn.exists(root + "/c") is not None


def test_reaping_survives_a_restart(make_server):
    server = make_server({"znode.container.checkIntervalMs": 200})
    with zk.Conn(server.port) as conn:
        conn.create2("/c", flags=zk.CONTAINER)
        conn.create("/c/k")
        conn.create2("/t", flags=zk.TTL, ttl=1000)
        conn.create2("/far", flags=zk.TTL, ttl=TTL_MAX_MS)
    server.restart(kill=True)
    with zk.Conn(server.port) as conn:
        assert conn.exists("/c").num_children == 1
        conn.delete("/c/k")
        wait_gone(conn, "/c")
        wait_gone(conn, "/t")
        assert conn.exists("/far") is not None
