// SPDX-License-Identifier: Apache-2.0
#include "test/support/fle_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

const char erig_three[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=0";

static void clear_actions(struct erig *s)
{
    s->actions = 0;
    s->sends = 0;
    s->elected = false;
    s->voter_looking = 0;
    members_free(&s->heard);
    for (int i = 0; i < ERIG_PEERS; i++) {
        buf_clear(&s->sent[i]);
    }
}

static void take_action(struct erig *s, const struct fle_action *a)
{
    switch (a->type) {
    case FLE_SEND:
        assert_in_range(a->sid, 0, ERIG_PEERS - 1);
        buf_clear(&s->sent[a->sid]);
        note_encode(&s->sent[a->sid], a->note);
        s->sends++;
        break;
    case FLE_ELECTED:
        s->elected = true;
        s->state = a->state;
        s->vote = a->vote;
        break;
    case FLE_NEW_MEMBERS:
        s->heard = members_copy(a->members);
        break;
    case FLE_VOTER_LOOKING:
        s->voter_looking = a->sid;
        break;
    }
}

void erig_step(struct erig *s, struct fle_event ev)
{
    struct fle_out out;
    ev.now = s->now;
    clear_actions(s);
    fle_step(s->fle, &ev, &out);
    fle_check(s->fle);
    s->actions = out.n;
    for (size_t i = 0; i < out.n; i++) {
        take_action(s, &out.actions[i]);
    }
}

void erig_members(struct erig *s, const char *committed, const char *last_seen, bool restart)
{
    struct members *c, *l = NULL;
    assert_int_equal(members_parse(slice_str(committed), &c), ERR_OK);
    if (last_seen) {
        assert_int_equal(members_parse(slice_str(last_seen), &l), ERR_OK);
    }
    erig_step(s,
              (struct fle_event){.type = FLE_MEMBERS,
                                 .members = {.committed = c, .last_seen = l, .restart = restart}});
    members_free(&c);
    members_free(&l);
}

void erig_open_with(struct erig *s, const struct fle_settings *settings, const char *members)
{
    *s = (struct erig){.fle = fle_new(settings), .now = {5000}};
    erig_members(s, members, NULL, false);
}

void erig_open(struct erig *s, int64_t sid, const char *members)
{
    struct fle_settings settings = {sid, 200, 60000, 200, true};
    erig_open_with(s, &settings, members);
}

void erig_close(struct erig *s)
{
    clear_actions(s);
    for (int i = 0; i < ERIG_PEERS; i++) {
        buf_fini(&s->sent[i]);
    }
    fle_free(&s->fle);
    assert_null(s->fle);
}

void erig_start(struct erig *s, int64_t last_zxid, int64_t current_epoch)
{
    erig_step(
        s, (struct fle_event){.type = FLE_START,
                              .start = {.last_zxid = last_zxid, .current_epoch = current_epoch}});
}

void erig_hear_note(struct erig *s, int64_t sid, struct note n)
{
    erig_step(s, (struct fle_event){.type = FLE_NOTE, .note = {.sid = sid, .note = &n}});
}

void erig_hear(struct erig *s, int64_t sid, enum note_state state, int64_t leader, int64_t zxid,
               int64_t round, int64_t epoch)
{
    erig_hear_note(s, sid, (struct note){state, leader, zxid, round, epoch, 2, SLICE_NULL});
}

void erig_down(struct erig *s, int64_t sid)
{
    erig_step(s, (struct fle_event){.type = FLE_DOWN, .sid = sid});
}

void erig_pass_ms(struct erig *s, int64_t ms)
{
    s->now = mono_add_ms(s->now, ms);
    erig_step(s, (struct fle_event){.type = FLE_TIMER});
}

int64_t erig_wait_ms(const struct erig *s)
{
    struct mono at;
    assert_true(fle_next(s->fle, &at));
    return mono_diff_ms(at, s->now);
}

static struct note sent_to(struct erig *s, int64_t sid)
{
    struct note n;
    assert_int_equal(note_decode(buf_slice(&s->sent[sid]), &n), ERR_OK);
    return n;
}

void erig_check_sent(struct erig *s, int64_t sid, enum note_state state, int64_t leader,
                     int64_t zxid, int64_t round, int64_t epoch)
{
    struct note n = sent_to(s, sid);
    assert_int_equal(n.state, state);
    assert_int_equal(n.leader, leader);
    assert_int_equal(n.zxid, zxid);
    assert_int_equal(n.election_epoch, round);
    assert_int_equal(n.peer_epoch, epoch);
}

void erig_check_elected(const struct erig *s, enum note_state state, int64_t leader)
{
    assert_true(s->elected);
    assert_int_equal(s->state, state);
    assert_int_equal(s->vote.leader, leader);
    assert_int_equal(fle_state(s->fle), state);
}
