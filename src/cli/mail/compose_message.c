#include "cli/mail/compose_inside.h"
#include "base/codec.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/trace.h"
#include "mail/write.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

enum { RECIPIENTS_MOST = 1000 };

static bool among(struct str name, const char *const *list)
{
        for (; *list; list++)
                if (str_ieq(name, str_of(*list)))
                        return true;
        return false;
}

static const char *const addressed[] = { "To", "Cc", "Bcc", NULL };
static const char *const addresses[] = { "From", "Sender", "To", "Cc", "Bcc", "Reply-To", NULL };
/* Ours to write, or not part of the message. */
static const char *const left_out[] = {
        "Attach", "Inline",     "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
        "Date",   "Message-ID", "In-Reply-To",  "References",   NULL
};

struct work {
        const struct draft *d;
        struct arena *a;
        struct buf *out, *why;
        struct buf normal; /* recipients, by \n */
        struct buf sender;
        unsigned files;
        bool to_send;
};

static bool put_field(struct work *w, const struct field *f)
{
        struct str value = str_trim(header_unfold(w->a, f->value));
        struct buf *normal = among(f->name, addressed)     ? &w->normal
                             : str_ieq(f->name, S("From")) ? &w->sender
                                                           : NULL;
        struct buf auto_buf away = { 0 };
        size_t before = w->out->n;

        buf_init(&away, 4 << 20);
        if (among(f->name, left_out)) {
                w->files += str_ieq(f->name, S("Attach")) || str_ieq(f->name, S("Inline"));
                return true;
        }
        if (!value.n)
                return true;
        if (!among(f->name, addresses)) {
                write_field(w->out, f->name, value);
                return true;
        }
        if (w->to_send)
                return write_addresses(str_ieq(f->name, S("Bcc")) ? &away : w->out, f->name, value, w->a,
                                       normal, w->why);
        if (write_addresses(w->out, f->name, value, w->a, NULL, &away))
                return true;
        w->out->n = before; /* a draft may hold what is not an address yet */
        write_field(w->out, f->name, value);
        return true;
}

static bool put_fields(struct work *w)
{
        struct header h = header_of(buf_str(&w->d->head));
        struct field f;

        while (header_next(&h, &f))
                if (!put_field(w, &f))
                        return false;
        if (w->d->in_reply_to.n)
                write_field(w->out, S("In-Reply-To"), w->d->in_reply_to);
        if (w->d->references.n)
                write_field(w->out, S("References"), w->d->references);
        return true;
}

static void put_text(struct buf *out, struct str body)
{
        struct buf auto_buf flowed = { 0 };
        bool ascii = ascii_only(body);
        unsigned needs;

        buf_init(&flowed, MESSAGE_MOST);
        write_flowed(&flowed, body);
        needs = write_needs(buf_str(&flowed));
        buf_printf(
            out,
            "Content-Type: text/plain; charset=%s; format=flowed\r\nContent-Transfer-Encoding: %s\r\n\r\n",
            ascii ? "us-ascii" : "utf-8",
            needs == 0   ? "7bit"
            : needs == 1 ? "8bit"
                         : "quoted-printable");
        if (needs == 2)
                write_quoted(out, buf_str(&flowed));
        else
                buf_puts(out, buf_str(&flowed));
}

void compose_unique(char room[static 33])
{
        struct buf auto_buf hex = { 0 };
        char bytes[16];

        buf_init(&hex, 64);
        if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
                mem_die("the system gives no random bytes");
        hex_put(&hex, str_from(bytes, sizeof bytes));
        mem_copy(room, 32, buf_str(&hex));
        room[32] = 0;
}

