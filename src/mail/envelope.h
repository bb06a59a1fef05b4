/* The envelope as it lies in the intake log: who sent it, how it came, and for each final recipient what was decided.
 * Replay obeys the actions; it decides nothing. Packed little-endian behind a version; strings as length and bytes.
 * After unpacking, strings point into the packed bytes, the actions lie in the arena. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

#define ENVELOPE_ACTIONS_MAX 100000

enum action_kind {
        ACTION_FILE = 1,
        ACTION_SEND,
        ACTION_REPLY,
        ACTION_DISCARD,
        ACTION_RECEIPT /* its sender asked to be told (NOTIFY=SUCCESS): a report, once all others are carried out. `account`: where
                          it is filed, or empty; `address`, `original`, `parameters`: what he said */
};

/* flags of an ACTION_SEND */
#define ACTION_HELD 1u /* waits in the outbox until somebody releases it: a moderated list's */
/* of an ACTION_RECEIPT */
#define ACTION_EXPANDED \
        1u /* it went on to several (RFC 3461 §5.2.7.3), who report what becomes of it; else it is delivered */

struct action {
        uint32_t number; /* with the intake id: the action's id */
        enum action_kind kind;
        uint32_t flags;              /* of the new placement, the store's bits */
        struct str account, mailbox; /* ACTION_FILE */
        struct str address;          /* final recipient, normal form */
        struct str original;         /* as it stood in RCPT */
        struct str parameters;       /* RCPT's, as they stood: "NOTIFY=NEVER ORCPT=rfc822;a@b" */
        struct str reason;           /* why, in words, for people */
        struct str sender; /* in place of the envelope's: a list's, a forwarder's (SRS); empty: that one */
};
struct envelope {
        struct str sender;          /* normal form; empty with null_sender */
        bool null_sender;           /* <> */
        bool eight_bit;             /* BODY=8BITMIME, or bytes over 127 were found */
        bool utf8;                  /* SMTPUTF8 */
        struct str mail_parameters; /* MAIL's, as they stood */
        struct str user;            /* signed in as; empty: a stranger */
        struct str peer, peer_name; /* address as text; its verified name or empty */
        struct str host;            /* our name there */
        struct str helo;
        struct str tls;      /* "TLS1.3 AES_256_GCM" */
        struct str protocol; /* "ESMTPSA" */
        struct str session;  /* which letter of which session: k3f9.1, as Received has it */
        int64_t received;    /* wall clock, microseconds */
        uint64_t size;       /* of the letter's bytes as stored */
        struct action *actions;
        unsigned count;
};

/* false: out is full. At most ENVELOPE_ACTIONS_MAX actions. */
bool envelope_pack(const struct envelope *e, struct buf *out);
/* false: damaged or of a newer version; *e is then empty. The arena must have room for some 5 times the bytes. */
[[nodiscard]] bool envelope_unpack(struct envelope *e, struct arena *m, struct str packed);
/* Only the session of a packed one, at little cost; empty: damaged. */
struct str envelope_session(struct str packed);
