/* Letters in many scripts, charsets and encodings for tests of the search, made by dice: the same ones each time. */
#pragma once
#include "account_fixture.h"
#include <iconv.h>

static uint32_t seed;

static uint32_t dice(uint32_t n)
{
        seed = seed * 1664525 + 1013904223;
        return (uint32_t)((uint64_t)(seed >> 4) * n >> 28);
}

static const char *const words[][16] = {
        { "pail", "of", "water", "the", "The", "fetch", "hill", "Jack,", "(jill)", "crown!", "re-use",
          "e-mail", "a", "I", "x86-64", "don't" },
        { "Straße", "über", "Käse", "größer", "Äpfel", "naïve", "façade", "élève", "señor", "Ångström",
          "ﬁnal", "œuvre", "İstanbul", "soft\u00ADhyphen", "½", "ça" },
        { "вода", "Ведро", "ёлка", "й", "Джек", "холм", "письмо", "и", "в", "на", "почта", "сервер", "ключ",
          "Щука", "объект", "мама" },
        { "νερό", "Σίσυφος", "λόφος", "ΟΔΟΣ", "και", "το", "άνθρωπος", "ή", "ώρα", "γράμμα", "ψάρι", "ξένος",
          "ύδωρ", "ποιός", "μέρα", "ζωή" },
        { "漢字", "水桶。", "山、", "日本語のメール", "東京", "電子邮件", "服务器", "你好，世界", "カタカナ",
          "ひらがな", "全角ＡＢＣ", "検索する", "的", "是一个", "ﾊﾝｶｸ", "がぎぐ" },
        { "한국어", "메일", "서버", "안녕하세요", "검색", "물", "언덕", "편지", "와", "는", "가나다", "서울",
          "ㅋㅋ", "빠르다", "느린", "끝" },
        { "สวัสดี", "ภาษาไทย", "จดหมาย", "น้ำ", "ค้นหา", "กำลัง", "เซิร์ฟเวอร์", "ที่นี่", "ไม่", "ดี", "ครับ", "ถัง", "ภูเขา",
          "เร็ว", "ช้า", "จบ" },
        { "שלום", "מכתב", "שָׁלוֹם", "مرحبا", "العَرَبِيَّة", "رسالة", "ماء", "دلو", "עולם", "חיפוש", "بحث", "سلام",
          "تل", "אחד", "اثنان", "סוף" },
        { "https://example.com/a/very/long/path?with=parameters&and=more", "<x@y.z>", "===", "😀", "❤️",
          "1️⃣", "--", "\"q\"", "C:\\dir", "a=b", "50%", "#tag", "v1.2.3", "&", "€100", "…" },
};
static const char *const charsets[][3] = {
        { "us-ascii", "utf-8", "iso-8859-1" },
        { "utf-8", "iso-8859-15", "windows-1252" },
        { "koi8-r", "windows-1251", "utf-8" },
        { "iso-8859-7", "utf-8", "utf-16" },
        { "iso-2022-jp", "gb18030", "shift_jis" },
        { "euc-kr", "utf-8", "utf-8" },
        { "tis-620", "utf-8", "utf-8" },
        { "utf-8", "utf-8", "utf-16le" },
        { "utf-8", "utf-8", "utf-8" },
};
enum { SCRIPTS = sizeof words / sizeof words[0] };

/* Long runs without a space, which no other letter has. */
static void put_long(struct buf *out)
{
        size_t n = 40 + dice(700);

        for (size_t i = 0; i < n; i++)
                buf_put(out, &"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[dice(64)],
                        1);
}

static void put_words(struct buf *out, unsigned script, size_t n)
{
        static const char *const gaps[] = { " ", " ", " ", " ", "  ", "\n", "\n\n", " \t", "" };

        for (size_t i = 0; i < n; i++) {
                unsigned from = dice(8) ? script : dice(SCRIPTS);

                if (dice(60))
                        buf_puts(out, str_of(words[from][dice(16)]));
                else
                        put_long(out);
                buf_puts(out, str_of(gaps[dice(sizeof gaps / sizeof gaps[0])]));
        }
}

static void converted(struct buf *out, const char *charset, struct str utf8)
{
        char name[64], *in = (char *)utf8.p, *to;
        size_t left = utf8.n, room = utf8.n * 4 + 64;
        iconv_t cd;

        snprintf(name, sizeof name, "%s//TRANSLIT", charset);
        cd = iconv_open(name, "UTF-8");
        assert_true(cd != (iconv_t)-1);
        to = buf_room(out, room);
        while (left) {
                size_t before = room;

                if (iconv(cd, &in, &left, &to, &room) == (size_t)-1 && left) {
                        in++; /* has no sign there */
                        left--;
                }
                buf_added(out, before - room);
        }
        size_t before = room;
        iconv(cd, NULL, NULL, &to, &room);
        buf_added(out, before - room);
        iconv_close(cd);
}

