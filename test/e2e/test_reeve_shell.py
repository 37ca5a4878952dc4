# SPDX-License-Identifier: Apache-2.0
"""The shell, `reeve`: one-shot, from standard input and in a terminal, on Reeve and on Apache.

The program stands beside the server under test (REEVE_BIN), or where REEVE_SHELL says. Commands
that do not depend on the server's program run against both; what a terminal shows is read through
a pty, with the escape sequences taken out.
"""
import json
import os
import pty
import re
import select
import signal
import stat as st
import subprocess
import termios
import time

import pytest

import harness
import reconfig
import zk

SHELL = os.environ.get("REEVE_SHELL", os.path.join(os.path.dirname(harness.REEVE_BIN), "reeve"))
WAIT_S = 30
SUPER = {"DigestAuthenticationProvider.superDigest": "super:lK75jTNcA+U9vtVEw5vB51mj/w4="}
KINDS = ["apache"] if harness.KIND == "apache" else ["reeve", "apache"]
OK, NO, USAGE, NO_CONNECTION, INTERRUPTED = 0, 1, 2, 3, 130


@pytest.fixture(scope="module", params=KINDS)
def service(request, tmp_path_factory):
    """A server of each program, shared by the tests of this file."""
    why = harness.missing_tools(request.param)
    assert why is None, why
    srv = harness.Server(request.param, tmp_path_factory.mktemp(request.param), {
        "tickTime": 500, "maxSessionTimeout": 60000, "maxClientCnxns": 0,
        "znode.container.checkIntervalMs": 200, "reconfigEnabled": "false", **SUPER})
    srv.start()
    yield srv
    srv.stop()


_numbers = iter(range(1, 10000))


@pytest.fixture
def top(service):
    """A node of the test's own."""
    path = f"/t{next(_numbers)}"
    with zk.Conn(service.port) as c:
        c.create(path)
    return path


@pytest.fixture
def conn(service):
    c = zk.Conn(service.port)
    yield c
    c.drop()


def environment(**more):
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "REEVE_SERVER")}
    env.update({"REEVE_HISTORY": "", "TZ": "UTC", "LC_ALL": "C.UTF-8", "TERM": "xterm"})
    env.setdefault("ASAN_OPTIONS", "abort_on_error=1")
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    env.update(more)
    return env


class Answer:
    def __init__(self, done):
        self.code = done.returncode
        self.raw = done.stdout
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")
        self.lines = self.out.splitlines()

    def __repr__(self):
        return f"<{self.code}: {self.out!r} {self.err!r}>"


def run(server, *args, options=(), data=None, hosts=None):
    """reeve -s SERVER options args, with data on standard input."""
    argv = [SHELL, "-s", hosts or server.hosts, *options, *args]
    return Answer(subprocess.run(argv, input=data, env=environment(), timeout=WAIT_S,
                                 stdin=None if data is not None else subprocess.DEVNULL,
                                 capture_output=True, check=False))


def ok(server, *args, **more):
    answer = run(server, *args, **more)
    assert answer.code == OK, answer
    assert answer.err == "", answer
    return answer


def script(server, *lines, options=()):
    return run(server, options=options, data=("\n".join(lines) + "\n").encode())


def stat_of(lines):
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


# ---- the program ---------------------------------------------------------------------------------


def program(*args, **env):
    return Answer(subprocess.run([SHELL, *args], env=environment(**env), stdin=subprocess.DEVNULL,
                                 timeout=WAIT_S, capture_output=True, check=False))


def test_help_and_version_need_no_server():
    answer = program("--help")
    assert answer.code == OK
    for word in ("Exit codes", "--server", "deleteall path", "--keep-going", "REEVE_SERVER"):
        assert word in answer.out
    assert re.fullmatch(r"reeve \d+\.\d+\.\d+\n", program("--version").out)
    assert program("version").out.startswith("ZooKeeper CLI version: reeve-")
    assert "names of children" in program("help", "ls").out
    assert program("ls", "--help").out == program("help", "ls").out
    assert program("help").out.count("\n") > 30
    commands = json.loads(program("--json", "help").out)["commands"]
    names = {c["name"] for c in commands}
    assert {"ls", "get", "set", "create", "delete", "deleteall", "stat", "sync", "getAcl", "setAcl",
            "addauth", "whoami", "addWatch", "removewatches", "printwatches", "listquota",
            "setquota", "delquota", "config", "reconfig", "connect", "close", "quit", "history",
            "redo", "version", "help", "getAllChildrenNumber", "getEphemerals", "cd", "pwd",
            } <= names
    assert not {"rmr", "ls2"} & names


def test_the_manual_is_a_page_for_man():
    answer = program("--manual")
    assert answer.code == OK
    assert answer.out.startswith(".TH REEVE 1")
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "FILES"):
        assert f".SH {section}\n" in answer.out


@pytest.mark.parametrize("args", [
    ("--no-such-option",), ("-s",), ("--timeout", "soon", "ls", "/"), ("--timeout=0", "ls"),
    ("-client-configuration", "f", "ls", "/"), ("-s", "host:port:more", "ls", "/"),
    ("-s", "", "ls", "/"), ("nonsense",), ("help", "nonsense"),
])
def test_wrong_usage_of_the_program(args):
    answer = program(*args)
    assert answer.code == USAGE, answer
    assert answer.err.startswith("reeve: ") and answer.err.count("\n") == 1
    assert answer.out == ""


def test_a_mistyped_command_is_recognised():
    assert "is it getAcl?" in program("getacl", "/").err
    assert "is it deleteall?" in program("deletall", "/").err
    assert "is it" not in program("xyzzyxyzzy").err


@pytest.mark.parametrize("args", [("ls", ""), ("rm", "-r", ""), ("lock", "", "--", "true")])
def test_an_empty_path_is_no_root(args):
    """It comes of a variable that is not set."""
    answer = program("-s", f"127.0.0.1:{harness.free_port()}", "--connect-timeout", "100", *args)
    assert answer.code == USAGE and "path is empty" in answer.err


def test_no_connection():
    port = harness.free_port()
    begun = time.monotonic()
    answer = program("-s", f"127.0.0.1:{port}", "--connect-timeout", "400", "ls", "/")
    assert time.monotonic() - begun < 5
    assert answer.code == NO_CONNECTION
    assert re.match(rf"reeve: ls: no connection to 127\.0\.0\.1:{port} within 0\.4 seconds: "
                    ".*refused", answer.err), answer
    assert program("-s", f"127.0.0.1:{port}", "--connect-timeout", "200", "-waitforconnection",
                   "ls", "/").code == NO_CONNECTION
    two = program("-s", f"127.0.0.1:{port},127.0.0.1:{harness.free_port()}",
                  "--connect-timeout", "200", "ls", "/")
    assert "`status` asks each of them" in two.err


def test_a_command_with_its_own_limit_waits_no_longer_for_a_connection():
    hosts = f"127.0.0.1:{harness.free_port()}"
    for args in (["watch", "/"], ["subscribe", "/"], ["lock", "/l", "--", "true"],
                 ["elect", "/e", "--", "true"]):
        begun = time.monotonic()
        answer = program("-s", hosts, args[0], "--timeout", "1.1", *args[1:])
        assert time.monotonic() - begun < 5
        assert answer.code == NO_CONNECTION
        assert "within 1.1 seconds: " in answer.err, answer


