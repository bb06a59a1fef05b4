/* Both trees side by side, folder by folder: what is to be moved, made and deleted. */
#include "cli/ftp/mirror.h"
#include "base/mem.h"
#include "proto/ftp/glob.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define DAY (24 * 60 * 60)
enum { ARENA_MOST = 512 * 1024 * 1024, LOCAL_MOST = 1000 * 1000 };

struct here { /* one of this side */
        struct str name;
        enum ftp_entry_kind kind;
        uint64_t size;
        int64_t time;
};
struct pair { /* a folder on both sides */
        struct here *here;
        size_t here_n;
        struct ftp_entry *there;
        size_t there_n;
        bool new_here, new_there; /* just made, or would be: nothing to list */
};

/* ---- what counts ---- */

static bool matches_one(const char *const *patterns, unsigned n, struct str name, struct str path)
{
        for (unsigned i = 0; i < n; i++)
                if (glob_matches(str_of(patterns[i]), name, true) ||
                    glob_matches(str_of(patterns[i]), path, true))
                        return true;
        return false;
}

static bool counts(const struct mirror *m, struct str name, struct str path, bool folder)
{
        const struct mirror_how *h = m->how;

        if (matches_one(h->exclude, h->excludes, name, path))
                return false;
        return folder || !h->includes || matches_one(h->include, h->includes, name, path);
}

/* How far two clocks and two ways to say a time may be apart. */
static int64_t slack(const struct ftp_entry *e)
{
        return e->modified_exact ? 1 : DAY;
}

static bool differs(const struct mirror *m, const struct ftp_entry *there, const struct here *here)
{
        const struct coding *coding = &m->console->coding;
        bool sizes = coding_plain(coding) && there->size != UINT64_MAX;
        bool times = there->modified != INT64_MIN;
        int64_t ahead = times ? there->modified - here->time : 0; /* how much newer there */
        bool source_newer, target_newer;

        if (m->how->reverse)
                ahead = -ahead;
        source_newer = times && ahead > slack(there);
        target_newer = times && ahead < -slack(there);
        if (m->how->newer && target_newer)
                return false;
        return source_newer || (sizes && there->size != here->size);
}

/* ---- one folder here ---- */

static int by_name(const void *a, const void *b)
{
        return str_cmp(((const struct here *)a)->name, ((const struct here *)b)->name);
}

static int list_here(struct mirror *m, const char *path, struct arena *a, struct pair *p)
{
        int fd = local_beneath(m->root, path, O_RDONLY | O_DIRECTORY);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        size_t room = 0;
        struct dirent *e;

        if (!dir) {
                if (fd >= 0)
                        close(fd);
                return fd < 0 ? fd : -errno;
        }
        while ((e = readdir(dir)) && p->here_n < LOCAL_MOST) {
                struct here *h;
                struct stat st;

                if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
                    str_ends(str_of(e->d_name), S(PART_SUFFIX)) ||
                    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                if (p->here_n == room) {
                        struct here *old = p->here;

                        room = room ? 2 * room : 64;
                        p->here = arena_array(a, struct here, room);
                        for (size_t i = 0; i < p->here_n; i++)
                                p->here[i] = old[i];
                }
                h = &p->here[p->here_n++];
                h->name = arena_str(a, str_of(e->d_name));
                h->kind = S_ISREG(st.st_mode)   ? FTP_ENTRY_FILE
                          : S_ISDIR(st.st_mode) ? FTP_ENTRY_FOLDER
                          : S_ISLNK(st.st_mode) ? FTP_ENTRY_LINK
                                                : FTP_ENTRY_OTHER;
                h->size = (uint64_t)st.st_size;
                h->time = st.st_mtim.tv_sec;
        }
        closedir(dir);
        if (p->here_n)
                qsort(p->here, p->here_n, sizeof(*p->here), by_name);
        return 0;
}

