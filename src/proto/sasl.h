/* The framing of a SASL exchange, alike in POP3 (RFC 5034 §4) and IMAP (RFC 9051 §6.2.2): "+ " and base64 from us, base64 or
 * "*" from them. The exchange itself runs in the keeper (proto/keeper.h). */
#pragma once
#include "proto/session.h"

enum sasl_end {
        SASL_ENDED,     /* *result says how */
        SASL_CANCELLED, /* "*" */
        SASL_GARBLED,   /* not base64, or endless */
        SASL_SILENCE,   /* they are gone, or too slow */
};
struct sasl_talk {
        unsigned scope; /* SCOPE_ of the keeper */
        struct str mechanism;
        struct str initial; /* base64, "=" for the empty one; p NULL: none was given */
        long seconds;       /* for all of it */
        enum signin_result result;
        struct str account; /* lives in the session's command arena */
};
/* Waits. What goes with success is a last challenge, answered by an empty line. Nothing of it shows in the tap. */
enum sasl_end sasl_talk(struct session *s, struct sasl_talk *t);
/* The mechanisms to be had on this connection, by space; and is this one among them? */
struct str sasl_offered(const struct session *s);
bool sasl_is_offered(const struct session *s, struct str mechanism);
