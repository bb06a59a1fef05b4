/* What the tests of FETCH share: a writer, a letter packed for it, and a letter with everything in it. */
#pragma once
#include "proto/imap/fetch.h"
#include "structure.h"
#include "unit.h"

#define MULTI                                                                                   \
        "Content-Type: multipart/mixed; "                                                       \
        "boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\ntwo\r\n--b\r\nContent-Type: "          \
        "image/png; name=\"x y.png\"\r\nContent-Transfer-Encoding: BASE64\r\nContent-ID: "      \
        "<i@d>\r\nContent-Description: a "                                                      \
        "picture\r\nContent-MD5: Q2hlY2s=\r\nContent-Disposition: attachment; "                 \
        "filename=x.png\r\nContent-Language: en, "                                              \
        "fr\r\nContent-Location: http://x/\r\n\r\niVBORw==\r\n--b\r\nContent-Type: "            \
        "message/rfc822\r\n\r\nSubject: "                                                       \
        "inner\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Type: " \
        "text/html\r\nContent-Language: de\r\n\r\n<b>\r\n--c\r\n\r\nplain\r\n--c--\r\n--b--\r\n"

static struct fetch_writer w;
static struct imap imap;
static struct buf out, packed;

static int set_up(void **state)
{
        (void)state;
        arena_init(&imap.session.command, 64 << 20);
        buf_init(&out, 64 << 20);
        buf_init(&packed, MIME_PACKED_MAX);
        fetch_writer_init(&w, 0);
        w.out.b = &out;
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        arena_finish(&imap.session.command);
        buf_free(&out);
        buf_free(&packed);
        fetch_writer_finish(&w);
        return 0;
}

static void pack(struct str letter)
{
        struct mime m;

        mime_init(&m);
        mime_parse(&m, letter);
        buf_clear(&packed);
        assert_true(mime_pack(&m, &packed));
        mime_finish(&m);
        buf_clear(&out);
}

static void says(const char *want)
{
        assert_str(buf_str(&out), str_of(want));
}
