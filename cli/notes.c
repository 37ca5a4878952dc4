// SPDX-License-Identifier: Apache-2.0
#include "cli/notes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli/mem.h"

struct notes {
    pthread_mutex_t lock;
    struct note *first, **last;
    size_t events, events_lost;
    int fd;
    char log[512];
};

struct notes *notes_new(void)
{
    struct notes *n = cli_alloc(sizeof(*n));
    n->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (n->fd < 0) {
        perror("reeve: eventfd");
        exit(1);
    }
    pthread_mutex_init(&n->lock, NULL);
    n->last = &n->first;
    return n;
}

void notes_free(struct notes **n)
{
    if (*n == NULL) {
        return;
    }
    struct note *note;
    size_t lost;
    while ((note = notes_get(*n, &lost)) != NULL) {
        note_free(&note);
    }
    close((*n)->fd);
    pthread_mutex_destroy(&(*n)->lock);
    free(*n);
    *n = NULL;
}

int notes_fd(const struct notes *n)
{
    return n->fd;
}

void notes_wake(int fd)
{
    uint64_t one = 1;
    ssize_t done = write(fd, &one, sizeof(one));
    (void)done; // full: it is readable already
}

void notes_put(struct notes *n, struct note *note)
{
    note->next = NULL;
    pthread_mutex_lock(&n->lock);
    if (note->kind == NOTE_EVENT && n->events >= NOTES_EVENTS_MAX) {
        n->events_lost++;
    } else {
        n->events += note->kind == NOTE_EVENT;
        *n->last = note;
        n->last = &note->next;
        note = NULL;
    }
    pthread_mutex_unlock(&n->lock);
    note_free(&note);
    notes_wake(n->fd);
}

struct note *notes_get(struct notes *n, size_t *events_lost)
{
    uint64_t count;
    ssize_t done = read(n->fd, &count, sizeof(count));
    (void)done;
    pthread_mutex_lock(&n->lock);
    struct note *note = n->first;
    if (note) {
        n->first = note->next;
        if (n->first == NULL) {
            n->last = &n->first;
        }
        n->events -= note->kind == NOTE_EVENT;
    }
    *events_lost = n->events_lost;
    n->events_lost = 0;
    pthread_mutex_unlock(&n->lock);
    return note;
}

void note_free(struct note **note)
{
    if (*note == NULL) {
        return;
    }
    if ((*note)->result.memory) {
        reeve_result_fini(&(*note)->result);
    }
    free((*note)->event.path);
    free((*note)->state.server);
    free((*note)->state.why);
    free(*note);
    *note = NULL;
}

void notes_put_log(struct notes *n, const char *line)
{
    pthread_mutex_lock(&n->lock);
    snprintf(n->log, sizeof(n->log), "%s", line);
    pthread_mutex_unlock(&n->lock);
}

void notes_get_log(struct notes *n, char *line, size_t size)
{
    pthread_mutex_lock(&n->lock);
    snprintf(line, size, "%s", n->log);
    pthread_mutex_unlock(&n->lock);
}
