/* What FTP reads besides commands: Telnet in lines, patterns, times. What must hold is said beside each. */
#include "base/mem.h"
#include "proto/ftp/glob.h"
#include "proto/ftp/telnet.h"
#include "proto/ftp/time.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* Never more than came, and few answers, each a refusal. */
static void telnet_any(struct str s)
{
        struct buf out, answers;

        buf_init(&out, s.n);
        buf_init(&answers, 64);
        telnet_take(s, &out, &answers);
        must(!out.full && !answers.full && answers.n % 3 == 0 && answers.n <= 48, "telnet: too much");
        for (size_t i = 0; i < answers.n; i += 3)
                must((uint8_t)answers.p[i] == 255 &&
                         ((uint8_t)answers.p[i + 1] == 252 || (uint8_t)answers.p[i + 1] == 254),
                     "telnet: that is no refusal");
        must(telnet_in(s) || str_eq(buf_str(&out), s), "telnet: changed what has none of it");
        buf_free(&out);
        buf_free(&answers);
}

/* What is said as Telnet wants it is what was meant. */
static void telnet_meant(struct str s)
{
        struct buf said, out, answers;

        buf_init(&said, 2 * s.n + 1);
        for (size_t i = 0; i < s.n; i++) {
                buf_puts(&said, str_sub(s, i, 1));
                if ((uint8_t)s.p[i] == 255)
                        buf_u8(&said, 255);
                if (s.p[i] == '\r')
                        buf_u8(&said, 0);
        }
        buf_init(&out, said.n);
        buf_init(&answers, 64);
        telnet_take(buf_str(&said), &out, &answers);
        must(str_eq(buf_str(&out), s) && !answers.n, "telnet: not what was meant");
        buf_free(&said);
        buf_free(&out);
        buf_free(&answers);
}

/* A star matches all, a pattern without signs itself; what is asked does not read beyond its ends (ASan). */
static void pattern(struct str s)
{
        size_t half = s.n / 2;
        struct str one = str_sub(s, 0, half), other = str_from_at(s, half);
        bool plain = !glob_is_pattern(one) && str_find(one, '\\') == STR_NONE;

        glob_matches(one, other, true);
        must(glob_matches(S("*"), other, true), "glob: a star does not match");
        must(!plain || glob_matches(one, other, true) == str_eq(one, other), "glob: a plain name");
        must(str_starts(one, S(".")) || !str_starts(other, S(".")) || !glob_matches(one, other, false),
             "glob: a hidden name is seen");
}

/* A time that is read is said as it was, up to its leap second. */
static void moment(struct str s)
{
        struct buf said;
        int64_t usec, again;

        if (!ftp_time_parse(s, &usec))
                return;
        buf_init(&said, 32);
        put_ftp_time(&said, usec);
        must(said.n == 14 && ftp_time_parse(buf_str(&said), &again) && again <= usec &&
                 usec - again < 1000000,
             "time: not the same");
        must(str_eq(str_sub(s, 12, 2), S("60")) || str_eq(buf_str(&said), str_sub(s, 0, 14)),
             "time: another");
        buf_free(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str s = str_from(data, size);

        if (size > 4096)
                return 0;
        telnet_any(s);
        telnet_meant(s);
        pattern(s);
        moment(s);
        return 0;
}
