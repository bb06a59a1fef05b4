/* The page of a letter that is being written: its header, its files, its text; sent, kept in Drafts, or given up. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"
#include "cli/home.h"
#include "mail/header.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void make(struct writing *w)
{
        struct buf auto_buf text = { 0 };

        buf_init(&text, 128 << 20);
        draft_text(&w->draft, &text);
        if (w->draft.forwarded)
                buf_puts(&text, S("\n[the letter goes along as an attachment]\n"));
        lines_text(&w->lines, buf_str(&text), term_columns());
        if (w->top >= w->lines.n)
                w->top = 0;
}

/* ---- header and files ---- */

static enum done edit_field(struct screen *s, const char *name, const char *question, bool address)
{
        struct writing *w = s->writing;

        if (ask_field(s, w, name, question, address)) {
                w->edited = true;
                make(w);
        }
        return STAY;
}

static enum done edit_to(struct screen *s)
{
        return edit_field(s, "To", "To: ", true);
}

static enum done edit_cc(struct screen *s)
{
        return edit_field(s, "Cc", "Cc: ", true);
}

static enum done edit_bcc(struct screen *s)
{
        return edit_field(s, "Bcc", "Bcc: ", true);
}

static enum done edit_from(struct screen *s)
{
        return edit_field(s, "From", "From: ", false);
}

static enum done edit_reply_to(struct screen *s)
{
        return edit_field(s, "Reply-To", "Reply-To: ", true);
}

static enum done edit_subject(struct screen *s)
{
        return edit_field(s, "Subject", "Subject: ", false);
}

static enum done attach_as(struct screen *s, const char *field, const char *question)
{
        struct buf auto_buf typed = { 0 }, path = { 0 };

        buf_init(&typed, 4000);
        if (!ask_line(s, question, &typed, complete_file, 0) || !typed.n)
                return STAY;
        if (!home_expand(&path, buf_str(&typed)) || access(path.p, R_OK) < 0) {
                say_bad(s, PRS ": %s", STR(buf_str(&typed)), strerror(errno));
                return STAY;
        }
        head_add(&s->writing->draft, field, str_of(path.p));
        s->writing->edited = true;
        make(s->writing);
        return STAY;
}

static enum done attach(struct screen *s)
{
        return attach_as(s, "Attach", "Attach file: ");
}

static enum done attach_inline(struct screen *s)
{
        return attach_as(s, "Inline", "Image to be shown with the text: ");
}

static unsigned count(const struct draft *d, const char *name)
{
        return header_count(buf_str(&d->head), str_of(name));
}

static enum done detach(struct screen *s)
{
        struct draft *d = &s->writing->draft;
        unsigned n = count(d, "Attach");

        if (n)
                (void)head_drop(d, "Attach", n - 1);
        else if (count(d, "Inline"))
                (void)head_drop(d, "Inline", count(d, "Inline") - 1);
        else if (d->forwarded)
                d->forwarded = NULL;
        else
                say(s, "There is no file to take away.");
        s->writing->edited = true;
        make(s->writing);
        return STAY;
}

static enum done edit(struct screen *s)
{
        struct buf auto_buf why = { 0 };
        int rc;

        buf_init(&why, 4096);
        term_away();
        rc = draft_edit(&s->writing->draft, &why);
        term_back();
        s->writing->edited |= rc == 0;
        if (rc < 0 && why.n)
                say_bad(s, PRS, STR(buf_str(&why)));
        else if (rc < 0 && rc != -ECANCELED)
                say_bad(s, "%s", strerror(-rc));
        make(s->writing);
        return STAY;
}

/* ---- sent, kept, given up ---- */

/* The draft that this was goes, once it is sent or kept anew. */
static void remove_draft(struct screen *s, struct writing *w)
{
        struct uid_range one = { w->draft_uid, w->draft_uid };
        struct uid_list gone = { 0 };
        struct access x = { 0 };
        int rc = w->draft_uid ? copy_access(s->mail->copy, &x, str_of(w->draft_path), RIGHTS_ALL) : -ENOENT;

        if (rc == 0)
                rc = change_expunge(&x, &one, 1, false, &gone);
        if (rc < 0 && w->draft_uid)
                say_bad(s, "The former draft stays: %s", strerror(-rc));
        uid_list_free(&gone);
        access_close(&x);
}

static enum done send_it(struct screen *s)
{
        struct writing *w = s->writing;
        struct buf auto_buf why = { 0 };
        struct outgo_result result = { 0 };
        struct arena auto_arena a;
        int rc;

        arena_init(&a, 4 << 20);
        buf_init(&why, 4096);
        if (!head_get(&w->draft, "Subject", &a).n &&
            ask_letter(s, "There is no subject. Send it so? (no/yes): ", "ny") != 'y')
                return STAY;
        say_now(s, "Sending...");
        rc = outgo_send(s->mail->copy, s->mail->login, &w->draft, &result, &why);
        folders_load(s, false);
        if (rc < 0) {
                say_bad(s, "%s" PRS, rc == -EINPROGRESS ? "" : "Not sent: ",
                        STR(why.n ? buf_str(&why) : str_of(strerror(-rc))));
                return STAY;
        }
        if (result.denied)
                say_bad(s, "The password is refused: the letter waits in Outbox (%s)", result.said);
        else
                say(s, result.waits ? "It waits in Outbox until there is a network (%s)" : "Sent: %s",
                    result.said);
        remove_draft(s, w);
        folders_load(s, false);
        return LEAVE;
}

