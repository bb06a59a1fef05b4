#include "proto/ftp/commands.h"
#include "proto/ftp/time.h"

#include <errno.h>

enum { COUNT_MOST = 32 << 20, PIECE = 256 << 10 }; /* a file up to this size is read for its SIZE in TYPE A */

/* --- SIZE (RFC 3659 §4): octets on the wire, in MODE S, as TYPE is ------------------------------------------------ */

/* Line ends that grow have to be counted. */
static int count_octets(struct session *s, struct str path, struct coder_size *z)
{
        auto_buf struct buf piece = { 0 };
        struct file *f = NULL;
        struct file_facts facts;
        uint64_t at = 0;
        size_t got;
        int rc = file_open(ftp_of(s)->root, path, &f, &facts);

        if (rc < 0)
                return rc;
        buf_init(&piece, PIECE);
        do {
                char *room = buf_room(&piece, PIECE);

                rc = file_read(f, at, room, PIECE, &got);
                if (rc == 0)
                        coder_size(z, &ftp_of(s)->coding, str_from(room, got));
                at += got;
                fiber_yield_if_due();
        } while (rc == 0 && got > 0 && at <= COUNT_MOST);
        file_close(&f);
        return rc;
}

static int size_counted(struct session *s, struct str path, uint64_t size)
{
        struct coder_size z = { 0 };
        int rc;

        if (size > COUNT_MOST)
                return ftp_reply(s, "550 " PRS ": Too large to count in this TYPE, ask in TYPE I.",
                                 STR(path));
        rc = count_octets(s, path, &z);
        return rc < 0 ? ftp_trouble(s, path, rc) : ftp_reply(s, "213 %llu", (unsigned long long)z.octets);
}

static bool counts_itself(const struct coding *c)
{
        return c->type == TYPE_IMAGE || (c->type == TYPE_LOCAL && c->byte_size == 8);
}

/* What an upload that broke off has left is where its client may go on (REST, APPE), as long as no file has the name. */
int ftp_size(struct session *s, struct scan *a)
{
        struct ftp *p = ftp_of(s);
        struct file_facts facts;
        uint64_t kept;
        int rc;
        struct str path = ftp_path(s, a, false, &rc);

        if (!path.p || !ftp_root(s, &rc))
                return rc;
        if (p->coding.structure != STRUCTURE_FILE)
                return ftp_reply(s, "550 SIZE is of STRU F.");
        rc = file_facts(p->root, path, true, &facts);
        if (rc == -ENOENT && counts_itself(&p->coding) && upload_kept(p->root, path, &kept) == 0)
                return ftp_reply(s, "213 %llu", (unsigned long long)kept);
        if (rc < 0)
                return ftp_trouble(s, path, rc);
        if (facts.kind != FILE_REGULAR)
                return ftp_reply(s, "550 " PRS ": Not a plain file.", STR(path));
        if (!counts_itself(&p->coding))
                return size_counted(s, path, facts.size);
        return ftp_reply(s, "213 %llu", (unsigned long long)facts.size);
}

/* --- times --------------------------------------------------------------------------------------------------- */

static struct str time_text(struct session *s, int64_t usec)
{
        auto_buf struct buf b = { 0 };

        buf_init(&b, 16);
        put_ftp_time(&b, usec);
        return arena_str(&s->command, buf_str(&b));
}

/* 0 says "as it is" to the store, so the first moment of 1970 is told as the next one. *usec: what it is then, for file systems have a first
 * and a last year of theirs. */
static int set_modified(struct session *s, struct str path, int64_t *usec)
{
        struct root *r = ftp_of(s)->root;
        struct file_facts facts;
        int rc = file_times(r, path, *usec ? *usec : 1, 0);

        if (rc == 0)
                rc = file_facts(r, path, true, &facts);
        if (rc == 0)
                *usec = facts.modified;
        return rc;
}

/* "MDTM 20020717210715 name", the form that sets (before MFMT): if no file is called so. */
static bool mdtm_sets(struct session *s, struct str path, struct scan *a, int64_t *usec)
{
        struct file_facts facts;
        struct str time = scan_until(a, " ");

        return ftp_time_parse(time, usec) && scan_try(a, ' ') && !scan_end(a) &&
               file_facts(ftp_of(s)->root, path, true, &facts) == -ENOENT;
}

/* MDTM path -- RFC 3659 §3 */
int ftp_mdtm(struct session *s, struct scan *a)
{
        struct scan time_and_path = *a;
        struct file_facts facts;
        int64_t usec;
        int rc;
        struct str path = ftp_path(s, a, false, &rc);

        if (!path.p || !ftp_root(s, &rc))
                return rc;
        if (mdtm_sets(s, path, &time_and_path, &usec)) {
                if (ftp_of(s)->read_only)
                        return ftp_reply(s, "550 Permission denied: this account may only read.");
                path = ftp_path(s, &time_and_path, false, &rc);
                if (!path.p)
                        return rc;
                rc = set_modified(s, path, &usec);
                return rc < 0 ? ftp_trouble(s, path, rc) : ftp_reply(s, "253 Date and time changed.");
        }
        rc = file_facts(ftp_of(s)->root, path, true, &facts);
        return rc < 0 ? ftp_trouble(s, path, rc)
                      : ftp_reply(s, "213 " PRS, STR(time_text(s, facts.modified)));
}

