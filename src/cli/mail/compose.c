#include "cli/mail/compose_inside.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { ARENA_MOST = 64 << 20, HEAD_MOST = 1 << 20, BODY_MOST = 64 << 20, SIGNATURE_MOST = 64 * 1024 };

static void begin(struct draft *d)
{
        *d = (struct draft){ 0 };
        arena_init(&d->arena, ARENA_MOST);
        buf_init(&d->head, HEAD_MOST);
        buf_init(&d->body, BODY_MOST);
        compose_unique(d->unique);
}

void draft_free(struct draft *d)
{
        buf_free(&d->head);
        buf_free(&d->body);
        arena_finish(&d->arena);
}

/* ---- addresses as a person writes them ---- */

static void put_quoted(struct buf *out, struct str name)
{
        bool plain = true;

        for (size_t i = 0; i < name.n; i++)
                plain &= !strchr("\"\\()<>[]:;@,.", name.p[i]);
        if (!plain)
                buf_puts(out, S("\""));
        for (size_t i = 0; i < name.n; i++) {
                if (name.p[i] == '"' || name.p[i] == '\\')
                        buf_puts(out, S("\\"));
                buf_put(out, name.p + i, 1);
        }
        if (!plain)
                buf_puts(out, S("\""));
}

static bool is_own(const struct login *l, struct str address)
{
        return str_ieq(address, str_of(l->address));
}

/* Appends the addresses of a raw field, decoded; without `own` those that are not ours. */
static void put_addresses(struct draft *d, const struct login *l, struct str raw, bool own)
{
        struct addresses list = addresses_of(raw);
        struct address who;

        while (address_next(&list, &d->arena, &who)) {
                struct str text = address_write(&d->arena, who.local, who.domain), name;

                if (who.kind != ADDRESS_MAILBOX || (!own && is_own(l, text)))
                        continue;
                if (d->head.n && d->head.p[d->head.n - 1] != ' ')
                        buf_puts(&d->head, S(", "));
                name = str_trim(word_decode(&d->arena, who.name));
                if (name.n) {
                        put_quoted(&d->head, name);
                        buf_printf(&d->head, " <" PRS ">", STR(text));
                } else {
                        buf_puts(&d->head, text);
                }
        }
}

static void put_from(struct draft *d, const struct login *l)
{
        buf_puts(&d->head, S("From: "));
        if (l->name && *l->name) {
                put_quoted(&d->head, str_of(l->name));
                buf_printf(&d->head, " <%s>\n", l->address);
        } else {
                buf_printf(&d->head, "%s\n", l->address);
        }
}

static void put_signature(struct draft *d, const struct login *l)
{
        FILE *f = l->signature ? fopen(l->signature, "re") : NULL;
        char *room;

        if (!f)
                return;
        buf_puts(&d->body, S("\n-- \n"));
        room = buf_room(&d->body, SIGNATURE_MOST);
        if (room)
                buf_added(&d->body, fread(room, 1, SIGNATURE_MOST, f));
        fclose(f);
        if (d->body.n && d->body.p[d->body.n - 1] != '\n')
                buf_puts(&d->body, S("\n"));
}

void draft_new(struct draft *d, const struct login *l)
{
        begin(d);
        put_from(d, l);
        buf_puts(&d->head, S("To: \nSubject: \n"));
        put_signature(d, l);
}

/* ---- answers ---- */

static struct str subject_with(struct draft *d, struct str prefix, struct str subject)
{
        subject = str_trim(subject);
        if (str_istarts(subject, prefix))
                return subject;
        return arena_printf(&d->arena, PRS " " PRS, STR(prefix), STR(subject));
}

/* The addresses of List-Post: <mailto:list@hill.com> (RFC 2369). */
static struct str list_address(struct str list_post)
{
        size_t at = str_search(list_post, S("<mailto:"));
        struct str rest = str_from_at(list_post, at == STR_NONE ? list_post.n : at + 8), address;

