/* pail list: mailing lists, an address with members. */
#include "cli/cli.h"
#include "cli/tool.h"
#include "store/outbox.h"
#include <errno.h>
#include <fcntl.h>
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

static int set(struct tool *t)
{
        int rc = tool_directory(t);

        return rc ? rc
                  : tool_changed(
                        t, directory_set_list(t->directory, t->words[0], t->words[1], t->words[2], &t->why));
}

/* What came back from members, counted by the outbox; none where there is no outbox yet. */
static void bounces(struct tool *t, struct outbox_bounce **rows, size_t *n)
{
        int dir = open("outbox", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct outbox *outbox;

        *n = 0;
        if (dir < 0 || outbox_open(&outbox, dir) < 0)
                return;
        if (outbox_bounces(outbox, arena_lower(&t->arena, t->words[0]), &t->arena, rows, n) < 0)
                *n = 0;
        outbox_close(&outbox);
}

static void show_member(struct tool *t, struct str member, const struct outbox_bounce *back)
{
        json_open(&t->out, NULL, '{');
        json_str(&t->out, "member", member);
        json_number(&t->out, "bounces", back ? back->count : 0);
        json_number(&t->out, "last", back ? (uint64_t)(back->last / 1000000) : 0);
        json_close(&t->out, '}');
        if (!t->json && back)
                printf(PRS "  %llu came back, last %s\n", STR(member), (unsigned long long)back->count,
                       tool_when(back->last / 1000000).z);
        else if (!t->json)
                printf(PRS "\n", STR(member));
}

static void show_settings(struct tool *t, const struct list_entry *e)
{
        json_str(&t->out, "title", e->title);
        json_str(&t->out, "owner", e->owner);
        json_number(&t->out, "max-size", e->max_size);
        json_bool(&t->out, "moderated", e->moderated);
        if (t->json)
                return;
        if (e->title.n)
                printf("title      " PRS "\n", STR(e->title));
        if (e->owner.n)
                printf("owner      " PRS "\n", STR(e->owner));
        if (e->max_size)
                printf("max-size   %s\n", tool_size(e->max_size).z);
        if (e->moderated)
                printf("moderated  its letters are held: pail queue list --held, pail queue release ID\n");
}

static int show(struct tool *t)
{
        struct outbox_bounce *back = NULL;
        struct directory_row *rows;
        struct list_entry entry;
        size_t n, back_count;
        int rc = tool_directory(t);

        if (rc)
                return rc;
        rc = directory_list(t->directory, &t->arena, t->words[0], &entry);
        if (rc == 0)
                rc = directory_rows(t->directory, DIR_MEMBERS, t->words[0], &t->arena, &rows, &n);
        if (rc < 0)
                return tool_fail(t, rc, t->words[0], rc == -ENOENT ? "no such list" : NULL);
        bounces(t, &back, &back_count);
        json_open(&t->out, NULL, '{');
        show_settings(t, &entry);
        json_open(&t->out, "members", '[');
        for (size_t i = 0; i < n; i++) {
                const struct outbox_bounce *his = NULL;

                for (size_t k = 0; k < back_count && !his; k++)
                        his = str_ieq(back[k].member, rows[i].value) ? &back[k] : NULL;
                show_member(t, rows[i].value, his);
        }
        for (size_t k = 0; k < back_count; k++) /* to ADDRESS-bounces@, without a member's name */
                if (!back[k].member.n)
                        show_member(t, S("(not said whose)"), &back[k]);
        json_close(&t->out, ']');
        json_close(&t->out, '}');
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
                { "add", 1, 10001, add },   { "remove", 1, 1, remove_one },
                { "join", 2, 10001, join }, { "leave", 2, 10001, leave },
                { "show", 1, 1, show },     { "set", 3, 3, set },
                { "list", 0, 0, list },     { 0 },
        };
        struct tool t;
        int rc = tool_begin(&t, argc, argv, NULL);

        return tool_end(&t, rc ? rc : tool_choose(&t, choices));
}
