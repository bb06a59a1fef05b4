#include "mail/thread.h"
#include "mail/header.h"

/* The base subject, RFC 5256 §2.1. Steps as numbered there. */

/* 1: UTF-8, runs of white space as one space. */
static struct str one_spaced(struct arena *m, struct str s)
{
        char *to = arena_alloc(m, s.n + 1);
        size_t n = 0;

        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] != ' ' || (n && to[n - 1] != ' '))
                        to[n++] = s.p[i];
        return str_from(to, n);
}

/* 2: subj-trailer = "(fwd)" / WSP, as often as it stands there. */
static struct str cut_trailers(struct str s, bool *reply)
{
        for (;;) {
                if (s.n && s.p[s.n - 1] == ' ') {
                        s.n--;
                } else if (s.n >= 5 && str_ieq(str_from_at(s, s.n - 5), S("(fwd)"))) {
                        s.n -= 5;
                        *reply = true;
                } else {
                        return s;
                }
        }
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP; gives what is after it, or s. */
static struct str after_blob(struct str s)
{
        size_t n = 1;

        if (!s.n || s.p[0] != '[')
                return s;
        while (n < s.n && s.p[n] != '[' && s.p[n] != ']')
                n++;
        if (n == s.n || s.p[n] != ']')
                return s;
        for (n++; n < s.n && s.p[n] == ' '; n++)
                ;
        return str_from_at(s, n);
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static bool after_refwd(struct str s, struct str *after)
{
        struct str rest;

        if (str_istarts(s, S("fwd")))
                rest = str_from_at(s, 3);
        else if (str_istarts(s, S("re")) || str_istarts(s, S("fw")))
                rest = str_from_at(s, 2);
        else
                return false;
        rest = after_blob(str_trim(rest));
        if (!rest.n || rest.p[0] != ':')
                return false;
        *after = str_from_at(rest, 1);
        return true;
}

/* 3 to 5: subj-leader = (*subj-blob subj-refwd) / WSP; then a blob alone, if something remains without it. The blobs
 * are passed over once: where no "Re:" follows the last of them, none follows any. */
static struct str cut_leaders(struct str s, bool *reply)
{
        for (;;) {
                struct str rest, next, last, start = s;

                while (s.n && s.p[0] == ' ')
                        s = str_from_at(s, 1);
                last = rest = s;
                for (next = after_blob(rest); next.n != rest.n; next = after_blob(rest)) {
                        last = rest;
                        rest = next;
                }
                if (after_refwd(rest, &next)) {
                        *reply = true;
                        s = next;
                } else {
                        s = rest.n ? rest : last;
                }
                if (s.n == start.n)
                        return s;
        }
}

struct str base_subject(struct arena *m, struct str raw, bool *reply)
{
        struct str s = one_spaced(m, word_decode(m, raw));

        *reply = false;
        for (;;) {
                s = cut_leaders(cut_trailers(s, reply), reply);
                /* 6: "[fwd:" ... "]" */
                if (s.n < 6 || !str_istarts(s, S("[fwd:")) || s.p[s.n - 1] != ']')
                        return s;
                s = str_sub(s, 5, s.n - 6);
                *reply = true;
        }
}