static int put_body(struct work *w)
{
        const struct draft *d = w->d;
        struct header h = header_of(buf_str(&d->head));
        struct field f;
        const char *boundary = d->unique;
        unsigned number = 0;

        buf_puts(w->out, S("MIME-Version: 1.0\r\n"));
        if (!w->files && !d->forwarded) {
                put_text(w->out, buf_str(&d->body));
                return 0;
        }
        buf_printf(w->out, "Content-Type: multipart/mixed;\r\n boundary=\"=_%s\"\r\n\r\n--=_%s\r\n", boundary,
                   boundary);
        put_text(w->out, buf_str(&d->body));
        while (header_next(&h, &f)) {
                bool in_line = str_ieq(f.name, S("Inline"));
                int rc;

                if (!in_line && !str_ieq(f.name, S("Attach")))
                        continue;
                buf_printf(w->out, "\r\n--=_%s\r\n", boundary);
                rc = attach_put(w->out, d, f.value, in_line, ++number, w->why);
                if (rc < 0)
                        return rc;
        }
        if (d->forwarded) {
                buf_printf(w->out, "\r\n--=_%s\r\n", boundary);
                attach_letter(w->out, d->forwarded);
        }
        buf_printf(w->out, "\r\n--=_%s--\r\n", boundary);
        return 0;
}

/* Each once, in the order typed. */
static void list_recipients(struct work *w, struct str **list, size_t *n)
{
        struct str rest = buf_str(&w->normal), one;

        *list = arena_array(w->a, struct str, RECIPIENTS_MOST);
        while (rest.n && *n < RECIPIENTS_MOST) {
                bool known = false;

                str_cut(&rest, '\n', &one);
                for (size_t i = 0; i < *n; i++)
                        known |= str_eq((*list)[i], one);
                if (!known)
                        (*list)[(*n)++] = arena_str(w->a, one);
        }
}

/* Date and Message-ID: the same function that completes what programs submit. */
static void put_stamp(struct work *w)
{
        int64_t at = w->d->date ? w->d->date : wall_usec();
        time_t second = (time_t)(at / 1000000);
        struct str sender = buf_str(&w->sender), domain = S("localhost");
        struct tm tm;
        size_t sign = str_rfind(sender, '@');

        str_cut(&sender, '\n', &domain);
        domain = sign == STR_NONE || sign >= domain.n ? S("localhost") : str_from_at(domain, sign + 1);
        localtime_r(&second, &tm);
        trace_complete(w->out, S(""), domain, str_of(w->d->unique), at, (int)(tm.tm_gmtoff / 60));
}

int draft_message(const struct draft *d, const struct login *l, struct buf *message, struct arena *a,
                  struct str **recipients, size_t *n, struct str *sender, struct buf *why)
{
        struct buf auto_buf fields = { 0 }, normal = { 0 }, from = { 0 };
        struct work w = { .d = d, .a = a, .out = &fields, .why = why, .to_send = recipients != NULL };
        struct str rest, first;
        int rc;

        buf_init(&fields, 4 << 20);
        buf_init(&normal, 4 << 20);
        buf_init(&from, 64 * 1024);
        w.normal = normal;
        w.sender = from;
        if (!put_fields(&w)) {
                rc = -EINVAL;
                goto out;
        }
        rest = buf_str(&w.sender);
        str_cut(&rest, '\n', &first);
        *sender = arena_str(a, first.n ? first : str_of(l->address));
        if (recipients) {
                *n = 0;
                list_recipients(&w, recipients, n);
        }
        rc = -EINVAL;
        if (recipients && !*n) {
                buf_puts(why, S("nobody is named in To, Cc or Bcc"));
                goto out;
        }
        if (recipients && *n == RECIPIENTS_MOST) {
                buf_puts(why, S("too many recipients"));
                goto out;
        }
        if (!header_has(buf_str(&fields), S("From"))) /* an empty one is none */
                buf_printf(message, "From: <%s>\r\n", l->address);
        w.out = message;
        put_stamp(&w);
        buf_puts(message, buf_str(&fields));
        rc = put_body(&w);
        if (rc == 0 && (message->full || fields.full)) {
                buf_puts(why, S("the letter is too long"));
                rc = -EFBIG;
        }
out:
        normal = w.normal;
        from = w.sender;
        return rc;
}
