#include "store/db.h"
#include "run/log.h"
#include "run/offload.h"
#include "store/db_inside.h"
#include <assert.h>
#include <errno.h>

enum { BUSY_PAUSE_MS = 5, BUSY_SECONDS = 60 };

struct job {
        struct db *d;
        const char *name;
        int (*before)(void *arg);
        int (*fn)(struct db *d, void *arg);
        void *arg;
        enum db_how how;
        bool sync; /* at once: nobody waits who could share it */
        bool need_sync;
};

static int end_failed(struct db *d, int rc)
{
        if (!sqlite3_get_autocommit(d->handle) && db_own(d, OWN_ROLLBACK))
                d->failed = rc;
        return rc;
}

static int transact(struct job *j)
{
        struct db *d = j->d;
        int before = sqlite3_total_changes(d->handle);
        int rc = db_own(d, j->how == DB_READ ? OWN_BEGIN : OWN_BEGIN_WRITE);

        if (rc)
                return end_failed(d, rc);
        rc = j->fn(d, j->arg);
        assert(!d->rows); /* fn has ended all it began */
        if (!rc)
                rc = db_own(d, OWN_COMMIT);
        if (rc)
                return end_failed(d, rc);
        if (j->how != DB_READ && sqlite3_total_changes(d->handle) != before)
                d->commits++;
        return 0;
}

static int job_run(void *arg)
{
        struct job *j = arg;
        int rc = j->before ? j->before(j->arg) : 0;

        j->before = NULL;
        if (!rc)
                rc = transact(j);
        j->need_sync = !rc && j->how == DB_SYNC && j->d->synced != j->d->commits;
        if (j->need_sync && j->sync) {
                j->need_sync = false;
                rc = db_sync_inside(j->d);
        }
        return rc;
}

/* Takes the lock, runs fn on a worker thread, gives the lock to the next. */
static int locked(struct db *d, const char *what, enum pool pool, int (*fn)(void *arg), void *arg,
                  nsec deadline)
{
        int rc;

        d->users++;
        rc = lock_take(&d->lock, what, deadline);
        if (!rc) {
                rc = offload(pool, fn, arg);
                db_say(d);
                lock_drop(&d->lock);
        }
        d->users--;
        return rc;
}

static int sync_job(void *arg)
{
        return db_sync_inside(arg);
}

struct shared_sync {
        struct db *d;
        uint64_t commits;
};

static int shared_sync_job(void *arg)
{
        struct shared_sync *s = arg;

        return s->d->synced >= s->commits ? 0 : db_sync_inside(s->d);
}

/* The lock is fair: those who commit stand before this sync in its queue, so one sync serves them all, and each of
 * them finds its own already done. */
static int sync_shared(struct db *d, nsec deadline)
{
        struct shared_sync s = { d, d->commits };

        return locked(d, "sync", QUICK, shared_sync_job, &s, deadline);
}

int db_transact_after(struct db *d, const char *name, int (*before)(void *arg),
                      int (*fn)(struct db *d, void *arg), void *arg, enum db_how how)
{
        struct job j = { d, name, before, fn, arg, how & ~(unsigned)DB_LONG, false, false };
        enum pool pool = how & DB_LONG ? LONG : QUICK;
        nsec deadline = in_seconds(BUSY_SECONDS);
        int rc;

        for (;;) {
                j.sync = !d->users;
                rc = locked(d, name, pool, job_run, &j, deadline);
                if (rc != -EBUSY)
                        break;
                if (now() > deadline)
                        return -ETIMEDOUT;
                if (fiber_self() && (rc = fiber_sleep(now() + BUSY_PAUSE_MS * MSECOND)))
                        return rc;
        }
        return rc || !j.need_sync ? rc : sync_shared(d, deadline);
}

int db_transact(struct db *d, const char *name, int (*fn)(struct db *d, void *arg), void *arg,
                enum db_how how)
{
        return db_transact_after(d, name, NULL, fn, arg, how);
}

int db_sync(struct db *d)
{
        return locked(d, "sync", QUICK, sync_job, d, in_seconds(BUSY_SECONDS));
}

struct checkpoint {
        struct db *d;
        bool complete;
};

/* First what needs no lock. Then, if readers allow it, the WAL is cut, so that whoever opens the file next has nothing
 * to read through. */
static int checkpoint_job(void *arg)
{
        struct checkpoint *c = arg;
        int frames = 0, done = 0;
        int rc = sqlite3_wal_checkpoint_v2(c->d->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &done);

        c->complete = rc == SQLITE_OK && frames == done;
        if (!c->complete)
                return rc == SQLITE_BUSY ? 0 : db_failed(c->d, rc);
        c->d->wal_pages = 0;
        rc = sqlite3_wal_checkpoint_v2(c->d->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, &frames, &done);
        return rc == SQLITE_BUSY ? 0 : db_failed(c->d, rc);
}

int db_checkpoint(struct db *d, bool *complete)
{
        struct checkpoint c = { d, false };
        int rc = locked(d, "checkpoint", LONG, checkpoint_job, &c, in_seconds(BUSY_SECONDS));

        *complete = c.complete;
        return rc;
}

bool db_idle(const struct db *d)
{
        return !d->users;
}

const char *db_path(const struct db *d)
{
        return d->path;
}

unsigned db_wal_pages(const struct db *d)
{
        return d->wal_pages;
}

uint32_t db_data_version(struct db *d)
{
        if (lock_try(&d->lock)) {
                (void)db_read_version(d, &d->version);
                lock_drop(&d->lock);
        }
        return d->version;
}

uint64_t db_commits(const struct db *d)
{
        return d->commits;
}

bool db_quiet_version(struct db *d, uint32_t *version)
{
        int rc;

        if (!lock_try(&d->lock))
                return false;
        rc = db_read_version(d, &d->version);
        *version = d->version;
        lock_drop(&d->lock);
        return !rc;
}

struct db_point db_point(struct db *d)
{
        return (struct db_point){ d->commits, db_data_version(d) };
}

void db_synced(struct db *d, struct db_point before)
{
        if (d->sync_failed || before.commits < d->synced)
                return;
        d->synced = before.commits;
        d->synced_version = before.version;
}

bool db_all_synced(struct db *d)
{
        uint32_t version;

        return d->synced == d->commits && !db_read_version(d, &version) && version == d->synced_version;
}

void db_say(struct db *d)
{
        if (d->failed && d->failed != d->said)
                log_warn("database", "file=%s error=%s", log_str(str_of(d->path)), log_str(str_of(d->why)));
        if (d->failed)
                d->said = d->failed;
        d->failed = 0;
}
