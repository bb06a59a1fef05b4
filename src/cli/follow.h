/* Follows a conversation from the client's side, line by line, as far as `pail talk` must: is what is typed a command, part of a letter or an answer
 * to a challenge; what of it is a secret; how many answers are due; has TLS been agreed on. Guesses nothing where the protocol is not known.
 *
 *      follow_typed(&f, line, &typed);   -- before it is sent: typed.shown, typed.letter
 *      follow_heard(&f, line, &heard);   -- heard.final, heard.handshake */
#pragma once
#include "base/str.h"

enum talk_protocol { TALK_UNKNOWN, TALK_SMTP, TALK_POP3, TALK_IMAP, TALK_FTP };

struct follow {
        enum talk_protocol protocol;
        bool greeted;
        bool bye;        /* what was said last ends it */
        unsigned due;    /* answers; the greeting is one */
        bool wait;       /* what was typed last has to be answered before anything else may be sent */
        bool tls_asked;  /* STARTTLS was said, its answer is not here yet */
        bool letter;     /* SMTP: lines up to "." */
        bool auth;       /* a sign-in is under way: what answers its challenges is a secret */
        bool answer;     /* the next line typed is one */
        bool refused;    /* a sign-in was: lines that are no command may be what was meant for it */
        bool idle;       /* IMAP: the next line typed is DONE */
        uint64_t octets; /* of a literal or a BDAT chunk that are still to be typed */
        bool secret_octets;
        bool after_literal; /* IMAP: the command goes on behind it */
        unsigned multi;     /* FTP: the code of a reply that goes on; POP3, 1: lines up to "." */
        uint64_t
            lists;    /* POP3: which of the answers due have lines up to ".": a bit each, the oldest lowest */
        uint64_t tag; /* IMAP: of the command said last, hashed */
        uint64_t skip; /* IMAP: octets of a literal of theirs */
};
struct typed {
        size_t shown; /* the bytes from here on are a secret; STR_NONE: none are */
        bool letter;  /* a line of a letter: dots at its begin are doubled if wished */
};
struct heard {
        bool final;     /* the last line of an answer */
        bool handshake; /* now */
};
void follow_begin(struct follow *f, enum talk_protocol p);
void follow_typed(struct follow *f, struct str line, struct typed *out);
void follow_heard(struct follow *f, struct str line, struct heard *out);
void follow_tls(struct follow *f); /* the handshake is done */

/* What the line says, in a few words of ours; NULL: nothing to say. Lines that are not final too. */
const char *explain_reply(enum talk_protocol p, struct str line);
