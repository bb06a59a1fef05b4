#include "base/time.h"
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
        struct timespec t;

        clock_gettime(clock, &t);
        return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

nsec now(void)
{
        return read_clock(CLOCK_MONOTONIC);
}

int64_t wall_usec(void)
{
        return read_clock(CLOCK_REALTIME) / 1000;
}
