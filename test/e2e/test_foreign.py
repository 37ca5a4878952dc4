# SPDX-License-Identifier: Apache-2.0
"""Other people's clients on an ensemble whose members are killed, stopped and restarted: kazoo,
Apache's C and Java clients and its shell, Curator, Kafka. Without REEVE_E2E_LONG on Reeve's
servers only; with it on mixed ensembles, too, and longer.
"""
import collections
import itertools
import os
import random
import subprocess
import threading

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, NoNodeError

import ensemble
import harness
import kafka_env
import reconfig
import test_curator
from test_cclient import program      # noqa: F401  (a fixture)
from test_java import command         # noqa: F401  (a fixture)
from test_kafka import assert_all_there, numbered
from test_shell import Shell

LONG_S = float(os.environ.get("REEVE_E2E_LONG", "0"))
TROUBLE_S = LONG_S or 6.0
COMPOSITIONS = pytest.mark.parametrize("members", ["RRR", *(["ARR", "AAR", "RRA"] if LONG_S
                                                            else [])])


def hosts(e):
    return ",".join(m.hosts for m in e)


class Trouble(threading.Thread):
    """Members go and come back, one at a time, the leader as often as all others together."""

    def __init__(self, e, seed=1):
        super().__init__(daemon=True)
        self.e = e
        self.rng = random.Random(seed)
        self.over = threading.Event()
        self.done = collections.Counter()
        self.failure = None

    def run(self):
        try:
            while not self.over.is_set():
                leader = self.e.wait_leader()
                others = self.e.others(leader)
                m = leader if self.rng.random() < 0.5 else self.rng.choice(others)
                how = self.rng.choice(["kill", "stop", "pause"])
                getattr(m, how)()
                self.over.wait(self.rng.uniform(0.1, 0.6))
                m.resume() if how == "pause" else m.start()
                self.e.wait_serving()
                self.done[how] += 1
                self.over.wait(self.rng.uniform(0.2, 0.5))
        except Exception as error:      # told by stop()
            self.failure = error

    def stop(self):
        self.over.set()
        self.join(90)
        assert not self.is_alive()
        if self.failure:
            raise AssertionError(f"the ensemble after {self.done}") from self.failure
        assert sum(self.done.values()) >= 2, self.done


def in_trouble(e, work, count):
    """Runs work(n, over) in `count` threads while members go and come back, then raises what any
    of them raised."""
    over, failures = threading.Event(), []

    def run(n):
        try:
            work(n, over)
        except Exception as error:
            failures.append((n, error))
            raise

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
    trouble = Trouble(e)
    for t in [*threads, trouble]:
        t.start()
    over.wait(TROUBLE_S)
    over.set()
    trouble.stop()
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads), "a client hangs"
    assert not failures, failures


def kazoo(e):
    retry = {"max_tries": -1, "delay": 0.02, "max_delay": 0.2}
    c = KazooClient(hosts=hosts(e), timeout=15, connection_retry=retry, command_retry=retry)
    c.start(timeout=15)
    return c


