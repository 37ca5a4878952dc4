// SPDX-License-Identifier: Apache-2.0
// Caches of a tree kept by one-shot watches (the old ones) and by persistent watches (the new).

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCacheEvent;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.zookeeper.data.Stat;

@SuppressWarnings("deprecation")
final class Caches {
    static void add(Map<String, Scenarios.Body> all) {
        all.put("cache_path_children", Caches::pathChildren);
        all.put("cache_tree", Caches::tree);
        all.put("cache_node", Caches::node);
        all.put("cache_curator", Caches::curator);
        all.put("cache_curator_single", Caches::curatorSingle);
        all.put("caches_agree_under_load", Caches::agreeUnderLoad);
        all.put("cache_after_expiry", Caches::afterExpiry);
        all.put("watcher_persistent", client -> watcher(client, false));
        all.put("watcher_persistent_recursive", client -> watcher(client, true));
    }

    private static List<String> list() {
        return Collections.synchronizedList(new ArrayList<>());
    }

    private static void awaitEvents(List<String> seen, String... expected) throws Exception {
        try {
            World.eventually("the events", () -> seen.size() >= expected.length);
        } finally {
            World.same(List.of(expected), List.copyOf(seen), "events");
        }
    }

    private static String text(byte[] data) {
        return data == null ? "-" : new String(data);
    }

    private static void pathChildren(World w) throws Exception {
        CuratorFramework other = w.client();
        other.create().forPath(w.path);
        other.create().forPath(w.path + "/old", "0".getBytes());
        List<String> seen = list();
        PathChildrenCache cache = w.closing(new PathChildrenCache(w.client(), w.path, true));
        cache.getListenable().addListener((client, event) -> {
            if (event.getType() == PathChildrenCacheEvent.Type.INITIALIZED) {
                seen.add("INITIALIZED");
            } else if (event.getData() != null) {
                seen.add(event.getType() + " " + event.getData().getPath() + " "
                    + text(event.getData().getData()));
            }
        });
        cache.start(PathChildrenCache.StartMode.POST_INITIALIZED_EVENT);
        String old = w.path + "/old";
        String fresh = w.path + "/new";
        awaitEvents(seen, "CHILD_ADDED " + old + " 0", "INITIALIZED");
        other.create().forPath(fresh, "1".getBytes());
        awaitEvents(seen, "CHILD_ADDED " + old + " 0", "INITIALIZED",
            "CHILD_ADDED " + fresh + " 1");
        seen.clear();
        other.setData().forPath(fresh, "2".getBytes());
        awaitEvents(seen, "CHILD_UPDATED " + fresh + " 2");
        other.delete().forPath(old);
        awaitEvents(seen, "CHILD_UPDATED " + fresh + " 2", "CHILD_REMOVED " + old + " 0");
        World.same(1, cache.getCurrentData().size(), "cached children");
    }

    private static void tree(World w) throws Exception {
        CuratorFramework other = w.client();
        other.create().creatingParentsIfNeeded().forPath(w.path + "/a/b/c", "c".getBytes());
        List<String> seen = list();
        TreeCache cache = w.closing(new TreeCache(w.client(), w.path));
        cache.getListenable().addListener((client, event) -> seen.add(
            event.getType() + (event.getData() == null ? "" : " " + event.getData().getPath())));
        cache.start();
        World.eventually("initialized", () -> seen.contains("INITIALIZED"));
        World.same("c", text(cache.getCurrentData(w.path + "/a/b/c").getData()), "deep data");
        other.create().forPath(w.path + "/a/x");
        other.setData().forPath(w.path + "/a/b", "b".getBytes());
        other.delete().deletingChildrenIfNeeded().forPath(w.path + "/a/b");
        World.eventually("deletion of a subtree",
            () -> seen.contains("NODE_REMOVED " + w.path + "/a/b")
                && seen.contains("NODE_REMOVED " + w.path + "/a/b/c"));
        World.eventually("creation", () -> seen.contains("NODE_ADDED " + w.path + "/a/x"));
        World.same(Set.of("x"), cache.getCurrentChildren(w.path + "/a").keySet(), "rest");
    }

