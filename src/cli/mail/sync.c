#include "cli/mail/sync_inside.h"
#include "base/mem.h"
#include "cli/mail/outgo.h"
#include "run/fiber.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_MOST       (600 * SECOND) /* a look at all folders at least so often: IDLE tells of one */
#define QUIET           (2 * SECOND)   /* changes here gather so long */
#define PAUSE_FIRST     (5 * SECOND)
#define PAUSE_MOST      (300 * SECOND)
#define LOGOUT_PATIENCE 3

void work_state(struct work *w, enum sync_state s, const char *format, ...)
{
        char words[512];
        va_list args;

        if (!w->says || !w->says->state)
                return;
        va_start(args, format);
        vsnprintf(words, sizeof words, format, args);
        va_end(args);
        w->says->state(w->says->context, s, words);
}

int work_failed(struct work *w, int rc, const char *what)
{
        bool sentence =
            rc == -EACCES || rc == -EREMOTEIO || rc == -EBUSY || rc == -EPROTO || strchr(what, ' ');

        if (!w->why->n)
                buf_printf(w->why, "%s%s%s", what, sentence ? "" : ": ", sentence ? "" : strerror(-rc));
        return rc;
}

int work_answer(struct work *w, int rc, const struct box *b)
{
        if (!w->why->n)
                buf_printf(w->why, "%s: %s", b->path, *w->answer.text ? w->answer.text : strerror(-rc));
        return rc;
}

/* ---- once ---- */

static void begin(struct work *w, struct copy *c, struct login *l, const struct sync_says *says,
                  struct sync_result *result, struct buf *why)
{
        *w = (struct work){ .copy = c, .login = l, .says = says, .result = result, .why = why, .lock = -1 };
        arena_init(&w->arena, 256 << 20);
}

static void end(struct work *w)
{
        if (w->imap)
                imap_client_close(&w->imap, fiber_cancelled() ? 0 : in_seconds(LOGOUT_PATIENCE));
        state_close(w);
        arena_finish(&w->arena);
}

static bool is_filing(void *context, uint64_t segment)
{
        const struct work *w = context;

        for (size_t i = 0; i < w->n; i++)
                if (w->boxes[i].filing == segment)
                        return true;
        return w->pop_filing == segment;
}

/* Connected, all mailboxes (or `only`), and what waits in Outbox. */
static int pass(struct work *w, const struct str *only, size_t n)
{
        struct buf auto_buf outbox = { 0 };
        unsigned sent = 0;
        int rc = 0;

        if (w->login->how == INCOMING_POP3) {
                rc = pop3_sync(w);
        } else {
                if (!w->imap)
                        rc = imap_begin(w);
                if (rc == 0)
                        rc = imap_pass(w, only, n);
        }
        if (rc < 0)
                return rc;
        if (db_sync(w->db) == 0) /* rows first, then what they are known by */
                copy_tidy(w->copy, is_filing, w);
        buf_init(&outbox, 2048);
        if (outgo_flush(w->copy, w->login, &sent, &outbox) < 0)
                work_state(w, SYNC_WORKING, "Outbox: " PRS, STR(buf_str(&outbox)));
        return 0;
}

int sync_once(struct copy *c, struct login *l, const struct str *only, size_t n, const struct sync_says *says,
              struct sync_result *result, struct buf *why)
{
        struct work w;
        int rc;

        *result = (struct sync_result){ 0 };
        if (l->how == INCOMING_STORE)
                return 0;
        begin(&w, c, l, says, result, why);
        rc = state_open(&w);
        if (rc == 0)
                rc = pass(&w, only, n);
        end(&w);
        work_state(&w, SYNC_OFF, "%s", l->address);
        return rc;
}

/* ---- in the background ---- */

struct sync {
        struct copy *copy;
        struct login *login;
        struct sync_says says;
        struct sync_result result;
        struct work work;
        struct buf why;
        struct fiber *fiber;
        struct waitlist waiting, ended;
        bool wanted, meanwhile, stopping, working, done;
        nsec pause;
};

