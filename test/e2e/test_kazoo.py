# SPDX-License-Identifier: Apache-2.0
"""What a user of kazoo (Debian's python3-kazoo) does in a day."""
import threading

import pytest
from kazoo import exceptions, security
from kazoo.client import KazooClient, KazooState
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.recipe.watchers import PatientChildrenWatch

import harness

WAIT_S = 10


def client(port, timeout=10.0, **more):
    more.setdefault("connection_retry", {"max_tries": -1, "delay": 0.02, "max_delay": 0.1})
    more.setdefault("command_retry", {"max_tries": -1, "delay": 0.02, "max_delay": 0.1})
    return KazooClient(hosts=f"127.0.0.1:{port}", timeout=timeout, **more)


@pytest.fixture
def clients(server):
    """clients(): started clients of the shared server, stopped at the end."""
    opened = []

    def make(port=server.port, **more):
        c = client(port, **more)
        c.start(timeout=WAIT_S)
        opened.append(c)
        return c

    yield make
    for c in opened:
        try:
            c.stop()
        finally:
            c.close()


@pytest.fixture
def k(clients):
    return clients()


def wait_for(event, what):
    assert event.wait(WAIT_S), f"no {what} within {WAIT_S} s"


# -- data

def test_crud(k, root):
    path = root + "/node"
    assert k.create(path, b"one") == path
    data, stat = k.get(path)
    assert (data, stat.version, stat.dataLength, stat.numChildren) == (b"one", 0, 3, 0)
    assert k.exists(path).czxid == stat.czxid
    assert k.set(path, b"two").version == 1
    with pytest.raises(exceptions.BadVersionError):
        k.set(path, b"three", version=0)
    with pytest.raises(exceptions.BadVersionError):
        k.delete(path, version=7)
    k.delete(path, version=1)
    assert k.exists(path) is None


def test_errors(k, root):
    with pytest.raises(exceptions.NoNodeError):
        k.get(root + "/none")
    with pytest.raises(exceptions.NoNodeError):
        k.get_children(root + "/none")
    with pytest.raises(exceptions.NoNodeError):
        k.create(root + "/none/below")
    with pytest.raises(exceptions.NodeExistsError):
        k.create(root)
    k.create(root + "/a/b/c", makepath=True)
    with pytest.raises(exceptions.NotEmptyError):
        k.delete(root + "/a")
    k.create(root + "/e", ephemeral=True)
    with pytest.raises(exceptions.NoChildrenForEphemeralsError):
        k.create(root + "/e/k")


def test_makepath_and_recursive_delete(k, root):
    k.ensure_path(root + "/a/b/c/d")
    k.create(root + "/x/y/z", b"deep", makepath=True)
    assert k.get(root + "/x/y/z")[0] == b"deep"
    k.delete(root + "/a", recursive=True)
    assert sorted(k.get_children(root)) == ["x"]


def test_sequential_and_ephemeral(clients, root):
    one, two = clients(), clients()
    assert one.create(root + "/s-", sequence=True) == root + "/s-0000000000"
    assert one.create(root + "/s-", sequence=True, ephemeral=True) == root + "/s-0000000001"
    assert two.exists(root + "/s-0000000001").ephemeralOwner == one.client_id[0]
    one.stop()
    assert two.get_children(root) == ["s-0000000000"]


def test_create_with_stat(k, root):
    path, stat = k.create(root + "/n", b"12", include_data=True)
    assert (path, stat.version, stat.dataLength) == (root + "/n", 0, 2)
    children, stat = k.get_children(root, include_data=True)
    assert (children, stat.numChildren, stat.cversion) == (["n"], 1, 1)


def test_unicode(k, root):
    path = root + "/Käse-中文-ñ"
    k.create(path, "données".encode())
    assert k.get_children(root) == ["Käse-中文-ñ"]
    assert k.get(path)[0].decode() == "données"
    k.delete(path)


def test_empty_and_large_data(k, root):
    k.create(root + "/empty")
    assert k.get(root + "/empty")[0] == b""
    big = bytes(range(256)) * 4000                 # 1,024,000 bytes
    k.create(root + "/big", big)
    assert k.get(root + "/big")[0] == big
    k.set(root + "/big", big[::-1])
    assert k.get(root + "/big")[0] == big[::-1]


