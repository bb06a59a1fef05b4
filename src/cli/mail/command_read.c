/* read, save: a letter and what is in it. */
#include "cli/mail/command.h"
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { TEXT_MOST = 64 << 20 };

/* ---- read ---- */

static void mark_seen(struct command *c, struct str folder, uint32_t uid)
{
        struct uid_range one = { uid, uid };
        struct flags_change change = {
                .uids = &one, .n = 1, .how = FLAGS_ADD, .flags = FLAG_SEEN, .unchanged_since = UINT64_MAX
        };
        struct access x = { 0 };

        if (copy_access(c->m.copy, &x, folder, RIGHT_READ) == 0)
                (void)change_flags(&x, &change);
        placed_list_free(&change.changed);
        uid_list_free(&change.modified);
        access_close(&x);
}

static void put_line(struct buf *out, const struct letter_line *line)
{
        for (unsigned n = 0; n < line->quoted; n++)
                buf_puts(out, S(">"));
        if (line->quoted && line->text.n)
                buf_puts(out, S(" "));
        buf_puts(out, line->text);
        buf_puts(out, S("\n"));
}

static void text_of(const struct letter *l, bool header, struct buf *out)
{
        for (size_t i = 0; i < l->line_count; i++)
                if (header || l->lines[i].kind == LINE_TEXT || l->lines[i].kind == LINE_SIGNATURE)
                        put_line(out, &l->lines[i]);
}

static void put_parts(struct command *c, const struct letter *l)
{
        struct json *out = &c->t.out;

        json_open(out, "parts", '[');
        for (size_t i = 0; i < l->part_count; i++) {
                const struct letter_part *p = &l->parts[i];

                json_open(out, NULL, '{');
                json_number(out, "part", i + 1);
                json_str(out, "type", p->type);
                json_str(out, "name", p->name);
                json_number(out, "size", p->size);
                json_bool(out, "attachment", p->attachment);
                json_close(out, '}');
        }
        json_close(out, ']');
}

static void put_header(struct command *c, const struct letter *l)
{
        struct buf auto_buf head = { 0 };

        if (!c->headers)
                return;
        buf_init(&head, TEXT_MOST);
        for (size_t i = 0; i < l->line_count && l->lines[i].kind == LINE_HEADER; i++)
                put_line(&head, &l->lines[i]);
        json_str(&c->t.out, "headers", buf_str(&head));
}

static int put_json(struct command *c, struct str folder, const struct placed *p, const struct letter *l)
{
        const struct {
                const char *key;
                struct str value;
        } fields[] = { { "from", l->from },
                       { "reply-to", l->reply_to },
                       { "to", l->to },
                       { "cc", l->cc },
                       { "subject", l->subject },
                       { "date", l->date },
                       { "message-id", l->message_id },
                       { "in-reply-to", l->in_reply_to },
                       { "references", l->references } };
        struct keyword_list keywords = { 0 };
        struct buf auto_buf text = { 0 };
        struct access x = { 0 };
        struct json *out = &c->t.out;
        int rc = copy_access(c->m.copy, &x, folder, RIGHT_READ);

        if (rc == 0)
                rc = change_keywords(&x, &c->t.arena, &keywords);
        access_close(&x);
        if (rc < 0)
                return command_fail(c, rc, arena_str(&c->t.arena, folder).p, NULL);
        buf_init(&text, TEXT_MOST);
        text_of(l, false, &text);
        json_open(out, NULL, '{');
        json_str(out, "account", str_of(c->m.login->address));
        json_str(out, "folder", folder);
        json_number(out, "uid", p->uid);
        command_flags(c, p->flags, &keywords);
        json_number(out, "size", p->size);
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
                json_str(out, fields[i].key, fields[i].value);
        put_header(c, l);
        json_str(out, "text", buf_str(&text));
        put_parts(c, l);
        json_close(out, '}');
        return EX_OK;
}

/* As it is, unless a person would get it on the terminal. */
static int put_raw(const struct letter *l)
{
        if (terminal_is(STDOUT_FILENO))
                command_show(buf_str(&l->raw));
        else
                fwrite(l->raw.p, 1, l->raw.n, stdout);
        return EX_OK;
}

int mail_read(struct command *c)
{
        unsigned flags = (c->headers ? LETTER_ALL_FIELDS : 0u) | (c->html ? LETTER_PREFER_HTML : 0u);
        struct buf auto_buf text = { 0 };
        struct letter *l = NULL;
        struct str folder;
        struct placed p;
        int rc;

        if (c->raw && c->t.json)
                return command_fail(c, -EINVAL, "read", "--raw and --json exclude each other");
        rc = command_letter(c, &folder, &p, &l, flags);
        if (rc)
                return rc;
        if (!c->peek && !(p.flags & FLAG_SEEN)) {
                mark_seen(c, folder, p.uid);
                p.flags |= FLAG_SEEN;
        }
        if (c->raw) {
                rc = put_raw(l);
        } else if (c->t.json) {
                rc = put_json(c, folder, &p, l);
        } else {
                buf_init(&text, TEXT_MOST);
                text_of(l, true, &text);
                command_show(buf_str(&text));
        }
        letter_free(&l);
        return rc;
}

/* ---- save ---- */

static int save_one(struct command *c, const struct letter *l, size_t index, const char *folder)
{
        struct buf auto_buf path = { 0 };
        int rc;

        buf_init(&path, 8192);
        rc = letter_save_part(l, l->parts[index].number, folder, &path);
        if (rc < 0)
                return command_fail(c, rc, folder, NULL);
        if (c->t.json) {
                json_str(&c->t.out, NULL, buf_str(&path));
        } else {
                terminal_put(stdout, buf_str(&path));
                putchar('\n');
        }
        return EX_OK;
}

/* PART is the number that `read` shows in [ ]; all, or none: every attachment. */
int mail_save(struct command *c)
{
        const char *folder = c->to.n ? c->to.list[c->to.n - 1] : ".";
        struct letter *l = NULL;
        struct str from, word;
        uint32_t part = 0;
        struct placed p;
        int rc = command_letter(c, &from, &p, &l, 0);

        if (rc)
                return rc;
        word = command_word(c);
        if (word.n && !str_eq(word, S("all")) && (!command_number(word, &part) || part > l->part_count)) {
                rc = command_fail(c, -ENOENT, arena_str(&c->t.arena, word).p, "the letter has no such part");
                letter_free(&l);
                return rc;
        }
        json_open(&c->t.out, NULL, '{');
        json_open(&c->t.out, "files", '[');
        for (size_t i = 0; i < l->part_count && rc == EX_OK; i++)
                if (part ? part == i + 1 : l->parts[i].attachment)
                        rc = save_one(c, l, i, folder);
        json_close(&c->t.out, ']');
        json_close(&c->t.out, '}');
        letter_free(&l);
        return rc;
}
