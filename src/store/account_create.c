/* A new account: made whole beside its place (.new-NAME), synced, then renamed into it. So a folder with the name of an
 * account is an account. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/account_inside.h"
#include "store/boot.h"
#include "store/disk.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Special use as in RFC 6154 and RFC 8621 §2. */
static const struct {
        struct str name, role;
} standard[] = {
        { S("INBOX"), S("inbox") }, { S("Drafts"), S("drafts") }, { S("Sent"), S("sent") },
        { S("Junk"), S("junk") },   { S("Trash"), S("trash") },   { S("Archive"), S("archive") },
};

static int add_counter(struct db *d, uint32_t mailbox)
{
        struct db_row q = db_query(d, COUNTER_ADD);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        db_bind_u64(&q, 3, 1);
        return db_exec(&q);
}

static int add_mailbox(struct db *d, uint32_t mailbox, uint64_t uidvalidity)
{
        struct db_row q = db_query(d, MAILBOX_ADD);
        int rc;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        db_bind_u64(&q, 3, 0);
        db_bind_text(&q, 4, standard[mailbox - 1].name);
        db_bind_text(&q, 5, standard[mailbox - 1].role);
        db_bind_u64(&q, 6, uidvalidity);
        db_bind_u64(&q, 7, 1);
        rc = db_exec(&q);
        if (rc)
                return rc;
        q = db_query(d, SUBSCRIPTION_ADD);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_text(&q, 2, standard[mailbox - 1].name);
        rc = db_exec(&q);
        return rc ? rc : add_counter(d, mailbox);
}

static int fill(struct db *d, void *arg)
{
        struct str *name = arg;
        uint64_t uidvalidity = (uint64_t)(wall_usec() / 1000000);
        struct db_row q = db_query(d, ACCOUNT_ADD);
        int rc;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_text(&q, 2, *name);
        db_bind_text(&q, 3, str_of(boot_id()));
        db_bind_u64(&q, 4, uidvalidity);
        rc = db_exec(&q);
        if (!rc)
                rc = add_counter(d, 0);
        for (uint32_t i = 1; i <= sizeof standard / sizeof standard[0] && !rc; i++)
                rc = add_mailbox(d, i, uidvalidity);
        if (rc)
                return rc;
        q = db_query(d, NUMBERS_WRITE);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, sizeof standard / sizeof standard[0] + 1);
        db_bind_u64(&q, 3, uidvalidity);
        return db_exec(&q);
}

struct making {
        struct accounts *set;
        struct str name;
        char *fresh; /* ".new-NAME" */
        char *final;
        int lock; /* on D/mail/.making: one makes accounts at a time */
};

enum { LOCK_PAUSE_MS = 5, LOCK_SECONDS = 60 };

static int take_lock(void *arg)
{
        struct making *m = arg;
        struct flock whole = { .l_type = F_WRLCK };

        if (m->lock < 0)
                m->lock = openat(m->set->dir, ".making", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (m->lock < 0)
                return -errno;
        return fcntl(m->lock, F_OFD_SETLK, &whole) < 0 ? -errno : 0;
}

static int wait_for_lock(struct making *m)
{
        nsec deadline = in_seconds(LOCK_SECONDS);
        int rc;

        while ((rc = offload(QUICK, take_lock, m)) == -EAGAIN || rc == -EACCES) {
                if (now() > deadline)
                        return -ETIMEDOUT;
                if (!fiber_self())
                        usleep(LOCK_PAUSE_MS * 1000);
                else if ((rc = fiber_sleep(now() + LOCK_PAUSE_MS * MSECOND)))
                        return rc;
        }
        return rc;
}

static int drop_lock(void *arg)
{
        struct making *m = arg;

        if (m->lock >= 0)
                close(m->lock);
        return 0;
}

/* What a crash left half made: two levels, nothing of value. */
static void clear_folder(int dir, const char *name, unsigned depth)
{
        int fd = disk_open_dir(dir, name);
        DIR *list = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;

        if (!list) {
                if (fd >= 0)
                        close(fd);
                return;
        }
        while ((e = readdir(list)))
                if (str_eq(str_of(e->d_name), S(".")) || str_eq(str_of(e->d_name), S("..")))
                        continue;
                else if (disk_unlink(dirfd(list), e->d_name) < 0 && depth)
                        clear_folder(dirfd(list), e->d_name, depth - 1);
        closedir(list);
        disk_rmdir(dir, name);
}

static int make_folder(void *arg)
{
        struct making *m = arg;
        struct stat s;
        int rc, fd;

        if (!fstatat(m->set->dir, m->final, &s, AT_SYMLINK_NOFOLLOW))
                return -EEXIST;
        clear_folder(m->set->dir, m->fresh, 1);
        rc = disk_mkdir(m->set->dir, m->fresh);
        if (rc)
                return rc;
        fd = disk_open_dir(m->set->dir, m->fresh);
        if (fd < 0)
                return fd;
        rc = disk_mkdir(fd, "bodies");
        close(fd);
        return rc;
}

static int sync_file(int dir)
{
        int fd = disk_open(dir, "account.db", O_RDWR);
        int rc = fd < 0 ? fd : disk_datasync(fd);

        if (fd >= 0)
                close(fd);
        return rc;
}

static int put_in_place(void *arg)
{
        struct making *m = arg;
        int fd = disk_open_dir(m->set->dir, m->fresh), rc;

        if (fd < 0)
                return fd;
        rc = sync_file(fd);
        if (!rc)
                rc = disk_sync_dir(fd); /* the names of file and bodies; the WAL is empty */
        close(fd);
        if (!rc)
                rc = disk_rename(m->set->dir, m->fresh, m->set->dir, m->final);
        if (rc == -ENOTEMPTY)
                rc = -EEXIST; /* another process was faster */
        return rc ? rc : disk_sync_dir(m->set->dir);
}

static int give_up(void *arg)
{
        struct making *m = arg;

        clear_folder(m->set->dir, m->fresh, 1);
        return 0;
}

static int make_file(struct making *m)
{
        struct db_store store = account_store;
        auto_buf struct buf path = { 0 };
        struct db *d = NULL;
        bool complete = false;
        int rc = account_path(m->set, str_of(m->fresh), "account.db", &path);

        store.opened = NULL; /* it has nothing to look at yet */
        if (!rc)
                rc = db_open(&d, &store, path.p, DB_CREATE | DB_UNSYNCED, NULL);
        if (!rc)
                rc = db_transact(d, "make account", fill, &m->name, DB_WRITE);
        if (!rc)
                rc = db_checkpoint(d, &complete);
        if (!rc && !complete)
                rc = -EBUSY;
        if (d)
                db_close(&d);
        return rc;
}

int account_create(struct accounts *a, struct str name)
{
        struct making m = { a, name, NULL, NULL, -1 };
        struct buf fresh auto_buf;
        int rc;

        buf_init(&fresh, 300);
        if (!account_name_valid(name))
                return -EINVAL;
        buf_printf(&fresh, ".new-" PRS, STR(name));
        m.fresh = mem_string(buf_str(&fresh));
        m.final = mem_string(name);
        rc = wait_for_lock(&m);
        if (!rc)
                rc = offload(QUICK, make_folder, &m);
        if (!rc) {
                rc = make_file(&m);
                if (!rc)
                        rc = offload(QUICK, put_in_place, &m);
                if (rc)
                        (void)offload(QUICK, give_up, &m);
        }
        (void)offload(QUICK, drop_lock, &m);
        mem_free(m.fresh);
        mem_free(m.final);
        return rc;
}
