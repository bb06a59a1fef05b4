/* pail alias: other addresses of an account, or of several, or of somebody elsewhere. */
#include "cli/cli.h"
#include "cli/tool.h"
#include <sysexits.h>

static int add(struct tool *t)
{
        int rc = tool_directory(t);

        if (rc)
                return rc;
        for (size_t i = 1; rc == 0 && i < t->count; i++)
                rc = directory_add_alias(t->directory, t->words[0], t->words[i], &t->why);
        return tool_changed(t, rc);
}

static int remove_one(struct tool *t)
{
        struct str target = t->count > 1 ? t->words[1] : S("");
        int rc = tool_directory(t);

        return rc ? rc : tool_changed(t, directory_remove_alias(t->directory, t->words[0], target, &t->why));
}

static int list(struct tool *t)
{
        struct str of = t->count ? t->words[0] : S("");
        struct directory_row *rows;
        size_t n;
        int rc = tool_directory(t);

        if (rc)
                return rc;
        if (of.n && str_find(of, '@') == STR_NONE)
                of = arena_printf(&t->arena, "@" PRS, STR(of));
        rc = directory_rows(t->directory, DIR_ALIASES, of, &t->arena, &rows, &n);
        if (rc < 0)
                return tool_fail(t, rc, S("list"), NULL);
        json_open(&t->out, NULL, '[');
        for (size_t i = 0; i < n; i++) {
                json_open(&t->out, NULL, '{');
                json_str(&t->out, "address", rows[i].name);
                json_str(&t->out, "target", rows[i].value);
                json_close(&t->out, '}');
                if (!t->json)
                        printf(PRS " -> " PRS "\n", STR(rows[i].name), STR(rows[i].value));
        }
        json_close(&t->out, ']');
        return EX_OK;
}

int verb_alias(int argc, char **argv)
{
        static const struct tool_choice choices[] = {
                { "add", 2, 1000, add },
                { "remove", 1, 2, remove_one },
                { "list", 0, 1, list },
                { 0 },
        };
        struct tool t;
        int rc = tool_begin(&t, argc, argv, NULL);

        return tool_end(&t, rc ? rc : tool_choose(&t, choices));
}
