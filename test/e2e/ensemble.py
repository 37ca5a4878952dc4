# SPDX-License-Identifier: Apache-2.0
"""Ensembles of real servers, each member Reeve or Apache, and what tests do to them.

Ensemble(directory, "RAR") has three members with sids 1, 2, 3; the letters are their programs, R
for Reeve and A for Apache; "o" behind a letter makes an observer ("RAAo"). Under
REEVE_E2E_SERVER=apache every R is an A: the same test then says what Apache does.

A member keeps its data, its ports and its zoo.cfg over restarts and changes of its program
(`Member.become`): one zoo.cfg serves both. With relays=True the members reach each other through
relay.py, and `cut`, `hold`, `slow` and `heal` break the network between them.

Times are short, tickTime 500 ms, so that sessions expire and silent members are noticed within a
test; limits are wide enough for three JVMs that start on two processors.
"""
import itertools
import os
import re
import select
import shutil
import signal
import time

import harness
import relay
import zk

CONFIG = {
    "tickTime": 500,
    "initLimit": 20,
    "syncLimit": 8,
    "maxClientCnxns": 0,
    "maxSessionTimeout": 60000,
    "snapCount": 100000,
    "preAllocSize": 64,
    "DigestAuthenticationProvider.superDigest": "super:lK75jTNcA+U9vtVEw5vB51mj/w4=",
}
SUPER = b"super:secret"
PROGRAMS = {"R": "reeve", "A": "apache"}
ELECTION_TIMEOUT_S = 30
CONFIG_NODE = "/zookeeper/config"


def parse_members(text):
    """"RAAo" as [(program, role)...]."""
    found = re.findall(r"([RA])(o?)", text)
    assert "".join(a + b for a, b in found) == text, text
    return [("apache" if harness.KIND == "apache" else PROGRAMS[letter],
             "observer" if o else "participant") for letter, o in found]


class Member(harness.Server):
    """One server of an ensemble. `sid` and `role` are as in its own zoo.cfg."""

    def __init__(self, kind, directory, sid, role, config):
        super().__init__(kind, directory, config)
        self.sid = sid
        self.role = role
        self.quorum_port = harness.free_port()
        self.election_port = harness.free_port()
        self.config_lines = []      # server.N and what else is no plain key of `config`
        self.stopped = False        # by SIGSTOP
        # The name the process got its data under; a client address in the server line needs it.
        self.cfg_path = os.path.join(self.dir, "zoo.cfg")

    def __repr__(self):
        return f"{self.kind}{self.sid}"

    def write_config(self):
        """Once: with reconfiguration the file is the server's own afterwards."""
        if not os.path.exists(self.cfg_path):
            lines = dict(self.config)
            lines.setdefault("dataDir", self.data_dir)
            if lines.get("clientPort", self.port) is not None:
                lines.setdefault("clientPort", self.port)
            text = [f"{k}={v}" for k, v in lines.items() if v is not None] + self.config_lines
            with open(self.cfg_path, "w", encoding="utf-8") as f:
                f.write("\n".join(text) + "\n")
        self.write_myid()
        return self.cfg_path

    def write_myid(self):
        os.makedirs(self.data_dir, exist_ok=True)
        with open(os.path.join(self.data_dir, "myid"), "w", encoding="utf-8") as f:
            f.write(f"{self.sid}\n")

    def start(self, wait=False, **more):
        self.stopped = False
        return super().start(wait, **more)

    def become(self, kind):
        """Another program on the same files, from the next start on."""
        assert self.proc is None
        self.kind, self.is_apache = kind, kind == "apache"

    def wipe(self):
        """An empty data directory but for myid."""
        assert self.proc is None
        shutil.rmtree(self.data_dir)
        self.write_myid()

    def pause(self):
        os.kill(self.pid, signal.SIGSTOP)
        self.stopped = True

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)
        self.stopped = False

    def kill(self):
        super().kill()
        self.stopped = False

    def up(self):
        return self.alive() and not self.stopped

    def mode(self):
        """leader, follower, observer, read-only, standalone, or None when it serves nobody."""
        if not self.up():
            return None
        try:
            text = harness.four_letter(self.port, "srvr", timeout_s=3, host=self.host)
        except OSError:
            return None
        m = re.search(r"^Mode: (\S+)", text, re.M)
        return m.group(1) if m else None

    def zxid(self):
        """The last one applied, by the word srvr; None when it serves nobody."""
        text = self.srvr().get("Zxid")
        return int(text, 16) if text else None

    def epoch_file(self, name):
        with open(os.path.join(self.version_dir, name), encoding="ascii") as f:
            return int(f.read().strip())

    def logged(self, data):
        """Do these bytes stand in its logs?"""
        for path in self.log_files():
            with open(path, "rb") as f:
                if data in f.read():
                    return True
        return False

    def digests(self):
        """{zxid: digest} as the word hash tells it."""
        text = harness.four_letter(self.port, "hash")
        return {int(z, 16): d for z, d in re.findall(r"^([0-9a-f]+): (\S+)$", text, re.M)}


