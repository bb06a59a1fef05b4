/* What concerns the session as a whole: NOOP, ID, ENABLE. */
#include "proto/imap/imap.h"
#include "proto/imap/capability.h"
#include "run/log.h"

/* NOOP -- RFC 9051 §6.1.2 */
int imap_noop(struct session *s, struct scan *a)
{
        (void)a;
        return imap_ok(s, "still here");
}

/* ID -- RFC 2971. At most 30 pairs; what they say of themselves goes to the log. */
int imap_id(struct session *s, struct scan *a)
{
        struct str field, value, name = S(""), version = S("");
        unsigned pairs = 0;

        if (scan_try(a, '(')) {
                while (!a->bad && !scan_try(a, ')') && ++pairs <= 30) {
                        field = imap_string(s, a);
                        imap_sp(a);
                        value = imap_nstring(s, a);
                        scan_spaces(a);
                        if (str_ieq(field, S("name")))
                                name = str_sub(value, 0, 200);
                        if (str_ieq(field, S("version")))
                                version = str_sub(value, 0, 200);
                }
        } else {
                scan_word(a, S("NIL"));
        }
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (name.n)
                log_event("client", "session=%s name=%s version=%s", s->id, log_str(name), log_str(version));
        imap_say(s, "ID (\"name\" \"pail\" \"version\" \"" PAIL_VERSION "\")");
        return imap_ok(s, "that is who we are");
}

static const struct {
        const char *name;
        enum imap_capability capability;
        unsigned enables;
} can_enable[] = {
        { "IMAP4rev2", CAP_IMAP4REV2, ENABLED_REV2 },
        { "CONDSTORE", CAP_CONDSTORE, ENABLED_CONDSTORE },
        { "QRESYNC", CAP_QRESYNC, ENABLED_QRESYNC | ENABLED_CONDSTORE },
        { "UTF8=ACCEPT", CAP_UTF8_ACCEPT, ENABLED_UTF8 },
        { "UIDONLY", CAP_UIDONLY, ENABLED_UIDONLY },
};

/* ENABLE -- RFC 5161, RFC 9051 §6.3.1. What is not known is passed over; what was on already is not named. */
int imap_enable_command(struct session *s, struct scan *a)
{
        struct imap *p = imap_of(s);
        unsigned wanted = 0, fresh;
        auto_buf struct buf b = { 0 };

        do {
                struct str word = imap_atom(a);

                for (unsigned i = 0; i < sizeof(can_enable) / sizeof(*can_enable); i++)
                        if (str_ieq(word, str_of(can_enable[i].name)) &&
                            imap_can(s, can_enable[i].capability))
                                wanted |= can_enable[i].enables;
        } while (!a->bad && scan_try(a, ' '));
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        fresh = wanted & ~p->enabled;
        buf_init(&b, 256);
        for (unsigned i = 0; i < sizeof(can_enable) / sizeof(*can_enable); i++)
                if ((can_enable[i].enables & fresh) &&
                    (can_enable[i].enables & wanted) == can_enable[i].enables)
                        buf_printf(&b, " %s", can_enable[i].name);
        imap_enable(s, wanted);
        imap_say(s, "ENABLED" PRS, STR(buf_str(&b)));
        return imap_ok(s, "done");
}
