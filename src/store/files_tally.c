/* An account's counters, a page shared by all processes (STATES.md, "Counters"). `total` is what the quota is compared with: octets of
 * files and kept parts, and what is charged. Everything that must hang together is done between `changing` up and down of the own slot, so
 * that whoever finds a dead process's slot knows whether it does. */
#include "base/mem.h"
#include "store/boot.h"
#include "store/files_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MAGIC 0x31594c54u /* "TLY1" */
enum { PAGE = 4096, SLOTS = 240 };
enum { LOCK_OPEN, LOCK_COUNT, LOCK_TREE, LOCK_SLOT = 100 }; /* bytes of the file that are locked */

struct slot {
        _Atomic int64_t charged;
        _Atomic uint32_t changing, taken;
};
struct page {
        uint32_t magic;
        char boot[40];
        _Atomic uint32_t counted;
        _Atomic int64_t total;
        _Atomic uint64_t changes; /* of the tree, begun */
        struct slot slots[SLOTS];
};
_Static_assert(sizeof(struct page) < PAGE, "one page, so that it is on disk whole");

struct tally {
        struct tally *next;
        char tag[ID_DIGITS + 1];
        unsigned refs; /* under files.lock */
        int fd;
        struct page *page;
        struct slot *mine;
        bool in_place;     /* the file system writes a page where it lies */
        atomic_bool stale; /* something was changed that could not be counted */
        pthread_mutex_t tree;
};

static int lock_byte(int fd, short type, off_t byte, bool wait)
{
        struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
        int rc;

        while ((rc = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l)) < 0 && errno == EINTR)
                ;
        return rc < 0 ? -errno : 0;
}

/* With LOCK_OPEN. What the dead had charged goes back; what they were just changing nobody knows. */
static void free_the_dead(struct tally *t)
{
        for (unsigned i = 0; i < SLOTS; i++) {
                struct slot *s = &t->page->slots[i];
                int64_t charged;

                if (s == t->mine || !atomic_load(&s->taken) ||
                    lock_byte(t->fd, F_WRLCK, LOCK_SLOT + i, false))
                        continue;
                charged = atomic_load(&s->charged);
                if (charged || atomic_load(&s->changing))
                        atomic_store(&t->page->counted, 0);
                atomic_fetch_sub(&t->page->total, charged);
                atomic_store(&s->charged, 0);
                atomic_store(&s->changing, 0);
                atomic_store(&s->taken, 0);
                lock_byte(t->fd, F_UNLCK, LOCK_SLOT + i, false);
        }
}

static int take_slot(struct tally *t)
{
        for (unsigned i = 0; i < SLOTS; i++) {
                struct slot *s = &t->page->slots[i];

                if (atomic_load(&s->taken) || lock_byte(t->fd, F_WRLCK, LOCK_SLOT + i, false))
                        continue;
                atomic_store(&s->taken, 1);
                t->mine = s;
                return 0;
        }
        return -EUSERS;
}

static int page_begin(struct tally *t)
{
        struct page *p = t->page;
        struct str boot = str_of(boot_id());

        if (p->magic != MAGIC || !str_eq(str_from(p->boot, boot.n), boot)) {
                p->magic = 0;
                atomic_store(&p->counted, 0);
                atomic_store(&p->total, 0);
                for (unsigned i = 0; i < SLOTS; i++) {
                        atomic_store(&p->slots[i].charged, 0);
                        atomic_store(&p->slots[i].changing, 0);
                        atomic_store(&p->slots[i].taken, 0);
                }
                mem_copy(p->boot, sizeof p->boot, boot);
                p->magic = MAGIC;
        }
        free_the_dead(t);
        return take_slot(t);
}

/* A page that is written in memory and finds no room on a full disk ends the process. Where pages are written in place, there is room
 * once they have been written; elsewhere the kernel is asked to write a byte of it each time, which may be refused. */
static bool writes_in_place(int fd)
{
        struct statfs s;

        if (fstatfs(fd, &s) < 0)
                return false;
        return s.f_type == EXT4_SUPER_MAGIC || s.f_type == XFS_SUPER_MAGIC || s.f_type == TMPFS_MAGIC;
}

static bool writable(struct tally *t)
{
        if (t->in_place || pwrite(t->fd, "", 1, PAGE - 1) == 1)
                return true;
        atomic_store(&t->stale, true);
        return false;
}

static int page_map(struct tally *t)
{
        static const char zeros[PAGE];
        struct stat st;
        int rc;

        if (fstat(t->fd, &st) < 0)
                return -errno;
        if (st.st_size < PAGE &&
            pwrite(t->fd, zeros, PAGE - (size_t)st.st_size, st.st_size) != PAGE - st.st_size)
                return -ENOSPC;
        t->in_place = writes_in_place(t->fd);
        if (!writable(t))
                return -ENOSPC;
        t->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
        if (t->page == MAP_FAILED) {
                t->page = NULL;
                return -errno;
        }
        rc = lock_byte(t->fd, F_WRLCK, LOCK_OPEN, true);
        if (!rc) {
                rc = page_begin(t);
                lock_byte(t->fd, F_UNLCK, LOCK_OPEN, false);
        }
        return rc;
}

