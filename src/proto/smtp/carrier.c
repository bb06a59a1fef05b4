/* A carrier: a fiber that has or makes a connection to a lane's destination, and sends its letters over it, one after another. */
#include "proto/smtp/client.h"
#include "base/mem.h"
#include "mail/report.h"
#include "net/dial.h"
#include "proto/smtp/dispatch_inside.h"
#include "proto/transcript.h"
#include "run/log.h"
#include <errno.h>
#include <stdio.h>

#define DIAL_PATIENCE 60             /* seconds, all addresses of a host */
#define DOWN_FOR      (300 * SECOND) /* a host that did not answer is passed over so long, if there is another */
#define CLEAR_FOR     (3600 * SECOND)
#define IDLE_FOR      (5 * SECOND)
enum { ARENA_MOST = 8 << 20, CONVERSATION_MOST = 16 * 1024, RETURN_PATH_MOST = 1024 };

struct carrying {
        struct lane *lane;
        struct smtp_client *client;
        struct way way;
        struct addr at;
        char peer[320];
        struct buf conversation; /* of the letter at hand, and of what came before it on this connection */
        struct conn_tap tap;
        struct arena arena; /* of the connection: its way */
        struct arena letter;
};

/* ---- what is known of hosts ---- */

struct host_state *host_state(struct dispatch *d, struct addr at)
{
        struct host_state *h;

        at.port = 0;
        h = &d->hosts[str_hash(str_from(at.ip, sizeof(at.ip))) % HOSTS];
        if (!addr_same_host(h->at, at) && !h->open)
                *h = (struct host_state){ .at = at };
        return h;
}

/* ---- connections without work ---- */

static const char *way_name(const struct way *w, char room[static 400])
{
        snprintf(room, 400, PRS ":%u " PRS " %d", STR(w->name), w->count ? w->addresses[0].port : 0,
                 STR(w->policy), (int)w->route.kind);
        return room;
}

static void idle_end(struct idle *i)
{
        smtp_client_close(&i->client, in_seconds(2));
        mem_free(i->way);
        *i = (struct idle){ 0 };
}

void idles_end(struct dispatch *d, nsec before)
{
        for (unsigned i = 0; i < IDLES; i++)
                if (d->idles[i].client && d->idles[i].until < before) {
                        struct idle gone = d->idles[i]; /* closing waits */

                        d->idles[i] = (struct idle){ 0 };
                        idle_end(&gone);
                }
}

static void keep_idle(struct carrying *c)
{
        struct dispatch *d = c->lane->dispatch;
        char name[400];

        for (unsigned i = 0; i < IDLES && c->client && !d->stopping; i++)
                if (!d->idles[i].client) {
                        d->idles[i] = (struct idle){ c->client, mem_string(str_of(way_name(&c->way, name))),
                                                     now() + IDLE_FOR, c->at };
                        c->client = NULL;
                }
        smtp_client_close(&c->client, in_seconds(5));
}

static bool take_idle(struct carrying *c, const struct way *w)
{
        struct dispatch *d = c->lane->dispatch;
        char name[400];

        way_name(w, name);
        for (unsigned i = 0; i < IDLES; i++) {
                struct idle found = d->idles[i];

                if (!found.client || strcmp(found.way, name))
                        continue;
                d->idles[i] = (struct idle){ 0 };
                if (!smtp_client_alive(found.client)) {
                        idle_end(&found);
                        continue;
                }
                c->client = found.client;
                c->at = found.at;
                mem_free(found.way);
                return true;
        }
        return false;
}

/* ---- a new connection ---- */

static void heard(struct conn_tap *t, char from, struct str line, uint64_t bytes)
{
        struct carrying *c = (struct carrying *)(void *)((char *)t - offsetof(struct carrying, tap));
        char number[40];

        if (!line.p)
                line = str_from(number, (size_t)snprintf(number, sizeof(number), "(%llu octets)",
                                                         (unsigned long long)bytes));
        transcript_write(&c->conversation, from == 'C' ? TRANSCRIPT_CLIENT : TRANSCRIPT_SERVER, 1, line);
}

static bool password_for(const struct dispatch *d, struct str host, struct str *user, struct str *password)
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
        struct dial dial = { .to = w->addresses, .count = w->count };
        auto_buf struct buf words = { 0 };
        unsigned which;
        int rc;

        if (w->route.kind == ROUTE_SELF)
                return d->how.self(d->how.context, conn);
        buf_init(&words, 4096);
        rc = dial_any(&dial, in_seconds(DIAL_PATIENCE), conn, &which, &words);
        if (rc == 0)
                c->at = w->addresses[which];
        for (unsigned i = 0; i < w->count && rc < 0; i++)
                host_state(d, w->addresses[i])->down_until = now() + DOWN_FOR;
        if (rc < 0)
                *why = arena_printf(&c->arena, PRS ": " PRS, STR(w->name),
                                    STR(words.n ? buf_str(&words) : str_of(strerrordesc_np(-rc))));
        return rc;
}

static int open_client(struct carrying *c, const struct way *w, bool clear, struct smtp_answer *answer,
                       struct str *why)
{
        const struct settings *s = c->lane->dispatch->how.settings;
        struct smtp_client_how how = { .host = s->host_name,
                                       .lmtp = w->route.kind == ROUTE_LMTP,
                                       .tls = clear || w->route.kind == ROUTE_SELF ? TLS_NEVER : w->tls,
                                       .want = &c->way.want,
                                       .tap = &c->tap };
        struct tls_wanted relay;
        struct conn *conn;
        int rc = dial_host(c, w, &conn, why);

