/* One file down. Its bytes go to NAME.pail-part, which takes its name when it is whole; a lost connection is opened again and the file taken up
 * where it stopped. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "proto/ftp/time.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* ---- what is shown ---- */

enum { TICK = 10240 };

void shown_begin(struct shown_transfer *x, struct console *c, const char *name, uint64_t from, uint64_t size)
{
        *x = (struct shown_transfer){ .console = c };
        if (c->progress && !c->background && !c->hash && !c->tick)
                x->bar = progress_new(name, from, size);
}

void shown_at(struct shown_transfer *x, uint64_t bytes)
{
        struct console *c = x->console;

        progress_at(x->bar, bytes);
        if (c->background)
                return;
        if (c->hash)
                for (; x->marks < bytes / c->mark; x->marks++)
                        fputc('#', c->out);
        if (c->tick && bytes / TICK != x->marks) {
                x->marks = bytes / TICK;
                fprintf(c->out, "\rBytes transferred: %llu", (unsigned long long)bytes);
        }
        if (c->hash || c->tick)
                fflush(c->out);
}

void shown_end(struct shown_transfer *x)
{
        struct console *c = x->console;

        progress_end(&x->bar);
        if (!c->background && (c->hash || c->tick))
                fputc('\n', c->out);
}

void say_names(struct console *c, const char *local, const char *remote)
{
        fputs("local: ", c->out);
        put_safe(c->out, local);
        fputs(" remote: ", c->out);
        put_safe(c->out, remote);
}

void say_sum(struct console *c, uint64_t bytes, nsec took, bool received)
{
        char rate[48], time[32];

        progress_away();
        fprintf(c->out, "%llu bytes %s in " PRS " (" PRS ")\n", (unsigned long long)bytes,
                received ? "received" : "sent", STR(time_words(took, time)),
                STR(rate_words(bytes, took, rate)));
}

/* ---- what the server knows of a file ---- */

bool fetch_size(struct site *s, const char *remote, uint64_t *size)
{
        struct ftp_answer a;
        int rc;

        s->hush++;
        rc = ftp_client_ask(s->client, &a, "SIZE %s", remote);
        s->hush--;
        return rc == 0 && a.code == 213 && str_u64(str_trim(str_of(a.text)), size);
}

bool fetch_time(struct site *s, const char *remote, int64_t *seconds)
{
        struct ftp_answer a;
        int64_t usec;
        int rc;

        s->hush++;
        rc = ftp_client_ask(s->client, &a, "MDTM %s", remote);
        s->hush--;
        if (rc < 0 || a.code != 213 || !ftp_time_parse(str_trim(str_of(a.text)), &usec))
                return false;
        *seconds = usec / 1000000;
        return true;
}

/* ---- a transfer, taken up again ---- */

struct taking {
        struct shown_transfer shown;
        int out; /* a pipe, or -1 */
        int pid; /* the program at its other end: it begins with the first byte, so that an error is read without it */
        struct console *console;
        const char *command;
        bool crlf; /* `cr` is off: the ends of lines stay as ASCII has them on the wire */
};

static int each(void *context, char *room, size_t n, size_t *got)
{
        struct taking *t = context;
        struct buf auto_buf text = { 0 };

        *got = n;
        if (t->out < 0 && t->command) {
                int rc = program_begin(t->console, t->command, true, &t->out, &t->pid);

                if (rc < 0)
                        return rc;
                progress_end(&t->shown.bar); /* the screen is the program's */
        }
        if (!t->crlf)
                return local_write_all(t->out, room, n);
        buf_init(&text, 2 * n + 1);
        for (size_t i = 0; i < n; i++) {
                if (room[i] == '\n')
                        buf_u8(&text, '\r');
                buf_u8(&text, (uint8_t)room[i]);
        }
        return local_write_all(t->out, text.p, text.n);
}

static void moved(void *context, uint64_t bytes)
{
        shown_at(&((struct taking *)context)->shown, bytes);
}

/* Can it be taken up behind the bytes that are there? Only where a byte on the wire is one of the file, or by a marker. */
static bool can_resume(struct site *s, const struct ftp_transfer *t)
{
        return coding_plain(&s->console->coding) || *t->marker;
}

