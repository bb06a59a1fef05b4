#include "proto/ftp/commands.h"
#include "proto/ftp/glob.h"

#include <errno.h>

/* --- what is asked for: [-options] [path or pattern] ---------------------------------------------------------- */

/* "-al": letters that say nothing here are what clients send out of habit. A name that begins with '-' is said as "./-x". */
static void take_options(struct scan *a, struct ftp_listing *l)
{
        scan_spaces(a);
        while (scan_peek(a) == '-') {
                struct str letters = scan_until(a, " ");

                l->all |= str_find(letters, 'a') != STR_NONE || str_find(letters, 'A') != STR_NONE;
                l->folder_itself |= str_find(letters, 'd') != STR_NONE;
                l->recursive |= str_find(letters, 'R') != STR_NONE;
                scan_spaces(a);
                if (str_eq(letters, S("--")))
                        return;
        }
}

/* NLST's names must be of use to RETR as they are (RFC 1123 §4.1.2.7): behind a name of their folder if that is not the working folder. */
static uint16_t named_at(struct session *s, struct str path)
{
        struct str cwd = ftp_where(ftp_of(s));

        if (str_eq(path, cwd))
                return (uint16_t)path.n;
        if (cwd.n > 1 && path.n > cwd.n && str_starts(path, cwd) && path.p[cwd.n] == '/')
                return (uint16_t)(cwd.n + 1);
        return cwd.n == 1 && path.n > 1 ? 1 : 0;
}

/* A pattern is what stands behind the last '/', if nothing is called so. */
static bool is_pattern(struct session *s, struct str given, struct str path)
{
        size_t slash = str_rfind(given, '/');
        struct str last = slash == STR_NONE ? given : str_from_at(given, slash + 1);
        struct file_facts facts;

        return glob_is_pattern(last) && file_facts(ftp_of(s)->root, path, false, &facts) < 0;
}

/* What `given` names: l->path and l->pattern. false: the reply has been given. */
static bool take_path(struct session *s, struct str given, struct ftp_listing *l, int *rc)
{
        struct scan whole = scan_of(given);
        struct file_facts facts;
        struct str path = ftp_path(s, &whole, true, rc);
        int found;

        if (!path.p || !ftp_root(s, rc))
                return false;
        l->path = path;
        if (is_pattern(s, given, path)) {
                size_t slash = str_rfind(path, '/');

                l->pattern = str_from_at(path, slash + 1);
                l->path = arena_str(&s->command, str_sub(path, 0, slash ? slash : 1));
        }
        found = file_facts(ftp_of(s)->root, l->path, true, &facts);
        if (found == 0 && facts.kind != FILE_FOLDER && l->pattern.n)
                found = -ENOTDIR;
        if (found < 0) {
                *rc = s->running->handle == ftp_stat && found == -ENOENT
                          ? ftp_reply(s, "450 " PRS ": No such file or directory.", STR(l->path))
                          : ftp_trouble(s, l->path, found);
                return false;
        }
        l->named_at = named_at(s, l->path);
        l->read_only = ftp_of(s)->read_only;
        return true;
}

/* The connection that may have come for it goes too. */
static int refused(struct session *s, int rc)
{
        lease_end(&ftp_of(s)->lease);
        return rc;
}

static int start(struct session *s, const struct ftp_listing *l)
{
        struct ftp_asked asked = { .what = WHAT_LISTING, .path = l->path, .listing = *l };

        return ftp_transfer_start(s, &asked);
}

/* LIST [-options] [path or pattern] -- RFC 959 §4.1.3 */
int ftp_list(struct session *s, struct scan *a)
{
        struct ftp_listing l = { .form = LISTING_LIST };
        int rc;

        take_options(a, &l);
        return take_path(s, scan_rest(a), &l, &rc) ? start(s, &l) : refused(s, rc);
}

/* NLST [-options] [path or pattern] -- RFC 959 §4.1.3; with -l it is LIST, as everywhere */
int ftp_nlst(struct session *s, struct scan *a)
{
        struct ftp_listing l = { .form = LISTING_NLST };
        struct scan again = *a;
        int rc;

        scan_spaces(&again);
        if (scan_peek(&again) == '-' && str_find(scan_until(&again, " "), 'l') != STR_NONE)
                l.form = LISTING_LIST;
        take_options(a, &l);
        return take_path(s, scan_rest(a), &l, &rc) ? start(s, &l) : refused(s, rc);
}

