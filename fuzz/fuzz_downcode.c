/* Letters for a peer that takes seven bits: what comes out is seven bits in lines of at most 998, and its texts say the same. */
#include "base/codec.h"
#include "base/mem.h"
#include "mail/downcode.h"
#include "mail/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* Its lines end with CRLF, as the client has made them before. */
static void clean(struct buf *out, const uint8_t *data, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (data[i] == '\n')
                        buf_puts(out, S("\r\n"));
                else if (data[i] != '\r')
                        buf_u8(out, data[i]);
}

static unsigned parts(struct str letter)
{
        struct mime m;
        unsigned n;

        mime_init(&m);
        mime_parse(&m, letter);
        n = m.count;
        mime_finish(&m);
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_buf struct buf letter = { 0 }, out = { 0 };
        struct str rest, line;

        buf_init(&letter, 2 * size + 1);
        clean(&letter, data, size);
        if (downcode_look(buf_str(&letter)) != DOWNCODE_YES)
                return 0;
        buf_init(&out, 4 * letter.n + 4096);
        must(downcode(buf_str(&letter), &out) == 0, "it does not fit");
        must(ascii_only(buf_str(&out)), "eight bits are left");
        for (rest = buf_str(&out); rest.n;) {
                str_cut(&rest, '\n', &line);
                must(line.n <= 999, "a long line is left");
        }
        must(parts(buf_str(&letter)) == parts(buf_str(&out)), "parts come or go");
        must(downcode_look(buf_str(&out)) == DOWNCODE_NOT_NEEDED, "once is not enough");
        return 0;
}
