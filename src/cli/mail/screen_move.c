/* Letters to other folders; what is marked as deleted to Trash, and from there away. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>

/* Makes the folder if the person wants it. */
static int open_target(struct screen *s, struct str path, struct access *to)
{
        struct buf auto_buf question = { 0 };
        uint32_t made;
        int rc = copy_access(s->mail->copy, to, path, RIGHT_INSERT);

        if (rc != -ENOENT)
                return rc;
        buf_init(&question, 4096);
        buf_printf(&question, "There is no folder " PRS ". Make it? (yes/no): ", STR(path));
        buf_u8(&question, 0);
        if (ask_letter(s, question.p, "yn") != 'y')
                return -ECANCELED;
        access_close(to);
        rc = mailbox_create(copy_account(s->mail->copy), copy_name(s->mail->copy), path, S(""), &made);
        return rc < 0 ? rc : copy_access(s->mail->copy, to, path, RIGHT_INSERT);
}

static int transfer(struct screen *s, const struct uid_list *list, struct str path, bool move, uint64_t *n)
{
        struct access from = { 0 }, to = { 0 };
        struct copied done = { 0 };
        int rc = open_target(s, path, &to);

        if (rc == 0)
                rc = copy_access(s->mail->copy, &from, str_of(s->path), RIGHT_READ);
        if (rc == 0)
                rc = move ? change_move(&from, list->ranges, list->n, &to, UINT64_MAX, &done)
                          : change_copy(&from, list->ranges, list->n, &to, UINT64_MAX, &done);
        *n = uid_list_count(&done.from);
        copied_free(&done);
        access_close(&from);
        access_close(&to);
        return rc;
}

static void untag(struct screen *s, const struct uid_list *list)
{
        size_t kept = 0;

        for (size_t i = 0; i < s->tag_n; i++)
                if (!uid_list_has(list, s->tags[i]))
                        s->tags[kept++] = s->tags[i];
        s->tag_n = kept;
}

static enum done to_folder(struct screen *s, bool move)
{
        struct buf auto_buf path = { 0 };
        const struct folder_row *archive = folders_role(s, "archive");
        struct uid_list list;
        uint64_t n = 0;
        int rc;

        targets(s, &list);
        if (!list.n) {
                say(s, "There is no letter for that.");
                return STAY;
        }
        buf_init(&path, 1000);
        buf_puts(&path, s->saved_to ? str_of(s->saved_to) : archive ? str_of(archive->path) : S(""));
        if (!ask_line(s, move ? "Move to folder: " : "Copy to folder: ", &path, complete_folder,
                      ASK_OFFERED) ||
            !path.n) {
                uid_list_free(&list);
                return STAY;
        }
        rc = transfer(s, &list, buf_str(&path), move, &n);
        if (rc == 0) {
                keep_string(&s->saved_to, buf_str(&path));
                say(s, "%llu %s %s to " PRS, (unsigned long long)n, n == 1 ? "letter" : "letters",
                    move ? "moved" : "copied", STR(buf_str(&path)));
                if (move)
                        untag(s, &list);
        } else if (rc != -ECANCELED) {
                say_bad(s, PRS ": %s", STR(buf_str(&path)), strerror(-rc));
        }
        uid_list_free(&list);
        folders_load(s, false);
        index_look(s);
        return STAY;
}

enum done do_save(struct screen *s)
{
        return to_folder(s, true);
}

enum done do_copy(struct screen *s)
{
        return to_folder(s, false);
}

/* ---- $ ---- */

static int deleted(struct screen *s, struct uid_list *list)
{
        struct uid_range all = { 1, UINT32_MAX };
        struct mailbox_status status = { 0 };
        struct placed_list placed = { 0 };
        struct access x = { 0 };
        int rc = copy_access(s->mail->copy, &x, str_of(s->path), RIGHT_READ);

        if (rc == 0)
                rc = change_status(&x, false, &status);
        if (rc == 0 && status.deleted)
                rc = change_list(&x, &all, 1, 0, &placed);
        for (size_t i = 0; i < placed.n; i++)
                if (placed.list[i].flags & FLAG_DELETED)
                        uid_list_add(list, placed.list[i].uid, placed.list[i].uid);
        placed_list_free(&placed);
        access_close(&x);
        return rc;
}

