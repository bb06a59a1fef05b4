/* pail serve: the real server, from a settings file. `pail init` makes both. */
#include "cli/cli.h"
#include "cli/folder.h"
#include "cli/settings_check.h"
#include "role/supervisor.h"
#include "run/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <limits.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define SYSTEM_CONFIG "/etc/pail.conf"

struct serve {
        char config[PATH_MAX]; /* absolute: read again at SIGHUP from another working directory */
        struct str overrides[32];
        unsigned override_count;
};

static int complain(struct buf *why)
{
        fprintf(stderr, "pail serve: " PRS "\n", STR(buf_str(why)));
        return -1;
}

static void say_ready(void *context)
{
        const struct serve *v = context;

        log_event("ready", "config=%s", log_str(str_of(v->config)));
}

/* The file, then what --set says over it. At SIGHUP a file that cannot be read changes nothing. */
static int read_settings(struct settings *s, void *context)
{
        const struct serve *v = context;
        struct settings fresh;
        auto_buf struct buf why;

        buf_init(&why, 4096);
        settings_default(&fresh);
        if (settings_read(&fresh, v->config, &why) < 0)
                goto bad;
        for (unsigned i = 0; i < v->override_count; i++) {
                struct str value = v->overrides[i], name;

                if (!str_cut(&value, '=', &name)) {
                        buf_printf(&why, "--set " PRS ": not NAME=VALUE", STR(v->overrides[i]));
                        goto bad;
                }
                if (settings_set(&fresh, name, value, &why) < 0)
                        goto bad;
        }
        if (!settings_check(&fresh, &why))
                goto bad;
        settings_free(s);
        *s = fresh;
        return 0;
bad:
        settings_free(&fresh);
        return complain(&why);
}

static int options(struct serve *v, int argc, char **argv)
{
        static const struct option long_options[] = {
                { "config", required_argument, NULL, 'c' },
                { "set", required_argument, NULL, 's' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        const char *config = SYSTEM_CONFIG;
        int c;

        optind = opterr = 0;
        while ((c = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
                switch (c) {
                case 'c': config = optarg; break;
                case 's':
                        if (v->override_count == sizeof(v->overrides) / sizeof(*v->overrides)) {
                                fprintf(stderr, "pail serve: --set %s: one too many\n", optarg);
                                return EX_USAGE;
                        }
                        v->overrides[v->override_count++] = str_of(optarg);
                        break;
                case 'h': return -1;
                default:
                        fprintf(stderr, "pail serve: %s: no such option, or its value is missing\n",
                                argv[optind - 1]);
                        return EX_USAGE;
                }
        if (optind < argc) {
                fprintf(stderr, "pail serve: %s: what is that?\n", argv[optind]);
                return EX_USAGE;
        }
        if (realpath(config, v->config))
                return 0;
        fprintf(stderr, "pail serve: %s: %m (pail init DOMAIN makes one)\n", config);
        return EX_CONFIG;
}

static int run(struct serve *v, struct settings *settings)
{
        struct folder folder;
        int rc = read_settings(settings, v) < 0 ? EX_CONFIG : folder_enter(&folder, settings->data, false);

        rc = rc ? rc : folder_lock(&folder);
        if (rc)
                return rc;
        if (access("directory/directory.db", F_OK) < 0) {
                fprintf(stderr, "pail serve: %s: no directory here: pail init DOMAIN makes it\n",
                        settings->data);
                return EX_NOINPUT;
        }
        return supervise(&(struct supervise){
            .settings = settings,
            .config = v->config,
            .drop = folder.root,
            .uid = folder.uid,
            .gid = folder.gid,
            .ready = say_ready,
            .reread = read_settings,
            .context = v,
        });
}

int verb_serve(int argc, char **argv)
{
        struct serve *v = &(struct serve){ 0 };
        struct settings settings;
        int rc = options(v, argc, argv);

        if (rc)
                return rc < 0 ? cli_help("serve") : rc;
        settings_default(&settings);
        rc = run(v, &settings);
        settings_free(&settings);
        return rc;
}
