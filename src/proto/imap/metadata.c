/* Annotations: RFC 5464. Of a mailbox, or with the name "" of the server: there /private is the account's own, and /shared tells
 * whom to write to. */
#include "proto/imap/metadata.h"

#include <errno.h>

enum { VALUE_MOST = 64 * 1024 };

bool metadata_visible(unsigned rights)
{
        return rights & RIGHT_LOOKUP &&
               rights & (RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_POST);
}

struct metadata_query metadata_query(void)
{
        return (struct metadata_query){ .max_size = UINT64_MAX };
}

static void depth(struct scan *a, struct metadata_query *q)
{
        if (scan_try_word(a, S("infinity")))
                q->depth = METADATA_ALL_BELOW;
        else
                q->depth = (unsigned)scan_number(a, 1);
}

bool metadata_options(struct session *s, struct scan *a, struct metadata_query *q)
{
        struct scan ahead = *a;

        (void)s;
        if (!scan_try(&ahead, '(') ||
            (!scan_try_word(&ahead, S("MAXSIZE ")) && !scan_try_word(&ahead, S("DEPTH "))))
                return false;
        scan_char(a, '(');
        do {
                if (scan_try_word(a, S("MAXSIZE ")))
                        q->max_size = imap_number64(a);
                else if (scan_try_word(a, S("DEPTH ")))
                        depth(a, q);
                else
                        scan_fail(a, "the options are MAXSIZE and DEPTH");
        } while (!a->bad && scan_try(a, ' '));
        scan_char(a, ')');
        return true;
}

/* RFC 5464 §3.2, §5: begins with /private/ or /shared/, no '*', no '%', no "//", nothing that is not ASCII. */
static struct str entry_name(struct session *s, struct scan *a)
{
        struct str e = imap_astring(s, a);

        if (a->bad)
                return S("");
        if (!(str_istarts(e, S("/private")) || str_istarts(e, S("/shared"))) || e.p[e.n - 1] == '/' ||
            e.n > 1000 || str_search(e, S("//")) != STR_NONE || str_find(e, '*') != STR_NONE ||
            str_find(e, '%') != STR_NONE || str_has_control(e))
                scan_fail(a, "an entry's name begins with /private/ or /shared/");
        for (size_t i = 0; i < e.n; i++)
                if ((unsigned char)e.p[i] > 127)
                        scan_fail(a, "an entry's name is ASCII");
        return e;
}

static void add_entry(struct session *s, struct scan *a, struct metadata_query *q)
{
        struct str e = entry_name(s, a);

        if (!q->entries)
                q->entries = arena_array(&s->command, struct str, METADATA_ENTRIES_MOST);
        if (q->n == METADATA_ENTRIES_MOST)
                scan_fail(a, "[LIMIT] too many entries");
        else
                q->entries[q->n++] = e;
}

void metadata_entries(struct session *s, struct scan *a, struct metadata_query *q)
{
        bool many = scan_try(a, '(');

        do
                add_entry(s, a, q);
        while (!a->bad && scan_try(a, ' ')); /* without parentheses too: RFC 5464 §4.4.1 shows it */
        if (many)
                scan_char(a, ')');
}

/* A value may hold anything; with NUL it goes as literal8. */
static void put_value(struct buf *b, struct str v, unsigned mode)
{
        if (v.p && str_find(v, '\0') != STR_NONE)
                buf_puts(b, S("~"));
        put_nstring(b, v, mode);
}

/* Does the query's entry mean this one? */
static bool meant(const struct metadata_query *q, struct str asked, struct str entry)
{
        struct str rest = str_from_at(entry, asked.n + 1);

        if (!str_istarts(entry, asked))
                return false;
        if (entry.n == asked.n)
                return true;
        return entry.p[asked.n] == '/' && q->depth && (q->depth > 1 || str_find(rest, '/') == STR_NONE);
}

struct saying {
        struct buf *b;
        unsigned mode;
        const char *space;
};

static void say(struct saying *w, struct str entry, struct str value)
{
        buf_puts(w->b, str_of(w->space));
        put_astring(w->b, entry, w->mode);
        buf_puts(w->b, S(" "));
        put_value(w->b, value, w->mode);
        w->space = " ";
}

static bool say_stored(struct saying *w, struct metadata_query *q, struct str asked, struct annotation *list,
                       size_t n)
{
        bool any = false;

        for (size_t i = 0; i < n; i++) {
                if (!list[i].entry.n || !meant(q, asked, list[i].entry))
                        continue;
                any = true;
                if (list[i].value.n > q->max_size)
                        q->longest = list[i].value.n > q->longest ? list[i].value.n : q->longest;
                else
                        say(w, list[i].entry, list[i].value);
                list[i].entry = S(""); /* once is enough, however often it was asked for */
        }
        return any;
}

