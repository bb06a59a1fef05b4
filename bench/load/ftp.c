/* load-ftp: an FTP client, passive. --sessions at once sign in, then print "ready" and wait for a line on stdin; then --letters
 * times in all --what:
 *   get, put, list, mlsd   RETR, STOR (--size octets), LIST, MLSD of --path, where %d is the number
 *   session                all of it: connect, sign in, PASV, RETR, QUIT
 *   hold                   --letters connections sign in and stay until stdin ends; "held N"
 *   bare-get, bare-put     the data connection alone, with a bare program at the other end
 * --in-flight: pairs of PASV and the command that are sent ahead. --mode B keeps the data connection. --tls: AUTH TLS, PROT P,
 * the session resumed on data connections. What is retrieved is dropped, by the kernel where it can, and counted.
 * Prints: items= octets= seconds= per_second= ; and waits for the end of stdin before it leaves. */
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum { BLOCK_EOF = 64, PAYLOAD = 16 << 20 };

struct session {
        struct wire control, data;
        bool data_stands; /* block mode */
};
static struct options o;
static atomic_int next;
static atomic_size_t octets;
static pthread_barrier_t barrier;
static const char *verb, *payload;
static int payload_fd;

static void payload_make(void)
{
        payload_fd = memfd_create("payload", MFD_CLOEXEC);
        char *p = ftruncate(payload_fd, PAYLOAD) < 0
                      ? MAP_FAILED
                      : mmap(NULL, PAYLOAD, PROT_READ | PROT_WRITE, MAP_SHARED, payload_fd, 0);
        uint64_t x = 88172645463325252u;

        if (p == MAP_FAILED)
                fatal("memfd: %s", strerror(errno));
        for (size_t i = 0; i < PAYLOAD; i += sizeof(x)) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                memcpy(p + i, &x, sizeof(x));
        }
        payload = p;
}

/* The last line of a reply that begins with the digit. What was read is acknowledged at once: several servers send 150 and 226
 * apart without TCP_NODELAY, and would wait for our kernel's delayed acknowledgement. */
