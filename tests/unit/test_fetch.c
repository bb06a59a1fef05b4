/* FETCH without a server: its items, sections of letters, encodings undone in pieces. */
#include "mail/text.h"
#include "fetch_unit.h"

/* --- items --- */
static struct fetch_items items;
static const char *parsed(const char *text)
{
        struct scan a = scan_of(str_of(text));

        arena_reset(&imap.session.command);
        fetch_items(&imap.session, &a, &items);
        return scan_done(&a) ? NULL : a.why ? a.why : "not all was read";
}

static void test_items(void **state)
{
        static const struct {
                const char *text, *labels; /* NULL: it cannot be read */
        } table[] = {
                { "FAST", "FLAGS INTERNALDATE RFC822.SIZE " },
                { "all", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE " },
                { "Full", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY " },
                { "FLAGS", "FLAGS " },
                { "(FLAGS FLAGS UID)", "FLAGS UID " },
                { "(FAST)", NULL },
                { "()", NULL },
                { "(FLAGS", NULL },
                { "BODY[]", "BODY[] " },
                { "body.peek[1.2.mime]", "BODY[1.2.MIME] " },
                { "BODY[TEXT]<5.10>", "BODY[TEXT]<5> " },
                { "BODY[]<0.0>", NULL },
                { "BODY[]<5>", NULL },
                { "BODY[MIME]", NULL },
                { "BODY[0]", NULL },
                { "BODY[1.]", NULL },
                { "BODY[1.X]", NULL },
                { "BODY[1", NULL },
                { "BODY.PEEK", NULL },
                { "(BODY BODYSTRUCTURE)", "BODY BODYSTRUCTURE " },
                { "BODY[HEADER.FIELDS (From \"a b\" x{y)]", NULL },
                { "BODY[HEADER.FIELDS (From \"a b\")]", "BODY[HEADER.FIELDS (From \"a b\")] " },
                { "BODY[2.HEADER.FIELDS.NOT ({2}\r\nTo)]<9.9>", "BODY[2.HEADER.FIELDS.NOT (To)]<9> " },
                { "BODY[HEADER.FIELDS ()]", NULL },
                { "BINARY.SIZE[1.2]", "BINARY.SIZE[1.2] " },
                { "BINARY[1]<2.3>", "BINARY[1]<2> " },
                { "BINARY[1.TEXT]", NULL },
                { "BINARY.SIZE[1]<2.3>", NULL },
                { "(PREVIEW (LAZY) FLAGS)", "PREVIEW FLAGS " },
                { "PREVIEW", "PREVIEW " },
                { "PREVIEW (EAGER)", NULL },
                { "(EMAILID THREADID SAVEDATE MODSEQ)", "EMAILID THREADID SAVEDATE MODSEQ " },
                { "RFC822.HEADER", "RFC822.HEADER " },
                { "RFC822.PEEK", NULL },
        };

        (void)state;
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                const char *why = parsed(table[i].text);

                if (!table[i].labels && why)
                        continue;
                if (!table[i].labels || why)
                        fail_msg("%s: %s", table[i].text, why ? why : "was read");
                buf_clear(&out);
                for (unsigned k = 0; k < items.n; k++)
                        buf_puts(&out, items.list[k].label);
                says(table[i].labels);
        }
        assert_null(parsed("RFC822"));
        assert_true(items.seen);
        assert_null(parsed("(BODY.PEEK[] BINARY.PEEK[1] RFC822.HEADER BINARY.SIZE[1])"));
        assert_false(items.seen);
}

static void test_item_limits(void **state)
{
        struct buf text auto_buf;

        (void)state;
        buf_init(&text, 1 << 20);
        for (int i = 0; i <= FETCH_ITEMS_MOST; i++)
                buf_puts(&text, i ? S(" BODY[]") : S("(BODY[]"));
        buf_puts(&text, S(")"));
        buf_u8(&text, 0);
        assert_true(str_starts(str_of(parsed(text.p)), S("[LIMIT]")));
        buf_clear(&text);
        buf_puts(&text, S("BODY[HEADER.FIELDS (x"));
        for (int i = 0; i < FETCH_FIELDS_MOST; i++)
                buf_puts(&text, S(" x"));
        buf_puts(&text, S(")]"));
        buf_u8(&text, 0);
        assert_true(str_starts(str_of(parsed(text.p)), S("[LIMIT]")));
        buf_clear(&text);
        buf_puts(&text, S("BODY[1"));
        for (int i = 0; i < FETCH_PATH_MOST; i++)
                buf_puts(&text, S(".1"));
        buf_puts(&text, S("]"));
        buf_u8(&text, 0);
        assert_true(str_starts(str_of(parsed(text.p)), S("[LIMIT]")));
}

/* --- sections --- */
#define FIELDS "From: a\r\nto: b\r\n c\r\njunk\r\nSubject: s\r\nTo: d\r\n\r\n"
static const struct {
        const char *letter, *item, *want;
} sections[] = {
        { FIELDS "text", "BODY.PEEK[]", "BODY[] {51}\r\n" FIELDS "text" },
        { FIELDS "text", "BODY[HEADER]", "BODY[HEADER] {47}\r\n" FIELDS },
        { FIELDS "text", "RFC822.TEXT", "RFC822.TEXT {4}\r\ntext" },
        { FIELDS "text", "BODY[1]", "BODY[1] {4}\r\ntext" },
        { FIELDS "text", "BODY[1.MIME]", "BODY[1.MIME] {47}\r\n" FIELDS },
        { FIELDS "text", "BODY[2]", "BODY[2] NIL" },
        { FIELDS "text", "BODY[1.1]", "BODY[1.1] NIL" },
        { FIELDS "text", "BODY[1.HEADER]", "BODY[1.HEADER] NIL" },
        { FIELDS "text", "BODY[HEADER.FIELDS (TO)]",
          "BODY[HEADER.FIELDS (TO)] {20}\r\nto: b\r\n c\r\nTo: d\r\n\r\n" },
        { FIELDS "text", "BODY[HEADER.FIELDS.NOT (TO)]",
          "BODY[HEADER.FIELDS.NOT (TO)] {23}\r\nFrom: a\r\nSubject: s\r\n\r\n" },
        { FIELDS "text", "BODY[HEADER.FIELDS (X)]", "BODY[HEADER.FIELDS (X)] {2}\r\n\r\n" },
        { FIELDS "text", "BODY[HEADER.FIELDS (FROM)]<2.3>", "BODY[HEADER.FIELDS (FROM)]<2> {3}\r\nom:" },
        { "A: b\r\n", "BODY[HEADER.FIELDS (A)]", "BODY[HEADER.FIELDS (A)] {6}\r\nA: b\r\n" },
        { "A: b\r\n", "BODY[HEADER.FIELDS (X)]", "BODY[HEADER.FIELDS (X)] \"\"" },
        { "A: b\n\nx", "BODY[HEADER.FIELDS (A)]", "BODY[HEADER.FIELDS (A)] {6}\r\nA: b\n\n" },
        { "\r\nx", "BODY[HEADER]", "BODY[HEADER] {2}\r\n\r\n" },
        { "\r\nx", "BODY[HEADER.FIELDS (A)]", "BODY[HEADER.FIELDS (A)] {2}\r\n\r\n" },
        { "", "BODY[]", "BODY[] \"\"" },
        { "A: b\r\n", "BODY[TEXT]", "BODY[TEXT] \"\"" },
        { FIELDS "text", "BODY[TEXT]<0.4>", "BODY[TEXT]<0> {4}\r\ntext" },
        { FIELDS "text", "BODY[TEXT]<3.9223372036854775807>", "BODY[TEXT]<3> {1}\r\nt" },
        { FIELDS "text", "BODY[TEXT]<4.1>", "BODY[TEXT]<4> \"\"" },
        { FIELDS "text", "BODY[TEXT]<9223372036854775807.1>", "BODY[TEXT]<9223372036854775807> \"\"" },
        { MULTI, "BODY[1]", "BODY[1] {8}\r\none\r\ntwo" },
        { MULTI, "BODY[2]", "BODY[2] {8}\r\niVBORw==" },
        { MULTI, "BODY[3.HEADER]",
          "BODY[3.HEADER] {67}\r\nSubject: inner\r\nContent-Type: multipart/alternative; "
          "boundary=c\r\n\r\n" },
        { MULTI, "BODY[3.HEADER.FIELDS (subject)]",
          "BODY[3.HEADER.FIELDS (subject)] {18}\r\nSubject: inner\r\n\r\n" },
        { MULTI, "BODY[3.1]", "BODY[3.1] {3}\r\n<b>" },
        { MULTI, "BODY[3.2]", "BODY[3.2] {5}\r\nplain" },
        { MULTI, "BODY[3.1.MIME]",
          "BODY[3.1.MIME] {49}\r\nContent-Type: text/html\r\nContent-Language: de\r\n\r\n" },
        { MULTI, "BODY[3.3]", "BODY[3.3] NIL" },
        { MULTI, "BODY[4]", "BODY[4] NIL" },
        { MULTI, "BODY[1.TEXT]", "BODY[1.TEXT] NIL" },
        { MULTI, "BINARY[2]", "BINARY[2] {4}\r\n\x89PNG" },
        { MULTI, "BINARY.SIZE[2]", "BINARY.SIZE[2] 4" },
        { MULTI, "BINARY.SIZE[9]", "BINARY.SIZE[9] 0" },
        { MULTI, "BINARY[9]", "BINARY[9] NIL" },
        { "Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db =\r\nc\r\n", "BINARY[1]<1.3>",
          "BINARY[1]<1> {3}\r\n=b " },
        { "Content-Transfer-Encoding: base64\r\n\r\nAGFi", "BINARY[1]", "BINARY[1] ~{3}\r\n" },
        { "Content-Transfer-Encoding: x-unknown\r\n\r\nAGFi", "BINARY[1]", "" },
        { "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nA: 1\r\n\r\ndeep",
          "BODY[1.1.1]", "BODY[1.1.1] {4}\r\ndeep" },
        { "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nA: 1\r\n\r\ndeep",
          "BODY[1.1.HEADER]", "BODY[1.1.HEADER] {8}\r\nA: 1\r\n\r\n" },
        { "Content-Type: message/rfc822\r\n\r\nB: 2\r\n\r\ndeep", "BODY[1.TEXT]",
          "BODY[1.TEXT] {4}\r\ndeep" },
        { "Content-Type: message/rfc822\r\n\r\nB: 2\r\n\r\ndeep", "BODY[TEXT]",
          "BODY[TEXT] {12}\r\nB: 2\r\n\r\ndeep" },
};

static void test_sections(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
                struct fetch_source source = { .whole = true, .bytes = str_of(sections[i].letter) };
                const char *why = parsed(sections[i].item);
                struct fetch_item *item = items.list;

                if (why)
                        fail_msg("%s: %s", sections[i].item, why);
                pack(source.bytes);
                w.source = &source;
                w.before_n = 0;
                w.unknown_cte = false;
                if (item->what == FETCH_SECTION)
                        assert_int_equal(put_section(&w, item, buf_str(&packed)), FETCH_MADE);
                else
                        assert_int_equal(put_binary(&w, item, buf_str(&packed)), FETCH_MADE);
                w.source = NULL;
                assert_int_equal(w.unknown_cte, !*sections[i].want);
                if (str_starts(buf_str(&out), str_of(sections[i].want)) &&
                    str_search(buf_str(&out), S("~{3}")) != STR_NONE)
                        out.n -= 3; /* holds NUL */
                says(sections[i].want);
        }
}