void sync_now(struct sync *s)
{
        s->wanted = true;
        wake_all(&s->waiting);
        if (s->work.imap && !s->working)
                imap_client_wake(s->work.imap);
}

/* Until somebody wants something, or the deadline. */
static void rest(struct sync *s, nsec deadline)
{
        while (!s->wanted && !s->stopping)
                if (wait_on(&s->waiting, "sync", deadline) < 0)
                        return;
}

/* Passes until one meets no change here: a pass that has changed something itself cannot tell that from what a person did meanwhile. */
static int work(struct sync *s)
{
        int rc;

        buf_clear(&s->why);
        s->working = true;
        rc = s->work.db ? 0 : state_open(&s->work);
        do {
                s->wanted = s->meanwhile = false;
                if (rc == 0)
                        rc = pass(&s->work, NULL, 0);
        } while (rc == 0 && s->meanwhile && !s->stopping);
        s->working = false;
        return rc;
}

static int watch(struct sync *s)
{
        struct imap_folder inbox = { .path = S("INBOX"), .wire = S("INBOX") };
        struct imap_opened opened;
        int rc;

        work_state(&s->work, SYNC_LIVE, "%s", s->login->address);
        if (s->login->how == INCOMING_POP3) {
                rest(s, now() + IDLE_MOST / 2);
                return 0;
        }
        rc = imap_client_select(s->work.imap, &inbox, &opened, &s->work.answer);
        if (rc == 0 && !s->wanted)
                rc = imap_client_idle(s->work.imap, now() + IDLE_MOST);
        if (rc == -ECANCELED && !s->stopping) { /* changed here: more may follow at once */
                (void)fiber_sleep(now() + QUIET);
                return 0;
        }
        return rc == -ETIMEDOUT ? 0 : rc;
}

static void fail(struct sync *s)
{
        int64_t jitter;

        if (s->work.imap)
                imap_client_close(&s->work.imap, 0);
        s->pause = s->pause ? s->pause * 2 : PAUSE_FIRST;
        if (s->pause > PAUSE_MOST)
                s->pause = PAUSE_MOST;
        jitter = s->pause / 4 * (random() % 1000) / 1000;
        work_state(&s->work, SYNC_WAITING, PRS, STR(buf_str(&s->why)));
        s->wanted = false;
        rest(s, now() + s->pause + jitter);
}

static void background(void *arg)
{
        struct sync *s = arg;

        s->fiber = fiber_self();
        while (!s->stopping) {
                int rc = work(s);

                if (rc == 0 && !s->stopping) {
                        s->pause = 0;
                        rc = watch(s);
                }
                if (rc < 0 && !s->stopping)
                        fail(s);
        }
        end(&s->work);
        s->done = true;
        wake_all(&s->ended);
}

static void changed_here(void *context)
{
        struct sync *s = context;

        if (s->working)
                s->meanwhile = true;
        else
                sync_now(s);
}

int sync_start(struct sync **out, struct copy *c, struct login *l, const struct sync_says *says)
{
        struct sync *s;
        int rc;

        *out = NULL;
        if (l->how == INCOMING_STORE)
                return 0;
        s = mem_new(struct sync);
        s->copy = c;
        s->login = l;
        s->says = *says;
        buf_init(&s->why, 4096);
        begin(&s->work, c, l, &s->says, &s->result, &s->why);
        rc = fiber_spawn("sync", background, s);
        if (rc < 0) {
                end(&s->work);
                buf_free(&s->why);
                mem_free(s);
                return rc;
        }
        copy_on_sync(c, changed_here, s);
        *out = s;
        return 0;
}

void sync_stop(struct sync **sp)
{
        struct sync *s = *sp;

        if (!s)
                return;
        copy_on_sync(s->copy, NULL, NULL);
        s->stopping = true;
        wake_all(&s->waiting);
        if (s->fiber && !s->done)
                fiber_cancel(s->fiber);
        while (!s->done && wait_on(&s->ended, "sync's end", NEVER) == 0) {
        }
        buf_free(&s->why);
        mem_free(s);
        *sp = NULL;
}
