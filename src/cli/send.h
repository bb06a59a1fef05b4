/* pail send, known to programs as /usr/sbin/sendmail: what its files share.
 *
 *   send.c          who it is, which way                send_line.c   the options
 *   send_letter.c   the letter from stdin: line ends, dots, recipients in the header (-t), the fields it lacks
 *   send_out.c      SMTP: to the running server, to --to-host, or by routes and MX as the sender role would
 */
#pragma once
#include "cli/tool.h"
#include "proto/smtp/client.h"

struct sending {
        struct tool tool;
        bool by_header; /* -t */
        bool dots_stay; /* -i: a line with a dot alone does not end the letter */
        bool verbose;   /* -v */
        bool folder;    /* there is one, we are its owner and stand in it */
        bool demo;      /* a demo's: nothing leaves this machine */
        const char *full_name, *to_host;
        struct str notify, envid, ret; /* -N -V -R: DSN */
        struct str sender;             /* normal form; empty: <> */
        struct str *recipients;        /* normal form, each once */
        size_t count, room;
        struct str host, domain; /* what we call ourselves; what stands behind a bare name */
        struct buf text;         /* as it goes out, but for dots */
        bool eight_bit, utf8;
};

/* A bare name becomes an address here. false, said: that is no address. */
bool send_address(struct sending *s, struct str typed, struct str *normal);
bool send_add(struct sending *s, struct str typed);

/* send_line.c */
struct send_line {
        struct str *words; /* afterwards only the recipients */
        size_t n, at;
        struct str sender;      /* p NULL: not said */
        bool bp, bs, run_queue; /* the queue; SMTP on stdin; -q */
};
int send_line(struct sending *s, struct send_line *l); /* 0 or EX_USAGE, said */

/* send_letter.c: EX_OK, or said. */
int send_read(struct sending *s);

/* send_out.c: to all recipients; the exit code of the worst answer, all that are not good said. Runs the loop. */
enum send_way {
        SEND_SERVER, /* fd: the other end is the server's */
        SEND_HOST,   /* to: of --to-host, or the server's SMTP port */
        SEND_ROUTES, /* as routes and MX say */
};
int send_out(struct sending *s, enum send_way way, int fd, const struct addr *to, unsigned count);
int send_exit_code(const struct smtp_answer *a);
