/* The folders: which there are, how many letters, and where new ones have come. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>

enum { ARENA_MOST = 16 << 20 };

static void free_rows(struct folder_row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                mem_free(rows[i].path);
                mem_free(rows[i].role);
        }
        mem_free(rows);
}

void folders_free(struct screen *s)
{
        free_rows(s->folders, s->folder_n);
        s->folders = NULL;
        s->folder_n = s->folder_at = 0;
}

const struct folder_row *folders_role(const struct screen *s, const char *role)
{
        for (size_t i = 0; i < s->folder_n; i++)
                if (str_eq(str_of(s->folders[i].role), str_of(role)))
                        return &s->folders[i];
        return NULL;
}

/* Unread letters came there that were not there before. */
static void tell_news(struct screen *s, const struct folder_row *now)
{
        for (size_t i = 0; i < s->folder_n; i++) {
                const struct folder_row *was = &s->folders[i];
                uint32_t n = now->unseen > was->unseen ? now->unseen - was->unseen : 0;

                if (was->mailbox != now->mailbox || now->uidnext == was->uidnext || !n)
                        continue;
                say(s, "%u new letter%s in %s", n, n == 1 ? "" : "s", now->path);
                beep();
        }
}

static int read_all(struct screen *s, struct folder_row **rows, size_t *n)
{
        struct account *account = copy_account(s->mail->copy);
        struct mailbox_numbers *numbers = NULL;
        struct mailbox_entry *list;
        struct arena auto_arena a;
        size_t count = 0;
        int rc;

        arena_init(&a, ARENA_MOST);
        rc = mailbox_all(account, copy_name(s->mail->copy), &a, &list, n);
        if (rc == 0)
                rc = change_numbers(account, &a, &numbers, &count);
        if (rc < 0)
                return rc;
        *rows = mem_array(*n + 1, sizeof **rows);
        for (size_t i = 0; i < *n; i++) {
                (*rows)[i] = (struct folder_row){ .path = mem_string(list[i].path),
                                                  .role = mem_string(list[i].role),
                                                  .mailbox = list[i].mailbox,
                                                  .only_name = (list[i].bits & MAILBOX_NOSELECT) != 0 };
                for (size_t k = 0; k < count; k++)
                        if (numbers[k].mailbox == list[i].mailbox) {
                                (*rows)[i].uidnext = numbers[k].uidnext;
                                (*rows)[i].count = numbers[k].count;
                                (*rows)[i].unseen = numbers[k].unseen;
                        }
        }
        return 0;
}

void folders_load(struct screen *s, bool tell)
{
        struct folder_row *rows;
        size_t n;
        int rc = read_all(s, &rows, &n);

        if (rc < 0) {
                say_bad(s, "The folders cannot be read: %s", strerror(-rc));
                return;
        }
        for (size_t i = 0; i < n && tell; i++)
                tell_news(s, &rows[i]);
        free_rows(s->folders, s->folder_n);
        s->folders = rows;
        s->folder_n = n;
}

/* ---- changed to ---- */

static bool change_to(struct screen *s, struct str path)
{
        int rc;

        if (s->path && str_eq(path, str_of(s->path)))
                return true;
        if (!purge_asked(s))
                return false;
        rc = index_open(s, path);
        if (rc < 0) {
                say_bad(s, PRS ": %s", STR(path), rc == -ENOENT ? "there is no such folder" : strerror(-rc));
                return false;
        }
        return true;
}

/* Where one would go next: with unread letters, else where one came from. */
static const char *likely(const struct screen *s)
{
        for (size_t i = 0; i < s->folder_n; i++)
                if (s->folders[i].unseen && !str_eq(str_of(s->folders[i].path), str_of(s->path)))
                        return s->folders[i].path;
        return s->before;
}

enum done folders_change(struct screen *s)
{
        struct buf auto_buf typed = { 0 }, question = { 0 };
        const char *next = likely(s);

        buf_init(&typed, 1000);
        buf_init(&question, 2048);
        if (next)
                buf_printf(&question, "Open folder (Enter: %s, ?: all): ", next);
        else
                buf_puts(&question, S("Open folder (?: all): "));
        buf_u8(&question, 0);
        if (!ask_line(s, question.p, &typed, complete_folder, ASK_OFFERED))
                return STAY;
        if (str_eq(buf_str(&typed), S("?")))
                return folders_page(s);
        if (!typed.n && next)
                buf_puts(&typed, str_of(next));
        if (!typed.n)
                return STAY;
        return change_to(s, str_trim(buf_str(&typed))) ? LEAVE : STAY;
}

enum done folders_drafts(struct screen *s)
{
        const struct folder_row *drafts = folders_role(s, "drafts");
        struct buf auto_buf path = { 0 };

        buf_init(&path, 2048);
        if (drafts)
                buf_puts(&path, str_of(drafts->path)); /* the rows may be read anew meanwhile */
        if (path.n)
                return change_to(s, buf_str(&path)) ? LEAVE : STAY;
        say(s, "There are no drafts.");
        return STAY;
}

enum done folders_news(struct screen *s)
{
        struct buf auto_buf text = { 0 };

        buf_init(&text, sizeof s->message);
        for (size_t i = 0; i < s->folder_n && !text.full; i++)
                if (s->folders[i].unseen)
                        buf_printf(&text, "%s%s (%u)", text.n ? ", " : "New letters: ", s->folders[i].path,
                                   s->folders[i].unseen);
        say(s, PRS, STR(text.n ? buf_str(&text) : S("There are no new letters.")));
        return STAY;
}

