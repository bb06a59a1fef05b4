/* One file up; a lost connection is opened again and the file taken up behind what the server has of it. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "proto/ftp/time.h"
#include "run/offload.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

struct giving {
        struct shown_transfer shown;
        int in;
        char *room;
        size_t n, got;
};

static int read_some(void *arg)
{
        struct giving *g = arg;
        ssize_t n;

        do
                n = read(g->in, g->room, g->n);
        while (n < 0 && errno == EINTR);
        g->got = n > 0 ? (size_t)n : 0;
        return n < 0 ? -errno : 0;
}

static int each(void *context, char *room, size_t n, size_t *got)
{
        struct giving *g = context;
        int rc;

        g->room = room;
        g->n = n;
        rc = terminal_await(g->in, NEVER);
        rc = rc < 0 ? rc : offload(LONG, read_some, g);
        *got = g->got;
        return rc;
}

static void moved(void *context, uint64_t bytes)
{
        shown_at(&((struct giving *)context)->shown, bytes);
}

static int transfer(struct store *p, struct ftp_transfer *t, struct ftp_answer *answer)
{
        struct site *s = p->site;
        struct console *c = s->console;
        uint64_t begun = t->offset, have, last = 0;
        unsigned tries = c->tries;
        int rc;

        for (;;) {
                nsec asked = now();

                rc = ftp_client_transfer(s->client, t);
                *answer = t->answer;
                p->took += now() - asked; /* until they have it, not until it is written */
                p->bytes = t->offset + t->bytes - begun;
                if (rc == 0 || c->stopped || t->file < 0 || p->move == FTP_APPEND ||
                    p->move == FTP_PUT_UNIQUE || !(site_lost(rc, &t->answer) || t->answer.code == 426))
                        return rc;
                if (!tries-- || site_again(s) != EX_OK)
                        return c->stopped ? -ECANCELED : rc;
                have = 0;
                if (!coding_plain(&c->coding) || !fetch_size(s, p->remote, &have) ||
                    have > t->offset + t->bytes)
                        have = 0;
                if (have > last)
                        tries = c->tries;
                last = t->offset = have;
                begun = begun < have ? begun : 0;
        }
}

/* RFC 3659 is silent; MFMT is draft-somers-ftp-mfxx. */
static void put_time(struct store *p, int64_t seconds)
{
        struct site *s = p->site;
        struct buf auto_buf time = { 0 };
        struct ftp_answer a;

        if (!(ftp_client_offers(s->client) & FTP_HAS_MFMT))
                return;
        buf_init(&time, 32);
        put_ftp_time(&time, seconds * 1000000);
        s->hush++;
        (void)!ftp_client_ask(s->client, &a, "MFMT " PRS " %s", STR(buf_str(&time)), p->remote);
        s->hush--;
}

static int from_file(struct store *p, int fd, const struct stat *st)
{
        struct site *s = p->site;
        struct console *c = s->console;
        struct giving x = { .in = fd };
        struct ftp_transfer *t = mem_new(struct ftp_transfer);
        struct ftp_answer answer = { 0 };
        bool file = S_ISREG(st->st_mode);
        uint64_t have = 0;
        int rc;

        if (p->resume && !fetch_size(s, p->remote, &have))
                have = 0;
        if (p->resume && file && have >= (uint64_t)st->st_size) {
                bool same = have == (uint64_t)st->st_size;

                mem_free(t);
                if (!same)
                        return say_fail(c, EX_DATAERR, p->remote,
                                        "what is there is longer than the file here");
                put_line(c, S("It is there whole already."));
                return EX_OK;
        }
        *t = (struct ftp_transfer){ .move = p->move,
                                    .remote = p->remote,
                                    .file = file ? fd : -1,
                                    .each = file ? NULL : each,
                                    .progress = moved,
                                    .context = &x,
                                    .offset = c->restart ? c->restart : have,
                                    .rate = c->rate_most ? &c->rate : NULL };
        c->restart = 0;
        shown_begin(&x.shown, c, p->local, t->offset, file ? (uint64_t)st->st_size : UINT64_MAX);
        rc = transfer(p, t, &answer);
        shown_end(&x.shown);
        if (rc == 0 && p->move == FTP_PUT_UNIQUE && *t->unique && c->verbose) {
                fputs("remote name: ", c->out);
                put_line(c, str_of(t->unique));
        }
        if (rc == 0 && p->keep_time && file)
                put_time(p, st->st_mtim.tv_sec);
        rc = rc < 0 ? site_failed(s, rc, &answer, p->local) : EX_OK;
        mem_free(t);
        return rc;
}

static int from_place(struct store *p)
{
        struct console *c = p->site->console;
        struct stat st = { .st_mode = S_IFIFO };
        int fd = STDIN_FILENO, pid = -1, rc;

        if (p->local[0] == '|') {
                rc = program_begin(c, p->local + 1, false, &fd, &pid);
                if (rc < 0)
                        return say_errno(c, rc, p->local);
        } else if (strcmp(p->local, "-") != 0) {
                fd = openat(c->folder, p->local, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
                if (fd < 0 || fstat(fd, &st) < 0)
                        rc = say_errno(c, -errno, p->local);
                else if (S_ISDIR(st.st_mode))
                        rc = say_errno(c, -EISDIR, p->local);
                else
                        rc = 0;
                if (rc) {
                        if (fd >= 0)
                                close(fd);
                        return rc;
                }
                fcntl(fd, F_SETFL, 0); /* only the opening must not wait for a FIFO's other end */
        }
        rc = from_file(p, fd, &st);
        if (fd != STDIN_FILENO)
                close(fd);
        if (pid >= 0)
                program_end(pid);
        return rc;
}

int store_file(struct store *p)
{
        struct console *c = p->site->console;
        int rc;

        p->bytes = 0;
        p->took = 0;
        if (!p->quiet && c->verbose) {
                say_names(c, p->local, p->remote);
                fputc('\n', c->out);
                fflush(c->out);
        }
        rc = from_place(p);
        if (rc == EX_OK && !p->quiet && c->verbose)
                say_sum(c, p->bytes, p->took, false);
        if (c->bell)
                fputc('\a', c->out);
        return rc;
}