def test_large_child_list(k, root):
    """20,000 names of 60 characters: a reply of 1.3 MB."""
    names = [f"{'n' * 52}{i:08d}" for i in range(20000)]
    for start in range(0, len(names), 2000):
        transaction = k.transaction()
        for name in names[start:start + 2000]:
            transaction.create(f"{root}/{name}")
        assert all(not isinstance(r, Exception) for r in transaction.commit())
    assert sorted(k.get_children(root)) == names
    results = [k.delete_async(f"{root}/{name}") for name in names]
    for r in results:
        r.get(timeout=WAIT_S * 3)
    assert k.get_children(root) == []


def test_async_pipeline(k, root):
    results = [k.create_async(f"{root}/n{i}", b"%d" % i) for i in range(1000)]
    assert [r.get(timeout=WAIT_S) for r in results] == [f"{root}/n{i}" for i in range(1000)]
    results = [k.get_async(f"{root}/n{i}") for i in range(1000)]
    assert [r.get(timeout=WAIT_S)[0] for r in results] == [b"%d" % i for i in range(1000)]


def test_sync_and_command(k, root):
    assert k.sync(root) == root
    assert k.command(b"ruok") == "imok"
    assert k.server_version()[0] == 3


def test_transaction(k, root):
    t = k.transaction()
    t.create(root + "/a", b"1")
    t.check(root, version=0)
    t.set_data(root + "/a", b"2")
    t.delete(root + "/a", version=1)
    t.create(root + "/b", ephemeral=True)
    results = t.commit()
    assert results[0] == root + "/a"
    assert results[1] is True and results[3] is True
    assert results[2].version == 1
    assert k.get_children(root) == ["b"]
    t = k.transaction()
    t.create(root + "/c")
    t.delete(root + "/none")
    t.create(root + "/d")
    results = t.commit()
    assert [type(r) for r in results] == [
        exceptions.RolledBackError, exceptions.NoNodeError, exceptions.RuntimeInconsistency]
    assert k.get_children(root) == ["b"]


# -- security

def test_digest_acl(clients, root):
    owner, other = clients(), clients()
    owner.add_auth("digest", "user:secret")
    acl = security.make_digest_acl("user", "secret", all=True)
    owner.create(root + "/locked", b"x", acl=[acl])
    assert owner.get(root + "/locked")[0] == b"x"
    for call in (lambda: other.get(root + "/locked"), lambda: other.set(root + "/locked", b""),
                 lambda: other.get_children(root + "/locked"),
                 lambda: other.create(root + "/locked/k"),
                 lambda: other.set_acls(root + "/locked", security.OPEN_ACL_UNSAFE),
                 lambda: other.get_acls(root + "/locked")):
        with pytest.raises(exceptions.NoAuthError):
            call()
    other.add_auth("digest", "user:secret")
    assert other.get(root + "/locked")[0] == b"x"
    assert owner.get_acls(root + "/locked")[0] == [acl]
    owner.set_acls(root + "/locked", security.READ_ACL_UNSAFE)
    assert owner.get_acls(root + "/locked")[1].aversion == 1


def test_creator_acl_and_default_acl(clients, root):
    c = clients(auth_data=[("digest", "a:b")], default_acl=[security.CREATOR_ALL_ACL[0]])
    c.create(root + "/mine")
    acls, _ = c.get_acls(root + "/mine")
    assert acls == [security.make_digest_acl("a", "b", all=True)]
    with pytest.raises(exceptions.NoAuthError):
        clients().get(root + "/mine")


def test_invalid_acl_and_bad_scheme(k, clients, root):
    with pytest.raises(exceptions.InvalidACLError):
        k.create(root + "/x", acl=[security.make_acl("auth", "", all=True)])
    with pytest.raises(exceptions.AuthFailedError):
        clients().add_auth("nonsense", "x")


# -- watches

def test_plain_watches(clients, root):
    watcher, writer = clients(), clients()
    events, arrived = [], threading.Semaphore(0)

    def on_event(event):
        events.append((event.type, event.path))
        arrived.release()

    watcher.exists(root + "/n", watch=on_event)
    watcher.get_children(root, watch=on_event)
    writer.create(root + "/n")
    for _ in range(2):
        assert arrived.acquire(timeout=WAIT_S)
    watcher.get(root + "/n", watch=on_event)
    writer.set(root + "/n", b"1")
    assert arrived.acquire(timeout=WAIT_S)
    watcher.get(root + "/n", watch=on_event)
    writer.delete(root + "/n")
    assert arrived.acquire(timeout=WAIT_S)
    assert events == [("CREATED", root + "/n"), ("CHILD", root), ("CHANGED", root + "/n"),
                      ("DELETED", root + "/n")]


