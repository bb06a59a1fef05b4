/* What the files of the IMAP client share. */
#pragma once
#include "base/scan.h"
#include "proto/imap/client.h"

enum {
        LINE_MOST = 8 << 20,      /* of a response, without its literals */
        PASS_MOST = 256 << 20,    /* of literals that nobody wants, in one response */
        UNASKED_MOST = 1000000,   /* responses that nobody wants, in one command */
        NAME_MOST = 4000,         /* a mailbox's name on the wire */
        PART_MOST = 4096,         /* of a set in one command */
        AHEAD_MOST = 64,          /* commands on their way */
        KEYWORDS_MOST = 32 << 10, /* of one letter */
};

struct imap_client;
/* What the running command wants to hear; all may be NULL. */
struct client_ask {
        void *context;
        /* An untagged response, the cursor behind its word; true: it was for us. What it leaves unread is passed over. number: of "* 7 EXISTS". */
        bool (*hear)(struct imap_client *c, void *context, uint32_t number, struct str word);
        void (*code)(struct imap_client *c, void *context, struct str code); /* of OK: "COPYUID 1 2 3" */
};

struct imap_client {
        struct conn *conn;
        struct imap_client_how how;
        struct conn_tap tap; /* between conn's and how.tap: conn's letters are a server's */
        struct tls_found found;
        bool has_tls, signed_in;

        /* what it can, what is switched on */
        unsigned offers;
        bool asked_capability; /* some came since this was cleared */
        bool starttls, no_login, list_extended;
        bool qresync, condstore, utf8;
        char mechanisms[256];
        char separator; /* of the personal namespace; 0: not told */
        char prefix[256];

        /* the conversation */
        uint32_t tag, oldest; /* sent last; not answered yet: oldest .. tag */
        struct {
                bool done;
                int rc;
        } results[AHEAD_MOST];
        const struct client_ask *ask;
        struct imap_answer *answer;
        struct scan in; /* the response, up to its next literal */
        size_t budget, passed;
        unsigned unasked;
        int broken; /* sticky */
        int result; /* what a callback of ours said, once not 0 */
        bool idling, wake, told, bye;

        bool selected;
        struct imap_opened now;
        struct buf text, keywords;
};

/* client_read.c */
int client_break(struct imap_client *c,
                 int rc); /* the connection is of no more use; gives what it broke by */
int client_next(struct imap_client *c, nsec deadline); /* the next response's first line is in c->in */
struct str client_atom(struct imap_client *c);
void client_string(struct imap_client *c, struct buf *out); /* a string of any kind; NULL: passed over */
bool client_literal(struct imap_client *c, uint64_t *n);    /* takes "{n}" if the line ends with it here */
struct str client_piece(struct imap_client *c, uint64_t most, nsec *window,
                        size_t *came);               /* empty: it broke */
void client_pass(struct imap_client *c, uint64_t n); /* of a literal, and its line goes on in c->in */
void client_line_goes_on(struct imap_client *c);
void client_skip(struct imap_client *c);      /* one value of any kind */
void client_skip_rest(struct imap_client *c); /* of the response */

/* client_run.c */
int client_finish(struct imap_client *c, const struct client_ask *ask,
                  struct imap_answer *answer); /* the oldest command's */
int client_command(struct imap_client *c, const struct client_ask *ask, struct imap_answer *answer,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* "+ ..." has come: 1, and its text is in c->in; else it is finished. */
int client_go_on(struct imap_client *c, const struct client_ask *ask, struct imap_answer *answer);
/* What stands behind OK, NO, BAD, BYE. */
void client_read_text(struct imap_client *c, const char *status, struct imap_answer *answer);
void client_untagged(struct imap_client *c); /* the cursor behind "* " */
void client_heard_vanished(struct imap_client *c);
int client_ours(struct imap_answer *answer, int rc, const char *text); /* gives rc */

/* client_say.c */
void client_begin(struct imap_client *c); /* the tag and a blank */
int client_put_string(struct imap_client *c, struct str s, struct imap_answer *answer);
/* A set's ranges in turn: false at its end, or *bad. '*' is 0. */
bool set_next(struct str *set, uint32_t *first, uint32_t *last, bool *bad);
bool set_valid(const char *set);
/* A command for each part of a set, one ahead of its answer. */
int client_by_parts(struct imap_client *c, const char *set, const struct client_ask *ask,
                    struct imap_answer *answer,
                    int (*put)(struct imap_client *c, void *context, struct str part), void *context);
void client_put_flags(struct imap_client *c, uint64_t flags, struct str keywords);

/* client_login.c */
void client_capabilities(struct imap_client *c, struct str words);
int client_ask_capability(struct imap_client *c, struct imap_answer *answer);

/* client_list.c: the name of a new folder, in the arena. -EINVAL */
int client_wire_name(struct imap_client *c, struct arena *a, struct str path, struct str *wire,
                     struct imap_answer *answer);

/* client_select.c: "UIDVALIDITY 7" and the like, of the mailbox that is selected */
void client_mailbox_code(struct imap_client *c, struct str code);
int client_search(struct imap_client *c, const char *what, struct imap_answer *answer,
                  void (*range)(void *context, uint32_t first, uint32_t last), void *context);
