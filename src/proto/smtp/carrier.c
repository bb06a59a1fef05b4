/* A carrier: a fiber that has or makes a connection to a lane's destination, and sends its letters over it, one after another. */
#include "proto/smtp/client.h"
#include "base/mem.h"
#include "mail/report.h"
#include "net/dial.h"
#include "proto/smtp/dispatch_inside.h"
#include "proto/tap.h"
#include "proto/transcript.h"
#include "run/log.h"
#include <errno.h>
#include <stdio.h>

#define DIAL_PATIENCE 60             /* seconds, all addresses of a host */
#define DOWN_FOR      (300 * SECOND) /* a host that did not answer is passed over so long, if there is another */
#define CLEAR_FOR     (3600 * SECOND)
#define GOODBYE       5 /* seconds */
enum {
        WAY_NAME = 800,
        ARENA_MOST = 32 << 20,
        CONVERSATION_MOST = 16 * 1024,
        CONVERSATION_LINE_MOST = 1024, /* a reply may be a line of 64 KB */
        RETURN_PATH_MOST = 1024,
        TURN = 32 /* letters, then those have theirs who wait for a place at this host */
};

struct carrying {
        struct work work;
        struct lane *lane;
        struct smtp_client *client;
        unsigned sent; /* letters, over this connection */
        unsigned turn; /* letters, by this carrier */
        bool looked;   /* for a way, before there was a letter: what was found */
        enum found found;
        const char *status;
        struct str why;
        struct addr full_at;
        bool was_idle; /* it has been another's: it may have been closed by now */
        struct way way;
        struct addr at;
        char peer[320];
        struct buf conversation; /* of the letter at hand, and of what came before it on this connection */
        struct conn_tap tap;
        char id[16];        /* of the connection, for who watches */
        struct arena arena; /* of the connection: its way */
        struct arena letter;
};

/* ---- who watches ---- */

static void tell(struct carrying *c, enum tap_what what, char from, struct str text, uint64_t number)
{
        struct taps *taps = c->lane->dispatch->how.taps;

        if (!taps_on(taps))
                return;
        taps_tell(taps,
                  &(struct tap_record){ .what = what,
                                        .from = from,
                                        .outgoing = true,
                                        .session = str_of(c->id),
                                        .protocol = c->way.route.kind == ROUTE_LMTP ? S("lmtp") : S("smtp"),
                                        .text = text,
                                        .peer = c->at,
                                        .number = number });
}

static void new_id(struct carrying *c)
{
        static unsigned number;

        snprintf(c->id, sizeof(c->id), "out-%u", ++number);
}

/* ---- connections without work ---- */

/* Whoever says the same would have made the same connection. What DANE verified for a domain is that domain's: the certificate may be for its name. */
static const char *way_name(const struct carrying *c, const struct way *w, char room[static WAY_NAME])
{
        snprintf(room, WAY_NAME, PRS ":%u " PRS " %d %d %s", STR(w->name),
                 w->count ? w->addresses[0].port : 0, STR(w->policy), (int)w->route.kind, (int)w->tls,
                 w->want.trust == TRUST_DANE ? c->lane->name : "");
        return room;
}

/* This carrier's connection is over; patience 0: without a word. */
static void hang_up(struct carrying *c, nsec patience)
{
        if (!c->client)
                return;
        smtp_client_close(&c->client, patience ? now() + patience : 0);
        tell(c, TAP_END, 'S', S(""), 0);
        host_closed(c->lane->dispatch, c->at);
        c->lane->connected--;
        c->sent = 0;
        c->was_idle = false;
}

static void keep_idle(struct carrying *c)
{
        char name[WAY_NAME];

        if (c->client && idle_keep(c->lane->dispatch, c->client, way_name(c, &c->way, name), c->at)) {
                c->client = NULL;
                c->lane->connected--;
        }
        hang_up(c, GOODBYE * SECOND);
}

static bool take_idle(struct carrying *c, const struct way *w)
{
        char name[WAY_NAME];

        c->client = idle_take(c->lane->dispatch, way_name(c, w, name), &c->at);
        if (!c->client)
                return false;
        c->was_idle = true;
        new_id(c);
        c->lane->connected++;
        smtp_client_tap(c->client, &c->tap);
        return true;
}

/* ---- a new connection ---- */

