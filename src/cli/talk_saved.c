/* A conversation as a dialog test (tests/dialog/README.md). A secret is written as a variable; the same one always as the same. */
#include "base/buf.h"
#include "base/mem.h"
#include "cli/talk.h"
#include "proto/transcript.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { SECRETS_MOST = 32, TEXT_MOST = 1024 * 1024 };

struct saved {
        FILE *file;
        bool told; /* what stands for a secret */
        unsigned count, passwords, others;
        struct {
                char *value;
                char name[20];
        } secrets[SECRETS_MOST];
};

int saved_open(struct saved **out, const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;

        *out = NULL;
        if (fd < 0)
                return -errno;
        *out = mem_new(struct saved);
        (*out)->file = fdopen(fd, "w");
        if ((*out)->file)
                return 0;
        rc = -errno;
        close(fd);
        mem_free(*out);
        *out = NULL;
        return rc;
}

static void put(struct saved *s, enum transcript_kind kind, struct str text)
{
        struct buf auto_buf out = { 0 };

        buf_init(&out, TEXT_MOST);
        transcript_keep(&out, kind, 1, text);
        fwrite(out.p, 1, out.n, s->file);
        fflush(s->file);
}

void saved_directive(struct saved *s, const char *text)
{
        if (s)
                put(s, TRANSCRIPT_DIRECTIVE, str_of(text));
}

void saved_data(struct saved *s, char who, struct str line)
{
        if (!s)
                return;
        if (who == 'D') {
                put(s, TRANSCRIPT_DATA, line);
                return;
        }
        fputs("data send \"", s->file);
        for (size_t i = 0; i < line.n; i++) {
                unsigned char c = (unsigned char)line.p[i];

                if (c == '"' || c == '\\')
                        fprintf(s->file, "\\%c", c);
                else if (c < 32 || c > 126)
                        fprintf(s->file, "\\x%02x", c);
                else
                        fputc(c, s->file);
        }
        fputs("\\r\\n\"\n", s->file);
        fflush(s->file);
}

void saved_connect(struct saved *s, const struct talk_how *how, enum talk_protocol p, struct addr peer)
{
        const char *name = service_for(p, how->tls);

        if (!s)
                return;
        fprintf(s->file, "# with %s, port %u\n", how->host, how->port);
        fprintf(s->file, "connect %s %s%s\n", name, addr_text(peer).z,
                how->tls && !service_named(str_of(name))->tls ? " tls" : "");
}

void saved_server(struct saved *s, struct str line)
{
        if (s)
                put(s, TRANSCRIPT_SERVER, line);
}

/* The name of the variable that stands for it. */
static const char *name_of(struct saved *s, struct str secret, bool password)
{
        unsigned *n = password ? &s->passwords : &s->others, i;

        for (i = 0; i < s->count; i++)
                if (str_eq(str_of(s->secrets[i].value), secret))
                        return s->secrets[i].name;
        if (s->count == SECRETS_MOST)
                return "secret";
        s->count++;
        ++*n;
        s->secrets[i].value = mem_string(secret);
        if (*n > 1)
                snprintf(s->secrets[i].name, sizeof(s->secrets[i].name), "%s-%u",
                         password ? "password" : "secret", *n);
        else
                snprintf(s->secrets[i].name, sizeof(s->secrets[i].name), "%s",
                         password ? "password" : "secret");
        return s->secrets[i].name;
}

void saved_client(struct saved *s, struct str line, size_t shown, bool password)
{
        struct buf auto_buf out = { 0 };

        if (!s)
                return;
        if (shown >= line.n) {
                put(s, TRANSCRIPT_CLIENT, line);
                return;
        }
        if (!s->told)
                fprintf(s->file, "# What stands in braces was not written down: pail talk --replay asks for "
                                 "it, the dialog runner takes "
                                 "--variable NAME=VALUE.\n");
        s->told = true;
        buf_init(&out, TEXT_MOST);
        transcript_keep(&out, TRANSCRIPT_CLIENT, 1, str_sub(line, 0, shown));
        if (str_starts(buf_str(&out), S("C: "))) { /* its line end goes */
                fwrite(out.p, 1, out.n - 1, s->file);
                fprintf(s->file, "{%s}\n", name_of(s, str_from_at(line, shown), password));
        }
        fflush(s->file);
}

int saved_close(struct saved **s)
{
        int rc = 0;

        if (!*s)
                return 0;
        if (ferror((*s)->file))
                rc = -EIO;
        if (fclose((*s)->file) != 0)
                rc = -errno;
        for (unsigned i = 0; i < (*s)->count; i++) {
                explicit_bzero((*s)->secrets[i].value, strlen((*s)->secrets[i].value));
                mem_free((*s)->secrets[i].value);
        }
        mem_free(*s);
        *s = NULL;
        return rc;
}
