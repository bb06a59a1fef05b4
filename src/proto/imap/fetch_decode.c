#include "mail/text.h"
#include "proto/imap/fetch.h"

/* A transfer encoding undone piece by piece: a piece is cut where the decoder of whole texts may begin anew, and
 * what is left waits for the next. Base64: after four letters or padding. Quoted-printable: after a line end, or in an endless line
 * after something that neither an "=" nor a blank at the line's end concerns. */

void fetch_decoder_init(struct fetch_decoder *d, struct str encoding)
{
        *d = (struct fetch_decoder){ .encoding = encoding };
        buf_init(&d->raw, 2 * FETCH_PIECE);
        buf_init(&d->plain, 2 * FETCH_PIECE);
}

void fetch_decoder_finish(struct fetch_decoder *d)
{
        buf_free(&d->raw);
        buf_free(&d->plain);
}

enum { OTHER, LETTER, BLANK, PAD };
static const uint8_t base64_kinds[256] = {
        ['A' ... 'Z'] = LETTER, ['a' ... 'z'] = LETTER,
        ['0' ... '9'] = LETTER, ['+'] = LETTER,
        ['/'] = LETTER,         [' '] = BLANK,
        ['\t'] = BLANK,         ['\r'] = BLANK,
        ['\n'] = BLANK,         ['='] = PAD,
};

/* Whether it is broken beyond reading is said by the whole (text_decode): so letters, and what is none, are counted. */
static size_t base64_cut(struct fetch_decoder *d, struct str s, bool last)
{
        size_t cut = 0, n = 0;
        uint64_t good = 0, other = 0;

        for (size_t i = 0; i < s.n; i++) {
                unsigned kind = base64_kinds[(unsigned char)s.p[i]];

                good += kind == LETTER;
                n += kind == LETTER;
                other += kind == OTHER;
                if (kind != PAD && n < 4)
                        continue;
                cut = i + 1;
                n = 0;
                d->good += good;
                d->other += other;
                good = other = 0;
        }
        d->good += last ? good : 0;
        d->other += last ? other : 0;
        return cut;
}

static size_t quoted_cut(struct str s)
{
        size_t lf = str_rfind(s, '\n');

        if (lf != STR_NONE)
                return lf + 1;
        for (size_t i = s.n; i > 2; i--)
                if (!strchr(" \t\r=", s.p[i - 1]) && s.p[i - 2] != '=' && s.p[i - 3] != '=')
                        return i;
        return 0;
}

struct str fetch_decode(struct fetch_decoder *d, struct str raw, bool last)
{
        bool base64 = str_eq(d->encoding, S("base64"));
        size_t cut;

        buf_clear(&d->plain);
        if (!base64 && !str_eq(d->encoding, S("quoted-printable"))) { /* as it is, or nothing that is known */
                d->bad = d->bad || !text_decode(&d->plain, d->encoding, raw);
                return d->bad ? S("") : buf_str(&d->plain);
        }
        buf_puts(&d->raw, raw);
        cut = base64 ? base64_cut(d, buf_str(&d->raw), last) : quoted_cut(buf_str(&d->raw));
        if (last)
                cut = d->raw.n;
        if (!text_decode(&d->plain, d->encoding, str_sub(buf_str(&d->raw), 0, cut)) && !base64)
                d->bad = true;
        d->bad = d->bad || d->raw.full || d->plain.full || (last && d->other > d->good / 8 + 2);
        buf_drop(&d->raw, cut);
        return d->bad ? S("") : buf_str(&d->plain);
}
