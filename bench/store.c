/* What the account store costs by itself, in CPU microseconds a letter: no network, no fibers, no log.
 *      bench/store FOLDER            (an empty folder on the disk to be measured) */
#include "base/buf.h"
#include "base/mem.h"
#include "base/time.h"
#include "mail/mime.h"
#include "run/log.h"
#include "store/account.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double cpu_usec(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double started;
static nsec wall_started;

static void start(void)
{
        started = cpu_usec();
        wall_started = now();
}

static void show(const char *what, double each)
{
        printf("%-58s %8.2f us CPU, %8.2f us\n", what, (cpu_usec() - started) / each,
               (double)(now() - wall_started) / 1e3 / each);
        fflush(stdout);
}

static void must(int rc, const char *what)
{
        if (rc) {
                fprintf(stderr, "%s: %s\n", what, strerror(-rc));
                exit(1);
        }
}

static void letter(struct buf *out, unsigned n, size_t size)
{
        buf_clear(out);
        buf_printf(out,
                   "Return-Path: <jack@town.com>\r\n"
                   "Received: from client.town.com (client.town.com [127.0.0.1])\r\n"
                   "\tby hill.com with ESMTPS id k3f9%u (TLS1.3 AES_256_GCM)\r\n"
                   "\tfor <jill@hill.com>; Fri, 20 Nov 2026 17:29:44 +0000\r\n"
                   "From: Jack <jack@town.com>\r\nTo: Jill <jill@hill.com>\r\nSubject: Bench letter %u\r\n"
                   "Date: Fri, 20 Nov 2026 17:29:44 +0000\r\nMessage-ID: <%u.bench@town.com>\r\n"
                   "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
                   n, n, n);
        while (out->n + 64 < size)
                buf_puts(out, S("Please fetch me a pail of water, and another one, up the hill.\r\n"));
}

static struct accounts *open_set(const char *folder)
{
        struct accounts *a = NULL;

        must(accounts_open(&a, open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), 256), folder);
        return a;
}

static char *name_of(unsigned i)
{
        static char name[40];

        snprintf(name, sizeof name, "user%u@hill.com", i);
        return name;
}

/* `count` letters over `accounts` accounts, `batch` in each transaction. */
static void file_letters(struct accounts *set, unsigned accounts, unsigned count, unsigned batch, size_t size,
                         const char *what)
{
        static const char envelope[220] = "packed envelope of about the usual size";
        static struct filing list[64];
        static struct buf text[64];
        static uint64_t sequence;
        static unsigned number;
        double spent = 0, before;
        nsec wall = 0, wall_before;

        for (unsigned i = 0; i < batch; i++)
                buf_init(&text[i], size + 4096);
        for (unsigned done = 0; done < count; done += batch) {
                struct account *a;

                for (unsigned i = 0; i < batch; i++) {
                        letter(&text[i], number++, size);
                        list[i] = (struct filing){ .segment = 1,
                                                   .sequence = ++sequence,
                                                   .mailbox = INBOX,
                                                   .received = 1,
                                                   .envelope = str_from(envelope, sizeof envelope),
                                                   .text = buf_str(&text[i]),
                                                   .staged_dir = -1 };
                }
                before = cpu_usec();
                wall_before = now();
                must(account_get(set, str_of(name_of(done / batch % accounts)), &a), "account");
                must(account_file(a, list, batch), "file");
                account_put(&a);
                spent += cpu_usec() - before;
                wall += now() - wall_before;
                if (done / 2000 != (done + batch) / 2000) { /* the settler */
                        must(accounts_settle_all(set), "settle");
                        accounts_checkpoint(set);
                }
        }
        printf("%-58s %8.2f us CPU, %8.2f us\n", what, spent / count, (double)wall / 1e3 / count);
        fflush(stdout);
        for (unsigned i = 0; i < batch; i++)
                buf_free(&text[i]);
}

