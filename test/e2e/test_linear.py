# SPDX-License-Identifier: Apache-2.0
"""Histories of several clients while servers and the network fail, checked by history.py.

REEVE_E2E_LONG=seconds makes each storm last so long (default 8), with a new seed each time.
"""
import os
import random
import subprocess
import time

import pytest

import ensemble
import harness
import history
import zk

LONG_S = float(os.environ.get("REEVE_E2E_LONG", "0"))
STORM_S = LONG_S or 8.0
SEED = random.randrange(1 << 30) if LONG_S else 1


# -- the checker itself: it must find what is planted

def op(kind, value, version, zxid, called, returned, key="k", session=1, outcome="ok",
       expected=None, at_zxid=None):
    if kind == history.WRITE:
        expected = -1
    return history.Op(session, kind, key, value, expected, outcome, version, zxid,
                      at_zxid or zxid, called, returned)


INITIAL = {"k": (b"initial", 1), "l": (b"initial", 2)}
W, C, R, S = history.WRITE, history.CAS, history.READ, history.SYNC_READ

GOOD = {
    "plain": [op(W, b"a", 1, 10, 0, 1), op(R, b"a", 1, 10, 2, 3)],
    "stale read of another session": [op(W, b"a", 1, 10, 0, 1),
                                      op(R, b"initial", 0, 1, 2, 3, session=2, at_zxid=9)],
    "concurrent writes": [op(W, b"a", 1, 11, 0, 5), op(W, b"b", 2, 12, 1, 2, session=2)],
    "unknown write seen": [op(W, b"a", None, None, 0, 1, outcome="unknown"),
                           op(R, b"a", 1, 10, 5, 6, session=2)],
    "unknown write unseen": [op(W, b"a", None, None, 0, 1, outcome="unknown"),
                             op(W, b"b", 2, 20, 2, 3, session=2)],
    "cas": [op(C, b"a", 1, 10, 0, 1, expected=0),
            op(C, b"b", None, 11, 2, 3, expected=0, outcome="fail"), op(W, b"c", 2, 12, 4, 5)],
}
BAD = {
    "lost write": [op(W, b"a", 1, 10, 0, 1), op(W, b"b", 1, 20, 2, 3, session=2)],
    "later write, smaller zxid": [op(W, b"a", 1, 10, 0, 1),
                                  op(W, b"b", 1, 5, 2, 3, key="l", session=2)],
    "same zxid": [op(W, b"a", 1, 10, 0, 9), op(W, b"b", 1, 10, 0, 9, key="l", session=2)],
    "value from nowhere": [op(R, b"x", 1, 10, 0, 1)],
    "read of a write to another register": [op(W, b"a", 1, 10, 0, 1),
                                            op(R, b"a", 1, 10, 2, 3, key="l")],
    "read before written": [op(R, b"a", 1, 10, 0, 1), op(W, b"a", 1, 10, 2, 3, session=2)],
    "session goes back": [op(W, b"a", 1, 10, 0, 1), op(R, b"a", 1, 10, 2, 3, session=2),
                          op(R, b"initial", 0, 1, 4, 5, session=2, at_zxid=10)],
    "session goes back between registers": [
        op(W, b"a", 1, 10, 0, 1), op(W, b"b", 1, 20, 2, 3, key="l"),
        op(R, b"b", 1, 20, 4, 5, key="l", session=2),
        op(R, b"initial", 0, 1, 6, 7, session=2, at_zxid=20)],
    "own write not seen": [op(W, b"a", 1, 10, 0, 1), op(R, b"initial", 0, 1, 2, 3, at_zxid=10)],
    "reply zxid goes back": [op(R, b"initial", 0, 1, 0, 1, at_zxid=9),
                             op(R, b"initial", 0, 1, 2, 3, at_zxid=8)],
    "stale sync+read": [op(W, b"a", 1, 10, 0, 1),
                        op(S, b"initial", 0, 1, 2, 3, session=2, at_zxid=10)],
    "sync+read behind another's read": [
        op(W, b"a", 1, 10, 0, 9), op(R, b"a", 1, 10, 1, 2, session=2),
        op(S, b"initial", 0, 1, 3, 4, session=3, at_zxid=10)],
    "cas on the wrong version": [op(W, b"a", 1, 10, 0, 1), op(C, b"b", 2, 11, 2, 3, expected=0)],
    "cas failed on the right version": [
        op(C, b"b", None, 10, 0, 1, expected=0, outcome="fail"), op(W, b"a", 1, 12, 2, 3)],
    "version from nowhere": [op(W, b"a", 1, 10, 0, 1), op(W, b"b", 3, 20, 2, 3)],
    "unknown cas cannot fill": [op(C, b"x", None, None, 0, 1, expected=7, outcome="unknown"),
                                op(W, b"b", 2, 20, 2, 3)],
    "failed cas was done": [op(C, b"b", None, 10, 0, 1, expected=5, outcome="fail"),
                            op(R, b"b", 1, 10, 2, 3, session=2)],
    "unknown write before its call": [op(W, b"b", 1, 20, 0, 1, key="l"),
                                      op(W, b"a", None, None, 2, 3, outcome="unknown", session=2),
                                      op(R, b"a", 1, 10, 4, 5, session=3)],
    "lost at the end": [op(W, b"a", 2, 10, 0, 1),
                        op(W, b"x", None, None, 0, 1, outcome="unknown", session=2)],
}


@pytest.mark.parametrize("name", GOOD)
def test_checker_accepts(name):
    history.check(GOOD[name], INITIAL)


