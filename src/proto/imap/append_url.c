/* The octets of a letter, or of a part of it, that an IMAP URL names (RFC 5092 §9), for CATENATE (RFC 4469 §3):
 *
 *      /Drafts;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2/;PARTIAL=0.1024      ;UID=20 (in the selected mailbox)
 *
 * also with imap://user@host before it, if that is this server and who is signed in. */
#include "proto/imap/append.h"
#include "proto/imap/fetch.h"

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
                return p->selected.key.owner ? imap_open_again(s, &p->selected.key, RIGHT_READ, x) : -ENOENT;
        rc = imap_open(s, u->mailbox, RIGHT_READ, x);
        if (!rc && u->uidvalidity && u->uidvalidity != x->uidvalidity)
                rc = -ESTALE;
        return rc;
}

/* -ENOENT: no such letter */
static int find(struct access *x, uint32_t uid, struct placed *out)
{
        struct placed_list l = { 0 };
        int rc = change_list(x, &(struct uid_range){ uid, uid }, 1, 0, &l);

        if (!rc && !l.n)
                rc = -ENOENT;
        if (!rc)
                *out = l.list[0];
        placed_list_free(&l);
        return rc;
}

/* A literal cannot stand in a URL: the section's grammar would go on to read one from the connection. */
static bool section_of(struct session *s, struct str text, struct fetch_section *out)
{
        struct scan a = scan_of(text);

        if (str_find(text, '{') != STR_NONE)
                return false;
        fetch_section(s, &a, &s->command, out);
        return scan_done(&a);
}

/* Where it lies, before <partial>. -ENOENT: there is no such part. */
static int range_of(struct access *x, const struct placed *p, const struct fetch_section *section,
                    struct fetch_range *out)
{
        struct buf mime auto_buf, envelope auto_buf;
        int rc;

        *out = (struct fetch_range){ .n = p->size, .there = true };
        buf_init(&mime, MIME_PACKED_MAX);
        buf_init(&envelope, 1 << 20);
        if (!section->depth && section->text == TEXT_WHOLE)
                return 0;
        rc = letter_facts(x->account, p->letter, &mime, &envelope);
        if (rc)
                return rc;
        if (!fetch_locate(buf_str(&mime), section, out))
                return -EBADMSG;
        return out->there ? 0 : -ENOENT;
}

/* A range of the letter, in pieces, so that nothing holds all of it. */
static int copy_range(struct access *x, uint32_t letter, uint64_t from, uint64_t n, struct stage *to)
{
        struct buf piece auto_buf;
        int rc = 0;

        buf_init(&piece, FETCH_PIECE);
        while (n && !rc) {
                buf_clear(&piece);
                rc = letter_read(x->account, letter, from, n < FETCH_PIECE ? (size_t)n : FETCH_PIECE, &piece);
                if (!rc && !piece.n)
                        rc = -EBADMSG; /* shorter than its size */
                if (!rc)
                        rc = stage_put(to, buf_str(&piece));
                from += piece.n;
                n -= piece.n;
        }
        return rc;
}

static int copy_fields(struct access *x, uint32_t letter, const struct fetch_range *r,
                       const struct fetch_section *section, struct append *p, struct stage *to)
{
        struct buf header auto_buf, fields auto_buf;
        struct fetch_section partial = *section;
        uint64_t from = 0, n;
        int rc;

        buf_init(&header, FETCH_HEADER_MOST);
        buf_init(&fields, FETCH_HEADER_MOST);
        rc = letter_read(x->account, letter, r->from,
                         r->n < FETCH_HEADER_MOST ? (size_t)r->n : FETCH_HEADER_MOST, &header);
        if (rc)
                return rc;
        fetch_fields(&fields, buf_str(&header), section);
        n = fields.n;
        fetch_partial(&partial, &from, &n);
        if (!append_fits(p, to, n))
                return -EFBIG;
        return stage_put(to, str_sub(buf_str(&fields), (size_t)from, (size_t)n));
}

/* -EFBIG: it does not fit, and that has been said. */
static int take(struct append *p, struct access *x, const struct url *u, struct fetch_section *section,
                struct stage *to)
{
        struct fetch_range r;
        struct placed placed;
        int rc = find(x, u->uid, &placed);

        if (!rc)
                rc = range_of(x, &placed, section, &r);
        if (rc)
                return rc;
        section->partial = true;
        section->from = u->from;
        section->count = u->n;
        if (section->text == TEXT_FIELDS || section->text == TEXT_FIELDS_NOT)
                return copy_fields(x, placed.letter, &r, section, p, to);
        fetch_partial(section, &r.from, &r.n);
        if (!append_fits(p, to, r.n))
                return -EFBIG;
        return copy_range(x, placed.letter, r.from, r.n, to);
}

/* url-resp-text: no "]", no line ends (RFC 4469 §5) */
static bool bad_url(struct append *p, struct str url)
{
        char said[512];
        size_t n = 0;

        for (size_t i = 0; i < url.n && n < sizeof said; i++)
                said[n++] = (unsigned char)url.p[i] < 32 || strchr("\\]\x7f", url.p[i]) ? '?' : url.p[i];
        p->rc = imap_no(append_refuses(p), "[BADURL " PRS "] no letter here has that address",
                        STR(str_from(said, n)));
        return false;
}

bool append_url(struct append *p, struct str url, struct stage *to)
{
        struct session *s = p->session;
        struct fetch_section section = { 0 };
        struct access x;
        struct url u;
        int rc;

        if (!parse(s, url, &u) || !section_of(s, u.section, &section))
                return bad_url(p, url);
        if (p->earlier) /* it may be of a letter that they bring */
                p->earlier(p);
        append_release(p); /* one account open at a time */
        rc = open_mailbox(s, &u, &x);
        if (!rc)
                rc = take(p, &x, &u, &section, to);
        access_close(&x);
        if (rc == -ENOENT || rc == -ESTALE || rc == -EACCES || rc == -EINVAL)
                return bad_url(p, url);
        if (rc && rc != -EFBIG)
                p->rc = imap_trouble(append_refuses(p), rc);
        return !rc;
}
