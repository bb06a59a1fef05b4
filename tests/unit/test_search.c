/* store/search: every answer is compared to a plain look through decoded and folded texts. */
#include "account_fixture.h"
#include "mail/mime.h"
#include "mail/text.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/body.h"
#include "store/search.h"
#include <dirent.h>
#include <errno.h>
#include <iconv.h>

enum { CORPUS = 300, NEEDLES = 1500, FIELDS_MAX = 24 };

static char folder[64];
static struct accounts *set;
static struct account *jill;
static uint32_t seed;

static uint32_t dice(uint32_t n)
{
        seed = seed * 1664525 + 1013904223;
        return (uint32_t)((uint64_t)(seed >> 4) * n >> 28);
}

/* What the plain look needs of a letter. */
struct known {
        uint32_t letter, uid;
        bool gone;
        struct known_field {
                char *name;
                struct buf text, folded;
        } fields[FIELDS_MAX];
        size_t field_n;
        struct buf header, body, header_folded, body_folded;
};
static struct known known[CORPUS * 3];
static size_t known_n;

/* ---- letters in many scripts ---- */

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

/* ---- the plain look ---- */

static bool collect(void *context, struct str s)
{
        return buf_puts(context, s);
}

static bool collect_field(void *context, struct str name, struct str value)
{
        struct known *k = context;
        struct known_field *f = &k->fields[k->field_n++];

        assert_true(k->field_n <= FIELDS_MAX);
        f->name = mem_string(name);
        buf_init(&f->text, 65536);
        buf_init(&f->folded, 65536);
        buf_puts(&f->text, value);
        text_fold(&f->folded, value);
        return true;
}

static void know(uint32_t letter, struct str text)
{
        struct known *k = &known[known_n++];
        struct mime m;

        assert_true(known_n <= LENGTH(known));
        *k = (struct known){ .letter = letter };
        buf_init(&k->header, 1 << 20);
        buf_init(&k->body, 1 << 20);
        buf_init(&k->header_folded, 1 << 20);
        buf_init(&k->body_folded, 1 << 20);
        mime_init(&m);
        mime_parse(&m, text);
        text_fields(&m, text, collect_field, k);
        text_of_header(&m, text, collect, &k->header);
        text_of_body(&m, text, collect, &k->body);
        mime_finish(&m);
        text_fold(&k->header_folded, buf_str(&k->header));
        text_fold(&k->body_folded, buf_str(&k->body));
}

static void forget(void)
{
        for (size_t i = 0; i < known_n; i++) {
                struct known *k = &known[i];

                for (size_t f = 0; f < k->field_n; f++) {
                        mem_free(k->fields[f].name);
                        buf_free(&k->fields[f].text);
                        buf_free(&k->fields[f].folded);
                }
                buf_free(&k->header);
                buf_free(&k->body);
                buf_free(&k->header_folded);
                buf_free(&k->body_folded);
        }
        known_n = 0;
}

static bool has(struct str text, struct str needle)
{
        return str_search(text, needle) != STR_NONE;
}

static bool plainly(const struct known *k, const struct search_needle *needle, struct str folded)
{
        static const char *const names[] = { "subject", "from", "to", "cc", "bcc" };
        struct str name = needle->field < SEARCH_HEADER ? str_of(names[needle->field]) : needle->name;

        if (needle->field == SEARCH_BODY || needle->field == SEARCH_TEXT)
                return has(buf_str(&k->body_folded), folded) ||
                       (needle->field == SEARCH_TEXT && has(buf_str(&k->header_folded), folded));
        for (size_t i = 0; i < k->field_n; i++)
                if (str_ieq(str_of(k->fields[i].name), name) && has(buf_str(&k->fields[i].folded), folded))
                        return true;
        return false;
}

/* ---- asking ---- */

static unsigned asked, found;

