// SPDX-License-Identifier: Apache-2.0
//
// The election's steps. Every NOTE is first answered if it must be (what Java's WorkerReceiver
// does), then, while LOOKING, given to the loop (lookForLeader). The own vote is counted like
// everybody's, at the end of the step. Where this differs from Java, on the same wire:
//
// - The interval between sends begins anew when the election gets on (a new round, a voter's first
//   word), so that a server that waited for minutes does not sleep through the moment.
// - While finalizing, words of servers with roles still count, and votes of an older round are not
//   taken for better ones.
// - A word of a voter that looks already, heard just before this server does, counts when it does.
// - Finalizing ends at once when every voter agrees or is known to be down: nothing better can
// come.
#include "fle/fle.h"

#include "base/must.h"
#include "fle/fle_internal.h"

enum { EARLY_MS = 500 };

struct fle *fle_new(const struct fle_settings *s)
{
    must(s->wait_min_ms > 0);
    must(s->wait_max_ms >= s->wait_min_ms);
    must(s->finalize_wait_ms >= 0);
    struct fle *f = mem_zalloc(sizeof(*f));
    f->settings = *s;
    return f;
}

void fle_free(struct fle **f)
{
    if (*f) {
        members_free(&(*f)->committed);
        members_free(&(*f)->last_seen);
        members_free(&(*f)->heard);
        buf_fini(&(*f)->text);
        mem_free((*f)->actions);
        mem_free(*f);
        *f = NULL;
    }
}

static void act(struct fle *f, struct fle_action a)
{
    mem_grow((void **)&f->actions, &f->actions_cap, f->actions_n + 1, sizeof(*f->actions));
    f->actions[f->actions_n++] = a;
}

// The one place where the state changes. Looking can begin in any state; a role comes out of
// looking, or out of a reconfiguration in any state.
static void become(struct fle *f, enum note_state s)
{
    must(s < NOTE_STATE_UNKNOWN);
    f->state = s;
    f->finalizing = false;
    f->quiet = false;
    f->halted = false;
    f->recvset.n = 0;
    f->outofelection.n = 0;
    f->lost_is_down = false;
}

static enum note_state role_under(const struct fle *f, int64_t leader)
{
    if (leader == f->settings.sid) {
        return NOTE_LEADING;
    }
    return members_is_observer(f->committed, f->settings.sid) ? NOTE_OBSERVING : NOTE_FOLLOWING;
}

// ---- sending ------------------------------------------------------------------------------------

static struct note make_note(const struct fle *f, const struct fle_vote *v)
{
    return (struct note){.state = f->state,
                         .leader = v->leader,
                         .zxid = v->zxid,
                         .election_epoch = v->election_epoch,
                         .peer_epoch = v->peer_epoch,
                         .version = NOTE_VERSION,
                         .config = buf_slice(&f->text)};
}

static void send_proposal(struct fle *f, int64_t sid)
{
    if (sid != f->settings.sid) { // the own vote is counted by settle()
        act(f, (struct fle_action){.type = FLE_SEND, .sid = sid, .note = &f->out_looking});
    }
}

// Java's sendNotifications: to the voters of both memberships.
static void send_to_all(struct fle *f)
{
    for (size_t c = 0; c < f->quorum.n; c++) {
        const struct members *m = f->quorum.of[c];
        for (size_t i = 0; i < m->voters_n; i++) {
            if (c == 0 || !members_is_voter(f->quorum.of[0], m->voters[i])) {
                send_proposal(f, m->voters[i]);
            }
        }
    }
}

static void answer(struct fle *f, int64_t sid, const struct fle_vote *v)
{
    f->out_answer = make_note(f, v);
    act(f, (struct fle_action){.type = FLE_SEND, .sid = sid, .note = &f->out_answer});
}

// ---- the loop -----------------------------------------------------------------------------------

static void propose(struct fle *f, const struct fle_vote *v)
{
    f->proposal = *v;
    f->proposal.election_epoch = f->clock;
    f->out_looking = make_note(f, &f->proposal);
}

static void restart_interval(struct fle *f, struct mono now)
{
    f->wait_ms = f->settings.wait_min_ms;
    if (!f->finalizing) {
        f->deadline = mono_add_ms(now, f->wait_ms);
    }
}

