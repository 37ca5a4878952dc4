// SPDX-License-Identifier: Apache-2.0
//
// struct plain: the plain bytes of a snapshot file, whatever it is packed with, from front to back
// through a window. Blocking; before the loop or inside a job.
#pragma once

#include "disk/names.h"
#include "disk/pack.h"
#include "disk/window.h"

struct plain {
    struct window w;
    struct unpack *unpack; // NULL: the window's bytes are plain
    struct buf unpacked;
    size_t from; // unused bytes of unpacked
    bool file_end;
};

must_check enum err plain_open(struct plain *in, struct env *env, const char *dir,
                               const struct disk_file *file);
void plain_close(struct plain *in); // fine on a zeroed struct
struct slice plain_slice(const struct plain *in);
void plain_skip(struct plain *in, size_t n);
// More bytes behind the unused ones. *end: none will come. ERR_CUT, ERR_CORRUPT: the packing is
// damaged.
must_check enum err plain_more(struct plain *in, bool *end);
