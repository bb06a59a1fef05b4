/* FETCH on whatever bytes: as a letter, whose ENVELOPE, BODY and BODYSTRUCTURE must hold before an independent reader of the grammar, and
 * whose sections must be whole; as a packed structure, which must be refused or written without harm; as the items of a command. */
#include "base/mem.h"
#include "proto/imap/fetch.h"
#include "structure.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fetch_writer w;
static struct imap imap;
static struct buf out, packed;

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

static void grammar(const char *wrong)
{
        if (wrong)
                mem_die(wrong);
}

/* letter: whose structure it is; p NULL: nobody's */
static void write_all(struct str letter)
{
        struct fetch_source source = { .whole = true, .bytes = letter };
        bool sound = letter.p;

        w.source = sound ? &source : NULL;
        for (int extended = 0; extended < 2; extended++) {
                enum fetch_made made;

                buf_clear(&out);
                made = put_structure(&w, buf_str(&packed), extended);
                must(!sound || made == FETCH_MADE, "structure: not made");
                if (sound)
                        grammar(structure_wrong(buf_str(&out), extended));
        }
        buf_clear(&out);
        if (put_letter_envelope(&w, buf_str(&packed)) == FETCH_MADE && sound)
                grammar(envelope_wrong(buf_str(&out)));
        w.source = NULL;
}

/* "label NIL", "label \"\"", "label {n}CRLF n bytes", and no more */
static void whole(struct str label)
{
        struct str v = buf_str(&out), number;
        uint64_t n = 0;
        size_t end;

        if (!v.n)
                return;
        must(str_starts(v, label), "section: another label");
        v = str_from_at(v, label.n);
        if (str_eq(v, S("NIL")) || str_eq(v, S("\"\"")) || str_u64(v, &n))
                return;
        if (str_starts(v, S("~")))
                v = str_from_at(v, 1);
        end = str_find(v, '}');
        number = str_sub(v, 1, end == STR_NONE ? 0 : end - 1);
        must(str_starts(v, S("{")) && str_u64(number, &n) && v.n == end + 3 + n,
             "section: its length is wrong");
}

static void sections(struct str letter)
{
        static const char *const items[] = {
                "(BODY[] BODY[HEADER] BODY[TEXT] BODY[1] BODY[1.1] BODY[2.1.2] BODY[1.MIME] BODY[1.HEADER] "
                "BODY[1.TEXT])",
                "(BODY[HEADER.FIELDS (From to)] BODY[HEADER.FIELDS.NOT (to)]<3.9> BODY[1.HEADER.FIELDS "
                "(subject)] BODY[]<7.20>)",
                "(BINARY[] BINARY[1] BINARY[1.1]<2.5> BINARY.SIZE[1] BINARY.SIZE[2])",
        };
        struct fetch_source source = { .whole = true, .bytes = letter };
        struct fetch_items parsed;

        for (unsigned i = 0; i < sizeof items / sizeof *items; i++) {
                struct scan a = scan_of(str_of(items[i]));

                fetch_items(&imap.session, &a, &parsed);
                must(scan_done(&a), "items: not understood");
                for (unsigned k = 0; k < parsed.n; k++) {
                        struct fetch_item *item = &parsed.list[k];

                        buf_clear(&out);
                        w.source = &source;
                        w.before_n = 0;
                        must((item->what == FETCH_SECTION ? put_section : put_binary)(
                                 &w, item, buf_str(&packed)) == FETCH_MADE,
                             "section: not made");
                        w.source = NULL;
                        whole(item->label);
                }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = str_from(data + 1, size - 1);
        struct fetch_items items;
        struct scan a;
        struct mime m;

        if (!size)
                return 0;
        arena_init(&imap.session.command, 64 << 20);
        buf_init(&out, 64 << 20);
        buf_init(&packed, MIME_PACKED_MAX);
        fetch_writer_init(&w, data[0] & 1 ? MODE_UTF8 : 0);
        w.out.b = &out;
        imap.literals = 0;
        switch (data[0] >> 1 & 3) {
        case 0:
                a = scan_of(text);
                fetch_items(&imap.session, &a, &items);
                must(a.bad || items.n > 0, "items: none, and nothing wrong");
                break;
        case 1:
                buf_puts(&packed, text);
                write_all((struct str){ NULL, 0 });
                break;
        default:
                mime_init(&m);
                mime_parse(&m, text);
                must(mime_pack(&m, &packed), "mime: does not fit");
                mime_finish(&m);
                /* quoted UTF-8 is no part of the grammar of rev1, which is the one that is read */
                write_all(data[0] & 1 ? (struct str){ NULL, 0 } : text);
                sections(text);
        }
        fetch_writer_finish(&w);
        buf_free(&packed);
        buf_free(&out);
        arena_finish(&imap.session.command);
        return 0;
}
