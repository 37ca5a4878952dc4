# SPDX-License-Identifier: Apache-2.0
"""Watches: what fires, for whom, in which order, and what is left afterwards."""
import zk
from zk import CHANGED, CHILDREN, CREATED, DELETED


def set_watches(conn, relative_zxid, data=(), exist=(), child=(), persistent=None,
                recursive=None):
    body = zk.i64(relative_zxid)
    lists = [data, exist, child]
    op = zk.SET_WATCHES
    if persistent is not None or recursive is not None:
        op = zk.SET_WATCHES2
        lists += [persistent or (), recursive or ()]
    body += b"".join(zk.vec(list(paths), zk.ustr) for paths in lists)
    reply = conn.call(op, body, xid=-8)
    assert (reply.err, reply.body) == (0, b"")
    out = [(e.zxid, e.type, e.path) for e in conn.events]
    conn.events.clear()
    return out


def test_one_shot_data_watch(connect, root):
    watcher, writer = connect(), connect()
    watcher.get(root, watch=True)
    watcher.get(root, watch=True)       # a second registration gives no second event
    writer.set(root, b"1")
    writer.set(root, b"2")
    assert watcher.drain_events() == [(CHANGED, root)]


def test_event_zxid(connect, root, server):
    watcher, writer = connect(), connect()
    watcher.get(root, watch=True)
    stat = writer.set(root, b"1")
    event = watcher.next_event()
    assert event.zxid == (-1 if server.is_apache else stat.mzxid)


def test_exists_watch_on_missing_node(connect, root):
    watcher, writer = connect(), connect()
    path = root + "/n"
    assert watcher.exists(path, watch=True) is None
    writer.create(path)
    assert watcher.drain_events() == [(CREATED, path)]
    assert watcher.exists(path, watch=True).version == 0
    writer.delete(path)
    assert watcher.drain_events() == [(DELETED, path)]


def test_failed_reads_leave_no_watch(connect, root):
    watcher, writer = connect(), connect()
    path = root + "/n"
    assert watcher.err(zk.GET_DATA, zk.ustr(path) + zk.boolean(True)) == zk.NONODE
    assert watcher.err(zk.GET_CHILDREN, zk.ustr(path) + zk.boolean(True)) == zk.NONODE
    writer.create(path)
    writer.delete(path)
    assert watcher.drain_events() == []


def test_child_watch(connect, root):
    watcher, writer = connect(), connect()
    watcher.children(root, watch=True)
    writer.set(root, b"data is not a child")
    writer.create(root + "/a")
    writer.create(root + "/b")
    assert watcher.drain_events() == [(CHILDREN, root)]
    watcher.children(root, watch=True)
    writer.delete(root + "/a")
    assert watcher.drain_events() == [(CHILDREN, root)]


def test_delete_gives_one_event_to_data_and_child_watch(connect, root):
    watcher, writer = connect(), connect()
    path = root + "/n"
    writer.create(path)
    watcher.get(path, watch=True)
    watcher.children(path, watch=True)
    watcher.children(root, watch=True)
    writer.delete(path)
    assert watcher.drain_events() == [(DELETED, path), (CHILDREN, root)]


def test_event_comes_before_the_reply_that_shows_the_change(connect, root):
    watcher, writer = connect(), connect()
    watcher.get(root, watch=True)
    for n in range(200):
        writer.send(zk.SET_DATA, zk.ustr(root) + zk.buf(b"%d" % n) + zk.i32(-1))
        watcher.send(zk.GET_DATA, zk.ustr(root) + zk.boolean(True))
        reply = watcher.recv_reply()
        stat = zk.Reader(reply.body[4 + zk.Reader(reply.body).i32():]).stat()
        assert writer.recv_reply().err == 0
        # A reply that shows version v + 1 must be preceded by the event of the change.
        seen = len(watcher.events)
        watcher.events.clear()
        if stat.version == n + 1:
            assert seen == 1
        else:
            assert (stat.version, seen) == (n, 0)
            assert watcher.next_event().type == CHANGED
            watcher.get(root, watch=True)


