# SPDX-License-Identifier: Apache-2.0
"""Replays the recorded conversations of Apache servers, byte for byte.

test/golden/client-golden.jsonl holds, per group, the frames of one scenario in order. Each
group runs once on an empty server; what each vector gave is kept, and one test per vector
asks for its own outcome, so a failure names group, number and name.

What differs from run to run is not waved through but checked for what it must be: session
ids against the live session, passwords against the derivation, times against the clock.
Where the order of a list is unspecified, both sides are sorted before they are compared.
"""
import json
import os
import re
import time

import pytest

import ensemble
import harness
import zk

GROUP_SETTINGS = {
    "quota": {"enforceQuota": "true"},
    "enforce-auth": {"enforce.auth.enabled": "true", "enforce.auth.schemes": "digest"},
    "no-extended": {"extendedTypesEnabled": "false"},
    "super": {"DigestAuthenticationProvider.superDigest": "super:lK75jTNcA+U9vtVEw5vB51mj/w4="},
}

# Groups played to a member of an ensemble of three: its sid, and what the ensemble is like.
ENSEMBLES = {
    "readonly": (1, {"config": {"readonlymode.enabled": "true", "localSessionsEnabled": "true"}}),
    "local-session": (1, {"config": {"localSessionsEnabled": "true"}}),
    "reconfig": (3, {"config": {"reconfigEnabled": "true"}, "client_in_server_line": True}),
}
# The ports of the recorded ensemble: of server N these plus N.
GOLDEN_CLIENT_PORT, GOLDEN_QUORUM_PORT, GOLDEN_ELECTION_PORT = 21809, 21812, 21815

# Vectors of 3.8.0 that hold for Reeve although 3.9.5 is its target: a write that cannot be
# decoded consumes a zxid. 3.9 gives the error an already used zxid, which stalls its ensembles.
REEVE_TAKES_38 = {("bad", 9), ("bad", 10)}
# Where Reeve does not follow: a wrong password does not cut the live connection of the session.
REEVE_DIFFERS = {("handshake", 16): "the other connection stays open"}

# Events of one closeSession that deletes several nodes: the order of these is unspecified.
ANY_ORDER = {("modes", 29), ("modes", 30)}

IO_TIMEOUT_S = 5.0


def load_vectors():
    groups = {}
    with open(os.path.join(harness.GOLDEN, "client-golden.jsonl"), encoding="utf-8") as f:
        for line in f:
            v = json.loads(line)
            groups.setdefault(v["group"], {}).setdefault(v["seq"], []).append(v)
    return groups


GROUPS = load_vectors()


def vector_for(versions, is_apache):
    v = versions[0]
    want = "3.8.0" if is_apache or (v["group"], v["seq"]) in REEVE_TAKES_38 else "3.9.5"
    return next(v for v in versions if want in v["servers"])


# -- comparison

def sort_unordered(request, response):
    """The response with every list of unspecified order sorted; the frames are whole ones."""
    op = zk.Reader(request[8:12]).i32()
    r = zk.Reader(response)
    head = r.take(20)
    if op == zk.GET_CHILDREN or op == zk.GET_EPHEMERALS:
        out = repr(sorted(r.vec(r.ustr)))
    elif op == zk.GET_CHILDREN2:
        out = repr((sorted(r.vec(r.ustr)), r.take(68)))
    elif op == zk.WHO_AM_I:
        out = repr(sorted(r.vec(lambda: (r.ustr(), r.ustr()))))
    elif op == zk.MULTI_READ:
        out = repr([(res[0], sorted(res[1])) if res[0] == zk.GET_CHILDREN else res
                    for res in zk.read_multi(response[20:])])
        return head, out
    else:
        raise AssertionError(f"vector of op {op} says its order is unspecified")
    r.end()
    return head, out


