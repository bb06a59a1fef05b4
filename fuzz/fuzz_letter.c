/* A letter as a person reads it, whatever it is; what a person answers to it can be sent, and says nothing that was smuggled in. */
#include "base/mem.h"
#include "cli/mail/compose.h"
#include "cli/mail/letter.h"
#include "mail/header.h"
#include "mail/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

static char address[] = "alice@crepes.fr", name[] = "Alice";
static const struct login alice = { .address = address, .name = name };

static bool is_clean(struct str s)
{
        return !str_has_control(s);
}

static void parts(const struct letter *l)
{
        for (size_t i = 0; i < l->part_count; i++) {
                struct buf auto_buf bytes = { 0 }, file = { 0 };

                buf_init(&bytes, l->raw.n + 64);
                buf_init(&file, 1024);
                must(letter_part_bytes(l, l->parts[i].number, &bytes) == 0, "a part cannot be taken out");
                letter_file_name(&l->parts[i], &file);
                must(file.n && file.n < 300 && is_clean(buf_str(&file)) &&
                         str_find(buf_str(&file), '/') == STR_NONE && file.p[0] != '.',
                     "a file name that should not be");
        }
}

/* The answer, addressed to somebody, becomes a message of clean lines with no more header fields than were meant. A draft taken up again may
 * have its Bcc. */
static void answer(struct draft *d, bool resumed)
{
        struct arena auto_arena a;
        struct buf auto_buf text = { 0 }, message = { 0 }, why = { 0 };
        struct str *to, sender;
        size_t n;

        arena_init(&a, 64 << 20);
        buf_init(&text, 64 << 20);
        buf_init(&message, 64 << 20);
        buf_init(&why, 4096);
        draft_text(d, &text);
        must(draft_from_text(d, buf_str(&text), &why) == 0, "our own text cannot be read");
        must(resumed || header_count(buf_str(&d->head), S("Bcc")) == 0, "somebody was smuggled in");
        if (draft_message(d, &alice, &message, &a, &to, &n, &sender, &why) < 0) {
                must(why.n != 0, "refused without a word");
                return;
        }
        must(write_needs(buf_str(&message)) != 2, "lines that may not be");
        must(header_count(buf_str(&message), S("From")) == 1 &&
                 header_count(buf_str(&message), S("Bcc")) == 0 &&
                 header_count(buf_str(&message), S("Subject")) <= 1,
             "fields that were not meant");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct letter *l = NULL;
        struct draft d;

        if (size < 1 || size > 100000)
                return 0;
        must(letter_parse(&l, str_from(data + 1, size - 1), data[0] & 7) == 0, "a letter is refused");
        parts(l);
        if (!(data[0] & LETTER_RAW)) {
                draft_reply(&d, &alice, l, data[0] >> 4 & 7);
                answer(&d, false);
                draft_free(&d);
                draft_forward(&d, &alice, l, data[0] & 8);
                answer(&d, false);
                draft_free(&d);
        }
        if (draft_resume(&d, l) == 0)
                answer(&d, true);
        draft_free(&d);
        letter_free(&l);
        return 0;
}
