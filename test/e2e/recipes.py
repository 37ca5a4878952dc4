# SPDX-License-Identifier: Apache-2.0
"""What the tests of the client library and its recipes share: C programs linked to libreeve, Java
programs on Curator's classes, a server of each kind, and clients of kazoo's beside them.
"""
import contextlib
import os
import subprocess
from pathlib import Path

from kazoo.client import KazooClient

import harness
import kafka_env

# Where `make lib` has put the library: beside the server, or above it (build/san/reeved).
BESIDE = os.path.dirname(harness.REEVE_BIN)
LIB = next((d for d in (BESIDE, os.path.dirname(BESIDE))
            if os.path.exists(os.path.join(d, "libreeve.a"))), os.path.join(harness.REPO, "build"))
PAIR = [harness.KIND] if harness.KIND == "apache" else ["reeve", "apache"]
WAIT_S = 30

# What Curator's recipes need, and the Debian packages that have it.
CURATOR_JARS = {"curator-recipes.jar": "libcurator-recipes-java",
                "curator-framework.jar": "libcurator-framework-java",
                "curator-client.jar": "libcurator-client-java",
                "guava.jar": "libguava-java",
                "zookeeper.jar": "libzookeeper-java",
                "slf4j-simple.jar": "libslf4j-java"}


def c_program(name, into):
    """Builds cprog/NAME.c with the library and the sanitizers, so that leaks and memory freed twice
    are found too: where it is."""
    binary = str(into / name)
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-Wall", "-Wextra", "-O1", "-g",
                    "-fsanitize=address,undefined", "-I" + os.path.join(harness.REPO, "include"),
                    os.path.join(harness.HERE, "cprog", name + ".c"),
                    os.path.join(LIB, "libreeve.a"), "-ljansson", "-lpthread",
                    "-o", binary], check=True)
    return binary


def java_class_path(sources, into, jars):
    """Compiles them; jars: name -> the Debian package that has it."""
    kafka_env.need_programs(java="default-jre-headless", javac="default-jdk-headless")
    for jar, package in jars.items():
        if not Path(harness.JAVA_DIR, jar).exists():
            kafka_env.lacking(f"{jar} not found: apt-get install {package}")
    class_path = ":".join(str(Path(harness.JAVA_DIR, jar)) for jar in jars)
    done = subprocess.run(["javac", "-Xlint:-path", "-cp", class_path, "-d", str(into),
                           *map(str, sources)],
                          capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return f"{into}:{class_path}"


def java_program(source, into):
    """The command that runs cprog/SOURCE.java on Curator's recipes."""
    class_path = java_class_path([Path(harness.HERE, "cprog", source + ".java")], into,
                                 CURATOR_JARS)
    return [*harness.JAVA, "-Xmx128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
            "-Dexists.needs.read=false", "-cp", class_path, source]


@contextlib.contextmanager
def running_server(kind, home):
    server = harness.Server(kind, home, {"tickTime": 500, "maxClientCnxns": 0})
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def kazoo_clients(hosts):
    """A function that makes one more client; all end behind it."""
    clients = []

    def new():
        client = KazooClient(hosts, timeout=4)
        client.start(timeout=WAIT_S)
        clients.append(client)
        return client
    try:
        yield new
    finally:
        for client in clients:
            client.stop()
            client.close()
