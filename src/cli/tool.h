/* What the verbs that act on a data folder share: options, the folder, its settings, directory and secrets.
 *
 *      static int verb_alias(int argc, char **argv)
 *      {
 *              struct tool t;
 *              int rc = tool_begin(&t, argc, argv, options);   // takes --dir --config --json and ours
 *              if (rc == 0)
 *                      rc = tool_choose(&t, choices);          // "add", "list", ... by the first word
 *              return tool_end(&t, rc);
 *      }
 *
 * After tool_begin this process is the folder's owner and stands in the folder. What goes wrong is said by
 * tool_fail: `pail VERB: what: why`. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "cli/folder.h"
#include "cli/json.h"
#include "proto/keeper_message.h"
#include "settings.h"
#include "store/account.h"
#include "store/directory.h"

struct tool_option { /* --name VALUE, or with flag --name alone */
        const char *name;
        const char **value;
        bool *flag;
};
struct tool {
        const char *verb;
        const char *dir, *config; /* as typed, or NULL */
        struct folder folder;
        struct settings settings;
        struct str *words; /* what is no option, behind the verb */
        size_t count;
        bool json, help;
        struct arena arena;
        struct buf why;
        struct json out; /* to stdout, when --json */
        struct directory *directory;
        struct keeper *keeper; /* our own, when no server runs */
};
struct tool_choice {
        const char *name;
        size_t least, most;         /* words behind it */
        int (*run)(struct tool *t); /* an exit code; the words begin behind the choice */
};
/* Only reads the line: for verbs without a folder, and before it. 0 or an exit code, said; -1: --help was given. */
int tool_options(struct tool *t, int argc, char **argv, const struct tool_option *own);
/* The two halves of tool_begin behind it, for those that do without a folder too. *path NULL: there is none. */
int tool_find(struct tool *t, const char **path);
int tool_enter(
    struct tool *t,
    const char *path); /* afterwards t->config is NULL only where there are no settings: a demo's */
int tool_begin(struct tool *t, int argc, char **argv, const struct tool_option *own);
int tool_choose(struct tool *t, const struct tool_choice *choices);
int tool_end(struct tool *t, int rc); /* gives back rc; for -1 prints the help */
int tool_usage(struct tool *t);       /* "usage: ..." on stderr; EX_USAGE */
/* Says what and why (of rc if why is NULL), gives the exit code that fits rc. */
int tool_fail(struct tool *t, int rc, struct str what, const char *why);
/* What directory_* said in t->why, after a change; tells a running server. An exit code. */
int tool_changed(struct tool *t, int rc);
[[nodiscard]] int tool_directory(struct tool *t); /* opens it, to write; 0 or an exit code, said */
[[nodiscard]] int tool_accounts(struct tool *t, struct accounts **out); /* the same */
/* The account behind an address or sign-in name: *out in t->arena. 0 or an exit code, said. */
[[nodiscard]] int tool_account(struct tool *t, struct str name, struct str *out);
/* The keeper's, running or our own. -errno, and the keeper's text appended. */
[[nodiscard]] int tool_set_secret(struct tool *t, const struct ask_set_secret *m, struct buf *text);
[[nodiscard]] int tool_secrets(struct tool *t, struct str account, struct buf *text);
[[nodiscard]] int tool_bans(struct tool *t, uint32_t skip, struct buf *text);
[[nodiscard]] int tool_unban(struct tool *t, struct str address);
struct tool_when {
        char z[40];
};
struct tool_when tool_when(int64_t seconds); /* "2026-11-20 17:29", local time; "never" for 0 */
struct tool_when tool_size(uint64_t octets); /* "1.4 MB" */
