# SPDX-License-Identifier: Apache-2.0
"""A raw client of the protocol: every byte of a frame is the caller's, right or wrong.

Encoding is one function per jute type; decoding is a Reader. Conn keeps notifications
aside (`events`) so that a test can ask for replies and events separately, but remembers
where they stood relative to the replies. Every read has a deadline; reaching it raises
TimeoutError, the end of the stream raises Closed.
"""
import collections
import select
import socket
import struct
import time

# opcodes
CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN, SYNC = range(1, 10)
PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG = 11, 12, 13, 14, 15, 16
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER, DELETE_CONTAINER, CREATE_TTL = 17, 18, 19, 20, 21
MULTI_READ, AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER = (
    22, 100, 101, 102, 103, 104)
SET_WATCHES2, ADD_WATCH, WHO_AM_I, CREATE_SESSION, CLOSE_SESSION = 105, 106, 107, -10, -11

# errors
OK, MARSHALLINGERROR, UNIMPLEMENTED, BADARGUMENTS = 0, -5, -6, -8
RUNTIMEINCONSISTENCY = -2
NONODE, NOAUTH, BADVERSION, NOCHILDRENFOREPHEMERALS = -101, -102, -103, -108
NODEEXISTS, NOTEMPTY, SESSIONEXPIRED, INVALIDACL, AUTHFAILED = -110, -111, -112, -114, -115
NEWCONFIGNOQUORUM, RECONFIGINPROGRESS, SESSIONMOVED, NOTREADONLY = -13, -14, -118, -119
EPHEMERALONLOCALSESSION, NOWATCHER, RECONFIGDISABLED, QUOTAEXCEEDED = -120, -121, -123, -125

# create flags
PERSISTENT, EPHEMERAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL, CONTAINER, TTL, TTL_SEQUENTIAL = range(7)

# events
CREATED, DELETED, CHANGED, CHILDREN = 1, 2, 3, 4

READ, WRITE, CREATE_PERM, DELETE_PERM, ADMIN, ALL = 1, 2, 4, 8, 16, 31
OPEN_ACL = [(ALL, "world", "anyone")]

Stat = collections.namedtuple(
    "Stat", "czxid mzxid ctime mtime version cversion aversion ephemeral_owner data_length "
    "num_children pzxid")
Reply = collections.namedtuple("Reply", "xid zxid err body")
Event = collections.namedtuple("Event", "zxid type state path")
STAT_FORMAT = ">qqqqiiiqiiq"


class Closed(Exception):
    """The server closed the connection."""


class ServerError(Exception):
    """A reply with an error where the caller did not ask for one."""

    def __init__(self, err, what):
        super().__init__(f"{what}: error {err}")
        self.err = err


def i32(v):
    return struct.pack(">i", v)


def i64(v):
    return struct.pack(">q", v)


def boolean(v):
    return b"\x01" if v else b"\x00"


def buf(v):
    if v is None:
        return i32(-1)
    return i32(len(v)) + v


def ustr(v):
    return buf(v.encode() if isinstance(v, str) else v)


def vec(items, encode):
    if items is None:
        return i32(-1)
    return i32(len(items)) + b"".join(encode(i) for i in items)


def acl(entries):
    return vec(entries, lambda e: i32(e[0]) + ustr(e[1]) + ustr(e[2]))


def frame(payload):
    return i32(len(payload)) + payload


def connect_request(timeout_ms=10000, session_id=0, password=b"\0" * 16, last_zxid=0,
                    read_only=False, protocol=0):
    """read_only None leaves the trailing byte out, as old C and Go clients do."""
    out = i32(protocol) + i64(last_zxid) + i32(timeout_ms) + i64(session_id) + buf(password)
    return out if read_only is None else out + boolean(read_only)


def create_request(path, data=b"", acls=OPEN_ACL, flags=0, ttl=None):
    out = ustr(path) + buf(data) + acl(acls) + i32(flags)
    return out if ttl is None else out + i64(ttl)


def multi_header(op, done=False, err=-1):
    return i32(op) + boolean(done) + i32(err)


def multi_request(ops):
    """ops: list of (opcode, record bytes)."""
    body = b"".join(multi_header(op) + record for op, record in ops)
    return body + multi_header(-1, True, -1)


def session_password(session_id):
    """The 16 bytes that Java's Random gives for this id; the same on every server."""
    mask = (1 << 48) - 1
    seed = ((session_id ^ 0xB3415C00) ^ 0x5DEECE66D) & mask
    out = b""
    for _ in range(4):
        seed = (seed * 0x5DEECE66D + 0xB) & mask
        out += struct.pack("<I", (seed >> 16) & 0xFFFFFFFF)
    return out


