# SPDX-License-Identifier: Apache-2.0
"""The part of bench/run that measures client libraries: libreeve beside Apache's C client, the same
load (bench/clients/) against the same server, in turn. CPU is the client's process."""
import json
import os
import statistics
import subprocess

import servers

HERE = os.path.dirname(os.path.abspath(__file__))
# name, title, operation, answers at a depth of one and more
ROWS = [
    ("client-get-64", "getData 1 KB, 64 outstanding", "get", 64, 0.5),
    ("client-set-64", "setData 1 KB, 64 outstanding", "set", 64, 0.5),
    ("client-get-1", "getData 1 KB, one outstanding", "get", 1, None),
    ("client-children-64", "getChildren, 64 outstanding", "children", 64, None),
]
COUNT = {64: 200_000, 1: 30_000}


def build(top, build_dir):
    """The two programs. Raises if Apache's library or ours is not there."""
    cc = os.environ.get("CC", "cc")
    flags = [cc, "-std=gnu11", "-O2", "-pthread"]
    ours, theirs = os.path.join(top, "reeve_load"), os.path.join(top, "zookeeper_load")
    include = os.path.join(os.path.dirname(HERE), "include")
    subprocess.run([*flags, "-I", include, "-o", ours,
                    os.path.join(HERE, "clients", "reeve_load.c"),
                    os.path.join(build_dir, "libreeve.a"), "-ljansson"], check=True)
    subprocess.run([*flags, "-o", theirs, os.path.join(HERE, "clients", "zookeeper_load.c"),
                    "-lzookeeper_mt"], check=True)
    return ours, theirs


def run_row(bench, row, server):
    """Prints one row: medians over the turns."""
    name, title, op, depth, ratio = row
    ours, theirs = build(bench.top, bench.options.build)
    found = {ours: [], theirs: []}
    for _ in range(max(3, bench.options.repeat)):
        for program in (theirs, ours):
            done = subprocess.run([program, f"127.0.0.1:{server.port}", op, str(COUNT[depth]),
                                   str(depth)], capture_output=True, text=True, timeout=300,
                                  check=False)
            if done.returncode:
                raise servers.Failed(f"{os.path.basename(program)}: {done.stderr.strip()}")
            result = json.loads(done.stdout)
            if result["failed"]:
                raise servers.Failed(f"{name}: {result['failed']} requests failed")
            found[program].append(result["cpu_us"])
    apache, reeve = (statistics.median(found[p]) for p in (theirs, ours))
    return title, apache, reeve, ratio