static void heard(struct conn_tap *t, char from, struct str line, uint64_t bytes)
{
        struct carrying *c = (struct carrying *)(void *)((char *)t - offsetof(struct carrying, tap));
        char number[40];

        tell(c, line.p ? TAP_LINE : TAP_BODY, from, line.p ? line : S(""), bytes);
        if (!line.p)
                line = str_from(number, (size_t)snprintf(number, sizeof(number), "(%llu octets)",
                                                         (unsigned long long)bytes));
        transcript_write(&c->conversation, from == 'C' ? TRANSCRIPT_CLIENT : TRANSCRIPT_SERVER, 1,
                         str_sub(line, 0, CONVERSATION_LINE_MOST));
}

bool relay_password(const struct dispatch *d, struct str host, struct str *user, struct str *password)
{
        struct str rest = str_of(d->how.relay_passwords), line, word;

        while (rest.n) {
                str_cut(&rest, '\n', &line);
                str_cut(&line, ' ', &word);
                if (!str_ieq(word, host))
                        continue;
                str_cut(&line, ' ', user);
                *password = str_trim(line);
                return user->n > 0;
        }
        return false;
}

static int dial_host(struct carrying *c, const struct way *w, struct conn **conn, struct str *why)
{
        struct dispatch *d = c->lane->dispatch;
        struct addr places[MX_ADDRESSES_MOST], own[2];
        struct dial dial = { .to = places };
        auto_buf struct buf words = { 0 };
        unsigned which;
        int rc;

        c->at = (struct addr){ 0 };
        if (w->route.kind == ROUTE_SELF)
                return d->how.self(d->how.context, conn);
        for (unsigned i = 0; i < w->count; i++)
                if (host_has_place(d, w->addresses[i]))
                        places[dial.count++] = w->addresses[i];
        for (unsigned i = 0; i < w->count && !dial.count; i++)
                idles_end_at(d, w->addresses[i]);
        if (!dial.count) {
                c->full_at = w->addresses[0];
                return -EAGAIN;
        }
        buf_init(&words, 4096);
        (void)!dial_from(&dial, str_of(d->how.settings->send_from),
                         own);     /* checked when the settings were read */
        host_opened(d, places[0]); /* others ask for a place meanwhile */
        rc = dial_any(&dial, step_deadline(d, DIAL_PATIENCE), conn, &which, &words);
        if (rc == 0) {
                c->at = places[which];
                host_opened(d, c->at);
        }
        host_closed(d, places[0]);
        for (unsigned i = 0; i < dial.count && rc < 0 && rc != -ECANCELED; i++) {
                host_met(d, places[i], false);
                host_state(d, places[i])->down_until = now() + DOWN_FOR;
        }
        if (rc < 0)
                *why = arena_printf(&c->arena, PRS ": " PRS, STR(w->name),
                                    STR(words.n ? buf_str(&words) : str_of(strerrordesc_np(-rc))));
        return rc;
}

/* It took the connection and then said nothing, or hung up. */
static bool is_silent(const struct smtp_answer *a)
{
        return !a->code && a->stage &&
               (str_eq(str_of(a->stage), S("greeting")) || str_eq(str_of(a->stage), S("EHLO")));
}

static int open_client(struct carrying *c, const struct way *w, bool clear, struct smtp_answer *answer,
                       struct str *why)
{
        struct dispatch *d = c->lane->dispatch;
        struct smtp_client_how how = { .host = arena_str(&c->arena, str_of(d->how.settings->host_name)).p,
                                       .lmtp = w->route.kind == ROUTE_LMTP,
                                       .tls = clear || w->route.kind == ROUTE_SELF ? TLS_NEVER : w->tls,
                                       .want = &c->way.want,
                                       .patience = d->how.settings->sender_reply_timeout,
                                       .tap = &c->tap };
        struct conn *conn;
        int rc = dial_host(c, w, &conn, why);

        if (rc < 0)
                return rc;
        if (w->route.kind == ROUTE_RELAY)
                (void)relay_password(d, w->name, &how.user, &how.password);
        new_id(c);
        tell(c, TAP_BEGIN, 'S', S(""), 0);
        rc = smtp_client_open(&c->client, conn, &how, &c->arena, answer);
        host_met(d, c->at, rc == 0);
        if (rc < 0) {
                tell(c, TAP_END, 'S', S(""), 0);
                host_closed(d, c->at);
                if (c->at.family && is_silent(answer))
                        host_state(d, c->at)->down_until = now() + DOWN_FOR;
        } else {
                c->lane->connected++;
        }
        if (rc < 0)
                *why = arena_printf(&c->arena, PRS " (%s): %u %s " PRS, STR(w->name), answer->stage,
                                    answer->code, answer->status, STR(answer->text));
        return rc;
}

