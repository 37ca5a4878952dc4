// SPDX-License-Identifier: Apache-2.0
// Curator's plain operations that lean on less common requests: containers, TTL, multi, ACLs.

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.CuratorWatcher;
import org.apache.curator.framework.api.transaction.CuratorOp;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

final class Framework {
    static void add(Map<String, Scenarios.Body> all) {
        all.put("containers", Framework::containers);
        all.put("ttl", Framework::ttl);
        all.put("transactions", Framework::transactions);
        all.put("transactions_fail_whole", Framework::transactionsFailWhole);
        all.put("protected_sequential", Framework::protectedSequential);
        all.put("acl_digest", Framework::aclDigest);
        all.put("background", Framework::background);
        all.put("watches_removed", Framework::watchesRemoved);
        all.put("delete_tree", Framework::deleteTree);
        all.put("chroot_and_namespace", Framework::chrootAndNamespace);
        all.put("versions", Framework::versions);
        all.put("newer_requests", Framework::newerRequests);
    }

    interface Action {
        Object run() throws Exception;
    }

    private static void refused(KeeperException.Code code, Action action) throws Exception {
        try {
            action.run();
        } catch (KeeperException e) {
            World.same(code, e.code(), "error");
            return;
        }
        throw new AssertionError("no error " + code);
    }

    private static void containers(World w) throws Exception {
        CuratorFramework client = w.client();
        String parent = w.path + "/parent";
        client.create().creatingParentContainersIfNeeded().forPath(parent + "/a");
        client.create().forPath(parent + "/b");
        client.delete().forPath(parent + "/a");
        World.check(client.checkExists().forPath(parent) != null, "a container with a child went");
        client.delete().forPath(parent + "/b");
        World.eventually("empty containers go, one after the other",
            () -> client.checkExists().forPath(w.path) == null);
    }

    private static void ttl(World w) throws Exception {
        CuratorFramework client = w.client();
        client.create().forPath(w.path);
        String node = w.path + "/short";
        client.create().withTtl(300).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath(node);
        String parent = w.path + "/parent";
        client.create().withTtl(300).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath(parent);
        client.create().forPath(parent + "/child");
        String numbered = client.create().withTtl(300)
            .withMode(CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL).forPath(w.path + "/n-");
        World.check(numbered.matches(w.path + "/n-\\d{10}"), numbered);
        String lasting = w.path + "/lasting";
        client.create().withTtl(3600000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath(lasting);
        World.eventually("nodes go when their time is up",
            () -> client.checkExists().forPath(node) == null
                && client.checkExists().forPath(numbered) == null);
        World.check(client.checkExists().forPath(parent) != null, "a node with a child went");
        World.check(client.checkExists().forPath(lasting) != null, "a node went too early");
        client.delete().forPath(parent + "/child");
        World.eventually("it goes without the child",
            () -> client.checkExists().forPath(parent) == null);
    }

    private static void transactions(World w) throws Exception {
        CuratorFramework client = w.client();
        client.create().forPath(w.path);
        client.create().forPath(w.path + "/old", new byte[0]);
        Collection<CuratorTransactionResult> results = client.transaction().forOperations(
            client.transactionOp().create().forPath(w.path + "/a", "1".getBytes()),
            client.transactionOp().create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
                .forPath(w.path + "/a-", "s".getBytes()),
            client.transactionOp().setData().withVersion(0)
                .forPath(w.path + "/a", "2".getBytes()),
            client.transactionOp().check().withVersion(1).forPath(w.path + "/a"),
            client.transactionOp().delete().forPath(w.path + "/old"));
        World.same(5, results.size(), "results");
        List<CuratorTransactionResult> all = new ArrayList<>(results);
        World.same(w.path + "/a", all.get(0).getResultPath(), "created path");
        World.check(all.get(1).getResultPath().matches(w.path + "/a-\\d{10}"), "sequential path");
        World.same(1, all.get(2).getResultStat().getVersion(), "version");
        Stat first = client.checkExists().forPath(w.path + "/a");
        Stat second = client.checkExists().forPath(all.get(1).getResultPath());
        World.same(first.getCzxid(), second.getCzxid(), "one zxid for the whole");
        World.same(first.getCzxid(), first.getMzxid(), "one zxid for the whole");
        World.same("2", new String(client.getData().forPath(w.path + "/a")), "data");
        World.check(client.checkExists().forPath(w.path + "/old") == null, "not deleted");
    }

    private static void transactionsFailWhole(World w) throws Exception {
        CuratorFramework client = w.client();
        client.create().forPath(w.path);
        CuratorOp[] ops = {
            client.transactionOp().create().forPath(w.path + "/a"),
            client.transactionOp().delete().forPath(w.path + "/missing"),
            client.transactionOp().setData().forPath(w.path, new byte[9]),
        };
        try {
            client.transaction().forOperations(ops);
            throw new AssertionError("a failing transaction went through");
        } catch (KeeperException e) {
            World.same(KeeperException.Code.NONODE, e.code(), "error");
            List<Integer> codes = new ArrayList<>();
            for (OpResult result : e.getResults()) {
                codes.add(((OpResult.ErrorResult) result).getErr());
            }
            World.same(List.of(0, KeeperException.Code.NONODE.intValue(),
                KeeperException.Code.RUNTIMEINCONSISTENCY.intValue()), codes, "codes");
        }
        World.check(client.checkExists().forPath(w.path + "/a") == null, "half a transaction");
        World.same(0, client.checkExists().forPath(w.path).getVersion(), "version");
    }

    private static void protectedSequential(World w) throws Exception {
        CuratorFramework client = w.client();
        List<String> made = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            made.add(client.create().creatingParentsIfNeeded().withProtection()
                .withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(w.path + "/n-"));
        }
        for (int i = 0; i < 12; i++) {
            World.check(made.get(i).matches(w.path + "/_c_[-0-9a-f]{36}-n-\\d{10}"), made.get(i));
            World.check(made.get(i).endsWith(String.format("%010d", i)), made.get(i));
        }
        client.close();
        CuratorFramework other = w.client();
        World.same(0, other.getChildren().forPath(w.path).size(), "ephemerals of a closed session");
    }

