// SPDX-License-Identifier: Apache-2.0
#include "zab/epoch.h"

void epoch_init(struct epoch *e, const struct members *committed, int64_t leader,
                int64_t current_epoch, int64_t last_zxid)
{
    *e = (struct epoch){
        .leader = leader, .epoch = -1, .current_epoch = current_epoch, .last_zxid = last_zxid};
    quorum_init(&e->quorum, committed, NULL);
}

bool epoch_may_join(const struct epoch *e, int64_t sid, int64_t accepted_epoch)
{
    if (e->phase != EPOCH_OPEN || accepted_epoch < e->epoch) {
        return true; // it raises nothing
    }
    return accepted_epoch < (quorum_has_voter(&e->quorum, sid) ? EPOCH_LAST : EPOCH_FAR);
}

void epoch_join(struct epoch *e, int64_t sid, int64_t accepted_epoch)
{
    if (e->phase != EPOCH_OPEN) {
        return;
    }
    // Those who do not vote raise the epoch, too: else they could never accept it.
    e->epoch = accepted_epoch + 1 > e->epoch ? accepted_epoch + 1 : e->epoch;
    quorum_ack(&e->quorum, &e->joined, sid);
    e->leader_joined |= sid == e->leader;
    if (e->leader_joined && quorum_reached(&e->quorum, &e->joined)) {
        e->phase = EPOCH_CLOSED;
    }
}

static bool is_ahead(const struct epoch *e, int64_t current_epoch, int64_t last_zxid)
{
    return current_epoch > e->current_epoch ||
           (current_epoch == e->current_epoch && last_zxid > e->last_zxid);
}

enum epoch_answer epoch_promise(struct epoch *e, int64_t sid, int64_t current_epoch,
                                int64_t last_zxid)
{
    must(e->phase != EPOCH_OPEN);
    if (e->phase == EPOCH_AGREED || current_epoch == -1) {
        return EPOCH_NOT_COUNTED;
    }
    if (is_ahead(e, current_epoch, last_zxid)) {
        return EPOCH_AHEAD;
    }
    if (last_zxid == -1) {
        return EPOCH_NOT_COUNTED; // it may have lost what it once acknowledged
    }
    quorum_ack(&e->quorum, &e->promised, sid);
    e->leader_promised |= sid == e->leader;
    if (e->leader_promised && quorum_reached(&e->quorum, &e->promised)) {
        e->phase = EPOCH_AGREED;
    }
    return EPOCH_PROMISED;
}

enum epoch_offer epoch_compare(int64_t accepted, int64_t offered)
{
    if (offered > accepted) {
        return EPOCH_NEWER;
    }
    return offered == accepted ? EPOCH_SAME : EPOCH_OLDER;
}