@pytest.mark.filterwarnings("ignore:isSet:DeprecationWarning")
@COMPOSITIONS
def test_kazoo_recipes(make_ensemble, members):
    """A lock keeps two from counting at once; elections have one winner; watches end at the last
    value; what was put into a queue comes out of it."""
    e = make_ensemble(members).start(leader=3)
    first = kazoo(e)
    for path in ("/count", "/last", "/queue"):
        first.create(path, b"0")
    counted, inside, wins, put, got = itertools.count(), [], [], set(), set()
    seen = collections.defaultdict(list)

    def counter(c, over):
        lock = c.Lock("/lock", "counter")
        while not over.is_set():
            with lock:
                inside.append(1)
                assert len(inside) == 1, "two hold the lock"
                value = int(c.retry(c.get, "/count")[0])
                c.retry(c.set, "/count", b"%d" % (value + 1))
                next(counted)
                inside.pop()

    def candidate(c, over):
        leading = []

        def lead():
            wins.append(1)
            leading.append(1)
            over.wait(0.02)
        while not over.is_set():
            c.Election("/election").run(lead)
        assert leading

    def watcher(n, c, over):
        c.DataWatch("/last")(lambda data, stat: seen[n].append(int(data)) if data else None)
        over.wait()
        harness.poll_until(lambda: seen[n] and seen[n][-1] == last[0], 30,
                           lambda: f"{seen[n][-3:]}, but {last} was written")
        assert seen[n] == sorted(seen[n]), "a watch went back in time"

    last = [0]

    def producer(c, over):
        while not over.is_set():
            last[0] += 1
            c.retry(c.set, "/last", b"%d" % last[0])
            c.retry(c.LockingQueue("/queue").put, b"%d" % last[0])
            put.add(last[0])

    def consumer(c, over):
        queue = c.LockingQueue("/queue")
        empty = 0
        while not over.is_set() or not empty:
            try:
                value = queue.get(timeout=0.5)
                empty = 0 if value else 1
                if value:
                    got.add(int(value))
                    queue.consume()
            except ConnectionLoss:      # the recipe leaves it to its user
                pass
            except NoNodeError:         # consumed by the try before
                queue = c.LockingQueue("/queue")

    works = [counter, counter, candidate, candidate, lambda c, o: watcher(0, c, o),
             lambda c, o: watcher(1, c, o), producer, consumer]

    def work(n, over):
        c = kazoo(e)
        session = c.client_id[0]
        try:
            works[n](c, over)
            assert c.client_id[0] == session, "a session was lost"
        finally:
            c.stop()
            c.close()

    try:
        in_trouble(e, work, len(works))
        first.sync("/count")
        assert int(first.get("/count")[0]) == next(counted) > 20
        assert len(wins) > 4
        # What the consumer had locked when an answer to the recipe was lost stays for another one.
        left = {int(first.get("/queue/entries/" + name)[0])
                for name in first.get_children("/queue/entries")}
        assert put <= got | left, f"lost from the queue: {sorted(put - got - left)} of {len(put)}"
        assert len(got) > 20 > len(left)
    finally:
        first.stop()
        first.close()
    e.wait_equal()


