/* The octets of a letter, or of a part of it, that an IMAP URL names (RFC 5092 §9), for CATENATE (RFC 4469 §3):
 *
 *      /Drafts;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2/;PARTIAL=0.1024      ;UID=20 (in the selected mailbox)
 *
 * also with imap://user@host before it, if that is this server and who is signed in. */
#include "proto/imap/append.h"
#include "proto/imap/section.h"

#include <errno.h>

struct url {
        struct str mailbox; /* UTF-8; empty: the selected one */
        uint32_t uidvalidity, uid;
        struct str section;
        uint64_t from, n;
};

static int hex(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = chr_lower(c);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX (RFC 3986 §2.1); fails at what is none, and at NUL. */
static struct str plain(struct arena *m, struct str s, struct scan *a)
{
        char *out = arena_alloc(m, s.n + 1);
        size_t n = 0;

        for (size_t i = 0; i < s.n; i++) {
                int high = 0, low = 0;

                if (s.p[i] != '%') {
                        out[n++] = s.p[i];
                        continue;
                }
                high = i + 1 < s.n ? hex(s.p[i + 1]) : -1;
                low = i + 2 < s.n ? hex(s.p[i + 2]) : -1;
                if (high < 0 || low < 0 || !(high | low)) {
                        scan_fail(a, "a broken %XX");
                        return S("");
                }
                out[n++] = (char)(high << 4 | low);
                i += 2;
        }
        return str_from(out, n);
}

/* "imap://user;AUTH=x@host:143" before the path: ours, and the user's own. */
static bool is_here(struct session *s, struct str authority)
{
        struct scan broken = scan_of(S(""));
        size_t at = str_rfind(authority, '@');
        struct str host = at == STR_NONE ? authority : str_from_at(authority, at + 1), name;
        struct str user = at == STR_NONE ? S("") : str_sub(authority, 0, at);

        str_cut(&host, ':', &name);
        str_cut(&user, ';', &user);
        user = plain(&s->command, user, &broken);
        return !broken.bad && str_ieq(name, str_of(s->host)) && (!user.n || str_ieq(user, s->account));
}

static bool try_ahead(struct scan *a, struct str word)
{
        struct scan at = *a;

        if (!scan_try(&at, '/') || !scan_try_word(&at, word))
                return false;
        *a = at;
        return true;
}

/* The mailbox ends where "/;UID=" or ";UIDVALIDITY=" stands; its own '/' and ';' may be plain. */
static struct str mailbox(struct scan *a)
{
        size_t from = a->at;

        for (;;) {
                struct scan at = *a;

                if (scan_end(a)) {
                        scan_fail(a, "no UID");
                        return S("");
                }
                if (scan_try_word(&at, S("/;UID=")) || scan_try_word(&at, S(";UIDVALIDITY=")))
                        return str_sub(a->s, from, a->at - from);
                a->at++;
        }
}

/* imessagepart -- RFC 5092 §11 */
static bool parse(struct session *s, struct str text, struct url *u)
{
        struct scan a = scan_of(text);
        struct str raw;

        *u = (struct url){ .n = UINT64_MAX };
        if (scan_try_word(&a, S("imap://")) && !is_here(s, scan_until(&a, "/")))
                return false;
        if (scan_try_word(&a, S(";UID=")) || scan_try_word(&a, S("/;UID="))) {
                u->uid = imap_nz_number(&a);
        } else {
                scan_try(&a, '/');
                u->mailbox = plain(&s->command, mailbox(&a), &a);
                if (scan_try_word(&a, S(";UIDVALIDITY=")))
                        u->uidvalidity = imap_nz_number(&a);
                scan_word(&a, S("/;UID="));
                u->uid = imap_nz_number(&a);
        }
        if (try_ahead(&a, S(";SECTION="))) {
                raw = scan_until(&a, "/");
                u->section = plain(&s->command, raw, &a);
        }
        if (try_ahead(&a, S(";PARTIAL="))) {
                u->from = imap_number64(&a);
                if (scan_try(&a, '.'))
                        u->n = imap_number64(&a);
        }
        return scan_done(&a);
}

static int open_mailbox(struct session *s, const struct url *u, struct access *x)
{
        const struct imap *p = imap_of(s);
        int rc;

        *x = (struct access){ 0 };
        if (!u->mailbox.n)
                return p->selected.key.owner
                           ? access_again(x, s->server->accounts, s->account, &p->selected.key, RIGHT_READ)
                           : -ENOENT;
        rc = imap_open(s, u->mailbox, RIGHT_READ, x);
        if (!rc && u->uidvalidity && u->uidvalidity != x->uidvalidity)
                rc = -ESTALE;
        return rc;
}

static int find(struct access *x, uint32_t uid, uint32_t *letter)
{
        const struct uid_range one = { uid, uid };
        struct placed_list l = { 0 };
        int rc = change_list(x, &one, 1, 0, &l);

        if (!rc && !l.n)
                rc = -ENOENT;
        if (!rc)
                *letter = l.list[0].letter;
        placed_list_free(&l);
        return rc;
}
