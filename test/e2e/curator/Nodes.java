// SPDX-License-Identifier: Apache-2.0
// Recipes that keep a node alive: through deletion by others, expiry, and idle time.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;

final class Nodes {
    static void add(Map<String, Scenarios.Body> all) {
        all.put("persistent_node", Nodes::persistentNode);
        all.put("persistent_ttl_node", Nodes::persistentTtlNode);
        all.put("group_member", Nodes::groupMember);
    }

    private static void persistentNode(World w) throws Exception {
        CuratorFramework owner = w.client();
        CuratorFramework other = w.client();
        String path = w.path + "/node";
        PersistentNode node = w.closing(new PersistentNode(
            owner, CreateMode.EPHEMERAL, false, path, new byte[] {1}));
        node.start();
        World.check(node.waitForInitialCreate(World.WAIT_S, TimeUnit.SECONDS), "not created");
        Stat first = other.checkExists().forPath(path);
        World.same(owner.getZookeeperClient().getZooKeeper().getSessionId(),
            first.getEphemeralOwner(), "owner");

        other.delete().forPath(path);
        World.eventually("made again after a deletion", () -> {
            Stat now = other.checkExists().forPath(path);
            return now != null && now.getCzxid() > first.getCzxid();
        });
        node.setData(new byte[] {2});
        World.eventually("new data", () -> {
            return other.getData().forPath(path)[0] == 2;
        });

        w.expire(owner);
        long owns = owner.getZookeeperClient().getZooKeeper().getSessionId();
        World.check(owns != first.getEphemeralOwner(), "the session did not change");
        World.eventually("made again by the new session", () -> {
            Stat now = other.checkExists().forPath(path);
            return now != null && now.getEphemeralOwner() == owns;
        });
        World.same((byte) 2, other.getData().forPath(path)[0], "data after expiry");
        node.close();
        World.eventually("gone when closed", () -> other.checkExists().forPath(path) == null);
    }

    private static void persistentTtlNode(World w) throws Exception {
        CuratorFramework client = w.client();
        String path = w.path + "/node";
        PersistentTtlNode node = w.closing(new PersistentTtlNode(client, path, 400, new byte[0]));
        node.start();
        World.check(node.waitForInitialCreate(World.WAIT_S, TimeUnit.SECONDS), "not created");
        // The recipe touches a child with a TTL now and then; both live as long as it does.
        String child = path + "/" + PersistentTtlNode.DEFAULT_CHILD_NODE_NAME;
        World.eventually("the child", () -> client.checkExists().forPath(child) != null);
        long czxid = client.checkExists().forPath(path).getCzxid();
        World.eventually("it is touched", () -> {
            Stat stat = client.checkExists().forPath(child);
            return stat != null && stat.getVersion() >= 5;
        });
        World.same(czxid, client.checkExists().forPath(path).getCzxid(), "the container stayed");
        node.close();
        World.eventually("gone when nobody touches it",
            () -> client.checkExists().forPath(path) == null);
    }

    private static void groupMember(World w) throws Exception {
        List<CuratorFramework> clients = w.clients(4);
        List<GroupMember> members = new ArrayList<>();
        for (CuratorFramework client : clients) {
            String id = "member-" + members.size();
            GroupMember member = w.closing(new GroupMember(client, w.path, id, id.getBytes()));
            member.start();
            members.add(member);
        }
        Set<String> all = Set.of("member-0", "member-1", "member-2", "member-3");
        for (GroupMember member : members) {
            World.eventually("each sees all",
                () -> member.getCurrentMembers().keySet().equals(all));
        }
        members.get(3).close();
        Set<String> three = Set.of("member-0", "member-1", "member-2");
        for (GroupMember member : members.subList(0, 3)) {
            World.eventually("one left",
                () -> member.getCurrentMembers().keySet().equals(three));
        }
        members.get(0).setThisData("changed".getBytes());
        World.eventually("data is seen", () -> "changed".equals(
            new String(members.get(1).getCurrentMembers().get("member-0"))));
        w.expire(clients.get(1));
        for (GroupMember member : members.subList(0, 3)) {
            World.eventually("the expired one is back",
                () -> member.getCurrentMembers().keySet().equals(three)
                    && owner(clients.get(0), w.path + "/member-1")
                        == clients.get(1).getZookeeperClient().getZooKeeper().getSessionId());
        }
    }

    private static long owner(CuratorFramework client, String path) throws Exception {
        Stat stat = client.checkExists().forPath(path);
        return stat == null ? 0 : stat.getEphemeralOwner();
    }
}
