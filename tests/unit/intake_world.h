/* For the tests of the intake: accounts that live in memory, so that each can be told to fail, and so that what they were given
 * outlives a "crash": an intake that is closed with its segments lying there, or a folder somebody wrote bytes into. */
#pragma once
#include "fibers.h"
#include "base/buf.h"
#include "base/mem.h"
#include "run/log.h"
#include "store/disk.h"
#include "store/intake.h"
#include "store/body.h"
#include "store/intake_record.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- accounts in memory ---- */

struct account {
        char name[32];
};
struct filed {
        char account[32], mailbox[32];
        uint64_t segment, sequence, flags;
        uint32_t number;
        struct buf text;
};
static struct filed *filed;
static size_t filed_count, duplicates;
static int fail_rc;            /* what account_file returns */
static const char *fail_name;  /* for this account */
static const char *no_account; /* this one does not exist */
static int settle_rc;
static unsigned settled_each, settled_all, bells;

int account_get(struct accounts *a, struct str name, struct account **out)
{
        (void)a;
        if (no_account && str_eq(name, str_of(no_account)))
                return -ENOENT;
        *out = mem_new(struct account);
        mem_copy((*out)->name, sizeof(*out)->name - 1, name);
        return 0;
}

void account_put(struct account **a)
{
        mem_free(*a);
        *a = NULL;
}

static int read_text(const struct filing *f, struct buf *out)
{
        uint64_t size = 0;
        int rc;

        buf_init(out, 1 << 24);
        if (!f->staged_name) {
                buf_puts(out, f->text);
                return 0;
        }
        rc = body_size(f->staged_dir, f->staged_name, &size);
        return rc < 0 ? rc : body_read(f->staged_dir, f->staged_name, 0, (size_t)size, out);
}

static void file_one(struct account *a, struct filing *f)
{
        struct filed *to;

        for (size_t k = 0; k < filed_count; k++)
                if (!strcmp(filed[k].account, a->name) && filed[k].segment == f->segment &&
                    filed[k].sequence == f->sequence && filed[k].number == f->number) {
                        duplicates++;
                        f->duplicate = true;
                        return;
                }
        filed = mem_grow(filed, filed_count + 1, sizeof *filed);
        to = &filed[filed_count];
        *to = (struct filed){
                .segment = f->segment, .sequence = f->sequence, .number = f->number, .flags = f->flags
        };
        f->error = read_text(f, &to->text);
        if (f->error < 0)
                return;
        mem_copy(to->account, sizeof to->account - 1, str_of(a->name));
        mem_copy(to->mailbox, sizeof to->mailbox - 1, f->mailbox);
        filed_count++;
}

struct job {
        struct account *account;
        struct filing *list;
        size_t n;
};

static pthread_mutex_t filing_mutex = PTHREAD_MUTEX_INITIALIZER;

static int file_job(void *arg)
{
        struct job *j = arg;

        pthread_mutex_lock(&filing_mutex);
        for (size_t k = 0; k < j->n; k++)
                file_one(j->account, &j->list[k]);
        pthread_mutex_unlock(&filing_mutex);
        return 0;
}

int account_file(struct account *a, struct filing *list, size_t n)
{
        struct job j = { a, list, n };

        if (fail_rc && (!fail_name || !strcmp(fail_name, a->name)))
                return fail_rc;
        return offload(QUICK, file_job, &j);
}

int account_file_synced(struct account *a, struct filing *list, size_t n)
{
        return account_file(a, list, n);
}

int account_settle(struct account *a)
{
        (void)a;
        settled_each++;
        return settle_rc;
}

int accounts_settle_all(struct accounts *a)
{
        (void)a;
        settled_all++;
        return settle_rc;
}

void accounts_segments(struct accounts *a, segment_exists_fn *exists, void *context)
{
        (void)a;
        (void)exists;
        (void)context;
}

void accounts_checkpoint(struct accounts *a)
{
        (void)a;
}

/* The first letter's place in the alphabet: "a..." lives in process 0, "b..." in 1. */
unsigned account_home(struct str name, unsigned processes)
{
        return (unsigned)(name.n ? name.p[0] - 'a' : 0) % processes;
}

/* ---- a folder, and intakes on it ---- */

static char folder[32];
static int folder_fd;
static struct intake *intakes[2];
static struct outbox *outbox; /* NULL: none */
static bool tells_refused, dones_lost;

