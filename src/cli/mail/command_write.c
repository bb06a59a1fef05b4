/* send, reply, forward, bounce, outbox: letters that leave. */
#include "cli/mail/command.h"
#include "cli/mail/outgo.h"
#include "cli/terminal.h"
#include "mail/header.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { LETTER_MOST = 64 << 20 };

/* ---- the header, by options ---- */

/* Takes the field's line away; draft_new and its like write each on one line. */
static void drop_field(struct buf *head, struct str name)
{
        struct buf auto_buf kept = { 0 };
        struct str rest = buf_str(head), line;

        buf_init(&kept, head->max);
        while (rest.n) {
                str_cut(&rest, '\n', &line);
                if (str_istarts(line, name) && line.n > name.n && line.p[name.n] == ':')
                        continue;
                buf_printf(&kept, PRS "\n", STR(line));
        }
        buf_clear(head);
        buf_puts(head, buf_str(&kept));
}

static int put_values(struct command *c, struct draft *d, const char *name, const struct values *v,
                      bool joined)
{
        if (!v->n)
                return EX_OK;
        if (joined)
                drop_field(&d->head, str_of(name));
        for (size_t i = 0; i < v->n; i++) {
                if (str_has_control(str_of(v->list[i])))
                        return command_fail(c, -EINVAL, name, "a control character stands in it");
                if (!i || !joined)
                        buf_printf(&d->head, "%s: %s", name, v->list[i]);
                else
                        buf_printf(&d->head, ", %s", v->list[i]);
                if (!joined || i + 1 == v->n)
                        buf_puts(&d->head, S("\n"));
        }
        return EX_OK;
}

static int put_options(struct command *c, struct draft *d)
{
        struct values subject = { &c->subject, c->subject != NULL };
        int rc = put_values(c, d, "To", &c->to, true);

        rc = rc ? rc : put_values(c, d, "Cc", &c->cc, true);
        rc = rc ? rc : put_values(c, d, "Bcc", &c->bcc, true);
        rc = rc ? rc : put_values(c, d, "Subject", &subject, true);
        return rc ? rc : put_values(c, d, "Attach", &c->attach, false);
}

/* ---- the text ---- */

/* Before what stands there already: a quotation, the signature. Lines by \n. */
static int put_body(struct command *c, struct draft *d, const char *path)
{
        struct buf auto_buf text = { 0 }, below = { 0 };
        struct str rest, line;
        int rc;

        buf_init(&text, LETTER_MOST);
        buf_init(&below, LETTER_MOST);
        rc = command_read(path, &text);
        if (rc < 0)
                return command_fail(c, rc, path, NULL);
        buf_puts(&below, buf_str(&d->body));
        buf_clear(&d->body);
        for (rest = buf_str(&text); rest.n;) {
                bool ended = str_cut(&rest, '\n', &line);

                if (ended && line.n && line.p[line.n - 1] == '\r')
                        line.n--;
                buf_printf(&d->body, PRS "\n", STR(line));
        }
        if (below.n && below.p[0] != '\n' && text.n)
                buf_puts(&d->body, S("\n"));
        buf_puts(&d->body, buf_str(&below));
        return EX_OK;
}

/* --body; else the editor, where somebody sits there or it was asked for; else stdin. */
static int write_text(struct command *c, struct draft *d)
{
        bool person = terminal_is(STDIN_FILENO) && terminal_is(STDOUT_FILENO);
        struct buf auto_buf why = { 0 };
        int rc = EX_OK;

        if (c->body || (!c->edit && !person))
                rc = put_body(c, d, c->body ? c->body : "-");
        if (rc || (!c->edit && (c->body || !person)))
                return rc;
        buf_init(&why, 4096);
        rc = draft_edit(d, &why);
        buf_u8(&why, 0);
        if (rc == -ECANCELED && why.n == 1)
                return command_fail(c, -ECANCELED, "", "nothing was written: not sent"), EX_NOINPUT;
        return rc < 0 ? command_fail(c, rc, "", why.p) : EX_OK;
}

