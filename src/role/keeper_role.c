/* The keeper role: secrets and keys in a process that nothing from outside reaches.
 *
 * open -> drop -> sandbox -> threads -> loop; what it answers is role/keeper.h. */
#include "role/keeper.h"

#include "base/mem.h"
#include "role/sandbox.h"
#include "role/start.h"
#include "role/supervisor.h"
#include "run/channel.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/directory.h"

#include <errno.h>
#include <unistd.h>

#define TICKET_KEY_LIVES (6 * 3600 * SECOND)
#define NOTE_USES_EVERY  (60 * SECOND)

struct keeper_role {
        struct start start;
        struct keeper *keeper;
        struct channel *supervisor;
        struct settings settings[2]; /* the one in force and, while it changes, the next */
        unsigned turn;
        unsigned busy; /* fibers that use the keeper, besides those of its fronts */
        bool stopping; /* no more of them: it is about to be freed */
};
static struct keeper_role role; /* the role is the process */

static void finish(void *arg)
{
        (void)arg;
        while (role.busy)
                if (fiber_sleep(now() + MSECOND))
                        break;
        keeper_stop(&role.keeper);
        fiber_cancel_all();
        loop_stop();
}

static void stop(struct channel_message *m)
{
        (void)m;
        if (role.stopping)
                return;
        role.stopping = true;
        if (fiber_spawn("finish", finish, NULL) < 0)
                die("stop: no memory");
}

static void supervisor_gone(struct channel *c, void *context)
{
        (void)c;
        (void)context;
        log_warn("stop", "why=\"the supervisor is gone\"");
        stop(NULL);
}

static void new_front(struct channel_message *m)
{
        if (!role.stopping)
                keeper_front(role.keeper, role_take_fd(m));
}

static void new_key(struct channel_message *m)
{
        if (role.stopping)
                return;
        role.busy++;
        if (keeper_key(role.keeper, role_take_fd(m)) < 0)
                log_warn("key", "why=\"not usable: the old one stays\"");
        role.busy--;
}

static void new_settings(struct channel_message *m)
{
        struct settings *fresh = &role.settings[++role.turn % 2];

        if (role.stopping)
                return;
        if (fresh->data)
                settings_free(fresh);
        if (!settings_unpack(fresh, m->body))
                die("supervisor: settings that cannot be read");
        keeper_settings(role.keeper, fresh);
}

static void directory(struct channel_message *m)
{
        (void)m;
        if (!role.stopping)
                keeper_directory_changed(role.keeper);
}

static void dump(struct channel_message *m)
{
        (void)m;
        fiber_dump(STDERR_FILENO);
}

/* For a verb, through the supervisor: the texts of struct keeper_said; an empty answer when it is too late. */
static void answer(struct channel_message *m, int (*ask)(struct str body, struct buf *text))
{
        auto_buf struct buf text = { 0 }, b = { 0 };

        if (role.stopping) {
                channel_answer(m, S(""), -1);
                return;
        }
        buf_init(&text, CHANNEL_BODY / 2);
        buf_init(&b, CHANNEL_BODY);
        role.busy++;
        int rc = ask(m->body, &text);

        role.busy--;
        keeper_said_pack(&(struct keeper_said){ .rc = rc, .text = buf_str(&text) }, &b);
        channel_answer(m, buf_str(&b), -1);
}

static int ask_set_secret(struct str body, struct buf *text)
{
        struct ask_set_secret ask;

        if (ask_set_secret_unpack(&ask, body))
                return keeper_set_secret(role.keeper, &ask, text);
        buf_puts(text, S("the keeper cannot read that"));
        return -EBADMSG;
}

static int ask_secrets(struct str body, struct buf *text)
{
        struct unpack u = unpack_of(body);

        return keeper_list_secrets(role.keeper, unpack_str(&u), text);
}

static int ask_bans(struct str body, struct buf *text)
{
        struct unpack u = unpack_of(body);

        return keeper_list_bans(role.keeper, unpack_u32(&u), text);
}

static int ask_unban(struct str body, struct buf *text)
{
        struct unpack u = unpack_of(body);

        (void)text;
        return keeper_unban(role.keeper, unpack_str(&u));
}

static void set_secret(struct channel_message *m)
{
        answer(m, ask_set_secret);
}

static void secrets(struct channel_message *m)
{
        answer(m, ask_secrets);
}

static void bans(struct channel_message *m)
{
        answer(m, ask_bans);
}

static void unban(struct channel_message *m)
{
        answer(m, ask_unban);
}

static const struct channel_kind from_supervisor[] = {
        { ROLE_STOP, "stop", stop },
        { ROLE_FRONT, "front", new_front },
        { ROLE_KEY, "key", new_key },
        { ROLE_SETTINGS, "settings", new_settings },
        { ROLE_DIRECTORY, "directory", directory },
        { ROLE_DUMP, "dump", dump },
        { ASK_SET_SECRET, "set secret", set_secret },
        { ASK_SECRETS, "secrets", secrets },
        { ASK_BANS, "bans", bans },
        { ASK_UNBAN, "unban", unban },
        { 0 },
};

static void housekeeping(void *arg)
{
        nsec rotate = now() + TICKET_KEY_LIVES;

        (void)arg;
        while (!fiber_sleep(now() + NOTE_USES_EVERY) && !role.stopping) {
                role.busy++;
                keeper_note_uses(role.keeper);
                role.busy--;
                if (role.stopping || now() < rotate)
                        continue;
                keeper_rotate_ticket_key(role.keeper);
                rotate = now() + TICKET_KEY_LIVES;
        }
}

static void begin(void *arg)
{
        struct keeper_setup setup = {
                .secrets = "secrets/secrets.db",
                .directory = "directory/directory.db",
                .settings = &role.settings[0],
                .create = true,
        };
        int rc = keeper_start(&role.keeper, &setup);

        (void)arg;
        if (rc < 0)
                die("secrets: %s", strerror(-rc));
        if (role.start.key >= 0 && keeper_key(role.keeper, role.start.key) < 0)
                log_warn("key", "why=\"not usable: no TLS\"");
        for (unsigned i = 0; i < START_FRONTS; i++)
                if (role.start.fronts[i] >= 0)
                        keeper_front(role.keeper, role.start.fronts[i]);
        role.supervisor = channel_new(START_FD, from_supervisor, NULL, supervisor_gone);
        channel_tell(role.supervisor, ROLE_READY, S(""), -1);
        housekeeping(NULL);
}

/* What a verb left half done when the power went. Whoever only reads the file, as every role from here on, cannot put
 * it right. */
static void mend_directory(void)
{
        struct directory *d;

        if (directory_open(&d, "directory/directory.db", true) == 0)
                directory_close(&d);
}

int role_keeper(void)
{
        static const struct sandbox_path paths[] = {
                { "secrets", SANDBOX_WRITE },
                { "directory", SANDBOX_READ }, /* no WAL there: whoever reads it writes nothing */
        };

        start_receive(&role.start);
        log_role("keeper");
        limits_raise();
        role.settings[0] = role.start.settings;
        start_drop(&role.start);
        mend_directory();
        sandbox_enter(paths, sizeof(paths) / sizeof(*paths), 0);
        loop_init();
        if (offload_start(1, 2) < 0)
                die("threads: no memory");
        if (fiber_spawn("begin", begin, NULL) < 0)
                die("start: no memory");
        loop_run();
        return 0;
}
