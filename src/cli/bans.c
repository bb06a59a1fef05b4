/* pail bans: addresses that are refused because sign-ins from them failed too often. */
#include "cli/cli.h"
#include "cli/tool.h"
#include <errno.h>
#include <sysexits.h>

static void show(struct tool *t, const struct ban_entry *e)
{
        struct str address = str_of(addr_text(e->net).z);

        json_open(&t->out, NULL, '{');
        json_str(&t->out, "address", address);
        json_number(&t->out, "until", (uint64_t)e->until);
        json_number(&t->out, "times", e->times);
        json_close(&t->out, '}');
        if (!t->json)
                printf("%-40.*s until %s, %llu%s time\n", STR(address), tool_when(e->until).z,
                       (unsigned long long)e->times,
                       e->times == 1   ? "st"
                       : e->times == 2 ? "nd"
                       : e->times == 3 ? "rd"
                                       : "th");
}

static int list(struct tool *t)
{
        uint32_t shown = 0, before;
        int rc;

        json_open(&t->out, NULL, '[');
        do { /* as many at a time as fit a message */
                struct buf auto_buf rows = { 0 };
                struct ban_entry e;
                struct unpack u;

                before = shown;
                buf_init(&rows, 16000);
                rc = tool_bans(t, shown, &rows);
                u = unpack_of(buf_str(&rows));
                for (; rc == 0 && ban_entry_next(&u, &e); shown++)
                        show(t, &e);
        } while (shown > before);
        json_close(&t->out, ']');
        return rc < 0 ? tool_fail(t, rc, S("list"), NULL) : EX_OK;
}

static int remove_some(struct tool *t)
{
        for (size_t i = 0; i < t->count; i++) {
                int rc = tool_unban(t, t->words[i]);

                if (rc < 0)
                        return tool_fail(t, rc, t->words[i],
                                         rc == -ENOENT   ? "is not refused"
                                         : rc == -EINVAL ? "not an address"
                                                         : NULL);
        }
        return EX_OK;
}

int verb_bans(int argc, char **argv)
{
        static const struct tool_choice choices[] = { { "list", 0, 0, list },
                                                      { "remove", 1, 1000, remove_some },
                                                      { 0 } };
        struct tool t;
        int rc = tool_begin(&t, argc, argv, NULL);

        return tool_end(&t, rc ? rc : tool_choose(&t, choices));
}
