# SPDX-License-Identifier: Apache-2.0
"""Sessions: negotiation, expiry, renewal, and that nobody can hurt the session of another."""
import time

import pytest

import harness
import zk


def refused(port, session, **more):
    """A renewal that gets the 'invalid' answer: zeros, then a close."""
    conn = zk.Conn(port, handshake=False)
    assert conn.handshake(10000, *session, **more) == 0
    assert (conn.session_id, conn.password) == (0, b"\0" * 16)
    conn.expect_close()
    return True


def test_negotiation(connect, server):
    low, high = 2 * server.config["tickTime"], server.config["maxSessionTimeout"]
    for asked, given in ((0, low), (-1, low), (1, low), (low, low), (7777, 7777),
                         (high, high), (high + 1, high), (0x7fffffff, high)):
        conn = connect(timeout_ms=asked)
        assert conn.timeout_ms == given
        conn.close()


def test_ids_ascend_and_passwords_follow(connect):
    conns = [connect() for _ in range(5)]
    ids = [c.session_id for c in conns]
    assert ids == sorted(set(ids))
    assert ids[0] >> 56 == 1
    for c in conns:
        assert c.password == zk.session_password(c.session_id)


def test_password_derivation():
    assert zk.session_password(0x0100000ff4c00000).hex() == "b24b4fc75758720be0924225f81170e9"


def test_old_client_without_read_only_byte(connect):
    conn = connect(read_only=None)
    conn.ping()
    conn.drop()
    again = connect(session=conn.session, read_only=None)
    assert again.session_id == conn.session_id


def test_requests_behind_the_connect_request(connect, root):
    """Java sends its first requests without waiting for the ConnectResponse."""
    conn = connect(handshake=False)
    conn.send_raw(zk.frame(zk.connect_request())
                  + zk.frame(zk.i32(1) + zk.i32(zk.CREATE) + zk.create_request(root + "/early"))
                  + zk.frame(zk.i32(2) + zk.i32(zk.EXISTS) + zk.ustr(root + "/early")
                             + zk.boolean(False)))
    conn.read_connect_response()
    assert [conn.recv_reply()[:3:2] for _ in range(2)] == [(1, 0), (2, 0)]


def test_expiry_time(make_server):
    """A session dies between its timeout and one tick later, and takes its ephemerals along."""
    server = make_server({"tickTime": 400, "minSessionTimeout": 800})
    owner = zk.Conn(server.port, timeout_ms=800)
    owner.create("/e", flags=zk.EPHEMERAL)
    with zk.Conn(server.port) as watcher:
        watcher.exists("/e", watch=True)
        owner.ping()
        silent_since = time.monotonic()
        owner.drop()
        event = watcher.next_event(timeout_s=10)
        waited_ms = (time.monotonic() - silent_since) * 1000
        assert (event.type, event.path) == (zk.DELETED, "/e")
        assert 780 <= waited_ms <= 800 + 400 + 300
        assert watcher.exists("/e") is None
    refused(server.port, owner.session)


def test_pings_keep_a_session_and_any_request_is_a_ping(make_server):
    server = make_server({"tickTime": 200})
    conn = zk.Conn(server.port, timeout_ms=400)
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        conn.ping()
        time.sleep(0.05)
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        conn.exists("/")
        time.sleep(0.05)
    conn.close()


def test_silent_connection_is_closed_when_its_session_expires(make_server):
    server = make_server({"tickTime": 200})
    conn = zk.Conn(server.port, timeout_ms=400)
    conn.expect_close(timeout_s=5)
    refused(server.port, conn.session)


def test_renewal(connect, root, server):
    first = connect(timeout_ms=10000)
    first.create(root + "/e", flags=zk.EPHEMERAL)
    first.drop()
    second = connect(session=first.session, timeout_ms=5000)
    assert second.session == first.session
    assert second.timeout_ms == 5000
    assert second.exists(root + "/e").ephemeral_owner == first.session_id
    zxid = second.ping()
    third = connect(session=first.session, timeout_ms=6000)
    assert third.ping() == zxid                 # a renewal writes no transaction
    second.expect_close()
    third.close()
    with zk.Conn(server.port) as c:
        assert c.exists(root + "/e") is None


def test_renewal_timeout_is_used(make_server):
    server = make_server({"tickTime": 200})
    conn = zk.Conn(server.port, timeout_ms=4000)
    conn.drop()
    again = zk.Conn(server.port, session=conn.session, timeout_ms=400)
    assert again.timeout_ms == 400
    start = time.monotonic()
    again.expect_close(timeout_s=5)
    assert time.monotonic() - start < 2.5


@pytest.mark.reeve_only("it closes the live connection before it looks at the password")
def test_wrong_password_does_not_kick_the_live_connection(connect, server, root):
    victim = connect()
    victim.create(root + "/e", flags=zk.EPHEMERAL)
    for password in (b"\1" * 16, b"", b"\0" * 16, victim.password[:15], victim.password + b"\0"):
        refused(server.port, (victim.session_id, password))
    assert victim.quiet(0.1)
    assert victim.exists(root + "/e").ephemeral_owner == victim.session_id


