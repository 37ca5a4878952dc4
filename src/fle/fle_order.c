// SPDX-License-Identifier: Apache-2.0
//
// Which vote is better, which votes are the same, and whether the same ones are enough.
#include "fle/fle_internal.h"

#include "base/must.h"

// The weight decides with the membership the candidate is in; the committed one first.
static int64_t weight(const struct fle *f, int64_t sid)
{
    const struct members *m = f->committed;
    if (f->last_seen && !members_is_voter(m, sid) && members_is_voter(f->last_seen, sid)) {
        m = f->last_seen;
    }
    return members_weight(m, sid);
}

// FastLeaderElection.tla TotalOrderPredicate.
bool fle_beats(const struct fle *f, const struct fle_vote *a, const struct fle_vote *b)
{
    if (weight(f, a->leader) == 0) {
        return false;
    }
    if (a->peer_epoch != b->peer_epoch) {
        return a->peer_epoch > b->peer_epoch;
    }
    if (a->zxid != b->zxid) {
        return a->zxid > b->zxid;
    }
    return a->leader > b->leader;
}

// While somebody is LOOKING all counts. Among servers with roles the leader and its epoch do: their
// zxid and round may differ. A server too old to send a version may not know the epoch either.
bool fle_agrees(const struct fle_word *a, const struct fle_word *b)
{
    if (a->vote.leader != b->vote.leader) {
        return false;
    }
    if (a->state == NOTE_LOOKING || b->state == NOTE_LOOKING) {
        return a->vote.zxid == b->vote.zxid && a->vote.election_epoch == b->vote.election_epoch &&
               a->vote.peer_epoch == b->vote.peer_epoch;
    }
    return a->versioned != b->versioned || a->vote.peer_epoch == b->vote.peer_epoch;
}

void fle_words_put(struct fle_words *w, const struct fle_word *word)
{
    size_t i = 0;
    while (i < w->n && w->of[i].sid != word->sid) {
        i++;
    }
    must(i < FLE_VOTERS_MAX);
    w->of[i] = *word;
    w->n = i == w->n ? i + 1 : w->n;
}

const struct fle_word *fle_words_get(const struct fle_words *w, int64_t sid)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->of[i].sid == sid) {
            return &w->of[i];
        }
    }
    return NULL;
}

bool fle_words_carry(const struct fle *f, const struct fle_words *w, const struct fle_word *word)
{
    struct quorum_acks acks = {0};
    for (size_t i = 0; i < w->n; i++) {
        if (fle_agrees(word, &w->of[i])) {
            quorum_ack(&f->quorum, &acks, w->of[i].sid);
        }
    }
    return quorum_reached(&f->quorum, &acks);
}

bool fle_words_unanimous(const struct fle *f, const struct fle_words *w,
                         const struct fle_word *word)
{
    for (size_t c = 0; c < f->quorum.n; c++) {
        const struct members *m = f->quorum.of[c];
        for (size_t i = 0; i < m->voters_n; i++) {
            const struct fle_word *said = fle_words_get(w, m->voters[i]);
            bool gone = f->lost_is_down && m->voters[i] == f->lost;
            if (said ? !fle_agrees(word, said) : !gone) {
                return false;
            }
        }
    }
    return true;
}
