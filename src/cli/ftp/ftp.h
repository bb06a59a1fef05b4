/* pail ftp: what its files share. A console is one conversation with a person, a script or a job in the background: what was toggled, where
 * it stands on this side, and the sites it talks to. Commands are functions `do_NAME`, one row each in commands.c; they print to c->out,
 * say what went wrong and return an exit code of sysexits(3).
 *
 *   verb.c       options, the first host               site.c      a control connection: open, login, again when lost
 *   run.c        lines: words, lookup, prompt          said.c      what is shown of the conversation; exit codes
 *   commands.c   the table, help                       where.c     URLs, user@host:port/path; netrc.c; bookmarks.c
 *   fetch.c      one file down: part file, resuming    store.c     one file up: resuming
 *   get.c put.c  the commands of both; names.c: what patterns stand for        list.c      listings; --json
 *   map.c        case, ntrans, nmap
 *   set.c        toggles, coding, status               ask.c       one command, one reply
 *   shell.c      lcd ! page and pipes; macro.c         local.c     files on this side, safely
 *   mirror*.c    trees, both ways                      pget.c      one file in segments
 *   jobs.c       queue, jobs, &                        once.c      get, put, mirror, ls without a prompt
 *   proxy.c      between two servers                   complete.c  the Tab key
 *
 * What a server says reaches the terminal through terminal_put only. Files are made under names that pass name_allowed, in folders opened
 * without following links; bytes go to NAME.pail-part, which takes its name when it is whole. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "cli/known.h"
#include "cli/terminal.h"
#include "proto/ftp/client.h"
#include <stdio.h>

enum { PATH_ROOM = 4096, NAME_ROOM = 256, WORDS_MOST = 1024, LINE_MOST = 64 * 1024 };
enum { EX_STOPPED = 130 }; /* Ctrl-C, as shells count */

/* ---- where a server is, and who we are there ---- */

struct where {
        char host[NAME_ROOM], user[NAME_ROOM], password[NAME_ROOM], account[NAME_ROOM];
        bool has_user, has_password, has_account;
        unsigned port;
        enum ftp_client_tls tls;
        bool tls_said;        /* by a URL or an option */
        char path[PATH_ROOM]; /* behind the host; empty: none */
        char type;            /* ;type=a, i or d; 0 */
};
/* ftp://user:password@host:port/path;type=i, ftps://, ftpes://, user@host:port/path. false: *why says. */
bool where_parse(struct str text, struct where *w, const char **why);
bool where_is_url(const char *text);
bool where_secret(const char *text, size_t *at, size_t *n); /* a URL's password, where it stands */
void where_url(const struct where *w, struct buf *out);     /* without the password */
/* What ~/.netrc (or file) says of w's host, and of its user if one is known; macros of the row into *macros ("macdef ..." as it stands). false: said,
 * and not to be used. */
bool netrc_find(const char *file, struct where *w, struct buf *macros);
bool bookmark_find(const char *name, struct where *w);
bool config_path(const char *name, char path[static PATH_ROOM]); /* in ~/.config/pail, which is made */

/* ---- a control connection ---- */

