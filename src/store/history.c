#include "store/history.h"
#include "base/arena.h"
#include "base/mem.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/disk.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Gathered for a while, then written by a worker: a day's file of this process. */
#define WRITE_AFTER (500 * MSECOND)
enum { GATHER_MOST = 4 << 20, LINE_MOST = 8192, PIECE = 1 << 20, LETTERS_MOST = 10000, SLOTS = 32768 };

struct history {
        int dir;
        char *writer; /* NULL: only read */
        long keep_days;
        uint64_t most;
        struct buf lines, writing;
        struct timer soon;
        bool busy; /* a fiber writes */
        uint64_t lost;
        int today;      /* the day whose file was written last; then old ones go */
        int64_t second; /* that `stamp` tells */
        char stamp[40];
        size_t line_at; /* where the line begins that is being written */
};

/* "20261121.mail.0" */
static int day_of(int64_t usec)
{
        time_t t = (time_t)(usec / 1000000);
        struct tm tm;

        gmtime_r(&t, &tm);
        return (tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday;
}

static bool is_file(const char *name, int *day)
{
        char *end;
        long n = strtol(name, &end, 10);

        *day = (int)n;
        return n >= 19700101 && n <= 99991231 && *end == '.' && end[1];
}

/* ---- the files there are, oldest first ---- */

struct files {
        struct one {
                char name[40];
                int day;
                uint64_t size;
        } * list;
        size_t n;
};

static int older(const void *a, const void *b)
{
        const struct one *x = a, *y = b;

        return x->day != y->day ? (x->day > y->day) - (x->day < y->day) : strcmp(x->name, y->name);
}

static int list_files(int dir, struct files *f)
{
        int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;
        size_t room = 0;

        *f = (struct files){ 0 };
        if (!d) {
                if (fd >= 0)
                        close(fd);
                return -errno;
        }
        while ((e = readdir(d))) {
                struct one one;
                struct stat st;

                if (!is_file(e->d_name, &one.day) || strlen(e->d_name) >= sizeof(one.name) ||
                    fstatat(fd, e->d_name, &st, 0) < 0)
                        continue;
                snprintf(one.name, sizeof(one.name), "%s", e->d_name);
                one.size = (uint64_t)st.st_size;
                if (f->n == room) {
                        room = room ? 2 * room : 64;
                        f->list = mem_grow(f->list, room, sizeof(*f->list));
                }
                f->list[f->n++] = one;
        }
        closedir(d);
        if (f->n)
                qsort(f->list, f->n, sizeof(*f->list), older);
        return 0;
}

static void drop_old(struct history *h)
{
        int first = day_of(wall_usec() - h->keep_days * INT64_C(86400000000));
        struct files f;
        uint64_t all = 0;

        if (list_files(h->dir, &f) < 0)
                return;
        for (size_t i = 0; i < f.n; i++)
                all += f.list[i].size;
        for (size_t i = 0; i + 1 < f.n && (f.list[i].day < first || all > h->most); i++) {
                all -= f.list[i].size;
                unlinkat(h->dir, f.list[i].name, 0);
        }
        mem_free(f.list);
}

/* ---- writing ---- */

/* Whole lines: what a full disk cuts is taken back, and what a death cut is ended. */
static int append(int fd, struct str lines)
{
        off_t size = lseek(fd, 0, SEEK_END);
        char last = '\n';
        ssize_t n;

        if (size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n' && write(fd, "\n", 1) == 1)
                size++;
        n = write(fd, lines.p, lines.n);
        if (n == (ssize_t)lines.n)
                return 0;
        if (n > 0 && size >= 0 && ftruncate(fd, size) < 0)
                return -errno;
        return n < 0 ? -errno : -ENOSPC;
}

static int write_lines(void *arg)
{
        struct history *h = arg;
        int day = day_of(wall_usec()), fd, rc;
        char name[40];

        if (day != h->today)
                drop_old(h);
        h->today = day;
        snprintf(name, sizeof(name), "%d.%s", day, h->writer);
        fd = openat(h->dir, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        rc = append(fd, buf_str(&h->writing));
        close(fd);
        return rc;
}

static void flush(struct history *h)
{
        struct buf swap = h->writing;
        int rc;

        if (!h->lines.n)
                return;
        if (h->lost)
                log_warn("history", "lost=%llu what=\"lines that came too fast\"",
                         (unsigned long long)h->lost);
        h->lost = 0;
        h->writing = h->lines;
        h->lines = swap;
        buf_clear(&h->lines);
        rc = offload(LONG, write_lines, h);
        if (rc < 0)
                log_warn("history", "why=\"%s\"", strerrordesc_np(-rc));
}

static void flusher(void *arg)
{
        struct history *h = arg;

        flush(h);
        h->busy = false;
        if (h->lines.n)
                timer_set(&h->soon, now() + WRITE_AFTER);
}

static void soon(struct timer *t)
{
        struct history *h = (struct history *)(void *)((char *)t - offsetof(struct history, soon));

        if (h->busy)
                return;
        h->busy = fiber_spawn("history", flusher, h) == 0;
        if (!h->busy)
                timer_set(t, now() + WRITE_AFTER);
}

/* "time=2026-11-20T17:29:44.": many lines share one. */
static struct str stamp_of(struct history *h, int64_t second)
{
        time_t t = (time_t)second;
        struct tm tm;

        if (second != h->second) {
                gmtime_r(&t, &tm);
                strftime(h->stamp, sizeof(h->stamp), "time=%Y-%m-%dT%H:%M:%S.", &tm);
                h->second = second;
        }
        return str_of(h->stamp);
}

struct buf *history_begin(struct history *h, struct str event)
{
        int64_t at = wall_usec();
        unsigned ms = (unsigned)(at / 1000 % 1000);
        const char digits[] = { (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10) };

        h->line_at = h->lines.n;
        buf_puts(&h->lines, stamp_of(h, at / 1000000));
        buf_puts(&h->lines, str_from(digits, sizeof(digits)));
        buf_puts(&h->lines, S("Z event="));
        buf_puts(&h->lines, event);
        return &h->lines;
}

/* In one piece or not at all. */
void history_event_end(struct history *h)
{
        if (!buf_puts(&h->lines, S("\n")) || h->lines.n - h->line_at > LINE_MOST) {
                h->lines.n = h->line_at;
                h->lines.full = false;
                h->lost++;
        }
        if (!h->soon.slot && !h->busy)
                timer_set(&h->soon, now() + WRITE_AFTER);
}

void history_note(struct history *h, struct str event, const char *format, ...)
{
        struct buf *line = history_begin(h, event);
        va_list args;

        buf_puts(line, S(" "));
        va_start(args, format);
        buf_vprintf(line, format, args);
        va_end(args);
        history_event_end(h);
}

int history_open(struct history **out, int dir, const char *writer, long keep_days, uint64_t most)
{
        struct history *h = mem_new(struct history);

        h->dir = dir;
        h->writer = writer ? mem_string(str_of(writer)) : NULL;
        h->keep_days = keep_days;
        h->most = most;
        h->soon.fire = soon;
        buf_init(&h->lines, GATHER_MOST);
        buf_init(&h->writing, GATHER_MOST);
        *out = h;
        return 0;
}

void history_close(struct history **hp)
{
        struct history *h = *hp;

        *hp = NULL;
        if (!h)
                return;
        if (h->soon.slot)
                timer_stop(&h->soon);
        while (h->busy)
                fiber_yield();
        if (h->writer)
                flush(h);
        buf_free(&h->lines);
        buf_free(&h->writing);
        mem_free(h->writer);
        close(h->dir);
        mem_free(h);
}

/* ---- finding ---- */

struct finding {
        struct str needle;
        char since[40];          /* as the lines' own time, which sorts */
        struct arena letters;    /* "letter=..." words of lines that fit */
        struct str table[SLOTS]; /* by hash; a third full at most */
        size_t n;
        bool (*each)(void *context, struct str line);
        void *context;
        bool over;
};

static struct str letter_in(struct str line)
{
        size_t at = str_search(line, S(" letter="));
        struct str word, rest;

        if (at == STR_NONE)
                return S("");
        rest = str_from_at(line, at + 1);
        str_cut(&rest, ' ', &word);
        return word;
}

static struct str *slot(struct finding *f, struct str letter)
{
        size_t i = str_hash(letter) % SLOTS;

        while (f->table[i].n && !str_eq(f->table[i], letter))
                i = (i + 1) % SLOTS;
        return &f->table[i];
}

static bool too_old(const struct finding *f, struct str line)
{
        return str_starts(line, S("time=")) &&
               str_cmp(str_sub(line, 5, strlen(f->since)), str_of(f->since)) < 0;
}

/* First pass: which letters; second: their lines. */
static void see(struct finding *f, struct str line, bool second)
{
        struct str letter, *at;

        if (too_old(f, line))
                return;
        letter = letter_in(line);
        if (second) {
                if (!f->over && ((letter.n && slot(f, letter)->n) ||
                                 (!letter.n && str_search(line, f->needle) != STR_NONE)))
                        f->over = !f->each(f->context, line);
                return;
        }
        if (!letter.n || f->n >= LETTERS_MOST || str_search(line, f->needle) == STR_NONE)
                return;
        at = slot(f, letter);
        f->n += !at->n;
        if (!at->n)
                *at = arena_str(&f->letters, letter);
}

static int read_file(int dir, const char *name, struct finding *f, bool second)
{
        int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
        struct buf text = { 0 };
        ssize_t n = 1;

        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        buf_init(&text, PIECE + LINE_MOST);
        while (n > 0 && !f->over) {
                struct str rest, line;

                n = read(fd, buf_room(&text, PIECE), PIECE);
                if (n > 0)
                        buf_added(&text, (size_t)n);
                rest = buf_str(&text);
                while (str_find(rest, '\n') != STR_NONE) {
                        str_cut(&rest, '\n', &line);
                        see(f, line, second);
                }
                buf_drop(&text, rest.n < LINE_MOST ? text.n - rest.n : text.n);
        }
        buf_free(&text);
        close(fd);
        return n < 0 ? -errno : 0;
}

static void time_text(int64_t usec, char out[static 40])
{
        time_t t = (time_t)(usec / 1000000);
        struct tm tm;

        gmtime_r(&t, &tm);
        strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
}

int history_find(struct history *h, struct str needle, int64_t since,
                 bool (*each)(void *context, struct str line), void *context)
{
        struct finding *f = mem_new(struct finding);
        struct files files;
        int rc = list_files(h->dir, &files);

        f->needle = needle;
        f->each = each;
        f->context = context;
        time_text(since, f->since);
        arena_init(&f->letters, 64 << 20);
        for (int pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < files.n && rc >= 0; i++)
                        if (files.list[i].day >= day_of(since))
                                rc = read_file(h->dir, files.list[i].name, f, pass == 1);
        arena_finish(&f->letters);
        mem_free(f);
        mem_free(files.list);
        return rc;
}
