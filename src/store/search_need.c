#include "base/mem.h"
#include "store/search_inside.h"

enum { CHARACTERS_MAX = 64, EDITS_FROM = 5 /* characters */, PREFIX_CLOSE = 80, EDIT_CLOSE = 60 };

static void piece(struct need *need, bool begins, struct str s, bool ends)
{
        size_t at = need->room.n;

        if (need->n == NEED_PIECES)
                return;
        if (begins)
                buf_puts(&need->room, S("\n"));
        buf_puts(&need->room, s);
        if (ends)
                buf_puts(&need->room, S("\n"));
        need->pieces[need->n++] = str_sub(buf_str(&need->room), at, need->room.n - at);
}

/* Of a script with spaces. begins, ends: a word must, there. A long one is sought in parts that surely lie whole somewhere. */
static void plain(struct need *need, bool begins, struct str s, bool ends)
{
        size_t n;

        if (s.n <= WORD_MAX && begins && ends) {
                piece(need, true, s, true);
                return;
        }
        for (bool first = true; s.n; s = str_from_at(s, n), first = false) {
                n = s.n < WORD_SURE ? s.n : WORD_SURE;
                piece(need, begins && first, str_sub(s, 0, n), ends && n == s.n);
        }
}

/* Every two characters side by side are a word. One alone is part of some word, wherever it stands. */
static void dense(struct need *need, struct str s)
{
        size_t one = words_character(s), two;

        if (one == s.n)
                piece(need, false, s, false);
        for (; one < s.n; s = str_from_at(s, one), one = two) {
                two = words_character(str_from_at(s, one));
                piece(need, true, str_sub(s, 0, one + two), true);
        }
}

static void cut(struct need *need)
{
        struct str s = buf_str(&need->text), rest;
        size_t at = 0;

        while (at < s.n) {
                bool is_dense;
                size_t end = str_find(str_from_at(s, at), ' ');

                if (end == 0) {
                        at++;
                        continue;
                }
                end = end == STR_NONE ? s.n : at + end;
                while (at < end) {
                        rest = str_sub(s, at, end - at);
                        rest.n = words_segment(rest, &is_dense);
                        if (is_dense)
                                dense(need, rest);
                        else
                                plain(need, at > 0, rest, at + rest.n < s.n);
                        at += rest.n;
                }
        }
        need->exact = need->n == 1 && str_search(need->pieces[0], s) != STR_NONE; /* no space at an end */
}

/* For whole values: parts that surely lie whole in one piece of them. */
static void cut_whole(struct need *need)
{
        struct str s = buf_str(&need->text);

        need->exact = s.n <= WORD_SURE;
        for (; s.n; s = str_from_at(s, WORD_SURE))
                piece(need, false, str_sub(s, 0, WORD_SURE), false);
}

/* Signs around a word do not count in a fuzzy search. */
static struct str core(struct str s)
{
        static const char signs[] = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

        while (s.n && s.p[0] && str_find(str_of(signs), s.p[0]) != STR_NONE)
                s = str_from_at(s, 1);
        while (s.n && str_find(str_of(signs), s.p[s.n - 1]) != STR_NONE)
                s.n--;
        return s;
}

static void fuzzy_word(void *context, struct str s)
{
        struct need *need = context;

        s = core(s);
        if (s.n)
                piece(need, false, s, false);
}

void need_make(struct need *need, const struct search_needle *needle)
{
        static const char *const names[] = { [SEARCH_SUBJECT] = "subject",
                                             [SEARCH_FROM] = "from",
                                             [SEARCH_TO] = "to",
                                             [SEARCH_CC] = "cc",
                                             [SEARCH_BCC] = "bcc" };

        *need = (struct need){ .field = needle->field, .fuzzy = needle->fuzzy };
        buf_init(&need->text, needle->text.n * 12 + 64);
        text_fold(&need->text, needle->text);
        buf_init(&need->room, need->text.n * 3 + 64 + needle->name.n);
        if (buf_room(&need->room, need->text.n * 3 + 64 + needle->name.n) == NULL)
                mem_die("a needle's room");
        if (needle->field == SEARCH_HEADER) {
                for (size_t i = 0; i < needle->name.n; i++)
                        buf_u8(&need->room, (uint8_t)chr_lower(needle->name.p[i]));
                need->name = buf_str(&need->room);
        } else if (needle->field < SEARCH_HEADER) {
                need->name = str_of(names[needle->field]);
        }
        if (need->fuzzy)
                words_take(buf_str(&need->text), true, fuzzy_word, need);
        else if (need->field <= SEARCH_HEADER && words_whole(need->name))
                cut_whole(need);
        else
                cut(need);
        need->any = !need->text.n || (need->fuzzy && !need->n);
}

void need_free(struct need *need)
{
        buf_free(&need->text);
        buf_free(&need->room);
}

