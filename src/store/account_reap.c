/* Letters that have lost their last place: an expunge only notes them (`doomed`); their rows and bodies go here, in
 * slices, in the background, so that EXPUNGE of thousands answers at once. The file of a long letter goes before its
 * rows, so that a crash between leaves no file that nobody knows of; and after the note is durable, so that no power
 * cut brings back a letter without its file. */
#include "base/mem.h"
#include "base/time.h"
#include "run/offload.h"
#include "store/account_inside.h"
#include <errno.h>

enum { ROW_LETTERS = 1000, SLICE = 250 };

int letters_doom(struct db *d, const uint32_t *letters, size_t n, uint64_t until)
{
        int rc = 0;

        for (size_t i = 0; i < n && !rc; i += ROW_LETTERS) {
                size_t many = n - i < ROW_LETTERS ? n - i : ROW_LETTERS;
                struct db_row q = db_query(d, DOOMED_ADD);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, until);
                db_bind_blob(&q, 3, str_from(letters + i, many * sizeof *letters));
                rc = db_exec(&q);
        }
        return rc;
}

struct reap {
        struct account *a;
        uint64_t row, now;
        uint32_t letters[SLICE];
        uint64_t bodies[SLICE];
        bool file[SLICE];
        size_t n;
        bool files, more, waiting;
};

/* The end of the first row whose time has come. */
static int find_some(struct db *d, struct reap *r)
{
        uint64_t after = 0;
        bool more = true;
        int rc = 0;

        r->n = 0;
        r->files = r->waiting = false;
        while (more && !r->n && !rc) {
                struct db_row q = db_query(d, DOOMED_NEXT);
                struct unpack u;

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, after);
                more = db_next(&q);
                if (more) {
                        struct str letters = db_blob(&q, 2);
                        size_t most = SLICE * sizeof *r->letters;

                        after = r->row = db_u64(&q, 0);
                        r->waiting |= db_u64(&q, 1) > r->now;
                        u = unpack_of(letters.n > most ? str_from_at(letters, letters.n - most) : letters);
                        if (letters.n % sizeof *r->letters)
                                rc = -EBADMSG;
                        while (!rc && db_u64(&q, 1) <= r->now && !unpack_done(&u))
                                r->letters[r->n++] = unpack_u32(&u);
                }
                if (db_end(&q))
                        rc = db_end(&q);
        }
        return rc;
}

static int look_at(struct db *d, struct reap *r, size_t i)
{
        struct db_row q = db_query(d, LETTER_BODY);
        int rc;

        r->bodies[i] = 0;
        r->file[i] = false;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, r->letters[i]);
        if (db_next(&q))
                r->bodies[i] = db_u64(&q, 0);
        rc = db_end(&q);
        if (rc || !r->bodies[i])
                return rc;
        q = db_query(d, BODY_USES);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, r->bodies[i]);
        if (db_next(&q))
                r->file[i] = db_u64(&q, 0) && db_u64(&q, 1) <= 1; /* it lies in a file, and nobody else's */
        r->files |= r->file[i];
        return db_end(&q);
}

static int look(struct db *d, void *arg)
{
        struct reap *r = arg;
        int rc = find_some(d, r);

        for (size_t i = 0; i < r->n && !rc; i++)
                rc = look_at(d, r, i);
        return rc;
}

static int drop_files(void *arg)
{
        struct reap *r = arg;
        int dir = account_bodies(r->a), rc = dir < 0 ? dir : 0;

        for (size_t i = 0; i < r->n && !rc; i++)
                if (r->file[i]) {
                        rc = body_drop(dir, r->bodies[i]);
                        rc = rc == -ENOENT ? 0 : rc;
                }
        return rc;
}

static int run_on(struct db *d, unsigned statement, uint64_t key)
{
        struct db_row q = db_query(d, statement);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, key);
        return db_exec(&q);
}

static int drop_letter(struct db *d, uint32_t letter)
{
        struct db_row q = db_query(d, LETTER_READ);
        uint64_t body = 0;
        uint32_t thread = 0;
        bool there;
        int rc;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, letter);
        there = db_next(&q);
        if (there) {
                body = db_u64(&q, 0);
                thread = (uint32_t)db_u64(&q, 1);
        }
        rc = db_end(&q);
        if (rc || !there)
                return rc;
        rc = run_on(d, LETTER_DROP, letter);
        if (!rc)
                rc = run_on(d, BODY_DROP, body);
        if (!rc && !db_changes(d))
                rc = run_on(d, BODY_UNUSE, body);
        return rc ? rc : thread_leave(d, letter, thread);
}

/* Takes the slice off the end of its row, if it is still there: another process may have been faster. */
static int shorten(struct db *d, struct reap *r, bool *mine)
{
        struct db_row q = db_query(d, DOOMED_NEXT);
        struct buf left auto_buf;
        size_t tail = r->n * sizeof *r->letters;
        int rc;

        buf_init(&left, ROW_LETTERS * sizeof(uint32_t));
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, r->row - 1);
        *mine = false;
        if (db_next(&q) && db_u64(&q, 0) == r->row) {
                struct str letters = db_blob(&q, 2);

                *mine = letters.n >= tail &&
                        str_eq(str_from_at(letters, letters.n - tail), str_from(r->letters, tail));
                if (*mine)
                        buf_puts(&left, str_sub(letters, 0, letters.n - tail));
        }
        rc = db_end(&q);
        if (rc || !*mine)
                return rc;
        if (!left.n)
                return run_on(d, DOOMED_DROP, r->row);
        q = db_query(d, DOOMED_WRITE);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, r->row);
        db_bind_blob(&q, 3, buf_str(&left));
        return db_exec(&q);
}

static int drop(struct db *d, void *arg)
{
        struct reap *r = arg;
        bool mine = false;
        int rc = account_writes(d);

        if (!rc)
                rc = shorten(d, r, &mine);
        for (size_t i = 0; i < r->n && mine && !rc; i++)
                rc = drop_letter(d, r->letters[i]);
        return rc;
}

int account_reap(struct account *a)
{
        struct reap *r = mem_new(struct reap);
        int rc;

        r->a = a;
        r->now = (uint64_t)(wall_usec() / 1000000);
        do {
                atomic_store(&a->doomed, false);
                rc = db_transact(a->db, "look for removed letters", look, r, DB_READ);
                if (!rc && r->files)
                        rc = db_sync(a->db);
                if (!rc && r->files)
                        rc = offload(QUICK, drop_files, r);
                if (!rc && r->n)
                        rc = account_change_quietly(a, "drop removed letters", drop, r, DB_WRITE);
        } while (!rc && r->n);
        if (rc || r->waiting)
                atomic_store(&a->doomed, true);
        mem_free(r);
        return rc;
}
