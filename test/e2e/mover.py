# SPDX-License-Identifier: Apache-2.0
"""A client whose session moves from server to server when one fails, as every library's does.

Mover does one request at a time. A request whose connection broke before the answer came raises
Lost: whether it was done is not known. The next call connects again, to the next server that takes
the session, with the last zxid seen, so that no server that is behind takes it. An expired session
is replaced by a new one and counted.
"""
import itertools
import random
import threading
import time

import zk


class Lost(Exception):
    """The connection broke; the request may have been done or may be done yet."""


class NoServer(AssertionError):
    """No server took the session for as long as the client was patient."""


class Mover:
    def __init__(self, members, first=0, timeout_ms=15000, op_timeout_s=3.0, patience_s=30.0):
        """members: what has a .port; the one at `first` is tried first."""
        self.members = list(members)
        self.next = first
        self.timeout_ms = timeout_ms
        self.op_timeout_s = op_timeout_s
        self.patience_s = patience_s
        self.conn = None
        self.member = None          # where the session is
        self.session = None
        self.last_zxid = 0
        self.connects = 0
        self.expired = 0
        self.stopping = False       # set by another thread: stop trying to connect

    def connect(self):
        deadline = time.monotonic() + self.patience_s
        for attempt in itertools.count():
            if self.conn is not None:
                return self.conn
            if self.stopping:
                raise Lost("told to stop")
            if time.monotonic() > deadline:
                raise NoServer(f"not in {self.patience_s} s")
            if attempt:
                time.sleep(0.02)
            self.try_next()

    def try_next(self):
        member = self.members[self.next % len(self.members)]
        self.next += 1
        conn = None
        try:
            conn = zk.Conn(member.port, handshake=False, io_timeout_s=self.op_timeout_s,
                           host=member.host)
            sid, password = self.session or (0, b"\0" * 16)
            conn.handshake(self.timeout_ms, sid, password, self.last_zxid)
        except (OSError, TimeoutError, zk.Closed):
            if conn:
                conn.drop()
            return
        if conn.session_id == 0:
            conn.drop()
            self.session = None
            self.expired += 1
            return
        self.session = conn.session
        self.conn, self.member = conn, member
        self.connects += 1

    def lose(self):
        """Gives the connection up; the session lives on."""
        if self.conn:
            self.conn.drop()
        self.conn = self.member = None

    def call(self, op, body=b""):
        conn = self.connect()
        try:
            reply = conn.call(op, body)
        except (OSError, TimeoutError, zk.Closed) as e:
            self.lose()
            raise Lost(str(e)) from None
        if reply.err in (zk.SESSIONMOVED, zk.SESSIONEXPIRED):
            self.lose()
        self.last_zxid = max(self.last_zxid, reply.zxid)
        return reply

    def retry(self, op, body=b"", accept=()):
        """Until an answer comes; accept: errors that mean an earlier try was done after all."""
        tries = 0
        while True:
            tries += 1
            try:
                reply = self.call(op, body)
            except Lost:
                if self.stopping:
                    raise
                continue
            if reply.err in (zk.SESSIONMOVED, zk.SESSIONEXPIRED):
                continue
            if reply.err == 0 or (tries > 1 and reply.err in accept):
                return reply
            raise zk.ServerError(reply.err, f"op {op}")

    def set(self, path, data, version=-1):
        reply = self.retry(zk.SET_DATA, zk.ustr(path) + zk.buf(data) + zk.i32(version))
        return zk.Reader(reply.body).stat()

    def create(self, path, data=b"", flags=0):
        self.retry(zk.CREATE, zk.create_request(path, data, flags=flags), (zk.NODEEXISTS,))

    def get(self, path):
        r = zk.Reader(self.retry(zk.GET_DATA, zk.ustr(path) + zk.boolean(False)).body)
        return r.buf(), r.stat()

    def close(self):
        if self.conn:
            try:
                self.conn.close()
            except (OSError, TimeoutError, zk.Closed):
                pass
        self.conn = None


class Load(threading.Thread):
    """Creates numbered nodes below `top`, one after the other, over all the servers, and keeps
    what was answered: {path: data}. Ends at stop(); any surprise is in `failure`."""

    def __init__(self, members, top, first=0, **more):
        super().__init__(daemon=True)
        self.mover = Mover(members, first, **more)
        self.top = top
        self.answered = {}
        self.failure = None
        self.longest_gap_s = 0.0
        self.rng = random.Random(top)
        self.pause_s = 0.002        # a test has to read all of it again, several times

    def run(self):
        try:
            self.work()
        except Lost as e:
            if not self.mover.stopping:
                self.failure = e
        except (AssertionError, zk.ServerError) as e:
            self.failure = e

    def work(self):
        self.mover.create(self.top)
        last = time.monotonic()
        n = 0
        while not self.mover.stopping:
            path, data = f"{self.top}/{n}", b"%d " % n * self.rng.randint(1, 40)
            self.mover.create(path, data)
            self.answered[path] = data
            at = time.monotonic()
            self.longest_gap_s = max(self.longest_gap_s, at - last)
            last = at
            n += 1
            time.sleep(self.pause_s)

    def stop(self):
        """Ends the work; the connection closes with its session."""
        self.mover.stopping = True
        self.join(30)
        assert not self.is_alive(), "the load does not end"
        self.mover.close()
        if self.failure:
            raise AssertionError(f"load on {self.top}: {self.failure!r}") from self.failure

    def check(self, tree):
        """Everything that was answered stands in this tree ({path: (data, ...)})."""
        for path, data in self.answered.items():
            assert path in tree, f"{path} was answered and is gone"
            assert tree[path][0] == data, f"{path} holds something else"