/* ---- on its way ---- */

static int gone(struct command *c, int rc, const struct outgo_result *result, struct buf *why)
{
        struct json *out = &c->t.out;

        json_open(out, NULL, '{');
        json_str(out, "result", rc < 0 ? S("failed") : result->waits ? S("waiting") : S("sent"));
        json_str(out, "said", str_of(result->said));
        if (rc < 0)
                json_str(out, "why", buf_str(why));
        json_close(out, '}');
        buf_u8(why, 0);
        if (rc < 0)
                return command_fail(c, rc, "", why->p);
        if (result->waits) {
                fputs("pail mail: it waits in Outbox: ", stderr);
                terminal_put(stderr, str_of(result->said));
                fputc('\n', stderr);
        }
        return result->denied ? EX_NOPERM : EX_OK;
}

static int go(struct command *c, struct draft *d)
{
        struct outgo_result result = { 0 };
        struct buf auto_buf why = { 0 };
        int rc;

        buf_init(&why, 8192);
        rc = outgo_send(c->m.copy, c->m.login, d, &result, &why);
        return gone(c, rc, &result, &why);
}

/* ---- send ---- */

/* A MIME message that a program has made: what can be taken from it is written anew. */
static int resume(struct draft *d, struct str text, struct letter **l)
{
        int rc = letter_parse(l, text, 0);

        return rc < 0 ? rc : draft_resume(d, *l);
}

static void put_first(struct draft *d, struct str line)
{
        struct buf auto_buf rest = { 0 };

        buf_init(&rest, d->head.max);
        buf_puts(&rest, buf_str(&d->head));
        buf_clear(&d->head);
        buf_puts(&d->head, line);
        buf_puts(&d->head, buf_str(&rest));
}

static int from_stdin(struct command *c, struct draft *d, struct letter **mime)
{
        struct buf auto_buf text = { 0 }, why = { 0 }, from = { 0 };
        struct str head, own = buf_str(&d->head), line;
        struct field f;
        int rc;

        buf_init(&text, LETTER_MOST);
        buf_init(&from, 8192);
        str_cut(&own, '\n', &line);
        buf_printf(&from, PRS "\n", STR(line)); /* draft_new's first */
        buf_init(&why, 4096);
        rc = command_read("-", &text);
        if (rc < 0)
                return command_fail(c, rc, "stdin", NULL);
        head = str_sub(buf_str(&text), 0, header_size(buf_str(&text)));
        if (header_find(head, S("Content-Type"), &f)) {
                draft_free(d);
                rc = resume(d, buf_str(&text), mime);
        } else {
                rc = draft_from_text(d, buf_str(&text), &why);
                if (rc == 0 && !header_find(head, S("From"), &f))
                        put_first(d, buf_str(&from));
        }
        buf_u8(&why, 0);
        return rc < 0 ? command_fail(c, -EINVAL, "stdin", why.n > 1 ? why.p : strerror(-rc)) : EX_OK;
}

int mail_send(struct command *c)
{
        bool options = c->to.n || c->cc.n || c->bcc.n || c->subject || c->body;
        struct letter *mime = NULL;
        struct draft d = { 0 };
        int rc;

        draft_new(&d, c->m.login);
        if (options || c->edit || terminal_is(STDIN_FILENO)) {
                rc = put_options(c, &d);
                rc = rc ? rc : write_text(c, &d);
        } else {
                rc = from_stdin(c, &d, &mime);
                rc = rc ? rc : put_options(c, &d); /* --attach */
        }
        rc = rc ? rc : go(c, &d);
        draft_free(&d);
        letter_free(&mime);
        return rc;
}

/* ---- reply, forward ---- */

