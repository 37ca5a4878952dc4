# SPDX-License-Identifier: Apache-2.0
"""Real processes for the end-to-end ring: start, stop, kill and look at one server.

Two kinds of server stand behind one class interface: Reeve's own `build/reeved` and
Debian's Apache ZooKeeper 3.8, started by java directly. A test says what it needs as
a dict of zoo.cfg keys and never knows which one it talks to, except where the two are
known to differ (`server.is_apache`).

Rules: every wait is a poll with a deadline (`poll_until`); a server's stderr is kept
in its directory and shown when something fails; a server that is asked to stop with
TERM must exit with code 0, or `stop()` raises.
"""
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
GOLDEN = os.path.join(REPO, "test", "golden")

KIND = os.environ.get("REEVE_E2E_SERVER", "reeve")
REEVE_BIN = os.path.abspath(os.environ.get("REEVE_BIN", os.path.join(REPO, "build", "reeved")))
JAVA_DIR = os.environ.get("REEVE_JAVA_DIR", "/usr/share/java")
CLASSPATH = ":".join(os.path.join(JAVA_DIR, j) for j in ("zookeeper.jar", "slf4j-simple.jar"))
# A short-lived JVM: one compiler tier and the plain collector start fastest.
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx512m"]

# Keys that Apache's QuorumPeerConfig knows itself; all others reach it as system properties.
ZOO_CFG_KEYS = {
    "tickTime", "dataDir", "dataLogDir", "clientPort", "clientPortAddress", "maxClientCnxns",
    "minSessionTimeout", "maxSessionTimeout", "initLimit", "syncLimit", "admin.enableServer",
    "autopurge.snapRetainCount", "autopurge.purgeInterval", "4lw.commands.whitelist",
    "clientPortListenBacklog", "reconfigEnabled", "standaloneEnabled",
}

DEFAULTS = {
    "tickTime": 2000,
    "clientPortAddress": "127.0.0.1",
    "4lw.commands.whitelist": "*",
    "extendedTypesEnabled": "true",
    "admin.enableServer": "false",
}

START_TIMEOUT_S = 30
# A sanitizer keeps freed memory aside and is slower: bounds of memory are wider by this.
MEMORY_FACTOR = 20 if os.environ.get("REEVE_E2E_SANITIZED") else 1
STOP_TIMEOUT_S = 15

# Ports below the range from which the kernel takes source ports: a client that tries a dead
# server again and again must not end up on the server's own port.
PORT_FIRST, PORT_LAST = map(int, os.environ.get("REEVE_E2E_PORTS", "24000-31999").split("-"))
# Tests that run beside each other (pytest-xdist's workers gw0, gw1...) share the ports out.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
PORT_SHARE = (PORT_LAST - PORT_FIRST + 1) // WORKERS
PORT_FIRST += WORKER * PORT_SHARE
PORT_LAST = PORT_FIRST + PORT_SHARE - 1
_next_port = random.randint(PORT_FIRST, PORT_LAST)


def free_port():
    """A TCP port nobody listens on; the whole range is used before one comes again."""
    global _next_port
    for _ in range(PORT_FIRST, PORT_LAST + 1):
        port = _next_port
        _next_port = port + 1 if port < PORT_LAST else PORT_FIRST
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"no free port in {PORT_FIRST}-{PORT_LAST}")


def poll_until(check, timeout_s=10.0, what="condition", every_s=0.02):
    """Calls check() until it returns something true, and returns that; fails after timeout_s.

    `what` may be a function: it is called for the message of the failure.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {timeout_s} s: {text}")
        time.sleep(every_s)


def four_letter(port, word, timeout_s=10.0, host="127.0.0.1"):
    """Sends raw bytes or a word, returns everything up to the server's close, as text."""
    data = word if isinstance(word, bytes) else word.encode()
    with socket.create_connection((host, port), timeout=timeout_s) as s:
        s.sendall(data)
        return read_to_eof(s).decode("utf-8", "replace")


def read_to_eof(s):
    out = b""
    while True:
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            return out
        if not part:
            return out
        out += part


