#include "mail/charset.h"
#include "base/codec.h"
#include <errno.h>
#include <iconv.h>
#include <pthread.h>

#define REPLACEMENT S("\xEF\xBF\xBD")

/* A converter for each charset that mail is found in, under iconv's name for it; one thread at a time uses it. */
struct converter {
        struct str name;
        iconv_t cd;
        pthread_mutex_t lock;
};
#define CONVERTER(n)                                                        \
        {                                                                   \
                { n, sizeof n - 1 }, (iconv_t)-1, PTHREAD_MUTEX_INITIALIZER \
        }
static struct converter converters[] = {
        CONVERTER("WINDOWS-1252"), CONVERTER("ISO-8859-2"),   CONVERTER("ISO-8859-3"),
        CONVERTER("ISO-8859-4"),   CONVERTER("ISO-8859-5"),   CONVERTER("ISO-8859-6"),
        CONVERTER("ISO-8859-7"),   CONVERTER("ISO-8859-8"),   CONVERTER("ISO-8859-10"),
        CONVERTER("ISO-8859-13"),  CONVERTER("ISO-8859-14"),  CONVERTER("ISO-8859-15"),
        CONVERTER("ISO-8859-16"),  CONVERTER("WINDOWS-1250"), CONVERTER("WINDOWS-1251"),
        CONVERTER("WINDOWS-1253"), CONVERTER("WINDOWS-1254"), CONVERTER("WINDOWS-1255"),
        CONVERTER("WINDOWS-1256"), CONVERTER("WINDOWS-1257"), CONVERTER("WINDOWS-1258"),
        CONVERTER("KOI8-R"),       CONVERTER("KOI8-U"),       CONVERTER("MACINTOSH"),
        CONVERTER("IBM437"),       CONVERTER("IBM850"),       CONVERTER("IBM866"),
        CONVERTER("CP874"),        CONVERTER("VISCII"),       CONVERTER("ISO-2022-JP"),
        CONVERTER("CP932"),        CONVERTER("EUC-JP"),       CONVERTER("ISO-2022-KR"),
        CONVERTER("UHC"),          CONVERTER("GB18030"),      CONVERTER("BIG5-HKSCS"),
        CONVERTER("UTF-16"),       CONVERTER("UTF-16LE"),     CONVERTER("UTF-16BE"),
        CONVERTER("UTF-7"),
};

/* Names seen in mail for the above. A superset stands in for its subset where programs label one as the other:
 * Windows-1252 for ISO-8859-1 and for ASCII, GB18030 for GB2312, UHC for EUC-KR (as the WHATWG's Encoding Standard). */
static const struct {
        struct str name, means;
} aliases[] = {
#define ALIAS(a, b)                     \
        {                               \
                { a, sizeof a - 1 },    \
                {                       \
                        b, sizeof b - 1 \
                }                       \
        }
        ALIAS("us-ascii", "WINDOWS-1252"),
        ALIAS("ascii", "WINDOWS-1252"),
        ALIAS("ansi_x3.4-1968", "WINDOWS-1252"),
        ALIAS("iso-8859-1", "WINDOWS-1252"),
        ALIAS("iso8859-1", "WINDOWS-1252"),
        ALIAS("latin1", "WINDOWS-1252"),
        ALIAS("cp1252", "WINDOWS-1252"),
        ALIAS("iso-8859-9", "WINDOWS-1254"),
        ALIAS("iso-8859-11", "CP874"),
        ALIAS("tis-620", "CP874"),
        ALIAS("windows-874", "CP874"),
        ALIAS("iso8859-2", "ISO-8859-2"),
        ALIAS("iso8859-15", "ISO-8859-15"),
        ALIAS("latin2", "ISO-8859-2"),
        ALIAS("latin-9", "ISO-8859-15"),
        ALIAS("cp1250", "WINDOWS-1250"),
        ALIAS("cp1251", "WINDOWS-1251"),
        ALIAS("koi8r", "KOI8-R"),
        ALIAS("cp437", "IBM437"),
        ALIAS("cp850", "IBM850"),
        ALIAS("cp866", "IBM866"),
        ALIAS("iso-8859-8-i", "ISO-8859-8"),
        ALIAS("iso-8859-6-i", "ISO-8859-6"),
        ALIAS("shift_jis", "CP932"),
        ALIAS("shift-jis", "CP932"),
        ALIAS("sjis", "CP932"),
        ALIAS("windows-31j", "CP932"),
        ALIAS("x-sjis", "CP932"),
        ALIAS("euc-kr", "UHC"),
        ALIAS("ks_c_5601-1987", "UHC"),
        ALIAS("cp949", "UHC"),
        ALIAS("gb2312", "GB18030"),
        ALIAS("gbk", "GB18030"),
        ALIAS("cp936", "GB18030"),
        ALIAS("x-gbk", "GB18030"),
        ALIAS("big5", "BIG5-HKSCS"),
        ALIAS("cp950", "BIG5-HKSCS"),
        ALIAS("unicode-1-1-utf-7", "UTF-7"),
        ALIAS("x-mac-roman", "MACINTOSH"),
#undef ALIAS
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void open_all(void)
{
        for (size_t i = 0; i < COUNT(converters); i++)
                converters[i].cd = iconv_open("UTF-8", converters[i].name.p);
}

void charsets_open(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, open_all);
}