/* RFC 5464 §6.2.1.2: the server's administrator. */
static struct annotation administrator(struct session *s)
{
        size_t at = str_rfind(s->account, '@');
        struct str domain = at == STR_NONE ? str_of(s->host) : str_from_at(s->account, at + 1);

        return (struct annotation){ S("/shared/admin"),
                                    arena_printf(&s->command, "mailto:postmaster@" PRS, STR(domain)) };
}

int put_metadata(struct buf *b, struct session *s, struct account *acc, uint32_t reader, uint32_t mailbox,
                 struct str name, struct metadata_query *q)
{
        struct saying w = { b, imap_mode(s), "" };
        struct arena m auto_arena;
        struct annotation *list, admin = administrator(s);
        size_t n, from = b->n;
        int rc;

        arena_init(&m, 64 << 20); /* an account's annotations together are far less */
        rc = mailbox_annotations(acc, reader, mailbox, &m, &list, &n);
        if (rc)
                return rc;
        buf_puts(b, S("* METADATA "));
        put_mailbox(b, name, w.mode);
        buf_puts(b, S(" ("));
        for (size_t i = 0; i < q->n; i++) {
                bool any = say_stored(&w, q, q->entries[i], list, n);

                if (!name.n && say_stored(&w, q, q->entries[i], &admin, 1))
                        any = true;
                if (!any && !q->depth)
                        say(&w, q->entries[i], (struct str){ NULL, 0 });
        }
        buf_puts(b, S(")\r\n"));
        if (!*w.space)
                b->n = from; /* nothing at all: no answer either */
        return b->full ? -ENOBUFS : 0;
}

/* The mailbox of a name, or with "" the account itself. */
static int open_one(struct session *s, struct str name, struct access *x)
{
        int rc;

        if (!name.n)
                return access_open_top(x, s->server->accounts, s->account, s->account, 0);
        rc = imap_open(s, name, 0, x);
        return rc || metadata_visible(x->rights) ? rc : -EACCES;
}

/* GETMETADATA -- RFC 5464 §4.2; the options before the name (§5) or behind it (the examples). */
int imap_getmetadata(struct session *s, struct scan *a)
{
        struct metadata_query q = metadata_query();
        struct buf b auto_buf;
        struct access x;
        struct str name;
        int rc;

        buf_init(&b, 140 * 1024 * 1024); /* a thousand values of 64 KB, twice */
        if (metadata_options(s, a, &q))
                imap_sp(a);
        name = imap_mailbox(s, a);
        imap_sp(a);
        if (metadata_options(s, a, &q))
                imap_sp(a);
        metadata_entries(s, a, &q);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        rc = open_one(s, name, &x);
        if (!rc)
                rc = put_metadata(&b, s, x.account, x.reader_number, x.mailbox, name, &q);
        access_close(&x);
        if (rc)
                return imap_trouble(s, rc);
        conn_put(s->conn, buf_str(&b));
        if (q.longest)
                return imap_ok(s, "[METADATA LONGENTRIES %llu] some are longer",
                               (unsigned long long)q.longest);
        return imap_ok(s, "those are the annotations");
}

static bool any_shared(const struct annotation *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (str_istarts(list[i].entry, S("/shared")))
                        return true;
        return false;
}

static int set(struct session *s, struct str name, const struct annotation *list, size_t n)
{
        struct access x;
        int rc = open_one(s, name, &x);

        /* the server's shared ones are the administrator's; those of a mailbox belong to who may write there */
        if (!rc && any_shared(list, n) && !(name.n && x.rights & RIGHT_WRITE))
                rc = -EACCES;
        if (!rc)
                rc = mailbox_annotate(x.account, x.reader_number, x.mailbox, list, n);
        access_close(&x);
        switch (-rc) {
        case 0: return imap_ok(s, "done");
        case EINVAL: return imap_no(s, "[CANNOT] no annotation can have that name");
        case E2BIG: return imap_no(s, "[METADATA MAXSIZE %d] the value is too long", VALUE_MOST);
        case ENOSPC: return imap_no(s, "[METADATA TOOMANY] there are too many annotations");
        default: return imap_trouble(s, rc);
        }
}

/* SETMETADATA -- RFC 5464 §4.3 */
int imap_setmetadata(struct session *s, struct scan *a)
{
        struct str name = imap_mailbox(s, a);
        struct annotation *list = arena_array(&s->command, struct annotation, METADATA_ENTRIES_MOST);
        size_t n = 0;

        imap_sp(a);
        scan_char(a, '(');
        do {
                if (n == METADATA_ENTRIES_MOST) {
                        scan_fail(a, "[LIMIT] too many entries");
                        break;
                }
                list[n].entry = entry_name(s, a);
                imap_sp(a);
                list[n].value = imap_nstring(s, a);
                n++;
        } while (!a->bad && scan_try(a, ' '));
        scan_char(a, ')');
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        return set(s, name, list, n);
}
