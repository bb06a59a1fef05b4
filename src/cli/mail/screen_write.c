/* A letter begun: anew, as an answer, forwarded, from Drafts. As in mutt To and Subject are asked for first, then the editor, then the page
 * (screen_compose.c). */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"
#include "mail/header.h"

#include <errno.h>

/* ---- begun ---- */

bool ask_field(struct screen *s, struct writing *w, const char *name, const char *question, bool address)
{
        struct buf auto_buf value = { 0 };
        struct arena auto_arena a;

        arena_init(&a, 4 << 20);
        buf_init(&value, 16000);
        buf_puts(&value, head_get(&w->draft, name, &a));
        if (!ask_line(s, question, &value, address ? complete_address : NULL, address ? ASK_COMMA : 0))
                return false;
        head_set(&w->draft, name, buf_str(&value));
        return true;
}

static void edit_and_page(struct screen *s, struct writing *w, bool need_change)
{
        struct buf auto_buf why = { 0 };
        int rc;

        buf_init(&why, 4096);
        term_away();
        rc = draft_edit(&w->draft, &why);
        term_back();
        if (rc == -ECANCELED && !why.n && need_change) {
                say(s, "Nothing was written: the letter is given up.");
                return;
        }
        w->edited = rc == 0;
        if (rc < 0 && why.n)
                say_bad(s, PRS, STR(buf_str(&why)));
        compose_page(s, w);
}

static void finish(struct writing *w)
{
        draft_free(&w->draft);
        letter_free(&w->of);
        lines_free(&w->lines);
        mem_free(w->draft_path);
}

static void go_on(struct screen *s, struct writing *w, bool ask_to, bool need_change)
{
        if (ask_to && !ask_field(s, w, "To", "To: ", true)) {
                say(s, "Given up.");
                return;
        }
        if (ask_to && !ask_field(s, w, "Subject", "Subject: ", false)) {
                say(s, "Given up.");
                return;
        }
        edit_and_page(s, w, need_change);
}

enum done write_new(struct screen *s)
{
        struct writing w = { 0 };

        draft_new(&w.draft, s->mail->login);
        go_on(s, &w, true, true);
        finish(&w);
        return STAY;
}

static bool open_current(struct screen *s, struct writing *w, struct view_row *row)
{
        int rc =
            index_row(s, row) ? letter_open(&w->of, copy_account(s->mail->copy), row->letter, 0) : -ENOENT;

        if (rc < 0)
                say_bad(s, "There is no letter that can be read: %s", strerror(-rc));
        return rc == 0;
}

static enum done reply(struct screen *s, unsigned how)
{
        struct writing w = { 0 };
        struct view_row row;
        char c;

        if (!open_current(s, &w, &row))
                return STAY;
        c = ask_letter(s, "Quote the letter in the answer? (yes/no): ", "yn");
        if (c && how & REPLY_LIST && !w.of->list_post.n) {
                say_bad(s, "The letter names no mailing list.");
                c = 0;
        }
        if (!c) {
                letter_free(&w.of);
                return STAY;
        }
        draft_reply(&w.draft, s->mail->login, w.of, how | (c == 'y' ? REPLY_QUOTE : 0));
        w.draft.of_uid = row.uid;
        w.draft.of_mailbox = arena_str(&w.draft.arena, str_of(s->path));
        go_on(s, &w, true, false);
        finish(&w);
        folders_load(s, false);
        index_look(s);
        return STAY;
}

enum done write_reply(struct screen *s)
{
        return reply(s, 0);
}

enum done write_reply_all(struct screen *s)
{
        return reply(s, REPLY_ALL);
}

enum done write_reply_list(struct screen *s)
{
        return reply(s, REPLY_LIST);
}

enum done write_forward(struct screen *s)
{
        struct writing w = { 0 };
        struct view_row row;
        char c;

