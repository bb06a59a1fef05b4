/* Durable changes. Who comes while others sync waits and is done with all who came meanwhile: the data of all, the names of all, each
 * folder once. One of the fibers that wait takes all of them to a worker. */
#include "run/offload.h"
#include "store/disk.h"
#include "store/files_inside.h"
#include <errno.h>
#include <fcntl.h>

#define LONG_FOR_THE_LOOP (5 * MSECOND)
#define RESTLESS          (100 * MSECOND)

static void prepare_all(struct step *list)
{
        for (struct step *s = list; s; s = s->next) {
                s->rc = s->prepare ? s->prepare(s) : 0;
                /* The disk may begin with it while the next one is written. */
                if (!s->rc && s->data >= 0 && list->next)
                        (void)sync_file_range(s->data, 0, 0, SYNC_FILE_RANGE_WRITE);
        }
}

static void act_all(struct step *list, bool durable)
{
        for (struct step *s = list; s; s = s->next) {
                if (durable && !s->rc && s->data >= 0)
                        s->rc = disk_datasync(s->data);
        }
        for (struct step *s = list; s; s = s->next)
                if (!s->rc && s->act)
                        s->rc = s->act(s);
}

/* A folder that was synced since the last of all acts need not be again. */
struct synced {
        dev_t device;
        ino_t inode;
        int rc;
};
enum { SYNCED_MOST = 64 };

static int sync_folder(struct synced *seen, unsigned *n, int dir)
{
        struct stat st;
        int rc;

        if (fstat(dir, &st) < 0)
                return -errno;
        for (unsigned i = 0; i < *n; i++)
                if (seen[i].device == st.st_dev && seen[i].inode == st.st_ino)
                        return seen[i].rc;
        rc = disk_sync_dir(dir);
        if (*n < SYNCED_MOST)
                seen[(*n)++] = (struct synced){ st.st_dev, st.st_ino, rc };
        return rc;
}

static void sync_folders(struct step *list)
{
        struct synced seen[SYNCED_MOST];
        unsigned n = 0;

        for (struct step *s = list; s; s = s->next)
                for (unsigned i = 0; i < 2; i++)
                        if (!s->rc && s->dirs[i] >= 0)
                                s->rc = sync_folder(seen, &n, s->dirs[i]);
}

struct journey {
        struct files *files;
        struct step *list;
        bool durable;
};

static int travel(void *arg)
{
        struct journey *j = arg;

        prepare_all(j->list);
        act_all(j->list, j->durable);
        if (j->durable)
                sync_folders(j->list);
        pthread_mutex_lock(&j->files->lock);
        for (struct step *s = j->list; s; s = s->next)
                s->done = true;
        pthread_cond_broadcast(&j->files->stepped);
        pthread_mutex_unlock(&j->files->lock);
        return 0;
}

struct waiting {
        struct files *files;
        struct step *step;
};

static int wait_done(void *arg)
{
        struct waiting *w = arg;

        pthread_mutex_lock(&w->files->lock);
        while (!w->step->done)
                pthread_cond_wait(&w->files->stepped, &w->files->lock);
        pthread_mutex_unlock(&w->files->lock);
        return 0;
}

static void lead(struct files *f)
{
        struct journey j = { f, f->queue, true };

        f->queue = NULL;
        f->running = true;
        for (struct step *s = j.list; s; s = s->next)
                s->taken = true;
        (void)offload(LONG, travel, &j);
        f->running = false;
        wake_all(&f->ran);
}

static void leave_queue(struct files *f, struct step *s)
{
        struct step **at = &f->queue;

        while (*at != s)
                at = &(*at)->next;
        *at = s->next;
        s->next = NULL;
}

/* A cancelled fiber cannot wait in a list: it goes alone, or waits on a worker. */
static void without_waiting(struct files *f, struct step *s)
{
        struct waiting w = { f, s };
        struct journey j = { f, s, true };

        if (s->taken) {
                (void)offload(LONG, wait_done, &w);
        } else {
                leave_queue(f, s);
                s->taken = true;
                (void)offload(LONG, travel, &j);
        }
}

static bool is_done(struct files *f, struct step *s)
{
        bool done;

        pthread_mutex_lock(&f->lock);
        done = s->done;
        pthread_mutex_unlock(&f->lock);
        return done;
}

/* Nothing is synced: names and pages in memory, a few microseconds, less than the way to a worker. Where it took long once, because the
 * file system was busy with others' syncs, say, workers do it for a while. */
static void unsynced(struct files *f, struct step *s)
{
        struct journey alone = { f, s, false };
        nsec began = now();

        if (!s->brief || began < f->calm_at) {
                (void)offload(QUICK, travel, &alone);
                return;
        }
        travel(&alone);
        if (now() - began > LONG_FOR_THE_LOOP)
                f->calm_at = now() + RESTLESS;
}

int step_run(struct files *f, struct step *s)
{
        struct step **at = &f->queue;

        if (!f->how.durable) {
                unsynced(f, s);
                return s->rc;
        }
        while (*at)
                at = &(*at)->next;
        *at = s;
        while (!is_done(f, s)) {
                if (!f->running)
                        lead(f);
                else if (wait_on(&f->ran, "others' changes to be synced", NEVER) < 0)
                        without_waiting(f, s);
        }
        return s->rc;
}