class Ensemble:
    def __init__(self, directory, members="RRR", config=None, relays=False, per_member=None,
                 client_in_server_line=False, own_hosts=False):
        """per_member: {sid: {key: value}} on top of config; a value of None leaves the key out.
        own_hosts: to the others member N is at 127.0.0.N, so that all can open the same port."""
        self.dir = str(directory)
        self.config = dict(CONFIG)
        self.config.update(config or {})
        self.client_in_server_line = client_in_server_line
        self.own_hosts = own_hosts
        self.members = {}
        self.relay = None
        self.relay_ports = {}
        for sid, (kind, role) in enumerate(parse_members(members), 1):
            self.add_member(sid, kind, role, (per_member or {}).get(sid))
        if relays:
            self.make_relays()
        for m in self:
            self.give_lines(m)

    def add_member(self, sid, kind, role="participant", more=None):
        """A member that the others know only if this is before their files are written."""
        config = dict(self.config)
        if role == "observer":
            config["peerType"] = "observer"
        if self.client_in_server_line:
            config.update({"clientPort": None, "clientPortAddress": None})
        config.update(more or {})
        m = Member(kind, os.path.join(self.dir, f"s{sid}"), sid, role, config)
        self.members[sid] = m
        return m

    def give_lines(self, member, known=None):
        """The server lines of a member's zoo.cfg: of all members, or those of `known` sids."""
        member.config_lines = [self.server_line(member, other) for other in self
                               if known is None or other.sid in known]

    def server_line(self, of, other):
        """The line that member `of` has for `other`."""
        ports = (self.relay_ports.get((of.sid, other.sid, "quorum"), other.quorum_port),
                 self.relay_ports.get((of.sid, other.sid, "election"), other.election_port))
        return f"server.{other.sid}=" + self.address(other, *ports)

    def address(self, m, quorum_port=None, election_port=None, role=None):
        """host:port:port:role[;host:port] as it stands in configurations."""
        client = f";127.0.0.1:{m.port}" if self.client_in_server_line else ""
        host = f"127.0.0.{m.sid}" if self.own_hosts else "127.0.0.1"
        return (f"{host}:{quorum_port or m.quorum_port}:{election_port or m.election_port}"
                f":{role or m.role}{client}")

    def make_relays(self):
        pairs = []
        for a, b in itertools.permutations(self, 2):
            for kind, target in (("quorum", b.quorum_port), ("election", b.election_port)):
                port = harness.free_port()
                self.relay_ports[a.sid, b.sid, kind] = port
                pairs.append((a.sid, b.sid, kind, port, target))
        self.relay = relay.Relay(pairs)

    def __iter__(self):
        return iter(list(self.members.values()))

    def __getitem__(self, sid):
        return self.members[sid]

    @property
    def servers(self):
        """For the report of a failed test."""
        return list(self)

    @property
    def voters(self):
        return [m for m in self if m.role == "participant"]

    def others(self, *members):
        return [m for m in self if m not in members]

    # -- life

    def start(self, leader=None, wait=True):
        """Starts all; `leader` (a sid, not the lowest of the voters) is made the leader."""
        if leader is not None:
            self.elect(leader)
        for m in self:
            if m.proc is None:
                m.start()
        if wait:
            self.wait_serving()
            assert leader is None or self[leader].mode() == "leader"
        return self

    def elect(self, sid):
        """Starts just enough voters, none above sid, for a quorum that makes it the leader: among
        equal histories the largest sid wins."""
        need = len(self.voters) // 2 + 1
        below = [m for m in self.voters if m.sid < sid and m.proc is None]
        first = [self[sid], *below[-(need - 1):]] if need > 1 else [self[sid]]
        assert len(first) == need, "not enough smaller sids"
        for m in first:
            m.start()
        self.wait_serving(first)

    def stop(self):
        """TERM to all; followers first, so that no election starts in between."""
        self.network("open")
        leader = self.leader()
        for m in [m for m in self if m is not leader] + ([leader] if leader else []):
            if m.proc is not None:
                if m.stopped:
                    m.resume()
                m.stop()

    def kill(self):
        for m in self:
            m.kill()

    def close(self):
        self.kill()
        if self.relay:
            self.relay.close()
            self.relay = None

    # -- the network between members; members or sids

    def network(self, mode, a=None, b=None, one_way=False, delay_s=0.0):
        """Sets the directions between a and b (None: everybody); one_way: only from a to b."""
        if self.relay is None:
            return
        first = [self.sid_of(a)] if a is not None else list(self.members)
        second = [self.sid_of(b)] if b is not None else list(self.members)
        for x, y in itertools.product(first, second):
            if x != y:
                self.relay.set(x, y, mode, delay_s)
                if not one_way:
                    self.relay.set(y, x, mode, delay_s)

    @staticmethod
    def sid_of(member):
        return getattr(member, "sid", member)

    def heal(self):
        self.network("open")

    # -- waiting

    def leader(self):
        """The member that says it leads, or None."""
        leaders = [m for m in self if m.mode() == "leader"]
        return leaders[0] if len(leaders) == 1 else None

    def wait_leader(self, among=None, timeout_s=ELECTION_TIMEOUT_S):
        """Waits for exactly one leader (among these), and gives it."""
        return harness.poll_until(
            lambda: (lambda m: m if m and (among is None or m in among) else None)(self.leader()),
            timeout_s, lambda: "a leader\n" + self.words(), every_s=0.05)

    def wait_serving(self, members=None, timeout_s=ELECTION_TIMEOUT_S):
        """Waits until all these (default: all that run) serve in a role of their ensemble."""
        members = list(members) if members is not None else [m for m in self if m.up()]

        def serving():
            for m in members:
                if not m.alive():
                    raise AssertionError(f"{m} exited with {m.proc and m.proc.poll()}\n"
                                         + m.stderr_tail())
            return all(m.mode() in ("leader", "follower", "observer") for m in members)

        harness.poll_until(serving, timeout_s, lambda: f"{members} serve\n" + self.words(),
                           every_s=0.05)
        return self.leader()

    def words(self):
        """Who says what it is, and the last lines of each log."""
        return "\n".join(f"{m}: {m.mode()}\n{m.stderr_tail(12)}" for m in self)

    # -- looking at the data

    def wait_equal(self, members=None, timeout_s=20):
        """Waits until all these have applied the same zxid, then compares their whole trees."""
        members = list(members) if members is not None else [m for m in self if m.up()]
        with connect(members[0]):
            pass    # a transaction: before the first of an epoch, a learner's zxid is the old one

        def same_zxid():
            zxids = {m.zxid() for m in members}
            return len(zxids) == 1 and None not in zxids

        wait_for(same_zxid, timeout_s,
                 lambda: f"equal zxids: {[(m, m.zxid()) for m in members]}")
        trees = {m: self.tree(m) for m in members}
        first = members[0]
        for m in members[1:]:
            compare_trees(trees[first], trees[m], f"{first} and {m}")
        return trees[first]

    def tree(self, member):
        with connect(member, timeout_ms=20000) as c:
            assert c.auth("digest", SUPER) == 0
            c.sync()
            tree = dump(c)
        # This node is each server's own: with relays its addresses differ, and its times always.
        data, stat, acl = tree.pop(CONFIG_NODE)
        if self.relay is None:
            tree[CONFIG_NODE] = (data, stat.mzxid, acl)
        return tree

    def check_digests(self):
        """Digests that two members kept for the same zxid are equal; gives how many were.

        Not with relays: /zookeeper/config, which then differs, is part of Apache's digests."""
        assert self.relay is None
        kept = [m.digests() for m in self if m.mode()]
        compared = 0
        for a, b in itertools.combinations(kept, 2):
            for z in a.keys() & b.keys():
                assert a[z] == b[z], f"tree digests at zxid {z:#x} differ"
                compared += 1
        for m in self:
            if m.mode():
                text = m.mntr().get("zk_digest_mismatches_count", "0")
                assert float(text) == 0, f"{m} saw {text} wrong digests"
        return compared


