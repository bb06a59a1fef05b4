/* The sender role: one process, that takes letters from the outbox and delivers them to other hosts by SMTP.
 *
 * open -> drop -> sandbox -> threads -> loop; the engine is proto/smtp/dispatch.h. It alone of the roles dials; it listens nowhere, and
 * holds no key. */
#include "role/front.h"

#include "net/dial.h"
#include "net/dns.h"
#include "proto/smtp/dispatch.h"
#include "role/sandbox.h"
#include "run/log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SELF_WAIT 10
#define DNS_CHECK 5
enum { PASSWORDS_MOST = 256 * 1024 };

static struct dispatch_how how;
static struct dispatch *engine;
static struct fiber *checking; /* check_dns's, while it is at work */

/* ---- before the sandbox ---- */

static void open_dns(void)
{
        const struct settings *s = front.server.settings;
        struct dns_how ask = { s->resolver, s->trust_anchors, s->stub_zones };
        auto_buf struct buf why = { 0 };

        buf_init(&why, 1024);
        if (access(ask.anchors, R_OK) < 0 && *ask.anchors) {
                log_warn("dns", "trust-anchors=%s what=\"not there: no answer is validated, no DANE\"",
                         log_str(str_of(ask.anchors)));
                ask.anchors = "";
        }
        if (dns_open(&how.dns, &ask, &why) < 0)
                die("dns: " PRS, STR(buf_str(&why)));
}

static void read_passwords(void)
{
        const char *path = front.server.settings->relay_passwords;
        static struct buf text;
        int fd;
        ssize_t n = 0;

        how.relay_passwords = "";
        if (!*path)
                return;
        buf_init(&text, PASSWORDS_MOST);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
                n = read(fd, buf_room(&text, PASSWORDS_MOST - 1), PASSWORDS_MOST - 1);
        if (fd < 0 || n < 0)
                die("relay-passwords: %s: %m", path);
        close(fd);
        buf_added(&text, (size_t)n);
        buf_u8(&text, 0);
        how.relay_passwords = text.p;
}

/* ---- letters to ourselves: a domain of ours that was not one when they came, and reports ---- */

static int self(void *context, struct conn **out)
{
        const struct settings *s = front.server.settings;
        struct str rest = str_of(s->listen), word;
        auto_buf struct buf why = { 0 };
        struct addr to;
        unsigned which;

        (void)context;
        str_cut(&rest, ' ', &word);
        if (!s->smtp_port || !addr_parse(word, (uint16_t)s->smtp_port, &to))
                return -ECONNREFUSED;
        if (str_eq(word, S("0.0.0.0")) || str_eq(word, S("::")))
                addr_parse(word.p[0] == ':' ? S("::1") : S("127.0.0.1"), (uint16_t)s->smtp_port, &to);
        to.port = (uint16_t)s->smtp_port;
        buf_init(&why, 256);
        return dial_any(&(struct dial){ .to = &to, .count = 1 }, in_seconds(SELF_WAIT), out, &which, &why);
}

/* ---- the life of the role ---- */

/* A forwarder that strips DNSSEC makes every signed domain's mail wait, and nobody would know why. */
static void check_dns(void *arg)
{
        auto_arena struct arena a = { 0 };
        struct str why = S("");
        int rc;

        (void)arg;
        arena_init(&a, 1 << 20);
        checking = fiber_self();
        rc = front.server.stopping ? -ECANCELED : dns_check(how.dns, in_seconds(DNS_CHECK), &a, &why);
        checking = NULL;
        if (rc < 0 && rc != -ECANCELED)
                log_warn("dns",
                         "why=%s what=\"by way of this resolver DNSSEC cannot be validated: mail to signed "
                         "domains "
                         "will wait. Set resolver to recursive, or to one that passes signatures on\"",
                         log_str(why));
        front.busy--;
}

static void begin(void)
{
        how.settings = front.server.settings;
        how.outbox = front.server.outbox;
        how.taps = front.server.taps;
        how.directory = front.server.directory;
        how.self = self;
        front_must(dispatch_start(&engine, &how), "outbox/");
        if (!str_eq(str_of(how.settings->resolver), S("recursive")) && *how.settings->trust_anchors &&
            !how.settings->hold_unrouted && /* then nobody is asked, but where a route says "direct" */
            fiber_spawn("DNS check", check_dns, NULL) == 0)
                front.busy++; /* the end waits for it */
}

static void sending(struct channel_message *m)
{
        if (engine)
                (m->body.n ? dispatch_ordered
                           : dispatch_bell)(engine); /* mail roles say nothing, verbs "order" */
}

/* ATRN: a client of the mail role's takes letters itself. */
static void turned(struct channel_message *m)
{
        struct conn *c = conn_new(role_take_fd(m), (struct addr){ 0 }, (struct addr){ 0 });

        if (c && engine)
                dispatch_turned(engine, c, m->body);
        else
                conn_free(&c);
}

static void dump(struct channel_message *m)
{
        front_dump(m);
        if (engine)
                dispatch_dump(engine, STDERR_FILENO);
}

static void new_settings(void)
{
        if (engine)
                dispatch_settings(engine, front.server.settings);
}

static void tidy(void)
{
        if (outbox_settle(front.server.outbox) < 0)
                log_warn("outbox", "what=\"it could not be settled\"");
}

static void stop(void)
{
        if (checking)
                fiber_cancel(checking);
        dispatch_stop(&engine);
}

static void finish(void)
{
        outbox_close(&front.server.outbox);
        history_close(&how.history);
        dns_close(&how.dns);
}

static const struct channel_kind from_supervisor[] = {
        { ROLE_STOP, "stop", front_stop },
        { ROLE_SETTINGS, "settings", front_settings },
        { ROLE_DIRECTORY, "directory", front_directory },
        { ROLE_DUMP, "dump", dump },
        { ROLE_SENDING, "sending", sending },
        { ROLE_TURNED, "turned", turned },
        { ROLE_TAP, "tap", front_tap },
        { 0 },
};

static const struct front_hooks hooks = {
        .from_supervisor = from_supervisor,
        .begin = begin,
        .tidy = tidy,
        .stop = stop,
        .finish = finish,
        .settings = new_settings,
};

int role_sender(void)
{
        struct sandbox_path paths[] = {
                { "outbox", SANDBOX_WRITE },
                { "history", SANDBOX_WRITE },
                { "directory", SANDBOX_READ }, /* no WAL there: whoever reads it writes nothing */
                { "/etc/localtime", SANDBOX_READ },
                { "/etc/ssl/certs", SANDBOX_READ },
                { "/usr/share/ca-certificates", SANDBOX_READ },
                { NULL, SANDBOX_READ },
        };
        size_t n = sizeof(paths) / sizeof(*paths);

        front_receive("sender");
        read_passwords();
        open_dns();
        paths[n - 1].path = front.server.settings->tls_authorities;
        start_drop(&front.start);
        front_make_folder("history"); /* a folder of an older pail has none */
        sandbox_enter(paths, *paths[n - 1].path ? n : n - 1, SANDBOX_DIAL);
        front_threads(2, 4);
        front_share(0);
        front_must(outbox_open(&front.server.outbox, front_open_folder("outbox")), "outbox/");
        front_open_directory();
        if (front.server.settings->history_days)
                front_must(history_open(&how.history, front_open_folder("history"), "sender",
                                        front.server.settings->history_days,
                                        (uint64_t)front.server.settings->history_size),
                           "history/");
        return front_run(&hooks);
}
