/* APPEND. Whoever sends many without waiting for the answers (LITERAL+, as mbsync does) gets them carried out together: as long as
 * the next one stands in the input already, and goes into the same mailbox, it joins those before it in one transaction
 * with one sync. None is answered before that. If they cannot be carried out together, each is by itself. */
#include "proto/imap/append.h"

enum {
        TOGETHER = 64,              /* commands */
        TOGETHER_LETTER = 64 << 10, /* octets of a letter that others wait for */
        TOGETHER_MEMORY = 1 << 20,  /* of the command's arena */
        PEEK = 1024,
};

struct batch {
        struct append append; /* first: earlier() is given it */
        struct {
                struct str tag;
                size_t first; /* letter */
        } commands[TOGETHER];
        size_t n;
};

static int answer(struct append *p, const struct access *x, const struct filing *letters, size_t n, int error)
{
        struct uid_list uids = { 0 };
        auto_buf struct buf code = { 0 };

        if (error) {
                append_trouble(p, error);
                return p->rc;
        }
        for (size_t i = 0; i < n; i++)
                uid_list_add(&uids, letters[i].uid, letters[i].uid);
        buf_init(&code, 1 << 20);
        if (x->rights & RIGHT_READ && imap_can_rev2(p->session, CAP_UIDPLUS))
                put_appenduid(&code, x->uidvalidity, &uids);
        uid_list_free(&uids);
        return alter_ok(p->session, buf_str(&code), "APPEND completed");
}

/* One of several that could not be carried out together. */
static int alone(struct session *s, struct access *x, struct filing *letters, size_t n)
{
        uint64_t room;
        int rc = imap_room(s, x->account, x->owner, &room);

        return rc ? rc : change_append(x, letters, n, room);
}

/* Those that were carried out go; what the command at hand has brought so far stays. */
static void drop_first(struct append *p)
{
        for (size_t i = 0; i < p->n; i++) {
                if (i < p->first)
                        stage_free(&p->letters[i].stage);
                else
                        p->letters[i - p->first] = p->letters[i];
        }
        p->n -= p->first;
        p->first = 0;
        p->octets = 0;
        for (size_t i = 0; i < p->n; i++)
                p->octets += stage_size(p->letters[i].stage);
}

/* All commands of the batch, whose letters are those before p->first. */
static int commit(struct batch *b)
{
        struct append *p = &b->append;
        struct imap *imap = imap_of(p->session);
        struct str tag = imap->tag;
        struct filing *letters;
        struct access x;
        uint64_t room;
        int rc = OK, ready, error;

        if (!b->n)
                return OK;
        ready = error = append_ready(p, p->first, &x, &letters, &room);
        if (!ready)
                error = change_append(&x, letters, p->first, room);
        for (size_t i = 0; i < b->n; i++) {
                size_t first = b->commands[i].first, end = i + 1 < b->n ? b->commands[i + 1].first : p->first;
                int one = error;

                imap->tag = b->commands[i].tag;
                if (error && !ready && b->n > 1)
                        one = alone(p->session, &x, letters + first, end - first);
                rc = answer(p, &x, letters + first, end - first, one);
        }
        imap->tag = tag;
        if (!ready)
                access_close(&x);
        drop_first(p);
        b->n = 0;
        return rc;
}

static void earlier(struct append *p)
{
        commit((struct batch *)p);
}

/* mailbox SP message *(SP message). false: the reply has been given. */
static bool take(struct batch *b, struct session *s, struct scan *a)
{
        struct append *p = &b->append;
        struct str name = imap_mailbox(s, a);

        imap_sp(a);
        if (a->bad) {
                p->rc = imap_syntax(append_refuses(p), a);
                return false;
        }
        if (b->n && !str_eq(name, p->name))
                commit(b);
        if (!b->n) {
                append_release(p);
                if (!append_begin(p, s, name, 0))
                        return false;
        }
        p->earlier = earlier;
        do {
                if (!append_letter(p, a))
                        return false;
        } while (!imap_end(s, a) && !a->bad && imap_can(s, CAP_MULTIAPPEND));
        if (!imap_end(s, a)) {
                p->rc = imap_syntax(append_refuses(p), a);
                return false;
        }
        b->commands[b->n].tag = imap_of(s)->tag;
        b->commands[b->n++].first = p->first;
        p->first = p->n;
        return true;
}

static bool plain_tag(unsigned char c)
{
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* "tag APPEND ... {n+}" CRLF with a short letter behind it: the cursor is set behind the verb. */
static bool is_append(struct str line, struct str *tag, struct scan *a)
{
        size_t brace = str_rfind(line, '{');
        struct imap_literal l;
        struct scan literal;

        *a = scan_of(line);
        *tag = scan_while(a, plain_tag);
        if (!scan_try(a, ' ') || !scan_try_word(a, S("APPEND ")) || a->bad || brace == STR_NONE)
                return false;
        literal = scan_of(str_from_at(line, brace));
        return imap_literal_head(&literal, &l) && scan_done(&literal) && l.plus && l.n &&
               l.n <= TOGETHER_LETTER;
}

/* Does another one stand in the input, so that nothing must be waited for? Then it is the command at hand. */
static bool next(struct batch *b, struct session *s, struct scan *a)
{
        struct imap *p = imap_of(s);
        struct str seen, line, tag;
        size_t end;

        if (b->n == TOGETHER || s->command.used > TOGETHER_MEMORY || p->line_open ||
            !conn_input_waits(s->conn))
                return false;
        seen = conn_some(s->conn, PEEK, in_seconds(1));
        conn_unread(s->conn, seen.n);
        end = str_find(seen, '\n');
        if (end == STR_NONE || !end || seen.p[end - 1] != '\r' ||
            !is_append(str_sub(seen, 0, end - 1), &tag, a))
                return false;
        if (conn_line(s->conn, &line, PEEK, in_seconds(1)) != GOT_LINE)
                return false;
        line = arena_str(&s->command, line);
        imap_line_read(s, line);
        is_append(line, &p->tag, a);
        p->literals = 0;
        return true;
}

/* APPEND mailbox [(flags)] [date-time] literal ... -- RFC 9051 §6.3.12, RFC 3502 */
int imap_append(struct session *s, struct scan *a)
{
        struct batch b = { .append.session = s };
        int rc = OK, failed = OK;
        bool taken;

        do {
                taken = take(&b, s, a);
                if (!taken)
                        failed = b.append.rc;
        } while (taken && next(&b, s, a));
        rc = commit(&b);
        append_drop(&b.append);
        return failed ? failed : rc;
}
