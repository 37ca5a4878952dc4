// SPDX-License-Identifier: Apache-2.0
//
// Bugs planted on purpose, to show that the checkers find them. They live in the simulated
// environment and in what stands between server and client, never in the server.
//   PLANT(id, name for --plant, what it does)
#pragma once

#define PLANTS                                                                                    \
    PLANT(NONE, "none", "nothing")                                                                \
    PLANT(LYING_SYNC, "lying-sync", "the disk reports a sync as done without doing it")           \
    PLANT(LOST_TAIL, "lost-tail", "the last log record is gone when a server starts again")       \
    PLANT(DROP_REPLY, "drop-reply", "a reply does not reach the client")                          \
    PLANT(SWAP_REPLIES, "swap-replies", "two replies arrive in the wrong order")                  \
    PLANT(DROP_EVENT, "drop-event", "a notification does not reach the client")                   \
    PLANT(TWICE_EVENT, "twice-event", "a notification reaches the client twice")                  \
    PLANT(LATE_EVENT, "late-event", "a notification comes after the reply that shows the change") \
    PLANT(OLD_ZXID, "old-zxid", "a reply carries an older zxid than it should")                   \
    PLANT(FUTURE_ZXID, "future-zxid", "a reply carries a zxid that nobody applied")               \
    PLANT(WRONG_STAT, "wrong-stat", "one bit of a reply's last byte is wrong")                    \
    PLANT(WRONG_ERROR, "wrong-error", "a failure is reported as success")                         \
    PLANT(FALSE_REFUSAL, "false-refusal", "a write that is done is answered as refused")          \
    PLANT(LOST_REQUEST, "lost-request", "a request reaches the server and is forgotten")          \
    PLANT(NO_EXPIRY, "no-expiry", "the server's timer stops after a while")                       \
    PLANT(EARLY_EXPIRY, "early-expiry", "the server's clock runs ahead of the world's")

enum plant {
#define PLANT(id, name, what) PLANT_##id,
    PLANTS
#undef PLANT
        PLANTS_COUNT
};

const char *plant_name(enum plant p);
const char *plant_what(enum plant p);
