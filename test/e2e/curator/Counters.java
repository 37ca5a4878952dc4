// SPDX-License-Identifier: Apache-2.0
// Counters: versions make concurrent changes safe, watches carry them to everybody.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.PromotedToLock;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;

final class Counters {
    static void add(Map<String, Scenarios.Body> all) {
        all.put("shared_count", Counters::sharedCount);
        all.put("atomic_long", Counters::atomicLong);
        all.put("atomic_long_promoted", Counters::atomicLongPromoted);
    }

    private static void sharedCount(World w) throws Exception {
        List<Future<?>> all = new ArrayList<>();
        List<AtomicInteger> heard = new ArrayList<>();
        for (CuratorFramework client : w.clients(3)) {
            SharedCount count = w.closing(new SharedCount(client, w.path, 0));
            AtomicInteger last = new AtomicInteger();
            heard.add(last);
            count.addListener(new SharedCountListener() {
                @Override
                public void countHasChanged(SharedCountReader of, int value) {
                    last.set(value);
                }

                @Override
                public void stateChanged(CuratorFramework of, ConnectionState state) {
                }
            });
            count.start();
            all.add(w.thread(() -> {
                for (int done = 0; done < 20;) {
                    if (count.trySetCount(count.getVersionedValue(), count.getCount() + 1)) {
                        done++;
                    }
                }
                return null;
            }));
        }
        World.joinAll(all);
        SharedCount fresh = w.closing(new SharedCount(w.client(), w.path, 0));
        fresh.start();
        World.same(60, fresh.getCount(), "the sum");
        World.eventually("everybody hears of the last change",
            () -> heard.stream().allMatch(last -> last.get() == 60));
    }

    private static void count(World w, PromotedToLock promoted, int retries) throws Exception {
        List<Future<Integer>> all = new ArrayList<>();
        for (CuratorFramework client : w.clients(4)) {
            DistributedAtomicLong number = new DistributedAtomicLong(
                client, w.path + "/n", new RetryNTimes(retries, 1), promoted);
            all.add(w.thread(() -> {
                int done = 0;
                for (int i = 0; i < 25; i++) {
                    AtomicValue<Long> value = number.increment();
                    World.check(!value.succeeded() || value.postValue() == value.preValue() + 1,
                        "not one more");
                    done += value.succeeded() ? 1 : 0;
                }
                return done;
            }));
        }
        int done = 0;
        for (Future<Integer> one : all) {
            done += World.join(one);
        }
        DistributedAtomicLong number =
            new DistributedAtomicLong(w.client(), w.path + "/n", new RetryNTimes(1, 1));
        World.same((long) done, number.get().postValue(), "successful increments");
        World.check(promoted == null ? done > 0 : done == 100, "increments failed: " + done);
    }

    private static void atomicLong(World w) throws Exception {
        count(w, null, 10);
    }

    private static void atomicLongPromoted(World w) throws Exception {
        count(w, PromotedToLock.builder().lockPath(w.path + "/lock")
            .retryPolicy(new RetryNTimes(200, 1)).build(), 1);
    }
}
