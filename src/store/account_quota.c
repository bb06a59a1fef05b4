/* Quotas that letters and files share (store/usage.h). */
#include "run/offload.h"
#include "store/account_inside.h"
#include "store/db.h"
#include "store/usage.h"

void accounts_usage(struct accounts *a, struct usage *usage)
{
        a->usage = usage;
}

static int tell(struct db *d, void *arg)
{
        struct account *a = arg;
        struct counter c;
        int rc = counter_read(d, 0, &c);

        if (!rc && c.octets != a->told) {
                usage_set(a->set->usage, str_of(a->name), USAGE_LETTERS, c.octets);
                a->told = c.octets;
        }
        return rc;
}

/* A hint: if it cannot be told now, it is after the next change. */
void account_tell(struct account *a)
{
        if (a->set->usage)
                (void)db_transact(a->db, "tell usage", tell, a, DB_READ);
}

struct files_job {
        struct account *account;
        uint64_t octets;
};

static int ask_files(void *arg)
{
        struct files_job *j = arg;

        j->octets = usage_get(j->account->set->usage, str_of(j->account->name), USAGE_FILES);
        return 0;
}

int account_taken(struct account *a, uint64_t *octets)
{
        struct files_job j = { a, 0 };
        uint64_t letters;
        int rc = account_usage(a, octets, &letters);

        if (!rc && a->set->usage) {
                rc = offload(QUICK, ask_files, &j);
                *octets += j.octets;
        }
        return rc;
}
