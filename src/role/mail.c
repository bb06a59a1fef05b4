/* The mail role: SMTP, submission, POP3 and IMAP, one process a core. Accepts letters, files them, gives them out.
 *
 * open -> drop -> sandbox -> threads -> loop; role_mail() below is the story, what all fronts do alike is front.c. */
#include "role/front.h"

#include "mail/header.h"
#include "proto/imap/imap.h"
#include "proto/pop3/pop3.h"
#include "proto/smtp/smtp.h"
#include "role/bells.h"
#include "role/peers.h"
#include "role/sandbox.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "store/boot.h"
#include "store/history.h"
#include "store/search.h"
#include "store/sharing.h"
#include "store/usage.h"

#include <stdio.h>
#include <unistd.h>

#define TELL_SENDER_AFTER (2 * MSECOND)
#define SRS_KEY_WAIT      (10 * SECOND)
#define UNUSED_FOR        (10 * SECOND)
#define PEERS_WAIT        (20 * SECOND) /* the supervisor kills after 30 */
#define DRAIN_WAIT        (10 * SECOND)

static struct peers *peers;
static struct usage *usage; /* NULL: quotas are not shared */

static void replay(void)
{
        front.busy++;
        intake_replay(front.server.intake);
        front.busy--;
}

/* ---- from the supervisor ---- */

static void new_peer(struct channel_message *m)
{
        struct unpack u = unpack_of(m->body);
        unsigned index = unpack_u32(&u);

        if (front.server.stopping) /* the store may be closed already */
                return;
        peers_join(peers, index, role_take_fd(m));
        intake_peer_new(front.server.intake, index);
        /* Its segment is free now; whoever locks it first replays it. */
        replay();
}

static void bell(struct channel_message *m)
{
        if (!bells_take(front.server.watchers, m->body))
                die("supervisor: a bell that cannot be read");
}

/* pail send, let in by the control socket. */
static void submit(struct channel_message *m)
{
        struct addr here = { 0 };
        struct conn *c;

        if (!addr_parse(S("127.0.0.1"), 0, &here))
                return;
        c = conn_new(role_take_fd(m), here, here);
        if (c)
                session_start_owner(&front.server, c, PROTOCOL_SMTP);
}

static const struct channel_kind from_supervisor[] = {
        FRONT_KINDS,
        { ROLE_PEER, "peer", new_peer },
        { ROLE_BELL, "bell", bell },
        { ROLE_SUBMIT, "submit", submit },
        { 0 },
};

/* ---- the store ---- */

/* Whatever changes an account here, a letter that is filed or a command of somebody's: who watches hears of it, and
 * the indexer looks whether there are letters it does not know. */
static void account_changed(void *context, struct str account)
{
        (void)context;
        watch_changed(front.server.watchers, account);
        indexer_note(front.server.indexer, account); /* NULL until we serve */
}

/* The sender hears that there is something in the outbox, some hundred times a second at most. */
static void tell_sender(struct timer *t)
{
        (void)t;
        channel_tell(front.supervisor, ROLE_SENDING, S(""), -1);
}

static void put_out(void *context)
{
        static struct timer soon = { .fire = tell_sender };

        (void)context;
        if (!soon.slot)
                timer_set(&soon, now() + TELL_SENDER_AFTER);
}

/* ATRN: to the sender, by way of the supervisor. */
static int turn(void *context, int fd, struct str domains)
{
        int rc = channel_tell(front.supervisor, ROLE_TURNED, domains, fd);

        (void)context;
        close(fd);
        return rc;
}

/* For pail trace. */
static void noted(void *context, struct str letter, struct str account, struct str mailbox, const char *why)
{
        struct history *h = front.server.history;
        struct buf *line;

        (void)context;
        if (!h || !letter.n)
                return;
        line = history_begin(h, why ? S("unfiled") : S("filed"));
        buf_puts(line, S(" letter="));
        buf_puts(line, letter);
        buf_puts(line, S(" account="));
        buf_puts(line, str_of(log_str(account)));
        buf_puts(line, why ? S(" why=") : S(" mailbox="));
        buf_puts(line, str_of(log_str(why ? str_of(why) : mailbox)));
        history_event_end(h);
}

static void open_history(void)
{
        const struct settings *s = front.server.settings;
        static char name[16];

        if (!s->history_days)
                return;
        snprintf(name, sizeof(name), "mail.%u", front.start.index);
        front_must(history_open(&front.server.history, front_open_folder("history"), name, s->history_days,
                                (uint64_t)s->history_size),
                   "history/");
}

/* An open account has three descriptors. */
static long accounts_most(void)
{
        long have = front_descriptors(), accounts = front.server.settings->max_open_accounts;

        accounts = accounts < have / 8 ? accounts : have / 8;
        front_share(3 * accounts);
        return accounts;
}