class Reader:
    def __init__(self, data):
        self.data = data
        self.pos = 0

    def take(self, n):
        assert 0 <= n <= len(self.data) - self.pos, f"record ends at {self.pos}, wanted {n}"
        self.pos += n
        return self.data[self.pos - n:self.pos]

    def i32(self):
        return struct.unpack(">i", self.take(4))[0]

    def i64(self):
        return struct.unpack(">q", self.take(8))[0]

    def boolean(self):
        return self.take(1) != b"\0"

    def buf(self):
        n = self.i32()
        return None if n == -1 else self.take(n)

    def ustr(self):
        raw = self.buf()
        return None if raw is None else raw.decode(errors="surrogateescape")

    def vec(self, decode):
        return [decode() for _ in range(max(self.i32(), 0))]

    def acl(self):
        return self.vec(lambda: (self.i32(), self.ustr(), self.ustr()))

    def stat(self):
        return Stat._make(struct.unpack(STAT_FORMAT, self.take(68)))

    def end(self):
        assert self.pos == len(self.data), f"{len(self.data) - self.pos} bytes left in record"


def read_multi(body):
    """Results of a multi or multiRead as a list of tuples (type or 'error', value...)."""
    r = Reader(body)
    out = []
    while True:
        op, done, err = r.i32(), r.boolean(), r.i32()
        if done:
            assert (op, err) == (-1, -1)
            r.end()
            return out
        if op == -1:
            assert r.i32() == err
            out.append(("error", err))
        elif op == CREATE:
            out.append((op, r.ustr()))
        elif op == CREATE2:
            out.append((op, r.ustr(), r.stat()))
        elif op == SET_DATA:
            out.append((op, r.stat()))
        elif op == GET_DATA:
            out.append((op, r.buf(), r.stat()))
        elif op == GET_CHILDREN:
            out.append((op, r.vec(r.ustr)))
        else:
            assert op in (DELETE, CHECK), f"result type {op}"
            out.append((op,))


