/* Fills an outbox by itself, as the mail roles would, and says how long it took: letters that wait for one domain.
 *      bench/outbox FOLDER LETTERS SIZE DOMAIN         (D/outbox of a server that does not run) */
#include "base/buf.h"
#include "base/time.h"
#include "store/outbox.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { AT_ONCE = 1000, PEOPLE = 1000 };

static void must(int rc, const char *what)
{
        if (rc < 0) {
                fprintf(stderr, "%s: %s\n", what, strerror(-rc));
                exit(1);
        }
}

static void letter(struct buf *out, unsigned long n, size_t size)
{
        buf_printf(out,
                   "From: Bench <bench@client.test>\r\nTo: all\r\nSubject: Bench letter %lu\r\n"
                   "Date: Fri, 20 Nov 2026 17:29:44 +0000\r\nMessage-ID: <%lu.bench@client.test>\r\n\r\n",
                   n, n);
        while (out->n + 64 < size)
                buf_printf(out, "The quick brown fox jumps over the lazy dog and runs on.\r\n");
}

struct one {
        struct outbox_put put;
        struct envelope envelope;
        struct action action;
        const struct action *actions[1];
        char address[320], session[32];
        struct buf text;
};

static void make(struct one *o, unsigned long n, size_t size, const char *domain)
{
        snprintf(o->address, sizeof(o->address), "u%lu@%.250s", n % PEOPLE, domain);
        snprintf(o->session, sizeof(o->session), "bench.%lu", n);
        buf_clear(&o->text);
        letter(&o->text, n, size);
        o->envelope = (struct envelope){ .sender = S("bench@client.test"),
                                         .peer = S("127.0.0.1"),
                                         .helo = S("client.test"),
                                         .protocol = S("ESMTP"),
                                         .session = str_of(o->session),
                                         .received = wall_usec(),
                                         .size = o->text.n };
        o->action = (struct action){ .kind = ACTION_SEND,
                                     .address = str_of(o->address),
                                     .original = str_of(o->address) };
        o->actions[0] = &o->action;
        o->put = (struct outbox_put){
                .envelope = &o->envelope, .actions = o->actions, .count = 1, .text = buf_str(&o->text)
        };
}

int main(int argc, char **argv)
{
        static struct one ones[AT_ONCE];
        static struct outbox_put list[AT_ONCE];
        struct outbox *outbox;
        unsigned long letters;
        size_t size;
        nsec began = now();
        int dir;

        if (argc != 5) {
                fprintf(stderr, "usage: outbox FOLDER LETTERS SIZE DOMAIN\n");
                return 64;
        }
        letters = strtoul(argv[2], NULL, 10);
        size = strtoul(argv[3], NULL, 10);
        dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(dir < 0 ? -errno : 0, argv[1]);
        must(outbox_open(&outbox, dir), argv[1]);
        for (size_t i = 0; i < AT_ONCE; i++)
                buf_init(&ones[i].text, 2 * size + 4096);
        for (unsigned long at = 0; at < letters;) {
                size_t n = 0;

                for (; n < AT_ONCE && at < letters; n++, at++) {
                        make(&ones[n], at, size, argv[4]);
                        list[n] = ones[n].put;
                }
                must(outbox_put(outbox, list, n), "outbox_put");
                if (at % (100 * AT_ONCE) == 0)
                        must(outbox_settle(outbox), "outbox_settle");
        }
        must(outbox_settle(outbox), "outbox_settle");
        outbox_close(&outbox);
        for (size_t i = 0; i < AT_ONCE; i++)
                buf_free(&ones[i].text);
        printf("%lu letters in %.1f s\n", letters, (double)(now() - began) / 1e9);
        return 0;
}