@COMPOSITIONS
def test_c_client_at_each_member(make_ensemble, program, members):    # noqa: F811
    e = make_ensemble(members, config={"znode.container.checkIntervalMs": 200}).start(leader=3)
    scenarios = ["crud", "types", "watches", "multi", "acl", "session", "pipeline"]
    for m, scenario in (itertools.product(e, scenarios) if LONG_S
                        else zip(itertools.cycle(e), scenarios)):
        root = f"/c-{m.sid}-{scenario}"
        with ensemble.connect(m) as c:
            c.create(root)
        done = subprocess.run([program, m.hosts, root, scenario], capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, f"{m} {scenario}: {done.stdout}{done.stderr}"
    e.wait_equal()


def holder(e, session):
    """The member that a session's connection is at."""
    return harness.poll_until(lambda: next(
        (m for m in e if m.up() and f"sid=0x{session:x}" in harness.four_letter(m.port, "cons")),
        None), 10, "the session's server")


def owner_of(e, path):
    with ensemble.connect(e.wait_leader()) as c:
        return c.exists(path).ephemeral_owner


@COMPOSITIONS
@pytest.mark.parametrize("client", ["c", "java"])
def test_a_session_moves_on_when_its_server_is_killed(make_ensemble, request, members, client):
    """Session, ephemeral and watches go to another server, each time another one dies."""
    argv = ([request.getfixturevalue("program")] if client == "c"
            else request.getfixturevalue("command"))
    e = make_ensemble(members).start(leader=3)
    for n in range(3 if LONG_S or client == "c" else 1):
        root = f"/r{n}"
        with ensemble.connect(e.wait_leader()) as c:
            c.create(root)
        with subprocess.Popen([*argv, hosts(e), root, "restart"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
            try:
                line = p.stdout.readline()
                assert line == "ready\n", line + p.stdout.read()
                m = holder(e, owner_of(e, root + ("/e" if client == "c" else "/restart/e")))
                m.kill()
                out, _ = p.communicate("go on\n", timeout=60)
                assert p.returncode == 0, out
            finally:
                p.kill()
        m.start()
        e.wait_serving()
    e.wait_equal()


# -- the shell

def test_shell_changes_the_membership(make_ensemble):
    """`config`, `config -w`, `reconfig -add`, `-remove`, `-members`, as an operator types them."""
    e = make_ensemble("RRR", client_in_server_line=True, config=reconfig.CONFIG).start(leader=3)
    shell = Shell(e[1].port)
    other = Shell(e[2].port)
    try:
        lines = reconfig.config_of(e[1])
        assert shell.run("config") == lines
        assert shell.run("config -c")[0].startswith(f"{reconfig.version(lines):x} ")
        assert other.run("config -w") == lines
        new = reconfig.join(e, "reeve" if harness.KIND == "reeve" else "apache", "observer")
        reconfig.wait_mode(e, new, "observer", "follower")
        refused = shell.run("reconfig -add " + reconfig.line(e, new))
        assert refused[-1].startswith(("Authentication is not valid", "Insufficient permission"))
        shell.run("addauth digest super:secret")
        out = shell.run("reconfig -add " + reconfig.line(e, new))
        assert reconfig.line(e, new) in out, out
        other.wait_event("NodeDataChanged", ensemble.CONFIG_NODE)
        harness.poll_until(lambda: new.mode() == "observer", 20, "it observes")
        version = reconfig.version(reconfig.config_of(e[1]))
        out = shell.run(f"reconfig -v {version + 1:x} -remove 4")
        assert "version No is not valid" in out[-1], out
        out = shell.run(f"reconfig -v {version:x} -remove 4,1")
        assert reconfig.sids([x for x in out if "=" in x]) == [2, 3], out
        shell.run("addauth digest super:secret")
        whole = ",".join(reconfig.line(e, e[n]) for n in (1, 2, 3))
        out = shell.run("reconfig -members " + whole)
        assert reconfig.sids([x for x in out if "=" in x]) == [1, 2, 3], out
        reconfig.drop_member(e, new)
        e.wait_serving()
    finally:
        shell.close()
        other.close()
    e.wait_equal()


# -- Curator

RECIPES = ("mutex_excludes", "rwlock", "leader_latch", "queue_simple", "restart")


def test_curator_recipes(make_ensemble, tmp_path):
    """Scenarios with their clients over three servers; where one asks for a restart, the leader
    is killed."""
    e = make_ensemble(config={"znode.container.checkIntervalMs": 200}).start(leader=3)
    names = [n for n in test_curator.NAMES if LONG_S or any(r in n for r in RECIPES)]
    assert len(names) > 5
    class_path = test_curator.compile_scenarios(tmp_path / "classes")
    log = tmp_path / "scenarios.log"

    class Leader:
        """What run_scenarios restarts."""
        @staticmethod
        def restart(kill):
            assert kill
            m = e.wait_leader()
            m.kill()
            e.wait_leader(e.others(m))
            m.start()
            e.wait_serving()

    with log.open("w", encoding="utf-8") as err:
        process = subprocess.Popen(
            [*kafka_env.LAUNCHER, *harness.JAVA, "-Xmx256m",
             f"-Dexists.needs.read={'false' if e[1].is_apache else 'true'}",
             "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", class_path, "Scenarios",
             hosts(e), *names],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True)
    watchdog = threading.Timer(test_curator.RUN_S, process.kill)
    watchdog.start()
    try:
        found = test_curator.run_scenarios(process, Leader)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    assert sorted(found) == sorted(names), kafka_env.tail(log, 60)
    bad = {name: why for name, why in found.items() if why}
    assert not bad, f"{bad}\n{kafka_env.tail(log, 60)}"
    e.wait_equal()


# -- Kafka

class Hosts:
    """What a Kafka cluster wants to know of its ZooKeeper."""

    def __init__(self, e):
        self.hosts = hosts(e)


@COMPOSITIONS
def test_kafka_outlives_the_leader(make_ensemble, tmp_path, members):
    """The leader is killed under three brokers: registrations stay, messages and topics go on."""
    kafka_env.need_programs(java="default-jre-headless", kcat="kcat", setpriv="util-linux")
    e = make_ensemble(members).start(leader=3)
    cluster = kafka_env.Cluster(tmp_path, Hosts(e))
    try:
        cluster.start()
        cluster.create_topic("lasting", partitions=2, replication=2)
        sent = cluster.produce("lasting", numbered(0, 200))
        owners = {n: b.registration()[1] for n, b in cluster.brokers.items()}
        for n in range(2):
            m = e.wait_leader()
            m.kill()
            sent += cluster.produce("lasting", numbered(200 + 100 * n, 100))
            e.wait_leader(e.others(m))
            cluster.create_topic(f"topic-{n}", partitions=2, replication=2)
            m.start()
            e.wait_serving()
        assert {n: b.registration()[1] for n, b in cluster.brokers.items()} == owners
        assert_all_there(cluster, "lasting", sent)
        doomed = next(n for n in cluster.brokers if n != cluster.controller())
        cluster.brokers[doomed].kill()
        kafka_env.wait_for("the dead broker's node goes",
                           lambda: cluster.brokers[doomed].registration() is None)
    finally:
        cluster.stop()
    e.wait_equal()