static void encoded(struct buf *out, struct str bytes, unsigned how)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

        if (how == 0) {
                buf_puts(out, bytes);
                return;
        }
        for (size_t i = 0, column = 0; how == 1 && i < bytes.n; i++) {
                unsigned char c = (unsigned char)bytes.p[i];

                if (c == '\n' || (c > 32 && c < 127 && c != '='))
                        buf_u8(out, c);
                else
                        buf_printf(out, "=%02X", c);
                column = c == '\n' ? 0 : column + 1;
                if (column == 60)
                        buf_puts(out, S("=\r\n"));
                column %= 60;
        }
        for (size_t i = 0; how == 2 && i < bytes.n; i += 3) {
                struct str s = str_sub(bytes, i, 3);
                unsigned v = 0;

                for (size_t k = 0; k < 3; k++)
                        v = v << 8 | (k < s.n ? (unsigned char)s.p[k] : 0);
                for (size_t k = 0; k < 4; k++)
                        buf_u8(out, k <= s.n ? (uint8_t)digits[v >> (18 - 6 * k) & 63] : '=');
                if (i % 57 == 54)
                        buf_puts(out, S("\r\n"));
        }
}

static void put_part(struct buf *out, unsigned script, size_t n)
{
        struct buf text auto_buf, bytes auto_buf;
        const char *charset = charsets[script][dice(3)];
        bool html = !dice(3), wide = str_starts(str_of(charset), S("utf-16"));
        unsigned how = wide ? 2 : dice(3);

        buf_init(&text, 1 << 20);
        buf_init(&bytes, 4 << 20);
        if (html)
                buf_puts(&text, S("<html><style>no</style><p>"));
        put_words(&text, script, n / 2);
        buf_puts(&text, html ? S("</p><b>bo</b>ld&amp;&eacute;<br>&#x6f22;") : S("\n"));
        put_words(&text, script, n - n / 2);
        converted(&bytes, charset, buf_str(&text));
        buf_printf(out, "Content-Type: text/%s; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
                   html ? "html" : "plain", charset,
                   how == 0   ? "8bit"
                   : how == 1 ? "quoted-printable"
                              : "base64");
        encoded(out, buf_str(&bytes), how);
        buf_puts(out, S("\r\n"));
}

static void put_encoded_word(struct buf *out, unsigned script)
{
        struct buf text auto_buf, word auto_buf;

        buf_init(&text, 4096);
        buf_init(&word, 16384);
        buf_puts(&text, str_of(words[script][dice(16)]));
        encoded(&word, buf_str(&text), 2);
        buf_puts(out, S("=?utf-8?b?"));
        buf_puts(out, buf_str(&word));
        buf_puts(out, S("?="));
}

static void make_letter(struct buf *out, unsigned number)
{
        unsigned script = dice(SCRIPTS);

        buf_clear(out);
        buf_printf(out, "Received: from a.b (c [1.2.3.%u]) by d; Mon\r\n", number % 200);
        buf_puts(out, S("From: "));
        put_encoded_word(out, script);
        buf_printf(
            out, " <person%u@example.org>\r\nTo: \"Last, First%u\" <jill@hill.com>, jack@town.com (Jack)\r\n",
            dice(40), dice(9));
        if (dice(3) == 0)
                buf_printf(out, "Cc: copy%u@hill.com\r\n", dice(5));
        buf_puts(out, S("Subject: "));
        for (unsigned i = 0; i < 1 + dice(5); i++) {
                put_encoded_word(out, script);
                buf_puts(out, dice(2) ? S(" Re: and\r\n ") : S(" "));
        }
        buf_printf(out, "\r\nMessage-ID: <%u.%u@example.org>\r\nX-Number-%u: n%u\r\nX-Empty:\r\n", number,
                   dice(1u << 20), dice(5), number);
        for (unsigned i = 0; i < 3; i++) /* more names than a part of the index has room for */
                buf_printf(out, "X-Many-%u: m%u\r\n", dice(900), dice(50));
        if (dice(10) == 0)
                buf_printf(out,
                           "X-A-Name-That-Is-Longer-Than-Any-Name-Of-A-Field-That-Has-Ever-Been-Seen-"
                           "Anywhere: l%u\r\n"
                           "n\xc3\xa4me: strange%u\r\n",
                           dice(9), dice(9));
        if (dice(4) == 0) { /* several parts */
                buf_puts(out, S("Content-Type: multipart/mixed; boundary=bbb\r\n\r\n--bbb\r\n"));
                put_part(out, script, 1 + dice(60));
                buf_puts(out, S("\r\n--bbb\r\nContent-Type: application/pdf; name=\"r\u00e9sum\u00e9 "));
                buf_printf(out, "%u.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJDREVG\r\n--bbb\r\n",
                           dice(30));
                buf_printf(out,
                           "Content-Type: message/rfc822\r\n\r\nSubject: inner%u\r\nFrom: in@ner.org\r\n",
                           dice(9));
                put_part(out, dice(SCRIPTS), dice(40));
                buf_puts(out, S("\r\n--bbb--\r\n"));
        } else {
                put_part(out, script, dice(20) ? dice(120) : 0);
        }
}
