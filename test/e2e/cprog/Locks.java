// SPDX-License-Identifier: Apache-2.0
// Curator's locks, leases, latches and groups as locks.c has libreeve's: lines in, lines out.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.leader.Participant;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.retry.RetryNTimes;

final class Locks {
    private interface Taking {
        boolean acquire(long ms) throws Exception;

        void release() throws Exception;
    }

    private static Lease lease;

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static Taking of(InterProcessMutex mutex) {
        return new Taking() {
            public boolean acquire(long ms) throws Exception {
                return mutex.acquire(ms, TimeUnit.MILLISECONDS);
            }

            public void release() throws Exception {
                mutex.release();
            }
        };
    }

    private static Taking of(InterProcessSemaphoreV2 semaphore) {
        return new Taking() {
            public boolean acquire(long ms) throws Exception {
                lease = semaphore.acquire(ms, TimeUnit.MILLISECONDS);
                return lease != null;
            }

            public void release() {
                semaphore.returnLease(lease);
            }
        };
    }

    private static void count(CuratorFramework zk, Taking lock, String node, int times)
            throws Exception {
        for (int i = 0; i < times; i++) {
            if (!lock.acquire(60000)) {
                throw new IllegalStateException("not in a minute");
            }
            byte[] was = zk.getData().forPath(node);
            int next = Integer.parseInt(new String(was, StandardCharsets.UTF_8)) + 1;
            zk.setData().forPath(node, Integer.toString(next).getBytes(StandardCharsets.UTF_8));
            lock.release();
        }
        say("counted OK");
    }

    private static void runLock(CuratorFramework zk, Taking lock, BufferedReader in)
            throws Exception {
        say("ready");
        for (String line; (line = in.readLine()) != null;) {
            String[] word = line.split(" ");
            if (word[0].equals("acquire")) {
                say(lock.acquire(Long.parseLong(word[1])) ? "granted 1" : "error OPERATIONTIMEOUT");
            } else if (word[0].equals("release")) {
                lock.release();
                say("released OK");
            } else if (word[0].equals("count")) {
                count(zk, lock, word[1], Integer.parseInt(word[2]));
            }
        }
    }

    private static void runLatch(CuratorFramework zk, String path, String id, BufferedReader in)
            throws Exception {
        try (LeaderLatch latch = new LeaderLatch(zk, path, id)) {
            latch.addListener(new LeaderLatchListener() {
                public void isLeader() {
                    say("gained 1");
                }

                public void notLeader() {
                    say("lost 1");
                }
            });
            latch.start();
            for (String line; (line = in.readLine()) != null;) {
                StringBuilder all = new StringBuilder("participants");
                for (Participant p : latch.getParticipants()) {
                    all.append(' ').append(p.getId());
                }
                say(all.toString());
            }
        }
    }

    private static void runSelector(CuratorFramework zk, String path, String id, BufferedReader in)
            throws Exception {
        LeaderSelector selector = new LeaderSelector(zk, path, new LeaderSelectorListenerAdapter() {
            public void takeLeadership(CuratorFramework client) throws InterruptedException {
                say("gained 1");
                Thread.sleep(Long.MAX_VALUE);
            }
        });
        selector.setId(id);
        selector.start();
        for (String line; (line = in.readLine()) != null;) {
            StringBuilder all = new StringBuilder("participants");
            for (Participant p : selector.getParticipants()) {
                all.append(' ').append(p.getId());
            }
            say(all.toString());
        }
        selector.close();
    }

    private static void runGroup(CuratorFramework zk, String path, String id, BufferedReader in)
            throws Exception {
        try (GroupMember member =
                     new GroupMember(zk, path, id, id.getBytes(StandardCharsets.UTF_8))) {
            member.start();
            say("joined OK");
            for (String line; (line = in.readLine()) != null;) {
                if (line.startsWith("data ")) {
                    member.setThisData(line.substring(5).getBytes(StandardCharsets.UTF_8));
                    say("set OK");
                    continue;
                }
                Map<String, byte[]> sorted = new TreeMap<>(member.getCurrentMembers());
                StringBuilder all = new StringBuilder("members");
                sorted.forEach((name, data) -> all.append(' ').append(name).append('=')
                        .append(new String(data, StandardCharsets.UTF_8)));
                say(all + " .");
            }
        }
    }

    public static void main(String[] arg) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        try (CuratorFramework zk = CuratorFrameworkFactory.newClient(
                arg[0], 6000, 10000, new RetryNTimes(10, 200))) {
            zk.start();
            String path = arg[3];
            switch (arg[1]) {
                case "lock" -> runLock(zk, of(new InterProcessMutex(zk, path)), in);
                case "reader" ->
                        runLock(zk, of(new InterProcessReadWriteLock(zk, path).readLock()), in);
                case "writer" ->
                        runLock(zk, of(new InterProcessReadWriteLock(zk, path).writeLock()), in);
                case "lease" -> runLock(zk, of(new InterProcessSemaphoreV2(
                        zk, path, Integer.parseInt(arg[5]))), in);
                case "latch" -> runLatch(zk, path, arg[4], in);
                case "selector" -> runSelector(zk, path, arg[4], in);
                default -> runGroup(zk, path, arg[4], in);
            }
        }
    }
}
