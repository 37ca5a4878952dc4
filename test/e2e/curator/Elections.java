// SPDX-License-Identifier: Apache-2.0
// Leader election by latch and by selector: one leader at a time, succession, loss by expiry.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;

final class Elections {
    static void add(Map<String, Scenarios.Body> all) {
        all.put("leader_latch", Elections::latchSuccession);
        all.put("leader_latch_expired", Elections::latchExpired);
        all.put("leader_selector", Elections::selector);
        all.put("leader_selector_interrupted", Elections::selectorInterrupted);
    }

    private static LeaderLatch latch(World w, CuratorFramework client, String id) throws Exception {
        LeaderLatch latch = new LeaderLatch(client, w.path, id);
        latch.start();
        return latch;
    }

    private static long leaders(List<LeaderLatch> latches) {
        return latches.stream().filter(LeaderLatch::hasLeadership).count();
    }

    private static void latchSuccession(World w) throws Exception {
        List<LeaderLatch> latches = new ArrayList<>();
        for (CuratorFramework client : w.clients(5)) {
            latches.add(latch(w, client, "member-" + latches.size()));
        }
        for (int left = 5; left > 0; left--) {
            World.eventually("a leader", () -> leaders(latches) == 1);
            LeaderLatch leader =
                latches.stream().filter(LeaderLatch::hasLeadership).findFirst().get();
            for (LeaderLatch latch : latches) {
                World.same(leader.getId(), latch.getLeader().getId(), "leader seen by a member");
            }
            World.same(left, leader.getParticipants().size(), "participants");
            leader.close();
            latches.remove(leader);
        }
    }

    private static void latchExpired(World w) throws Exception {
        List<CuratorFramework> clients = w.clients(2);
        LeaderLatch first = latch(w, clients.get(0), "first");
        World.check(first.await(World.WAIT_S, TimeUnit.SECONDS), "alone and not the leader");
        LeaderLatch second = latch(w, clients.get(1), "second");
        CountDownLatch lost = new CountDownLatch(1);
        first.addListener(new LeaderLatchListener() {
            @Override
            public void isLeader() {
            }

            @Override
            public void notLeader() {
                lost.countDown();
            }
        });
        World.eventually("two participants", () -> second.getParticipants().size() == 2);
        w.expire(clients.get(0));
        World.check(lost.await(World.WAIT_S, TimeUnit.SECONDS), "the old leader was not told");
        World.check(second.await(World.WAIT_S, TimeUnit.SECONDS), "no new leader");
        World.eventually("the old one is back in line", () -> first.getParticipants().size() == 2);
        World.check(!first.hasLeadership(), "two leaders");
        second.close();
        World.check(first.await(World.WAIT_S, TimeUnit.SECONDS), "the last one does not lead");
        first.close();
    }

    private static void selector(World w) throws Exception {
        AtomicInteger leading = new AtomicInteger();
        AtomicInteger terms = new AtomicInteger();
        AtomicBoolean twoLeaders = new AtomicBoolean();
        Set<String> served = ConcurrentHashMap.newKeySet();
        for (CuratorFramework client : w.clients(3)) {
            String id = "member-" + client.getZookeeperClient().getZooKeeper().getSessionId();
            LeaderSelector selector = new LeaderSelector(client, w.path,
                new LeaderSelectorListenerAdapter() {
                    @Override
                    public void takeLeadership(CuratorFramework of) {
                        if (leading.incrementAndGet() != 1) {
                            twoLeaders.set(true);
                        }
                        served.add(id);
                        terms.incrementAndGet();
                        leading.decrementAndGet();
                    }
                });
            selector.setId(id);
            selector.autoRequeue();
            selector.start();
            w.closing(selector);
        }
        World.eventually("twelve terms and all have led",
            () -> terms.get() >= 12 && served.size() == 3);
        World.check(!twoLeaders.get(), "two leaders at once");
    }

    private static void selectorInterrupted(World w) throws Exception {
        List<LeaderSelector> selectors = new ArrayList<>();
        for (CuratorFramework client : w.clients(2)) {
            LeaderSelector selector = w.closing(new LeaderSelector(client, w.path,
                new LeaderSelectorListenerAdapter() {
                    @Override
                    public void takeLeadership(CuratorFramework of) throws InterruptedException {
                        new CountDownLatch(1).await();  // leads until it is interrupted
                    }
                }));
            selector.start();
            selectors.add(selector);
            World.eventually("in line",
                () -> selector.getParticipants().size() == selectors.size());
        }
        World.eventually("the first leads", () -> selectors.get(0).hasLeadership());
        World.check(!selectors.get(1).hasLeadership(), "two leaders");
        selectors.get(0).interruptLeadership();
        World.eventually("the second leads",
            () -> selectors.get(1).hasLeadership() && !selectors.get(0).hasLeadership());
    }
}
