#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

const struct verb verbs[] = {
        {"demo",                                                                   verb_demo, "demo [--dir D] [--base-port N] [--domains LIST] [--set NAME=VALUE]...",
         "the whole server on loopback with the lectures' people\n"
          "D is ./pail-demo, made when it is missing; each port is the well-known one + N (10000). LIST: "
          "more domains,\n"
          "by comma; what comes for any address in them is kept in the account inbox@DOMAIN, password "
          "`pail`.\n"
          "It never sends anything off this machine. Ctrl-C ends it." },
        { "serve", verb_serve, "serve [--config F] [--set NAME=VALUE]...",
         "the real server, from a settings file (/etc/pail.conf; pail init makes one)\n"
          "SIGHUP reads settings and certificates again, SIGTERM ends it, SIGQUIT shows what every session "
          "waits for." },
        { 0                                                                      },
};

int cli_help(const char *verb)
{
        if (!verb)
                printf("usage: pail VERB ...; pail help VERB tells more\n\n");
        for (const struct verb *v = verbs; v->name; v++)
                if (!verb)
                        printf("  %-10s%.*s\n", v->name, (int)strcspn(v->help, "\n"), v->help);
                else if (!strcmp(verb, v->name))
                        printf("usage: pail %s\n\n%s\n", v->synopsis, v->help);
        return EX_OK;
}

int cli_run(int argc, char **argv)
{
        if (argc < 2 || !strcmp(argv[1], "help") || !strcmp(argv[1], "--help")) {
                cli_help(argc > 2 ? argv[2] : NULL);
                return argc < 2 ? EX_USAGE : EX_OK;
        }
        for (const struct verb *v = verbs; v->name; v++)
                if (!strcmp(argv[1], v->name))
                        return v->run(argc - 1, argv + 1);
        fprintf(stderr, "pail: %s: no such verb (pail help shows them)\n", argv[1]);
        return EX_USAGE;
}
