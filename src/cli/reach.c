#include "cli/reach.h"
#include "base/mem.h"
#include "net/dial.h"
#include "run/offload.h"

#include <errno.h>
#include <netdb.h>

struct lookup {
        const char *host;
        unsigned port;
        struct addr to[DIAL_MOST];
        unsigned count;
};

static int look_up(void *arg)
{
        struct lookup *l = arg;
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *list = NULL;
        int rc = getaddrinfo(l->host, NULL, &hints, &list);

        for (struct addrinfo *i = list; i && l->count < DIAL_MOST; i = i->ai_next) {
                struct addr a = addr_of(i->ai_addr);

                if (!a.family)
                        continue;
                a.port = (uint16_t)l->port;
                l->to[l->count++] = a;
        }
        if (list)
                freeaddrinfo(list);
        return rc ? rc : l->count ? 0 : EAI_NONAME;
}

int reach(const char *host, unsigned port, nsec patience, struct conn **out, struct buf *why)
{
        struct lookup *l = mem_new(struct lookup);
        unsigned which;
        int rc = 0;

        *out = NULL;
        *l = (struct lookup){ .host = host, .port = port, .count = 1 };
        if (!addr_parse(str_of(host), (uint16_t)port, &l->to[0])) {
                l->count = 0;
                rc = offload(LONG, look_up, l);
        }
        if (rc) {
                buf_printf(why, "%s: %s", host, gai_strerror(rc));
                rc = rc == EAI_AGAIN ? -EAGAIN : -EHOSTUNREACH;
        } else {
                rc = dial_any(&(struct dial){ .to = l->to, .count = l->count }, now() + patience, out, &which,
                              why);
                if (rc < 0 && !why->n)
                        buf_printf(why, "%s: %s", host, strerror(-rc));
        }
        mem_free(l);
        return rc;
}
