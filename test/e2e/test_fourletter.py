# SPDX-License-Identifier: Apache-2.0
"""The four letter words on the client port: formats that monitoring tools parse."""
import re
import socket
import time

import pytest

import harness
import zk

WORDS = ("conf cons crst dirs dump envi gtmk ruok stmk srst srvr stat wchc wchp wchs mntr isro "
         "hash").split()
DECIMAL = r"\d+\.\d{1,4}"


def ask(server, word):
    return harness.four_letter(server.port, word)


def matches(pattern, text):
    assert re.fullmatch(pattern, text), f"{pattern!r} does not describe {text!r}"


def test_ruok_isro_masks(server):
    assert ask(server, "ruok") == "imok"
    assert ask(server, "isro") == "rw"
    assert ask(server, "gtmk") == "306"
    assert ask(server, b"stmk" + zk.i64(307)) == "307"
    assert ask(server, "gtmk") == "307"
    assert ask(server, b"stmk" + zk.i64(306)) == "306"


def test_trailing_input_is_ignored(server):
    assert ask(server, b"ruok\n") == "imok"
    assert ask(server, b"ruokruok") == "imok"


def test_word_in_pieces(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"ruok":
            s.sendall(bytes([byte]))
            time.sleep(0.02)            # apart on the wire, so that the server reads pieces
        assert harness.read_to_eof(s) == b"imok"


@pytest.mark.parametrize("word", [b"RUOK", b"kill", b"lead", b"reqs", b"xyzw", b"\xff\xf4\xff\xfd"])
def test_unknown_words_close_without_output(server, word):
    assert ask(server, word) == ""
    assert ask(server, "ruok") == "imok"


def test_word_after_the_handshake_is_a_bad_length(connect):
    conn = connect()
    conn.send_raw(b"ruok")
    conn.expect_close()


SRVR = (rf"Latency min/avg/max: \d+/{DECIMAL}/\d+\nReceived: \d+\nSent: \d+\nConnections: \d+\n"
        r"Outstanding: \d+\nZxid: 0x[0-9a-f]+\nMode: standalone\nNode count: \d+\n")
VERSION = r"Zookeeper version: \d+\.\d+\.\d+\S*, built on .+\n"
CLIENT = r" /127\.0\.0\.1:\d+\[[0145]\]\(queued=\d+,recved=\d+,sent=\d+\)\n"
CLIENT_FULL = (r" /127\.0\.0\.1:\d+\[[0145]\]\(queued=\d+,recved=\d+,sent=\d+,sid=0x[0-9a-f]+,"
               r"lop=[A-Z0-9]+,est=\d+,to=\d+,(lcxid=0x[0-9a-f]+,)?lzxid=0x[0-9a-f]+,lresp=\d+,"
               r"llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+\)\n")


def test_srvr(server, connect, root):
    conn = connect()
    conn.create(root + "/x")
    text = ask(server, "srvr")
    matches(VERSION + SRVR, text)
    assert f"Zxid: 0x{conn.ping():x}\n" in text


def test_stat(server, connect):
    connect()
    matches(VERSION + "Clients:\n" + f"({CLIENT})+" + "\n" + SRVR, ask(server, "stat"))


def test_cons(server, connect):
    conn = connect(timeout_ms=12345)
    conn.exists("/")
    conn.exists("/")
    text = ask(server, "cons")
    matches(f"({CLIENT_FULL}|{CLIENT})+\n", text)
    mine = next(line for line in text.splitlines() if f"sid=0x{conn.session_id:x}," in line)
    assert "recved=3,sent=3," in mine
    assert "lop=EXIS," in mine
    assert "to=12345," in mine
    assert "lcxid=0x2," in mine
    assert abs(int(re.search(r"est=(\d+)", mine).group(1)) / 1000 - time.time()) < 60
    conn.ping()
    assert "lop=PING," in next(line for line in ask(server, "cons").splitlines()
                               if f"sid=0x{conn.session_id:x}," in line)


LAST_OPERATIONS = {
    "CREA": lambda p: (zk.CREATE, zk.create_request(p + "/new")),
    "DELE": lambda p: (zk.DELETE, zk.ustr(p + "/k") + zk.i32(-1)),
    "EXIS": lambda p: (zk.EXISTS, zk.ustr(p) + b"\0"),
    "GETD": lambda p: (zk.GET_DATA, zk.ustr(p) + b"\0"),
    "SETD": lambda p: (zk.SET_DATA, zk.ustr(p) + zk.buf(b"") + zk.i32(-1)),
    "GETA": lambda p: (zk.GET_ACL, zk.ustr(p)),
    "SETA": lambda p: (zk.SET_ACL, zk.ustr(p) + zk.acl(zk.OPEN_ACL) + zk.i32(-1)),
    "GETC": lambda p: (zk.GET_CHILDREN2, zk.ustr(p) + b"\0"),
    "GETACN": lambda p: (zk.GET_ALL_CHILDREN_NUMBER, zk.ustr(p)),
    "SYNC": lambda p: (zk.SYNC, zk.ustr(p)),
    "MULT": lambda p: (zk.MULTI, zk.multi_request([])),
    "MLTR": lambda p: (zk.MULTI_READ, zk.multi_request([])),
    "SETW": lambda p: (zk.SET_WATCHES, zk.i64(0) + zk.i32(0) * 3),
    "STW2": lambda p: (zk.SET_WATCHES2, zk.i64(0) + zk.i32(0) * 5),
    "ADDW": lambda p: (zk.ADD_WATCH, zk.ustr(p) + zk.i32(0)),
    "GETE": lambda p: (zk.GET_EPHEMERALS, zk.ustr("/")),
    "HOMI": lambda p: (zk.WHO_AM_I, b""),
}


@pytest.mark.parametrize("code", sorted(LAST_OPERATIONS))
def test_last_operation_codes(server, connect, root, code):
    connect().create(root + "/k")
    conn = connect()
    assert conn.call(*LAST_OPERATIONS[code](root)).err == 0
    line = next(line for line in ask(server, "cons").splitlines()
                if f"sid=0x{conn.session_id:x}," in line)
    assert f"lop={code}," in line


def test_conf(make_server):
    server = make_server({"tickTime": 1234, "maxClientCnxns": 7, "minSessionTimeout": 3000,
                          "maxSessionTimeout": 9999})
    expected = (
        rf"clientPort={server.port}\nsecureClientPort=-1\n"
        rf"dataDir={server.data_dir}/version-2\ndataDirSize=\d+\n"
        rf"dataLogDir={server.data_dir}/version-2\ndataLogSize=\d+\ntickTime=1234\n"
        r"maxClientCnxns=7\nminSessionTimeout=3000\nmaxSessionTimeout=9999\n"
        r"clientPortListenBacklog=-1\nserverId=0\n")
    matches(expected, ask(server, "conf"))


def test_dirs(server):
    matches(r"datadir_size: \d+\nlogdir_size: \d+\n", ask(server, "dirs"))


def test_envi(server):
    text = ask(server, "envi")
    assert text.startswith("Environment:\n")
    values = dict(line.split("=", 1) for line in text.splitlines()[1:])
    for key in ("host.name", "os.name", "os.arch", "os.version", "user.name", "user.home",
                "user.dir", "java.version", "java.class.path", "os.memory.free"):
        assert key in values
    assert re.match(r"\d+\.\d+\.\d+", values["zookeeper.version"])      # kazoo reads this one


def test_dump(make_server):
    server = make_server()
    conn = zk.Conn(server.port, timeout_ms=20000)
    conn.create("/d1", flags=zk.EPHEMERAL)
    other = zk.Conn(server.port, timeout_ms=20000)
    text = ask(server, "dump")
    date = r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \S+ \d{4}"
    matches(r"SessionTracker dump:\nSession Sets \(\d+\)/\(2\):\n"
            rf"(\d+ expire at {date}:\n(\t0x[0-9a-f]+\n)*)+"
            r"ephemeral nodes dump:\nSessions with Ephemerals \(1\):\n"
            rf"0x{conn.session_id:x}:\n\t/d1\n"
            r"Connections dump:\nConnections Sets \(\d+\)/\(3\):\n"
            rf"(\d+ expire at {date}:\n(\tip: /127\.0\.0\.1:\d+ sessionId: 0x[0-9a-f]+\n)*)+",
            text)
    for c in (conn, other):
        assert text.count(f"\t0x{c.session_id:x}\n") == 1
        assert text.count(f" sessionId: 0x{c.session_id:x}\n") == 1
        c.close()


def test_watch_words(make_server):
    server = make_server()
    assert ask(server, "wchs") == "0 connections watching 0 paths\nTotal watches:0\n"
    one, two = zk.Conn(server.port), zk.Conn(server.port)
    one.create("/a")
    one.get("/a", watch=True)
    one.exists("/b", watch=True)
    two.get("/a", watch=True)
    two.children("/", watch=True)       # the words report the data list only
    assert ask(server, "wchs") == "2 connections watching 2 paths\nTotal watches:3\n"
    by_conn = ask(server, "wchc")
    parts = re.findall(r"(0x[0-9a-f]+)\n((?:\t[^\n]+\n)+)", by_conn)
    assert {sid: sorted(paths.split()) for sid, paths in parts} == {
        f"0x{one.session_id:x}": ["/a", "/b"], f"0x{two.session_id:x}": ["/a"]}
    assert by_conn.endswith("\n\n")
    by_path = ask(server, "wchp")
    parts = re.findall(r"(/\w+)\n((?:\t[^\n]+\n)+)", by_path)
    assert {path: sorted(sids.split()) for path, sids in parts} == {
        "/a": sorted([f"0x{one.session_id:x}", f"0x{two.session_id:x}"]),
        "/b": [f"0x{one.session_id:x}"]}
    one.close()
    two.close()


MNTR_KEYS = (
    "version server_state avg_latency max_latency min_latency packets_received packets_sent "
    "num_alive_connections outstanding_requests uptime znode_count watch_count ephemerals_count "
    "approximate_data_size global_sessions local_sessions open_file_descriptor_count "
    "max_file_descriptor_count connection_drop_probability last_client_response_size "
    "max_client_response_size min_client_response_size outstanding_tls_handshake "
    "auth_failed_count non_mtls_remote_conn_count non_mtls_local_conn_count").split()
COUNTERS = ["bytes_received_count", "connection_request_count", "commit_count", "snap_count",
            "watch_bytes"]
SUMMARIES = "fsynctime snapshottime prep_process_time startup_snap_load_time".split()
ADVANCED = "readlatency updatelatency".split()


def test_mntr(server, connect, root):
    conn = connect()
    conn.create(root + "/e", flags=zk.EPHEMERAL)
    conn.get(root, watch=True)
    conn.children(root, watch=True)
    text = ask(server, "mntr")
    lines = text.splitlines()
    assert lines[0].startswith("zk_version\t") and lines[1] == "zk_server_state\tstandalone"
    for line in lines:
        matches(r"zk_[^\t]+\t.+", line)
    values = dict(line.split("\t", 1) for line in lines)
    for key in MNTR_KEYS + COUNTERS:
        assert "zk_" + key in values, key
    for key in SUMMARIES + ADVANCED:
        for part in ("avg", "min", "max", "cnt", "sum"):
            assert f"zk_{part}_{key}" in values
    for key in ADVANCED:
        for part in ("p50", "p95", "p99", "p999"):
            assert f"zk_{part}_{key}" in values
    matches(r"\d+(\.\d+)?", values["zk_avg_latency"])
    for key in ("znode_count", "watch_count", "ephemerals_count", "num_alive_connections",
                "global_sessions", "open_file_descriptor_count", "approximate_data_size"):
        assert int(values["zk_" + key]) >= 1, key
    assert int(values["zk_watch_count"]) >= 2
    before = int(values["zk_znode_count"])
    conn.create(root + "/one-more")
    assert int(server.mntr()["zk_znode_count"]) == before + 1


def test_stat_resets(make_server):
    server = make_server()
    conn = zk.Conn(server.port)
    for _ in range(50):
        conn.exists("/")
    assert int(server.srvr()["Received"]) > 50
    assert ask(server, "srst") == "Server stats reset.\n"
    assert int(server.srvr()["Received"]) < 10
    assert ask(server, "crst") == "Connection stats reset.\n"
    line = next(line for line in ask(server, "cons").splitlines() if "sid=0x" in line)
    assert "recved=0,sent=0," in line
    conn.close()


def test_hash(make_server):
    server = make_server()
    assert ask(server, "hash") == ""
    with zk.Conn(server.port) as conn:
        for n in range(260):
            conn.send(zk.CREATE, zk.create_request(f"/h{n}"))
        for _ in range(260):
            conn.recv_reply()
        points = re.findall(r"([0-9a-f]+): (\d+)\n", ask(server, "hash"))
    assert [int(zxid, 16) for zxid, _ in points] == [128, 256]
    assert len({digest for _, digest in points}) == 2


def test_default_whitelist(make_server):
    server = make_server({"4lw.commands.whitelist": "srvr"})
    for word in WORDS:
        answer = ask(server, word)
        if word == "srvr":
            assert "Mode: standalone" in answer
        else:
            assert answer == f"{word} is not executed because it is not in the whitelist.\n"


def test_whitelist_of_some(make_server):
    server = make_server({"4lw.commands.whitelist": "stat, ruok ,mntr,srvr"})
    assert ask(server, "ruok") == "imok"
    assert ask(server, "stat").startswith("Zookeeper version")
    assert ask(server, "mntr").startswith("zk_version\t")
    assert ask(server, "conf") == "conf is not executed because it is not in the whitelist.\n"


def test_node_count_of_a_fresh_server(make_server):
    server = make_server()
    assert server.srvr()["Node count"] == "5"
    assert server.srvr()["Zxid"] == "0x0"
    assert server.srvr()["Mode"] == "standalone"
