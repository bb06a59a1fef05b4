#include "proto/ftp/client.h"
#include "base/mem.h"
#include "proto/ftp/client_inside.h"
#include <errno.h>
#include <stdio.h>

/* ---- commands ---- */

/* What servers begin with (RFC 959 §5.1), but that the type is not always that. */
static void forget_coding(struct ftp_client *c)
{
        c->is = (struct coding){ .type = TYPE_ASCII, .byte_size = 8, .level = 6 };
        c->type_said = false;
}

/* conn calls what it reads the client's; here it is the server's. */
static void tapped(struct conn_tap *t, char from, struct str line, uint64_t bytes)
{
        struct ftp_client *c = (struct ftp_client *)(void *)((char *)t - offsetof(struct ftp_client, tap));

        if (c->how.tap)
                c->how.tap->line(c->how.tap, from == 'S' ? 'C' : 'S', line, bytes);
}

/* What is behind these words nobody sees, whoever said them. SITE PSWD and CPWD change a password on some servers. */
static struct str before_secret(struct str line)
{
        static const char *const words[] = { "PASS", "ACCT", "ADAT", "SITE PSWD", "SITE CPWD" };

        for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++) {
                size_t n = strlen(words[i]);

                if (str_istarts(line, str_of(words[i])) && line.n > n && line.p[n] == ' ')
                        return str_sub(line, 0, n);
        }
        return line;
}

static void tell_sent(struct ftp_client *c, bool secret, struct str line)
{
        auto_buf struct buf text = { 0 };

        if (!c->how.hears || !c->how.hears->sent)
                return;
        buf_init(&text, 4 * line.n + 16);
        ftpc_printable(&text, line);
        if (secret)
                buf_puts(&text, S(" XXXX"));
        c->how.hears->sent(c->how.hears->context, buf_str(&text));
}

/* RFC 959 §5.1: the line is Telnet's; an octet 255 is meant when it stands twice. */
static void put_line(struct conn *conn, struct str line)
{
        size_t at;

        while ((at = str_find(line, '\xff')) != STR_NONE) {
                conn_put(conn, str_sub(line, 0, at + 1));
                conn_put(conn, S("\xff"));
                line = str_from_at(line, at + 1);
        }
        conn_put(conn, line);
        conn_put(conn, S("\r\n"));
}

/* How files go may change by that, behind our back. */
static void unsettle(struct ftp_client *c, struct str line)
{
        struct str verb;

        str_cut(&line, ' ', &verb);
        if (str_ieq(verb, S("TYPE")))
                c->type_said = false;
        else if (str_ieq(verb, S("STRU")))
                c->is.structure = UINT8_MAX;
        else if (str_ieq(verb, S("MODE")))
                c->is.mode = UINT8_MAX;
        else if (str_ieq(verb, S("REIN")) || str_ieq(verb, S("USER")))
                forget_coding(c);
}

int ftpc_vsay(struct ftp_client *c, const char *format, va_list args)
{
        auto_buf struct buf line = { 0 };
        struct str open;
        bool secret;

        buf_init(&line, FTPC_COMMAND_MOST);
        buf_vprintf(&line, format, args);
        if (line.full)
                return -ENAMETOOLONG;
        for (size_t i = 0; i < line.n; i++)
                if (line.p[i] == '\r' || line.p[i] == '\n' || !line.p[i])
                        return -EINVAL;
        if (!conn_ok(c->conn))
                return -ECONNRESET;
        open = before_secret(buf_str(&line));
        secret = open.n < line.n;
        tell_sent(c, secret, open);
        conn_secret(c->conn, secret);
        put_line(c->conn, buf_str(&line));
        conn_secret(c->conn, false);
        c->due++;
        unsettle(c, buf_str(&line));
        return 0;
}

int ftpc_say(struct ftp_client *c, const char *format, ...)
{
        va_list args;
        int rc;

        va_start(args, format);
        rc = ftpc_vsay(c, format, args);
        va_end(args);
        return rc;
}

bool ftpc_begin(struct ftp_client *c)
{
        bool outer = !c->busy;

        c->busy = true;
        return outer;
}

int ftpc_end(struct ftp_client *c, bool outer, int rc)
{
        if (outer)
                c->busy = c->stopping = false;
        return rc;
}

void ftp_client_stop(struct ftp_client *c)
{
        if (!c->busy || c->stopping || c->aborting)
                return;
        c->stopping = true;
        if (c->data && c->data->stream)
                stream_cancel(c->data->stream);
        conn_call(c->conn);
}

static int no_line(struct ftp_answer *a, int rc)
{
        ftpc_ours(a, "%s",
                  rc == -EINVAL         ? "a command must have no end of a line in it"
                  : rc == -ENAMETOOLONG ? "the command is too long"
                                        : "not connected");
        return rc;
}

