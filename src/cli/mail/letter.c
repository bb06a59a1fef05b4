#include "cli/mail/letter_inside.h"
#include "base/mem.h"
#include "mail/header.h"
#include "mail/text.h"

#include <errno.h>

enum {
        ARENA_MOST = 128 << 20,
        LETTER_MOST = 256 << 20,
        PIECE = 1 << 20,
        FIELDS_MOST = 1000,
        FIELD_MOST = 64 * 1024,
        NAME_MOST = 998
};

void letter_add_line(struct letter *l, struct letter_line line)
{
        if (l->line_count == l->line_room) {
                l->line_room = l->line_room ? l->line_room * 2 : 256;
                l->lines = mem_grow(l->lines, l->line_room, sizeof *l->lines);
        }
        l->lines[l->line_count++] = line;
}

/* ---- fields ---- */

static struct str field_text(struct letter *l, struct str head, struct str name, size_t most)
{
        struct field f;

        return header_find(head, name, &f) ? word_decode(&l->arena, str_sub(f.value, 0, most)) : S("");
}

/* As they stand: a reply takes addresses apart itself, and what identifies must not be decoded. */
static struct str field_raw(struct letter *l, struct str head, struct str name)
{
        struct field f;

        return header_find(head, name, &f) ? header_unfold(&l->arena, str_sub(f.value, 0, FIELD_MOST))
                                           : S("");
}

static void take_fields(struct letter *l, struct str head)
{
        l->from = field_raw(l, head, S("From"));
        l->reply_to = field_raw(l, head, S("Reply-To"));
        l->to = field_raw(l, head, S("To"));
        l->cc = field_raw(l, head, S("Cc"));
        l->subject = field_text(l, head, S("Subject"), FIELD_MOST);
        l->date = field_raw(l, head, S("Date"));
        l->message_id = field_raw(l, head, S("Message-ID"));
        l->references = field_raw(l, head, S("References"));
        l->in_reply_to = field_raw(l, head, S("In-Reply-To"));
        l->list_post = field_raw(l, head, S("List-Post"));
}

static bool is_shown(struct str name)
{
        static const char *const usual[] = { "Date", "From", "To", "Cc", "Bcc", "Reply-To", "Subject" };

        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
                if (str_ieq(name, str_of(usual[i])))
                        return true;
        return false;
}

static void add_header(struct letter *l, struct str head, bool all)
{
        struct header h = header_of(head);
        struct field f;
        unsigned shown = 0;

        while (header_next(&h, &f) && shown < FIELDS_MOST && l->arena.used < ARENA_MOST / 4) {
                if (!all && !is_shown(f.name))
                        continue;
                letter_add_line(
                    l, (struct letter_line){
                           .text = arena_printf(&l->arena, PRS ": " PRS, STR(str_sub(f.name, 0, 100)),
                                                STR(word_decode(&l->arena, str_sub(f.value, 0, 8192)))),
                           .kind = LINE_HEADER });
                shown++;
        }
}

/* ---- parts ---- */

static bool is_text(const struct mime_part *p)
{
        return p->kind == MIME_LEAF && str_eq(p->type, S("text")) && !str_eq(p->disposition, S("attachment"));
}

static bool is_html(const struct mime_part *p)
{
        return str_eq(p->subtype, S("html")) || str_eq(p->subtype, S("xhtml"));
}

/* Where the parts below i end. */
static uint32_t end_of(const struct mime *m, uint32_t i)
{
        uint32_t end = i + 1;

        while (end < m->count && m->parts[end].depth > m->parts[i].depth)
                end++;
        return end;
}

/* Does the part hold text that can be shown, and is it HTML? 0 no, 1 HTML, 2 plain. */
static unsigned readable(const struct mime *m, uint32_t i, uint32_t end)
{
        unsigned best = 0;

        for (; i < end; i++)
                if (is_text(&m->parts[i])) {
                        unsigned this = is_html(&m->parts[i]) ? 1 : 2;

                        best = this > best ? this : best;
                }
        return best;
}

/* RFC 2046 §5.1.4: of the alternatives one is shown. The others are marked as not to be; parts inside each are few or looked at once only, as
 * an alternative inside an alternative that is passed over is passed over with it. */
static void choose(const struct mime *m, uint32_t i, unsigned wanted, bool *hidden)
{
        uint32_t end = end_of(m, i), chosen = MIME_NONE;
        unsigned best = 0;

        for (uint32_t child = i + 1; child < end; child = end_of(m, child)) {
                unsigned kind = readable(m, child, end_of(m, child));
                unsigned worth = !kind ? 0 : kind == wanted ? 2 : 1;

                if (worth && worth >= best) {
                        best = worth;
                        chosen = child;
                }
        }
        for (uint32_t child = i + 1; child < end && chosen != MIME_NONE; child = end_of(m, child))
                for (uint32_t at = child; child != chosen && at < end_of(m, child); at++)
                        hidden[at] |= is_text(&m->parts[at]);
}