static int list_there(struct mirror *m, const char *path, struct arena *a, struct pair *p)
{
        struct ftp_answer answer = { 0 };
        const char *there = mirror_there(m, path, a);
        size_t unsafe = 0;
        int rc;

        for (int i = 0; i < 2; i++) {
                m->site->hush++;
                rc = ftp_client_entries(m->site->client, there, a, &p->there, &p->there_n, &unsafe, &answer);
                m->site->hush--;
                if (i || !site_lost(rc, &answer) || m->console->stopped || site_again(m->site) != EX_OK)
                        break;
        }
        if (rc < 0)
                return site_failed(m->site, rc, &answer, there);
        if (unsafe)
                mirror_fail(m, say_fail(m->console, EX_DATAERR, there,
                                        "names are left out that no file here may have"));
        return EX_OK;
}

/* ---- decisions ---- */

static void delete_later(struct mirror *m, const char *path, bool folder)
{
        struct gone *g = mem_new(struct gone);

        g->path = mem_string(str_of(path));
        g->folder = folder;
        g->next = m->gone;
        m->gone = g;
}

static const struct here *find_here(const struct pair *p, struct str name)
{
        struct here key = { .name = name };

        return p->here_n ? bsearch(&key, p->here, p->here_n, sizeof(*p->here), by_name) : NULL;
}

