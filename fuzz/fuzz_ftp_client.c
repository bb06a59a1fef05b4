/* The FTP client against a server that says any bytes in any cut into segments (0xff marks the cuts; a segment that begins with 'D' goes out on the
 * data connection, which stays between files: MODE B). The first byte says what the client wants. And by themselves: what it reads of PASV, EPSV
 * and FEAT, and a listing's lines. What must hold: only lines leave; what a person sees is printable; no entry has a name that is not safe. */
#include "base/codec.h"
#include "base/mem.h"
#include "proto/ftp/client_inside.h"
#include "run/fiber.h"
#include "run/log.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* ---- by themselves ---- */

static void check_entry(const struct ftp_entry *e)
{
        must(e->name.n && !str_eq(e->name, S(".")) && !str_eq(e->name, S("..")), "a name that is none");
        must(e->mode >= -1 && e->mode <= 07777, "a mode that is none");
        must(!e->modified_exact || e->modified != INT64_MIN, "exact, but not told");
        must(!str_has_control(str_of(e->perm)), "control characters in perm");
}

static void read_lines(struct str all)
{
        struct str rest = all, line;
        struct ftp_entry e;
        struct arena a;

        arena_init(&a, 64 << 20);
        while (rest.n) {
                str_cut(&rest, '\n', &line);
                if (ftp_entry_of_list(line, 1700000000, &a, &e))
                        check_entry(&e);
                if (ftp_entry_of_facts(line, &a, &e))
                        check_entry(&e);
        }
        arena_finish(&a);
}

static void read_parts(struct str all)
{
        auto_buf struct buf text = { 0 };
        struct addr to = { 0 };
        uint16_t port = 0;

        must(!ftpc_pasv_parse(all, &to) || (to.port && to.family == 4), "PASV without a port");
        must(!ftpc_epsv_parse(all, &port) || port, "EPSV without a port");
        must(ftpc_features(all) & FTP_HAS_FEAT, "FEAT without FEAT");
        must(!ftp_name_safe(all) || (all.n < 256 && !str_has_control(all) && str_find(all, '/') == STR_NONE),
             "not safe");
        buf_init(&text, 4 * all.n + 8);
        ftpc_printable(&text, all);
        must(!text.full && !str_has_control(buf_str(&text)) && utf8_valid(buf_str(&text)), "not printable");
        read_lines(all);
}

/* ---- in a conversation ---- */

struct talk {
        int control, data;
        struct str input;
        unsigned how, files;
        struct ftp_client *client;
        char last;
        bool over;
};

static bool hear(struct talk *t)
{
        char piece[4096];
        ssize_t n;

        while (recv(t->data, piece, sizeof(piece), MSG_DONTWAIT) > 0)
                ;
        n = recv(t->control, piece, sizeof(piece), MSG_DONTWAIT);
        for (ssize_t i = 0; i < n; i++) {
                must(piece[i] != '\n' || t->last == '\r', "a bare LF leaves");
                must(t->last != '\r' || piece[i] == '\n', "a bare CR leaves");
                t->last = piece[i];
        }
        return n > 0 || (n < 0 && errno == EAGAIN);
}

