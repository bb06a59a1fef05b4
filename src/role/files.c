/* The files role: FTP, one process a core. Gives out and takes files.
 *
 * open -> drop -> sandbox -> threads -> loop; role_files() below is the story, what all fronts do alike is front.c. It makes no socket: who
 * comes is accepted, active data connections and the ports of passive ones are bound by the supervisor (ROLE_BIND). */
#include "role/front.h"

#include "proto/ftp/ftp.h"
#include "role/sandbox.h"
#include "run/log.h"
#include "store/boot.h"
#include "store/usage.h"

#include <string.h>

#define TIDY_PARTS_EVERY (600 * SECOND)
#define BIND_WAIT        (10 * SECOND)

static struct usage *usage; /* NULL: quotas are of files alone */
static nsec parts_tidied;

/* ---- sockets ---- */

static int bound_socket(void *context, struct addr local)
{
        auto_buf struct buf ask = { 0 }, answer = { 0 };
        int fd = -1, rc;

        (void)context;
        buf_init(&ask, 32);
        buf_init(&answer, 32);
        start_pack_bind(&ask, &local);
        rc = channel_ask(front.supervisor, ROLE_BIND, buf_str(&ask), -1, &answer, &fd, now() + BIND_WAIT);
        if (!rc) {
                struct unpack u = unpack_of(buf_str(&answer));

                rc = (int)unpack_u32(&u);
                if (!unpack_done(&u) || (rc >= 0 && fd < 0))
                        die("supervisor: an answer about a port that cannot be read");
        }
        return rc ? rc : fd;
}

static void open_passive(void)
{
        const struct settings *s = front.server.settings;

        front.server.bound_socket = bound_socket;
        front.server.passive = passive_new((unsigned)s->ftp_passive_low, (unsigned)s->ftp_passive_high,
                                           front.start.index, front.start.processes, bound_socket, NULL);
}

/* ---- before the sandbox ---- */

/* iconv loads what it needs for TYPE E from files, as code. */
static void open_code_page(void)
{
        const char *name = front.server.settings->ftp_code_page;

        if (!coding_page(name))
                log_warn("code-page", "name=%s why=\"iconv does not know it here: no TYPE E\"",
                         log_str(str_of(name)));
}

/* A log among the machine's logs is opened with the rights we were started with; one in the data folder with its owner's, who could have
 * put a link there. */
static void open_xferlog(bool among_logs)
{
        const char *path = front.server.settings->ftp_xferlog;
        int rc = *path && (*path == '/') == among_logs ? xferlog_open(&front.server.xferlog, path) : 0;

        if (rc < 0)
                log_warn("xferlog", "file=%s why=\"%s\"", log_str(str_of(path)), strerror(-rc));
}

/* ---- the store ---- */

static struct files_how how_to_keep(void)
{
        const struct settings *s = front.server.settings;

        return (struct files_how){
                .durable = s->files_durable,
                .keep_parts = s->files_keep_parts,
                .disk_reserve = (uint64_t)s->disk_reserve,
                .usage = usage,
        };
}

static void open_store(void)
{
        struct files_how how;

        /* A session that transfers holds some descriptors besides its connection; passive ports are listened on. */
        front_share(front_descriptors() / 2);
        if (front.server.settings->shared_quota)
                front_must(usage_open(&usage, front_open_folder("usage")), "usage/");
        how = how_to_keep();
        front_must(files_open(&front.server.files, front_open_folder("files"), &how), "files/");
        front_open_directory();
}

/* ---- the life of the role ---- */

static void tidy(void)
{
        if (front.start.index || now() < parts_tidied + TIDY_PARTS_EVERY) /* one of all does it */
                return;
        parts_tidied = now();
        files_tidy(front.server.files);
}

static void new_settings(void)
{
        struct files_how how = how_to_keep();

        files_change(front.server.files, &how);
}

static void finish(void)
{
        passive_free(&front.server.passive);
        xferlog_close(&front.server.xferlog);
        files_close(&front.server.files);
        usage_close(&usage);
}

static const struct channel_kind from_supervisor[] = { FRONT_KINDS, { 0 } };

static const struct front_hooks hooks = {
        .from_supervisor = from_supervisor,
        .tidy = tidy,
        .finish = finish,
        .settings = new_settings,
};

int role_files(void)
{
        static const struct sandbox_path paths[] = {
                { "files", SANDBOX_FILES },
                { "usage", SANDBOX_WRITE },
                { "directory", SANDBOX_READ }, /* no WAL there: whoever reads it writes nothing */
                { "/etc/localtime", SANDBOX_READ },
        };

        front_receive("files");
        front.server.kinds[PROTOCOL_FTP] = &ftp_kind;
        front.server.kinds[PROTOCOL_FTPS] = &ftp_kind;
        boot_id(); /* from /proc, soon out of reach */
        open_xferlog(true);
        start_drop(&front.start);
        front_make_folder("files"); /* a folder of an older pail has none */
        front_make_folder("usage");
        open_code_page();
        open_xferlog(false);
        sandbox_enter(paths, sizeof(paths) / sizeof(*paths), SANDBOX_CONNECT | SANDBOX_FILE_SERVER);
        front_threads(4, 4);
        open_store();
        open_passive();
        return front_run(&hooks);
}
