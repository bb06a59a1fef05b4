/* Time. Deadlines are absolute, on the monotonic clock, in nanoseconds. Wall time is in microseconds since 1970. */
#pragma once
#include <stdint.h>

typedef int64_t nsec; /* monotonic */
#define NEVER   INT64_MAX
#define SECOND  ((nsec)1000000000)
#define MSECOND ((nsec)1000000)

nsec now(void);
int64_t wall_usec(void);
static inline nsec in_seconds(nsec seconds)
{
        return now() + seconds * SECOND;
}
