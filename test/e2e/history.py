# SPDX-License-Identifier: Apache-2.0
"""What several clients saw of a few registers, and whether a correct service could have shown it.

Worker threads read, write, compare-and-set (setData with a version), create and delete nothing,
and sync+read through Mover clients that change servers. Each operation is recorded with the times
of its call and return. The zxid makes the check exact and cheap, where it is NP-hard in general:
every write, failed ones too, has a zxid, and the service claims that zxid order is the order in
which they happened. So the order is given, and is only to be verified:

1. No two writes have one zxid; a write that had returned before another was called has the
   smaller zxid (real time).
2. In zxid order, each write is what the register's rules make of the state before it: versions
   count up by one, a CAS succeeds just when its version was right.
3. A write without an answer may have happened or not, once, at any time after its call. If
   somebody has seen it, its zxid is known and 1 and 2 hold for it; if a version is missing
   between known ones, there must be an unanswered write that can have made it.
4. A read shows a value that was written, with its version and zxid, and not before it was written.
5. What a session has seen it never loses: a read shows nothing older than the state of the largest
   zxid this session has written or seen (sequential consistency).
6. A sync+read shows nothing older than any operation, of any session, that had returned before
   it was called (linearizability).
7. At the end every register holds its last write, on every server.
"""
import bisect
import collections
import itertools
import random
import threading
import time

import mover
import zk

READ, SYNC_READ, WRITE, CAS = "read", "sync+read", "write", "cas"

# outcome: "ok"; "fail" (BADVERSION, a CAS that came too late); "unknown" (no answer)
Op = collections.namedtuple(
    "Op", "session kind key value expected outcome version zxid at_zxid called returned")
# version, zxid: of the value written or seen (mzxid); at_zxid: of the reply's header


class Worker(threading.Thread):
    """One client with one operation at a time."""

    def __init__(self, number, members, keys, seed, rate=0.0, **more):
        super().__init__(daemon=True)
        self.number = number
        self.mover = mover.Mover(members, first=number, **more)
        self.keys = keys
        self.rng = random.Random(f"{seed}-{number}")
        self.pause_s = rate
        self.history = []
        self.versions = {}          # key -> the version seen last, for CAS
        self.values = itertools.count()
        self.failure = None

    def run(self):
        try:
            while not self.mover.stopping:
                self.step()
                if self.pause_s:
                    time.sleep(self.pause_s)
        except Exception as e:      # the thread's end is reported by whoever joins it
            self.failure = e

    def step(self):
        key = self.rng.choice(self.keys)
        kind = self.rng.choice([READ, READ, SYNC_READ, WRITE, CAS])
        try:
            self.mover.connect()    # before the time of the call: it is no part of the operation
        except mover.Lost:
            return
        session = self.mover.session[0]
        called = time.monotonic()
        value, expected = None, None
        try:
            if kind in (READ, SYNC_READ):
                reply = self.read(key, kind)
            else:
                value = b"%d-%d" % (self.number, next(self.values))
                expected = self.versions.get(key, 0) if kind == CAS else -1
                reply = self.mover.call(zk.SET_DATA,
                                        zk.ustr(key) + zk.buf(value) + zk.i32(expected))
        except mover.Lost:
            if value is not None:
                self.record(session, kind, key, value, expected, "unknown", called)
            return
        self.answered(reply, session, kind, key, value, expected, called)

    def read(self, key, kind):
        if kind == SYNC_READ:
            at = self.mover.connects
            reply = self.mover.call(zk.SYNC, zk.ustr(key))
            if reply.err:
                return reply
            if self.mover.conn is None or self.mover.connects != at:
                raise mover.Lost("another server than the one that synced")
        return self.mover.call(zk.GET_DATA, zk.ustr(key) + zk.boolean(False))

    def answered(self, reply, session, kind, key, value, expected, called):
        if reply.err in (zk.SESSIONMOVED, zk.SESSIONEXPIRED):
            return                  # it was not done
        if reply.err == zk.BADVERSION and kind == CAS:
            self.record(session, kind, key, value, expected, "fail", called, None, reply.zxid,
                        reply.zxid)
            self.versions.pop(key, None)
            return
        assert reply.err == 0, f"{kind} {key}: error {reply.err}"
        r = zk.Reader(reply.body)
        if kind in (READ, SYNC_READ):
            value = r.buf()
        stat = r.stat()
        self.versions[key] = stat.version
        self.record(session, kind, key, value, expected, "ok", called, stat.version, stat.mzxid,
                    reply.zxid)

    def record(self, session, kind, key, value, expected, outcome, called, version=None, zxid=None,
               at_zxid=None):
        self.history.append(Op(session, kind, key, value, expected, outcome, version, zxid, at_zxid,
                               called, time.monotonic()))