def test_data_watch(clients, root):
    watcher, writer = clients(), clients()
    seen, changed = [], threading.Semaphore(0)

    @watcher.DataWatch(root + "/n")
    def on_data(data, stat):
        seen.append(data)
        changed.release()

    def step(action):
        action()
        assert changed.acquire(timeout=WAIT_S)

    step(lambda: None)
    step(lambda: writer.create(root + "/n", b"1"))
    step(lambda: writer.set(root + "/n", b"2"))
    step(lambda: writer.delete(root + "/n"))
    step(lambda: writer.create(root + "/n", b"3"))
    assert seen == [None, b"1", b"2", None, b"3"]


def test_children_watch(clients, root):
    watcher, writer = clients(), clients()
    seen, changed = [], threading.Semaphore(0)

    @watcher.ChildrenWatch(root)
    def on_children(children):
        seen.append(sorted(children))
        changed.release()

    assert changed.acquire(timeout=WAIT_S)
    for name in ("a", "b"):
        writer.create(f"{root}/{name}")
        assert changed.acquire(timeout=WAIT_S)
    writer.delete(root + "/a")
    assert changed.acquire(timeout=WAIT_S)
    assert seen == [[], ["a"], ["a", "b"], ["b"]]


def test_patient_children_watch(k, root):
    k.create(root + "/a")
    result = PatientChildrenWatch(k, root, time_boundary=0.1).start()
    children, changed = result.get(timeout=WAIT_S)
    assert children == ["a"]
    k.create(root + "/b")
    changed.get(timeout=WAIT_S)


# -- recipes

