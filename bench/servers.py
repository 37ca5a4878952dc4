# SPDX-License-Identifier: Apache-2.0
"""The three servers that bench/run compares: Reeve, Apache's, and the bare one.

Each has its own port and its own data directory on the same disk, listens on loopback only, and is
killed when this process ends, however it ends. Starting one returns the seconds until it answered
a session handshake, which is when a client can work.
"""
import ctypes
import glob
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
import zlib

APACHE_JAR = "/usr/share/java/zookeeper.jar"
# Log output is a cost of its own: Apache's is switched off, Reeve's goes to a file.
APACHE_CLASSPATH = "/usr/share/java/slf4j-nop.jar:" + APACHE_JAR
APACHE_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
FILES_WANTED = 65536
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

children = []


class Failed(Exception):
    """A server or a measurement did not work; the text says why."""


def limits_raise():
    """Lets this process and its children open many sockets; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft < want:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))
    return max(soft, want)


def spawn(args, **more):
    """Popen of a child that dies with us and is remembered."""
    child = subprocess.Popen(args, preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
                             **more)
    children.append(child)
    return child


def reap():
    """Kills whatever still runs of what we started."""
    for child in children:
        if child.poll() is None:
            child.kill()
            child.wait()
    children.clear()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Knocker:
    """Finds out when a server begins to serve. A server that is still loading may accept and never
    answer, so a new connection is tried every few milliseconds beside the old ones."""

    HELLO = struct.pack(">iiqiqi16sb", 45, 0, 0, 10000, 0, 16, bytes(16), 0)
    BYE = struct.pack(">iii", 8, 1, -11)
    TRIES_MAX = 50

    def __init__(self, port):
        self.port = port
        self.tries = []
        self.opened = None  # when

    def knock(self):
        """Waits 10 ms; true when a session was opened."""
        s = socket.socket()
        try:
            s.connect(("127.0.0.1", self.port))
            s.sendall(self.HELLO)
            self.tries.append(s)
        except OSError:
            s.close()
        if len(self.tries) > self.TRIES_MAX:
            self.tries.pop(0).close()
        for s in select.select(self.tries, [], [], 0.01)[0] if self.tries else self.rest():
            try:
                answer = s.recv(41)
            except OSError:
                answer = b""
            if len(answer) >= 16 and answer[8:12] != bytes(4):
                self.opened = time.monotonic()
                self.leave(s)
                return True
            self.tries.remove(s)
            s.close()
        return False

    @staticmethod
    def rest():
        time.sleep(0.005)
        return []

    def leave(self, s):
        try:
            s.sendall(self.BYE)
            s.settimeout(5)
            s.recv(100)
        except OSError:
            pass  # it has opened the session: that was the question
        for s in self.tries:
            s.close()
        self.tries = []


class Server:
    """One server process. Subclasses give the command line."""

    name = ""
    missing = None  # why it cannot run here, or None

    def __init__(self, top):
        self.dir = os.path.join(top, self.name.lower())
        self.port = free_port()
        self.child = None

    def command(self, settings):
        raise NotImplementedError

    def start(self, fresh=True, settings=None, limit_s=180):
        """Starts it, on an empty directory when `fresh`; returns the seconds until it serves."""
        self.stop()
        if fresh:
            shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir, exist_ok=True)
        args = self.command(settings or {})
        with open(os.path.join(self.dir, "log.txt"), "ab") as log:
            begin = time.monotonic()
            self.child = spawn(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        door = Knocker(self.port)
        while not door.knock():
            if self.child.poll() is not None:
                raise Failed(f"{self.name} ended by itself with status {self.child.returncode}: "
                             + self.last_words())
            if time.monotonic() - begin > limit_s:
                raise Failed(f"{self.name} does not serve after {limit_s} s: " + self.last_words())
        return door.opened - begin

    def last_words(self):
        with open(os.path.join(self.dir, "log.txt"), errors="replace") as log:
            return " | ".join(line.strip() for line in log.readlines()[-3:])

    def stop(self):
        """Asks it to stop, and kills it when it does not."""
        if self.child is None:
            return
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        children.remove(self.child)
        self.child = None

    @property
    def pid(self):
        return self.child.pid

    def rss(self):
        """Resident bytes."""
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) * 1024

    def live(self):
        """Bytes in use: what is compared before and after."""
        return self.rss()

    def snapshots(self):
        """Names and times of the snapshot files."""
        return {p: os.stat(p).st_mtime_ns
                for p in glob.glob(os.path.join(self.dir, "data", "version-2", "snapshot.*"))}


class Reeve(Server):
    name = "Reeve"

    def __init__(self, top, build):
        super().__init__(top)
        self.program = os.path.join(build, "reeved")
        if not os.access(self.program, os.X_OK):
            self.missing = f"{self.program} is not built"

    def command(self, settings):
        args = [self.program, "--client-port", str(self.port),
                "--data-dir", os.path.join(self.dir, "data")]
        for key, value in {"maxClientCnxns": 0, **settings}.items():
            args += ["--set", f"{key}={value}"]
        return args


class Apache(Server):
    name = "Apache"

    def __init__(self, top, heap_mb):
        super().__init__(top)
        self.heap_mb = heap_mb
        self.version = "?"
        if shutil.which("java") is None or not os.path.exists(APACHE_JAR):
            self.missing = "Debian's packages zookeeper and default-jre-headless are not installed"
            return
        for path in glob.glob("/usr/share/java/zookeeper-[0-9]*.jar"):
            self.version = re.search(r"zookeeper-([0-9.]+)\.jar", path).group(1)

    def command(self, settings):
        config = os.path.join(self.dir, "zoo.cfg")
        with open(config, "w") as f:
            f.write(f"tickTime=2000\nclientPort={self.port}\nclientPortAddress=127.0.0.1\n"
                    f"dataDir={self.dir}/data\nmaxClientCnxns=0\nadmin.enableServer=false\n")
        heap_mb = settings.get("heap_mb", self.heap_mb)
        properties = [f"-Dzookeeper.{k}={v}" for k, v in settings.items() if k != "heap_mb"]
        return ["java", f"-Xmx{heap_mb}m", *properties, "-cp", APACHE_CLASSPATH, APACHE_MAIN,
                config]

    def attach(self, *words):
        """Runs a diagnostic command in the Java process, as jcmd does."""
        path = f"/tmp/.java_pid{self.pid}"
        if not os.path.exists(path):
            trigger = f"/tmp/.attach_pid{self.pid}"
            with open(trigger, "w"):
                pass
            os.kill(self.pid, signal.SIGQUIT)
            for _ in range(500):
                if os.path.exists(path):
                    break
                time.sleep(0.01)
            os.unlink(trigger)
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(path)
            s.sendall(b"".join(w.encode() + b"\0" for w in ("1", "jcmd", *words, "", "")))
            answer = b""
            while chunk := s.recv(65536):
                answer += chunk
        return answer.decode()

    def live(self):
        """What the heap holds after a full collection: resident memory says little in Java."""
        self.attach("GC.run")
        return int(re.search(r"used (\d+)K", self.attach("GC.heap_info")).group(1)) * 1024


class Bare(Server):
    name = "bare"

    def __init__(self, top, build, value_size):
        super().__init__(top)
        self.args = [os.path.join(build, "reeve-bench"), "bare", "--port", str(self.port),
                     "--log", os.path.join(self.dir, "log"), "--size", str(value_size)]

    def command(self, settings):
        return self.args


# ---- a snapshot with many znodes, in Apache's format

def node(path, data, acl, zxid, ms, cversion):
    return (struct.pack(">i", len(path)) + path + struct.pack(">i", len(data)) + data
            + struct.pack(">qqqqqiiiqq", acl, zxid, zxid, ms, ms, 0, cversion, 0, 0, zxid))


def write_snapshot(data_dir, count, size):
    """Makes data_dir hold one snapshot of `count` znodes of `size` bytes, a thousand in each of
    their parents. It has no digest section: every version of Apache's server reads it so."""
    os.makedirs(os.path.join(data_dir, "version-2"), exist_ok=True)
    ms = 1700000000000
    zxid = count
    data = bytes(32 + i * 7 % 95 for i in range(size))
    parents = (count + 999) // 1000
    checksum = 1
    with open(os.path.join(data_dir, "version-2", f"snapshot.{zxid:x}"), "wb") as f:

        def put(*parts):
            nonlocal checksum
            block = b"".join(parts)
            checksum = zlib.adler32(block, checksum)
            f.write(block)

        put(struct.pack(">iiq", 0x5a4b534e, 2, -1), struct.pack(">i", 0),
            struct.pack(">iqi", 1, 1, 1), struct.pack(">ii5si6s", 31, 5, b"world", 6, b"anyone"))
        put(node(b"", b"", -1, 0, 0, 1), node(b"/zookeeper", b"", -1, 0, 0, 0),
            node(b"/zookeeper/quota", b"", -1, 0, 0, 0),
            node(b"/zookeeper/config", b"", -1, 0, 0, 0),
            node(b"/million", b"", 1, 1, ms, parents))
        for p in range(parents):
            names = range(p * 1000, min(count, (p + 1) * 1000))
            parent = b"/million/p%05d" % p
            put(node(parent, b"", 1, 1, ms, len(names)),
                *(node(b"%s/n%08d" % (parent, n), data, 1, n + 1, ms, 0) for n in names))
        put(struct.pack(">i", 1) + b"/")
        f.write(struct.pack(">qi", checksum, 1) + b"/")
        f.flush()
        os.fsync(f.fileno())
