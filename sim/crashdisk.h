// SPDX-License-Identifier: Apache-2.0
//
// struct crashdisk: the disk of one simulated machine, with what a real one forgets.
//
// Every file has two contents: what programs see, and what has been synced. A power cut keeps the
// synced one and, per 512-byte sector, some of the writes since, in any combination; the size may
// or may not have followed. Creates, renames and unlinks stand in a journal until sync_dir; a power
// cut keeps a prefix of it, or any subset. A killed process loses nothing but its open files.
//
// Faults: a power cut after N more file calls (from then on each returns ERR_CRASHED), a capacity,
// a rate of I/O errors, and syncs that lie (a planted bug).
//
// Contents that can only grow wrong here are bounded by what the server writes: the simulator's
// configuration keeps preallocation small.
#pragma once

#include "base/err.h"
#include "base/rng.h"
#include "base/slice.h"
#include "env.h"

struct crashdisk;

struct crashdisk *crashdisk_new(struct rng *rng);
void crashdisk_free(struct crashdisk **d);

// The machine is down: files closed, locks gone. power: what was not synced is at risk.
void crashdisk_down(struct crashdisk *d, bool power);
void crashdisk_up(struct crashdisk *d);
bool crashdisk_is_down(const struct crashdisk *d);
// Power fails at the ops-th file call from now; 0: it does not.
void crashdisk_crash_after(struct crashdisk *d, uint64_t ops);
void crashdisk_set_capacity(struct crashdisk *d, uint64_t bytes); // UINT64_MAX: endless
uint64_t crashdisk_used(const struct crashdisk *d);
bool crashdisk_refused(struct crashdisk *d); // a write found no space since the last call of this
void crashdisk_set_errors(struct crashdisk *d, uint32_t one_in); // 0: never
void crashdisk_set_lying(struct crashdisk *d, bool lying);       // plant: sync does nothing

// The calls of env_ops.
enum err crashdisk_open(struct crashdisk *d, const char *path, unsigned flags, int *fd);
void crashdisk_close(struct crashdisk *d, int fd);
enum err crashdisk_size(struct crashdisk *d, int fd, uint64_t *size);
enum err crashdisk_read(struct crashdisk *d, int fd, uint64_t off, void *p, size_t n, size_t *got);
enum err crashdisk_write(struct crashdisk *d, int fd, uint64_t off, const void *p, size_t n);
enum err crashdisk_sync(struct crashdisk *d, int fd);
enum err crashdisk_truncate(struct crashdisk *d, int fd, uint64_t size);
enum err crashdisk_rename(struct crashdisk *d, const char *from, const char *to);
enum err crashdisk_unlink(struct crashdisk *d, const char *path);
enum err crashdisk_sync_dir(struct crashdisk *d, const char *dir);
enum err crashdisk_list(struct crashdisk *d, const char *dir,
                        void (*each)(void *ctx, const char *name, uint64_t size), void *ctx);
enum err crashdisk_lock(struct crashdisk *d, const char *path);
enum err crashdisk_free_space(struct crashdisk *d, uint64_t *bytes);

// For checkers and plants, past every fault: the content programs see; null if there is no such
// file. Good until the next call that changes the file.
struct slice crashdisk_peek(struct crashdisk *d, const char *path);
void crashdisk_each(struct crashdisk *d, const char *dir,
                    void (*each)(void *ctx, const char *name, uint64_t size), void *ctx);
void crashdisk_poke(struct crashdisk *d, const char *path, uint64_t off, uint8_t byte, size_t n);
// Every file whose path begins like this is gone, for good.
void crashdisk_lose(struct crashdisk *d, const char *prefix);
