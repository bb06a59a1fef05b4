#include "cli/mail/outgo_inside.h"
#include "base/codec.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/thread.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { ARENA_MOST = 64 << 20, RECIPIENTS_MOST = 1000 };

/* ---- a letter of Outbox ---- */

int outgo_hand_over(struct outgoing *o)
{
        int rc = o->handed_over ? 0 : kept_mark(o->copy, o->uid, HANDED_OVER);

        o->handed_over |= rc == 0;
        return rc;
}

static void put_recipient(struct buf *out, struct str address, bool first)
{
        buf_printf(out, "%s" PRS, first ? "Bcc: " : ",\r\n ", STR(address));
}

static struct str normal(struct arena *a, const struct address *who)
{
        struct path p;
        struct str to = S("");

        if (who->kind != ADDRESS_MAILBOX ||
            !address_parse(a, address_write(a, who->local, who->domain), &p) || !address_normal(a, &p, &to))
                return S("");
        return to;
}

static int take_apart(struct outgoing *o, struct str text)
{
        struct header h = header_of(text);
        struct addresses list;
        struct address who;
        struct field f;

        if (!header_next(&h, &f) || !str_ieq(f.name, S("Bcc")))
                return -EBADMSG;
        o->wire = str_from_at(text, f.end);
        o->to = arena_array(&o->arena, struct smtp_rcpt, RECIPIENTS_MOST);
        o->has = arena_array(&o->arena, bool, RECIPIENTS_MOST);
        list = addresses_of(f.value);
        while (o->count < RECIPIENTS_MOST && address_next(&list, &o->arena, &who)) {
                struct str to = normal(&o->arena, &who);

                if (!to.n)
                        continue;
                o->to[o->count++].address = to;
                o->utf8 |= !ascii_only(to);
        }
        if (header_find(o->wire, S("Resent-From"), &f) || header_find(o->wire, S("From"), &f)) {
                list = addresses_of(f.value);
                if (address_next(&list, &o->arena, &who))
                        o->sender = normal(&o->arena, &who);
        }
        o->utf8 |= !ascii_only(o->sender);
        return o->count && o->sender.n ? 0 : -EBADMSG;
}

void outgo_taken(struct outgoing *o)
{
        (void)kept_mark(o->copy, o->uid, TAKEN); /* else it stays handed over */
}

/* ---- on its way ---- */

struct trip {
        struct copy *copy;
        struct login *login;
        struct outgo_result *result;
        uint32_t uid;   /* in Outbox; another when it was replaced; 0: it has left */
        struct str had; /* who got it now, by \n; in the arena of whoever asks */
};

static int file_taken(struct trip *t, struct outgoing *o)
{
        int rc = kept_to_sent(t->copy, t->login, o);

        if (rc == 0)
                rc = kept_remove(t->copy, t->uid);
        if (rc == 0)
                t->uid = 0;
        else /* it has gone: that it is not filed yet is no failure of the sending */
                snprintf(t->result->said, sizeof t->result->said,
                         "it was taken; it is filed in Sent the next time: %s", strerror(-rc));
        return 0;
}

static enum state state_after(enum fate f)
{
        return f == FATE_UNKNOWN ? HANDED_OVER : f == FATE_REFUSED ? REFUSED : WAITS;
}

/* Those who have it are not to get it once more. */
static int keep_rest(struct trip *t, struct outgoing *o, enum fate f, struct arena *a)
{
        struct buf auto_buf text = { 0 }, had = { 0 };
        bool first = true;
        int rc;

        buf_init(&text, MESSAGE_MOST);
        buf_init(&had, 1 << 20);
        for (unsigned i = 0; i < o->count; i++) {
                if (o->has[i]) {
                        buf_printf(&had, PRS "\n", STR(o->to[i].address));
                        continue;
                }
                put_recipient(&text, o->to[i].address, first);
                first = false;
        }
        buf_puts(&text, S("\r\n"));
        buf_puts(&text, o->wire);
        rc = text.full || had.full ? -EFBIG
                                   : kept_file(t->copy, t->uid, buf_str(&text), state_after(f), &t->uid);
        if (rc == 0)
                t->had = arena_str(a, buf_str(&had));
        if (rc == 0)
                rc = kept_to_sent(t->copy, t->login, o);
        return rc;
}

