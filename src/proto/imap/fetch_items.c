#include "proto/imap/fetch.h"

/* fetch-att -- RFC 9051 §9, RFC 7162 §7, RFC 8474 §7, RFC 8514 §4.3, RFC 8970 §6 */

static const struct {
        struct str name;
        enum fetch_what what;
        bool peek;
        enum fetch_text text;
} atts[] = {
        { S("FLAGS"), FETCH_FLAGS, true, 0 },
        { S("UID"), FETCH_UID, true, 0 },
        { S("RFC822.SIZE"), FETCH_SIZE, true, 0 },
        { S("MODSEQ"), FETCH_MODSEQ, true, 0 },
        { S("EMAILID"), FETCH_EMAILID, true, 0 },
        { S("SAVEDATE"), FETCH_SAVEDATE, true, 0 },
        { S("INTERNALDATE"), FETCH_INTERNALDATE, true, 0 },
        { S("THREADID"), FETCH_THREADID, true, 0 },
        { S("ENVELOPE"), FETCH_ENVELOPE, true, 0 },
        { S("BODYSTRUCTURE"), FETCH_BODYSTRUCTURE, true, 0 },
        { S("PREVIEW"), FETCH_PREVIEW, true, 0 },
        { S("RFC822"), FETCH_SECTION, false, TEXT_WHOLE },
        { S("RFC822.HEADER"), FETCH_SECTION, true, TEXT_HEADER },
        { S("RFC822.TEXT"), FETCH_SECTION, false, TEXT_TEXT },
}, bracketed[] = {
        { S("BODY"), FETCH_SECTION, false, 0 },       { S("BODY.PEEK"), FETCH_SECTION, true, 0 },
        { S("BINARY"), FETCH_BINARY, false, 0 },      { S("BINARY.PEEK"), FETCH_BINARY, true, 0 },
        { S("BINARY.SIZE"), FETCH_BINARY_SIZE, true, 0 },
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
        struct str name;
        enum fetch_what whats[5];
        unsigned n;
} macros[] = {
        { S("FAST"), { FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_SIZE }, 3 },
        { S("ALL"), { FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_SIZE, FETCH_ENVELOPE }, 4 },
        { S("FULL"), { FETCH_FLAGS, FETCH_INTERNALDATE, FETCH_SIZE, FETCH_ENVELOPE, FETCH_BODY }, 5 },
};

static bool name_char(unsigned char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.';
}

static struct fetch_item *add(struct session *s, struct scan *a, struct fetch_items *out,
                              enum fetch_what what, struct str label)
{
        struct fetch_item *item;

        if (!out->list)
                out->list = arena_array(&s->command, struct fetch_item, FETCH_ITEMS_MOST);
        if (out->n == FETCH_ITEMS_MOST) {
                scan_fail(a, "[LIMIT] too many items in one FETCH");
                return NULL;
        }
        item = &out->list[out->n++];
        *item = (struct fetch_item){ .what = what, .label = label };
        out->given |= 1u << what;
        out->labels += label.n;
        out->facts = out->facts || (what >= FETCH_INTERNALDATE && what < FETCH_SECTION);
        out->modseq = out->modseq || what == FETCH_MODSEQ;
        if (what >= FETCH_SECTION) {
                out->bytes = true;
                out->sections++;
        }
        return item;
}

/* One of those without brackets: asked for twice, it is answered once. */
static void add_plain(struct session *s, struct scan *a, struct fetch_items *out, enum fetch_what what)
{
        static const struct str labels[] = {
                [FETCH_FLAGS] = S("FLAGS "),
                [FETCH_UID] = S("UID "),
                [FETCH_SIZE] = S("RFC822.SIZE "),
                [FETCH_MODSEQ] = S("MODSEQ "),
                [FETCH_EMAILID] = S("EMAILID "),
                [FETCH_SAVEDATE] = S("SAVEDATE "),
                [FETCH_INTERNALDATE] = S("INTERNALDATE "),
                [FETCH_THREADID] = S("THREADID "),
                [FETCH_ENVELOPE] = S("ENVELOPE "),
                [FETCH_BODY] = S("BODY "),
                [FETCH_BODYSTRUCTURE] = S("BODYSTRUCTURE "),
                [FETCH_PREVIEW] = S("PREVIEW "),
        };

        if (!(out->given & 1u << what))
                add(s, a, out, what, labels[what]);
}

