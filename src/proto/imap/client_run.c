/* Tags, statuses, and what comes unasked (RFC 9051 §7.1-7.4). */
#include "net/conn.h"
#include "proto/imap/client_inside.h"
#include "proto/said.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int client_ours(struct imap_answer *answer, int rc, const char *text)
{
        *answer = (struct imap_answer){ 0 };
        said_put(answer->text, sizeof(answer->text), str_of(text));
        return rc;
}

static int broken(struct imap_client *c, struct imap_answer *answer)
{
        const char *why = c->broken == -ETIMEDOUT   ? "no answer in time"
                          : c->broken == -EPROTO    ? "an answer that makes no sense"
                          : c->broken == -ECANCELED ? "given up"
                                                    : "the connection was closed";

        /* what it said with BYE is better than what we have to say */
        return c->bye ? c->broken : client_ours(answer, c->broken, why);
}

/* resp-text = ["[" resp-text-code "]" SP] text; its words are for people, and what looks like a literal in it is none. */
void client_read_text(struct imap_client *c, const char *status, struct imap_answer *answer)
{
        struct str rest = scan_rest(&c->in), code = S("");

        if (str_starts(rest, S("[")) && str_find(rest, ']') != STR_NONE) {
                rest = str_from_at(rest, 1);
                str_cut(&rest, ']', &code);
        }
        if (answer) {
                snprintf(answer->status, sizeof(answer->status), "%s", status);
                said_put(answer->code, sizeof(answer->code), code);
                said_put(answer->text, sizeof(answer->text), str_trim(rest));
        }
        if (str_istarts(code, S("CAPABILITY ")))
                client_capabilities(c, str_from_at(code, 11));
        if (c->selected)
                client_mailbox_code(c, code);
        if (code.n && c->ask && c->ask->code)
                c->ask->code(c, c->ask->context, code);
}

/* ---- untagged ---- */

static void heard_exists(struct imap_client *c, uint32_t number)
{
        if (c->selected && number != c->now.count)
                c->told = true;
        c->now.count = number;
}

static void heard_expunge(struct imap_client *c, uint32_t number)
{
        if (number && c->now.count)
                c->now.count--;
        c->told = true;
}

/* RFC 7162 §3.2.10.2: as many EXPUNGEs. */
void client_heard_vanished(struct imap_client *c)
{
        struct str set;
        uint32_t first, last;
        uint64_t gone = 0;
        bool bad = false;

        if (scan_peek(&c->in) == '(') /* (EARLIER): of an old time */
                return;
        set = client_atom(c);
        while (set_next(&set, &first, &last, &bad))
                gone += (uint64_t)last - first + 1;
        if (bad)
                scan_fail(&c->in, "VANISHED");
        c->now.count -= gone < c->now.count ? (uint32_t)gone : c->now.count;
        c->told = true;
}

static void heard_vanished(struct imap_client *c, uint32_t number)
{
        (void)number;
        client_heard_vanished(c);
}

static void heard_fetch(struct imap_client *c, uint32_t number)
{
        (void)number;
        c->told = true;
}

static void heard_capability(struct imap_client *c, uint32_t number)
{
        (void)number;
        client_capabilities(c, scan_rest(&c->in));
}

static void heard_ok(struct imap_client *c, uint32_t number)
{
        (void)number;
        client_read_text(c, "", NULL);
}

static void heard_bye(struct imap_client *c, uint32_t number)
{
        (void)number;
        c->bye = true;
        client_read_text(c, "BYE", c->answer);
}

static const struct {
        const char *word;
        void (*heard)(struct imap_client *c, uint32_t number);
        bool numbered;
} untagged_words[] = {
        { "EXISTS", heard_exists, true },
        { "EXPUNGE", heard_expunge, true },
        { "FETCH", heard_fetch, true },
        { "VANISHED", heard_vanished, false },
        { "CAPABILITY", heard_capability, false },
        { "OK", heard_ok, false },
        { "NO", heard_ok, false },
        { "BAD", heard_ok, false },
        { "BYE", heard_bye, false },
};