static int transfer(struct fetch *f, struct ftp_transfer *t, struct ftp_answer *answer)
{
        struct site *s = f->site;
        struct console *c = s->console;
        struct taking *x = t->context;
        uint64_t begun = t->offset, last;
        unsigned tries = c->tries;
        int rc;

        for (;;) {
                last = t->offset;
                rc = ftp_client_transfer(s->client, t);
                *answer = t->answer;
                f->took += t->took;
                t->offset += t->bytes;
                f->bytes = t->offset - begun;
                if (rc == 0 || c->stopped || x->out >= 0 || x->command ||
                    !(site_lost(rc, &t->answer) || t->answer.code == 426))
                        return rc;
                if (t->offset > last) /* it moves: patience begins anew */
                        tries = c->tries;
                if (!tries--)
                        return rc;
                if (!can_resume(s, t)) {
                        t->offset = begun = 0;
                        f->bytes = 0;
                        if (ftruncate(t->file, 0) < 0)
                                return -errno;
                }
                if (site_again(s) != EX_OK)
                        return c->stopped ? -ECANCELED : rc;
        }
}

/* ---- to where ---- */

static int to_pipe(struct fetch *f)
{
        struct site *s = f->site;
        struct console *c = s->console;
        bool piped = f->name[0] == '|';
        struct taking x = { .out = piped ? -1 : STDOUT_FILENO,
                            .pid = -1,
                            .console = c,
                            .command = piped ? f->name + 1 : NULL };
        struct ftp_transfer t = { .move = FTP_GET,
                                  .remote = f->remote,
                                  .file = -1,
                                  .each = each,
                                  .progress = moved,
                                  .context = &x,
                                  .offset = c->restart,
                                  .rate = c->rate_most ? &c->rate : NULL };
        struct ftp_answer answer;
        int rc;

        c->restart = 0;
        fflush(c->out);
        shown_begin(&x.shown, c, f->remote, 0, UINT64_MAX);
        rc = transfer(f, &t, &answer);
        shown_end(&x.shown);
        if (x.pid >= 0) {
                close(x.out);
                program_end(x.pid);
                c->stopped = false; /* Ctrl-C was for the program */
                if (rc == -EPIPE)   /* the pager was left */
                        rc = 0;
        }
        return rc < 0 ? site_failed(s, rc, &answer, f->remote) : EX_OK;
}

/* NAME stands there without NAME.pail-part, and is shorter than what the server has: it is the part. */
static int adopt(struct fetch *f, int dir, const char *name, bool *whole)
{
        struct stat st;
        uint64_t size;
        char part[NAME_ROOM];

        *whole = false;
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) || !st.st_size ||
            !fetch_size(f->site, f->remote, &size))
                return 0;
        *whole = (uint64_t)st.st_size == size;
        if ((uint64_t)st.st_size >= size || strlen(name) + sizeof(PART_SUFFIX) > sizeof(part))
                return 0;
        snprintf(part, sizeof(part), "%s" PART_SUFFIX, name);
        return renameat2(dir, name, dir, part, RENAME_NOREPLACE) < 0 && errno != EEXIST ? -errno : 0;
}

static void put_time(struct fetch *f, int fd)
{
        struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
        int64_t seconds;

        if (!fetch_time(f->site, f->remote, &seconds))
                return;
        times[1].tv_sec = seconds;
        (void)futimens(fd, times);
}

static int left_over(struct fetch *f, int rc, const struct ftp_answer *answer, int dir, const char *part,
                     int fd)
{
        struct console *c = f->site->console;
        struct stat st;
        int code = site_failed(f->site, rc, answer, f->remote);

        if (fstat(fd, &st) == 0 && !st.st_size) {
                unlinkat(dir, part, 0);
        } else if (c->session && !f->quiet) {
                put_safe(c->out, part);
                fprintf(c->out, " has %lld bytes of it; reget goes on\n", (long long)st.st_size);
        }
        return code;
}

