# SPDX-License-Identifier: Apache-2.0
"""A real Kafka, three brokers of 0.9.0.1, lives on the server.

One cluster serves all tests of this file; each test uses topics of its own and first brings back
what an earlier one killed, so each also runs alone.
"""

import collections
import signal

import pytest

import harness
import kafka_env
from kafka_env import wait_for


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory):
    kafka_env.need_programs(java="default-jre-headless", kcat="kcat", setpriv="util-linux")
    home = tmp_path_factory.mktemp("kafka")
    server = harness.Server(harness.KIND, home, {"tickTime": 500, "maxClientCnxns": 0},
                            launcher=kafka_env.LAUNCHER)
    cluster = None
    try:
        server.start()
        cluster = kafka_env.Cluster(home, server)
        cluster.start()
        yield cluster
        cluster.stop()
        server.stop()
    finally:
        if cluster is not None:
            cluster.stop()
        server.kill()


@pytest.fixture
def cluster(shared_cluster):
    shared_cluster.all_up()
    return shared_cluster


def numbered(start, count):
    return [f"k{n}:message {n}" for n in range(start, start + count)]


def assert_all_there(cluster, topic, messages):
    """Nothing acknowledged is missing and nothing unknown turned up; a retry may show up twice."""
    counts = collections.Counter(cluster.consume(topic))
    missing = [m for m in messages if m not in counts]
    assert not missing, f"{len(missing)} lost, the first {missing[:3]}"
    assert set(counts) == set(messages)


def test_brokers_register_and_elect_a_controller(cluster):
    assert sorted(cluster.children("/brokers/ids")) == ["1", "2", "3"]
    owners = {cluster.brokers[n].registration()[1] for n in cluster.brokers}
    assert len(owners) == 3 and 0 not in owners
    assert cluster.controller() in cluster.brokers


def test_topic_is_created_described_and_carries_messages(cluster):
    cluster.create_topic("plain", partitions=4, replication=2)
    described = cluster.topics("--describe", "--topic", "plain")
    assert "PartitionCount:4\tReplicationFactor:2" in described
    leaders = {n: cluster.state("plain", n)["leader"] for n in range(4)}
    for number, leader in leaders.items():
        assert f"Partition: {number}\tLeader: {leader}\t" in described
    wait_for("clients see the leaders", lambda: cluster.metadata().get("plain") == leaders)
    messages = cluster.produce("plain", numbered(0, 2000))
    assert sorted(cluster.consume("plain")) == sorted(messages)


def test_altered_topic_gets_new_partitions_and_limits(cluster):
    cluster.create_topic("altered", partitions=1, replication=1)
    large = "k:" + "x" * 5000
    cluster.produce("altered", [large])
    cluster.topics("--alter", "--topic", "altered", "--partitions", 3,
                   "--config", "max.message.bytes=1000")
    wait_for("leaders of the new partitions",
             lambda: sorted(cluster.metadata().get("altered", {})) == [0, 1, 2]
             and -1 not in cluster.metadata()["altered"].values())
    cluster.produce("altered", ["k:small enough"], partition=2)

    def refused():
        done = cluster.kcat("-P", "-t", "altered", "-p", "0", "-K", ":", "-X", "acks=all",
                            text_in=large + "\n")
        return "Message size too large" in done.stderr
    wait_for("the brokers hear of the new limit", refused)


def test_topic_is_deleted(cluster):
    cluster.create_topic("doomed", partitions=2, replication=3)
    cluster.produce("doomed", numbered(0, 10))
    cluster.topics("--delete", "--topic", "doomed")
    wait_for("the controller deletes the topic",
             lambda: cluster.get("/brokers/topics/doomed") is None
             and cluster.get("/config/topics/doomed") is None
             and not cluster.children("/admin/delete_topics"))
    wait_for("clients see it gone", lambda: "doomed" not in cluster.metadata())
    wait_for("its files are gone", lambda: not list(cluster.home.glob("broker-*/logs/doomed-*")))


def offsets(cluster, group, topic, partitions):
    found = [cluster.get(f"/consumers/{group}/offsets/{topic}/{n}") for n in range(partitions)]
    return sum(int(f[0]) for f in found if f)


def owners(cluster, group, topic):
    """{consumer: how many partitions it owns}, members that own nothing left out."""
    found = [cluster.get(f"/consumers/{group}/owners/{topic}/{n}")
             for n in cluster.children(f"/consumers/{group}/owners/{topic}")]
    return collections.Counter(f[0].decode().rsplit("-", 1)[0] for f in found if f)