void client_untagged(struct imap_client *c)
{
        int first = scan_peek(&c->in);
        bool numbered = first >= '0' && first <= '9';
        uint32_t number = numbered ? (uint32_t)scan_number(&c->in, UINT32_MAX) : 0;
        struct str word;
        char kept[16];
        bool taken;

        if (numbered)
                scan_space(&c->in);
        word = scan_until(&c->in, " ");
        scan_try(&c->in, ' ');
        said_put(kept, sizeof(kept), word); /* the line's buffer moves */
        word = str_of(kept);
        taken = c->ask && c->ask->hear && c->ask->hear(c, c->ask->context, number, word);
        for (size_t i = 0; !taken && i < sizeof(untagged_words) / sizeof(*untagged_words); i++)
                if (numbered == untagged_words[i].numbered && str_ieq(word, str_of(untagged_words[i].word)))
                        untagged_words[i].heard(c, number);
        if (!taken && ++c->unasked > UNASKED_MOST)
                client_break(c, -EPROTO);
        client_skip_rest(c);
        if (c->in.bad)
                client_break(c, -EPROTO);
}

/* ---- tagged ---- */

static void tagged(struct imap_client *c)
{
        static const char *const words[] = { "OK", "NO", "BAD" };
        struct str status;
        uint32_t tag;

        scan_char(&c->in, 'a');
        tag = (uint32_t)scan_number(&c->in, UINT32_MAX);
        scan_space(&c->in);
        status = scan_until(&c->in, " ");
        scan_try(&c->in, ' ');
        /* only what is on its way, once */
        if (!c->in.bad && tag - c->oldest <= c->tag - c->oldest && c->oldest != c->tag + 1 &&
            !c->results[tag % AHEAD_MOST].done)
                for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
                        if (str_ieq(status, str_of(words[i]))) {
                                c->results[tag % AHEAD_MOST].done = true;
                                c->results[tag % AHEAD_MOST].rc = i ? -EREMOTEIO : 0;
                                client_read_text(c, words[i], c->answer);
                                return;
                        }
        client_break(c, -EPROTO);
}

/* One response. 1: it was "+". */
static int response(struct imap_client *c)
{
        int rc = client_next(c, now() + c->how.patience);

        if (rc < 0)
                return rc;
        if (scan_try(&c->in, '+')) {
                scan_try(&c->in, ' ');
                return 1;
        }
        if (scan_try_word(&c->in, S("* ")))
                client_untagged(c);
        else
                tagged(c);
        return c->broken;
}

static int converse(struct imap_client *c, const struct client_ask *ask, struct imap_answer *answer,
                    bool go_on)
{
        uint32_t at = c->oldest % AHEAD_MOST;
        int rc = c->broken;

        if (!rc && !c->results[at].done)
                *answer = (struct imap_answer){ 0 };
        c->ask = ask;
        c->answer = answer;
        c->unasked = 0;
        while (rc == 0 && !c->results[at].done) {
                rc = response(c);
                if (rc == 1 && go_on)
                        break;
                if (rc == 1) /* nobody waits for it */
                        rc = client_break(c, -EPROTO);
        }
        c->ask = NULL;
        c->answer = NULL;
        if (rc < 0)
                return broken(c, answer);
        if (rc == 1)
                return 1;
        if (!answer->status[0]) /* it was told out of turn */
                snprintf(answer->status, sizeof(answer->status), "%s", c->results[at].rc ? "NO" : "OK");
        c->oldest++;
        return c->results[at].rc;
}

int client_finish(struct imap_client *c, const struct client_ask *ask, struct imap_answer *answer)
{
        int rc = converse(c, ask, answer, false), said = c->result;

        c->result = 0;
        return rc == 0 || rc == -EREMOTEIO ? (said ? said : rc) : rc;
}

int client_go_on(struct imap_client *c, const struct client_ask *ask, struct imap_answer *answer)
{
        return converse(c, ask, answer, true);
}

int client_command(struct imap_client *c, const struct client_ask *ask, struct imap_answer *answer,
                   const char *format, ...)
{
        va_list args;

        client_begin(c);
        va_start(args, format);
        conn_vprintf(c->conn, format, args);
        va_end(args);
        conn_put(c->conn, S("\r\n"));
        return client_finish(c, ask, answer);
}