def check_varying(run, v, actual):
    """The byte ranges that differ between runs hold what this run must have there."""
    golden = bytes.fromhex(v["response_hex"])
    for part in v["varies"]:
        end = part["off"] + part["len"]
        assert end <= len(actual), f"reply of {len(actual)} bytes is too short: {actual.hex()}"
        got = actual[part["off"]:end]
        what = part["what"]
        if what.endswith("sessionId") or what.endswith("ephemeralOwner"):
            value, old = zk.Reader(got).i64(), golden[part["off"]:end]
            assert value != 0
            assert run.sessions.setdefault(old, got) == got, f"{what} is of another session"
        elif what.endswith("passwd"):
            sid = zk.Reader(actual[12:20]).i64()
            assert got == zk.session_password(sid), "password does not belong to the id"
            run.passwords[golden[part["off"]:end]] = got
        elif what.endswith("ctime") or what.endswith("mtime"):
            if golden[part["off"]:end] == bytes(8):
                assert got == bytes(8), f"{what} of a built-in node is not 0"
                continue
            age_ms = time.time() * 1000 - zk.Reader(got).i64()
            assert -5000 < age_ms < 300000, f"{what} is {age_ms} ms old"
        else:
            raise AssertionError(f"unknown varying part {what}")


def masked(data, v):
    out = bytearray(data)
    for part in v["varies"]:
        out[part["off"]:part["off"] + part["len"]] = b"\0" * part["len"]
    return bytes(out)


def compare(run, v, actual):
    check_varying(run, v, actual)
    want, got = masked(bytes.fromhex(v["response_hex"]), v), masked(actual, v)
    if "unspecified" in v.get("note", ""):
        request = bytes.fromhex(v["request_hex"])
        want, got = sort_unordered(request, want), sort_unordered(request, got)
    assert got == want, f"\n want {want}\n got  {got}\n decoded {v.get('decoded')}"


def normal_text(text):
    """A four letter answer without what differs between machines."""
    text = re.sub(r"(?m)^Zookeeper version: .*$", "Zookeeper version: X", text)
    text = re.sub(r"/127\.0\.0\.1:\d+", "/127.0.0.1:PORT", text)
    text = re.sub(r"(?m)^clientPort=\d+", "clientPort=PORT", text)
    text = re.sub(r"(?m)^(data(?:Log)?Dir)=.*(/version-2)$", r"\1=\2", text)
    text = re.sub(r"(?m)^((?:data(?:Log)?Size=)|(?:(?:data|log)dir_size: ))\d+", r"\1N", text)
    # Buckets of the expiry queue: empty ones and their instants are a matter of timing.
    text = re.sub(r"(?m)^0 expire at .*\n", "", text)
    text = re.sub(r"expire at .*:$", "expire at T:", text, flags=re.M)
    return re.sub(r"Sets \(\d+\)", "Sets (B)", text)


# -- one scenario

