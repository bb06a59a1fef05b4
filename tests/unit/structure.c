#include "structure.h"

struct reader {
        const char *p, *end;
        const char *wrong;
};

static void fail(struct reader *r, const char *why)
{
        if (!r->wrong)
                r->wrong = why;
        r->p = r->end;
}

static int peek(const struct reader *r)
{
        return r->p < r->end ? (unsigned char)*r->p : -1;
}

static void want(struct reader *r, char c)
{
        if (peek(r) != c)
                fail(r, c == ' ' ? "a space is missing" : c == '(' ? "( is missing" : ") is missing");
        else
                r->p++;
}

static uint64_t number(struct reader *r)
{
        uint64_t v = 0;

        if (peek(r) < '0' || peek(r) > '9')
                fail(r, "a number is missing");
        while (peek(r) >= '0' && peek(r) <= '9')
                v = v * 10 + (uint64_t)(*r->p++ - '0');
        return v;
}

static struct str quoted(struct reader *r)
{
        const char *from = ++r->p;

        for (; peek(r) != '"'; r->p++) {
                int c = peek(r);

                if (c < 1 || c == '\r' || c == '\n' || c > 127) {
                        fail(r, "a byte that cannot stand between quotes");
                        return S("");
                }
                if (c == '\\' && (++r->p == r->end || (*r->p != '"' && *r->p != '\\'))) {
                        fail(r, "a backslash before something else");
                        return S("");
                }
        }
        r->p++;
        return str_from(from, (size_t)(r->p - 1 - from));
}

static struct str string(struct reader *r)
{
        struct str v;
        uint64_t n;

        if (peek(r) == '"')
                return quoted(r);
        if (peek(r) != '{') {
                fail(r, "a string is missing");
                return S("");
        }
        r->p++;
        n = number(r);
        if (r->end - r->p < 3 || r->p[0] != '}' || r->p[1] != '\r' || r->p[2] != '\n' ||
            n > (uint64_t)(r->end - r->p - 3)) {
                fail(r, "a literal that is not whole");
                return S("");
        }
        v = str_from(r->p + 3, (size_t)n);
        r->p += 3 + n;
        if (memchr(v.p, 0, v.n))
                fail(r, "NUL in a literal");
        return v;
}

static bool nil(struct reader *r)
{
        if (r->end - r->p < 3 || memcmp(r->p, "NIL", 3) != 0)
                return false;
        r->p += 3;
        return true;
}

static void nstring(struct reader *r)
{
        if (!nil(r))
                string(r);
}

/* "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")" */
static void address(struct reader *r)
{
        want(r, '(');
        for (unsigned i = 0; i < 4; i++) {
                if (i)
                        want(r, ' ');
                nstring(r);
        }
        want(r, ')');
}

static void addresses(struct reader *r)
{
        if (nil(r))
                return;
        want(r, '(');
        do {
                address(r);
        } while (peek(r) == '(');
        want(r, ')');
}

static void envelope(struct reader *r)
{
        want(r, '(');
        for (unsigned i = 0; i < 10; i++) {
                if (i)
                        want(r, ' ');
                if (i < 2 || i > 7)
                        nstring(r);
                else
                        addresses(r);
        }
        want(r, ')');
}

static void params(struct reader *r)
{
        if (nil(r))
                return;
        want(r, '(');
        for (bool more = true; more; more = peek(r) == ' ' && r->p++) {
                string(r);
                want(r, ' ');
                string(r);
        }
        want(r, ')');
}

/* SP body-fld-dsp SP body-fld-lang SP body-fld-loc */
static void extension(struct reader *r)
{
        want(r, ' ');
        if (!nil(r)) {
                want(r, '(');
                string(r);
                want(r, ' ');
                params(r);
                want(r, ')');
        }
        want(r, ' ');
        if (peek(r) == '(') {
                r->p++;
                for (bool more = true; more; more = peek(r) == ' ' && r->p++)
                        string(r);
                want(r, ')');
        } else {
                nstring(r);
        }
        want(r, ' ');
        nstring(r);
}

static bool is(struct str v, struct str word)
{
        return str_ieq(v, word);
}

static void body(struct reader *r, bool extended);

static void multipart(struct reader *r, bool extended)
{
        do {
                body(r, extended);
        } while (peek(r) == '(');
        want(r, ' ');
        string(r);
        if (extended) {
                want(r, ' ');
                params(r);
                extension(r);
        }
}

static void body(struct reader *r, bool extended)
{
        struct str type, subtype;

        want(r, '(');
        if (peek(r) == '(') {
                multipart(r, extended);
                want(r, ')');
                return;
        }
        type = string(r);
        want(r, ' ');
        subtype = string(r);
        if (is(type, S("multipart")))
                fail(r, "a multipart without parts");
        want(r, ' ');
        params(r);
        for (unsigned i = 0; i < 2; i++) {
                want(r, ' ');
                nstring(r);
        }
        want(r, ' ');
        string(r);
        want(r, ' ');
        number(r);
        if (is(type, S("message")) && (is(subtype, S("rfc822")) || is(subtype, S("global")))) {
                want(r, ' ');
                envelope(r);
                want(r, ' ');
                body(r, extended);
        }
        if (is(type, S("text")) ||
            (is(type, S("message")) && (is(subtype, S("rfc822")) || is(subtype, S("global"))))) {
                want(r, ' ');
                number(r);
        }
        if (extended) {
                want(r, ' ');
                nstring(r);
                extension(r);
        }
        want(r, ')');
}

const char *structure_wrong(struct str text, bool extended)
{
        struct reader r = { text.p, text.p + text.n, NULL };

        body(&r, extended);
        return r.wrong ? r.wrong : r.p != r.end ? "something stands behind it" : NULL;
}

const char *envelope_wrong(struct str text)
{
        struct reader r = { text.p, text.p + text.n, NULL };

        envelope(&r);
        return r.wrong ? r.wrong : r.p != r.end ? "something stands behind it" : NULL;
}
