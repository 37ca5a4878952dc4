// SPDX-License-Identifier: Apache-2.0
//
// The bytes of the election port: every message of the captures of Apache's servers is read, and
// comes out again byte for byte; then the older forms and what must be dropped.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/support/capture.h"
#include "wire/members.h"
#include "wire/note.h"

static void check_hello(struct slice s)
{
    struct note_hello h;
    for (size_t n = 0; n < s.n; n++) {
        assert_int_equal(note_hello_decode(slice_head(s, n), &h), ERR_CUT);
    }
    assert_int_equal(note_hello_decode(s, &h), ERR_OK);
    assert_int_equal(h.bytes, s.n);
    assert_true(h.addrs_n >= 1);
    struct buf b = {0};
    note_hello_encode(&b, h.sid, s.p[7] == 1, slice_skip(s, 20));
    assert_true(slice_eq(buf_slice(&b), s));
    buf_fini(&b);
}

static void check_note(struct slice s)
{
    struct slice body;
    size_t bytes;
    struct note n;
    struct members *m;
    assert_int_equal(note_frame(s, &body, &bytes), ERR_OK);
    assert_int_equal(bytes, s.n);
    assert_int_equal(note_decode(body, &n), ERR_OK);
    assert_int_equal(n.version, 2);
    struct buf b = {0}, text = {0};
    note_encode(&b, &n);
    assert_true(slice_eq(buf_slice(&b), body));
    assert_int_equal(members_parse(n.config, &m), ERR_OK);
    members_fmt(&text, m, MEMBERS_WIRE);
    assert_true(slice_eq(buf_slice(&text), n.config));
    members_free(&m);
    buf_fini(&b);
    buf_fini(&text);
}

static void captures_come_back_byte_for_byte(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int hellos, notes;
    } files[] = {{"fresh", 1, 3},
                 {"init-v2", 1, 0},
                 {"join-larger", 2, 6},
                 {"restart-smaller", 4, 6},
                 {"observer", 6, 15}};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "test/golden/disk/wire/election-%s.txt", files[i].name);
        struct capture c;
        int hellos = 0, notes = 0;
        capture_open(&c, path);
        while (capture_next(&c)) {
            if (c.bytes.p[0] == 0xff) {
                check_hello(buf_slice(&c.bytes));
                hellos++;
            } else {
                check_note(buf_slice(&c.bytes));
                notes++;
            }
        }
        capture_close(&c);
        assert_int_equal(hellos, files[i].hellos);
        assert_int_equal(notes, files[i].notes);
    }
}

static enum err hello(int64_t first, int64_t sid, int32_t n, const char *text, struct note_hello *h)
{
    static uint8_t bytes[64]; // what h points into
    size_t len = strlen(text);
    assert_true(20 + len <= sizeof(bytes));
    be64_put(bytes, (uint64_t)first);
    be64_put(bytes + 8, (uint64_t)sid);
    be32_put(bytes + 16, (uint32_t)n);
    memcpy(bytes + 20, text, len);
    return note_hello_decode(slice_of(bytes, 20 + len), h);
}

static enum err hello_text(const char *text, struct note_hello *h)
{
    return hello(-65536, 5, (int32_t)strlen(text), text, h);
}

static void initial_messages_of_every_kind(void **state)
{
    (void)state;
    struct note_hello h;
    assert_int_equal(hello(7, 0, 0, "", &h), ERR_OK); // 3.4: the first long is the sid
    assert_int_equal(h.sid, 7);
    assert_int_equal(h.bytes, 8);
    assert_int_equal(hello(-65534, 5, 3, "a:1", &h), ERR_UNSUPPORTED);
    assert_int_equal(hello(-1, 5, 3, "a:1", &h), ERR_UNSUPPORTED);
    assert_int_equal(hello(-65536, 5, 0, "", &h), ERR_LIMIT);
    assert_int_equal(hello(-65536, 5, -1, "", &h), ERR_LIMIT);
    assert_int_equal(hello(-65536, 5, 2049, "", &h), ERR_LIMIT);
    assert_int_equal(hello(-65536, 5, 2048, "", &h), ERR_CUT);
    assert_int_equal(hello_text("0.0.0.0:1|[::]:2|[0:0::0]:3", &h), ERR_OK);
    assert_int_equal(h.addrs_n, 0); // nothing to dial
    static const char *const bad[] = {"a", "a:", "a:b", "a:65536", "[::1:1", "a:1:2", "a:1||b:2"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(hello_text(bad[i], &h), ERR_MALFORMED);
    }
    assert_int_equal(hello_text("h:1|[fe80::1]:2|0.0.0.0:3", &h), ERR_OK);
    assert_int_equal(h.addrs_n, 2);
    assert_true(slice_eq_str(h.addrs[1].host, "fe80::1"));
    assert_int_equal(h.addrs[1].port, 2);
}

