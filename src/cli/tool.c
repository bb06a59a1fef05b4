#include "cli/tool.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "role/keeper.h"
#include "run/channel.h"
#include "run/log.h"
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define SYSTEM_CONFIG "/etc/pail.conf"
#define DEMO_FOLDER   "pail-demo"
#define FOLDER_CONFIG "pail.conf"

/* ---- saying what went wrong ---- */

int tool_fail(struct tool *t, int rc, struct str what, const char *why)
{
        fprintf(stderr, "pail %s: " PRS "%s%s\n", t->verb, STR(what), what.n ? ": " : "",
                why ? why : strerror(-rc));
        switch (rc) {
        case -EACCES:
        case -EPERM: return EX_NOPERM;
        case -EIO:
        case -ENOSPC: return EX_IOERR;
        case -EBADMSG:
        case -EPROTONOSUPPORT: return EX_DATAERR;
        case -ETIMEDOUT:
        case -EPIPE:
        case -EAGAIN: return EX_TEMPFAIL;
        case -EINVAL: return EX_USAGE;
        case -EEXIST: return EX_CANTCREAT;
        default: return EX_NOINPUT;
        }
}

int tool_usage(struct tool *t)
{
        const char *before = "usage:";
        struct str rest = S(""), line;

        for (const struct verb *v = verbs; v->name; v++)
                if (str_eq(str_of(v->name), str_of(t->verb)))
                        rest = str_of(v->synopsis);
        for (; rest.n; before = "      ") {
                str_cut(&rest, '\n', &line);
                fprintf(stderr, "%s pail " PRS "\n", before, STR(line));
        }
        return EX_USAGE;
}

/* ---- the line ---- */

static int bad_option(struct tool *t, struct str name, const char *why)
{
        fprintf(stderr, "pail %s: --" PRS ": %s\n", t->verb, STR(name), why);
        return EX_USAGE;
}

/* One option at argv[*i]; takes the next word if it needs it. */
static int take_option(struct tool *t, int argc, char **argv, int *i, const struct tool_option *list)
{
        struct str value = str_of(argv[*i] + 2), name;
        bool has_value = str_cut(&value, '=', &name);

        for (; list->name; list++) {
                if (!str_eq(name, str_of(list->name)))
                        continue;
                if (list->flag) {
                        *list->flag = true;
                        return has_value ? bad_option(t, name, "takes no value") : 0;
                }
                if (!has_value && *i + 1 >= argc)
                        return bad_option(t, name, "a value is missing");
                *list->value = has_value ? value.p : argv[++*i];
                return 0;
        }
        return -ENOENT;
}

int tool_options(struct tool *t, int argc, char **argv, const struct tool_option *own)
{
        static const struct tool_option none = { 0 };
        struct tool_option shared[] = {
                { "dir", &t->dir, NULL },
                { "config", &t->config, NULL },
                { "json", NULL, &t->json },
                { "help", NULL, &t->help },
                { 0 },
        };
        bool options = true;
        int rc;

        *t = (struct tool){ .verb = argv[0], .folder = { .lock = -1 } };
        arena_init(&t->arena, (size_t)1 << 30);
        buf_init(&t->why, 4096);
        log_quiet = true;
        t->words = arena_array(&t->arena, struct str, (size_t)argc);
        for (int i = 1; i < argc; i++) {
                struct str word = str_of(argv[i]);

                if (options && str_eq(word, S("--"))) {
                        options = false;
                } else if (options && str_starts(word, S("--"))) {
                        rc = take_option(t, argc, argv, &i, shared);
                        if (rc == -ENOENT)
                                rc = take_option(t, argc, argv, &i, own ? own : &none);
                        if (rc)
                                return rc == -ENOENT ? bad_option(t, str_from_at(word, 2), "no such option")
                                                     : rc;
                } else {
                        t->words[t->count++] = word;
                }
        }
        if (t->json)
                t->out.to = stdout;
        return t->help ? -1 : 0;
}

/* ---- the folder ---- */

static int read_config(struct tool *t, const char *file)
{
        if (settings_read(&t->settings, file, &t->why) == 0)
                return 0;
        fprintf(stderr, "pail %s: " PRS "\n", t->verb, STR(buf_str(&t->why)));
        return EX_CONFIG;
}

