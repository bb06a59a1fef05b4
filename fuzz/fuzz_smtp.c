/* The SMTP server against any bytes, in any cut into segments (0xff marks the cuts), with a store that is memory only.
 * What must hold: every reply is one; what was accepted is text with clean line ends, has recipients, and begins with
 * our Return-Path; a stranger never relays; nothing of a letter is left over. */
#include "proto/smtp/smtp.h"
#include "base/mem.h"
#include "run/loop.h"
#include "run/log.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* --- a world of few people ----------------------------------------------------------------------------------- */

static struct settings settings;
static struct server server;
static unsigned letters_open;

struct incoming {
        struct buf text;
};

int intake_begin(struct intake *i, struct incoming **out)
{
        (void)i;
        *out = mem_new(struct incoming);
        buf_init(&(*out)->text, 1 << 20);
        letters_open++;
        return 0;
}

int incoming_put(struct incoming *in, struct str piece)
{
        return buf_puts(&in->text, piece) ? 0 : -ENOSPC;
}

static void clean_lines(struct str s)
{
        for (size_t i = 0; i < s.n; i++) {
                must(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'), "a bare LF was accepted");
                must(s.p[i] != '\r' || (i + 1 < s.n && s.p[i + 1] == '\n'), "a bare CR was accepted");
                must(s.p[i] != '\0', "a NUL was accepted");
        }
}

int incoming_commit(struct incoming *in, const struct envelope *e, uint64_t *id)
{
        auto_arena struct arena m;
        auto_buf struct buf packed;
        struct envelope back;

        must(str_starts(buf_str(&in->text), S("Return-Path: <")), "no Return-Path");
        clean_lines(buf_str(&in->text));
        must(e->count > 0, "a letter for nobody");
        for (unsigned i = 0; i < e->count; i++) {
                must(e->actions[i].number == i, "actions out of order");
                must(e->actions[i].kind == ACTION_FILE || e->actions[i].kind == ACTION_RECEIPT || e->user.n ||
                         str_ends(e->actions[i].address, S("@hamburger.edu")), /* relay-for */
                     "a stranger relays");
                for (unsigned j = 0; j < i; j++)
                        must(e->actions[i].kind != e->actions[j].kind || e->actions[i].kind != ACTION_FILE ||
                                 !str_eq(e->actions[i].account, e->actions[j].account),
                             "filed twice for one account");
        }
        buf_init(&packed, 1 << 20);
        arena_init(&m, 8 << 20);
        must(envelope_pack(e, &packed) && envelope_unpack(&back, &m, buf_str(&packed)),
             "an envelope that cannot be kept");
        *id = 1;
        fiber_yield();
        return 0;
}

void incoming_free(struct incoming **in)
{
        if (!*in)
                return;
        buf_free(&(*in)->text);
        mem_free(*in);
        *in = NULL;
        letters_open--;
}

uint64_t incoming_size(const struct incoming *in)
{
        return in->text.n;
}

bool directory_is_local(struct directory *d, struct str domain)
{
        (void)d;
        return str_ieq(domain, S("hill.com"));
}

int directory_resolve(struct directory *d, struct arena *a, struct str local, struct str domain,
                      struct resolved *out)
{
        struct action *file = arena_new(a, struct action);

        *file = (struct action){ .kind = ACTION_FILE, .account = S("jill@hill.com"), .mailbox = S("INBOX") };
        *out = (struct resolved){ .standing = STANDING_FOREIGN, .actions = file };
        if (domain.n && !directory_is_local(d, domain))
                return 0;
        out->standing = str_ieq(local, S("moved"))     ? STANDING_MOVED
                        : str_ieq(local, S("loop"))    ? STANDING_LOOP
                        : str_ieq(local, S("nobody"))  ? STANDING_UNKNOWN
                        : str_ieq(local, S("forward")) ? STANDING_FORWARDED
                                                       : STANDING_OK;
        out->count = out->standing == STANDING_OK || out->standing == STANDING_FORWARDED;
        out->moved_to = S("bob@hamburger.edu");
        if (str_ieq(local, S("list")))
                out->list = S("list@hill.com");
        else
                out->account = file->account;
        if (!str_ieq(local, S("jill")))
                file->account = arena_str(a, local);
        return str_ieq(local, S("broken")) ? -EIO : 0;
}

int directory_account(struct directory *d, struct arena *a, struct str name, struct account_entry *out)
{
        (void)d;
        (void)a;
        *out = (struct account_entry){ .name = name, .quota = 100000, .real_name = S("Jill") };
        return 0;
}

int directory_signin(struct directory *d, struct arena *a, struct str name, struct str *account)
{
        (void)d;
        (void)a;
        *account = S("jill@hill.com");
        return str_ieq(name, S("jill")) ? 0 : -ENOENT;
}

bool directory_may_send_as(struct directory *d, struct str account, struct str address)
{
        (void)d;
        return str_ieq(account, address);
}

int directory_rows(struct directory *d, enum directory_what what, struct str of, struct arena *a,
                   struct directory_row **rows, size_t *n)
{
        (void)d;
        (void)what;
        (void)of;
        *rows = arena_array(a, struct directory_row, 2);
        (*rows)[0].value = S("jack@town.com");
        (*rows)[1].value = S("jill@hill.com");
        *n = 2;
        return 0;
}

int directory_list(struct directory *d, struct arena *a, struct str address, struct list_entry *out)
{
        (void)d;
        (void)a;
        *out = (struct list_entry){ .max_size = 1000 };
        return str_ieq(address, S("list@hill.com")) ? 0 : -ENOENT;
}

int outbox_order(struct outbox *o, enum outbox_order what, const struct outbox_filter *f, uint64_t *n)
{
        (void)o;
        must(what == ORDER_RETRY && f->domain.n && !f->letter, "ETRN for everybody");
        *n = f->domain.n % 3;
        return f->domain.n % 5 ? 0 : -EIO;
}

int outbox_bounced(struct outbox *o, struct str list, struct str member, int64_t at)
{
        (void)o;
        (void)at;
        must(str_ieq(list, S("list@hill.com")), "a bounce for no list");
        return member.n % 2 ? -EIO : 0;
}

int account_get(struct accounts *a, struct str name, struct account **out)
{
        (void)a;
        *out = NULL;
        return str_eq(name, S("jill@hill.com")) ? 0 : -ENOENT;
}

void account_put(struct account **a)
{
        *a = NULL;
}

int account_taken(struct account *a, uint64_t *octets)
{
        (void)a;
        *octets = 99000;
        return 0;
}

struct str sasl_mechanisms(bool tls, bool plaintext_allowed, bool with_scram)
{
        (void)tls;
        (void)plaintext_allowed;
        (void)with_scram;
        return S("PLAIN LOGIN");
}

enum signin_result keeper_sasl_step(struct channel *keeper, struct str token, struct arena *a,
                                    struct sasl_exchange *x)
{
        (void)keeper;
        x->account = arena_str(a, S("jill@hill.com"));
        x->token = str_eq(token, S("more")) ? S("challenge") : S("");
        return str_eq(token, S("no"))      ? SIGNIN_NO
               : str_eq(token, S("more"))  ? SIGNIN_MORE
               : str_eq(token, S("later")) ? SIGNIN_LATER
                                           : SIGNIN_OK;
}

enum signin_result keeper_sasl_start(struct channel *keeper, const struct signin *who, struct str mechanism,
                                     struct str initial, bool has_initial, struct arena *a,
                                     struct sasl_exchange *x)
{
        (void)who;
        if (!str_ieq(mechanism, S("PLAIN")))
                return SIGNIN_UNKNOWN;
        return has_initial ? keeper_sasl_step(keeper, initial, a, x) : SIGNIN_MORE;
}

void keeper_sasl_drop(struct channel *keeper, struct sasl_exchange *x)
{
        (void)keeper;
        (void)x;
}

/* --- the other side ------------------------------------------------------------------------------------------ */

struct talk {
        int fd;
        struct str input;
        struct buf said;
};

/* reply-line = 3DIGIT ( SP / "-" ) text CRLF, and no control characters in it */
static void check_replies(struct str said)
{
        struct str line;

        while (said.n) {
                must(str_cut(&said, '\n', &line) && str_ends(line, S("\r")), "a reply without its CRLF");
                line.n--;
                must(line.n >= 4 && line.p[0] >= '2' && line.p[0] <= '5' &&
                         (line.p[3] == ' ' || line.p[3] == '-'),
                     "that is no reply");
                must(!str_has_control(line), "a control character in a reply");
        }
}

static bool listen_some(struct talk *t)
{
        char piece[4096];
        ssize_t n = recv(t->fd, piece, sizeof(piece), MSG_DONTWAIT);

        if (n > 0)
                buf_put(&t->said, piece, (size_t)n);
        return n > 0 || (n < 0 && errno == EAGAIN);
}

static void client(void *arg)
{
        struct talk *t = arg;
        struct str piece;
        bool more = true;

        while (more && t->input.n) {
                str_cut(&t->input, (char)0xff, &piece);
                if (piece.n && send(t->fd, piece.p, piece.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                        break;
                fiber_yield();
                more = listen_some(t);
        }
        shutdown(t->fd, SHUT_WR);
        while (listen_some(t))
                fiber_sleep(now());
        close(t->fd);
}

static void prepare(void)
{
        auto_buf struct buf why;

        settings_default(&settings);
        settings.max_letter_size = 3000;
        settings.max_recipients = 5;
        settings.max_received = 2;
        settings.park_after_ms = 0;
        settings.auth_on_25 = true;
        buf_init(&why, 1000);
        must(settings_set(&settings, S("host-name"), S("hill.com"), &why) == 0, "host-name");
        must(settings_set(&settings, S("relay-for"), S("hamburger.edu"), &why) == 0, "relay-for");
        must(settings_set(&settings, S("bare-lf-mended"), S("127.0.0.2"), &why) == 0, "bare-lf-mended");
        server.settings = &settings;
        for (unsigned i = 0; i < PROTOCOLS; i++)
                server.kinds[i] = &smtp_kind;
        log_quiet = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct addr peer = { .family = 4, .ip = { 127, 0, 0, 1 } };
        struct talk t = { .input = str_from(data, size) };
        int fds[2];

        if (size < 2 || size > 65536)
                return 0;
        if (!server.settings)
                prepare();
        peer.ip[3] = data[0] & 2 ? 2 : 1; /* whose bare LF is mended, or not */
        t.input = str_from_at(t.input, 1);
        loop_init();
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
                return 0;
        t.fd = fds[1];
        buf_init(&t.said, 16 << 20);
        session_start(&server, conn_new(fds[0], peer, peer),
                      data[0] & 1 ? PROTOCOL_SUBMISSION : PROTOCOL_SMTP);
        must(fiber_spawn("client", client, &t) == 0, "no memory for a fiber");
        loop_stop();
        loop_run();
        check_replies(buf_str(&t.said));
        buf_free(&t.said);
        loop_finish();
        must(!letters_open, "part of a letter is left over");
        must(!server.session_count && !server.sessions, "a session is left over");
        return 0;
}
