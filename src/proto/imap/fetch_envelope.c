#include "base/mem.h"
#include "mail/address.h"
#include "mail/header.h"
#include "proto/imap/fetch.h"

/* envelope = "(" env-date SP env-subject SP env-from SP ... env-message-id ")" -- RFC 9051 §7.5.2. Encoded words stay as they are. */

void put_u64(struct buf *b, uint64_t v)
{
        char digits[20];
        size_t at = sizeof digits;

        do {
                digits[--at] = (char)('0' + v % 10);
                v /= 10;
        } while (v);
        buf_put(b, digits + at, sizeof digits - at);
}

static bool has_control(struct str v)
{
        for (size_t i = 0; i < v.n; i++)
                if ((unsigned char)v.p[i] < 32 || v.p[i] == 127)
                        return true;
        return false;
}

/* The field's raw value; it must be read from the letter if it was too long to be held. If that fails while the answer goes
 * out, the field is empty: its line must end well, and the command's reply tells of the failure. */
static bool text_of(struct fetch_writer *w, const struct mime_field *f, struct str *out)
{
        struct str piece;

        *out = f->text;
        if (f->held || !f->n)
                return true;
        if (!w->source)
                return false;
        piece = fetch_read(w->source, f->at, f->n < FETCH_FIELD_MOST ? f->n : FETCH_FIELD_MOST);
        *out = arena_str(&w->scratch, piece);
        return w->source->error == 0 || w->out.s;
}

static bool put_text(struct fetch_writer *w, const struct mime_field *f)
{
        struct buf *b = w->out.b;
        struct str v;

        if (!f->present) {
                buf_puts(b, S("NIL"));
                return true;
        }
        arena_reset(&w->scratch);
        if (!text_of(w, f, &v))
                return false;
        put_string(b, has_control(v) ? header_unfold(&w->scratch, v) : v, w->mode);
        return true;
}

static void put_name(struct fetch_writer *w, struct str v, bool there)
{
        if (there)
                put_string(w->out.b, v, w->mode);
        else
                buf_puts(w->out.b, S("NIL"));
}

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")". A host of NIL belongs to groups, so an address without
 * a domain gets an empty one. */
static void put_address(struct fetch_writer *w, const struct address *a)
{
        struct buf *b = w->out.b;

        switch (a->kind) {
        case ADDRESS_GROUP:
                buf_puts(b, S("(NIL NIL "));
                put_string(b, a->name, w->mode);
                buf_puts(b, S(" NIL)"));
                return;
        case ADDRESS_GROUP_END: buf_puts(b, S("(NIL NIL NIL NIL)")); return;
        case ADDRESS_BAD:
        case ADDRESS_MAILBOX: break;
        }
        buf_puts(b, S("("));
        put_name(w, a->name, a->has_name);
        buf_puts(b, S(" NIL "));
        put_string(b, a->local, w->mode);
        buf_puts(b, S(" "));
        put_string(b, a->domain, w->mode);
        buf_puts(b, S(")"));
}

/* --- the short way, for addresses as nearly all of them are: [phrase] "<" local "@" domain ">", or without angle brackets, all ASCII
 * and without comments. It gives exactly what the long way gives, or gives up. --- */
enum { ATOM = 3, PHRASE = 1, IN_ATOM = 2 };
static const uint8_t class[256] = {
        ['a' ... 'z'] = ATOM, ['A' ... 'Z'] = ATOM, ['0' ... '9'] = ATOM, ['!'] = ATOM,  ['#'] = ATOM,
        ['$'] = ATOM,         ['%'] = ATOM,         ['&'] = ATOM,         ['\''] = ATOM, ['*'] = ATOM,
        ['+'] = ATOM,         ['-'] = ATOM,         ['/'] = ATOM,         ['='] = ATOM,  ['?'] = ATOM,
        ['^'] = ATOM,         ['_'] = ATOM,         ['`'] = ATOM,         ['{'] = ATOM,  ['|'] = ATOM,
        ['}'] = ATOM,         ['~'] = ATOM,         ['.'] = PHRASE,
};

/* Words and single dots between them. */
static bool plain_dotted(struct str s, size_t *at, struct str *out)
{
        size_t from = *at;
        bool dot = true;

        for (; *at < s.n; ++*at) {
                if (s.p[*at] == '.' ? dot : !(class[(unsigned char)s.p[*at]] & IN_ATOM))
                        break;
                dot = s.p[*at] == '.';
        }
        *out = str_sub(s, from, *at - from);
        return !dot;
}

/* Words with one space between, or one quoted string; up to the "<". */
static bool plain_phrase(struct str s, size_t *at, struct str *out)
{
        size_t from = *at;

        if (from < s.n && s.p[from] == '"') {
                for (++*at; *at < s.n && s.p[*at] != '"'; ++*at)
                        if (s.p[*at] == '\\' || (unsigned char)s.p[*at] < 32 || (unsigned char)s.p[*at] > 126)
                                return false;
                *out = str_sub(s, from + 1, *at - from - 1);
                if (++*at < s.n && s.p[*at] == ' ')
                        ++*at;
                return *at < s.n && s.p[*at] == '<';
        }
        while (*at < s.n && s.p[*at] != '<') {
                if (s.p[*at] == ' ' ? *at == from || s.p[*at - 1] == ' '
                                    : !(class[(unsigned char)s.p[*at]] & PHRASE))
                        return false;
                ++*at;
        }
        *out = str_sub(s, from, *at - from);
        if (out->n && out->p[out->n - 1] == ' ')
                out->n--;
        return *at < s.n;
}

