/* SITE (RFC 959 §4.1.3): what clients know from other servers. */
#include "proto/ftp/commands.h"
#include "proto/ftp/time.h"
#include "base/mem.h"

#include <errno.h>

/* All that is left, as a path, and the root. */
static bool site_path(struct session *s, struct scan *a, struct str *path, int *rc)
{
        *path = ftp_path(s, a, false, rc);
        return path->p && ftp_root(s, rc);
}

static int done(struct session *s, struct str path, int rc)
{
        return rc < 0 ? ftp_trouble(s, path, rc)
                      : ftp_reply(s, "200 SITE %s command successful.", s->running->verb);
}

static bool take_octal(struct scan *a, unsigned most, unsigned *out)
{
        struct str digits = scan_until(a, " ");
        unsigned v = 0;

        for (size_t i = 0; i < digits.n; i++) {
                if (digits.p[i] < '0' || digits.p[i] > '7' || v > most)
                        return false;
                v = v * 8 + (unsigned)(digits.p[i] - '0');
        }
        *out = v;
        return digits.n > 0 && v <= most;
}

static int site_chmod(struct session *s, struct scan *a)
{
        struct str path;
        unsigned mode;
        int rc;

        if (!take_octal(a, 0777, &mode) || !scan_try(a, ' '))
                return ftp_syntax(s);
        if (!site_path(s, a, &path, &rc))
                return rc;
        return done(s, path, file_chmod(ftp_of(s)->root, path, mode));
}

static int site_umask(struct session *s, struct scan *a)
{
        struct ftp *p = ftp_of(s);
        unsigned bits;

        if (scan_end(a))
                return ftp_reply(s, "200 The umask is %03o.", p->umask_bits);
        if (!take_octal(a, 0377, &bits) || !scan_end(a)) /* what its owner may do cannot be taken away */
                return ftp_syntax(s);
        p->umask_bits = (uint8_t)bits;
        if (p->root)
                root_umask(p->root, bits);
        return ftp_reply(s, "200 The umask is now %03o.", bits);
}

/* --- UTIME: "YYYYMMDDhhmm[ss] path", or "path atime mtime ctime UTC" ------------------------------------------- */

static bool last_word(struct str *rest, struct str *word)
{
        size_t space = str_rfind(*rest, ' ');

        if (space == STR_NONE)
                return false;
        *word = str_from_at(*rest, space + 1);
        *rest = str_sub(*rest, 0, space);
        return true;
}

static bool long_form(struct str *rest, int64_t *accessed, int64_t *modified)
{
        struct str left = *rest, utc, created, m, acc;
        int64_t unused;

        if (!last_word(&left, &utc) || !str_ieq(utc, S("UTC")) || !last_word(&left, &created) ||
            !last_word(&left, &m) || !last_word(&left, &acc) || !ftp_time_parse(created, &unused) ||
            !ftp_time_parse(m, modified) || !ftp_time_parse(acc, accessed))
                return false;
        *rest = left;
        return true;
}

static bool short_form(struct session *s, struct str *rest, int64_t *modified)
{
        struct str left = *rest, time;

        if (!str_cut(&left, ' ', &time))
                return false;
        if (time.n == 12) /* without seconds */
                time = arena_printf(&s->command, PRS "00", STR(time));
        *rest = left;
        return ftp_time_parse(time, modified);
}

static int site_utime(struct session *s, struct scan *a)
{
        struct str rest = scan_rest(a), path;
        int64_t accessed = 0, modified = 0;
        struct scan name;
        int rc;

        if (!long_form(&rest, &accessed, &modified) && !short_form(s, &rest, &modified))
                return ftp_syntax(s);
        name = scan_of(rest);
        if (!site_path(s, &name, &path, &rc))
                return rc;
        return done(s, path, file_times(ftp_of(s)->root, path, modified ? modified : 1, accessed));
}

/* --- names and copies ---------------------------------------------------------------------------------------- */

/* Two words, no more. */
static bool two_words(struct session *s, struct scan *a, struct str *one, struct str *other, int *rc)
{
        *one = ftp_word(s, a);
        *other = ftp_word(s, a);
        scan_spaces(a);
        if (one->n && other->n && scan_end(a))
                return ftp_root(s, rc);
        *rc = ftp_syntax(s);
        return false;
}

static bool whole_path(struct session *s, struct str word, struct str *path, int *rc)
{
        struct scan a = scan_of(word);

        *path = ftp_path(s, &a, false, rc);
        return path->p != NULL;
}

static int site_symlink(struct session *s, struct scan *a)
{
        struct str target, name, path;
        int rc;

        if (!two_words(s, a, &target, &name, &rc) || !whole_path(s, name, &path, &rc))
                return rc;
        return done(s, path, file_link(ftp_of(s)->root, path, target));
}

static int copy(struct session *s, struct str from, struct str to)
{
        int rc = file_copy(ftp_of(s)->root, from, to);

        return rc < 0 ? ftp_trouble(s, rc == -ENOENT ? from : to, rc) : ftp_reply(s, "250 Copy successful.");
}

static int site_copy(struct session *s, struct scan *a)
{
        struct str one, other, from, to;
        int rc;

        if (!two_words(s, a, &one, &other, &rc) || !whole_path(s, one, &from, &rc) ||
            !whole_path(s, other, &to, &rc))
                return rc;
        return copy(s, from, to);
}

