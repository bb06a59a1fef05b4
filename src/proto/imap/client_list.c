/* Folders: LIST, LSUB, STATUS (RFC 9051 §6.3.9, §6.3.11; RFC 5258, 5819, 6154), and their names. */
#include "base/codec.h"
#include "base/mem.h"
#include "base/names.h"
#include "net/conn.h"
#include "proto/imap/client_inside.h"
#include "proto/imap/utf7.h"
#include <errno.h>
#include <stdlib.h>

enum { FOLDERS_MOST = 20000, BYTES_MOST = 6 << 20, STATUS_AHEAD = 16 };

struct found {
        struct name name; /* as on the wire */
        char separator;
        const char *role;
        bool noselect, subscribed;
        uint32_t uidvalidity, uidnext, count, unseen;
        uint64_t highest;
        struct found *next;
};
struct listing {
        struct names table;
        struct found *first, **end;
        size_t n, bytes;
        struct buf name;
        bool lsub; /* LSUB's own answers: names only */
};

/* RFC 6154 §2, RFC 8457 */
static const char *role_of(struct str attribute)
{
        static const char *const roles[][2] = {
                { "\\Drafts", "drafts" }, { "\\Sent", "sent" },           { "\\Junk", "junk" },
                { "\\Trash", "trash" },   { "\\Archive", "archive" },     { "\\All", "all" },
                { "\\AllMail", "all" },   { "\\Flagged", "flagged" },     { "\\Starred", "flagged" },
                { "\\Spam", "junk" },     { "\\Important", "important" },
        };

        for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
                if (str_ieq(attribute, str_of(roles[i][0])))
                        return roles[i][1];
        return NULL;
}

static bool sendable(struct str name)
{
        return name.n && str_find(name, '\0') == STR_NONE && str_find(name, '\r') == STR_NONE &&
               str_find(name, '\n') == STR_NONE;
}

static struct found *found_of(struct listing *l, struct str name, bool make)
{
        struct found *f;

        if (str_ieq(name, S("INBOX")))
                name = S("INBOX");
        f = names_find(&l->table, name);
        if (f || !make || !sendable(name) || l->n == FOLDERS_MOST || l->bytes + name.n > BYTES_MOST)
                return f;
        f = names_need(&l->table, name);
        f->role = "";
        *l->end = f;
        l->end = &f->next;
        l->n++;
        l->bytes += name.n;
        return f;
}

/* LIST (\HasNoChildren \Sent) "/" "Sent Items" ("CHILDINFO" ("SUBSCRIBED")) */
static void read_list(struct imap_client *c, struct listing *l, bool lsub)
{
        struct found seen = { .role = "" }, *f;

        scan_char(&c->in, '(');
        while (!c->in.bad && !scan_try(&c->in, ')')) {
                struct str word = client_atom(c);

                scan_try(&c->in, ' ');
                if (str_ieq(word, S("\\Noselect")) || str_ieq(word, S("\\NonExistent")))
                        seen.noselect = true;
                if (str_ieq(word, S("\\Subscribed")))
                        seen.subscribed = true;
                if (role_of(word))
                        seen.role = role_of(word);
        }
        scan_space(&c->in);
        client_string(c, &l->name);
        seen.separator = l->name.n == 1 ? l->name.p[0] : 0;
        scan_space(&c->in);
        client_string(c, &l->name);
        if (c->in.bad || l->name.full)
                return;
        f = found_of(l, buf_str(&l->name), !lsub);
        if (!f)
                return;
        if (lsub) {
                f->subscribed = true;
                return;
        }
        f->separator = seen.separator;
        f->noselect = seen.noselect;
        f->subscribed = f->subscribed || seen.subscribed;
        f->role = seen.role;
}

/* STATUS "blurdybloop" (MESSAGES 231 UIDNEXT 44292) */
static void read_status(struct imap_client *c, struct listing *l)
{
        struct found scrap = { 0 }, *f;

        client_string(c, &l->name);
        f = l->name.full ? NULL : found_of(l, buf_str(&l->name), false);
        if (!f)
                f = &scrap;
        scan_word(&c->in, S(" ("));
        while (!c->in.bad && !scan_try(&c->in, ')')) {
                struct str item = client_atom(c);
                uint32_t *to = str_ieq(item, S("MESSAGES"))      ? &f->count
                               : str_ieq(item, S("UIDNEXT"))     ? &f->uidnext
                               : str_ieq(item, S("UIDVALIDITY")) ? &f->uidvalidity
                               : str_ieq(item, S("UNSEEN"))      ? &f->unseen
                                                                 : NULL;

                scan_space(&c->in);
                if (to)
                        *to = (uint32_t)scan_number(&c->in, UINT32_MAX);
                else if (str_ieq(item, S("HIGHESTMODSEQ")))
                        f->highest = scan_number(&c->in, INT64_MAX);
                else
                        client_skip(c);
                scan_try(&c->in, ' ');
        }
}

