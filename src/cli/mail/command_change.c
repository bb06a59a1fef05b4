/* flag, move, delete: what happens to letters that are there. */
#include "cli/mail/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct {
        const char *name;
        uint64_t flag;
} known[] = { { "seen", FLAG_SEEN },       { "read", FLAG_SEEN },       { "answered", FLAG_ANSWERED },
              { "flagged", FLAG_FLAGGED }, { "deleted", FLAG_DELETED }, { "draft", FLAG_DRAFT } };

static int said(struct command *c, const char *done, uint64_t letters, struct str to)
{
        json_open(&c->t.out, NULL, '{');
        json_number(&c->t.out, done, letters);
        if (to.n)
                json_str(&c->t.out, "to", to);
        json_close(&c->t.out, '}');
        return EX_OK;
}

static int failed(struct command *c, int rc, struct str what)
{
        return command_fail(c, rc, arena_str(&c->t.arena, what).p,
                            rc == -ENOENT ? "there is no such folder" : NULL);
}

/* ---- flag ---- */

static int bits_of(struct access *x, struct str name, uint64_t *flags)
{
        unsigned bit;
        int rc;

        if (str_starts(name, S("\\")))
                name = str_from_at(name, 1);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
                if (str_ieq(name, str_of(known[i].name)))
                        return *flags |= known[i].flag, 0;
        if (!name.n || str_has_control(name))
                return -EINVAL;
        rc = change_keyword(x, name, &bit);
        if (rc == 0)
                *flags |= (uint64_t)1 << bit;
        return rc;
}

static int change(struct access *x, const struct uid_list *uids, enum flags_how how, uint64_t flags,
                  uint64_t *letters)
{
        struct flags_change change = {
                .uids = uids->ranges, .n = uids->n, .how = how, .flags = flags, .unchanged_since = UINT64_MAX
        };
        int rc = flags ? change_flags(x, &change) : 0;

        if (flags)
                *letters = change.changed.n;
        placed_list_free(&change.changed);
        uid_list_free(&change.modified);
        return rc;
}

/* flag [FOLDER] UIDS +FLAG|-FLAG... */
int mail_flag(struct command *c)
{
        struct str folder = command_folder(c), word;
        uint64_t add = 0, remove = 0, letters = 0;
        struct uid_list uids = { 0 };
        struct access x = { 0 };
        int code = command_uids(c, &uids), rc;

        if (code)
                return code;
        rc = copy_access(c->m.copy, &x, folder, RIGHT_READ);
        while (rc == 0 && (word = command_word(c)).n) {
                if (word.p[0] != '+' && word.p[0] != '-')
                        code = command_fail(c, -EINVAL, word.p, "+FLAG or -FLAG");
                else
                        rc = bits_of(&x, str_from_at(word, 1), word.p[0] == '+' ? &add : &remove);
                if (code)
                        break;
        }
        if (rc == 0 && !code && !(add | remove))
                code = command_usage(c);
        if (rc == 0 && !code)
                rc = change(&x, &uids, FLAGS_ADD, add, &letters);
        if (rc == 0 && !code)
                rc = change(&x, &uids, FLAGS_REMOVE, remove, &letters);
        access_close(&x);
        uid_list_free(&uids);
        if (code)
                return code;
        return rc < 0 ? failed(c, rc, folder) : said(c, "changed", letters, S(""));
}

/* ---- move, delete ---- */

static int move(struct command *c, struct str from, const struct uid_list *uids, struct str to)
{
        struct access x = { 0 }, there = { 0 };
        struct copied copied = { 0 };
        int rc = copy_access(c->m.copy, &x, from, RIGHT_READ);

        if (rc == 0) {
                rc = copy_access(c->m.copy, &there, to, RIGHT_INSERT);
                from = rc < 0 ? to : from;
        }
        if (rc == 0)
                rc = change_move(&x, uids->ranges, uids->n, &there, UINT64_MAX, &copied);
        rc = rc < 0 ? failed(c, rc, from) : said(c, "moved", uid_list_count(&copied.from), to);
        copied_free(&copied);
        access_close(&there);
        access_close(&x);
        return rc;
}

int mail_move(struct command *c)
{
        struct str from = command_folder(c), to;
        struct uid_list uids = { 0 };
        int rc = command_uids(c, &uids);

        if (rc)
                return rc;
        to = command_word(c);
        rc = to.n ? move(c, from, &uids, to) : command_usage(c);
        uid_list_free(&uids);
        return rc;
}

static int purge(struct command *c, struct str folder, const struct uid_list *uids)
{
        struct uid_list gone = { 0 };
        struct access x = { 0 };
        int rc = copy_access(c->m.copy, &x, folder, RIGHT_READ);

        if (rc == 0)
                rc = change_expunge(&x, uids->ranges, uids->n, false, &gone);
        rc = rc < 0 ? failed(c, rc, folder) : said(c, "removed", uid_list_count(&gone), S(""));
        uid_list_free(&gone);
        access_close(&x);
        return rc;
}

/* Into Trash; from Trash, or with --purge, away. */
int mail_delete(struct command *c)
{
        struct str from = command_folder(c), trash;
        struct uid_list uids = { 0 };
        int code = command_uids(c, &uids), rc;

        if (code)
                return code;
        rc = copy_role(c->m.copy, &c->t.arena, "trash", &trash);
        if (rc < 0)
                code = failed(c, rc, S("Trash"));
        else if (c->purge || str_eq(from, trash))
                code = purge(c, from, &uids);
        else
                code = move(c, from, &uids, trash);
        uid_list_free(&uids);
        return code;
}
