// SPDX-License-Identifier: Apache-2.0
//
// The files of an ensemble: what a start makes of them and refuses, how zoo.cfg is edited, and what
// is there after a crash or a failure at any file call of a change. The names are those of
// node/dynconfig.h.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "limits.h"
#include "node/dynconfig.h"
#include "test/support/fake_env.h"

#define CFG  "/conf/zoo.cfg"
#define NEXT CFG ".dynamic.next"
#define OLD  CFG ".dynamic.100000005"

#define BASE "dataDir=/data\ninitLimit=10\nsyncLimit=5\n"
#define THREE                                                                \
    "server.1=h1:2001:3001:participant\nserver.2=h2:2002:3002:participant\n" \
    "server.3=h3:2003:3003:participant\n"
#define TWO                                              \
    "server.1=h1:2001:3001:participant;127.0.0.1:2181\n" \
    "server.2=h2:2002:3002:participant;127.0.0.1:2182\n"

#define DYNAMIC BASE "reconfigEnabled=true\ndynamicConfigFile=" OLD "\n"

// A folder of files, and the server that starts on them.
struct files {
    struct fake_env *f;
    struct config cfg; // of the last load
    struct dynconfig_start s;
    struct dynconfig *d;
    struct buf why;
};

static void begin(struct files *t, uint64_t seed, const char *cfg, const char *myid)
{
    *t = (struct files){.f = fake_env_new(seed)};
    fake_env_plant(t->f, CFG, slice_str(cfg));
    if (myid) {
        fake_env_plant(t->f, "/data/myid", slice_str(myid));
    }
}

static void stop(struct files *t)
{
    dynconfig_free(&t->d);
    dynconfig_start_fini(&t->s);
    config_fini(&t->cfg);
    t->cfg = (struct config){0};
}

static void end(struct files *t)
{
    stop(t);
    assert_int_equal(fake_env_open_fds(t->f), 0);
    fake_env_free(&t->f);
    buf_fini(&t->why);
}

// As a start does it: zoo.cfg, then what belongs to it.
static enum err load(struct files *t)
{
    struct buf warnings = {0};
    stop(t);
    buf_clear(&t->why);
    config_init(&t->cfg);
    assert_int_equal(config_parse(&t->cfg, "zoo.cfg", fake_env_peek(t->f, CFG), &warnings, &t->why),
                     ERR_OK);
    assert_int_equal(config_finish(&t->cfg, &warnings, &t->why), ERR_OK);
    buf_fini(&warnings);
    t->cfg.config_path = mem_strdup(CFG);
    enum err e = dynconfig_load(&t->f->env, &t->cfg, &t->s, &t->why);
    assert_int_equal(e != ERR_OK, t->why.n != 0);
    assert_int_equal(fake_env_open_fds(t->f), 0);
    if (e == ERR_OK) {
        t->d = dynconfig_new(&t->f->env, &t->cfg, &t->s);
    } else {
        assert_null(t->s.committed);
        assert_null(t->s.last_seen);
    }
    return e;
}

static void expect_why(const struct files *t, const char *part)
{
    struct slice why = buf_slice(&t->why);
    size_t n = strlen(part), at = 0;
    while (at + n <= why.n && memcmp(why.p + at, part, n) != 0) {
        at++;
    }
    if (at + n > why.n) {
        fprintf(stderr, "\"%s\" is not in \"%.*s\"\n", part, SLICE_ARG(why));
    }
    assert_true(at + n <= why.n);
}

static void expect_file(struct files *t, const char *path, const char *want)
{
    struct slice got = fake_env_peek(t->f, path);
    if (!want) {
        assert_null(got.p);
        return;
    }
    if (!slice_eq_str(got, want)) {
        fprintf(stderr, "%s:\n%.*s\n-- but must be\n%s\n", path, SLICE_ARG(got), want);
    }
    assert_true(slice_eq_str(got, want));
}

static struct members *parse(const char *servers, int64_t version)
{
    struct members *m;
    struct buf b = {0};
    buf_fmt(&b, "%sversion=%llx", servers, (unsigned long long)version);
    assert_int_equal(members_parse(buf_slice(&b), &m), ERR_OK);
    buf_fini(&b);
    return m;
}

static void save_next(struct files *t, const char *servers, int64_t version)
{
    struct members *m = parse(servers, version);
    dynconfig_save_next(t->d, m);
    members_free(&m);
}

