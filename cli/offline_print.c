// SPDX-License-Identifier: Apache-2.0
#include "cli/offline_print.h"

#include <stdarg.h>

enum { OUT_BYTES = 64 * 1024 };

bool offline_print_open(struct offline_print *p, const struct offline_shell *sh)
{
    *p = (struct offline_print){.sh = sh};
    if (offline_open(&p->o)) {
        offline_print_say(p, "the system gives no event loop");
        return false;
    }
    return true;
}

void offline_print_close(struct offline_print *p)
{
    buf_fini(&p->out);
    offline_close(&p->o);
}

void offline_print_say(struct offline_print *p, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    p->sh->say(p->sh->ctx, line);
}

void offline_print_fail(struct offline_print *p, const char *path, enum err e)
{
    struct buf text = {0};
    offline_failure(&p->o, path, e, &text);
    offline_print_say(p, "%.*s", SLICE_ARG(buf_slice(&text)));
    buf_fini(&text);
    p->failed = true;
}

void offline_print_flush(struct offline_print *p)
{
    fwrite(buf_slice(&p->out).p, 1, p->out.n, p->sh->out);
    buf_clear(&p->out);
    if (ferror(p->sh->out)) {
        p->stop = p->failed = true;
    }
}

void offline_print_flush_much(struct offline_print *p)
{
    if (p->out.n > OUT_BYTES) {
        offline_print_flush(p);
    }
}
