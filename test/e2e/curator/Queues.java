// SPDX-License-Identifier: Apache-2.0
// Queues: every item arrives once, in order where the queue has one.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;

final class Queues {
    static void add(Map<String, Scenarios.Body> all) {
        all.put("queue_locked", Queues::locked);
        all.put("queue_simple", Queues::simple);
        all.put("queue_priority", Queues::priority);
        all.put("queue_delay", Queues::delay);
    }

    private static final QueueSerializer<String> TEXT = new QueueSerializer<>() {
        @Override
        public byte[] serialize(String item) {
            return item.getBytes(StandardCharsets.UTF_8);
        }

        @Override
        public String deserialize(byte[] bytes) {
            return new String(bytes, StandardCharsets.UTF_8);
        }
    };

    private static QueueConsumer<String> into(List<String> seen) {
        return new QueueConsumer<>() {
            @Override
            public void consumeMessage(String item) {
                seen.add(item);
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {
            }
        };
    }

    private static void locked(World w) throws Exception {
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        List<DistributedQueue<String>> producers = new ArrayList<>();
        for (CuratorFramework client : w.clients(2)) {
            DistributedQueue<String> queue = w.closing(
                QueueBuilder.builder(client, into(seen), TEXT, w.path + "/items")
                    .lockPath(w.path + "/locks").buildQueue());
            queue.start();
            DistributedQueue<String> producer = w.closing(
                QueueBuilder.<String>builder(client, null, TEXT, w.path + "/items").buildQueue());
            producer.start();
            producers.add(producer);
        }
        for (int i = 0; i < 100; i++) {
            producers.get(i % 2).put("item-" + i);
        }
        World.eventually("all consumed", () -> seen.size() >= 100);
        World.same(100, new HashSet<>(seen).size(), "different items");
        CuratorFramework client = w.client();
        World.eventually("nothing is left",
            () -> World.children(client, w.path + "/items") == 0
                && World.children(client, w.path + "/locks") == 0);
        World.same(100, seen.size(), "items consumed");
    }

    private static void simple(World w) throws Exception {
        int perProducer = 30;
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        List<Future<?>> all = new ArrayList<>();
        AtomicInteger number = new AtomicInteger();
        for (CuratorFramework client : w.clients(3)) {
            SimpleDistributedQueue queue = new SimpleDistributedQueue(client, w.path);
            all.add(w.thread(() -> {
                for (int i = 0; i < perProducer; i++) {
                    seen.add(new String(queue.take(), StandardCharsets.UTF_8));
                }
                return null;
            }));
            all.add(w.thread(() -> {
                for (int i = 0; i < perProducer; i++) {
                    queue.offer(TEXT.serialize("item-" + number.incrementAndGet()));
                }
                return null;
            }));
        }
        World.joinAll(all);
        World.same(3 * perProducer, seen.size(), "items taken");
        World.same(3 * perProducer, new HashSet<>(seen).size(), "different items");

        SimpleDistributedQueue queue = new SimpleDistributedQueue(w.client(), w.path);
        World.check(queue.poll() == null, "not empty");
        World.check(queue.poll(100, TimeUnit.MILLISECONDS) == null, "not empty");
        for (int i = 0; i < 12; i++) {
            queue.offer(TEXT.serialize("ordered-" + i));
        }
        World.same("ordered-0", TEXT.deserialize(queue.peek()), "head");
        for (int i = 0; i < 12; i++) {
            World.same("ordered-" + i, TEXT.deserialize(queue.remove()), "order");
        }
    }

    private static void priority(World w) throws Exception {
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        DistributedPriorityQueue<String> producer = w.closing(
            QueueBuilder.<String>builder(w.client(), null, TEXT, w.path).buildPriorityQueue(0));
        producer.start();
        int[] order = {5, -3, 40, 0, 7, -20};
        for (int priority : order) {
            producer.put(Integer.toString(priority), priority);
        }
        World.check(producer.flushPuts(World.WAIT_S, TimeUnit.SECONDS), "puts are stuck");
        DistributedPriorityQueue<String> consumer = w.closing(
            QueueBuilder.builder(w.client(), into(seen), TEXT, w.path)
                .executor(Runnable::run).buildPriorityQueue(0));
        consumer.start();
        World.eventually("all consumed", () -> seen.size() == order.length);
        World.same(List.of("-20", "-3", "0", "5", "7", "40"), seen, "by priority");
    }

    private static void delay(World w) throws Exception {
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        DistributedDelayQueue<String> queue = w.closing(
            QueueBuilder.builder(w.client(), into(seen), TEXT, w.path)
                .executor(Runnable::run).buildDelayQueue());
        queue.start();
        long now = System.currentTimeMillis();
        queue.put("late", now + 600);
        queue.put("early", now + 200);
        World.eventually("both", () -> seen.size() == 2);
        World.same(List.of("early", "late"), seen, "by due time");
        World.check(System.currentTimeMillis() >= now + 600, "before it was due");
    }
}
