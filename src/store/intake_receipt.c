/* Reports of what was delivered here (RFC 3461 §5.2.6): the last thing done for a letter, when all its other actions are. The log holds the
 * letter until the outbox has the report, and the outbox takes it once. */
#include "mail/report.h"
#include "mail/address.h"
#include "store/body.h"
#include "store/intake_parts.h"
#include <sys/random.h>

enum {
        HEADER_PIECE = 64 * 1024,
        REPORT_FIXED = 256 * 1024, /* texts and the letter's header, or the letter */
        REPORT_EACH = 4 * 1024,    /* recipient */
};

/* An account whose letter lies in unfiled/ got nothing yet; its receipt lies there, too. */
static bool put_aside(const struct letter *l, struct str account)
{
        for (unsigned k = 0; account.n && k < l->count; k++)
                if (l->works[k].aside && str_eq(str_of(l->works[k].account), account))
                        return true;
        return false;
}

static struct report_recipient of_action(const struct action *a, struct arena *m)
{
        struct str orcpt = parameter_of(a->parameters, S("ORCPT"));

        return (struct report_recipient){
                .final = a->address,
                .original = orcpt.n ? report_plain(m, orcpt) : S(""),
                .action = a->flags & ACTION_EXPANDED ? REPORT_EXPANDED : REPORT_DELIVERED,
                .status = a->flags & ACTION_EXPANDED ? S("2.0.0") : S("2.1.5"),
                .last = wall_usec(),
        };
}

struct head {
        const struct receipt_letter *letter;
        struct buf text;
};

static int read_head(void *arg)
{
        struct head *h = arg;

        return body_read(h->letter->dir, h->letter->body, 0, HEADER_PIECE, &h->text);
}

/* Of a long letter as much as its header needs; without it the report says at least what happened. */
static struct str head_of(const struct receipt_letter *r, struct arena *m)
{
        struct head h = { .letter = r };
        struct str out;

        buf_init(&h.text, HEADER_PIECE);
        if (offload(QUICK, read_head, &h) < 0)
                buf_clear(&h.text);
        out = arena_str(m, buf_str(&h.text));
        buf_free(&h.text);
        return out;
}

static uint64_t chance(const struct receipt_letter *r)
{
        uint64_t n = 0;

        if (getrandom(&n, sizeof n, 0) != sizeof n)
                n = r->segment + r->key;
        return n;
}

static void report_put(const struct receipt_letter *l, const struct report *r, struct str session,
                       struct str text, struct arena *m, struct outbox_put *out)
{
        struct envelope *e = arena_new(m, struct envelope);
        struct action *to = arena_new(m, struct action);
        const struct action **actions = arena_array(m, const struct action *, 1);

        outbox_report_envelope(e, to, &(struct outbox_report){ r->to, text, session }, r->now);
        *actions = to;
        *out = (struct outbox_put){ .segment = l->segment,
                                    .sequence = l->key,
                                    .envelope = e,
                                    .actions = actions,
                                    .count = 1,
                                    .text = text,
                                    .staged_dir = -1 };
}

struct receipt_letter receipt_letter_of(const struct intake *i, const struct letter *l, struct str text)
{
        return (struct receipt_letter){ .segment = l->place.segment,
                                        .key = l->place.sequence | OUTBOX_RECEIPT,
                                        .text = text,
                                        .dir = l->body ? i->dir : -1,
                                        .body = l->body };
}

bool receipt_make(const struct receipt_letter *of, const struct letter *l, const struct envelope *e,
                  struct arena *m, struct outbox_put *out)
{
        struct report_recipient *list = arena_array(m, struct report_recipient, e->count);
        unsigned long long id = chance(of);
        struct report r = { .host = e->host.n ? e->host : S("localhost"),
                            .envid = report_plain(m, parameter_of(e->mail_parameters, S("ENVID"))),
                            .arrived = e->received,
                            .now = wall_usec(),
                            .to = e->sender,
                            .recipients = list,
                            .full =
                                !of->body && str_ieq(parameter_of(e->mail_parameters, S("RET")), S("FULL")),
                            .utf8 = e->utf8 };
        struct buf b;

        for (unsigned k = 0; k < e->count; k++)
                if (e->actions[k].kind == ACTION_RECEIPT && !(l && put_aside(l, e->actions[k].account)))
                        list[r.count++] = of_action(&e->actions[k], m);
        if (!r.count || e->null_sender || !e->sender.n)
                return false;
        r.letter = of->body ? head_of(of, m) : of->text;
        r.message_id = arena_printf(m, "%016llx.report@" PRS, id, STR(r.host));
        r.boundary = arena_printf(m, "=_report_%016llx", id);
        buf_init(&b, REPORT_FIXED + (size_t)r.count * REPORT_EACH);
        report_write(&b, &r);
        if (!b.full)
                report_put(of, &r, e->session, arena_str(m, buf_str(&b)), m, out);
        buf_free(&b);
        return !b.full;
}