/* MFMT time path -- draft-somers-ftp-mfxx §3 */
int ftp_mfmt(struct session *s, struct scan *a)
{
        struct str time = scan_until(a, " "), path;
        int64_t usec;
        int rc;

        if (!ftp_time_parse(time, &usec) || !scan_try(a, ' '))
                return ftp_syntax(s);
        path = ftp_path(s, a, false, &rc);
        if (!path.p || !ftp_root(s, &rc))
                return rc;
        rc = set_modified(s, path, &usec);
        if (rc < 0)
                return ftp_trouble(s, path, rc);
        return ftp_reply(s, "213 Modify=" PRS "; " PRS, STR(time_text(s, usec)), STR(path));
}

/* MFCT time path -- draft-somers-ftp-mfxx §4. No file system here lets the time of creation be set, so FEAT does not offer it. */
int ftp_mfct(struct session *s, struct scan *a)
{
        struct str time = scan_until(a, " ");
        int64_t usec;

        if (!ftp_time_parse(time, &usec) || !scan_try(a, ' ') || scan_end(a))
                return ftp_syntax(s);
        return ftp_reply(s, "504 The time of creation cannot be set.");
}

/* --- MFF (draft-somers-ftp-mfxx §5): all of the facts, or none ----------------------------------------------- */

struct wanted_facts {
        bool has_time, has_mode;
        int64_t modified;
        unsigned mode;
};

static bool octal(struct str s, unsigned *out)
{
        unsigned v = 0;

        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] < '0' || s.p[i] > '7')
                        return false;
                v = v * 8 + (unsigned)(s.p[i] - '0');
        }
        *out = v;
        return s.n > 0 && s.n <= 5;
}

/* 0, 501, or 504: a fact that cannot be set */
static int one_fact(struct str name, struct str value, struct wanted_facts *w)
{
        if (str_ieq(name, S("Modify"))) {
                w->has_time = true;
                return ftp_time_parse(value, &w->modified) ? 0 : 501;
        }
        if (str_ieq(name, S("UNIX.mode"))) {
                w->has_mode = true;
                return octal(value, &w->mode) ? 0 : 501;
        }
        return 504;
}

/* *( fact "=" value ";" ) SP path; ncftp leaves out the last ";" */
static int facts_of(struct scan *a, struct wanted_facts *w)
{
        int worst = 0;

        while (!scan_end(a) && scan_peek(a) != ' ') {
                struct str name = scan_until(a, "=; "), value;
                int rc;

                if (!scan_try(a, '='))
                        return 501;
                value = scan_until(a, "; ");
                if (!scan_try(a, ';') && scan_peek(a) != ' ')
                        return 501;
                rc = one_fact(name, value, w);
                worst = rc > worst ? rc : worst;
        }
        if (!scan_try(a, ' ') || scan_end(a) || !(worst || w->has_time || w->has_mode))
                return 501;
        return worst;
}

int ftp_mff(struct session *s, struct scan *a)
{
        auto_buf struct buf done = { 0 };
        struct wanted_facts w = { 0 };
        int rc = facts_of(a, &w);
        struct str path;

        if (rc == 501)
                return ftp_syntax(s);
        if (rc == 504)
                return ftp_reply(s, "504 Modify and UNIX.mode are what can be set.");
        path = ftp_path(s, a, false, &rc);
        if (!path.p || !ftp_root(s, &rc))
                return rc;
        rc = w.has_mode ? file_chmod(ftp_of(s)->root, path, w.mode & 0777) : 0;
        if (rc == 0 && w.has_time)
                rc = set_modified(s, path, &w.modified);
        if (rc < 0)
                return ftp_trouble(s, path, rc);
        buf_init(&done, 64);
        if (w.has_mode)
                buf_printf(&done, "UNIX.mode=%04o;", w.mode & 0777);
        if (w.has_time)
                buf_printf(&done, "Modify=" PRS ";", STR(time_text(s, w.modified)));
        return ftp_reply(s, "213 " PRS " " PRS, STR(buf_str(&done)), STR(path));
}

/* --- MLST, AVBL ---------------------------------------------------------------------------------------------- */

/* MLST [path] -- RFC 3659 §7: the facts that OPTS chose, of one thing */
int ftp_mlst(struct session *s, struct scan *a)
{
        auto_buf struct buf facts_text = { 0 };
        struct ftp *p = ftp_of(s);
        struct file_facts facts;
        int rc;
        struct str path = ftp_path(s, a, true, &rc);

        if (!path.p || !ftp_root(s, &rc))
                return rc;
        rc = file_facts(p->root, path, true, &facts);
        if (rc < 0)
                return ftp_trouble(s, path, rc);
        buf_init(&facts_text, 512);
        put_mlst_facts(&facts_text, p->facts, p->read_only, &facts, S(""));
        ftp_reply_begin(s, "250-Listing " PRS, STR(path));
        ftp_reply_line(s, PRS PRS, STR(buf_str(&facts_text)), STR(path));
        return ftp_reply(s, "250 End");
}

/* AVBL [path] -- draft-peterson-streamlined-ftp-command-extensions §4: of quota and disk the lesser, the same everywhere */
int ftp_avbl(struct session *s, struct scan *a)
{
        struct root_room room;
        struct file_facts facts;
        int rc;
        struct str path = ftp_path(s, a, true, &rc);

        if (!path.p || !ftp_root(s, &rc))
                return rc;
        rc = file_facts(ftp_of(s)->root, path, true, &facts);
        if (rc == 0 && facts.kind != FILE_FOLDER)
                rc = -ENOTDIR;
        if (rc == 0)
                rc = root_room(ftp_of(s)->root, &room);
        return rc < 0 ? ftp_trouble(s, path, rc)
                      : ftp_reply(s, "213 %llu",
                                  ftp_of(s)->read_only ? 0ULL : (unsigned long long)room.available);
}