static void remember_supporters(struct fle *f, const struct fle_words *w,
                                const struct fle_word *word)
{
    f->elected_by_n = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (fle_agrees(word, &w->of[i])) {
            f->elected_by[f->elected_by_n++] = w->of[i].sid;
        }
    }
}

// FastLeaderElection.tla's leave of the loop; Java's setPeerState and leaveInstance.
static void elect(struct fle *f, const struct fle_words *w, const struct fle_word *word)
{
    remember_supporters(f, w, word);
    f->clock = word->vote.election_epoch;
    f->current = word->vote;
    become(f, role_under(f, word->vote.leader));
    act(f, (struct fle_action){.type = FLE_ELECTED, .state = f->state, .vote = f->current});
}

static struct fle_word own_word(const struct fle *f)
{
    return (struct fle_word){f->settings.sid, f->proposal, NOTE_LOOKING, false};
}

static bool is_for_proposal(const struct fle *f, const struct fle_word *word)
{
    struct fle_word own = own_word(f);
    return fle_agrees(&own, word);
}

// Counts the own vote and the votes equal to it: FastLeaderElection.tla HasQuorums.
static void settle(struct fle *f, struct mono now)
{
    if (f->state != NOTE_LOOKING || f->halted || f->initial.zxid == -1) {
        return;
    }
    struct fle_word own = own_word(f);
    if (quorum_has_voter(&f->quorum, own.sid)) {
        fle_words_put(&f->recvset, &own);
    }
    if (!f->finalizing && fle_words_carry(f, &f->recvset, &own)) {
        f->finalizing = true;
        f->deadline = mono_add_ms(now, f->settings.finalize_wait_ms);
    }
    if (f->finalizing && fle_words_unanimous(f, &f->recvset, &own)) {
        elect(f, &f->recvset, &own);
    }
}

// A notification of a voter that is LOOKING. FastLeaderElection.tla ReceiveNotmsg with
// LOOKING; Java's case LOOKING.
static void on_looking(struct fle *f, const struct fle_word *word, struct mono now)
{
    int64_t round = word->vote.election_epoch;
    if (f->initial.zxid == -1 || word->vote.zxid == -1 || round < f->clock) {
        return;
    }
    bool better = fle_beats(f, &word->vote, &f->proposal);
    if (round > f->clock) {
        if (f->finalizing && !better) {
            return;
        }
        f->finalizing = false;
        f->clock = round;
        f->recvset.n = 0;
        propose(f, fle_beats(f, &word->vote, &f->initial) ? &word->vote : &f->initial);
        send_to_all(f);
        restart_interval(f, now);
    } else if (better) {
        f->finalizing = false;
        propose(f, &word->vote);
        send_to_all(f);
        restart_interval(f, now);
    } else if (f->finalizing && !is_for_proposal(f, word)) {
        return;
    } else if (!fle_words_get(&f->recvset, word->sid)) {
        restart_interval(f, now);
    }
    fle_words_put(&f->recvset, word);
}

// The leader must have said so itself, or be this server in this round. Java's checkLeader.
static bool leader_confirms(const struct fle *f, const struct fle_words *w,
                            const struct fle_vote *v)
{
    if (v->leader == f->settings.sid) {
        return f->clock == v->election_epoch;
    }
    const struct fle_word *said = fle_words_get(w, v->leader);
    return said && said->state == NOTE_LEADING;
}

// A notification of a voter that has a role. Java's cases FOLLOWING and LEADING. In recvset its
// word counts as one without version, as it does there.
static void on_settled(struct fle *f, const struct fle_word *word)
{
    if (word->vote.election_epoch == f->clock && (!f->finalizing || is_for_proposal(f, word))) {
        struct fle_word bare = *word;
        bare.versioned = false;
        fle_words_put(&f->recvset, &bare);
        if (fle_words_carry(f, &f->recvset, word) && leader_confirms(f, &f->recvset, &word->vote)) {
            elect(f, &f->recvset, word);
            return;
        }
    }
    fle_words_put(&f->outofelection, word);
    if (fle_words_carry(f, &f->outofelection, word) &&
        leader_confirms(f, &f->outofelection, &word->vote)) {
        elect(f, &f->outofelection, word);
    }
}

