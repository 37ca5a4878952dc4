# SPDX-License-Identifier: Apache-2.0
"""Discovery, Dubbo's registry and shared partitions (cprog/naming.c) against Reeve and Apache, and
beside those whose layouts they are: Curator's own classes, Kafka 0.9's consumer, and readers here
that take nothing but what Curator and Dubbo write.
"""
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import time
import urllib.parse

import pytest
from kazoo.client import KazooClient

import harness
import kafka_env
import recipes
import zk

CURATOR_JARS = recipes.CURATOR_JARS | dict.fromkeys(
    ("curator-x-discovery.jar", "jackson-core.jar", "jackson-databind.jar",
     "jackson-annotations.jar"), "libcurator-discovery-java")
FIELDS = ["name", "id", "address", "port", "sslPort", "payload", "registrationTimeUTC",
          "serviceType", "uriSpec"]


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    return recipes.c_program("naming", tmp_path_factory.mktemp("naming"))


class Talker:
    """A program that takes lines and says lines."""

    def __init__(self, argv, err=subprocess.DEVNULL):
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=err, text=True)
        self.lines = queue.Queue()
        self.seen = []
        self.kept = []  # read, and not heard yet
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.proc.stdout:
            self.lines.put(line.rstrip("\n"))

    def say(self, line):
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()

    def hear(self, first, timeout_s=20):
        """The rest of the next line that begins with this word; others before it are kept: a
        callback may speak before the answer to what caused it."""
        end = time.monotonic() + timeout_s
        for i, (word, rest) in enumerate(self.kept):
            if word == first:
                del self.kept[i]
                return rest
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {first!r} in time; said: {self.seen}") from None
            self.seen.append(line)
            word, _, rest = line.partition(" ")
            if word == first:
                return rest
            self.kept.append((word, rest))

    def ask(self, line, first):
        self.say(line)
        return self.hear(first)

    def end(self):
        """The input ends; the program must say so with exit code 0."""
        self.proc.stdin.close()
        code = self.proc.wait(20)
        err = self.proc.stderr.read() if self.proc.stderr else ""
        assert code == 0, (self.seen, err)


class Naming(Talker):
    def __init__(self, program, hosts):
        super().__init__([*kafka_env.LAUNCHER, program, hosts], subprocess.PIPE)
        assert self.hear("connected") == "OK"

    def __enter__(self):
        return self

    def __exit__(self, what, *_):
        if what is None:
            self.end()
        else:
            self.proc.kill()


@pytest.fixture(params=recipes.PAIR)
def place(request, make_server):
    """A server of each kind, and a client of another family on it."""
    server = make_server({"tickTime": 500, "maxSessionTimeout": 60000,
                          "znode.container.checkIntervalMs": 200}, kind=request.param)
    eye = KazooClient(hosts=server.hosts, timeout=10)
    eye.start(timeout=15)
    server.eye = eye
    yield server
    eye.stop()
    eye.close()


def read_instance(data):
    """As Curator's JsonInstanceSerializer writes them, and nothing else."""
    instance = json.loads(data)
    assert list(instance) == FIELDS
    assert json.dumps(instance, separators=(",", ":"), ensure_ascii=False).encode() == data
    assert instance["serviceType"] in ("DYNAMIC", "STATIC", "PERMANENT", "DYNAMIC_SEQUENTIAL")
    for part in (instance["uriSpec"] or {"parts": []})["parts"]:
        assert list(part) == ["value", "variable"]
    return instance


def lose_session(hosts, c):
    """Ends the session of another program: takes it up and closes it in one breath, since the other
    is back at once, which throws this one out again."""
    number, passwd = c.ask("session", "session").split()
    session = int(number), bytes.fromhex(passwd)

    def over():
        thief = zk.Conn(int(hosts.rpartition(":")[2]), handshake=False)
        try:
            thief.send_raw(zk.frame(zk.connect_request(10000, *session)) +
                           zk.frame(zk.i32(1) + zk.i32(zk.CLOSE_SESSION)))
            if thief.read_connect_response() == 0:
                return True  # there is no such session any more
            thief.expect_close()
        except (zk.Closed, AssertionError):
            pass  # the answer to the close, or thrown out
        finally:
            thief.drop()
        return False

    harness.poll_until(over, 15, "the session is closed")