/* What was written ahead, and whose answers nobody has fetched, is passed over. */
static int answer_of_last(struct ftp_client *c, struct ftp_answer *a)
{
        int rc;

        if (c->due > 1)
                c->stale = c->due - 1;
        rc = ftpc_reply(c, a, now() + c->patience, false);
        return rc < 0 ? rc : ftpc_judge(c, a);
}

int ftp_client_ask(struct ftp_client *c, struct ftp_answer *answer, const char *format, ...)
{
        bool outer = ftpc_begin(c);
        va_list args;
        int rc;

        va_start(args, format);
        rc = ftpc_vsay(c, format, args);
        va_end(args);
        *answer = (struct ftp_answer){ 0 };
        rc = rc < 0 ? no_line(answer, rc) : answer_of_last(c, answer);
        return ftpc_end(c, outer, rc);
}

int ftp_client_ask_ahead(struct ftp_client *c, const char *format, ...)
{
        va_list args;
        int rc;

        if (c->due - c->stale >= FTP_AHEAD_MOST)
                return -EBUSY;
        va_start(args, format);
        rc = ftpc_vsay(c, format, args);
        va_end(args);
        return rc;
}

int ftp_client_answer(struct ftp_client *c, struct ftp_answer *answer)
{
        bool outer = ftpc_begin(c);
        int rc;

        if (c->due <= c->stale) {
                *answer = (struct ftp_answer){ 0 };
                ftpc_ours(answer, "nothing was asked");
                return ftpc_end(c, outer, -EINVAL);
        }
        rc = ftpc_reply(c, answer, now() + c->patience, false);
        return ftpc_end(c, outer, rc < 0 ? rc : ftpc_judge(c, answer));
}

/* ---- opened ---- */

static int shake_hands(struct ftp_client *c, struct ftp_answer *a)
{
        static const struct tls_wanted nothing;
        int rc =
            conn_starttls_to(c->conn, c->how.want ? c->how.want : &nothing, now() + c->patience, &c->found);

        c->has_tls = rc >= 0;
        if (c->how.found)
                *c->how.found = c->found;
        if (rc < 0) {
                ftpc_ours(a, "TLS: %s", c->found.why[0] ? c->found.why : strerrordesc_np(-rc));
                c->due = c->stale = 0;
        }
        return rc;
}

/* RFC 4217 §9, PROT P: what it does not take goes on in clear only where TLS was a wish. */
static int protect_data(struct ftp_client *c, struct ftp_answer *a)
{
        int rc = ftp_client_ask(c, a, "PBSZ 0");

        if (rc < 0 && rc != -EREMOTEIO)
                return rc;
        rc = ftp_client_ask(c, a, c->how.clear_data ? "PROT C" : "PROT P");
        c->private_data = rc == 0 ? !c->how.clear_data : c->how.tls == FTP_TLS_AT_ONCE;
        if (rc != -EREMOTEIO || c->how.clear_data || c->how.tls == FTP_TLS_OFFERED)
                return rc == -EREMOTEIO ? 0 : rc;
        return -EACCES;
}

/* RFC 4217 §4 */
static int begin_tls(struct ftp_client *c, struct ftp_answer *a)
{
        int rc;

        if (c->how.tls == FTP_CLEAR)
                return 0;
        if (c->how.tls != FTP_TLS_AT_ONCE) {
                rc = ftp_client_ask(c, a, "AUTH TLS");
                if (rc == -EREMOTEIO || (rc == 0 && a->code != 234))
                        return c->how.tls == FTP_TLS_MUST ? -EACCES : 0;
                if (rc == 0)
                        rc = shake_hands(c, a);
                if (rc < 0)
                        return rc;
        }
        return protect_data(c, a);
}

/* Those of whom it is known that they do not keep up need not be tried. */
static void know(struct ftp_client *c, struct str greeting)
{
        static const char *const names[] = { "ProFTPD", "Pure-FTPd", "pyftpdlib" };

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (str_search(greeting, str_of(names[i])) != STR_NONE)
                        c->many = MANY_PAIR;
}

/* RFC 959 §5.4: "120 Service ready in nnn minutes" comes before 220. */
static int greeting(struct ftp_client *c, struct ftp_answer *a)
{
        int rc;

        c->due = 1;
        do
                rc = ftpc_reply(c, a, now() + c->patience, false);
        while (rc == 0 && a->code < 200);
        if (rc < 0)
                return rc;
        know(c, ftp_client_lines(c));
        return a->code < 300 ? 0 : ftpc_judge(c, a) == -ECONNRESET ? -ECONNRESET : -EREMOTEIO;
}

static int converse(struct ftp_client *c, struct ftp_answer *a)
{
        struct ftp_answer extra;
        int rc = c->how.tls == FTP_TLS_AT_ONCE ? shake_hands(c, a) : 0;

        if (rc == 0)
                rc = greeting(c, a);
        if (rc == 0 && c->how.tls != FTP_CLEAR) {
                rc = begin_tls(c, &extra);
                if (rc < 0)
                        *a = extra;
        }
        if (rc == 0 && c->how.say_host && c->how.host) { /* RFC 7151 §3: who does not know it says 500 */
                rc = ftp_client_ask(c, &extra, "HOST %s", c->how.host);
                if (rc == -EREMOTEIO)
                        rc = 0;
                if (rc < 0)
                        *a = extra;
        }
        return rc;
}

