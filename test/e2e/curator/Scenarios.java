// SPDX-License-Identifier: Apache-2.0
// Runs every scenario of Apache Curator's recipes against one server, in one JVM.
//
// usage: java Scenarios HOST:PORT [NAME..]
// Per scenario one line goes to stdout, `ok NAME` or `FAIL NAME why`. A scenario that needs
// something done to the server prints `ask WHAT` and waits for a line on stdin. A scenario gets a
// World: a path of its own, clients that are closed after it, and waits with a deadline. A failed
// one does not stop the others.

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

public final class Scenarios {
    interface Body {
        void run(World world) throws Exception;
    }

    private static final int SCENARIO_S = 40;

    public static void main(String[] args) {
        Map<String, Body> all = new LinkedHashMap<>();
        Locks.add(all);
        Elections.add(all);
        Barriers.add(all);
        Queues.add(all);
        Counters.add(all);
        Nodes.add(all);
        Caches.add(all);
        Framework.add(all);
        Outages.add(all);
        ExecutorService runner = Executors.newCachedThreadPool();
        if (args.length > 1) {
            all.keySet().retainAll(Arrays.asList(args).subList(1, args.length));
        }
        all.forEach((name, body) -> report(name, runner, args[0], body));
        System.out.println("done");
        System.exit(0);
    }

    /** What went wrong and where in the scenario; the whole trace is on stderr. */
    private static String oneLine(Throwable cause) {
        String where = Arrays.stream(cause.getStackTrace())
            .filter(frame -> !frame.getClassName().contains("World")
                && !frame.getClassName().contains("."))  // ours are in no package
            .map(StackTraceElement::toString).findFirst().orElse("");
        return (cause + " at " + where).replace("\n", " ");
    }

    private static void report(String name, ExecutorService runner, String server, Body body) {
        long start = System.nanoTime();
        World world = new World(name, server);
        Future<?> run = runner.submit(() -> {
            body.run(world);
            return null;
        });
        try {
            run.get(SCENARIO_S, TimeUnit.SECONDS);
            System.out.println("ok " + name);
        } catch (ExecutionException e) {
            e.getCause().printStackTrace();
            System.out.println("FAIL " + name + " " + oneLine(e.getCause()));
        } catch (TimeoutException e) {
            run.cancel(true);
            System.out.println("FAIL " + name + " not done within " + SCENARIO_S + " s");
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        } finally {
            world.close();
            System.err.printf("took %5d ms: %s%n", (System.nanoTime() - start) / 1000000, name);
        }
    }
}
