/* Texts of letters: whatever comes, time is linear, folding what is folded changes nothing, and what comes out is UTF-8.
 * The first byte says what the rest is: HTML, an encoded body, a text, a letter. */
#include "base/codec.h"
#include "base/mem.h"
#include "mail/text.h"
#include "mail/text_inside.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
        if (!ok)
                abort();
}

static bool collect(void *context, struct str s)
{
        return buf_puts(context, s);
}

static void fold(struct str s)
{
        struct buf once auto_buf, twice auto_buf;

        buf_init(&once, s.n * 12 + 64);
        buf_init(&twice, s.n * 12 + 64);
        text_fold(&once, s);
        text_fold(&twice, buf_str(&once));
        must(str_eq(buf_str(&once), buf_str(&twice)));
        must(utf8_valid(buf_str(&once)) && !str_has_control(buf_str(&once)) && !once.full);
        must(str_search(buf_str(&once), S("  ")) == STR_NONE);
}

/* In two pieces it says the same. */
static void html(struct str s)
{
        struct buf whole auto_buf, pieces auto_buf;
        struct html one = { .state = HTML_TEXT }, two = { .state = HTML_TEXT };

        buf_init(&whole, s.n * 4 + 64);
        buf_init(&pieces, s.n * 4 + 64);
        html_feed(&one, s, &whole);
        html_end(&one, &whole);
        html_feed(&two, str_sub(s, 0, s.n / 2), &pieces);
        html_feed(&two, str_from_at(s, s.n / 2), &pieces);
        html_end(&two, &pieces);
        must(str_eq(buf_str(&whole), buf_str(&pieces)));
}

static void decode(struct str s)
{
        static const struct str encodings[] = { { "base64", 6 }, { "quoted-printable", 16 }, { "8bit", 4 } };
        struct buf out auto_buf;

        for (unsigned i = 0; i < 3; i++) {
                buf_init(&out, s.n + 64);
                (void)text_decode(&out, encodings[i], s);
                must(!out.full && out.n <= s.n + 1);
                buf_free(&out);
        }
}

static void letter(struct str s)
{
        struct buf body auto_buf, header auto_buf;
        struct arena a auto_arena;
        struct mime m;

        buf_init(&body, s.n * 64 + 4096);
        buf_init(&header, s.n * 64 + 4096);
        arena_init(&a, 1 << 20);
        mime_init(&m);
        mime_parse(&m, s);
        text_of_body(&m, s, collect, &body);
        text_of_header(&m, s, collect, &header);
        must(utf8_valid(text_preview(&a, &m, s)));
        mime_finish(&m);
        fold(buf_str(&body));
        fold(buf_str(&header));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str s = { (const char *)data, size };

        if (!size)
                return 0;
        s = str_from_at(s, 1);
        switch (data[0] % 4) {
        case 0: html(s); break;
        case 1: decode(s); break;
        case 2: fold(s); break;
        default: letter(s);
        }
        return 0;
}
