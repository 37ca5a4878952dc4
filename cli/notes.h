// SPDX-License-Identifier: Apache-2.0
//
// What the library's thread has to tell the main thread: answers, watch events, states of the
// session. A queue with a lock, and a descriptor that is readable when something is in it. Signals
// wake the same descriptor.
//
// Answers and states are never dropped (requests under way are bounded by who makes them). Events
// are bounded: over NOTES_EVENTS_MAX they are only counted.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reeve/reeve.h"

enum { NOTES_EVENTS_MAX = 10000 };

enum note_kind { NOTE_ANSWER, NOTE_EVENT, NOTE_STATE };

struct note {
    struct note *next;
    enum note_kind kind;
    struct reeve_result result; // ANSWER: a copy, to be given to reeve_result_fini()
    void *ctx;                  // ANSWER: the caller's
    struct {                    // EVENT
        enum reeve_event_type type;
        enum reeve_watch_kind kind;
        enum reeve_error why;
        char *path;
    } event;
    struct { // STATE
        enum reeve_state state;
        int64_t id;
        int32_t timeout_ms;
        bool renewed;
        char *server, *why;
    } state;
};

struct notes;
struct notes *notes_new(void);
void notes_free(struct notes **n);
int notes_fd(const struct notes *n); // readable: something is in it, or notes_wake()
void notes_wake(int fd);             // also from a signal handler

// From any thread; takes the note over.
void notes_put(struct notes *n, struct note *note);
// The oldest, NULL: none. To be given to note_free(). events_lost: how many were only counted
// since the last call.
struct note *notes_get(struct notes *n, size_t *events_lost);
void note_free(struct note **note);

// The library's last word about connecting, from its log: kept for sentences.
void notes_put_log(struct notes *n, const char *line);
void notes_get_log(struct notes *n, char *line, size_t size);
