// SPDX-License-Identifier: Apache-2.0
// What a scenario stands on: its path, its clients and threads, checks, and waits that end.

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

final class World implements AutoCloseable {
    private static final BufferedReader ANSWERS =
        new BufferedReader(new InputStreamReader(System.in));
    private static final int SESSION_MS = 6000;
    static final int WAIT_S = 15;

    final String path;
    private final String server;
    private final List<AutoCloseable> open = new ArrayList<>();
    private final ExecutorService threads = Executors.newCachedThreadPool();

    World(String name, String server) {
        this.path = "/" + name;
        this.server = server;
    }

    /** A connected client with a session of its own. */
    CuratorFramework client() throws Exception {
        return client("");
    }

    /** The same below a chroot that exists already. */
    CuratorFramework client(String chroot) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(
            server + chroot, SESSION_MS, SESSION_MS, new ExponentialBackoffRetry(100, 6));
        client.start();
        closing(client);
        check(client.blockUntilConnected(WAIT_S, TimeUnit.SECONDS), "no connection");
        return client;
    }

    List<CuratorFramework> clients(int count) throws Exception {
        List<CuratorFramework> made = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            made.add(client());
        }
        return made;
    }

    /** To be closed after the scenario, the last one first. */
    synchronized <T extends AutoCloseable> T closing(T thing) {
        open.add(thing);
        return thing;
    }

    <T> Future<T> thread(Callable<T> body) {
        return threads.submit(body);
    }

    static <T> T join(Future<T> thread) throws Exception {
        return thread.get(WAIT_S, TimeUnit.SECONDS);
    }

    static void joinAll(List<? extends Future<?>> all) throws Exception {
        for (Future<?> one : all) {
            join(one);
        }
    }

    static void check(boolean truth, String what) {
        if (!truth) {
            throw new AssertionError(what);
        }
    }

    static void same(Object expected, Object seen, String what) {
        check(expected.equals(seen), what + ": expected " + expected + ", seen " + seen);
    }

    static void eventually(String what, Callable<Boolean> truth) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_S);
        while (!truth.call()) {
            check(System.nanoTime() < deadline, "never: " + what);
            Thread.sleep(20);
        }
    }

    /** Curator makes parents as containers, so an empty one may be gone already. */
    static int children(CuratorFramework client, String path) throws Exception {
        try {
            return client.getChildren().forPath(path).size();
        } catch (KeeperException.NoNodeException e) {
            return 0;
        }
    }

    /** Ends the client's session on the server as expiry would: a twin takes it over, closes. */
    void expire(CuratorFramework client) throws Exception {
        ZooKeeper mine = client.getZookeeperClient().getZooKeeper();
        long id = mine.getSessionId();
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper twin = new ZooKeeper(server, SESSION_MS, event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
        }, id, mine.getSessionPasswd());
        check(connected.await(WAIT_S, TimeUnit.SECONDS), "the twin got no connection");
        twin.close();
        eventually("a new session in place of the expired one",
            () -> client.getZookeeperClient().isConnected()
                && client.getZookeeperClient().getZooKeeper().getSessionId() != id);
    }

    /** Has the test do something to the server, and waits until it did. */
    static void ask(String what) throws IOException {
        System.out.println("ask " + what);
        same("done", ANSWERS.readLine(), what);
    }

    @Override
    public void close() {
        threads.shutdownNow();
        for (int i = open.size() - 1; i >= 0; i--) {
            try {
                open.get(i).close();
            } catch (Exception e) {
                // A scenario may have closed it already; what it says then is no finding.
                System.err.println("closing " + open.get(i) + ": " + e);
            }
        }
    }
}