def test_the_server_by_any_spelling(service):
    for args in (["-server", service.hosts], ["--server", service.hosts],
                 [f"--server={service.hosts}"], ["-s", service.hosts, "-timeout", "5000"],
                 ["-waitforconnection", "-s", service.hosts, "-r"]):
        answer = program(*args, "ls", "/zookeeper")
        assert (answer.code, answer.out) == (OK, "[config, quota]\n"), answer
    assert program("ls", "/zookeeper", REEVE_SERVER=service.hosts).code == OK
    dead = f"127.0.0.1:{harness.free_port()}"
    assert program("-s", f"{dead},{service.hosts}", "ls", "/zookeeper").code == OK


# ---- nodes ---------------------------------------------------------------------------------------


def test_create_get_set_delete(service, top):
    assert ok(service, "create", f"{top}/a", "one").out == f"Created {top}/a\n"
    again = run(service, "create", f"{top}/a", "two")
    assert again.code == NO
    assert again.err == f"reeve: create: Node already exists: {top}/a (NODEEXISTS)\n"
    out = ok(service, "get", "-s", f"{top}/a").lines
    assert out[0] == "one"
    stat = stat_of(out)
    assert (stat["dataVersion"], stat["dataLength"], stat["numChildren"]) == ("0", "3", "0")
    assert re.fullmatch(r"\w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4}", stat["ctime"])
    assert ok(service, "set", "-v", "0", f"{top}/a", "two").out == ""
    assert stat_of(ok(service, "set", f"{top}/a", "-s", "three").lines)["dataVersion"] == "2"
    assert run(service, "set", "-v", "0", f"{top}/a", "x").err == (
        f"reeve: set: version No is not valid : {top}/a (BADVERSION)\n")
    assert stat_of(ok(service, "stat", f"{top}/a").lines)["dataVersion"] == "2"
    assert run(service, "delete", "-v", "7", f"{top}/a").code == NO
    assert ok(service, "delete", "-v2", f"{top}/a").out == ""
    gone = run(service, "get", f"{top}/a")
    assert (gone.code, gone.err) == (NO, f"reeve: get: Node does not exist: {top}/a (NONODE)\n")
    assert run(service, "stat", f"{top}/a").code == NO
    assert run(service, "delete", f"{top}/a").code == NO


def test_kinds_of_nodes(service, top, conn):
    assert ok(service, "create", "-s", f"{top}/s-").out == f"Created {top}/s-0000000000\n"
    assert ok(service, "create", "-s", f"{top}/").out == f"Created {top}/0000000001\n"
    answer = script(service, f"create -e {top}/e x", f"create -e -s {top}/es-", f"stat {top}/e",
                    f"create {top}/e/k", options=["--keep-going"])
    assert answer.lines[:2] == [f"Created {top}/e", f"Created {top}/es-0000000003"]
    assert int(stat_of(answer.lines)["ephemeralOwner"], 16) != 0
    assert answer.err == (
        f"reeve: create: Ephemerals cannot have children: {top}/e/k (NOCHILDRENFOREPHEMERALS)\n")
    assert conn.exists(top + "/e") is None     # the session ended with the shell
    ok(service, "create", "-c", f"{top}/c")
    ok(service, "create", "-t", "300", f"{top}/t", "x")
    ok(service, "create", "-s", "-t", "300", f"{top}/ts-", "x")
    ok(service, "create", f"{top}/c/k")
    ok(service, "delete", f"{top}/c/k")
    for gone in ("c", "t"):
        harness.poll_until(lambda g=gone: conn.exists(f"{top}/{g}") is None, 5, gone + " reaped")


def test_create_with_an_acl(service, top, conn):
    ok(service, "create", f"{top}/a", "x", "world:anyone:cr,ip:127.0.0.1:cdrwa")
    assert ok(service, "getAcl", f"{top}/a").lines == [
        "'world,'anyone", ": cr", "'ip,'127.0.0.1", ": cdrwa"]
    assert run(service, "create", f"{top}/b", "x", "digest:nohash:r").err == (
        f"reeve: create: Acl is not valid : {top}/b (INVALIDACL)\n")
    for acl in ("world:anyone", "x", "", "world:anyone:rx"):
        answer = run(service, "create", f"{top}/b", "x", acl)
        assert answer.code == USAGE, answer
    assert conn.exists(top + "/b") is None


def test_ls(service, top):
    for path in ("a", "a/b", "a/b/c", "d"):
        ok(service, "create", f"{top}/{path}")
    assert ok(service, "ls", top).out == "[a, d]\n"
    assert ok(service, "ls", top + "/").out == "[a, d]\n"
    assert ok(service, "ls", f"{top}/d").out == "[]\n"
    out = ok(service, "ls", "-s", top).lines
    assert out[0] == "[a, d]" and stat_of(out)["cversion"] == "2"
    assert ok(service, "ls", "-R", top).lines == [
        top, f"{top}/a", f"{top}/d", f"{top}/a/b", f"{top}/a/b/c"]
    assert "/zookeeper/quota" in ok(service, "ls", "-R", "/").lines
    assert top[1:] in ok(service, "ls").out
    assert "-R   recurse" in ok(service, "ls", "-?").out
    assert run(service, "ls", f"{top}/none").code == NO
    assert run(service, "ls", "-R", f"{top}/none").err == (
        f"reeve: ls: Node does not exist: {top}/none (NONODE)\n")
    assert run(service, "delete", f"{top}/a").err == (
        f"reeve: delete: Node not empty: {top}/a (NOTEMPTY)\n")
    assert ok(service, "getAllChildrenNumber", top).out == "4\n"


def test_ls_of_a_tree_with_a_closed_room(service, top, conn):
    for path in ("a", "closed", "closed/in", "z"):
        ok(service, "create", f"{top}/{path}")
    ok(service, "setAcl", f"{top}/closed", "world:anyone:cdwa")
    answer = run(service, "ls", "-R", top)
    assert answer.code == NO
    assert answer.lines == [top, f"{top}/a", f"{top}/closed", f"{top}/z"]
    assert "the children of 1 nodes may not be read" in answer.err


@pytest.mark.parametrize("batch", [None, "3", "1", "0"])
def test_deleteall(service, top, conn, batch):
    path = top
    for n in range(12):
        path += f"/d{n}"
        conn.create(path)
        for k in range(3):
            conn.create(f"{path}/leaf{k}")
    more = ["-b", batch] if batch else []
    assert ok(service, "deleteall", f"{top}/d0", *more).out == ""
    assert ok(service, "getAllChildrenNumber", top).out == "0\n"
    assert run(service, "deleteall", f"{top}/d0").code == NO
    assert run(service, "deleteall", "/").code == NO


def test_deleteall_of_a_closed_room_says_where(service, top):
    for path in ("a", "a/closed", "a/closed/in"):
        ok(service, "create", f"{top}/{path}")
    ok(service, "setAcl", f"{top}/a/closed", "world:anyone:cra")
    answer = run(service, "deleteall", f"{top}/a")
    assert answer.code == NO
    assert f"Insufficient permission : {top}/a/closed" in answer.err
    assert ok(service, "ls", f"{top}/a/closed").out == "[in]\n"


def test_getEphemerals(service, top):
    answer = script(service, f"create -e {top}/e", f"create -e {top}/f", f"create -e {top[:-1]}",
                    f"getEphemerals {top}", options=["--keep-going"])
    assert f"[{top}/e, {top}/f]" in answer.lines
    assert ok(service, "getEphemerals").out == "[]\n"


def test_sync(service, top):
    assert ok(service, "sync", top).out == "Sync is OK\n"


