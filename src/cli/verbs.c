#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* clang-format off */
const struct verb verbs[] = {
        { "demo", verb_demo,
          "demo [--dir D] [--base-port N] [--domains LIST] [--route DOMAIN=HOST:PORT]... [--set NAME=VALUE]...",
          "the whole server on loopback with the lectures' people\n"
          "D is ./pail-demo, made when it is missing; each port is the well-known one + N (10000). LIST: more domains,\n"
          "by comma; what comes for any address in them is kept in the account inbox@DOMAIN, password `pail`.\n"
          "It never sends anything off this machine. Ctrl-C ends it." },
        { "serve", verb_serve,
          "serve [--config F] [--set NAME=VALUE]...",
          "the real server, from a settings file (/etc/pail.conf; pail init makes one)\n"
          "SIGHUP reads settings and certificates again, SIGTERM ends it, SIGQUIT shows what every session waits for." },
        { "init", verb_init,
          "init DOMAIN [--dir D] [--config F] [--host NAME] [--account NAME]",
          "makes folder, settings, certificate and first account of a server\n"
          "D is /var/lib/pail and F /etc/pail.conf, or D/pail.conf with --dir; NAME of the host is mail.DOMAIN, of the\n"
          "account postmaster. Prints the account's password, once, and the DNS records to publish." },
        { "account", verb_account,
          "account add ADDRESS [--quota SIZE] [--name REAL-NAME] [--again]\n"
          "account remove ADDRESS [--purge]\n"
          "account list [DOMAIN]\n"
          "account show ADDRESS\n"
          "account set ADDRESS quota|disabled|real-name|language|keep-copy|forward-to|moved-to|imap-disable VALUE\n"
          "account moved ADDRESS NEW-ADDRESS | --off\n"
          "account forward ADDRESS TO... [--copy] | --off\n"
          "account login ADDRESS NAME [--off]\n"
          "account may-send-as ADDRESS OTHER|@DOMAIN [--off]",
          "the people\n"
          "remove keeps mail/ADDRESS and files/ADDRESS; --purge, while no server runs, does not; add --again gives them back.\n"
          "moved: letters are answered with the new address and not taken. forward: they go on, with --copy a copy\n"
          "stays. login: another name to sign in with. may-send-as: a sender that is not one's own. imap-disable: IMAP\n"
          "capabilities that this account does without, as in \"COMPRESS=DEFLATE NOTIFY\"." },
        { "alias", verb_alias,
          "alias add ADDRESS TARGET...\nalias remove ADDRESS [TARGET]\nalias list [DOMAIN|ADDRESS]",
          "other addresses of an account, of several, or of somebody elsewhere" },
        { "list", verb_list,
          "list add ADDRESS [MEMBER...]\nlist remove ADDRESS\nlist join ADDRESS MEMBER...\nlist leave ADDRESS MEMBER...\n"
          "list show ADDRESS\nlist set ADDRESS title|owner|max-size|moderated VALUE\nlist list",
          "mailing lists: an address with members, here and elsewhere\n"
          "show: settings and members, and how many letters came back from each. moderated yes: what comes waits until\n"
          "pail queue release. owner: gets what comes for ADDRESS-owner and -request." },
        { "domain", verb_domain,
          "domain add DOMAIN [--alias-of DOMAIN]\ndomain remove DOMAIN\ndomain catch-all DOMAIN [ACCOUNT]\n"
          "domain share DOMAIN [--admin ACCOUNT] [--rights LETTERS]\ndomain list",
          "the domains whose mail is ours\n"
          "--alias-of: every address of the one is the other's. catch-all: who gets what is for nobody; none without. "
          "share: folders that the people of a domain find below shared/DOMAIN/ in IMAP; --admin makes and removes them there, "
          "the others have --rights, or lrs: look, read, remember what was read." },
        { "passwd", verb_passwd,
          "passwd ADDRESS [--scram] [--apop]\npasswd ADDRESS --app LABEL [--scope smtp,pop3,imap,ftp,http]\n"
          "passwd ADDRESS --list\npasswd ADDRESS --remove LABEL",
          "passwords\n"
          "Asks for a new one, or reads it as a line from stdin. --scram: also keep what SCRAM needs; --apop: also keep\n"
          "it in clear, as APOP needs it. --app: makes one for a program and prints it, once. A change signs out." },
        { "bans", verb_bans,
          "bans list\nbans remove ADDRESS...",
          "addresses that are refused because sign-ins from them failed too often" },
        { "queue", verb_queue,
          "queue [list] [FILTER]...\nqueue show ID\nqueue retry|hold|release|remove|bounce ID... | FILTER... | --all",
          "letters that wait: for elsewhere, or because they could not be filed\n"
          "FILTER: --domain DOMAIN, --sender ADDRESS, --recipient ADDRESS, --reason WORDS (in what the other side said),\n"
          "--older TIME (as in 4h or 5d), --held. show prints every attempt with its conversation, and the letter.\n"
          "retry: now, and not when it is due. hold: until release. remove: nobody hears of it. bounce: its sender does.\n"
          "What a moderated list holds, and what a demo holds for want of a route, says so." },
        { "send", verb_send,
          "send [-t] [-i] [-v] [-f SENDER] [-F NAME] [--to-host HOST[:PORT]] [RECIPIENT]...\nsend -bs | -bp | -q",
          "sends the letter on stdin, as /usr/sbin/sendmail does\n"
          "-t: to those in To, Cc and Bcc, and Bcc goes. -i: a lone dot does not end it. -v: prints the conversation.\n"
          "-bs: SMTP on stdin and stdout. -bp: the queue. -q: all that waits is tried now. -N, -V and -R as in DSN.\n"
          "By the running server, if we are its owner or root (others: to its SMTP port); where none runs, at once by\n"
          "routes or MX. A link with the name sendmail or mailq does what programs expect. Exit codes are sysexits(3)'s." },
        { "talk", verb_talk,
          "talk HOST PORT|SERVICE [--tls] [--explain] [--dot-stuff] [--save FILE] [--ca FILE | --insecure]\n"
          "talk --replay FILE [HOST PORT|SERVICE]",
          "a conversation with a server, typed by hand\n"
          "SERVICE: smtp, submission, pop3, imap, ftp, or submissions, pop3s, imaps, ftps (TLS at once, as with --tls);\n"
          "SERVICE:PORT where it has another port than usual.\n"
          "STARTTLS, STLS and AUTH TLS are followed by the handshake. --explain: what each reply means. --dot-stuff: in\n"
          "a letter a dot at the begin of a line is doubled. --save: the conversation as a dialog test, without secrets.\n"
          "--replay: plays one and says where the server differs; exit code 65 if it does. Lines may come from stdin." },
        { "mx", verb_mx,
          "mx DOMAIN [--resolver recursive|system|ADDRESS...]",
          "where a domain's mail goes, and how we would send it\n"
          "MX with preference and addresses, null MX, DNSSEC, TLSA (DANE), MTA-STS, and what pail would do, in order, by\n"
          "the routes of the settings. Without a folder: as a server without routes." },
        { "trace", verb_trace,
          "trace MESSAGE-ID|ADDRESS|ID [--since TIME]",
          "where is that letter, and what happened to it\n"
          "ID: a number of the queue, or what stands behind `id` in Received. TIME: 4h, 3d or 2026-11-20. Each letter's lines\n"
          "in order: accepted from whom, filed where, each attempt with the other side's words. Kept for history-days, 30." },
        { "ftp", verb_ftp,
          "ftp [OPTION]... [[USER@]HOST[:PORT][/PATH] [PORT]]\n"
          "ftp get [-c] URL... [LOCAL]\nftp put [-c] LOCAL... URL\nftp ls [--json] URL\n"
          "ftp mirror [-e] [-n] [-N] [-P N] [-x PATTERN]... [-i PATTERN]... FROM TO",
          "the file transfer client: a prompt, a script on stdin, or one transfer\n"
          "At the prompt, help shows its commands. get and put: -c goes on with what is there in part; LOCAL - is stdout or\n"
          "stdin. mirror: one of FROM and TO is a URL; -e deletes what only TO has, -n only says what it would do, -N leaves\n"
          "what is newer in TO, -P connections, -x leaves out, -i takes only. URL: ftp://[USER[:PASSWORD]@]HOST[:PORT]/PATH,\n"
          "ftpes:// (TLS must be), ftps:// (TLS at once), or a bookmark. Options, in front: -n no login by itself, -v, -i does\n"
          "not ask at mget, -g no patterns, -d shows commands, -A active, -p passive, -N FILE for ~/.netrc; --tls it must be,\n"
          "--no-tls, --tls-at-once, --insecure any certificate will do, --ca FILE, --active, --times files keep their time,\n"
          "--rate BYTES[k|m|g], --trace FILE keeps the conversation. TLS is used where it is offered, but not to this machine.\n"
          "With commands on stdin the exit code is that of the first that failed (not of `-command`)." },
        { "mail", verb_mail,
          "mail [--account ADDRESS] [--folder F] [add|remove ADDRESS | password ADDRESS [--forget] | accounts]\n"
          "mail sync [FOLDER]... | folders\n"
          "mail list [FOLDER] [PATTERN] [--limit N] [--sort ORDER] | search PATTERN [FOLDER]\n"
          "mail read [FOLDER] UID [--raw|--headers|--html] [--peek] | save [FOLDER] UID [PART|all] [--to DIR]\n"
          "mail reply|forward [FOLDER] UID [--all] [--quote] [--attached] [--body FILE] [--edit] | bounce [FOLDER] UID --to A\n"
          "mail send [--to A] [--cc A] [--bcc A] [--subject S] [--attach FILE] [--body FILE] | outbox [flush|send UIDS]\n"
          "mail flag [FOLDER] UIDS +FLAG|-FLAG... | move [FOLDER] UIDS TO | delete [FOLDER] UIDS [--purge]",
          "reads and writes mail: the screen, or single commands\n"
          "Accounts of other servers by IMAP or POP3, from a copy on this machine that sync brings in step; add finds the\n"
          "servers of an address and tries them. With --dir D --account ADDRESS, on the server itself, straight from the store.\n"
          "The account is the first that was added. FOLDER is INBOX; --folder F says one that looks like a number. UIDS: 3,5:9.\n"
          "PATTERN: words, or mutt's ~f ~t ~s ~b ~d ~z ~N ~F and others. ORDER: arrived threads date from subject size, -date\n"
          "the other way. send without options takes a letter with its header from stdin; FILE - is stdin. add also takes\n"
          "--incoming URL, --outgoing URL, --name NAME, --password-command C, --save-password, --ca FILE; sync --yes does not ask.\n"
          "docs/mail-commands.md has all of it, with the JSON." },
        { "watch", verb_watch,
          "watch [--address LIST] [--account NAME] [--protocol smtp|pop3|imap|ftp] [--session ID] [--save FILE]",
          "the conversations of the running server, line by line as they pass\n"
          "Also under TLS, and with those to whom letters go. Secrets are ****, bodies a number of octets. LIST: addresses or\n"
          "networks, of either side. With --account also what was said before the sign-in. --save: the next conversation as a\n"
          "dialog test, then it ends. What comes faster than it can be printed is lost, and counted. Ctrl-C ends it." },
        { "check", verb_check,
          "check",
          "looks at everything in the folder and says what is wrong\n"
          "Repairs nothing. Exit code 65 if something is." },
        { "manual", verb_manual, "manual [protocols|ftp]",
          "prints the manual page, in mdoc(7)\nor, in Markdown, the commands and capabilities of each protocol" },
        { 0 },
};
/* clang-format on */

