/* What never changes of letters: rows read in order where they lie close together, one by one where they do not. */
#include "store/change_inside.h"
#include <errno.h>

enum { GAP = 16 /* rows that are cheaper to pass over than to look for the next one */ };

struct facts_job {
        const uint32_t *letters;
        size_t n, at;
        facts_each_fn *each;
        void *context;
        bool stop, packed; /* mime and envelope too */
};

/* How many of the letters from `at` on lie close together, ascending. */
static size_t run_of(const struct facts_job *j)
{
        size_t i = j->at + 1;

        while (i < j->n && j->letters[i] > j->letters[i - 1] && j->letters[i] - j->letters[i - 1] <= GAP)
                i++;
        return i - j->at;
}

static struct letter_facts_row row_of(struct db_row *q, bool packed)
{
        return (struct letter_facts_row){ .letter = (uint32_t)db_u64(q, 0),
                                          .thread = (uint32_t)db_u64(q, 1),
                                          .body = db_u64(q, 2),
                                          .size = db_u64(q, 3),
                                          .received = (int64_t)db_u64(q, 4),
                                          .mime = packed ? db_blob(q, 5) : S(""),
                                          .envelope = packed ? db_blob(q, 6) : S("") };
}

static int read_run(struct db *d, struct facts_job *j)
{
        struct db_row q = db_query(d, j->packed ? FACTS_RANGE : DATES_RANGE);
        size_t end = j->at + run_of(j);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->letters[j->at]);
        db_bind_u64(&q, 3, j->letters[end - 1]);
        while (j->at < end && !j->stop && db_next(&q)) {
                uint32_t letter = (uint32_t)db_u64(&q, 0);
                struct letter_facts_row row;

                while (j->at < end && j->letters[j->at] < letter) /* it is gone */
                        j->at++;
                if (j->at == end || j->letters[j->at] != letter)
                        continue;
                row = row_of(&q, j->packed);
                j->stop = !j->each(j->context, j->at++, &row);
        }
        if (!j->stop)
                j->at = end;
        return db_end(&q);
}

static int facts(struct db *d, void *arg)
{
        struct facts_job *j = arg;
        int rc = 0;

        while (!rc && j->at < j->n && !j->stop)
                rc = read_run(d, j);
        return rc;
}

/* A read transaction that has begun is not run again, so `each` sees every letter once. */
static int read_facts(struct access *x, struct facts_job *j, size_t *done)
{
        int rc = -EACCES;

        *done = 0;
        if (!(x->rights & RIGHT_READ))
                return rc;
        rc = db_transact(x->account->db, "facts of letters", facts, j,
                         j->n > 1000 ? DB_READ | DB_LONG : DB_READ);
        *done = rc ? 0 : j->at;
        return rc;
}

int change_facts(struct access *x, const uint32_t *letters, size_t n, facts_each_fn *each, void *context,
                 size_t *done)
{
        struct facts_job j = { letters, n, 0, each, context, false, true };

        return read_facts(x, &j, done);
}

int change_dates(struct access *x, const uint32_t *letters, size_t n, facts_each_fn *each, void *context,
                 size_t *done)
{
        struct facts_job j = { letters, n, 0, each, context, false, false };

        return read_facts(x, &j, done);
}
