/* The supervisor's ports and keys: all that has to be done with its rights, and nothing parsed. */
#include "net/listen.h"
#include "proto/session.h"
#include "role/children.h"
#include "run/log.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define BACKLOG 1024

static const struct service {
        enum protocol protocol;
        const char *name;
        size_t port; /* offset in struct settings */
} services[] = {
        { PROTOCOL_SMTP, "SMTP", offsetof(struct settings, smtp_port) },
        { PROTOCOL_SUBMISSION, "submission", offsetof(struct settings, submission_port) },
        { PROTOCOL_SUBMISSIONS, "submissions", offsetof(struct settings, submissions_port) },
        { PROTOCOL_POP3, "POP3", offsetof(struct settings, pop3_port) },
        { PROTOCOL_POP3S, "POP3S", offsetof(struct settings, pop3s_port) },
        { PROTOCOL_IMAP, "IMAP", offsetof(struct settings, imap_port) },
        { PROTOCOL_IMAPS, "IMAPS", offsetof(struct settings, imaps_port) },
};
#define SERVICES (sizeof(services) / sizeof(*services))

static long port_of(const struct settings *s, const struct service *v)
{
        return *(const long *)(const void *)((const char *)s + v->port);
}

static int bind_one(struct children *all, const struct service *v, struct addr a)
{
        int rc = listen_probe(a);

        if (rc < 0) {
                errno = -rc;
                fprintf(stderr, "pail: %s port %u on %s: %m\n", v->name, a.port, addr_text(a).z);
                return rc;
        }
        /* A socket a worker: the kernel spreads connections, and one worker's death leaves the others' queues alone. */
        for (unsigned w = 0; w < all->count - 1; w++) {
                int fd = listen_on(a, true, BACKLOG);

                if (fd < 0) {
                        rc = -errno;
                        fprintf(stderr, "pail: %s port %u on %s: %m\n", v->name, a.port, addr_text(a).z);
                        return rc;
                }
                all->listening[all->listening_count++] = (struct listening){ fd, v->protocol, w };
        }
        return 0;
}

int children_bind(struct children *all)
{
        const struct settings *s = all->how->settings;
        struct str rest = str_of(s->listen), word;
        size_t most = 0;
        int rc = 0;

        for (struct str count = rest; count.n; most++)
                str_cut(&count, ' ', &word);
        if (most * SERVICES > START_MOST_FDS) {
                fprintf(stderr, "pail: listen: %zu addresses are too many\n", most);
                return -EINVAL;
        }
        all->listening = mem_array(most * SERVICES * (all->count - 1) + 1, sizeof(*all->listening));
        while (rest.n && !rc) {
                struct addr a;

                str_cut(&rest, ' ', &word);
                if (!word.n)
                        continue;
                if (!addr_parse(word, 0, &a)) {
                        fprintf(stderr, "pail: listen: " PRS " is no address\n", STR(word));
                        return -EINVAL;
                }
                for (size_t i = 0; i < SERVICES && !rc; i++) {
                        a.port = (uint16_t)port_of(s, &services[i]);
                        if (a.port)
                                rc = bind_one(all, &services[i], a);
                }
        }
        if (!rc && !all->listening_count) {
                fprintf(stderr, "pail: no service has a port: nothing to do\n");
                rc = -EINVAL;
        }
        return rc;
}

static int open_key(const char *setting, const char *standard)
{
        const char *path = setting && *setting ? setting : standard;
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 && !(errno == ENOENT && path == standard))
                log_warn("key", "file=%s why=\"%m\"", log_str(str_of(path)));
        return fd;
}

void children_open_keys(struct children *all)
{
        int certificate = open_key(all->how->settings->tls_certificate, "keys/tls.pem");
        int key = open_key(all->how->settings->tls_key, "keys/tls.key");

        if (certificate < 0 || key < 0) { /* at SIGHUP: keep what we have */
                if (certificate >= 0)
                        close(certificate);
                if (key >= 0)
                        close(key);
                return;
        }
        if (all->certificate >= 0)
                close(all->certificate);
        if (all->key >= 0)
                close(all->key);
        all->certificate = certificate;
        all->key = key;
}