static void activate(struct files *t, const char *servers, int64_t version, int64_t sid)
{
    struct members *m = parse(servers, version);
    dynconfig_activate(t->d, m, sid);
    members_free(&m);
}

// Everything asked for is done, well or not.
static int run_jobs(struct files *t)
{
    int n = 0;
    struct env_job *job;
    while ((job = fake_env_run(t->f, ENV_LANE_LOG))) {
        assert_true(dynconfig_owns(t->d, job));
        assert_false(dynconfig_is_idle(t->d));
        dynconfig_on_job(t->d, job);
        n++;
    }
    assert_true(dynconfig_is_idle(t->d));
    return n;
}

// ---- a start ------------------------------------------------------------------------------------

static void an_ensemble_in_zoo_cfg(void **state)
{
    (void)state;
    struct files t;
    begin(&t, 1, BASE "clientPort=2188\n" THREE, "2\nand more\n");
    assert_int_equal(load(&t), ERR_OK);
    assert_int_equal(t.s.sid, 2);
    assert_int_equal(t.s.committed->voters_n, 3);
    assert_int_equal(t.s.committed->version, 0);
    assert_int_equal(t.s.self->sid, 2);
    assert_null(t.s.last_seen);
    assert_int_equal(t.s.client.family, 0); // on all addresses
    assert_int_equal(t.s.client.port, 2188);
    assert_true(t.s.client_is_static);
    end(&t);
}

static void a_server_alone_needs_no_file(void **state)
{
    (void)state;
    struct files t;
    begin(&t, 1, BASE "clientPort=2188\n", NULL);
    assert_int_equal(load(&t), ERR_OK);
    assert_int_equal(t.s.sid, -1);
    assert_null(t.s.committed);
    assert_int_equal(t.s.client.port, 2188);
    end(&t);
}

// One server.N line, of whichever file: its client part counts if it is this server's.
static void a_server_alone_with_a_line(void **state)
{
    (void)state;
    static const char line[] = "server.7=h7:1:2;127.0.0.1:2187\n";
    static const struct {
        const char *myid;
        uint16_t port;
    } rows[] = {{NULL, 2187}, {"7\n", 2187}, {"8\n", 2181}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int own_file = 0; own_file < 2; own_file++) {
            struct files t;
            struct buf text = {0};
            buf_fmt(&text, "%s%s", own_file ? DYNAMIC : BASE, own_file ? "" : line);
            buf_put_u8(&text, 0);
            begin(&t, 1, (const char *)text.p, rows[i].myid);
            fake_env_plant(t.f, OLD, slice_str(line));
            assert_int_equal(load(&t), ERR_OK);
            assert_null(t.s.committed);
            assert_int_equal(t.s.client.port, rows[i].port);
            assert_int_equal(fake_env_logged(t.f, "a single server.N line"), own_file);
            buf_fini(&text);
            end(&t);
        }
    }
}

static void an_ensemble_in_its_own_file(void **state)
{
    (void)state;
    struct files t;
    begin(&t, 1, DYNAMIC, "1");
    fake_env_plant(t.f, OLD, SLICE_LIT(TWO));
    assert_int_equal(load(&t), ERR_OK);
    assert_int_equal(t.s.committed->version, 0x100000005); // as its name says
    assert_int_equal(t.s.committed->voters_n, 2);
    assert_false(t.s.client_is_static);
    assert_int_equal(t.s.client.port, 2181);
    assert_memory_equal(t.s.client.ip, "\x7f\0\0\1", 4);
    end(&t);
}

