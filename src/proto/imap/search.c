#include "proto/imap/search.h"

/* SEARCH -- RFC 9051 §6.4.4, RFC 3501 §6.4.4 */

/* partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number -- RFC 9394 §4 */
static void partial(struct scan *a, struct search_return *out)
{
        int64_t x, y;

        imap_sp(a);
        out->partial = true;
        out->backwards = scan_try(a, '-');
        out->asked_from = imap_nz_number(a);
        scan_char(a, ':');
        if (out->backwards)
                scan_char(a, '-');
        out->asked_until = imap_nz_number(a);
        x = out->backwards ? -(int64_t)out->asked_from : out->asked_from;
        y = out->backwards ? -(int64_t)out->asked_until : out->asked_until;
        out->from = x < y ? x : y;
        out->until = x < y ? y : x;
}

static bool extended(const struct session *s, enum imap_capability c)
{
        return c == CAP_ESEARCH || c == CAP_SEARCHRES ? imap_can_rev2(s, c) : imap_can(s, c);
}

/* search-return-opt */
static void option(struct session *s, struct scan *a, struct search_return *out)
{
        static const struct {
                struct str word;
                size_t at;
                enum imap_capability needs;
        } options[] = {
                { S("MIN"), offsetof(struct search_return, min), CAP_ESEARCH },
                { S("MAX"), offsetof(struct search_return, max), CAP_ESEARCH },
                { S("ALL"), offsetof(struct search_return, all), CAP_ESEARCH },
                { S("COUNT"), offsetof(struct search_return, count), CAP_ESEARCH },
                { S("SAVE"), offsetof(struct search_return, save), CAP_SEARCHRES },
                { S("RELEVANCY"), offsetof(struct search_return, relevancy), CAP_SEARCH_FUZZY },
                { S("UPDATE"), offsetof(struct search_return, update), CAP_CONTEXT_SEARCH },
                { S("CONTEXT"), offsetof(struct search_return, context), CAP_CONTEXT_SEARCH },
        };
        struct str word = imap_atom(a);

        if (str_ieq(word, S("PARTIAL")) && (imap_can(s, CAP_PARTIAL) || imap_can(s, CAP_CONTEXT_SEARCH))) {
                if (out->partial)
                        scan_fail(a, "PARTIAL may stand there once");
                partial(a, out);
                return;
        }
        for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
                if (str_ieq(word, options[i].word) && extended(s, options[i].needs)) {
                        *(bool *)((char *)out + options[i].at) = true;
                        return;
                }
        scan_fail(a, "there is no such return option");
}

/* search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" */
void search_return(struct session *s, struct scan *a, struct search_return *out)
{
        *out = (struct search_return){ 0 };
        if (!scan_try_word(a, S("RETURN ")))
                return;
        if (!imap_can_rev2(s, CAP_ESEARCH))
                scan_fail(a, "there are no return options");
        out->given = true;
        scan_char(a, '(');
        while (!a->bad && scan_peek(a) != ')') {
                option(s, a, out);
                scan_spaces(a);
        }
        scan_char(a, ')');
        imap_sp(a);
        if (out->all && out->partial)
                scan_fail(a, "ALL and PARTIAL exclude each other");
        /* "()" is "(ALL)"; an option that says nothing about results does not ask for them (RFC 5182 §2.1, RFC 5267 §4.3) */
        if (!(out->min || out->max || out->count || out->partial || out->save || out->relevancy ||
              out->update))
                out->all = true;
}

/* RFC 5182 §2.1: after NO there is nothing in $. */
int search_failed(struct session *s, const struct search_return *r, int error)
{
        if (r->save)
                uid_list_free(&imap_of(s)->selected.saved);
        return imap_trouble(s, error);
}

/* What return options ask for may not fit the keys. */
bool search_options_allowed(struct session *s, const struct search_return *r, const struct search_program *p,
                            int *rc)
{
        if (!search_allowed(s, p, rc)) {
                if (r->save && p->unknown)
                        uid_list_free(&imap_of(s)->selected.saved);
                return false;
        }
        if (r->relevancy && !p->fuzzy) {
                *rc = imap_bad(s, "RELEVANCY wants a FUZZY key");
                return false;
        }
        if (r->update && context_exists(s, imap_of(s)->tag)) {
                *rc = imap_bad(s, "a search that is kept up has that tag");
                return false;
        }
        return true;
}

int imap_search(struct session *s, struct scan *a)
{
        struct imap *p = imap_of(s);
        struct search_return r;
        struct search_program program;
        struct search_found found;
        struct search_scope scope;
        struct access x;
        int rc, error;

        search_return(s, a, &r);
        if (!r.given && p->enabled & ENABLED_REV2) /* RFC 9051 §6.4.4: rev2 has no untagged SEARCH any more */
                r.given = r.all = true;
        search_program(s, a, &program);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (!search_options_allowed(s, &r, &program, &rc))
                return rc;
        if (program.modseq)
                imap_use_condstore(s);
        if (!imap_selected_open(s, RIGHT_READ, &x, &rc))
                return rc;
        search_scope(&scope, s, &x);
        error = search_run(&scope, program.root, &found);
        if (!error) {
                struct search_reply reply = {
                        .verb = "SEARCH", .ret = &r, .uid = p->uid, .modseq = program.modseq
                };

                error = search_reply(&scope, &reply, &found);
        }
        if (!error && r.save)
                search_save(s, &r, &found);
        if (!error && r.update)
                context_start(s, &program, &scope, &found);
        rc = error ? search_failed(s, &r, error) : search_done(s, &scope, &found, "that is what was found");
        search_found_free(&found);
        access_close(&x);
        return rc;
}
