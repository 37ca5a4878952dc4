// SPDX-License-Identifier: Apache-2.0
// Curator's locks: exclusion among threads and clients, order, and what expiry does to an owner.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.Locker;
import org.apache.curator.framework.recipes.locks.Revoker;
import org.apache.curator.framework.recipes.shared.SharedCount;

final class Locks {
    private static final long SHORT_MS = 300;

    static void add(Map<String, Scenarios.Body> all) {
        all.put("mutex_excludes", Locks::mutexExcludes);
        all.put("mutex_reenters", Locks::mutexReenters);
        all.put("mutex_revoked", Locks::mutexRevoked);
        all.put("mutex_of_expired_owner", Locks::mutexOfExpiredOwner);
        all.put("mutex_multi", Locks::mutexMulti);
        all.put("rwlock", Locks::rwlock);
        all.put("rwlock_downgrade", Locks::rwlockDowngrade);
        all.put("semaphore", Locks::semaphore);
        all.put("semaphore_shared_limit", Locks::semaphoreSharedLimit);
    }

    private static void mutexExcludes(World w) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        int[] total = {0};  // guarded by the lock under test alone
        List<Future<?>> all = new ArrayList<>();
        for (CuratorFramework client : w.clients(4)) {
            InterProcessMutex mutex = new InterProcessMutex(client, w.path);
            for (int i = 0; i < 2; i++) {
                all.add(w.thread(() -> {
                    for (int round = 0; round < 20; round++) {
                        try (Locker held = new Locker(mutex)) {
                            World.check(inside.incrementAndGet() == 1, "two owners at once");
                            total[0]++;
                            inside.decrementAndGet();
                        }
                    }
                    return null;
                }));
            }
        }
        World.joinAll(all);
        World.same(160, total[0], "rounds");
        World.same(0, World.children(w.client(), w.path), "nodes left behind");
    }

    private static void mutexReenters(World w) throws Exception {
        InterProcessMutex mine = new InterProcessMutex(w.client(), w.path);
        InterProcessMutex other = new InterProcessMutex(w.client(), w.path);
        mine.acquire();
        mine.acquire();
        World.check(!other.acquire(SHORT_MS, TimeUnit.MILLISECONDS), "second owner");
        mine.release();
        World.check(!other.acquire(SHORT_MS, TimeUnit.MILLISECONDS), "freed by the inner release");
        mine.release();
        World.check(other.acquire(World.WAIT_S, TimeUnit.SECONDS), "not free");
        other.release();
    }

    private static void mutexRevoked(World w) throws Exception {
        CuratorFramework asker = w.client();
        InterProcessMutex mine = new InterProcessMutex(w.client(), w.path);
        CountDownLatch asked = new CountDownLatch(1);
        mine.makeRevocable(forLock -> asked.countDown());
        mine.acquire();
        String node = new InterProcessMutex(asker, w.path).getParticipantNodes().iterator().next();
        Revoker.attemptRevoke(asker, node);
        World.check(asked.await(World.WAIT_S, TimeUnit.SECONDS), "the owner was not asked");
        mine.release();
    }

    private static void mutexOfExpiredOwner(World w) throws Exception {
        CuratorFramework owner = w.client();
        InterProcessMutex lost = new InterProcessMutex(owner, w.path);
        InterProcessMutex next = new InterProcessMutex(w.client(), w.path);
        lost.acquire();
        Future<Boolean> waiting = w.thread(() -> {
            boolean got = next.acquire(World.WAIT_S, TimeUnit.SECONDS);
            next.release();
            return got;
        });
        World.eventually("two in line", () -> next.getParticipantNodes().size() == 2);
        World.check(!waiting.isDone(), "second owner");
        w.expire(owner);
        World.check(World.join(waiting), "the next in line did not get the lock");
    }

    private static void mutexMulti(World w) throws Exception {
        List<String> paths = List.of(w.path + "/a", w.path + "/b");
        InterProcessMultiLock both = new InterProcessMultiLock(w.client(), paths);
        InterProcessMutex second = new InterProcessMutex(w.client(), paths.get(1));
        second.acquire();
        World.check(!both.acquire(SHORT_MS, TimeUnit.MILLISECONDS), "one of two was taken");
        second.release();
        World.check(both.acquire(World.WAIT_S, TimeUnit.SECONDS), "both are free");
        World.check(!second.acquire(SHORT_MS, TimeUnit.MILLISECONDS), "taken with the other");
        both.release();
    }

    private static void rwlock(World w) throws Exception {
        CountDownLatch readersIn = new CountDownLatch(3);
        CountDownLatch leave = new CountDownLatch(1);
        AtomicInteger readers = new AtomicInteger();
        List<Future<?>> all = new ArrayList<>();
        for (CuratorFramework client : w.clients(3)) {
            all.add(w.thread(() -> {
                try (Locker held = new Locker(
                         new InterProcessReadWriteLock(client, w.path).readLock())) {
                    readers.incrementAndGet();
                    readersIn.countDown();
                    World.check(leave.await(World.WAIT_S, TimeUnit.SECONDS), "readers stuck");
                    readers.decrementAndGet();
                }
                return null;
            }));
        }
        World.check(readersIn.await(World.WAIT_S, TimeUnit.SECONDS), "readers exclude readers");
        InterProcessReadWriteLock mine = new InterProcessReadWriteLock(w.client(), w.path);
        World.check(!mine.writeLock().acquire(SHORT_MS, TimeUnit.MILLISECONDS),
            "writer among readers");
        Future<Integer> writer = w.thread(() -> {
            mine.writeLock().acquire();
            int seen = readers.get();
            mine.writeLock().release();
            return seen;
        });
        World.eventually("the writer in line",
            () -> mine.writeLock().getParticipantNodes().size() == 1);
        InterProcessReadWriteLock late = new InterProcessReadWriteLock(w.client(), w.path);
        World.check(!late.readLock().acquire(SHORT_MS, TimeUnit.MILLISECONDS),
            "a reader overtook the waiting writer");
        leave.countDown();
        World.joinAll(all);
        World.same(0, World.join(writer), "readers beside the writer");
        World.check(late.readLock().acquire(World.WAIT_S, TimeUnit.SECONDS), "not free after all");
        late.readLock().release();
    }

    private static void rwlockDowngrade(World w) throws Exception {
        InterProcessReadWriteLock mine = new InterProcessReadWriteLock(w.client(), w.path);
        InterProcessReadWriteLock other = new InterProcessReadWriteLock(w.client(), w.path);
        mine.writeLock().acquire();
        World.check(!other.readLock().acquire(SHORT_MS, TimeUnit.MILLISECONDS),
            "reader beside a writer");
        mine.readLock().acquire();
        mine.writeLock().release();
        World.check(other.readLock().acquire(World.WAIT_S, TimeUnit.SECONDS), "two readers");
        World.check(!other.writeLock().acquire(SHORT_MS, TimeUnit.MILLISECONDS),
            "writer beside a reader");
        other.readLock().release();
        mine.readLock().release();
    }

    private static void semaphore(World w) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        CountDownLatch full = new CountDownLatch(3);
        List<Future<?>> all = new ArrayList<>();
        for (CuratorFramework client : w.clients(3)) {
            InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(client, w.path, 3);
            for (int i = 0; i < 4; i++) {
                all.add(w.thread(() -> {
                    Lease lease = semaphore.acquire();
                    most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                    full.countDown();
                    World.check(full.await(World.WAIT_S, TimeUnit.SECONDS), "fewer than three");
                    inside.decrementAndGet();
                    semaphore.returnLease(lease);
                    return null;
                }));
            }
        }
        World.joinAll(all);
        World.same(3, most.get(), "most leases at once");
    }

    private static void semaphoreSharedLimit(World w) throws Exception {
        List<CuratorFramework> clients = w.clients(2);
        List<InterProcessSemaphoreV2> semaphores = new ArrayList<>();
        List<SharedCount> limits = new ArrayList<>();
        for (CuratorFramework client : clients) {
            SharedCount limit = w.closing(new SharedCount(client, w.path + "/limit", 1));
            limit.start();
            limits.add(limit);
            semaphores.add(new InterProcessSemaphoreV2(client, w.path + "/leases", limit));
        }
        Lease first = semaphores.get(0).acquire();
        Future<Lease> second = w.thread(() -> semaphores.get(1).acquire());
        World.eventually("two in line",
            () -> semaphores.get(0).getParticipantNodes().size() == 2);
        World.check(!second.isDone(), "more leases than the limit");
        limits.get(0).setCount(2);
        semaphores.get(1).returnLease(World.join(second));
        semaphores.get(0).returnLease(first);
    }
}
