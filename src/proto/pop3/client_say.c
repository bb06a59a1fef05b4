/* Answers and lists, line by line (RFC 1939 §3): LIST, UIDL, DELE. */
#include "base/mem.h"
#include "net/conn.h"
#include "proto/pop3/client_inside.h"
#include "proto/said.h"
#include "run/fiber.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

int popc_break(struct pop3_client *c, int rc)
{
        if (!c->broken) {
                c->broken = rc;
                conn_fail(c->conn);
        }
        return c->broken;
}

int popc_ours(struct pop3_answer *answer, int rc, const char *text)
{
        *answer = (struct pop3_answer){ 0 };
        said_put(answer->text, sizeof(answer->text), str_of(text));
        return rc;
}

static int line_in(struct pop3_client *c, struct str *line, struct pop3_answer *answer)
{
        nsec deadline = now() + c->how.patience;
        enum got got;

        if (c->broken)
                return popc_ours(answer, c->broken, "the connection was closed");
        do /* nobody parks here */
                got = conn_line(c->conn, line, ANSWER_LINE_MOST, deadline);
        while (got == GOT_QUIET || got == GOT_CALLED);
        switch (got) {
        case GOT_LINE:
        case GOT_BARE: return 0;
        case GOT_LONG: return popc_ours(answer, popc_break(c, -EPROTO), "a line without end");
        case GOT_LATE: return popc_ours(answer, popc_break(c, -ETIMEDOUT), "no answer in time");
        default:
                return popc_ours(
                    answer,
                    popc_break(c, conn_stopping(c->conn) || fiber_cancelled() ? -ECANCELED : -ECONNRESET),
                    "the connection was closed");
        }
}

/* RFC 2449 §8: "-ERR [IN-USE] Do you have another POP session running?" */
static void read_text(struct str rest, struct pop3_answer *answer)
{
        struct str code = S("");

        rest = str_trim(rest);
        if (str_starts(rest, S("[")) && str_find(rest, ']') != STR_NONE) {
                rest = str_from_at(rest, 1);
                str_cut(&rest, ']', &code);
        }
        said_put(answer->code, sizeof(answer->code), code);
        said_put(answer->text, sizeof(answer->text), str_trim(rest));
}

int popc_answer(struct pop3_client *c, struct pop3_answer *answer, struct str *challenge)
{
        struct str line;
        int rc = line_in(c, &line, answer);

        if (rc < 0)
                return rc;
        *answer = (struct pop3_answer){ 0 };
        if (str_istarts(line, S("+OK"))) {
                answer->good = true;
                read_text(str_from_at(line, 3), answer);
                return 0;
        }
        if (str_istarts(line, S("-ERR"))) {
                read_text(str_from_at(line, 4), answer);
                return -EREMOTEIO;
        }
        if (challenge && str_starts(line, S("+"))) {
                *challenge = str_trim(str_from_at(line, 1));
                return 1;
        }
        return popc_ours(answer, popc_break(c, -EPROTO), "an answer that is none");
}

int popc_run(struct pop3_client *c, struct pop3_answer *answer, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        conn_vprintf(c->conn, format, args);
        va_end(args);
        return popc_answer(c, answer, NULL);
}

int popc_lines(struct pop3_client *c, size_t most, void (*each)(void *context, struct str line),
               void *context, struct pop3_answer *answer)
{
        for (size_t n = 0; n <= most; n++) {
                struct str line;
                int rc = line_in(c, &line, answer);

                if (rc < 0)
                        return rc;
                if (str_eq(line, S(".")))
                        return 0;
                each(context, str_from_at(line, str_starts(line, S(".")) ? 1 : 0));
        }
        return popc_ours(answer, popc_break(c, -EPROTO), "a list without end");
}

/* ---- LIST, UIDL ---- */

struct listing {
        struct pop3_entry *list;
        size_t n, cap, next;
        struct arena *a;
        bool bad;
};

static bool number_of(struct str word, uint32_t *n)
{
        uint64_t v;

        if (!str_u64(word, &v) || !v || v > UINT32_MAX)
                return false;
        *n = (uint32_t)v;
        return true;
}

