/* folders, list, search: what is there. */
#include "cli/mail/command.h"
#include "cli/mail/view.h"
#include "cli/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

enum { ROWS_AT_ONCE = 500, TEXT_MOST = 1 << 30, FROM_WIDTH = 24 };

struct str command_date(struct arena *a, int64_t seconds)
{
        time_t at = (time_t)seconds;
        struct tm tm;
        char text[64] = "";

        if (gmtime_r(&at, &tm))
                strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        return arena_str(a, str_of(text));
}

void command_flags(struct command *c, uint64_t flags, const struct keyword_list *keywords)
{
        static const struct {
                uint64_t flag;
                const char *name;
        } known[] = { { FLAG_SEEN, "\\Seen" },
                      { FLAG_ANSWERED, "\\Answered" },
                      { FLAG_FLAGGED, "\\Flagged" },
                      { FLAG_DELETED, "\\Deleted" },
                      { FLAG_DRAFT, "\\Draft" } };
        struct json *out = &c->t.out;

        json_open(out, "flags", '[');
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
                if (flags & known[i].flag)
                        json_str(out, NULL, str_of(known[i].name));
        for (unsigned bit = 8; bit < 64; bit++)
                if (flags >> bit & 1 && keywords->names[bit].n)
                        json_str(out, NULL, keywords->names[bit]);
        json_close(out, ']');
}

/* ---- folders ---- */

int mail_folders(struct command *c)
{
        struct arena *a = &c->t.arena;
        struct account *account = copy_account(c->m.copy);
        struct buf auto_buf text = { 0 };
        struct mailbox_entry *list;
        struct mailbox_numbers *numbers;
        size_t n, count;
        int rc = mailbox_all(account, copy_name(c->m.copy), a, &list, &n);

        if (rc == 0)
                rc = change_numbers(account, a, &numbers, &count);
        if (rc < 0)
                return command_fail(c, rc, c->m.login->address, NULL);
        buf_init(&text, TEXT_MOST);
        json_open(&c->t.out, NULL, '{');
        json_str(&c->t.out, "account", str_of(c->m.login->address));
        json_open(&c->t.out, "folders", '[');
        for (size_t i = 0; i < n; i++) {
                struct mailbox_numbers none = { 0 }, *of = &none;

                if (list[i].bits & MAILBOX_NOSELECT)
                        continue;
                for (size_t k = 0; k < count; k++)
                        if (numbers[k].mailbox == list[i].mailbox)
                                of = &numbers[k];
                json_open(&c->t.out, NULL, '{');
                json_str(&c->t.out, "name", list[i].path);
                json_str(&c->t.out, "role", list[i].role);
                json_number(&c->t.out, "letters", of->count);
                json_number(&c->t.out, "unread", of->unseen);
                json_number(&c->t.out, "uidvalidity", list[i].uidvalidity);
                json_number(&c->t.out, "uidnext", of->uidnext);
                json_close(&c->t.out, '}');
                buf_printf(&text, "%7u %7u  " PRS "\n", of->unseen, of->count, STR(list[i].path));
        }
        json_close(&c->t.out, ']');
        json_close(&c->t.out, '}');
        if (!c->t.json)
                command_show(buf_str(&text));
        return EX_OK;
}

/* ---- rows ---- */

/* The first characters, and blanks up to there. */
static void put_column(struct buf *out, struct str s, unsigned width)
{
        struct buf auto_buf safe = { 0 };
        unsigned columns = 0;
        size_t end = 0;

        buf_init(&safe, 64 * 1024);
        terminal_safe(&safe, s);
        while (end < safe.n && columns < width) {
                end++;
                while (end < safe.n && ((unsigned char)safe.p[end] & 0xC0) == 0x80)
                        end++;
                columns++;
        }
        buf_puts(out, str_sub(buf_str(&safe), 0, end));
        buf_printf(out, "%*s", (int)(width - columns), "");
}

static void put_text(struct buf *out, const struct view_row *r)
{
        char flag = r->flags & FLAG_DELETED    ? 'D'
                    : r->flags & FLAG_FLAGGED  ? '!'
                    : r->flags & FLAG_ANSWERED ? 'r'
                    : r->flags & FLAG_SEEN     ? ' '
                                               : 'N';
        char day[32] = "          ";
        time_t at = (time_t)r->when;
        struct tm tm;

        if (r->when != INT64_MIN && localtime_r(&at, &tm))
                strftime(day, sizeof day, "%Y-%m-%d", &tm);
        buf_printf(out, "%6u %c%c %s  ", r->uid, flag, r->attachments ? '@' : ' ', day);
        put_column(out, r->from, FROM_WIDTH);
        buf_printf(out, "  %*s", (int)(r->depth < 20 ? 2 * r->depth : 40), "");
        for (size_t i = 0; i < r->subject.n;
             i++) /* one line, whatever stands in it; the rest is made safe when shown */
                buf_put(out, r->subject.p[i] == '\n' ? " " : r->subject.p + i, 1);
        buf_puts(out, S("\n"));
}

static void put_json(struct command *c, struct str folder, const struct view_row *r,
                     const struct keyword_list *keywords)
{
        struct json *out = &c->t.out;
        struct arena auto_arena a;

        arena_init(&a, 4096);
        json_open(out, NULL, '{');
        json_str(out, "folder", folder);
        json_number(out, "uid", r->uid);
        if (r->date != INT64_MIN)
                json_str(out, "date", command_date(&a, r->date));
        json_str(out, "from", r->from);
        json_str(out, "to", r->to);
        json_str(out, "subject", r->subject);
        json_number(out, "size", r->size);
        json_number(out, "depth", r->depth);
        json_bool(out, "attachments", r->attachments);
        command_flags(c, r->flags, keywords);
        json_close(out, '}');
}