static void open_store(void)
{
        const struct settings *s = front.server.settings;
        struct server *server = &front.server;
        struct intake_limits limits = {
                .segment_size = (uint64_t)s->segment_size,
                .max_log_size = (uint64_t)s->max_log_size,
                .disk_reserve = (uint64_t)s->disk_reserve,
                .settle_after = (unsigned)s->settle_after,
        };
        struct intake_hooks hooks = {
                .noted = noted,
                .self = front.start.index,
                .processes = front.start.processes,
        };

        server->watchers = bells_new(&front.supervisor);
        peers = peers_new(&server->intake, &hooks);

        front_must(accounts_open(&server->accounts, front_open_folder("mail"), accounts_most()), "mail/");
        accounts_on_change(server->accounts, account_changed, NULL);
        if (s->shared_quota)
                front_must(usage_open(&usage, front_open_folder("usage")), "usage/");
        accounts_usage(server->accounts, usage);
        front_must(sharing_open(&server->sharing, "sharing/sharing.db"), "sharing/");
        accounts_share(server->accounts, server->sharing);
        front_must(outbox_open(&server->outbox, front_open_folder("outbox")), "outbox/");
        outbox_on_put(server->outbox, put_out, NULL);
        server->turn = turn;
        front_open_directory();
        front_must(intake_open(&server->intake, front_open_folder("intake"), server->accounts, server->outbox,
                               &limits, &hooks),
                   "intake/");
        for (unsigned i = 0; i < START_PEERS; i++)
                if (front.start.peers[i] >= 0)
                        peers_join(peers, i, front.start.peers[i]);
}

/* ---- the life of the role ---- */

/* What senders of forwarded letters are signed with. */
static void fetch_srs_key(void)
{
        static struct buf key;

        if (!key.max)
                buf_init(&key, 256);
        buf_clear(&key);
        if (front.server.keeper &&
            !channel_ask(front.server.keeper, ASK_SRS_KEY, S(""), -1, &key, NULL, now() + SRS_KEY_WAIT))
                front.server.srs_key = buf_str(&key);
        else
                log_warn("srs-key",
                         "why=\"the keeper does not answer: senders of forwarded letters stay as they are\"");
}

static void begin(void)
{
        fetch_srs_key();
        replay();
        if (!front.server.stopping && indexer_start(&front.server.indexer, front.server.accounts) < 0)
                die("start: no memory");
}

static void tidy(void)
{
        if (!front.server.srs_key.n)
                fetch_srs_key();
        accounts_checkpoint(front.server.accounts);
        accounts_close_unused(front.server.accounts, UNUSED_FOR);
}

static void stop(void)
{
        indexer_stop(&front.server.indexer);
}

static void finish(void)
{
        struct server *server = &front.server;

        if (intake_drain(server->intake, now() + DRAIN_WAIT))
                log_warn("stop", "why=\"not all letters are filed yet: the log keeps them\"");
        /* The others may still be listening to a last letter, for an account whose home is here. */
        peers_tell_quiet(peers);
        while (!peers_are_quiet(peers) && now() < front.asked_to_stop + PEERS_WAIT)
                if (fiber_sleep(now() + 10 * MSECOND))
                        break;
        intake_close(&server->intake); /* it still uses the two below */
        accounts_close(&server->accounts);
        sharing_close(&server->sharing);
        outbox_close(&server->outbox);
        usage_close(&usage);
        history_close(&front.server.history);
}

static const struct front_hooks hooks = {
        .from_supervisor = from_supervisor,
        .begin = begin,
        .tidy = tidy,
        .stop = stop,
        .finish = finish,
};

int role_mail(void)
{
        static const struct sandbox_path paths[] = {
                { "mail", SANDBOX_WRITE },          { "intake", SANDBOX_WRITE }, { "outbox", SANDBOX_WRITE },
                { "sharing", SANDBOX_WRITE },       { "usage", SANDBOX_WRITE },  { "history", SANDBOX_WRITE },
                { "directory", SANDBOX_READ }, /* no WAL there: whoever reads it writes nothing */
                { "/etc/localtime", SANDBOX_READ },
        };

        front_receive("mail");
        front.server.kinds[PROTOCOL_SMTP] = &smtp_kind;
        front.server.kinds[PROTOCOL_SUBMISSION] = &smtp_kind;
        front.server.kinds[PROTOCOL_SUBMISSIONS] = &smtp_kind;
        front.server.kinds[PROTOCOL_LMTP] = &smtp_kind;
        front.server.kinds[PROTOCOL_ATRN] = &smtp_kind;
        front.server.kinds[PROTOCOL_POP3] = &pop3_kind;
        front.server.kinds[PROTOCOL_POP3S] = &pop3_kind;
        front.server.kinds[PROTOCOL_IMAP] = &imap_kind;
        front.server.kinds[PROTOCOL_IMAPS] = &imap_kind;
        charsets_open();
        boot_id(); /* from /proc, soon out of reach */
        start_drop(&front.start);
        front_make_folder("sharing"); /* a folder of an older pail has none of these */
        front_make_folder("usage");
        front_make_folder("history");
        sandbox_enter(paths, sizeof(paths) / sizeof(*paths), 0);
        front_threads(2, 2);
        open_history();
        open_store();
        return front_run(&hooks);
}
