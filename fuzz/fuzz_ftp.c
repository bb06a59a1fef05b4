/* A whole FTP session on whatever bytes a client may send, over a store that only looks at what it is asked. What must hold: it ends when the
 * input ends; every line it says is a reply or inside one; every path that the store is asked for stays within the root; whoever may only
 * read changes nothing. The first byte chooses: signed in at once, as a guest, parking between commands. */
#include "base/mem.h"
#include "proto/ftp/ftp.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "store/files.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* ---- the store: a file, a folder, names that nobody would choose ---- */

struct root {
        bool read_only;
};
static struct root the_root;
static unsigned roots;

static void check(const struct root *r, struct str path, bool changes)
{
        struct str rest = path, part;

        must(r == &the_root && roots == 1, "ftp: no such root");
        must(path.n >= 1 && path.n <= PATH_MOST && path.p[0] == '/', "ftp: a path without its slash");
        must(str_find(path, '\0') == STR_NONE && path.p[path.n] == '\0', "ftp: a path with NUL");
        while (rest.n) {
                str_cut(&rest, '/', &part);
                must(!str_eq(part, S("..")) && !str_eq(part, S(".")), "ftp: a path that goes up");
        }
        must(!changes || !r->read_only, "ftp: a guest changes something");
}

int root_open(struct files *f, struct str account, bool read_only, uint64_t quota, struct root **out)
{
        (void)f;
        (void)quota;
        must(str_eq(account, read_only ? S("anonymous") : S("jill@hill.com")), "ftp: another account");
        must(roots++ == 0, "ftp: a root is open already");
        the_root.read_only = read_only;
        *out = &the_root;
        return 0;
}

void root_close(struct root **r)
{
        if (*r)
                must(roots-- == 1, "ftp: closed twice");
        *r = NULL;
}

void root_umask(struct root *r, unsigned bits)
{
        (void)r;
        must(bits <= 0377, "ftp: the umask");
}

int root_room(struct root *r, struct root_room *out)
{
        (void)r;
        *out = (struct root_room){ .used = 1, .quota = 3, .available = 2 };
        return 0;
}

/* As plain as it can be: parts on a heap, ".." takes one away. */
struct str path_join(struct arena *a, struct str cwd, struct str path)
{
        struct str whole = arena_printf(a, PRS "/" PRS, str_starts(path, S("/")) ? 0 : STR(cwd), STR(path)),
                   part;
        char *out;
        size_t n = 0;

        if (str_find(path, '\0') != STR_NONE)
                return (struct str){ 0 };
        out = arena_alloc(a, whole.n + 2);
        while (whole.n) {
                str_cut(&whole, '/', &part);
                if (str_eq(part, S(".."))) {
                        while (n > 0 && out[--n] != '/')
                                ;
                } else if (part.n && !str_eq(part, S("."))) {
                        out[n++] = '/';
                        mem_copy(out + n, part.n, part);
                        n += part.n;
                }
        }
        if (n == 0)
                out[n++] = '/';
        out[n] = '\0';
        return n <= PATH_MOST ? str_from(out, n) : (struct str){ 0 };
}

static struct file_facts facts_for(enum file_kind kind)
{
        return (struct file_facts){
                .kind = kind, .size = 10, .mode = 0644, .links = 1, .modified = 1032825600000000
        };
}

int file_facts(struct root *r, struct str path, bool follow, struct file_facts *out)
{
        (void)follow;
        check(r, path, false);
        *out = facts_for(str_ends(path, S("d")) || path.n == 1 ? FILE_FOLDER : FILE_REGULAR);
        return str_ends(path, S("x")) ? -ENOENT : 0;
}

int folder_read(struct root *r, struct str path, bool with_facts, folder_each_fn *each, void *context)
{
        static const struct str names[] = { S("a"), S(".b"), S("c\nd"), S("\xff\x1b[2J"), S("-l"), S("d") };

        (void)with_facts;
        check(r, path, false);
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                struct file_entry e = { .name = names[i], .target = S("a\r\nb") };

                e.facts = facts_for((enum file_kind)(i % 3));
                if (!each(context, &e, 1))
                        break;
        }
        return 0;
}

static int change(struct root *r, struct str path)
{
        check(r, path, true);
        return str_ends(path, S("x")) ? -ENOENT : str_ends(path, S("q")) ? -EDQUOT : 0;
}

int file_remove(struct root *r, struct str path)
{
        return change(r, path);
}

