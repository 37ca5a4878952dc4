// SPDX-License-Identifier: Apache-2.0
// Curator's queues, counters, values and double barriers at paths where a C program is at work.

import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;

final class Contend {
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

    private static final QueueConsumer<String> PRINT = new QueueConsumer<>() {
        @Override
        public void consumeMessage(String item) {
            say("item " + item);
        }

        @Override
        public void stateChanged(CuratorFramework client, ConnectionState state) {
        }
    };

    private static synchronized void say(String line) {
        System.out.println(line);
    }

    private static void untilInputEnds() throws Exception {
        while (System.in.read() >= 0) {
            continue;
        }
    }

    private static void simple(CuratorFramework client, String path, int items) throws Exception {
        SimpleDistributedQueue queue = new SimpleDistributedQueue(client, path);
        for (int i = 0; i < items; i++) {
            queue.offer(TEXT.serialize("java-" + i));
        }
        byte[] item;
        while ((item = queue.poll(1500, TimeUnit.MILLISECONDS)) != null) {
            say("item " + TEXT.deserialize(item));
        }
    }

    private static void locked(CuratorFramework client, String path, int items) throws Exception {
        DistributedQueue<String> queue = QueueBuilder.builder(client, PRINT, TEXT, path)
            .lockPath(path + "-locks").buildQueue();
        queue.start();
        for (int i = 0; i < items; i++) {
            queue.put("java-" + i);
        }
        untilInputEnds();
        queue.close();
    }

    private static void priorities(CuratorFramework client, String path, int items)
        throws Exception {
        DistributedPriorityQueue<String> queue = QueueBuilder.<String>builder(
            client, null, TEXT, path).buildPriorityQueue(0);
        queue.start();
        for (int i = 0; i < items; i++) {
            queue.put("java-" + (10 - i), 10 - i);
        }
        queue.put("java-minus", -1);
        queue.flushPuts(10, TimeUnit.SECONDS);
        queue.close();
    }

    private static void count(CuratorFramework client, String path, int times) throws Exception {
        DistributedAtomicLong number =
            new DistributedAtomicLong(client, path, new RetryNTimes(1000, 2));
        for (int i = 0; i < times; i++) {
            AtomicValue<Long> value = number.increment();
            say(value.succeeded() ? "now " + value.postValue() : "failed");
        }
    }

    private static void value(CuratorFramework client, String path, int times) throws Exception {
        SharedValue value = new SharedValue(client, path, new byte[0]);
        value.start();
        for (int done = 0; done < times;) {
            byte[] more = TEXT.serialize(TEXT.deserialize(value.getValue()) + "j");
            done += value.trySetValue(value.getVersionedValue(), more) ? 1 : 0;
        }
        value.close();
    }

    private static void twice(CuratorFramework client, String path, int members) throws Exception {
        DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(client, path, members);
        say("enter " + (barrier.enter(20, TimeUnit.SECONDS) ? "OK" : "late"));
        untilInputEnds();
        say("leave " + (barrier.leave(20, TimeUnit.SECONDS) ? "OK" : "late"));
    }

    public static void main(String[] args) throws Exception {
        CuratorFramework client =
            CuratorFrameworkFactory.newClient(args[0], new RetryNTimes(10, 100));
        client.start();
        int n = Integer.parseInt(args[3]);
        switch (args[1]) {
            case "simple" -> simple(client, args[2], n);
            case "locked" -> locked(client, args[2], n);
            case "priorities" -> priorities(client, args[2], n);
            case "count" -> count(client, args[2], n);
            case "value" -> value(client, args[2], n);
            default -> twice(client, args[2], n);
        }
        client.close();
        say("bye");
    }
}