/* Opportunistic TLS that fails is tried again without (RFC 7435), where nothing asks for it. */
static int open_way(struct carrying *c, const struct way *w, struct str *why)
{
        struct dispatch *d = c->lane->dispatch;
        struct smtp_answer answer = { 0 };
        bool clear = w->tls == TLS_MAY && w->count && host_state(d, w->addresses[0])->clear_until > now();
        int rc;

        c->way = *w;
        c->way.want.names = c->way.names;
        if (take_idle(c, w))
                return 0;
        buf_clear(&c->conversation);
        rc = open_client(c, w, clear, &answer, why);
        if (rc < 0 && w->tls == TLS_MAY && !clear && answer_tls_trouble(&answer)) {
                host_state(d, w->addresses[0])->clear_until = now() + CLEAR_FOR;
                rc = open_client(c, w, true, &answer, why);
        }
        return rc;
}

static bool is_down(struct dispatch *d, const struct way *w)
{
        for (unsigned i = 0; i < w->count; i++)
                if (host_state(d, w->addresses[i])->down_until <= now())
                        return false;
        return w->count > 0;
}

static enum found connect_some(struct carrying *c, const char **status, struct str *why)
{
        bool tried[MX_HOSTS_MOST] = { 0 };
        struct way *list;
        unsigned n;
        enum found found;

        bool full = false;

        arena_reset(&c->arena);
        found = ways_find(c->lane, &c->arena, &list, &n, status, why);
        if (found != WAY_FOUND)
                return found;
        /* first those that are not known to be down; then, if there is nothing else, those */
        for (int down = 0; down < 2; down++)
                for (unsigned i = 0; i < n && !c->lane->dispatch->stopping; i++) {
                        int rc;

                        if (is_down(c->lane->dispatch, &list[i]) != (down == 1) || tried[i])
                                continue;
                        tried[i] = true;
                        rc = open_way(c, &list[i], why);
                        if (rc == 0)
                                return WAY_FOUND;
                        full |= rc == -EAGAIN;
                }
        *status = "4.4.1";
        return full ? WAY_FULL : WAY_LATER;
}

/* ---- letters ---- */

struct reading {
        struct outbox *outbox;
        const struct outbox_job *job;
        size_t skipped; /* our own Return-Path: it is for letters that have arrived (RFC 5321 §4.4) */
};

static int read_letter(void *context, uint64_t at, size_t n, struct buf *out)
{
        struct reading *r = context;

        at += r->skipped;
        if (r->job->text.p) {
                if (at < r->job->text.n)
                        buf_puts(out, str_sub(r->job->text, (size_t)at, n));
                return 0;
        }
        return outbox_text(r->outbox, r->job->letter, at, out, n);
}

static size_t return_path(struct reading *r)
{
        struct buf auto_buf head = { 0 };
        size_t end;

        buf_init(&head, RETURN_PATH_MOST);
        if (read_letter(r, 0, RETURN_PATH_MOST, &head) < 0 || !str_istarts(buf_str(&head), S("Return-Path:")))
                return 0;
        end = str_search(buf_str(&head), S("\r\n"));
        return end == STR_NONE ? 0 : end + 2;
}

static void describe_peer(struct carrying *c)
{
        const struct tls_found *tls = smtp_client_tls(c->client);

        snprintf(c->peer, sizeof(c->peer), PRS " [%s]%s%s%s", STR(c->way.name),
                 c->at.family      ? addr_text(c->at).z
                 : c->lane->turned ? "it dialled in"
                                   : "self",
                 tls ? " " : "", tls ? tls->version : "", tls && tls->verified ? " verified" : "");
}

/* The peer closed a connection that was in use before, without a look at this letter: another one will do. */
static bool was_stale(const struct carrying *c, const struct smtp_answer *a)
{
        return (c->sent || c->was_idle) && (a->code == 421 || !a->code) && a->stage &&
               (str_eq(str_of(a->stage), S("MAIL FROM")) || str_eq(str_of(a->stage), S("RSET")));
}