static char *reply(struct wire *w, char digit)
{
        int one = 1;
        char *line;

        setsockopt(w->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
        line = wire_line(w);
        if (*line != digit)
                fatal("expected %c.., got: %s", digit, line);
        if (strlen(line) > 3 && line[3] == '-') {
                char end[5] = { line[0], line[1], line[2], ' ' };

                while (strncmp(line = wire_line(w), end, 4) != 0)
                        ;
        }
        return line;
}

static void say(struct wire *w, const char *command, const char *argument, char digit)
{
        wire_say(w, "%s %s\r\n", command, argument);
        reply(w, digit);
}

static void sign_in(struct wire *w, bool fully)
{
        struct options plain = o;

        plain.tls = false;
        wire_open(w, &plain);
        reply(w, '2');
        if (o.tls) {
                say(w, "AUTH", "TLS", '2');
                wire_starttls(w);
        }
        say(w, "USER", o.user, '3');
        say(w, "PASS", o.password, '2');
        if (o.tls) {
                say(w, "PBSZ", "0", '2');
                say(w, "PROT", "P", '2');
                wire_keep_session(w);
        }
        if (!fully)
                return;
        say(w, "TYPE", "I", '2');
        if (*o.mode != 'S')
                say(w, "MODE", o.mode, '2');
}

/* To where the 227 says. */
static void data_connect(struct session *s)
{
        struct options there = o;
        char *line = reply(&s->control, '2'), *at = strchr(line, '(');
        unsigned high, low;

        if (strncmp(line, "227", 3) || !at || sscanf(at, "(%*u,%*u,%*u,%*u,%u,%u", &high, &low) != 2)
                fatal("expected 227, got: %s", line);
        there.port = (int)(high << 8 | low);
        there.tls = false;
        wire_open(&s->data, &there);
        s->data_stands = true;
}

static void say_command(struct session *s, const char *before, int number)
{
        const char *at = strstr(o.path, "%d");

        if (at)
                wire_say(&s->control, "%s%s %.*s%d%s\r\n", before, verb, (int)(at - o.path), o.path, number,
                         at + 2);
        else
                wire_say(&s->control, "%s%s %s\r\n", before, verb, o.path);
}

static size_t send_payload(struct wire *w, size_t n)
{
        if (w->tls || n <= 4096) {
                for (size_t k, left = n; left; left -= k)
                        wire_send(w, payload, k = left < PAYLOAD ? left : PAYLOAD);
                return n;
        }
        for (size_t left = n; left;) {
                off_t from = (off_t)((n - left) % PAYLOAD);
                size_t most = PAYLOAD - (size_t)from;
                ssize_t k = sendfile(w->fd, payload_fd, &from, left < most ? left : most);

                if (k <= 0)
                        fatal("sendfile: %s", strerror(errno));
                left -= (size_t)k;
        }
        return n;
}

/* RFC 959 §3.4.2: a descriptor, the count, so many octets; the last block of a file says so. */
static size_t blocks(struct wire *w)
{
        size_t sum = 0;

        for (;;) {
                const unsigned char *head = wire_take(w, 3);
                bool last = head[0] & BLOCK_EOF;
                size_t n = (size_t)(head[1] << 8 | head[2]);

                wire_skip(w, n);
                sum += n;
                if (last)
                        return sum;
        }
}

static void ask(struct session *s, int number)
{
        bool stands = *o.mode == 'B' && s->data_stands;

        if (!stands && o.in_flight > 1 && *o.mode != 'B') {
                say_command(s, "PASV\r\n", number);
                return;
        }
        if (!stands) {
                wire_say(&s->control, "PASV\r\n");
                data_connect(s);
        }
        say_command(s, "", number);
}

static void take(struct session *s)
{
        struct wire *c = &s->control;

        if (!s->data_stands)
                data_connect(s);
        reply(c, '1');
        if (o.tls) {
                memcpy(s->data.session, c->session, c->session_n);
                s->data.session_n = c->session_n;
                wire_starttls(&s->data);
        }
        if (*o.mode == 'B') {
                octets += blocks(&s->data);
                reply(c, '2');
                return;
        }
        if (*verb == 'S') { /* closed too early, with a TLS ticket unread, the connection would be reset */
                octets += send_payload(&s->data, o.size);
                wire_end(&s->data);
                reply(c, '2');
                wire_close(&s->data);
        } else { /* closed too late, ProFTPD would wait */
                octets += wire_drain(&s->data);
                wire_close(&s->data);
                reply(c, '2');
        }
        s->data_stands = false;
}

static void whole_session(struct session *s, int number)
{
        sign_in(&s->control, false);
        ask(s, number);
        take(s);
        wire_say(&s->control, "QUIT\r\n");
        reply(&s->control, '2');
        wire_close(&s->control);
}

static void bare(struct session *s, bool get)
{
        wire_open(&s->data, &o);
        if (get) {
                octets += wire_drain(&s->data);
        } else {
                octets += send_payload(&s->data, o.size);
                wire_end(&s->data);
                wire_expect(&s->data, "226");
        }
        wire_close(&s->data);
}

static void *work(void *arg)
{
        struct session *s = calloc(1, sizeof(*s));
        bool apart = !strncmp(o.what, "bare", 4), whole = !strcmp(o.what, "session");
        int number, asked = 0;

        (void)arg;
        if (!apart && !whole)
                sign_in(&s->control, true);
        pthread_barrier_wait(&barrier); /* all are ready */
        pthread_barrier_wait(&barrier); /* go */
        for (;;) {
                while (asked < (apart || whole ? 1 : o.in_flight) &&
                       (number = atomic_fetch_add(&next, 1)) < o.letters) {
                        if (!apart && !whole)
                                ask(s, number);
                        asked++;
                }
                if (!asked--)
                        break;
                if (apart)
                        bare(s, !strcmp(o.what, "bare-get"));
                else if (whole)
                        whole_session(s, number);
                else
                        take(s);
        }
        return NULL;
}

/* The descriptor and the TLS state stay when the buffer is used again. */
static void *hold_some(void *arg)
{
        struct wire *w = calloc(1, sizeof(*w));

        (void)arg;
        while (atomic_fetch_add(&next, 1) < o.letters)
                sign_in(w, true);
        free(w);
        return NULL;
}

static void run(pthread_t *threads)
{
        double began;

        pthread_barrier_init(&barrier, NULL, (unsigned)o.sessions + 1);
        for (int i = 0; i < o.sessions; i++)
                pthread_create(&threads[i], NULL, work, NULL);
        pthread_barrier_wait(&barrier);
        puts("ready");
        fflush(stdout);
        getchar();
        began = now_seconds();
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < o.sessions; i++)
                pthread_join(threads[i], NULL);
        began = now_seconds() - began;
        printf("items=%d octets=%zu seconds=%.6f per_second=%.3f\n", o.letters, octets, began,
               o.letters / began);
        fflush(stdout);
        while (getchar() != EOF)
                ;
}

int main(int argc, char **argv)
{
        options_parse(&o, argc, argv);
        verb = !strcmp(o.what, "put")    ? "STOR"
               : !strcmp(o.what, "list") ? "LIST"
               : !strcmp(o.what, "mlsd") ? "MLSD"
                                         : "RETR";
        pthread_t *threads = calloc((size_t)o.sessions, sizeof(*threads));

        payload_make();
        if (strcmp(o.what, "hold")) {
                run(threads);
                return 0;
        }
        for (int i = 0; i < o.sessions; i++)
                pthread_create(&threads[i], NULL, hold_some, NULL);
        for (int i = 0; i < o.sessions; i++)
                pthread_join(threads[i], NULL);
        printf("held %d\n", o.letters);
        fflush(stdout);
        while (getchar() != EOF)
                ;
        return 0;
}
