#include "store/stage.h"
#include "base/mem.h"
#include "run/log.h"
#include "run/offload.h"
#include "store/account_inside.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER ".staged"
#define PIECE  ((size_t)256 * 1024) /* of a long letter, gathered for one trip to a worker */

enum {
        MEMORY_MOST =
            64 << 20, /* of all letters that arrive in this process: beyond, they are staged early */
        EARLY = 4096,
        STAGED_NAME = 40,
        ID_DIGITS = 16,
};

struct stage {
        struct accounts *set;
        struct buf text; /* what was not written yet */
        struct body_stage *body;
        char name[STAGED_NAME];
        uint64_t size;
        size_t counted; /* in stages.memory */
        bool staged;    /* there is a body file */
        int error;
};

/* --- the folder: one for a process's set of accounts ---------------------------------------------------------- */

static int lock(int fd)
{
        struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        return fcntl(fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

/* Whose letters begin with this id: does that process live? It holds the lock then. */
static bool maker_lives(int dir, struct str id)
{
        char name[STAGED_NAME];
        bool lives;
        int fd;

        snprintf(name, sizeof name, PRS ".lock", STR(id));
        fd = disk_open(dir, name, O_RDWR);
        if (fd < 0)
                return fd != -ENOENT;
        lives = lock(fd) != 0;
        close(fd);
        return lives;
}

/* What processes that were killed have left behind. */
static void sweep(struct accounts *a)
{
        int dir = disk_open_dir(a->dir, FOLDER), again;
        struct dirent *e;
        DIR *d;

        if (dir < 0)
                return;
        again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = again < 0 ? NULL : fdopendir(again);
        if (!d && again >= 0)
                close(again);
        while (d && (e = readdir(d)))
                if (strlen(e->d_name) > ID_DIGITS && !maker_lives(dir, str_from(e->d_name, ID_DIGITS)))
                        (void)disk_unlink(dir, e->d_name);
        if (d)
                closedir(d);
        close(dir);
}

void stages_open(struct accounts *a)
{
        a->stages = (struct stages){ .dir = -1, .lock = -1 };
        sweep(a);
}

static void lock_name(const struct stages *g, char name[static STAGED_NAME])
{
        snprintf(name, STAGED_NAME, "%016llx.lock", (unsigned long long)g->id);
}

void stages_close(struct accounts *a)
{
        struct stages *g = &a->stages;
        char name[STAGED_NAME];

        if (g->lock >= 0) {
                lock_name(g, name);
                (void)disk_unlink(g->dir, name);
                close(g->lock);
        }
        if (g->dir >= 0)
                close(g->dir);
        g->dir = g->lock = -1;
}

/* A name of our own, locked. Whoever sweeps may take our fresh lock file for one that was left: then another one. */
static int lock_make(struct stages *g)
{
        char name[STAGED_NAME];
        struct stat st;

        for (int tries = 0; tries < 100; tries++) {
                int fd;

                if (getrandom(&g->id, sizeof g->id, 0) != (ssize_t)sizeof g->id)
                        return -EIO;
                lock_name(g, name);
                fd = disk_create(g->dir, name, 0);
                if (fd < 0 && fd != -EEXIST)
                        return fd;
                if (fd < 0)
                        continue;
                if (!lock(fd) && !fstat(fd, &st) && st.st_nlink) {
                        g->lock = fd;
                        return 0;
                }
                close(fd);
        }
        return -EAGAIN;
}

static int folder_open(void *arg)
{
        struct accounts *a = arg;
        struct stages *g = &a->stages;
        int rc = 0;

        pthread_mutex_lock(&a->lock);
        if (g->dir < 0) {
                rc = disk_mkdir(a->dir, FOLDER);
                g->dir = rc && rc != -EEXIST ? rc : disk_open_dir(a->dir, FOLDER);
                rc = g->dir < 0 ? g->dir : 0;
        }
        if (!rc && g->lock < 0)
                rc = lock_make(g);
        pthread_mutex_unlock(&a->lock);
        return rc;
}

/* --- one letter ------------------------------------------------------------------------------------------------ */

struct stage *stage_new(struct accounts *set)
{
        struct stage *g = mem_new(struct stage);

        g->set = set;
        buf_init(&g->text, BODY_INLINE_MAX + PIECE);
        return g;
}

static void count(struct stage *g)
{
        g->set->stages.memory += g->text.cap;
        g->set->stages.memory -= g->counted;
        g->counted = g->text.cap;
}

static int body_open(void *arg)
{
        struct stage *g = arg;

        return body_stage_open(&g->body, g->set->stages.dir, g->name);
}

static int body_put(void *arg)
{
        struct stage *g = arg;

        return body_stage_put(g->body, buf_str(&g->text));
}

static int body_finish(void *arg)
{
        struct stage *g = arg;
        int rc = g->text.n ? body_stage_put(g->body, buf_str(&g->text)) : 0;

        if (rc >= 0)
                rc = body_stage_finish(g->body);
        if (rc >= 0)
                body_stage_close(&g->body, true);
        return rc;
}

static int body_remove(void *arg)
{
        struct stage *g = arg;

        if (g->body)
                body_stage_close(&g->body, false);
        else if (disk_unlink(g->set->stages.dir, g->name) < 0)
                log_warn("staged-body", "file=%s what=\"cannot be removed\"", g->name);
        return 0;
}

/* What has gathered goes to the body file, which is begun with the first of it. */
static void spill(struct stage *g)
{
        struct stages *all = &g->set->stages;

        if (!g->staged) {
                g->error = all->lock < 0 ? offload(QUICK, folder_open, g->set) : 0;
                if (g->error < 0)
                        return;
                snprintf(g->name, sizeof g->name, "%016llx-%u.body", (unsigned long long)all->id,
                         ++all->number);
                g->error = offload(LONG, body_open, g);
                if (g->error < 0)
                        return;
                g->staged = true;
        }
        g->error = offload(LONG, body_put, g);
        buf_clear(&g->text);
}

int stage_put(struct stage *g, struct str piece)
{
        while (piece.n && g->error >= 0) {
                size_t room = (g->staged ? PIECE : BODY_INLINE_MAX) - g->text.n;
                struct str now_put = str_sub(piece, 0, room);

                buf_puts(&g->text, now_put);
                g->size += now_put.n;
                piece = str_from_at(piece, now_put.n);
                count(g);
                if (piece.n || (g->set->stages.memory > MEMORY_MOST && g->text.n >= EARLY))
                        spill(g);
        }
        return g->error < 0 ? g->error : 0;
}

int stage_finish(struct stage *g, struct filing *f)
{
        f->staged_dir = -1;
        f->staged_name = NULL;
        f->text = S("");
        if (g->error >= 0 && g->staged && g->body)
                g->error = offload(LONG, body_finish, g);
        if (g->error < 0)
                return g->error;
        if (g->staged) {
                buf_free(&g->text);
                f->staged_dir = g->set->stages.dir;
                f->staged_name = g->name;
        } else {
                buf_trim(&g->text);
                f->text = buf_str(&g->text);
        }
        count(g);
        return 0;
}

void stage_free(struct stage **gp)
{
        struct stage *g = *gp;

        *gp = NULL;
        if (!g)
                return;
        buf_free(&g->text);
        count(g);
        if (g->staged)
                (void)offload(LONG, body_remove, g);
        mem_free(g);
}

uint64_t stage_size(const struct stage *g)
{
        return g->size;
}
