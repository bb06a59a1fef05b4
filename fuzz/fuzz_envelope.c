/* The packed envelope, read from hostile bytes: what is accepted packs to the same bytes, or, if an older pail wrote it, to some that do. */
#include "base/mem.h"
#include "mail/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str s = str_from(data, size);
        auto_arena struct arena m;
        auto_buf struct buf again, more;
        struct envelope e;

        arena_init(&m, size * 5 + 64);
        buf_init(&again, 2 * size); /* what is older has less in each action */
        buf_init(&more, 2 * size);
        if (!envelope_unpack(&e, &m, s)) {
                if (e.count || e.actions)
                        mem_die("envelope: refused, but not empty");
                return 0;
        }
        if (!envelope_pack(&e, &again))
                mem_die("envelope: cannot be packed");
        if (again.p[0] == s.p[0]) {
                if (!str_eq(buf_str(&again), s))
                        mem_die("envelope: changes");
                return 0;
        }
        arena_reset(&m);
        if (!envelope_unpack(&e, &m, buf_str(&again)) || !envelope_pack(&e, &more) ||
            !str_eq(buf_str(&more), buf_str(&again)))
                mem_die("envelope: changes with its version");
        return 0;
}
