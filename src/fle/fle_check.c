// SPDX-License-Identifier: Apache-2.0
//
// What is always true of an election between two steps:
//
//   words     one per voter; those of recvset are of this round, those of outofelection of roles
//   proposal  of this round while LOOKING, and nothing this server could say alone beats it
//   own vote  counted, and it is the proposal, unless data was lost or this is no voter
//   quorum    while finalizing, a quorum of this round agrees with the proposal
//   role      LEADING if and only if currentVote names this server; nothing of the election is left
#include "base/must.h"
#include "fle/fle_internal.h"

static void check_words(const struct fle *f, const struct fle_words *w)
{
    must(w->n <= FLE_VOTERS_MAX);
    for (size_t i = 0; i < w->n; i++) {
        must(quorum_has_voter(&f->quorum, w->of[i].sid));
        must(quorum_has_voter(&f->quorum, w->of[i].vote.leader) || w->of[i].sid == f->settings.sid);
        must(fle_words_get(w, w->of[i].sid) == &w->of[i]);
    }
}

static void check_looking(const struct fle *f)
{
    const struct fle_settings *s = &f->settings;
    must(f->wait_ms >= s->wait_min_ms);
    must(f->wait_ms <= s->wait_max_ms);
    must(f->proposal.election_epoch == f->clock);
    must(!fle_beats(f, &f->initial, &f->proposal));
    check_words(f, &f->recvset);
    check_words(f, &f->outofelection);
    for (size_t i = 0; i < f->recvset.n; i++) {
        must(f->recvset.of[i].vote.election_epoch == f->clock);
    }
    for (size_t i = 0; i < f->outofelection.n; i++) {
        enum note_state state = f->outofelection.of[i].state;
        must(state == NOTE_FOLLOWING || state == NOTE_LEADING);
    }
    struct fle_word own = {s->sid, f->proposal, NOTE_LOOKING, false};
    if (quorum_has_voter(&f->quorum, s->sid) && f->initial.zxid != -1) {
        const struct fle_word *said = fle_words_get(&f->recvset, s->sid);
        must(said);
        must(fle_agrees(&own, said));
    }
    must(f->finalizing == (f->initial.zxid != -1 && fle_words_carry(f, &f->recvset, &own)));
}

void fle_check(const struct fle *f)
{
    if (!f->started) {
        must(f->clock == 0);
        return;
    }
    must(f->quorum.n >= 1);
    must(f->quorum.of[0] == f->committed);
    must(!f->last_seen || f->quorum.of[1] == f->last_seen);
    must(!f->lost_is_down || f->state == NOTE_LOOKING);
    if (f->state == NOTE_LOOKING) {
        if (!f->halted) {
            check_looking(f);
        }
        return;
    }
    must(!f->finalizing);
    must(!f->halted);
    must(f->recvset.n == 0);
    must(f->outofelection.n == 0);
    must((f->state == NOTE_LEADING) == (f->current.leader == f->settings.sid));
}