class History:
    """Starts workers on registers below `top`; stop() gives the checked history."""

    def __init__(self, members, top="/linear", workers=5, keys=3, seed=0, **more):
        self.members = list(members)
        self.keys = [f"{top}/{n}" for n in range(keys)]
        self.initial = {}
        m = mover.Mover(self.members)
        m.create(top)
        for key in self.keys:
            m.create(key, b"initial")
            value, stat = m.get(key)
            self.initial[key] = (value, stat.mzxid)
        m.close()
        self.workers = [Worker(n, self.members, self.keys, seed, **more) for n in range(workers)]

    def start(self):
        for w in self.workers:
            w.start()
        return self

    def done(self):
        return sum(len(w.history) for w in self.workers)

    def stop(self):
        """Ends the workers and gives all operations."""
        for w in self.workers:
            w.mover.stopping = True
        for w in self.workers:
            w.join(60)
            assert not w.is_alive(), "a client does not end"
            w.mover.close()
        for w in self.workers:
            if w.failure:
                raise AssertionError(f"client {w.number}: {w.failure!r}") from w.failure
        return [op for w in self.workers for op in w.history]


class Violation(AssertionError):
    pass


def check(ops, initial, final=None):
    """Raises Violation unless the rules of this file's header hold; gives counts of what was
    checked. initial: {key: (value, zxid)}; final: {key: (value, version)}."""
    writes = known_writes(ops, initial)
    check_real_time(ops)
    by_key = check_registers(ops, writes, initial)
    check_failed_cas(ops, by_key)
    check_reads(ops, by_key)
    check_sessions(ops, by_key)
    check_syncs(ops, by_key)
    if final is not None:
        check_final(ops, by_key, final)
    return collections.Counter((op.kind, op.outcome) for op in ops)


def known_writes(ops, initial):
    """{value: (key, version, zxid, op)} of all writes that are known to have happened. Values are
    never written twice."""
    calls = {op.value: op for op in ops if op.kind in (WRITE, CAS)}
    found = {}
    for key, (value, zxid) in initial.items():
        found[value, key] = (key, 0, zxid, None)
    for op in ops:
        if op.outcome != "ok":
            continue
        if (op.value, op.key) in initial_pairs(initial):
            continue
        call = calls.get(op.value)
        if call is None or call.key != op.key or call.outcome == "fail":
            raise Violation(f"read a value that nobody wrote there: {op}")
        seen = (op.key, op.version, op.zxid, call)
        if found.setdefault((op.value, op.key), seen) != seen:
            raise Violation(f"one write with two versions or zxids: "
                            f"{found[op.value, op.key]} and {op}")
    return found


def initial_pairs(initial):
    return {(value, key) for key, (value, _) in initial.items()}


def check_real_time(ops):
    """Rule 1, over all registers at once."""
    done = sorted((op for op in ops if op.kind in (WRITE, CAS) and op.outcome != "unknown"),
                  key=lambda op: op.called)
    zxids = [op.zxid for op in done]
    if len(set(zxids)) != len(zxids):
        raise Violation("two writes with one zxid")
    returned = sorted(done, key=lambda op: op.returned)
    best, n = None, 0
    for op in done:
        while n < len(returned) and returned[n].returned < op.called:
            if best is None or returned[n].zxid > best.zxid:
                best = returned[n]
            n += 1
        if best is not None and best.zxid > op.zxid:
            raise Violation(f"a later write has the smaller zxid:\n  {best}\n  {op}")


def check_registers(ops, writes, initial):
    """Rules 1 to 3 per register; gives {key: [(zxid, version, value)...] in zxid order}."""
    by_key = {}
    for key in initial:
        chain = sorted((zxid, version, value, call)
                       for (value, _), (k, version, zxid, call) in writes.items() if k == key)
        unknown = [op for op in ops if op.key == key and op.outcome == "unknown"
                   and (op.value, key) not in writes]
        for (z1, v1, _, _), (z2, v2, _, call) in zip(chain, chain[1:]):
            if z1 == z2 or v2 <= v1:
                raise Violation(f"{key}: version {v1} at {z1:#x}, then {v2} at {z2:#x}")
            if call.kind == CAS and call.expected != v2 - 1:
                raise Violation(f"a CAS succeeded on another version: {call}")
            fill_gap(key, range(v1 + 1, v2), unknown)
        for zxid, _, _, call in chain[1:]:
            if call.outcome == "unknown":
                check_unknown_seen(call, zxid, ops)
        by_key[key] = [(zxid, version, value) for zxid, version, value, _ in chain]
    return by_key


