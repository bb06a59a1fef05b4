#include "mail/nfc.h"
#include "base/buf.h"
#include "base/codec.h"

#include <uninorm.h>

/* A composed form is at most three times as long (Unicode Standard Annex #15), so the library's result always fits our room. */
static struct str compose(struct buf *b, struct str s)
{
        size_t n = 3 * s.n + 64;
        uint8_t *room, *made;

        buf_init(b, n);
        room = (uint8_t *)buf_room(b, n);
        made = u8_normalize(UNINORM_NFC, (const uint8_t *)s.p, s.n, room, &n);
        return made && made == room ? str_from(made, n) : s;
}

struct str utf8_nfc(struct arena *m, struct str s)
{
        struct buf auto_buf b = { 0 };
        struct str made = ascii_only(s) ? s : compose(&b, s);

        return str_eq(made, s) ? s : arena_str(m, made);
}

bool utf8_is_nfc(struct str s)
{
        struct buf auto_buf b = { 0 };

        return ascii_only(s) || str_eq(compose(&b, s), s);
}