def test_own_write_event_before_reply(connect, root):
    conn = connect()
    conn.get(root, watch=True)
    conn.children(root, watch=True)
    conn.send(zk.SET_DATA, zk.ustr(root) + zk.buf(b"x") + zk.i32(-1))
    conn.send(zk.CREATE, zk.create_request(root + "/c"))
    frames = [zk.Reader(conn.recv_frame()).i32() for _ in range(4)]
    assert frames == [-1, conn.xid - 1, -1, conn.xid]


def test_set_acl_fires_nothing(connect, root):
    watcher, writer = connect(), connect()
    watcher.get(root, watch=True)
    watcher.children(root, watch=True)
    watcher.add_watch(root, 1)
    writer.set_acl(root, [(zk.ALL, "world", "anyone")])
    assert watcher.drain_events() == []


def test_persistent_watch(connect, root):
    watcher, writer = connect(), connect()
    path = root + "/p"
    watcher.add_watch(path, 0)
    writer.create(path)
    writer.set(path, b"1")
    writer.set(path, b"1")
    writer.create(path + "/k")
    writer.set(path + "/k", b"below: no event")
    writer.delete(path + "/k")
    writer.delete(path)
    writer.create(path)
    assert watcher.drain_events() == [
        (CREATED, path), (CHANGED, path), (CHANGED, path), (CHILDREN, path), (CHILDREN, path),
        (DELETED, path), (CREATED, path)]


def test_persistent_recursive_watch(connect, root):
    watcher, writer = connect(), connect()
    watcher.add_watch(root, 1)
    writer.create(root + "/a")
    writer.create(root + "/a/b")
    writer.set(root + "/a/b", b"1")
    writer.set(root, b"1")
    writer.delete(root + "/a/b")
    writer.delete(root + "/a")
    assert watcher.drain_events() == [
        (CREATED, root + "/a"), (CREATED, root + "/a/b"), (CHANGED, root + "/a/b"),
        (CHANGED, root), (DELETED, root + "/a/b"), (DELETED, root + "/a")]


def test_recursive_watch_ignores_neighbours(connect, root):
    watcher, writer = connect(), connect()
    writer.create(root + "/a")
    watcher.add_watch(root + "/a", 1)
    writer.create(root + "/ab")             # shares the prefix, not the subtree
    writer.create(root + "/a/x")
    assert watcher.drain_events() == [(CREATED, root + "/a/x")]


def test_recursive_watch_on_the_root_of_the_tree(connect, root):
    watcher, writer = connect(), connect()
    watcher.add_watch("/", 1)
    writer.create(root + "/a")
    writer.delete(root + "/a")
    mine = [e for e in watcher.drain_events() if e[1].startswith(root)]
    assert mine == [(CREATED, root + "/a"), (DELETED, root + "/a")]


def test_recursive_and_child_watch_on_one_path(connect, root):
    watcher, writer = connect(), connect()
    watcher.add_watch(root, 1)
    watcher.children(root, watch=True)
    writer.create(root + "/a")
    assert watcher.drain_events() == [(CREATED, root + "/a"), (CHILDREN, root)]
    writer.create(root + "/b")
    assert watcher.drain_events() == [(CREATED, root + "/b")]


def test_several_modes_on_one_path(connect, root, server):
    """3.9: a one-shot watch beside a persistent one; 3.8: the later registration wins."""
    watcher, writer = connect(), connect()
    watcher.add_watch(root, 0)
    watcher.get(root, watch=True)
    writer.set(root, b"1")
    writer.set(root, b"2")
    both = [(CHANGED, root), (CHANGED, root)]
    assert watcher.drain_events() == (both[:1] if server.is_apache else both)