def fill_gap(key, versions, unknown):
    """Unseen versions were made by unanswered writes; each can have made one."""
    for version in versions:
        maker = next((op for op in unknown if op.expected == version - 1), None) or next(
            (op for op in unknown if op.expected == -1), None)
        if maker is None:
            raise Violation(f"{key}: nobody can have written version {version}")
        unknown.remove(maker)


def check_unknown_seen(call, zxid, ops):
    """An unanswered write that was seen: not ordered before what had returned before its call."""
    for op in ops:
        if (op.kind in (WRITE, CAS) and op.outcome != "unknown" and op.returned < call.called
                and op.zxid > zxid):
            raise Violation(f"{call} got zxid {zxid:#x}, smaller than that of {op}")


def state_at(chain, zxid):
    """The last write with a zxid up to this one, or the first of all."""
    return chain[max(bisect.bisect_right(chain, (zxid, 1 << 62, b"")) - 1, 0)]


def check_failed_cas(ops, by_key):
    """Rule 2 for failures: at its zxid the version was another one. Where an unanswered and unseen
    write may have been in between, nothing can be said."""
    for op in ops:
        if op.kind == CAS and op.outcome == "fail":
            chain = by_key[op.key]
            _, version, _ = state_at(chain, op.zxid)
            n = bisect.bisect_right(chain, (op.zxid, 1 << 62, b""))
            complete = n < len(chain) and chain[n][1] == version + 1
            if complete and version == op.expected:
                raise Violation(f"a CAS failed on the right version: {op}")


def check_reads(ops, by_key):
    """Rule 4. That it was written is checked already; here: not read before it was called."""
    called = {}
    for op in ops:
        if op.kind in (WRITE, CAS):
            called[op.value] = op.called
    for op in ops:
        if op.kind in (READ, SYNC_READ) and called.get(op.value, 0) > op.returned:
            raise Violation(f"read before it was written: {op}")


def check_not_older(op, floor, why, by_key):
    zxid, _, value = state_at(by_key[op.key], floor)
    if op.zxid < zxid:
        raise Violation(f"{why}: {op}\n  shows {op.zxid:#x}, but at {floor:#x} it was {value} "
                        f"of {zxid:#x}")


def check_sessions(ops, by_key):
    """Rule 5. Operations of one session are one after the other."""
    floor, last_header = {}, {}
    for op in sorted(ops, key=lambda op: op.called):
        if op.outcome == "unknown":
            continue
        low = floor.get(op.session, 0)
        if op.kind in (READ, SYNC_READ):
            check_not_older(op, low, "a session lost what it had seen", by_key)
        elif op.zxid < low:
            raise Violation(f"a session's write is older than what it has seen: {op}")
        if op.at_zxid < last_header.get(op.session, 0):
            raise Violation(f"the zxid of replies went back: {op}")
        last_header[op.session] = op.at_zxid
        floor[op.session] = max(low, op.zxid)


def check_syncs(ops, by_key):
    """Rule 6."""
    done = sorted((op for op in ops if op.outcome != "unknown"), key=lambda op: op.returned)
    floor, n = 0, 0
    for op in sorted((op for op in ops if op.kind == SYNC_READ), key=lambda op: op.called):
        while n < len(done) and done[n].returned < op.called:
            floor = max(floor, done[n].zxid)
            n += 1
        check_not_older(op, floor, "a sync+read is stale", by_key)


def check_final(ops, by_key, final):
    """Rule 7: the last known write, or unanswered ones behind it."""
    for key, (value, version) in final.items():
        zxid, last, known = by_key[key][-1]
        if version < last:
            raise Violation(f"{key}: version {version} at the end, but {last} was at {zxid:#x}")
        if version == last and value != known:
            raise Violation(f"{key}: {value} at the end, but {known} was written")
        unknown = [op for op in ops if op.key == key and op.outcome == "unknown"]
        if version - last > len(unknown):
            raise Violation(f"{key}: more versions than writes")
        if version > last and value not in {op.value for op in unknown}:
            raise Violation(f"{key}: {value} at the end, which nobody wrote")
