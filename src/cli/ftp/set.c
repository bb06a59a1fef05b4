/* What is toggled, how files go (TYPE, STRU, MODE, FORM), and what all of that is now. */
#include "cli/ftp/ftp.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sysexits.h>
#include <unistd.h>

/* ---- toggles ---- */

static const struct {
        const char *name, *words;
        size_t at;
} toggles[] = {
        { "verbose", "Verbose mode", offsetof(struct console, verbose) },
        { "prompt", "Interactive mode", offsetof(struct console, ask) },
        { "glob", "Globbing", offsetof(struct console, glob) },
        { "bell", "Bell mode", offsetof(struct console, bell) },
        { "tick", "Tick counter printing", offsetof(struct console, tick) },
        { "progress", "Progress bar", offsetof(struct console, progress) },
        { "runique", "Receive unique", offsetof(struct console, unique_local) },
        { "sunique", "Store unique", offsetof(struct console, unique_remote) },
        { "case", "Case mapping", offsetof(struct console, case_down) },
        { "cr", "Carriage Return stripping", offsetof(struct console, cr) },
        { "preserve", "Preserving modification times", offsetof(struct console, preserve) },
        { "foreign", "Data connections of others", offsetof(struct console, foreign) },
        { "hash", "Hash mark printing", offsetof(struct console, hash) },
        { "debug", "Debugging", offsetof(struct console, debug) },
};

static void settle(struct console *c)
{
        for (struct site *s = c->sites; s; s = s->next) {
                ftp_client_coding(s->client, &c->coding);
                ftp_client_data(s->client, c->way, c->foreign);
        }
}

static int toggle(struct console *c, const char *name, int argc, char **argv)
{
        for (size_t i = 0; i < sizeof(toggles) / sizeof(*toggles); i++) {
                bool *is = (bool *)((char *)c + toggles[i].at);
                uint64_t n = 0;

                if (strcmp(toggles[i].name, name) != 0)
                        continue;
                /* a level, as `debug 1` has it: there is one */
                if (argc > 1 && strcmp(argv[1], "on") != 0 && strcmp(argv[1], "off") != 0 &&
                    !str_u64(str_of(argv[1]), &n))
                        return say_fail(c, EX_USAGE, argv[1], "on or off");
                *is = argc > 1 ? n || !strcmp(argv[1], "on") : !*is;
                fprintf(c->out, "%s %s.\n", toggles[i].words, *is ? "on" : "off");
                settle(c);
                return EX_OK;
        }
        return EX_SOFTWARE;
}

int do_toggle(struct console *c, int argc, char **argv)
{
        bool ambiguous;

        return toggle(c, verb_find(argv[0], &ambiguous)->name, argc, argv);
}

/* 500, 500k, 2m, 1g */
static bool bytes_of(const char *word, uint64_t *n)
{
        struct str s = str_of(word);
        char last = s.n ? chr_lower(s.p[s.n - 1]) : 0;
        uint64_t unit = last == 'k' ? 1024 : last == 'm' ? 1024 * 1024 : last == 'g' ? 1024 * 1024 * 1024 : 1;

        s.n -= unit > 1;
        if (!str_u64(s, n) || *n > UINT64_MAX / unit)
                return false;
        *n *= unit;
        return true;
}

/* hash [on|off|BYTES]: a mark for so many */
int do_hash(struct console *c, int argc, char **argv)
{
        static char on[] = "on";
        char *words[] = { argv[0], on, NULL };
        uint64_t n;

        if (argc < 2 || !bytes_of(argv[1], &n) || !n)
                return toggle(c, "hash", argc, argv);
        c->mark = n;
        return toggle(c, "hash", 2, words);
}

int do_debug(struct console *c, int argc, char **argv)
{
        return toggle(c, "debug", argc, argv);
}

/* trace [FILE]: the conversation in the transcript's form, from now on */
int do_trace(struct console *c, int argc, char **argv)
{
        if (c->transcript && c->transcript != stderr)
                fclose(c->transcript);
        if (c->transcript && argc < 2) {
                c->transcript = NULL;
        } else if (argc < 2) {
                c->transcript = stderr;
        } else {
                int fd =
                    openat(c->folder, argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);

                c->transcript = fd < 0 ? NULL : fdopen(fd, "a");
                if (!c->transcript)
                        return say_errno(c, -errno, argv[1]);
        }
        fprintf(c->out, "Tracing %s.\n", c->transcript ? "on" : "off");
        return EX_OK;
}