def test_consumer_group_shares_work_and_keeps_offsets(cluster):
    cluster.create_topic("grouped", partitions=4, replication=2)
    first = cluster.consumer("crew", "grouped", "--from-beginning")
    second = cluster.consumer("crew", "grouped", "--from-beginning")
    wait_for("two members own two partitions each",
             lambda: list(owners(cluster, "crew", "grouped").values()) == [2, 2], seconds=40)
    messages = cluster.produce("grouped", numbered(0, 400))
    values = sorted(m.split(":", 1)[1] for m in messages)
    wait_for("both read their share",
             lambda: sorted(first.lines() + second.lines()) == values)
    assert first.lines() and second.lines()
    wait_for("offsets in ZooKeeper", lambda: offsets(cluster, "crew", "grouped", 4) == 400)

    second.kill()
    wait_for("the survivor owns all, once the session of the dead expired",
             lambda: list(owners(cluster, "crew", "grouped").values()) == [4], seconds=30)
    cluster.produce("grouped", numbered(400, 200))
    wait_for("the survivor reads all", lambda: offsets(cluster, "crew", "grouped", 4) == 600)
    first.stop()
    wait_for("the group is empty", lambda: not cluster.children("/consumers/crew/ids"))

    more = cluster.produce("grouped", numbered(600, 50))
    third = cluster.consumer("crew", "grouped", "--max-messages", len(more))
    assert sorted(third.finish()) == sorted(m.split(":", 1)[1] for m in more)


def test_leader_moves_when_its_broker_is_killed_and_back_on_request(cluster):
    doomed = next(n for n in cluster.brokers if n != cluster.controller())
    heir = next(n for n in cluster.brokers if n not in (doomed, cluster.controller()))
    cluster.create_topic("moving", assignment=f"{doomed}:{heir}")
    before = cluster.produce("moving", numbered(0, 500))
    assert cluster.state("moving")["leader"] == doomed

    cluster.brokers[doomed].kill()
    wait_for("the ephemeral of the dead broker goes",
             lambda: cluster.brokers[doomed].registration() is None)
    wait_for("the other replica leads", lambda: cluster.state("moving")["leader"] == heir)
    wait_for("clients see it", lambda: cluster.metadata().get("moving") == {0: heir})
    after = cluster.produce("moving", numbered(500, 500))
    assert_all_there(cluster, "moving", before + after)

    cluster.all_up()
    cluster.wait_isr("moving", 1, 2)
    assert cluster.state("moving")["leader"] == heir
    cluster.tool("kafka.admin.PreferredReplicaLeaderElectionCommand",
                 "--zookeeper", cluster.connect)
    wait_for("the preferred replica leads again",
             lambda: cluster.state("moving")["leader"] == doomed)
    wait_for("the request is done",
             lambda: cluster.get("/admin/preferred_replica_election") is None)
    assert_all_there(cluster, "moving", before + after)


def test_another_broker_becomes_controller_and_works(cluster):
    old, epoch = cluster.controller(), cluster.controller_epoch()
    others = [n for n in cluster.brokers if n != old]
    cluster.create_topic("orphaned", assignment=f"{old}:{others[0]}")
    before = cluster.produce("orphaned", numbered(0, 200))
    cluster.brokers[old].kill()
    wait_for("a controller of the next epoch",
             lambda: cluster.controller() != old and cluster.controller_epoch() == epoch + 1)
    wait_for("it moves the leader", lambda: cluster.state("orphaned")["leader"] == others[0])
    after = cluster.produce("orphaned", numbered(200, 200))
    assert_all_there(cluster, "orphaned", before + after)
    cluster.create_topic("newborn", assignment=f"{others[0]}:{others[1]}")
    assert_all_there(cluster, "newborn", cluster.produce("newborn", numbered(0, 100)))


def test_frozen_broker_expires_and_returns_with_a_new_session(cluster):
    frozen = cluster.brokers[next(n for n in cluster.brokers if n != cluster.controller())]
    _, owner = frozen.registration()
    frozen.kill(signal.SIGSTOP)
    try:
        wait_for("its session expires", lambda: frozen.registration() is None)
    finally:
        frozen.kill(signal.SIGCONT)
    _, again = frozen.wait_registered()
    assert again != owner


def test_server_killed_and_restarted_under_live_brokers(cluster):
    cluster.create_topic("lasting", partitions=2, replication=2)
    before = cluster.produce("lasting", numbered(0, 300))
    owners_before = {n: b.registration()[1] for n, b in cluster.brokers.items()}
    created = {n: cluster.get(f"/brokers/ids/{n}")[1].czxid for n in cluster.brokers}
    controller, epoch = cluster.controller(), cluster.controller_epoch()

    cluster.server.restart(kill=True)

    assert {n: b.registration()[1] for n, b in cluster.brokers.items()} == owners_before
    after = cluster.produce("lasting", numbered(300, 300))
    assert_all_there(cluster, "lasting", before + after)
    cluster.create_topic("afterwards", partitions=3, replication=3)
    assert_all_there(cluster, "afterwards", cluster.produce("afterwards", numbered(0, 100)))
    assert {n: cluster.get(f"/brokers/ids/{n}")[1].czxid for n in cluster.brokers} == created
    assert (cluster.controller(), cluster.controller_epoch()) == (controller, epoch)