static int answer(struct command *c, bool forward)
{
        unsigned how = (c->all ? REPLY_ALL : 0u) | (c->quote ? REPLY_QUOTE : 0u);
        struct letter *of = NULL;
        struct draft d = { 0 };
        struct str folder;
        struct placed p;
        int rc = command_letter(c, &folder, &p, &of, 0);

        if (rc)
                return rc;
        if (forward) {
                draft_forward(&d, c->m.login, of, c->attached);
        } else {
                draft_reply(&d, c->m.login, of, how);
                d.of_uid = p.uid;
                d.of_mailbox = arena_str(&d.arena, folder);
        }
        rc = put_options(c, &d);
        if (rc == EX_OK && (!forward || c->body || c->edit || terminal_is(STDIN_FILENO)))
                rc = write_text(c, &d);
        rc = rc ? rc : go(c, &d);
        draft_free(&d);
        letter_free(&of);
        return rc;
}

int mail_reply(struct command *c)
{
        return answer(c, false);
}

int mail_forward(struct command *c)
{
        return answer(c, true);
}

int mail_bounce(struct command *c)
{
        struct outgo_result result = { 0 };
        struct buf auto_buf why = { 0 }, to = { 0 };
        struct letter *of = NULL;
        struct str folder;
        struct placed p;
        int rc = command_letter(c, &folder, &p, &of, 0);

        if (rc)
                return rc;
        buf_init(&why, 8192);
        buf_init(&to, 64 * 1024);
        for (size_t i = 0; i < c->to.n; i++)
                buf_printf(&to, "%s%s", i ? ", " : "", c->to.list[i]);
        rc = outgo_bounce(c->m.copy, c->m.login, of, buf_str(&to), &result, &why);
        letter_free(&of);
        return gone(c, rc, &result, &why);
}

/* ---- outbox ---- */

static int list_outbox(struct command *c)
{
        struct buf auto_buf text = { 0 };
        struct access x = { 0 };
        int rc = copy_access(c->m.copy, &x, OUTBOX, RIGHT_READ), code = EX_OK;

        access_close(&x);
        if (rc < 0 && rc != -ENOENT)
                return command_fail(c, rc, "Outbox", NULL);
        buf_init(&text, LETTER_MOST);
        json_open(&c->t.out, NULL, '{');
        json_open(&c->t.out, "letters", '[');
        if (rc == 0)
                code = command_rows(c, OUTBOX, S(""), &text);
        json_close(&c->t.out, ']');
        json_close(&c->t.out, '}');
        if (!c->t.json && code == EX_OK)
                command_show(buf_str(&text));
        return code;
}

/* Those that were refused, or that may have gone. */
static int wait_again(struct command *c)
{
        struct uid_list uids = { 0 };
        int rc = command_uids(c, &uids), code = rc;

        if (rc == EX_OK) {
                rc = outgo_again(c->m.copy, c->m.login, &uids);
                code = rc < 0
                           ? command_fail(c, rc, "Outbox", rc == -ENOENT ? "there is no such letter" : NULL)
                           : EX_OK;
        }
        uid_list_free(&uids);
        return code;
}

int mail_outbox(struct command *c)
{
        struct str word = command_word(c);
        struct buf auto_buf why = { 0 };
        unsigned sent = 0;
        int rc;

        if (!word.n)
                return list_outbox(c);
        rc = str_eq(word, S("send"))                   ? wait_again(c)
             : str_eq(word, S("flush")) && !c->t.count ? EX_OK
                                                       : command_usage(c);
        if (rc)
                return rc;
        buf_init(&why, 8192);
        rc = outgo_flush(c->m.copy, c->m.login, &sent, &why);
        json_open(&c->t.out, NULL, '{');
        json_number(&c->t.out, "sent", sent);
        if (why.n)
                json_str(&c->t.out, "why", buf_str(&why));
        json_close(&c->t.out, '}');
        if (!c->t.json && rc == 0)
                printf("%u sent\n", sent);
        if (rc == 0 && !why.n)
                return EX_OK;
        buf_u8(&why, 0);
        return command_fail(c, rc < 0 ? rc : -EREMOTEIO, "Outbox", why.p);
}
