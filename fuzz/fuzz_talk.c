/* What talk and watch make of strangers' lines: the first byte says which protocol, a line that begins with '>' is typed, every other is heard. A
 * secret lies within its line; what was sent behind a sign-in's verb is one; what is kept is read again as what was said. And records of taps. */
#include "base/arena.h"
#include "base/codec.h"
#include "base/mem.h"
#include "cli/talk.h"
#include "proto/tap.h"
#include "proto/transcript.h"
#include "proto/transcript_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* A kept line is one line, and as a pattern it matches what was said. */
static void keep(struct str line, bool client)
{
        auto_arena struct arena a;
        auto_buf struct buf text, why, out;
        struct variables v = { 0 };
        struct transcript_line *lines;
        bool matches = false;
        size_t n;

        arena_init(&a, 16 << 20);
        arena_init(&v.arena, 16 << 20);
        buf_init(&text, 1 << 20);
        buf_init(&why, 1000);
        buf_init(&out, 1 << 20);
        transcript_keep(&text, client ? TRANSCRIPT_CLIENT : TRANSCRIPT_SERVER, 1, line);
        must(utf8_valid(buf_str(&text)), "talk: a kept line is no text");
        for (size_t i = 0; i < text.n; i++)
                must((unsigned char)text.p[i] >= 32 || text.p[i] == '\n' || text.p[i] == '\t',
                     "talk: a control character is kept");
        must(transcript_read(buf_str(&text), &a, &lines, &n, &why) == 0 && n == 1,
             "talk: a kept line is no line");
        if (!client) {
                must(words_match(&v, lines->text, line, &matches, &why) && matches,
                     "talk: a kept line does not match itself");
        } else if (lines->kind == TRANSCRIPT_CLIENT) {
                must(words_expand(&v, lines->text, false, &out, &why) && str_eq(buf_str(&out), line),
                     "talk: a kept line is sent as another");
        } else {
                struct str words[WORDS_MOST];

                must(words_split(lines->text, &a, words, &n, &why) && n == 2 &&
                         words_expand(&v, words[1], false, &out, &why) && out.n == line.n + 2 &&
                         str_eq(str_sub(buf_str(&out), 0, line.n), line),
                     "talk: raw is sent as something else");
        }
        arena_finish(&v.arena);
}

static void follow(enum talk_protocol p, struct str text)
{
        struct follow f;
        struct str line;

        follow_begin(&f, p);
        while (text.n) {
                str_cut(&text, '\n', &line);
                if (str_starts(line, S(">"))) {
                        struct typed t;

                        line = str_from_at(line, 1);
                        follow_typed(&f, line, &t);
                        must(t.shown == STR_NONE || t.shown <= line.n, "talk: a secret beyond its line");
                        must(t.shown == STR_NONE || !t.letter, "talk: a secret in a letter");
                        keep(line, true);
                } else {
                        struct heard h;
                        unsigned due = f.due;

                        follow_heard(&f, line, &h);
                        must(!h.handshake || h.final, "talk: a handshake in the middle of a reply");
                        must(f.due <= due + 1, "talk: a reply that asks");
                        (void)explain_reply(f.protocol, line);
                        keep(line, false);
                }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = str_from(data, size);
        struct tap_record r;
        struct tap_wanted w;
        struct addr where;

        if (!size || size > 4096)
                return 0;
        if (data_typed(text, &where))
                must(where.port, "talk: a data connection to nowhere");
        if (tap_unpack(text, &r))
                must(r.text.n <= size && r.session.n <= size, "tap: a text from elsewhere");
        if (tap_wanted_unpack(text, &w) && tap_unpack(text, &r))
                (void)tap_wants(&w, &r);
        follow((enum talk_protocol)(data[0] % 5), str_from_at(text, 1));
        return 0;
}
