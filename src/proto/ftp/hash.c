#include "proto/ftp/commands.h"

#include <errno.h>

enum { NUMBERS = 2, JOIN_MOST = 256 };

const char *const ftp_hash_names[FILE_HASHES] = {
        [HASH_CRC32] = "CRC32",    [HASH_MD5] = "MD5",        [HASH_SHA1] = "SHA-1",
        [HASH_SHA256] = "SHA-256", [HASH_SHA512] = "SHA-512",
};

/* Between two slices: does anybody still want it? */
static bool go_on(void *context, uint64_t done)
{
        struct session *s = context;

        (void)done;
        return conn_ok(s->conn) && !conn_stopping(s->conn) && !conn_hung(s->conn);
}

/* A plain file, and of it what lies in it of octets [*from, *to). 0 or -errno. */
static int within(struct session *s, struct str path, uint64_t *from, uint64_t *to)
{
        struct file_facts facts;
        int rc = file_facts(ftp_of(s)->root, path, true, &facts);

        if (rc < 0)
                return rc;
        if (facts.kind != FILE_REGULAR)
                return facts.kind == FILE_FOLDER ? -EISDIR : -EACCES;
        if (*to > facts.size)
                *to = facts.size;
        return *from <= *to ? 0 : -ERANGE;
}

static int hash_trouble(struct session *s, struct str path, int error)
{
        if (error == -ERANGE)
                return ftp_reply(s, "501 The file is not so long.");
        return ftp_trouble(s, path, error);
}

/* HASH path -- draft-ietf-ftpext2-hash §3, of the octets that RANG named before: "213 SHA-256 0-49 6bf6... name", the second number being
 * that of the octet behind the last */
int ftp_hash(struct session *s, struct scan *a)
{
        auto_buf struct buf hex = { 0 };
        struct ftp *p = ftp_of(s);
        uint64_t from = 0, to = UINT64_MAX;
        struct str given = str_from_at(a->s, a->at);
        int rc;
        struct str path = ftp_path(s, a, false, &rc);

        if (!path.p || !ftp_root(s, &rc))
                return rc;
        if (p->next && p->next->has_range) {
                from = p->next->from;
                to = p->next->to < UINT64_MAX ? p->next->to + 1 : UINT64_MAX;
        }
        rc = within(s, path, &from, &to);
        buf_init(&hex, 256);
        if (rc == 0)
                rc = file_hash(p->root, path, (enum file_hash)p->hash, from, to, go_on, s, &hex);
        if (rc < 0)
                return hash_trouble(s, path, rc);
        return ftp_reply(s, "213 %s %llu-%llu " PRS " " PRS, ftp_hash_names[p->hash],
                         (unsigned long long)from, (unsigned long long)to, STR(buf_str(&hex)), STR(given));
}

/* --- XCRC and its kin: path [from [to]] ---------------------------------------------------------------------- */

/* Takes " 123" off the end. */
static bool number_at_end(struct str *rest, uint64_t *n)
{
        size_t space = str_rfind(*rest, ' ');

        if (space == STR_NONE || space == 0 || !str_u64(str_from_at(*rest, space + 1), n))
                return false;
        *rest = str_trim(str_sub(*rest, 0, space));
        return true;
}

/* A path without quotes may end in numbers itself: first it is tried as it stands. */
static struct str path_and_numbers(struct session *s, struct str rest, uint64_t numbers[static NUMBERS],
                                   size_t *n, int *rc)
{
        struct str path = { 0 };
        uint64_t number;

        for (*n = 0; *n <= NUMBERS; ++*n) {
                struct scan whole = scan_of(rest);
                struct file_facts facts;

                path = ftp_path(s, &whole, false, rc);
                if (!path.p || file_facts(ftp_of(s)->root, path, true, &facts) == 0 || *n == NUMBERS ||
                    !number_at_end(&rest, &number))
                        return path;
                numbers[1] = numbers[0];
                numbers[0] = number;
        }
        return path;
}

static struct str quoted_path_and_numbers(struct session *s, struct scan *a, uint64_t numbers[static NUMBERS],
                                          size_t *n, int *rc)
{
        struct str path = ftp_path_word(s, a, rc);

        for (*n = 0; path.p && *n < NUMBERS; ++*n) {
                struct str word = ftp_word(s, a);

                if (!word.n)
                        return path;
                if (!str_u64(word, &numbers[*n])) {
                        *rc = ftp_syntax(s);
                        return (struct str){ 0 };
                }
        }
        return path;
}

static int hash_of(struct session *s, struct scan *a, enum file_hash how)
{
        auto_buf struct buf hex = { 0 };
        uint64_t numbers[NUMBERS] = { 0 }, from, to;
        struct str path;
        size_t n;
        int rc;

        if (!ftp_root(s, &rc))
                return rc;
        path = scan_peek(a) == '"' ? quoted_path_and_numbers(s, a, numbers, &n, &rc)
                                   : path_and_numbers(s, scan_rest(a), numbers, &n, &rc);
        if (!path.p)
                return rc;
        from = numbers[0];
        to = n == NUMBERS ? numbers[1] : UINT64_MAX;
        rc = within(s, path, &from, &to);
        buf_init(&hex, 256);
        if (rc == 0)
                rc = file_hash(ftp_of(s)->root, path, how, from, to, go_on, s, &hex);
        return rc < 0 ? hash_trouble(s, path, rc) : ftp_reply(s, "250 " PRS, STR(buf_str(&hex)));
}

int ftp_xcrc(struct session *s, struct scan *a)
{
        return hash_of(s, a, HASH_CRC32);
}

int ftp_xmd5(struct session *s, struct scan *a)
{
        return hash_of(s, a, HASH_MD5);
}

int ftp_xsha1(struct session *s, struct scan *a)
{
        return hash_of(s, a, HASH_SHA1);
}

int ftp_xsha256(struct session *s, struct scan *a)
{
        return hash_of(s, a, HASH_SHA256);
}

int ftp_xsha512(struct session *s, struct scan *a)
{
        return hash_of(s, a, HASH_SHA512);
}

/* Which of them it was. */
static struct str missing_one(struct session *s, struct str target, const struct str *parts, size_t n)
{
        struct file_facts facts;

        for (size_t i = 0; i < n; i++)
                if (file_facts(ftp_of(s)->root, parts[i], true, &facts) < 0)
                        return parts[i];
        return target;
}

/* --- COMB "target" "part" "part" ...: the parts become the target's end, and go ------------------------------- */

int ftp_comb(struct session *s, struct scan *a)
{
        struct str *parts = arena_array(&s->command, struct str, JOIN_MOST), target;
        size_t n = 0;
        int rc;

        if (!ftp_root(s, &rc))
                return rc;
        target = ftp_path_word(s, a, &rc);
        if (!target.p)
                return rc;
        do {
                parts[n] = ftp_path_word(s, a, &rc);
                if (!parts[n].p)
                        return rc;
                if (str_eq(parts[n], target))
                        return ftp_reply(s, "553 " PRS ": A part cannot be the target.", STR(target));
                n++;
                scan_spaces(a);
        } while (!scan_end(a) && n < JOIN_MOST);
        if (!scan_end(a))
                return ftp_reply(s, "501 At most %d parts at once.", JOIN_MOST);
        rc = file_append(ftp_of(s)->root, target, parts, n);
        if (rc == -ENOENT)
                target = missing_one(s, target, parts, n);
        return rc < 0 ? ftp_trouble(s, target, rc) : ftp_reply(s, "250 %zu files combined.", n);
}
