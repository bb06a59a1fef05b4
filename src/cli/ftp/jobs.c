/* queue, jobs, &: commands in the background, each with a console and a connection of its own. What they say is kept until asked for. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "run/fiber.h"
#include <errno.h>
#include <sysexits.h>

enum { JOBS_MOST = 256 };
enum job_state { JOB_WAITS, JOB_RUNS, JOB_ENDED };
struct job {
        struct job *next;
        struct console console, *owner;
        unsigned number;
        char *line, *text; /* text: what it has said */
        size_t n;
        enum job_state state;
        int code;
        bool queued, told;
};
/* The queue's runner, and who waits for jobs: one person, one queue. */
static struct waitlist changed;
static bool queue_runs;

static unsigned running(const struct console *c)
{
        unsigned n = 0;

        for (const struct job *j = c->jobs; j; j = j->next)
                n += j->state != JOB_ENDED;
        return n;
}

static void run(struct job *j)
{
        struct console *c = &j->console;

        j->state = JOB_RUNS;
        j->code = EX_OK;
        if (!c->stopped && *c->first.where.host) {
                struct site *like = mem_new(struct site); /* site_like writes where it reads */

                *like = c->first;
                j->code = site_like(&c->first, like);
                mem_free(like);
        }
        if (!c->stopped && j->code == EX_OK)
                j->code = console_line(c, j->line);
        if (c->stopped)
                j->code = EX_STOPPED;
        while (c->sites)
                site_close(c->sites);
        fflush(c->out);
        j->state = JOB_ENDED;
        wake_all(&changed);
}

static void one(void *arg)
{
        run(arg);
}

static struct job *next_queued(struct console *c)
{
        for (struct job *j = c->jobs; j; j = j->next)
                if (j->queued && j->state == JOB_WAITS)
                        return j;
        return NULL;
}

static void queue_runner(void *arg)
{
        struct console *c = arg;
        struct job *j;

        while ((j = next_queued(c)))
                run(j);
        queue_runs = false;
        wake_all(&changed);
}

static void forget(struct job *j)
{
        console_finish(&j->console);
        fclose(j->console.out);
        mem_free(j->text); /* open_memstream's: from malloc, as ours */
        mem_free(j->line);
        mem_free(j);
}

/* The oldest that has ended and been told of makes room. */
static bool make_room(struct console *c)
{
        unsigned n = 0;

        for (struct job *j = c->jobs; j; j = j->next)
                n++;
        for (struct job **at = &c->jobs; n >= JOBS_MOST && *at; at = &(*at)->next) {
                struct job *j = *at;

                if (j->state != JOB_ENDED)
                        continue;
                *at = j->next;
                if (c->job_end == &j->next)
                        c->job_end = at;
                forget(j);
                return true;
        }
        return n < JOBS_MOST;
}

int job_start(struct console *c, const char *line, bool queued)
{
        static unsigned number;
        struct job *j;
        FILE *out;
        int rc = 0;

        if (c->background || !*line)
                return say_fail(c, EX_USAGE, "&", c->background ? "a job starts no others" : "what?");
        if (!make_room(c))
                return say_fail(c, EX_UNAVAILABLE, line, "too many jobs");
        j = mem_new(struct job);
        out = open_memstream(&j->text, &j->n);
        if (!out) {
                mem_free(j);
                return say_fail(c, EX_OSERR, line, "out of memory");
        }
        j->line = mem_string(str_of(line));
        j->owner = c;
        j->number = ++number;
        j->queued = queued;
        console_copy(&j->console, c, out);
        j->console.job = j;
        *c->job_end = j;
        c->job_end = &j->next;
        if (!queued)
                rc = fiber_spawn("ftp job", one, j);
        else if (!queue_runs)
                rc = (queue_runs = true, fiber_spawn("ftp queue", queue_runner, c));
        if (rc < 0) {
                j->state = JOB_ENDED;
                queue_runs = queued ? false : queue_runs;
                return say_fail(c, EX_OSERR, line, "out of memory");
        }
        if (c->prompts)
                fprintf(c->out, "[%u] %s\n", j->number, queued ? "waits in the queue" : "runs");
        return EX_OK;
}

