// SPDX-License-Identifier: Apache-2.0

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.AsyncCallback;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Stat;

/**
 * What users of Apache's Java client do: JavaClient HOST:PORT ROOT SCENARIO... runs each scenario
 * below ROOT/SCENARIO in one JVM and prints "ok SCENARIO" or the failure. "restart" is for a test
 * that kills the server when it reads "ready" and sends a line when it is back.
 */
public final class JavaClient {
    private static final int WAIT_S = 15;
    private static final int PIPELINE_DEPTH = 5000;

    private final String hosts;
    private final String root;
    private final List<ZooKeeper> opened = new ArrayList<>();

    private JavaClient(String hosts, String root) {
        this.hosts = hosts;
        this.root = root;
    }

    /** Keeps node events; counts down when connected. */
    private static final class Events implements Watcher {
        final BlockingQueue<WatchedEvent> queue = new LinkedBlockingQueue<>();
        final BlockingQueue<Event.KeeperState> states = new LinkedBlockingQueue<>();

        @Override
        public void process(WatchedEvent event) {
            if (event.getType() == Event.EventType.None) {
                states.add(event.getState());
            } else {
                queue.add(event);
            }
        }

        void expect(Event.EventType type, String path) throws InterruptedException {
            WatchedEvent event = queue.poll(WAIT_S, TimeUnit.SECONDS);
            check(event != null, "no event " + type + " " + path);
            check(event.getType() == type && event.getPath().equals(path),
                    "got " + event + ", expected " + type + " " + path);
        }

        void waitState(Event.KeeperState wanted) throws InterruptedException {
            Event.KeeperState state;
            do {
                state = states.poll(WAIT_S, TimeUnit.SECONDS);
                check(state != null, "never " + wanted);
            } while (state != wanted);
        }
    }

