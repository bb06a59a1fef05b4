#include "proto/smtp/client.h"
#include "base/mem.h"
#include "base/scan.h"
#include "net/conn.h"
#include "proto/smtp/client_inside.h"
#include <errno.h>
#include <stdio.h>

/* conn calls what it reads the client's; here it is the server's. */
static void heard(struct conn_tap *t, char from, struct str line, uint64_t bytes)
{
        struct smtp_client *c = (struct smtp_client *)(void *)((char *)t - offsetof(struct smtp_client, tap));

        if (c->how.tap)
                c->how.tap->line(c->how.tap, from == 'S' ? 'C' : 'S', line, bytes);
}

/* ---- EHLO ---- */

static const struct {
        const char *keyword;
        unsigned extension;
} extensions[] = {
        { "PIPELINING", EXT_PIPELINING },
        { "8BITMIME", EXT_8BITMIME },
        { "SMTPUTF8", EXT_SMTPUTF8 },
        { "CHUNKING", EXT_CHUNKING },
        { "DSN", EXT_DSN },
        { "STARTTLS", EXT_STARTTLS },
        { "REQUIRETLS", EXT_REQUIRETLS },
        { "ENHANCEDSTATUSCODES", EXT_ENHANCED },
};

/* RFC 9422: "RCPTMAX=50 MAILMAX=10" */
static void read_limits(struct smtp_client *c, struct str rest)
{
        struct str word, name;
        uint64_t n;

        c->offers |= EXT_LIMITS;
        while (rest.n) {
                str_cut(&rest, ' ', &word);
                if (!str_cut(&word, '=', &name) || !str_u64(word, &n) || !n)
                        continue;
                if (str_ieq(name, S("RCPTMAX")))
                        c->rcpt_most = n;
                else if (str_ieq(name, S("MAILMAX")))
                        c->mail_most = n;
        }
}

static void offered(struct smtp_client *c, struct str line)
{
        struct str word, rest = line;
        uint64_t n;

        str_cut(&rest, ' ', &word);
        for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++)
                if (str_ieq(word, str_of(extensions[i].keyword)))
                        c->offers |= extensions[i].extension;
        if (str_ieq(word, S("LIMITS")))
                read_limits(c, rest);
        if (str_ieq(word, S("SIZE"))) {
                c->offers |= EXT_SIZE;
                if (str_u64(str_trim(rest), &n))
                        c->size_most = n;
        }
        /* "AUTH=LOGIN" is what very old servers say */
        if (str_ieq(word, S("AUTH")) || str_istarts(word, S("AUTH="))) {
                c->offers |= EXT_AUTH;
                if (!c->mechanisms[0])
                        snprintf(c->mechanisms, sizeof(c->mechanisms), " " PRS " ",
                                 STR(str_from_at(line, 5)));
        }
}

static int hello(struct smtp_client *c, struct arena *a, struct smtp_answer *answer)
{
        int rc;

        c->offers = 0;
        c->size_most = c->rcpt_most = c->mail_most = 0;
        c->mechanisms[0] = 0;
        conn_printf(c->conn, "%s %s\r\n", c->how.lmtp ? "LHLO" : "EHLO", c->how.host);
        rc = client_reply_lines(c, "EHLO", client_in(c, SECONDS_COMMAND), a, answer, offered);
        if (rc < 0 || answer_good(answer))
                return rc;
        c->offers = 0;
        if (answer->code == 421 || c->how.lmtp)
                return -ECONNRESET;
        rc = client_say(c, "HELO", a, answer, "HELO %s\r\n", c->how.host);
        return rc < 0 ? rc : answer_good(answer) ? 0 : -ECONNRESET;
}

/* ---- TLS ---- */

static int shake_hands(struct smtp_client *c, struct arena *a, struct smtp_answer *answer)
{
        static const struct tls_wanted nothing;
        int rc = conn_starttls_to(c->conn, c->how.want ? c->how.want : &nothing, client_in(c, SECONDS_DATA),
                                  &c->found);
        if (c->how.found)
                *c->how.found = c->found;

        c->has_tls = rc >= 0;
        if (rc >= 0)
                return 0;
        answer_ours(answer, rc == -EACCES ? "4.7.5" : "4.7.0", "TLS",
                    arena_printf(a, "TLS: %s", c->found.why[0] ? c->found.why : strerrordesc_np(-rc)));
        return rc;
}