class Client(zk.Conn):
    """Pings while it waits for an answer, as every library does. An Apache member needs it: the
    thread of its commit stage can miss being woken for an answer that comes from the leader fast,
    and then sleeps until the next request, whoever's it is (CommitProcessor.run of 3.8)."""
    unasked = 0

    def recv_reply(self, timeout_s=None):
        while True:
            if not self.pending and not select.select([self.sock], [], [], 1.0)[0]:
                self.send(zk.PING, xid=-2)
                self.unasked += 1
            reply = super().recv_reply(timeout_s)
            if reply.xid == -2 and self.unasked:
                self.unasked -= 1
                continue
            return reply


def connect(member, timeout_ms=10000, **more):
    """A session at a member that serves; while an election ends it may need a second try."""
    def attempt():
        try:
            return Client(member.port, host=member.host, timeout_ms=timeout_ms, **more)
        except (zk.Closed, ConnectionError):
            return None
    return harness.poll_until(attempt, 15, f"a session at {member}", every_s=0.05)


def dump(conn, batch=200):
    """{path: (data, stat, acl)} of the whole tree, asked for in batches."""
    out = {}
    level = ["/"]
    while level:
        below = []
        for start in range(0, len(level), batch):
            part = level[start:start + batch]
            for path in part:
                conn.send(zk.GET_DATA, zk.ustr(path) + zk.boolean(False))
                conn.send(zk.GET_ACL, zk.ustr(path))
                conn.send(zk.GET_CHILDREN, zk.ustr(path) + zk.boolean(False))
            for path in part:
                data, acl, children = (conn.recv_reply() for _ in range(3))
                assert (data.err, acl.err, children.err) == (0, 0, 0), (path, data.err)
                r = zk.Reader(data.body)
                value, stat = r.buf(), r.stat()
                out[path] = (value, stat, zk.Reader(acl.body).acl())
                r = zk.Reader(children.body)
                below += [path.rstrip("/") + "/" + name for name in sorted(r.vec(r.ustr))]
        level = below
    return out


