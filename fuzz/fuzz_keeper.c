/* What the keeper reads from its fronts, and the fronts from it: the first byte says which message; what is accepted
 * packs to the same bytes. */
#include "base/mem.h"
#include "proto/keeper_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SAME(type, body)                                                                                     \
        {                                                                                                    \
                struct type m;                                                                               \
                if (type##_unpack(&m, body) && (!type##_pack(&m, &again) || !str_eq(buf_str(&again), body))) \
                        mem_die(#type " changes");                                                           \
                break;                                                                                       \
        }
#define SAME_ROWS(type, body)                                 \
        {                                                     \
                struct unpack u = unpack_of(body);            \
                struct type m;                                \
                while (type##_next(&u, &m))                   \
                        if (!type##_pack(&m, &again))         \
                                mem_die(#type " grows");      \
                if (!u.bad && !str_eq(buf_str(&again), body)) \
                        mem_die(#type " changes");            \
                break;                                        \
        }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf auto_buf again = { 0 };
        struct str body;

        if (!size)
                return 0;
        body = str_from(data + 1, size - 1);
        buf_init(&again, size);
        switch (data[0] % 9) {
        case 0: SAME(ask_password, body)
        case 1: SAME(ask_apop, body)
        case 2: SAME(ask_sasl_start, body)
        case 3: SAME(ask_sasl_step, body)
        case 4: SAME(signin_answer, body)
        case 5: SAME(ask_sign, body)
        case 6: SAME(ask_set_secret, body)
        case 7: SAME_ROWS(ban_entry, body)
        case 8: SAME_ROWS(secret_entry, body)
        }
        return 0;
}