static void ask(const struct search_needle *needle)
{
        static uint32_t letters[CORPUS * 3];
        static bool match[CORPUS * 3];
        struct buf folded auto_buf;
        unsigned some = dice(4);

        buf_init(&folded, 65536);
        text_fold(&folded, needle->text);
        for (size_t i = 0; i < known_n; i++) {
                letters[i] = known[i].letter;
                match[i] = some || dice(3); /* now and then only some are asked about */
        }
        bool *before = mem_array(known_n + 1, sizeof *before);
        for (size_t i = 0; i < known_n; i++)
                before[i] = match[i];
        assert_int_equal(search_letters(jill, needle, letters, known_n, match, NULL, NULL), 0);
        for (size_t i = 0; i < known_n; i++) {
                bool want = before[i] && !known[i].gone && plainly(&known[i], needle, buf_str(&folded));

                if (known[i].gone && match[i])
                        continue; /* nobody asks about it; it may still be known */
                if (match[i] != want)
                        fail_msg("field %d name \"" PRS "\" text \"" PRS "\": letter %u %s", needle->field,
                                 STR(needle->name), STR(needle->text), known[i].letter,
                                 want ? "was not found" : "was found");
                found += match[i];
        }
        asked++;
        mem_free(before);
}

/* Some characters of a text, from somewhere. */
static struct str cutting(struct str s, unsigned characters)
{
        size_t from, to;

        if (!s.n)
                return s;
        from = dice((uint32_t)s.n);
        while (from && ((unsigned char)s.p[from] & 0xC0) == 0x80)
                from--;
        for (to = from; to < s.n && characters; characters--)
                for (to++; to < s.n && ((unsigned char)s.p[to] & 0xC0) == 0x80;)
                        to++;
        return str_sub(s, from, to - from);
}

static void ask_some(unsigned n)
{
        static const char *const fixed[] = { "",
                                             " ",
                                             "a",
                                             "e",
                                             "pail",
                                             "PAIL OF",
                                             "water ",
                                             " the",
                                             "n",
                                             "漢",
                                             "漢字",
                                             "的",
                                             "日本",
                                             "subject",
                                             "Subject:",
                                             "ct: ",
                                             "x-empty",
                                             ":",
                                             "strasse",
                                             "elkа",
                                             "\u00AD",
                                             ">",
                                             "no such thing anywhere",
                                             "résumé",
                                             "ค้น" };
        struct search_needle needle;

        for (size_t i = 0; i < LENGTH(fixed); i++)
                for (int field = SEARCH_SUBJECT; field <= SEARCH_TEXT; field++) {
                        needle = (struct search_needle){ .field = (enum search_field)field,
                                                         .text = str_of(fixed[i]) };
                        if (field == SEARCH_HEADER)
                                needle.name = dice(2) ? S("X-EMPTY") : S("Message-Id");
                        ask(&needle);
                }
        for (unsigned i = 0; i < n; i++) {
                const struct known *k = &known[dice((uint32_t)known_n)];
                const struct known_field *f = &k->fields[dice((uint32_t)k->field_n)];
                unsigned length = dice(3) ? 1 + dice(12) : 1 + dice(40);

                if (!dice(20))
                        length = 60 + dice(300);
                switch (f->name[0] ? dice(4) : 1) {
                case 0:
                        needle = (struct search_needle){ .field = SEARCH_HEADER, .name = str_of(f->name) };
                        needle.text = cutting(buf_str(&f->text), length);
                        break;
                case 1:
                        needle = (struct search_needle){ .field = SEARCH_TEXT };
                        needle.text = cutting(buf_str(&k->header), length);
                        break;
                default:
                        needle = (struct search_needle){ .field = dice(3) ? SEARCH_BODY : SEARCH_TEXT };
                        needle.text = cutting(buf_str(&k->body), length);
                }
                ask(&needle);
        }
}

static void file_letter(unsigned number)
{
        struct buf text auto_buf;
        struct filing f;

        buf_init(&text, 1 << 20);
        make_letter(&text, number);
        f = fixture_filing(buf_str(&text));
        f.received = 1000000 + number;
        assert_int_equal(account_file(jill, &f, 1), 0);
        assert_int_equal(f.error, 0);
        know(f.letter, buf_str(&text));
        known[known_n - 1].uid = f.uid;
}