static int code_of(enum fate f)
{
        switch (f) {
        case FATE_SENT: return 0;
        case FATE_LATER: return -EAGAIN;
        case FATE_DENIED: return -EACCES;
        case FATE_UNKNOWN: return -EINPROGRESS;
        case FATE_REFUSED: break;
        }
        return -EREMOTEIO;
}

/* One letter, under the lock. As code_of, or of the store. */
static int send_one(struct trip *t, struct str text, enum state s, struct arena *a)
{
        struct outgoing o = { .copy = t->copy, .uid = t->uid };
        enum fate f = FATE_REFUSED;
        unsigned has = 0;
        int rc;

        arena_init(&o.arena, ARENA_MOST);
        rc = take_apart(&o, text);
        if (rc == 0 && s == TAKEN) {
                rc = file_taken(t, &o);
                arena_finish(&o.arena);
                return rc;
        }
        if (rc < 0)
                snprintf(t->result->said, sizeof t->result->said, "it names no recipients");
        else
                f = outgo_try(t->login, &o, t->result);
        for (unsigned i = 0; i < o.count; i++)
                has += o.has[i];
        if (f == FATE_SENT) {
                rc = file_taken(t, &o);
        } else {
                rc = has                 ? keep_rest(t, &o, f, a)
                     : f == FATE_UNKNOWN ? 0
                                         : kept_mark(t->copy, t->uid, state_after(f));
                rc = rc ? rc : code_of(f);
        }
        arena_finish(&o.arena);
        return rc;
}

/* ---- a letter that was just written ---- */

static bool is_line_of(struct str lines, struct str one)
{
        struct str line;

        while (lines.n) {
                str_cut(&lines, '\n', &line);
                if (str_eq(line, one))
                        return true;
        }
        return false;
}

/* What some have and others get now is the same letter, as long as nobody changes it. */
static void date(struct draft *d)
{
        uint64_t text = thread_hash(buf_str(&d->head)) * 3 + thread_hash(buf_str(&d->body));

        if (!d->had.n || text != d->tried)
                d->date = wall_usec();
        d->tried = text;
}

/* As it lies in Outbox: with all who are to get it and have not. -EALREADY: there is none. */
static int make_text(struct draft *d, const struct login *l, struct buf *text, struct arena *a,
                     struct buf *why)
{
        struct buf auto_buf message = { 0 };
        struct str *to, sender;
        bool first = true;
        size_t n;
        int rc;

        buf_init(&message, MESSAGE_MOST);
        date(d);
        rc = draft_message(d, l, &message, a, &to, &n, &sender, why);
        if (rc < 0)
                return rc;
        for (size_t i = 0; i < n; i++) {
                if (is_line_of(d->had, to[i]))
                        continue;
                put_recipient(text, to[i], first);
                first = false;
        }
        buf_puts(text, S("\r\n"));
        buf_puts(text, buf_str(&message));
        return first ? -EALREADY : text->full ? -EFBIG : 0;
}

/* A new one is filed before anybody is waited for; one that takes the place of another only when nobody is just sending that. */
static int file_draft(struct copy *c, const struct login *l, struct draft *d, struct str text, int *lock,
                      struct buf *why)
{
        uint32_t before = d->kept_uid;
        int rc = kept_make(c);

        if (rc == 0 && !before)
                rc = kept_file(c, 0, text, WAITS, &d->kept_uid);
        if (rc == 0) {
                *lock = kept_lock(c, l, now() + LOCK_PATIENCE);
                rc = *lock < 0 ? *lock : 0;
        }
        if (rc == 0 && before)
                rc = kept_file(c, before, text, WAITS, &d->kept_uid);
        if (rc == -ENOENT && before) {
                d->kept_uid = 0;
                buf_puts(
                    why,
                    S("its copy has left Outbox: it was sent or removed there meanwhile; sent again it goes "
                      "as a new letter"));
        } else if (rc < 0 && (rc != -EBUSY || before)) {
                buf_printf(why, "it cannot be kept: %s", strerror(-rc));
        }
        return rc;
}

static void remember_who(struct draft *d, struct str had)
{
        if (had.n)
                d->had = arena_printf(&d->arena, PRS PRS, STR(d->had), STR(had));
}

