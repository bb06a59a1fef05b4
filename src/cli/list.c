/* pail list: mailing lists, an address with members. */
#include "cli/cli.h"
#include "cli/tool.h"
#include <errno.h>
#include <sysexits.h>

static int join_all(struct tool *t)
{
        int rc = 0;

        for (size_t i = 1; rc == 0 && i < t->count; i++)
                rc = directory_add_member(t->directory, t->words[0], t->words[i], &t->why);
        return rc;
}

static int add(struct tool *t)
{
        int rc = tool_directory(t);

        if (rc)
                return rc;
        rc = directory_add_list(t->directory, t->words[0], &t->why);
        return tool_changed(t, rc ? rc : join_all(t));
}

static int remove_one(struct tool *t)
{
        int rc = tool_directory(t);

        return rc ? rc : tool_changed(t, directory_remove_list(t->directory, t->words[0], &t->why));
}

static int join(struct tool *t)
{
        int rc = tool_directory(t);

        return rc ? rc : tool_changed(t, join_all(t));
}

static int leave(struct tool *t)
{
        int rc = tool_directory(t);

        if (rc)
                return rc;
        for (size_t i = 1; rc == 0 && i < t->count; i++)
                rc = directory_remove_member(t->directory, t->words[0], t->words[i], &t->why);
        return tool_changed(t, rc);
}

static int show(struct tool *t)
{
        struct directory_row *rows;
        size_t n;
        int rc = tool_directory(t);

        if (rc)
                return rc;
        rc = directory_rows(t->directory, DIR_LISTS, t->words[0], &t->arena, &rows, &n);
        if (rc == 0 && n == 0)
                return tool_fail(t, -ENOENT, t->words[0], "no such list");
        rc = rc ? rc : directory_rows(t->directory, DIR_MEMBERS, t->words[0], &t->arena, &rows, &n);
        if (rc < 0)
                return tool_fail(t, rc, t->words[0], NULL);
        json_open(&t->out, NULL, '[');
        for (size_t i = 0; i < n; i++) {
                json_str(&t->out, NULL, rows[i].value);
                if (!t->json)
                        printf(PRS "\n", STR(rows[i].value));
        }
        json_close(&t->out, ']');
        return EX_OK;
}

static int list(struct tool *t)
{
        struct directory_row *rows;
        size_t n;
        int rc = tool_directory(t);

        if (rc)
                return rc;
        rc = directory_rows(t->directory, DIR_LISTS, S(""), &t->arena, &rows, &n);
        if (rc < 0)
                return tool_fail(t, rc, S("list"), NULL);
        json_open(&t->out, NULL, '[');
        for (size_t i = 0; i < n; i++) {
                json_open(&t->out, NULL, '{');
                json_str(&t->out, "list", rows[i].name);
                json_number(&t->out, "members", rows[i].number);
                json_close(&t->out, '}');
                if (!t->json)
                        printf("%-40.*s %llu members\n", STR(rows[i].name),
                               (unsigned long long)rows[i].number);
        }
        json_close(&t->out, ']');
        return EX_OK;
}

int verb_list(int argc, char **argv)
{
        static const struct tool_choice choices[] = {
                { "add", 1, 10001, add },
                { "remove", 1, 1, remove_one },
                { "join", 2, 10001, join },
                { "leave", 2, 10001, leave },
                { "show", 1, 1, show },
                { "list", 0, 0, list },
                { 0 },
        };
        struct tool t;
        int rc = tool_begin(&t, argc, argv, NULL);

        return tool_end(&t, rc ? rc : tool_choose(&t, choices));
}
