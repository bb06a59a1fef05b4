/* What an answer means: sent, failed, again later; and who is told. */
#include "base/mem.h"
#include "mail/address.h"
#include "mail/report.h"
#include "proto/smtp/dispatch_inside.h"
#include "run/log.h"
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

enum {
        REPORT_FIXED = 256 * 1024, /* texts and the letter's header, or the letter */
        REPORT_EACH = 8 * 1024,    /* recipient */
        REPORTING_MOST = 32 << 20,
        HEADER_PIECE = 64 * 1024,
        STUBBORN = 1000 /* milliseconds between two tries to write it down */
};

static uint32_t chance(void)
{
        uint32_t r = 0;

        if (getrandom(&r, sizeof(r), 0) != sizeof(r))
                r = (uint32_t)now();
        return r;
}

/* Half as long again each time, and a tenth more or less by chance, so that what came together does not come back together. */
int64_t retry_at(const struct settings *s, unsigned failures)
{
        int64_t wait = s->retry_first * INT64_C(1000000), most = s->retry_most * INT64_C(1000000);

        while (failures-- && wait < most)
                wait += wait / 2;
        if (wait > most)
                wait = most;
        return wall_usec() + wait - wait / 10 + (int64_t)(chance() % 1000) * wait / 5000;
}

static bool is_temporary(const struct smtp_answer *a)
{
        return a->code ? a->code / 100 != 5 : a->status[0] != '5'; /* 354 in the wrong place is no refusal */
}

/* RFC 5321 §4.5.3.1.10: the rest goes in another transaction, at once. */
static bool is_too_many(const struct smtp_answer *a)
{
        return a->code == 452 &&
               (str_eq(str_of(a->status), S("4.5.3")) || str_eq(str_of(a->status), S("4.0.0")));
}

static struct str sender_of(const struct outbox_job *j, const struct outbox_recipient *r)
{
        return r->sender.n ? r->sender : j->envelope.null_sender ? S("") : j->envelope.sender;
}

static bool wants(const struct outbox_recipient *r, enum report_action what)
{
        unsigned notify = notify_of(r->parameters);

        if (notify & NOTIFY_NEVER)
                return false;
        switch (what) {
        case REPORT_FAILED: return notify & (NOTIFY_UNSAID | NOTIFY_FAILURE);
        case REPORT_DELAYED: return notify & (NOTIFY_UNSAID | NOTIFY_DELAY);
        default: return notify & NOTIFY_SUCCESS;
        }
}

/* ---- a report ---- */

struct reporting {
        struct lane *lane; /* may be NULL */
        struct dispatch *dispatch;
        struct outbox_job *job;
        struct arena arena;
        struct report_recipient *list;
        unsigned count;
        struct outbox_report out;
        bool ready;
};

static void note(struct reporting *g, const struct outbox_recipient *r, enum report_action action,
                 const char *status, struct str diagnostic, struct str remote)
{
        struct str orcpt = parameter_of(r->parameters, S("ORCPT"));

        if (!sender_of(g->job, r).n || !wants(r, action))
                return;
        if (!g->list)
                g->list = arena_array(&g->arena, struct report_recipient, g->job->count);
        g->list[g->count++] = (struct report_recipient){
                .final = r->address,
                .original = orcpt.n ? report_plain(&g->arena, orcpt) : S(""),
                .action = action,
                .status = arena_str(&g->arena, str_of(status)),
                .diagnostic = diagnostic,
                .remote = remote,
                .last = wall_usec(),
                .until = g->job->received + g->dispatch->how.settings->max_queue_time * INT64_C(1000000),
        };
}

static struct str letter_text(struct reporting *g)
{
        struct buf text = { 0 };
        struct str out;

        if (g->job->text.p)
                return g->job->text;
        buf_init(&text, HEADER_PIECE);
        if (outbox_text(g->dispatch->how.outbox, g->job->letter, 0, &text, HEADER_PIECE) < 0)
                buf_clear(&text);
        out = arena_str(&g->arena, buf_str(&text));
        buf_free(&text);
        return out;
}