def test_binary_data(service, top, conn):
    every = bytes(range(256))
    conn.create(f"{top}/bin", every)
    assert ok(service, "get", "-raw", f"{top}/bin").raw == every
    text = ok(service, "get", f"{top}/bin").out
    assert text.startswith("\\x00\\x01") and text.endswith("\\xfe\\xff\n") and "\\\\" in text
    import base64
    encoded = base64.b64encode(every).decode()
    assert ok(service, "get", "-b", f"{top}/bin").out == encoded + "\n"
    dump = ok(service, "get", "-x", f"{top}/bin").lines
    assert len(dump) == 20 and dump[3].startswith("|00000000| 00 01 02 03")
    ok(service, "create", "-b", f"{top}/copy", encoded)
    assert conn.get(f"{top}/copy")[0] == every
    ok(service, "set", "-b", f"{top}/copy", "AP/+")
    assert conn.get(f"{top}/copy")[0] == b"\0\xff\xfe"
    assert run(service, "set", "-b", f"{top}/copy", "not base64!").code == USAGE
    got = json.loads(ok(service, "get", f"{top}/bin", options=["--json"]).out)
    assert got["encoding"] == "base64" and base64.b64decode(got["data"]) == every
    got = json.loads(ok(service, "get", "-x", f"{top}/bin", options=["--json"]).out)
    assert got["encoding"] == "hex" and bytes.fromhex(got["data"]) == every


def test_null_and_empty_data(service, top, conn):
    ok(service, "create", f"{top}/null")
    ok(service, "create", f"{top}/empty", "")
    assert conn.get(f"{top}/empty")[0] == b""
    assert ok(service, "get", f"{top}/empty").out == "\n"
    assert ok(service, "get", f"{top}/null").out in ("null\n", "\n")
    got = json.loads(ok(service, "get", f"{top}/empty", options=["--json"]).out)
    assert (got["data"], got["encoding"]) == ("", "utf-8")


def test_data_and_names_of_all_alphabets(service, top):
    ok(service, "create", f"{top}/żółw 水", "dane ≠ data")
    assert ok(service, "ls", top).out == "[żółw 水]\n"
    assert ok(service, "get", f"{top}/żółw 水").out == "dane ≠ data\n"
    assert script(service, f'get "{top}/żółw 水"', f"get {top}/żółw\\ 水").lines == [
        "dane ≠ data"] * 2


def test_data_over_the_limit_is_refused(service, top, conn):
    answer = script(service, f"create {top}/big " + "x" * 1100000, f"create {top}/small x",
                    options=["--keep-going"])
    assert answer.code == NO, answer
    assert re.match(rf"reeve: create: {top}/big: too big \(TOOBIG\)", answer.err), answer.err
    assert answer.out == f"Created {top}/small\n"
    assert conn.exists(f"{top}/big") is None


def test_old_spellings(service, top, conn):
    conn.create(f"{top}/a", b"x")
    conn.create(f"{top}/a/b")
    answer = run(service, "ls2", top)
    assert answer.code == OK and answer.lines[0] == "[a]" and "cZxid = " in answer.out
    assert answer.err == "'ls2' has been deprecated. Please use 'ls [-s] path' instead.\n"
    for command, better in (("ls", "ls [-w] path"), ("stat", "stat [-w] path"),
                            ("get", "get [-s] [-w] path")):
        answer = run(service, command, f"{top}/a", "watch")
        assert answer.code == OK
        assert answer.err == (f"'{command} path [watch]' has been deprecated. Please use "
                              f"'{better}' instead.\n")
    answer = run(service, "set", f"{top}/a", "y", "5")
    assert answer.code == NO and "deprecated" in answer.err and "BADVERSION" in answer.err
    answer = run(service, "delete", f"{top}/a", "5")
    assert answer.code == NO and "deprecated" in answer.err
    answer = run(service, "rmr", f"{top}/a")
    assert answer.code == OK
    assert answer.err == ("The command 'rmr' has been deprecated. Please use 'deleteall' "
                          "instead.\n")
    assert conn.exists(f"{top}/a") is None


# ---- permissions ---------------------------------------------------------------------------------


def test_acl(service, top, conn):
    ok(service, "create", f"{top}/n", "x")
    ok(service, "create", f"{top}/n/k", "x")
    assert ok(service, "getAcl", f"{top}/n").lines == ["'world,'anyone", ": cdrwa"]
    ok(service, "setAcl", f"{top}/n", "world:anyone:ra")
    out = ok(service, "getAcl", "-s", f"{top}/n").lines
    assert out[:2] == ["'world,'anyone", ": ra"] and stat_of(out)["aclVersion"] == "1"
    assert run(service, "set", f"{top}/n", "y").err == (
        f"reeve: set: Insufficient permission : {top}/n (NOAUTH)\n")
    assert run(service, "setAcl", "-v", "0", f"{top}/n", "world:anyone:r").code == NO
    out = ok(service, "setAcl", "-s", "-v", "1", f"{top}/n", "world:anyone:cdrwa").lines
    assert stat_of(out)["aclVersion"] == "2"
    assert ok(service, "setAcl", "-R", f"{top}/n", "world:anyone:cra").out == ""
    for path in ("n", "n/k"):
        assert ok(service, "getAcl", f"{top}/{path}").lines[1] == ": cra"
    # A subtree of which one node refuses: the others are changed, the code says so.
    ok(service, "setAcl", f"{top}/n/k", "world:anyone:r")
    answer = run(service, "setAcl", "-R", f"{top}/n", "world:anyone:rwa")
    assert answer.code == NO and f"Insufficient permission : {top}/n/k" in answer.err
    assert ok(service, "getAcl", f"{top}/n").lines[1] == ": rwa"


def test_identities(service, top):
    answer = script(service, "addauth digest user:pass", f"create {top}/mine x auth::cdrwa",
                    f"getAcl {top}/mine", "whoami", f"get {top}/mine")
    assert answer.code == OK, answer
    assert answer.lines[1:3] == ["'digest,'user:smGaoVKd/cQkjm7b88GyorAUz20=", ": cdrwa"]
    assert answer.lines[3] == "Auth scheme: User"
    assert sorted(answer.lines[4:6]) == ["digest: user", "ip: 127.0.0.1"]
    assert answer.lines[6] == "x"
    assert run(service, "get", f"{top}/mine").code == NO
    assert run(service, "addauth", "nosuchscheme", "x").code != OK


# ---- watches, quota ------------------------------------------------------------------------------


def events(answer):
    return re.findall(r"^WATCHER:: WatchedEvent state:SyncConnected type:(\w+) path:(\S+)$",
                      answer.out, re.M)


def test_one_shot_watches(service, top):
    answer = script(service, f"create {top}/n x", f"get -w {top}/n", f"set {top}/n y",
                    f"ls -w {top}", f"create {top}/m", f"stat -w {top}/m", f"delete {top}/m",
                    f"get -w {top}/n", f"set {top}/n z", f"set {top}/n unseen", f"sync {top}")
    assert answer.code == OK, answer
    assert events(answer) == [
        ("NodeDataChanged", f"{top}/n"), ("NodeChildrenChanged", top), ("NodeDeleted", f"{top}/m"),
        ("NodeDataChanged", f"{top}/n")]


def test_one_change_is_printed_once(service, top):
    answer = script(service, f"create {top}/n", f"ls -w {top}/n", f"get -w {top}/n",
                    f"addWatch {top}/n", f"delete {top}/n", f"create {top}/n", f"set {top}/n 1",
                    f"set {top}/n 2", f"get -w {top}/n", f"set {top}/n 3", f"sync {top}")
    n = f"{top}/n"
    assert events(answer) == [("NodeDeleted", n), ("NodeCreated", n)] + 3 * [("NodeDataChanged", n)]


