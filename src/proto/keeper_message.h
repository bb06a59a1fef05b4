/* What fronts, the supervisor and the keeper say to each other, as structs; the layouts stand in keeper_message.c.
 * Unpacked strings point into the packed bytes. Unpacking reads untrusted bytes: false means that the sender is
 * broken or hostile. Packing says false when it does not fit a message. */
#pragma once
#include "proto/keeper.h"

struct ask_password { /* ASK_PASSWORD; answered with struct signin_answer */
        struct signin who;
        struct str name, password;
};
struct ask_apop {
        struct signin who;
        struct str name, stamp, digest;
};
struct ask_sasl_start {
        struct signin who;
        struct str mechanism, initial;
        bool has_initial;
};
struct ask_sasl_step {
        uint32_t handle;
        struct str token;
};
struct signin_answer {
        enum signin_result result;
        uint32_t handle;
        struct str token, account;
};
struct ask_sign { /* answer: i32 0 or -errno | the signature */
        uint32_t algorithm;
        struct str key, hash;
};
struct ban_entry {
        struct addr net;
        int64_t until; /* wall clock, seconds; 0: not any more */
        uint64_t times;
};
enum set_secret {
        SET_PASSWORD = 1,
        ADD_APP_PASSWORD, /* the keeper makes it; the answer's text is it */
        REMOVE_SECRET,    /* by label */
        REMOVE_ALL,       /* the account goes */
        SIGN_OUT,         /* changes nothing, but ends the account's sessions: it was switched off */
};
enum { WITH_SCRAM = 1, WITH_APOP = 2 };
struct ask_set_secret {
        enum set_secret what;
        struct str account, label, password;
        unsigned scope, with;
};
struct keeper_said { /* answers the supervisor's asks: 0 or -errno, and a sentence or what was asked for */
        int rc;
        struct str text;
};
struct secret_entry {         /* ASK_SECRETS: the text of the answer is a row of these */
        unsigned kind, scope; /* kind: enum secret_kind of store/secrets.h */
        int64_t created, used;
        struct str label;
};

bool ask_password_pack(const struct ask_password *m, struct buf *out);
[[nodiscard]] bool ask_password_unpack(struct ask_password *m, struct str body);
bool ask_apop_pack(const struct ask_apop *m, struct buf *out);
[[nodiscard]] bool ask_apop_unpack(struct ask_apop *m, struct str body);
bool ask_sasl_start_pack(const struct ask_sasl_start *m, struct buf *out);
[[nodiscard]] bool ask_sasl_start_unpack(struct ask_sasl_start *m, struct str body);
bool ask_sasl_step_pack(const struct ask_sasl_step *m,
                        struct buf *out); /* TELL_SASL_DROP too, with no token */
[[nodiscard]] bool ask_sasl_step_unpack(struct ask_sasl_step *m, struct str body);
bool signin_answer_pack(const struct signin_answer *m, struct buf *out);
[[nodiscard]] bool signin_answer_unpack(struct signin_answer *m, struct str body);
bool ask_sign_pack(const struct ask_sign *m, struct buf *out);
[[nodiscard]] bool ask_sign_unpack(struct ask_sign *m, struct str body);
bool ask_set_secret_pack(const struct ask_set_secret *m, struct buf *out);
[[nodiscard]] bool ask_set_secret_unpack(struct ask_set_secret *m, struct str body);
bool keeper_said_pack(const struct keeper_said *m, struct buf *out);
[[nodiscard]] bool keeper_said_unpack(struct keeper_said *m, struct str body);
/* Rows, one after another: of TELL_BAN and of the answers' texts. next: false at the end, or if u->bad. */
bool ban_entry_pack(const struct ban_entry *m, struct buf *out);
bool ban_entry_next(struct unpack *u, struct ban_entry *m);
bool secret_entry_pack(const struct secret_entry *m, struct buf *out);
bool secret_entry_next(struct unpack *u, struct secret_entry *m);