static void put_head(struct buf *b, int32_t state)
{
    buf_clear(b);
    buf_put_i32(b, state);
    buf_put_i64(b, 3);
    buf_put_i64(b, 0x200000005);
    buf_put_i64(b, 9);
}

static void older_forms_of_a_notification(void **state)
{
    (void)state;
    struct buf b = {0};
    struct note n;
    put_head(&b, 2);
    assert_int_equal(note_decode(buf_slice(&b), &n), ERR_OK);
    assert_int_equal(n.state, NOTE_LEADING);
    assert_int_equal(n.peer_epoch, 2); // that of the zxid
    assert_int_equal(n.version, 0);
    buf_put_i64(&b, 7);
    buf_put_i32(&b, 2); // 40 bytes: this field is not looked at
    for (size_t i = 29; i < 40; i++) {
        assert_int_equal(note_decode(slice_head(buf_slice(&b), i), &n), ERR_CUT);
    }
    assert_int_equal(note_decode(buf_slice(&b), &n), ERR_OK);
    assert_int_equal(n.peer_epoch, 7);
    assert_int_equal(n.version, 0);
    assert_null(n.config.p);
    b.n = 36;
    buf_put_i32(&b, 1);
    buf_put_u8(&b, 0xff); // before version 2 nothing more is read
    assert_int_equal(note_decode(buf_slice(&b), &n), ERR_OK);
    assert_int_equal(n.version, 1);
    assert_null(n.config.p);
    buf_fini(&b);
}

static void bad_notifications_are_dropped(void **state)
{
    (void)state;
    struct buf b = {0};
    struct note n;
    put_head(&b, 0);
    for (size_t i = 0; i < 28; i++) {
        assert_int_equal(note_decode(slice_head(buf_slice(&b), i), &n), ERR_CUT);
    }
    buf_put_i64(&b, 7);
    buf_put_i32(&b, 2);
    buf_put_u8(&b, 0);
    assert_int_equal(note_decode(buf_slice(&b), &n), ERR_CUT); // no room for the length
    b.n = 40;
    buf_put_i32(&b, -1);
    assert_int_equal(note_decode(buf_slice(&b), &n), ERR_MALFORMED);
    b.n = 40;
    buf_put_i32(&b, 4);
    buf_put(&b, "abc", 3);
    assert_int_equal(note_decode(buf_slice(&b), &n), ERR_CUT);
    buf_put(&b, "de", 2); // and bytes behind it are no harm
    assert_int_equal(note_decode(buf_slice(&b), &n), ERR_OK);
    assert_true(slice_eq_str(n.config, "abcd"));
    b.p[3] = 4;
    assert_int_equal(note_decode(buf_slice(&b), &n), ERR_OK);
    assert_int_equal(n.state, NOTE_STATE_UNKNOWN);
    b.p[0] = 0x80;
    assert_int_equal(note_decode(buf_slice(&b), &n), ERR_OK);
    assert_int_equal(n.state, NOTE_STATE_UNKNOWN);
    buf_fini(&b);
}

static void frames_have_a_bound(void **state)
{
    (void)state;
    struct buf b = {0};
    struct slice body;
    size_t bytes;
    static const int32_t bad[] = {0, -1, INT32_MIN, NOTE_FRAME_MAX + 1, INT32_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        buf_clear(&b);
        buf_put_i32(&b, bad[i]);
        assert_int_equal(note_frame(buf_slice(&b), &body, &bytes), ERR_LIMIT);
    }
    buf_clear(&b);
    buf_put_i32(&b, NOTE_FRAME_MAX);
    assert_int_equal(note_frame(slice_head(buf_slice(&b), 3), &body, &bytes), ERR_CUT);
    memset(buf_reserve(&b, NOTE_FRAME_MAX), 'x', NOTE_FRAME_MAX);
    assert_int_equal(note_frame(slice_head(buf_slice(&b), b.n - 1), &body, &bytes), ERR_CUT);
    assert_int_equal(note_frame(buf_slice(&b), &body, &bytes), ERR_OK);
    assert_int_equal(body.n, NOTE_FRAME_MAX);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures_come_back_byte_for_byte),
        cmocka_unit_test(initial_messages_of_every_kind),
        cmocka_unit_test(older_forms_of_a_notification),
        cmocka_unit_test(bad_notifications_are_dropped),
        cmocka_unit_test(frames_have_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