bool answer_tls_trouble(const struct smtp_answer *a)
{
        return a->stage && (!strcmp(a->stage, "TLS") || (!strcmp(a->stage, "STARTTLS") && !a->code));
}

/* What was said before TLS is forgotten (RFC 3207 §4.2). */
static int start_tls(struct smtp_client *c, struct arena *a, struct smtp_answer *answer)
{
        int rc;

        if (!(c->offers & EXT_STARTTLS)) {
                if (c->how.tls != TLS_MUST)
                        return 0;
                answer_ours(answer, "4.7.5", "STARTTLS",
                            S("TLS is asked for here, and the peer does not offer it"));
                return -EACCES;
        }
        rc = client_say(c, "STARTTLS", a, answer, "STARTTLS\r\n");
        if (rc < 0)
                return rc;
        if (answer->code != 220)
                return c->how.tls == TLS_MUST ? -EACCES : answer->code == 421 ? -ECONNREFUSED : 0;
        rc = shake_hands(c, a, answer);
        return rc < 0 ? rc : hello(c, a, answer);
}

static int open_conversation(struct smtp_client *c, struct arena *a, struct smtp_answer *answer)
{
        int rc = c->how.tls == TLS_AT_ONCE ? shake_hands(c, a, answer) : 0;

        if (rc >= 0)
                rc = client_reply(c, "greeting", client_in(c, SECONDS_GREETING), a, answer);
        if (rc < 0)
                return rc;
        if (!answer_good(answer)) /* 554: it takes no mail; 421: not now */
                return -ECONNREFUSED;
        rc = hello(c, a, answer);
        if (rc >= 0 && (c->how.tls == TLS_MAY || c->how.tls == TLS_MUST))
                rc = start_tls(c, a, answer);
        return rc >= 0 && c->how.user.n ? client_auth(c, a, answer) : rc;
}

int smtp_client_open(struct smtp_client **out, struct conn *conn, const struct smtp_client_how *how,
                     struct arena *a, struct smtp_answer *answer)
{
        struct smtp_client *c = mem_new(struct smtp_client);
        int rc;

        *out = NULL;
        c->conn = conn;
        c->how = *how;
        c->tap.line = heard;
        if (how->tap)
                conn_set_tap(conn, &c->tap);
        conn_park_after(conn, -1);
        rc = open_conversation(c, a, answer);
        c->how = (struct smtp_client_how){ .lmtp = how->lmtp,
                                           .patience = how->patience,
                                           .tap = how->tap }; /* the rest need not live on */
        if (rc < 0)
                smtp_client_close(&c, conn_ok(conn) ? in_seconds(5) : 0);
        *out = c;
        return rc;
}

unsigned smtp_client_offers(const struct smtp_client *c)
{
        return c->offers | (c->how.lmtp ? EXT_LMTP : 0);
}

const struct tls_found *smtp_client_tls(const struct smtp_client *c)
{
        return c->has_tls ? &c->found : NULL;
}

void smtp_client_tap(struct smtp_client *c, struct conn_tap *tap)
{
        c->how.tap = tap;
}

bool smtp_client_alive(struct smtp_client *c)
{
        return conn_ok(c->conn) && (!c->mail_most || c->mails < c->mail_most) && !conn_input_waits(c->conn);
}

void smtp_client_close(struct smtp_client **c, nsec deadline)
{
        struct smtp_client *old = *c;
        struct smtp_answer answer;
        auto_arena struct arena a = { 0 };

        *c = NULL;
        if (!old)
                return;
        if (deadline && conn_ok(old->conn)) {
                arena_init(&a, 64 * 1024);
                conn_put(old->conn, S("QUIT\r\n"));
                if (client_reply(old, "QUIT", deadline, &a, &answer) >= 0)
                        conn_close(&old->conn, deadline);
        }
        conn_free(&old->conn);
        mem_free(old);
}