def test_persistent_watches(service, top):
    answer = script(service, f"addWatch {top}", f"create {top}/a", f"create {top}/a/b",
                    f"set {top}/a/b x", f"delete {top}/a/b",
                    f"removewatches {top} {'-a' if service.is_apache else '-r'}",
                    f"set {top}/a unseen", f"addWatch -m persistent {top}/a", f"set {top}/a 1",
                    f"create {top}/a/k", f"set {top}/a/k unseen", f"removewatches {top}/a",
                    f"set {top}/a unseen", f"sync {top}")
    assert answer.code == OK, answer
    assert events(answer) == [
        ("NodeCreated", f"{top}/a"), ("NodeCreated", f"{top}/a/b"),
        ("NodeDataChanged", f"{top}/a/b"), ("NodeDeleted", f"{top}/a/b"),
        ("PersistentWatchRemoved", top),
        ("NodeDataChanged", f"{top}/a"), ("NodeChildrenChanged", f"{top}/a"),
        ("PersistentWatchRemoved", f"{top}/a")]


def test_removewatches_of_one_kind(service, top):
    answer = script(service, f"get -w {top}", f"ls -w {top}", f"removewatches -d {top}",
                    f"set {top} unseen", f"create {top}/a", f"sync {top}")
    assert events(answer) == [("DataWatchRemoved", top), ("NodeChildrenChanged", top)]
    answer = run(service, "removewatches", top)
    assert (answer.code, answer.err) == (
        NO, f"reeve: removewatches: No such watcher for {top} (NOWATCHER)\n")
    if service.is_apache:       # 3.8 has no kinds for these
        for kind in ("-p", "-r"):
            answer = script(service, f"addWatch {top}", f"removewatches {kind} {top}")
            assert answer.code == NO and "before 3.9" in answer.err


def test_printwatches(service, top):
    answer = script(service, "printwatches", "printwatches off", "printwatches", f"addWatch {top}",
                    f"set {top} unseen", f"sync {top}", "printwatches on", f"set {top} seen",
                    f"sync {top}")
    assert [x for x in answer.lines if "printwatches" in x] == [
        "printwatches is on", "printwatches is off"]
    assert events(answer) == [("NodeDataChanged", top)]


def test_quota(service, top, conn):
    conn.create(f"{top}/q", b"12345")
    conn.create(f"{top}/q/k", b"1")
    ok(service, "setquota", "-n", "10", f"{top}/q")
    answer = run(service, "listquota", f"{top}/q")
    assert answer.err == f"absolute path is /zookeeper/quota{top}/q/zookeeper_limits\n"
    assert answer.lines == [
        f"Output quota for {top}/q count=10,bytes=-1=;byteHardLimit=-1;countHardLimit=-1",
        f"Output stat for {top}/q count=2,bytes=6"]
    ok(service, "setquota", "-B", "100", f"{top}/q")
    answer = run(service, "listquota", f"{top}/q")
    assert "count=10,bytes=-1=;byteHardLimit=100;countHardLimit=-1" in answer.lines[0]
    got = json.loads(ok(service, "listquota", f"{top}/q", options=["--json"]).out)
    assert got["quota"] == {"count": 10, "bytes": -1, "countHardLimit": -1, "byteHardLimit": 100}
    assert (got["used"]["count"], got["used"]["bytes"]) == (2, 6)
    ok(service, "setquota", "-N", "20", f"{top}/q")
    ok(service, "setquota", "-b", "50", f"{top}/q")
    assert "count=10,bytes=50=;byteHardLimit=100;countHardLimit=20" in run(
        service, "listquota", f"{top}/q").lines[0]
    for flag in ("-N", "-b"):
        ok(service, "delquota", flag, f"{top}/q")
    assert "count=10,bytes=-1=;byteHardLimit=100;countHardLimit=-1" in run(
        service, "listquota", f"{top}/q").lines[0]
    ok(service, "delquota", "-n", f"{top}/q")
    assert "count=-1,bytes=-1=;byteHardLimit=100" in run(service, "listquota", f"{top}/q").out
    # Above and below a quota there is no other.
    answer = run(service, "setquota", "-n", "5", f"{top}/q/k")
    assert answer.code == NO and f"{top}/q/k has a parent {top}/q which has a quota" in answer.err
    answer = run(service, "setquota", "-n", "5", top)
    assert answer.code == NO and f"{top} has a child {top}/q which has a quota" in answer.err
    ok(service, "delquota", f"{top}/q")
    assert conn.exists(f"/zookeeper/quota{top}") is None
    for command in ("listquota", "delquota"):
        assert run(service, command, f"{top}/q").code == NO
    assert f"quota for {top}/q does not exist." in run(service, "listquota", f"{top}/q").err
    assert "does not exist" in run(service, "setquota", "-n", "5", f"{top}/none").err
    assert run(service, "setquota", "-n", "5", "/zookeeper/quota/x").code == NO
    answer = run(service, "setquota", "-n", "1", f"{top}/q")
    assert answer.code == OK and "[Warning]: the count quota" in answer.err
    hosts = f"{service.hosts}{top}"
    assert "chroot" in run(service, "setquota", "-n", "5", "/q", hosts=hosts).err


# ---- the ensemble --------------------------------------------------------------------------------


def test_config_of_a_server_alone(service):
    assert ok(service, "config").code == OK
    assert "version" in stat_of(ok(service, "config", "-s").lines) or \
        "cZxid" in stat_of(ok(service, "config", "-s").lines)
    answer = run(service, "reconfig", "-add", "server.5=h:1:2;3")
    assert (answer.code, answer.err) == (
        NO, "reeve: reconfig: Reconfig is disabled (RECONFIGDISABLED)\n")


@pytest.mark.parametrize("members", ["RRR"] if harness.KIND != "apache" else ["AAA"])
def test_an_ensemble(make_ensemble, members, tmp_path):
    e = make_ensemble(members, client_in_server_line=True, config=reconfig.CONFIG)
    e.start()
    hosts = ",".join(m.hosts for m in e)
    server = e[1]
    config = ok(server, "config", hosts=hosts).out
    assert config.count("server.") == 3 and "version=" in config
    got = json.loads(ok(server, "config", hosts=hosts, options=["--json"]).out)
    assert [m["id"] for m in got["members"]] == ["1", "2", "3"]
    clients = ok(server, "config", "-c", hosts=hosts).out
    assert all(f":{m.port}" in clients for m in e)
    third = next(line for line in config.splitlines() if line.startswith("server.3="))
    login = "addauth digest super:secret"

    def do(*lines):
        return run(server, hosts=hosts, data=("\n".join((login,) + lines) + "\n").encode())

    assert run(server, "reconfig", "-remove", "3", hosts=e[1].hosts).code == NO
    answer = do("reconfig -remove 3")
    assert answer.code == OK, answer
    assert answer.out.startswith("Committed new configuration:\n")
    assert answer.out.count("server.") == 2
    version = re.search(r"version=(\w+)", answer.out).group(1)
    stale = do(f"reconfig -v 1 -add {third}")
    assert stale.code == NO and "another version" in stale.err
    wrong = do("reconfig -add " + third.replace("server.", ""))
    assert wrong.code == USAGE and "server.ID=host:port:port" in wrong.err
    answer = do(f"reconfig -v {version} -s -add {third}")
    assert answer.code == OK and answer.out.count("server.") == 3 and "cZxid" in answer.out
    members_file = tmp_path / "members.cfg"
    members_file.write_text("# a comment\n" + "".join(
        line + "\n" for line in config.splitlines() if line.startswith("server.")))
    answer = do(f"reconfig -file {members_file}")
    assert answer.code == OK, answer
    assert do("reconfig -file /no/such/file").code == NO
    # One member goes: the commands go on at another.
    shell = Piped(hosts)
    shell.send(f"create /before x")
    shell.expect("Created /before")
    victim = next(m for m in e if m is not e.leader())
    victim.kill()
    shell.send("ls /")
    assert "before" in shell.expect("[").decode()
    assert shell.quit() == OK


