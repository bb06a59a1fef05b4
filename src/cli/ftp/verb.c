/* pail ftp: options, the first host, then the prompt, a script, or one transfer. */
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/ftp/ftp.h"
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

enum { ARGUMENTS_MOST = 64 * 1024 * 1024 };
struct line {
        int argc;
        char **argv;
        int at;
        struct console *console;
        bool active, verbose, help;
};

/* Letters may stand together: -inv. false, said: that is none. */
static bool letters(struct line *l, const char *word)
{
        struct console *c = l->console;

        for (word++; *word; word++)
                switch (*word) {
                case 'n': c->auto_login = false; break;
                case 'v': l->verbose = true; break;
                case 'i': c->ask = false; break;
                case 'g': c->glob = false; break;
                case 'd': c->debug = true; break;
                case 'p': c->way = FTP_DATA_AUTO; break;
                case 'A': c->way = FTP_DATA_ACTIVE; break;
                case 'e': /* no line editing: only where there is a terminal it would be */ break;
                case 'h': l->help = true; break;
                case 'N':
                        c->netrc = word[1] ? word + 1 : l->at + 1 < l->argc ? l->argv[++l->at] : NULL;
                        if (!c->netrc)
                                return say_fail(c, 0, "-N", "which file?"), false;
                        return true;
                default: fprintf(stderr, "pail ftp: -%c: no such option\n", *word); return false;
                }
        return true;
}

static void tls(struct console *c, enum ftp_client_tls how)
{
        c->tls = how;
        c->tls_said = true;
}

/* For its owner alone: names and paths are in it. */
static FILE *open_trace(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
        FILE *f = fd < 0 ? NULL : fdopen(fd, "a");

        if (!f && fd >= 0)
                close(fd);
        return f;
}

/* How many words were taken; 0: it is none of these. */
static int long_option(struct console *c, struct line *l, const char *word, const char *value)
{
        static char rate[] = "rate";
        char *words[] = { rate, (char *)value };

        if (!strcmp(word, "--tls"))
                return tls(c, FTP_TLS_MUST), 1;
        if (!strcmp(word, "--no-tls"))
                return tls(c, FTP_CLEAR), 1;
        if (!strcmp(word, "--tls-at-once"))
                return tls(c, FTP_TLS_AT_ONCE), 1;
        if (!strcmp(word, "--insecure"))
                return c->policy = KNOWN_ANY, 1;
        if (!strcmp(word, "--active"))
                return c->way = FTP_DATA_ACTIVE, 1;
        if (!strcmp(word, "--times"))
                return c->preserve = true, 1;
        if (!strcmp(word, "--verbose"))
                return l->verbose = true, 1;
        if (!strcmp(word, "--help"))
                return l->help = true, 1;
        if (!strcmp(word, "--ca") && value)
                return c->ca_file = value, 2;
        if (!strcmp(word, "--trace") && value)
                return (c->transcript = open_trace(value)) ? 2 : 0;
        if (!strcmp(word, "--rate") && value) {
                FILE *out = c->out;
                int rc;

                c->out = fopen("/dev/null", "we"); /* it would say what it is now */
                rc = c->out ? do_rate(c, 2, words) : EX_OSERR;
                if (c->out)
                        fclose(c->out);
                c->out = out;
                return rc == EX_OK ? 2 : 0;
        }
        return 0;
}

/* Those in front of the first word. false: said. */
static bool options(struct line *l)
{
        for (; l->at < l->argc && l->argv[l->at][0] == '-' && l->argv[l->at][1]; l->at++) {
                const char *word = l->argv[l->at];
                int n = 1;

                if (!strcmp(word, "--")) {
                        l->at++;
                        return true;
                }
                if (word[1] != '-') {
                        if (!letters(l, word))
                                return false;
                        continue;
                }
                n = long_option(l->console, l, word, l->at + 1 < l->argc ? l->argv[l->at + 1] : NULL);
                if (!n)
                        return say_fail(l->console, 0, word, "no such option, or without its value"), false;
                l->at += n - 1;
        }
        return true;
}

/* Behind get, put, ls, mirror our long options may stand too. Returns how many words are left. */
static int others(struct line *l, char **words, int n)
{
        int kept = 0;

        for (int i = 0, taken; i < n; i += taken) {
                taken = i && !strncmp(words[i], "--", 2)
                            ? long_option(l->console, l, words[i], i + 1 < n ? words[i + 1] : NULL)
                            : 0;
                if (!taken) {
                        words[kept++] = words[i];
                        taken = 1;
                }
        }
        return kept;
}

static int usage(void)
{
        fputs("usage: pail ftp [OPTION]... [[USER@]HOST[:PORT][/PATH] [PORT]]\n"
              "       pail ftp get URL... [LOCAL] | put LOCAL... URL | ls [--json] URL | mirror FROM TO\n"
              "(pail help ftp tells more)\n",
              stderr);
        return EX_USAGE;
}

static int session(struct line *l)
{
        struct console *c = l->console;
        char *words[] = { l->argv[0], NULL, NULL, NULL };
        int n = 1;

        c->session = true;
        c->prompts = terminal_is(STDIN_FILENO);
        c->verbose = l->verbose || c->prompts;
        while (l->at < l->argc && n < 3)
                words[n++] = l->argv[l->at++];
        if (l->at < l->argc)
                return usage();
        if (n > 1) {
                int rc;

                terminal_on_interrupt(console_stop, c);
                rc = do_open(c, n, words);
                c->code = c->code ? c->code : rc;
                fflush(c->out);
        }
        return console_run(c);
}

static int body(void *arg)
{
        struct line *l = arg;
        struct console *c = l->console;
        char **words = l->argv + l->at;
        int n = l->argc - l->at, rc;

        if (n && once_is(words[0])) {
                n = others(l, words, n);
                c->verbose = l->verbose;
                rc = once(c, n, words);
                rc = rc < 0 ? usage() : rc;
        } else {
                rc = session(l);
        }
        if ((fflush(stdout) != 0 || ferror(stdout)) && rc == EX_OK) {
                fprintf(stderr, "pail ftp: stdout: not all could be written\n");
                rc = EX_IOERR;
        }
        console_finish(c);
        return rc;
}

/* Passwords in URLs are taken out of what `ps` shows; the words live on in words of our own. */
static char **hide_secrets(int argc, char **argv, struct arena *a)
{
        char **own = arena_array(a, char *, (size_t)argc + 1);

        for (int i = 0; i < argc; i++) {
                size_t at, n;

                own[i] = argv[i];
                if (!where_secret(argv[i], &at, &n))
                        continue;
                own[i] = (char *)arena_str(a, str_of(argv[i])).p;
                for (size_t k = 0; k < n; k++)
                        argv[i][at + k] = 'X';
        }
        own[argc] = NULL;
        return own;
}

int verb_ftp(int argc, char **argv)
{
        struct console *c = mem_new(struct console);
        struct arena auto_arena a = { 0 };
        struct line l = { argc, argv, 1, c, false, false, false };
        int rc;

        arena_init(&a, ARGUMENTS_MOST);
        l.argv = hide_secrets(argc, argv, &a);

        console_init(c, stdout);
        if (!options(&l))
                rc = usage();
        else if (l.help)
                rc = cli_help("ftp");
        else
                rc = client_run("ftp", body, &l);
        mem_free(c);
        return rc;
}
