// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // wcwidth
#include "cli/line.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/bytes.h"
#include "cli/cli.h"
#include "cli/complete.h"
#include "cli/recall.h"
#include "cli/signals.h"

struct line {
    struct cli *c;
    EditLine *el;
    struct recall *recall;
    struct string prompt;
    size_t prompt_width; // columns
    bool editing, hidden;
    bool dumb;      // the terminal knows no sequences
    bool was_empty; // the line that Ctrl-C took away
    bool end;       // the input ended
    int interrupts; // Ctrl-C in a row at an empty line
};

// ---- what is on the screen ----------------------------------------------------------------------

static size_t width_of(const char *s, size_t n)
{
    size_t width = 0;
    mbstate_t state = {0};
    while (n > 0) {
        wchar_t wc;
        size_t len = mbrtowc(&wc, s, n, &state);
        if (len == 0 || len == (size_t)-1 || len == (size_t)-2) {
            width++;
            len = 1;
            state = (mbstate_t){0};
        } else {
            int w = wcwidth(wc);
            width += w > 0 ? (size_t)w : 0;
        }
        s += len;
        n -= len;
    }
    return width;
}

static size_t columns(const struct line *l)
{
    int n = 0;
    el_get(l->el, EL_GETTC, "co", &n, NULL);
    return n > 0 ? (size_t)n : 80;
}

void line_hide(struct line *l)
{
    if (l == NULL || !l->editing || l->hidden) {
        return;
    }
    const LineInfo *li = el_line(l->el);
    if (l->dumb) {
        fputc('\n', stdout); // there is no way up
        l->hidden = true;
        return;
    }
    size_t at = l->prompt_width + width_of(li->buffer, (size_t)(li->cursor - li->buffer));
    size_t rows = at / columns(l);
    struct string t = {0};
    for (size_t i = 0; i < rows; i++) {
        string_add(&t, "\033[A");
    }
    string_add(&t, "\r\033[J");
    fputs(string_of(&t), stdout);
    fflush(stdout);
    string_fini(&t);
    l->hidden = true;
}

void line_show(struct line *l)
{
    if (l == NULL || !l->hidden) {
        return;
    }
    fflush(stdout);
    l->hidden = false;
    el_set(l->el, EL_REFRESH);
}

// The sequences of colours stand between two \1, so that libedit does not count them.
static void add_color(struct string *t, const char *sequence)
{
    if (*sequence) {
        string_addf(t, "\1%s\1", sequence);
    }
}

static char *prompt(EditLine *el)
{
    struct line *l;
    el_get(el, EL_CLIENTDATA, &l);
    struct cli *c = l->c;
    struct string safe_server = {0}, safe_cwd = {0}, plain = {0};
    const char *server = out_safe(&c->out, c->server, &safe_server);
    const char *cwd = out_safe(&c->out, c->cwd, &safe_cwd);
    const char *state = cli_state_name(c->zk ? c->state : REEVE_STATE_ENDED);
    enum out_color color = cli_connected(c) ? OUT_GREEN
                           : c->state == REEVE_STATE_CONNECTING || c->state == REEVE_STATE_SUSPENDED
                               ? OUT_YELLOW
                               : OUT_RED;
    string_cut(&l->prompt, 0);
    string_addf(&l->prompt, "[%s ", server);
    add_color(&l->prompt, out_color(&c->out, color));
    string_add(&l->prompt, state);
    add_color(&l->prompt, out_color_end(&c->out));
    string_addf(&l->prompt, "] %s> ", cwd);
    string_addf(&plain, "[%s %s] %s> ", server, state, cwd);
    l->prompt_width = width_of(plain.s, plain.len);
    string_fini(&plain);
    string_fini(&safe_server);
    string_fini(&safe_cwd);
    return l->prompt.s;
}

// ---- keys ---------------------------------------------------------------------------------------

// One character of UTF-8 from the terminal. 1, 0: the end, -1 with errno.
static int read_char(wchar_t *wc)
{
    mbstate_t state = {0};
    for (;;) {
        char byte;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n <= 0) {
            return (int)n;
        }
        size_t len = mbrtowc(wc, &byte, 1, &state);
        if (len == (size_t)-2) {
            continue;
        }
        if (len == (size_t)-1) {
            *wc = L'?';
        }
        return 1;
    }
}

// libedit wants a character: waits for one, and for everything else meanwhile.
static int get_char(EditLine *el, wchar_t *wc)
{
    struct line *l;
    el_get(el, EL_CLIENTDATA, &l);
    for (;;) {
        bool readable = cli_turn(l->c, STDIN_FILENO, -1);
        if (l->c->interrupted) {
            const LineInfo *li = el_line(el);
            l->was_empty = li->lastchar == li->buffer;
            errno = EINTR;
            return -1;
        }
        if (signals_take_resize()) {
            el_resize(el);
        }
        if (signals_take_stop()) {
            el_set(el, EL_PREP_TERM, 0);
            signals_stop();
            el_set(el, EL_PREP_TERM, 1);
            el_set(el, EL_REFRESH);
        }
        if (readable) {
            return read_char(wc);
        }
    }
}