def test_a_server_without_a_quorum(make_ensemble):
    e = make_ensemble("RRR", config={"readonlymode.enabled": "true",
                                     "localSessionsEnabled": "true",
                                     "localSessionsUpgradingEnabled": "true"})
    e.start()
    alone = e[1]
    ok(alone, "create", "/a", "x")
    for m in (e[2], e[3]):
        m.kill()
    refused = run(alone, "get", "/a", options=["--connect-timeout", "1500"])
    assert refused.code == NO_CONNECTION, refused

    def served():
        answer = run(alone, "get", "/a", options=["-r", "--connect-timeout", "1500"])
        return answer if answer.code == OK else None

    assert harness.poll_until(served, 20, "the read-only server serves").out == "x\n"
    answer = run(alone, "set", "/a", "y", options=["--read-only"])
    assert (answer.code, answer.err) == (
        NO, "reeve: set: Not a read-only call: /a (NOTREADONLY)\n")


# ---- input and exit codes ------------------------------------------------------------------------


class Piped:
    """A shell that reads commands from a pipe that stays open."""

    def __init__(self, hosts, *options):
        self.proc = subprocess.Popen([SHELL, "-s", hosts, *options], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     env=environment())
        self.seen = b""

    def send(self, line):
        self.proc.stdin.write(line.encode() + b"\n")
        self.proc.stdin.flush()

    def expect(self, text, timeout_s=WAIT_S):
        """Reads until a line with text; returns what came up to there."""
        deadline = time.monotonic() + timeout_s
        while True:
            at = self.seen.find(text.encode())
            end = self.seen.find(b"\n", at)
            if at >= 0 and end >= 0:
                head, self.seen = self.seen[:end + 1], self.seen[end + 1:]
                return head
            left = deadline - time.monotonic()
            assert left > 0, f"no {text!r} in {self.seen!r}"
            if select.select([self.proc.stdout], [], [], left)[0]:
                part = os.read(self.proc.stdout.fileno(), 65536)
                assert part, f"the shell ended; no {text!r} in {self.seen!r}"
                self.seen += part

    def quit(self):
        self.send("quit")
        self.proc.stdin.close()
        code = self.proc.wait(WAIT_S)
        self.proc.stdout.close()
        return code


def test_events_come_while_the_shell_waits_for_input(service, top, conn):
    shell = Piped(service.hosts)
    shell.send(f"addWatch {top}")
    shell.send("version")
    shell.expect("ZooKeeper CLI version")
    conn.create(f"{top}/new")
    shell.expect(f"WATCHER:: WatchedEvent state:SyncConnected type:NodeCreated path:{top}/new")
    assert shell.quit() == OK


def test_a_line_with_a_nul_is_not_cut_there(service, top, conn):
    conn.create(f"{top}/a")
    answer = script(service, f"delete {top}/a\0b")
    assert answer.code == USAGE and "NUL" in answer.err
    assert conn.children(top) == ["a"]


def test_input_stops_at_the_first_failure(service, top, conn):
    lines = ["# a comment", "", f"create {top}/a", f"get {top}/none", "   # another",
             "ls -z /", f"create {top}/b"]
    answer = script(service, *lines)
    assert (answer.code, conn.exists(f"{top}/b")) == (NO, None)
    answer = script(service, *lines[1:2], *lines[3:], options=["--keep-going"])
    assert answer.code == NO          # that of the first failure
    assert conn.exists(f"{top}/b") is not None
    assert script(service, "ls -z /", f"get {top}/none", options=["--keep-going"]).code == USAGE
    assert script(service, "quit", f"get {top}/none").code == OK
    assert script(service).code == OK
    assert run(service, data=f"get {top}/a".encode()).code == OK    # no newline at the end
    answer = script(service, 'set / "open')
    assert answer.code == USAGE and "quote" in answer.err


def test_words(service, top, conn):
    script(service, f'create {top}/a {{"port":80}}', f"create {top}/b 'two words'",
           f'create {top}/c "say \\"hi\\""', f"create {top}/d C:\\dir", f"create {top}/e #1",
           f"create {top}/f -5", f"create {top}/g -- -s")
    assert [conn.get(f"{top}/{n}")[0] for n in "abcdefg"] == [
        b'{"port":80}', b"two words", b'say "hi"', b"C:\\dir", b"#1", b"-5", b"-s"]


def test_history_and_redo(service, top):
    answer = script(service, f"create -s {top}/s-", "redo 0", "history", "redo 9", "redo -1",
                    "redo x", options=["--keep-going"])
    assert answer.lines[:2] == [f"Created {top}/s-0000000000", f"Created {top}/s-0000000001"]
    assert answer.lines[2:] == [f"0 - create -s {top}/s-", f"1 - create -s {top}/s-", "2 - history"]
    assert answer.err.count("out of range") == 2 and answer.err.count("\n") == 3
    assert "No redoing redos" in script(service, "redo 9", "redo 0", options=["--keep-going"]).err
    many = [f"stat {top}"] * 14 + ["history"]
    numbered = [x for x in script(service, *many).lines if re.match(r"\d+ - ", x)]
    assert [x.split()[0] for x in numbered] == [str(n) for n in range(4, 15)]


def test_cd_and_pwd(service, top, conn):
    conn.create(f"{top}/a")
    conn.create(f"{top}/a/b", b"data")
    answer = script(service, "pwd", f"cd {top}/a", "pwd", "ls", "get b", "get ./b", "get ../a/b",
                    f"get {top}//a/b/", "cd ..", "pwd", "cd none", "pwd", "cd", "pwd",
                    options=["--keep-going"])
    assert answer.lines == ["/", f"{top}/a", "[b]", "data", "data", "data", "data", top, top, "/"]
    assert answer.err == f"reeve: cd: Node does not exist: {top}/none (NONODE)\n"


def test_connect_and_close(service, top):
    dead = f"127.0.0.1:{harness.free_port()}"
    answer = script(service, "close", f"ls {top}", "close", f"connect {service.hosts}{top}",
                    "create /inside x", "connect", "ls /", "connect host:port:more", "ls /",
                    f"connect {dead}", "ls /", f"connect {service.hosts}", f"ls {top}",
                    options=["--keep-going", "--connect-timeout", "1500"])
    assert answer.lines == ["Created /inside", "[inside]", "[inside]", "[inside]"]
    err = answer.err.splitlines()
    assert err[0] == "reeve: ls: Not connected; `connect host:port` connects"
    assert err[1] == "reeve: close: Not connected"
    assert "host:port:more" in err[2]
    assert f"no connection to {dead}" in err[3] and len(err) == 4
    assert answer.code == NO_CONNECTION


def test_chroot(service, top, conn):
    hosts = f"{service.hosts}{top}"
    assert ok(service, "create", "/a", "x", hosts=hosts).out == "Created /a\n"
    assert conn.get(f"{top}/a")[0] == b"x"
    assert ok(service, "ls", "-R", "/", hosts=hosts).lines == ["/", "/a"]
    assert ok(service, "create", "-s", "/s-", hosts=hosts).out == "Created /s-0000000001\n"
    answer = run(service, hosts=hosts, data=b"addWatch /\nset /a y\nsync /\ndeleteall /a\n")
    assert events(answer)[0] == ("NodeDataChanged", "/a")
    assert conn.exists(f"{top}/a") is None


