/* pail mail: whose mail, and what is to be done: the screen, or a single command. */
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/mail/command.h"
#include "cli/mail/screen.h"
#include "cli/shell.h"
#include "cli/terminal.h"
#include "run/offload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, UIDS_MOST = 10000 };

/* ---- what all commands share ---- */

int command_fail(struct command *c, int rc, const char *what, const char *why)
{
        struct buf auto_buf safe = { 0 };

        buf_init(&safe, 64 * 1024);
        terminal_safe(&safe, str_of(why && *why ? why : strerror(-rc)));
        buf_u8(&safe, 0);
        (void)tool_fail(&c->t, rc, str_of(what), safe.p);
        switch (rc) {
        case -EACCES:
        case -EPERM: return EX_NOPERM;
        case -EIO:
        case -ENOSPC: return EX_IOERR;
        case -EBADMSG:
        case -EFBIG: return EX_DATAERR;
        case -EPROTO: return EX_PROTOCOL;
        case -EREMOTEIO: return EX_UNAVAILABLE;
        case -E2BIG:
        case -EINVAL: return EX_USAGE;
        case -EROFS:
        case -EEXIST: return EX_CANTCREAT;
        case -ENOENT: return EX_NOINPUT;
        default: return EX_TEMPFAIL;
        }
}

int command_usage(struct command *c)
{
        return tool_usage(&c->t);
}

struct str command_word(struct command *c)
{
        if (!c->t.count)
                return S("");
        c->t.count--;
        return *c->t.words++;
}

bool command_number(struct str s, uint32_t *n)
{
        uint64_t value;

        if (!str_u64(s, &value) || !value || value > UINT32_MAX)
                return false;
        *n = (uint32_t)value;
        return true;
}

struct str command_folder(struct command *c)
{
        static const char set[] = "0123456789,:*";
        bool uids = true;

        if (c->folder)
                return str_of(c->folder);
        if (!c->t.count)
                return INBOX;
        for (size_t i = 0; i < c->t.words->n; i++)
                uids &= strchr(set, c->t.words->p[i]) != NULL;
        return uids ? INBOX : command_word(c);
}

static int by_first(const void *a, const void *b)
{
        uint32_t x = ((const struct uid_range *)a)->first, y = ((const struct uid_range *)b)->first;

        return (x > y) - (x < y);
}

static bool range(struct str s, struct uid_range *r)
{
        struct str first;
        bool two = str_cut(&s, ':', &first);

        if (!command_number(first, &r->first))
                return false;
        r->last = r->first;
        if (two && !str_eq(s, S("*")) && !command_number(s, &r->last))
                return false;
        if (two && str_eq(s, S("*")))
                r->last = UINT32_MAX;
        if (r->last < r->first) {
                uint32_t low = r->last;

                r->last = r->first;
                r->first = low;
        }
        return true;
}

int command_uids(struct command *c, struct uid_list *uids)
{
        struct str rest = command_word(c), one;
        struct uid_range *list;
        uint32_t end = 0;
        size_t n = 0;

        if (!rest.n)
                return command_usage(c);
        list = arena_array(&c->t.arena, struct uid_range, UIDS_MOST);
        while (rest.n) {
                str_cut(&rest, ',', &one);
                if (n == UIDS_MOST || !range(one, &list[n++]))
                        return command_fail(c, -EINVAL, arena_str(&c->t.arena, one).p,
                                            "no number of a letter, nor a range");
        }
        qsort(list, n, sizeof *list, by_first);
        for (size_t i = 0; i < n; i++) {
                if (list[i].last <= end)
                        continue;
                uid_list_add(uids, list[i].first > end ? list[i].first : end + 1, list[i].last);
                end = list[i].last;
        }
        return EX_OK;
}

int command_placed(struct command *c, struct str folder, uint32_t uid, struct placed *p)
{
        struct uid_range one = { uid, uid };
        struct placed_list list = { 0 };
        struct access x = { 0 };
        int rc = copy_access(c->m.copy, &x, folder, RIGHT_READ);

        if (rc == 0)
                rc = change_list(&x, &one, 1, 0, &list);
        if (rc == 0 && !list.n)
                rc = -ENOENT;
        if (rc == 0)
                *p = list.list[0];
        placed_list_free(&list);
        access_close(&x);
        return rc;
}

int command_letter(struct command *c, struct str *folder, struct placed *p, struct letter **l, unsigned flags)
{
        struct str word;
        uint32_t uid;
        int rc;

        *folder = command_folder(c);
        word = command_word(c);
        if (!command_number(word, &uid))
                return command_usage(c);
        rc = command_placed(c, *folder, uid, p);
        if (rc == 0)
                rc = letter_open(l, copy_account(c->m.copy), p->letter, flags);
        if (rc == 0)
                return EX_OK;
        word = arena_printf(&c->t.arena, PRS " %u", STR(*folder), uid);
        return command_fail(c, rc, word.p, rc == -ENOENT ? "there is no such letter" : NULL);
}