static int direct_file(void *context, unsigned to, const struct intake_place *place)
{
        (void)context;
        if (tells_refused || !intakes[to])
                return -EPIPE;
        intake_file_for_peer(intakes[to], place);
        return 0;
}

static int direct_done(void *context, unsigned to, const struct intake_place *place)
{
        (void)context;
        if (dones_lost)
                return 0;
        if (!intakes[to])
                return -EPIPE;
        intake_done_by_peer(intakes[to], place);
        return 0;
}

static void ring(void *context, struct str account)
{
        (void)context;
        (void)account;
        bells++;
}

static struct intake_limits limits;

static struct intake *open_intake(unsigned self, unsigned processes)
{
        struct intake_hooks hooks = { .self = self,
                                      .processes = processes,
                                      .tell_file = direct_file,
                                      .tell_done = direct_done,
                                      .filed = ring };

        assert_int_equal(
            intake_open(&intakes[self], dup(folder_fd), (struct accounts *)&fail_rc, outbox, &limits, &hooks),
            0);
        return intakes[self];
}

static int begin_folder(void **state)
{
        (void)state;
        snprintf(folder, sizeof folder, "/tmp/pail-intake-XXXXXX");
        assert_non_null(mkdtemp(folder));
        folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        limits =
            (struct intake_limits){ .segment_size = 1 << 20, .max_log_size = 1 << 30, .settle_after = 3600 };
        filed_count = duplicates = settled_each = settled_all = bells = 0;
        fail_rc = settle_rc = 0;
        fail_name = no_account = NULL;
        tells_refused = dones_lost = false;
        return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
        (void)st;
        (void)kind;
        (void)at;
        return remove(path);
}

static int end_folder(void **state)
{
        (void)state;
        for (size_t k = 0; k < filed_count; k++)
                buf_free(&filed[k].text);
        mem_free(filed);
        filed = NULL;
        close(folder_fd);
        return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* How many files end so. */
static unsigned files_in(const char *path, const char *end)
{
        DIR *d = opendir(path);
        struct dirent *e;
        unsigned n = 0;

        assert_non_null(d);
        while ((e = readdir(d)))
                n +=
                    str_ends(str_of(e->d_name), str_of(end)) &&
                    (!str_starts(str_of(e->d_name), S("damaged-")) || str_starts(str_of(end), S("damaged-")));
        closedir(d);
        return n;
}

static unsigned files(const char *end)
{
        return files_in(folder, end);
}

static inline int commit_letter(struct intake *i, const struct envelope *e, struct str text)
{
        struct incoming *in;
        uint64_t id;
        int rc = intake_begin(i, &in);

        if (rc < 0)
                return rc;
        for (size_t at = 0; at < text.n && rc == 0; at += 1000)
                rc = incoming_put(in, str_sub(text, at, 1000));
        if (rc == 0)
                rc = incoming_commit(in, e, &id);
        incoming_free(&in);
        return rc;
}

/* A letter to accounts separated by spaces; "name/mailbox" for another mailbox than INBOX. */
static inline int send_to(struct intake *i, const char *accounts, struct str text)
{
        struct envelope e = { .sender = S("jack@town.com"), .session = S("s1"), .received = 1 };
        struct action actions[16];
        struct str rest = str_of(accounts), one;

        e.actions = actions;
        while (rest.n) {
                str_cut(&rest, ' ', &one);
                actions[e.count] = (struct action){ .number = e.count, .kind = ACTION_FILE, .flags = 1 };
                str_cut(&one, '/', &actions[e.count].account);
                actions[e.count].mailbox = one;
                e.count++;
        }
        return commit_letter(i, &e, text);
}

/* How often the text was filed, in all accounts. */
static inline unsigned times(struct str text)
{
        unsigned n = 0;

        for (size_t k = 0; k < filed_count; k++)
                n += str_eq(buf_str(&filed[k].text), text);
        return n;
}

static inline struct buf long_text(size_t n)
{
        struct buf b;

        buf_init(&b, n);
        for (size_t k = 0; !b.full; k++)
                buf_printf(&b, "line %zu of a long letter\r\n", k);
        b.full = false;
        while (b.n < n)
                buf_put(&b, "x", 1);
        return b;
}

#define folder_test(f) cmocka_unit_test_setup_teardown(f, begin_folder, end_folder)