        if (!str_cut(&rest, '>', &address))
                return S("");
        rest = address;
        str_cut(&rest, '?', &address);
        return address;
}

static void put_quote(struct draft *d, const struct letter *of)
{
        int64_t at;
        int offset = 0;
        time_t there;
        struct tm tm;
        char day[64] = "";
        struct addresses list = addresses_of(of->from);
        struct address who = { 0 };
        struct str name;

        if (date_parse(of->date, &at, &offset)) {
                there = (time_t)(at + offset * 60);
                gmtime_r(&there, &tm);
                strftime(day, sizeof day, "On %Y-%m-%d at %H:%M, ", &tm);
        }
        (void)address_next(&list, &d->arena, &who);
        name = str_trim(word_decode(&d->arena, who.name));
        if (!name.n)
                name = address_write(&d->arena, who.local, who.domain);
        buf_printf(&d->body, "%s" PRS " wrote:\n", day, STR(name));
        for (size_t i = 0; i < of->line_count; i++) {
                const struct letter_line *line = &of->lines[i];

                if (line->kind != LINE_TEXT)
                        continue;
                buf_puts(&d->body, S(">"));
                for (unsigned n = 0; n < line->quoted; n++)
                        buf_puts(&d->body, S(">"));
                buf_printf(&d->body, "%s" PRS "\n", line->text.n ? " " : "", STR(line->text));
        }
}

/* RFC 5322 §3.6.4. Of very many references the first and the last stay. */
static void refer(struct draft *d, const struct letter *of)
{
        struct str known = of->references.n ? of->references : of->in_reply_to;
        size_t most = 8000;

        if (known.n > most) {
                struct str tail = str_from_at(known, known.n - most);
                size_t at = str_find(tail, '<'), end = str_find(known, '>');

                known = arena_printf(&d->arena, PRS " " PRS,
                                     STR(str_sub(known, 0, end == STR_NONE ? 0 : end + 1)),
                                     STR(str_from_at(tail, at == STR_NONE ? tail.n : at)));
        }
        d->in_reply_to = arena_str(&d->arena, str_trim(of->message_id));
        d->references = str_trim(arena_printf(&d->arena, PRS " " PRS, STR(known), STR(d->in_reply_to)));
}

void draft_reply(struct draft *d, const struct login *l, const struct letter *of, unsigned how)
{
        struct str list = how & REPLY_LIST ? list_address(of->list_post) : S("");
        struct str answer = of->reply_to.n ? of->reply_to : of->from;
        size_t before;

        begin(d);
        put_from(d, l);
        buf_puts(&d->head, S("To: "));
        before = d->head.n;
        if (list.n) {
                buf_puts(&d->head, list);
        } else {
                put_addresses(d, l, answer, how & REPLY_ALL ? false : true);
                if (d->head.n == before) /* to oneself: to whom it went */
                        put_addresses(d, l, of->to, true);
        }
        buf_puts(&d->head, S("\n"));
        if (how & REPLY_ALL && !list.n) {
                buf_puts(&d->head, S("Cc: "));
                before = d->head.n;
                put_addresses(d, l, of->to, false);
                put_addresses(d, l, of->cc, false);
                if (d->head.n == before)
                        d->head.n -= 4;
                else
                        buf_puts(&d->head, S("\n"));
        }
        buf_printf(&d->head, "Subject: " PRS "\n", STR(subject_with(d, S("Re:"), of->subject)));
        refer(d, of);
        if (how & REPLY_QUOTE)
                put_quote(d, of);
        put_signature(d, l);
}

/* Their names are a stranger's: nothing in them may end the line. */
static void attach_parts(struct draft *d, const struct letter *of)
{
        for (size_t i = 0; i < of->part_count; i++) {
                if (!of->parts[i].attachment)
                        continue;
                buf_printf(&d->head, "Attach: part:%u ", of->parts[i].number);
                letter_file_name(&of->parts[i], &d->head);
                buf_puts(&d->head, S("\n"));
        }
        d->parts_of = of;
}