static void tell(struct trip *t, int rc, struct buf *why)
{
        const char *said = *t->result->said ? t->result->said : strerror(-rc);
        struct str had = t->had, one;

        if (rc == -EINPROGRESS)
                buf_printf(why,
                           "it may have been sent, or not (%s); it is kept in Outbox and is not sent again "
                           "by itself",
                           said);
        else
                buf_printf(why, "%s; it is kept in Outbox", said);
        for (bool first = true; had.n; first = false) {
                str_cut(&had, '\n', &one);
                buf_printf(why, "%s" PRS, first ? "; who has it: " : ", ", STR(one));
        }
}

/* Filed, and the lock is ours. */
static int send_filed(struct trip *t, struct draft *d, struct str text, struct buf *why)
{
        enum state s = WAITS;
        int rc = kept_look(t->copy, t->uid, &s);

        if (rc == -ENOENT) { /* while we waited for the lock */
                snprintf(t->result->said, sizeof t->result->said, "another pail has sent it");
                d->kept_uid = 0;
                return 0;
        }
        if (rc == 0 && (s == HANDED_OVER || s == REFUSED)) { /* then too, and it went no better */
                snprintf(t->result->said, sizeof t->result->said, "another pail has tried it");
                rc = s == REFUSED ? -EREMOTEIO : -EINPROGRESS;
        } else if (rc == 0) {
                rc = send_one(t, text, s, &d->arena);
        }
        d->kept_uid = t->uid;
        remember_who(d, t->had);
        t->result->denied = rc == -EACCES;
        t->result->waits = rc == -EAGAIN || rc == -EACCES;
        if (t->result->waits) {
                d->kept_uid = 0; /* from now on it is Outbox's */
                return 0;
        }
        if (rc < 0)
                tell(t, rc, why);
        return rc;
}

static int send_text(struct copy *c, struct login *l, struct draft *d, struct str text,
                     struct outgo_result *result, struct buf *why)
{
        struct trip t = { .copy = c, .login = l, .result = result };
        int lock = -1, rc = file_draft(c, l, d, text, &lock, why);

        t.uid = d->kept_uid;
        if (rc == 0) {
                rc = send_filed(&t, d, text, why);
        } else if (rc == -EBUSY && !why->n) {
                snprintf(result->said, sizeof result->said, "another pail is sending just now");
                result->waits = true;
                d->kept_uid = 0;
                rc = 0;
        } else if (!why->n) {
                buf_printf(why, "%s", strerror(-rc));
        }
        if (lock >= 0)
                close(lock);
        return rc;
}

int outgo_send(struct copy *c, struct login *l, struct draft *d, struct outgo_result *result, struct buf *why)
{
        struct arena auto_arena a;
        struct buf auto_buf text = { 0 };
        struct access x = { 0 };
        int rc;

        *result = (struct outgo_result){ 0 };
        arena_init(&a, ARENA_MOST);
        buf_init(&text, MESSAGE_MOST);
        rc = make_text(d, l, &text, &a, why);
        if (rc == -EALREADY) {
                outgo_forget(c, d);
                snprintf(result->said, sizeof result->said, "all who are named have it already");
                return 0;
        }
        if (rc == 0)
                rc = send_text(c, l, d, buf_str(&text), result, why);
        else if (!why->n)
                buf_printf(why, "%s", strerror(-rc));
        if (rc == 0 && d->of_uid && d->of_mailbox.n) {
                if (copy_access(c, &x, d->of_mailbox, RIGHTS_ALL) == 0)
                        (void)kept_flag(&x, d->of_uid, FLAGS_ADD, FLAG_ANSWERED);
                access_close(&x);
        }
        return rc;
}

int outgo_bounce(struct copy *c, struct login *l, const struct letter *of, struct str to,
                 struct outgo_result *result, struct buf *why)
{
        struct buf auto_buf text = { 0 }, message = { 0 }, normal = { 0 };
        struct str rest, one;
        bool first = true;
        struct draft d;
        int rc;

        *result = (struct outgo_result){ 0 };
        buf_init(&text, MESSAGE_MOST);
        buf_init(&message, MESSAGE_MOST);
        buf_init(&normal, 1 << 20);
        draft_new(&d, l);
        rc = compose_bounce(&d, l, of, to, &message, &normal, why);
        for (rest = buf_str(&normal); rc == 0 && rest.n; first = false) {
                str_cut(&rest, '\n', &one);
                put_recipient(&text, one, first);
        }
        buf_puts(&text, S("\r\n"));
        buf_puts(&text, buf_str(&message));
        if (rc == 0 && text.full)
                rc = -EFBIG;
        if (rc == 0)
                rc = send_text(c, l, &d, buf_str(&text), result, why);
        else if (!why->n)
                buf_printf(why, "%s", strerror(-rc));
        draft_free(&d);
        return rc;
}