int ftp_client_open(struct ftp_client **out, struct conn *conn, const struct ftp_client_how *how,
                    struct ftp_answer *answer)
{
        struct ftp_client *c = mem_new(struct ftp_client);
        bool outer;
        int rc;

        *out = NULL;
        *answer = (struct ftp_answer){ 0 };
        c->conn = conn;
        c->how = *how;
        c->host = how->host ? mem_string(str_of(how->host)) : NULL;
        c->how.host = c->host;
        c->patience = how->patience ? how->patience : FTPC_PATIENCE;
        c->offers = FTP_HAS_EPSV;
        forget_coding(c);
        c->want = (struct coding){ .type = TYPE_IMAGE, .byte_size = 8, .level = 6 };
        buf_init(&c->lines, FTPC_KEPT_MOST);
        c->tap.line = tapped;
        if (how->tap)
                conn_set_tap(conn, &c->tap);
        conn_park_after(conn, -1);
        outer = ftpc_begin(c);
        rc = ftpc_end(c, outer, converse(c, answer));
        if (rc < 0)
                ftp_client_close(&c, 0);
        *out = c;
        return rc;
}

/* ---- signed in ---- */

static bool good_word(const char *word)
{
        return !word || !str_has_control(str_of(word));
}

/* RFC 959 §5.4, login: USER 230 | 331 -> PASS 230 | 332 -> ACCT 230 */
static int sign_in(struct ftp_client *c, const char *user, const char *password, const char *account,
                   struct ftp_answer *a)
{
        int rc = ftp_client_ask(c, a, "USER %s", user);

        if (rc == 0 && a->code == 331 && password)
                rc = ftp_client_ask(c, a, "PASS %s", password);
        if (rc == 0 && a->code == 332 && account)
                rc = ftp_client_ask(c, a, "ACCT %s", account);
        if (rc == 0 && a->code / 100 != 2)
                rc = a->code == 331 || a->code == 332 ? -EREMOTEIO : -EPROTO;
        return rc;
}

static int look_around(struct ftp_client *c)
{
        struct ftp_answer extra;
        int rc = ftp_client_ask(c, &extra, "FEAT");

        if (rc == 0 && extra.code / 100 == 2)
                c->offers = FTP_HAS_EPSV | ftpc_features(ftp_client_lines(c));
        if (rc == 0 && c->offers & FTP_HAS_UTF8)
                rc = ftp_client_ask(c, &extra, "OPTS UTF8 ON");
        return rc == -EREMOTEIO ? 0 : rc;
}

int ftp_client_login(struct ftp_client *c, const char *user, const char *password, const char *account,
                     struct ftp_answer *answer)
{
        bool outer;
        int rc;

        *answer = (struct ftp_answer){ 0 };
        if (!good_word(user) || !good_word(password) || !good_word(account)) {
                ftpc_ours(answer, "a name or password must have no control characters in it");
                return -EINVAL;
        }
        outer = ftpc_begin(c);
        rc = sign_in(c, user ? user : "anonymous", password, account, answer);
        if (rc == 0)
                rc = look_around(c);
        return ftpc_end(c, outer, rc);
}

/* ---- looked at, closed ---- */

unsigned ftp_client_offers(const struct ftp_client *c)
{
        return c->offers;
}

const struct tls_found *ftp_client_tls(const struct ftp_client *c)
{
        return c->has_tls ? &c->found : NULL;
}

struct conn *ftp_client_conn(struct ftp_client *c)
{
        return c->conn;
}

struct str ftp_client_lines(const struct ftp_client *c)
{
        return buf_str(&c->lines);
}

void ftp_client_coding(struct ftp_client *c, const struct coding *how)
{
        c->want = *how;
}

const struct coding *ftp_client_coding_now(const struct ftp_client *c)
{
        return &c->want;
}

void ftp_client_data(struct ftp_client *c, enum ftp_data_way way, bool foreign)
{
        c->way = way;
        c->foreign = foreign;
}

void ftp_client_close(struct ftp_client **at, nsec deadline)
{
        struct ftp_client *c = *at;
        struct ftp_answer answer;

        *at = NULL;
        if (!c)
                return;
        stream_free(&c->kept);
        if (deadline && conn_ok(c->conn) && ftpc_say(c, "QUIT") == 0) {
                c->stale = c->due - 1;
                if (ftpc_reply(c, &answer, deadline, false) == 0)
                        conn_close(&c->conn, deadline);
        }
        conn_free(&c->conn);
        buf_free(&c->lines);
        mem_free(c->host);
        mem_free(c);
}
