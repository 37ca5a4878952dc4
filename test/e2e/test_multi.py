# SPDX-License-Identifier: Apache-2.0
"""multi and multiRead: all or nothing, one zxid, results as clients decode them."""
import zk


def create(path, data=b"", flags=0, acls=zk.OPEN_ACL, op=zk.CREATE):
    return op, zk.create_request(path, data, acls, flags)


def set_data(path, data, version=-1):
    return zk.SET_DATA, zk.ustr(path) + zk.buf(data) + zk.i32(version)


def delete(path, version=-1):
    return zk.DELETE, zk.ustr(path) + zk.i32(version)


def check(path, version=-1):
    return zk.CHECK, zk.ustr(path) + zk.i32(version)


def test_all_kinds_share_one_zxid(connect, root, server):
    conn = connect()
    before = conn.ping()
    results = conn.multi([
        create(root + "/a", b"1"), create(root + "/b", op=zk.CREATE2), set_data(root + "/a", b"2"),
        check(root + "/a", 1), delete(root + "/b", 0), create(root + "/s-", flags=2)])
    assert conn.ping() == before + 1
    assert results[0] == (zk.CREATE, root + "/a")
    if server.is_apache:
        assert results[1] == (zk.CREATE, root + "/b")
    else:
        assert results[1][:2] == (zk.CREATE2, root + "/b")
    assert results[2][1].version == 1
    assert results[3:5] == [(zk.CHECK,), (zk.DELETE,)]
    assert results[5] == (zk.CREATE, root + "/s-0000000002")
    data, stat = conn.get(root + "/a")
    assert (data, stat.czxid, stat.mzxid) == (b"2", before + 1, before + 1)
    assert conn.children(root) == ["a", "s-0000000002"]


def test_first_failure_aborts_everything(connect, root):
    conn = connect()
    conn.create(root + "/x", b"old")
    before = conn.ping()
    results = conn.multi([
        create(root + "/a"), set_data(root + "/x", b"new"), check(root + "/x", 5),
        delete(root + "/x"), create(root + "/a")])
    assert results == [("error", 0), ("error", 0), ("error", zk.BADVERSION),
                       ("error", zk.RUNTIMEINCONSISTENCY), ("error", zk.RUNTIMEINCONSISTENCY)]
    assert conn.ping() == before + 1
    assert conn.get(root + "/x")[0] == b"old"
    assert conn.children(root) == ["x"]
    stat = conn.exists(root)
    assert (stat.cversion, stat.num_children) == (1, 1)


def test_each_error_in_its_place(connect, root):
    conn = connect()
    conn.create(root + "/e", flags=zk.EPHEMERAL)
    conn.create(root + "/full")
    conn.create(root + "/full/k")
    for op, err in ((create(root + "/e"), zk.NODEEXISTS),
                    (create(root + "/no/k"), zk.NONODE),
                    (create(root + "/e/k"), zk.NOCHILDRENFOREPHEMERALS),
                    (create(root + "/x", acls=[]), zk.INVALIDACL),
                    (create(root + "/x/"), zk.NONODE),
                    (delete(root + "/full"), zk.NOTEMPTY),
                    (delete(root + "/none"), zk.NONODE),
                    (delete("/zookeeper"), zk.BADARGUMENTS),
                    (set_data(root + "/none", b""), zk.NONODE),
                    (set_data(root + "/e", b"", 3), zk.BADVERSION),
                    (check(root + "/none"), zk.NONODE),
                    (check(root + "/e", 3), zk.BADVERSION)):
        assert conn.multi([create(root + "/ok"), op]) == [("error", 0), ("error", err)], op
    assert conn.children(root) == ["e", "full"]


def test_ops_see_the_earlier_ones(connect, root):
    conn = connect()
    p = root + "/p"
    results = conn.multi([create(p), create(p + "/k"), delete(p + "/k"), set_data(p, b"1", 0),
                          set_data(p, b"2", 1), delete(p, 2), create(p, b"again")])
    assert [r[0] for r in results] == [1, 1, 2, 5, 5, 2, 1]
    data, stat = conn.get(p)
    assert (data, stat.version, stat.cversion) == (b"again", 0, 0)