def test_remove_watches(connect, root, server):
    watcher, writer = connect(), connect()
    body = zk.ustr(root)
    children, data, any_, persistent, recursive = (body + zk.i32(t) for t in range(1, 6))
    for request in children, data, any_:
        assert watcher.err(zk.REMOVE_WATCHES, request) == zk.NOWATCHER
    watcher.get(root, watch=True)
    assert watcher.err(zk.CHECK_WATCHES, data) == 0
    assert watcher.err(zk.CHECK_WATCHES, children) == zk.NOWATCHER
    assert watcher.err(zk.CHECK_WATCHES, any_) == 0
    assert watcher.err(zk.REMOVE_WATCHES, data) == 0
    assert watcher.err(zk.REMOVE_WATCHES, data) == zk.NOWATCHER
    watcher.children(root, watch=True)
    assert watcher.err(zk.REMOVE_WATCHES, children) == 0
    watcher.add_watch(root, 0)
    if server.is_apache:
        assert watcher.err(zk.CHECK_WATCHES, persistent) == zk.MARSHALLINGERROR
    else:
        assert watcher.err(zk.CHECK_WATCHES, persistent) == 0
        assert watcher.err(zk.CHECK_WATCHES, recursive) == zk.NOWATCHER
        assert watcher.err(zk.CHECK_WATCHES, data) == zk.NOWATCHER
        watcher.add_watch(root, 1)
        assert watcher.err(zk.REMOVE_WATCHES, persistent) == 0
        assert watcher.err(zk.CHECK_WATCHES, recursive) == 0
        assert watcher.err(zk.REMOVE_WATCHES, recursive) == 0
        watcher.add_watch(root, 0)
    assert watcher.err(zk.REMOVE_WATCHES, any_) == 0
    writer.set(root, b"1")
    writer.create(root + "/a")
    assert watcher.drain_events() == []


def test_remove_watches_leaves_those_of_others(connect, root):
    one, two, writer = connect(), connect(), connect()
    one.get(root, watch=True)
    two.get(root, watch=True)
    assert one.err(zk.REMOVE_WATCHES, zk.ustr(root) + zk.i32(3)) == 0
    writer.set(root, b"1")
    assert one.drain_events() == []
    assert two.drain_events() == [(CHANGED, root)]


def test_set_watches_catches_up(connect, root):
    writer, watcher = connect(), connect()
    for name in ("same", "changed", "gone", "kids", "quiet"):
        writer.create(f"{root}/{name}")
    zxid = writer.ping()
    writer.set(root + "/changed", b"1")
    writer.delete(root + "/gone")
    writer.create(root + "/kids/k")
    writer.create(root + "/new")
    got = set_watches(
        watcher, zxid, data=[root + "/same", root + "/changed", root + "/gone"],
        exist=[root + "/new", root + "/never"],
        child=[root + "/kids", root + "/quiet", root + "/gone"])
    assert got == [(-1, CHANGED, root + "/changed"), (-1, DELETED, root + "/gone"),
                   (-1, CREATED, root + "/new"), (-1, CHILDREN, root + "/kids"),
                   (-1, DELETED, root + "/gone")]
    writer.set(root + "/changed", b"2")     # reported above, so no watch was left
    writer.set(root + "/same", b"1")
    writer.create(root + "/never")
    writer.create(root + "/quiet/q")
    assert watcher.drain_events() == [(CHANGED, root + "/same"), (CREATED, root + "/never"),
                                  (CHILDREN, root + "/quiet")]


def test_set_watches2_persistent(connect, root):
    writer, watcher = connect(), connect()
    writer.create(root + "/p")
    writer.create(root + "/r")
    assert set_watches(watcher, 0, persistent=[root + "/p"], recursive=[root + "/r"]) == []
    for _ in range(2):
        writer.set(root + "/p", b"1")
    writer.create(root + "/r/a")
    writer.create(root + "/p/a")
    assert watcher.drain_events() == [(CHANGED, root + "/p")] * 2 + [
        (CREATED, root + "/r/a"), (CHILDREN, root + "/p")]