/* Long, so that it lies in a file, its texts before and after what is no text. */
static void file_long(void)
{
        struct buf text auto_buf;
        struct body_stage *b;
        struct filing f;
        int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        buf_init(&text, 8 << 20);
        buf_puts(&text, S("Subject: long\r\nFrom: a@b.c\r\nContent-Type: multipart/mixed; "
                          "boundary=bbb\r\n\r\n--bbb\r\n"));
        put_part(&text, 4, 3000);
        buf_puts(&text, S("\r\n--bbb\r\nContent-Type: image/png; name=\"picture \u6c34.png\"\r\n\r\n"));
        while (text.n < 300000)
                buf_puts(&text, S("no text at all "));
        buf_puts(&text,
                 S("\r\n--bbb\r\nContent-Type: message/rfc822\r\n\r\nSubject: within the long one\r\n"));
        put_part(&text, 1, 20000);
        buf_puts(&text, S("\r\n--bbb--\r\n"));
        assert_int_equal(body_stage_open(&b, dir, "staged"), 0);
        assert_int_equal(body_stage_put(b, buf_str(&text)), 0);
        assert_int_equal(body_stage_finish(b), 0);
        body_stage_close(&b, true);
        f = fixture_filing(S(""));
        f.staged_dir = dir;
        f.staged_name = "staged";
        assert_int_equal(account_file(jill, &f, 1), 0);
        assert_int_equal(f.error, 0);
        know(f.letter, buf_str(&text));
        known[known_n - 1].uid = f.uid;
        close(dir);
}

static int begin(void **state)
{
        (void)state;
        snprintf(folder, sizeof folder, "/tmp/test_search.XXXXXX");
        assert_non_null(mkdtemp(folder));
        set = fixture_open(folder, 4);
        assert_int_equal(account_create(set, JILL), 0);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        seed = 12345;
        asked = found = 0;
        return 0;
}

static int finish(void **state)
{
        (void)state;
        forget();
        account_put(&jill);
        accounts_close(&set);
        fixture_remove(folder);
        return 0;
}

static void scanned(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 60; i++)
                file_letter(i);
        file_long();
        ask_some(400);
        assert_true(found > asked); /* the needles were not all for nothing */
}

static void index_now(void)
{
        struct buf said auto_buf;
        unsigned wrong = 0;

        buf_init(&said, 65536);
        assert_int_equal(search_index(jill), 0);
        assert_int_equal(search_check(jill, &said, &wrong), 0);
        assert_str(buf_str(&said), S(""));
}

static void state_is(uint64_t want)
{
        uint64_t indexed, letters, bytes;

        assert_int_equal(search_state(jill, &indexed, &letters, &bytes), 0);
        assert_int_equal(indexed, want);
        assert_true(bytes > 0 || !want);
}

static void indexed(void **state)
{
        unsigned i = 0;

        (void)state;
        index_now(); /* of nothing */
        state_is(0);
        for (; i < CORPUS / 2; i++)
                file_letter(i);
        file_long();
        index_now();
        state_is(CORPUS / 2 + 1);
        ask_some(NEEDLES);
        for (; i < CORPUS; i++) /* half of them are not in the index */
                file_letter(i);
        ask_some(300);
        state_is(CORPUS / 2 + 1);
        index_now();
        ask_some(NEEDLES);
        state_is(CORPUS + 1);
        assert_true(found > asked);
}

static unsigned files(void)
{
        char path[128];
        struct dirent *e;
        unsigned n = 0;
        DIR *d;

        snprintf(path, sizeof path, "%s/jill@hill.com/search", folder);
        d = opendir(path);
        while (d && (e = readdir(d)))
                n += strlen(e->d_name) == 17;
        if (d)
                closedir(d);
        return n;
}

/* Part by part, so that they are merged. */
static void merged(void **state)
{
        unsigned most = 0;

        (void)state;
        for (unsigned i = 0; i < CORPUS; i++) {
                file_letter(i);
                if (dice(6))
                        continue;
                index_now();
                if (files() > most)
                        most = files();
                if (!dice(8))
                        ask_some(10);
        }
        index_now();
        state_is(CORPUS);
        assert_in_range(most, 2, 10);
        ask_some(NEEDLES);
}

static void expunge_some(unsigned one_of)
{
        struct mailbox_view view;
        uint32_t *uids = mem_array(known_n, sizeof *uids);
        size_t n = 0;

        for (size_t i = 0; i < known_n; i++)
                if (!known[i].gone && !dice(one_of)) {
                        known[i].gone = true;
                        uids[n++] = known[i].uid;
                }
        assert_int_equal(account_view(jill, INBOX, &view), 0);
        assert_int_equal(account_expunge(jill, &view, uids, n), 0);
        mem_free(uids);
}