def test_instances_as_curator_writes_them(program, place):
    path = "/services/shop/c-1"
    with Naming(program, place.hosts) as c:
        assert c.ask("register /services shop c-1 10.0.0.1 81 3", "registered") == "OK"
        data, stat = place.eye.get(path)
        assert stat.ephemeralOwner != 0
        found = read_instance(data)
        assert found["payload"] == {"@class": "java.util.LinkedHashMap", "weight": "3"}
        assert (found["id"], found["port"], found["sslPort"]) == ("c-1", 81, None)
        # One from elsewhere, with what only newer writers add.
        other = dict(found, id="py", address="10.0.0.9", enabled=True)
        place.eye.create("/services/shop/py", json.dumps(other).encode(), ephemeral=True)
        place.eye.create("/services/shop/junk", b"\xff{", ephemeral=True)
        assert c.ask("find /services shop", "found") == (
            "c-1,10.0.0.1,81,3,http://10.0.0.1:81 py,10.0.0.9,81,3,http://10.0.0.9:81 1 OK")
        assert c.ask("unregister /services shop c-1", "unregistered") == "OK"
        assert not place.eye.exists(path)
        assert c.ask("register /services shop c-1 10.0.0.1 81 3", "registered") == "OK"
    harness.poll_until(lambda: not place.eye.exists(path), 5, "gone with its program")


def test_registered_again_after_a_lost_session(program, place):
    with Naming(program, place.hosts) as c:
        assert c.ask("register /services shop c-1 10.0.0.1 81 3", "registered") == "OK"
        owner = place.eye.exists("/services/shop/c-1").ephemeralOwner
        lose_session(place.hosts, c)
        assert c.hear("lost") == "c-1 OK"
        assert c.hear("again") == "c-1 OK"
        assert place.eye.exists("/services/shop/c-1").ephemeralOwner not in (0, owner)


def test_provider_follows_and_survives_the_server(program, place):
    with Naming(program, place.hosts) as c:
        assert c.ask("follow /services shop", "following") == "OK"
        assert c.ask("pick", "picked") == "NONODE"
        place.eye.create("/services/shop/a", b'{"name":"shop","id":"a"}', makepath=True)
        place.eye.create("/services/shop/b", b'{"name":"shop","id":"b"}')
        harness.poll_until(lambda: {c.ask("pick", "picked") for _ in range(4)} == {"a", "b"}, 5,
                           "both instances")
        place.eye.stop()  # kazoo would wait for ever where Apache forgets one who comes too early
        place.kill()
        harness.poll_until(lambda: c.ask("stale", "stale") == "1", 10, "stale")
        assert {c.ask("pick", "picked") for _ in range(4)} == {"a", "b"}
        place.start()
        place.eye.start(timeout=15)
        harness.poll_until(lambda: c.ask("stale", "stale") == "0", 20, "fresh again")
        place.eye.delete("/services/shop/a")
        harness.poll_until(lambda: {c.ask("pick", "picked") for _ in range(4)} == {"b"}, 5,
                           "only b")


@pytest.fixture(scope="module")
def curator(tmp_path_factory):
    """The class path of Naming.java."""
    kafka_env.need_programs(setpriv="util-linux")
    return recipes.java_class_path([os.path.join(harness.HERE, "cprog", "Naming.java")],
                                   tmp_path_factory.mktemp("naming-java"), CURATOR_JARS)


