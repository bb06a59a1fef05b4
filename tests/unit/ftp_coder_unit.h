/* What the tests of FTP's coder share. */
#pragma once
#include "unit.h"
#include "base/mem.h"
#include "proto/ftp/coder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static inline struct coding coding_of(
    const char *name) /* "AN F S", "L36 P B": type and format or size, structure, mode */
{
        struct coding c = { .level = 6, .code_page = "IBM-1047", .byte_size = 8 };
        char type, structure, mode, rest[8] = "";

        assert_int_equal(sscanf(name, "%c%7s %c %c", &type, rest, &structure, &mode), 4);
        c.type = (uint8_t)(strchr("AEIL", type) - "AEIL");
        if (type == 'L')
                c.byte_size = (uint8_t)strtoul(rest, NULL, 10);
        else if (type != 'I')
                c.form = (uint8_t)(strchr("NTC", rest[0]) - "NTC");
        c.structure = (uint8_t)(strchr("FRP", structure) - "FRP");
        c.mode = (uint8_t)(strchr("SBCZ", mode) - "SBCZ");
        return c;
}

/* All of `in` through a coder in pieces; what came out, and its facts. Ends the coder. */
static inline int through(struct coder *c, struct str in, size_t piece, struct buf *result, struct buf *facts)
{
        auto_buf struct buf out = { 0 };
        size_t at = 0;
        int rc = 0;

        buf_init(&out, CODER_ROOM);
        for (bool end = false; !end && !rc; at += piece) {
                struct str part = str_sub(in, at < in.n ? at : in.n, piece);

                end = at >= in.n || coder_ended(c);
                while ((rc = end ? coder_end(c, &out) : coder_put(c, part, &out)) == -ENOBUFS) {
                        assert_true(out.n > CODER_ROOM / 2);
                        buf_puts(result, buf_str(&out));
                        buf_clear(&out);
                        part = S("");
                }
                assert_false(out.full);
                buf_puts(result, buf_str(&out));
                buf_clear(&out);
        }
        assert_false(result->full);
        if (facts && !rc)
                buf_puts(facts, coder_facts(c));
        return rc;
}

static inline void coded(const struct coding *how, enum coder_way way, struct str in, struct str had,
                         size_t piece, struct buf *result, struct buf *facts)
{
        struct coder *c = coder_new(how, way, had);

        assert_non_null(c);
        buf_init(result, 64 << 20);
        if (facts)
                buf_init(facts, CODER_FACTS_MOST);
        if (through(c, in, piece, result, facts) != 0)
                fail_msg("%s", coder_why(c));
        coder_free(&c);
}