/* rate BYTES[k|m|g]: at most so many a second */
int do_rate(struct console *c, int argc, char **argv)
{
        uint64_t most;
        char size[32];

        if (argc > 1) {
                if (!bytes_of(argv[1], &most))
                        return say_fail(c, EX_USAGE, argv[1], "not a rate: 500k, 2m, 0 for any");
                c->rate_most = most;
                c->rate = (struct rate){ .most = c->rate_most };
        }
        if (c->rate_most)
                fprintf(c->out, "At most " PRS " a second.\n", STR(size_words(c->rate_most, size)));
        else
                fputs("As fast as it goes.\n", c->out);
        return EX_OK;
}

/* ---- data connections ---- */

static const char *const way_words[] = { "passive (PASV or EPSV)", "passive, PASV", "passive, EPSV",
                                         "active (PORT or EPRT)", "active, without PORT" };

static int way(struct console *c, enum ftp_data_way to)
{
        c->way = to;
        settle(c);
        fprintf(c->out, "Data connections: %s.\n", way_words[c->way]);
        return EX_OK;
}

/* passive [on|off]: toggles, as fingers know; epsv, active likewise */
static bool wants(int argc, char **argv, bool is)
{
        return argc > 1 ? strcmp(argv[1], "off") != 0 : !is;
}

int do_passive(struct console *c, int argc, char **argv)
{
        bool is = c->way != FTP_DATA_ACTIVE && c->way != FTP_DATA_DEFAULT;

        return way(c, wants(argc, argv, is) ? FTP_DATA_AUTO : FTP_DATA_ACTIVE);
}

int do_epsv(struct console *c, int argc, char **argv)
{
        return way(c, wants(argc, argv, c->way == FTP_DATA_EPSV) ? FTP_DATA_EPSV : FTP_DATA_PASV);
}

int do_active(struct console *c, int argc, char **argv)
{
        if (argc > 1 && !strcmp(argv[1], "default"))
                return way(c, FTP_DATA_DEFAULT);
        return way(c, wants(argc, argv, c->way == FTP_DATA_ACTIVE) ? FTP_DATA_ACTIVE : FTP_DATA_AUTO);
}

/* ---- how files go ---- */

static const char *const type_words[] = { "ascii", "ebcdic", "binary", "tenex" };
static const char *const form_words[] = { "non-print", "telnet", "carriage-control" };
static const char *const structure_words[] = { "file", "record", "page" };
static const char *const mode_words[] = { "stream", "block", "compressed", "deflate" };

static int choose(const char *word, const char *const *words, int n)
{
        for (int i = 0; i < n && word; i++)
                if (*word && str_istarts(str_of(words[i]), str_of(word)))
                        return i;
        return -1;
}

static int coding(struct console *c, struct coding want)
{
        const char *why = "";

        if (!coding_allowed(&want, &why))
                return say_fail(c, EX_USAGE, "type", why);
        c->coding = want;
        settle(c);
        if (c->verbose)
                fprintf(c->out, "Type: %s; form: %s; structure: %s; mode: %s\n", type_words[want.type],
                        form_words[want.form], structure_words[want.structure], mode_words[want.mode]);
        return EX_OK;
}

static int set_type(struct console *c, enum ftp_type type, unsigned byte_size)
{
        struct coding want = c->coding;

        want.type = (uint8_t)type;
        want.byte_size = (uint8_t)byte_size;
        if (type != TYPE_ASCII && type != TYPE_EBCDIC)
                want.form = FORM_NONPRINT;
        return coding(c, want);
}

int do_ascii(struct console *c, int argc, char **argv)
{
        (void)argc;
        (void)argv;
        return set_type(c, TYPE_ASCII, 8);
}

int do_binary(struct console *c, int argc, char **argv)
{
        (void)argc;
        (void)argv;
        return set_type(c, TYPE_IMAGE, 8);
}

int do_ebcdic(struct console *c, int argc, char **argv)
{
        (void)argc;
        (void)argv;
        return set_type(c, TYPE_EBCDIC, 8);
}

