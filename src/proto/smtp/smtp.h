/* The SMTP server: ports 25, 587 (submission) and 465 (submissions). RFC 5321; SIZE 1870, PIPELINING 2920, CHUNKING
 * 3030, STARTTLS 3207, AUTH 4954, 8BITMIME 6152, SMTPUTF8 6531, ENHANCEDSTATUSCODES 2034, LIMITS 9422; the old verbs
 * SEND, SOML, SAML and TURN of 821.
 *
 *      serve.c     the loop, the command table, what the table finds wrong
 *      hello.c     HELO EHLO           auth.c      AUTH           vrfy.c   VRFY EXPN
 *      mail.c      MAIL SOML SAML      starttls.c  STARTTLS       help.c   HELP
 *      rcpt.c      RCPT                data.c      DATA           misc.c   RSET NOOP QUIT SEND TURN
 *      letter.c    the transaction     bdat.c      BDAT
 *      receive.c   a letter while it arrives, for DATA and BDAT
 *      turn.c      ETRN ATRN: letters for a host that dials in
 *      lists.c     what goes to a list, comes back to it, or goes on under another sender (SRS)
 *
 * Replies stand in the code as they go over the wire, number, enhanced code and words together:
 *
 *      return smtp_reply(s, "250 2.1.0 <" PRS ">... Sender ok", STR(from.text));
 *
 * After HELO the enhanced code is left out, as the lectures have it; before and after EHLO it stands.
 *
 * A session may park between any two commands, also between MAIL and DATA: the envelope lies in its arena. It does
 * not while a letter or a sign-in is half done. */
#pragma once
#include "mail/address.h"
#include "net/dot.h"
#include "proto/command.h"

extern const struct session_kind
    smtp_kind; /* for PROTOCOL_SMTP, _SUBMISSION, _SUBMISSIONS, _LMTP and _ATRN */
extern const struct dialect smtp_dialect;

enum smtp_state {
        SMTP_NEW = 1,     /* no HELO yet */
        SMTP_READY = 2,   /* MAIL may come */
        SMTP_MAIL = 4,    /* MAIL was accepted, no RCPT yet */
        SMTP_RCPT = 8,    /* there are recipients: DATA may come */
        SMTP_CHUNKS = 16, /* between two BDAT */
        SMTP_BROKEN = 32, /* a BDAT has failed: further chunks are thrown away until RSET (RFC 3030 §2) */
        SMTP_GREETED = SMTP_READY | SMTP_MAIL | SMTP_RCPT | SMTP_CHUNKS | SMTP_BROKEN,
        SMTP_ALWAYS = SMTP_NEW | SMTP_GREETED,
};

/* A list among the recipients: its members get a letter of their own, with its fields before the header, sent by its bounce address. */
enum { LETTER_LISTS = 4 /* of one letter; the sender repeats it for more */ };
struct letter_list {
        struct str address, bounces, id; /* friends@hill.com, friends-bounces@hill.com, friends.hill.com */
        struct list_entry entry;
        struct action *actions;
        unsigned count;
};
/* What came back to a list: counted for its member when the letter is accepted, kept nowhere. */
struct letter_bounce {
        struct str list, member;
};

/* From MAIL to the end of data. Everything in its arena, which is empty when no transaction is under way. */
struct letter {
        struct arena arena;
        struct str sender;     /* normal form; empty: <> */
        struct str parameters; /* MAIL's, as they stood */
        struct str recipient;  /* the last RCPT, as typed */
        struct str message_id; /* with its <>, as the letter has it or we gave it; empty: none */
        uint64_t declared;     /* SIZE=; 0: not said */
        bool marked_8bit;      /* BODY=8BITMIME */
        bool utf8;             /* SMTPUTF8 */
        unsigned recipients;   /* RCPT accepted */
        unsigned refused;      /* RCPT refused */
        struct action *actions;
        unsigned count, room;
        struct letter_list lists[LETTER_LISTS];
        unsigned list_count;
        struct letter_bounce bounce; /* list empty: none */
        uint32_t *seen;              /* hash table over the actions: index + 1 */
        unsigned seen_room;
};

enum letter_fault {
        LETTER_FINE,
        LETTER_TOO_LARGE,
        LETTER_FULL,    /* no room in the log or on the disk */
        LETTER_IO,      /* cannot be kept just now */
        LETTER_LOOP,    /* too many Received */
        LETTER_NOT_HIS, /* a From of somebody else */
        LETTER_CIRCLE,  /* it has been at that list already */
        LETTER_LIST,    /* longer than a list takes */
        LETTER_HEADER,  /* a submitted letter's header has no end */
        LETTER_SLOW,    /* below data_min_rate: the connection ends, too */
        LETTER_ENDLESS, /* far beyond the size: the same */
        LETTER_SILENT,  /* nothing came for smtp_data_timeout: the same */
        LETTER_CUT,     /* the connection has ended */
};
/* A letter while it arrives. */
struct reception {
        struct incoming *in;                  /* NULL: none, or it is only read to its end any more */
        struct incoming *lists[LETTER_LISTS]; /* the same letter for each list */
        struct dot_reader r;
        struct buf text;  /* the header until it is whole, then the piece at hand */
        bool active;      /* between begin and end */
        bool header_done; /* trace fields and header are with intake */
        uint8_t fault;    /* enum letter_fault, the first one */
        char last;        /* BDAT with bare LF mended: the byte before */
        size_t searched;  /* text: no end of the header up to here */
        int64_t received; /* wall clock, microseconds */
        uint64_t read;    /* bytes from the wire */
        nsec window;      /* the rate is measured up to here */
        uint64_t window_read;
};