        if (rc < 0)
                return rc;
        if (w->route.kind == ROUTE_RELAY &&
            password_for(c->lane->dispatch, w->name, &how.user, &how.password)) {
                relay = w->want; /* a password goes to nobody but the right one */
                relay.trust = TRUST_NAMES;
                relay.names = &c->way.name;
                relay.name_count = 1;
                how.want = &relay;
                if (how.tls == TLS_MAY && !addr_loopback(c->at))
                        how.tls = TLS_MUST;
        }
        rc = smtp_client_open(&c->client, conn, &how, &c->arena, answer);
        if (rc < 0)
                *why = arena_printf(&c->arena, PRS " (%s): %u %s " PRS, STR(w->name), answer->stage,
                                    answer->code, answer->status, STR(answer->text));
        return rc;
}

/* Opportunistic TLS that fails is tried again without (RFC 7435), where nothing asks for it. */
static int open_way(struct carrying *c, const struct way *w, struct str *why)
{
        struct host_state *h = host_state(c->lane->dispatch, w->addresses[0]);
        struct smtp_answer answer = { 0 };
        bool clear = w->tls == TLS_MAY && h->clear_until > now();
        int rc;

        c->way = *w;
        c->way.want.names = c->way.names;
        if (take_idle(c, w))
                return 0;
        buf_clear(&c->conversation);
        rc = open_client(c, w, clear, &answer, why);
        if (rc < 0 && w->tls == TLS_MAY && !clear && answer.stage && !strcmp(answer.stage, "TLS")) {
                h->clear_until = now() + CLEAR_FOR;
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
        struct way *list;
        unsigned n;
        enum found found;

        arena_reset(&c->arena);
        found = ways_find(c->lane, &c->arena, &list, &n, status, why);
        if (found != WAY_FOUND)
                return found;
        /* first those that are not known to be down; then, if there is nothing else, those */
        for (int down = 0; down < 2; down++)
                for (unsigned i = 0; i < n; i++)
                        if (is_down(c->lane->dispatch, &list[i]) == (down == 1) &&
                            open_way(c, &list[i], why) == 0)
                                return WAY_FOUND;
        *status = "4.4.1";
        return WAY_LATER;
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
                 c->at.family ? addr_text(c->at).z : "self", tls ? " " : "", tls ? tls->version : "",
                 tls && tls->verified ? " verified" : "");
}

/* 0: the connection may carry another. */
static int send_job(struct carrying *c, struct outbox_job *j)
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
                .size = j->size,
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
        rc = smtp_client_send(c->client, &l, answers);
        verdict(c->lane, j, answers, c->peer, smtp_client_offers(c->client), buf_str(&c->conversation));
        buf_clear(&c->conversation);
        return rc;
}

/* ---- the fiber ---- */

/* What is taken and was not sent goes back; the destination rests. */
static void rest(struct carrying *c, struct outbox_job *j, struct str why)
{
        struct lane *l = c->lane;
        struct dispatch *d = l->dispatch;
        int64_t until = retry_at(d->how.settings, l->failures++);

        log_event("rests", "destination=%s failures=%u why=%s", log_str(str_of(l->name)), l->failures,
                  log_str(why));
        if (outbox_rest(d->how.outbox, l->destination, until, why) < 0 ||
            outbox_give_back(d->how.outbox, j) < 0)
                log_warn("outbox", "destination=%s what=\"its rest could not be written down\"",
                         log_str(str_of(l->name)));
        outbox_job_free(j);
        lane_give_back(l);
        l->limit = 1;
}

/* One letter, by this connection or a new one. false: this carrier is done. */
static bool carry(struct carrying *c, struct outbox_job *j)
{
        struct lane *l = c->lane;
        const char *status = "4.0.0";
        struct str why = S("");
        enum found found = c->client ? WAY_FOUND : connect_some(c, &status, &why);

        switch (found) {
        case WAY_FOUND: break;
        case WAY_LATER: rest(c, j, why); return false;
        case WAY_HELD:
        case WAY_NEVER:
                verdict_all(l, j, status, why, found == WAY_HELD);
                outbox_job_free(j);
                return true;
        }
        if (send_job(c, j) < 0) {
                smtp_client_close(&c->client, 0);
                l->limit = l->limit > 1 ? l->limit / 2 : 1;
        } else {
                if (l->failures && outbox_rest(l->dispatch->how.outbox, l->destination, 0, S("")) == 0)
                        l->failures = 0;
                lane_grows(l);
        }
        outbox_job_free(j);
        arena_reset(&c->letter);
        return true;
}

void carry_turned(struct lane *l, struct smtp_client *client)
{
        struct carrying c = { .lane = l, .client = client, .way = { .name = str_of(l->name) } };
        struct outbox_job job;
        int rc = 0;

        arena_init(&c.letter, ARENA_MOST);
        buf_init(&c.conversation, CONVERSATION_MOST);
        while (rc == 0 && !l->dispatch->stopping && lane_next(l, &job)) {
                rc = send_job(&c, &job);
                outbox_job_free(&job);
                arena_reset(&c.letter);
        }
        buf_free(&c.conversation);
        arena_finish(&c.letter);
}

void carrier(void *arg)
{
        struct carrying c = { .lane = arg };
        struct outbox_job job;

        c.tap.line = heard;
        arena_init(&c.arena, ARENA_MOST);
        arena_init(&c.letter, ARENA_MOST);
        buf_init(&c.conversation, CONVERSATION_MOST);
        while (!c.lane->dispatch->stopping && lane_next(c.lane, &job) && carry(&c, &job))
                fiber_yield_if_due();
        keep_idle(&c);
        buf_free(&c.conversation);
        arena_finish(&c.letter);
        arena_finish(&c.arena);
        lane_carrier_ends(c.lane);
}