@pytest.mark.parametrize("name", BAD)
def test_checker_finds(name):
    with pytest.raises(history.Violation):
        history.check(BAD[name], INITIAL, {"k": (b"a", 1)} if name == "lost at the end" else None)


# -- storms

class Storm:
    """Faults, one after the other, each healed before the next."""

    def __init__(self, e, seed, faults):
        self.e = e
        self.rng = random.Random(seed)
        self.faults = faults
        self.done = []

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name = self.rng.choice(self.faults)
            self.done.append(name)
            getattr(self, name)()
        self.mend()

    def mend(self):
        self.e.heal()
        for m in self.e:
            if m.stopped:
                m.resume()
            if not m.alive():
                m.kill()
                m.start()
        self.e.wait_serving()

    def wait(self, most_s):
        time.sleep(self.rng.uniform(0, most_s))     # how long a fault lasts: drawn, not waited for

    def pick(self):
        """The leader as often as all others together."""
        leader = self.e.leader()
        others = [m for m in self.e.voters if m is not leader]
        return leader if leader and self.rng.random() < 0.5 else self.rng.choice(others)

    def kill(self):
        m = self.pick()
        m.kill()
        self.wait(0.5)
        m.start()
        self.e.wait_serving()
        self.wait(0.5)

    def term(self):
        m = self.pick()
        m.stop()
        m.start()
        self.e.wait_serving()

    def pause(self):
        m = self.pick()
        m.pause()
        self.wait(6 if self.rng.random() < 0.3 else 1)
        m.resume()
        self.e.wait_serving()

    def isolate(self):
        m = self.pick()
        self.e.network(self.rng.choice(["hold", "cut"]), m)
        self.wait(6 if self.rng.random() < 0.3 else 2)
        self.e.heal()
        self.e.wait_serving()

    def one_way(self):
        a, b = self.rng.sample(self.e.voters, 2)
        self.e.network("hold", a, b, one_way=True)
        self.wait(3)
        self.e.heal()
        self.e.wait_serving()

    def slow(self):
        self.e.network("open", self.pick(), delay_s=0.05)
        self.wait(1)
        self.e.heal()

    def kill_all(self):
        for m in self.e:
            m.kill()
        for m in self.e:
            m.start()
        self.e.wait_serving()


def storm(e, faults, seed, seconds=STORM_S):
    h = history.History(e, workers=5, keys=3, seed=seed, op_timeout_s=2.0, rate=0.001).start()
    s = Storm(e, seed, faults)
    try:
        s.run(seconds)
        n = h.done()
        harness.poll_until(lambda: h.done() > n + 50, 30, "clients work again")
    finally:
        ops = h.stop()
    tree = e.wait_equal()
    final = {key: (tree[key][0], tree[key][1].version) for key in h.keys}
    try:
        counts = history.check(ops, h.initial, final)
    except history.Violation as v:
        raise AssertionError(f"seed {seed}, {s.done}: {v}") from v
    print(f"seed {seed}: {len(s.done)} faults {s.done}, {sum(counts.values())} operations "
          f"{dict(counts)}")
    assert counts[history.WRITE, "ok"] > 20 and counts[history.SYNC_READ, "ok"] > 20, counts
    assert all(m.alive() for m in e)


@pytest.mark.parametrize("faults", [["kill", "term", "kill_all"], ["pause"],
                                    ["isolate", "one_way", "slow"]], ids="-".join)
def test_storm(make_ensemble, faults):
    e = make_ensemble("RRR", relays=True).start(leader=3)
    storm(e, faults, SEED)


@pytest.mark.parametrize("faults", [["kill", "isolate"], *(
    [["pause", "term"], ["one_way", "slow"]] if LONG_S else [])], ids="-".join)
@pytest.mark.parametrize("members", ["ARR", "AAR", *(["RRA", "RAR"] if LONG_S else [])])
def test_storm_mixed(make_ensemble, members, faults):
    e = make_ensemble(members, relays=True).start(leader=3)
    storm(e, faults, SEED)


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own needs root")
def test_full_disk(make_ensemble):
    """The disk of one member fills up: the others go on, and it comes back when there is room."""
    e = make_ensemble("RRR", config={"preAllocSize": 64})
    m = e[3]
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={4 + int(LONG_S)}m", "tmpfs", m.data_dir],
                   check=True)
    try:
        e.start(leader=3)
        h = history.History(e, workers=4, keys=3, seed=SEED, op_timeout_s=2.0).start()
        try:
            harness.poll_until(lambda: h.done() > 200, 20, "some load")
            end = time.monotonic() + LONG_S
            while True:
                full_and_free(e, m, h)
                if time.monotonic() > end:
                    break
        finally:
            ops = h.stop()
        tree = e.wait_equal()
        history.check(ops, h.initial, {k: (tree[k][0], tree[k][1].version) for k in h.keys})
        e.stop()
    finally:
        e.kill()
        subprocess.run(["umount", m.data_dir], check=True)


def full_and_free(e, m, h):
    fill_disk(m.data_dir)
    e.wait_leader(e.others(m))
    n = h.done()
    harness.poll_until(lambda: h.done() > n + 200, 30, "the others go on")
    os.unlink(os.path.join(m.data_dir, "ballast"))
    if not m.alive():
        m.kill()
        m.start()
    e.wait_serving()
    n = h.done()
    harness.poll_until(lambda: h.done() > n + 200, 30, "all go on")


def fill_disk(directory):
    with open(os.path.join(directory, "ballast"), "wb", buffering=0) as f:
        try:
            while f.write(bytes(4096)):
                pass
        except OSError:
            pass