static int read_keywords(struct command *c, struct str folder, struct keyword_list *keywords)
{
        struct access x = { 0 };
        int rc = copy_access(c->m.copy, &x, folder, RIGHT_READ);

        if (rc == 0)
                rc = change_keywords(&x, &c->t.arena, keywords);
        access_close(&x);
        return rc;
}

static int put_rows(struct command *c, struct view *v, struct str folder, struct buf *text)
{
        struct keyword_list keywords = { 0 };
        size_t count = view_count(v), from = 0;
        uint32_t limit;
        int rc = read_keywords(c, folder, &keywords);

        if (c->limit && !command_number(str_of(c->limit), &limit))
                return -EINVAL;
        if (c->limit && count > limit)
                from = count - limit;
        for (size_t n; rc == 0 && from < count; from += n) {
                const struct view_row *rows;

                n = count - from < ROWS_AT_ONCE ? count - from : ROWS_AT_ONCE;
                rc = view_rows(v, from, n, &rows);
                for (size_t i = 0; rc == 0 && i < n; i++)
                        if (c->t.json)
                                put_json(c, folder, &rows[i], &keywords);
                        else
                                put_text(text, &rows[i]);
        }
        return rc;
}

static bool order_of(struct command *c, enum view_order *order, bool *backwards)
{
        static const char *const names[] = {
                [VIEW_ARRIVED] = "arrived", [VIEW_THREADS] = "threads", [VIEW_DATE] = "date",
                [VIEW_FROM] = "from",       [VIEW_SUBJECT] = "subject", [VIEW_SIZE] = "size"
        };
        struct str s = str_of(c->sort);

        *order = VIEW_ARRIVED;
        *backwards = str_starts(s, S("-"));
        s = str_from_at(s, *backwards);
        for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
                if (str_eq(s, str_of(names[i])))
                        return *order = (enum view_order)i, true;
        return !s.n;
}

int command_rows(struct command *c, struct str folder, struct str pattern, struct buf *text)
{
        struct buf auto_buf why = { 0 };
        enum view_order order;
        struct view *v = NULL;
        bool backwards;
        uint32_t limit;
        int rc;

        buf_init(&why, 4096);
        if (!order_of(c, &order, &backwards))
                return command_fail(c, -EINVAL, c->sort,
                                    "no order: arrived threads date from subject size, or -date");
        if (c->limit && !command_number(str_of(c->limit), &limit))
                return command_fail(c, -EINVAL, c->limit, "no number");
        rc = view_open(&v, c->m.copy, folder);
        if (rc == 0 && (order != VIEW_ARRIVED || backwards))
                rc = view_sort(v, order, backwards);
        if (rc == 0 && pattern.n)
                rc = view_limit(v, pattern, &why);
        if (rc == 0)
                rc = put_rows(c, v, folder, text);
        view_close(&v);
        buf_u8(&why, 0);
        if (rc == 0)
                return EX_OK;
        return command_fail(c, rc, arena_str(&c->t.arena, why.n > 1 ? pattern : folder).p,
                            why.n > 1       ? why.p
                            : rc == -ENOENT ? "there is no such folder"
                                            : NULL);
}

/* ---- list, search ---- */

static int rows_of(struct command *c, const struct str *folders, size_t n, struct str pattern)
{
        struct buf auto_buf text = { 0 };
        int rc = EX_OK;

        buf_init(&text, TEXT_MOST);
        json_open(&c->t.out, NULL, '{');
        json_str(&c->t.out, "account", str_of(c->m.login->address));
        json_open(&c->t.out, "letters", '[');
        for (size_t i = 0; i < n && rc == EX_OK; i++) {
                size_t before;

                if (n > 1)
                        buf_printf(&text, PRS ":\n", STR(folders[i]));
                before = text.n;
                rc = command_rows(c, folders[i], pattern, &text);
                if (n > 1 && text.n == before)
                        text.n -= folders[i].n + 2; /* nothing there */
        }
        json_close(&c->t.out, ']');
        json_close(&c->t.out, '}');
        if (!c->t.json && rc == EX_OK)
                command_show(buf_str(&text));
        return rc;
}

int mail_list(struct command *c)
{
        struct str folder = c->folder ? str_of(c->folder) : INBOX, word;

        if (!c->folder && c->t.count) {
                word = *c->t.words;
                if (c->t.count == 2 || !strchr("~!(", *word.p))
                        folder = command_word(c);
        }
        return rows_of(c, &folder, 1, command_word(c));
}

int mail_search(struct command *c)
{
        struct str pattern = command_word(c), *folders;
        struct mailbox_entry *list;
        size_t n, count = 0;
        int rc;

        if (c->folder || c->t.count) {
                struct str folder = c->folder ? str_of(c->folder) : command_word(c);

                return rows_of(c, &folder, 1, pattern);
        }
        rc = mailbox_all(copy_account(c->m.copy), copy_name(c->m.copy), &c->t.arena, &list, &n);
        if (rc < 0)
                return command_fail(c, rc, c->m.login->address, NULL);
        folders = arena_array(&c->t.arena, struct str, n);
        for (size_t i = 0; i < n; i++)
                if (!(list[i].bits & MAILBOX_NOSELECT))
                        folders[count++] = list[i].path;
        return rows_of(c, folders, count, pattern);
}