def test_set_watches_null_vector(connect):
    conn = connect()
    body = zk.i64(0) + zk.vec(None, zk.ustr) + zk.vec([], zk.ustr) + zk.vec([], zk.ustr)
    assert conn.call(zk.SET_WATCHES, body, xid=-8).err == zk.MARSHALLINGERROR
    conn.ping()


def test_set_watches_of_many_paths(connect, root):
    """A reconnecting client sends tens of thousands of paths in frames of up to 128 KiB."""
    watcher, writer = connect(), connect()
    paths = [f"{root}/some-longer-name-{n:06d}" for n in range(3000)]
    assert set_watches(watcher, 1 << 40, exist=paths) == []
    writer.create(paths[0])
    writer.create(paths[-1])
    assert watcher.drain_events() == [(CREATED, paths[0]), (CREATED, paths[-1])]


def test_watches_go_with_the_connection(connect, root):
    watcher, writer = connect(), connect()
    watcher.get(root, watch=True)
    watcher.add_watch(root, 1)
    watcher.drop()
    again = connect(session=watcher.session)
    writer.set(root, b"1")
    assert again.drain_events() == []


def test_events_of_multi_in_order(connect, root):
    watcher, writer = connect(), connect()
    watcher.add_watch(root, 1)
    watcher.children(root, watch=True)
    writer.multi([(zk.CREATE, zk.create_request(root + "/a")),
                  (zk.SET_DATA, zk.ustr(root + "/a") + zk.buf(b"1") + zk.i32(-1)),
                  (zk.CREATE, zk.create_request(root + "/b")),
                  (zk.DELETE, zk.ustr(root + "/a") + zk.i32(-1))])
    got = watcher.drain_events()
    assert got.count((CHILDREN, root)) == 1
    assert got.index((CHILDREN, root)) == 1


def test_failed_multi_fires_nothing(connect, root):
    watcher, writer = connect(), connect()
    watcher.add_watch(root, 1)
    watcher.children(root, watch=True)
    results = writer.multi([(zk.CREATE, zk.create_request(root + "/a")),
                            (zk.DELETE, zk.ustr(root + "/none") + zk.i32(-1))])
    assert results == [("error", 0), ("error", zk.NONODE)]
    assert watcher.drain_events() == []


def test_event_is_filtered_by_acl(connect, root):
    """Without READ the event is dropped and the one-shot watch is consumed all the same."""
    owner, stranger = connect(), connect()
    assert owner.auth("digest", b"owner:pw") == 0
    path = root + "/secret"
    stranger.exists(path, watch=True)
    owner.create(path, acls=[(zk.ALL, "auth", "")])
    assert stranger.drain_events() == []
    owner.set_acl(path, zk.OPEN_ACL)
    owner.set(path, b"now readable")
    assert stranger.drain_events() == []
    stranger.exists(path, watch=True)
    owner.set(path, b"again")
    assert stranger.drain_events() == [(CHANGED, path)]


def test_session_end_fires_watches(connect, root):
    watcher, owner = connect(), connect()
    owner.create(root + "/e", flags=zk.EPHEMERAL)
    watcher.exists(root + "/e", watch=True)
    watcher.children(root, watch=True)
    owner.close()
    assert watcher.drain_events() == [(DELETED, root + "/e"), (CHILDREN, root)]


def test_thousand_watchers(connect, root):
    writer = connect()
    watchers = [connect() for _ in range(300)]
    for w in watchers:
        w.send(zk.ADD_WATCH, zk.ustr(root) + zk.i32(0))
    for w in watchers:
        assert w.recv_reply().err == 0
    writer.set(root, b"1")
    for w in watchers:
        event = w.next_event()
        assert (event.type, event.path) == (CHANGED, root)