static size_t there(void)
{
        size_t n = 0;

        for (size_t i = 0; i < known_n; i++)
                n += !known[i].gone;
        return n;
}

static void removed(void **state)
{
        unsigned i = 0;
        uint64_t indexed_n, letters, bytes;

        (void)state;
        for (; i < CORPUS / 2; i++)
                file_letter(i);
        index_now();
        expunge_some(3);
        ask_some(300);
        for (; i < CORPUS * 3 / 4; i++)
                file_letter(i);
        ask_some(100);
        index_now();
        ask_some(300);
        expunge_some(2);
        for (; i < CORPUS; i++)
                file_letter(i);
        accounts_checkpoint(set); /* the rows of those go now */
        index_now();
        assert_int_equal(search_state(jill, &indexed_n, &letters, &bytes), 0);
        assert_int_equal(letters, there());
        assert_in_range(indexed_n, letters, letters + letters / 2 + 64);
        ask_some(1000);
}

static void damage(const char *name, bool cut)
{
        char path[256];
        struct stat st;
        int fd;

        snprintf(path, sizeof path, "%s/jill@hill.com/search/%s", folder, name);
        fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        if (cut) {
                assert_int_equal(ftruncate(fd, (off_t)dice((uint32_t)st.st_size)), 0);
        } else {
                for (unsigned i = 1 + dice(3); i; i--) {
                        off_t at = (off_t)dice((uint32_t)st.st_size);
                        char c;

                        assert_int_equal(pread(fd, &c, 1, at), 1);
                        c = (char)(c ^ (1 << dice(8)));
                        assert_int_equal(pwrite(fd, &c, 1, at), 1);
                }
        }
        close(fd);
}

static void damage_some(bool cut)
{
        char path[128];
        struct dirent *e;
        DIR *d;

        snprintf(path, sizeof path, "%s/jill@hill.com/search", folder);
        d = opendir(path);
        assert_non_null(d);
        while ((e = readdir(d)))
                if (strlen(e->d_name) == 17 && dice(2))
                        damage(e->d_name, cut);
        closedir(d);
}

static void damaged(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 100; i++) {
                file_letter(i);
                if (i % 30 == 29)
                        index_now();
        }
        for (unsigned i = 0; i < 60; i++) {
                struct buf said auto_buf;
                unsigned wrong = 0;

                buf_init(&said, 65536);
                damage_some(i % 2);
                if (i % 3 == 0)
                        assert_int_equal(search_check(jill, &said, &wrong), 0);
                if (i % 5 != 0)
                        ask_some(3);
                if (dice(4))
                        file_letter(100 + i);
                assert_int_equal(search_index(jill), 0);
                ask_some(3);
        }
        state_is(known_n);
}

/* A backup is put back, older than the index. */
static void restored(void **state)
{
        char path[128], command[400];

        (void)state;
        snprintf(path, sizeof path, "%s/jill@hill.com", folder);
        for (unsigned i = 0; i < 40; i++)
                file_letter(i);
        index_now();
        account_put(&jill);
        accounts_close(&set);
        snprintf(command, sizeof command, "mkdir %s/saved && cp -p %s/account.db* %s/saved", folder, path,
                 folder);
        assert_int_equal(system(command), 0);
        set = fixture_open(folder, 4);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        for (unsigned i = 40; i < 80; i++)
                file_letter(i);
        index_now();
        account_put(&jill);
        accounts_close(&set);
        snprintf(command, sizeof command, "rm %s/account.db* && cp -p %s/saved/* %s", path, folder, path);
        assert_int_equal(system(command), 0);
        while (known_n > 40)
                known[--known_n].gone = true;
        set = fixture_open(folder, 4);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        for (unsigned i = 200; i < 220; i++) /* they get numbers that the index knows */
                file_letter(i);
        ask_some(200);
        index_now();
        ask_some(200);
        state_is(60);
}

