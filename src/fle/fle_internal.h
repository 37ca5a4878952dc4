// SPDX-License-Identifier: Apache-2.0
//
// What the files of the election share: its state, the order of votes and the sets of what was
// said.
#pragma once

#include "fle/fle.h"

enum { FLE_VOTERS_MAX = QUORUM_CONFIGS_MAX * MEMBERS_VOTERS_MAX };

// The last word of one voter.
struct fle_word {
    int64_t sid;
    struct fle_vote vote;
    enum note_state state; // of that voter
    bool versioned;        // it said so in a notification that has a version
};

// One word per voter, in no order.
struct fle_words {
    struct fle_word of[FLE_VOTERS_MAX];
    size_t n;
};

struct fle {
    struct fle_settings settings;
    struct members *committed, *last_seen; // last_seen: NULL if it is not newer
    struct members *heard;                 // of a NEW_MEMBERS, until the next step
    struct quorum quorum;
    struct buf text; // of committed

    enum note_state state;
    bool started;
    bool quiet;  // the role is over, START will come
    bool halted; // LOOKING, but the membership is about to change: waits for START
    int64_t clock;
    struct fle_vote initial;  // what it would vote for if it were alone
    struct fle_vote proposal; // its election_epoch is the clock
    struct fle_vote current;  // currentVote: the result of the last election
    struct fle_words recvset, outofelection;
    struct fle_words early; // heard LOOKING just before this server went LOOKING itself
    struct mono early_at;   // the last of them
    bool finalizing;        // a quorum agrees with the proposal
    struct mono deadline;   // LOOKING: end of finalizing, or send again
    int64_t wait_ms;        // next interval between sends
    int64_t lost;           // the leader this server followed before it began to look, or nobody
    bool lost_is_down;      // nobody listens there
    int64_t elected_by[FLE_VOTERS_MAX]; // whose words ended the last election
    size_t elected_by_n;

    struct note out_looking, out_answer; // what SEND actions point to
    struct fle_action *actions;
    size_t actions_n, actions_cap;
};

// Java's totalOrderPredicate: whether vote a beats vote b.
bool fle_beats(const struct fle *f, const struct fle_vote *a, const struct fle_vote *b);
// Java's Vote.equals: whether a voter's word supports a result that another one named.
bool fle_agrees(const struct fle_word *a, const struct fle_word *b);

void fle_words_put(struct fle_words *w, const struct fle_word *word);
const struct fle_word *fle_words_get(const struct fle_words *w, int64_t sid); // NULL: said nothing
// Whether the voters who agree with `word` are a quorum. Java's getVoteTracker and hasAllQuorums.
bool fle_words_carry(const struct fle *f, const struct fle_words *w, const struct fle_word *word);
// Whether every voter agrees with `word`, but for a lost leader that is down.
bool fle_words_unanimous(const struct fle *f, const struct fle_words *w,
                         const struct fle_word *word);