def test_unknown_session(server):
    refused(server.port, (0x7777, zk.session_password(0x7777)))
    refused(server.port, (-1, zk.session_password(-1)))


def test_closed_session_cannot_be_renewed(connect, server):
    conn = connect()
    conn.close()
    refused(server.port, conn.session)


def test_close_session_reply_and_ephemerals(connect, root):
    conn, other = connect(), connect()
    conn.create(root + "/e1", flags=zk.EPHEMERAL)
    conn.create(root + "/e2", flags=zk.EPHEMERAL_SEQUENTIAL)
    before = other.ping()
    reply = conn.call(zk.CLOSE_SESSION)
    assert (reply.err, reply.zxid, reply.body) == (0, before + 1, b"")
    conn.expect_close()
    assert other.children(root) == []
    assert other.exists(root).pzxid == reply.zxid


def test_requests_behind_close_session_have_no_effect(connect, root):
    conn, other = connect(), connect()
    conn.send_raw(b"".join(zk.frame(p) for p in (
        zk.i32(1) + zk.i32(zk.CREATE) + zk.create_request(root + "/e", flags=zk.EPHEMERAL),
        zk.i32(2) + zk.i32(zk.CLOSE_SESSION),
        zk.i32(3) + zk.i32(zk.CREATE) + zk.create_request(root + "/late"))))
    assert conn.recv_reply().xid == 1
    assert conn.recv_reply().xid == 2
    try:
        assert conn.recv_reply().err == zk.SESSIONEXPIRED
        conn.expect_close()
    except zk.Closed:
        pass
    assert other.children(root) == []


def test_last_zxid_ahead_of_the_server_is_refused(connect):
    zxid = connect().ping()
    connect(last_zxid=zxid).ping()
    conn = connect(handshake=False)
    conn.send_frame(zk.connect_request(last_zxid=zxid + 1000))
    conn.expect_close()


def test_ephemeral_owner_and_get_ephemerals(connect, root):
    one, two = connect(), connect()
    for name in ("a", "ab", "b"):
        one.create(f"{root}/{name}", flags=zk.EPHEMERAL)
    two.create(root + "/other", flags=zk.EPHEMERAL)
    two.create(root + "/plain")

    def ephemerals(conn, prefix):
        r = zk.Reader(conn.must(zk.GET_EPHEMERALS, zk.ustr(prefix), "getEphemerals").body)
        return sorted(r.vec(r.ustr))

    every = [root + "/a", root + "/ab", root + "/b"]
    assert ephemerals(one, "/") == every
    assert ephemerals(one, None) == every
    assert ephemerals(one, "") == every
    assert ephemerals(one, root + "/a") == every[:2]        # a plain prefix test
    assert ephemerals(two, root) == [root + "/other"]
    assert one.exists(root + "/a").ephemeral_owner == one.session_id
    assert one.exists(root + "/plain").ephemeral_owner == 0


def test_sessions_survive_a_restart(make_server):
    server = make_server({"tickTime": 200, "maxSessionTimeout": 20000})
    kept = zk.Conn(server.port, timeout_ms=20000)
    kept.create("/kept", flags=zk.EPHEMERAL)
    lost = zk.Conn(server.port, timeout_ms=600)
    lost.create("/lost", flags=zk.EPHEMERAL)
    closed = zk.Conn(server.port, timeout_ms=20000)
    closed.create("/closed", flags=zk.EPHEMERAL)
    closed.close()
    for kill in (True, False):
        kept.ping()
        server.restart(kill=kill)
        kept = zk.Conn(server.port, session=kept.session, timeout_ms=20000)
        assert kept.exists("/kept").ephemeral_owner == kept.session_id
        assert kept.exists("/closed") is None
    refused(server.port, closed.session)
    # A session that nobody renews expires a full timeout after the restart.
    harness.poll_until(lambda: kept.exists("/lost") is None, 5, "expiry of a session of before")
    refused(server.port, lost.session)
    kept.close()
    with zk.Conn(server.port) as c:
        assert c.exists("/kept") is None


def test_new_ids_after_a_restart_are_new(make_server):
    server = make_server()
    old = {zk.Conn(server.port).session_id for _ in range(3)}
    server.restart(kill=True)
    assert zk.Conn(server.port).session_id not in old


def test_many_sessions_open_and_close(connect, server):
    before = int(server.mntr()["zk_global_sessions"])
    for _ in range(300):
        zk.Conn(server.port).close()
    harness.poll_until(lambda: int(server.mntr()["zk_global_sessions"]) <= before, 10,
                       "closed sessions gone from the table")


def test_connect_request_again_is_an_unknown_opcode(connect):
    conn = connect()
    conn.send_frame(zk.connect_request())
    reply = conn.recv_reply()
    assert (reply.xid, reply.zxid, reply.err) == (0, -1, zk.UNIMPLEMENTED)
    conn.expect_close()
