// SPDX-License-Identifier: Apache-2.0
// Barriers: nobody passes early, everybody passes in the end.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;

final class Barriers {
    static void add(Map<String, Scenarios.Body> all) {
        all.put("barrier", Barriers::barrier);
        all.put("double_barrier", Barriers::doubleBarrier);
    }

    private static void barrier(World w) throws Exception {
        DistributedBarrier mine = new DistributedBarrier(w.client(), w.path);
        mine.setBarrier();
        List<Future<Boolean>> waiting = new ArrayList<>();
        for (CuratorFramework client : w.clients(4)) {
            DistributedBarrier seen = new DistributedBarrier(client, w.path);
            World.check(!seen.waitOnBarrier(50, TimeUnit.MILLISECONDS), "passed a closed barrier");
            waiting.add(w.thread(() -> seen.waitOnBarrier(World.WAIT_S, TimeUnit.SECONDS)));
        }
        World.check(waiting.stream().noneMatch(Future::isDone), "passed a closed barrier");
        mine.removeBarrier();
        for (Future<Boolean> one : waiting) {
            World.check(World.join(one), "still waiting at an open barrier");
        }
    }

    private static void doubleBarrier(World w) throws Exception {
        int size = 5;
        AtomicInteger arrived = new AtomicInteger();
        AtomicInteger left = new AtomicInteger();
        List<Future<?>> all = new ArrayList<>();
        for (CuratorFramework client : w.clients(size)) {
            all.add(w.thread(() -> {
                DistributedDoubleBarrier barrier =
                    new DistributedDoubleBarrier(client, w.path, size);
                arrived.incrementAndGet();
                World.check(barrier.enter(World.WAIT_S, TimeUnit.SECONDS), "did not enter");
                World.same(size, arrived.get(), "arrived when the first passed");
                left.incrementAndGet();
                World.check(barrier.leave(World.WAIT_S, TimeUnit.SECONDS), "did not leave");
                World.same(size, left.get(), "leaving when the first had left");
                return null;
            }));
        }
        World.joinAll(all);
    }
}