int folder_make(struct root *r, struct str path)
{
        return change(r, path);
}

int folder_remove(struct root *r, struct str path)
{
        return change(r, path);
}

int file_rename(struct root *r, struct str from, struct str to)
{
        check(r, from, true);
        return change(r, to);
}

int file_link(struct root *r, struct str path, struct str target)
{
        must(target.n > 0, "ftp: a link to nothing");
        return change(r, path);
}

int file_copy(struct root *r, struct str from, struct str to)
{
        check(r, from, true);
        return change(r, to);
}

int file_append(struct root *r, struct str to, const struct str *from, size_t n)
{
        must(n > 0, "ftp: nothing to join");
        for (size_t i = 0; i < n; i++)
                check(r, from[i], true);
        return change(r, to);
}

int file_chmod(struct root *r, struct str path, unsigned mode)
{
        must(mode <= 0777, "ftp: a mode with more than permissions");
        return change(r, path);
}

int file_times(struct root *r, struct str path, int64_t modified, int64_t accessed)
{
        (void)accessed;
        must(modified != 0, "ftp: no time to set");
        return change(r, path);
}

int file_hash(struct root *r, struct str path, enum file_hash how, uint64_t from, uint64_t to,
              hash_progress_fn *progress, void *context, struct buf *hex)
{
        check(r, path, false);
        must(how < FILE_HASHES && from <= to && to <= 10, "ftp: a hash of what is not there");
        progress(context, from);
        buf_puts(hex, S("00"));
        return 0;
}

int file_open(struct root *r, struct str path, struct file **out, struct file_facts *facts)
{
        (void)out;
        (void)facts;
        check(r, path, false);
        return -EACCES;
}

int file_read(struct file *f, uint64_t at, char *room, size_t n, size_t *got)
{
        (void)f;
        (void)at;
        (void)room;
        (void)n;
        (void)got;
        mem_die("ftp: no file was opened");
}

int file_coded(struct file *f, struct buf *out)
{
        (void)f;
        (void)out;
        return 0;
}

int file_descriptor(const struct file *f)
{
        (void)f;
        return -1;
}

void file_close(struct file **f)
{
        *f = NULL;
}

int upload_kept(struct root *r, struct str path, uint64_t *size)
{
        check(r, path, false);
        *size = 5;
        return 0;
}

int upload_begin(struct root *r, struct str path, enum upload_how how, uint64_t at, struct upload **out)
{
        (void)how;
        (void)at;
        (void)out;
        check(r, path, true);
        return -EACCES;
}

/* No upload was begun. */
struct str upload_name(const struct upload *u)
{
        (void)u;
        mem_die("ftp: no upload");
}

uint64_t upload_at(const struct upload *u)
{
        (void)u;
        mem_die("ftp: no upload");
}

int upload_descriptor(const struct upload *u)
{
        (void)u;
        mem_die("ftp: no upload");
}

int upload_room(struct upload *u, uint64_t at, uint64_t n)
{
        (void)u;
        (void)at;
        (void)n;
        mem_die("ftp: no upload");
}

int upload_write(struct upload *u, uint64_t at, struct str bytes)
{
        (void)u;
        (void)at;
        (void)bytes;
        mem_die("ftp: no upload");
}

void upload_facts(struct upload *u, struct str facts)
{
        (void)u;
        (void)facts;
        mem_die("ftp: no upload");
}

int upload_commit(struct upload *u, uint64_t size, int64_t modified)
{
        (void)u;
        (void)size;
        (void)modified;
        mem_die("ftp: no upload");
}

void upload_free(struct upload **u, bool keep, uint64_t size)
{
        (void)u;
        (void)keep;
        (void)size;
        mem_die("ftp: no upload");
}

/* ---- the keeper ---- */

enum signin_result keeper_password(struct channel *keeper, const struct signin *who, struct str name,
                                   struct str password, struct arena *a, struct str *account)
{
        (void)keeper;
        (void)who;
        (void)name;
        *account = arena_str(a, S("jill@hill.com"));
        return password.n == 1 ? SIGNIN_OK : password.n == 2 ? SIGNIN_LATER : SIGNIN_NO;
}

/* ---- a session ---- */

struct run {
        struct settings settings;
        struct server server;
        struct str input;
        int fds[2];
};
static char said[4 << 20];
static size_t said_n;