static void server(void *arg)
{
        struct talk *t = arg;
        struct str piece;

        while (t->input.n) {
                bool data;

                str_cut(&t->input, (char)0xff, &piece);
                data = piece.n && piece.p[0] == 'D';
                if (data)
                        piece = str_from_at(piece, 1);
                if (piece.n &&
                    send(data ? t->data : t->control, piece.p, piece.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                        break;
                fiber_yield();
                if (!hear(t))
                        break;
        }
        shutdown(t->control, SHUT_WR);
        shutdown(t->data, SHUT_WR);
        while (!t->over && hear(t))
                fiber_yield();
        while (hear(t) && !t->over)
                ;
        close(t->control);
        close(t->data);
}

static void seen(void *context, struct str line)
{
        (void)context;
        must(!str_has_control(line) && utf8_valid(line), "a line that is not printable");
}

static void said(void *context, unsigned code, struct str line, bool last)
{
        (void)last;
        must(code >= 100 && code < 600, "no code");
        seen(context, line);
}

static void stop(void *context, uint64_t bytes)
{
        struct talk *t = context;

        if (t->how & 8 && bytes > 100)
                ftp_client_stop(t->client);
}

static struct ftp_transfer files[3];
static struct ftp_transfer *next(void *context)
{
        struct talk *t = context;

        return t->files < 3 ? &files[t->files++] : NULL;
}

static void done(void *context, struct ftp_transfer *f, int rc)
{
        (void)context;
        must(rc <= 0 && !str_has_control(str_of(f->answer.text)), "an answer that is not printable");
}

static void list(struct ftp_client *c, struct ftp_answer *a)
{
        struct ftp_entry *entries;
        struct arena m;
        size_t n, unsafe;

        arena_init(&m, 1 << 20);
        if (ftp_client_entries(c, "", &m, &entries, &n, &unsafe, a) == 0)
                for (size_t i = 0; i < n; i++)
                        must(ftp_name_safe(entries[i].name), "a name that is not safe");
        (void)ftp_client_listing(c, "NLST", "-x", seen, NULL, a);
        arena_finish(&m);
}

static void want(struct talk *t, struct ftp_client *c)
{
        static const struct ftp_many many = { next, done, NULL };
        struct ftp_many asked = many;
        struct ftp_answer a = { 0 };
        int file = memfd_create("fuzz", MFD_CLOEXEC);

        asked.context = t;
        for (size_t i = 0; i < 3; i++)
                files[i] = (struct ftp_transfer){ .move = t->how & 4 ? FTP_PUT : FTP_GET,
                                                  .remote = "a",
                                                  .file = file,
                                                  .progress = stop,
                                                  .context = t };
        if (t->how & 4)
                must(ftruncate(file, 3000) == 0, "no file");
        switch (t->how & 3) {
        case 0: done(t, &files[0], ftp_client_transfer(c, &files[0])); break;
        case 1: (void)ftp_client_many(c, &asked); break;
        case 2: list(c, &a); break;
        default: (void)ftp_client_ask(c, &a, "PWD");
        }
        must(!str_has_control(str_of(a.text)), "an answer that is not printable");
        (void)ftp_client_ask(c, &a, "NOOP");
        close(file);
}

static void client(void *arg)
{
        static const struct ftp_hears hears = { seen, said, NULL };
        struct ftp_client_how how = { .hears = &hears, .patience = SECOND };
        struct coding block = { .type = TYPE_IMAGE, .byte_size = 8, .mode = MODE_BLOCK };
        struct addr nobody = { 0 };
        struct talk *t = arg;
        struct ftp_answer a;
        int control[2], data[2], rc;

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, control) == 0, "no sockets");
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, data) == 0, "no sockets");
        t->control = control[1];
        t->data = data[1];
        must(fiber_spawn("server", server, t) == 0, "no fiber");
        rc = ftp_client_open(&t->client, conn_new(control[0], nobody, nobody), &how, &a);
        must(!str_has_control(str_of(a.text)), "an answer that is not printable");
        must(rc == 0 || !t->client, "a client that failed");
        if (rc == 0 && t->how & 16)
                rc = ftp_client_login(t->client, "jill", "x", "y", &a);
        if (rc == 0) {
                ftp_client_coding(t->client, &block);
                t->client->is = block;
                t->client->type_said = true;
                t->client->kept = stream_new(data[0]);
                want(t, t->client);
        } else {
                close(data[0]);
        }
        ftp_client_close(&t->client, t->how & 32 ? now() + SECOND : 0);
        t->over = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct talk t = { 0 };

        if (!size)
                return 0;
        log_quiet = true;
        t.how = data[0];
        t.input = str_from(data + 1, size - 1);
        read_parts(t.input);
        loop_init();
        must(fiber_spawn("client", client, &t) == 0, "no fiber");
        loop_stop();
        loop_run();
        loop_finish();
        return 0;
}