/* Of "mx.example.org [192.0.2.1] TLSv1.3" the name. */
static struct str name_of(struct str peer)
{
        struct str name;

        str_cut(&peer, ' ', &name);
        return name;
}

/* Recipients of one job have one sender, so it is one report. */
static void compose(struct reporting *g)
{
        const char *host = arena_str(&g->arena, str_of(g->dispatch->how.settings->host_name)).p;
        struct str ret = parameter_of(g->job->envelope.mail_parameters, S("RET"));
        unsigned long long id = (unsigned long long)chance() << 32 | chance();
        struct report r = {
                .host = str_of(host),
                .envid = report_plain(&g->arena, parameter_of(g->job->envelope.mail_parameters, S("ENVID"))),
                .arrived = g->job->received,
                .now = wall_usec(),
                .to = sender_of(g->job, &g->job->recipients[0]),
                .recipients = g->list,
                .count = g->count,
                .letter = letter_text(g),
                .full = str_ieq(ret, S("FULL")) && g->job->text.p,
                .utf8 = g->job->envelope.utf8,
                .message_id = arena_printf(&g->arena, "%016llx.report@%s", id, host),
                .boundary = arena_printf(&g->arena, "=_report_%016llx", id),
        };
        struct buf text;

        buf_init(&text, REPORT_FIXED + (size_t)g->count * REPORT_EACH);
        report_write(&text, &r);
        g->out =
            (struct outbox_report){ r.to, arena_str(&g->arena, buf_str(&text)), g->job->envelope.session };
        g->ready = !text.full;
        buf_free(&text);
}

/* ---- written down ---- */

/* Until it is: a letter that was sent and is not known to be would be sent again. */
static void keep(struct dispatch *d, struct outbox_done *done)
{
        int rc;

        while ((rc = outbox_done(d->how.outbox, done)) < 0) {
                log_warn("outbox",
                         "letter=%llu why=\"%s\" what=\"what became of it cannot be written down yet\"",
                         (unsigned long long)done->letter, strerrordesc_np(-rc));
                if (fiber_sleep(now() + STUBBORN * MSECOND) < 0)
                        return;
        }
}

static void begin(struct reporting *g, struct dispatch *d, struct outbox_job *j)
{
        *g = (struct reporting){ .dispatch = d, .job = j };
        arena_init(&g->arena, REPORTING_MOST);
}

static void finish(struct reporting *g, struct outbox_result *results, struct str conversation)
{
        struct outbox_done done = {
                .letter = g->job->letter,
                .destination = g->job->destination,
                .results = results,
                .count = g->job->count,
                .conversation = conversation,
                .at = wall_usec(),
        };

        if (g->count)
                compose(g);
        if (g->ready) {
                done.reports = &g->out;
                done.report_count = 1;
        }
        keep(g->dispatch, &done);
        arena_finish(&g->arena);
        mem_free(results);
}

/* For the log, and for pail trace. */
static void history(struct dispatch *d, const struct outbox_job *j, const struct outbox_recipient *r,
                    const char *event, struct str status, struct str answer, struct str peer)
{
        auto_buf struct buf line = { 0 };
        char from[1024];

        buf_init(&line, 4096);
        snprintf(from, sizeof(from), "<" PRS ">", STR(sender_of(j, r)));
        if (j->envelope.session.n)
                buf_printf(&line, "letter=%s ", log_str(j->envelope.session));
        buf_printf(&line, "queue=%llu from=%s to=%s", (unsigned long long)j->letter, log_str(str_of(from)),
                   log_str(r->address));
        if (peer.n)
                buf_printf(&line, " peer=%s", log_str(peer));
        buf_printf(&line, " status=" PRS " answer=%s", STR(status), log_str(answer));
        log_event(event, PRS, STR(buf_str(&line)));
        if (d->how.history)
                history_note(d->how.history, str_of(event), PRS, STR(buf_str(&line)));
}

