/* Lines: cut into words, looked up, run; by a person at the prompt or from stdin. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "cli/cli.h"
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

enum { ARENA_MOST = 1024 * 1024, TRIES = 5 };

void console_init(struct console *c, FILE *out)
{
        *c = (struct console){
                .out = out,
                .glob = true,
                .ask = true,
                .progress = true,
                .auto_login = true,
                .cr = true,
                .coding = { .type = TYPE_IMAGE, .byte_size = 8, .level = 6, .code_page = "IBM-1047" },
                .mark = 1024,
                .tries = TRIES,
                .folder = open(".", O_DIRECTORY | O_RDONLY | O_CLOEXEC),
        };
        site_init(&c->first, c);
        site_init(&c->second, c);
        c->site = &c->first;
        c->job_end = &c->jobs;
}

void console_finish(struct console *c)
{
        jobs_finish(c);
        while (c->sites)
                site_close(c->sites);
        while (c->macros) {
                struct macro *m = c->macros;

                c->macros = m->next;
                mem_free(m->name);
                mem_free(m->text);
                mem_free(m);
        }
        if (c->transcript && c->transcript != stderr && !c->background)
                fclose(c->transcript);
        if (c->folder >= 0)
                close(c->folder);
        explicit_bzero(c->first.where.password, NAME_ROOM);
        explicit_bzero(c->second.where.password, NAME_ROOM);
}

void console_copy(struct console *to, const struct console *c, FILE *out)
{
        *to = *c;
        to->out = out;
        to->background = true;
        to->prompts = to->stopped = to->ended = false;
        to->code = 0;
        to->transcript = NULL;
        to->sites = NULL;
        to->dials = NULL;
        to->macros = NULL;
        to->jobs = NULL;
        to->job_end = &to->jobs;
        to->prompt = NULL;
        to->helpers = NULL;
        to->depth = 0;
        to->folder = fcntl(c->folder, F_DUPFD_CLOEXEC, 0);
        site_init(&to->first, to);
        site_init(&to->second, to);
        to->site = &to->first;
        to->first.where = c->site->where;
        mem_copy(to->first.folder, PATH_ROOM, str_from(c->site->folder, strlen(c->site->folder) + 1));
}

/* On the loop. What waits in a site's client gives -ECANCELED; commands look at `stopped` between two steps. */
void console_stop(void *console)
{
        struct console *c = console;

        c->stopped = true;
        for (struct site *s = c->sites; s; s = s->next)
                if (s->client)
                        ftp_client_stop(s->client);
        site_dials_stop(c);
        if (c->helpers)
                console_stop(c->helpers);
}

/* ---- words ---- */

int words_of(struct str line, char ***words, struct arena *a)
{
        struct buf auto_buf word = { 0 };
        size_t at = 0;
        int n = 0;

        *words = arena_array(a, char *, WORDS_MOST + 1);
        buf_init(&word, LINE_MOST);
        for (;;) {
                char quote = 0;

                while (at < line.n && (line.p[at] == ' ' || line.p[at] == '\t'))
                        at++;
                if (at >= line.n)
                        return n;
                if (n == WORDS_MOST)
                        return -E2BIG;
                buf_clear(&word);
                if (line.p[at] == '|') {
                        buf_puts(&word, str_from_at(line, at));
                        at = line.n;
                }
                for (; at < line.n; at++) {
                        char c = line.p[at];

                        if (c == '\\' && quote != '\'' && at + 1 < line.n)
                                c = line.p[++at];
                        else if (quote ? c == quote : c == '"' || c == '\'') {
                                quote = quote ? 0 : c;
                                continue;
                        } else if (!quote && (c == ' ' || c == '\t'))
                                break;
                        buf_u8(&word, (uint8_t)c);
                }
                if (quote)
                        return -EINVAL;
                if (word.full || (word.n && memchr(word.p, 0, word.n)))
                        return -E2BIG;
                (*words)[n++] = (char *)arena_str(a, buf_str(&word)).p;
        }
}

/* ---- one line ---- */

static int usage(struct console *c, const struct ftp_verb *v)
{
        fprintf(c->background ? c->out : stderr, "usage: %s %s\n", v->name, v->usage);
        return EX_USAGE;
}

/* Question number i of a verb: "(remote-file) ". false: it has not so many. */
static bool question(const struct ftp_verb *v, int i, char text[static NAME_ROOM])
{
        struct str rest = str_of(v->asks ? v->asks : ""), one = S("");

        do
                str_cut(&rest, '\n', &one);
        while (i-- > 0 && (one.n || rest.n));
        snprintf(text, NAME_ROOM, "(" PRS ") ", STR(one));
        return one.n > 0;
}

/* Words that must be there are asked for, and then those that may be: they are put behind the line. false: there is no answer. */
static bool ask_words(struct console *c, const struct ftp_verb *v, int n, struct arena *a)
{
        struct buf auto_buf answer = { 0 };
        char text[NAME_ROOM];
        struct str word;
        char **words;

        buf_init(&answer, LINE_MOST);
        for (int had = n; question(v, n, text); n = had) {
                fflush(c->out);
                if (!terminal_ask(text, true, &answer))
                        return false;
                word = str_trim(buf_str(&answer));
                c->rest = arena_printf(a, PRS "%s" PRS, STR(c->rest), c->rest.n ? " " : "", STR(word));
                had = words_of(c->rest, &words, a);
                if (had <= n)
                        break;
        }
        return words_of(c->rest, &words, a) >= v->least;
}