WRONG = [
    ("create",), ("create", "/a", "b", "world:anyone:r", "d"), ("create", "-z", "/a"),
    ("create", "-c", "-e", "/a"), ("create", "-c", "-s", "/a"), ("create", "-t", "5", "-e", "/a"),
    ("create", "-t", "5", "-c", "/a"), ("create", "-t", "x", "/a"), ("create", "-t", "0", "/a"),
    ("create", "/a", "-t"), ("create", "/a\x01"),
    ("get",), ("get", "/", "1", "2"), ("get", "-v", "/"),
    ("set",), ("set", "/a"), ("set", "-v", "x", "/a", "b"), ("set", "/a", "b", "c", "d"),
    ("stat",), ("stat", "-s", "/"), ("ls", "-v", "/"), ("ls", "/", "1", "2"),
    ("delete",), ("delete", "-v", "1.5", "/a"), ("delete", "/a", "b"),
    ("deleteall",), ("deleteall", "-b", "many", "/a"), ("deleteall", "/a", "/b"), ("rmr",),
    ("ls2",),
    ("sync",), ("getAllChildrenNumber",), ("getEphemerals", "/a", "/b"),
    ("addauth",), ("getAcl",), ("setAcl", "/a"), ("setAcl", "/a", "r"), ("setAcl", "-v", "x", "/a",
                                                                       "world:anyone:r"),
    ("whoami", "x"), ("addWatch",), ("addWatch", "-m", "SOMETIMES", "/a"), ("removewatches",),
    ("removewatches", "-a", "-c", "/a"), ("printwatches", "on", "off"),
    ("listquota",), ("setquota", "/a"), ("setquota", "-n", "0", "/a"),
    ("setquota", "-n", "x", "/a"),
    ("setquota", "-b", "-1", "/a"), ("setquota", "-n", "1", "-b", "1", "/a"),
    ("delquota",), ("delquota", "-n", "-b", "/a"),
    ("config", "x"), ("reconfig",), ("reconfig", "-add", "x", "-members", "y"),
    ("reconfig", "-file", "x", "-members", "y"), ("reconfig", "-v", "xyz", "-add", "x"),
    ("connect", "a", "b"), ("close", "x"), ("quit", "x"), ("cd", "a", "b"), ("pwd", "x"),
    ("history", "x"), ("redo",), ("redo", "x"), ("version", "x"), ("help", "a", "b"),
]


@pytest.fixture(scope="module")
def any_server(tmp_path_factory):
    srv = harness.Server(harness.KIND, tmp_path_factory.mktemp("any"), {"maxClientCnxns": 0})
    srv.start()
    yield srv
    srv.stop()


@pytest.mark.parametrize("args", WRONG, ids=[" ".join(w).replace("\x01", "^A") for w in WRONG])
def test_wrong_usage_of_commands(any_server, args):
    answer = run(any_server, *args)
    assert answer.code == USAGE, answer
    assert answer.out == ""
    last = answer.err.splitlines()[-1]
    assert last.startswith(f"reeve: {args[0]}: ") and last.count("reeve:") == 1


def test_json_is_json(service, top):
    answer = script(
        service, f"create {top}/a x", f"create -e -s {top}/e-", f"ls {top}", f"ls -s {top}",
        f"ls -R {top}", f"get {top}/a", f"get -s {top}/a", f"get -b {top}/a", f"stat {top}/a",
        f"set {top}/a y", f"getAcl {top}/a", f"getAcl -s {top}/a",
        f"setAcl {top}/a world:anyone:cdrwa", f"setAcl -R {top}/a world:anyone:cdrwa", "whoami",
        "addauth digest u:p", f"getAllChildrenNumber {top}", "getEphemerals", f"sync {top}",
        "config", "config -s", f"setquota -n 9 {top}/a", f"listquota {top}/a", f"delquota {top}/a",
        f"addWatch {top}", f"set {top}/a z", f"removewatches {top}", "printwatches", "pwd",
        "history", "version", "help", "help ls", f"delete {top}/a", f"create {top}/d",
        f"create {top}/d/k", f"deleteall {top}/d", options=["--json"])
    assert answer.code == OK, answer
    values = [json.loads(line) for line in answer.lines]
    assert all(isinstance(v, dict) for v in values)
    assert values[0]["created"] == f"{top}/a"
    assert values[2] == {"path": top, "children": ["a", "e-0000000001"]}
    assert values[3]["stat"]["numChildren"] == 2
    assert values[4]["tree"] == [top, f"{top}/a", f"{top}/e-0000000001"]
    assert values[5] == {"path": f"{top}/a", "data": "x", "encoding": "utf-8"}
    assert values[10]["acl"] == [{"scheme": "world", "id": "anyone", "perms": "cdrwa"}]
    assert {"event": "NodeDataChanged", "path": f"{top}/a"} in values
    assert values[-1] == {"path": f"{top}/d", "deleted": 2}


def test_json_of_one_command(service, top):
    answer = script(service, f"ls {top} --json", f"ls {top}", f"ls -json {top}")
    assert answer.lines[1] == "[]"
    assert [json.loads(answer.lines[n]) for n in (0, 2)] == [{"path": top, "children": []}] * 2


def test_output_to_nowhere_is_no_success(service, top):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([SHELL, "-s", service.hosts, "ls", "/"], stdout=full,
                              env=environment(), stdin=subprocess.DEVNULL, timeout=WAIT_S,
                              stderr=subprocess.PIPE, check=False)
    assert done.returncode == NO and b"standard output" in done.stderr