// One that was proposed counts if it is newer than the committed one, and if it can be a proposal.
static void the_next_one(void **state)
{
    (void)state;
    static const struct {
        const char *cfg, *next;
        int64_t seen; // 0: none; -1: the start fails
    } rows[] = {
        {DYNAMIC, NULL, 0},
        {DYNAMIC, THREE "version=100000006", 0x100000006},
        {DYNAMIC, THREE "version=100000005", 0},
        {DYNAMIC, THREE "version=4", 0},
        {DYNAMIC, "server.1=nonsense\nversion=100000006", -1},
        {BASE "dynamicConfigFile=" OLD "\n", THREE "version=100000006", 0},
        {BASE "reconfigEnabled=true\n" THREE, THREE "version=100000006", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct files t;
        begin(&t, 1, rows[i].cfg, "1");
        fake_env_plant(t.f, OLD, SLICE_LIT(TWO));
        if (rows[i].next) {
            fake_env_plant(t.f, NEXT, slice_str(rows[i].next));
        }
        assert_int_equal(load(&t), rows[i].seen < 0 ? ERR_INVALID : ERR_OK);
        assert_int_equal(t.s.last_seen ? t.s.last_seen->version : 0,
                         rows[i].seen < 0 ? 0 : rows[i].seen);
        end(&t);
    }
}

static void what_a_start_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *cfg, *myid, *dynamic; // NULL: no such file
        enum err want;
        const char *why;
    } rows[] = {
        {DYNAMIC, NULL, THREE, ERR_NOTFOUND, "/data/myid is missing"},
        {DYNAMIC, "", THREE, ERR_INVALID, "/data/myid: its first line is \"\""},
        {DYNAMIC, "one\n", THREE, ERR_INVALID, "its first line is \"one\""},
        {DYNAMIC, "-1\n", THREE, ERR_INVALID, "its first line is \"-1\""},
        {DYNAMIC, "1 2\n", THREE, ERR_INVALID, "its first line is \"1 2\""},
        {DYNAMIC, "9223372036854775808\n", THREE, ERR_INVALID, "its first line"},
        {DYNAMIC, "4\n", THREE, ERR_INVALID, "there is no server.4 line in " OLD},
        {"extendedTypesEnabled=true\n" DYNAMIC, "255\n", THREE, ERR_INVALID, "255 is too large"},
        {DYNAMIC, "1\n", NULL, ERR_NOTFOUND, OLD ": there is no such file"},
        {DYNAMIC, "1\n", THREE "version=5\n", ERR_INVALID, OLD ":4: the version must not stand"},
        {DYNAMIC, "1\n", "server.1=h1\n" THREE, ERR_INVALID, OLD ":1: "},
        {DYNAMIC, "1\n", THREE "clientPort=2181\n", ERR_INVALID, OLD ":4: "},
        {DYNAMIC, "1\n", "\n", ERR_INVALID, OLD},
        {DYNAMIC, "1\n", "server.1=h1:1:2;nowhere:2181\nserver.2=h2:1:2\n", ERR_NOTFOUND,
         "server.1: the client address nowhere is not known"},
        {"clientPort=2188\n" DYNAMIC, "1\n", TWO, ERR_INVALID, "clientPort=2188 differs"},
        {"clientPort=2181\nclientPortAddress=10.0.0.1\n" DYNAMIC, "1\n", TWO, ERR_INVALID,
         "clientPort=2181 with clientPortAddress=10.0.0.1 differs"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct files t;
        begin(&t, 1, rows[i].cfg, rows[i].myid);
        if (rows[i].dynamic) {
            fake_env_plant(t.f, OLD, slice_str(rows[i].dynamic));
        }
        enum err e = load(&t);
        expect_why(&t, rows[i].why);
        assert_int_equal(e, rows[i].want);
        end(&t);
    }
}

static void what_a_start_accepts_beside(void **state)
{
    (void)state;
    struct files t;
    begin(&t, 1, "clientPort=2181\nclientPortAddress=127.0.0.1\npeerType=observer\n" DYNAMIC, "1");
    fake_env_plant(t.f, OLD, SLICE_LIT(TWO));
    assert_int_equal(load(&t), ERR_OK); // twice the same
    assert_true(fake_env_logged(t.f, "with two servers the loss of either stops the ensemble"));
    assert_true(fake_env_logged(t.f, "peerType=observer, but the server.1 line says participant"));
    end(&t);
    begin(&t, 1, "clientPort=2181\nclientPortAddress=0.0.0.0\n" DYNAMIC, "1");
    fake_env_plant(t.f, OLD, SLICE_LIT(TWO));
    assert_int_equal(load(&t), ERR_OK); // any address is no other one
    assert_memory_equal(t.s.client.ip, "\x7f\0\0\1", 4);
    end(&t);
    begin(&t, 1, BASE "server.256=h1:1:2\n" THREE, "256\n");
    assert_int_equal(load(&t), ERR_OK);
    assert_true(fake_env_logged(t.f, "256 is above 255"));
    end(&t);
}

