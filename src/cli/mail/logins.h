/* Whose mail, where. $XDG_CONFIG_HOME/pail/mail (else ~/.config/pail/mail), mode 0600:
 *
 *      [bob@hill.com]
 *      name = Bob Hill
 *      incoming = imaps://bob@mail.hill.com        (imap imaps pop3 pop3s; `store` or a data folder: on the server itself)
 *      outgoing = submissions://bob@mail.hill.com  (submission submissions smtp; `send`: by pail send)
 *      password-command = pass show hill           (or password = ...; else it is asked for, once a run)
 *      keep = yes                                  (POP3: letters stay at the server; no: they are removed when they are safe here)
 *      sent = yes                                  (what is sent is kept in Sent; no: the server does it)
 *      signature = ~/.signature
 *      ca = ~/our-ca.pem                           (certificates are checked by this authority, not by those of the system)
 *
 * logins.c: the file.   login_password.c   login_try.c: do the servers let us in?   discover.c, autoconfig.c: found by the address.
 *
 * `pail mail add bob@hill.com` finds hosts and ports (RFC 6186 SRV, then the autoconfig file of the domain by HTTPS, then common names), tries them
 * and writes the section; the order of sections is the order of accounts. A line that means nothing is an error with its number. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "cli/known.h"
#include "proto/smtp/client.h" /* enum tls_need */

enum login_how { INCOMING_IMAP, INCOMING_POP3, INCOMING_STORE };
struct login_server {
        char *host, *user;
        unsigned port;
        enum tls_need tls;
};
struct login {
        char *address, *name;
        enum login_how how;
        struct login_server incoming, outgoing;
        char *folder; /* INCOMING_STORE: the data folder, and the account's name there is the address */
        bool by_send; /* outgoing = send */
        bool keep, keep_sent;
        char *password, *password_command, *signature, *ca;
        char *known;          /* the password of this run, however we came by it */
        bool typed, given_up; /* it was typed because another was refused; nobody wants to be asked again */
};
struct logins {
        struct login *list;
        size_t n;
        char *path;
};
/* 0; -ENOENT: there is none yet; -EINVAL: *why names line and fault. Refuses a file that others may read if it holds a password. */
[[nodiscard]] int logins_read(struct logins *l, struct buf *why);
void logins_free(struct logins *l);
struct login *logins_find(struct logins *l, const char *address); /* NULL address: the first */
[[nodiscard]] int logins_add(struct logins *l, const struct login *one,
                             struct buf *why); /* written whole or not at all */
[[nodiscard]] int logins_remove(struct logins *l, const char *address, struct buf *why);
/* The line `password` of the file: set, or (NULL) taken away. All else stays as it was written. -ENOENT: no such section. */
[[nodiscard]] int logins_password(const char *address, const char *password, struct buf *why);

/* login_password.c. The password: of the file, the command, or asked. false: said why. Kept for the run. */
bool login_password(struct login *l, const char **password);
/* A server said no to it, with these words and this response code (RFC 5530, RFC 3206; empty: none). true: a person has typed another, which
 * login_password gives now. false: the code is about something else, nobody sits at a terminal, or they have given up: then they are not asked again. */
bool login_refused(struct login *l, const char *code, const char *words);
/* A server said yes: what was typed because the stored one was refused takes its place in the file. */
void login_accepted(struct login *l);

/* A line of a section: "incoming", "imaps://bob@mail.hill.com". false: it means nothing. */
[[nodiscard]] bool login_set(struct login *l, struct str key, struct str value);
void login_free(struct login *l); /* what it holds */
/* Fills incoming and outgoing from the address, as far as they are empty; *why says what was tried. Network; waits. resolver: as in net/dns.h; NULL:
 * the system's. foreign: an answer of DNS that nobody has signed names a host outside of the domain (RFC 6186 §6): a person should say yes before a
 * password goes there. 0; -ENOENT: no incoming server was found. */
struct login_found {
        const char *incoming, *outgoing; /* found by: "SRV", "autoconfig", "name"; NULL: not found */
        bool foreign;
};
[[nodiscard]] int login_discover(struct login *l, const char *resolver, struct login_found *found,
                                 struct buf *why);
/* Connects to both servers, and signs in to the incoming one. 0, or *why. Waits. */
[[nodiscard]] int login_try(struct login *l, struct buf *why);