/* section-part = nz-number *("." nz-number); with a "." behind it something must follow */
static void path(struct scan *a, struct arena *m, struct fetch_section *out)
{
        int c = scan_peek(a);

        if (c < '0' || c > '9')
                return;
        out->path = arena_array(m, uint32_t, FETCH_PATH_MOST);
        do {
                if (out->depth == FETCH_PATH_MOST) {
                        scan_fail(a, "[LIMIT] no part is that deep");
                        return;
                }
                out->path[out->depth++] = imap_nz_number(a);
                if (!scan_try(a, '.'))
                        return;
                c = scan_peek(a);
        } while (c >= '0' && c <= '9' && !a->bad);
        if (c < 0 || c == ']')
                scan_fail(a, "a part number ends with a dot");
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static void names(struct session *s, struct scan *a, struct arena *m, struct fetch_section *out)
{
        unsigned room = 0;
        struct str *more;

        imap_sp(a);
        scan_char(a, '(');
        do {
                if (out->n == FETCH_FIELDS_MOST) {
                        scan_fail(a, "[LIMIT] too many header fields in one FETCH");
                        return;
                }
                if (out->n == room) {
                        room = room ? room * 4 : 16;
                        more = arena_array(m, struct str, room);
                        for (unsigned i = 0; i < out->n; i++)
                                more[i] = out->names[i];
                        out->names = more;
                }
                out->names[out->n++] = arena_str(m, imap_astring(s, a));
        } while (!a->bad && scan_peek(a) == ' ' && (imap_sp(a), true));
        scan_char(a, ')');
        out->sorted = arena_array(m, struct str, out->n);
        for (unsigned i = 0; i < out->n; i++)
                out->sorted[i] = out->names[i];
        fetch_sort_names(out);
}

/* section-spec = section-msgtext / (section-part ["." section-text]) -- RFC 9051 §9 */
void fetch_section(struct session *s, struct scan *a, struct arena *m, struct fetch_section *out)
{
        static const struct {
                struct str name;
                enum fetch_text text;
        } texts[] = {
                { S("HEADER.FIELDS.NOT"), TEXT_FIELDS_NOT },
                { S("HEADER.FIELDS"), TEXT_FIELDS },
                { S("HEADER"), TEXT_HEADER },
                { S("TEXT"), TEXT_TEXT },
                { S("MIME"), TEXT_MIME },
        };
        struct str name;
        unsigned i = 0;
        int c;

        *out = (struct fetch_section){ 0 };
        path(a, m, out);
        c = scan_peek(a);
        if (a->bad || c < 0 || c == ']' || c == ';')
                return;
        name = scan_while(a, name_char);
        while (i < COUNT(texts) && !str_ieq(name, texts[i].name))
                i++;
        if (i == COUNT(texts) || (texts[i].text == TEXT_MIME && !out->depth)) {
                scan_fail(a, "no such section");
                return;
        }
        out->text = texts[i].text;
        if (out->text == TEXT_FIELDS || out->text == TEXT_FIELDS_NOT)
                names(s, a, m, out);
}

/* "<" number "." nz-number ">" */
static void partial(struct scan *a, struct fetch_section *section)
{
        if (!scan_try(a, '<'))
                return;
        section->partial = true;
        section->from = imap_number64(a);
        scan_char(a, '.');
        section->count = imap_number64(a);
        if (!section->count)
                scan_fail(a, "a partial fetch of nothing");
        scan_char(a, '>');
}

/* How the answer names the item: as it was asked for, without PEEK, and of <from.count> only from. */
static struct str label(struct session *s, const char *name, const struct fetch_section *section)
{
        static const char *const texts[] = { [TEXT_WHOLE] = "",
                                             [TEXT_HEADER] = "HEADER",
                                             [TEXT_FIELDS] = "HEADER.FIELDS (",
                                             [TEXT_FIELDS_NOT] = "HEADER.FIELDS.NOT (",
                                             [TEXT_MIME] = "MIME",
                                             [TEXT_TEXT] = "TEXT" };
        struct buf b auto_buf;

        buf_init(&b, IMAP_LITERALS_MOST * 2 + 65536);
        buf_printf(&b, "%s[", name);
        for (unsigned i = 0; i < section->depth; i++)
                buf_printf(&b, i ? ".%u" : "%u", section->path[i]);
        if (section->depth && section->text != TEXT_WHOLE)
                buf_puts(&b, S("."));
        buf_puts(&b, str_of(texts[section->text]));
        for (unsigned i = 0; i < section->n; i++) {
                if (i)
                        buf_puts(&b, S(" "));
                put_astring(&b, section->names[i], imap_mode(s));
        }
        buf_puts(&b, section->n ? S(")]") : S("]"));
        if (section->partial)
                buf_printf(&b, "<%llu>", (unsigned long long)section->from);
        buf_puts(&b, S(" "));
        return arena_str(&s->command, buf_str(&b));
}

static void bracket(struct session *s, struct scan *a, struct fetch_items *out, struct str name)
{
        static const char *const labels[] = {
                [FETCH_SECTION] = "BODY", [FETCH_BINARY] = "BINARY", [FETCH_BINARY_SIZE] = "BINARY.SIZE"
        };
        struct fetch_section section;
        struct fetch_item *item;
        unsigned i = 0;

        while (i < COUNT(bracketed) && !str_ieq(name, bracketed[i].name))
                i++;
        if (i == COUNT(bracketed) || (bracketed[i].what != FETCH_SECTION && !imap_can_rev2(s, CAP_BINARY))) {
                scan_fail(a, "no such item");
                return;
        }
        scan_char(a, '[');
        fetch_section(s, a, &s->command, &section);
        scan_char(a, ']');
        if (bracketed[i].what != FETCH_SECTION && section.text != TEXT_WHOLE)
                scan_fail(a, "BINARY knows only part numbers");
        if (bracketed[i].what != FETCH_BINARY_SIZE)
                partial(a, &section);
        out->fields += section.n;
        if (out->fields > FETCH_FIELDS_MOST)
                scan_fail(a, "[LIMIT] too many header fields in one FETCH");
        if (a->bad)
                return;
        item = add(s, a, out, bracketed[i].what, label(s, labels[bracketed[i].what], &section));
        if (!item)
                return;
        item->section = section;
        out->seen = out->seen || !bracketed[i].peek;
        out->facts = out->facts || section.depth;
}

static void preview(struct session *s, struct scan *a, struct fetch_items *out)
{
        struct scan at = *a;

        add_plain(s, a, out, FETCH_PREVIEW);
        out->facts = true;
        /* " (LAZY)"; the LAZY ones are made as fast as the others */
        if (scan_try(&at, ' ') && scan_try(&at, '(')) {
                scan_word(&at, S("LAZY"));
                scan_char(&at, ')');
                *a = at;
        }
}

static bool can(const struct session *s, enum fetch_what what)
{
        switch (what) {
        case FETCH_MODSEQ: return imap_can(s, CAP_CONDSTORE);
        case FETCH_EMAILID:
        case FETCH_THREADID: return imap_can(s, CAP_OBJECTID);
        case FETCH_SAVEDATE: return imap_can(s, CAP_SAVEDATE);
        case FETCH_PREVIEW: return imap_can(s, CAP_PREVIEW);
        default: return true;
        }
}

static void one(struct session *s, struct scan *a, struct fetch_items *out)
{
        struct str name = scan_while(a, name_char);
        struct fetch_item *item;
        unsigned i = 0;

        if (scan_peek(a) == '[') {
                bracket(s, a, out, name);
                return;
        }
        if (str_ieq(name, S("BODY"))) {
                add_plain(s, a, out, FETCH_BODY);
                return;
        }
        while (i < COUNT(atts) && !str_ieq(name, atts[i].name))
                i++;
        if (i == COUNT(atts) || !can(s, atts[i].what)) {
                scan_fail(a, "no such item");
        } else if (atts[i].what == FETCH_SECTION) {
                item = add(s, a, out, FETCH_SECTION, arena_printf(&s->command, PRS " ", STR(atts[i].name)));
                if (item)
                        item->section.text = atts[i].text;
                out->seen = out->seen || !atts[i].peek;
        } else if (atts[i].what == FETCH_PREVIEW) {
                preview(s, a, out);
        } else {
                add_plain(s, a, out, atts[i].what);
        }
}

static bool macro(struct session *s, struct scan *a, struct fetch_items *out)
{
        struct scan at = *a;
        struct str name = scan_while(&at, name_char);

        for (unsigned i = 0; i < COUNT(macros); i++) {
                if (!str_ieq(name, macros[i].name))
                        continue;
                *a = at;
                for (unsigned k = 0; k < macros[i].n; k++)
                        add_plain(s, a, out, macros[i].whats[k]);
                return true;
        }
        return false;
}

/* "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")" */
void fetch_items(struct session *s, struct scan *a, struct fetch_items *out)
{
        *out = (struct fetch_items){ 0 };
        if (scan_try(a, '(')) {
                do {
                        one(s, a, out);
                } while (!a->bad && scan_peek(a) == ' ' && (imap_sp(a), true));
                scan_char(a, ')');
        } else if (!macro(s, a, out)) {
                one(s, a, out);
        }
}
