// SPDX-License-Identifier: Apache-2.0
//
// A lane: one thread that runs jobs one at a time, in the order they came. Finished jobs gather
// until the core thread takes them; it is woken once for all that finished since it last looked.
//
// A durable write waits for this hand-over twice (there and back), so it is one futex wake and one
// eventfd write; nothing is signalled to a side that is awake.
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "os/os.h"

// Takes the oldest job, waiting for one; NULL: stop. The mutex is held.
static struct env_job *next(struct lane *l)
{
    while (l->todo_n == 0) {
        if (l->stop) {
            return NULL;
        }
        l->idle = true;
        pthread_cond_wait(&l->wake, &l->mutex);
        l->idle = false;
    }
    struct env_job *job = l->todo[0];
    l->todo_n--;
    // A queue holds a few jobs: each owner has at most some in flight.
    memmove(l->todo, l->todo + 1, l->todo_n * sizeof(struct env_job *));
    return job;
}

static void *work(void *arg)
{
    struct lane *l = arg;
    (void)!setpriority(PRIO_PROCESS, 0, l->nice); // of this thread alone, on Linux
    pthread_mutex_lock(&l->mutex);
    for (;;) {
        struct env_job *job = next(l);
        if (!job) {
            break;
        }
        pthread_mutex_unlock(&l->mutex);
        job->run(job);
        pthread_mutex_lock(&l->mutex);
        mem_grow((void **)&l->done, &l->done_cap, l->done_n + 1, sizeof(struct env_job *));
        l->done[l->done_n++] = job;
        if (l->done_n == 1) {
            pthread_mutex_unlock(&l->mutex);
            uv_async_send(&l->e->job_done);
            pthread_mutex_lock(&l->mutex);
        }
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

enum err lane_start(struct lane *l, struct env_uv *e, int nice)
{
    *l = (struct lane){.e = e, .nice = nice};
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->wake, NULL);
    // Signals are the core thread's.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&l->thread, NULL, work, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r) {
        log_error(&e->env.log, "cannot start a thread: %s", strerror(r));
        return ERR_IO;
    }
    l->started = true;
    return ERR_OK;
}

void lane_stop(struct lane *l)
{
    if (!l->started) {
        return;
    }
    pthread_mutex_lock(&l->mutex);
    l->stop = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->mutex);
    pthread_join(l->thread, NULL);
    l->started = false;
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->mutex);
    mem_free(l->todo);
    mem_free(l->done);
}

void lane_put(struct lane *l, struct env_job *job)
{
    pthread_mutex_lock(&l->mutex);
    mem_grow((void **)&l->todo, &l->todo_cap, l->todo_n + 1, sizeof(struct env_job *));
    l->todo[l->todo_n++] = job;
    bool idle = l->idle;
    pthread_mutex_unlock(&l->mutex);
    if (idle) {
        pthread_cond_signal(&l->wake);
    }
}

void lane_take_done(struct lane *l, struct env_job ***done, size_t *n, size_t *cap)
{
    pthread_mutex_lock(&l->mutex);
    struct env_job **v = l->done;
    size_t v_n = l->done_n, v_cap = l->done_cap;
    l->done = *done;
    l->done_n = 0;
    l->done_cap = *cap;
    pthread_mutex_unlock(&l->mutex);
    *done = v;
    *n = v_n;
    *cap = v_cap;
}