/* The host, not the letter: 421, or the connection broke. */
static bool is_host_trouble(const struct smtp_answer *a)
{
        return a->code == 421 || (!a->code && str_eq(str_of(a->status), S("4.4.2")));
}

/* 0: the connection may carry another. */
static int send_job(struct carrying *c, struct outbox_job *j, bool *stale, bool *host, struct str *why)
{
        struct reading r = { c->lane->dispatch->how.outbox, j, 0 };
        struct str mail = j->envelope.mail_parameters;
        struct smtp_answer *answers = arena_array(&c->letter, struct smtp_answer, j->count);
        struct smtp_rcpt *list = arena_array(&c->letter, struct smtp_rcpt, j->count);
        struct smtp_letter l = {
                .sender = j->recipients[0].sender.n ? j->recipients[0].sender
                          : j->envelope.null_sender ? S("")
                                                    : j->envelope.sender,
                .recipients = list,
                .count = j->count,
                .eight_bit = j->envelope.eight_bit,
                .utf8 = j->envelope.utf8,
                .require_tls = parameter_of(mail, S("REQUIRETLS")).p != NULL,
                .envid = parameter_of(mail, S("ENVID")),
                .ret = parameter_of(mail, S("RET")),
                .size = j->text.p ? j->text.n : j->size,
                .read = read_letter,
                .context = &r,
                .arena = &c->letter,
        };
        int rc;

        r.skipped = return_path(&r);
        l.size -= r.skipped;
        for (unsigned i = 0; i < j->count; i++)
                list[i] = (struct smtp_rcpt){ j->recipients[i].address, j->recipients[i].parameters };
        describe_peer(c);
        c->work.sending = true;
        if (l.require_tls && !c->way.certain) {
                for (unsigned i = 0; i < j->count; i++)
                        answer_ours(&answers[i], "5.7.30", "before MAIL FROM",
                                    S("the letter asks for TLS all the way (REQUIRETLS), and DNS cannot "
                                      "prove that this is its host"));
                rc = 0;
        } else {
                rc = smtp_client_send(c->client, &l, answers);
        }
        *stale = rc < 0 && was_stale(c, &answers[0]);
        *host = rc < 0 && !c->sent && is_host_trouble(&answers[0]);
        if (*host)
                *why = arena_printf(&c->arena, PRS " (%s): %u " PRS, STR(c->way.name),
                                    answers[0].stage ? answers[0].stage : "", answers[0].code,
                                    STR(answers[0].text));
        if (*stale) {
                c->work.sending = false;
                return rc;
        }
        c->sent += rc >= 0;
        verdict(c->lane, j, answers, c->peer, smtp_client_offers(c->client), buf_str(&c->conversation));
        c->work.sending = false;
        buf_clear(&c->conversation);
        return rc;
}

/* ---- the fiber ---- */

/* What is taken and was not sent goes back; the destination rests. Unless others have connections there: then this was one too many. */
static void rest(struct carrying *c, struct outbox_job *j, const char *status, struct str why)
{
        struct lane *l = c->lane;
        struct dispatch *d = l->dispatch;
        int64_t until;

        l->limit = l->connected ? l->connected : 1;
        l->grows_at = now() + GROWS_AFTER;
        if (l->connected || d->stopping) {
                if (j)
                        lane_return(l, j);
                return;
        }
        until = retry_at(d->how.settings, l->failures++);
        log_event("rests", "destination=%s failures=%u why=%s", log_str(str_of(l->name)), l->failures,
                  log_str(why));
        if (outbox_rest(d->how.outbox, l->destination, until, why) < 0) {
                log_warn("outbox", "destination=%s what=\"its rest could not be written down\"",
                         log_str(str_of(l->name)));
                l->pause_until = now() + (until - wall_usec()) * 1000;
        }
        if (j) {
                verdict_rests(l, j, status, why);
                lane_return(l, j);
        }
        lane_give_back(l);
}

/* All addresses have as many connections as they may. */
static void full(struct carrying *c)
{
        struct lane *l = c->lane;

        if (l->connected)
                return;
        if (!lane_wants(l, c->full_at) &&
            outbox_later(l->dispatch->how.outbox, l->destination, wall_usec() + 2 * FULL_FOR / 1000) < 0)
                l->pause_until = now() + FULL_FOR; /* it is looked at in vain meanwhile */
}

