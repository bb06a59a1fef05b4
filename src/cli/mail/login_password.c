/* Passwords: from the file, from a command, from a person; and what is done when a server refuses one. */
#include "base/mem.h"
#include "cli/mail/logins.h"
#include "cli/shell.h"
#include "cli/terminal.h"
#include "run/offload.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PASSWORD_MOST = 4096, SAID_MOST = 300 };

struct asked {
        const char *command;
        struct buf *out;
};

static int run_command(void *arg)
{
        struct asked *asked = arg;

        return shell_run(asked->command, NULL, asked->out);
}

/* above: a line before the question; empty: none. */
static bool ask(const struct login *l, struct str above, struct buf *said)
{
        struct buf auto_buf question = { 0 };

        buf_init(&question, 4096);
        terminal_safe(&question, above);
        if (above.n)
                buf_puts(&question, S("\n"));
        buf_puts(&question, S("Password of "));
        terminal_safe(&question, str_of(l->incoming.user ? l->incoming.user : l->address));
        buf_puts(&question, S(": "));
        buf_u8(&question, 0);
        return terminal_ask(question.p, false, said);
}

static void know(struct login *l, struct buf *said)
{
        while (said->n && (said->p[said->n - 1] == '\n' || said->p[said->n - 1] == '\r'))
                said->n--;
        mem_free(l->known);
        l->known = mem_string(buf_str(said));
}

bool login_password(struct login *l, const char **password)
{
        struct buf auto_buf said = { 0 };
        bool good;

        if (l->password && !l->known)
                l->known = mem_string(str_of(l->password));
        if (!l->known) {
                buf_init(&said, PASSWORD_MOST);
                if (l->password_command) {
                        good = offload(LONG, run_command, &(struct asked){ l->password_command, &said }) == 0;
                        if (!good)
                                fprintf(stderr, "pail mail: %s: it ended with an error\n",
                                        l->password_command);
                } else {
                        good = ask(l, S(""), &said);
                }
                if (!good)
                        return false;
                know(l, &said);
        }
        *password = l->known;
        return true;
}

/* ---- refused ---- */

static bool is_about_password(const char *code)
{
        static const char *const codes[] = { "", "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED",
                                             "AUTH" };

        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
                if (!strcmp(code, codes[i]))
                        return true;
        return false;
}

static bool is_person_there(void)
{
        int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

        if (tty >= 0)
                close(tty);
        return tty >= 0;
}

bool login_refused(struct login *l, const char *code, const char *words)
{
        struct buf auto_buf said = { 0 }, above = { 0 };

        if (!is_about_password(code) || l->given_up || !is_person_there())
                return false;
        buf_init(&said, PASSWORD_MOST);
        buf_init(&above, 1024);
        buf_printf(&above, "%s: the password is refused: " PRS, l->address,
                   STR(str_sub(str_of(words), 0, SAID_MOST)));
        if (!ask(l, buf_str(&above), &said) || !str_trim(buf_str(&said)).n) {
                l->given_up = true;
                return false;
        }
        know(l, &said);
        l->typed = true;
        return true;
}

void login_accepted(struct login *l)
{
        struct buf auto_buf why = { 0 };

        if (!l->typed || !l->password)
                return;
        l->typed = false;
        buf_init(&why, 4096);
        if (logins_password(l->address, l->known, &why) < 0) {
                fputs("pail mail: the new password is not kept: ", stderr);
                terminal_put(stderr, buf_str(&why));
                fputc('\n', stderr);
                return;
        }
        mem_free(l->password);
        l->password = mem_string(str_of(l->known));
}
