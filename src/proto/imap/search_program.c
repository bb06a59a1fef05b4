#include "mail/header.h"
#include "proto/imap/search.h"
#include "proto/imap/selected.h"

/* A search as a command brings it, and its copy that outlives the command. */

static void charset(struct session *s, struct scan *a, struct search_program *out)
{
        struct str nothing;

        out->charset = imap_astring(s, a);
        if (!a->bad && !charset_decode(&s->command, out->charset, S(""), &nothing))
                out->unknown = true;
        imap_sp(a);
}

void search_program(struct session *s, struct scan *a, struct search_program *out)
{
        *out = (struct search_program){ 0 };
        if (scan_try_word(a, S("CHARSET "))) {
                /* RFC 6855 §3: after ENABLE UTF8=ACCEPT everything is UTF-8, and saying so again is an error */
                if (imap_of(s)->enabled & ENABLED_UTF8)
                        scan_fail(a, "no CHARSET after ENABLE UTF8=ACCEPT");
                charset(s, a, out);
        }
        search_keys(s, a, out);
}

void search_criteria(struct session *s, struct scan *a, struct search_program *out)
{
        *out = (struct search_program){ 0 };
        charset(s, a, out);
        search_keys(s, a, out);
}

/* RFC 9586: once UIDONLY is enabled there are no message numbers. */
bool search_allowed(struct session *s, const struct search_program *p, int *rc)
{
        if (p->unknown) {
                *rc = imap_no(s, "[BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-15 WINDOWS-1252 KOI8-R "
                                 "ISO-2022-JP SHIFT_JIS EUC-KR GB18030 BIG5)] there is no such charset here");
                return false;
        }
        if (p->numbers && imap_of(s)->enabled & ENABLED_UIDONLY) {
                *rc = imap_bad(s, "[UIDREQUIRED] message numbers are not allowed once UIDONLY is enabled");
                return false;
        }
        return true;
}

/* --- copies --- */

static bool copy_ranges(struct arena *m, struct search_key *to, const struct uid_list *l)
{
        if (l->n > 512)
                return false;
        to->what = KEY_UID;
        to->n = l->n;
        to->ranges = arena_array(m, struct uid_range, l->n ? l->n : 1);
        for (size_t i = 0; i < l->n; i++)
                to->ranges[i] = l->ranges[i];
        return true;
}

/* A set of numbers or uids as the uids it means now. */
static void uids_now(const struct seqmap *map, const struct search_key *k, struct uid_list *out)
{
        struct imap_set set = { k->ranges, k->n, false };
        struct uid_list seqs = { 0 };

        if (k->what == KEY_UID) {
                imap_set_list(&set, seqmap_last(map), out);
                return;
        }
        imap_set_list(&set, map->count, &seqs);
        for (size_t i = 0; i < seqs.n && seqs.ranges[i].first <= map->count; i++)
                seqmap_uids(map, seqs.ranges[i].first ? seqs.ranges[i].first : 1,
                            seqs.ranges[i].last < map->count ? seqs.ranges[i].last : map->count, out);
        uid_list_free(&seqs);
}

struct search_key *search_copy(struct arena *m, struct session *s, const struct search_key *k)
{
        struct search_key *to = arena_new(m, struct search_key), **at = &to->first;
        const struct imap_selected *sel = &imap_of(s)->selected;
        struct uid_list uids = { 0 };
        bool ok = true;

        *to = *k;
        to->first = to->next = NULL;
        to->name = arena_str(m, k->name);
        to->text = arena_str(m, k->text);
        if (k->what == KEY_SAVED) {
                ok = copy_ranges(m, to, &sel->saved);
        } else if (k->what == KEY_SEQUENCE || k->what == KEY_UID) {
                uids_now(&sel->map, k, &uids);
                ok = copy_ranges(m, to, &uids);
        }
        uid_list_free(&uids);
        for (const struct search_key *c = k->first; ok && c; c = c->next) {
                *at = search_copy(m, s, c);
                ok = *at != NULL;
                if (ok)
                        at = &(*at)->next;
        }
        return ok ? to : NULL;
}
