/* Addresses, as SMTP and as header fields write them: what was understood, written in normal form, is understood as
 * the same again. */
#include "base/codec.h"
#include "base/mem.h"
#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

static void normal_stays(struct arena *m, const struct path *p)
{
        struct str normal, again, key, local, domain;
        struct path back;

        must(p->null || (p->local.n && p->local.n <= ADDRESS_MAX), "path: local part empty or too long");
        must(p->local.n + p->domain.n < ADDRESS_MAX, "path: too long");
        must(utf8_valid(p->text) && p->utf8 == !ascii_only(p->text), "path: UTF-8");
        if (!address_normal(m, p, &normal) || p->null || !p->domain.n)
                return;
        must(!str_has_control(normal), "path: a control character");
        must(address_key(m, p, &key) && key.n == normal.n, "path: no key");
        must(address_split(normal, &local, &domain) && str_find(domain, '@') == STR_NONE, "path: split");
        if (!address_parse(m, normal, &back)) {
                must(p->local.n + 1 + domain.n > ADDRESS_MAX, "path: normal form refused");
                return;
        }
        must(str_eq(back.local, p->local), "path: another local part");
        must(address_normal(m, &back, &again) && str_eq(again, normal), "path: normal form changes");
}

static void paths(struct arena *m, struct str s, bool forward)
{
        struct scan a = scan_of(s);
        struct path p = forward ? scan_forward_path(&a, m) : scan_reverse_path(&a, m);
        struct str key, value;

        if (a.bad)
                return;
        normal_stays(m, &p);
        while (scan_parameter(&a, &key, &value))
                must(key.n && a.at <= s.n, "parameter: no key");
        must(scan_end(&a), "parameter: something left, nothing bad");
}

static void list(struct arena *m, struct str s)
{
        struct addresses all = addresses_of(s);
        struct address who;
        bool in_group = false;
        size_t at = 0, n = 0;

        while (address_next(&all, m, &who)) {
                must(all.at >= at && all.at <= s.n, "list: went back");
                at = all.at;
                n += who.name.n + who.local.n + who.domain.n;
                if (who.kind == ADDRESS_GROUP || who.kind == ADDRESS_GROUP_END) {
                        must(in_group == (who.kind == ADDRESS_GROUP_END), "list: groups do not alternate");
                        in_group = !in_group;
                }
                must(who.kind != ADDRESS_MAILBOX || (who.domain.n && str_find(who.domain, '@') == STR_NONE),
                     "list: a mailbox without a domain");
        }
        must(all.count == ADDRESSES_MAX || !in_group, "list: a group stays open");
        must(n <= 3 * s.n, "list: more text than there was");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str s = str_from(data, size);
        auto_arena struct arena m;
        auto_buf struct buf coded, back;

        arena_init(&m, 64 * 1024 * 1024);
        buf_init(&coded, size * 3 + 1);
        buf_init(&back, size + 1);
        paths(&m, s, false);
        paths(&m, s, true);
        list(&m, s);
        must(xtext_put(&coded, s) && xtext_get(&back, buf_str(&coded)) && str_eq(buf_str(&back), s), "xtext");
        buf_clear(&back);
        if (xtext_get(&back, s))
                must(back.n <= size, "xtext: grew");
        return 0;
}