        if (!open_current(s, &w, &row))
                return STAY;
        c = ask_letter(s, "Forward in the text (t), or the whole letter as an attachment (a)? ", "ta");
        if (c) {
                draft_forward(&w.draft, s->mail->login, w.of, c == 'a');
                go_on(s, &w, true, false);
                finish(&w);
        } else {
                letter_free(&w.of);
        }
        return STAY;
}

static bool bounce(struct screen *s, uint32_t uid, struct str to, struct buf *why)
{
        struct outgo_result result = { 0 };
        struct letter *l = NULL;
        struct view_row row;
        size_t at = view_find(s->view, uid);
        const struct view_row *rows;
        int rc = at == SIZE_MAX ? -ENOENT : view_rows(s->view, at, 1, &rows);

        if (rc == 0) {
                row = rows[0];
                rc = letter_open(&l, copy_account(s->mail->copy), row.letter, 0);
        }
        if (rc < 0)
                buf_printf(why, "the letter cannot be read: %s", strerror(-rc));
        say_now(s, "Sending...");
        if (rc == 0)
                rc = outgo_bounce(s->mail->copy, s->mail->login, l, to, &result, why);
        letter_free(&l);
        return rc == 0;
}

/* Passed on as it is, to other people: this one, or the tagged ones. */
enum done write_bounce(struct screen *s)
{
        struct buf auto_buf to = { 0 }, why = { 0 }, question = { 0 };
        struct uid_list list;
        unsigned sent = 0;
        bool go = true;

        buf_init(&to, 16000);
        buf_init(&why, 4096);
        buf_init(&question, 20000);
        if (is_role(s, "drafts") || str_eq(str_of(s->path), OUTBOX)) {
                say(s, "That letter is still to be sent: e goes on with it.");
                return STAY;
        }
        targets(s, &list);
        if (list.n && ask_line(s, "Pass on to: ", &to, complete_address, ASK_COMMA) && to.n) {
                buf_printf(&question, "Pass %llu letter%s on to " PRS "? (no/yes): ",
                           (unsigned long long)uid_list_count(&list), uid_list_count(&list) == 1 ? "" : "s",
                           STR(buf_str(&to)));
                buf_u8(&question, 0);
                go = ask_letter(s, question.p, "ny") == 'y';
        }
        for (size_t i = 0; i < list.n && to.n && go; i++)
                for (uint32_t uid = list.ranges[i].first; uid <= list.ranges[i].last && go; uid++)
                        sent += go = bounce(s, uid, buf_str(&to), &why);
        uid_list_free(&list);
        if (to.n && go)
                say(s, "%u letter%s passed on", sent, sent == 1 ? "" : "s");
        else if (why.n)
                say_bad(s, "Not passed on: " PRS, STR(buf_str(&why)));
        folders_load(s, false);
        return STAY;
}

/* Of another's letter a new one is made: by us. */
static void from_us(struct screen *s, struct writing *w)
{
        struct arena auto_arena a;
        struct draft own;

        arena_init(&a, 1 << 20);
        draft_new(&own, s->mail->login);
        head_set(&w->draft, "From", head_get(&own, "From", &a));
        draft_free(&own);
}

/* In Drafts and Outbox the page at once: the editor is one key away. Of another letter a new one is made. */
enum done write_resume(struct screen *s)
{
        struct writing w = { .of_outbox = str_eq(str_of(s->path), OUTBOX) };
        bool draft = is_role(s, "drafts");
        struct view_row row;
        int rc;

        if (!open_current(s, &w, &row))
                return STAY;
        rc = w.of_outbox ? outgo_resume(&w.draft, w.of, row.uid) : draft_resume(&w.draft, w.of);
        if (rc < 0) {
                say_bad(s, "It cannot be gone on with: %s", strerror(-rc));
        } else {
                if (draft) {
                        w.draft_uid = row.uid;
                        w.draft_path = mem_string(str_of(s->path));
                } else if (!w.of_outbox) {
                        from_us(s, &w);
                }
                w.edited = !draft && !w.of_outbox;
                compose_page(s, &w);
        }
        finish(&w);
        folders_load(s, false);
        index_look(s);
        return STAY;
}