static void show_choices(struct line *l, const struct completion *o)
{
    enum { SHOWN_MAX = 200 };
    size_t widest = 1;
    for (size_t i = 0; i < o->n; i++) {
        size_t w = width_of(o->choice[i], strlen(o->choice[i]));
        widest = w > widest ? w : widest;
    }
    size_t per_row = columns(l->c->line) / (widest + 2);
    per_row = per_row ? per_row : 1;
    struct string safe = {0};
    fputc('\n', stdout);
    for (size_t i = 0; i < o->n && i < SHOWN_MAX; i++) {
        const char *s = out_safe(&l->c->out, o->choice[i], &safe);
        bool last = (i + 1) % per_row == 0 || i + 1 == o->n;
        fprintf(stdout, "%s%*s%s", s, last ? 0 : (int)(widest + 2 - width_of(s, strlen(s))), "",
                last ? "\n" : "");
    }
    if (o->n > SHOWN_MAX) {
        fprintf(stdout, "\n... and %zu more\n", o->n - SHOWN_MAX);
    }
    fflush(stdout);
    string_fini(&safe);
}

static unsigned char on_tab(EditLine *el, int ch)
{
    (void)ch;
    struct line *l;
    el_get(el, EL_CLIENTDATA, &l);
    const LineInfo *li = el_line(el);
    size_t len = (size_t)(li->cursor - li->buffer);
    char *before = cli_dup_n(li->buffer, len);
    struct completion o;
    complete(l->c, before, len, &o);
    unsigned char code = CC_NORM;
    if (o.insert[0]) {
        // libedit counts characters, not bytes.
        const char *p = before + len - o.cut;
        size_t chars = mbstowcs(NULL, p, 0);
        if (chars != (size_t)-1) {
            el_deletestr(el, (int)chars);
            el_insertstr(el, o.insert);
        }
        code = CC_REFRESH;
    }
    if (o.n > 1 && !o.insert[0]) {
        show_choices(l, &o);
        code = CC_REDISPLAY;
    } else if (o.n == 0) {
        code = CC_REFRESH_BEEP;
    }
    completion_fini(&o);
    free(before);
    return code;
}

// ---- the history's file -------------------------------------------------------------------------

static char *history_file(void)
{
    const char *named = getenv("REEVE_HISTORY"), *home = getenv("HOME");
    if (named) {
        return named[0] ? cli_dup(named) : NULL;
    }
    return home && home[0] ? cli_path_join(home, ".reeve_history") : NULL;
}

static bool is_secret(const char *text)
{
    return strncmp(text, "addauth", 7) == 0;
}

// ---- life ---------------------------------------------------------------------------------------

struct line *line_new(struct cli *c)
{
    struct line *l = cli_alloc(sizeof(*l));
    l->c = c;
    l->el = el_init("reeve", stdin, stdout, stderr);
    if (l->el == NULL) {
        fputs("reeve: the terminal cannot be used for editing lines\n", stderr);
        exit(1);
    }
    char *file = history_file();
    l->recall = recall_new(file);
    free(file);
    el_set(l->el, EL_CLIENTDATA, l);
    el_set(l->el, EL_EDITOR, "emacs");
    el_set(l->el, EL_PROMPT_ESC, prompt, '\1');
    el_set(l->el, EL_HIST, recall_step, l->recall);
    el_set(l->el, EL_GETCFN, get_char);
    // The narrow el_set() copies these two and never frees them.
    el_wset(l->el, EL_ADDFN, L"reeve-complete", L"Complete a command or a path", on_tab);
    el_set(l->el, EL_BIND, "^I", "reeve-complete", NULL);
    el_set(l->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(l->el, NULL);
    char *clear = NULL;
    el_get(l->el, EL_GETTC, "cd", &clear, NULL);
    l->dumb = clear == NULL || clear[0] == '\0';
    return l;
}

void line_free(struct line **l)
{
    if (*l == NULL) {
        return;
    }
    el_end((*l)->el);
    recall_free(&(*l)->recall);
    string_fini(&(*l)->prompt);
    free(*l);
    *l = NULL;
}

// A line without its newline, to be freed; NULL: Ctrl-C, or the end of the input.
static char *read_line(struct line *l)
{
    int n = 0;
    l->c->interrupted = false;
    l->editing = true;
    signals_hold_stop(true);
    const char *s = el_gets(l->el, &n);
    signals_hold_stop(false);
    l->editing = false;
    l->hidden = false;
    if (s == NULL || n <= 0) {
        l->end = !l->c->interrupted;
        return NULL;
    }
    size_t len = strlen(s);
    return cli_dup_n(s, len && s[len - 1] == '\n' ? len - 1 : len);
}

static void on_interrupt(struct line *l)
{
    if (l->c->quit) {
        fputc('\n', stdout); // asked to end by a signal
        return;
    }
    l->interrupts = l->was_empty ? l->interrupts + 1 : 0;
    if (l->interrupts > 1) {
        l->c->quit = true;
        l->c->quit_code = CLI_INTERRUPTED;
    }
    fputs(l->interrupts == 1 ? "^C (once more ends the shell)\n" : "^C\n", stdout);
    fflush(stdout);
}

static void run_one(struct line *l, const char *text)
{
    recall_add(l->recall, text, !is_secret(text));
    l->interrupts = 0; // at the prompt; what ends a command is not meant for the shell
    if (cli_run_line(l->c, text) == CLI_INTERRUPTED) {
        fputc('\n', stdout);
        fflush(stdout);
    }
}

int line_run(struct line *l)
{
    while (!l->c->quit) {
        char *text = read_line(l);
        if (text) {
            run_one(l, text);
            free(text);
        } else if (l->end) {
            fputc('\n', stdout);
            break;
        } else {
            on_interrupt(l);
        }
    }
    return l->c->quit_code;
}
