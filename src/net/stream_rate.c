#include "net/stream_private.h"

/* A stream takes its portion in advance and waits until its time has come: so those who share a rate take turns. What it took and did not
 * use it gives back. A rate that was not used for a while has no more than SLACK saved up. */
#define PORTION (SECOND / 20)
#define SLACK   (SECOND / 20)

enum { PORTION_LEAST = 512 };

static size_t portion(const struct rate *r, size_t n)
{
        uint64_t most;

        if (!r || r->most == 0)
                return n;
        most = r->most / (uint64_t)(SECOND / PORTION);
        if (most < PORTION_LEAST)
                most = PORTION_LEAST;
        return n < most ? n : (size_t)most;
}

/* When those n bytes may go. */
static nsec reserve(struct rate *r, size_t n, nsec t, nsec *reserved)
{
        nsec from;

        *reserved = 0;
        if (!r || r->most == 0)
                return t;
        from = r->until > t - SLACK ? r->until : t - SLACK;
        *reserved = (nsec)((uint64_t)n * (uint64_t)SECOND / r->most);
        r->until = from + *reserved;
        return from;
}

static bool limited(const struct stream *s)
{
        return (s->rates[0] && s->rates[0]->most) || (s->rates[1] && s->rates[1]->most);
}

size_t stream_allowed(struct stream *s, size_t n)
{
        nsec t, go, second;

        s->allowed = 0;
        if (!limited(s))
                return n;
        n = portion(s->rates[1], portion(s->rates[0], n));
        t = now();
        go = reserve(s->rates[0], n, t, &s->reserved[0]);
        second = reserve(s->rates[1], n, t, &s->reserved[1]);
        if (second > go)
                go = second;
        s->allowed = n;
        for (; t < go && limited(s); t = now()) {
                nsec look = t + SECOND; /* the limit may be lifted meanwhile */

                if (stream_pause(s, 0, "its rate", go < look ? go : look) < 0) {
                        stream_passed(s, 0);
                        return 0;
                }
        }
        return n;
}

void stream_passed(struct stream *s, ssize_t n)
{
        size_t done = n > 0 ? (size_t)n : 0;

        if (s->allowed == 0)
                return;
        for (int i = 0; i < 2; i++)
                if (s->reserved[i])
                        s->rates[i]->until -= s->reserved[i] - (nsec)((double)s->reserved[i] * (double)done /
                                                                      (double)s->allowed);
        s->allowed = 0;
}

void stream_limit(struct stream *s, struct rate *first, struct rate *second)
{
        s->rates[0] = first;
        s->rates[1] = second;
}
