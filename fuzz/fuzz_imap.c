/* IMAP's grammar on whatever bytes: every function of proto/imap/parse.c, one after another on the same text. What must hold: no
 * string reaches outside of the text or the arena, a name that was understood is UTF-8 and is understood again as it is written. */
#include "base/codec.h"
#include "base/mem.h"
#include "proto/imap/imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

static void name(struct session *s, struct scan *a)
{
        struct str got = imap_mailbox(s, a), again;
        auto_buf struct buf b = { 0 };
        struct scan back;

        if (a->bad)
                return;
        must(utf8_valid(got), "imap: a name that is not UTF-8");
        buf_init(&b, 1 << 20);
        put_mailbox(&b, got, imap_mode(s));
        must(!b.full, "imap: a name grew");
        back = scan_of(buf_str(&b));
        imap_of(s)->literals = 0;
        again = imap_mailbox(s, &back);
        must(scan_done(&back) && str_eq(got, again), "imap: a name came back as another");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct imap imap;
        struct session *s = &imap.session;
        struct imap_flags f;
        struct imap_set set;
        struct imap_literal l;
        int y, m, d;

        if (size < 2)
                return 0;
        arena_init(&s->command, 64 << 20);
        s->state = data[0] & 1 ? IMAP_STRANGER : IMAP_SIGNED_IN;
        imap.enabled = data[0] & 2 ? ENABLED_UTF8 : 0;
        for (unsigned kind = 0; kind < 12; kind++) {
                struct scan a = scan_of(str_from(data + 1, size - 1));

                imap.literals = 0;
                for (unsigned i = 0; i < 50 && !a.bad && !scan_end(&a); i++) {
                        switch ((kind + i * (data[0] >> 2)) % 12) {
                        case 0: imap_astring(s, &a); break;
                        case 1: imap_nstring(s, &a); break;
                        case 2: name(s, &a); break;
                        case 3: imap_list_mailbox(s, &a); break;
                        case 4: imap_flags(s, &a, &f); break;
                        case 5: imap_flag_list(s, &a, &f); break;
                        case 6: imap_date_time(&a); break;
                        case 7: imap_date(s, &a, &y, &m, &d); break;
                        case 8: imap_set(s, &a, &set); break;
                        case 9: imap_literal_head(&a, &l); break;
                        case 10: imap_atom(&a); break;
                        case 11: imap_number64(&a); break;
                        }
                        scan_try(&a, ' ');
                }
                must(a.at <= a.s.n, "imap: the cursor ran away");
        }
        arena_finish(&s->command);
        return 0;
}