/* CPFR and CPTO, as RNFR and RNTO */
static int site_cpfr(struct session *s, struct scan *a)
{
        struct ftp_next *next;
        struct file_facts facts;
        struct str path;
        int rc;

        if (!site_path(s, a, &path, &rc))
                return rc;
        rc = file_facts(ftp_of(s)->root, path, true, &facts);
        if (rc < 0)
                return ftp_trouble(s, path, rc);
        next = ftp_next(s);
        mem_free((char *)next->copy_from.p);
        next->copy_from = str_from(mem_string(path), path.n);
        return ftp_reply(s, "350 File exists, ready for destination name.");
}

static int site_cpto(struct session *s, struct scan *a)
{
        struct ftp *p = ftp_of(s);
        struct str from, path;
        int rc;

        if (!p->next || !p->next->copy_from.n)
                return ftp_reply(s, "503 SITE CPFR comes before SITE CPTO.");
        from = arena_str(&s->command, p->next->copy_from);
        ftp_next_forget(p);
        return site_path(s, a, &path, &rc) ? copy(s, from, path) : rc;
}

static int site_mkdir(struct session *s, struct scan *a)
{
        struct str path;
        int rc;

        return site_path(s, a, &path, &rc) ? done(s, path, folder_make(ftp_of(s)->root, path)) : rc;
}

static int site_rmdir(struct session *s, struct scan *a)
{
        struct str path;
        int rc;

        if (!site_path(s, a, &path, &rc))
                return rc;
        return done(s, path, str_eq(path, S("/")) ? -EACCES : folder_remove(ftp_of(s)->root, path));
}

static int site_quota(struct session *s, struct scan *a)
{
        struct root_room room;
        int rc;

        (void)a;
        if (!ftp_root(s, &rc))
                return rc;
        rc = root_room(ftp_of(s)->root, &room);
        if (rc < 0)
                return ftp_trouble(s, S("/"), rc);
        ftp_reply_begin(s, "200-Octets of your files:");
        ftp_reply_line(s, "used %llu", (unsigned long long)room.used);
        if (room.quota)
                ftp_reply_line(s, "quota %llu", (unsigned long long)room.quota);
        ftp_reply_line(s, "available %llu", (unsigned long long)room.available);
        return ftp_reply(s, "200 End");
}

static int site_help(struct session *s, struct scan *a)
{
        return ftp_site_help(s, str_trim(scan_rest(a)));
}

/* --- the table ----------------------------------------------------------------------------------------------- */

/* clang-format off */
static const struct command site_commands[] = {
        { "CHMOD",   site_chmod,   FTP_SIGNED_IN, WRITES,      0, "SITE CHMOD mode path" },
        { "COPY",    site_copy,    FTP_SIGNED_IN, WRITES,      0, "SITE COPY from to" },
        { "CPFR",    site_cpfr,    FTP_SIGNED_IN, WRITES,      0, "SITE CPFR path" },
        { "CPTO",    site_cpto,    FTP_SIGNED_IN, WRITES,      0, "SITE CPTO path" },
        { "HELP",    site_help,    FTP_SIGNED_IN, 0,           0, "SITE HELP [command]" },
        { "MKDIR",   site_mkdir,   FTP_SIGNED_IN, WRITES,      0, "SITE MKDIR path" },
        { "QUOTA",   site_quota,   FTP_SIGNED_IN, NO_ARGUMENT, 0, "SITE QUOTA" },
        { "RMDIR",   site_rmdir,   FTP_SIGNED_IN, WRITES,      0, "SITE RMDIR path" },
        { "SYMLINK", site_symlink, FTP_SIGNED_IN, WRITES,      0, "SITE SYMLINK target path" },
        { "UMASK",   site_umask,   FTP_SIGNED_IN, 0,           0, "SITE UMASK [mask]" },
        { "UTIME",   site_utime,   FTP_SIGNED_IN, WRITES,      0, "SITE UTIME time path" },
};
/* clang-format on */

const struct dialect ftp_site_dialect = {
        .commands = site_commands,
        .count = sizeof(site_commands) / sizeof(*site_commands),
};

int ftp_site_help(struct session *s, struct str verb)
{
        const struct command *c;

        if (!verb.n) {
                ftp_reply_begin(s, "214-These SITE commands are recognized:");
                ftp_help_list(s, ftp_site_dialect.commands, ftp_site_dialect.count);
                return ftp_reply(s, "214 SITE HELP command tells how it is used.");
        }
        c = command_find(&ftp_site_dialect, verb);
        return c ? ftp_reply(s, "214 Syntax: %s", c->synopsis)
                 : ftp_reply(s, "501 No such command, SITE HELP alone lists them.");
}

/* SITE command -- that of SITE was in its state; what its own row says is looked at as FTP's are. */
int ftp_site(struct session *s, struct scan *a)
{
        const struct command *site = s->running, *c;
        struct str verb = scan_until(a, " ");
        int rc;

        scan_try(a, ' ');
        if (!verb.n)
                return ftp_syntax(s);
        c = command_find(&ftp_site_dialect, verb);
        if (!c)
                return ftp_reply(s, "501 No such command, SITE HELP alone lists them.");
        if (!ftp_dialect.allows(s, c, &rc))
                return rc;
        if (c->needs & NO_ARGUMENT && !scan_end(a))
                return ftp_dialect.argument(s, c);
        s->running = c;
        rc = c->handle(s, a);
        s->running = site;
        return rc;
}
