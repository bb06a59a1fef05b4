/* A whole POP3 session on whatever bytes a client may send, over a mailbox in memory. What must hold: it ends when the
 * input ends; every line it says is text with CRLF; letters go at QUIT only, only marked ones, and nothing else asks
 * for that. The first byte chooses: signed in at once or not, parking between commands or not. */
#include "base/mem.h"
#include "proto/pop3/pop3.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* ---- the mailbox ---- */

enum { LETTERS = 5 };
static const char *const letters[LETTERS] = {
        "Subject: a\r\n\r\n.\r\n..\r\n.x\r\n",      "no end",       "",
        "Subject: \xc3\xa9\r\n\r\n8 bit: \xff\r\n", "\r\n\r\n\r\n",
};
static struct {
        bool removed[LETTERS + 1]; /* by uid */
        unsigned expunges;
} mailbox;
static char an_account; /* struct account is opaque: its address is enough */

static struct str letter(uint32_t id)
{
        return str_of(letters[id - 1]);
}

int account_get(struct accounts *a, struct str name, struct account **out)
{
        (void)a;
        (void)name;
        *out = (struct account *)(void *)&an_account;
        return 0;
}

void account_put(struct account **a)
{
        *a = NULL;
}

int account_view(struct account *a, struct str name, struct mailbox_view *out)
{
        (void)a;
        must(str_eq(name, INBOX), "pop3: another mailbox");
        *out =
            (struct mailbox_view){ .mailbox = 1, .uidvalidity = 7, .uidnext = LETTERS + 1, .count = LETTERS };
        for (uint32_t i = 1; i <= LETTERS; i++)
                out->octets += letter(i).n;
        return 0;
}

int account_list(struct account *a, const struct mailbox_view *view, struct placed **list, size_t *n)
{
        (void)a;
        *n = view->count;
        *list = mem_array(*n, sizeof(**list));
        for (uint32_t i = 0; i < *n; i++) /* the third was removed by somebody else */
                (*list)[i] = (struct placed){ .uid = i + 1,
                                              .letter = i == 2 ? 0 : i + 1,
                                              .size = (uint32_t)letter(i + 1).n };
        return 0;
}

void account_list_free(struct placed **list)
{
        mem_free(*list);
        *list = NULL;
}

int account_read(struct account *a, const uint32_t *ids, size_t n, size_t enough, struct buf *out,
                 size_t *ends, size_t *done)
{
        (void)a;
        for (*done = 0; *done < n && out->n < enough; ++*done) {
                if (ids[*done] == 5) /* gone since the list was made */
                        return -ENOENT;
                buf_puts(out, letter(ids[*done]));
                ends[*done] = out->n;
        }
        return 0;
}

int letter_read(struct account *a, uint32_t id, uint64_t from, size_t n, struct buf *out)
{
        (void)a;
        buf_puts(out, str_sub(letter(id), from, n));
        return 0;
}

int letter_facts(struct account *a, uint32_t id, struct buf *mime, struct buf *envelope)
{
        (void)a;
        (void)id;
        (void)mime;
        (void)envelope;
        return 0;
}

int account_expunge(struct account *a, const struct mailbox_view *view, const uint32_t *uids, size_t n)
{
        (void)a;
        (void)view;
        mailbox.expunges++;
        must(n > 0, "pop3: nothing to remove, and yet");
        for (size_t i = 0; i < n; i++) {
                must(uids[i] >= 1 && uids[i] <= LETTERS && uids[i] != 3, "pop3: removes what was not there");
                must(!mailbox.removed[uids[i]] && (i == 0 || uids[i] > uids[i - 1]),
                     "pop3: uids out of order");
                mailbox.removed[uids[i]] = true;
        }
        return 0;
}

/* ---- the keeper: everybody may come in who says so ---- */

static enum signin_result let_in(bool good, struct arena *a, struct str *account)
{
        *account = good ? arena_str(a, S("jill@hill.com")) : S("");
        return good ? SIGNIN_OK : SIGNIN_NO;
}

