# SPDX-License-Identifier: Apache-2.0
"""Apache Curator's recipes, Java's usual way to use ZooKeeper, one test per scenario.

The scenarios are the Java programs in curator/; they are compiled here and all run in one JVM
(starting one per test would cost more than the tests). A scenario may ask for the server to be
killed and restarted under it.
"""

import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

import harness
import kafka_env
import recipes

SOURCES = Path(harness.HERE, "curator")
RUN_S = 150
NAMES = re.findall(r'all\.put\("(\w+)"', "".join(
    p.read_text(encoding="utf-8") for p in sorted(SOURCES.glob("*.java"))))


def compile_scenarios(into):
    kafka_env.need_programs(setpriv="util-linux")
    return recipes.java_class_path(sorted(SOURCES.glob("*.java")), into, recipes.CURATOR_JARS)


def run_scenarios(process, server):
    """Reads the program's lines to its end, serving what it asks for: {name: "" or why}."""
    found = {}
    for line in process.stdout:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "ok":
            found[rest] = ""
        elif word == "FAIL":
            name, _, why = rest.partition(" ")
            found[name] = why
        elif (word, rest) == ("ask", "restart"):
            server.restart(kill=True)
            process.stdin.write("done\n")
            process.stdin.flush()
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    home = tmp_path_factory.mktemp("curator")
    class_path = compile_scenarios(home / "classes")
    server = harness.Server(harness.KIND, home, {
        "tickTime": 500, "maxClientCnxns": 0, "znode.container.checkIntervalMs": 200,
        "extendedTypesEnabled": "true"}, launcher=kafka_env.LAUNCHER)
    log = home / "scenarios.log"
    try:
        server.start()
        with log.open("w", encoding="utf-8") as err:
            process = subprocess.Popen(
                [*kafka_env.LAUNCHER, *harness.JAVA, "-Xmx256m",
                 f"-Dexists.needs.read={'false' if server.is_apache else 'true'}",  # since 3.8.4
                 "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", class_path, "Scenarios",
                 server.hosts],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True)
        watchdog = threading.Timer(RUN_S, process.kill)
        watchdog.start()
        try:
            found = run_scenarios(process, server)
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
        yield found, kafka_env.tail(log, 60)
        server.stop()
    finally:
        server.kill()
        shutil.rmtree(home, ignore_errors=True)


def test_all_scenarios_ran(results):
    assert NAMES and sorted(results[0]) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_curator(results, name):
    found, log = results
    assert name in found, "the program ended before it:\n" + log
    assert not found[name], found[name]
