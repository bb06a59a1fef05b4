/* The single commands of `pail mail`, for scripts and for fingers: one function each, by a table in mail.c. Each says its result once, as text or as
 * JSON, and returns an exit code of sysexits(3). */
#pragma once
#include "cli/mail/compose.h"
#include "cli/mail/mail.h"

struct values {
        const char **list;
        size_t n;
};
struct command {
        struct mail m;
        struct tool t;
        /* options as typed */
        const char *account, *folder, *limit, *sort, *body, *subject, *name, *incoming, *outgoing,
            *password_command, *resolver, *ca;
        struct values to, cc, bcc, attach; /* may stand several times */
        bool raw, headers, html, peek, all, quote, edit, purge, yes, attached, save_password, forget;
};
/* ---- what all share: mail.c ---- */
int command_fail(struct command *c, int rc, const char *what, const char *why); /* said; the code that fits */
int command_usage(struct command *c);
struct str command_word(struct command *c); /* the next word, taken; empty: there is none */
struct str command_folder(
    struct command *c); /* --folder; else the next word if it is no number; else INBOX */
bool command_number(struct str s, uint32_t *n); /* a uid */
/* "3,5:9": from the next word. An exit code, said. */
[[nodiscard]] int command_uids(struct command *c, struct uid_list *uids);
[[nodiscard]] int command_placed(struct command *c, struct str folder, uint32_t uid, struct placed *p);
[[nodiscard]] int command_letter(struct command *c, struct str *folder, struct placed *p, struct letter **l,
                                 unsigned flags); /* [FOLDER] UID, opened. An exit code, said */
/* The bytes of a file, or of stdin for "-"; does not block the loop. -errno. */
[[nodiscard]] int command_read(const char *path, struct buf *out);
/* Safe text to stdout; by $PAGER where stdout is a terminal and it is longer than that. */
void command_show(struct str text);

int mail_add(struct command *c);
int mail_accounts(struct command *c);
int mail_remove(struct command *c);
int mail_password(struct command *c);
int mail_sync(struct command *c);
int mail_folders(struct command *c);
int mail_list(struct command *c);
int mail_search(struct command *c);
int mail_read(struct command *c);
int mail_save(struct command *c);
int mail_reply(struct command *c);
int mail_forward(struct command *c);
int mail_bounce(struct command *c);
int mail_send(struct command *c);
int mail_outbox(struct command *c);
int mail_flag(struct command *c);
int mail_move(struct command *c);
int mail_delete(struct command *c);

/* ---- rows, also of outbox: command_list.c ---- */
[[nodiscard]] int command_rows(struct command *c, struct str folder, struct str pattern, struct buf *text);
/* "\\Seen", "\\Answered", keywords, in a list. */
void command_flags(struct command *c, uint64_t flags, const struct keyword_list *keywords);
struct str command_date(struct arena *a, int64_t seconds); /* "2026-11-20T17:29:00Z" */