class Server:
    """One server process on one data directory; can be restarted on the same directory."""

    host = "127.0.0.1"          # where the tests reach it

    def __init__(self, kind, directory, config=None, port=None, launcher=()):
        self.kind = kind
        self.is_apache = kind == "apache"
        self.dir = str(directory)
        self.data_dir = os.path.join(self.dir, "data")
        self.port = port or free_port()
        self.launcher = list(launcher)
        self.config = dict(DEFAULTS)
        self.config.update(config or {})
        self.proc = None
        self.stderr_path = os.path.join(self.dir, "stderr.log")
        os.makedirs(self.data_dir, exist_ok=True)

    # -- the version whose golden vectors hold for this server
    @property
    def golden_version(self):
        return "3.8.0" if self.is_apache else "3.9.5"

    @property
    def hosts(self):
        return f"{self.host}:{self.port}"

    @property
    def version_dir(self):
        return os.path.join(str(self.config.get("dataDir", self.data_dir)), "version-2")

    def write_config(self):
        lines = dict(self.config)
        lines.setdefault("dataDir", self.data_dir)
        lines.setdefault("clientPort", self.port)
        path = os.path.join(self.dir, "zoo.cfg")
        with open(path, "w", encoding="utf-8") as f:
            for key, value in lines.items():
                if not self.is_apache or key in ZOO_CFG_KEYS:
                    f.write(f"{key}={value}\n")
        return path

    def command(self):
        cfg = self.write_config()
        if not self.is_apache:
            return self.launcher + [REEVE_BIN, cfg]
        props = []
        for key, value in self.config.items():
            if key not in ZOO_CFG_KEYS:
                props += [f"-Dzookeeper.{key}={value}", f"-D{key}={value}"]
        return (self.launcher + JAVA + props + ["-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-cp", CLASSPATH, "org.apache.zookeeper.server.quorum.QuorumPeerMain", cfg])

    def start(self, wait=True, env=None, preexec_fn=None):
        assert self.proc is None, "already running"
        why = missing_tools(self.kind)
        assert why is None, why
        full_env = dict(os.environ)
        # A sanitizer build must say so by its exit code, not by a report nobody reads.
        full_env.setdefault("ASAN_OPTIONS", "abort_on_error=1")
        full_env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
        full_env.update(env or {})
        with open(self.stderr_path, "ab") as log:
            self.proc = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log, cwd=self.dir, env=full_env,
                                         preexec_fn=preexec_fn)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout_s=START_TIMEOUT_S):
        def ready():
            if self.proc.poll() is not None:
                raise AssertionError(f"server exited with {self.proc.returncode} at start\n"
                                     + self.stderr_tail())
            try:
                return "Mode: " in four_letter(self.port, "srvr", timeout_s=2, host=self.host)
            except OSError:
                return False
        poll_until(ready, timeout_s, lambda: "server ready\n" + self.stderr_tail())

    @property
    def pid(self):
        """The server's own process id (behind a launcher it is the launcher's, which execs)."""
        return self.proc.pid

    def stop(self):
        """TERM; the server must go by itself and report success."""
        if self.proc is None:
            return
        self.proc.send_signal(signal.SIGTERM)
        try:
            code = self.proc.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("server did not stop on TERM\n" + self.stderr_tail()) from None
        self.proc = None
        # A JVM that dies by TERM reports 128 + 15.
        assert code == (143 if self.is_apache else 0), (
            f"exit code {code} on TERM\n" + self.stderr_tail())

    def kill(self):
        if self.proc is not None:
            self.proc.send_signal(signal.SIGKILL)
            self.proc.wait()
            self.proc = None

    def restart(self, kill=False):
        if kill:
            self.kill()
        else:
            self.stop()
        return self.start()

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def wait_exit(self, timeout_s=STOP_TIMEOUT_S):
        code = self.proc.wait(timeout_s)
        self.proc = None
        return code

    def stderr_text(self):
        try:
            with open(self.stderr_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stderr_tail(self, lines=40):
        tail = self.stderr_text().splitlines()[-lines:]
        return f"--- last lines of {self.stderr_path}:\n" + "\n".join(tail)

    def status_kb(self, field):
        """A field of /proc/PID/status in kB, e.g. VmRSS."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            m = re.search(rf"^{field}:\s+(\d+) kB", f.read(), re.M)
        return int(m.group(1))

    def cpu_s(self):
        """User and system CPU time of the process so far, seconds."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            rest = f.read().rsplit(") ", 1)[1].split()
        return (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")

    def log_files(self):
        return self._files("log.")

    def snapshot_files(self):
        return self._files("snapshot.")

    def _files(self, prefix):
        """Data files by zxid in their name, oldest first."""
        found = []
        if os.path.isdir(self.version_dir):
            for name in os.listdir(self.version_dir):
                m = re.fullmatch(re.escape(prefix) + r"([0-9a-f]+)(\.gz|\.snappy)?", name)
                if m:
                    found.append((int(m.group(1), 16), os.path.join(self.version_dir, name)))
        return [p for _, p in sorted(found)]

    def srvr(self):
        """The answer of srvr as a dict of its `Key: value` lines."""
        text = four_letter(self.port, "srvr", host=self.host)
        return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)

    def mntr(self):
        text = four_letter(self.port, "mntr", host=self.host)
        return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)

    def load_directory(self, source):
        """Makes the data directory a copy of `source` (files of one version-2 directory)."""
        os.makedirs(self.version_dir, exist_ok=True)
        for name in os.listdir(source):
            path = os.path.join(source, name)
            if os.path.isfile(path) and re.match(r"(log|snapshot)\.|(accepted|current)Epoch$",
                                                 name):
                shutil.copy(path, os.path.join(self.version_dir, name))


def missing_tools(kind=KIND):
    """Why a server of this kind cannot run here, or None."""
    if kind == "apache":
        if not shutil.which("java"):
            return "java is not installed"
        if not os.path.exists(os.path.join(JAVA_DIR, "zookeeper.jar")):
            return f"no zookeeper.jar in {JAVA_DIR}"
        return None
    if not os.access(REEVE_BIN, os.X_OK):
        return f"{REEVE_BIN} does not exist: build it, or set REEVE_BIN"
    return None
