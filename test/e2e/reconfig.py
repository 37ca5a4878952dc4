# SPDX-License-Identifier: Apache-2.0
"""Changing the members of a running ensemble: the request, its answers, and who is to join.

For ensembles of client_in_server_line=True and CONFIG. `line` and `text` make what goes into a
request; `apply` sends one as the super user and gives the lines of the configuration it made.
"""
import os

import ensemble
import harness
import zk

CONFIG = {"reconfigEnabled": "true", "standaloneEnabled": "false"}
WORKS_S = 30


def request(c, joining=None, leaving=None, members=None, version=-1):
    return c.call(zk.RECONFIG, zk.ustr(joining) + zk.ustr(leaving) + zk.ustr(members)
                  + zk.i64(version))


def lines_of(reply):
    assert reply.err == 0, reply.err
    return zk.Reader(reply.body).buf().decode().split("\n")


def admin(m, **more):
    c = ensemble.connect(m, timeout_ms=20000, **more)
    assert c.auth("digest", ensemble.SUPER) == 0
    return c


def line(e, m, **more):
    """server.N=... of a member; role= and ports as in Ensemble.address."""
    return f"server.{m.sid}=" + e.address(m, **more)


def config_of(m):
    """The lines of /zookeeper/config as this member has them after a sync."""
    with ensemble.connect(m) as c:
        c.sync("/")
        return c.get(ensemble.CONFIG_NODE)[0].decode().split("\n")


def sids(lines):
    return sorted(int(x.split("=")[0][len("server."):]) for x in lines if x.startswith("server."))


def version(lines):
    assert lines[-1].startswith("version="), lines
    return int(lines[-1][len("version="):], 16)


def apply(e, at=None, **change):
    """One reconfiguration, sent to `at` (default: the leader), again while newcomers are not there
    yet. A learner may leave the old leader before its client has the answer, and a moved port
    ends its connections: then the configuration tells what was done."""
    at = at or e.wait_leader()
    before = version(config_of(at))
    c = admin(at)
    try:
        reply = harness.poll_until(
            lambda: (lambda r: r if r.err != zk.NEWCONFIGNOQUORUM else None)(request(c, **change)),
            WORKS_S, lambda: "a quorum of the new members\n" + e.words(), every_s=0.1)
    except (zk.Closed, ConnectionError):
        c.drop()
        others = [m for m in e if m.up()]

        def done():
            for m in others:
                lines = config_of(m)
                if version(lines) > before:
                    return lines
            return None
        return ensemble.wait_for(done, WORKS_S, "the reconfiguration was done")
    c.drop()
    return lines_of(reply)


def wait_config(e, lines, members=None):
    """Waits until all these have this configuration; the text is the same everywhere."""
    for m in members or [m for m in e if m.up()]:
        ensemble.wait_for(lambda m=m: sorted(config_of(m)) == sorted(lines), WORKS_S,
                          lambda m=m: f"{m} has {lines}\n" + e.words())


def join(e, kind, role="participant", present=None, **more):
    """Starts a server that knows the present members and itself; it is no member yet."""
    sid = max(e.members) + 1
    present = list(e.members) if present is None else present
    m = e.add_member(sid, kind, role, **more)
    e.give_lines(m, [*present, sid])
    m.start()
    return m


def wait_mode(e, m, *modes):
    harness.poll_until(lambda: m.mode() in modes, WORKS_S,
                       lambda: f"{m} is {modes}\n" + e.words())


def drop_member(e, m):
    """It left: no process and no member of the ensemble any more."""
    m.kill()
    del e.members[m.sid]


def files(m):
    """(zoo.cfg, {version: text of the dynamic file}, is there a .next) of a member."""
    with open(m.cfg_path, encoding="utf-8") as f:
        static = f.read()
    dynamic, has_next = {}, False
    for name in os.listdir(os.path.dirname(m.cfg_path)):
        tail = name.removeprefix("zoo.cfg.dynamic.")
        if tail == "next":
            has_next = True
        elif tail != name:
            with open(os.path.join(os.path.dirname(m.cfg_path), name), encoding="utf-8") as f:
                dynamic[int(tail, 16)] = f.read()
    return static, dynamic, has_next
