/* Filing: letters into mailboxes, a batch in one transaction. All that needs no lock (parsing) comes before it; inside,
 * the counters and the last page of a mailbox are read and written once. */
#include "base/mem.h"
#include "run/offload.h"
#include "store/account_filing.h"
#include "store/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PARSE_IN_MEMORY = 1024 * 1024 };

static int parse_text(struct filing_job *j, struct filing_parsed *p, struct str text)
{
        struct scratch *s = j->scratch;

        if (text.n > UINT32_MAX)
                return -EFBIG;
        p->size = text.n;
        p->mime = s->packed.n;
        mime_parse(&s->mime, text);
        if (!mime_pack(&s->mime, &s->packed))
                return -E2BIG;
        p->mime_end = s->packed.n;
        p->n = thread_hashes(&s->arena, &s->keys, str_sub(text, 0, MIME_HEADER_MAX), &p->hashes);
        return 0;
}

/* A long letter lies in frames. Up to a megabyte it is parsed in ordinary memory, beyond that in memory which the
 * kernel can take back. */
static int parse_staged(struct filing_job *j, struct filing *f, struct filing_parsed *p)
{
        uint64_t size = 0;
        struct str text;
        int rc = body_size(f->staged_dir, f->staged_name, &size);

        if (rc)
                return rc;
        if (size <= PARSE_IN_MEMORY) {
                buf_clear(&j->scratch->text);
                rc = body_read(f->staged_dir, f->staged_name, 0, (size_t)size, &j->scratch->text);
                return rc ? rc : parse_text(j, p, buf_str(&j->scratch->text));
        }
        if (!j->patient)
                return -EAGAIN;
        rc = body_map(f->staged_dir, f->staged_name, f->staged_dir, &text);
        if (!rc)
                rc = parse_text(j, p, text);
        body_unmap(&text);
        return rc;
}

/* -EAGAIN: there is a very long letter, come again with patience. */
int filing_parse(void *arg)
{
        struct filing_job *j = arg;
        struct scratch *s = j->scratch;

        buf_clear(&s->packed);
        j->parsed = arena_array(&s->arena, struct filing_parsed, j->n);
        for (size_t i = 0; i < j->n; i++) {
                struct filing *f = &j->list[i];

                f->error = f->staged_dir >= 0 ? parse_staged(j, f, &j->parsed[i])
                                              : parse_text(j, &j->parsed[i], f->text);
                if (f->error == -EAGAIN)
                        return -EAGAIN;
                f->size = j->parsed[i].size;
        }
        return 0;
}

static int store_ends(struct filing_job *j, struct db *d)
{
        int rc = 0;

        for (struct filing_end *e = j->ends; e && !rc; e = e->next) {
                rc = end_finish(d, &e->end);
                if (!rc)
                        rc = counter_write(d, &e->c);
        }
        return rc;
}

static int end_of(struct filing_job *j, struct db *d, struct str name, struct filing_end **out)
{
        uint32_t mailbox = j->x ? j->x->mailbox : MAILBOX_INBOX;
        struct filing_end *e;
        int rc = j->x ? 0 : mailbox_find(d, name, &mailbox);

        if (rc && rc != -ENOENT)
                return rc;
        for (e = j->ends; e && e->c.mailbox != mailbox; e = e->next)
                ;
        *out = e;
        if (e)
                return 0;
        e = *out = arena_new(&j->scratch->arena, struct filing_end);
        rc = counter_read(d, mailbox, &e->c);
        if (!rc)
                rc = counter_ahead(d, &e->c, j->n, 0);
        if (!rc)
                rc = end_begin(d, &e->c, &e->end);
        e->next = j->ends;
        j->ends = e;
        return rc;
}

/* The flags that the rights allow; \Seen of another reader lies apart. */
static int flags_of(struct filing_job *j, struct db *d, const struct filing *f, uint64_t *flags)
{
        *flags = j->x ? f->flags & flags_allowed(j->x) : f->flags;
        if (!j->x || !j->x->reader_number || !(*flags & FLAG_SEEN))
                return 0;
        *flags &= ~(uint64_t)FLAG_SEEN;
        return seen_set(d, &j->seen, f->uid, true);
}

static int place_letter(struct filing_job *j, struct db *d, struct filing_end *e, const struct filing *f,
                        uint32_t size)
{
        struct placed p = { f->uid, f->letter, j->all.modseq, size, j->now, 0 };
        int rc = flags_of(j, d, f, &p.flags);

        j->all.count++;
        j->all.octets += size;
        j->filed++;
        return rc ? rc : end_add(d, &e->end, &p);
}