static void parse_alone(void)
{
        struct buf text, packed;
        struct mime m;

        buf_init(&text, 5000);
        buf_init(&packed, MIME_PACKED_MAX);
        mime_init(&m);
        letter(&text, 1, 1024);
        start();
        for (unsigned i = 0; i < 20000; i++) {
                mime_parse(&m, buf_str(&text));
                buf_clear(&packed);
                mime_pack(&m, &packed);
        }
        show("of that, parsing and packing MIME", 20000);
        mime_finish(&m);
        buf_free(&text);
        buf_free(&packed);
}

static void look(struct accounts *set)
{
        struct mailbox_view view;
        struct placed *list;
        struct account *a;
        struct buf out;
        uint32_t letters[64];
        size_t ends[64], done, n;

        must(account_get(set, str_of(name_of(0)), &a), "account");
        start();
        for (unsigned i = 0; i < 20000; i++)
                must(account_view(a, INBOX, &view), "view");
        show("account_view, open account", 20000);
        start();
        for (unsigned i = 0; i < 200; i++) {
                must(account_list(a, &view, &list, &n), "list");
                if (i < 199)
                        account_list_free(&list);
        }
        show("account_list", 200);
        printf("   (%zu letters)\n", n);
        buf_init(&out, 4 * 1024 * 1024);
        start();
        for (unsigned i = 0; i + 64 <= n && i < 6400; i += 64) {
                for (unsigned k = 0; k < 64; k++)
                        letters[k] = list[i + k].letter;
                buf_clear(&out);
                must(account_read(a, letters, 64, SIZE_MAX, &out, ends, &done), "read");
        }
        show("account_read, 64 in a call, each letter", (double)(n < 6400 ? n / 64 * 64 : 6400));
        start();
        for (unsigned i = 0; i < 5000; i++) {
                letters[0] = list[i % n].letter;
                buf_clear(&out);
                must(account_read(a, letters, 1, SIZE_MAX, &out, ends, &done), "read");
        }
        show("account_read, one in a call", 5000);
        account_list_free(&list);
        buf_free(&out);
        account_put(&a);
        start();
        for (unsigned i = 0; i < 20000; i++) {
                must(account_get(set, str_of(name_of(0)), &a), "account");
                account_put(&a);
        }
        show("account_get of an open account", 20000);
        accounts_close(&set);
}

static void reopen(const char *folder, unsigned accounts)
{
        struct accounts *set = NULL;
        struct mailbox_view view;
        struct account *a;

        must(accounts_open(&set, open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), 2), folder);
        start();
        for (unsigned i = 0; i < 2000; i++) {
                must(account_get(set, str_of(name_of(i % accounts)), &a), "account");
                account_put(&a);
        }
        show("account_get of a closed account", 2000);
        start();
        for (unsigned i = 0; i < 2000; i++) {
                must(account_get(set, str_of(name_of(i % accounts)), &a), "account");
                must(account_view(a, INBOX, &view), "view");
                account_put(&a);
        }
        show("the same and account_view", 2000);
        accounts_close(&set);
}

int main(int argc, char **argv)
{
        struct accounts *set;
        enum { ACCOUNTS = 100 };

        if (argc < 2)
                return 64;
        log_quiet = true;
        set = open_set(argv[1]);
        start();
        for (unsigned i = 0; i < ACCOUNTS; i++)
                must(account_create(set, str_of(name_of(i))), "create");
        show("account_create", ACCOUNTS);
        file_letters(set, ACCOUNTS, 10000, 1, 1024, "file 1 KB letters singly, 100 accounts");
        file_letters(set, ACCOUNTS, 20000, 4, 1024, "file 1 KB letters, batches of 4");
        file_letters(set, ACCOUNTS, 40000, 8, 1024, "file 1 KB letters, batches of 8");
        file_letters(set, ACCOUNTS, 40000, 32, 1024, "file 1 KB letters, batches of 32");
        parse_alone();
        file_letters(set, 1, 10000, 8, 4096, "file 4 KB letters, batches of 8, one account");
        if (argc > 2)
                return 0;
        look(set);
        reopen(argv[1], ACCOUNTS);
        return 0;
}