def clear(member, batch=500):
    """Deletes every node but /zookeeper."""
    with connect(member, timeout_ms=20000) as c:
        assert c.auth("digest", SUPER) == 0
        c.sync()
        paths = [p for p in dump(c) if p != "/" and not p.startswith("/zookeeper")]
        paths.sort(key=lambda p: -p.count("/"))
        for start in range(0, len(paths), batch):
            for path in paths[start:start + batch]:
                c.send(zk.DELETE, zk.ustr(path) + zk.i32(-1))
            for path in paths[start:start + batch]:
                assert c.recv_reply().err in (0, zk.NONODE), path


def compare_trees(a, b, who):
    if a == b:
        return
    lines = [f"{who} differ:"]
    for path in sorted(a.keys() | b.keys()):
        if a.get(path) != b.get(path):
            lines.append(f"  {path}\n    {a.get(path)}\n    {b.get(path)}")
    raise AssertionError("\n".join(lines[:20]))


def wait_for(check, timeout_s=10, what="condition"):
    """poll_until for checks that ask servers which may be down for a moment."""
    def attempt():
        try:
            return check()
        except (OSError, zk.Closed, TimeoutError, zk.ServerError):
            return None
    return harness.poll_until(attempt, timeout_s, what, every_s=0.05)


def now():
    return time.monotonic()