/* argv[0] is the verb as typed. */
static int run_verb(struct console *c, const struct ftp_verb *v, const char *typed, struct arena *a)
{
        char **words, **argv;
        int n = words_of(c->rest, &words, a);

        if (n >= 0 && v->needs & NEEDS_SITE && !c->site->client) {
                fputs("Not connected.\n", c->background ? c->out : stderr);
                return EX_UNAVAILABLE;
        }
        if (n >= 0 && n < v->least && c->prompts && ask_words(c, v, n, a))
                n = words_of(c->rest, &words, a);
        if (n < 0)
                return say_fail(c, EX_USAGE, v->name, n == -EINVAL ? "a quote has no end" : "too many words");
        if (n < v->least || (v->most >= 0 && n > v->most))
                return usage(c, v);
        argv = arena_array(a, char *, (size_t)n + 2);
        argv[0] = (char *)typed;
        for (int i = 0; i < n; i++)
                argv[i + 1] = words[i];
        return v->run(c, n + 1, argv);
}

/* !command and $macro need no blank behind their sign. */
static struct str first_word(struct str *line)
{
        size_t n = 0;

        *line = str_trim(*line);
        if (line->n && str_find(S("!$?"), line->p[0]) != STR_NONE)
                n = 1;
        while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t' &&
               !(n == 1 && str_find(S("!$?"), line->p[0]) != STR_NONE))
                n++;
        return str_sub(*line, 0, n);
}

static int run_line(struct console *c, struct str line, struct arena *a)
{
        const struct ftp_verb *v;
        struct str word = first_word(&line);
        struct str before = c->line, rest_before = c->rest;
        bool ambiguous;
        int code;

        if (!word.n || word.p[0] == '#')
                return EX_OK;
        v = verb_find(arena_str(a, word).p, &ambiguous);
        if (!v)
                return say_fail(c, EX_USAGE, arena_str(a, word).p,
                                ambiguous ? "?Ambiguous command" : "?Invalid command");
        c->line = line;
        c->rest = str_trim(str_from_at(line, word.n));
        code = v->run == do_shell ? do_shell(c, 1, NULL) : run_verb(c, v, arena_str(a, word).p, a);
        c->line = before;
        c->rest = rest_before;
        return code;
}

/* "-command": its failure does not count. "command &": in the background. */
int console_line(struct console *c, const char *typed)
{
        struct arena auto_arena a = { 0 };
        struct str line = str_trim(str_of(typed));
        bool forgiven = line.n > 1 && line.p[0] == '-';
        int code;

        arena_init(&a, ARENA_MOST);
        if (forgiven)
                line = str_from_at(line, 1);
        if (str_ends(line, S(" &")) && line.p[0] != '!') {
                line = str_trim(str_sub(line, 0, line.n - 2));
                code = job_start(c, arena_str(&a, line).p, false);
        } else {
                code = run_line(c, line, &a);
        }
        fflush(c->out);
        return forgiven ? EX_OK : code;
}

/* ---- all lines ---- */

static const char *prompt_text(void *context)
{
        return ((struct console *)context)->site == &((struct console *)context)->second ? "proxy> "
                                                                                         : "ftp> ";
}

/* Passwords do not belong into a file. */
static bool may_be_kept(void *context, struct str line)
{
        struct arena auto_arena a = { 0 };
        const struct ftp_verb *v;
        struct str word, rest;
        bool ambiguous;

        if (str_search(line, S("://")) != STR_NONE && str_find(line, '@') != STR_NONE)
                return false;
        line = str_trim(line);
        if (str_starts(line, S("-")))
                line = str_from_at(line, 1);
        word = first_word(&line);
        rest = str_trim(str_from_at(line, word.n));
        arena_init(&a, ARENA_MOST);
        v = verb_find(arena_str(&a, word).p, &ambiguous);
        if (!v) /* mistyped: perhaps one of these */
                return !str_istarts(word, S("u")) && !str_istarts(word, S("acc"));
        if (v->run == do_proxy || v->run == do_queue)
                return !rest.n || may_be_kept(context, rest);
        if (v->run == do_quote)
                return !str_istarts(rest, S("PASS")) && !str_istarts(rest, S("ACCT"));
        if (v->run == do_site)
                return !str_istarts(rest, S("PSWD")) && !str_istarts(rest, S("CPWD"));
        return v->run != do_user && v->run != do_account;
}

int console_run(struct console *c)
{
        char history[PATH_ROOM];
        struct prompt_how how = {
                .text = prompt_text, .complete = complete_line, .keep = may_be_kept, .context = c
        };
        bool interrupted;
        const char *line;
        int code;

        if (c->prompts && config_path("ftp-history", history))
                how.history = history;
        c->prompt = prompt_new(&how);
        while (!c->ended) {
                jobs_tell(c);
                terminal_on_interrupt(NULL, NULL);
                line = prompt_line(c->prompt, &interrupted);
                if (!line)
                        break;
                if (interrupted)
                        continue;
                c->stopped = false;
                terminal_on_interrupt(console_stop, c);
                code = console_line(c, line);
                if (!c->code)
                        c->code = code;
                if (code == EX_STOPPED && !c->prompts)
                        break;
        }
        terminal_on_interrupt(console_stop, c);
        if (!c->prompts && !c->stopped)
                do_wait(c, 1, NULL);
        prompt_free(&c->prompt);
        return c->prompts ? EX_OK : c->code;
}