    private static void node(World w) throws Exception {
        CuratorFramework other = w.client();
        List<String> seen = list();
        NodeCache cache = w.closing(new NodeCache(w.client(), w.path));
        cache.getListenable().addListener(() -> {
            ChildData data = cache.getCurrentData();
            seen.add(data == null ? "gone" : text(data.getData()));
        });
        cache.start(true);
        World.check(cache.getCurrentData() == null, "data of no node");
        other.create().forPath(w.path, "1".getBytes());
        awaitEvents(seen, "1");
        other.setData().forPath(w.path, "2".getBytes());
        awaitEvents(seen, "1", "2");
        other.delete().forPath(w.path);
        awaitEvents(seen, "1", "2", "gone");
        other.create().forPath(w.path, "3".getBytes());
        awaitEvents(seen, "1", "2", "gone", "3");
    }

    private static CuratorCache cache(World w, List<String> seen, CuratorCache.Options... options)
        throws Exception {
        CuratorCache cache = w.closing(CuratorCache.build(w.client(), w.path, options));
        cache.listenable().addListener((type, before, after) -> seen.add(
            type + " " + (after == null ? before : after).getPath() + " "
                + text((after == null ? before : after).getData())));
        cache.start();
        return cache;
    }

    private static void curator(World w) throws Exception {
        CuratorFramework other = w.client();
        List<String> seen = list();
        CuratorCache cache = cache(w, seen);
        String deep = w.path + "/a/b";
        other.create().forPath(w.path, "0".getBytes());
        awaitEvents(seen, "NODE_CREATED " + w.path + " 0");
        other.create().forPath(w.path + "/a", "1".getBytes());
        awaitEvents(seen, "NODE_CREATED " + w.path + " 0", "NODE_CREATED " + w.path + "/a 1");
        seen.clear();
        other.create().forPath(deep, "2".getBytes());
        awaitEvents(seen, "NODE_CREATED " + deep + " 2");
        other.setData().forPath(deep, "3".getBytes());
        awaitEvents(seen, "NODE_CREATED " + deep + " 2", "NODE_CHANGED " + deep + " 3");
        seen.clear();
        other.delete().forPath(deep);
        awaitEvents(seen, "NODE_DELETED " + deep + " 3");
        World.same(2, cache.size(), "cached nodes");
    }

    private static void curatorSingle(World w) throws Exception {
        CuratorFramework other = w.client();
        List<String> seen = list();
        CuratorCache cache = cache(w, seen, CuratorCache.Options.SINGLE_NODE_CACHE);
        other.create().forPath(w.path, "0".getBytes());
        awaitEvents(seen, "NODE_CREATED " + w.path + " 0");
        other.create().forPath(w.path + "/child", "1".getBytes());
        other.setData().forPath(w.path, "2".getBytes());
        awaitEvents(seen, "NODE_CREATED " + w.path + " 0", "NODE_CHANGED " + w.path + " 2");
        World.same(1, cache.size(), "cached nodes");
    }

    /** Path -> data and version of the whole tree below a path, read from the server. */
    private static Map<String, String> truth(CuratorFramework client, String path)
        throws Exception {
        Map<String, String> all = new TreeMap<>();
        Stat stat = new Stat();
        byte[] data = client.getData().storingStatIn(stat).forPath(path);
        all.put(path, text(data) + "@" + stat.getMzxid());
        for (String name : client.getChildren().forPath(path)) {
            all.putAll(truth(client, path + "/" + name));
        }
        return all;
    }

    private static Map<String, String> cached(CuratorCache cache) {
        Map<String, String> all = new TreeMap<>();
        cache.stream().forEach(one -> all.put(one.getPath(),
            text(one.getData()) + "@" + one.getStat().getMzxid()));
        return all;
    }

    private static void cached(TreeCache cache, String path, Map<String, String> all) {
        ChildData one = cache.getCurrentData(path);
        if (one == null) {
            return;
        }
        all.put(path, text(one.getData()) + "@" + one.getStat().getMzxid());
        Map<String, ChildData> children = cache.getCurrentChildren(path);
        if (children != null) {
            children.values().forEach(child -> cached(cache, child.getPath(), all));
        }
    }

