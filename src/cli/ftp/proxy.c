/* proxy: a second server, and files straight between both (RFC 959 §2.3, figure 2). get, mget: from the first to the second; put, mput: back.
 * Bytes do not pass this machine, so both must allow data connections of others, and neither conversation may be TLS. */
#include "cli/ftp/ftp.h"
#include <errno.h>
#include <sysexits.h>

enum { ARENA_MOST = 64 * 1024 * 1024 };

/* "227 Entering Passive Mode (h1,h2,h3,h4,p1,p2)": the six numbers as they stand; they are PORT's. */
static bool six_numbers(struct str text, char to[static 32])
{
        size_t at = 0, n = 0;
        unsigned commas = 0;

        while (at < text.n && (text.p[at] < '0' || text.p[at] > '9'))
                at++;
        for (; at < text.n && n < 31 && (text.p[at] == ',' || (text.p[at] >= '0' && text.p[at] <= '9'));
             at++) {
                commas += text.p[at] == ',';
                to[n++] = text.p[at];
        }
        to[n] = 0;
        return commas == 5;
}

static int final_answer(struct site *s, struct ftp_answer *a)
{
        int rc;

        do
                rc = ftp_client_answer(s->client, a);
        while (rc == 0 && a->code < 200);
        return rc;
}

/* STOR and RETR run at once: both are asked, then both heard. */
static int move(struct console *c, struct site *from, struct site *to, const char *remote, const char *name)
{
        const char *type = c->coding.type == TYPE_ASCII ? "A" : "I";
        struct ftp_answer a = { 0 }, b = { 0 };
        char port[32];
        int rc, sent, got;

        rc = site_ask(from, NULL, "TYPE %s", type);
        rc = rc ? rc : site_ask(to, NULL, "TYPE %s", type);
        rc = rc ? rc : site_ask(to, &a, "PASV");
        if (rc)
                return rc;
        if (!six_numbers(str_of(a.text), port))
                return say_fail(c, EX_PROTOCOL, to->where.host, "no address in its answer to PASV");
        rc = site_ask(from, NULL, "PORT %s", port);
        if (rc)
                return rc;
        rc = ftp_client_ask_ahead(to->client, "STOR %s", name);
        if (rc == 0) /* what is written ahead goes out with the next reading, and that is the other's */
                rc = conn_flush(ftp_client_conn(to->client), in_seconds(60));
        if (rc < 0)
                return site_failed(to, rc, &a, name);
        rc = ftp_client_ask_ahead(from->client, "RETR %s", remote);
        got = rc < 0 ? rc : final_answer(from, &a);
        if (got < 0) /* nobody will connect: it need not wait for that */
                if (ftp_client_ask_ahead(to->client, "ABOR") == 0)
                        (void)!conn_flush(ftp_client_conn(to->client), in_seconds(60));
        sent = final_answer(to, &b);
        if (got < 0) {
                struct ftp_answer rest;

                (void)!final_answer(to, &rest);
                return site_failed(from, got, &a, remote);
        }
        return sent < 0 ? site_failed(to, sent, &b, name) : EX_OK;
}

static int between(struct console *c, bool back, bool many, int argc, char **argv)
{
        struct arena auto_arena a = { 0 };
        struct site *from = back ? &c->second : &c->first, *to = back ? &c->first : &c->second;
        struct str *names;
        size_t n = 1;
        int code = EX_OK;

        if (!from->client || !to->client || !from->logged_in || !to->logged_in)
                return say_fail(c, EX_UNAVAILABLE, "proxy",
                                "both servers must be open: open A, proxy open B");
        if (ftp_client_tls(from->client) || ftp_client_tls(to->client))
                return say_fail(c, EX_UNAVAILABLE, "proxy",
                                "not with TLS: their data connection could not be checked by anybody");
        arena_init(&a, ARENA_MOST);
        if (!many)
                return move(c, from, to, argv[1], argc > 2 ? argv[2] : arena_str(&a, local_base(argv[1])).p);
        code = remote_names(from, argc - 1, argv + 1, true, &a, &names, &n);
        for (size_t i = 0; i < n && !c->stopped && from->client && to->client; i++) {
                const char *name = arena_str(&a, names[i]).p;
                int rc = move(c, from, to, name, arena_str(&a, local_base(name)).p);

                code = code ? code : rc;
        }
        return code;
}

int do_proxy(struct console *c, int argc, char **argv)
{
        struct arena auto_arena a = { 0 };
        const struct ftp_verb *v;
        bool ambiguous;
        int code;

        if (argc < 2) {
                c->site = c->site == &c->second ? &c->first : &c->second;
                fprintf(c->out, "Commands go to the %s server.\n",
                        c->site == &c->second ? "second" : "first");
                return EX_OK;
        }
        v = verb_find(argv[1], &ambiguous);
        if (v && argc > 2 && (v->run == do_get || v->run == do_mget))
                return between(c, false, v->run == do_mget, argc - 1, argv + 1);
        if (v && argc > 2 && (v->run == do_put || v->run == do_mput))
                return between(c, true, v->run == do_mput, argc - 1, argv + 1);
        arena_init(&a, LINE_MOST);
        c->site = &c->second;
        code = console_line(c, arena_str(&a, c->rest).p);
        c->site = &c->first;
        return code;
}
