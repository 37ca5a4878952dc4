// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a snapshot file that is loaded into a tree. The first byte picks plain, gzip or
// snappy, and (bit 2) whether the bytes are only the inside, which then gets header, end and a
// right seal, so that trees of any shape are tried. A tree that loads must hold its invariants, and
// loads again from our own snapshot of it as the same tree.
#include "base/hash.h"
#include "base/must.h"
#include "disk/snapload.h"
#include "test/support/disk_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err load(struct slice file, enum disk_compression packed, struct tree *t)
{
    struct fake_env *f = fake_env_new(1);
    char name[DISK_NAME_MAX], path[128] = DKIT_V2 "/";
    disk_name_snapshot(name, 1, packed);
    memcpy(path + strlen(path), name, strlen(name) + 1);
    fake_env_plant(f, path, file);
    struct disk_file df;
    struct snapload sl;
    disk_name_parse(name, &df);
    enum err e = snapshot_load(&f->env, DKIT_V2, &df, t, &sl);
    must(e || sl.nodes > 0);
    must(!e || sl.why != NULL);
    fake_env_free(&f);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct logger quiet;
    if (size == 0) {
        return 0;
    }
    struct buf file = {0};
    struct slice inside = slice_of(data + 1, size - 1);
    bool sealed = data[0] & 4;
    if (sealed) {
        snapfile_put_header(&file);
    }
    buf_put_slice(&file, inside);
    if (sealed) {
        jute_put_bytes(&file, SLICE_LIT("/"));
        snapfile_put_seal(&file, hash_adler32(HASH_ADLER_INIT, buf_slice(&file)));
    }
    struct tree *t = dkit_tree(&quiet), *again = dkit_tree(&quiet);
    enum disk_compression packed = sealed ? DISK_PLAIN : (enum disk_compression)((data[0] & 3) % 3);
    if (load(buf_slice(&file), packed, t) == ERR_OK) {
        tree_check(t);
        struct buf ours = {0};
        dkit_snapshot(t, &ours);
        must(load(buf_slice(&ours), DISK_PLAIN, again) == ERR_OK);
        must(tree_digest(t) == tree_digest(again));
        must(tree_node_count(t) == tree_node_count(again));
        buf_fini(&ours);
    }
    tree_free(&t);
    tree_free(&again);
    buf_fini(&file);
    return 0;
}