static void add_part(struct letter *l, uint32_t i, bool text)
{
        const struct mime_part *p = &l->mime.parts[i];
        struct letter_part *part = &l->parts[l->part_count++];

        *part =
            (struct letter_part){ .type = arena_printf(&l->arena, PRS "/" PRS, STR(p->type), STR(p->subtype)),
                                  .name = mime_filename(&l->mime, p, &l->arena),
                                  .number = (unsigned)i + 1,
                                  .size = p->end - p->body,
                                  .attachment = !text,
                                  .text = text,
                                  .letter = p->kind == MIME_MESSAGE,
                                  .content_id = p->id };
        if (!part->name.n && part->letter && i + 1 < l->mime.count)
                part->name = field_text(l,
                                        str_sub(buf_str(&l->raw), l->mime.parts[i + 1].header,
                                                l->mime.parts[i + 1].body - l->mime.parts[i + 1].header),
                                        S("Subject"), NAME_MOST);
}

static void say_part(struct letter *l, const struct letter_part *p)
{
        letter_add_line(
            l, (struct letter_line){ .text = arena_printf(&l->arena, "[%zu] " PRS "%s" PRS ", %llu bytes",
                                                          l->part_count, STR(p->type), p->name.n ? " " : "",
                                                          STR(p->name), (unsigned long long)p->size),
                                     .kind = LINE_PART });
}

static void add_parts(struct letter *l, unsigned flags)
{
        struct mime *m = &l->mime;
        bool *hidden = arena_array(&l->arena, bool, m->count + 1);
        uint32_t i;

        l->parts = arena_array(&l->arena, struct letter_part, LETTER_PARTS_MOST);
        for (i = 0; i < m->count && l->part_count < LETTER_PARTS_MOST; i++) {
                const struct mime_part *p = &m->parts[i];

                if (i && m->parts[p->parent].kind == MIME_MESSAGE)
                        add_header(l, str_sub(buf_str(&l->raw), p->header, p->body - p->header), false);
                if (p->kind == MIME_MULTIPART) {
                        if (str_eq(p->subtype, S("alternative")))
                                choose(m, i, flags & LETTER_PREFER_HTML ? 1 : 2, hidden);
                        continue;
                }
                if (hidden[i])
                        continue;
                add_part(l, i, is_text(p));
                if (!is_text(p) || m->count > 1)
                        if (!is_text(p) || l->parts[l->part_count - 1].name.n)
                                say_part(l, &l->parts[l->part_count - 1]);
                if (is_text(p))
                        letter_add_text(l, p);
        }
        if (i < m->count || m->cut)
                letter_add_line(
                    l, (struct letter_line){ .text = S("[there are more parts, which are not shown]"),
                                             .kind = LINE_PART });
}

static void add_raw(struct letter *l)
{
        struct str rest = str_sub(buf_str(&l->raw), 0, LETTER_TEXT_MOST), line;

        while (rest.n) {
                str_cut(&rest, '\n', &line);
                if (line.n && line.p[line.n - 1] == '\r')
                        line.n--;
                letter_add_line(l, (struct letter_line){ .text = line, .kind = LINE_TEXT });
        }
}

/* ---- opened ---- */

static struct letter *letter_new(void)
{
        struct letter *l = mem_new(struct letter);

        arena_init(&l->arena, ARENA_MOST);
        mime_init(&l->mime);
        buf_init(&l->raw, LETTER_MOST);
        return l;
}

static void look(struct letter *l, unsigned flags)
{
        struct str head = str_sub(buf_str(&l->raw), 0, header_size(buf_str(&l->raw)));

        mime_parse(&l->mime, buf_str(&l->raw));
        take_fields(l, str_sub(head, 0, MIME_HEADER_MAX));
        if (flags & LETTER_RAW) {
                add_raw(l);
                return;
        }
        add_header(l, str_sub(head, 0, MIME_HEADER_MAX), flags & LETTER_ALL_FIELDS);
        letter_add_line(l, (struct letter_line){ .text = S(""), .kind = LINE_HEADER });
        add_parts(l, flags);
}

int letter_parse(struct letter **out, struct str raw, unsigned flags)
{
        struct letter *l = letter_new();

        *out = NULL;
        if (!buf_puts(&l->raw, raw)) {
                letter_free(&l);
                return -EFBIG;
        }
        look(l, flags);
        *out = l;
        return 0;
}

int letter_open(struct letter **out, struct account *a, uint32_t letter, unsigned flags)
{
        struct letter *l = letter_new();
        size_t before;
        int rc;

        *out = NULL;
        do {
                before = l->raw.n;
                rc = letter_read(a, letter, before, PIECE, &l->raw);
        } while (rc == 0 && l->raw.n - before == PIECE);
        if (rc < 0) {
                letter_free(&l);
                return rc;
        }
        look(l, flags);
        *out = l;
        return 0;
}

void letter_free(struct letter **l)
{
        if (!*l)
                return;
        mem_free((*l)->lines);
        mime_finish(&(*l)->mime);
        arena_finish(&(*l)->arena);
        buf_free(&(*l)->raw);
        mem_free(*l);
        *l = NULL;
}

int letter_part_bytes(const struct letter *l, unsigned number, struct buf *out)
{
        const struct mime_part *p;
        struct str bytes;
        size_t before = out->n;

        if (!number || number > l->mime.count)
                return -ENOENT;
        p = &l->mime.parts[number - 1];
        bytes = str_sub(buf_str(&l->raw), p->body, p->end - p->body);
        if (p->kind == MIME_LEAF && text_decode(out, p->encoding, bytes))
                return 0;
        if (out->full)
                return -EFBIG;
        out->n = before; /* broken: as it came, then, which a person may still mend */
        return buf_puts(out, bytes) ? 0 : -EFBIG;
}