static struct fle_word word_of(int64_t sid, const struct note *n)
{
    return (struct fle_word){
        sid, {n->leader, n->zxid, n->election_epoch, n->peer_epoch}, n->state, n->version > 0};
}

static void consider(struct fle *f, int64_t sid, const struct note *n, struct mono now)
{
    if (!quorum_has_voter(&f->quorum, n->leader)) {
        return;
    }
    struct fle_word word = word_of(sid, n);
    switch (n->state) {
    case NOTE_LOOKING:
        on_looking(f, &word, now);
        break;
    case NOTE_FOLLOWING:
    case NOTE_LEADING:
        on_settled(f, &word);
        break;
    case NOTE_OBSERVING:
    case NOTE_STATE_UNKNOWN:
        break;
    }
}

// ---- events -------------------------------------------------------------------------------------

static void on_members(struct fle *f, const struct fle_event *ev)
{
    const struct members *committed = ev->members.committed, *last_seen = ev->members.last_seen;
    must(ev->members.restart || !f->started || f->state != NOTE_LOOKING ||
         members_equal(committed, f->committed));
    struct members *c = members_copy(committed);
    struct members *l =
        last_seen && last_seen->version > committed->version ? members_copy(last_seen) : NULL;
    members_free(&f->committed);
    members_free(&f->last_seen);
    f->committed = c;
    f->last_seen = l;
    quorum_init(&f->quorum, c, l);
    buf_clear(&f->text);
    members_fmt(&f->text, c, MEMBERS_WIRE);
    if (ev->members.restart) {
        f->clock = 0;
        f->halted = f->started && f->state == NOTE_LOOKING;
    }
    if (f->started && f->state == NOTE_LOOKING && !f->halted) {
        propose(f, &f->proposal); // the same vote with the new text
    }
}

// When a leader dies its followers notice within moments of each other. The first one's word finds
// the others still in their role; it is answered, and would be said again only when the interval
// has passed. So it is kept for a moment, as if it had been a little longer on its way.
static void hear_early(struct fle *f, const struct fle_word *word, struct mono now)
{
    if (mono_diff_ms(now, f->early_at) > EARLY_MS) {
        f->early.n = 0;
    }
    f->early_at = now;
    fle_words_put(&f->early, word);
}

static void take_early(struct fle *f, struct mono now)
{
    for (size_t i = 0; i < f->early.n && mono_diff_ms(now, f->early_at) <= EARLY_MS; i++) {
        struct fle_word word = f->early.of[i];
        if (quorum_has_voter(&f->quorum, word.sid) &&
            quorum_has_voter(&f->quorum, word.vote.leader)) {
            on_looking(f, &word, now);
        }
    }
    f->early.n = 0;
}

// Who may not vote says so in what it sends. Java's getInitId, getInitLastLoggedZxid, getPeerEpoch.
static void on_start(struct fle *f, const struct fle_event *ev)
{
    must(f->committed);
    int64_t sid = f->settings.sid;
    struct fle_vote own = {sid, ev->start.last_zxid, -1, ev->start.current_epoch};
    if (!f->started) {
        f->current = own;
        f->started = true;
    }
    if (!members_is_voter(f->committed, sid)) {
        own.leader = MEMBERS_NOBODY;
    }
    if (members_is_observer(f->committed, sid)) {
        own.zxid = MEMBERS_NOBODY;
        own.peer_epoch = MEMBERS_NOBODY;
    }
    f->lost = f->state == NOTE_FOLLOWING || f->state == NOTE_OBSERVING ? f->current.leader
                                                                       : MEMBERS_NOBODY;
    become(f, NOTE_LOOKING);
    f->clock = (int64_t)((uint64_t)f->clock + 1); // a peer may have named the last there is
    f->initial = own;
    propose(f, &own);
    send_to_all(f);
    restart_interval(f, ev->now);
    take_early(f, ev->now);
}

// True: the membership that n carries replaces ours, and this election is over with it.
static bool hear_members(struct fle *f, const struct note *n)
{
    struct members *m;
    if (f->state != NOTE_LOOKING || !f->settings.adopt_members || !n->config.p ||
        slice_eq(n->config, buf_slice(&f->text)) || members_parse(n->config, &m)) {
        return false;
    }
    if (m->version <= f->committed->version) {
        members_free(&m);
        return false;
    }
    f->heard = m;
    act(f, (struct fle_action){.type = FLE_NEW_MEMBERS, .members = m});
    f->halted = !members_equal(m, f->committed);
    return f->halted;
}