static int add_body(struct db *d, const struct filing *f, uint64_t id)
{
        struct db_row q = db_query(d, BODY_ADD);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, id);
        if (f->staged_dir >= 0)
                db_bind_null(&q, 3);
        else
                db_bind_blob(&q, 3, f->text);
        return db_exec(&q);
}

static int add_letter(struct filing_job *j, struct db *d, const struct filing *f,
                      const struct filing_parsed *p, uint32_t mailbox, uint32_t thread)
{
        const uint32_t places[2] = { mailbox, f->uid };
        struct db_row q = db_query(d, LETTER_ADD);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, f->letter);
        db_bind_u64(&q, 3, f->letter);
        db_bind_u64(&q, 4, thread);
        db_bind_u64(&q, 5, p->size);
        db_bind_u64(&q, 6, (uint64_t)f->received);
        db_bind_blob(&q, 7, mailbox ? str_from(places, sizeof places) : S(""));
        db_bind_blob(&q, 8, f->envelope);
        db_bind_blob(&q, 9, str_sub(buf_str(&j->scratch->packed), p->mime, p->mime_end - p->mime));
        return db_exec(&q);
}

static void bind_action(struct db_row *q, const struct filing *f)
{
        db_bind_u64(q, 1, ACCOUNT_ID);
        db_bind_u64(q, 2, f->segment);
        db_bind_u64(q, 3, f->sequence);
        db_bind_u64(q, 4, f->number);
}

/* -EEXIST: it is there already. */
static int filed_add(struct db *d, const struct filing *f, uint64_t letter)
{
        struct db_row q;
        int rc;

        if (!f->segment)
                return 0;
        q = db_query(d, FILED_ADD);
        bind_action(&q, f);
        db_bind_u64(&q, 5, letter);
        rc = db_exec(&q);
        return rc || db_changes(d) ? rc : -EEXIST;
}

static int filed_remove(struct db *d, const struct filing *f)
{
        struct db_row q;

        if (!f->segment)
                return 0;
        q = db_query(d, FILED_REMOVE);
        bind_action(&q, f);
        return db_exec(&q);
}

/* The name in bodies/ is durable only once the account was settled. If a power cut took it and left the letter, the log
 * still has the body: this is where it comes back. */
static int heal(struct filing_job *j, struct db *d, struct filing *f)
{
        struct db_row q = db_query(d, FILED_LETTER);
        uint64_t letter = 0;
        bool lives = false;
        char name[24];
        int rc, dir;

        bind_action(&q, f);
        if (db_next(&q))
                letter = db_u64(&q, 0);
        rc = db_end(&q);
        if (rc)
                return rc;
        q = db_query(d, LETTER_BODY);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, letter);
        lives = db_next(&q);
        rc = db_end(&q);
        if (rc || !lives)
                return rc;
        dir = account_bodies(j->a);
        body_name(letter, name);
        if (dir >= 0 && faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                f->error = body_link(f->staged_dir, f->staged_name, dir, letter);
        atomic_store(&j->a->bodies_dirty, true); /* whoever filed it may have died before it settled */
        return 0;
}

/* What fails here for this letter alone is its own error; its row of `filed` goes again. */
static int link_staged(struct filing_job *j, struct db *d, struct filing *f)
{
        int rc = account_bodies(j->a);

        if (rc >= 0)
                rc = body_link(f->staged_dir, f->staged_name, rc, f->letter);
        if (!rc) {
                j->linked = true;
                atomic_store(&j->a->bodies_dirty, true);
                return 0;
        }
        f->error = rc;
        return filed_remove(d, f);
}

static int file_one(struct filing_job *j, struct db *d, struct filing *f, const struct filing_parsed *p)
{
        struct filing_end *e = NULL;
        uint32_t thread;
        int rc = filed_add(d, f, j->all.uidnext);

        f->duplicate = rc == -EEXIST;
        if (f->duplicate)
                return f->staged_dir >= 0 ? heal(j, d, f) : 0;
        if (rc)
                return rc;
        if (!j->unplaced)
                rc = end_of(j, d, f->mailbox, &e);
        if (rc)
                return rc;
        f->letter = (uint32_t)j->all.uidnext++;
        if (f->staged_dir >= 0) {
                rc = link_staged(j, d, f);
                if (rc || f->error)
                        return rc;
        }
        if (e)
                f->uid = (uint32_t)e->c.uidnext++;
        rc = add_body(d, f, f->letter);
        if (!rc)
                rc = thread_join(d, f->letter, p->hashes, p->n, &thread);
        if (!rc)
                rc = add_letter(j, d, f, p, e ? e->c.mailbox : 0, thread);
        return rc || !e ? rc : place_letter(j, d, e, f, (uint32_t)p->size);
}