def test_beside_curators_own_classes(program, place, curator):
    java = Talker([*kafka_env.LAUNCHER, *harness.JAVA, "-Xmx128m",
                   "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", curator, "Naming",
                   place.hosts, "/services", "shop"])
    try:
        with Naming(program, place.hosts) as c:
            assert java.hear("ready", 40) == ""
            # What Curator has written: C finds it, and would have written the same.
            data, _ = place.eye.get("/services/shop/java")
            assert read_instance(data)["id"] == "java"
            assert c.ask("find /services shop", "found") == (
                "java,10.0.0.2,82,4,http://10.0.0.2:82 0 OK")
            assert c.ask("register /services shop c-1 10.0.0.1 81 3", "registered") == "OK"
            mine, _ = place.eye.get("/services/shop/c-1")
            same = data.replace(b'"java"', b'"c-1"').replace(b"10.0.0.2", b"10.0.0.1")
            same = same.replace(b'"port":82', b'"port":81').replace(b'"4"', b'"3"')
            same = re.sub(rb'UTC":\d+', b'UTC":1234567890123', same)
            assert mine == same
            both = "c-1,http://10.0.0.1:81,3 java,http://10.0.0.2:82,4"
            harness.poll_until(lambda: java.ask("", "all") == both, 10, "Curator sees both")
            assert c.ask("unregister /services shop c-1", "unregistered") == "OK"
            harness.poll_until(lambda: java.ask("", "all") == "java,http://10.0.0.2:82,4", 10,
                               "Curator sees one")
        java.end()
    finally:
        java.proc.kill()


def test_dubbos_registry(program, place):
    url = ("dubbo://10.0.0.7:20880/com.acme.Shop?application=shop&interface=com.acme.Shop"
           "&methods=buy,sell&timestamp=1600000000000&version=1.0.0&weight=50")
    top = "/dubbo/com.acme.Shop/providers"
    consumer = "consumer://10.0.0.9/com.acme.Shop?category=providers,configurators&version=1.0.0"
    with Naming(program, place.hosts) as c:
        assert c.ask("subscribe " + consumer, "subscribe") == "OK"
        assert c.hear("providers") == "empty"
        assert c.ask("offer " + url, "offer") == "OK"
        assert c.hear("providers") == "10.0.0.7:20880"
        # As Dubbo's registry reads it: one child, URLDecoder.decode() of which is the URL.
        [name] = place.eye.get_children(top)
        assert urllib.parse.unquote_plus(name) == url
        assert name == urllib.parse.quote_plus(url, safe="*").replace("~", "%7E")
        assert place.eye.exists(f"{top}/{name}").ephemeralOwner != 0
        for parent in (top, "/dubbo/com.acme.Shop", "/dubbo"):
            assert place.eye.exists(parent).ephemeralOwner == 0  # a container's would not be 0
        # A Java provider's URL.
        java = url.replace("10.0.0.7", "10.0.0.8")
        place.eye.create(f"{top}/{urllib.parse.quote_plus(java)}", b"10.0.0.8", ephemeral=True)
        assert c.hear("providers") == "10.0.0.7:20880 10.0.0.8:20880"
        chosen = {c.ask("choose", "chosen") for _ in range(64)}
        assert chosen == {"10.0.0.7", "10.0.0.8"}
        assert c.ask("withdraw " + url, "withdraw") == "OK"
        assert c.hear("providers") == "10.0.0.8:20880"
        place.eye.delete(f"{top}/{urllib.parse.quote_plus(java)}")
        assert c.hear("providers") == "empty"


def numbers(text):
    return sorted(int(n) for n in text.split())


