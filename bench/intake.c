/* What the intake costs: SENDERS fibers, each committing one letter after another, in a process with its loop, its
 * workers and its flusher, as a mail process has them; no network, no SMTP.
 *      bench/intake FOLDER [LETTERS [SIZE [SENDERS [ACCOUNTS]]]]      (an empty folder on the disk to be measured)
 * First only the log (letters that are to be discarded), then with filing into ACCOUNTS accounts. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/time.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/account.h"
#include "store/intake.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
        const char *folder;
        unsigned long letters, size, senders, accounts;
        unsigned long sent, running;
        bool filing;
        struct accounts *set;
        struct intake *intake;
        struct buf text;
        nsec began;
        double cpu;
} bench;

static void must(int rc, const char *what)
{
        if (rc < 0) {
                fprintf(stderr, "%s: %s\n", what, strerror(-rc));
                exit(1);
        }
}

static double cpu_usec(void)
{
        struct rusage u;

        getrusage(RUSAGE_SELF, &u);
        return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int folder(const char *name)
{
        char path[512];
        int fd;

        snprintf(path, sizeof path, "%s/%s", bench.folder, name);
        mkdir(path, 0700);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(fd < 0 ? -errno : 0, path);
        return fd;
}

static void start(void)
{
        bench.began = now();
        bench.cpu = cpu_usec();
}

static void show(const char *what)
{
        double seconds = (double)(now() - bench.began) / 1e9, n = (double)bench.letters;
        struct intake_numbers numbers;
        static uint64_t flushes;

        intake_numbers(bench.intake, &numbers);
        printf("%-24s %9.0f letters/s %8.0f flushes/s %6.1f letters a flush %8.2f us CPU a letter\n", what,
               n / seconds, (double)(numbers.flushes - flushes) / seconds,
               n / (double)(numbers.flushes - flushes), (cpu_usec() - bench.cpu) / n);
        fflush(stdout);
        flushes = numbers.flushes;
}

static void send_one(unsigned long number)
{
        char to[32];
        struct action a = { .kind = bench.filing ? ACTION_FILE : ACTION_DISCARD,
                            .mailbox = INBOX,
                            .address = S("jill@hill.com"),
                            .original = S("jill@hill.com") };
        struct envelope e = { .sender = S("jack@town.com"),
                              .peer = S("127.0.0.1"),
                              .host = S("hill.com"),
                              .helo = S("town.com"),
                              .protocol = S("ESMTP"),
                              .session = S("k3f9"),
                              .received = wall_usec(),
                              .actions = &a,
                              .count = 1 };
        struct incoming *in;
        uint64_t id;

        snprintf(to, sizeof to, "u%lu@hill.com", number % bench.accounts);
        a.account = str_of(to);
        must(intake_begin(bench.intake, &in), "begin");
        must(incoming_put(in, buf_str(&bench.text)), "put");
        must(incoming_commit(in, &e, &id), "commit");
        incoming_free(&in);
}

static void all_sent(void);

static void sender(void *arg)
{
        (void)arg;
        while (bench.sent < bench.letters)
                send_one(bench.sent++);
        if (!--bench.running)
                all_sent();
}

static void start_senders(void)
{
        bench.sent = 0;
        bench.running = bench.senders;
        start();
        for (unsigned long k = 0; k < bench.senders; k++)
                must(fiber_spawn("sender", sender, NULL), "fiber");
}

static void all_sent(void)
{
        show(bench.filing ? "accepted, filing beside" : "the log alone");
        must(intake_drain(bench.intake, in_seconds(300)), "drain");
        if (bench.filing) {
                show("filed and settled");
                intake_close(&bench.intake);
                accounts_close(&bench.set);
                loop_stop();
                return;
        }
        bench.filing = true;
        start_senders();
}

static void story(void *arg)
{
        struct intake_limits limits = { .segment_size = 64 << 20,
                                        .max_log_size = (uint64_t)4 << 30,
                                        .settle_after = 30 };
        struct intake_hooks hooks = { .processes = 1 };
        char name[32];

        (void)arg;
        must(accounts_open(&bench.set, folder("mail"), 256), "mail");
        for (unsigned long k = 0; k < bench.accounts; k++) {
                int rc;

                snprintf(name, sizeof name, "u%lu@hill.com", k);
                rc = account_create(bench.set, str_of(name));
                must(rc == -EEXIST ? 0 : rc, name);
        }
        must(intake_open(&bench.intake, folder("intake"), bench.set, NULL, &limits, &hooks), "intake");
        start_senders();
}

int main(int argc, char **argv)
{
        unsigned long *numbers[] = { &bench.letters, &bench.size, &bench.senders, &bench.accounts };

        if (argc < 2) {
                fprintf(stderr, "usage: intake FOLDER [LETTERS [SIZE [SENDERS [ACCOUNTS]]]]\n");
                return 64;
        }
        bench.folder = argv[1];
        bench.letters = 100000;
        bench.size = 1024;
        bench.senders = 50;
        bench.accounts = 100;
        for (int k = 2; k < argc && k < 6; k++)
                *numbers[k - 2] = strtoul(argv[k], NULL, 10);
        log_quiet = true;
        buf_init(&bench.text, bench.size + 128);
        buf_printf(&bench.text, "From: <jack@town.com>\r\nTo: <jill@hill.com>\r\nSubject: bench\r\n\r\n");
        while (bench.text.n < bench.size)
                buf_printf(&bench.text, "Please fetch me a pail of water, jill.\r\n");
        loop_init();
        must(offload_start(2, 4), "workers");
        must(fiber_spawn("story", story, NULL), "fiber");
        loop_run();
        offload_finish();
        loop_finish();
        return 0;
}
