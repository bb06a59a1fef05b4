/* For tests that run fibers. */
#pragma once
#include "unit.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/offload.h"

/* What happened, in order: every test notes letters and compares the whole text at its end. */
static char story[256];

static inline void note(const char *what)
{
        size_t n = strlen(story);

        assert_true(n + strlen(what) < sizeof story);
        memcpy(story + n, what, strlen(what) + 1);
}

static inline void spawn(fiber_fn *fn, void *arg)
{
        assert_int_equal(fiber_spawn("test", fn, arg), 0);
}

/* Until every fiber has ended. */
static inline void run_all(void)
{
        loop_stop();
        loop_run();
        assert_int_equal(fiber_count(), 0);
}

static inline int begin(void **state)
{
        (void)state;
        story[0] = '\0';
        loop_init();
        return 0;
}

static inline int finish(void **state)
{
        (void)state;
        offload_finish();
        loop_finish();
        return 0;
}