static int to_file(struct fetch *f, int dir, const char *name)
{
        struct site *s = f->site;
        struct console *c = s->console;
        struct taking x = { .out = -1, .crlf = !c->cr && c->coding.type == TYPE_ASCII };
        struct ftp_transfer *t = mem_new(struct ftp_transfer);
        struct ftp_answer answer = { 0 };
        uint64_t size = UINT64_MAX, have = 0;
        char part[NAME_ROOM];
        int fd, rc;

        fd = local_part(dir, name, part, !f->resume && !c->restart, &have);
        if (fd < 0) {
                mem_free(t);
                return say_errno(c, fd, name);
        }
        if (f->resume && have && fetch_size(s, f->remote, &size) && size < have) { /* another file by now */
                have = 0;
                (void)!ftruncate(fd, 0);
        }
        *t = (struct ftp_transfer){ .move = FTP_GET,
                                    .remote = f->remote,
                                    .file = fd,
                                    .progress = moved,
                                    .context = &x,
                                    .offset = c->restart ? c->restart : have,
                                    .rate = c->rate_most ? &c->rate : NULL };
        c->restart = 0;
        if (x.crlf) {
                x.out = fd;
                t->file = -1;
                t->each = each;
        }
        if (size == UINT64_MAX && c->progress && terminal_is(STDERR_FILENO))
                fetch_size(s, f->remote, &size);
        shown_begin(&x.shown, c, name, t->offset, size);
        rc = transfer(f, t, &answer);
        shown_end(&x.shown);
        if (rc == 0 && f->keep_time)
                put_time(f, fd);
        if (rc == 0 && (rc = local_whole(dir, part, name)) < 0)
                rc = say_errno(c, rc, name);
        else if (rc < 0)
                rc = left_over(f, rc, &answer, dir, part, fd);
        close(fd);
        mem_free(t);
        return rc;
}

/* A device or a pipe that a person has named takes the bytes as they come. */
static int to_special(struct fetch *f, int fd)
{
        struct console *c = f->site->console;
        struct taking x = { .out = fd };
        struct ftp_transfer t = { .move = FTP_GET,
                                  .remote = f->remote,
                                  .file = -1,
                                  .each = each,
                                  .progress = moved,
                                  .context = &x,
                                  .rate = c->rate_most ? &c->rate : NULL };
        struct ftp_answer answer;
        int rc;

        shown_begin(&x.shown, c, f->remote, 0, UINT64_MAX);
        rc = transfer(f, &t, &answer);
        shown_end(&x.shown);
        close(fd);
        return rc < 0 ? site_failed(f->site, rc, &answer, f->remote) : EX_OK;
}

static int typed_place(struct fetch *f)
{
        struct console *c = f->site->console;
        const char *name;
        struct stat st;
        bool whole = false;
        int dir, rc = 0;

        if (!strcmp(f->name, "-") || f->name[0] == '|')
                return to_pipe(f);
        if (fstatat(c->folder, f->name, &st, 0) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))) {
                int fd = openat(c->folder, f->name, O_WRONLY | O_CLOEXEC | O_NOCTTY);

                return fd < 0 ? say_errno(c, -errno, f->name) : to_special(f, fd);
        }
        dir = local_parent(c->folder, f->name, &name);
        if (dir < 0)
                return say_errno(c, dir, f->name);
        if (f->resume)
                rc = adopt(f, dir, name, &whole);
        if (rc < 0)
                rc = say_errno(c, rc, f->name);
        else if (whole)
                put_line(c, S("It is here whole already."));
        else
                rc = to_file(f, dir, name);
        close(dir);
        return rc;
}

int fetch_file(struct fetch *f)
{
        struct console *c = f->site->console;
        int rc;

        f->bytes = 0;
        f->took = 0;
        if (!f->quiet && c->verbose) {
                say_names(c, f->name, f->remote);
                fputc('\n', c->out);
                fflush(c->out);
        }
        rc = f->dir >= 0 ? to_file(f, f->dir, f->name) : typed_place(f);
        if (rc == EX_OK && !f->quiet && c->verbose)
                say_sum(c, f->bytes, f->took, true);
        if (c->bell)
                fputc('\a', c->out);
        return rc;
}
