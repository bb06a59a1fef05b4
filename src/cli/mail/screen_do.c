/* What is done to letters: the one under the cursor, or behind `;` the tagged ones. Flags are changed at once; nothing goes before `$`. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>

void targets(struct screen *s, struct uid_list *list)
{
        *list = (struct uid_list){ 0 };
        if (!s->prefix) {
                if (s->uid)
                        uid_list_add(list, s->uid, s->uid);
                return;
        }
        for (size_t i = 0; i < s->tag_n; i++)
                uid_list_add(list, s->tags[i], s->tags[i]);
}

bool is_role(struct screen *s, const char *role)
{
        const struct folder_row *f = folders_role(s, role);

        return f && s->path && str_eq(str_of(f->path), str_of(s->path));
}

int set_flags(struct screen *s, const struct uid_list *list, enum flags_how how, uint64_t flags)
{
        struct flags_change change = {
                .uids = list->ranges, .n = list->n, .how = how, .flags = flags, .unchanged_since = UINT64_MAX
        };
        struct access x = { 0 };
        int rc = list->n ? copy_access(s->mail->copy, &x, str_of(s->path), RIGHTS_ALL) : -ENOENT;

        if (rc == 0)
                rc = change_flags(&x, &change);
        placed_list_free(&change.changed);
        uid_list_free(&change.modified);
        access_close(&x);
        if (rc < 0)
                say_bad(s, "%s", list->n ? strerror(-rc) : "There is no letter for that.");
        index_look(s);
        return rc;
}

/* ---- flags ---- */

static enum done flag_targets(struct screen *s, enum flags_how how, uint64_t flags, bool on)
{
        struct uid_list list;

        targets(s, &list);
        if (set_flags(s, &list, how, flags) == 0 && !s->prefix && on)
                index_next(s);
        uid_list_free(&list);
        return STAY;
}

static enum done do_delete(struct screen *s)
{
        return flag_targets(s, FLAGS_ADD, FLAG_DELETED, true);
}

static enum done do_undelete(struct screen *s)
{
        enum done done = flag_targets(s, FLAGS_REMOVE, FLAG_DELETED, false);

        if (!s->prefix && !s->pager)
                index_go(s, s->at + 1);
        return done;
}

/* Turned over by what the first has. */
static enum done toggle(struct screen *s, uint64_t flag)
{
        uint64_t flags = 0;
        uint32_t uid;
        size_t at = s->at;

        if (s->prefix && s->tag_n && view_find(s->view, s->tags[0]) != SIZE_MAX)
                at = view_find(s->view, s->tags[0]);
        if (!view_place(s->view, at, &uid, &flags)) {
                say(s, "There is no letter for that.");
                return STAY;
        }
        return flag_targets(s, flags & flag ? FLAGS_REMOVE : FLAGS_ADD, flag, false);
}

static enum done do_flag(struct screen *s)
{
        return toggle(s, FLAG_FLAGGED);
}

static enum done do_new(struct screen *s)
{
        return toggle(s, FLAG_SEEN);
}

/* w, W: one flag by its letter. */
static enum done flag_by_letter(struct screen *s, const char *question, bool on)
{
        static const struct {
                char letter;
                uint64_t flag;
                bool turned; /* new is what is not read */
        } flags[] = {
                { 'd', FLAG_DELETED, false },
                { 'n', FLAG_SEEN, true },
                { 'r', FLAG_ANSWERED, false },
                { '!', FLAG_FLAGGED, false },
        };
        char c = ask_letter(s, question, "dnr!");

        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
                if (flags[i].letter == c)
                        return flag_targets(s, on != flags[i].turned ? FLAGS_ADD : FLAGS_REMOVE,
                                            flags[i].flag, false);
        return STAY;
}

static enum done do_set_flag(struct screen *s)
{
        return flag_by_letter(s, "Set: (d)eleted, (n)ew, (r)eplied, (!) flagged? ", true);
}

static enum done do_clear_flag(struct screen *s)
{
        return flag_by_letter(s, "Clear: (d)eleted, (n)ew, (r)eplied, (!) flagged? ", false);
}

static enum done thread_flags(struct screen *s, enum flags_how how, uint64_t flags)
{
        struct uid_list list = { 0 };
        uint32_t *uids;
        size_t n;

        if (view_thread(s->view, s->at, &uids, &n) < 0) {
                say_bad(s, "The thread cannot be read.");
                return STAY;
        }
        for (size_t i = 0; i < n; i++)
                uid_list_add(&list, uids[i], uids[i]);
        mem_free(uids);
        if (set_flags(s, &list, how, flags) == 0) {
                say(s, "%zu letters", n);
                if (how == FLAGS_ADD)
                        index_next(s);
        }
        uid_list_free(&list);
        return STAY;
}

