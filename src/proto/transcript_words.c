#include "proto/transcript_words.h"
#include "base/codec.h"
#include "proto/transcript.h"

#include <gnutls/crypto.h>

struct str *variable(struct variables *v, struct str name)
{
        for (unsigned i = 0; i < v->n; i++)
                if (str_eq(v->list[i].name, name))
                        return &v->list[i].value;
        return NULL;
}

bool variable_set(struct variables *v, struct str name, struct str value)
{
        struct str *old = variable(v, name);

        if (!old) {
                if (v->n == VARIABLES_MOST)
                        return false;
                v->list[v->n].name = arena_str(&v->arena, name);
                old = &v->list[v->n++].value;
        }
        *old = arena_str(&v->arena, value);
        return true;
}

/* --- escapes ------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
        c = chr_lower(c);
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool words_unescape(struct str text, struct buf *out, struct buf *why)
{
        static const char from[] = "0rnt\\\"}{", to[] = "\0\r\n\t\\\"}{";

        for (size_t i = 0; i < text.n; i++) {
                const char *found;

                if (text.p[i] != '\\') {
                        buf_put(out, &text.p[i], 1);
                        continue;
                }
                if (i + 3 < text.n && text.p[i + 1] == 'x' && hex_digit(text.p[i + 2]) >= 0 &&
                    hex_digit(text.p[i + 3]) >= 0) {
                        buf_u8(out, (uint8_t)(hex_digit(text.p[i + 2]) * 16 + hex_digit(text.p[i + 3])));
                        i += 3;
                        continue;
                }
                found = i + 1 < text.n && text.p[i + 1] ? strchr(from, text.p[i + 1]) : NULL;
                if (!found) {
                        buf_puts(why, S("an escape is one of \\0 \\r \\n \\t \\xHH \\\\ \\\" \\{ \\}"));
                        return false;
                }
                buf_put(out, &to[found - from], 1);
                i++;
        }
        return true;
}

/* --- braces -------------------------------------------------------------------------------------------------- */