static bool is_utf8(struct str name)
{
        return str_ieq(name, S("utf-8")) || str_ieq(name, S("utf8")) || str_ieq(name, S("unicode-1-1-utf-8"));
}

static struct converter *find(struct str name)
{
        for (size_t i = 0; i < COUNT(aliases); i++)
                if (str_ieq(aliases[i].name, name))
                        name = aliases[i].means;
        charsets_open();
        for (size_t i = 0; i < COUNT(converters); i++)
                if (str_ieq(converters[i].name, name))
                        return converters[i].cd == (iconv_t)-1 ? NULL : &converters[i];
        return NULL;
}

/* One bad byte is replaced and passed over, so this always ends. */
static void convert(struct buf *out, iconv_t cd, struct str bytes)
{
        char *in = (char *)bytes.p, piece[1024], *to; /* iconv's prototype lacks a const */
        size_t left = bytes.n, room;

        iconv(cd, NULL, NULL, NULL, NULL);
        while (left) {
                bool bad;

                to = piece;
                room = sizeof piece;
                bad = iconv(cd, &in, &left, &to, &room) == (size_t)-1 && errno != E2BIG;
                buf_put(out, piece, sizeof piece - room);
                if (bad && left) {
                        buf_puts(out, REPLACEMENT);
                        in++;
                        left--;
                }
        }
        to = piece;
        room = sizeof piece;
        iconv(cd, NULL, NULL, &to, &room); /* a character held back for what might have followed */
        buf_put(out, piece, sizeof piece - room);
}

bool charset_put(struct buf *out, struct str charset, struct str bytes)
{
        struct converter *c;

        if (is_utf8(charset)) {
                utf8_put(out, bytes);
                return true;
        }
        c = find(charset);
        if (!c)
                return false;
        pthread_mutex_lock(&c->lock);
        convert(out, c->cd, bytes);
        pthread_mutex_unlock(&c->lock);
        return true;
}

/* Length of the UTF-8 character at the start of s, 0 if it is none. */
static size_t utf8_char(struct str s)
{
        unsigned char c = (unsigned char)s.p[0];
        size_t n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;

        return n && n <= s.n && utf8_valid(str_sub(s, 0, n)) ? n : 0;
}

void utf8_put(struct buf *out, struct str bytes)
{
        if (utf8_valid(bytes)) {
                buf_puts(out, bytes);
                return;
        }
        while (bytes.n) {
                size_t n = utf8_char(bytes);

                buf_puts(out, n ? str_sub(bytes, 0, n) : REPLACEMENT);
                bytes = str_from_at(bytes, n ? n : 1);
        }
}

void unlabelled_put(struct buf *out, struct str bytes)
{
        if (utf8_valid(bytes) || !charset_put(out, S("WINDOWS-1252"), bytes))
                utf8_put(out, bytes);
}

/* How many bytes at the start of s are one control character. */
static size_t control_char(struct str s)
{
        unsigned char c = (unsigned char)s.p[0], d = s.n > 1 ? (unsigned char)s.p[1] : 0;

        if (c < 32 || c == 127)
                return 1;
        if (c == 0xC2 && d >= 0x80 && d < 0xA0)
                return 2;
        return s.n > 2 && c == 0xE2 && d == 0x80 && (s.p[2] == '\xA8' || s.p[2] == '\xA9') ? 3 : 0;
}

struct str text_without_controls(struct arena *m, struct str utf8)
{
        char *to = arena_alloc(m, utf8.n + 1);
        size_t n = 0;

        while (utf8.n) {
                size_t control = control_char(utf8);

                to[n++] = control ? ' ' : utf8.p[0];
                utf8 = str_from_at(utf8, control ? control : 1);
        }
        return str_from(to, n);
}

bool charset_decode(struct arena *m, struct str charset, struct str bytes, struct str *out)
{
        struct buf b;
        bool ok;

        buf_init(&b, arena_times(bytes.n, CHARSET_GROWTH) + 64);
        ok = charset_put(&b, charset, bytes);
        *out = ok ? arena_str(m, buf_str(&b)) : S("");
        buf_free(&b);
        return ok;
}
