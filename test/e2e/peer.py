# SPDX-License-Identifier: Apache-2.0
"""A member of an ensemble that is a script: it speaks on both ports of servers as a test says.

One or more real servers share a server list with ghosts: sids that have ports and, when a test
wants it, a Ghost that speaks for them:

    w = World(directory, real=[1], ghosts=[2, 3])
    w.start()
    ghost = w.ghost(2)
    leader = ghost.lead(w[1])          # elected by the server, which dials; a Quorum connection
    leader.sync(zxid)                  # LEADERINFO ... UPTODATE, as a good leader does

    learner = ghost.follow(w[1])       # the server is elected; joined, synchronised, live

The parts below (Hello, Note, Packet, Txn) encode and decode; nothing here corrects a test that says
something wrong on purpose.
"""
import os
import select
import socket
import struct
import threading
import time

import ensemble
import harness
import zk

LOOKING, FOLLOWING, LEADING, OBSERVING = range(4)
V1, V2 = -65536, -65535
NOBODY = -0x8000000000000000
TIMEOUT_S = 5

(REQUEST, PROPOSAL, ACK, COMMIT, PING, REVALIDATE, SYNC, INFORM, COMMITANDACTIVATE, NEWLEADER,
 FOLLOWERINFO, UPTODATE, DIFF, TRUNC, SNAP, OBSERVERINFO, LEADERINFO, ACKEPOCH,
 INFORMANDACTIVATE) = range(1, 20)
NAMES = {v: k for k, v in list(globals().items())
         if k.isupper() and isinstance(v, int) and 1 <= v <= 19 and k not in (
             "FOLLOWING", "LEADING", "OBSERVING", "TIMEOUT_S")}

# Operations, as in requests and transactions.
CREATE, DELETE, SET_DATA, SYNC_OP = 1, 2, 5, 9
CREATE_SESSION, CLOSE_SESSION, ERROR, RECONFIG = -10, -11, -1, 16

CONFIG = {
    "tickTime": 200,
    "initLimit": 15,
    "syncLimit": 8,
    "cnxTimeout": 1000,
    "admin.enableServer": "false",
    "snapshotSizeFactor": 0,
    "maxClientCnxns": 0,
}


class Gone(Exception):
    """The server has closed the connection."""


# -- encoding

def jstr(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">i", len(data)) + data


def buf(data):
    return struct.pack(">i", -1) if data is None else jstr(data)


def zx(epoch, counter=0):
    return epoch << 32 | counter


def hello(sid, address, version=V1):
    text = address.encode()
    return struct.pack(">qqi", version, sid, len(text)) + text


def note(state, leader, zxid, round_, peer_epoch, config=b"", version=2):
    return struct.pack(">iqqqqii", state, leader, zxid, round_, peer_epoch, version,
                       len(config)) + config


def frame(body):
    return struct.pack(">i", len(body)) + body


def packet(kind, zxid=-1, data=None, authinfo=None):
    out = struct.pack(">iq", kind, zxid) + buf(data)
    if authinfo is None:
        return out + struct.pack(">i", -1)
    return out + struct.pack(">i", len(authinfo)) + b"".join(
        jstr(scheme) + jstr(name) for scheme, name in authinfo)


def txn(zxid, kind, body, session=0, cxid=0):
    return struct.pack(">qiqqi", session, cxid, zxid, int(time.time() * 1000), kind) + body


def create_txn(zxid, path, data=b"", version=1, session=0, ephemeral=False):
    acl = struct.pack(">ii", 1, 31) + jstr("world") + jstr("anyone")
    return txn(zxid, CREATE, jstr(path) + buf(data) + acl
               + struct.pack(">?i", ephemeral, version), session)


def session_txn(zxid, session, timeout_ms=20000):
    return txn(zxid, CREATE_SESSION, struct.pack(">i", timeout_ms), session)


def request(session, cxid, op, body=b""):
    return struct.pack(">qii", session, cxid, op) + body


def create_request(path, data=b"", flags=0):
    acl = struct.pack(">ii", 1, 31) + jstr("world") + jstr("anyone")
    return jstr(path) + buf(data) + acl + struct.pack(">i", flags)