static void files_that_are_too_long(void **state)
{
    (void)state;
    static const char *const paths[] = {"/data/myid", OLD, NEXT};
    char *text = mem_alloc(LIMIT_CONFIG_FILE + 1);
    memset(text, '\n', LIMIT_CONFIG_FILE + 1);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct files t;
        begin(&t, 1, DYNAMIC, "1\n");
        fake_env_plant(t.f, OLD, SLICE_LIT(THREE));
        fake_env_plant(t.f, paths[i], slice_of(text, LIMIT_CONFIG_FILE + 1));
        assert_int_equal(load(&t), ERR_LIMIT);
        expect_why(&t, paths[i]);
        end(&t);
    }
    mem_free(text);
}

// A file that cannot be read is never taken for one that is missing.
static void a_start_with_a_disk_that_fails(void **state)
{
    (void)state;
    struct files t;
    begin(&t, 1, DYNAMIC, "1\n");
    fake_env_plant(t.f, OLD, SLICE_LIT(THREE));
    fake_env_plant(t.f, NEXT, SLICE_LIT(THREE "version=100000006\n"));
    uint64_t before = t.f->calls;
    assert_int_equal(load(&t), ERR_OK);
    uint64_t calls = t.f->calls - before;
    assert_true(calls >= 9); // three files opened, measured, read
    for (uint64_t at = 1; at <= calls; at++) {
        fake_env_fail(t.f, at, ERR_IO);
        assert_int_equal(load(&t), ERR_IO);
        expect_why(&t, "cannot be read");
    }
    assert_int_equal(load(&t), ERR_OK);
    end(&t);
}

// ---- zoo.cfg ------------------------------------------------------------------------------------

#define POINTER "dynamicConfigFile=" CFG ".dynamic.100000007\n"
#define HEAD    BASE "reconfigEnabled=true\n"

static void what_zoo_cfg_keeps(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        bool own_client; // the membership says where this server's clients are
    } rows[] = {
        {HEAD THREE, HEAD POINTER, false},
        {THREE HEAD, HEAD POINTER, false},
        {"# what\n\n! for\n" HEAD "  # 1\n" THREE "# end\n",
         "# what\n\n! for\n" HEAD "  # 1\n# end\n" POINTER, false},
        {HEAD "clientPort=2181\n" THREE, HEAD "clientPort=2181\n" POINTER, false},
        {HEAD "clientPort=2181\nclientPortAddress=127.0.0.1\n" THREE, HEAD POINTER, true},
        {HEAD "zookeeper.clientPort=2181\n" THREE, HEAD POINTER, true},
        {HEAD "secureClientPort.x\nclientPortX=1\n" THREE,
         HEAD "secureClientPort.x\nclientPortX=1\n" POINTER, true},
        {HEAD "peerType=participant\n" THREE, HEAD POINTER, false},
        {HEAD "group.1=1:2:3\nweight.1=2\n" THREE, HEAD POINTER, false},
        {HEAD "a.b \\\n  = 1\\\n 2\n" THREE, HEAD "a.b \\\n  = 1\\\n 2\n" POINTER, false},
        {HEAD "server.1\\\n=h1:2001:3001\nserver.2:h2:2002:3002\nserver.3 h3:2003:3003\n",
         HEAD POINTER, false},
        {"dataDir=/data\r\ninitLimit=10\r\nsyncLimit=5\r\nreconfigEnabled=true\r\n" THREE
         "# end\r\n",
         "dataDir=/data\r\ninitLimit=10\r\nsyncLimit=5\r\nreconfigEnabled=true\r\n# "
         "end\r\n" POINTER,
         false},
        {THREE HEAD "tickTime=3000", HEAD "tickTime=3000\n" POINTER, false},
        {THREE HEAD "tickTime=3000\\", HEAD "tickTime=3000\\\n\n" POINTER, false},
        {THREE HEAD "tickTime=3000\\\n", HEAD "tickTime=3000\\\n\n" POINTER, false},
        {HEAD THREE "server.2=h2:2002:3002", HEAD POINTER, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct files t;
        begin(&t, 1, rows[i].before, "1\n");
        assert_int_equal(load(&t), ERR_OK);
        activate(&t, rows[i].own_client ? TWO : THREE, 0x100000007, 1);
        assert_int_equal(run_jobs(&t), 1);
        expect_file(&t, CFG, rows[i].after);
        expect_file(&t, CFG ".bak", rows[i].before);
        assert_int_equal(load(&t), ERR_OK); // and it can be started on
        assert_int_equal(t.s.committed->version, 0x100000007);
        assert_int_equal(t.s.committed->voters_n, rows[i].own_client ? 2 : 3);
        end(&t);
    }
}

