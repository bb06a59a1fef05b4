#include "proto/ftp/commands.h"
#include "base/mem.h"

#include <errno.h>

/* --- paths --------------------------------------------------------------------------------------------------- */

struct str ftp_where(const struct ftp *p)
{
        return p->cwd ? str_of(p->cwd) : S("/");
}

static struct str joined(struct session *s, struct str path, int *rc)
{
        struct str whole = path_join(&s->command, ftp_where(ftp_of(s)), path);

        if (!whole.p)
                *rc = ftp_reply(s, "553 File name too long or not allowed.");
        return whole;
}

/* RFC 959 §5.3.1: one space stands before a path; what else there is belongs to its name. */
static void back_to_first_space(struct scan *a)
{
        while (a->at >= 2 && a->s.p[a->at - 1] == ' ' && a->s.p[a->at - 2] == ' ')
                a->at--;
}

struct str ftp_path(struct session *s, struct scan *a, bool may_be_empty, int *rc)
{
        struct str given;

        back_to_first_space(a);
        given = scan_rest(a);
        if (!given.n && !may_be_empty) {
                *rc = ftp_syntax(s);
                return (struct str){ 0 };
        }
        return joined(s, given, rc);
}

struct str ftp_word(struct session *s, struct scan *a)
{
        char *word;
        size_t n = 0;

        scan_spaces(a);
        if (!scan_try(a, '"'))
                return scan_until(a, " ");
        word = arena_alloc(&s->command, a->s.n + 1);
        while (!scan_end(a)) {
                if (scan_try(a, '"') && scan_peek(a) != '"')
                        return str_from(word, n);
                word[n++] = a->s.p[a->at++];
        }
        return S(""); /* a quote that does not end */
}

struct str ftp_path_word(struct session *s, struct scan *a, int *rc)
{
        struct str word = ftp_word(s, a);

        if (word.n)
                return joined(s, word, rc);
        *rc = ftp_syntax(s);
        return (struct str){ 0 };
}

bool ftp_root(struct session *s, int *rc)
{
        struct ftp *p = ftp_of(s);
        int error;

        if (p->root)
                return true;
        if (!s->server->files) {
                *rc = ftp_reply(s, "550 There are no files here.");
                return false;
        }
        error = root_open(s->server->files, s->account, p->read_only, p->quota, &p->root);
        if (error == 0) {
                root_umask(p->root, p->umask_bits);
                return true;
        }
        p->root = NULL;
        *rc = error == -ENOENT ? ftp_reply(s, "550 There are no files here.")
                               : ftp_reply(s, "451 Your files cannot be reached just now, try again later.");
        return false;
}

/* --- where one is -------------------------------------------------------------------------------------------- */

static int go(struct session *s, struct str path)
{
        struct ftp *p = ftp_of(s);
        struct file_facts facts;
        int rc;

        if (!ftp_root(s, &rc))
                return rc;
        rc = file_facts(p->root, path, true, &facts);
        if (rc == 0 && facts.kind != FILE_FOLDER)
                rc = -ENOTDIR;
        if (rc < 0)
                return ftp_trouble(s, path, rc);
        mem_free(p->cwd);
        p->cwd = path.n > 1 ? mem_string(path) : NULL;
        return ftp_reply(s, "250 %s command successful.", s->running->verb);
}

/* CWD path -- RFC 959 §4.1.1 */
int ftp_cwd(struct session *s, struct scan *a)
{
        int rc;
        struct str path = ftp_path(s, a, false, &rc);

        return path.p ? go(s, path) : rc;
}

/* CDUP -- RFC 959 §4.1.1; at the top it stays there, as `cd ..` does */
int ftp_cdup(struct session *s, struct scan *a)
{
        int rc;
        struct str path = joined(s, S(".."), &rc);

        (void)a;
        return path.p ? go(s, path) : rc;
}

/* PWD -- RFC 959 §4.1.3 and appendix II */
int ftp_pwd(struct session *s, struct scan *a)
{
        (void)a;
        return ftp_reply(s, "257 \"" PRS "\" is the current directory.",
                         STR(ftp_shown(&s->command, ftp_where(ftp_of(s)), true)));
}

/* SMNT path -- RFC 959 §4.1.1: there is one file system structure, the account's own, and "/" names it. To mount it again is to begin anew
 * at its top. */
int ftp_smnt(struct session *s, struct scan *a)
{
        int rc;
        struct str path = ftp_path(s, a, false, &rc);

        if (!path.p)
                return rc;
        if (!str_eq(path, S("/")))
                return ftp_reply(s, "550 " PRS ": No such file system, there is / alone.", STR(path));
        return go(s, path);
}

/* --- folders and names --------------------------------------------------------------------------------------- */

/* What the path of a command is to be had done to it: 0 and the path, or the reply has been given and *rc is the result. */
static bool asked(struct session *s, struct scan *a, struct str *path, int *rc)
{
        *path = ftp_path(s, a, false, rc);
        return path->p && ftp_root(s, rc);
}

/* MKD path -- RFC 959 §4.1.3; the reply is that of appendix II */
int ftp_mkd(struct session *s, struct scan *a)
{
        struct str path;
        int rc;

        if (!asked(s, a, &path, &rc))
                return rc;
        rc = folder_make(ftp_of(s)->root, path);
        if (rc < 0)
                return ftp_trouble(s, path, rc);
        return ftp_reply(s, "257 \"" PRS "\" directory created.", STR(ftp_shown(&s->command, path, true)));
}

/* RMD path -- RFC 959 §4.1.3 */
int ftp_rmd(struct session *s, struct scan *a)
{
        struct str path;
        int rc;

        if (!asked(s, a, &path, &rc))
                return rc;
        rc = str_eq(path, S("/")) ? -EACCES : folder_remove(ftp_of(s)->root, path);
        return rc < 0 ? ftp_trouble(s, path, rc)
                      : ftp_reply(s, "250 %s command successful.", s->running->verb);
}

/* DELE path -- RFC 959 §4.1.3 */
int ftp_dele(struct session *s, struct scan *a)
{
        struct str path;
        int rc;

        if (!asked(s, a, &path, &rc))
                return rc;
        rc = file_remove(ftp_of(s)->root, path);
        return rc < 0 ? ftp_trouble(s, path, rc) : ftp_reply(s, "250 DELE command successful.");
}

/* RNFR path -- RFC 959 §4.1.3 */
int ftp_rnfr(struct session *s, struct scan *a)
{
        struct ftp_next *next;
        struct file_facts facts;
        struct str path;
        int rc;

        if (!asked(s, a, &path, &rc))
                return rc;
        rc = str_eq(path, S("/")) ? -EACCES : file_facts(ftp_of(s)->root, path, false, &facts);
        if (rc < 0)
                return ftp_trouble(s, path, rc);
        next = ftp_next(s);
        mem_free((char *)next->rename_from.p);
        next->rename_from = str_from(mem_string(path), path.n);
        s->state |= FTP_RENAMING;
        return ftp_reply(s, "350 File exists, ready for destination name.");
}

/* RNTO path -- RFC 959 §4.1.3 */
int ftp_rnto(struct session *s, struct scan *a)
{
        struct str path;
        int rc;

        if (!asked(s, a, &path, &rc))
                return rc;
        rc = file_rename(ftp_of(s)->root, ftp_next(s)->rename_from, path);
        return rc < 0 ? ftp_trouble(s, path, rc) : ftp_reply(s, "250 Rename successful.");
}