void outgo_forget(struct copy *c, struct draft *d)
{
        if (d->kept_uid)
                (void)kept_remove(c, d->kept_uid);
        d->kept_uid = 0;
}

/* ---- what waits ---- */

static void name_letter(struct buf *why, uint32_t uid, const char *said)
{
        buf_printf(why, "%sOutbox %u: %s", why->n ? "; " : "", uid, said);
}

/* As send_one. What a person has to look at is passed over: 0. */
static int flush_one(struct trip *t, const struct placed *p, enum state s, unsigned *sent, struct buf *why)
{
        struct buf auto_buf text = { 0 };
        struct arena auto_arena a;
        int rc;

        arena_init(&a, 4 << 20);
        if (p->flags & FLAG_DELETED || s == REFUSED)
                return 0;
        if (s == HANDED_OVER) {
                name_letter(why, p->uid, "it may have been sent, or not: outbox send sends it once more");
                return 0;
        }
        buf_init(&text, MESSAGE_MOST);
        t->uid = p->uid;
        rc = kept_read(t->copy, p->letter, &text);
        if (rc == 0)
                rc = send_one(t, buf_str(&text), s, &a);
        *sent += rc == 0;
        if (rc < 0)
                name_letter(why, t->uid, *t->result->said ? t->result->said : strerror(-rc));
        return rc == -EREMOTEIO || rc == -EINPROGRESS ? 0 : rc; /* the others may go */
}

int outgo_flush(struct copy *c, struct login *l, unsigned *sent, struct buf *why)
{
        struct placed_list list = { 0 };
        enum state *states = NULL;
        int lock, rc;

        *sent = 0;
        lock = kept_lock(c, l, 0);
        if (lock < 0)
                return lock == -EBUSY ? 0 : lock; /* whoever has it sees to it */
        rc = kept_list(c, &list, &states);
        for (size_t i = 0; i < list.n && rc == 0; i++) {
                struct outgo_result result = { 0 };
                struct trip t = { .copy = c, .login = l, .result = &result };

                rc = flush_one(&t, &list.list[i], states[i], sent, why);
        }
        mem_free(states);
        placed_list_free(&list);
        close(lock);
        return rc == -ENOENT ? 0 : rc;
}

/* ---- gone on with ---- */

/* Its Bcc names those who have not got it. Of To and Cc the others have; those of Bcc who stand nowhere else are true ones. */
int outgo_resume(struct draft *d, const struct letter *kept, uint32_t uid)
{
        struct outgoing o = { 0 };
        struct buf auto_buf had = { 0 }, bcc = { 0 };
        static const char *const named[] = { "To", "Cc" };
        int rc;

        arena_init(&o.arena, ARENA_MOST);
        buf_init(&had, 1 << 20);
        buf_init(&bcc, 1 << 20);
        rc = take_apart(&o, buf_str(&kept->raw));
        if (rc == 0 && str_istarts(o.wire, S("Resent-")))
                rc = -EPERM; /* another's letter */
        if (rc == 0)
                rc = draft_resume(d, kept);
        for (size_t i = 0; i < 2 && rc == 0; i++) {
                struct addresses list;
                struct address who;
                struct field f;

                if (!header_find(o.wire, str_of(named[i]), &f))
                        continue;
                list = addresses_of(f.value);
                while (address_next(&list, &o.arena, &who)) {
                        struct str to = normal(&o.arena, &who);
                        bool waits = false;

                        for (unsigned k = 0; k < o.count && to.n; k++)
                                if (str_eq(o.to[k].address, to))
                                        waits = o.has[k] = true;
                        if (to.n && !waits)
                                buf_printf(&had, PRS "\n", STR(to));
                }
        }
        for (unsigned i = 0; i < o.count && rc == 0; i++)
                if (!o.has[i])
                        buf_printf(&bcc, "%s" PRS, bcc.n ? ", " : "", STR(o.to[i].address));
        if (rc == 0) {
                head_set(d, "Bcc", buf_str(&bcc));
                d->had = arena_str(&d->arena, buf_str(&had));
                d->kept_uid = uid;
        }
        arena_finish(&o.arena);
        return rc;
}