static void backslashes_in_a_path_are_written_twice(void **state)
{
    (void)state;
    struct files t;
    begin(&t, 1, HEAD THREE, "1\n");
    assert_int_equal(load(&t), ERR_OK);
    fake_env_plant(t.f, "/co\\nf/zoo.cfg", SLICE_LIT(HEAD));
    mem_free(t.cfg.config_path);
    t.cfg.config_path = mem_strdup("/co\\nf/zoo.cfg");
    dynconfig_free(&t.d);
    t.d = dynconfig_new(&t.f->env, &t.cfg, &t.s);
    activate(&t, THREE, 0x100000007, 1);
    run_jobs(&t);
    expect_file(&t, "/co\\nf/zoo.cfg",
                HEAD "dynamicConfigFile=/co\\\\nf/zoo.cfg.dynamic.100000007\n");
    end(&t);
}

// ---- the life of a membership -------------------------------------------------------------------

static void proposed_and_committed(void **state)
{
    (void)state;
    struct files t;
    begin(&t, 1, HEAD THREE, "1\n");
    assert_int_equal(load(&t), ERR_OK);
    save_next(&t, TWO, 0x100000006);
    assert_int_equal(run_jobs(&t), 1);
    expect_file(&t, NEXT, TWO "version=100000006\n");
    expect_file(&t, CFG, HEAD THREE);
    expect_file(&t, CFG ".bak", NULL);
    activate(&t, TWO, 0x100000006, 1);
    assert_int_equal(run_jobs(&t), 1);
    expect_file(&t, NEXT, NULL);
    expect_file(&t, CFG ".dynamic.100000006", TWO);
    expect_file(&t, CFG ".bak", HEAD THREE);
    assert_true(fake_env_logged(t.f, "now points to the membership of version 100000006"));
    activate(&t, THREE, 0x200000001, 1); // the copy stays the first zoo.cfg
    assert_int_equal(run_jobs(&t), 1);
    expect_file(&t, CFG, HEAD "dynamicConfigFile=" CFG ".dynamic.200000001\n");
    expect_file(&t, CFG ".dynamic.200000001", THREE);
    expect_file(&t, CFG ".bak", HEAD THREE);
    expect_file(&t, CFG ".tmp", NULL);
    end(&t);
}

static void versions_only_grow(void **state)
{
    (void)state;
    struct files t;
    begin(&t, 1, DYNAMIC, "1\n");
    fake_env_plant(t.f, OLD, SLICE_LIT(THREE));
    fake_env_plant(t.f, NEXT, SLICE_LIT(THREE "version=100000007\n"));
    assert_int_equal(load(&t), ERR_OK);
    save_next(&t, TWO, 0x100000007);
    activate(&t, TWO, 0x100000005, 1);
    assert_int_equal(run_jobs(&t), 0);
    activate(&t, TWO, 0x100000006, 1); // what was proposed is newer, and stays
    assert_int_equal(run_jobs(&t), 1);
    expect_file(&t, NEXT, THREE "version=100000007\n");
    save_next(&t, TWO, 0x100000008);
    activate(&t, TWO, 0x100000007, 1);
    activate(&t, THREE, 0x100000009, 1); // never proposed here
    assert_int_equal(run_jobs(&t), 3);
    expect_file(&t, NEXT, NULL);
    assert_int_equal(load(&t), ERR_OK);
    assert_int_equal(t.s.committed->version, 0x100000009);
    assert_int_equal(t.s.committed->voters_n, 3);
    end(&t);
}

static void what_will_never_be_is_forgotten(void **state)
{
    (void)state;
    struct files t;
    begin(&t, 1, DYNAMIC, "1\n");
    fake_env_plant(t.f, OLD, SLICE_LIT(THREE));
    assert_int_equal(load(&t), ERR_OK);
    dynconfig_forget_next(t.d); // there is none
    save_next(&t, TWO, 0x100000008);
    dynconfig_forget_next(t.d);
    assert_int_equal(run_jobs(&t), 3);
    expect_file(&t, NEXT, NULL);
    save_next(&t, TWO, 0x100000006); // another leader's, and not below what is forgotten
    assert_int_equal(run_jobs(&t), 1);
    expect_file(&t, NEXT, TWO "version=100000006\n");
    assert_false(fake_env_logged(t.f, "could not be written"));
    end(&t);
}

