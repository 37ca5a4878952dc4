# SPDX-License-Identifier: Apache-2.0
"""Apache's C client (libzookeeper_mt): cclient/cclient.c, one scenario per test."""
import os
import subprocess

import pytest

import harness
import zk

SOURCE = os.path.join(harness.HERE, "cclient", "cclient.c")


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    binary = tmp_path_factory.mktemp("cclient") / "cclient"
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-Wall", "-Wextra", "-O1", "-g",
                    "-DTHREADED", SOURCE, "-o", binary, "-lzookeeper_mt", "-lpthread"], check=True)
    return binary


@pytest.mark.parametrize("scenario", ["crud", "types", "watches", "multi", "acl", "session",
                                      "pipeline"])
def test_scenario(program, server, root, scenario):
    done = subprocess.run([program, server.hosts, root, scenario], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kill", [True, False], ids=["kill", "stop"])
def test_server_restart(program, make_server, kill):
    """Session, ephemeral and watch outlive the server process."""
    server = make_server()
    with zk.Conn(server.port) as conn:
        conn.create("/r")
    with subprocess.Popen([program, server.hosts, "/r", "restart"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        try:
            assert client.stdout.readline() == "ready\n", client.stderr.read()
            server.restart(kill=kill)
            _, err = client.communicate("go on\n", timeout=60)
            assert client.returncode == 0, err
        finally:
            client.kill()