struct reading {
        const char *path;
        struct buf *out;
};

static int read_all(void *arg)
{
        struct reading *r = arg;
        bool own = !strcmp(r->path, "-");
        int fd = own ? STDIN_FILENO : open(r->path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -errno : 1;

        while (n > 0) {
                char *room = buf_room(r->out, PIECE);

                n = room ? read(fd, room, PIECE) : -1;
                if (n < 0)
                        n = !room ? -EFBIG : errno == EINTR ? 1 : -errno;
                else
                        buf_added(r->out, (size_t)n);
        }
        if (!own && fd >= 0)
                close(fd);
        return (int)n;
}

int command_read(const char *path, struct buf *out)
{
        return offload(LONG, read_all, &(struct reading){ path, out });
}

/* ---- shown ---- */

static unsigned terminal_lines(void)
{
        struct winsize w = { 0 };

        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row ? w.ws_row : 24;
}

static bool is_longer(struct str text)
{
        size_t lines = 0, column = 0, width = terminal_width(), most = terminal_lines();

        for (size_t i = 0; i < text.n && lines < most; i++) {
                bool end = text.p[i] == '\n' || ++column > width;

                lines += end;
                column = end ? 0 : column;
        }
        return lines >= most;
}

static int page(void *arg)
{
        const char *pager = getenv("PAGER");

        return shell_run(pager && *pager ? pager : "less", arg, NULL);
}

void command_show(struct str text)
{
        char path[64];
        int fd;

        if (terminal_is(STDOUT_FILENO) && is_longer(text)) {
                fd = memfd_create("letter", 0); /* the pager opens it by this number */
                if (fd >= 0) {
                        FILE *f = fdopen(fd, "w");
                        int rc = -ENOMEM;

                        if (f) {
                                terminal_put(f, text);
                                fflush(f);
                                snprintf(path, sizeof path, "/dev/fd/%d", fd);
                                rc = offload(LONG, page, path);
                                fclose(f);
                        } else {
                                close(fd);
                        }
                        if (rc == 0)
                                return;
                }
        }
        terminal_put(stdout, text);
}

/* ---- the line ---- */

static int mail_screen(struct command *c)
{
        return screen_run(&c->m, c->folder ? str_of(c->folder) : INBOX);
}

static const struct order {
        const char *name;
        unsigned least, most; /* words behind it */
        bool copy;            /* an account's letters are needed */
        int (*run)(struct command *c);
} orders[] = {
        { "", 0, 0, true, mail_screen },
        { "accounts", 0, 0, false, mail_accounts },
        { "add", 1, 1, false, mail_add },
        { "remove", 1, 1, false, mail_remove },
        { "password", 1, 1, false, mail_password },
        { "sync", 0, 1000, true, mail_sync },
        { "folders", 0, 0, true, mail_folders },
        { "list", 0, 2, true, mail_list },
        { "search", 1, 2, true, mail_search },
        { "read", 1, 2, true, mail_read },
        { "save", 1, 3, true, mail_save },
        { "reply", 1, 2, true, mail_reply },
        { "forward", 1, 2, true, mail_forward },
        { "bounce", 1, 2, true, mail_bounce },
        { "send", 0, 0, true, mail_send },
        { "outbox", 0, 2, true, mail_outbox },
        { "flag", 2, 50, true, mail_flag },
        { "move", 2, 3, true, mail_move },
        { "delete", 1, 2, true, mail_delete },
        { 0 },
};

/* Takes "--to ADDRESS" and those like it, which may stand several times, out of the line. */
static int take_values(struct command *c, int argc, char **argv)
{
        const struct {
                const char *name;
                struct values *to;
        } several[] = { { "to", &c->to }, { "cc", &c->cc }, { "bcc", &c->bcc }, { "attach", &c->attach } };
        int kept = 0;

        for (int i = 0; i < argc; i++) {
                struct values *to = NULL;
                struct str value = str_of(argv[i]), name = S("");
                bool inside = false;

                if (str_eq(value, S("--"))) {
                        while (i < argc)
                                argv[kept++] = argv[i++];
                        break;
                }
                if (i && str_starts(value, S("--"))) {
                        value = str_from_at(value, 2);
                        inside = str_cut(&value, '=', &name);
                }
                for (size_t k = 0; k < sizeof several / sizeof *several; k++)
                        if (str_eq(name, str_of(several[k].name)))
                                to = several[k].to;
                if (!to || (!inside && i + 1 == argc)) {
                        argv[kept++] = argv[i];
                        continue;
                }
                to->list = mem_grow(to->list, to->n + 1, sizeof *to->list);
                to->list[to->n++] = inside ? value.p : argv[++i];
        }
        argv[kept] = NULL;
        return kept;
}

/* ---- whose mail ---- */

/* The account lies on this machine: straight from the store. */
static int here(struct command *c, const char *folder)
{
        struct login *l = arena_new(&c->t.arena, struct login);

        if (!c->account)
                return command_fail(c, -EINVAL, folder, "whose mail? Say --account ADDRESS");
        *l = (struct login){ .address = (char *)(uintptr_t)c->account,
                             .how = INCOMING_STORE,
                             .folder = (char *)(uintptr_t)folder,
                             .by_send = true,
                             .keep = true,
                             .keep_sent = true };
        c->m.login = l;
        return EX_OK;
}

/* --dir and --config mean a server's folder; else the person's own accounts; else the server of this machine, or the demo here. */
static int choose_login(struct command *c)
{
        bool server = c->t.dir || c->t.config;
        const char *folder = NULL;
        int rc = server ? 0 : logins_read(&c->m.logins, &c->t.why);

        buf_u8(&c->t.why, 0);
        if (!server && rc < 0 && rc != -ENOENT)
                return command_fail(c, rc, "", c->t.why.p), EX_CONFIG;
        c->m.login = server ? NULL : logins_find(&c->m.logins, c->account);
        if (c->m.login)
                return EX_OK;
        if (!server && c->m.logins.n && !c->account)
                return EX_OK;
        rc = tool_find(&c->t, &folder);
        if (rc || folder)
                return rc ? rc : here(c, folder);
        if (c->account)
                return command_fail(c, -ENOENT, c->account, "no such account (pail mail accounts)");
        return command_fail(c, -ENOENT, "", "there is no account yet: pail mail add ADDRESS");
}

static int with_copy(struct command *c, const struct order *o)
{
        struct buf auto_buf why = { 0 };
        int rc = choose_login(c);

        if (rc != EX_OK)
                return rc;
        buf_init(&why, 4096);
        rc = copy_open(&c->m.copy, c->m.login, &why);
        buf_u8(&why, 0);
        if (rc < 0)
                return command_fail(c, rc, "", why.p);
        rc = o->run(c);
        copy_close(&c->m.copy);
        return rc;
}

static int read_logins(struct command *c)
{
        int rc = logins_read(&c->m.logins, &c->t.why);

        buf_u8(&c->t.why, 0);
        if (rc == 0 || rc == -ENOENT)
                return EX_OK;
        return command_fail(c, rc, "", c->t.why.p), EX_CONFIG;
}

static int body(void *arg)
{
        struct command *c = arg;
        const struct order *o = orders;
        struct str name = command_word(c);
        int rc;

        while (o->name && !str_eq(name, str_of(o->name)))
                o++;
        if (!o->name && name.n)
                fprintf(stderr, "pail mail: " PRS ": no such command\n", STR(name));
        if (!o->name || c->t.count < o->least || c->t.count > o->most)
                return command_usage(c);
        if (o->copy)
                return with_copy(c, o);
        rc = read_logins(c);
        return rc == EX_OK ? o->run(c) : rc;
}

int verb_mail(int argc, char **argv)
{
        struct command *c = mem_new(struct command);
        const struct tool_option options[] = {
                { "account", &c->account, NULL },
                { "folder", &c->folder, NULL },
                { "limit", &c->limit, NULL },
                { "sort", &c->sort, NULL },
                { "body", &c->body, NULL },
                { "subject", &c->subject, NULL },
                { "name", &c->name, NULL },
                { "incoming", &c->incoming, NULL },
                { "outgoing", &c->outgoing, NULL },
                { "password-command", &c->password_command, NULL },
                { "resolver", &c->resolver, NULL },
                { "ca", &c->ca, NULL },
                { "raw", NULL, &c->raw },
                { "headers", NULL, &c->headers },
                { "html", NULL, &c->html },
                { "peek", NULL, &c->peek },
                { "all", NULL, &c->all },
                { "quote", NULL, &c->quote },
                { "edit", NULL, &c->edit },
                { "purge", NULL, &c->purge },
                { "yes", NULL, &c->yes },
                { "attached", NULL, &c->attached },
                { "save-password", NULL, &c->save_password },
                { "forget", NULL, &c->forget },
                { 0 },
        };
        int rc;

        argc = take_values(c, argc, argv);
        rc = tool_options(&c->t, argc, argv, options);
        c->m.tool = &c->t;
        if (rc == 0)
                rc = client_run("mail", body, c);
        logins_free(&c->m.logins);
        rc = tool_end(&c->t, rc);
        mem_free(c->to.list);
        mem_free(c->cc.list);
        mem_free(c->bcc.list);
        mem_free(c->attach.list);
        mem_free(c);
        return rc;
}
