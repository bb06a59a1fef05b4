/* pail queue: letters that wait: for a way out of this host (the outbox), or because an account could not take them
 * (intake/unfiled; the server tries those again by itself). */
#include "cli/cli.h"
#include "cli/tool.h"
#include "store/intake.h"
#include "store/outbox.h"
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

enum { PAGE = 1000 };

static int open_outbox(struct tool *t, struct outbox **out)
{
        int fd = open("outbox", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int rc = fd < 0 ? -errno : outbox_open(out, fd);

        return rc < 0 ? tool_fail(t, rc, S("outbox"), NULL) : 0;
}

static void show_letter(struct tool *t, const struct outbox_letter *l)
{
        struct str rest = l->recipients, one;

        json_str(&t->out, "id", arena_printf(&t->arena, "%llu", (unsigned long long)l->id));
        json_str(&t->out, "from", l->sender);
        json_number(&t->out, "size", l->size);
        json_number(&t->out, "received", (uint64_t)(l->received / 1000000));
        json_open(&t->out, "waiting", '[');
        if (!t->json)
                printf("%-6llu %s  %-8s <" PRS ">\n", (unsigned long long)l->id,
                       tool_when(l->received / 1000000).z, tool_size(l->size).z, STR(l->sender));
        while (rest.n) {
                str_cut(&rest, '\n', &one);
                json_str(&t->out, NULL, one);
                if (!t->json)
                        printf("       -> " PRS "\n", STR(one));
        }
        json_close(&t->out, ']');
}

static int list_unfiled(struct tool *t)
{
        struct intake_unfiled *list;
        int dir = open("intake", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
        size_t n;

        rc = dir < 0 ? -errno : intake_unfiled_list(dir, &t->arena, &list, &n);
        if (dir >= 0)
                close(dir);
        if (rc < 0)
                return tool_fail(t, rc, S("intake/unfiled"), NULL);
        for (size_t i = 0; i < n; i++) {
                const struct intake_unfiled *l = &list[i];

                json_open(&t->out, NULL, '{');
                json_str(&t->out, "id", l->name);
                json_str(&t->out, "from", l->sender);
                json_str(&t->out, "to", l->recipient);
                json_str(&t->out, "account", l->account);
                json_str(&t->out, "reason", l->reason);
                json_number(&t->out, "size", l->size);
                json_number(&t->out, "received", (uint64_t)(l->received / 1000000));
                json_close(&t->out, '}');
                if (!t->json)
                        printf(PRS " %s  %-8s <" PRS ">\n       -> " PRS " (could not be filed: " PRS ")\n",
                               STR(l->name), tool_when(l->received / 1000000).z, tool_size(l->size).z,
                               STR(l->sender), STR(l->recipient), STR(l->reason));
        }
        return EX_OK;
}

static int list(struct tool *t)
{
        static struct outbox_letter letters[PAGE];
        static const struct outbox_filter any;
        struct outbox *outbox;
        uint64_t after = 0;
        size_t n = PAGE;
        int rc = open_outbox(t, &outbox);

        if (rc)
                return rc;
        json_open(&t->out, NULL, '{');
        json_open(&t->out, "outbox", '[');
        while (rc >= 0 && n == PAGE) {
                rc = outbox_list(outbox, &any, after, &t->arena, letters, &n);
                for (size_t i = 0; i < n; i++) {
                        after = letters[i].id;
                        json_open(&t->out, NULL, '{');
                        show_letter(t, &letters[i]);
                        json_close(&t->out, '}');
                }
        }
        outbox_close(&outbox);
        if (rc < 0)
                return tool_fail(t, rc, S("outbox"), NULL);
        json_close(&t->out, ']');
        json_open(&t->out, "unfiled", '[');
        rc = list_unfiled(t);
        json_close(&t->out, ']');
        json_close(&t->out, '}');
        return rc;
}

static int show(struct tool *t)
{
        struct outbox_attempt *attempts;
        struct outbox_letter letter;
        size_t attempt_count;
        struct buf auto_buf text = { 0 };
        struct outbox *outbox;
        uint64_t id;
        int rc;

        if (!str_u64(t->words[0], &id))
                return tool_fail(t, -EINVAL, t->words[0], "no number of the list");
        rc = open_outbox(t, &outbox);
        if (rc)
                return rc;
        buf_init(&text, (size_t)4 << 30);
        rc = outbox_show(outbox, id, &t->arena, &letter, &attempts, &attempt_count, &text);
        outbox_close(&outbox);
        if (rc < 0)
                return tool_fail(t, rc, t->words[0], rc == -ENOENT ? "no such letter" : NULL);
        json_open(&t->out, NULL, '{');
        show_letter(t, &letter);
        json_str(&t->out, "text", buf_str(&text));
        json_close(&t->out, '}');
        for (size_t i = 0; i < attempt_count && !t->json; i++)
                printf("\n%s  " PRS "\n" PRS, tool_when(attempts[i].at / 1000000).z, STR(attempts[i].peer),
                       STR(attempts[i].conversation));
        if (!t->json) {
                printf("\n");
                fwrite(text.p, 1, text.n, stdout);
        }
        return EX_OK;
}

static int remove_one(struct tool *t, struct outbox *outbox, int intake, struct str name)
{
        struct outbox_filter one = { 0 };
        uint64_t n = 1;
        int rc = str_u64(name, &one.letter) ? outbox_order(outbox, ORDER_REMOVE, &one, &n)
                                            : intake_unfiled_remove(intake, name);

        if (rc == 0 && !n)
                rc = -ENOENT;

        return rc < 0 ? tool_fail(t, rc, name, rc == -ENOENT ? "no such letter" : NULL) : 0;
}

static int remove_some(struct tool *t)
{
        struct outbox *outbox;
        int rc = open_outbox(t, &outbox), intake;

        if (rc)
                return rc;
        intake = open("intake", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; rc == 0 && i < t->count; i++)
                rc = remove_one(t, outbox, intake, t->words[i]);
        if (intake >= 0)
                close(intake);
        outbox_close(&outbox);
        return rc;
}

int verb_queue(int argc, char **argv)
{
        static const struct tool_choice choices[] = {
                { "list", 0, 0, list },
                { "show", 1, 1, show },
                { "remove", 1, 1000, remove_some },
                { 0 },
        };
        struct tool t;
        int rc = tool_begin(&t, argc, argv, NULL);

        if (rc == 0 && !t.count) /* `pail queue` alone shows it */
                rc = list(&t);
        else if (rc == 0)
                rc = tool_choose(&t, choices);
        return tool_end(&t, rc);
}