    private static void aclDigest(World w) throws Exception {
        CuratorFramework stranger = w.client();
        CuratorFramework owner = w.client();
        owner.getZookeeperClient().getZooKeeper().addAuthInfo("digest", "user:secret".getBytes());
        owner.create().withACL(Ids.CREATOR_ALL_ACL).forPath(w.path, "hidden".getBytes());
        refused(KeeperException.Code.NOAUTH, () -> stranger.getData().forPath(w.path));
        refused(KeeperException.Code.NOAUTH, () -> stranger.setData().forPath(w.path, new byte[1]));
        refused(KeeperException.Code.NOAUTH, () -> stranger.create().forPath(w.path + "/c"));
        if (Boolean.getBoolean("exists.needs.read")) {
            refused(KeeperException.Code.NOAUTH, () -> stranger.checkExists().forPath(w.path));
        } else {
            World.check(stranger.checkExists().forPath(w.path) != null, "exists needs no right");
        }
        World.same("hidden", new String(owner.getData().forPath(w.path)), "data");
        ZooKeeper zk = stranger.getZookeeperClient().getZooKeeper();
        zk.addAuthInfo("digest", "user:wrong".getBytes());
        refused(KeeperException.Code.NOAUTH, () -> stranger.getData().forPath(w.path));
        zk.addAuthInfo("digest", "user:secret".getBytes());
        World.same("hidden", new String(stranger.getData().forPath(w.path)), "data");
        owner.setACL().withACL(Ids.READ_ACL_UNSAFE).forPath(w.path);
        CuratorFramework late = w.client();
        World.same("hidden", new String(late.getData().forPath(w.path)), "data for all");
        refused(KeeperException.Code.NOAUTH, () -> late.setData().forPath(w.path, new byte[1]));
        World.same(Ids.READ_ACL_UNSAFE, late.getACL().forPath(w.path), "acl");
        World.same(1, late.checkExists().forPath(w.path).getAversion(), "acl version");
    }

    private static void background(World w) throws Exception {
        int count = 2000;
        CuratorFramework client = w.client();
        client.create().forPath(w.path);
        CountDownLatch done = new CountDownLatch(count);
        List<Integer> wrong = Collections.synchronizedList(new ArrayList<>());
        for (int i = 0; i < count; i++) {
            client.create().inBackground((of, event) -> {
                if (event.getResultCode() != 0) {
                    wrong.add(event.getResultCode());
                }
                done.countDown();
            }).forPath(w.path + "/" + i, new byte[100]);
        }
        World.check(done.await(World.WAIT_S, TimeUnit.SECONDS), "answers are missing");
        World.same(List.of(), wrong, "errors");
        CountDownLatch synced = new CountDownLatch(1);
        CuratorFramework other = w.client();
        other.sync().inBackground((of, event) -> synced.countDown()).forPath(w.path);
        World.check(synced.await(World.WAIT_S, TimeUnit.SECONDS), "no answer to sync");
        World.same(count, other.getChildren().forPath(w.path).size(), "children");
        World.same(count, other.checkExists().forPath(w.path).getNumChildren(), "numChildren");
    }

