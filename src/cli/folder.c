#include "cli/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static int bad(const struct folder *f, const char *what, int code)
{
        fprintf(stderr, "pail: %s: %s: %m\n", f->path, what);
        return code;
}

int folder_enter(struct folder *f, const char *path, bool make)
{
        struct stat st;
        bool fresh;

        *f = (struct folder){ .path = path, .root = geteuid() == 0, .lock = -1 };
        fresh = make && !mkdir(path, 0755);
        if (make && !fresh && errno != EEXIST)
                return bad(f, "cannot be made", EX_CANTCREAT);
        if (stat(path, &st) < 0)
                return bad(f, "no data folder", EX_NOINPUT);
        if (!S_ISDIR(st.st_mode)) {
                errno = ENOTDIR;
                return bad(f, "no data folder", EX_NOINPUT);
        }
        f->uid = st.st_uid;
        f->gid = st.st_gid;
        if (f->root && !f->uid) { /* nothing that talks to the network runs as root */
                f->uid = f->gid = FOLDER_NOBODY;
                if (chown(path, f->uid, f->gid) < 0)
                        return bad(f, "cannot be given to nobody", EX_NOPERM);
        }
        if (!f->root && f->uid != geteuid()) {
                fprintf(stderr, "pail: %s: belongs to uid %u: run this as that user or as root\n", path,
                        f->uid);
                return EX_NOPERM;
        }
        if (chdir(path) < 0)
                return bad(f, "cannot go there", EX_NOPERM);
        return 0;
}

int folder_lock(struct folder *f)
{
        /* where root is not the owner, the owner may have put a link there to what shall become his */
        f->lock = open("pail.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (f->lock < 0)
                return bad(f, "pail.lock", EX_CANTCREAT);
        if (f->root && fchown(f->lock, f->uid, f->gid) < 0)
                return bad(f, "pail.lock", EX_NOPERM);
        if (flock(f->lock, LOCK_EX | LOCK_NB) < 0) {
                fprintf(stderr, "pail: %s: another pail serves this folder\n", f->path);
                return EX_TEMPFAIL;
        }
        return 0;
}

int folder_layout(void)
{
        static const char *const parts[] = { "mail",    "intake", "outbox", "directory", "sharing",
                                             "secrets", "keys",   "files",  "usage" };

        for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
                if (mkdir(parts[i], 0700) < 0 && errno != EEXIST) {
                        fprintf(stderr, "pail: %s: %m\n", parts[i]);
                        return EX_CANTCREAT;
                }
        return 0;
}

int folder_become_owner(const struct folder *f)
{
        gid_t gid = f->gid;

        if (!f->root)
                return 0;
        if (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(f->uid, f->uid, f->uid) < 0)
                return bad(f, "cannot become its owner", EX_NOPERM);
        return 0;
}