/* What CATENATE takes. */
static void test_section_range(void **state)
{
        static const struct {
                const char *section, *text; /* NULL: there is none such */
        } table[] = { { "", MULTI }, { "3.1", "<b>" }, { "7", NULL }, { "1.HEADER", NULL } };
        struct fetch_section section;
        struct fetch_range range;

        (void)state;
        pack(S(MULTI));
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                struct scan a = scan_of(str_of(table[i].section));

                fetch_section(&imap.session, &a, &imap.session.command, &section);
                assert_true(scan_done(&a));
                assert_true(fetch_locate(buf_str(&packed), &section, &range));
                assert_int_equal(range.there, table[i].text != NULL);
                if (range.there)
                        assert_true(str_eq(str_sub(S(MULTI), (size_t)range.from, (size_t)range.n),
                                           str_of(table[i].text)));
        }
}

/* --- encodings in pieces: the same as in one go, however it is cut --- */
static void test_decode(void **state)
{
        static const struct str texts[] = {
                S("SGVsbG8g\r\nd29ybGQ=\r\n"),
                S("SGVs bG8\r\ngd2=9y=bG==Q"),
                S("SGVsbG8gd29ybGQ\r\n-- \r\n"),
                S("!!!!!!!!!!!!!!!!!!!!!!!!"),
                S("a=3Db  \r\n=\r\nlong line = ends=20\t\r\nno=3"),
                S("=41=42=4"),
                S("x =\n \n"),
        };
        struct buf whole auto_buf, pieces auto_buf;

        (void)state;
        buf_init(&whole, 4096);
        buf_init(&pieces, 4096);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                for (size_t size = 1; size <= texts[i].n; size++) {
                        struct str encoding = i < 4 ? S("base64") : S("quoted-printable"), rest = texts[i];
                        struct fetch_decoder d;
                        bool fine;

                        buf_clear(&whole);
                        buf_clear(&pieces);
                        fine = text_decode(&whole, encoding, texts[i]);
                        fetch_decoder_init(&d, encoding);
                        while (rest.n) {
                                struct str piece = str_sub(rest, 0, size);

                                rest = str_from_at(rest, size);
                                buf_puts(&pieces, fetch_decode(&d, piece, !rest.n));
                        }
                        assert_int_equal(d.bad, !fine);
                        if (fine)
                                assert_true(str_eq(buf_str(&whole), buf_str(&pieces)));
                        fetch_decoder_finish(&d);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_items, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_item_limits, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_sections, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_section_range, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_decode, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