def snapshot(nodes=(), sessions=()):
    """The stream behind SNAP, without the signature: nodes are (path, data)."""
    out = struct.pack(">i", len(sessions))
    for session, timeout_ms in sessions:
        out += struct.pack(">qi", session, timeout_ms)
    out += struct.pack(">i", 0)
    for path, data in [("", b""), ("/zookeeper", b""), ("/zookeeper/quota", b""), *nodes]:
        out += jstr(path) + buf(data) + struct.pack(">qqqqqiiiqq", -1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    return out + jstr("/")


SIGNATURE = jstr("BenWasHere")
GARBAGE = bytes((i * 73 + 41) & 0xff for i in range(4096))


class Note:
    def __init__(self, body):
        (self.state, self.leader, self.zxid, self.round, self.peer_epoch, self.version,
         n) = struct.unpack_from(">iqqqqii", body)
        self.config = body[44:44 + n]

    def __repr__(self):
        return (f"Note({self.state}, leader {self.leader}, {self.zxid:#x}, round {self.round}, "
                f"epoch {self.peer_epoch})")


class Packet:
    def __init__(self, kind, zxid, data, authinfo):
        self.kind, self.zxid, self.data, self.authinfo = kind, zxid, data, authinfo

    def __repr__(self):
        return f"{NAMES.get(self.kind, self.kind)}({self.zxid:#x}, {self.data!r:.60})"

    @property
    def touches(self):
        return [struct.unpack_from(">qi", self.data, i) for i in range(0, len(self.data), 12)]

    @property
    def request(self):
        session, cxid, op = struct.unpack_from(">qii", self.data)
        return session, cxid, op, self.data[16:]


# -- connections

def connect(port):
    """The server may be about to open that port."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, f"port {port} did not open"
            time.sleep(0.01)


class Stream:
    """A socket with whole reads; Gone at its end."""

    def __init__(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.sock.settimeout(TIMEOUT_S)

    def read(self, n):
        out = b""
        while len(out) < n:
            try:
                part = self.sock.recv(n - len(out))
            except ConnectionError as e:
                raise Gone from e
            if not part:
                raise Gone
            out += part
        return out

    def write(self, data):
        try:
            self.sock.sendall(data)
        except ConnectionError as e:
            raise Gone from e

    def dribble(self, data, every_s=0.0):
        for i in range(len(data)):
            self.write(data[i:i + 1])
            if every_s:
                time.sleep(every_s)

    def ready(self, timeout_s):
        return bool(select.select([self.sock], [], [], timeout_s)[0])

    def wait_closed(self, timeout_s=TIMEOUT_S):
        """Until the server closes; what it sends before is thrown away."""
        self.sock.settimeout(timeout_s)
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionError:
            pass
        except socket.timeout as e:
            raise AssertionError("the server did not close the connection") from e

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Election(Stream):
    """A connection of the election port, after the handshake."""

    vote = None     # last sent by Ghost.vote

    def recv(self, timeout_s=TIMEOUT_S):
        self.sock.settimeout(timeout_s)
        n, = struct.unpack(">i", self.read(4))
        return Note(self.read(n))

    def recv_where(self, good, timeout_s=TIMEOUT_S):
        deadline = time.monotonic() + timeout_s
        while True:
            n = self.recv(max(0.01, deadline - time.monotonic()))
            if good(n):
                return n

    def send(self, *fields, **more):
        self.write(frame(note(*fields, **more)))


class Quorum(Stream):
    """A connection of the quorum port, of either side."""

    def __init__(self, sock):
        super().__init__(sock)
        self.epoch = 0
        self.log = []       # what was read, to show when a test fails

    def send(self, *args, **more):
        self.write(packet(*args, **more))

    def recv(self, timeout_s=TIMEOUT_S):
        self.sock.settimeout(timeout_s)
        kind, zxid, n = struct.unpack(">iqi", self.read(16))
        data = None if n == -1 else self.read(n)
        count, = struct.unpack(">i", self.read(4))
        ids = None
        if count >= 0:
            ids = []
            for _ in range(count):
                a = self.read(struct.unpack(">i", self.read(4))[0])
                b = self.read(struct.unpack(">i", self.read(4))[0])
                ids.append((a.decode(), b.decode()))
        self.log.append(Packet(kind, zxid, data, ids))
        return self.log[-1]

    def expect(self, kind, zxid=None, skip=(PING,), timeout_s=TIMEOUT_S):
        while True:
            k = self.recv(timeout_s)
            if k.kind == kind or k.kind not in skip:
                break
        assert k.kind == kind, f"{k} instead of {NAMES[kind]}, after {self.log[:-1]}"
        assert zxid is None or k.zxid == zxid, f"{k} instead of {zxid:#x}, after {self.log[:-1]}"
        return k

    def nothing(self, kinds, within_s):
        """None of these kinds comes in that time."""
        deadline = time.monotonic() + within_s
        while self.ready(max(0, deadline - time.monotonic())):
            k = self.recv()
            assert k.kind not in kinds, f"{k}, after {self.log[:-1]}"
            if time.monotonic() >= deadline:
                return

    # -- as a leader

    def learner_info(self, kind=FOLLOWERINFO):
        k = self.expect(kind)
        self.sid, protocol, self.config_version = struct.unpack(">qiq", k.data)
        assert protocol == 0x10000
        assert k.zxid & 0xffffffff == 0
        self.accepted = k.zxid >> 32
        return k

    def discover(self, epoch=None, kind=FOLLOWERINFO):
        """To ACKEPOCH; gives (its zxid, its currentEpoch)."""
        self.learner_info(kind)
        self.epoch = self.accepted + 1 if epoch is None else epoch
        self.send(LEADERINFO, zx(self.epoch), struct.pack(">i", 0x10000))
        k = self.expect(ACKEPOCH)
        self.last_zxid = k.zxid
        self.current, = struct.unpack(">i", k.data)
        return k.zxid, self.current

    def new_leader(self, config=b""):
        self.send(NEWLEADER, zx(self.epoch), config)
        self.expect(ACK, zx(self.epoch))

    def up_to_date(self):
        self.send(UPTODATE)
        self.expect(ACK, zx(self.epoch))

    def finish(self, config=b""):
        self.new_leader(config)
        self.up_to_date()

    def commit(self, zxid, body):
        self.send(PROPOSAL, zxid, body)
        self.expect(ACK, zxid)
        self.send(COMMIT, zxid)

    # -- as a learner

    def tend(self):
        """From now on a thread answers PINGs and acknowledges proposals, until the end."""
        def work():
            try:
                while True:
                    k = self.recv(30)
                    if k.kind == PING:
                        self.send(PING, k.zxid, b"")
                    elif k.kind == PROPOSAL:
                        self.send(ACK, k.zxid)
            except (Gone, OSError, ValueError):
                pass
        threading.Thread(target=work, daemon=True).start()
        return self

    def introduce(self, sid, accepted, kind=FOLLOWERINFO, config_version=0):
        self.send(kind, zx(accepted), struct.pack(">qiq", sid, 0x10000, config_version))

    def leader_info(self):
        k = self.expect(LEADERINFO)
        assert k.data == struct.pack(">i", 0x10000)
        assert k.zxid & 0xffffffff == 0
        self.epoch = k.zxid >> 32
        return self.epoch

    def ack_epoch(self, last_zxid, current):
        self.send(ACKEPOCH, last_zxid, struct.pack(">i", current))

    def take_sync(self):
        """Everything up to NEWLEADER: [opening, ..., NEWLEADER]; a snapshot is read over."""
        got = [self.recv()]
        if got[0].kind == SNAP:
            self.snapshot = self.read_snapshot()
        while got[-1].kind != NEWLEADER:
            got.append(self.recv())
        return got

    def read_snapshot(self):
        """{path: data}; asserts form and signature."""
        def number(fmt):
            return struct.unpack(fmt, self.read(struct.calcsize(fmt)))

        def data():
            n, = number(">i")
            return None if n == -1 else self.read(n)

        for _ in range(number(">i")[0]):
            number(">qi")
        for _ in range(number(">i")[0]):
            number(">q")
            for _ in range(number(">i")[0]):
                number(">i")
                data(), data()
        nodes = {}
        while (path := data()) != b"/":
            nodes[path.decode()] = data()
            number(">qqqqqiiiqq")
        assert data() == b"BenWasHere"
        return nodes

    def live(self):
        """The rest, after NEWLEADER was read."""
        self.send(ACK, zx(self.epoch))
        self.expect(UPTODATE)
        self.send(ACK, zx(self.epoch))


def sync_seen(session, cxid):
    return request(session, cxid, SYNC_OP, jstr("/"))


class Ghost:
    """A sid of the server list without a server. Its ports are open as long as it lives."""

    def __init__(self, world, member):
        self.world, self.sid = world, member.sid
        self.address = f"127.0.0.1:{member.election_port}"
        self.election_listener = self._listen(member.election_port)
        self.quorum_listener = self._listen(member.quorum_port)
        self.streams = []

    @staticmethod
    def _listen(port):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        s.listen(200)
        s.settimeout(TIMEOUT_S)
        return s

    def close(self):
        for s in [*self.streams, self.election_listener, self.quorum_listener]:
            s.close()

    def keep(self, stream):
        self.streams.append(stream)
        return stream

    def link(self, server, version=V1):
        """The one election connection with that server, however the sids are."""
        s = self.keep(Election(connect(server.election_port)))
        s.write(hello(self.sid, self.address, version))
        if self.sid > server.sid:
            return s
        s.wait_closed()
        link = self.accept_link()
        # One that the server had dialed by itself is closed for the one it was asked for.
        while select.select([self.election_listener], [], [], 0.05)[0]:
            link = self.accept_link()
        return link

    def accept_link(self):
        """A server dials; gives the connection behind its initial message."""
        sock, _ = self.election_listener.accept()
        s = self.keep(Election(sock))
        s.version, s.dialer, n = struct.unpack(">qqi", s.read(20))
        s.text = s.read(n)
        return s

    def accept(self):
        """A learner dials the quorum port."""
        sock, _ = self.quorum_listener.accept()
        return self.keep(Quorum(sock))

    def dial(self, server):
        """As a learner; its port opens with its election."""
        return self.keep(Quorum(connect(server.quorum_port)))

    # -- elections

    def elect(self, server, until, leader=None, zxid=None, peer_epoch=None):
        """Votes together with the server, as often as it asks, until `until` gives something."""
        link = self.election = self.link(server)
        deadline = time.monotonic() + TIMEOUT_S
        while not (got := until()):
            assert time.monotonic() < deadline, "no election\n" + server.stderr_tail()
            if not link.ready(0.01):
                continue
            try:
                n = link.recv()
            except Gone:
                link = self.election = self.link(server)
                continue
            if n.state == LOOKING:
                self.vote(link, n, self.sid, leader or self.sid, zxid, peer_epoch)
        return got

    @staticmethod
    def vote(link, n, sid, leader, zxid, peer_epoch):
        """The answer to a LOOKING server that makes it elect this leader. What has been answered
        is not answered again: two that answer each answer do nothing else."""
        if n.leader == leader:
            vote = (leader, n.zxid, n.round, n.peer_epoch)
        elif leader == sid:
            epoch = peer_epoch if peer_epoch is not None else max(n.peer_epoch, 0) + 1
            vote = (leader, zxid if zxid is not None else max(n.zxid, zx(epoch)), n.round, epoch)
        else:
            return
        if vote != link.vote:
            link.vote = vote
            link.send(LOOKING, *vote)

    def _accepted(self):
        return self.accept() if select.select([self.quorum_listener], [], [], 0)[0] else None

    def lead(self, server, **vote):
        """The server elects this ghost and dials it; the connection, nothing read."""
        while self._accepted():
            pass
        return self.elect(server, self._accepted, **vote)

    def dialed(self, server):
        try:
            sock = socket.create_connection(("127.0.0.1", server.quorum_port), TIMEOUT_S)
        except ConnectionRefusedError:
            return None
        return self.keep(Quorum(sock))

    def lead_well(self, server, epoch=None, zxid=None):
        """... and is brought to where it serves, by an empty DIFF."""
        q = self.lead(server)
        last, _ = q.discover(epoch)
        q.send(DIFF, last)
        q.finish()
        server.wait_mode("follower")
        return q

    def join(self, server, accepted=None, last_zxid=0, current=0, kind=FOLLOWERINFO, q=None,
             **more):
        """As a learner of a leading server, up to ACKEPOCH."""
        q = q or self.dial(server)
        q.introduce(self.sid, accepted if accepted is not None else max(current, 0), kind, **more)
        q.leader_info()
        q.ack_epoch(last_zxid, current)
        return q

    def make_leader(self, server):
        """The server is elected by this ghost; a connection to its quorum port, nothing said."""
        return self.elect(server, lambda: self.dialed(server), leader=server.sid)

    def follow(self, server, last_zxid=0, current=0):
        """The server is elected by this ghost, which joins it, up to where it serves."""
        q = self.join(server, last_zxid=last_zxid, current=current, q=self.make_leader(server))
        q.sync = q.take_sync()
        q.live()
        server.wait_mode("leader")
        return q

    def follow_more(self, server, last_zxid=0, current=0, kind=FOLLOWERINFO, accepted=None):
        """Joins a server that leads."""
        q = self.join(server, accepted, last_zxid, current, kind)
        q.sync = q.take_sync()
        q.live()
        return q


class Real(ensemble.Member):
    """A server under test."""

    def wait_mode(self, mode, timeout_s=TIMEOUT_S):
        return harness.poll_until(lambda: self.alive() and self.mode() == mode, timeout_s,
                                  lambda: f"{self} is {mode}\n{self.stderr_tail(15)}", every_s=0.02)

    def said(self, text):
        return text in self.stderr_text()

    def wait_said(self, text, times=1, timeout_s=TIMEOUT_S):
        harness.poll_until(lambda: self.stderr_text().count(text) >= times, timeout_s,
                           lambda: f"{text!r} in the log\n{self.stderr_tail()}")


class World:
    def __init__(self, directory, real=(1,), ghosts=(2, 3), observers=(), config=None,
                 kind=harness.KIND):
        self.config = {**CONFIG, **(config or {})}
        self.members, self.ghosts = {}, {}
        for sid in sorted((*real, *ghosts)):
            role = "observer" if sid in observers else "participant"
            more = {"peerType": "observer"} if sid in observers else {}
            self.members[sid] = Real(kind, os.path.join(str(directory), f"s{sid}"), sid, role,
                                     {**self.config, **more})
        self.real = [self.members[sid] for sid in real]
        lines = [f"server.{m.sid}=127.0.0.1:{m.quorum_port}:{m.election_port}:{m.role}"
                 for m in self.members.values()]
        for m in self.real:
            m.config_lines = lines

    def __getitem__(self, sid):
        return self.members[sid]

    @property
    def servers(self):
        return self.real

    def start(self):
        for m in self.real:
            if m.proc is None:
                m.start()
        return self

    def ghost(self, sid):
        """A ghost speaks for this sid from now on; one that did before is gone."""
        if sid in self.ghosts:
            self.ghosts.pop(sid).close()
        self.ghosts[sid] = Ghost(self, self.members[sid])
        return self.ghosts[sid]

    def end_ghosts(self):
        for g in self.ghosts.values():
            g.close()
        self.ghosts.clear()

    def close(self):
        self.end_ghosts()
        for m in self.real:
            m.kill()


def recover(w, m):
    """Whatever was done to this server: with a good leader it serves and writes."""
    if m.proc is None:
        return
    w.end_ghosts()
    q = w.ghost(max(w.members)).lead_well(m) if len(w.real) == 1 else None
    if q:
        z = zx(q.epoch, 1)
        q.commit(z, create_txn(z, f"/recovered-{z:x}"))
        assert w[m.sid].mode() == "follower"
        harness.poll_until(lambda: m.zxid() == z, 5, "the write is applied")


def write(m, q, path):
    """A client's write at the leader whose learner q is tended."""
    c = zk.Conn(m.port, io_timeout_s=5)
    c.create(path)
    return c
