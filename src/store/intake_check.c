/* pail check for intake/: reads every segment as a replay would, and changes nothing. */
#include "store/intake_parts.h"
#include "base/mem.h"
#include "store/disk.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct check {
        int dir;
        struct buf *out;
        unsigned wrong;
};

__attribute__((format(printf, 2, 3))) static void complain(struct check *c, const char *format, ...)
{
        va_list args;

        c->wrong++;
        va_start(args, format);
        buf_vprintf(c->out, format, args);
        va_end(args);
        buf_puts(c->out, S("\n"));
}

/* What is wrong with one record; true: it says that the segment was settled. */
static bool check_record(struct check *c, const char *name, const struct record *r, bool tell)
{
        struct arena m;
        struct envelope e;

        if (r->kind == RECORD_SETTLED)
                return true;
        if (r->kind == RECORD_VOID || !tell)
                return false;
        arena_init(&m, SIZE_MAX); /* it was bounded when it was accepted */
        if (!envelope_unpack(&e, &m, r->envelope))
                complain(c, "%s: letter %llu: its envelope cannot be read", name,
                         (unsigned long long)r->sequence);
        arena_finish(&m);
        if (r->kind == RECORD_STAGED) {
                char *body = mem_string(r->body);

                if (faccessat(c->dir, body, F_OK, 0) < 0)
                        complain(c, "%s: letter %llu: its body %s is missing", name,
                                 (unsigned long long)r->sequence, body);
                mem_free(body);
        }
        return false;
}

/* Twice: whether it is settled stands at its end, and then nothing of it matters. */
static int check_segment(struct check *c, const char *name, int fd, uint64_t id)
{
        struct segment_reader r;
        struct record record;
        bool settled = false;
        int rc = 0;

        for (int pass = 0; pass < 2 && rc >= 0 && !settled; pass++) {
                rc = segment_reader_open(&r, fd, id);
                if (rc == -EBADMSG)
                        complain(c, "%s: its head cannot be read", name);
                while (rc >= 0 && (rc = segment_next(&r, &record)) == 1)
                        settled |= check_record(c, name, &record, pass == 1);
                if (rc >= 0 && pass == 1 && r.damage)
                        complain(c, "%s: %u places cannot be read, with letters that were accepted", name,
                                 r.damage);
                segment_reader_close(&r);
        }
        return rc == -EBADMSG ? 0 : rc;
}

static void check_file(struct check *c, const char *name)
{
        struct str rest;
        unsigned before = c->wrong;
        size_t said = c->out->n;
        uint64_t id;
        int fd, rc;

        if (str_starts(str_of(name), S("damaged-"))) {
                complain(c,
                         "%s: kept because letters in it could not be read; remove it when you have seen it",
                         name);
                return;
        }
        if (!segment_name_read(str_of(name), &id, &rest) || !str_eq(rest, S(".log")))
                return;
        fd = disk_open(c->dir, name, O_RDONLY);
        rc = fd < 0 ? fd : check_segment(c, name, fd, id);
        if (rc < 0 && rc != -ENOENT)
                complain(c, "%s: %s", name, strerrordesc_np(-rc));
        if (fd >= 0)
                close(fd);
        if (faccessat(c->dir, name, F_OK, 0) < 0) { /* settled while we looked: its bodies went, and it */
                c->wrong = before;
                c->out->n = said;
        }
}

static void check_unfiled(struct check *c)
{
        struct intake_unfiled *list;
        struct arena m;
        size_t n;
        int rc;

        arena_init(&m, SIZE_MAX);
        rc = intake_unfiled_list(c->dir, &m, &list, &n);
        if (rc < 0)
                complain(c, "unfiled: %s", strerrordesc_np(-rc));
        for (size_t k = 0; rc >= 0 && k < n; k++)
                if (!list[k].since) /* which every readable one has */
                        complain(c, "unfiled/" PRS ": " PRS, STR(list[k].name), STR(list[k].reason));
        arena_finish(&m);
}

static int check_all(void *arg)
{
        struct check *c = arg;
        int fd = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;

        if (!d) {
                if (fd >= 0)
                        close(fd);
                return -errno;
        }
        while ((e = readdir(d)))
                check_file(c, e->d_name);
        closedir(d);
        check_unfiled(c);
        return 0;
}

int intake_check(int dir, struct buf *out, unsigned *wrong)
{
        struct check c = { .dir = dir, .out = out };
        int rc = offload(LONG, check_all, &c);

        *wrong += c.wrong;
        return rc;
}
