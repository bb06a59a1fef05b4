/* Threads, as RFC 8621 §3 proposes: letters that name a message-id in common and have the same base subject. What is
 * looked up is a hash of both together, so another subject begins another thread. The first match wins; two threads
 * that a later letter would join stay two. */
#include "mail/thread.h"
#include "store/account_inside.h"
#include <errno.h>

/* Of the message-id and the base subject; positive as a signed number (the key of a table), never 0. */
static uint64_t together(uint64_t id, uint64_t subject)
{
        uint64_t h = id ^ (subject * 0x9e3779b97f4a7c15u);

        h = (h ^ h >> 31) & INT64_MAX;
        return h ? h : 1;
}

size_t thread_hashes(struct arena *keep, struct arena *work, struct str letter, uint64_t **hashes)
{
        struct thread_keys *k = arena_new(work, struct thread_keys);
        size_t n = 0;

        thread_keys_of(k, work, letter);
        *hashes = arena_array(keep, uint64_t, (size_t)k->n + 1);
        if (k->own)
                (*hashes)[n++] = together(k->own, k->subject);
        for (unsigned i = 0; i < k->n; i++)
                (*hashes)[n++] = together(k->refs[i], k->subject);
        arena_reset(work);
        return n;
}

static int add(struct db *d, uint64_t hash, uint32_t thread)
{
        struct db_row q = db_query(d, REFERENCE_ADD);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, hash);
        db_bind_u64(&q, 3, thread);
        return db_exec(&q);
}

static int look(struct db *d, uint64_t hash, uint32_t *thread)
{
        struct db_row q = db_query(d, REFERENCE_READ);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, hash);
        if (db_next(&q))
                *thread = (uint32_t)db_u64(&q, 0);
        return db_end(&q);
}

static int members_write(struct db *d, uint32_t thread, struct str letters)
{
        struct db_row q = db_query(d, letters.n ? THREAD_WRITE : THREAD_DROP);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, thread);
        if (letters.n)
                db_bind_blob(&q, 3, letters);
        return db_exec(&q);
}

static int members_read(struct db *d, uint32_t thread, struct buf *out)
{
        struct db_row q = db_query(d, THREAD_READ);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, thread);
        if (db_next(&q))
                buf_puts(out, db_blob(&q, 0));
        return db_end(&q);
}

enum { MEMBERS_MAX = 1 << 20 };

static bool letter_exists(struct db *d, uint32_t letter)
{
        struct db_row q = db_query(d, LETTER_BODY);
        bool yes;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, letter);
        yes = db_next(&q);
        return !db_end(&q) && yes;
}

static int member_add(struct db *d, uint32_t thread, uint32_t letter)
{
        struct buf list auto_buf;
        int rc;

        buf_init(&list, MEMBERS_MAX * sizeof(uint32_t));
        rc = members_read(d, thread, &list);
        if (!rc && !list.n && letter_exists(d, thread))
                buf_u32(&list, thread); /* its first letter bears its number */
        if (!rc && !buf_u32(&list, letter))
                return 0; /* a thread of a million */
        return rc ? rc : members_write(d, thread, buf_str(&list));
}

int thread_join(struct db *d, uint32_t letter, const uint64_t *hashes, size_t n, uint32_t *thread)
{
        int rc = 0;

        *thread = 0;
        if (n == 1) { /* the ordinary letter that answers nothing: one statement */
                rc = add(d, hashes[0], letter);
                if (rc || db_changes(d)) {
                        *thread = letter;
                        return rc;
                }
        }
        for (size_t i = 0; i < n && !rc && !*thread; i++)
                rc = look(d, hashes[i], thread);
        if (!*thread)
                *thread = letter;
        for (size_t i = 0; i < n && !rc; i++)
                rc = add(d, hashes[i], *thread);
        if (!rc && *thread != letter)
                rc = member_add(d, *thread, letter);
        return rc;
}

int thread_leave(struct db *d, uint32_t letter, uint32_t thread)
{
        struct buf list auto_buf, left auto_buf;
        struct unpack u;
        int rc;

        buf_init(&list, MEMBERS_MAX * sizeof(uint32_t));
        buf_init(&left, MEMBERS_MAX * sizeof(uint32_t));
        rc = members_read(d, thread, &list);
        u = unpack_of(buf_str(&list));
        while (!rc && !u.bad && !unpack_done(&u)) {
                uint32_t member = unpack_u32(&u);

                if (member != letter)
                        buf_u32(&left, member);
        }
        return rc || !list.n ? rc : members_write(d, thread, buf_str(&left));
}