/* "usage: pail A\n       pail B" */
static void print_synopsis(const char *s)
{
        const char *before = "usage: pail ";

        for (size_t n; *s; s += n + (s[n] != 0), before = "       pail ") {
                n = strcspn(s, "\n");
                printf("%s%.*s\n", before, (int)n, s);
        }
}

int cli_help(const char *verb)
{
        if (!verb)
                printf("usage: pail VERB ...; pail help VERB tells more\n\n");
        for (const struct verb *v = verbs; v->name; v++)
                if (!verb) {
                        printf("  %-10s%.*s\n", v->name, (int)strcspn(v->help, "\n"), v->help);
                } else if (!strcmp(verb, v->name)) {
                        print_synopsis(v->synopsis);
                        printf("\n%s\n", v->help);
                        return EX_OK;
                }
        if (!verb) {
                printf("\nThose that act on a server's folder take --dir D or --config F (else: what "
                       "/etc/pail.conf says,\n"
                       "else ./pail-demo), and most of them --json.\n");
                return EX_OK;
        }
        fprintf(stderr, "pail: %s: no such verb (pail help shows them)\n", verb);
        return EX_USAGE;
}

/* As programs know it: a link to pail of one of these names. -1: none of them. */
static int called_by_name(int argc, char **argv)
{
        static char send[] = "send", queue[] = "queue", *show_queue[] = { queue, NULL };
        const char *slash = argc ? strrchr(argv[0], '/') : NULL, *name = slash  ? slash + 1
                                                                         : argc ? argv[0]
                                                                                : "";

        if (!strcmp(name, "mailq"))
                return verb_queue(1, show_queue);
        if (!strcmp(name, "newaliases")) /* ours need no compiling */
                return EX_OK;
        if (strcmp(name, "sendmail") != 0)
                return -1;
        argv[0] = send;
        return verb_send(argc, argv);
}

int cli_run(int argc, char **argv)
{
        int rc = called_by_name(argc, argv);

        if (rc >= 0)
                return rc;
        if (argc > 1 && !strcmp(argv[1], "--version")) {
                printf("pail " PAIL_VERSION "\n");
                return EX_OK;
        }
        if (argc < 2 || !strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
                rc = cli_help(argc > 2 ? argv[2] : NULL);
                return argc < 2 ? EX_USAGE : rc;
        }
        for (const struct verb *v = verbs; v->name; v++)
                if (!strcmp(argv[1], v->name))
                        return v->run(argc - 1, argv + 1);
        fprintf(stderr, "pail: %s: no such verb (pail help shows them)\n", argv[1]);
        return EX_USAGE;
}
