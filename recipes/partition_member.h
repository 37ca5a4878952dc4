// SPDX-License-Identifier: Apache-2.0
//
// A member of a group from the inside: partition.c moves it, partition_offset.c reads and writes
// offsets for it.
#pragma once

#include "reeve/partition.h"

#include "recipes/discovery_keep.h"
#include "recipes/discovery_kids.h"

// The hold of this member on one partition.
//
//     WANTED --node made--> HELD --told ASSIGNED--> OWNED --told REVOKED--> REVOKED
//     any of them --node lost, not wanted, or answered--> LEAVING --node gone--> (freed)
struct claim {
    struct keep keep; // first: the owner node
    struct claim *next;
    size_t topic; // index
    int32_t partition, stream;
    enum { CLAIM_WANTED, CLAIM_HELD, CLAIM_OWNED, CLAIM_REVOKED, CLAIM_LEAVING } state;
    bool wanted;  // by the last division
    bool settled; // WANTED: the server has been heard: somebody else holds it, or an error
};

struct member {
    struct kit_object o; // first
    reeve_partition_fn *fn;
    void *ctx;
    bool round_robin;
    char *group, *id;
    char *ids_path, *owners_path, *offsets_path;
    struct reeve_topic *topics;
    size_t topics_n;
    struct keep self;            // ids/<id>
    bool self_there, self_known; // now; once
    struct kids members;         // ids
    struct kids brokers;         // the topics' partitions
    struct claim *claims;
    uint64_t answer; // of the revocation that is under way
    bool revoking;
    bool due;                     // the division is to be reckoned anew
    bool soon;                    // a message for it is under way
    struct reeve_partition *list; // room for an event
    size_t list_cap;
    struct kit_timer again;
    enum reeve_error failed; // told
};

// The claim on which this member may write offsets, or NULL.
struct claim *member_owned(struct member *m, const char *topic, int32_t partition);
// <base>/<topic>/<partition>, or NULL.
char *member_path(const struct member *m, const char *base, const char *topic, int32_t partition);
