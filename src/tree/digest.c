// SPDX-License-Identifier: Apache-2.0
//
// The tree digest, version 2: the sum of a 32-bit CRC per node. DigestCalculator, DataTree.
#include "base/endian.h"
#include "tree/node.h"
#include "wire/txn.h"

enum { STAT_LEN = 60 };

uint32_t digest_crc(struct slice path_stored, struct slice data)
{
    return hash_crc32(hash_crc32(HASH_CRC_INIT, path_stored), data);
}

uint32_t digest_node(uint32_t crc, const struct digest_stat *s)
{
    uint8_t b[STAT_LEN];
    be64_put(b, (uint64_t)s->czxid);
    be64_put(b + 8, (uint64_t)s->mzxid);
    be64_put(b + 16, (uint64_t)s->pzxid);
    be64_put(b + 24, (uint64_t)s->ctime);
    be64_put(b + 32, (uint64_t)s->mtime);
    be32_put(b + 40, (uint32_t)s->version);
    be32_put(b + 44, (uint32_t)s->cversion);
    be32_put(b + 48, (uint32_t)s->aversion);
    be64_put(b + 52, (uint64_t)s->owner);
    return hash_crc32(crc, slice_of(b, STAT_LEN));
}

// The first is loud, then every doubling: one early difference repeats in all that follow.
static void mismatch(struct tree *t, int64_t zxid, uint64_t expected)
{
    int64_t n = ++t->mismatches;
    if ((n & (n - 1)) == 0) {
        log_error(&t->log,
                  "tree digest differs after zxid 0x%llx: %llu here, %llu expected (%lld times so "
                  "far). This server's data may have diverged: compare it with the other servers, "
                  "and let it fetch a snapshot by emptying its data directory",
                  (unsigned long long)zxid, (unsigned long long)t->digest,
                  (unsigned long long)expected, (long long)n);
    }
}

void digest_applied(struct tree *t, int64_t zxid, bool has, int32_t version, uint64_t digest)
{
    if (!t->cfg.digest_enabled) {
        return;
    }
    if (t->target_set) {
        if (zxid >= t->target.zxid) {
            t->target_set = false;
        }
        if (zxid == t->target.zxid && t->digest != t->target.digest) {
            mismatch(t, zxid, t->target.digest);
        }
    } else if (has && version == TXN_DIGEST_VERSION && digest != t->digest) {
        mismatch(t, zxid, digest);
    }
    if (zxid % DIGEST_LOG_STEP == 0) {
        t->points[t->points_at] = (struct digest_point){zxid, t->digest};
        t->points_at = (t->points_at + 1) % DIGEST_LOG_MAX;
        t->points_n += t->points_n < DIGEST_LOG_MAX;
    }
}

size_t tree_digest_log(const struct tree *t, struct digest_point *v, size_t max)
{
    size_t n = t->points_n < max ? t->points_n : max;
    for (size_t i = 0; i < n; i++) {
        v[i] = t->points[(t->points_at + DIGEST_LOG_MAX - n + i) % DIGEST_LOG_MAX];
    }
    return n;
}

int64_t tree_digest_mismatches(const struct tree *t)
{
    return t->mismatches;
}

uint64_t tree_digest(const struct tree *t)
{
    return t->digest;
}