static int check_room(const struct filing_job *j)
{
        uint64_t room = j->room;

        for (size_t i = 0; i < j->n; i++) {
                if (j->list[i].error)
                        return j->list[i].error;
                if (j->parsed[i].size > room)
                        return -EDQUOT;
                room -= j->parsed[i].size;
        }
        return 0;
}

/* What the log does not stand behind: nothing, if one of them cannot be filed. */
static int begin_whole(struct filing_job *j, struct db *d)
{
        int rc = check_room(j);

        j->seen = (struct seen_piece){ 0 };
        if (rc || !j->x)
                return rc;
        j->seen.mailbox = j->x->mailbox;
        j->seen.reader = j->x->reader_number;
        return mailbox_current(d, j->x->mailbox, j->x->uidvalidity);
}

static int doom_unplaced(struct filing_job *j, struct db *d)
{
        uint32_t letters[BATCH_MAX];

        for (size_t i = 0; i < j->n; i++)
                letters[i] = j->list[i].letter;
        atomic_store(&j->a->doomed, true);
        return letters_doom(d, letters, j->n, j->now + UNPLACED_SECONDS);
}

static int finish_batch(struct filing_job *j, struct db *d)
{
        int rc = store_ends(j, d);

        if (!rc)
                rc = seen_store(d, &j->seen);
        if (!rc && j->unplaced)
                rc = doom_unplaced(j, d);
        if (!rc && (j->filed || j->unplaced))
                rc = counter_write(d, &j->all);
        if (!rc && j->linked && j->synced) /* no letter without its body, also after a power cut */
                rc = disk_sync_dir(account_bodies(j->a));
        return rc;
}

int filing_run(struct db *d, void *arg)
{
        struct filing_job *j = arg;
        bool whole = j->x || j->unplaced;
        int rc = account_writes(d);

        j->ends = NULL;
        j->filed = 0;
        j->linked = false;
        if (!rc && whole)
                rc = begin_whole(j, d);
        if (!rc)
                rc = counter_read(d, 0, &j->all);
        if (!rc)
                rc = counter_ahead(d, &j->all, j->n, 1);
        j->all.modseq++;
        for (size_t i = 0; i < j->n && !rc; i++) {
                struct filing *f = &j->list[i];

                f->duplicate = false;
                f->uid = f->letter = 0;
                if (!f->error)
                        rc = file_one(j, d, f, &j->parsed[i]);
                if (!rc && whole)
                        rc = f->error;
        }
        return rc ? rc : finish_batch(j, d);
}

/* A full disk says so while the commit is written, before it counts; so the bodies that were linked for it belong to nobody
 * as long as the counter has not come to their numbers. It is held still here, and nothing is written. */
static int drop_linked(struct db *d, void *arg)
{
        struct filing_job *j = arg;
        int rc, bodies = account_bodies(j->a);
        struct counter c;

        rc = counter_read(d, 0, &c);
        for (size_t i = 0; i < j->n && !rc && bodies >= 0; i++)
                if (j->list[i].staged_dir >= 0 && j->list[i].letter >= c.uidnext)
                        (void)body_drop(bodies, j->list[i].letter);
        return rc ? rc : -ECANCELED;
}

int filing_do(struct filing_job *j, const char *name, int (*fn)(struct db *d, void *arg), enum db_how how)
{
        int rc;

        if (j->n > BATCH_MAX)
                return -E2BIG;
        if (!j->n)
                return 0;
        j->now = (uint32_t)(wall_usec() / 1000000);
        j->synced = how == DB_SYNC;
        j->scratch = scratch_take(j->a->set);
        rc = account_change(j->a, name, filing_parse, fn, j, how);
        if (rc == -EAGAIN) {
                j->patient = true;
                rc = offload(LONG, filing_parse, j);
                if (!rc)
                        rc = account_change(j->a, name, NULL, fn, j, how);
        }
        if (rc == -ENOSPC && j->linked && (j->x || j->unplaced)) /* the log would come again */
                (void)db_transact(j->a->db, "drop bodies", drop_linked, j, DB_WRITE);
        scratch_give(j->a->set, j->scratch);
        return rc;
}

static int file(struct account *a, struct filing *list, size_t n, enum db_how how)
{
        struct filing_job j = { .a = a, .list = list, .n = n };

        return filing_do(&j, "file letters", filing_run, how);
}

int account_file(struct account *a, struct filing *list, size_t n)
{
        return file(a, list, n, DB_WRITE);
}

int account_file_synced(struct account *a, struct filing *list, size_t n)
{
        return file(a, list, n, DB_SYNC);
}
