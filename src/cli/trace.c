/* pail trace: where is that letter, and what happened to it, in order (store/history.h). */
#include "cli/cli.h"
#include "cli/tool.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/date.h"
#include "store/history.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { LINES_MOST = 1000000, WORDS_MOST = 64 };

struct tracing {
        struct tool *tool;
        struct str *lines;
        size_t n, room;
        bool cut;
};

/* ---- a line: key=value, values that need it quoted as log_str does ---- */

static bool next_word(struct arena *a, struct str *line, struct str *key, struct str *value)
{
        size_t i = 0, n = 0;
        char *out;

        while (line->n && line->p[0] == ' ')
                *line = str_from_at(*line, 1);
        while (i < line->n && line->p[i] != '=' && line->p[i] != ' ')
                i++;
        if (!line->n || i == line->n || line->p[i] != '=')
                return false;
        *key = str_sub(*line, 0, i);
        *line = str_from_at(*line, i + 1);
        if (!line->n || line->p[0] != '"') {
                str_cut(line, ' ', value);
                return true;
        }
        out = arena_alloc(a, line->n + 1);
        for (i = 1; i < line->n && line->p[i] != '"'; i++) {
                i += line->p[i] == '\\' && i + 1 < line->n && line->p[i + 1] != 'x'; /* "\\x1b" stays so */
                out[n++] = line->p[i];
        }
        *value = str_from(out, n);
        *line = str_from_at(*line, i + 1);
        return true;
}

static struct str word_of(struct arena *a, struct str line, struct str wanted)
{
        struct str key, value;

        while (next_word(a, &line, &key, &value))
                if (str_eq(key, wanted))
                        return value;
        return S("");
}

/* ---- for people ---- */

static const struct {
        const char *event, *words;
} events[] = {
        { "accepted", "accepted" },
        { "refused", "refused" },
        { "filed", "filed" },
        { "unfiled", "could not be filed, and is tried again" },
        { "sent", "sent" },
        { "deferred", "put off" },
        { "failed", "failed" },
        { "held", "held" },
        { "notified", "its sender was told that it waits" },
};

static const char *words_for(struct str event)
{
        for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
                if (str_eq(event, str_of(events[i].event)))
                        return events[i].words;
        return NULL;
}

/* "12:00:01.123  accepted  from <jack@town.com>, 127.0.0.1 ..." */
static void print_line(struct arena *a, struct str line)
{
        static const char *const left_out[] = { "time", "event", "letter", "message-id", "status" };
        struct str rest = line, key, value, event = word_of(a, line, S("event"));
        const char *words = words_for(event);

        printf("  " PRS "  %s", STR(str_sub(word_of(a, line, S("time")), 0, 23)),
               words ? words : arena_str(a, event).p);
        while (next_word(a, &rest, &key, &value)) {
                bool shown = value.n > 0;

                for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
                        shown &= !str_eq(key, str_of(left_out[i]));
                if (!shown)
                        continue;
                if (str_eq(key, S("answer")) || str_eq(key, S("why")))
                        printf("\n                             \"" PRS "\"", STR(value));
                else
                        printf(" " PRS " " PRS, STR(key), STR(value));
        }
        printf("\n");
}

/* Of these there may be several in a line. */
static const char *const many[] = { "file", "send", "hold", "list" };

static bool is_many(struct str key)
{
        bool found = false;

        for (size_t i = 0; i < sizeof(many) / sizeof(*many); i++)
                found |= str_eq(key, str_of(many[i]));
        return found;
}

static void print_json(struct tool *t, struct arena *a, struct str line)
{
        struct str rest = line, key, value;

        json_open(&t->out, NULL, '{');
        while (next_word(a, &rest, &key, &value))
                if (!is_many(key))
                        json_str(&t->out, arena_str(a, key).p, value);
        for (size_t i = 0; i < sizeof(many) / sizeof(*many); i++) {
                if (!word_of(a, line, str_of(many[i])).n)
                        continue;
                json_open(&t->out, many[i], '[');
                for (rest = line; next_word(a, &rest, &key, &value);)
                        if (str_eq(key, str_of(many[i])))
                                json_str(&t->out, NULL, value);
                json_close(&t->out, ']');
        }
        json_close(&t->out, '}');
}

/* ---- all lines of a letter, letters by their first ---- */

struct entry {
        struct str letter, line, first; /* first: the time of the letter's first line */
        size_t at;
};

static bool is_accepted(const struct entry *e)
{
        return str_search(e->line, S(" event=accepted ")) != STR_NONE;
}

/* Of one letter. It is accepted before anything else, though the session may have been the later one to say so. */
static int by_time(const void *a, const void *b)
{
        const struct entry *x = a, *y = b;
        int order = is_accepted(y) - is_accepted(x);

        order = order ? order : str_cmp(str_sub(x->line, 0, 29), str_sub(y->line, 0, 29));
        return order ? order : (x->at > y->at) - (x->at < y->at);
}

static int by_letter(const void *a, const void *b)
{
        const struct entry *x = a, *y = b;
        int order = str_cmp(x->letter, y->letter);

        return order ? order : by_time(a, b);
}

