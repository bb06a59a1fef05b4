/* pail domain: the domains whose mail is ours. */
#include "cli/cli.h"
#include "cli/tool.h"
#include <sysexits.h>

static const char *alias_of;

static int add(struct tool *t)
{
        int rc = tool_directory(t);

        return rc ? rc
                  : tool_changed(t,
                                 directory_add_domain(t->directory, t->words[0], str_of(alias_of), &t->why));
}

static int remove_one(struct tool *t)
{
        int rc = tool_directory(t);

        return rc ? rc : tool_changed(t, directory_remove_domain(t->directory, t->words[0], &t->why));
}

static int catch_all(struct tool *t)
{
        struct str account = t->count > 1 ? t->words[1] : S("");
        int rc = tool_directory(t);

        return rc ? rc
                  : tool_changed(t, directory_set_catch_all(t->directory, t->words[0], account, &t->why));
}

static int list(struct tool *t)
{
        struct directory_row *rows;
        size_t n;
        int rc = tool_directory(t);

        if (rc)
                return rc;
        rc = directory_rows(t->directory, DIR_DOMAINS, S(""), &t->arena, &rows, &n);
        if (rc < 0)
                return tool_fail(t, rc, S("list"), NULL);
        json_open(&t->out, NULL, '[');
        for (size_t i = 0; i < n; i++) {
                json_open(&t->out, NULL, '{');
                json_str(&t->out, "domain", rows[i].name);
                json_str(&t->out, "alias_of", rows[i].value);
                json_str(&t->out, "catch_all", rows[i].more);
                json_close(&t->out, '}');
                if (!t->json)
                        printf(PRS "%s" PRS "%s" PRS "\n", STR(rows[i].name),
                               rows[i].value.n ? "  another name of " : "", STR(rows[i].value),
                               rows[i].more.n ? "  catch-all " : "", STR(rows[i].more));
        }
        json_close(&t->out, ']');
        return EX_OK;
}

int verb_domain(int argc, char **argv)
{
        static const struct tool_option options[] = { { "alias-of", &alias_of, NULL }, { 0 } };
        static const struct tool_choice choices[] = {
                { "add", 1, 1, add },
                { "remove", 1, 1, remove_one },
                { "catch-all", 1, 2, catch_all },
                { "list", 0, 0, list },
                { 0 },
        };
        struct tool t;
        int rc = tool_begin(&t, argc, argv, options);

        return tool_end(&t, rc ? rc : tool_choose(&t, choices));
}
