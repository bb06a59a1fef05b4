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
        enum child_kind role;
        const char *name;
        size_t port; /* offset in struct settings */
} services[] = {
        { PROTOCOL_SMTP, CHILD_MAIL, "SMTP", offsetof(struct settings, smtp_port) },
        { PROTOCOL_SUBMISSION, CHILD_MAIL, "submission", offsetof(struct settings, submission_port) },
        { PROTOCOL_SUBMISSIONS, CHILD_MAIL, "submissions", offsetof(struct settings, submissions_port) },
        { PROTOCOL_LMTP, CHILD_MAIL, "LMTP", offsetof(struct settings, lmtp_port) },
        { PROTOCOL_ATRN, CHILD_MAIL, "ATRN", offsetof(struct settings, atrn_port) },
        { PROTOCOL_POP3, CHILD_MAIL, "POP3", offsetof(struct settings, pop3_port) },
        { PROTOCOL_POP3S, CHILD_MAIL, "POP3S", offsetof(struct settings, pop3s_port) },
        { PROTOCOL_IMAP, CHILD_MAIL, "IMAP", offsetof(struct settings, imap_port) },
        { PROTOCOL_IMAPS, CHILD_MAIL, "IMAPS", offsetof(struct settings, imaps_port) },
        { PROTOCOL_FTP, CHILD_FILES, "FTP", offsetof(struct settings, ftp_port) },
        { PROTOCOL_FTPS, CHILD_FILES, "FTPS", offsetof(struct settings, ftps_port) },
};
#define SERVICES (sizeof(services) / sizeof(*services))

static long port_of(const struct settings *s, const struct service *v)
{
        return *(const long *)(const void *)((const char *)s + v->port);
}

static int bind_one(struct children *all, const struct service *v, struct addr a)
{
        unsigned workers = v->role == CHILD_FILES ? all->files : all->mail;
        int rc = workers ? listen_probe(a) : 0;

        if (rc < 0) {
                errno = -rc;
                fprintf(stderr, "pail: %s port %u on %s: %m\n", v->name, a.port, addr_text(a).z);
                return rc;
        }
        /* A socket a worker: the kernel spreads connections, and one worker's death leaves the others' queues alone. */
        for (unsigned w = 0; w < workers; w++) {
                int fd = listen_on(a, true, BACKLOG);

                if (fd < 0) {
                        rc = -errno;
                        fprintf(stderr, "pail: %s port %u on %s: %m\n", v->name, a.port, addr_text(a).z);
                        return rc;
                }
                all->listening[all->listening_count++] = (struct listening){ fd, v->protocol, v->role, w };
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
        all->listening = mem_array(most * SERVICES * all->mail + 1, sizeof(*all->listening));
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

/* ---- FTP's data connections: the one thing that a role may ask for ---- */

static bool port_granted(const struct children *all, unsigned index, long port)
{
        const struct settings *s = all->how->settings;

        if (!s->ftp_port && !s->ftps_port)
                return false;
        /* 0, any port: the pair of data port and client's port may still rest in TIME_WAIT */
        if (!port || (s->ftp_port && port == s->ftp_data_port) || (s->ftps_port && port == s->ftps_data_port))
                return true;
        return port >= s->ftp_passive_low && port <= s->ftp_passive_high &&
               (unsigned)(port - s->ftp_passive_low) % all->files == index;
}

static bool address_granted(const struct settings *s, struct addr wanted)
{
        struct str rest = str_of(s->listen), word;
        struct addr a;

        while (rest.n) {
                str_cut(&rest, ' ', &word);
                if (word.n && addr_parse(word, 0, &a) && a.family == wanted.family &&
                    (addr_same_host(a, wanted) || addr_any(a))) /* the kernel knows what is local */
                        return true;
        }
        return false;
}

bool children_bind_for(struct child *c, struct channel_message *m)
{
        auto_buf struct buf answer = { 0 };
        struct addr a;

        if (!start_unpack_bind(m->body, &a) || !port_granted(c->all, c->index, a.port) ||
            !address_granted(c->all->how->settings, a))
                return false;
        int fd = listen_bound(a);

        buf_init(&answer, 4);
        buf_u32(&answer, (uint32_t)(fd < 0 ? fd : 0));
        channel_answer(m, buf_str(&answer), fd);
        if (fd >= 0)
                close(fd);
        return true;
}

/* ---- keys ---- */

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