    private static void agree(CuratorFramework client, String path, CuratorCache cache)
        throws Exception {
        Map<String, String> truth = truth(client, path);
        World.eventually("the new cache is as the tree", () -> cached(cache).equals(truth));
    }

    private static void agree(CuratorFramework client, String path, TreeCache cache)
        throws Exception {
        Map<String, String> truth = truth(client, path);
        World.eventually("the old cache is as the tree", () -> {
            Map<String, String> all = new TreeMap<>();
            cached(cache, path, all);
            return all.equals(truth);
        });
    }

    /** Writes all over a small tree, and with `deleting` takes subtrees away that come again. */
    private static void change(CuratorFramework client, String path, int rounds, boolean deleting)
        throws Exception {
        for (int i = 0; i < rounds; i++) {
            String node = path + "/" + i % 5;
            String deep = node + "/" + i % 3;
            byte[] data = Integer.toString(i).getBytes();
            client.create().orSetData().creatingParentsIfNeeded().forPath(deep, data);
            client.setData().forPath(node, data);
            if (deleting && i % 4 == 0) {
                client.delete().deletingChildrenIfNeeded().forPath(node);
            }
        }
    }

    // While they read the tree for the first time or again, both caches may miss a node that goes
    // and comes back, and the old one more than that. Those are Curator's own races, with any
    // server: so deletions wait for the first reading, and only the new one is put through expiry.

    private static void agreeUnderLoad(World w) throws Exception {
        CuratorFramework writer = w.client();
        writer.create().forPath(w.path);
        CuratorCache cache = cache(w, list());
        TreeCache old = w.closing(new TreeCache(w.client(), w.path));
        old.start();
        agree(writer, w.path, cache);
        agree(writer, w.path, old);
        change(writer, w.path, 200, true);
        agree(writer, w.path, cache);
        agree(writer, w.path, old);
    }

    private static void afterExpiry(World w) throws Exception {
        CuratorFramework writer = w.client();
        writer.create().forPath(w.path);
        CuratorFramework reader = w.client();
        CuratorCache cache = w.closing(CuratorCache.build(reader, w.path));
        cache.start();
        agree(writer, w.path, cache);
        change(writer, w.path, 20, true);
        agree(writer, w.path, cache);
        w.expire(reader);
        change(writer, w.path, 43, false);
        agree(writer, w.path, cache);
    }

    private static void watcher(World w, boolean recursive) throws Exception {
        CuratorFramework other = w.client();
        other.create().forPath(w.path);
        List<String> seen = list();
        PersistentWatcher watcher =
            w.closing(new PersistentWatcher(w.client(), w.path, recursive));
        CountDownLatch set = new CountDownLatch(1);
        watcher.getResetListenable().addListener(set::countDown);
        watcher.getListenable().addListener(event -> {
            if (event.getPath() != null) {
                seen.add(event.getType() + " " + event.getPath());
            }
        });
        watcher.start();
        World.check(set.await(World.WAIT_S, TimeUnit.SECONDS), "the watch was not set");
        String child = w.path + "/child";
        other.setData().forPath(w.path, new byte[1]);
        other.create().forPath(child);
        other.create().forPath(child + "/deep");
        other.setData().forPath(child, new byte[1]);
        other.delete().forPath(child + "/deep");
        other.delete().forPath(child);
        other.setData().forPath(w.path, new byte[2]);
        other.delete().forPath(w.path);
        if (recursive) {
            awaitEvents(seen, "NodeDataChanged " + w.path, "NodeCreated " + child,
                "NodeCreated " + child + "/deep", "NodeDataChanged " + child,
                "NodeDeleted " + child + "/deep", "NodeDeleted " + child,
                "NodeDataChanged " + w.path, "NodeDeleted " + w.path);
        } else {
            awaitEvents(seen, "NodeDataChanged " + w.path, "NodeChildrenChanged " + w.path,
                "NodeChildrenChanged " + w.path, "NodeDataChanged " + w.path,
                "NodeDeleted " + w.path);
        }
    }
}
