#include "mail/nfc.h"
#include "base/codec.h"

#include <stdlib.h>
#include <uninorm.h>

struct str utf8_nfc(struct arena *m, struct str s)
{
        struct str out = s;
        uint8_t *made;
        size_t n = 0;

        if (ascii_only(s))
                return s;
        made = u8_normalize(UNINORM_NFC, (const uint8_t *)s.p, s.n, NULL, &n);
        if (made && !str_eq(str_from(made, n), s))
                out = arena_str(m, str_from(made, n));
        free(made);
        return out;
}

bool utf8_is_nfc(struct str s)
{
        uint8_t *made;
        size_t n = 0;
        bool is;

        if (ascii_only(s))
                return true;
        made = u8_normalize(UNINORM_NFC, (const uint8_t *)s.p, s.n, NULL, &n);
        is = made && str_eq(str_from(made, n), s);
        free(made);
        return is;
}