int do_tenex(struct console *c, int argc, char **argv)
{
        uint64_t n = 8;

        if (argc > 1 && (!str_u64(str_of(argv[1]), &n) || !n || n > 255))
                return say_fail(c, EX_USAGE, argv[1], "a byte has 1 to 255 bits");
        return set_type(c, TYPE_LOCAL, (unsigned)n);
}

int do_type(struct console *c, int argc, char **argv)
{
        int i = argc > 1 ? choose(argv[1], type_words, 4) : -1;

        if (argc < 2)
                return coding(c, c->coding);
        if (i < 0 && (!strcasecmp(argv[1], "image") || !strcasecmp(argv[1], "i")))
                i = TYPE_IMAGE;
        if (i < 0 && (!strcasecmp(argv[1], "local") || !strcasecmp(argv[1], "l")))
                return do_tenex(c, argc - 1, argv + 1);
        return i < 0 ? say_fail(c, EX_USAGE, argv[1], "ascii, ebcdic, binary (image) or tenex (local)")
                     : set_type(c, (enum ftp_type)i, 8);
}

/* struct, mode and form: by one of these words; none shows what it is. */
static int set_by_word(struct console *c, const char *word, const char *const *words, int n, uint8_t *what,
                       const struct coding *want, const char *usage)
{
        int i = word ? choose(word, words, n) : *what;

        if (i < 0)
                return say_fail(c, EX_USAGE, word, usage);
        *what = (uint8_t)i;
        return coding(c, *want);
}

int do_struct(struct console *c, int argc, char **argv)
{
        struct coding want = c->coding;

        return set_by_word(c, argc > 1 ? argv[1] : NULL, structure_words, 3, &want.structure, &want,
                           "file, record or page");
}

int do_mode(struct console *c, int argc, char **argv)
{
        struct coding want = c->coding;
        const char *word = argc > 1 ? argv[1] : NULL;

        if (word && !strcasecmp(word, "z"))
                word = mode_words[MODE_DEFLATE];
        return set_by_word(c, word, mode_words, 4, &want.mode, &want, "stream, block, compressed or deflate");
}

int do_form(struct console *c, int argc, char **argv)
{
        struct coding want = c->coding;

        return set_by_word(c, argc > 1 ? argv[1] : NULL, form_words, 3, &want.form, &want,
                           "non-print, telnet or carriage-control");
}

/* ---- all of it ---- */

static void show_between(struct console *c, const char *what, const struct between *b)
{
        fprintf(c->out, "%s: ", what);
        put_safe(c->out, *b->in ? b->in : "off");
        fputs(*b->in ? " " : "", c->out);
        put_safe(c->out, b->out);
        fputc('\n', c->out);
}

int do_status(struct console *c, int argc, char **argv)
{
        const struct site *s = c->site;

        (void)argc;
        (void)argv;
        if (s->client) {
                fputs("Connected to ", c->out);
                put_safe(c->out, s->where.host);
                fprintf(c->out, ", port %u, %s", s->where.port,
                        ftp_client_tls(s->client) ? ftp_client_tls(s->client)->version : "in clear");
                fputs(s->logged_in ? ", as " : ", not logged in", c->out);
                put_safe(c->out, s->logged_in ? s->where.user : "");
                fputs(".\n", c->out);
                if (*s->folder) {
                        fputs("Remote directory: ", c->out);
                        put_line(c, str_of(s->folder));
                }
        } else {
                fputs("Not connected.\n", c->out);
        }
        do_lpwd(c, argc, argv);
        fprintf(c->out, "Mode: %s; Type: %s; Form: %s; Structure: %s\nData connections: %s.\n",
                mode_words[c->coding.mode], type_words[c->coding.type], form_words[c->coding.form],
                structure_words[c->coding.structure], way_words[c->way]);
        show_between(c, "Nmap", &c->map);
        show_between(c, "Ntrans", &c->trans);
        for (size_t i = 0; i < sizeof(toggles) / sizeof(*toggles); i++)
                fprintf(c->out, "%s: %s%s", toggles[i].words,
                        *(const bool *)((const char *)c + toggles[i].at) ? "on" : "off",
                        i % 3 == 2 || i + 1 == sizeof(toggles) / sizeof(*toggles) ? "\n" : "; ");
        return EX_OK;
}