static enum done do_delete_thread(struct screen *s)
{
        return thread_flags(s, FLAGS_ADD, FLAG_DELETED);
}

static enum done do_undelete_thread(struct screen *s)
{
        return thread_flags(s, FLAGS_REMOVE, FLAG_DELETED);
}

static enum done do_read_thread(struct screen *s)
{
        return thread_flags(s, FLAGS_ADD, FLAG_SEEN);
}

/* ---- tags and patterns ---- */

static enum done do_tag(struct screen *s)
{
        if (s->prefix) {
                s->tag_n = 0;
                say(s, "No letter is tagged now.");
                return STAY;
        }
        if (!s->uid)
                return STAY;
        tag(s, s->uid, !is_tagged(s, s->uid));
        if (!s->pager)
                index_go(s, s->at + 1);
        return STAY;
}

static enum done do_prefix(struct screen *s)
{
        if (!s->tag_n) {
                say(s, "No letter is tagged: t tags one, T by a pattern.");
                return STAY;
        }
        s->prefix = true;
        say(s, "The next key is for the %zu tagged letters", s->tag_n);
        return STAY;
}

/* The letters that match a pattern that is asked for. false: none, said. */
static bool matching(struct screen *s, const char *question, uint32_t **uids, size_t *n)
{
        struct buf auto_buf typed = { 0 }, why = { 0 };
        int rc;

        *uids = NULL;
        buf_init(&typed, 4096);
        buf_init(&why, 1024);
        if (!ask_line(s, question, &typed, NULL, 0) || !typed.n)
                return false;
        say_now(s, "Looking...");
        rc = view_matching(s->view, buf_str(&typed), uids, n, &why);
        if (rc < 0)
                say_bad(s, PRS, STR(why.n ? buf_str(&why) : str_of(strerror(-rc))));
        else
                say(s, "%zu letters", *n);
        return rc == 0 && *n;
}

static enum done flags_by_pattern(struct screen *s, const char *question, enum flags_how how)
{
        struct uid_list list = { 0 };
        uint32_t *uids;
        size_t n;

        if (matching(s, question, &uids, &n)) {
                for (size_t i = 0; i < n; i++)
                        uid_list_add(&list, uids[i], uids[i]);
                (void)set_flags(s, &list, how, FLAG_DELETED);
        }
        uid_list_free(&list);
        mem_free(uids);
        return STAY;
}

static enum done do_delete_pattern(struct screen *s)
{
        return flags_by_pattern(s, "Delete letters matching: ", FLAGS_ADD);
}

static enum done do_undelete_pattern(struct screen *s)
{
        return flags_by_pattern(s, "Undelete letters matching: ", FLAGS_REMOVE);
}

static enum done tag_by_pattern(struct screen *s, const char *question, bool on)
{
        uint32_t *uids;
        size_t n;

        if (matching(s, question, &uids, &n))
                for (size_t i = 0; i < n; i++)
                        tag(s, uids[i], on);
        mem_free(uids);
        return STAY;
}

static enum done do_tag_pattern(struct screen *s)
{
        return tag_by_pattern(s, "Tag letters matching: ", true);
}

static enum done do_untag_pattern(struct screen *s)
{
        return tag_by_pattern(s, "Untag letters matching: ", false);
}

static enum done do_tag_thread(struct screen *s)
{
        uint32_t *uids;
        size_t n;
        bool on = !is_tagged(s, s->uid);

        if (view_thread(s->view, s->at, &uids, &n) < 0)
                return STAY;
        for (size_t i = 0; i < n; i++)
                tag(s, uids[i], on);
        mem_free(uids);
        return STAY;
}

/* ---- one letter ---- */

static struct letter *current(struct screen *s, unsigned flags)
{
        struct letter *l = NULL;
        struct view_row row;
        int rc =
            index_row(s, &row) ? letter_open(&l, copy_account(s->mail->copy), row.letter, flags) : -ENOENT;

        if (rc < 0)
                say_bad(s, "The letter cannot be read: %s", strerror(-rc));
        return l;
}

static enum done do_address(struct screen *s)
{
        struct letter *l = current(s, 0);

        if (l)
                say(s, PRS, STR(l->from));
        letter_free(&l);
        return STAY;
}

enum done do_parts(struct screen *s)
{
        struct letter *l = current(s, 0);

        if (l)
                (void)parts_page(s, l);
        letter_free(&l);
        return STAY;
}

