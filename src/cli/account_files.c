#include "cli/account_files.h"

#include "store/disk.h"
#include "store/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

bool account_files_there(struct tool *t, struct str name)
{
        return access(arena_printf(&t->arena, "files/" PRS, STR(name)).p, F_OK) == 0;
}

static int open_files(struct tool *t, struct files **out)
{
        struct files_how how = { .durable = true, .keep_parts = t->settings.files_keep_parts };
        int folder = disk_open_dir(AT_FDCWD, "files");

        return folder < 0 ? folder : files_open(out, folder, &how);
}

int account_files_forget(struct tool *t, struct str name)
{
        struct files *files;
        int rc = open_files(t, &files);

        if (rc)
                return rc == -ENOENT ? 0 : rc; /* made by an older pail, which had no files */
        rc = files_forget(files, name);
        files_close(&files);
        return rc;
}

int account_files_remove(struct tool *t, struct str name, bool purge)
{
        struct str path = arena_printf(&t->arena, "files/" PRS, STR(name));
        int rc;

        if (!account_files_there(t, name))
                return EX_OK;
        if (!purge) {
                if (!t->json)
                        printf("its files are kept in " PRS "\n", STR(path));
                return EX_OK;
        }
        rc = account_files_forget(t, name);
        return rc < 0 ? tool_fail(t, rc, path, NULL) : EX_OK;
}

int account_files_used(struct tool *t, struct str name, uint64_t *octets)
{
        struct root_room room = { 0 };
        struct files *files;
        struct root *r;
        int rc;

        *octets = 0;
        if (!account_files_there(t, name))
                return 0;
        rc = open_files(t, &files);
        if (rc)
                return rc;
        rc = root_open(files, name, true, 0, &r);
        if (!rc) {
                rc = root_room(r, &room);
                root_close(&r);
        }
        files_close(&files);
        *octets = room.used;
        return rc;
}
