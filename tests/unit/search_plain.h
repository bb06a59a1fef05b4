/* A plain look through the decoded and folded texts of the letters in an account, and needles to ask for. */
#pragma once
#include "search_letters.h"
#include "mail/mime.h"
#include "mail/text.h"
#include "store/search.h"

enum { CORPUS = 300, NEEDLES = 1500, FIELDS_MAX = 24 };

static char folder[64];
static struct accounts *set;
static struct account *jill;

/* What the plain look needs of a letter. */
struct known {
        uint32_t letter, uid;
        bool gone;
        struct known_field {
                char *name;
                struct buf text, folded;
        } fields[FIELDS_MAX];
        size_t field_n;
        struct buf header, body, header_folded, body_folded;
};
static struct known known[CORPUS * 3];
static size_t known_n;

/* ---- the plain look ---- */

static bool collect(void *context, struct str s)
{
        return buf_puts(context, s);
}

static bool collect_field(void *context, struct str name, struct str value)
{
        struct known *k = context;
        struct known_field *f = &k->fields[k->field_n++];

        assert_true(k->field_n <= FIELDS_MAX);
        f->name = mem_string(name);
        buf_init(&f->text, 65536);
        buf_init(&f->folded, 65536);
        buf_puts(&f->text, value);
        text_fold(&f->folded, value);
        return true;
}

static void know(uint32_t letter, struct str text)
{
        struct known *k = &known[known_n++];
        struct mime m;

        assert_true(known_n <= LENGTH(known));
        *k = (struct known){ .letter = letter };
        buf_init(&k->header, 1 << 20);
        buf_init(&k->body, 1 << 20);
        buf_init(&k->header_folded, 1 << 20);
        buf_init(&k->body_folded, 1 << 20);
        mime_init(&m);
        mime_parse(&m, text);
        text_fields(&m, text, collect_field, k);
        text_of_header(&m, text, collect, &k->header);
        text_of_body(&m, text, collect, &k->body);
        mime_finish(&m);
        text_fold(&k->header_folded, buf_str(&k->header));
        text_fold(&k->body_folded, buf_str(&k->body));
}

/* All but the first so many. */
static void forget(size_t but)
{
        for (size_t i = but; i < known_n; i++) {
                struct known *k = &known[i];

                for (size_t f = 0; f < k->field_n; f++) {
                        mem_free(k->fields[f].name);
                        buf_free(&k->fields[f].text);
                        buf_free(&k->fields[f].folded);
                }
                buf_free(&k->header);
                buf_free(&k->body);
                buf_free(&k->header_folded);
                buf_free(&k->body_folded);
        }
        known_n = but;
}

static bool has(struct str text, struct str needle)
{
        return str_search(text, needle) != STR_NONE;
}

static bool plainly(const struct known *k, const struct search_needle *needle, struct str folded)
{
        static const char *const names[] = { "subject", "from", "to", "cc", "bcc" };
        struct str name = needle->field < SEARCH_HEADER ? str_of(names[needle->field]) : needle->name;

        if (needle->field == SEARCH_BODY || needle->field == SEARCH_TEXT)
                return has(buf_str(&k->body_folded), folded) ||
                       (needle->field == SEARCH_TEXT && has(buf_str(&k->header_folded), folded));
        for (size_t i = 0; i < k->field_n; i++)
                if (str_ieq(str_of(k->fields[i].name), name) && has(buf_str(&k->fields[i].folded), folded))
                        return true;
        return false;
}

/* ---- asking ---- */

static unsigned asked, found;

static void ask(const struct search_needle *needle)
{
        static uint32_t letters[CORPUS * 3];
        static bool match[CORPUS * 3];
        struct buf folded auto_buf;
        unsigned some = dice(4);

        buf_init(&folded, 65536);
        text_fold(&folded, needle->text);
        for (size_t i = 0; i < known_n; i++) {
                letters[i] = known[i].letter;
                match[i] = some || dice(3); /* now and then only some are asked about */
        }
        bool *before = mem_array(known_n + 1, sizeof *before);
        for (size_t i = 0; i < known_n; i++)
                before[i] = match[i];
        assert_int_equal(search_letters(jill, needle, letters, known_n, match, NULL, NULL), 0);
        for (size_t i = 0; i < known_n; i++) {
                bool want = before[i] && !known[i].gone && plainly(&known[i], needle, buf_str(&folded));

                if (known[i].gone && match[i])
                        continue; /* nobody asks about it; it may still be known */
                if (match[i] != want)
                        fail_msg("field %d name \"" PRS "\" text \"" PRS "\": letter %u %s", needle->field,
                                 STR(needle->name), STR(needle->text), known[i].letter,
                                 want ? "was not found" : "was found");
                found += match[i];
        }
        asked++;
        mem_free(before);
}

/* Some characters of a text, from somewhere. */
static struct str cutting(struct str s, unsigned characters)
{
        size_t from, to;

        if (!s.n)
                return s;
        from = dice((uint32_t)s.n);
        while (from && ((unsigned char)s.p[from] & 0xC0) == 0x80)
                from--;
        for (to = from; to < s.n && characters; characters--)
                for (to++; to < s.n && ((unsigned char)s.p[to] & 0xC0) == 0x80;)
                        to++;
        return str_sub(s, from, to - from);
}

static void ask_some(unsigned n)
{
        static const char *const fixed[] = { "",
                                             " ",
                                             "a",
                                             "e",
                                             "pail",
                                             "PAIL OF",
                                             "water ",
                                             " the",
                                             "n",
                                             "漢",
                                             "漢字",
                                             "的",
                                             "日本",
                                             "subject",
                                             "Subject:",
                                             "ct: ",
                                             "x-empty",
                                             ":",
                                             "strasse",
                                             "elkа",
                                             "\u00AD",
                                             ">",
                                             "no such thing anywhere",
                                             "résumé",
                                             "ค้น" };
        struct search_needle needle;

        for (size_t i = n < 100 ? dice(LENGTH(fixed)) : 0; i < LENGTH(fixed);
             i += n < 100 ? LENGTH(fixed) : 1)
                for (int field = SEARCH_SUBJECT; field <= SEARCH_TEXT; field++) {
                        needle = (struct search_needle){ .field = (enum search_field)field,
                                                         .text = str_of(fixed[i]) };
                        if (field == SEARCH_HEADER)
                                needle.name = dice(2) ? S("X-EMPTY") : S("Message-Id");
                        ask(&needle);
                }
        for (unsigned i = 0; i < n; i++) {
                const struct known *k = &known[dice((uint32_t)known_n)];
                const struct known_field *f = &k->fields[dice((uint32_t)k->field_n)];
                unsigned length = dice(3) ? 1 + dice(12) : 1 + dice(40);

                if (!dice(20))
                        length = 60 + dice(300);
                switch (f->name[0] ? dice(4) : 1) {
                case 0:
                        needle = (struct search_needle){ .field = SEARCH_HEADER, .name = str_of(f->name) };
                        needle.text = cutting(buf_str(&f->text), length);
                        break;
                case 1:
                        needle = (struct search_needle){ .field = SEARCH_TEXT };
                        needle.text = cutting(buf_str(&k->header), length);
                        break;
                default:
                        needle = (struct search_needle){ .field = dice(3) ? SEARCH_BODY : SEARCH_TEXT };
                        needle.text = cutting(buf_str(&k->body), length);
                }
                ask(&needle);
        }
}