struct smtp {
        struct session session; /* first */
        char *helo;             /* what the client calls itself */
        bool extended;          /* it said EHLO */
        bool plain_codes;       /* it said HELO: replies without enhanced codes */
        unsigned answers;       /* LMTP: the next reply is given so many times, once a recipient; 0: once */
        unsigned letters;       /* accepted in this session */
        struct letter letter;
        struct reception reception;
};
static inline struct smtp *smtp_of(struct session *s)
{
        return (struct smtp *)(void *)s;
}

/* One line of a reply ("250-..." for more than one), CRLF is added. OK, or FAIL for 5xx. */
int smtp_reply(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for a refused letter, recipient or sign-in: also in the log. */
int smtp_refuse(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool smtp_xtext(struct str s, size_t most); /* RFC 3461 §4 */
bool smtp_submission(const struct session *s);
bool smtp_lmtp(const struct session *s);    /* RFC 2033: for hosts that are trusted, an answer a recipient */
bool smtp_trusted(const struct session *s); /* loopback, or settings.trusted_addresses */
bool smtp_offers_auth(const struct session *s);
void smtp_forget(struct smtp *s); /* as after STARTTLS: HELO, transaction, sign-in */

/* letter.c */
void letter_reset(struct smtp *s); /* no transaction any more; state READY (or NEW before HELO) */
/* Adds what a recipient means; an account or address that gets the letter already gets it once. false: too many. */
bool letter_has(const struct letter *l,
                const struct action *t); /* does the same account or address get it already? */
bool letter_add(struct letter *l, const struct action *actions, unsigned count);
bool letter_may_grow(const struct letter *l); /* is there room for one more recipient? */
bool smtp_may_send_as(struct session *s, struct str normal);

/* history.c: for pail trace; nothing where nobody writes it down. */
struct str smtp_letter_id(
    struct smtp *s); /* of the letter under way: what Received says behind "id". For this command */
void smtp_note_accepted(struct smtp *s, uint64_t size);
void smtp_note_refused(struct smtp *s, struct str reply); /* a letter, or one of its recipients */

/* receive.c. The bytes go
 *
 *      reception_some -> dot_read or dot_look -> r->text -> reception_took -> intake
 *
 * where our own fields are put before them as soon as the header is whole. */
bool reception_begin(
    struct smtp *s); /* false: answered already. From here to the end the session does not park */
struct str reception_some(struct smtp *s, size_t most); /* off the wire; empty: over, r->fault says why */
void reception_took(struct smtp *s);                    /* there is more in r->text */
int reception_end(struct smtp *s); /* judges, commits, gives the final reply; resets the transaction */
void reception_drop(struct smtp *s);

/* lists.c */
/* A recipient that directory_resolve does not know, or that is a list: true: that is for here, and *rc is the result of the reply. */
bool list_takes(struct session *s, const struct path *to, struct resolved *who, int *rc);
/* Recipients elsewhere of somebody here: they go on under a sender of ours, so that SPF holds (mail/srs.h). */
void list_forwards(struct session *s, struct resolved *who);
/* Is the letter on its way round? */
bool list_circle(const struct letter *l, struct str head);
/* Who is named himself gets the letter as such, and not once more from the list. Before it is committed. */
void list_leave_out(struct letter *l);
void list_fields(struct buf *out, const struct letter_list *list);
bool list_too_long(const struct smtp *s);
void list_bounced(struct smtp *s); /* the letter was accepted */

/* The handlers. */
int smtp_helo(struct session *s, struct scan *a);
int smtp_ehlo(struct session *s, struct scan *a);
int smtp_mail(struct session *s, struct scan *a);
int smtp_rcpt(struct session *s, struct scan *a);
int smtp_data(struct session *s, struct scan *a);
int smtp_bdat(struct session *s, struct scan *a);
int smtp_rset(struct session *s, struct scan *a);
int smtp_vrfy(struct session *s, struct scan *a);
int smtp_expn(struct session *s, struct scan *a);
int smtp_help(struct session *s, struct scan *a);
int smtp_noop(struct session *s, struct scan *a);
int smtp_quit(struct session *s, struct scan *a);
int smtp_send(struct session *s, struct scan *a);
int smtp_turn(struct session *s, struct scan *a);
int smtp_etrn(struct session *s, struct scan *a);
int smtp_atrn(struct session *s, struct scan *a);
int smtp_lhlo(struct session *s, struct scan *a);
int smtp_auth(struct session *s, struct scan *a);
int smtp_starttls(struct session *s, struct scan *a);