static bool heard_list(struct imap_client *c, void *context, uint32_t number, struct str word)
{
        (void)number;
        if (str_ieq(word, S("LIST")))
                read_list(c, context, false);
        else if (str_ieq(word, S("LSUB")))
                read_list(c, context, true);
        else if (str_ieq(word, S("STATUS")))
                read_status(c, context);
        else
                return false;
        return true;
}

/* ---- names as people see them ---- */

/* What a name must not have in it, by what stands for it. */
static void put_name(struct buf *out, struct str name, char separator)
{
        bool dots = str_eq(name, S(".")) || str_eq(name, S(".."));

        for (size_t i = 0; i < name.n; i++) {
                unsigned char ch = (unsigned char)name.p[i];
                bool c1 = ch == 0xc2 && i + 1 < name.n && (unsigned char)name.p[i + 1] < 0xa0;

                if (dots)
                        buf_puts(out, S("\u2024"));
                else if (ch == '/' && separator != '/')
                        buf_puts(out, S("\u2215"));
                else if (ch < 32 || ch == 127 || c1)
                        buf_puts(out, S("\uFFFD"));
                else
                        buf_u8(out, ch);
                i += c1;
        }
}

/* Not modified UTF-7, as it should be: UTF-8 is what was meant, or else bytes that nobody can read. */
static struct str decoded(struct imap_client *c, struct arena *a, struct str wire)
{
        struct str text = wire;

        if (!c->utf8 && utf7_decode(a, wire, &text))
                return text;
        text = arena_str(a, wire);
        if (!utf8_valid(text))
                for (size_t i = 0; i < text.n; i++)
                        if ((unsigned char)text.p[i] > 127)
                                ((char *)(uintptr_t)text.p)[i] = '?';
        return text;
}

static struct str path_of(struct imap_client *c, struct arena *a, struct arena *scratch, struct str wire,
                          char separator)
{
        auto_buf struct buf path = { 0 };
        struct str rest, name;
        bool more = true;

        arena_reset(scratch);
        rest = decoded(c, scratch, wire);
        buf_init(&path, 3 * NAME_MOST * 2);
        while (more) {
                more = separator && str_find(rest, separator) != STR_NONE;
                if (more)
                        str_cut(&rest, separator, &name);
                else
                        name = rest;
                put_name(&path, name, separator);
                if (more)
                        buf_puts(&path, S("/"));
        }
        return arena_str(a, buf_str(&path));
}

/* ---- the list ---- */

static int by_path(const void *a, const void *b)
{
        const struct imap_folder *x = a, *y = b;
        bool inbox_x = str_eq(x->path, S("INBOX")), inbox_y = str_eq(y->path, S("INBOX"));

        return inbox_x != inbox_y ? (inbox_x ? -1 : 1) : str_cmp(x->path, y->path);
}

static void hand_out(struct imap_client *c, struct listing *l, struct arena *a, struct imap_folder **list,
                     size_t *n)
{
        struct arena scratch;

        arena_init(&scratch, 1 << 20);
        *list = arena_array(a, struct imap_folder, l->n + 1);
        *n = 0;
        for (const struct found *f = l->first; f; f = f->next) {
                struct str wire = names_text(&l->table, f);

                (*list)[(*n)++] = (struct imap_folder){ .path = path_of(c, a, &scratch, wire, f->separator),
                                                        .wire = arena_str(a, wire),
                                                        .role = str_of(f->role),
                                                        .noselect = f->noselect,
                                                        .subscribed = f->subscribed,
                                                        .uidvalidity = f->uidvalidity,
                                                        .uidnext = f->uidnext,
                                                        .count = f->count,
                                                        .unseen = f->unseen,
                                                        .highest = f->highest };
                if (!c->separator)
                        c->separator = f->separator;
        }
        arena_finish(&scratch);
        qsort(*list, *n, sizeof(**list), by_path);
}

