// SPDX-License-Identifier: Apache-2.0
//
// Sharing partitions among the members of a group, as Kafka's ZooKeeper-based consumers do (0.8 and
// 0.9): members and partitions come and go, and each partition has one owner. A C program and a
// Kafka consumer of that age can be in one group.
//
// Layout: /consumers/<group>/ids/<member>: ephemeral, what the member subscribes to;
// /consumers/<group>/owners/<topic>/<partition>: ephemeral, "<member>-<stream>";
// /consumers/<group>/offsets/<topic>/<partition>: a decimal number. Topics' partitions are taken
// from /brokers/topics/<topic>, or given by the caller. All parents are persistent.
//
// What is guaranteed: a partition is assigned to a member only while its owner node is there and
// belongs to the member's session, so no two members of a group have it at one time; one that is
// moved is first revoked, and released only when its member has answered. A lost session is told
// (LOST) before the server could give the partitions to others. All members reckon the same
// division from the same data, and settle whenever nothing changes for a while.
// What is not: a process that is stopped (or whose clock stands) for longer than its session lives
// may act on a partition that has a new owner until it learns of it. Where that matters, give the
// partition's czxid along with each write: it grows with each owner (fencing).
//
// Kafka releases everything at each change; this member keeps what stays its own. In groups with
// Kafka's consumers answer REVOKED within Kafka's patience (rebalance.max.retries times
// rebalance.backoff.ms: 8 s).
//
// Threads, memory, errors: as in reeve.h; callbacks come on the loop's thread.
#pragma once

#include "reeve/reeve.h"

#ifdef __cplusplus
extern "C" {
#endif

struct reeve_partitions; // a member

struct reeve_topic {
    const char *name;
    int32_t streams;    // how many shares this member takes: 1
    int32_t partitions; // how many there are; 0: as /brokers/topics says, following its changes
};

struct reeve_partition {
    const char *topic;
    int32_t partition;
    int32_t stream; // 0 to streams - 1
    int64_t czxid;  // of the owner node
};

enum reeve_partition_what {
    REEVE_PARTITIONS_ASSIGNED, // they are this member's now
    REEVE_PARTITIONS_REVOKED,  // finish with them, commit, and call reeve_partition_released()
    REEVE_PARTITIONS_LOST,     // they are not this member's any more; nothing is to be answered
    // Something does not work (`error`). Tried again soon, or when the connection is next made.
    REEVE_PARTITIONS_FAILED
};

struct reeve_partition_event {
    enum reeve_partition_what what;
    const struct reeve_partition *list;
    size_t n;
    uint64_t answer; // REVOKED: for reeve_partition_released()
    enum reeve_error error;
};
typedef void reeve_partition_fn(void *ctx, const struct reeve_partition_event *ev);

struct reeve_partition_options {
    const char *root;    // "/consumers"
    const char *brokers; // "/brokers"
    const char *id;      // of the member: "<group>_<host>-<ms>-<8 digits>", as Kafka draws it
    // Kafka's RoundRobinAssignor instead of its RangeAssignor; as there, all members must subscribe
    // to the same topics with the same numbers of streams (else FAILED, BAD_ARGUMENTS).
    bool round_robin;
    // Who may do what with the nodes that are made, missing parents included; NULL: everybody
    // everything. Copied. BAD_ARGUMENTS: a list without entries.
    const struct reeve_acl *acl;
    size_t acl_n;
};

// Joins a group. BAD_ARGUMENTS, NO_MEMORY, CLOSED. Everything is copied.
REEVE_API enum reeve_error reeve_partition_join(struct reeve_partitions **m, struct reeve *zk,
                                                const char *group, const struct reeve_topic *topics,
                                                size_t topics_n, reeve_partition_fn *fn, void *ctx,
                                                const struct reeve_partition_options *o);
// Leaves: everything is released in the background, so be done with it before. fn is not called any
// more once this returns (on the loop's thread; elsewhere a call may be under way).
REEVE_API void reeve_partition_leave(struct reeve_partitions **m);
// The answer to a REVOKED; from any thread, also from the callback. NO_MEMORY: ask again.
REEVE_API enum reeve_error reeve_partition_released(struct reeve_partitions *m, uint64_t answer);
// The member's id.
REEVE_API const char *reeve_partition_id(const struct reeve_partitions *m);

typedef void reeve_offset_fn(void *ctx, enum reeve_error e, int64_t offset);
// Writes the group's offset of a partition that this member owns (until it answers REVOKED), in one
// step with a check that it does. NO_NODE: it does not; SESSION_EXPIRED; the server's.
REEVE_API enum reeve_error reeve_partition_commit_async(struct reeve_partitions *m,
                                                        const char *topic, int32_t partition,
                                                        int64_t offset, reeve_offset_fn *done,
                                                        void *ctx);
REEVE_API enum reeve_error reeve_partition_commit(struct reeve_partitions *m, const char *topic,
                                                  int32_t partition, int64_t offset);
// The group's offset; -1: none was committed. After ASSIGNED it has what the last owner committed.
// MALFORMED: it is no number.
REEVE_API enum reeve_error reeve_partition_fetch_async(struct reeve_partitions *m,
                                                       const char *topic, int32_t partition,
                                                       reeve_offset_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_partition_fetch(struct reeve_partitions *m, const char *topic,
                                                 int32_t partition, int64_t *offset);

#ifdef __cplusplus
}
#endif