/* --dir; else the settings' folder; else, where there are none, the demo's. */
int tool_find(struct tool *t, const char **path)
{
        int rc = 0;

        *path = NULL;
        settings_default(&t->settings);
        if (!t->dir && !t->config && access(SYSTEM_CONFIG, F_OK) == 0)
                t->config = SYSTEM_CONFIG;
        if (t->config)
                rc = read_config(t, t->config);
        else if (!t->dir && access(DEMO_FOLDER "/directory", F_OK) == 0)
                t->dir = DEMO_FOLDER;
        if (!rc && (t->dir || t->config))
                *path = arena_str(&t->arena, str_of(t->dir ? t->dir : t->settings.data)).p;
        return rc;
}

int tool_enter(struct tool *t, const char *path)
{
        int rc = folder_enter(&t->folder, path, false);

        rc = rc ? rc : folder_become_owner(&t->folder);
        if (rc)
                return rc;
        if (access("directory/directory.db", F_OK) < 0)
                return tool_fail(t, -errno, str_of(path), "no pail folder (pail init DOMAIN makes one)");
        if (!t->config && access(FOLDER_CONFIG, F_OK) == 0) {
                t->config = FOLDER_CONFIG;
                return read_config(t, FOLDER_CONFIG);
        }
        return 0;
}

int tool_begin(struct tool *t, int argc, char **argv, const struct tool_option *own)
{
        const char *path;
        int rc = tool_options(t, argc, argv, own);

        rc = rc ? rc : tool_find(t, &path);
        if (rc)
                return rc;
        if (!path) {
                fprintf(stderr, "pail %s: which folder? Say --dir D or --config F\n", t->verb);
                return EX_USAGE;
        }
        return tool_enter(t, path);
}

int tool_choose(struct tool *t, const struct tool_choice *choices)
{
        struct str name;

        if (!t->count)
                return tool_usage(t);
        name = *t->words++;
        t->count--;
        for (; choices->name; choices++)
                if (str_eq(name, str_of(choices->name)))
                        return t->count < choices->least || t->count > choices->most ? tool_usage(t)
                                                                                     : choices->run(t);
        return tool_usage(t);
}

int tool_end(struct tool *t, int rc)
{
        if (rc < 0)
                rc = cli_help(t->verb);
        keeper_stop(&t->keeper);
        directory_close(&t->directory);
        settings_free(&t->settings);
        buf_free(&t->why);
        arena_finish(&t->arena);
        if (fflush(stdout) != 0 && rc == EX_OK) {
                fprintf(stderr, "pail: stdout: %m\n");
                rc = EX_IOERR;
        }
        return rc;
}

/* ---- directory and accounts ---- */

int tool_directory(struct tool *t)
{
        int rc = t->directory ? 0 : directory_open(&t->directory, "directory/directory.db", true);

        if (rc < 0)
                return tool_fail(t, rc, S("directory/directory.db"), NULL);
        directory_separators(t->directory, str_of(t->settings.subaddress_separator));
        return 0;
}

