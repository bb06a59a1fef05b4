#include "proto/keeper_message.h"
#include <errno.h>

/* A failed sign-in is answered up to 5 s late, and may wait for its turn to be hashed. */
enum { ANSWER_SECONDS = 60, SIGN_SECONDS = 20 };

static enum signin_result ask(struct channel *keeper, uint16_t kind, bool packed, struct buf *body,
                              struct arena *a, struct signin_answer *out)
{
        struct buf auto_buf got = { 0 };
        enum signin_result result = SIGNIN_LATER;

        buf_init(&got, CHANNEL_BODY);
        *out = (struct signin_answer){ .token = S(""), .account = S("") };
        if (!packed) /* nothing of ours is so long */
                result = kind == ASK_SASL_START || kind == ASK_SASL_STEP ? SIGNIN_SYNTAX : SIGNIN_NO;
        else if (keeper &&
                 channel_ask(keeper, kind, buf_str(body), -1, &got, NULL, in_seconds(ANSWER_SECONDS)) == 0 &&
                 signin_answer_unpack(out, buf_str(&got)))
                result = out->result;
        out->token = arena_str(a, out->token);
        out->account = arena_str(a, out->account);
        buf_free(body);
        return result;
}

enum signin_result keeper_password(struct channel *keeper, const struct signin *who, struct str name,
                                   struct str password, struct arena *a, struct str *account)
{
        struct ask_password m = { *who, name, password };
        struct signin_answer answer;
        enum signin_result result;
        struct buf body;

        buf_init(&body, CHANNEL_BODY);
        result = ask(keeper, ASK_PASSWORD, ask_password_pack(&m, &body), &body, a, &answer);
        *account = answer.account;
        return result;
}

enum signin_result keeper_apop(struct channel *keeper, const struct signin *who, struct str name,
                               struct str stamp, struct str digest, struct arena *a, struct str *account)
{
        struct ask_apop m = { *who, name, stamp, digest };
        struct signin_answer answer;
        enum signin_result result;
        struct buf body;

        buf_init(&body, CHANNEL_BODY);
        result = ask(keeper, ASK_APOP, ask_apop_pack(&m, &body), &body, a, &answer);
        *account = answer.account;
        return result;
}

static enum signin_result sasl_result(enum signin_result result, const struct signin_answer *answer,
                                      struct sasl_exchange *x)
{
        x->handle = result == SIGNIN_MORE ? answer->handle : 0;
        x->token = answer->token;
        x->account = answer->account;
        return result;
}

enum signin_result keeper_sasl_start(struct channel *keeper, const struct signin *who, struct str mechanism,
                                     struct str initial, bool has_initial, struct arena *a,
                                     struct sasl_exchange *x)
{
        struct ask_sasl_start m = { *who, mechanism, initial, has_initial };
        struct signin_answer answer;
        enum signin_result result;
        struct buf body;

        buf_init(&body, CHANNEL_BODY);
        result = ask(keeper, ASK_SASL_START, ask_sasl_start_pack(&m, &body), &body, a, &answer);
        return sasl_result(result, &answer, x);
}

enum signin_result keeper_sasl_step(struct channel *keeper, struct str token, struct arena *a,
                                    struct sasl_exchange *x)
{
        struct ask_sasl_step m = { x->handle, token };
        struct signin_answer answer;
        enum signin_result result;
        struct buf body;
        bool packed;

        buf_init(&body, CHANNEL_BODY);
        packed = ask_sasl_step_pack(&m, &body);
        if (!packed) /* the keeper does not hear of it */
                keeper_sasl_drop(keeper, x);
        result = ask(keeper, ASK_SASL_STEP, packed, &body, a, &answer);
        return sasl_result(result, &answer, x);
}

void keeper_sasl_drop(struct channel *keeper, struct sasl_exchange *x)
{
        struct ask_sasl_step m = { x->handle, S("") };
        struct buf auto_buf body = { 0 };

        if (!x->handle || !keeper)
                return;
        x->handle = 0;
        buf_init(&body, 100);
        ask_sasl_step_pack(&m, &body);
        (void)channel_tell(keeper, TELL_SASL_DROP, buf_str(&body), -1); /* not heard: it expires there */
}

/* RFC 5802, 7677; then what shows the password to the server. -PLUS needs what TLS gives. */
struct str sasl_mechanisms(bool tls, bool plaintext_allowed, bool with_scram)
{
        if (!with_scram)
                return plaintext_allowed ? S("PLAIN LOGIN") : S("");
        if (!plaintext_allowed)
                return tls ? S("SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1")
                           : S("SCRAM-SHA-256 SCRAM-SHA-1");
        return tls ? S("SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN")
                   : S("SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN");
}

int keeper_sign(void *channel, unsigned algorithm, struct str data, struct buf *signature)
{
        struct ask_sign m = { algorithm, S(""), data };
        struct buf auto_buf body = { 0 }, auto_buf got = { 0 };
        struct keeper_said said;
        int rc;

        buf_init(&body, CHANNEL_BODY);
        buf_init(&got, CHANNEL_BODY);
        if (!ask_sign_pack(&m, &body))
                return -EMSGSIZE;
        rc = channel_ask(channel, ASK_SIGN, buf_str(&body), -1, &got, NULL, in_seconds(SIGN_SECONDS));
        if (rc < 0)
                return rc;
        if (!keeper_said_unpack(&said, buf_str(&got)))
                return -EPROTO;
        if (said.rc == 0 && !buf_puts(signature, said.text))
                return -EMSGSIZE;
        return said.rc;
}