static enum done do_pipe(struct screen *s)
{
        struct buf auto_buf typed = { 0 }, command = { 0 }, path = { 0 };
        struct letter *l = current(s, 0);

        buf_init(&typed, 1500);
        buf_init(&command, 2000);
        buf_init(&path, 4096);
        if (l && ask_line(s, "Pipe the letter to command: ", &typed, complete_file, 0) && typed.n &&
            temporary_file(s, S("letter.eml"), buf_str(&l->raw), &path)) {
                buf_printf(&command, "(" PRS ") <", STR(buf_str(&typed)));
                buf_u8(&command, 0);
                run_away(s, command.p, path.p, true);
        }
        letter_free(&l);
        return STAY;
}

static enum done do_shell(struct screen *s)
{
        struct buf auto_buf typed = { 0 };

        buf_init(&typed, 1500);
        if (ask_line(s, "Shell command: ", &typed, complete_file, 0) && typed.n) {
                buf_u8(&typed, 0);
                run_away(s, typed.p, NULL, true);
        }
        return STAY;
}

static enum done do_mail_now(struct screen *s)
{
        s->mail->login->given_up = false; /* a password that was refused is asked for again */
        if (s->sync) {
                sync_now(s->sync);
                say(s, "The server is asked for news.");
        } else {
                s->changed = true;
                say(s, "Looked.");
        }
        return STAY;
}

static enum done do_folders(struct screen *s)
{
        return folders_page(s);
}

const struct key letter_keys[] = {
        { 'd', "d", "Del", "mark as deleted; it goes with $ or when the folder is left", do_delete },
        { 'u', "u", "Undel", "take that mark away", do_undelete },
        { 's', "s", "Save", "move to another folder", do_save },
        { 'C', "C", NULL, "copy to another folder", do_copy },
        { 'm', "m", "Mail", "write a letter", write_new },
        { 'r', "r", "Reply", "answer the sender", write_reply },
        { 'g', "g", "Group", "answer all", write_reply_all },
        { 'L', "L", NULL, "answer the mailing list", write_reply_list },
        { 'f', "f", "Forward", "forward, in the text or as an attachment", write_forward },
        { 'b', "b", NULL, "pass on as it is, to other people", write_bounce },
        { 'e', "e", NULL, "go on writing a draft, or one of Outbox; of another letter: write it anew",
          write_resume },
        { 'e' | KEY_META, NULL, NULL, NULL, write_resume },
        { 'v', "v", NULL, "its parts: open, save", do_parts },
        { 'F', "F", NULL, "flag, or unflag", do_flag },
        { 'N', "N", NULL, "new, or read", do_new },
        { 'w', "w", NULL, "set a flag", do_set_flag },
        { 'W', "W", NULL, "clear a flag", do_clear_flag },
        { 't', "t", NULL, "tag; ; t: untag all", do_tag },
        { 't' | KEY_META, "Esc t", NULL, "tag the thread", do_tag_thread },
        { ';', ";", NULL, "the next key is for all tagged letters: d u F N w W s C b t", do_prefix },
        { 'T', "T", NULL, "in the rows: tag by a pattern", do_tag_pattern },
        { KEY_CTRL('t'), "Ctrl-T", NULL, "untag by a pattern", do_untag_pattern },
        { 'D', "D", NULL, "delete by a pattern", do_delete_pattern },
        { 'U', "U", NULL, "undelete by a pattern", do_undelete_pattern },
        { KEY_CTRL('d'), "Ctrl-D", NULL, "delete the thread", do_delete_thread },
        { KEY_CTRL('u'), "Ctrl-U", NULL, "undelete the thread", do_undelete_thread },
        { KEY_CTRL('r'), "Ctrl-R", NULL, "mark the thread as read", do_read_thread },
        { '$', "$", NULL,
          "what is marked as deleted goes to Trash, from Trash away for good; then server and copy are "
          "brought in step",
          do_purge },
        { 'c', "c", "Folder", "change to another folder: a name, Tab completes it", folders_change },
        { '.', ".", NULL, "which folders have new letters", folders_news },
        { 'R', "R", NULL, "go to Drafts, to go on writing", folders_drafts },
        { 'y', "y", NULL, "all folders, with new and all letters", do_folders },
        { 'A', "A", NULL, "change to another account", screen_accounts },
        { 'G', "G", NULL, "look for new letters now", do_mail_now },
        { '@', "@", NULL, "the sender's full address", do_address },
        { '|', "|", NULL, "give the letter to a command", do_pipe },
        { '!', "!", NULL, "run a command", do_shell },
        { 0 },
};