static size_t characters(struct str s, uint32_t to[static CHARACTERS_MAX])
{
        size_t n = 0;

        while (s.n && n < CHARACTERS_MAX) {
                size_t bytes = words_character(s);
                uint32_t c = 0;

                for (size_t i = 0; i < bytes; i++)
                        c = c << 8 | (unsigned char)s.p[i];
                to[n++] = c;
                s = str_from_at(s, bytes);
        }
        return n;
}

/* One character too many, too few, wrong, or two the wrong way round. */
static bool one_edit(const uint32_t *a, size_t an, const uint32_t *b, size_t bn)
{
        size_t same = 0, tail = 0;

        while (same < an && same < bn && a[same] == b[same])
                same++;
        while (tail < an - same && tail < bn - same && a[an - 1 - tail] == b[bn - 1 - tail])
                tail++;
        an -= same + tail;
        bn -= same + tail;
        if (an <= 1 && bn <= 1)
                return true;
        return an == 2 && bn == 2 && a[same] == b[same + 1] && a[same + 1] == b[same];
}

unsigned need_close(struct str wanted, struct str word)
{
        uint32_t a[CHARACTERS_MAX], b[CHARACTERS_MAX];
        size_t an, bn;

        word = core(word);
        if (str_eq(wanted, word))
                return 100;
        if (str_starts(word, wanted))
                return PREFIX_CLOSE;
        if (wanted.n < EDITS_FROM || word.n + 4 < wanted.n || wanted.n + 4 < word.n)
                return 0;
        an = characters(wanted, a);
        if (an < EDITS_FROM || an == CHARACTERS_MAX)
                return 0;
        bn = characters(word, b);
        return bn < CHARACTERS_MAX && one_edit(a, an, b, bn) ? EDIT_CLOSE : 0;
}

void look_init(struct look *l, const struct need *need)
{
        *l = (struct look){ .need = need };
        buf_init(&l->folded, SIZE_MAX / 4);
}

void look_free(struct look *l)
{
        buf_free(&l->folded);
}

static void fuzzy_look(void *context, struct str word)
{
        struct look *l = context;

        for (unsigned i = 0; i < l->need->n; i++)
                if (l->best[i] < 100) {
                        unsigned close = need_close(l->need->pieces[i], word);

                        if (close > l->best[i])
                                l->best[i] = (uint8_t)close;
                }
}

/* Enough is left of the folded text for a needle that goes on in the next piece, and for folding to see a last space. */
static void look_folded(struct look *l, bool last)
{
        size_t n = l->need->text.n, taken;

        if (!l->need->fuzzy && !last && l->folded.n < 2 * n)
                return; /* a long needle is not looked for again and again in the same text */
        if (l->need->fuzzy) {
                taken = words_take(buf_str(&l->folded), last, fuzzy_look, l);
                if (!last && taken && taken == l->folded.n)
                        taken--;
                buf_drop(&l->folded, taken);
        } else if (n && str_search(buf_str(&l->folded), buf_str(&l->need->text)) != STR_NONE) {
                l->found = true;
        } else if (l->folded.n > n) {
                buf_drop(&l->folded, l->folded.n - n);
        }
        if (last)
                buf_clear(&l->folded);
}

static bool look_piece(void *context, struct str utf8)
{
        struct look *l = context;

        text_fold(&l->folded, utf8);
        look_folded(l, false);
        return !l->found;
}

static bool look_field(void *context, struct str name, struct str value)
{
        struct look *l = context;

        if (l->need->field == SEARCH_TEXT) {
                if (name.n) {
                        text_fold(&l->folded, name);
                        text_fold(&l->folded, S(": "));
                }
                text_fold(&l->folded, value);
                return look_piece(l, S("\n"));
        }
        if (!name.n || !str_ieq(name, l->need->name))
                return true;
        if (l->need->any)
                l->found = true;
        text_fold(&l->folded, value);
        look_folded(l, true);
        return !l->found;
}

static bool fuzzy_found(struct look *l)
{
        unsigned sum = 0;

        for (unsigned i = 0; i < l->need->n; i++) {
                if (!l->best[i])
                        return false;
                sum += l->best[i];
        }
        l->score = (uint8_t)(l->need->n ? sum / l->need->n : 100);
        return true;
}

bool look_letter(struct look *l, const struct mime *m, struct str letter)
{
        enum search_field field = l->need->field;

        l->found = false;
        l->score = 100;
        buf_clear(&l->folded);
        for (unsigned i = 0; i < NEED_PIECES; i++)
                l->best[i] = 0;
        if (l->need->any && field > SEARCH_HEADER)
                return true;
        if (field != SEARCH_BODY)
                text_fields(m, letter, look_field, l);
        look_folded(l, true);
        if (!l->found && field > SEARCH_HEADER) {
                text_of_body(m, letter, look_piece, l);
                look_folded(l, true);
        }
        return l->need->fuzzy && !l->need->any ? fuzzy_found(l) : l->found;
}