static bool plain_address(struct str s, size_t *at, struct address *out)
{
        size_t from = *at, end = from;

        *out = (struct address){ ADDRESS_MAILBOX, S(""), S(""), S(""), false };
        while (end < s.n && s.p[end] != '<' && s.p[end] != ',')
                end = s.p[end] != '"' ? end + 1 : end + 1 + str_find(str_from_at(s, end + 1), '"') + 1;
        if (end < s.n && s.p[end] == '<') {
                if (!plain_phrase(s, at, &out->name))
                        return false;
                out->has_name = *at > from; /* "" <a@b> has one that is empty */
                ++*at;
        }
        if (!plain_dotted(s, at, &out->local) || *at >= s.n || s.p[*at] != '@')
                return false;
        ++*at;
        if (!plain_dotted(s, at, &out->domain))
                return false;
        if (end < s.n && s.p[end] == '<') {
                if (*at >= s.n || s.p[*at] != '>')
                        return false;
                ++*at;
        }
        while (*at < s.n && s.p[*at] == ' ')
                ++*at;
        return *at == s.n || s.p[*at] == ',';
}

/* false: nothing is written, take the long way. */
static bool put_plain(struct fetch_writer *w, struct str s)
{
        struct buf *b = w->out.b;
        size_t before = b->n, at = 0;
        struct address a;

        if (s.n > MIME_HELD_MAX)
                return false;
        buf_puts(b, S("("));
        for (;;) {
                if (!plain_address(s, &at, &a)) {
                        b->n = b->full ? b->n : before;
                        return b->full;
                }
                put_address(w, &a);
                if (at == s.n)
                        break;
                at++; /* the comma */
                while (at < s.n && s.p[at] == ' ')
                        at++;
        }
        buf_puts(b, S(")"));
        return true;
}

/* "(" 1*address ")" / nil */
static void put_list(struct fetch_writer *w, struct str s)
{
        struct addresses list = addresses_of(s);
        struct address a;
        bool any = false;

        if (put_plain(w, s))
                return;
        while (address_next(&list, &w->scratch, &a)) {
                buf_puts(w->out.b, any ? S("") : S("("));
                any = true;
                put_address(w, &a);
                fetch_drain(&w->out);
        }
        buf_puts(w->out.b, any ? S(")") : S("NIL"));
}

static bool put_addresses(struct fetch_writer *w, const struct mime_field *f)
{
        struct str v;

        if (!f->present) {
                buf_puts(w->out.b, S("NIL"));
                return true;
        }
        arena_reset(&w->scratch);
        if (!text_of(w, f, &v))
                return false;
        if (v.n < f->n) /* not all of it was read */
                v.n = str_rfind(v, ',') == STR_NONE ? v.n : str_rfind(v, ',');
        put_list(w, v);
        return true;
}

/* What was just written once more: Sender and Reply-To are From if they are absent or empty. */
static bool again(struct fetch_writer *w, size_t from, size_t n, const struct mime_field *f)
{
        struct buf *b = w->out.b;
        char *to;

        if (w->out.s)
                return put_addresses(w, f); /* the text may have gone out */
        to = b->full ? NULL : buf_room(b, n);
        if (to) {
                mem_copy(to, n, str_sub(buf_str(b), from, n));
                buf_added(b, n);
        }
        return true;
}

static bool is_nil(const struct buf *b, size_t from)
{
        return b->n - from == 3 && str_ends(buf_str(b), S("NIL"));
}

static bool put_froms(struct fetch_writer *w, const struct mime_envelope *e)
{
        static const enum mime_envelope_field others[] = { MIME_SENDER, MIME_REPLY_TO };
        const struct mime_field *from = &e->fields[MIME_FROM];
        struct buf *b = w->out.b;
        size_t at = b->n, n, start;

        if (!put_addresses(w, from))
                return false;
        n = b->n - at;
        for (unsigned i = 0; i < 2; i++) {
                buf_puts(b, S(" "));
                fetch_drain(&w->out);
                start = b->n;
                if (!put_addresses(w, &e->fields[others[i]]))
                        return false;
                if (is_nil(b, start)) {
                        b->n = b->full ? b->n : start;
                        if (!again(w, at, n, from))
                                return false;
                }
        }
        return true;
}

enum fetch_made put_envelope(struct fetch_writer *w, const struct mime_envelope *e)
{
        static const enum mime_envelope_field to[] = { MIME_TO, MIME_CC, MIME_BCC };
        static const enum mime_envelope_field ids[] = { MIME_IN_REPLY_TO, MIME_MESSAGE_ID };
        struct buf *b = w->out.b;
        bool all;

        buf_puts(b, S("("));
        all = put_text(w, &e->fields[MIME_DATE]);
        buf_puts(b, S(" "));
        all = all && put_text(w, &e->fields[MIME_SUBJECT]);
        buf_puts(b, S(" "));
        all = all && put_froms(w, e);
        for (unsigned i = 0; i < 3 && all; i++) {
                buf_puts(b, S(" "));
                fetch_drain(&w->out);
                all = put_addresses(w, &e->fields[to[i]]);
        }
        for (unsigned i = 0; i < 2 && all; i++) {
                buf_puts(b, S(" "));
                all = put_text(w, &e->fields[ids[i]]);
        }
        buf_puts(b, S(")"));
        return all ? FETCH_MADE : FETCH_NEEDS_BYTES;
}

enum fetch_made put_letter_envelope(struct fetch_writer *w, struct str packed)
{
        mime_walk_begin(&w->walk, packed);
        return mime_walk_next(&w->walk) ? put_envelope(w, &w->walk.envelope) : FETCH_DAMAGED;
}
