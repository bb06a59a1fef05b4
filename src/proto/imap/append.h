/* What APPEND and REPLACE share: letters that arrive, from literals or catenated, each into a stage (store/stage.h).
 *
 *      if (append_begin(&p, s, name, more) && append_letter(&p, a) && ...) rc = ...;
 *      append_drop(&p);
 *
 * What returns bool has given the tagged reply when it says false: its result is p->rc. What the client sends of the
 * command after that is passed over by the serving loop. */
#pragma once
#include "proto/imap/alter.h"
#include "store/stage.h"

enum {
        APPEND_LETTERS = 500,    /* in one command */
        APPEND_OCTETS = 1 << 30, /* of all of them, but see the limit of a letter */
        CATENATE_PARTS = 1000    /* of one letter */
};

struct append_letter {
        struct stage *stage;
        struct imap_flags flags;
        int64_t received; /* wall usec */
};
struct append {
        struct session *session;
        struct str name; /* of the mailbox, as the client has it */
        struct append_letter *letters;
        size_t n, space;
        size_t first;                      /* of the command at hand: APPENDs may share a commit */
        uint64_t limit, room;              /* octets: of one letter, of all */
        uint64_t octets;                   /* of the letters before the one that arrives */
        uint64_t freed;                    /* by what a REPLACE removes */
        void (*earlier)(struct append *p); /* answers commands before this one; may be NULL */
        struct access held;                /* the mailbox, as long as nothing was waited for */
        int rc;
};

/* May anything be appended there? `freed`: octets that the same account gets back. */
bool append_begin(struct append *p, struct session *s, struct str name, uint64_t freed);
/* [flag-list SP] [date-time SP] append-data: the cursor stands at the first of them. */
bool append_letter(struct append *p, struct scan *a);
/* The first n letters become filings (in the command's arena), the mailbox is opened, and what may have changed since
 * append_begin is looked at again. 0: the caller closes *x. */
[[nodiscard]] int append_ready(struct append *p, size_t n, struct access *x, struct filing **letters,
                               uint64_t *room);
bool append_trouble(struct append *p, int error); /* the reply for -errno; false */
/* Before a reply that refuses the command at hand: its letters go, and what came before it is answered. */
struct session *append_refuses(struct append *p);
void append_drop(struct append *p);
/* Before a wait for the client: what holds an account open must not take as long as he likes. */
void append_release(struct append *p);

/* append_literal.c: a literal's bytes into the letter, streamed. text: NUL is refused in it unless it is a literal8. `whole`: it is the
 * letter, and empty means that the client cancels (RFC 3502 §6.3.11). */
bool append_literal(struct append *p, struct scan *a, struct stage *to, bool binary, bool whole);
/* Does so much more fit the letter that arrives? */
bool append_fits(struct append *p, const struct stage *to, uint64_t more);
/* append_catenate.c: behind "CATENATE " */
bool append_catenate(struct append *p, struct scan *a, struct stage *to);
/* append_url.c: the octets that an IMAP URL means (RFC 4469 §3, RFC 5092) */
bool append_url(struct append *p, struct str url, struct stage *to);