/* MLSD [path] -- RFC 3659 §7: folders only, all names, the facts that OPTS chose */
int ftp_mlsd(struct session *s, struct scan *a)
{
        struct ftp_listing l = { .form = LISTING_MLSD, .all = true, .facts = ftp_of(s)->facts };
        struct file_facts facts;
        int rc;

        l.path = ftp_path(s, a, true, &rc);
        if (!l.path.p || !ftp_root(s, &rc))
                return refused(s, rc);
        rc = file_facts(ftp_of(s)->root, l.path, true, &facts);
        if (rc < 0)
                return refused(s, ftp_trouble(s, l.path, rc));
        if (facts.kind != FILE_FOLDER)
                return refused(
                    s, ftp_reply(s, "501 " PRS ": Not a directory, MLST tells of a file.", STR(l.path)));
        l.read_only = ftp_of(s)->read_only;
        return start(s, &l);
}

/* --- STAT (RFC 959 §4.1.3) ----------------------------------------------------------------------------------- */

static const char *type_of(const struct coding *c)
{
        static const char *const types[] = { "ASCII", "EBCDIC", "Image", "Local" };

        return types[c->type];
}

static void stat_coding(struct session *s)
{
        static const char *const forms[] = { "Nonprint", "Telnet", "Carriage" };
        static const char *const structures[] = { "File", "Record", "Page" };
        static const char *const modes[] = { "Stream", "Block", "Compressed", "Deflate" };
        const struct coding *c = &ftp_of(s)->coding;

        if (c->type == TYPE_LOCAL)
                ftp_reply_line(s, "TYPE: Local %u; STRU: %s; MODE: %s", c->byte_size,
                               structures[c->structure], modes[c->mode]);
        else if (c->type == TYPE_IMAGE)
                ftp_reply_line(s, "TYPE: Image; STRU: %s; MODE: %s", structures[c->structure],
                               modes[c->mode]);
        else
                ftp_reply_line(s, "TYPE: %s %s; STRU: %s; MODE: %s", type_of(c), forms[c->form],
                               structures[c->structure], modes[c->mode]);
}

/* Without a path: the session, and the transfer that runs. */
static int stat_session(struct session *s)
{
        const struct ftp *p = ftp_of(s);
        auto_buf struct buf transfer = { 0 };

        ftp_reply_begin(s, "211-%s FTP server status:", s->host);
        ftp_reply_line(s, "Connected to %s", session_peer(s).z);
        if (p->anonymous)
                ftp_reply_line(s, "Logged in as a guest");
        else
                ftp_reply_line(s, "Logged in as " PRS, STR(s->account));
        stat_coding(s);
        ftp_reply_line(s, "Control connection: %s; data connections: %s",
                       conn_has_tls(s->conn) ? "TLS" : "clear", p->private_data ? "TLS" : "clear");
        if (p->transfer) {
                buf_init(&transfer, 2 * PATH_MOST);
                ftp_transfer_describe(s, &transfer);
                ftp_reply_line(s, PRS, STR(buf_str(&transfer)));
        } else {
                ftp_reply_line(s, "No data connection");
        }
        return ftp_reply(s, "211 End of status");
}

static int put_here(void *context, struct str lines)
{
        struct session *s = context;
        struct str part;

        while (lines.n && str_cut(&lines, '\n', &part))
                ftp_reply_line(s, PRS, STR(str_sub(part, 0, part.n - 1)));
        return conn_ok(s->conn) ? 0 : -EPIPE;
}

/* With one: what LIST would say, here. RFC 959 §5.4 knows 450 for what is not there. */
int ftp_stat(struct session *s, struct scan *a)
{
        struct ftp_listing l = { .form = LISTING_LIST };
        int rc;

        if (scan_end(a))
                return stat_session(s);
        take_options(a, &l);
        l.recursive = false;
        if (!take_path(s, scan_rest(a), &l, &rc))
                return rc;
        ftp_reply_begin(s, "213-Status of " PRS ":", STR(l.path));
        rc = ftp_listing_run(ftp_of(s)->root, &l, put_here, s);
        return rc < 0 ? ftp_reply(s, "213 The listing is not complete.") : ftp_reply(s, "213 End of status");
}