static bool name_byte(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* text.p[at] is '{': the place of its '}' if this is {name} or {name:...}, else STR_NONE. *colon: where it stands. */
static size_t closing(struct str text, size_t at, size_t *colon)
{
        size_t i = at + 1;
        unsigned depth = 1;

        if (i < text.n && text.p[i] >= '0' && text.p[i] <= '9') /* a literal of IMAP's */
                return STR_NONE;
        while (i < text.n && name_byte(text.p[i]))
                i++;
        *colon = i;
        if (i == at + 1 || i == text.n || (text.p[i] != ':' && text.p[i] != '}'))
                return STR_NONE;
        for (; i < text.n; i++) {
                if (text.p[i] == '\\' && i + 1 < text.n)
                        i++;
                else if (text.p[i] == '{')
                        depth++;
                else if (text.p[i] == '}' && --depth == 0)
                        return i;
        }
        return STR_NONE;
}

static bool call(struct str function, struct str text, struct buf *out, struct buf *why)
{
        auto_buf struct buf plain;
        uint8_t digest[16];

        buf_init(&plain, 1 << 20);
        if (!words_unescape(text, &plain, why))
                return false;
        if (str_eq(function, S("base64")))
                return base64_put(out, buf_str(&plain));
        if (str_eq(function, S("md5"))) {
                if (gnutls_hash_fast(GNUTLS_DIG_MD5, plain.p, plain.n, digest) != 0)
                        return false;
                hex_put(out, str_from(digest, sizeof(digest)));
                return true;
        }
        buf_printf(why, "{" PRS ":...} is neither base64 nor md5", STR(function));
        return false;
}

static void put_value(struct str value, bool pattern, struct buf *out)
{
        for (size_t i = 0; i < value.n; i++) {
                if (pattern && value.p[i] == '*')
                        buf_puts(out, S("\\"));
                buf_put(out, &value.p[i], 1);
        }
}

/* Inside a function's argument escapes stay as they are for the function, so values are escaped there. */
static void put_argument(struct str value, struct buf *out)
{
        for (size_t i = 0; i < value.n; i++) {
                if (value.p[i] == '\\' || value.p[i] == '{' || value.p[i] == '}')
                        buf_puts(out, S("\\"));
                buf_put(out, &value.p[i], 1);
        }
}

static bool expand(struct variables *v, struct str text, bool pattern, bool argument, struct buf *out,
                   struct buf *why)
{
        for (size_t i = 0; i < text.n; i++) {
                size_t colon, end;
                struct str name, *value;

                if (!argument && text.p[i] == '\\' && i + 1 < text.n && text.p[i + 1] == '{') {
                        buf_puts(out, S("{"));
                        i++;
                        continue;
                }
                if (argument && text.p[i] == '\\' && i + 1 < text.n) {
                        buf_put(out, &text.p[i++], 2);
                        continue;
                }
                end = text.p[i] == '{' ? closing(text, i, &colon) : STR_NONE;
                if (end == STR_NONE) {
                        buf_put(out, &text.p[i], 1);
                        continue;
                }
                name = str_sub(text, i + 1, colon - i - 1);
                if (colon == end) {
                        value = variable(v, name);
                        if (!value) {
                                buf_printf(why, "{" PRS "} was never set", STR(name));
                                return false;
                        }
                        if (argument)
                                put_argument(*value, out);
                        else
                                put_value(*value, pattern, out);
                } else {
                        auto_buf struct buf inner, result;

                        buf_init(&inner, 1 << 20);
                        buf_init(&result, 2 << 20);
                        if (!expand(v, str_sub(text, colon + 1, end - colon - 1), false, true, &inner, why) ||
                            !call(name, buf_str(&inner), &result, why))
                                return false;
                        put_value(buf_str(&result), pattern, out);
                }
                i = end;
        }
        return true;
}

bool words_expand(struct variables *v, struct str text, bool pattern, struct buf *out, struct buf *why)
{
        return expand(v, text, pattern, false, out, why);
}

/* The first {name} that has no value yet. */
static bool find_capture(struct variables *v, struct str text, size_t *start, size_t *end)
{
        for (size_t i = 0; i < text.n; i++) {
                size_t colon;

                if (text.p[i] == '\\' && i + 1 < text.n && text.p[i + 1] == '{') { /* as expand has it */
                        i++;
                        continue;
                }
                if (text.p[i] != '{')
                        continue;
                *start = i;
                *end = closing(text, i, &colon);
                if (*end == STR_NONE)
                        continue;
                if (*end == colon && !variable(v, str_sub(text, i + 1, colon - i - 1)))
                        return true;
                i = *end;
        }
        return false;
}

bool words_match(struct variables *v, struct str pattern, struct str line, bool *matches, struct buf *why)
{
        auto_buf struct buf before, after;
        size_t start, end;

        buf_init(&before, 1 << 20);
        buf_init(&after, 1 << 20);
        *matches = false;
        if (!find_capture(v, pattern, &start, &end)) {
                if (!words_expand(v, pattern, true, &before, why))
                        return false;
                *matches = transcript_matches(buf_str(&before), line);
                return true;
        }
        if (!words_expand(v, str_sub(pattern, 0, start), true, &before, why) ||
            !words_expand(v, str_from_at(pattern, end + 1), true, &after, why))
                return false;
        for (size_t from = 0; from <= line.n && !*matches; from++) {
                if (!transcript_matches(buf_str(&before), str_sub(line, 0, from)))
                        continue;
                for (size_t to = from; to <= line.n && !*matches; to++) {
                        if (!transcript_matches(buf_str(&after), str_from_at(line, to)))
                                continue;
                        *matches = variable_set(v, str_sub(pattern, start + 1, end - start - 1),
                                                str_sub(line, from, to - from));
                        if (!*matches) {
                                buf_puts(why, S("too many variables"));
                                return false;
                        }
                }
        }
        return true;
}

/* --- directives ---------------------------------------------------------------------------------------------- */

/* Where the quoted text that begins at text.p[0] ends: the place of its second quote. */
static size_t quote_end(struct str text)
{
        for (size_t i = 1; i < text.n; i++) {
                if (text.p[i] == '\\')
                        i++;
                else if (text.p[i] == '"')
                        return i;
        }
        return STR_NONE;
}

bool words_split(struct str text, struct arena *a, struct str *words, size_t *n, struct buf *why)
{
        *n = 0;
        for (text = str_trim(text); text.n; text = str_trim(text)) {
                struct str word;

                if (*n == WORDS_MOST) {
                        buf_puts(why, S("too many words"));
                        return false;
                }
                if (text.p[0] == '"') {
                        auto_buf struct buf plain;
                        size_t end = quote_end(text);

                        buf_init(&plain, 1 << 20);
                        if (end == STR_NONE) {
                                buf_puts(why, S("a quote is not closed"));
                                return false;
                        }
                        if (!words_unescape(str_sub(text, 1, end - 1), &plain, why))
                                return false;
                        word = buf_str(&plain);
                        words[(*n)++] = arena_str(a, word);
                        text = str_from_at(text, end + 1);
                        continue;
                }
                str_cut(&text, ' ', &word);
                words[(*n)++] = arena_str(a, word);
        }
        return true;
}