    private static void watchesRemoved(World w) throws Exception {
        CuratorFramework client = w.client();
        CuratorFramework other = w.client();
        other.create().forPath(w.path);
        List<EventType> seen = Collections.synchronizedList(new ArrayList<>());
        CuratorWatcher removed = event -> seen.add(event.getType());
        CuratorWatcher kept = event -> seen.add(event.getType());
        client.getData().usingWatcher(removed).forPath(w.path);
        client.getChildren().usingWatcher(kept).forPath(w.path);
        client.watches().remove(removed).forPath(w.path);
        World.eventually("told of the removal",
            () -> seen.equals(List.of(EventType.DataWatchRemoved)));
        other.setData().forPath(w.path, new byte[1]);
        other.create().forPath(w.path + "/child");
        World.eventually("only the watch that was kept fires", () -> seen.equals(
            List.of(EventType.DataWatchRemoved, EventType.NodeChildrenChanged)));
        refused(KeeperException.Code.NOWATCHER,
            () -> client.watches().removeAll().forPath(w.path + "/child"));
    }

    private static void deleteTree(World w) throws Exception {
        CuratorFramework client = w.client();
        for (int i = 0; i < 60; i++) {
            client.create().orSetData().creatingParentsIfNeeded()
                .forPath(w.path + "/" + i % 6 + "/" + i % 10 + "/" + i);
        }
        refused(KeeperException.Code.NOTEMPTY, () -> client.delete().forPath(w.path));
        client.delete().guaranteed().deletingChildrenIfNeeded().forPath(w.path);
        World.check(client.checkExists().forPath(w.path) == null, "not deleted");
    }

    private static void chrootAndNamespace(World w) throws Exception {
        CuratorFramework root = w.client();
        root.create().forPath(w.path);
        CuratorFramework below = w.client(w.path);
        CuratorFramework inside = below.usingNamespace("space");
        inside.create().creatingParentsIfNeeded().forPath("/deep/node", "x".getBytes());
        World.same("x", new String(root.getData().forPath(w.path + "/space/deep/node")), "data");
        CountDownLatch changed = new CountDownLatch(1);
        String[] where = new String[1];
        inside.getData().usingWatcher((CuratorWatcher) event -> {
            where[0] = event.getPath();
            changed.countDown();
        }).forPath("/deep/node");
        root.setData().forPath(w.path + "/space/deep/node", new byte[0]);
        World.check(changed.await(World.WAIT_S, TimeUnit.SECONDS), "no event");
        World.same("/deep/node", where[0], "path as the client knows it");
    }

    private static void versions(World w) throws Exception {
        CuratorFramework client = w.client();
        Stat stat = new Stat();
        client.create().storingStatIn(stat).forPath(w.path, new byte[3]);
        World.same(3, stat.getDataLength(), "length told by create");
        World.same(stat.getCzxid(), stat.getPzxid(), "pzxid of a fresh node");
        client.setData().withVersion(0).forPath(w.path, new byte[4]);
        refused(KeeperException.Code.BADVERSION,
            () -> client.setData().withVersion(0).forPath(w.path, new byte[5]));
        refused(KeeperException.Code.BADVERSION,
            () -> client.delete().withVersion(0).forPath(w.path));
        refused(KeeperException.Code.NODEEXISTS, () -> client.create().forPath(w.path));
        List<CuratorFramework> clients = w.clients(3);
        List<Future<Boolean>> racing = new ArrayList<>();
        for (CuratorFramework one : clients) {
            racing.add(w.thread(() -> {
                try {
                    one.setData().withVersion(1).forPath(w.path, new byte[6]);
                    return true;
                } catch (KeeperException.BadVersionException e) {
                    return false;
                }
            }));
        }
        int won = 0;
        for (Future<Boolean> one : racing) {
            won += World.join(one) ? 1 : 0;
        }
        World.same(1, won, "winners of a race for one version");
        client.delete().withVersion(2).forPath(w.path);
    }

    /** Requests that Curator has no words for: 3.6 and 3.7 added them to the Java client. */
    private static void newerRequests(World w) throws Exception {
        CuratorFramework client = w.client();
        ZooKeeper zk = client.getZookeeperClient().getZooKeeper();
        client.create().forPath(w.path, "top".getBytes());
        client.create().withMode(CreateMode.EPHEMERAL).forPath(w.path + "/e1");
        client.create().forPath(w.path + "/p");
        client.create().withMode(CreateMode.EPHEMERAL).forPath(w.path + "/p/e2");
        List<String> ephemerals = zk.getEphemerals(w.path);
        ephemerals.sort(null);
        World.same(List.of(w.path + "/e1", w.path + "/p/e2"), ephemerals, "ephemerals");
        World.same(3, zk.getAllChildrenNumber(w.path), "all below");
        List<OpResult> read = zk.multi(Arrays.asList(Op.getData(w.path), Op.getChildren(w.path),
            Op.getData(w.path + "/none")));
        World.same("top", new String(((OpResult.GetDataResult) read.get(0)).getData()), "data");
        World.same(2, ((OpResult.GetChildrenResult) read.get(1)).getChildren().size(), "children");
        World.same(KeeperException.Code.NONODE.intValue(),
            ((OpResult.ErrorResult) read.get(2)).getErr(), "error of one read");
        World.check(zk.whoAmI().stream().anyMatch(who -> who.getAuthScheme().equals("ip")),
            "whoAmI without the address");
    }
}
