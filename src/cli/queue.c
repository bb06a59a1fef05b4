/* pail queue: letters that wait: for a way out of this host (the outbox), or because an account could not take them
 * (intake/unfiled; the server tries those again by itself). */
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/tool.h"
#include "base/scan.h"
#include "mail/address.h"
#include "store/intake.h"
#include "store/outbox.h"
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

enum { PAGE = 1000 };
enum { DAY_SECONDS = 86400 };

/* As typed. */
static const char *domain, *sender, *recipient, *reason, *older;
static bool held, all;

static int open_outbox(struct tool *t, struct outbox **out)
{
        int fd = open("outbox", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int rc = fd < 0 ? -errno : outbox_open(out, fd);

        return rc < 0 ? tool_fail(t, rc, S("outbox"), NULL) : 0;
}

/* ---- the filter ---- */

/* "90" and "90s", "10m", "4h", "5d": seconds. */
static bool read_time(struct str text, int64_t *seconds)
{
        static const struct {
                char unit;
                int64_t times;
        } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', DAY_SECONDS } };
        uint64_t n, most = (uint64_t)100 * 365 * DAY_SECONDS;
        int64_t times = 1;

        for (size_t i = 0; text.n && i < sizeof(units) / sizeof(*units); i++)
                if (chr_lower(text.p[text.n - 1]) == units[i].unit) {
                        times = units[i].times;
                        text.n--;
                        break;
                }
        if (!str_u64(text, &n) || n > most / (uint64_t)times)
                return false;
        *seconds = (int64_t)n * times;
        return true;
}

static int read_filter(struct tool *t, struct outbox_filter *f)
{
        int64_t seconds;

        *f = (struct outbox_filter){ .sender = str_of(sender),
                                     .recipient = str_of(recipient),
                                     .reason = str_of(reason),
                                     .state = held ? RECIPIENT_HELD : 0 };
        if (domain && !domain_normal(&t->arena, str_of(domain), &f->domain))
                return tool_fail(t, -EINVAL, str_of(domain), "no domain");
        if (older && !read_time(str_of(older), &seconds))
                return tool_fail(t, -EINVAL, str_of(older), "no time: 90s, 10m, 4h or 5d");
        if (older)
                f->before = wall_usec() - seconds * 1000000;
        return 0;
}

static bool is_filtered(void)
{
        return domain || sender || recipient || reason || older || held;
}

/* ---- list ---- */

/* "jill@hill.com (queued, 2 attempts: 450 4.2.0 later)" */
static void show_recipient(struct tool *t, struct str line)
{
        struct str rest = line, state, address;
        size_t at = 0;

        if (line.n && line.p[0] == '"') /* a quoted local part may hold anything */
                for (at = 1; at < line.n && line.p[at] != '"'; at++)
                        at += line.p[at] == '\\';
        at += str_search(str_from_at(line, at), S(" ("));
        address = str_sub(line, 0, at);
        rest = str_sub(line, at + 2, line.n - at - 3);
        str_cut(&rest, ':', &state);
        if (!t->json) {
                printf("       -> " PRS "\n", STR(line));
                return;
        }
        json_open(&t->out, NULL, '{');
        json_str(&t->out, "address", address);
        json_str(&t->out, "state", str_sub(state, 0, str_find(state, ',')));
        json_str(&t->out, "reason", str_trim(rest));
        json_close(&t->out, '}');
}

static void show_letter(struct tool *t, const struct outbox_letter *l)
{
        struct str rest = l->recipients, one;
        char id[24];

        snprintf(id, sizeof(id), "%llu", (unsigned long long)l->id);
        json_str(&t->out, "id", str_of(id));
        json_str(&t->out, "from", l->sender);
        json_number(&t->out, "size", l->size);
        json_number(&t->out, "received", (uint64_t)(l->received / 1000000));
        json_number(&t->out, "next", (uint64_t)(l->next / 1000000));
        json_open(&t->out, "waiting", '[');
        if (!t->json)
                printf("%-6llu %s  %-8s <" PRS ">%s%s\n", (unsigned long long)l->id,
                       tool_when(l->received / 1000000).z, tool_size(l->size).z, STR(l->sender),
                       l->next > wall_usec() ? ", next attempt " : "",
                       l->next > wall_usec() ? tool_when(l->next / 1000000).z : "");
        while (rest.n) {
                str_cut(&rest, '\n', &one);
                show_recipient(t, one);
        }
        json_close(&t->out, ']');
}

static bool unfiled_fits(const struct outbox_filter *f, const struct intake_unfiled *l)
{
        return !f->state && (!f->sender.n || str_ieq(f->sender, l->sender)) &&
               (!f->recipient.n || str_ieq(f->recipient, l->recipient)) &&
               (!f->domain.n ||
                str_ieq(f->domain, str_from_at(l->recipient, str_rfind(l->recipient, '@') + 1))) &&
               (!f->reason.n || str_search(l->reason, f->reason) != STR_NONE) &&
               (!f->before || l->received < f->before);
}

static int list_unfiled(struct tool *t, const struct outbox_filter *f)
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

                if (!unfiled_fits(f, l))
                        continue;
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

/* A page at a time goes out, so that the first of a million are seen at once, and none is kept. */
static int list_outbox(struct tool *t, struct outbox *outbox, const struct outbox_filter *f)
{
        static struct outbox_letter letters[PAGE];
        struct arena auto_arena page;
        uint64_t after = 0;
        size_t n, most = PAGE / 20;
        int rc;

        arena_init(&page, (size_t)1 << 30);
        do {
                n = most;
                rc = outbox_list(outbox, f, after, &page, letters, &n);
                for (size_t i = 0; i < n; i++) {
                        after = letters[i].id;
                        json_open(&t->out, NULL, '{');
                        show_letter(t, &letters[i]);
                        json_close(&t->out, '}');
                }
                if (fflush(stdout) != 0)
                        return EX_IOERR;
                arena_reset(&page);
        } while (rc >= 0 && n == most && (most = PAGE));
        return rc < 0 ? tool_fail(t, rc, S("outbox"), NULL) : 0;
}

static int list(struct tool *t)
{
        struct outbox_filter f;
        struct outbox *outbox;
        int rc = read_filter(t, &f);

        rc = rc ? rc : open_outbox(t, &outbox);
        if (rc)
                return rc;
        json_open(&t->out, NULL, '{');
        json_open(&t->out, "outbox", '[');
        rc = list_outbox(t, outbox, &f);
        outbox_close(&outbox);
        if (rc)
                return rc;
        json_close(&t->out, ']');
        json_open(&t->out, "unfiled", '[');
        rc = list_unfiled(t, &f);
        json_close(&t->out, ']');
        json_close(&t->out, '}');
        return rc;
}

/* ---- show ---- */

static void show_attempt(struct tool *t, const struct outbox_attempt *a)
{
        if (!t->json) {
                printf("\n%s  " PRS "%s" PRS "\n" PRS, tool_when(a->at / 1000000).z, STR(a->destination),
                       a->peer.n ? ": " : "", STR(a->peer), STR(a->conversation));
                return;
        }
        json_open(&t->out, NULL, '{');
        json_number(&t->out, "at", (uint64_t)(a->at / 1000000));
        json_str(&t->out, "destination", a->destination);
        json_str(&t->out, "peer", a->peer);
        json_str(&t->out, "conversation", a->conversation);
        json_close(&t->out, '}');
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
        json_open(&t->out, "attempts", '[');
        for (size_t i = 0; i < attempt_count; i++)
                show_attempt(t, &attempts[i]);
        json_close(&t->out, ']');
        json_str(&t->out, "text", buf_str(&text));
        json_close(&t->out, '}');
        if (!t->json) {
                printf("\n");
                fwrite(text.p, 1, text.n, stdout);
        }
        return EX_OK;
}

/* ---- orders ---- */

static int remove_unfiled(struct tool *t, struct str name)
{
        int intake = open("intake", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int rc = intake < 0 ? -errno : intake_unfiled_remove(intake, name);

        if (intake >= 0)
                close(intake);
        return rc < 0 ? tool_fail(t, rc, name, rc == -ENOENT ? "no such letter" : NULL) : 0;
}

static int order_one(struct tool *t, struct outbox *outbox, enum outbox_order what, struct outbox_filter f,
                     struct str name, uint64_t *done)
{
        uint64_t n = 0;
        int rc;

        if (!str_u64(name, &f.letter) || !f.letter) {
                if (what != ORDER_REMOVE)
                        return tool_fail(t, -EINVAL, name, "no number of the list");
                return remove_unfiled(t, name);
        }
        rc = outbox_order(outbox, what, &f, &n);
        *done += n;
        if (rc == 0 && !n)
                return tool_fail(t, -ENOENT, name, "no such letter, or nobody of it whom this concerns");
        return rc < 0 ? tool_fail(t, rc, name, NULL) : 0;
}

/* The sender looks at once, instead of when it would have. */
static void tell_server(struct tool *t)
{
        int rc = cli_control(CONTROL_OUTBOX_CHANGED, S(""), NULL);

        if (rc < 0 && !control_nobody(rc))
                tool_fail(t, rc, S("the running server was not told, and will see it by itself"), NULL);
}

static int order(struct tool *t, enum outbox_order what)
{
        struct outbox_filter f;
        struct outbox *outbox;
        uint64_t done = 0;
        int rc = read_filter(t, &f);

        if (!rc && !t->count && !is_filtered() && !all)
                rc = tool_fail(t, -EINVAL, S(""), "which letters? Say their numbers, a filter, or --all");
        if (!rc && all && (t->count || is_filtered()))
                rc = tool_fail(t, -EINVAL, S("--all"), "stands alone: no numbers, no filter");
        rc = rc ? rc : open_outbox(t, &outbox);
        if (rc)
                return rc;
        for (size_t i = 0; rc == 0 && i < t->count; i++)
                rc = order_one(t, outbox, what, f, t->words[i], &done);
        if (!t->count) {
                rc = outbox_order(outbox, what, &f, &done);
                rc = rc < 0 ? tool_fail(t, rc, S("outbox"), NULL) : 0;
        }
        outbox_close(&outbox);
        if (done)
                tell_server(t);
        json_open(&t->out, NULL, '{');
        json_number(&t->out, "recipients", done);
        json_close(&t->out, '}');
        if (!t->json && (!t->count || t->count > 1))
                printf("%llu recipient%s\n", (unsigned long long)done, done == 1 ? "" : "s");
        return rc;
}

static int retry(struct tool *t)
{
        return order(t, ORDER_RETRY);
}

static int hold(struct tool *t)
{
        return order(t, ORDER_HOLD);
}

static int release(struct tool *t)
{
        return order(t, ORDER_RELEASE);
}

static int remove_some(struct tool *t)
{
        return order(t, ORDER_REMOVE);
}

static int bounce(struct tool *t)
{
        return order(t, ORDER_BOUNCE);
}

int verb_queue(int argc, char **argv)
{
        static const struct tool_option options[] = {
                { "domain", &domain, NULL },
                { "sender", &sender, NULL },
                { "recipient", &recipient, NULL },
                { "reason", &reason, NULL },
                { "older", &older, NULL },
                { "held", NULL, &held },
                { "all", NULL, &all },
                { 0 },
        };
        static const struct tool_choice choices[] = {
                { "list", 0, 0, list },          { "show", 1, 1, show },
                { "retry", 0, 1000, retry },     { "hold", 0, 1000, hold },
                { "release", 0, 1000, release }, { "remove", 0, 1000, remove_some },
                { "bounce", 0, 1000, bounce },   { 0 },
        };
        struct tool t;
        int rc = tool_begin(&t, argc, argv, options);

        if (rc == 0 && !t.count) /* `pail queue` alone shows it */
                rc = list(&t);
        else if (rc == 0)
                rc = tool_choose(&t, choices);
        return tool_end(&t, rc);
}
