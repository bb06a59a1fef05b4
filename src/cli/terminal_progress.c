/* The line of a long transfer, on stderr so that what is piped stays clean, and the words for sizes, rates and times. One line is drawn at a
 * time; who prints anything else takes it away first (progress_away), the next move draws it anew. */
#include "base/mem.h"
#include "cli/terminal.h"
#include <unistd.h>

#define PATIENCE (SECOND / 2) /* what is over before is not worth a line */
#define PAUSE    (SECOND / 5) /* between two drawings */
enum { BAR_MOST = 40, LINE_MOST = 512 };

struct progress {
        struct buf name;
        uint64_t from, at, size;
        nsec begun, drawn;
};
static bool on_screen;

static struct str scaled(double n, double step, const char *const *units, const char *behind, char *room,
                         size_t size)
{
        unsigned u = 0;
        int written;

        while (n >= step && units[u + 1]) {
                n /= step;
                u++;
        }
        written = u || *behind
                      ? snprintf(room, size, *behind ? "%.2f %s%s" : "%.1f %s%s", n, units[u], behind)
                      : snprintf(room, size, "%.0f %s", n, units[u]);
        return str_from(room, (size_t)written < size ? (size_t)written : size - 1);
}

struct str size_words(uint64_t bytes, char room[static 32])
{
        static const char *const units[] = { "bytes", "KB", "MB", "GB", "TB", "PB", "EB", NULL };

        return scaled((double)bytes, 1024, units, "", room, 32);
}

struct str rate_words(uint64_t bytes, nsec took, char room[static 48])
{
        static const char *const units[] = { "KB", "MB", "GB", "TB", "PB", "EB", NULL };
        double seconds = took > 0 ? (double)took / (double)SECOND : 1e-6;

        return scaled((double)bytes / seconds / 1024, 1024, units, "/s", room, 48);
}

struct str time_words(nsec took, char room[static 32])
{
        uint64_t s = took > 0 ? (uint64_t)(took / SECOND) : 0;
        int n = s < 3600 ? snprintf(room, 32, "%02u:%02u", (unsigned)(s / 60), (unsigned)(s % 60))
                         : snprintf(room, 32, "%llu:%02u:%02u", (unsigned long long)(s / 3600),
                                    (unsigned)(s / 60 % 60), (unsigned)(s % 60));

        return str_from(room, (size_t)n);
}

struct progress *progress_new(const char *name, uint64_t from, uint64_t size)
{
        struct progress *p = mem_new(struct progress);

        buf_init(&p->name, LINE_MOST);
        terminal_safe(&p->name, str_of(name));
        p->from = p->at = from;
        p->size = size;
        p->begun = now();
        return p;
}

/* The last columns of it that fit, at the start of a character. */
static struct str tail(struct str s, size_t columns)
{
        size_t at = s.n > columns ? s.n - columns : 0;

        while (at && at < s.n && ((unsigned char)s.p[at] & 0xc0) == 0x80)
                at++;
        return str_from_at(s, at);
}

static void draw(struct progress *p, nsec t)
{
        struct buf auto_buf line = { 0 };
        char size[32], all[32], rate[48], left[32];
        uint64_t moved = p->at - p->from;
        nsec took = t - p->begun;
        bool known = p->size != UINT64_MAX && p->size >= p->at && p->size;
        unsigned percent = known ? (unsigned)((double)p->at * 100 / (double)p->size) : 0;
        unsigned width = terminal_width(), bar, numbers;

        buf_init(&line, LINE_MOST);
        if (known) {
                nsec rest = moved ? (nsec)((double)took * (double)(p->size - p->at) / (double)moved) : 0;

                buf_printf(&line, "%3u%% " PRS "/" PRS " " PRS " " PRS " left", percent,
                           STR(size_words(p->at, size)), STR(size_words(p->size, all)),
                           STR(rate_words(moved, took, rate)), STR(time_words(rest, left)));
        } else {
                buf_printf(&line, PRS " " PRS " " PRS, STR(size_words(p->at, size)),
                           STR(rate_words(moved, took, rate)), STR(time_words(took, left)));
        }
        numbers = (unsigned)line.n + 1;
        bar = known && width > numbers + 24 ? width - numbers - 24 : 0;
        if (bar > BAR_MOST)
                bar = BAR_MOST;
        fprintf(stderr, "\r" PRS " ",
                STR(tail(buf_str(&p->name), width > numbers + bar + 4 ? width - numbers - bar - 4 : 1)));
        if (bar > 4) {
                unsigned full = percent * bar / 100;

                fputc('[', stderr);
                for (unsigned i = 0; i < bar; i++)
                        fputc(i < full ? '=' : i == full ? '>' : ' ', stderr);
                fputc(']', stderr);
        }
        fprintf(stderr, PRS "\033[K", STR(buf_str(&line)));
        fflush(stderr);
        on_screen = true;
}

void progress_away(void)
{
        if (!on_screen)
                return;
        fputs("\r\033[K", stderr);
        fflush(stderr);
        on_screen = false;
}

void progress_at(struct progress *p, uint64_t bytes)
{
        nsec t = now();

        if (!p)
                return;
        p->at = bytes;
        if (t - p->begun < PATIENCE || t - p->drawn < PAUSE || !terminal_is(STDERR_FILENO))
                return;
        p->drawn = t;
        draw(p, t);
}

void progress_end(struct progress **p)
{
        if (!*p)
                return;
        progress_away();
        buf_free(&(*p)->name);
        mem_free(*p);
        *p = NULL;
}
