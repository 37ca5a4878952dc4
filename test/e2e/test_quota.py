# SPDX-License-Identifier: Apache-2.0
"""Quotas: usage is counted, hard limits refuse when switched on, soft ones never do."""
import pytest

import zk


@pytest.fixture
def quota_server(make_server):
    return make_server({"enforceQuota": "true"})


def put_quota(conn, path, limits):
    """As the shell does it: the way down with open ACLs, limits first, then stats."""
    at = "/zookeeper/quota"
    for part in path.strip("/").split("/"):
        at += "/" + part
        if conn.exists(at) is None:
            conn.create(at, None)
    conn.create(at + "/zookeeper_limits", limits)
    conn.create(at + "/zookeeper_stats", b"count=0,bytes=0")


def usage(conn, path):
    return conn.get(f"/zookeeper/quota{path}/zookeeper_stats")[0]


def test_usage_is_counted(connect, root, server):
    conn = connect()
    conn.create(root + "/a", b"12345")
    conn.create(root + "/a/b", b"1")
    put_quota(conn, root, b"count=100,bytes=1000")
    assert usage(conn, root) == b"count=3,bytes=6"
    stat = conn.exists(f"/zookeeper/quota{root}/zookeeper_stats")
    conn.set(root + "/a", b"")
    assert usage(conn, root) == b"count=3,bytes=1"
    conn.create(root + "/c", b"123")
    assert usage(conn, root) == b"count=4,bytes=4"
    conn.delete(root + "/c")
    conn.create(root + "/e", b"12", flags=zk.EPHEMERAL)
    conn.set(root, b"root")
    conn.multi([(zk.CREATE, zk.create_request(root + "/m", b"7777777"))])
    assert usage(conn, root) == b"count=5,bytes=14"
    after = conn.exists(f"/zookeeper/quota{root}/zookeeper_stats")
    assert (after.mzxid, after.version, after.mtime) == (stat.mzxid, stat.version, stat.mtime)
    conn.close()
    with zk.Conn(server.port) as again:
        assert usage(again, root) == b"count=4,bytes=12"
        again.delete(f"/zookeeper/quota{root}/zookeeper_limits")
        again.create(root + "/later", b"1")
        assert usage(again, root) == b"count=4,bytes=12"


def test_deepest_quota_counts(connect, root):
    conn = connect()
    conn.create(root + "/in")
    put_quota(conn, root, b"count=-1,bytes=-1")
    put_quota(conn, root + "/in", b"count=-1,bytes=-1")
    assert (usage(conn, root), usage(conn, root + "/in")) == (
        b"count=2,bytes=0", b"count=1,bytes=0")
    conn.create(root + "/in/k", b"12")
    conn.set(root + "/in", b"1")
    conn.create(root + "/out", b"123")
    assert usage(conn, root + "/in") == b"count=2,bytes=3"
    assert usage(conn, root) == b"count=3,bytes=3"


def test_soft_limits_and_unenforced_hard_limits_only_warn(connect, root):
    conn = connect()
    put_quota(conn, root, b"count=1,bytes=1=;byteHardLimit=1;countHardLimit=1")
    conn.create(root + "/a", b"much more than one byte")
    conn.set(root, b"more")
    assert usage(conn, root) == b"count=2,bytes=27"


def test_count_hard_limit(quota_server):
    with zk.Conn(quota_server.port) as conn:
        conn.create("/q")
        put_quota(conn, "/q", b"count=-1,bytes=-1=;countHardLimit=3")
        conn.create("/q/1")
        conn.create("/q/2")
        before = conn.ping()
        assert conn.err(zk.CREATE, zk.create_request("/q/3")) == zk.QUOTAEXCEEDED
        assert conn.ping() == before + 1
        assert conn.multi([(zk.CREATE, zk.create_request("/q/3"))]) == [
            ("error", zk.QUOTAEXCEEDED)]
        conn.set("/q/1", b"bytes are not limited")
        conn.delete("/q/2")
        conn.create("/q/3")
        conn.create("/other")
        conn.set("/zookeeper/quota/q/zookeeper_limits", b"count=-1,bytes=-1=;countHardLimit=4")
        conn.create("/q/4")


def test_bytes_hard_limit(quota_server):
    with zk.Conn(quota_server.port) as conn:
        conn.create("/q", b"1234")
        put_quota(conn, "/q", b"count=5,bytes=-1=;byteHardLimit=10")
        conn.create("/q/a", b"123456")
        assert conn.err(zk.CREATE, zk.create_request("/q/b", b"1")) == zk.QUOTAEXCEEDED
        assert conn.err(zk.SET_DATA, zk.ustr("/q") + zk.buf(b"12345") + zk.i32(-1)) == (
            zk.QUOTAEXCEEDED)
        conn.create("/q/empty")
        conn.set("/q", b"4321")
        conn.set("/q/a", b"")
        conn.set("/q", b"1234567890")


@pytest.mark.reeve_only("usage text that it cannot parse stops the process")
def test_garbage_in_quota_nodes(quota_server):
    """Garbage counts as zeros or no limit; it is rewritten at the next change; nothing dies."""
    with zk.Conn(quota_server.port) as conn:
        conn.create("/q")
        put_quota(conn, "/q", b"count=-1,bytes=-1")
        stats, limits = (f"/zookeeper/quota/q/zookeeper_{n}" for n in ("stats", "limits"))
        for text in (b"garbage", None, b"", b"count=x,bytes=y", b"count=99999999999999999999",
                     b"=;=;,,==", b"\xff\xfe\x00"):
            conn.set(stats, text)
            conn.set("/q", b"1" if conn.get("/q")[0] == b"" else b"")
            assert conn.get(stats)[0].startswith(b"count=")
            conn.set(limits, text)
            conn.set("/q", b"12")
            conn.set("/q", b"")
            conn.create("/q/k")
            conn.delete("/q/k")
        # At the root itself there is no quota; the name alone must do no harm.
        conn.create("/zookeeper/quota/zookeeper_limits", b"count=1,bytes=1=;countHardLimit=1")
        conn.create("/free")


def test_usage_is_recounted_at_start(make_server):
    server = make_server()
    with zk.Conn(server.port) as conn:
        conn.create("/q", b"12")
        put_quota(conn, "/q", b"count=-1,bytes=-1")
        conn.create("/q/a", b"123")
        conn.set("/zookeeper/quota/q/zookeeper_stats", b"count=77,bytes=77")
    # Apache recounts what a snapshot holds, before it replays the log; its second start has
    # everything in a snapshot.
    server.restart()
    server.restart()
    with zk.Conn(server.port) as conn:
        assert usage(conn, "/q") == b"count=2,bytes=5"
        conn.create("/q/b", b"1")
        assert usage(conn, "/q") == b"count=3,bytes=6"