void draft_forward(struct draft *d, const struct login *l, const struct letter *of, bool as_attachment)
{
        begin(d);
        put_from(d, l);
        buf_printf(&d->head, "To: \nSubject: " PRS "\n", STR(subject_with(d, S("Fwd:"), of->subject)));
        if (as_attachment) {
                d->forwarded = of;
                put_signature(d, l);
                return;
        }
        put_signature(d, l);
        buf_puts(&d->body, S("\n----- Forwarded message -----\n"));
        for (size_t i = 0; i < of->line_count; i++) {
                const struct letter_line *line = &of->lines[i];

                for (unsigned n = 0; n < line->quoted; n++)
                        buf_puts(&d->body, S(">"));
                buf_printf(&d->body, "%s" PRS "\n", line->quoted && line->text.n ? " " : "", STR(line->text));
        }
        attach_parts(d, of);
}

/* ---- as text, and back ---- */

void draft_text(const struct draft *d, struct buf *out)
{
        buf_puts(out, buf_str(&d->head));
        buf_puts(out, S("\n"));
        buf_puts(out, buf_str(&d->body));
}

int draft_from_text(struct draft *d, struct str text, struct buf *why)
{
        struct str rest = text, line, head;
        unsigned number = 0;
        size_t at;

        for (;;) {
                at = text.n - rest.n;
                if (!rest.n)
                        break;
                str_cut(&rest, '\n', &line);
                number++;
                if (line.n && line.p[line.n - 1] == '\r')
                        line.n--;
                if (!line.n)
                        break;
                if (line.p[0] == ' ' || line.p[0] == '\t'
                        ? number > 1
                        : str_find(line, ':') != STR_NONE && str_find(line, ':') > 0)
                        continue;
                buf_printf(why, "line %u of the header is no field: " PRS, number,
                           STR(str_sub(line, 0, 100)));
                return -EINVAL;
        }
        head = str_sub(text, 0, at);
        buf_clear(&d->head);
        buf_clear(&d->body);
        for (; head.n;) {
                str_cut(&head, '\n', &line);
                if (line.n && line.p[line.n - 1] == '\r')
                        line.n--;
                buf_puts(&d->head, line);
                buf_puts(&d->head, S("\n"));
        }
        buf_puts(&d->body, rest);
        if (!d->head.full && !d->body.full)
                return 0;
        buf_puts(why, S("the letter is too long"));
        return -EFBIG;
}

/* A letter in Drafts: Bcc stands in it, and its attachments are taken from it again. */
int draft_resume(struct draft *d, const struct letter *saved)
{
        static const char *const fields[] = { "From", "To", "Cc", "Bcc", "Reply-To", "Subject" };
        struct str raw = str_sub(buf_str(&saved->raw), 0, header_size(buf_str(&saved->raw)));
        char none[] = "";
        struct login nobody = { .address = none };
        struct field f;

        begin(d);
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
                if (!header_find(raw, str_of(fields[i]), &f))
                        continue;
                buf_printf(&d->head, "%s: ", fields[i]);
                if (str_ieq(f.name, S("Subject")))
                        buf_puts(&d->head, word_decode(&d->arena, f.value));
                else
                        put_addresses(d, &nobody, header_unfold(&d->arena, f.value), true);
                buf_puts(&d->head, S("\n"));
        }
        d->in_reply_to = arena_str(&d->arena, str_trim(saved->in_reply_to));
        d->references = arena_str(&d->arena, str_trim(saved->references));
        for (size_t i = 0; i < saved->line_count; i++) {
                const struct letter_line *line = &saved->lines[i];

                if (line->kind != LINE_TEXT && line->kind != LINE_SIGNATURE)
                        continue;
                for (unsigned n = 0; n < line->quoted; n++)
                        buf_puts(&d->body, S(">"));
                buf_printf(&d->body, "%s" PRS "\n", line->quoted && line->text.n ? " " : "", STR(line->text));
        }
        attach_parts(d, saved);
        return d->head.full || d->body.full ? -EFBIG : 0;
}
