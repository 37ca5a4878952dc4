# SPDX-License-Identifier: Apache-2.0
"""Ensembles whose members are machines of their own: one network namespace each, on one bridge.

The tests reach all of them over the bridge whatever happens between members. Packets vanish
without a word, as from a switch that forgot a port: `drop` gives a member a wrong hardware address
for another one, in one direction, and `heal` takes that away. Nothing is refused and nothing is
reset, which a relay on one machine cannot show: dials that get no answer at all, and
connections that one side believes in for minutes.

Member N is at NET.N; the names nN are for it in a hosts file that only these processes see
(`name` lines, see Machines.names). Needs root.
"""
import itertools
import os
import shutil
import subprocess

import ensemble
import harness

NOWHERE = "02:00:00:00:00:01"
numbers = itertools.count(os.getpid() % 500 + 500 * harness.WORKER)


def ip(*args, netns=None):
    subprocess.run(["ip", *(["-n", netns] if netns else []), *args], check=True,
                   capture_output=True, text=True)


def why_not():
    """Why there can be no namespaces here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "ip (iproute2) is not installed"
    name = f"rvtry{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode:
        return "no network namespaces: " + done.stderr.strip()
    subprocess.run(["ip", "netns", "del", name], check=False)
    return None


class Machines(ensemble.Ensemble):
    """An ensemble of members with a namespace each. names=True: the server lines hold names."""

    def __init__(self, directory, members, names=False, **more):
        self.number = next(numbers)
        self.net = f"10.{200 + self.number // 250 % 50}.{self.number % 250}"
        self.bridge = f"rvb{self.number}"
        self.names = names
        self.spaces = []
        self.dropped = []
        super().__init__(directory, members, **more)
        ip("link", "add", self.bridge, "type", "bridge")
        ip("addr", "add", f"{self.net}.254/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        for m in self:
            self.make_space(m)

    def add_member(self, sid, kind, role="participant", more=None):
        m = super().add_member(sid, kind, role, {"clientPortAddress": "0.0.0.0", **(more or {})})
        m.host = f"{self.net}.{sid}"
        m.space = f"rv{self.number}n{sid}"
        m.hosts_file = os.path.join(m.dir, "hosts")
        # A mount namespace for its hosts file, kept over restarts of the server by its content.
        m.launcher = ["ip", "netns", "exec", m.space, "sh", "-c",
                      f'mount --bind "{m.hosts_file}" /etc/hosts && exec "$@"', "sh"]
        if m.is_apache:     # a JVM keeps the addresses of names for 30 s
            m.launcher = ["env", "JAVA_TOOL_OPTIONS=-Dsun.net.inetaddr.ttl=0", *m.launcher]
        return m

    def make_space(self, m):
        inside = f"v{self.number}n{m.sid}"
        ip("netns", "add", m.space)
        self.spaces.append(m.space)
        ip("link", "add", inside + "o", "type", "veth", "peer", "name", inside, "netns", m.space)
        ip("link", "set", inside + "o", "master", self.bridge, "up")
        ip("link", "set", "lo", "up", netns=m.space)
        ip("addr", "add", f"{m.host}/24", "dev", inside, netns=m.space)
        ip("link", "set", inside, "up", netns=m.space)
        m.device = inside
        self.write_hosts(m)

    def write_hosts(self, m, moved=None):
        """moved: {sid: address} that differ from the usual ones. Written in place: it is bound."""
        lines = ["127.0.0.1 localhost"]
        lines += [f"{(moved or {}).get(o.sid, o.host)} n{o.sid}" for o in self]
        with open(m.hosts_file, "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")

    def address(self, m, quorum_port=None, election_port=None, role=None):
        host = f"n{m.sid}" if self.names else m.host
        client = f";0.0.0.0:{m.port}" if self.client_in_server_line else ""
        return (f"{host}:{quorum_port or m.quorum_port}:{election_port or m.election_port}"
                f":{role or m.role}{client}")

    # -- what is broken

    def drop(self, a, b, one_way=False):
        """Packets from a to b, and back unless one_way, are lost."""
        for x, y in [(a, b)] if one_way else [(a, b), (b, a)]:
            ip("neigh", "replace", y.host, "lladdr", NOWHERE, "dev", x.device, "nud", "permanent",
               netns=x.space)
            self.dropped.append((x, y.host))

    def isolate(self, m):
        for other in self.others(m):
            self.drop(m, other)

    def heal(self):
        for x, host in self.dropped:
            subprocess.run(["ip", "-n", x.space, "neigh", "del", host, "dev", x.device],
                           capture_output=True, check=False)
        self.dropped = []

    def unplug(self, m):
        """Its cable: nobody reaches it, the tests neither."""
        ip("link", "set", m.device + "o", "down")

    def move_to(self, m, address):
        """Another address for a member that does not run."""
        assert m.proc is None
        ip("addr", "del", f"{m.host}/24", "dev", m.device, netns=m.space)
        m.host = address
        ip("addr", "add", f"{m.host}/24", "dev", m.device, netns=m.space)

    def stop(self):
        self.heal()
        super().stop()

    def close(self):
        self.kill()
        for space in self.spaces:
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True, check=False)
        self.spaces = []
        super().close()