static void report_looking(struct fle *f, int64_t sid)
{
    for (size_t i = 0; f->state == NOTE_LEADING && i < f->elected_by_n; i++) {
        if (f->elected_by[i] == sid) {
            act(f, (struct fle_action){.type = FLE_VOTER_LOOKING, .sid = sid});
        }
    }
}

// FastLeaderElection.tla's receive actions; Java's WorkerReceiver.run.
static void on_note(struct fle *f, const struct fle_event *ev)
{
    const struct note *n = ev->note.note;
    int64_t sid = ev->note.sid;
    if (!f->started || f->halted) {
        return;
    }
    f->lost_is_down &= sid != f->lost;
    if (f->quiet) {
        if (n->state == NOTE_LOOKING && quorum_has_voter(&f->quorum, sid)) {
            struct fle_word word = word_of(sid, n);
            hear_early(f, &word, ev->now);
        }
        return;
    }
    if (hear_members(f, n)) {
        return;
    }
    if (!quorum_has_voter(&f->quorum, sid)) {
        struct fle_vote v = f->state == NOTE_LOOKING ? f->proposal : f->current;
        v.election_epoch = f->clock;
        answer(f, sid, &v);
    } else if (f->state == NOTE_LOOKING) {
        if (n->state == NOTE_LOOKING && n->election_epoch < f->clock) {
            send_proposal(f, sid);
        }
        consider(f, sid, n, ev->now);
    } else if (n->state == NOTE_LOOKING) {
        struct fle_word word = word_of(sid, n);
        report_looking(f, sid);
        answer(f, sid, &f->current);
        hear_early(f, &word, ev->now);
    }
}

static void on_timer(struct fle *f, struct mono now)
{
    struct mono at;
    if (!fle_next(f, &at) || now.ns < at.ns) {
        return;
    }
    if (f->finalizing) {
        struct fle_word own = own_word(f);
        elect(f, &f->recvset, &own);
        return;
    }
    send_to_all(f);
    f->wait_ms =
        f->wait_ms * 2 < f->settings.wait_max_ms ? f->wait_ms * 2 : f->settings.wait_max_ms;
    f->deadline = mono_add_ms(now, f->wait_ms);
}

static void on_role(struct fle *f, int64_t leader, int64_t zxid)
{
    must(f->started);
    f->current = (struct fle_vote){leader, zxid, -1, -1};
    f->elected_by_n = 0;
    become(f, role_under(f, leader));
}

void fle_step(struct fle *f, const struct fle_event *ev, struct fle_out *out)
{
    f->actions_n = 0;
    members_free(&f->heard);
    switch (ev->type) {
    case FLE_MEMBERS:
        on_members(f, ev);
        break;
    case FLE_START:
        on_start(f, ev);
        break;
    case FLE_NOTE:
        on_note(f, ev);
        break;
    case FLE_TIMER:
        on_timer(f, ev->now);
        break;
    case FLE_DOWN:
        f->lost_is_down |= f->state == NOTE_LOOKING && ev->sid == f->lost;
        break;
    case FLE_ROLE:
        on_role(f, ev->role.leader, ev->role.zxid);
        break;
    case FLE_QUIET:
        f->quiet = f->started && f->state != NOTE_LOOKING;
        break;
    case FLE_ESTABLISHED:
        must(f->state != NOTE_LOOKING);
        f->current.peer_epoch = ev->epoch;
        break;
    }
    if (f->started) {
        settle(f, ev->now);
    }
    *out = (struct fle_out){f->actions, f->actions_n};
}

// ---- what others may ask ------------------------------------------------------------------------

bool fle_next(const struct fle *f, struct mono *at)
{
    *at = f->deadline;
    return f->started && f->state == NOTE_LOOKING && !f->halted;
}

enum note_state fle_state(const struct fle *f)
{
    return f->state;
}

int64_t fle_round(const struct fle *f)
{
    return f->clock;
}

const struct fle_vote *fle_current(const struct fle *f)
{
    return &f->current;
}

const struct fle_vote *fle_proposal(const struct fle *f)
{
    return &f->proposal;
}

const struct members *fle_committed(const struct fle *f)
{
    return f->committed;
}
