/* The line of pail send, as programs have written it since 1983: letters behind one dash, values in the same word or the next. */
#include "cli/send.h"
#include <errno.h>

/* What follows the letter in its word, or the next word. */
static bool value_of(struct send_line *l, struct str *word, struct str *value)
{
        *value = *word;
        *word = S("");
        if (value->n)
                return true;
        if (l->at == l->n)
                return false;
        *value = l->words[l->at++];
        return true;
}

static int set_value(struct sending *s, struct send_line *l, char letter, struct str value)
{
        switch (letter) {
        case 'f':
        case 'r': l->sender = value; break;
        case 'F': s->full_name = arena_str(&s->tool.arena, value).p; break;
        case 'N': s->notify = value; break;
        case 'V': s->envid = value; break;
        case 'R': s->ret = value; break;
        case 'b':
                l->bp = str_eq(value, S("p"));
                l->bs = str_eq(value, S("s"));
                if (!l->bp && !l->bs && !str_eq(value, S("m")))
                        return tool_fail(&s->tool, -EINVAL, value, "of -b there are m, p and s");
                break;
        case 'o':
                if (str_eq(value, S("i")))
                        s->dots_stay = true;
                break;
        default: break; /* B, h, C, L, p, X, O, d: of no meaning here */
        }
        return 0;
}

/* One word of letters: "-t", "-oi", "-fjack@town.com", "-ti". */
static int take_letters(struct sending *s, struct send_line *l, struct str word)
{
        struct str value, letter;
        int rc = 0;

        while (word.n && rc == 0) {
                letter = str_sub(word, 0, 1);
                word = str_from_at(word, 1);
                switch (letter.p[0]) {
                case 't': s->by_header = true; break;
                case 'i': s->dots_stay = true; break;
                case 'v': s->verbose = true; break;
                case 'n':
                case 'm':
                case 'U':
                case 'G':
                case 's':
                case 'e': break; /* -em, -eq and the like: the e's letter follows */
                case 'q':        /* -q30m: every half hour is what a server does anyway */
                        l->run_queue = true;
                        word = S("");
                        break;
                case 'd': word = S(""); break;
                default:
                        if (str_find(S("frFNVRboBhCLpXOA"), letter.p[0]) == STR_NONE)
                                return tool_fail(&s->tool, -EINVAL, letter, "no such option");
                        if (!value_of(l, &word, &value))
                                return tool_fail(&s->tool, -EINVAL, letter, "a value is missing");
                        rc = set_value(s, l, letter.p[0], value);
                        break;
                }
                if (letter.p[0] == 'e')
                        word = S("");
        }
        return rc;
}

int send_line(struct sending *s, struct send_line *l)
{
        size_t kept = 0;
        int rc = 0;

        while (l->at < l->n && rc == 0) {
                struct str word = l->words[l->at++];

                if (word.n > 1 && word.p[0] == '-')
                        rc = take_letters(s, l, str_from_at(word, 1));
                else
                        l->words[kept++] = word;
        }
        l->n = kept;
        return rc;
}
