// SPDX-License-Identifier: Apache-2.0
//
// Kafka's division of partitions among the members of a group, from what the server has about them.
// No servers, callbacks or time: the same data give the same division at every member.
#pragma once

#include "reeve/partition.h"

enum {
    ASSIGN_STREAMS_MAX = 1024,      // of one member and topic
    ASSIGN_PARTITIONS_MAX = 100000, // of one topic
    ASSIGN_PATTERN_MAX = 256        // bytes of a filter
};

// One share of a topic: member and stream. Kafka's ConsumerThreadId, in the order of its text.
struct assign_share {
    const char *member;
    int32_t stream;
    char *text; // "<member>-<stream>"
};

struct assign_topic {
    const char *name;
    int32_t streams; // of this member
    int32_t *partitions;
    size_t partitions_n;
    struct assign_share *shares;
    size_t shares_n;
};

struct assign {
    const struct reeve *zk;
    const char *self;
    struct assign_topic *topics;
    size_t topics_n;
    bool even; // every member subscribes to the same topics with the same streams
};

struct assign_one {
    size_t topic; // index
    int32_t partition, stream;
};

// {"version":1,"subscription":{"t":1},"pattern":"static","timestamp":"123"}. NULL: no memory.
char *assign_registration(const struct reeve *zk, const struct reeve_topic *topics, size_t n,
                          int64_t now_ms);

// A filled in struct is made step by step; any error: assign_fini().
enum reeve_error assign_init(struct assign *a, const struct reeve *zk, const char *self,
                             const struct reeve_topic *topics, size_t n);
void assign_fini(struct assign *a);
// A topic's partitions: 0 to n - 1, or as the JSON of /brokers/topics/<topic> says. MALFORMED.
enum reeve_error assign_count(struct assign *a, size_t topic, int32_t n);
enum reeve_error assign_brokers(struct assign *a, size_t topic, const char *json, size_t n);
// A member of the group with its registration. MALFORMED: it has no part.
enum reeve_error assign_member(struct assign *a, const char *id, const char *json, size_t n);
// What is this member's, in the order of topics and partitions; for kit_free(). BAD_ARGUMENTS:
// round_robin, and not even.
enum reeve_error assign_divide(struct assign *a, bool round_robin, struct assign_one **list,
                               size_t *n);
