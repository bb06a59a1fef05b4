/* The load clients' side of a connection: blocking, buffered, TLS when asked. Deliberately not pail's own code, so
 * that a mistake in pail cannot hide in its own bench. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
        int fd;
        void *tls;
        unsigned char session[4096]; /* to resume; stays from one connection to the next */
        size_t session_n;            /* 0: none */
        char in[1 << 21];            /* a SEARCH that finds 100,000 is one line */
        size_t at, n;
};
struct options {                                      /* of every load: --name value */
        const char *host, *user, *password, *account; /* account: a template, "u%d@bench.test" */
        const char *what, *path, *mode;               /* of load-ftp */
        int port, sessions, accounts, letters, per_connection, in_flight;
        size_t size;
        bool tls, resume, pipeline, hold, imap;
};
void options_parse(struct options *o, int argc, char **argv);
/* --account with its number. */
void account_name(const struct options *o, int number, char *room, size_t n);
double now_seconds(void);
void fatal(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

void wire_open(struct wire *w, const struct options *o); /* TLS from the first byte with o->tls */
void wire_starttls(struct wire *w);                      /* TLS from here on */
void wire_keep_session(struct wire *w);                  /* for the next wire_open, once something was read */
bool wire_resumed(const struct wire *w);
void wire_close(struct wire *w);
void wire_send(struct wire *w, const char *p, size_t n);
void wire_say(struct wire *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *wire_line(struct wire *w);                     /* without CRLF, until the next call */
void wire_expect(struct wire *w, const char *start); /* one line that starts so, or the end of the bench */
void wire_until(struct wire *w, const char *start);  /* lines until one that starts so */
void wire_skip(struct wire *w, size_t n);            /* so many bytes are of no interest */
const unsigned char *wire_take(struct wire *w, size_t n); /* so many bytes, until the next call */
size_t wire_drain(
    struct wire *w); /* all there is until the other side ends; how much. Without TLS the kernel drops it */
void wire_end(struct wire *w);         /* nothing more will be sent */
size_t wire_until_dot(struct wire *w); /* a multi-line answer; its octets */
