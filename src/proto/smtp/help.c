#include "proto/smtp/smtp.h"

enum { VERBS_A_LINE = 6 };

static int help_on(struct session *s, struct str verb)
{
        const struct command *c = command_find(&smtp_dialect, verb);

        if (!c || c->needs & UNLISTED)
                return smtp_reply(s, "504 5.5.4 No help on that; HELP alone lists the commands");
        return smtp_reply(s, "214 2.0.0 %s", c->synopsis);
}

/* HELP [ SP String ] -- RFC 5321 §4.1.1.8; both answers come from the command table. */
int smtp_help(struct session *s, struct scan *a)
{
        struct str line = S("");
        unsigned n = 0;

        if (!scan_end(a))
                return help_on(s, str_trim(scan_rest(a)));
        smtp_reply(s, "211-2.0.0 Commands:");
        for (size_t i = 0; i < smtp_dialect.count; i++) {
                const struct command *c = &smtp_dialect.commands[i];

                if (c->needs & UNLISTED)
                        continue;
                if (n++ == VERBS_A_LINE) {
                        smtp_reply(s, "211-2.0.0 " PRS, STR(line));
                        line = S("");
                        n = 1;
                }
                line = arena_printf(&s->command, PRS "  %s", STR(line), c->verb);
        }
        smtp_reply(s, "211-2.0.0 " PRS, STR(line));
        return smtp_reply(s, "211 2.0.0 HELP and a command says how it is written");
}
