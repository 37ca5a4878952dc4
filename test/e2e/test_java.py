# SPDX-License-Identifier: Apache-2.0
"""Apache's Java client: java/JavaClient.java, all scenarios in one JVM, one test for each."""
import os
import subprocess

import pytest

import harness
import zk

SOURCE = os.path.join(harness.HERE, "java", "JavaClient.java")
SCENARIOS = ["crud", "modes", "async", "multi", "acl", "watches", "session"]


@pytest.fixture(scope="session")
def command(tmp_path_factory):
    classes = tmp_path_factory.mktemp("java")
    subprocess.run(["javac", "-cp", harness.CLASSPATH, "-d", classes, SOURCE], check=True)
    return harness.JAVA + ["-cp", f"{classes}:{harness.CLASSPATH}",
                           "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "JavaClient"]


@pytest.fixture(scope="module")
def output(command, server):
    with zk.Conn(server.port) as conn:
        conn.create("/java")
    done = subprocess.run(command + [server.hosts, "/java", *SCENARIOS], capture_output=True,
                          text=True, timeout=120, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(output, scenario):
    assert f"ok {scenario}\n" in output, output


@pytest.mark.parametrize("kill", [True, False], ids=["kill", "stop"])
def test_server_restart(command, make_server, kill):
    """Session, ephemeral, one-shot and persistent watches outlive the server process."""
    server = make_server()
    with zk.Conn(server.port) as conn:
        conn.create("/r")
    with subprocess.Popen(command + [server.hosts, "/r", "restart"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as client:
        try:
            assert client.stdout.readline() == "ready\n", client.stdout.read()
            server.restart(kill=kill)
            out, _ = client.communicate("go on\n", timeout=60)
            assert "ok restart" in out, out
        finally:
            client.kill()
