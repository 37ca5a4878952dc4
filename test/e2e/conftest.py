# SPDX-License-Identifier: Apache-2.0
"""End to end: real server processes, foreign clients, real files.

Run all of it against build/reeved (pytest comes from the package python3-pytest):

    /usr/bin/python3 -m pytest test/e2e

One file, one test, another binary:

    /usr/bin/python3 -m pytest test/e2e/test_watch.py
    /usr/bin/python3 -m pytest test/e2e/test_golden.py -k 'watch-005'
    REEVE_BIN=/tmp/asan/reeved /usr/bin/python3 -m pytest test/e2e/test_crash.py -x

Against Debian's Apache ZooKeeper 3.8, which proves that a test says what Apache does and
not what we wish (packages zookeeper libzookeeper-java default-jre-headless):

    REEVE_E2E_SERVER=apache /usr/bin/python3 -m pytest test/e2e

More settings: REEVE_E2E_PORTS=24000-31999 (where servers listen), REEVE_E2E_SEEDS=0-2 (of
test_differential.py), REEVE_E2E_SANITIZED=1 (REEVE_BIN is an ASan build: wider memory bounds),
REEVE_JAVA_DIR=/usr/share/java (where Debian puts the jars).

Packages the ring wants: python3-pytest python3-kazoo zookeeper libzookeeper-java
libzookeeper-mt-dev default-jdk-headless gcc. A missing one fails the tests that need it;
it never skips them silently.

How it is built: harness.py runs servers, zk.py is a raw protocol client that can also send
what no library would, everything else is tests. Tests with the fixture `server` share one
process and keep to their own `root` path; tests that kill, configure or starve a server get
their own from `make_server`. Where 3.9 (Reeve's target) and 3.8 (Debian's Apache) differ,
the expectation asks `server.is_apache`. Where Reeve is to do better than Apache (see
docs/COMPAT.md), the test carries the mark `reeve_only` with the reason.
"""
import itertools
import os
import shutil
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import ensemble  # noqa: E402
import harness  # noqa: E402
import peer  # noqa: E402
import zk  # noqa: E402


def pytest_configure(config):
    # Run by nohup or in a script's background, these are ignored, and so in all that is started.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    config.addinivalue_line("markers", "reeve_only(reason): Apache is known to do worse here")


def pytest_collection_modifyitems(items):
    for item in items:
        mark = item.get_closest_marker("reeve_only")
        if mark and harness.KIND == "apache":
            item.add_marker(pytest.mark.skip(reason="Apache differs: " + mark.args[0]))


def pytest_sessionstart(session):
    why = harness.missing_tools()
    if why and not session.config.option.collectonly:
        pytest.exit(f"end-to-end tests cannot run: {why}", returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the last words of every server that it used."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for value in item.funcargs.values():
            for srv in getattr(value, "servers", None) or [value]:
                if isinstance(srv, harness.Server):
                    report.sections.append((f"stderr of server {srv.port}", srv.stderr_tail()))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The server that most tests share. Short ticks, so that sessions can expire in a test."""
    srv = harness.Server(harness.KIND, tmp_path_factory.mktemp("shared"), {
        "tickTime": 500, "maxSessionTimeout": 60000, "maxClientCnxns": 0,
        "znode.container.checkIntervalMs": 200,
    })
    srv.start()
    yield srv
    srv.stop()


@pytest.fixture
def make_server(tmp_path):
    """Factory of servers of the test's own: make_server({cfg}, kind=..., start=...)."""
    def make(config=None, kind=harness.KIND, start=True, **more):
        directory = more.pop("directory", None) or tmp_path / f"server{next(numbers)}"
        os.makedirs(directory, exist_ok=True)
        srv = harness.Server(kind, directory, config, **more)
        make.servers.append(srv)
        if start:
            srv.start()
        return srv

    numbers = itertools.count(1)
    make.servers = []
    yield make
    failures = []
    for srv in make.servers:
        try:
            if srv.proc is not None:
                assert srv.alive(), "server died during the test\n" + srv.stderr_tail()
                srv.stop()
        except AssertionError as e:
            failures.append(str(e))
        finally:
            srv.kill()
    shutil.rmtree(tmp_path, ignore_errors=True)
    assert not failures, "\n".join(failures)


@pytest.fixture(scope="module")
def shared_ensemble(tmp_path_factory):
    """Three voters and an observer with relays between them; take it through `quad`."""
    e = ensemble.Ensemble(tmp_path_factory.mktemp("quad"), "RRRRo", relays=True,
                          config={"snapshotSizeFactor": 0})
    e.start(leader=3)
    yield e
    try:
        e.stop()
    finally:
        e.close()


@pytest.fixture
def quad(shared_ensemble):
    """shared_ensemble whole and in service, whatever the test before did to it."""
    e = shared_ensemble
    e.heal()
    for m in e:
        if m.stopped:
            m.resume()
        if not m.alive():
            m.kill()
            m.start()
    e.wait_serving()
    ensemble.clear(e[1])
    yield e
    for m in e:
        assert m.proc is None or m.alive(), f"{m} died during the test\n{m.stderr_tail()}"


@pytest.fixture
def make_ensemble(tmp_path):
    """Factory of ensembles of the test's own: make_ensemble("RAR", relays=..., config={...});
    at the end every member that still runs must stop by TERM."""
    def make(members="RRR", **more):
        e = ensemble.Ensemble(tmp_path / f"ensemble{len(made) + 1}", members, **more)
        made.append(e)
        make.servers += e.servers
        return e

    made = []
    make.servers = []
    yield make
    failures = []
    for e in made:
        try:
            for m in e:
                assert m.proc is None or m.alive(), f"{m} died\n{m.stderr_tail()}"
            e.stop()
        except AssertionError as error:
            failures.append(str(error))
        finally:
            e.close()
    shutil.rmtree(tmp_path, ignore_errors=True)
    assert not failures, "\n".join(failures)


@pytest.fixture
def make_world(tmp_path):
    made = []

    def make(**more):
        made.append(peer.World(tmp_path / f"world{len(made)}", **more))
        make.servers += made[-1].real
        return made[-1].start()

    make.servers = []
    yield make
    try:
        for w in made:
            for m in w.real:
                assert m.proc is None or m.alive(), f"{m} died\n{m.stderr_tail()}"
                peer.recover(w, m)
    finally:
        for w in made:
            w.close()


@pytest.fixture
def world(make_world):
    return make_world(real=[2], ghosts=[1, 3])


_root_numbers = itertools.count(1)


@pytest.fixture
def root(server):
    """A path of the test's own on the shared server; it exists and is empty."""
    path = f"/t{next(_root_numbers)}"
    with zk.Conn(server.port) as c:
        c.create(path)
    return path


@pytest.fixture
def connect(server):
    """connect(**args): raw connections to the shared server, closed at the end."""
    opened = []

    def make(**args):
        opened.append(zk.Conn(args.pop("port", server.port), **args))
        return opened[-1]

    yield make
    for c in opened:
        c.drop()
