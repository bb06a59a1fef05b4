/* sync: copy and server brought together, once. */
#include "cli/mail/command.h"
#include "cli/mail/sync.h"
#include "cli/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

/* One line that is written over. */
static void tell(void *context, enum sync_state s, const char *words)
{
        struct buf auto_buf safe = { 0 };
        unsigned width = terminal_width();

        (void)context;
        buf_init(&safe, 4096);
        terminal_safe(&safe, str_of(words));
        fprintf(stderr, "\r\033[K" PRS, STR(s == SYNC_OFF ? S("") : str_sub(buf_str(&safe), 0, width - 1)));
        fflush(stderr);
}

static bool ask(void *context, const char *question)
{
        struct command *c = context;
        struct buf auto_buf safe = { 0 };

        if (c->yes)
                return true;
        buf_init(&safe, 8192);
        terminal_safe(&safe, str_of(question));
        buf_puts(&safe, S(" [n/y] "));
        buf_u8(&safe, 0);
        if (terminal_is(STDERR_FILENO))
                fputc('\n', stderr);
        return terminal_choose(safe.p, "ny") == 'y';
}

static void put_result(struct command *c, const struct sync_result *r)
{
        const struct {
                const char *key;
                uint64_t value;
        } all[] = { { "fetched", r->fetched },
                    { "sent", r->sent },
                    { "moved", r->moved },
                    { "flags-here", r->flags_here },
                    { "flags-there", r->flags_there },
                    { "removed-here", r->removed_here },
                    { "removed-there", r->removed_there },
                    { "folders", r->mailboxes },
                    { "octets", r->octets } };

        json_open(&c->t.out, NULL, '{');
        json_str(&c->t.out, "account", str_of(c->m.login->address));
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                json_number(&c->t.out, all[i].key, all[i].value);
        json_close(&c->t.out, '}');
        if (!c->t.json)
                printf("%s: %u fetched (%s), %u sent, %u moved; flags: %u here, %u there; removed: %u here, "
                       "%u there\n",
                       c->m.login->address, r->fetched, tool_size(r->octets).z, r->sent, r->moved,
                       r->flags_here, r->flags_there, r->removed_here, r->removed_there);
}

int mail_sync(struct command *c)
{
        struct sync_says says = { .state = terminal_is(STDERR_FILENO) ? tell : NULL,
                                  .ask = ask,
                                  .context = c };
        struct sync_result result = { 0 };
        struct buf auto_buf why = { 0 };
        int rc;

        if (c->m.login->how == INCOMING_STORE)
                return command_fail(c, -EINVAL, c->m.login->address,
                                    "it is on this server: there is nothing to bring together");
        buf_init(&why, 8192);
        rc = sync_once(c->m.copy, c->m.login, c->t.words, c->t.count, &says, &result, &why);
        if (says.state)
                fputs("\r\033[K", stderr);
        if (rc == 0 || result.fetched || result.sent)
                put_result(c, &result);
        buf_u8(&why, 0);
        return rc < 0 ? command_fail(c, rc, c->m.login->address, why.p) : EX_OK;
}