class GroupRun:
    """One group played once; outcome[seq] is None or the text of what went wrong."""

    def __init__(self, server, group, ports=None):
        self.server = server
        self.ports = ports or {}        # recorded port -> port of this run, as text of 5 digits
        self.conns = {}
        self.sessions = {}
        self.passwords = {}
        self.outcome = {}
        self.in_any_order = None        # frames received for ANY_ORDER and not yet asked for
        timeouts = 0
        for seq, versions in sorted(GROUPS[group].items()):
            v = self.with_ports(vector_for(versions, server.is_apache))
            if timeouts >= 2:
                self.outcome[seq] = "not run: two earlier vectors of the group got no answer"
                continue
            try:
                self.play(v)
                self.outcome[seq] = None
            except (AssertionError, OSError, TimeoutError, zk.Closed) as e:
                timeouts += isinstance(e, TimeoutError)
                self.outcome[seq] = f"{type(e).__name__}: {e}"
        for conn in self.conns.values():
            conn.drop()

    def conn_for(self, v):
        fresh = "fresh connection" in v.get("note", "")
        old = self.conns.get(v["conn"])
        if fresh or old is None or old.sock.fileno() < 0:
            self.conns[v["conn"]] = zk.Conn(self.server.port, handshake=False,
                                            io_timeout_s=IO_TIMEOUT_S)
        return self.conns[v["conn"]]

    def with_ports(self, v):
        text = bytes.fromhex(v["response_hex"])
        for old, new in self.ports.items():
            text = text.replace(b":" + old, b":" + new)
        return dict(v, response_hex=text.hex())

    def request_for(self, v):
        """The recorded request with the session ids and passwords of this run."""
        data = bytes.fromhex(v["request_hex"])
        for old, new in list(self.sessions.items()) + list(self.passwords.items()):
            data = data.replace(old, new)
        return data

    def play(self, v):
        if v["group"] == "4lw":
            return self.play_four_letter(v)
        if not self.server.is_apache and (v["group"], v["seq"]) in REEVE_DIFFERS:
            assert self.conn_for(v).quiet(0.1), REEVE_DIFFERS[v["group"], v["seq"]]
            return None
        conn = self.conn_for(v)
        if v["request_hex"]:
            conn.send_raw(self.request_for(v))
        if (v["group"], v["seq"]) in ANY_ORDER:
            if self.in_any_order is None:
                self.in_any_order = [zk.frame(conn.recv_frame()).hex() for _ in ANY_ORDER]
            assert v["response_hex"] in self.in_any_order, self.in_any_order
            self.in_any_order.remove(v["response_hex"])
        elif v["response_hex"]:
            for event_hex in v.get("events_before_reply_hex", []):
                assert zk.frame(conn.recv_frame()).hex() == event_hex
            compare(self, v, zk.frame(conn.recv_frame()))
        elif (v.get("decoded") or {}).get("connection_closed") or "closed" in v.get("note", ""):
            conn.expect_close()
        elif v.get("no_reply"):
            assert conn.quiet(0.2), "there is a reply"
        return None

    def play_four_letter(self, v):
        # The words of one text are counted by the next: the server must be at rest in between.
        got = harness.four_letter(self.server.port, bytes.fromhex(v["request_hex"]))
        want = bytes.fromhex(v["response_hex"]).decode()
        assert normal_text(got) == normal_text(want)


RUNS = {}


def play_to_server(group, directory):
    server = harness.Server(harness.KIND, directory, GROUP_SETTINGS.get(group))
    server.start()
    try:
        run = GroupRun(server, group)
        assert server.alive(), server.stderr_tail()
        server.stop()
        return run
    finally:
        server.kill()


def play_to_member(group, directory):
    sid, settings = ENSEMBLES[group]
    e = ensemble.Ensemble(directory, "RRR", **settings)
    try:
        if group == "readonly":
            e[sid].start()
            harness.poll_until(lambda: e[sid].mode() == "read-only", 20, "read-only mode")
        else:
            e.start(leader=3)
        ports = {}
        for m in e:
            for first, port in ((GOLDEN_CLIENT_PORT, m.port), (GOLDEN_QUORUM_PORT, m.quorum_port),
                                (GOLDEN_ELECTION_PORT, m.election_port)):
                ports[b"%d" % (first + m.sid)] = b"%05d" % port
        run = GroupRun(e[sid], group, ports)
        assert e[sid].alive(), e[sid].stderr_tail()
        return run
    finally:
        e.close()


@pytest.fixture
def group_run(request, tmp_path_factory):
    group = request.param
    if group not in RUNS:
        play = play_to_member if group in ENSEMBLES else play_to_server
        RUNS[group] = play(group, tmp_path_factory.mktemp(f"golden-{group}"))
    return RUNS[group]


def parameters():
    for group, seqs in sorted(GROUPS.items()):
        for seq, versions in sorted(seqs.items()):
            name = re.sub(r"[^A-Za-z0-9]+", "-", versions[0]["name"]).strip("-")
            yield pytest.param(group, seq, id=f"{group}-{seq:03d}-{name}")


@pytest.mark.parametrize(("group_run", "seq"), parameters(), indirect=["group_run"])
def test_vector(group_run, seq):
    assert group_run.outcome[seq] is None, group_run.outcome[seq]
