/* The packed envelope, read from hostile bytes: what is accepted packs to the same bytes. */
#include "base/mem.h"
#include "mail/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str s = str_from(data, size);
        auto_arena struct arena m;
        auto_buf struct buf again;
        struct envelope e;

        arena_init(&m, size * 5 + 64);
        buf_init(&again, size);
        if (!envelope_unpack(&e, &m, s)) {
                if (e.count || e.actions)
                        mem_die("envelope: refused, but not empty");
                return 0;
        }
        if (!envelope_pack(&e, &again) || !str_eq(buf_str(&again), s))
                mem_die("envelope: changes");
        return 0;
}