def test_partitions_are_shared_and_moved(program, place):
    top = "/consumers/g"
    with Naming(program, place.hosts) as a:
        assert a.ask("join g t 5 a", "joined") == "OK"
        assert numbers(a.hear("assigned")) == [0, 1, 2, 3, 4]
        data, stat = place.eye.get(top + "/ids/a")
        found = json.loads(data)
        assert stat.ephemeralOwner != 0 and list(found) == ["version", "subscription", "pattern",
                                                            "timestamp"]
        assert found["subscription"] == {"t": 1} and found["pattern"] == "static"
        assert a.ask("commit t 4 77", "committed") == "OK"
        assert place.eye.get(top + "/offsets/t/4")[0] == b"77"
        with Naming(program, place.hosts) as b:
            assert b.ask("join g t 5 b", "joined") == "OK"
            assert numbers(a.hear("revoked")) == [3, 4]
            assert numbers(b.hear("assigned")) == [3, 4]
            assert place.eye.get(top + "/owners/t/2")[0] == b"a-0"
            assert place.eye.get(top + "/owners/t/3")[0] == b"b-0"
            assert b.ask("fetch t 4", "fetched") == "77 OK"
            assert a.ask("commit t 4 78", "committed") == "NONODE"
            lose_session(place.hosts, b)
            assert numbers(b.hear("gone")) == [3, 4]
            assert numbers(b.hear("assigned")) == [3, 4]
            b.proc.kill()
            b.proc.wait()
            assert numbers(a.hear("assigned")) in ([3, 4], [3], [4])
            b.end = lambda: None
        harness.poll_until(lambda: all(place.eye.get(f"{top}/owners/t/{n}")[0] == b"a-0"
                                       for n in (0, 1, 2, 3, 4)), 15, "a has all of it")


@pytest.fixture
def kafka(tmp_path_factory):
    kafka_env.need_programs(java="default-jre-headless", kcat="kcat", setpriv="util-linux")
    home = tmp_path_factory.mktemp("kafka-naming")
    server = harness.Server(harness.KIND, home, {"tickTime": 500, "maxClientCnxns": 0},
                            launcher=kafka_env.LAUNCHER)
    cluster = None
    try:
        server.start()
        cluster = kafka_env.Cluster(home, server, brokers=1)
        cluster.start()
        yield cluster
    finally:
        if cluster:
            cluster.stop()
        server.kill()
        shutil.rmtree(home, ignore_errors=True)


def owners(cluster, topic, count):
    """{partition: member} with the stream's number cut off."""
    found = {n: cluster.get(f"/consumers/g/owners/{topic}/{n}") for n in range(count)}
    return {n: data[0].decode().rpartition("-")[0] for n, data in found.items() if data}


def read_by(cluster, consumer, partitions):
    """Sends each partition one more message: has the consumer seen one from each of them?"""
    for n in partitions:
        cluster.produce("t", [f"k:early-{n}"], partition=n)
    return {f"early-{n}" for n in partitions} <= set(consumer.lines())


def test_a_kafka_consumer_and_a_c_program_share_a_topic(program, kafka):
    kafka.create_topic("t", partitions=4, replication=1)
    with Naming(program, kafka.connect) as c:
        assert c.ask("join g t 0 g_c", "joined") == "OK"
        assert numbers(c.hear("assigned", 30)) == [0, 1, 2, 3]
        consumer = kafka.consumer("g", "t")
        # Its id is "g_g-0": behind "g_c".
        assert numbers(c.hear("revoked", 60)) == [2, 3]
        kafka_env.wait_for("both have their half", lambda: owners(kafka, "t", 4) == {
            0: "g_c", 1: "g_c", 2: "g_g-0", 3: "g_g-0"}, 30)
        assert c.ask("commit t 0 1", "committed") == "OK"
        # Who owns a partition for the first time reads what comes once its fetcher runs.
        kafka_env.wait_for("it reads", lambda: read_by(kafka, consumer, (2, 3)), 30)
        for n in range(4):
            kafka.produce("t", [f"k:to-{n}"], partition=n)
        kafka_env.wait_for("its messages", lambda: {"to-2", "to-3"} <= set(consumer.lines()), 30)
        assert not {"to-0", "to-1"} & set(consumer.lines())
        c.ask("leave", "left")
        kafka_env.wait_for("the consumer has all", lambda: owners(kafka, "t", 4) == dict.fromkeys(
            range(4), "g_g-0"), 30)
        # It went on where C had stopped: "to-0" was committed as read, "to-1" never was.
        kafka.produce("t", ["k:end"], partition=0)
        kafka_env.wait_for("what came after", lambda: "end" in consumer.lines(), 30)
        assert "to-0" not in consumer.lines()