/* ---- looked at ---- */

static void show(struct console *c, const struct job *j)
{
        static const char *const words[] = { "waits", "runs", "done" };

        fprintf(c->out, "[%u] %-6s ", j->number,
                j->state == JOB_ENDED && j->code ? j->code == EX_STOPPED ? "ended" : "failed"
                                                 : words[j->state]);
        put_safe(c->out, j->line);
        fputc('\n', c->out);
}

/* What a job said before it failed is worth reading at once. */
static void tell(struct console *c, struct job *j)
{
        show(c, j);
        if (j->code && j->n)
                terminal_put(c->out, str_from(j->text, j->n));
        j->told = true;
}

void jobs_tell(struct console *c)
{
        for (struct job *j = c->jobs; j; j = j->next)
                if (j->state == JOB_ENDED && !j->told) {
                        tell(c, j);
                        if (!c->prompts && !c->code)
                                c->code = j->code;
                }
}

static struct job *by_number(struct console *c, const char *word)
{
        uint64_t n;

        for (struct job *j = str_u64(str_of(word), &n) ? c->jobs : NULL; j; j = j->next)
                if (j->number == n)
                        return j;
        say_fail(c, EX_USAGE, word, "no such job");
        return NULL;
}

int do_jobs(struct console *c, int argc, char **argv)
{
        struct job *j;

        if (argc < 2) {
                for (j = c->jobs; j; j = j->next) {
                        show(c, j);
                        j->told = j->told || j->state == JOB_ENDED;
                }
                return EX_OK;
        }
        j = by_number(c, argv[1]);
        if (!j)
                return EX_USAGE;
        show(c, j);
        fflush(j->console.out);
        terminal_put(c->out, str_from(j->text, j->n));
        return EX_OK;
}

int do_queue(struct console *c, int argc, char **argv)
{
        if (argc > 1) {
                char *line = mem_string(c->rest);
                int rc = job_start(c, line, true);

                mem_free(line);
                return rc;
        }
        (void)argv;
        for (struct job *j = c->jobs; j; j = j->next)
                if (j->queued && j->state != JOB_ENDED)
                        show(c, j);
        return EX_OK;
}

int do_kill(struct console *c, int argc, char **argv)
{
        struct job *j = NULL;

        (void)argc;
        if (strcmp(argv[1], "all") != 0 && !(j = by_number(c, argv[1])))
                return EX_USAGE;
        for (struct job *k = c->jobs; k; k = k->next)
                if (k->state != JOB_ENDED && (!j || k == j))
                        console_stop(&k->console);
        return EX_OK;
}

static bool all_ended(const struct console *c, const struct job *j)
{
        return j ? j->state == JOB_ENDED : !running(c);
}

int do_wait(struct console *c, int argc, char **argv)
{
        struct job *j = argc > 1 ? by_number(c, argv[1]) : NULL;

        if (argc > 1 && !j)
                return EX_USAGE;
        while (!all_ended(c, j) && !c->stopped) /* Ctrl-C is looked for four times a second */
                if (wait_on(&changed, "jobs", now() + SECOND / 4) == -ECANCELED)
                        return EX_STOPPED;
        jobs_tell(c);
        return c->stopped ? EX_STOPPED : j ? j->code : EX_OK;
}

void jobs_finish(struct console *c)
{
        for (struct job *j = c->jobs; j; j = j->next)
                if (j->state != JOB_ENDED)
                        console_stop(&j->console);
        while (running(c) || (queue_runs && !c->background))
                if (wait_on(&changed, "jobs", NEVER) < 0)
                        return; /* cancelled: they end after us, their memory with the process */
        while (c->jobs) {
                struct job *j = c->jobs;

                c->jobs = j->next;
                forget(j);
        }
}