static void without_reconfigurations_nothing_is_written(void **state)
{
    (void)state;
    struct files t;
    begin(&t, 1, BASE THREE, "1\n");
    assert_int_equal(load(&t), ERR_OK);
    for (int with_file = 1; with_file >= 0; with_file--) {
        save_next(&t, TWO, 0x100000006);
        activate(&t, TWO, 0x100000006, 1);
        dynconfig_forget_next(t.d);
        assert_int_equal(run_jobs(&t), 0);
        dynconfig_free(&t.d);
        t.cfg.reconfig_enabled = true; // then there is no zoo.cfg
        mem_free(t.cfg.config_path);
        t.cfg.config_path = NULL;
        t.d = dynconfig_new(&t.f->env, &t.cfg, &t.s);
    }
    expect_file(&t, CFG, BASE THREE);
    expect_file(&t, NEXT, NULL);
    end(&t);
}

// ---- crashes and failures -----------------------------------------------------------------------

// One of these is what a file may say; NULL: that it is not there.
static void expect_either(struct files *t, const char *path, const char *a, const char *b)
{
    struct slice got = fake_env_peek(t->f, path);
    bool is_a = a ? slice_eq_str(got, a) : !got.p;
    bool is_b = b ? slice_eq_str(got, b) : !got.p;
    if (!is_a && !is_b) {
        fprintf(stderr, "%s:\n%.*s\n", path, SLICE_ARG(got));
    }
    assert_true(is_a || is_b);
}

#define BIG "# so that it takes more than one sector of a disk\n"
static const char before_text[] = DYNAMIC BIG BIG BIG BIG BIG BIG BIG BIG BIG BIG BIG BIG;
static const char after_text[] = HEAD BIG BIG BIG BIG BIG BIG BIG BIG BIG BIG BIG BIG POINTER;

static void begin_change(struct files *t, uint64_t seed)
{
    begin(t, seed, before_text, "1\n");
    fake_env_plant(t->f, OLD, SLICE_LIT(THREE));
    assert_int_equal(load(t), ERR_OK);
}

// Whatever a start finds, it knows of the change once it was written down as proposed, and
// everything it reads is whole.
static void expect_sane(struct files *t, bool was_proposed)
{
    expect_either(t, CFG, before_text, after_text);
    assert_int_equal(load(t), ERR_OK);
    bool committed = t->s.committed->version == 0x100000007;
    bool seen = t->s.last_seen && t->s.last_seen->version == 0x100000007;
    assert_int_equal(committed, slice_eq_str(fake_env_peek(t->f, CFG), after_text));
    assert_int_equal(t->s.committed->voters_n, committed ? 2 : 3);
    assert_true(committed || t->s.committed->version == 0x100000005);
    assert_false(committed && seen);
    assert_true(committed || seen || !was_proposed);
    assert_true(!seen || t->s.last_seen->voters_n == 2);
}

// The server has started again, and its leader tells it the same.
static void finish_change(struct files *t)
{
    save_next(t, TWO, 0x100000007);
    activate(t, TWO, 0x100000007, 1);
    run_jobs(t);
    assert_int_equal(load(t), ERR_OK);
    assert_int_equal(t->s.committed->version, 0x100000007);
    assert_null(t->s.last_seen);
    expect_file(t, CFG, after_text);
    expect_file(t, CFG ".dynamic.100000007", TWO);
}

// Power fails, or the process ends, at this file call of the change. False: it has fewer.
static bool crash_at(uint64_t call, uint64_t seed)
{
    struct files t;
    begin_change(&t, seed);
    crashdisk_crash_after(t.f->disk, call);
    save_next(&t, TWO, 0x100000007);
    run_jobs(&t);
    bool was_proposed = !crashdisk_is_down(t.f->disk);
    activate(&t, TWO, 0x100000007, 1);
    run_jobs(&t);
    bool crashed = crashdisk_is_down(t.f->disk);
    crashdisk_crash_after(t.f->disk, 0);
    fake_env_reboot(t.f, seed % 4 != 0);
    expect_sane(&t, was_proposed);
    if (!crashed) {
        assert_int_equal(t.s.committed->version, 0x100000007);
    }
    finish_change(&t);
    end(&t);
    return crashed;
}