enum signin_result keeper_password(struct channel *keeper, const struct signin *who, struct str name,
                                   struct str password, struct arena *a, struct str *account)
{
        (void)keeper;
        (void)who;
        (void)name;
        return let_in(password.n == 1, a, account);
}

enum signin_result keeper_apop(struct channel *keeper, const struct signin *who, struct str name,
                               struct str stamp, struct str digest, struct arena *a, struct str *account)
{
        (void)keeper;
        (void)who;
        (void)name;
        (void)stamp;
        return let_in(digest.p[0] == 'a', a, account);
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
        x->token = arena_str(a, token);
        x->account = arena_str(a, S("jill@hill.com"));
        return token.n % 3 == 0 ? SIGNIN_MORE : token.n % 3 == 1 ? SIGNIN_NO : SIGNIN_OK;
}

enum signin_result keeper_sasl_start(struct channel *keeper, const struct signin *who, struct str mechanism,
                                     struct str initial, bool has_initial, struct arena *a,
                                     struct sasl_exchange *x)
{
        (void)who;
        (void)mechanism;
        (void)has_initial;
        return keeper_sasl_step(keeper, initial, a, x);
}

void keeper_sasl_drop(struct channel *keeper, struct sasl_exchange *x)
{
        (void)keeper;
        (void)x;
}

/* ---- a session ---- */

struct run {
        struct settings settings;
        struct server server;
        struct str input;
        bool signed_in;
        int fds[2];
};

static void converse(void *arg)
{
        static const struct addr here = { .ip = { 127, 0, 0, 1 }, .family = 4 };
        struct run *r = arg;
        struct conn *c = conn_new(r->fds[0], here, here);

        must(c, "no connection");
        session_start(&r->server, c, PROTOCOL_POP3);
        while (r->server.session_count) /* while it is parked nobody else keeps the loop alive */
                fiber_yield();
}

static void check_output(struct str said)
{
        struct str line, all = said;

        must(str_starts(said, S("+OK POP3 server ready <")), "pop3: no greeting");
        must(str_ends(said, S("\r\n")), "pop3: the last line has no end");
        while (all.n) {
                str_cut(&all, '\n', &line);
                must(str_ends(line, S("\r")), "pop3: a line ends without CR");
        }
}

static void run(struct run *r)
{
        static char room[1 << 20];
        size_t n = 0;
        ssize_t got;

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, r->fds) == 0, "no socketpair");
        if (r->signed_in)
                must(write(r->fds[1], "USER j\r\nPASS x\r\n", 16) == 16, "no room in the socket");
        must(write(r->fds[1], r->input.p, r->input.n) == (ssize_t)r->input.n, "no room in the socket");
        shutdown(r->fds[1], SHUT_WR);
        loop_init();
        must(fiber_spawn("session", converse, r) == 0, "no fiber");
        loop_stop();
        loop_run();
        loop_finish();
        while ((got = read(r->fds[1], room + n, sizeof(room) - n)) > 0)
                n += (size_t)got;
        close(r->fds[1]);
        check_output(str_from(room, n));
}

static bool has_quit(struct str input)
{
        for (size_t i = 0; i + 4 <= input.n; i++)
                if (str_ieq(str_sub(input, i, 4), S("QUIT")))
                        return true;
        return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct run r;

        if (size < 1 || size > 2048) /* what it answers must fit the socket */
                return 0;
        log_quiet = true;
        r = (struct run){ .input = str_from(data + 1, size - 1), .signed_in = data[0] & 1 };
        r.settings.park_after_ms = data[0] & 2 ? 0 : -1;
        r.settings.max_errors = 20;
        r.settings.pop3_command_timeout = 600;
        r.settings.max_connections = r.settings.max_connections_per_address = 10;
        r.settings.trusted_addresses = r.settings.host_names = (char[]){ "" };
        r.settings.host_name = (char[]){ "hill.com" };
        r.server.settings = &r.settings;
        r.server.kinds[PROTOCOL_POP3] = &pop3_kind;
        memset(&mailbox, 0, sizeof(mailbox));
        run(&r);
        must(mailbox.expunges <= 1, "pop3: removed twice");
        must(!mailbox.expunges || has_quit(r.input), "pop3: removed without QUIT");
        return 0;
}