static void fuzzy(void **state)
{
        static const struct {
                const char *text;
                bool found;
                unsigned least, most;
        } table[] = {
                { "water pail", true, 100, 100 }, { "WATER, pail", true, 100, 100 },
                { "wather pail", true, 70, 95 },  { "watre", true, 50, 80 },
                { "wat", true, 70, 90 },          { "wtae", false, 0, 0 },
                { "pale", false, 0, 0 },          { "water bucket", false, 0, 0 },
                { "漢字", true, 100, 100 },       { "fetch漢字", true, 100, 100 },
                { "", true, 100, 100 },           { "jack sprat", false, 0, 0 },
        };
        static const char letter[] = "Subject: jack\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
                                     "Please (fetch) me a pail of \"Water\". 漢字\r\n";

        (void)state;
        for (unsigned turn = 0; turn < 3; turn++) {
                for (size_t i = 0; i < 4; i++) {
                        struct filing f = fixture_filing(str_of(letter));

                        assert_int_equal(account_file(jill, &f, 1), 0);
                        know(f.letter, str_of(letter));
                }
                if (turn)
                        index_now();
                for (size_t i = 0; i < LENGTH(table); i++) {
                        struct search_needle n = { .field = SEARCH_TEXT,
                                                   .text = str_of(table[i].text),
                                                   .fuzzy = true };
                        uint32_t letters[16];
                        bool match[16];
                        uint8_t score[16];

                        for (size_t k = 0; k < known_n; k++) {
                                letters[k] = known[k].letter;
                                match[k] = true;
                        }
                        assert_int_equal(search_letters(jill, &n, letters, known_n, match, score, NULL), 0);
                        for (size_t k = 0; k < known_n; k++) {
                                if (match[k] != table[i].found)
                                        fail_msg("%s: turn %u", table[i].text, turn);
                                if (match[k])
                                        assert_in_range(score[k], table[i].least, table[i].most);
                        }
                }
        }
}

/* On fibers and threads, as in a role: letters are noted, two indexers are in each other's way, somebody searches. */
static void background(void *arg)
{
        struct indexer *one, *two;

        (void)arg;
        assert_int_equal(indexer_start(&one, set), 0);
        assert_int_equal(indexer_start(&two, set), 0);
        for (unsigned i = 0; i < 80; i++) {
                file_letter(i);
                indexer_note(one, JILL);
                indexer_note(two, JILL);
                if (i % 20 == 19)
                        ask_some(3);
        }
        indexer_note(one, S("nobody@hill.com"));
        while (!indexer_idle(one) || !indexer_idle(two))
                assert_int_equal(fiber_sleep(now() + 10 * MSECOND), 0);
        state_is(80);
        ask_some(20);
        file_letter(80);
        indexer_note(one, JILL);
        indexer_stop(&one); /* with something left to do */
        indexer_stop(&two);
        assert_int_equal(search_index(jill), 0);
        state_is(81);
        loop_stop();
}

static void noted(void **state)
{
        (void)state;
        loop_init();
        assert_int_equal(offload_start(2, 2), 0);
        assert_int_equal(fiber_spawn("test", background, NULL), 0);
        loop_run();
        offload_finish();
        loop_finish();
}

static bool stop_at_once(void *context, size_t done, size_t total)
{
        size_t *calls = context;

        assert_true(done <= total);
        return ++*calls < 2;
}

static void given_up(void **state)
{
        struct search_needle needle = { .field = SEARCH_BODY, .text = S("pail") };
        size_t calls = 0;
        struct search_how how = { stop_at_once, &calls };
        uint32_t letters[600];
        bool match[600];

        (void)state;
        for (unsigned i = 0; i < 600; i++) {
                letters[i] = fixture_file(jill, 0, i, 200).letter;
                match[i] = true;
        }
        assert_int_equal(search_letters(jill, &needle, letters, 600, match, NULL, &how), -ECANCELED);
        assert_int_equal(calls, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(scanned, begin, finish),
                cmocka_unit_test_setup_teardown(indexed, begin, finish),
                cmocka_unit_test_setup_teardown(merged, begin, finish),
                cmocka_unit_test_setup_teardown(removed, begin, finish),
                cmocka_unit_test_setup_teardown(damaged, begin, finish),
                cmocka_unit_test_setup_teardown(restored, begin, finish),
                cmocka_unit_test_setup_teardown(fuzzy, begin, finish),
                cmocka_unit_test_setup_teardown(noted, begin, finish),
                cmocka_unit_test_setup_teardown(given_up, begin, finish),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
