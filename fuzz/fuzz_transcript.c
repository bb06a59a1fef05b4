/* Transcripts: whatever is read lies within the text; what is written is one line, is read again as what it was, and
 * as a pattern matches what it was written from; matching ends quickly. */
#include "base/arena.h"
#include "base/mem.h"
#include "proto/transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

static void reading(struct str s)
{
        auto_arena struct arena arena;
        auto_buf struct buf why;
        struct transcript_line *lines;
        size_t n;

        arena_init(&arena, 16 << 20);
        buf_init(&why, 1000);
        if (transcript_read(s, &arena, &lines, &n, &why) < 0) {
                must(why.n > 0, "transcript: refused without a word");
                return;
        }
        for (size_t i = 0; i < n; i++) {
                must(lines[i].connection > 0 && lines[i].number > 0,
                     "transcript: a line without its numbers");
                must(lines[i].text.p >= s.p && lines[i].text.p + lines[i].text.n <= s.p + s.n,
                     "transcript: a line from elsewhere");
        }
}

static bool has_control(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
                        return true;
        return false;
}

static void writing(struct str s)
{
        auto_arena struct arena arena;
        auto_buf struct buf out, why;
        struct transcript_line *lines;
        size_t n;

        arena_init(&arena, 16 << 20);
        buf_init(&why, 1000);
        buf_init(&out, s.n * 8 + 100);
        transcript_write(&out, TRANSCRIPT_SERVER, 3, s);
        transcript_write(&out, TRANSCRIPT_CLIENT, 1, s);
        must(!out.full, "transcript: more than four bytes for one");
        must(transcript_read(buf_str(&out), &arena, &lines, &n, &why) == 0 && n == 2,
             "transcript: not two lines");
        must(lines[0].kind == TRANSCRIPT_SERVER && lines[0].connection == 3, "transcript: another speaker");
        if (!has_control(s)) {
                must(transcript_matches(lines[0].text, s), "transcript: what was recorded does not match");
                must(str_eq(lines[1].text, s), "transcript: what was said is another text now");
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str s = str_from(data, size), line = s, pattern;

        if (size > 4096)
                return 0;
        reading(s);
        writing(s);
        str_cut(&line, '\n', &pattern);
        transcript_matches(pattern, line);
        must(transcript_matches(S("*"), s), "transcript: a star does not match");
        return 0;
}