class Conn:
    """One TCP connection, with the handshake done unless handshake=False."""

    def __init__(self, port, handshake=True, timeout_ms=10000, session=None, last_zxid=0,
                 read_only=False, io_timeout_s=10.0, host="127.0.0.1", rcvbuf=None):
        self.io_timeout_s = io_timeout_s
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(io_timeout_s)
        self.sock.connect((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.events = collections.deque()
        self.xid = 0
        self.session_id, self.password, self.timeout_ms = 0, b"\0" * 16, 0
        self.server_read_only = False
        if handshake:
            sid, password = session or (0, b"\0" * 16)
            self.handshake(timeout_ms, sid, password, last_zxid, read_only)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] is None:
            self.close()
        else:
            self.drop()

    # -- bytes and frames
    def send_raw(self, data):
        self.sock.sendall(data)

    def send_frame(self, payload):
        self.sock.sendall(frame(payload))

    def recv_exact(self, n, deadline):
        while len(self.pending) < n:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no frame from the server")
            self.sock.settimeout(left)
            try:
                part = self.sock.recv(max(65536, n - len(self.pending)))
            except socket.timeout:
                raise TimeoutError("no frame from the server") from None
            except (ConnectionResetError, BrokenPipeError):
                raise Closed() from None
            if not part:
                raise Closed()
            self.pending += part
        out, self.pending = self.pending[:n], self.pending[n:]
        return out

    def recv_frame(self, timeout_s=None):
        """The next frame, whatever it is: payload without the length."""
        deadline = time.monotonic() + (self.io_timeout_s if timeout_s is None else timeout_s)
        n = struct.unpack(">i", self.recv_exact(4, deadline))[0]
        return self.recv_exact(n, deadline)

    def expect_close(self, timeout_s=None):
        """Nothing more comes but the end of the stream."""
        try:
            got = self.recv_frame(timeout_s)
        except Closed:
            self.sock.close()
            return
        raise AssertionError(f"expected a close, got a frame: {got[:64].hex()}")

    def quiet(self, seconds):
        """True if the server sends nothing and keeps the connection for so long."""
        if self.pending or self.events:
            return False
        return not select.select([self.sock], [], [], seconds)[0]

    # -- session
    def handshake(self, timeout_ms=10000, session_id=0, password=b"\0" * 16, last_zxid=0,
                  read_only=False):
        self.send_frame(connect_request(timeout_ms, session_id, password, last_zxid, read_only))
        return self.read_connect_response(read_only)

    def read_connect_response(self, read_only=False):
        r = Reader(self.recv_frame())
        assert r.i32() == 0
        self.timeout_ms, self.session_id, self.password = r.i32(), r.i64(), r.buf()
        if read_only is not None:
            self.server_read_only = r.boolean()
            assert read_only or not self.server_read_only
        r.end()
        return self.timeout_ms

    @property
    def session(self):
        return self.session_id, self.password

    def close(self):
        """closeSession and wait for the server to hang up."""
        self.call(CLOSE_SESSION)
        self.expect_close()

    def drop(self):
        """Cuts the connection; the session lives on until it expires."""
        self.sock.close()

    # -- requests and replies
    def send(self, op, body=b"", xid=None):
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.send_frame(i32(xid) + i32(op) + body)
        return xid

    def recv_reply(self, timeout_s=None):
        """The next frame that is not a notification; notifications go to `events`."""
        while True:
            payload = self.recv_frame(timeout_s)
            r = Reader(payload)
            xid, zxid, err = r.i32(), r.i64(), r.i32()
            if xid != -1:
                return Reply(xid, zxid, err, payload[16:])
            self.events.append(Event(zxid, r.i32(), r.i32(), r.ustr()))
            r.end()

    def call(self, op, body=b"", xid=None):
        xid = self.send(op, body, xid)
        reply = self.recv_reply()
        assert reply.xid == xid, f"reply to {reply.xid}, expected {xid}"
        return reply

    def must(self, op, body, what):
        reply = self.call(op, body)
        if reply.err:
            raise ServerError(reply.err, what)
        return reply

    def err(self, op, body=b""):
        """The error of a request; a body must not come with one."""
        reply = self.call(op, body)
        assert reply.err == 0 or reply.body == b""
        return reply.err

    def next_event(self, timeout_s=None):
        if self.events:
            return self.events.popleft()
        payload = self.recv_frame(timeout_s)
        r = Reader(payload)
        xid, zxid, err = r.i32(), r.i64(), r.i32()
        assert (xid, err) == (-1, 0), f"expected a notification, got xid {xid} err {err}"
        event = Event(zxid, r.i32(), r.i32(), r.ustr())
        r.end()
        assert event.state == 3
        return event

    def drain_events(self):
        """All notifications up to now: those that come before the reply of a ping."""
        self.ping()
        out = [(e.type, e.path) for e in self.events]
        self.events.clear()
        return out

    # -- operations that must succeed, and give what they return
    def ping(self):
        reply = self.call(PING, xid=-2)
        assert (reply.err, reply.body) == (0, b"")
        return reply.zxid

    def create(self, path, data=b"", acls=OPEN_ACL, flags=0):
        request = create_request(path, data, acls, flags)
        r = Reader(self.must(CREATE, request, f"create {path}").body)
        name = r.ustr()
        r.end()
        return name

    def create2(self, path, data=b"", acls=OPEN_ACL, flags=0, ttl=None):
        op = CREATE_TTL if ttl is not None else CREATE_CONTAINER if flags == CONTAINER else CREATE2
        request = create_request(path, data, acls, flags, ttl)
        r = Reader(self.must(op, request, f"create {path}").body)
        out = r.ustr(), r.stat()
        r.end()
        return out

    def delete(self, path, version=-1):
        assert self.must(DELETE, ustr(path) + i32(version), f"delete {path}").body == b""

    def exists(self, path, watch=False):
        """Stat, or None."""
        reply = self.call(EXISTS, ustr(path) + boolean(watch))
        if reply.err == NONODE:
            return None
        if reply.err:
            raise ServerError(reply.err, f"exists {path}")
        return Reader(reply.body).stat()

    def get(self, path, watch=False):
        r = Reader(self.must(GET_DATA, ustr(path) + boolean(watch), f"get {path}").body)
        out = r.buf(), r.stat()
        r.end()
        return out

    def set(self, path, data, version=-1):
        reply = self.must(SET_DATA, ustr(path) + buf(data) + i32(version), f"set {path}")
        return Reader(reply.body).stat()

    def get_acl(self, path):
        r = Reader(self.must(GET_ACL, ustr(path), f"getACL {path}").body)
        return r.acl(), r.stat()

    def set_acl(self, path, acls, version=-1):
        reply = self.must(SET_ACL, ustr(path) + acl(acls) + i32(version), f"setACL {path}")
        return Reader(reply.body).stat()

    def children(self, path, watch=False):
        r = Reader(self.must(GET_CHILDREN, ustr(path) + boolean(watch), f"ls {path}").body)
        return sorted(r.vec(r.ustr))

    def sync(self, path="/"):
        return Reader(self.must(SYNC, ustr(path), "sync").body).ustr()

    def multi(self, ops):
        return read_multi(self.must(MULTI, multi_request(ops), "multi").body)

    def auth(self, scheme, data):
        reply = self.call(AUTH, i32(0) + ustr(scheme) + buf(data), xid=-4)
        return reply.err

    def add_watch(self, path, mode):
        assert self.must(ADD_WATCH, ustr(path) + i32(mode), f"addWatch {path}").body == i32(0)


def walk(conn, path="/"):
    """Every path of the tree as this connection sees it, parents first."""
    yield path
    for name in conn.children(path):
        yield from walk(conn, path.rstrip("/") + "/" + name)


def tree(conn, skip=()):
    """{path: (data, stat, acl)} of the whole tree."""
    out = {}
    for path in walk(conn):
        if path not in skip:
            data, stat = conn.get(path)
            out[path] = (data, stat, conn.get_acl(path)[0])
    return out