static void a_crash_at_any_file_call(void **state)
{
    (void)state;
    uint64_t call = 1;
    for (bool crashed = true; crashed; call++) {
        for (uint64_t seed = 1; seed <= 40; seed++) {
            crashed = crash_at(call, seed);
        }
    }
    assert_in_range(call, 18, 60); // three files replaced, one read, one unlinked
}

// Each copy and each new file of the first change: zoo.cfg is what it was or what it will be.
static void a_crash_at_any_file_call_of_the_first_change(void **state)
{
    (void)state;
    bool crashed = true;
    for (uint64_t call = 1; crashed; call++) {
        for (uint64_t seed = 1; seed <= 40; seed++) {
            struct files t;
            begin(&t, seed, HEAD BIG THREE, "1\n");
            assert_int_equal(load(&t), ERR_OK);
            crashdisk_crash_after(t.f->disk, call);
            activate(&t, TWO, 0x100000007, 1);
            run_jobs(&t);
            crashed = crashdisk_is_down(t.f->disk);
            crashdisk_crash_after(t.f->disk, 0);
            fake_env_reboot(t.f, seed % 4 != 0);
            expect_either(&t, CFG, HEAD BIG THREE, HEAD BIG POINTER);
            expect_either(&t, CFG ".bak", NULL, HEAD BIG THREE);
            if (slice_eq_str(fake_env_peek(t.f, CFG), HEAD BIG POINTER)) {
                expect_file(&t, CFG ".dynamic.100000007", TWO);
                expect_file(&t, CFG ".bak", HEAD BIG THREE);
            } else {
                assert_true(crashed);
            }
            assert_int_equal(load(&t), ERR_OK);
            end(&t);
        }
    }
}

// The server lives on; what was told is on the disk or is told again.
static void a_failure_of_any_file_call(void **state)
{
    (void)state;
    struct files t;
    begin_change(&t, 1);
    uint64_t calls = t.f->calls;
    finish_change(&t);
    calls = t.f->calls - calls; // with those of a start
    end(&t);
    int failed = 0;
    for (uint64_t call = 1; call <= calls; call++) {
        begin_change(&t, call);
        fake_env_fail(t.f, call, ERR_NOSPACE);
        save_next(&t, TWO, 0x100000007);
        run_jobs(&t);
        bool was_proposed = t.f->calls < t.f->fail_at;
        activate(&t, TWO, 0x100000007, 1);
        run_jobs(&t);
        bool said =
            fake_env_logged(t.f, "the ensemble's new membership could not be written: " CFG);
        assert_int_equal(said, t.f->calls >= t.f->fail_at);
        failed += said;
        assert_int_equal(fake_env_open_fds(t.f), 0);
        t.f->fail_at = 0;
        expect_sane(&t, was_proposed);
        fake_env_reboot(t.f, true);
        expect_sane(&t, false);
        finish_change(&t);
        end(&t);
    }
    assert_in_range(failed, 18, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ensemble_in_zoo_cfg),
        cmocka_unit_test(a_server_alone_needs_no_file),
        cmocka_unit_test(a_server_alone_with_a_line),
        cmocka_unit_test(an_ensemble_in_its_own_file),
        cmocka_unit_test(the_next_one),
        cmocka_unit_test(what_a_start_refuses),
        cmocka_unit_test(what_a_start_accepts_beside),
        cmocka_unit_test(files_that_are_too_long),
        cmocka_unit_test(a_start_with_a_disk_that_fails),
        cmocka_unit_test(what_zoo_cfg_keeps),
        cmocka_unit_test(backslashes_in_a_path_are_written_twice),
        cmocka_unit_test(proposed_and_committed),
        cmocka_unit_test(versions_only_grow),
        cmocka_unit_test(what_will_never_be_is_forgotten),
        cmocka_unit_test(without_reconfigurations_nothing_is_written),
        cmocka_unit_test(a_crash_at_any_file_call),
        cmocka_unit_test(a_crash_at_any_file_call_of_the_first_change),
        cmocka_unit_test(a_failure_of_any_file_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