def test_ctrl_c_ends_a_one_shot_command(service, top):
    port = harness.free_port()
    proc = subprocess.Popen([SHELL, "-s", f"127.0.0.1:{port}", "ls", "/"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment())
    harness.poll_until(lambda: catches_sigint(proc.pid), 5, "the handler is set")
    proc.send_signal(signal.SIGINT)
    out, err = proc.communicate(timeout=10)
    assert (proc.returncode, out, err) == (INTERRUPTED, b"", b"")


def test_sigterm_ends_the_session(service, top, conn):
    shell = Piped(service.hosts)
    shell.send(f"create -e {top}/e")
    shell.expect("Created")
    shell.proc.send_signal(signal.SIGTERM)
    assert shell.proc.wait(10) == 128 + signal.SIGTERM
    shell.proc.stdin.close()
    shell.proc.stdout.close()
    assert conn.exists(f"{top}/e") is None


def catches_sigint(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        caught = re.search(r"^SigCgt:\s+(\w+)", f.read(), re.M).group(1)
    return int(caught, 16) >> (signal.SIGINT - 1) & 1


# ---- in a terminal -------------------------------------------------------------------------------

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x07|\r")


class Terminal:
    """An interactive shell on a pty."""

    def __init__(self, hosts, *options, home, columns=120, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            full = environment(HOME=str(home), **env)
            if "REEVE_HISTORY" not in env:
                del full["REEVE_HISTORY"]
            os.execve(SHELL, [SHELL, "-s", hosts, *options], full)
        termios.tcsetwinsize(self.fd, (40, columns)) if hasattr(termios, "tcsetwinsize") else None
        self.raw = b""
        self.code = None

    @property
    def text(self):
        return ESCAPES.sub("", self.raw.decode("utf-8", "replace"))

    def send(self, keys):
        self.raw = b""
        os.write(self.fd, keys if isinstance(keys, bytes) else keys.encode())

    def expect(self, pattern, timeout_s=WAIT_S):
        """Reads until the pattern stands in what came since the last send()."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = re.search(pattern, self.text, re.S)
            if found:
                if pattern.endswith("> $"):
                    self.wait_raw()
                return found
            left = deadline - time.monotonic()
            assert left > 0, f"no {pattern!r} in {self.raw!r}"
            if select.select([self.fd], [], [], left)[0]:
                try:
                    part = os.read(self.fd, 65536)
                except OSError:
                    part = b""
                assert part, f"the shell ended; no {pattern!r} in {self.raw!r}"
                self.raw += part

    def wait_raw(self):
        """The prompt is out, but until the editor has the terminal the kernel echoes keys, too."""
        harness.poll_until(lambda: not termios.tcgetattr(self.fd)[3] & termios.ICANON, WAIT_S,
                           "the line editor has the terminal")

    def do(self, line, pattern=r"\] \S+> $"):
        self.send(line + "\n")
        return self.expect(pattern)

    def wait(self):
        """Its exit code, read to its end."""
        while self.code is None:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.raw += os.read(self.fd, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def close(self):
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        os.close(self.fd)


@pytest.fixture
def terminal(service, tmp_path):
    """terminal(*options): an interactive shell, with its prompt there and connected."""
    opened = []

    def make(*options, hosts=None, connected=True, **env):
        t = Terminal(hosts or service.hosts, *options, home=tmp_path, **env)
        opened.append(t)
        if connected:
            t.expect(r"CONNECTED\] \S+> $")
        return t

    yield make
    for t in opened:
        t.close()


def test_prompt(service, terminal, top):
    t = terminal()
    t.do(f"cd {top}", rf"\[{re.escape(service.hosts)} CONNECTED\] {top}> $")
    assert b"\x1b[32mCONNECTED" in t.raw
    t.do("close", rf"CLOSED\] {top}> $")
    t.do("connect", r"CONNECTED\] /> $")
    t.do("nonsense", r"Command not found nonsense.*> $")
    t.send("quit\n")
    assert t.wait() == OK


def test_a_terminal_that_knows_no_sequences_gets_none(terminal):
    t = terminal(TERM="dumb")
    t.do("ls /zookeeper", r"\[config, quota\].*> $")
    assert b"\x1b" not in t.raw


def test_no_color(terminal):
    t = terminal("--no-color")
    t.do("ls /zookeeper", r"\[config, quota\].*> $")
    assert b"\x1b[3" not in t.raw
    assert b"\x1b[3" not in terminal(NO_COLOR="1").raw


def test_completion(service, terminal, top, conn):
    for name in ("alpha", "alphabet", "beta", "two words"):
        conn.create(f"{top}/{name}")
    conn.create(f"{top}/beta/inner", b"found")
    t = terminal()
    t.send("creat\t")
    t.expect("create $")
    t.send("\x15")                      # Ctrl-U
    t.send("delete\t\t")
    t.expect(r"delete +deleteall")
    t.send("\x15")
    t.send("getAc\t")
    t.expect("getAcl $")
    t.send("\x15")
    t.send(f"get {top}/b\t/\t\n")
    t.expect("found")
    t.expect(r"> $")
    t.send(f"get {top}/al\t\t")
    t.expect(rf"{top}/alpha +{top}/alphabet")
    t.send("\x15")
    t.send(f"stat {top}/two\t\n")
    t.expect("numChildren")
    t.send(f"stat \"{top}/two\t\"\n")
    t.expect("numChildren")
    t.do(f"cd {top}")
    t.send("get be\t/i\t\n")
    t.expect("found")
    t.send("reconfig -mem\t")
    t.expect("-members $")
    t.send("\x15")
    t.send("ls /nowhere/\t")
    t.send("\x15quit\n")
    assert t.wait() == OK


def test_history_is_kept_for_its_owner_alone(service, terminal, top, tmp_path):
    t = terminal()
    t.do("pwd", r"pwd\n/\n.*> $")
    t.do(" version", r"reeve-.*> $")            # begins with a space: not kept
    t.do("addauth digest user:secret")
    t.do(f"stat {top}", r"numChildren.*> $")
    t.send("\x1b[A")                            # up
    t.expect(f"stat {top}$")
    t.send("\x1b[A\x1b[A")
    t.expect("pwd$")
    t.send("\n")
    t.expect(r"\n/\n.*> $")
    t.send("\x04")                              # Ctrl-D
    assert t.wait() == OK
    file = tmp_path / ".reeve_history"
    assert file.read_text() == f"pwd\nstat {top}\npwd\n"
    assert st.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)                           # somebody copied it from elsewhere
    t = terminal()
    t.send("\x1b[A\x1b[A")
    t.expect(f"stat {top}$")
    t.send("\x15\n\x12st\n")                    # Ctrl-R
    t.expect("numChildren")
    t.send("\x15quit\n")
    assert t.wait() == OK
    assert st.S_IMODE(file.stat().st_mode) == 0o600
    assert terminal(REEVE_HISTORY="").do("pwd")
    assert file.read_text().count("pwd") == 2


def test_history_does_not_grow_without_bound(service, terminal, tmp_path):
    file = tmp_path / ".reeve_history"
    file.write_text("".join(f"stat /n{n}\n" for n in range(2500)))
    file.chmod(0o644)
    t = terminal()
    t.send("\x1b[A")
    t.expect("stat /n2499$")
    t.send("\x15quit\n")
    assert t.wait() == OK
    lines = file.read_text().splitlines()
    assert lines[0] == "stat /n1500" and lines[-1] == "quit" and len(lines) == 1001
    assert st.S_IMODE(file.stat().st_mode) == 0o600


def test_ctrl_c_at_the_prompt(service, terminal):
    t = terminal()
    t.send("some text\x03")
    t.expect(r"\^C.*> $")
    t.do("pwd", r"\n/\n.*> $")          # the line is gone, the shell is not
    for _ in range(3):
        t.send("other text")
        t.expect("other text$")
        t.send("\x03")
        t.expect(r"\^C\n.*> $")
    t.send("\x03")
    t.expect(r"once more.*> $")
    t.send("\x03")
    assert t.wait() == INTERRUPTED


def test_ctrl_c_that_ends_commands_never_ends_the_shell(service, terminal, top):
    t = terminal()
    for _ in range(3):
        t.send(f"watch {top}\n")
        t.expect("Ctrl-C ends")
        t.send("\x03")
        t.expect(r"\] \S+> $")
    t.send("\x03")                      # at the prompt: the first
    t.expect(r"once more.*> $")
    t.do("pwd", r"\n/\n.*> $")
    t.send("\x03")                      # a line came between
    t.expect(r"once more.*> $")


def test_ctrl_c_ends_the_command_not_the_shell(service, terminal):
    t = terminal(hosts=f"127.0.0.1:{harness.free_port()}", connected=False)
    t.expect(r"CONNECTING\] /> $")
    t.send("ls /\n")
    t.expect("ls /\n")
    t.send("\x03")
    t.expect(r"CONNECTING\] /> $")      # ^C itself only if the editor had left the terminal
    t.do("pwd", r"\n/\n.*> $")
    t.send("\x04")
    assert t.wait() == OK


def test_ctrl_z_gives_the_terminal_back(service, terminal):
    t = terminal()
    t.send("pw")
    t.expect("pw$")
    # No shell with job control is above it here: the stop is waited for like one would.
    os.kill(t.pid, signal.SIGTSTP)
    assert os.WIFSTOPPED(os.waitpid(t.pid, os.WUNTRACED)[1])
    assert termios.tcgetattr(t.fd)[3] & termios.ICANON
    os.kill(t.pid, signal.SIGCONT)
    t.wait_raw()
    t.send("d\n")
    t.expect(r"\n/\n.*> $")
    t.send("quit\n")
    assert t.wait() == OK


def test_a_terminal_that_goes_away_ends_the_session(service, terminal, top, conn):
    t = terminal()
    t.do(f"create -e {top}/e", r"Created.*> $")
    os.kill(t.pid, signal.SIGHUP)
    assert t.wait() == 128 + signal.SIGHUP
    assert conn.exists(f"{top}/e") is None


def test_events_do_not_break_the_line_being_written(service, terminal, top, conn):
    t = terminal()
    t.do(f"addWatch {top}")
    t.send("create ")
    t.expect("create $")
    t.raw = b""
    conn.set(top, b"1")
    t.expect(rf"WATCHER:: WatchedEvent state:SyncConnected type:NodeDataChanged path:{top}\n"
             r"\[[^\n]*> create $")
    t.send(f"{top}/done x\n")
    t.expect(f"Created {top}/done")
    # A line longer than the screen is wide.
    t.expect("> $")
    t.send("set /" + "x" * 200)
    t.expect(r"(?:x[^x]*){200}$")
    t.raw = b""
    conn.set(top, b"2")
    t.expect(rf"NodeDataChanged path:{top}\n\[.*> set /x+")
    assert t.raw.count(b"\x1b[A") >= 1
    t.send("\x03")
    t.expect(r"\^C.*> $")
    t.send("quit\n")
    assert t.wait() == OK


def test_strangers_cannot_command_the_terminal(service, terminal, top, conn):
    conn.create(f"{top}/a", b"\x1b[2Jdata\x07")
    t = terminal()
    t.do(f"get {top}/a", r"\\x1b\[2Jdata\\x07")
    conn.set(f"{top}/a", b"\xc2\x9b2Jdata")
    t.do(f"get {top}/a", r"\\xc2\\x9b2Jdata")
    assert b"\xc2\x9b" not in t.raw
    t.send("quit\n")
    assert t.wait() == OK


def test_a_server_that_goes_and_comes_back(make_server, terminal, tmp_path):
    server = make_server({"tickTime": 500, "maxSessionTimeout": 60000})
    t = terminal(hosts=server.hosts)
    t.do("create /a x", r"Created /a.*> $")
    t.do("create -e /e x", r"Created /e.*> $")
    t.do("addWatch /", r"> $")
    t.send("ls /no")
    t.expect("ls /no$")
    t.raw = b""
    server.kill()
    t.expect(r"lost the connection to .*SUSPENDED\] /> ls /no$")
    server.start()
    t.expect(r"connected to .* again.* CONNECTED\] /> ls /no$")
    t.send("\x15")
    t.do("getEphemerals", r"\[/e\].*> $")       # the same session
    t.do("set /a y", r"NodeDataChanged path:/a.*> $")
    t.send("quit\n")
    assert t.wait() == OK


def test_a_session_that_is_lost_says_so(make_server, terminal):
    server = make_server({"tickTime": 200, "minSessionTimeout": 400, "maxSessionTimeout": 60000})
    t = terminal("--timeout", "1000", hosts=server.hosts)
    t.raw = b""
    server.kill()
    t.expect(r"session 0x[1-9a-f]\w+ is over.*> $")
    server.start()
    t.expect(r"CONNECTED\] /> $")
    t.do("getEphemerals", r"\[\]")
    t.send("quit\n")
    assert t.wait() == OK


# ---- beside Apache's shell -----------------------------------------------------------------------


class Marked(Piped):
    """A shell whose every command is followed by `version`, which tells where its output ends."""

    def run(self, command):
        self.send(command)
        self.send("version")
        lines = self.expect("ZooKeeper CLI version").decode().splitlines()[:-1]
        return [line for line in lines if line]


# Commands whose words scripts may parse. AT is a node of the shell's own.
SAME = [
    "create AT/a one", "create AT/a again", "create -s AT/s- x", "create -e AT/e x",
    "create AT/e/k x", "create AT/none/k x", "create -c -e AT/x", "create -t x AT/x",
    "create -t 5 -e AT/x", "create AT/acl x world:anyone:cra", "create AT/bad x digest:nohash:r",
    "get AT/a", "get AT/none", "get AT/a watch", "set AT/a two", "set -v 7 AT/a x", "set AT/none x",
    'set AT/a "two words"', "get AT/a", "set AT/a {\"k\":'v'}", "get AT/a", "set AT/a C:\\dir",
    "get AT/a", "ls AT", "ls AT/a", "ls AT/none", "ls -R AT", "ls -R AT/none", "ls AT watch",
    "stat AT/none", "delete AT/none", "delete -v 9 AT/a", "delete AT", "getAcl AT/acl",
    "getAcl AT/none", "setAcl AT/a world:anyone:ra", "getAcl AT/a", "set AT/a x",
    "setAcl AT/a digest:nohash:r", "getAllChildrenNumber AT", "getAllChildrenNumber AT/none",
    "sync AT", "whoami", "config", "reconfig -add server.5=h:1:2;3",
    "reconfig -add x -members y", "create AT/q 12345", "create AT/q/k 1", "setquota -n 10 AT/q",
    "listquota AT/q", "setquota -B 100 AT/q", "listquota AT/q", "setquota -n 5 AT/q/k",
    "setquota -n 1 AT/none", "setquota -b 2 /zookeeper/quota/x", "setquota -n 0 AT/q",
    "delquota -n AT/q", "listquota AT/q", "delquota AT/q", "delquota AT/q", "listquota AT/q",
    "removewatches AT/e", "printwatches", "deleteall AT/q", "deleteall AT/none", "ls AT/q",
]


@pytest.fixture(scope="module")
def apaches_shell(any_server):
    import test_shell
    sh = test_shell.Shell(any_server.port)
    yield sh
    sh.close()


def plain(lines, at):
    """What both shells say, without what only one of them adds: reeve's name and the command's
    in front, the error's name and the usage behind; Apache's logging class."""
    out = []
    for line in lines:
        line = line.replace(at, "AT")
        line = re.sub(r"^reeve: (\w+): ", "", line)
        line = re.sub(r"; usage: .*| \([A-Z]+\)$|; `connect.*", "", line)
        line = re.sub(r"^KeeperErrorCode = |^org\.apache\S+: ", "", line)
        line = re.sub(r"the num quota must be greater than zero.*",
                      "the num quota must be greater than zero", line)
        line = re.sub(r"(-t argument must be a long value).*", r"\1", line)
        out.append(line.strip())
    # Apache's create names this error twice.
    skip = ("WATCHER", "WatchedEvent", "InvalidACL for")
    return sorted(x for x in out if x and not any(word in x for word in skip))


def test_words_are_apaches(any_server, apaches_shell):
    ours = Marked(any_server.hosts, "--keep-going")
    with zk.Conn(any_server.port) as c:
        c.create("/theirs")
        c.create("/ours00")     # as long as the other: quotas count no paths, but messages do
    different = []
    for command in SAME:
        a = plain(apaches_shell.run(command.replace("AT", "/theirs")), "/theirs")
        b = plain(ours.run(command.replace("AT", "/ours00")), "/ours00")
        if a != b:
            different.append((command, a, b))
    assert ours.quit() != OK    # many failed
    assert not different, "\n".join(map(str, different))