def in_threads(functions):
    """Runs all at once; the first failure is raised here."""
    failures = []

    def run(f):
        try:
            f()
        except Exception as e:      # noqa: BLE001 - handed on to the test's thread
            failures.append(e)

    threads = [threading.Thread(target=run, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join(WAIT_S * 3)
        assert not t.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


def test_lock(clients, root):
    inside, most, done = [], [], []

    def worker(c, n):
        for _ in range(5):
            with c.Lock(root + "/lock", f"worker-{n}"):
                inside.append(n)
                most.append(len(inside))
                inside.remove(n)
                done.append(n)

    cs = [clients() for _ in range(4)]
    in_threads([lambda c=c, n=n: worker(c, n) for n, c in enumerate(cs)])
    assert max(most) == 1
    assert len(done) == 20


def test_lock_of_a_dead_holder_is_released(clients, root):
    holder, waiter = clients(timeout=1.0), clients()
    assert holder.Lock(root + "/lock", "holder").acquire(timeout=WAIT_S)
    assert waiter.Lock(root + "/lock").contenders() == ["holder"]
    lock = waiter.Lock(root + "/lock", "waiter")
    assert not lock.acquire(blocking=False)
    holder.stop()
    assert lock.acquire(timeout=WAIT_S)
    lock.release()


def test_read_and_write_locks(clients, root):
    one, two, three = clients(), clients(), clients()
    path = root + "/rw"
    r1, r2, w = one.ReadLock(path), two.ReadLock(path), three.WriteLock(path)
    assert r1.acquire(timeout=WAIT_S) and r2.acquire(timeout=WAIT_S)
    assert not w.acquire(blocking=False)
    r1.release()
    r2.release()
    assert w.acquire(timeout=WAIT_S)
    assert not r1.acquire(blocking=False)
    w.release()


def test_semaphore(clients, root):
    cs = [clients() for _ in range(3)]
    semaphores = [c.Semaphore(root + "/sem", max_leases=2) for c in cs]
    assert semaphores[0].acquire(timeout=WAIT_S) and semaphores[1].acquire(timeout=WAIT_S)
    assert not semaphores[2].acquire(blocking=False)
    semaphores[0].release()
    assert semaphores[2].acquire(timeout=WAIT_S)
    semaphores[1].release()
    semaphores[2].release()


def test_election(clients, root):
    first, second = clients(), clients()
    order, lead, go_on = [], threading.Event(), threading.Event()

    def be_first():
        order.append("first")
        lead.set()
        wait_for(go_on, "permission to resign")

    t1 = threading.Thread(target=first.Election(root + "/e", "first").run, args=(be_first,))
    t1.start()
    wait_for(lead, "first leader")
    t2 = threading.Thread(target=second.Election(root + "/e", "second").run,
                          args=(lambda: order.append("second"),))
    t2.start()
    harness.poll_until(lambda: len(first.Election(root + "/e").contenders()) == 2, WAIT_S,
                       "two contenders")
    go_on.set()
    for t in t1, t2:
        t.join(WAIT_S)
        assert not t.is_alive()
    assert order == ["first", "second"]


def test_barrier(clients, root):
    one, two = clients(), clients()
    barrier = one.Barrier(root + "/b")
    barrier.create()
    assert not two.Barrier(root + "/b").wait(0.05)
    passed = threading.Event()
    t = threading.Thread(target=lambda: two.Barrier(root + "/b").wait(WAIT_S) and passed.set())
    t.start()
    barrier.remove()
    wait_for(passed, "passage")
    t.join()


def test_double_barrier(clients, root):
    cs = [clients() for _ in range(3)]
    inside = []

    def member(c):
        barrier = c.DoubleBarrier(root + "/db", num_clients=3)
        barrier.enter()
        inside.append(1)
        barrier.leave()
        assert len(inside) == 3

    in_threads([lambda c=c: member(c) for c in cs])


def test_queue(clients, root):
    producer, consumer = clients(), clients()
    queue = producer.Queue(root + "/q")
    for n in range(20):
        queue.put(b"%d" % n)
    queue.put(b"first", priority=1)
    other = consumer.Queue(root + "/q")
    assert other.get() == b"first"
    assert [other.get() for _ in range(20)] == [b"%d" % n for n in range(20)]
    assert other.get() is None


def test_locking_queue(clients, root):
    producer, consumer = clients(), clients()
    queue = producer.LockingQueue(root + "/lq")
    queue.put_all([b"a", b"b"])
    other = consumer.LockingQueue(root + "/lq")
    assert other.get(WAIT_S) == b"a"
    assert other.get(WAIT_S) == b"a"        # held until it is consumed
    assert other.consume()
    assert other.get(WAIT_S) == b"b"
    other.release()
    assert queue.get(WAIT_S) == b"b"
    assert queue.consume()


def test_counter(clients, root):
    cs = [clients() for _ in range(4)]

    def add(c):
        counter = c.Counter(root + "/c")
        for _ in range(10):
            counter += 1

    in_threads([lambda c=c: add(c) for c in cs])
    assert cs[0].Counter(root + "/c").value == 40


def test_party(clients, root):
    one, two = clients(), clients()
    p1, p2 = one.Party(root + "/p", "one"), two.ShallowParty(root + "/sp", "two")
    p1.join()
    two.Party(root + "/p", "two").join()
    p2.join()
    assert sorted(p1) == ["one", "two"]
    assert len(p2) == 1
    two.stop()
    harness.poll_until(lambda: sorted(p1) == ["one"], WAIT_S, "member gone")


def test_set_partitioner(clients, root):
    one, two = clients(), clients()
    kw = {"set": ("a", "b", "c", "d"), "time_boundary": 0.1}
    parts = [c.SetPartitioner(root + "/sp", identifier=name, **kw)
             for c, name in ((one, "one"), (two, "two"))]

    def settled():
        for p in parts:
            if p.release:
                p.release_set()
        return all(p.acquired for p in parts) and sorted(sum(map(list, parts), [])) == list("abcd")

    harness.poll_until(settled, WAIT_S, "a partition of the set")
    assert sorted(len(list(p)) for p in parts) == [2, 2]
    for p in parts:
        p.finish()


def test_tree_cache(clients, root):
    writer, reader = clients(), clients()
    writer.create(root + "/a", b"1")
    cache = TreeCache(reader, root)
    ready = threading.Event()
    cache.listen(lambda e: ready.set() if e.event_type == TreeEvent.INITIALIZED else None)
    cache.start()
    wait_for(ready, "initialised cache")
    assert cache.get_data(root + "/a").data == b"1"
    writer.set(root + "/a", b"2")
    writer.create(root + "/b/c", b"3", makepath=True)
    harness.poll_until(lambda: cache.get_data(root + "/a").data == b"2", WAIT_S, "new data")
    harness.poll_until(lambda: cache.get_data(root + "/b/c") is not None, WAIT_S, "new node")
    writer.delete(root + "/a")
    harness.poll_until(lambda: cache.get_data(root + "/a") is None, WAIT_S, "deleted node")
    assert cache.get_children(root) == frozenset(["b"])
    cache.close()


def test_lease(clients, root):
    import datetime
    one, two = clients(), clients()
    span = datetime.timedelta(seconds=60)
    assert one.NonBlockingLease(root + "/l", span, "one")
    assert not two.NonBlockingLease(root + "/l", span, "two")


# -- connection and session

def test_chroot(server, k, clients, root):
    c = client(server.port)
    c.chroot = root
    c.start(timeout=WAIT_S)
    c.create("/inside", b"x")
    assert k.get(root + "/inside")[0] == b"x"
    assert c.get_children("/") == ["inside"]
    c.stop()
    c.close()


def test_many_clients(clients, root):
    cs = [clients() for _ in range(20)]
    results = [c.create_async(root + "/n-", ephemeral=True, sequence=True)
               for c in cs for _ in range(10)]
    names = {r.get(timeout=WAIT_S) for r in results}
    assert len(names) == 200
    assert {n.rsplit("-", 1)[1] for n in names} == {f"{i:010d}" for i in range(200)}


@pytest.mark.parametrize("kill", [True, False], ids=["kill", "stop"])
def test_server_restart(make_server, kill):
    """The session, its ephemerals, watches (DataWatch) and auth outlive the server process."""
    server = make_server({"tickTime": 500})
    c = client(server.port, timeout=10.0)
    states, back = [], threading.Semaphore(0)

    def on_state(state):
        states.append(state)
        if state == KazooState.CONNECTED:
            back.release()

    c.add_listener(on_state)
    c.start(timeout=WAIT_S)
    assert back.acquire(timeout=WAIT_S)
    c.add_auth("digest", "u:p")
    c.create("/kept", b"1", acl=[security.make_digest_acl("u", "p", all=True)])
    c.create("/e", ephemeral=True)
    seen, changed = [], threading.Semaphore(0)

    @c.DataWatch("/e")
    def on_data(data, stat):
        seen.append(data)
        changed.release()

    assert changed.acquire(timeout=WAIT_S)
    sid = c.client_id[0]
    server.restart(kill=kill)
    assert back.acquire(timeout=WAIT_S)
    assert states == [KazooState.CONNECTED, KazooState.SUSPENDED, KazooState.CONNECTED]
    assert c.client_id[0] == sid
    assert c.get("/kept")[0] == b"1"
    assert c.exists("/e").ephemeralOwner == sid
    c.set("/e", b"after")
    harness.poll_until(lambda: seen[-1] == b"after", WAIT_S, "the watch to work again")
    c.stop()
    c.close()
    other = client(server.port)
    other.start(timeout=WAIT_S)
    assert other.exists("/e") is None
    other.stop()
    other.close()


def test_session_lost_by_expiry(make_server):
    """A client that is away for longer than its timeout is told, and its ephemerals are gone."""
    server = make_server({"tickTime": 200})
    c = client(server.port, timeout=1.0)
    states, lost = [], threading.Event()

    def on_state(state):
        states.append(state)
        if state == KazooState.LOST:
            lost.set()

    c.add_listener(on_state)
    c.start(timeout=WAIT_S)
    c.create("/e", ephemeral=True)
    sid = c.client_id[0]
    server.kill()
    # Start again on another port, where the client cannot come back in time.
    port, server.port = server.port, harness.free_port()
    server.start()
    other = client(server.port)
    other.start(timeout=WAIT_S)
    harness.poll_until(lambda: other.exists("/e") is None, WAIT_S, "expiry")
    server.stop()
    server.port = port
    server.start()
    wait_for(lost, "LOST")
    harness.poll_until(lambda: c.client_id and c.client_id[0] not in (0, sid), WAIT_S,
                       "a new session")
    for each in (c, other):
        each.stop()
        each.close()


def test_stop_and_restart_of_the_client(k, root):
    k.create(root + "/e", ephemeral=True)
    k.restart()
    assert k.exists(root + "/e") is None
    k.create(root + "/e", ephemeral=True)