static void tally_free(struct tally *t)
{
        if (t->mine && writable(t)) { /* else it is found dead */
                atomic_fetch_sub(&t->page->total, atomic_exchange(&t->mine->charged, 0));
                atomic_store(&t->mine->taken, 0);
        }
        if (t->page)
                munmap(t->page, PAGE);
        if (t->fd >= 0)
                close(t->fd);
        pthread_mutex_destroy(&t->tree);
        mem_free(t);
}

/* With files.lock. */
static int tally_open(struct files *f, const char *tag, struct tally **out)
{
        struct tally *t = mem_new(struct tally);
        int rc;

        mem_copy(t->tag, sizeof t->tag - 1, str_of(tag));
        t->refs = 1;
        pthread_mutex_init(&t->tree, NULL);
        t->fd = openat(f->usage, tag, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        rc = t->fd < 0 ? -errno : page_map(t);
        if (rc) {
                tally_free(t);
                return rc;
        }
        t->next = f->tallies;
        *out = f->tallies = t;
        return 0;
}

int tally_by_tag(struct files *f, const char *tag, struct tally **out)
{
        int rc = 0;

        pthread_mutex_lock(&f->lock);
        for (*out = f->tallies; *out && !str_eq(str_of((*out)->tag), str_of(tag));)
                *out = (*out)->next;
        if (*out)
                (*out)->refs++;
        else
                rc = tally_open(f, tag, out);
        pthread_mutex_unlock(&f->lock);
        return rc;
}

int tally_of(struct root *r, struct tally **out)
{
        struct tally *none = NULL;
        int rc;

        *out = atomic_load(&r->tally);
        if (*out)
                return 0;
        rc = tally_by_tag(r->files, r->tag, out);
        if (!rc &&
            !atomic_compare_exchange_strong(&r->tally, &none, *out)) { /* another fiber of the session */
                tally_put(r->files, out);
                *out = none;
        }
        return rc;
}

void tally_put(struct files *f, struct tally **tp)
{
        struct tally *t = *tp, **at = &f->tallies;

        *tp = NULL;
        if (!t)
                return;
        pthread_mutex_lock(&f->lock);
        if (--t->refs == 0) {
                while (*at != t)
                        at = &(*at)->next;
                *at = t->next;
                tally_free(t);
        }
        pthread_mutex_unlock(&f->lock);
}

int tally_need(struct root *r, struct tally **out)
{
        int rc = tally_of(r, out);

        if (!rc && r->quota && !tally_counted(*out))
                rc = tally_count(r, *out);
        return rc;
}

/* --- what is charged and what is used ---------------------------------------------------------------------------- */

bool tally_counted(const struct tally *t)
{
        return atomic_load(&t->page->counted);
}

uint64_t quota_of(struct root *r)
{
        uint64_t quota;

        if (!r->quota)
                return UINT64_MAX;
        if (!r->files->how.usage)
                return r->quota;
        pthread_mutex_lock(&r->files->lock);
        if (!r->letters_at || now() - r->letters_at > SECOND) {
                r->letters = usage_get(r->files->how.usage, str_of(r->account), USAGE_LETTERS);
                r->letters_at = now();
        }
        quota = r->letters < r->quota ? r->quota - r->letters : 0;
        pthread_mutex_unlock(&r->files->lock);
        return quota;
}

static int charge(struct tally *t, uint64_t most, uint64_t octets)
{
        int64_t total = atomic_load(&t->page->total);
        int rc = 0;

        if (!writable(t))
                return -ENOSPC;
        atomic_fetch_add(&t->mine->changing, 1);
        do {
                if (most != UINT64_MAX && (total < 0 ? 0 : (uint64_t)total) + octets > most)
                        rc = -EDQUOT;
        } while (!rc && !atomic_compare_exchange_weak(&t->page->total, &total, total + (int64_t)octets));
        if (!rc)
                atomic_fetch_add(&t->mine->charged, (int64_t)octets);
        atomic_fetch_sub(&t->mine->changing, 1);
        return rc;
}

/* Refused, if also what the dead had charged does not help. */
int tally_charge(struct root *r, struct tally *t, uint64_t octets)
{
        uint64_t most = quota_of(r);
        int rc = octets > INT64_MAX / 4 ? -EDQUOT : charge(t, most, octets);

        if (rc == -EDQUOT && !lock_byte(t->fd, F_WRLCK, LOCK_OPEN, true)) {
                free_the_dead(t);
                lock_byte(t->fd, F_UNLCK, LOCK_OPEN, false);
                rc = octets > INT64_MAX / 4 ? -EDQUOT : charge(t, most, octets);
        }
        return rc;
}

void tally_uncharge(struct tally *t, uint64_t octets)
{
        if (!octets || !writable(t))
                return;
        atomic_fetch_add(&t->mine->changing, 1);
        atomic_fetch_sub(&t->page->total, (int64_t)octets);
        atomic_fetch_sub(&t->mine->charged, (int64_t)octets);
        atomic_fetch_sub(&t->mine->changing, 1);
}

bool tally_begin(struct tally *t)
{
        if (!t || !writable(t))
                return false;
        atomic_fetch_add(&t->mine->changing, 1);
        atomic_fetch_add(&t->page->changes, 1);
        if (atomic_exchange(&t->stale, false))
                atomic_store(&t->page->counted, 0);
        return true;
}

void tally_take(struct tally *t, uint64_t octets)
{
        atomic_fetch_add(&t->mine->charged, (int64_t)octets);
}

static void tell(struct root *r, struct tally *t)
{
        if (r && r->files->how.usage && tally_counted(t))
                usage_set(r->files->how.usage, str_of(r->account), USAGE_FILES, tally_used(t));
}

void tally_end(struct root *r, struct tally *t, bool begun, int64_t octets, uint64_t charged)
{
        if (!begun)
                return;
        atomic_fetch_add(&t->page->total, octets - (int64_t)charged);
        atomic_fetch_sub(&t->mine->charged, (int64_t)charged);
        atomic_fetch_sub(&t->mine->changing, 1);
        if (octets)
                tell(r, t);
}

/* The mutex for our threads, the byte for other processes: a lock on a file is the whole process's. */
void tally_lock(struct tally *t)
{
        if (!t)
                return;
        pthread_mutex_lock(&t->tree);
        (void)lock_byte(t->fd, F_WRLCK, LOCK_TREE, true);
}

void tally_unlock(struct tally *t)
{
        if (!t)
                return;
        (void)lock_byte(t->fd, F_UNLCK, LOCK_TREE, false);
        pthread_mutex_unlock(&t->tree);
}

static int64_t sum_charged(const struct tally *t, uint64_t *changing)
{
        int64_t charged = 0;

        *changing = 0;
        for (unsigned i = 0; i < SLOTS; i++) {
                charged += atomic_load(&t->page->slots[i].charged);
                *changing += atomic_load(&t->page->slots[i].changing);
        }
        return charged;
}

uint64_t tally_used(const struct tally *t)
{
        uint64_t changing;
        int64_t used = atomic_load(&t->page->total) - sum_charged(t, &changing);

        return used < 0 ? 0 : (uint64_t)used;
}

uint64_t tally_total(const struct tally *t)
{
        int64_t total = atomic_load(&t->page->total);

        return total < 0 ? 0 : (uint64_t)total;
}

/* --- counting ---------------------------------------------------------------------------------------------------- */

/* `total` is put right by the difference, so that what is charged meanwhile stays charged. False: something was changing. */
static bool put_right(struct tally *t, uint64_t counted, bool anyway)
{
        uint64_t before, after;
        int64_t total = atomic_load(&t->page->total), charged = sum_charged(t, &before);

        (void)sum_charged(t, &after);
        if (!anyway && (before || after || total != atomic_load(&t->page->total)))
                return false;
        atomic_fetch_add(&t->page->total, (int64_t)counted - (total - charged));
        return true;
}

static int count_once(struct root *r, struct tally *t, bool last, bool *done)
{
        uint64_t changes = atomic_load(&t->page->changes), changing, octets = 0;
        int rc;

        (void)sum_charged(t, &changing);
        rc = files_walk(r, &octets);
        if (rc)
                return rc;
        octets += parts_kept(r->files, r->tag);
        *done = last || (!changing && atomic_load(&t->page->changes) == changes);
        for (unsigned tries = 0; *done && !put_right(t, octets, tries > 1000); tries++)
                usleep(10);
        return 0;
}

int tally_count(struct root *r, struct tally *t)
{
        int rc = 0;
        int fd = openat(r->files->usage, r->tag, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

        /* A descriptor of its own: the lock must keep our own threads apart too. */
        if (fd < 0)
                return -errno;
        rc = lock_byte(fd, F_WRLCK, LOCK_COUNT, true);
        for (unsigned tries = 0; !rc && !tally_counted(t); tries++) {
                bool done = false;

                rc = count_once(r, t, tries >= 3, &done);
                if (!rc && done)
                        atomic_store(&t->page->counted, 1);
        }
        close(fd);
        if (!rc)
                tell(r, t);
        return rc;
}
