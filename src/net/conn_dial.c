#include "net/conn_private.h"

#include <errno.h>
#include <unistd.h>

static int start(int fd, struct addr to, const struct addr *from)
{
        struct sockaddr_storage sa;
        socklen_t n;
        int on = 1;

        if (from) {
                n = addr_to(*from, &sa);
                if (from->port)
                        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
                if (bind(fd, (struct sockaddr *)&sa, n) < 0)
                        return -errno;
        }
        n = addr_to(to, &sa);
        if (connect(fd, (struct sockaddr *)&sa, n) < 0 && errno != EINPROGRESS)
                return -errno;
        return 0;
}

void conn_share_port(struct conn *c)
{
        int on = 1;

        setsockopt(c->watch.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

int conn_dial(struct addr to, const struct addr *from, nsec deadline, struct conn **out)
{
        int fd = socket(to.family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int rc, error = 0;
        socklen_t n = sizeof(error);
        struct sockaddr_storage sa = { 0 };
        struct conn *c;

        *out = NULL;
        if (fd < 0)
                return -errno;
        rc = start(fd, to, from);
        if (rc < 0) {
                close(fd);
                return rc;
        }
        c = conn_new(fd, to, (struct addr){ 0 });
        if (!c)
                return -EMFILE;
        c->writable = false; /* its edge says that the connection stands, or not */
        while (rc == 0 && !c->writable)
                rc = conn_wait(c, EPOLLOUT, "connect", deadline);
        if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0)
                rc = -error;
        if (rc < 0) {
                c->failed = true;
                conn_free(&c);
                return rc;
        }
        n = sizeof(sa);
        if (getsockname(fd, (struct sockaddr *)&sa, &n) == 0)
                c->local = addr_of((struct sockaddr *)&sa);
        *out = c;
        return 0;
}