struct console;
struct site {
        struct console *console;
        struct site *next; /* of the console's, for Ctrl-C */
        struct where where;
        struct ftp_client *client; /* NULL: not connected */
        struct known known;
        struct ftp_hears hears;
        struct conn_tap tap;
        bool logged_in;
        bool again_user;         /* a second USER of one login is not shown */
        unsigned hush;           /* nothing is shown of what happens meanwhile */
        unsigned sent, answered; /* commands */
        bool hidden[128];        /* by number: its reply is ours, nobody asked for it */
        char folder[PATH_ROOM];  /* where we stand there; empty: not known */
        char system[64];         /* 215's words */
};
void site_init(struct site *s, struct console *c);
int site_open(struct site *s, bool login); /* to s->where: connects, asks what it must, logs in */
int site_login(struct site *s);
int site_again(struct site *s); /* the connection is lost: the same once more, with pauses that grow */
int site_like(struct site *s, const struct site *other); /* another connection to the same place and folder */
void site_close(struct site *s);
int site_connect(struct site *s); /* site_dial.c */
void site_dials_stop(struct console *c);
/* One command; taken up again once if the connection was lost meanwhile. Says why not. An exit code. */
int site_ask(struct site *s, struct ftp_answer *answer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int site_here(struct site *s);                      /* asks where we stand: s->folder */
bool site_lost(int rc, const struct ftp_answer *a); /* worth another connection */
void site_hears(struct site *s);                    /* said.c: sets hears and tap */
/* The exit code of a failure, said (what a server refused has been shown as it came, unless nobody saw it). what: NULL: the host. */
int site_failed(struct site *s, int rc, const struct ftp_answer *a, const char *what);

/* ---- the console ---- */

struct macro {
        struct macro *next;
        char *name, *text; /* lines */
};
struct job;
struct console {
        FILE *out;
        bool prompts;    /* a person types */
        bool session;    /* commands come, from a person or stdin; false: one verb and out */
        bool background; /* a job */
        bool mute;       /* a connection that helps: what goes wrong with it is not said */
        bool stopped;    /* Ctrl-C: what runs ends */
        bool ended;      /* bye */
        int code;        /* of the first command that failed */
        /* toggles, by set.c */
        bool verbose, debug, glob, ask, hash, tick, progress, bell, auto_login, case_down, unique_local,
            unique_remote, cr, preserve;
        struct between {
                char in[NAME_ROOM], out[NAME_ROOM];
        } trans, map; /* ntrans, nmap */
        enum ftp_data_way way;
        bool foreign;
        struct coding coding;
        uint64_t mark;      /* bytes for a '#' */
        uint64_t restart;   /* of the next transfer */
        uint64_t rate_most; /* bytes a second; 0: any */
        struct rate rate;
        unsigned tries;
        /* TLS, by options */
        enum ftp_client_tls tls;
        bool tls_said;
        enum known_policy policy;
        const char *ca_file, *netrc;
        FILE *transcript;
        struct site *site;         /* the one that commands talk to */
        struct site first, second; /* second: proxy's */
        struct site *sites;        /* all that are open */
        int folder;                /* of this side: an open descriptor */
        struct macro *macros;
        unsigned depth; /* macros and files inside each other */
        struct job *jobs, **job_end;
        struct job *job;       /* whose console this is; NULL: the person's */
        struct str line, rest; /* as typed; behind the command */
        struct prompt *prompt;
        struct dialing *dials;   /* site_dial.c's */
        struct console *helpers; /* of the same command, with connections of their own: stopped with it */
};
void console_init(struct console *c, FILE *out);
void console_finish(struct console *c);
void console_copy(struct console *to, const struct console *c,
                  FILE *out);                          /* a job's: settings, place, no sites */
void console_stop(void *console);                      /* Ctrl-C */
int console_line(struct console *c, const char *line); /* one line; an exit code */
int console_run(struct console *c);                    /* prompt or stdin to the end; an exit code */
int say_fail(struct console *c, int code, const char *what,
             const char *why);                              /* gives code; what, why: made safe */
int say_errno(struct console *c, int rc, const char *what); /* of this side; the code that fits */
void put_line(struct console *c, struct str line);
void put_safe(FILE *to, const char *text);
/* The words of a line: blanks, quotes, backslashes; a word that begins with '|' goes to the end. */
int words_of(struct str line, char ***words, struct arena *a);

enum { NEEDS_SITE = 1 };
struct ftp_verb {
        const char *name, *others;
        unsigned shortest; /* letters that suffice, whatever else begins so; 0: until it is alone */
        unsigned needs;
        int least, most; /* words behind it; most -1: any */
        const char
            *complete; /* a letter a word, the last for the rest: r remote, l local, c command, b bookmark */
        int (*run)(struct console *c, int argc, char **argv);
        const char *usage, *help;
        const char
            *asks; /* for words that must be there and are not, a person is asked by these, one a line */
};
extern const struct ftp_verb ftp_verbs[];
extern const unsigned ftp_verb_count;
const struct ftp_verb *verb_find(const char *word, bool *ambiguous);
int do_help(struct console *c, int argc, char **argv);
void complete_line(void *console, struct str line, size_t word, struct buf *names);

/* ---- files on this side ---- */

#define PART_SUFFIX ".pail-part"
bool name_allowed(
    struct str name); /* for what a server has named: ftp_name_safe, and none of our part files */
int local_beneath(int root, const char *path, int flags); /* no links on the way; a descriptor or -errno */

/* Opens the folder that a path stands in; *name: the rest, in path. */
int local_parent(int at, const char *path, const char **name);
int local_write_all(int fd, const char *p, size_t n); /* waits elsewhere */
struct str local_base(const char *remote);            /* behind the last '/' */

struct fetch {
        struct site *site;
        const char *remote;
        int dir;          /* with name: a file there. -1: */
        const char *name; /* as typed: a path from c->folder, "-", "|command" */
        bool resume;      /* what is there of it is kept */
        bool quiet;       /* no "local: remote:", no sum */
        bool keep_time;
        uint64_t bytes; /* out */
        nsec took;
};
int fetch_file(struct fetch *f);
struct store {
        struct site *site;
        const char *local; /* a path from dir or c->folder, "-", "|command" */
        const char *remote;
        enum ftp_moves move;
        bool resume, quiet, keep_time;
        uint64_t bytes;
        nsec took;
};
int store_file(struct store *s);
/* The part file of a name in a folder: opened, locked, without following links. */
int local_part(int dir, const char *name, char part[static NAME_ROOM], bool truncate, uint64_t *size);
int local_whole(int dir, const char *part, const char *name);
bool fetch_size(struct site *s, const char *remote, uint64_t *size); /* SIZE, quietly */
bool fetch_time(struct site *s, const char *remote, int64_t *seconds);
struct shown_transfer { /* progress, '#' and ticks of one transfer, as the console wants */
        struct console *console;
        struct progress *bar;
        uint64_t marks;
};
void shown_begin(struct shown_transfer *x, struct console *c, const char *name, uint64_t from, uint64_t size);
void shown_at(struct shown_transfer *x, uint64_t bytes);
void shown_end(struct shown_transfer *x);
void say_names(struct console *c, const char *local,
               const char *remote); /* "local: bootdisk.img remote: bootdisk.img" */
void say_sum(struct console *c, uint64_t bytes, nsec took, bool received);
/* A program on this side: its stdin (write true) or stdout is *fd; -errno. */
int program_begin(struct console *c, const char *command, bool write, int *fd, int *pid);
int program_end(int pid); /* its exit code */

/* ---- names there ---- */

/* The names that patterns stand for there, in order; one that is no pattern stands for itself. files: folders are left out. */
int remote_names(struct site *s, int n, char **patterns, bool files, struct arena *a, struct str **names,
                 size_t *count);

int local_names(struct console *c, int n, char **patterns, struct arena *a, struct str **names,
                size_t *count);
/* What is called NAME on one side is called so on the other, as case (fetched only), ntrans and nmap say. */
struct str name_across(const struct console *c, struct str name, bool fetched, struct arena *a);
/* Does each of these, when the person agrees (`prompt`); the code of the first failure. Ends with the connection. */
int for_each_name(struct console *c, const struct str *list, size_t n, const char *verb, char enter,
                  int (*one)(struct console *c, const char *name, bool resume, struct arena *a), bool resume,
                  struct arena *a);

/* ---- trees, segments, jobs ---- */

struct mirror_how {
        bool reverse, delete, dry_run, newer, no_times, flat, verbose;
        unsigned parallel;
        const char **exclude, **include;
        unsigned excludes, includes;
};
int mirror(struct site *s, const char *remote, const char *local, const struct mirror_how *how);
int pget(struct site *s, const char *remote, const char *local, unsigned segments);
int job_start(struct console *c, const char *line, bool queued);
void jobs_tell(struct console *c); /* of those that have ended since */
void jobs_finish(struct console *c);
int list_json(struct console *c, const char *path);
bool once_is(const char *word);
int once(struct console *c, int argc, char **argv); /* -1: usage */

void run_netrc_macros(struct console *c, struct str text);

#define DO(name) int do_##name(struct console *c, int argc, char **argv)
DO(open);
DO(close);
DO(user);
DO(account);
DO(bye);
DO(tls);
DO(get);
DO(reget);
DO(newer);
DO(mget);
DO(fget);
DO(page);
DO(put);
DO(reput);
DO(append);
DO(mput);
DO(mdelete);
DO(ls);
DO(dir);
DO(nlist);
DO(mls);
DO(mlsd);
DO(lls);
DO(cd);
DO(cdup);
DO(pwd);
DO(mkdir);
DO(rmdir);
DO(delete);
DO(rename);
DO(size);
DO(modtime);
DO(chmod);
DO(umask);
DO(idle);
DO(quote);
DO(site);
DO(remotestatus);
DO(system);
DO(remotehelp);
DO(features);
DO(noop);
DO(reset);
DO(restart);
DO(type);
DO(ascii);
DO(binary);
DO(ebcdic);
DO(tenex);
DO(struct);
DO(mode);
DO(form);
DO(toggle);
DO(passive);
DO(epsv);
DO(active);
DO(hash);
DO(debug);
DO(trace);
DO(rate);
DO(status);
DO(lcd);
DO(lpwd);
DO(lmkdir);
DO(shell);
DO(lpage);
DO(macdef);
DO(macro);
DO(source);
DO(ntrans);
DO(nmap);
DO(mirror);
DO(pget);
DO(queue);
DO(jobs);
DO(kill);
DO(wait);
DO(bookmark);
DO(proxy);
#undef DO
