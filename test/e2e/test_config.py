# SPDX-License-Identifier: Apache-2.0
"""The command line and zoo.cfg of reeved: what is accepted, what is named when it is wrong."""
import os
import re
import subprocess

import pytest

import harness
import zk

pytestmark = pytest.mark.reeve_only("the command line is reeved's own")


def run(*args, timeout_s=20, cwd=None):
    """Runs reeved to its end: (exit code, stdout, stderr)."""
    done = subprocess.run([harness.REEVE_BIN, *map(str, args)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout_s, cwd=cwd, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def cfg(tmp_path):
    """cfg(lines...): writes a zoo.cfg with a dataDir and these lines, returns its path."""
    def write(*lines, data_dir=True):
        path = tmp_path / "zoo.cfg"
        head = [f"dataDir={tmp_path}/data", f"clientPort={harness.free_port()}"] if data_dir else []
        path.write_text("\n".join(head + list(lines)) + "\n", encoding="utf-8")
        return path
    return write


def test_version():
    code, out, _ = run("--version")
    assert code == 0
    assert re.search(r"\d+\.\d+", out)


def test_help_names_every_option():
    code, out, _ = run("--help")
    assert code == 0
    for option in ("--client-port", "--data-dir", "--set", "--check-config", "--version"):
        assert option in out


def test_unknown_option_and_missing_file(tmp_path):
    code, _, err = run("--no-such-option")
    assert code != 0 and "--no-such-option" in err
    code, _, err = run(tmp_path / "none.cfg")
    assert code != 0 and "none.cfg" in err


def test_check_config_accepts_a_usual_file(cfg):
    path = cfg("# comment", "", "tickTime=2000", "initLimit=10", "syncLimit=5",
               "maxClientCnxns=60", "autopurge.snapRetainCount=3", "autopurge.purgeInterval=1",
               "  4lw.commands.whitelist = stat, ruok  ", "admin.enableServer=false",
               "clientPortAddress: 127.0.0.1", "jute.maxbuffer=1048575",
               "zookeeper.extendedTypesEnabled=true", "globalOutstandingLimit=1000",
               "zookeeper.snapCount=100000", "preAllocSize=1024",
               "metricsProvider.className=org.apache.zookeeper.metrics.impl.DefaultMetricsProvider")
    code, out, err = run("--check-config", path)
    assert code == 0, err
    assert "warn" not in (out + err).lower(), out + err


def test_check_config_starts_nothing(cfg, tmp_path):
    assert run("--check-config", cfg())[0] == 0
    assert not (tmp_path / "data" / "version-2").exists()


@pytest.mark.parametrize(("key", "nearest"), [
    ("tickTme", "tickTime"), ("maxClientCnxn", "maxClientCnxns"), ("datadir", "dataDir"),
    ("autopurge.snapRetainCont", "autopurge.snapRetainCount"),
    ("zookeeper.extendedTypeEnabled", "extendedTypesEnabled")])
def test_unknown_key_is_warned_about_with_the_nearest(cfg, key, nearest):
    code, out, err = run("--check-config", cfg(f"{key}=1"))
    assert code == 0
    line = next(line for line in (out + err).splitlines() if key in line)
    assert nearest in line.replace(key, "", 1)


@pytest.mark.parametrize(("key", "value"), [
    ("tickTime", "abc"), ("tickTime", "0"), ("tickTime", "-5"), ("tickTime", ""),
    ("clientPort", "70000"), ("clientPort", "x"), ("maxClientCnxns", "many"),
    ("minSessionTimeout", "1s"), ("jute.maxbuffer", "huge"),
    ("snapCount", "99999999999999999999"), ("extendedTypesEnabled", "perhaps")])
def test_wrong_value_names_file_line_key_value_and_what_is_allowed(cfg, key, value):
    path = cfg("# one more line", f"{key}={value}")
    code, out, err = run("--check-config", path)
    assert code != 0
    lines = [line for line in (out + err).splitlines() if key in line]
    assert lines, out + err
    text = lines[0]
    assert str(path) in text or path.name in text
    assert re.search(r"\b4\b", text), f"line number missing: {text}"
    assert value in text
    code, _, _ = run(path)
    assert code != 0, "it starts with what --check-config refuses"


def test_line_without_equals_sign_is_named(cfg):
    """By the rules of Java's properties it is the key `what` with the value `is this`."""
    code, out, err = run("--check-config", cfg("what is this"))
    assert code == 0
    assert "what" in out + err


def test_session_timeouts_that_contradict_each_other(cfg):
    code, out, err = run("--check-config", cfg("minSessionTimeout=9000", "maxSessionTimeout=8000"))
    assert code != 0
    assert "SessionTimeout" in out + err


def test_last_of_repeated_keys_wins(make_server):
    server = make_server(start=False)
    path = server.write_config()
    with open(path, "a", encoding="utf-8") as f:
        f.write("tickTime=700\n")
    server.write_config = lambda: path
    server.start()
    assert "tickTime=700\n" in harness.four_letter(server.port, "conf")


class Launch(harness.Server):
    """reeved with a command line of the test's own."""

    def __init__(self, directory, args, port):
        super().__init__("reeve", directory, port=port)
        self.args = args

    def command(self):
        return [harness.REEVE_BIN, *map(str, self.args)]


def test_without_a_file(tmp_path):
    port = harness.free_port()
    server = Launch(tmp_path, ["--client-port", port, "--data-dir", tmp_path / "data",
                               "--set", "4lw.commands.whitelist=*", "--set", "tickTime=555",
                               "--set", "zookeeper.extendedTypesEnabled=true"], port)
    server.start()
    try:
        with zk.Conn(port) as conn:
            conn.create2("/t", flags=zk.TTL, ttl=100000)
        conf = harness.four_letter(port, "conf")
        assert "tickTime=555\n" in conf
        assert f"dataDir={tmp_path}/data/version-2\n" in conf
        server.stop()
    finally:
        server.kill()


def test_command_line_wins_over_the_file(tmp_path, cfg):
    port = harness.free_port()
    path = cfg("tickTime=2000", "clientPort=1", "4lw.commands.whitelist=srvr")
    server = Launch(tmp_path, [path, "--client-port", port, "--data-dir", tmp_path / "other",
                               "--set", "tickTime=900", "--set", "4lw.commands.whitelist=*"], port)
    server.start()
    try:
        conf = harness.four_letter(port, "conf")
        assert "tickTime=900\n" in conf
        assert f"dataDir={tmp_path}/other/version-2\n" in conf
        server.stop()
    finally:
        server.kill()


def test_set_with_a_wrong_value_or_form(cfg):
    for argument in ("tickTime=abc", "tickTime", "=5"):
        code, out, err = run(cfg(), "--set", argument)
        assert code != 0
        assert argument in out + err or "tickTime" in out + err or "--set" in out + err


@pytest.mark.parametrize("prefix", ["", "zookeeper."])
def test_system_property_keys_with_and_without_prefix(make_server, prefix):
    server = make_server({
        prefix + "DigestAuthenticationProvider.superDigest": "super:lK75jTNcA+U9vtVEw5vB51mj/w4=",
        prefix + "enforceQuota": "true",
        "extendedTypesEnabled": "false"})
    with zk.Conn(server.port) as conn:
        assert conn.auth("digest", b"super:secret") == 0
        conn.set("/zookeeper/config", b"only super may")
        conn.create("/q")
        conn.create("/zookeeper/quota/q")
        conn.create("/zookeeper/quota/q/zookeeper_limits", b"count=-1,bytes=-1=;countHardLimit=1")
        conn.create("/zookeeper/quota/q/zookeeper_stats", b"")
        assert conn.err(zk.CREATE, zk.create_request("/q/k")) == zk.QUOTAEXCEEDED
        request = zk.create_request("/t", flags=zk.TTL, ttl=100)
        assert conn.err(zk.CREATE_TTL, request) == zk.UNIMPLEMENTED


def test_skip_acl(make_server):
    server = make_server({"skipACL": "yes"})
    with zk.Conn(server.port) as conn:
        conn.create("/n", acls=[(0, "world", "anyone")])
        conn.set("/n", b"1")
        conn.create("/n/k")
        assert conn.err(zk.CREATE, zk.create_request("/x", acls=[])) == zk.INVALIDACL


def test_data_dir_missing(tmp_path):
    path = tmp_path / "zoo.cfg"
    path.write_text(f"clientPort={harness.free_port()}\n", encoding="utf-8")
    code, out, err = run(path)
    assert code != 0
    assert "dataDir" in out + err


def test_data_dir_that_cannot_be_made(cfg, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    code, out, err = run(cfg(f"dataDir={tmp_path}/file/data"))
    assert code != 0
    assert f"{tmp_path}/file" in out + err


def test_port_in_use(make_server):
    first = make_server()
    second = make_server(start=False, port=first.port)
    second.start(wait=False)
    assert second.wait_exit() != 0
    assert str(first.port) in second.stderr_text()
    with zk.Conn(first.port) as conn:
        conn.create("/still-here")


def test_second_server_on_one_data_directory_is_refused(make_server):
    first = make_server()
    second = make_server({"dataDir": first.data_dir}, start=False)
    second.start(wait=False)
    assert second.wait_exit() != 0
    assert first.data_dir in second.stderr_text()
    with zk.Conn(first.port) as conn:
        conn.create("/still-here")
    first.kill()
    third = make_server({"dataDir": first.data_dir})        # a dead owner leaves no lock behind
    with zk.Conn(third.port) as conn:
        assert conn.exists("/still-here") is not None


def test_separate_log_directory(make_server, tmp_path):
    server = make_server({"dataLogDir": tmp_path / "txn"})
    with zk.Conn(server.port) as conn:
        conn.create("/a")
    assert list((tmp_path / "txn" / "version-2").glob("log.*"))
    assert not server.log_files()
    assert server.snapshot_files()
    server.restart(kill=True)
    with zk.Conn(server.port) as conn:
        assert conn.exists("/a") is not None


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_stop_signals(make_server, name):
    import signal
    server = make_server()
    with zk.Conn(server.port) as conn:
        conn.create("/a")
    server.proc.send_signal(getattr(signal, "SIG" + name))
    assert server.wait_exit() == 0
    server.start()
    with zk.Conn(server.port) as conn:
        assert conn.exists("/a") is not None


def test_starts_fast_and_says_so(make_server):
    import time
    server = make_server(start=False)
    begin = time.monotonic()
    server.start()
    assert time.monotonic() - begin < 2.0
    assert str(server.port) in server.stderr_text()
    assert server.data_dir in server.stderr_text()


def test_binds_to_the_address_of_the_file(make_server):
    server = make_server({"clientPortAddress": "127.0.0.2"}, start=False)
    server.start(wait=False)
    harness.poll_until(lambda: answers(server.port, "127.0.0.2"), 10, "listening on 127.0.0.2")
    assert not answers(server.port, "127.0.0.1")


def answers(port, host):
    try:
        return "Mode:" in harness.four_letter(port, "srvr", host=host)
    except OSError:
        return False


def test_closed_standard_descriptors(tmp_path):
    """Log lines must not go into whatever file gets the number of a closed stderr."""
    port = harness.free_port()
    command = [harness.REEVE_BIN, "--client-port", str(port), "--data-dir", str(tmp_path)]
    with subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]) as server:
        try:
            def ready():
                try:
                    return "Mode: " in harness.four_letter(port, "srvr", timeout_s=2)
                except OSError:
                    return False
            harness.poll_until(ready)
            with zk.Conn(port) as c:
                c.must(zk.CREATE, zk.create_request("/a", b"x"), "/a")
            fds = f"/proc/{server.pid}/fd"
            assert {os.readlink(f"{fds}/{n}") for n in range(3)} == {"/dev/null"}
        finally:
            server.terminate()
        assert server.wait(20) == 0