def test_empty_multi_consumes_a_zxid(connect):
    conn = connect()
    before = conn.ping()
    assert conn.multi([]) == []
    assert conn.ping() == before + 1


def test_sequence_numbers_of_a_failed_multi_are_not_used(connect, root):
    conn = connect()
    assert conn.create(root + "/s-", flags=2) == root + "/s-0000000000"
    assert conn.multi([create(root + "/s-", flags=2), create(root + "/s-", flags=2)]) == [
        (zk.CREATE, root + "/s-0000000001"), (zk.CREATE, root + "/s-0000000002")]
    conn.multi([create(root + "/s-", flags=2), delete(root + "/none")])
    assert conn.create(root + "/s-", flags=2) == root + "/s-0000000003"


def test_pipelined_requests_behind_a_failed_multi(connect, root):
    """The changes that a failed multi had in flight must not be seen by what follows it."""
    conn = connect()
    for _ in range(50):
        conn.send(zk.MULTI, zk.multi_request([create(root + "/a"), delete(root + "/none")]))
        conn.send(zk.CREATE, zk.create_request(root + "/a"))
        conn.send(zk.MULTI, zk.multi_request([delete(root + "/a"), check(root + "/none")]))
        conn.send(zk.DELETE, zk.ustr(root + "/a") + zk.i32(0))
    for _ in range(50):
        assert [r[1] for r in zk.read_multi(conn.recv_reply().body)] == [0, zk.NONODE]
        assert conn.recv_reply().err == 0
        assert [r[1] for r in zk.read_multi(conn.recv_reply().body)] == [0, zk.NONODE]
        assert conn.recv_reply().err == 0


def test_ephemerals_in_multi(connect, root):
    conn, other = connect(), connect()
    conn.multi([create(root + "/e", flags=zk.EPHEMERAL), create(root + "/p")])
    assert other.exists(root + "/e").ephemeral_owner == conn.session_id
    conn.close()
    assert other.children(root) == ["p"]


def test_acl_is_checked(connect, root):
    owner, other = connect(), connect()
    owner.auth("digest", b"u:p")
    owner.create(root + "/sec", acls=[(zk.ALL, "auth", "")])
    for op in (create(root + "/sec/k"), set_data(root + "/sec", b""), check(root + "/sec")):
        assert other.multi([op]) == [("error", zk.NOAUTH)]
    assert owner.multi([check(root + "/sec"), create(root + "/sec/k")])[1] == (
        zk.CREATE, root + "/sec/k")


def test_big_multi(connect, root):
    conn = connect()
    results = conn.multi([create(f"{root}/n{n:05d}", b"x" * 20) for n in range(5000)])
    assert len(results) == 5000
    assert len(conn.children(root)) == 5000
    results = conn.multi([delete(f"{root}/n{n:05d}") for n in range(5000)])
    assert results == [(zk.DELETE,)] * 5000
    stat = conn.exists(root)
    assert (stat.num_children, stat.cversion) == (0, 10000)


def test_multi_read(connect, root):
    conn = connect()
    conn.create(root + "/a", b"1")
    ops = [(zk.GET_DATA, zk.ustr(root + "/a") + zk.boolean(True)),
           (zk.GET_CHILDREN, zk.ustr(root) + zk.boolean(True)),
           (zk.GET_DATA, zk.ustr(root + "/none") + zk.boolean(False))]
    before = conn.ping()
    results = zk.read_multi(conn.must(zk.MULTI_READ, zk.multi_request(ops), "multiRead").body)
    assert conn.ping() == before
    assert results[0][1] == b"1"
    assert results[1][1] == ["a"]
    assert results[2] == ("error", zk.NONODE)
    conn.set(root + "/a", b"2")         # multiRead never registers a watch
    conn.create(root + "/b")
    assert conn.drain_events() == []