/* scan listing: "1 120", ascending, as everybody says it; words after it are allowed (RFC 1939 §5) */
static void heard_size(void *context, struct str line)
{
        struct listing *l = context;
        struct pop3_entry e = { .uidl = S("") };
        struct str word, size;

        str_cut(&line, ' ', &word);
        str_cut(&line, ' ', &size);
        if (!number_of(word, &e.number) || !str_u64(size, &e.size) || e.size > INT64_MAX ||
            (l->n && e.number <= l->list[l->n - 1].number)) {
                l->bad = true;
                return;
        }
        if (l->n == l->cap) {
                l->cap = l->cap ? 2 * l->cap : 256;
                l->list = mem_grow(l->list, l->cap, sizeof(*l->list));
        }
        l->list[l->n++] = e;
}

static int by_number(const void *key, const void *entry)
{
        uint32_t a = *(const uint32_t *)key, b = ((const struct pop3_entry *)entry)->number;

        return a < b ? -1 : a > b;
}

/* RFC 1939 §7: 1 to 70 characters from 0x21 to 0x7E. One of a number that LIST did not have is nobody's. */
static void heard_uidl(void *context, struct str line)
{
        struct listing *l = context;
        struct pop3_entry *e = NULL;
        struct str word;
        uint32_t n = 0;

        str_cut(&line, ' ', &word);
        line = str_trim(line);
        if (!number_of(word, &n) || !line.n || line.n > 70)
                l->bad = true;
        for (size_t i = 0; i < line.n; i++)
                if (line.p[i] <= ' ' || line.p[i] > '~')
                        l->bad = true;
        if (l->bad)
                return;
        if (l->next < l->n && l->list[l->next].number == n) /* in the same order, mostly */
                e = &l->list[l->next++];
        else if (l->n)
                e = bsearch(&n, l->list, l->n, sizeof(*l->list), by_number);
        if (e && !e->uidl.n)
                e->uidl = arena_str(l->a, line);
}

static int ask_list(struct pop3_client *c, struct listing *l, struct pop3_answer *answer)
{
        struct pop3_answer none;
        bool ahead = c->offers & POP3_HAS_PIPELINING;
        int rc;

        conn_put(c->conn, ahead ? S("LIST\r\nUIDL\r\n") : S("LIST\r\n"));
        rc = popc_answer(c, answer, NULL);
        if (rc == 0)
                rc = popc_lines(c, ENTRIES_MOST, heard_size, l, answer);
        if (c->broken || (rc < 0 && !ahead))
                return rc;
        if (!ahead)
                conn_put(c->conn, S("UIDL\r\n"));
        if (popc_answer(c, &none, NULL) == 0 && popc_lines(c, ENTRIES_MOST, heard_uidl, l, &none) < 0)
                *answer = none;
        if (c->broken)
                return c->broken;
        return l->bad ? popc_ours(answer, popc_break(c, -EPROTO), "a list that makes no sense") : rc;
}

int pop3_client_list(struct pop3_client *c, struct arena *a, struct pop3_entry **list, size_t *n,
                     struct pop3_answer *answer)
{
        struct listing l = { .a = a };
        int rc = ask_list(c, &l, answer);

        *list = NULL;
        *n = 0;
        if (rc == 0) {
                *list = arena_array(a, struct pop3_entry, l.n + 1);
                for (size_t i = 0; i < l.n; i++)
                        (*list)[i] = l.list[i];
                *n = l.n;
        }
        mem_free(l.list);
        return rc;
}

/* ---- DELE ---- */

int pop3_client_delete(struct pop3_client *c, const struct pop3_entry *list, size_t n,
                       struct pop3_answer *answer)
{
        size_t most = c->offers & POP3_HAS_PIPELINING ? COMMANDS_AHEAD : 1, sent = 0;
        struct pop3_answer one;
        int result = 0;

        *answer = (struct pop3_answer){ .good = true };
        for (size_t i = 0; i < n; i++) {
                int rc;

                for (; sent < n && sent - i < most; sent++)
                        conn_printf(c->conn, "DELE %u\r\n", list[sent].number);
                rc = popc_answer(c, &one, NULL);
                if (rc < 0 && !result) {
                        result = rc;
                        *answer = one;
                }
                if (c->broken)
                        return rc;
        }
        return result;
}