static const struct ftp_entry *find_there(const struct pair *p, struct str name)
{
        for (size_t low = 0, high = p->there_n; low < high;) { /* sorted by name */
                size_t middle = low + (high - low) / 2;
                int c = str_cmp(p->there[middle].name, name);

                if (!c)
                        return &p->there[middle];
                if (c < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static void walk(struct mirror *m, const char *path, bool new_here, bool new_there, unsigned depth,
                 bool doomed);

/* A folder on the side that things go to. false: it cannot be made. */
static bool make_folder(struct mirror *m, const char *path)
{
        m->folders++;
        mirror_say(m, "mkdir", path);
        if (m->how->dry_run)
                return true;
        if (m->how->reverse) {
                struct arena auto_arena a = { 0 };
                struct ftp_answer answer;
                int rc;

                arena_init(&a, LINE_MOST);
                rc = site_ask(m->site, &answer, "MKD %s", mirror_there(m, path, &a));
                mirror_fail(m, rc);
                return rc == EX_OK;
        } else {
                const char *name;
                int dir = mirror_above(m, path, &name), rc = dir;

                if (dir >= 0) {
                        rc = mkdirat(dir, name, 0777) < 0 && errno != EEXIST ? -errno : 0;
                        close(dir);
                }
                if (rc < 0)
                        mirror_fail(m, say_errno(m->console, rc, path));
                return rc >= 0;
        }
}

static const char *below(struct arena *a, const char *path, struct str name)
{
        return *path ? arena_printf(a, "%s/" PRS, path, STR(name)).p : arena_str(a, name).p;
}

/* Of the side things come from: kind, size and time; of the other: what stands under that name. */
static void one(struct mirror *m, const char *path, const struct ftp_entry *there, const struct here *here,
                unsigned depth)
{
        bool up = m->how->reverse;
        enum ftp_entry_kind from = up ? here->kind : there->kind;
        bool has = up ? there != NULL : here != NULL;
        enum ftp_entry_kind to = !has ? FTP_ENTRY_OTHER : up ? there->kind : here->kind;

        if (from == FTP_ENTRY_LINK || from == FTP_ENTRY_OTHER) {
                m->links++;
                return;
        }
        if (has && (from == FTP_ENTRY_FOLDER) != (to == FTP_ENTRY_FOLDER)) {
                if (to == FTP_ENTRY_LINK && from == FTP_ENTRY_FILE && !up)
                        has = false; /* the file takes the link's name; where it leads is left alone */
                else {
                        mirror_fail(
                            m, say_fail(m->console, EX_CANTCREAT, path,
                                        "a file on one side and a directory on the other; left as it is"));
                        return;
                }
        }
        if (from == FTP_ENTRY_FOLDER) {
                if (!m->how->flat && (has || make_folder(m, path)))
                        walk(m, path, !up && !has, up && !has, depth + 1, false);
                return;
        }
        if (has && to == FTP_ENTRY_FILE && !differs(m, there, here))
                return;
        mirror_say(m, up ? "put" : "get", path);
        if (m->how->dry_run) {
                uint64_t size = up ? here->size : there->size;

                m->files++;
                m->bytes += size == UINT64_MAX ? 0 : size;
        } else if (up) {
                mirror_add(m, path, here->size, here->time);
        } else {
                mirror_add(m, path, there->size, there->modified);
        }
}

/* What stands only where things go to. A folder's contents go before it, so that it is added first. */
static void extra(struct mirror *m, const char *path, bool folder, unsigned depth)
{
        delete_later(m, path, folder);
        if (folder)
                walk(m, path, m->how->reverse, !m->how->reverse, depth + 1, true);
}

static void walk(struct mirror *m, const char *path, bool new_here, bool new_there, unsigned depth,
                 bool doomed)
{
        struct arena auto_arena a = { 0 };
        struct pair p = { .new_here = new_here, .new_there = new_there };
        bool up = m->how->reverse, folder;
        const char *full;
        int rc;

        if (depth > DEPTH_MOST || strlen(path) >= PATH_ROOM - NAME_ROOM || m->console->stopped ||
            !m->site->client) {
                m->unseen = true;
                if (!m->console->stopped)
                        mirror_fail(m, say_fail(m->console, EX_DATAERR, path, "too deep"));
                return;
        }
        arena_init(&a, ARENA_MOST);
        rc = new_here ? 0 : list_here(m, path, &a, &p);
        rc = rc < 0 ? say_errno(m->console, rc, *path ? path : ".") : EX_OK;
        if (rc == EX_OK && !new_there)
                rc = list_there(m, path, &a, &p);
        if (rc) {
                m->unseen = true;
                mirror_fail(m, rc);
                return;
        }
        for (size_t i = 0; !doomed && i < (up ? p.here_n : p.there_n) && !m->console->stopped; i++) {
                struct str name = up ? p.here[i].name : p.there[i].name;
                const struct here *here = up ? &p.here[i] : find_here(&p, name);
                const struct ftp_entry *there = up ? find_there(&p, name) : &p.there[i];

                full = below(&a, path, name);
                folder = (up ? here->kind : there->kind) == FTP_ENTRY_FOLDER;
                if (!name_allowed(name)) {
                        mirror_fail(m, say_fail(m->console, EX_DATAERR, full,
                                                "left out: no file may have this name"));
                        continue;
                }
                if (counts(m, name, str_of(full), folder))
                        one(m, full, there, here, depth);
        }
        for (size_t i = 0; m->how->delete &&i < (up ? p.there_n : p.here_n) && !m->console->stopped; i++) {
                struct str name = up ? p.there[i].name : p.here[i].name;

                folder = (up ? p.there[i].kind : p.here[i].kind) == FTP_ENTRY_FOLDER;
                full = below(&a, path, name);
                if (doomed || (counts(m, name, str_of(full), folder) && !(folder && m->how->flat) &&
                               !(up ? find_here(&p, name) != NULL : find_there(&p, name) != NULL)))
                        extra(m, full, folder, depth);
        }
}

/* A dry run finds no tree there that the real one would make. */
static bool none_there(struct mirror *m)
{
        struct arena auto_arena a = { 0 };
        struct ftp_answer answer;
        struct ftp_entry *list;
        size_t n, unsafe;
        int rc;

        if (!m->how->dry_run || !m->how->reverse || !*m->remote)
                return false;
        arena_init(&a, ARENA_MOST);
        m->site->hush++;
        rc = ftp_client_entries(m->site->client, m->remote, &a, &list, &n, &unsafe, &answer);
        m->site->hush--;
        return rc == -EREMOTEIO;
}

void mirror_list(struct mirror *m)
{
        walk(m, "", m->no_root, none_there(m), 0, false);
}
