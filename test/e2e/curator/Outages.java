// SPDX-License-Identifier: Apache-2.0
// The server is killed (kill -9) and started again on its data while recipes are at work.

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.CuratorWatcher;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;

final class Outages {
    static void add(Map<String, Scenarios.Body> all) {
        all.put("restart_keeps_locks_and_sessions", Outages::locksAndSessions);
        all.put("restart_loses_nothing_answered", Outages::losesNothing);
        all.put("restart_keeps_watches", Outages::watches);
    }

    private static long session(CuratorFramework client) throws Exception {
        return client.getZookeeperClient().getZooKeeper().getSessionId();
    }

    private static void locksAndSessions(World w) throws Exception {
        CuratorFramework owner = w.client();
        CuratorFramework other = w.client();
        long before = session(owner);
        InterProcessMutex mine = new InterProcessMutex(owner, w.path + "/lock");
        InterProcessMutex theirs = new InterProcessMutex(other, w.path + "/lock");
        mine.acquire();
        Future<Boolean> waiting = w.thread(() -> {
            boolean got = theirs.acquire(World.WAIT_S, TimeUnit.SECONDS);
            theirs.release();
            return got;
        });
        World.eventually("two in line", () -> theirs.getParticipantNodes().size() == 2);
        List<LeaderLatch> latches = new ArrayList<>();
        for (CuratorFramework client : List.of(owner, other)) {
            LeaderLatch latch = w.closing(new LeaderLatch(client, w.path + "/leader"));
            latch.start();
            latches.add(latch);
        }
        PersistentNode node = w.closing(new PersistentNode(
            owner, CreateMode.EPHEMERAL, false, w.path + "/node", new byte[0]));
        node.start();
        World.check(node.waitForInitialCreate(World.WAIT_S, TimeUnit.SECONDS), "not created");
        Stat stat = other.checkExists().forPath(w.path + "/node");

        World.ask("restart");
        Stat after = other.checkExists().forPath(w.path + "/node");
        World.same(stat.getCzxid(), after.getCzxid(), "creation of the ephemeral");
        World.same(before, after.getEphemeralOwner(), "owner of the ephemeral");
        World.same(before, session(owner), "session");
        World.eventually("both clients are connected again",
            () -> owner.getZookeeperClient().isConnected()
                && other.getZookeeperClient().isConnected());
        World.check(!waiting.isDone(), "the lock was lost");
        mine.release();
        World.check(World.join(waiting), "the next in line did not get the lock");
        World.eventually("one leader", () ->
            latches.stream().filter(LeaderLatch::hasLeadership).count() == 1);
    }

    private static void losesNothing(World w) throws Exception {
        CuratorFramework writer = w.client();
        writer.create().forPath(w.path);
        List<String> answered = new ArrayList<>();
        Future<Integer> writing = w.thread(() -> {
            int failed = 0;
            for (int i = 0; !Thread.interrupted(); i++) {
                String path = w.path + "/" + i;
                try {
                    writer.create().forPath(path, path.getBytes());
                } catch (KeeperException.NodeExistsException e) {
                    failed++;  // done before the answer was lost, and tried again: it is there
                }
                synchronized (answered) {
                    answered.add(path);
                    if (answered.size() >= 4000) {
                        return failed;
                    }
                }
            }
            return failed;
        });
        World.eventually("writes are under way", () -> count(answered) > 200);
        World.ask("restart");
        int after = count(answered);
        World.eventually("writes go on",
            () -> count(answered) > after + 100 || writing.isDone());
        writing.cancel(true);
        CuratorFramework reader = w.client();
        List<String> paths;
        synchronized (answered) {
            paths = new ArrayList<>(answered);
        }
        for (String path : paths) {
            World.same(path, new String(reader.getData().forPath(path)), "what was answered");
        }
    }

    private static int count(List<String> answered) {
        synchronized (answered) {
            return answered.size();
        }
    }

    private static void watches(World w) throws Exception {
        CuratorFramework writer = w.client();
        writer.create().creatingParentsIfNeeded().forPath(w.path + "/a", "1".getBytes());
        CuratorFramework reader = w.client();
        CuratorCache cache = w.closing(CuratorCache.build(reader, w.path));
        cache.start();
        World.eventually("cached", () -> cache.size() == 2);
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        CuratorWatcher watcher = event -> {
            if (event.getPath() != null) {  // not the news that the connection went and came
                seen.add(event.getType() + " " + event.getPath());
            }
        };
        reader.getChildren().usingWatcher(watcher).forPath(w.path + "/a");
        World.ask("restart");
        writer.create().forPath(w.path + "/a/b", "2".getBytes());
        World.eventually("the one-shot watch fires once",
            () -> seen.equals(List.of("NodeChildrenChanged " + w.path + "/a")));
        World.eventually("the cache follows", () -> cache.get(w.path + "/a/b").isPresent());
    }
}
