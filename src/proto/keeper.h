/* Asking the keeper: who is this? The front never sees a stored secret; the SASL exchange runs in the keeper, the front
 * passes tokens, the peer's address and channel-binding data. Message layouts stand in keeper.c beside the packing;
 * role/keeper.c answers them. All of these wait. A keeper that is not there (NULL, or just being restarted) is SIGNIN_LATER.
 * The keeper's channel is another after a restart: read it anew for each call, keep it over no wait.
 *
 *      struct signin who = { .protocol = SCOPE_POP3, .peer = addr_net(conn_peer(c)), ... };
 *      switch (keeper_password(k, &who, name, password, &arena, &account)) { ... }
 */
#pragma once
#include "base/arena.h"
#include "net/addr.h"
#include "net/tls.h"
#include "run/channel.h"

enum { SCOPE_SMTP = 1, SCOPE_POP3 = 2, SCOPE_IMAP = 4, SCOPE_FTP = 8, SCOPE_HTTP = 16, SCOPE_ALL = 31 };

/* Kinds of messages; see the table in role/supervisor.h for who may send which. */
enum keeper_ask {
        ASK_PASSWORD = 1,
        ASK_APOP,
        ASK_SASL_START,
        ASK_SASL_STEP,
        TELL_SASL_DROP,
        ASK_SIGN,
        ASK_TICKET_KEY,
        TELL_TICKET_KEY, /* keeper to fronts: rotated */
        TELL_BAN,        /* keeper to fronts: refuse this address until then (0: not any more) */
        TELL_SIGN_OUT,   /* keeper to fronts: end this account's sessions */
        ASK_SET_SECRET,  /* supervisor only, for pail passwd */
        ASK_BANS,        /* supervisor only */
        ASK_UNBAN,       /* supervisor only */
        ASK_SECRETS,     /* supervisor only: labels and kinds, no secrets */
        ASK_SRS_KEY,     /* mail: what senders of forwarded letters are signed with; the same for ever */
};

enum signin_result {
        SIGNIN_OK,
        SIGNIN_NO,      /* wrong name or password: the same answer and the same work for both */
        SIGNIN_MORE,    /* SASL: a challenge follows */
        SIGNIN_SYNTAX,  /* SASL: the token makes no sense: 501 */
        SIGNIN_UNKNOWN, /* SASL: no such mechanism: 504 */
        SIGNIN_LATER,   /* the keeper cannot say now: 454 */
};
struct signin {
        unsigned scope;
        struct addr peer;
        bool tls;
        struct str binding; /* channel binding data; empty: none */
        bool binding_is_exporter;
};
enum signin_result keeper_password(struct channel *keeper, const struct signin *who, struct str name,
                                   struct str password, struct arena *a, struct str *account);
enum signin_result keeper_apop(struct channel *keeper, const struct signin *who, struct str name,
                               struct str stamp, struct str digest, struct arena *a, struct str *account);
/* A SASL exchange: start gives its handle; tokens are the decoded bytes (the front does base64). With SIGNIN_MORE and
 * SIGNIN_OK *token may hold a challenge (with OK: final data to be sent before success where the protocol does so). */
struct sasl_exchange {
        uint32_t handle;
        struct str token;   /* out, in the arena */
        struct str account; /* out, when OK */
};
enum signin_result keeper_sasl_start(struct channel *keeper, const struct signin *who, struct str mechanism,
                                     struct str initial, bool has_initial, struct arena *a,
                                     struct sasl_exchange *x);
enum signin_result keeper_sasl_step(struct channel *keeper, struct str token, struct arena *a,
                                    struct sasl_exchange *x);
void keeper_sasl_drop(struct channel *keeper, struct sasl_exchange *x); /* aborted by "*" or the end */
/* The mechanisms to advertise, best first: "SCRAM-SHA-256-PLUS SCRAM-SHA-256 ... PLAIN LOGIN"; with_scram is
 * settings.offer_scram, for programs take the first they know and give up when an account has no SCRAM secret. */
struct str sasl_mechanisms(bool tls, bool plaintext_allowed, bool with_scram);
/* For tls_context_new: context is the keeper's channel. */
int keeper_sign(void *channel, unsigned algorithm, struct str data, struct buf *signature);