static int by_first(const void *a, const void *b)
{
        const struct entry *x = a, *y = b;
        int order = str_cmp(x->first, y->first);

        order = order ? order : str_cmp(x->letter, y->letter);
        return order ? order : by_time(a, b);
}

static void print_all(struct tracing *g)
{
        struct tool *t = g->tool;
        struct entry *list = mem_array(g->n + 1, sizeof(*list));
        struct arena auto_arena a;

        arena_init(&a, 64 << 20);
        for (size_t i = 0; i < g->n; i++) {
                list[i] = (struct entry){ .letter = word_of(&t->arena, g->lines[i], S("letter")),
                                          .line = g->lines[i],
                                          .at = i };
                if (!list[i].letter.n)
                        list[i].letter = arena_printf(&t->arena, "queue " PRS,
                                                      STR(word_of(&t->arena, g->lines[i], S("queue"))));
        }
        qsort(list, g->n, sizeof(*list), by_letter);
        for (size_t i = 0; i < g->n; i++)
                list[i].first = i && str_eq(list[i].letter, list[i - 1].letter)
                                    ? list[i - 1].first
                                    : str_sub(list[i].line, 0, 29);
        qsort(list, g->n, sizeof(*list), by_first);
        json_open(&t->out, NULL, '[');
        for (size_t i = 0; i < g->n; i++) {
                if (!t->json && (!i || !str_eq(list[i].letter, list[i - 1].letter))) {
                        struct str id = word_of(&a, list[i].line, S("message-id"));

                        printf("%s" PRS "%s" PRS "\n", i ? "\n" : "", STR(list[i].letter), id.n ? "  " : "",
                               STR(id));
                }
                if (t->json)
                        print_json(t, &a, list[i].line);
                else
                        print_line(&a, list[i].line);
                arena_reset(&a);
        }
        json_close(&t->out, ']');
        mem_free(list);
}

static bool keep(void *context, struct str line)
{
        struct tracing *g = context;

        if (g->n == LINES_MOST) {
                g->cut = true;
                return false;
        }
        if (g->n == g->room) {
                g->room = g->room ? 2 * g->room : 256;
                g->lines = mem_grow(g->lines, g->room, sizeof(*g->lines));
        }
        g->lines[g->n++] = arena_str(&g->tool->arena, line);
        return true;
}

/* ---- the verb ---- */

/* "2026-11-20" or "3d", "4h". */
static bool read_since(struct str text, int64_t *usec)
{
        struct tm tm = { .tm_isdst = -1 };
        uint64_t n;
        char unit = text.n ? chr_lower(text.p[text.n - 1]) : 0;
        int64_t times = unit == 'm' ? 60 : unit == 'h' ? 3600 : unit == 'd' ? 86400 : 0;
        const char *end;

        if (times && str_u64(str_sub(text, 0, text.n - 1), &n) && n < 100000000) {
                *usec = wall_usec() - (int64_t)n * times * 1000000;
                return true;
        }
        end = strptime(text.p, "%Y-%m-%d", &tm);
        if (!end || *end)
                return false;
        *usec = (int64_t)mktime(&tm) * 1000000;
        return true;
}

/* A number is one of the queue's; an address is written as the history has it. */
static struct str needle_of(struct tool *t, struct str word)
{
        struct path path;
        struct str normal;
        uint64_t id;

        if (str_u64(word, &id))
                return arena_printf(&t->arena, " queue=%llu ", (unsigned long long)id);
        if (word.n && word.p[0] != '<' && address_parse(&t->arena, word, &path) &&
            address_normal(&t->arena, &path, &normal))
                return normal;
        return word;
}

int verb_trace(int argc, char **argv)
{
        const char *since = NULL;
        const struct tool_option options[] = { { "since", &since, NULL }, { 0 } };
        struct tracing g = { 0 };
        struct history *h;
        struct tool t;
        int64_t from = 0;
        int rc = tool_begin(&t, argc, argv, options), dir;

        g.tool = &t;
        if (rc == 0 && (t.count != 1 || t.words[0].n < 1))
                rc = tool_usage(&t);
        if (rc == 0 && since && !read_since(str_of(since), &from))
                rc = tool_fail(&t, -EINVAL, str_of(since), "no time: 4h, 3d or 2026-11-20");
        if (rc)
                return tool_end(&t, rc);
        dir = open("history", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return tool_end(&t, tool_fail(&t, -errno, S("history"), NULL));
        rc = history_open(&h, dir, NULL, t.settings.history_days, (uint64_t)t.settings.history_size);
        rc = rc < 0 ? rc : history_find(h, needle_of(&t, t.words[0]), from, keep, &g);
        history_close(&h);
        if (rc < 0) {
                rc = tool_fail(&t, rc, S("history"), NULL);
        } else {
                print_all(&g);
                if (g.cut)
                        fprintf(stderr, "pail trace: more than %d lines: the rest is left out\n", LINES_MOST);
                if (!g.n)
                        rc = tool_fail(&t, -ENOENT, t.words[0], "nothing is known of it");
        }
        mem_free(g.lines);
        return tool_end(&t, rc);
}