static void went_well(struct carrying *c)
{
        struct lane *l = c->lane;

        if (l->failures && outbox_rest(l->dispatch->how.outbox, l->destination, 0, S("")) == 0)
                l->failures = 0;
        if (c->at.family)
                host_grows(l->dispatch, c->at);
        lane_grows(l);
}

/* By the connection there is, or a new one. */
static enum found connected(struct carrying *c, const char **status, struct str *why)
{
        if (c->looked) {
                c->looked = false;
                *status = c->status;
                *why = c->why;
                return c->found;
        }
        if (c->client && smtp_client_alive(c->client))
                return WAY_FOUND;
        hang_up(c, 0);
        return connect_some(c, status, why);
}

/* The way first and then the letter: where no place is, nothing is taken that had to be given back. */
static bool has_place(struct carrying *c)
{
        struct lane *l = c->lane;

        if (c->client || (!l->count && l->drained))
                return true;
        c->status = "4.0.0";
        c->found = connect_some(c, &c->status, &c->why);
        if (c->found == WAY_FULL)
                full(c);
        else
                c->looked = true;
        return c->looked;
}

/* false: it makes way for a lane that waits for a place at this host. */
static bool may_stay(struct carrying *c)
{
        if (c->lane->turned) /* its host has dialled in, and waits */
                return false;
        if (++c->turn % TURN || !place_wanted(c->lane->dispatch, c->at))
                return true;
        if (c->lane->connected == 1)
                (void)lane_wants(c->lane, c->at);
        return false;
}

/* One letter. false: this carrier is done. */
static bool carry(struct carrying *c, struct outbox_job *j)
{
        struct lane *l = c->lane;
        const char *status = "4.0.0";
        struct str why = S("");
        bool stale, host;
        enum found found = connected(c, &status, &why);
        int rc;

        switch (found) {
        case WAY_FOUND: break;
        case WAY_LATER: rest(c, j, status, why); return false;
        case WAY_FULL:
                lane_return(l, j);
                full(c);
                return false;
        case WAY_HELD:
        case WAY_NEVER:
                verdict_all(l, j, status, why, found == WAY_HELD);
                outbox_job_free(j);
                return true;
        }
        rc = send_job(c, j, &stale, &host, &why);
        arena_reset(&c->letter);
        if (stale) {
                hang_up(c, 0);
                return carry(
                    c,
                    j); /* the next connection is a new one, or one that lives: once for each that was idle */
        }
        outbox_job_free(j);
        if (rc >= 0) {
                went_well(c);
                return may_stay(c);
        }
        hang_up(c, 0);
        if (c->at.family)
                host_shrinks(l->dispatch, c->at);
        l->limit = l->limit > 1 ? l->limit / 2 : 1;
        if (host)
                rest(c, NULL, "", why);
        return !host;
}

void carry_turned(struct lane *l, struct smtp_client *client)
{
        struct carrying c = { .lane = l, .client = client, .way = { .name = str_of(l->name) } };
        struct outbox_job job;
        struct str why;
        bool stale, host;
        int rc = 0;

        arena_init(&c.arena, ARENA_MOST);
        arena_init(&c.letter, ARENA_MOST);
        buf_init(&c.conversation, CONVERSATION_MOST);
        while (rc == 0 && !l->dispatch->stopping && lane_next(l, &job)) {
                rc = send_job(&c, &job, &stale, &host, &why);
                if (stale)
                        lane_return(l, &job); /* for the next time it dials in */
                else
                        outbox_job_free(&job);
                arena_reset(&c.letter);
        }
        buf_free(&c.conversation);
        arena_finish(&c.letter);
        arena_finish(&c.arena);
}

void carrier(void *arg)
{
        struct carrying c = { .lane = arg };
        struct outbox_job job;

        work_begins(c.lane->dispatch, &c.work);
        c.tap.line = heard;
        arena_init(&c.arena, ARENA_MOST);
        arena_init(&c.letter, ARENA_MOST);
        buf_init(&c.conversation, CONVERSATION_MOST);
        while (!c.lane->dispatch->stopping && has_place(&c) && lane_next(c.lane, &job) && carry(&c, &job))
                fiber_yield_if_due();
        c.work.sending = true;
        keep_idle(&c);
        work_ends(c.lane->dispatch, &c.work);
        buf_free(&c.conversation);
        arena_finish(&c.letter);
        arena_finish(&c.arena);
        lane_carrier_ends(c.lane);
}