static int ask_status(struct imap_client *c, struct listing *l, const struct client_ask *ask,
                      const char *items, struct imap_answer *answer)
{
        /* who waits for a "+" has nothing else on its way */
        unsigned most = c->offers & (IMAP_HAS_LITERAL_PLUS | IMAP_HAS_LITERAL_MINUS) ? STATUS_AHEAD : 1,
                 ahead = 0;
        struct found *f = l->first;
        int rc = 0;

        while (rc == 0 && (f || ahead)) {
                for (; f && ahead < most && rc == 0; f = f->next)
                        if (!f->noselect) {
                                client_begin(c);
                                conn_put(c->conn, S("STATUS "));
                                rc = client_put_string(c, names_text(&l->table, f), answer);
                                conn_printf(c->conn, " (%s)\r\n", items);
                                ahead += rc == 0;
                        }
                if (rc == 0 && ahead) {
                        rc = client_finish(c, ask, answer);
                        ahead--;
                }
                if (!c->broken) /* one that may not be asked after: so be it */
                        rc = 0;
        }
        return rc;
}

static int ask_list(struct imap_client *c, struct listing *l, struct imap_answer *answer)
{
        struct client_ask ask = { .context = l, .hear = heard_list };
        const char *items = c->offers & IMAP_HAS_CONDSTORE
                                ? "MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ"
                                : "MESSAGES UIDNEXT UIDVALIDITY UNSEEN";
        int rc, subscribed;

        if (c->offers & IMAP_HAS_LIST_STATUS)
                return client_command(c, &ask, answer, "LIST \"\" \"*\" RETURN (SUBSCRIBED%s STATUS (%s))",
                                      c->offers & IMAP_HAS_SPECIAL_USE ? " SPECIAL-USE" : "", items);
        client_begin(c);
        conn_put(c->conn, S("LIST \"\" \"*\"\r\n"));
        client_begin(c);
        conn_put(c->conn, S("LSUB \"\" \"*\"\r\n"));
        rc = client_finish(c, &ask, answer);
        if (c->broken)
                return rc;
        subscribed = client_finish(c, &ask, rc ? &(struct imap_answer){ 0 } : answer);
        if (c->broken)
                return subscribed;
        return rc ? rc : ask_status(c, l, &ask, items, answer);
}

int imap_client_folders(struct imap_client *c, struct arena *a, struct imap_folder **list, size_t *n,
                        struct imap_answer *answer)
{
        struct listing l = { .table = { .item = sizeof(struct found) } };
        int rc;

        *list = NULL;
        *n = 0;
        l.end = &l.first;
        buf_init(&l.name, NAME_MOST);
        rc = ask_list(c, &l, answer);
        if (rc == 0)
                hand_out(c, &l, a, list, n);
        buf_free(&l.name);
        names_free(&l.table);
        return rc;
}

/* ---- a new name ---- */

static bool name_good(struct imap_client *c, struct str name)
{
        return name.n && !str_has_control(name) &&
               (c->separator == '/' || !c->separator || str_find(name, c->separator) == STR_NONE);
}

/* With the personal namespace's prefix ("INBOX.") where it has one and the path does not stand in it. */
int client_wire_name(struct imap_client *c, struct arena *a, struct str path, struct str *wire,
                     struct imap_answer *answer)
{
        auto_buf struct buf text = { 0 }, out = { 0 };
        char separator = c->separator ? c->separator : '/';
        struct str prefix = str_of(c->prefix), rest = path, name;
        bool more = true;

        buf_init(&text, NAME_MOST);
        buf_init(&out, NAME_MOST);
        while (more && utf8_valid(path)) {
                more = str_cut(&rest, '/', &name);
                if (!name_good(c, name))
                        break;
                while (name.n) {
                        bool slash = separator != '/' && str_starts(name, S("\u2215"));

                        buf_puts(&text, slash ? S("/") : str_sub(name, 0, 1));
                        name = str_from_at(name, slash ? 3 : 1);
                }
                if (!more) {
                        bool inside = !prefix.n || str_istarts(buf_str(&text), prefix) ||
                                      str_ieq(buf_str(&text), S("INBOX"));

                        if (c->utf8)
                                buf_puts(&out, buf_str(&text));
                        else
                                utf7_put(&out, buf_str(&text));
                        if (text.full || out.full)
                                break;
                        *wire = arena_printf(a, PRS PRS, STR(inside ? S("") : prefix), STR(buf_str(&out)));
                        return 0;
                }
                buf_u8(&text, (uint8_t)separator);
        }
        return client_ours(answer, -EINVAL, "that cannot be a folder's name here");
}