void verdict(struct lane *l, struct outbox_job *j, const struct smtp_answer *answers, const char *peer,
             unsigned offers, struct str conversation)
{
        struct outbox_result *results = mem_array(j->count, sizeof(*results));
        const struct settings *s = l->dispatch->how.settings;
        struct reporting g;
        bool some_sent = false;

        begin(&g, l->dispatch, j);
        for (unsigned i = 0; i < j->count; i++)
                some_sent |= answer_good(&answers[i]);
        for (unsigned i = 0; i < j->count; i++) {
                const struct outbox_recipient *r = &j->recipients[i];
                const struct smtp_answer *a = &answers[i];
                struct outbox_result *to = &results[i];
                struct str words =
                    a->code ? arena_printf(&g.arena, "%u %s " PRS, a->code, a->status, STR(a->text))
                            : a->text;

                *to =
                    (struct outbox_result){ r->number, SENT,        0, arena_str(&g.arena, str_of(a->status)),
                                            words,     str_of(peer) };
                if (answer_good(a)) {
                        if (!(offers &
                              EXT_DSN)) /* it will tell nobody: RFC 3461 §5.2.2; LMTP's is the last hop */
                                note(&g, r, offers & EXT_LMTP ? REPORT_DELIVERED : REPORT_RELAYED, "2.0.0",
                                     words, name_of(to->peer));
                } else if (is_temporary(a)) {
                        to->outcome = DEFERRED;
                        to->next = some_sent && is_too_many(a) ? wall_usec() : retry_at(s, r->attempts);
                } else {
                        to->outcome = FAILED;
                        note(&g, r, REPORT_FAILED, a->status, words, a->code ? name_of(to->peer) : S(""));
                }
                history(l->dispatch, j, r,
                        to->outcome == SENT     ? "sent"
                        : to->outcome == FAILED ? "failed"
                                                : "deferred",
                        to->status, words, to->peer);
        }
        finish(&g, results, conversation);
}

void verdict_rests(struct lane *l, const struct outbox_job *j, const char *status, struct str why)
{
        for (unsigned i = 0; i < j->count; i++)
                history(l->dispatch, j, &j->recipients[i], "deferred", str_of(status), why, S(""));
}

void verdict_all(struct lane *l, struct outbox_job *j, const char *status, struct str text, bool held)
{
        struct outbox_result *results = mem_array(j->count, sizeof(*results));
        struct reporting g;

        begin(&g, l->dispatch, j);
        for (unsigned i = 0; i < j->count; i++) {
                const struct outbox_recipient *r = &j->recipients[i];

                results[i] =
                    (struct outbox_result){ r->number, held ? HELD : FAILED, 0, str_of(status), text, S("") };
                if (!held)
                        note(&g, r, REPORT_FAILED, status, text, S(""));
                history(l->dispatch, j, r, held ? "held" : "failed", results[i].status, text, S(""));
        }
        finish(&g, results, S(""));
}

/* Of the delay, or that it is given up; in the words of the last attempt. */
void verdict_overdue(struct dispatch *d, struct outbox_job *j, enum overdue what)
{
        struct outbox_result *results = mem_array(j->count, sizeof(*results));
        struct reporting g;

        begin(&g, d, j);
        for (unsigned i = 0; i < j->count; i++) {
                const struct outbox_recipient *r = &j->recipients[i];
                struct str words = r->answer.n ? r->answer : r->reason;

                results[i] = (struct outbox_result){ r->number, what == OVERDUE_NOTICE ? NOTIFIED : FAILED,
                                                     0,         S("4.4.7"),
                                                     words,     r->peer };
                if (what == OVERDUE_CONDEMNED)
                        words = S("the postmaster here has given it up");
                if (what == OVERDUE_NOTICE && !d->how.settings->delay_notice_after)
                        continue;
                note(&g, r, what == OVERDUE_NOTICE ? REPORT_DELAYED : REPORT_FAILED,
                     what == OVERDUE_EXPIRED  ? "5.4.7"
                     : what == OVERDUE_NOTICE ? "4.4.7"
                                              : "5.7.0",
                     words, name_of(r->peer));
                history(d, j, r, what == OVERDUE_NOTICE ? "notified" : "failed", results[i].status, words,
                        r->peer);
        }
        finish(&g, results, S(""));
}
