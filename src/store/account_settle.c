/* What makes filed letters durable, and what goes on in the background: forgetting filed actions and what has gone,
 * checkpoints. */
#include "base/mem.h"
#include "run/log.h"
#include "run/offload.h"
#include "store/account_inside.h"
#include "store/disk.h"
#include <errno.h>

static int sync_bodies(void *arg)
{
        struct account *acc = arg;
        int dir = account_bodies(acc);

        return dir < 0 ? dir : disk_sync_dir(dir);
}

int account_settle(struct account *acc)
{
        bool bodies = atomic_exchange(&acc->bodies_dirty, false);
        int rc = db_sync(acc->db);

        if (!rc && bodies)
                rc = offload(QUICK, sync_bodies, acc);
        if (rc && bodies)
                atomic_store(&acc->bodies_dirty, true);
        return rc;
}

static int sync_all(void *arg)
{
        return disk_sync_all(*(int *)arg);
}

struct settling {
        struct account *acc;
        struct db_point point;
        bool bodies;
};

int accounts_settle_all(struct accounts *a)
{
        struct settling *list = mem_array(a->open + 1, sizeof *list);
        size_t n = 0;
        int rc;

        if (a->sync_failed) {
                mem_free(list);
                return a->sync_failed;
        }
        for (size_t i = 0; i < a->table_size; i++)
                for (struct account *acc = a->table[i]; acc; acc = acc->chain)
                        if (acc->state == ACCOUNT_OPEN && db_idle(acc->db)) {
                                if (!acc->refs++)
                                        account_use(acc);
                                list[n++] = (struct settling){ acc, db_point(acc->db),
                                                               atomic_exchange(&acc->bodies_dirty, false) };
                        }
        rc = offload(LONG, sync_all, &a->dir);
        if (rc) { /* the kernel says it once, and may have dropped what it could not write: nothing settles any more */
                a->sync_failed = rc;
                log_warn("settle",
                         "error=\"%s\" what=\"the log keeps everything from now on; look at the disk, then "
                         "restart\"",
                         strerrordesc_np(-rc));
        }
        for (size_t i = 0; i < n; i++) {
                if (!rc)
                        db_synced(list[i].acc->db, list[i].point);
                else if (list[i].bodies)
                        atomic_store(&list[i].acc->bodies_dirty, true);
                account_put(&list[i].acc);
        }
        mem_free(list);
        return rc;
}

static int next_segment(struct db *d, uint64_t *segment)
{
        struct db_row q = db_query(d, FILED_NEXT);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, *segment);
        *segment = db_next(&q) ? db_u64(&q, 0) : 0; /* min() of nothing is NULL, so 0 */
        return db_end(&q);
}

static int forget(struct db *d, void *arg)
{
        struct accounts *set = arg;
        uint64_t segment = 0;
        int rc = account_writes(d);

        while (!rc && !(rc = next_segment(d, &segment)) && segment) {
                struct db_row q;

                if (set->segment_exists(set->segment_context, segment))
                        continue;
                q = db_query(d, FILED_FORGET);
                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, segment);
                rc = db_exec(&q);
        }
        return rc;
}

int account_forget_filed(struct account *acc)
{
        if (!acc->set->segment_exists)
                return 0;
        return account_change_quietly(acc, "forget filed", forget, acc->set, DB_WRITE);
}

static int purge(struct db *d, void *arg)
{
        uint64_t before = *(uint64_t *)arg;
        uint64_t modseq = 0, at = 0, upto = 0;
        int rc = account_writes(d);

        while (!rc) {
                struct db_row q = db_query(d, GONE_OLDEST);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                modseq = 0;
                if (db_next(&q)) {
                        modseq = db_u64(&q, 0);
                        at = db_u64(&q, 1);
                }
                rc = db_end(&q);
                if (rc || !modseq || at >= before)
                        break;
                upto = modseq;
                q = db_query(d, GONE_PURGE);
                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, modseq);
                rc = db_exec(&q);
        }
        if (!rc && upto) {
                struct db_row q = db_query(d, ACCOUNT_FORGOTTEN);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, upto);
                rc = db_exec(&q);
        }
        return rc;
}

int account_purge_gone(struct account *acc)
{
        uint64_t before = (uint64_t)(wall_usec() / 1000000) - GONE_DAYS * 86400;

        return account_change_quietly(acc, "purge gone", purge, &before, DB_WRITE);
}

bool account_grown(const struct account *acc)
{
        return (acc->state == ACCOUNT_OPEN && db_wal_pages(acc->db) > WAL_PAGES) ||
               (acc->state == ACCOUNT_CLOSED && acc->wal_pages > WAL_PAGES_CLOSED);
}

struct tidying {
        char *name; /* since anything may happen to the table between two waits */
        bool grown;
};

static void tidy(struct account *acc, bool grown)
{
        if (atomic_load(&acc->doomed))
                (void)account_reap(acc);
        if (!grown && !account_grown(acc))
                return;
        (void)account_forget_filed(acc);
        (void)account_purge_gone(acc);
        (void)db_checkpoint(acc->db, &(bool){ false }); /* an error is said by db */
}

void accounts_checkpoint(struct accounts *a)
{
        struct tidying *list = mem_array(a->count + 1, sizeof *list);
        struct account *acc;
        size_t n = 0;

        for (size_t i = 0; i < a->table_size; i++)
                for (acc = a->table[i]; acc; acc = acc->chain) {
                        bool grown = account_grown(acc);

                        if (grown || (acc->state == ACCOUNT_OPEN && atomic_load(&acc->doomed))) {
                                list[n++] = (struct tidying){ mem_string(str_of(acc->name)), grown };
                                acc->wal_pages = 0;
                        }
                }
        for (size_t i = 0; i < n; i++) {
                if (!account_get(a, str_of(list[i].name), &acc)) {
                        tidy(acc, list[i].grown);
                        account_put(&acc);
                }
                mem_free(list[i].name);
        }
        mem_free(list);
}
