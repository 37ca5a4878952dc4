# SPDX-License-Identifier: Apache-2.0
"""Limits that are switched on by configuration, and features that are switched off."""
import pytest

import harness
import zk


def closed_at_connect(server):
    conn = zk.Conn(server.port, handshake=False)
    try:
        conn.send_frame(zk.connect_request())
        conn.expect_close()
    except ConnectionError:
        pass
    return True


def test_jute_maxbuffer_smaller(make_server):
    server = make_server({"jute.maxbuffer": 10000})
    with zk.Conn(server.port) as conn:
        overhead = 8 + len(zk.create_request("/n"))
        conn.create("/n", b"x" * (10000 - overhead))
        rude = zk.Conn(server.port)
        rude.send(zk.CREATE, zk.create_request("/m", b"x" * (10001 - overhead)))
        rude.expect_close()
        assert conn.children("/") == ["n", "zookeeper"]


def test_jute_maxbuffer_larger(make_server):
    server = make_server({"jute.maxbuffer": 4000000})
    with zk.Conn(server.port) as conn:
        conn.create("/n", b"x" * 3900000)
        assert len(conn.get("/n")[0]) == 3900000
    server.restart(kill=True)
    with zk.Conn(server.port) as conn:
        assert len(conn.get("/n")[0]) == 3900000


def test_connection_throttle(make_server):
    """A bucket of five tokens that is hardly ever filled: the sixth session is refused."""
    server = make_server({"connection_throttle_tokens": 5,
                          "connection_throttle_fill_time": 3600000,
                          "connection_throttle_fill_count": 1})
    conns = [zk.Conn(server.port) for _ in range(5)]
    assert closed_at_connect(server)
    for conn in conns:
        conn.close()


def test_large_request_limit(make_server):
    server = make_server({"largeRequestThreshold": 1000, "largeRequestMaxBytes": 3000})
    with zk.Conn(server.port) as conn:
        conn.create("/small", b"x" * 100)
        conn.create("/fits", b"x" * 2000)
        rude = zk.Conn(server.port)
        rude.send(zk.CREATE, zk.create_request("/large", b"x" * 5000))
        rude.expect_close()
        assert conn.children("/") == ["fits", "small", "zookeeper"]


def test_reconfig_is_switched_off(connect):
    conn = connect()
    request = zk.ustr(None) + zk.ustr(None) + zk.ustr("server.1=h:1:2;3") + zk.i64(-1)
    assert conn.err(zk.RECONFIG, request) == zk.RECONFIGDISABLED
    assert conn.get("/zookeeper/config")[0] == b""
    assert conn.err(zk.SET_DATA, zk.ustr("/zookeeper/config") + zk.buf(b"") + zk.i32(-1)) == (
        zk.NOAUTH)


def test_sasl_is_switched_off(connect):
    conn = connect()
    reply = conn.call(zk.SASL, zk.buf(b""))
    assert (reply.err, reply.zxid, reply.body) == (0, 0, zk.buf(None))
    conn.ping()


def test_server_is_not_read_only(connect):
    conn = connect(read_only=True)
    assert not conn.server_read_only
    conn.ping()


@pytest.mark.reeve_only("it says nothing")
def test_child_list_too_large_for_clients_is_named_in_the_log(server, connect, root):
    """Java clients refuse frames above 1 MB: who asks for such a list shall be found."""
    conn = connect()
    names = [f"{'n' * 200}{i:05d}" for i in range(6000)]
    for start in range(0, len(names), 500):
        conn.multi([(zk.CREATE, zk.create_request(f"{root}/{name}"))
                    for name in names[start:start + 500]])
    assert conn.children(root) == names
    harness.poll_until(lambda: any(root in line and f"0x{conn.session_id:x}" in line
                                   for line in server.stderr_text().splitlines()), 5,
                       "a line with path and session")
    for start in range(0, len(names), 500):
        conn.multi([(zk.DELETE, zk.ustr(f"{root}/{name}") + zk.i32(-1))
                    for name in names[start:start + 500]])


def test_sequence_numbers_of_thousands(connect, root):
    conn = connect()
    for _ in range(3):
        conn.multi([(zk.CREATE, zk.create_request(root + "/s-", flags=zk.SEQUENTIAL))
                    for _ in range(1000)])
    assert conn.create(root + "/s-", flags=zk.SEQUENTIAL) == root + "/s-0000003000"
    assert conn.exists(root).cversion == 3001


def test_odd_versions_never_match(connect, root):
    """Only -1 means any version."""
    conn = connect()
    conn.create(root + "/n")
    for version in (-2, -0x80000000, 0x7fffffff):
        assert conn.err(zk.SET_DATA, zk.ustr(root + "/n") + zk.buf(b"") + zk.i32(version)) == (
            zk.BADVERSION)
    assert conn.set(root + "/n", b"", 0).version == 1
