/* pail talk: a conversation with a server, by hand. */
#include "cli/talk.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include <sysexits.h>

static const struct service services[] = {
        { "smtp", 25, TALK_SMTP, false },        { "submission", 587, TALK_SMTP, false },
        { "submissions", 465, TALK_SMTP, true }, { "pop3", 110, TALK_POP3, false },
        { "pop3s", 995, TALK_POP3, true },       { "imap", 143, TALK_IMAP, false },
        { "imaps", 993, TALK_IMAP, true },       { "ftp", 21, TALK_FTP, false },
        { "ftps", 990, TALK_FTP, true },         { "smtps", 465, TALK_SMTP, true },
};
enum { SERVICES = sizeof(services) / sizeof(*services) };

const struct service *service_named(struct str name)
{
        for (size_t i = 0; i < SERVICES; i++)
                if (str_ieq(name, str_of(services[i].name)))
                        return &services[i];
        return NULL;
}

/* A demo has the usual ports and 10000, unless it was told another base: then the greeting has to say what it is. */
const struct service *service_at(unsigned port)
{
        for (size_t i = 0; i < SERVICES; i++)
                if (services[i].port == port || services[i].port + 10000 == port)
                        return &services[i];
        return NULL;
}

const char *service_for(enum talk_protocol p, bool tls)
{
        for (size_t i = 0; i < SERVICES; i++)
                if (services[i].protocol == p && services[i].tls == tls)
                        return services[i].name;
        return "smtp";
}

/* ---- the line ---- */

struct line {
        struct talk_how how;
        const char *replay;
        const char *words[3];
        unsigned count;
};

static int usage(const char *what, const char *why)
{
        if (what)
                fprintf(stderr, "pail talk: %s: %s\n", what, why);
        fprintf(stderr, "usage: pail talk HOST PORT|smtp|pop3|imap|ftp ... (pail help talk)\n");
        return EX_USAGE;
}

static int read_line(struct line *l, int argc, char **argv)
{
        struct {
                const char *name;
                const char **value;
                bool *flag;
        } options[] = {
                { "--save", &l->how.save, NULL },       { "--ca", &l->how.ca_file, NULL },
                { "--replay", &l->replay, NULL },       { "--tls", NULL, &l->how.tls },
                { "--explain", NULL, &l->how.explain }, { "--dot-stuff", NULL, &l->how.dot_stuff },
        };

        for (int i = 1; i < argc; i++) {
                size_t k = 0;

                if (argv[i][0] != '-') {
                        if (l->count == 2)
                                return usage(argv[i], "one word too many");
                        l->words[l->count++] = argv[i];
                        continue;
                }
                if (!strcmp(argv[i], "--help"))
                        return -1;
                if (!strcmp(argv[i], "--insecure")) {
                        l->how.trust = KNOWN_ANY;
                        continue;
                }
                while (k < sizeof(options) / sizeof(*options) && strcmp(argv[i], options[k].name) != 0)
                        k++;
                if (k == sizeof(options) / sizeof(*options))
                        return usage(argv[i], "no such option");
                if (options[k].flag)
                        *options[k].flag = true;
                else if (i + 1 < argc)
                        *options[k].value = argv[++i];
                else
                        return usage(argv[i], "something must stand behind it");
        }
        return 0;
}

/* PORT, SERVICE or SERVICE:PORT */
static const struct service *read_service(struct str text, unsigned *port)
{
        struct str name = text;
        const struct service *s;
        uint64_t n = 0;

        if (!str_u64(text, &n)) {
                bool own = str_find(text, ':') != STR_NONE;

                str_cut(&text, ':', &name);
                s = service_named(name);
                if (own && (!str_u64(text, &n) || !n))
                        return NULL;
                n = s && !own ? s->port : n;
        } else {
                s = service_at((unsigned)n);
        }
        *port = n <= 65535 ? (unsigned)n : 0;
        return s;
}

/* HOST and where there; both or, for a replay, neither. */
static int where(struct line *l)
{
        const struct service *s;

        if (!l->count && l->replay)
                return 0;
        if (l->count != 2)
                return usage(NULL, NULL);
        l->how.host = l->words[0];
        s = read_service(str_of(l->words[1]), &l->how.port);
        if (!l->how.port || (!s && str_find(str_of(l->words[1]), ':') != STR_NONE))
                return usage(
                    l->words[1],
                    "neither a port nor smtp, submission, pop3, imap, ftp or one of these with an s");
        if (s) {
                l->how.protocol = s->protocol;
                l->how.tls = l->how.tls || s->tls;
        }
        return 0;
}

static int run(void *arg)
{
        struct line *l = arg;

        return l->replay ? talk_replay(&l->how, l->replay) : talk_live(&l->how);
}

int verb_talk(int argc, char **argv)
{
        struct line l = { .how = { .trust = KNOWN_ASK, .colour = terminal_is(1) } };
        int rc = read_line(&l, argc, argv);

        if (rc < 0)
                return cli_help("talk");
        rc = rc ? rc : where(&l);
        return rc ? rc : client_run("talk", run, &l);
}
