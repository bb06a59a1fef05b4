/* Whoever fetches message 1, 2, 3 will fetch 4. The first is read alone, then 8, then batches of 64 letters or 128 KB;
 * while one batch goes out a fiber reads the next. A session has two batches at most, and so many sessions at most
 * read ahead that memory stays bounded; the others read one letter at a time. */
#include "proto/pop3/pop3.h"
#include "base/mem.h"
#include "run/fiber.h"

#include <errno.h>

enum {
        BATCH = 64,
        BATCH_BYTES = 128 << 10,
        GROWS = 8,
        AHEADS_MOST = 256, /* a process: 64 MB of batches */
};

struct batch {
        struct buf bytes;
        unsigned n, at; /* letters in it; where the next hit is likely */
        uint32_t indexes[BATCH];
        size_t ends[BATCH];
};
struct ahead {
        struct batch now, next;
        uint32_t letters[BATCH];
        unsigned planned; /* letters wanted by the read that runs */
        unsigned size;    /* how many the next read takes */
        bool counted;     /* among `aheads` */
        /* the fiber that reads `next` */
        bool busy;
        bool orphan; /* the session has left: the fiber frees all this */
        struct account *account;
        struct waitlist done;
};

static unsigned aheads; /* of the process: sessions that read more than one letter at a time */

static struct ahead *ahead_new(void)
{
        struct ahead *a = mem_new(struct ahead);

        buf_init(&a->now.bytes, BATCH_BYTES + POP3_WHOLE_MOST);
        buf_init(&a->next.bytes, BATCH_BYTES + POP3_WHOLE_MOST);
        a->size = 1;
        return a;
}

static void ahead_free(struct ahead *a)
{
        aheads -= a->counted;
        buf_free(&a->now.bytes);
        buf_free(&a->next.bytes);
        mem_free(a);
}

void ahead_drop(struct ahead **a)
{
        struct ahead *gone = *a;

        *a = NULL;
        if (gone && gone->busy)
                gone->orphan = true;
        else if (gone)
                ahead_free(gone);
}

static bool find(struct batch *b, uint32_t index, struct str *text)
{
        size_t start;

        for (unsigned i = 0; i < b->n; i++, b->at++) {
                if (b->at >= b->n)
                        b->at = 0;
                if (b->indexes[b->at] == index) {
                        start = b->at ? b->ends[b->at - 1] : 0;
                        *text = str_sub(buf_str(&b->bytes), start, b->ends[b->at] - start);
                        b->at++;
                        return true;
                }
        }
        return false;
}

/* From `index` on, `most` letters that can be had this way. */
static void plan(const struct pop3 *p, struct ahead *a, struct batch *b, uint32_t index, unsigned most)
{
        buf_clear(&b->bytes);
        b->n = b->at = a->planned = 0;
        for (; index < p->view.count && a->planned < most; index++) {
                const struct placed *m = &p->list[index];

                if (m->letter && m->size <= POP3_WHOLE_MOST && !pop3_marked(p, index)) {
                        b->indexes[a->planned] = index;
                        a->letters[a->planned++] = m->letter;
                }
        }
}

/* How many were read stands in b->n; the error is that of the letter behind them. */
static int read_batch(struct ahead *a, struct batch *b, struct account *account)
{
        size_t done = 0;
        int rc = account_read(account, a->letters, a->planned, BATCH_BYTES, &b->bytes, b->ends, &done);

        b->n = (unsigned)done;
        return rc;
}

static void read_next(void *arg)
{
        struct ahead *a = arg;
        int rc = read_batch(a, &a->next, a->account);

        (void)rc; /* what is missing is read again when it is asked for, and answered then */
        account_put(&a->account);
        a->busy = false;
        if (a->orphan)
                ahead_free(a);
        else
                wake_all(&a->done);
}

/* The batch behind `now`, unless it is there already or this session does not read in sequence. */
static void start_next(struct pop3 *p, struct ahead *a)
{
        if (a->busy || a->next.n || a->size < BATCH || !a->now.n || !fiber_self())
                return;
        plan(p, a, &a->next, a->now.indexes[a->now.n - 1] + 1, BATCH);
        if (!a->planned || account_get(p->session.server->accounts, p->session.account, &a->account) < 0)
                return;
        a->busy = true;
        if (fiber_spawn("read ahead", read_next, a) < 0) {
                a->busy = false;
                account_put(&a->account);
        }
}

static void grow(struct ahead *a, bool in_sequence)
{
        if (!in_sequence) {
                a->size = 1;
                return;
        }
        if (!a->counted && aheads < AHEADS_MOST) {
                a->counted = true;
                aheads++;
        }
        if (a->counted && a->size < BATCH)
                a->size *= GROWS;
}

static int read_now(struct pop3 *p, struct ahead *a, uint32_t index)
{
        struct account *account = NULL;
        int rc = account_get(p->session.server->accounts, p->session.account, &account);

        if (rc < 0)
                return rc == -ENOENT ? -ESTALE : rc;
        plan(p, a, &a->now, index, a->size);
        rc = read_batch(a, &a->now, account);
        account_put(&account);
        return a->now.n ? 0 : rc;
}

int ahead_letter(struct pop3 *p, uint32_t index, struct str *text)
{
        struct ahead *a = p->ahead ? p->ahead : (p->ahead = ahead_new());
        bool in_sequence = p->expected == index + 1 && index > 0;
        struct batch done;
        int rc;

        if (find(&a->now, index, text))
                return 0;
        while (a->busy)
                if (wait_on(&a->done, "read ahead", NEVER) < 0)
                        return -ECANCELED;
        if (find(&a->next, index, text)) { /* text lies in bytes that stay where they are */
                done = a->now;
                a->now = a->next;
                a->next = done;
                a->next.n = 0;
                start_next(p, a);
                return 0;
        }
        a->next.n = 0;
        grow(a, in_sequence);
        rc = read_now(p, a, index);
        if (rc < 0 || !find(&a->now, index, text))
                return rc < 0 ? rc : -EIO;
        start_next(p, a);
        return 0;
}
