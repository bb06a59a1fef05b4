#include "proto/imap/append.h"
#include "base/mem.h"
#include "proto/imap/capability.h"

#include <errno.h>

bool append_trouble(struct append *p, int error)
{
        if (error == -ENOENT || error == -ESTALE) /* or it was removed meanwhile */
                p->rc = imap_no(p->session, "[TRYCREATE] there is no mailbox of that name");
        else
                p->rc = imap_trouble(p->session, error);
        return false;
}

bool append_begin(struct append *p, struct session *s, struct str name, uint64_t freed)
{
        int rc;

        *p = (struct append){
                .session = s, .name = name, .limit = (uint64_t)imap_append_limit(s), .freed = freed
        };
        if (s->server->status) {
                p->rc = imap_no(s, "[UNAVAILABLE] %s", s->server->status);
                return false;
        }
        rc = s->server->intake && !intake_has_room(s->server->intake) ? -ENOSPC : 0;
        if (!rc)
                rc = imap_open(s, name, RIGHT_INSERT, &p->held);
        if (!rc)
                rc = imap_room(s, p->held.account, p->held.owner, &p->room);
        if (rc) {
                append_release(p);
                return append_trouble(p, rc);
        }
        if (p->room < UINT64_MAX - freed)
                p->room += freed;
        return true;
}

struct session *append_refuses(struct append *p)
{
        while (p->n > p->first)
                stage_free(&p->letters[--p->n].stage);
        if (p->earlier)
                p->earlier(p);
        return p->session;
}

void append_release(struct append *p)
{
        access_close(&p->held);
}

void append_drop(struct append *p)
{
        append_release(p);
        for (size_t i = 0; i < p->n; i++)
                stage_free(&p->letters[i].stage);
        p->n = 0;
}

bool append_fits(struct append *p, const struct stage *to, uint64_t more)
{
        uint64_t have = stage_size(to);

        if (more > p->limit || have > p->limit - more) {
                p->rc = imap_no(append_refuses(p), "[TOOBIG] a letter may have %llu octets here",
                                (unsigned long long)p->limit);
                return false;
        }
        if (p->octets + have + more > APPEND_OCTETS) { /* URLs make much of little */
                p->rc = imap_no(append_refuses(p), "[LIMIT] more than one command may bring");
                return false;
        }
        if (p->room < UINT64_MAX && p->octets + have + more > p->room) {
                p->rc = imap_trouble(append_refuses(p), -EDQUOT);
                return false;
        }
        return true;
}

static struct append_letter *another(struct append *p)
{
        struct append_letter *grown;

        if (p->n == p->space) {
                p->space = p->space ? 2 * p->space : 4;
                grown = arena_array(&p->session->command, struct append_letter, p->space);
                mem_copy(grown, p->space * sizeof *grown, str_from(p->letters, p->n * sizeof *grown));
                p->letters = grown;
        }
        grown = &p->letters[p->n++];
        *grown = (struct append_letter){ .stage = stage_new(p->session->server->accounts),
                                         .received = wall_usec() };
        return grown;
}

/* append-data = literal / literal8 / "UTF8" SP "(" literal8 ")" / "CATENATE" SP "(" ... ")"
 * -- RFC 9051 §9, RFC 6855 §4, RFC 4469 §5. That 8-bit header fields come only as UTF8 (RFC 6855 §4) is not insisted on:
 * old letters have them, and whoever moves his mail here wants it as it is. */
static bool data(struct append *p, struct scan *a, struct stage *to)
{
        struct session *s = p->session;

        if (imap_can(s, CAP_CATENATE) && scan_try_word(a, S("CATENATE "))) {
                return append_catenate(p, a, to);
        } else if (imap_can(s, CAP_UTF8_ACCEPT) && scan_try_word(a, S("UTF8 ("))) {
                if (!(imap_of(s)->enabled & ENABLED_UTF8)) {
                        p->rc = imap_no(append_refuses(p), "[CANNOT] ENABLE UTF8=ACCEPT first");
                        return false;
                }
                if (!append_literal(p, a, to, true, true))
                        return false;
                scan_char(a, ')');
                return true;
        }
        return append_literal(p, a, to, false, true);
}

bool append_letter(struct append *p, struct scan *a)
{
        struct append_letter *l;
        struct filing whole;
        int rc;

        if (p->n - p->first == APPEND_LETTERS) {
                p->rc =
                    imap_no(append_refuses(p), "[LIMIT] %d letters at most in one command", APPEND_LETTERS);
                return false;
        }
        if (alter_most(p->session) > 0 && p->n - p->first == (unsigned long)alter_most(p->session)) {
                p->rc = imap_no(append_refuses(p), "[MESSAGELIMIT %ld] APPEND: too many at once",
                                alter_most(p->session));
                return false;
        }
        l = another(p);
        if (scan_peek(a) == '(') {
                imap_flag_list(p->session, a, &l->flags);
                imap_sp(a);
        }
        if (scan_peek(a) == '"') {
                l->received = imap_date_time(a);
                imap_sp(a);
        }
        if (!a->bad && !data(p, a, l->stage))
                return false;
        if (a->bad) {
                p->rc = imap_syntax(append_refuses(p), a);
                return false;
        }
        l = &p->letters[p->n - 1];           /* it may have moved */
        rc = stage_finish(l->stage, &whole); /* now, as its descriptor goes with that: hundreds may come */
        if (rc) {
                p->rc = imap_trouble(append_refuses(p), rc);
                return false;
        }
        p->octets += stage_size(l->stage);
        return true;
}

/* The flags as bits of the target's account; the letters as what the store takes. */
static int filings(struct append *p, size_t n, struct access *x, struct filing **out)
{
        struct session *s = p->session;
        struct filing *f = *out = arena_array(&s->command, struct filing, n);
        struct keyword_list *known = NULL;
        int rc = 0;

        for (size_t i = 0; i < n && !rc; i++) {
                f[i].received = p->letters[i].received;
                if (p->letters[i].flags.n && !known) {
                        known = arena_new(&s->command, struct keyword_list);
                        rc = change_keywords(x, &s->command, known);
                }
                if (!rc)
                        rc = alter_bits(s, x, known, &p->letters[i].flags, true, &f[i].flags);
                if (rc)
                        return rc == -ENOSPC ? -ENOBUFS : rc; /* no keyword left, rather than no disk */
                rc = stage_finish(p->letters[i].stage, &f[i]);
        }
        return rc;
}

int append_ready(struct append *p, size_t n, struct access *x, struct filing **letters, uint64_t *room)
{
        struct session *s = p->session;
        int rc = 0;

        *x = p->held;
        p->held = (struct access){ 0 };
        if (!x->account)
                rc = imap_open(s, p->name, RIGHT_INSERT, x);
        *room = UINT64_MAX;
        if (!rc)
                rc = filings(p, n, x, letters);
        if (!rc)
                rc = imap_room(s, x->account, x->owner, room);
        if (*room < UINT64_MAX - p->freed)
                *room += p->freed;
        if (!rc && !conn_ok(s->conn))
                rc = -ECANCELED;
        if (rc)
                access_close(x);
        return rc;
}