int tool_accounts(struct tool *t, struct accounts **out)
{
        int fd = open("mail", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int rc = fd < 0 ? -errno : accounts_open(out, fd, 16);

        return rc < 0 ? tool_fail(t, rc, S("mail"), NULL) : 0;
}

int tool_account(struct tool *t, struct str name, struct str *out)
{
        struct account_entry entry;
        int rc = tool_directory(t);

        if (rc)
                return rc;
        *out = arena_lower(&t->arena, name);
        rc = directory_account(t->directory, &t->arena, *out, &entry); /* also one that is switched off */
        if (rc == -ENOENT)
                rc = directory_signin(t->directory, &t->arena, name, out);
        return rc < 0 ? tool_fail(t, rc, name, rc == -ENOENT ? "no such account" : NULL) : 0;
}

int tool_changed(struct tool *t, int rc)
{
        if (rc < 0) {
                fprintf(stderr, "pail %s: " PRS "\n", t->verb, STR(buf_str(&t->why)));
                return rc == -EINVAL ? EX_USAGE : rc == -EIO || rc == -ENOSPC ? EX_IOERR : EX_DATAERR;
        }
        rc = cli_control(CONTROL_DIRECTORY_CHANGED, S(""), NULL);
        if (rc < 0 && !control_nobody(rc))
                tool_fail(t, rc, S("the running server was not told, and will see it in a second"), NULL);
        return EX_OK;
}

/* ---- the keeper ---- */

static int own_keeper(struct tool *t)
{
        struct keeper_setup setup = { "secrets/secrets.db", "directory/directory.db", &t->settings, true,
                                      NULL };

        return t->keeper ? 0 : keeper_start(&t->keeper, &setup);
}

/* 0: *text has what the running keeper said, with its own result; 1: no server runs. */
static int ask(enum control_kind kind, const struct buf *body, struct buf *text, int *result)
{
        struct buf auto_buf answer = { 0 };
        struct keeper_said said;
        int rc;

        buf_init(&answer, CHANNEL_BODY);
        rc = cli_control(kind, buf_str(body), &answer);
        if (control_nobody(rc))
                return 1;
        if (rc == 0 && !answer.n)
                rc = -EAGAIN; /* the keeper is just being restarted */
        if (rc == 0 && !keeper_said_unpack(&said, buf_str(&answer)))
                rc = -EPROTO;
        *result = rc < 0 ? rc : said.rc;
        if (rc == 0)
                buf_puts(text, said.text);
        return 0;
}

int tool_set_secret(struct tool *t, const struct ask_set_secret *m, struct buf *text)
{
        struct buf auto_buf body = { 0 };
        int rc;

        buf_init(&body, CHANNEL_BODY);
        if (!ask_set_secret_pack(m, &body))
                return -E2BIG;
        if (ask(CONTROL_SET_SECRET, &body, text, &rc) == 0)
                return rc;
        rc = own_keeper(t);
        return rc < 0 ? rc : keeper_set_secret(t->keeper, m, text);
}

int tool_secrets(struct tool *t, struct str account, struct buf *text)
{
        struct buf auto_buf body = { 0 };
        int rc;

        buf_init(&body, CHANNEL_BODY);
        buf_packed(&body, account);
        if (ask(CONTROL_SECRETS, &body, text, &rc) == 0)
                return rc;
        rc = own_keeper(t);
        return rc < 0 ? rc : keeper_list_secrets(t->keeper, account, text);
}

int tool_bans(struct tool *t, uint32_t skip, struct buf *text)
{
        struct buf auto_buf body = { 0 };
        int rc;

        buf_init(&body, CHANNEL_BODY);
        buf_u32(&body, skip);
        if (ask(CONTROL_BANS, &body, text, &rc) == 0)
                return rc;
        rc = own_keeper(t);
        return rc < 0 ? rc : keeper_list_bans(t->keeper, skip, text);
}

int tool_unban(struct tool *t, struct str address)
{
        struct buf auto_buf body = { 0 }, auto_buf text = { 0 };
        int rc;

        buf_init(&body, CHANNEL_BODY);
        buf_init(&text, CHANNEL_BODY);
        if (!buf_packed(&body, address))
                return -EINVAL;
        if (ask(CONTROL_UNBAN, &body, &text, &rc) == 0)
                return rc;
        rc = own_keeper(t);
        return rc < 0 ? rc : keeper_unban(t->keeper, address);
}

/* ---- for people ---- */

struct tool_when tool_when(int64_t seconds)
{
        struct tool_when w = { "never" };
        time_t s = seconds;
        struct tm tm;

        if (seconds && localtime_r(&s, &tm))
                strftime(w.z, sizeof w.z, "%Y-%m-%d %H:%M", &tm);
        return w;
}

struct tool_when tool_size(uint64_t octets)
{
        static const char *const units[] = { "kB", "MB", "GB", "TB" };
        struct tool_when w;
        double n = (double)octets / 1024;
        size_t u = 0;

        while (n >= 1024 && u < 3) {
                n /= 1024;
                u++;
        }
        if (octets < 1024)
                snprintf(w.z, sizeof w.z, "%u B", (unsigned)octets);
        else
                snprintf(w.z, sizeof w.z, n < 10 ? "%.1f %s" : "%.0f %s", n, units[u]);
        return w;
}
