// SPDX-License-Identifier: Apache-2.0
//
// Bugs planted on purpose, to show that the checkers find them. They live in the simulated
// environment, in what stands between server and client and between servers; never in the server.
//   PLANT(id, servers, name for --plant, what it does)
#pragma once

#define PLANTS                                                                                  \
    PLANT(NONE, 0, "none", "nothing")                                                           \
    PLANT(LYING_SYNC, 1, "lying-sync", "the disk reports a sync as done without doing it")      \
    PLANT(LOST_TAIL, 1, "lost-tail", "the last log record is gone when a server starts again")  \
    PLANT(DROP_REPLY, 1, "drop-reply", "a reply does not reach the client")                     \
    PLANT(SWAP_REPLIES, 1, "swap-replies", "two replies arrive in the wrong order")             \
    PLANT(DROP_EVENT, 1, "drop-event", "a notification does not reach the client")              \
    PLANT(TWICE_EVENT, 1, "twice-event", "a notification reaches the client twice")             \
    PLANT(LATE_EVENT, 1, "late-event", "a notification comes after the reply that shows it")    \
    PLANT(OLD_ZXID, 1, "old-zxid", "a reply carries an older zxid than it should")              \
    PLANT(FUTURE_ZXID, 1, "future-zxid", "a reply carries a zxid that nobody applied")          \
    PLANT(WRONG_STAT, 1, "wrong-stat", "one bit of a reply's last byte is wrong")               \
    PLANT(WRONG_ERROR, 1, "wrong-error", "a failure is reported as success")                    \
    PLANT(FALSE_REFUSAL, 1, "false-refusal", "a write that is done is answered as refused")     \
    PLANT(LOST_REQUEST, 1, "lost-request", "a request reaches the server and is forgotten")     \
    PLANT(NO_EXPIRY, 1, "no-expiry", "the server's timer stops after a while")                  \
    PLANT(EARLY_EXPIRY, 1, "early-expiry", "the server's clock runs ahead of the world's")      \
    PLANT(ACK_UNSYNCED, 3, "ack-unsynced", "followers' ACKs go before the disk has synced")     \
    PLANT(NO_QUORUM, 3, "no-quorum", "a leader counts ACKs of followers that have nothing")     \
    PLANT(OTHER_TXN, 3, "other-txn", "one follower gets a transaction with a wrong byte")       \
    PLANT(NO_TRUNC, 3, "no-trunc", "a TRUNC is said to be a DIFF")                              \
    PLANT(GAP_DIFF, 3, "gap-diff", "a DIFF ends one transaction before it should")              \
    PLANT(LOST_EPOCHS, 3, "lost-epochs", "the epoch files are gone when a server starts again") \
    PLANT(LOST_DISK, 3, "lost-disk", "a server starts again with an empty disk")                \
    PLANT(EARLY_SYNC, 3, "early-sync", "a learner answers syncs without asking the leader")     \
    PLANT(TWICE_ASKED, 3, "twice-asked", "a learner's request reaches the leader twice")        \
    PLANT(SWAP_ASKED, 3, "swap-asked", "two requests of a learner change places")               \
    PLANT(LOST_ASKED, 3, "lost-asked", "a learner's request does not reach the leader")         \
    PLANT(NO_TOUCH, 3, "no-touch", "learners tell the leader of no live session")               \
    PLANT(SLOW_GUEST, 1, "slow-guest", "a library's clock goes at half speed: it is told late") \
    PLANT(NO_LOST, 1, "no-lost", "a guest that loses a lock does not notice")                   \
    PLANT(KEEP_ITEM, 1, "keep-item", "a guest that loses an item of a queue does not notice")

enum plant {
#define PLANT(id, servers, name, what) PLANT_##id,
    PLANTS
#undef PLANT
        PLANTS_COUNT
};

const char *plant_name(enum plant p);
const char *plant_what(enum plant p);
int plant_servers(enum plant p); // how many it needs
int plant_guests(enum plant p);
unsigned plant_parts(enum plant p); // of guests; bits, 0: by chance
