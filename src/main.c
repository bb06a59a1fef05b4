/* pail: a mail server, and what belongs to it, in one binary. `pail VERB` is for people (src/cli); `pail -x ROLE` is
 * how the supervisor starts the processes that do the work (src/role). */
#include "cli/cli.h"
#include "role/start.h"

#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const struct {
        const char *name;
        int (*run)(void);
} roles[] = {
        { "mail", role_mail },
        { "sender", role_sender },
        { "files", role_files },
        { "keeper", role_keeper },
};

/* What we open must never become descriptor 2: the log would be written into it. */
static void open_standard_descriptors(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd >= 0)
                close(fd);
}

int main(int argc, char **argv)
{
        open_standard_descriptors();
        if (argc < 3 || strcmp(argv[1], "-x"))
                return cli_run(argc, argv);
        for (unsigned i = 0; i < sizeof(roles) / sizeof(*roles); i++)
                if (!strcmp(argv[2], roles[i].name))
                        return roles[i].run();
        return EX_USAGE;
}