static void listen_in(int fd)
{
        ssize_t got;

        while (said_n < sizeof(said) &&
               (got = recv(fd, said + said_n, sizeof(said) - said_n, MSG_DONTWAIT)) > 0)
                said_n += (size_t)got;
}

static void converse(void *arg)
{
        static const struct addr here = { .ip = { 127, 0, 0, 1 }, .family = 4, .port = 21 };
        struct run *r = arg;
        struct conn *c = conn_new(r->fds[0], here, here);

        must(c, "no connection");
        session_start(&r->server, c, PROTOCOL_FTP);
        while (r->server.session_count) { /* while it is parked nobody else keeps the loop alive */
                listen_in(r->fds[1]);
                fiber_yield();
        }
}

static bool code(struct str line)
{
        return line.n >= 4 && line.p[0] >= '1' && line.p[0] <= '5' && line.p[1] >= '0' && line.p[1] <= '5' &&
               line.p[2] >= '0' && line.p[2] <= '9';
}

/* Replies: "226 text", or "211-text", lines that begin with a space, "211 text". No control character but the line's end, and no lone IAC. */
static void check_output(struct str whole)
{
        struct str line, first = S(""), all = whole;

        must(str_starts(whole, S("220 hill.com FTP server ready.\r\n")), "ftp: no greeting");
        must(str_ends(whole, S("\r\n")), "ftp: the last line has no end");
        while (all.n) {
                str_cut(&all, '\n', &line);
                while (line.n > 2 && (uint8_t)line.p[0] == 255 &&
                       ((uint8_t)line.p[1] == 252 || (uint8_t)line.p[1] == 254))
                        line = str_from_at(line, 3); /* a refusal */
                must(str_ends(line, S("\r")), "ftp: a line ends without CR");
                line.n--;
                must(!str_has_control(line), "ftp: a control character");
                for (size_t i = 0; i < line.n; i++)
                        if ((uint8_t)line.p[i] == 255)
                                must(++i < line.n && (uint8_t)line.p[i] == 255, "ftp: a lone IAC");
                if (first.n && str_starts(line, S(" ")))
                        continue;
                must(code(line), "ftp: a line without a code");
                must(!first.n || (str_starts(line, str_sub(first, 0, 3)) && line.p[3] == ' '),
                     "ftp: another reply inside of one");
                first = !first.n && line.p[3] == '-' ? line : S("");
        }
        must(!first.n, "ftp: a reply without its end");
}

static void run(struct run *r, struct str before)
{
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, r->fds) == 0, "no socketpair");
        said_n = 0;
        must(write(r->fds[1], before.p, before.n) == (ssize_t)before.n, "no room in the socket");
        must(write(r->fds[1], r->input.p, r->input.n) == (ssize_t)r->input.n, "no room in the socket");
        shutdown(r->fds[1], SHUT_WR);
        loop_init();
        must(fiber_spawn("session", converse, r) == 0, "no fiber");
        loop_stop();
        loop_run();
        loop_finish();
        listen_in(r->fds[1]);
        close(r->fds[1]);
        check_output(str_from(said, said_n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct str befores[] = { S(""), S("USER jill\r\nPASS x\r\n"),
                                              S("USER ftp\r\nPASS a@b\r\n"),
                                              S("LANG fr\r\nUSER jill\r\nPASS x\r\nSTRU F\r\n") };
        static struct run r;

        if (size < 1 || size > 1024) /* what it answers must fit our memory */
                return 0;
        log_quiet = true;
        r = (struct run){ .input = str_from(data + 1, size - 1) };
        r.settings.park_after_ms = data[0] & 4 ? 0 : -1;
        r.settings.max_errors = 20;
        r.settings.ftp_anonymous = true;
        r.settings.ftp_command_timeout = r.settings.ftp_login_timeout = r.settings.ftp_data_timeout = 600;
        r.settings.max_connections = r.settings.max_connections_per_address = 10;
        r.settings.trusted_addresses = r.settings.host_names = r.settings.ftp_public_address = (char[]){ "" };
        r.settings.host_name = (char[]){ "hill.com" };
        r.settings.ftp_code_page = (char[]){ "IBM-1047" };
        r.server.settings = &r.settings;
        r.server.files = (struct files *)(void *)&the_root;
        r.server.kinds[PROTOCOL_FTP] = &ftp_kind;
        run(&r, befores[data[0] & 3]);
        must(roots == 0, "ftp: a root was left open");
        return 0;
}