static enum done postpone(struct screen *s)
{
        struct writing *w = s->writing;
        struct buf auto_buf message = { 0 }, why = { 0 };
        struct str path, sender;
        struct arena auto_arena a;
        int rc;

        arena_init(&a, 64 << 20);
        buf_init(&why, 4096);
        buf_init(&message, 256 << 20);
        rc = draft_message(&w->draft, s->mail->login, &message, &a, NULL, NULL, &sender, &why);
        if (rc == 0)
                rc = copy_role(s->mail->copy, &a, "drafts", &path);
        if (rc == 0)
                rc = copy_append(s->mail->copy, path, buf_str(&message), FLAG_DRAFT | FLAG_SEEN, NULL);
        if (rc < 0) {
                say_bad(s, "Not kept: " PRS, STR(why.n ? buf_str(&why) : str_of(strerror(-rc))));
                return STAY;
        }
        say(s, "Kept in " PRS, STR(path));
        remove_draft(s, w);
        outgo_forget(s->mail->copy, &w->draft);
        folders_load(s, false);
        return LEAVE;
}

static enum done give_up(struct screen *s)
{
        struct writing *w = s->writing;
        char c;

        if ((w->draft_uid || w->of_outbox) && !w->edited)
                return LEAVE;
        c = ask_letter(s, "Keep this letter in Drafts? (yes/no): ", "yn");
        if (c == 'y')
                return postpone(s);
        if (c == 'n' && !w->of_outbox)
                outgo_forget(s->mail->copy, &w->draft);
        if (c == 'n')
                say(s, w->draft_uid   ? "The draft stays as it was."
                       : w->of_outbox ? "The letter stays in Outbox."
                                      : "The letter is given up.");
        return c == 'n' ? LEAVE : STAY;
}

/* ---- the page ---- */

static enum done down(struct screen *s)
{
        s->writing->top += s->writing->top + term_room() < s->writing->lines.n;
        return STAY;
}

static enum done up(struct screen *s)
{
        s->writing->top -= s->writing->top > 0;
        return STAY;
}

static enum done page_down(struct screen *s)
{
        s->writing->top += s->writing->top + term_room() < s->writing->lines.n ? term_room() : 0;
        return STAY;
}

static enum done page_up(struct screen *s)
{
        s->writing->top -= s->writing->top < term_room() ? s->writing->top : term_room();
        return STAY;
}

static const struct key compose_keys[] = {
        { 'y', "y", "Send", "send", send_it },
        { 'e', "e", "Edit", "header and text in $VISUAL, $EDITOR or vi", edit },
        { 'E', NULL, NULL, NULL, edit },
        { 'a', "a", "Attach", "attach a file", attach },
        { 'i', "i", NULL, "an image that is shown with the text", attach_inline },
        { 'D', "D", NULL, "take the last file away", detach },
        { 'p', "p", "Postpone", "keep in Drafts", postpone },
        { 'P', NULL, NULL, NULL, postpone },
        { 'q', "q", "Abandon", "give up, or keep in Drafts", give_up },
        { 't', "t", "To", "to whom; Tab completes addresses of letters seen", edit_to },
        { 'c', "c", "Cc", "copies to", edit_cc },
        { 'b', "b", NULL, "copies that nobody sees", edit_bcc },
        { 's', "s", "Subject", "subject", edit_subject },
        { 'f', "f", NULL, "from", edit_from },
        { 'r', "r", NULL, "where answers go", edit_reply_to },
        { 'j', "j", NULL, "down", down },
        { KEY_CODE | KEY_DOWN, NULL, NULL, NULL, down },
        { 'k', "k", NULL, "up", up },
        { KEY_CODE | KEY_UP, NULL, NULL, NULL, up },
        { ' ', "Space", NULL, "next page", page_down },
        { KEY_CODE | KEY_NPAGE, NULL, NULL, NULL, page_down },
        { '-', "-", NULL, "the page before", page_up },
        { KEY_CODE | KEY_PPAGE, NULL, NULL, NULL, page_up },
        { 0 },
};
static const struct keys keys = { "A letter being written", { compose_keys, NULL } };

void compose_page(struct screen *s, struct writing *w)
{
        struct writing *before = s->writing;
        enum done done = STAY;
        unsigned width = 0;
        int key;

        s->writing = w;
        while (done == STAY && !s->ended) {
                if (width != term_columns())
                        make(w);
                width = term_columns();
                draw_help(&keys);
                for (unsigned y = 0; y < term_room(); y++)
                        lines_draw(&w->lines, w->top + y, (int)y + 1, width);
                draw_bar(S("A letter, ready: y sends it"));
                draw_message(s);
                term_show();
                key = screen_key(s);
                done = key == KEY_ENDED ? STAY : screen_do(s, &keys, key);
        }
        if (s->ended && done == STAY)
                (void)postpone(s); /* nothing that was written is lost */
        s->writing = before;
}