/* ---- the page ---- */

static enum done down(struct screen *s)
{
        if (s->folder_at + 1 < s->folder_n)
                s->folder_at++;
        return STAY;
}

static enum done up(struct screen *s)
{
        if (s->folder_at)
                s->folder_at--;
        return STAY;
}

static enum done page_down(struct screen *s)
{
        s->folder_at += term_room();
        return STAY;
}

static enum done page_up(struct screen *s)
{
        s->folder_at -= s->folder_at < term_room() ? s->folder_at : term_room();
        return STAY;
}

static enum done first(struct screen *s)
{
        s->folder_at = 0;
        return STAY;
}

static enum done last(struct screen *s)
{
        s->folder_at = s->folder_n;
        return STAY;
}

static enum done next_new(struct screen *s)
{
        for (size_t i = 1; i <= s->folder_n; i++) {
                size_t at = (s->folder_at + i) % s->folder_n;

                if (s->folders[at].unseen) {
                        s->folder_at = at;
                        return STAY;
                }
        }
        say(s, "There are no new letters.");
        return STAY;
}

static enum done choose(struct screen *s)
{
        struct buf auto_buf path = { 0 };

        if (s->folder_at >= s->folder_n)
                return STAY;
        if (s->folders[s->folder_at].only_name) {
                say(s, "This is only a name above other folders.");
                return STAY;
        }
        buf_init(&path, 2048);
        buf_puts(&path, str_of(s->folders[s->folder_at].path)); /* the rows may be read anew meanwhile */
        return change_to(s, buf_str(&path)) ? LEAVE : STAY;
}

static enum done make(struct screen *s)
{
        struct buf auto_buf typed = { 0 };
        uint32_t made;
        int rc;

        buf_init(&typed, 1000);
        if (!ask_line(s, "Make folder: ", &typed, complete_folder, ASK_OFFERED) || !typed.n)
                return STAY;
        rc = mailbox_create(copy_account(s->mail->copy), copy_name(s->mail->copy), buf_str(&typed), S(""),
                            &made);
        if (rc < 0)
                say_bad(s, PRS ": %s", STR(buf_str(&typed)), strerror(-rc));
        folders_load(s, false);
        return STAY;
}

static enum done leave(struct screen *s)
{
        (void)s;
        return LEAVE;
}

static const struct key folder_keys[] = {
        { 'q', "q", "Back", "back to the letters", leave },
        { '\n', "Enter", "Open", "open the folder", choose },
        { 'j', "j", "Down", "next", down },
        { KEY_CODE | KEY_DOWN, NULL, NULL, NULL, down },
        { 'k', "k", "Up", "the one before", up },
        { KEY_CODE | KEY_UP, NULL, NULL, NULL, up },
        { KEY_CODE | KEY_NPAGE, NULL, NULL, NULL, page_down },
        { ' ', "Space, PgDn", NULL, "next page", page_down },
        { KEY_CODE | KEY_PPAGE, "PgUp", NULL, "the page before", page_up },
        { '=', "=", NULL, "first", first },
        { '*', "*", NULL, "last", last },
        { '\t', "Tab", "New", "next folder with unread letters", next_new },
        { 'C', "C", "Make", "make a folder", make },
        { 'A', "A", "Account", "change to another account", screen_accounts },
        { 0 },
};
static const struct keys keys = { "Folders", { folder_keys, NULL } };

static void draw(struct screen *s, size_t *top)
{
        unsigned room = term_room();

        if (s->folder_at >= s->folder_n)
                s->folder_at = s->folder_n ? s->folder_n - 1 : 0;
        if (s->folder_at < *top)
                *top = s->folder_at;
        if (s->folder_at >= *top + room)
                *top = s->folder_at - room + 1;
        draw_help(&keys);
        for (unsigned y = 0; y < room; y++) {
                const struct folder_row *f = *top + y < s->folder_n ? &s->folders[*top + y] : NULL;
                enum look look = !f                         ? LOOK_PLAIN
                                 : *top + y == s->folder_at ? LOOK_CURSOR
                                 : f->unseen                ? LOOK_NEW
                                                            : LOOK_PLAIN;

                if (!f)
                        draw_text((int)y + 1, 0, term_columns(), S(""), look);
                else if (f->only_name)
                        draw_printf((int)y + 1, 0, term_columns(), look, "  %20s %s", "", f->path);
                else
                        draw_printf((int)y + 1, 0, term_columns(), look, "%8u new %8u  %s", f->unseen,
                                    f->count, f->path);
        }
        draw_bar(S("Folders: unread, all"));
        draw_message(s);
        term_show();
}

enum done folders_page(struct screen *s)
{
        char *path = mem_string(str_of(s->path));
        enum done done = STAY;
        size_t top = 0;
        bool same;

        folders_load(s, false);
        for (size_t i = 0; i < s->folder_n; i++)
                if (str_eq(str_of(s->folders[i].path), str_of(path)))
                        s->folder_at = i;
        while (done == STAY) {
                draw(s, &top);
                done = screen_do(s, &keys, screen_key(s));
        }
        same = s->path && str_eq(str_of(s->path), str_of(path));
        mem_free(path);
        return same && !s->switched ? STAY : LEAVE;
}