    private static void check(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private interface Action {
        void run() throws Exception;
    }

    private static void expectError(Code code, Action action) throws Exception {
        try {
            action.run();
        } catch (KeeperException e) {
            check(e.code() == code, "got " + e.code() + ", expected " + code);
            return;
        }
        throw new AssertionError("no error, expected " + code);
    }

    private ZooKeeper open(Events events) throws Exception {
        ZooKeeper zk = new ZooKeeper(hosts, 20000, events);
        opened.add(zk);
        events.waitState(Watcher.Event.KeeperState.SyncConnected);
        return zk;
    }

    private ZooKeeper open() throws Exception {
        return open(new Events());
    }

    private static String create(ZooKeeper zk, String path, String data, CreateMode mode)
            throws Exception {
        return zk.create(path, data.getBytes(), ZooDefs.Ids.OPEN_ACL_UNSAFE, mode);
    }

    private void crud(String p) throws Exception {
        ZooKeeper zk = open();
        Stat stat = new Stat();
        check(zk.create(p + "/n", "one".getBytes(), ZooDefs.Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT, stat).equals(p + "/n"), "name");
        check(stat.getVersion() == 0 && stat.getDataLength() == 3, "stat of create");
        check(new String(zk.getData(p + "/n", false, stat)).equals("one"), "data");
        check(zk.setData(p + "/n", null, 0).getVersion() == 1, "version");
        check(zk.getData(p + "/n", false, stat) == null, "null data");
        expectError(Code.BADVERSION, () -> zk.setData(p + "/n", new byte[0], 0));
        expectError(Code.NODEEXISTS, () -> create(zk, p + "/n", "", CreateMode.PERSISTENT));
        expectError(Code.NONODE, () -> zk.getData(p + "/none", false, null));
        check(zk.exists(p + "/none", false) == null, "exists of a missing node");
        create(zk, p + "/n/k", "", CreateMode.PERSISTENT);
        expectError(Code.NOTEMPTY, () -> zk.delete(p + "/n", -1));
        check(zk.getAllChildrenNumber(p) == 2, "getAllChildrenNumber");
        check(zk.getChildren(p, false, stat).equals(Collections.singletonList("n")), "children");
        zk.delete(p + "/n/k", 0);
        zk.delete(p + "/n", 1);
        check(zk.getChildren(p, false).isEmpty(), "empty at the end");
    }

    private void modes(String p) throws Exception {
        Events events = new Events();
        ZooKeeper zk = open(events);
        check(create(zk, p + "/s-", "", CreateMode.PERSISTENT_SEQUENTIAL)
                .equals(p + "/s-0000000000"), "sequential");
        String ephemeral = create(zk, p + "/e-", "", CreateMode.EPHEMERAL_SEQUENTIAL);
        check(zk.exists(ephemeral, false).getEphemeralOwner() == zk.getSessionId(), "owner");
        check(zk.getEphemerals(p).equals(Collections.singletonList(ephemeral)), "getEphemerals");
        expectError(Code.NOCHILDRENFOREPHEMERALS,
                () -> create(zk, ephemeral + "/k", "", CreateMode.PERSISTENT));
        create(zk, p + "/c", "", CreateMode.CONTAINER);
        create(zk, p + "/c/k", "", CreateMode.PERSISTENT);
        zk.delete(p + "/c/k", -1);
        Stat stat = new Stat();
        zk.create(p + "/t", new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT_WITH_TTL, stat, 200);
        zk.create(p + "/ts-", new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, stat, 3600000);
        for (String name : Arrays.asList("/c", "/t")) {
            if (zk.exists(p + name, events) != null) {
                events.expect(Watcher.Event.EventType.NodeDeleted, p + name);
            }
        }
    }

    private void async(String p) throws Exception {
        ZooKeeper zk = open();
        CountDownLatch left = new CountDownLatch(2 * PIPELINE_DEPTH);
        AtomicInteger failures = new AtomicInteger();
        AtomicInteger order = new AtomicInteger();
        for (int n = 0; n < PIPELINE_DEPTH; n++) {
            String path = p + "/n" + n;
            int turn = n;
            AsyncCallback.StringCallback created = (rc, asked, ctx, name) -> {
                boolean good = rc == 0 && path.equals(name) && order.getAndIncrement() == turn;
                failures.addAndGet(good ? 0 : 1);
                left.countDown();
            };
            AsyncCallback.DataCallback read = (rc, asked, ctx, data, stat) -> {
                failures.addAndGet(rc == 0 && new String(data).equals(path) ? 0 : 1);
                left.countDown();
            };
            zk.create(path, path.getBytes(), ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                    created, null);
            zk.getData(path, false, read, null);
        }
        check(left.await(60, TimeUnit.SECONDS), "answers missing");
        check(failures.get() == 0, failures + " wrong answers");
        CountDownLatch synced = new CountDownLatch(1);
        zk.sync(p, (rc, path, ctx) -> synced.countDown(), null);
        check(synced.await(WAIT_S, TimeUnit.SECONDS), "no sync");
        check(zk.getChildren(p, false).size() == PIPELINE_DEPTH, "children");
    }

    private void multi(String p) throws Exception {
        ZooKeeper zk = open();
        List<OpResult> results = zk.multi(Arrays.asList(
                Op.create(p + "/a", new byte[1], ZooDefs.Ids.OPEN_ACL_UNSAFE,
                        CreateMode.PERSISTENT),
                Op.setData(p + "/a", new byte[2], 0),
                Op.check(p + "/a", 1),
                Op.create(p + "/c", new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
                Op.delete(p + "/a", 1)));
        check(((OpResult.CreateResult) results.get(0)).getPath().equals(p + "/a"), "created");
        check(((OpResult.SetDataResult) results.get(1)).getStat().getVersion() == 1, "set");
        try {
            zk.multi(Arrays.asList(
                    Op.create(p + "/b", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                    Op.delete(p + "/none", -1), Op.check(p, -1)));
            throw new AssertionError("a failing multi went through");
        } catch (KeeperException e) {
            check(e.code() == Code.NONODE, "code of the multi");
            int[] codes = e.getResults().stream()
                    .mapToInt(r -> ((OpResult.ErrorResult) r).getErr()).toArray();
            check(Arrays.equals(codes, new int[] {0, -101, -2}), Arrays.toString(codes));
        }
        check(zk.exists(p + "/b", false) == null, "rolled back");
        results = zk.multi(Arrays.asList(
                Op.getData(p), Op.getChildren(p), Op.getData(p + "/none")));
        check(results.get(0) instanceof OpResult.GetDataResult, "multiRead data");
        check(((OpResult.GetChildrenResult) results.get(1)).getChildren()
                .equals(Collections.singletonList("c")), "multiRead children");
        check(((OpResult.ErrorResult) results.get(2)).getErr() == -101, "multiRead error");
        zk.transaction().create(p + "/t", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL)
                .commit();
    }

    private void acl(String p) throws Exception {
        ZooKeeper owner = open();
        ZooKeeper other = open();
        owner.addAuthInfo("digest", "user:pass".getBytes());
        owner.create(p + "/mine", null, ZooDefs.Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        Stat stat = new Stat();
        List<ACL> acls = owner.getACL(p + "/mine", stat);
        check(acls.get(0).getId().getId().equals("user:smGaoVKd/cQkjm7b88GyorAUz20="), "digest id");
        expectError(Code.NOAUTH, () -> other.getData(p + "/mine", false, null));
        expectError(Code.NOAUTH, () -> other.getACL(p + "/mine", null));
        check(owner.setACL(p + "/mine", ZooDefs.Ids.READ_ACL_UNSAFE, 0).getAversion() == 1, "av");
        other.getData(p + "/mine", false, null);
        expectError(Code.INVALIDACL, () -> other.create(p + "/x", null,
                ZooDefs.Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
        List<ClientInfo> who = owner.whoAmI();
        check(who.stream().anyMatch(i -> i.getAuthScheme().equals("digest")
                && i.getUser().equals("user")), "whoAmI " + who);
    }

    private void watches(String p) throws Exception {
        Events events = new Events();
        ZooKeeper zk = open();
        ZooKeeper writer = open();
        zk.exists(p + "/n", events);
        zk.getChildren(p, events);
        create(writer, p + "/n", "", CreateMode.PERSISTENT);
        events.expect(Watcher.Event.EventType.NodeCreated, p + "/n");
        events.expect(Watcher.Event.EventType.NodeChildrenChanged, p);
        zk.addWatch(p + "/n", events, AddWatchMode.PERSISTENT);
        writer.setData(p + "/n", null, -1);
        writer.setData(p + "/n", null, -1);
        create(writer, p + "/n/k", "", CreateMode.PERSISTENT);
        events.expect(Watcher.Event.EventType.NodeDataChanged, p + "/n");
        events.expect(Watcher.Event.EventType.NodeDataChanged, p + "/n");
        events.expect(Watcher.Event.EventType.NodeChildrenChanged, p + "/n");
        zk.removeWatches(p + "/n", events, Watcher.WatcherType.Any, false);
        events.expect(Watcher.Event.EventType.PersistentWatchRemoved, p + "/n");
        expectError(Code.NOWATCHER,
                () -> zk.removeWatches(p + "/n", events, Watcher.WatcherType.Any, false));
        zk.addWatch(p + "/n", events, AddWatchMode.PERSISTENT_RECURSIVE);
        create(writer, p + "/n/k/deep", "", CreateMode.PERSISTENT);
        writer.setData(p + "/n/k/deep", null, -1);
        writer.delete(p + "/n/k/deep", -1);
        events.expect(Watcher.Event.EventType.NodeCreated, p + "/n/k/deep");
        events.expect(Watcher.Event.EventType.NodeDataChanged, p + "/n/k/deep");
        events.expect(Watcher.Event.EventType.NodeDeleted, p + "/n/k/deep");
        check(events.queue.isEmpty(), "more events: " + events.queue);
    }

    /** A closed session takes its ephemerals along and cannot be taken up again. */
    private void session(String p) throws Exception {
        Events events = new Events();
        ZooKeeper zk = open(events);
        create(zk, p + "/e", "", CreateMode.EPHEMERAL);
        long id = zk.getSessionId();
        byte[] password = zk.getSessionPasswd();
        zk.close();
        Events late = new Events();
        ZooKeeper again = new ZooKeeper(hosts, 20000, late, id, password);
        late.waitState(Watcher.Event.KeeperState.Expired);
        again.close();
        check(open().exists(p + "/e", false) == null, "ephemeral outlived its session");
    }

    private void restart(String p) throws Exception {
        Events events = new Events();
        Events persistent = new Events();
        ZooKeeper zk = open(events);
        create(zk, p + "/e", "", CreateMode.EPHEMERAL);
        zk.exists(p + "/later", events);
        zk.addWatch(p + "/r", persistent, AddWatchMode.PERSISTENT_RECURSIVE);
        long id = zk.getSessionId();
        System.out.println("ready");
        check(System.in.read() > 0, "no word from the test");
        events.waitState(Watcher.Event.KeeperState.Disconnected);
        events.waitState(Watcher.Event.KeeperState.SyncConnected);
        check(zk.getSessionId() == id, "another session");
        check(zk.exists(p + "/e", false).getEphemeralOwner() == id, "ephemeral");
        create(zk, p + "/later", "", CreateMode.PERSISTENT);
        events.expect(Watcher.Event.EventType.NodeCreated, p + "/later");
        create(zk, p + "/r", "", CreateMode.PERSISTENT);
        create(zk, p + "/r/a", "", CreateMode.PERSISTENT);
        persistent.expect(Watcher.Event.EventType.NodeCreated, p + "/r");
        persistent.expect(Watcher.Event.EventType.NodeCreated, p + "/r/a");
    }

    private void run(String scenario) throws Exception {
        String path = root + "/" + scenario;
        create(open(), path, "", CreateMode.PERSISTENT);
        switch (scenario) {
            case "crud": crud(path); break;
            case "modes": modes(path); break;
            case "async": async(path); break;
            case "multi": multi(path); break;
            case "acl": acl(path); break;
            case "watches": watches(path); break;
            case "session": session(path); break;
            case "restart": restart(path); break;
            default: throw new AssertionError("no such scenario");
        }
        for (ZooKeeper zk : opened) {
            zk.close();
        }
        opened.clear();
    }

    public static void main(String[] args) {
        boolean good = true;
        for (int n = 2; n < args.length; n++) {
            try {
                new JavaClient(args[0], args[1]).run(args[n]);
                System.out.println("ok " + args[n]);
            } catch (Throwable e) {
                System.out.println("FAILED " + args[n]);
                e.printStackTrace(System.out);
                good = false;
            }
        }
        System.out.flush();
        Runtime.getRuntime().halt(good ? 0 : 1);
    }
}