static int expunge(struct screen *s, const struct uid_list *list)
{
        struct uid_list gone = { 0 };
        struct access x = { 0 };
        int rc = copy_access(s->mail->copy, &x, str_of(s->path), RIGHTS_ALL);

        if (rc == 0)
                rc = change_expunge(&x, list->ranges, list->n, true, &gone);
        uid_list_free(&gone);
        access_close(&x);
        return rc;
}

/* In Trash they are no longer marked: it is where they are looked for again. */
static int to_trash(struct screen *s, const struct uid_list *list, struct str trash)
{
        struct flags_change change = { .uids = list->ranges,
                                       .n = list->n,
                                       .how = FLAGS_REMOVE,
                                       .flags = FLAG_DELETED,
                                       .unchanged_since = UINT64_MAX };
        struct access from = { 0 }, to = { 0 };
        struct copied done = { 0 };
        int rc = copy_access(s->mail->copy, &to, trash, RIGHT_INSERT);

        if (rc == 0)
                rc = copy_access(s->mail->copy, &from, str_of(s->path), RIGHTS_ALL);
        if (rc == 0)
                rc = change_move(&from, list->ranges, list->n, &to, UINT64_MAX, &done);
        access_close(&from);
        access_close(&to);
        if (rc == 0)
                rc = copy_access(s->mail->copy, &to, trash, RIGHTS_ALL);
        if (rc == 0 && done.to.n) {
                change.uids = done.to.ranges;
                change.n = done.to.n;
                rc = change_flags(&to, &change);
        }
        placed_list_free(&change.changed);
        uid_list_free(&change.modified);
        copied_free(&done);
        access_close(&to);
        return rc;
}

/* false: the person wants to stay. */
static bool purge(struct screen *s, const struct uid_list *list)
{
        struct arena auto_arena a;
        struct buf auto_buf question = { 0 };
        unsigned long long n = uid_list_count(list);
        bool for_good = is_role(s, "trash") || is_role(s, "drafts") || str_eq(str_of(s->path), OUTBOX);
        struct str trash = S("");
        char c;
        int rc;

        arena_init(&a, 4 << 20);
        buf_init(&question, 256);
        if (for_good)
                buf_printf(&question, "Remove %llu deleted letter%s for good? (yes/no): ", n,
                           n == 1 ? "" : "s");
        else
                buf_printf(&question, "Move %llu deleted letter%s to Trash? (yes/no): ", n,
                           n == 1 ? "" : "s");
        buf_u8(&question, 0);
        c = ask_letter(s, question.p, "yn");
        if (c != 'y')
                return c == 'n';
        rc = for_good ? 0 : copy_role(s->mail->copy, &a, "trash", &trash);
        if (rc == 0)
                rc = for_good ? expunge(s, list) : to_trash(s, list, trash);
        if (rc < 0) {
                say_bad(s, "They stay: %s", strerror(-rc));
                return false;
        }
        untag(s, list);
        say(s, "%llu letter%s %s", n, n == 1 ? "" : "s", for_good ? "removed" : "moved to Trash");
        folders_load(s, false);
        index_look(s);
        return true;
}

bool purge_asked(struct screen *s)
{
        struct uid_list list = { 0 };
        bool go = true;

        if (deleted(s, &list) == 0 && list.n)
                go = purge(s, &list);
        uid_list_free(&list);
        return go;
}

enum done do_purge(struct screen *s)
{
        struct uid_list list = { 0 };

        if (deleted(s, &list) == 0 && list.n)
                (void)purge(s, &list);
        else
                say(s, "No letter is marked as deleted.");
        uid_list_free(&list);
        if (s->sync)
                sync_now(s->sync);
        return STAY;
}
