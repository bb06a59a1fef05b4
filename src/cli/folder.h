/* A data folder: making it, knowing whose it is, becoming that user. Used by demo, serve, init and every verb that
 * acts on a folder. After folder_enter the working directory is the folder, so that nothing depends on whether
 * the folders above can be passed by its owner. */
#pragma once
#include <stdbool.h>

#define FOLDER_NOBODY 65534

struct folder {
        const char *path;  /* as it was typed, for messages */
        unsigned uid, gid; /* its owner */
        bool root;         /* we are root: the roles drop to uid and gid */
        int lock;          /* descriptor, or -1 */
};
/* Makes it if `make`, finds the owner (of a fresh folder made by root: nobody), goes there. 0, or an exit code of
 * sysexits(3) after it has said why. */
int folder_enter(struct folder *f, const char *path, bool make);
/* One server a folder: holds pail.lock until the process ends. 0 or an exit code, said. */
int folder_lock(struct folder *f);
/* The subfolders and nothing else; as the owner. */
int folder_layout(void);
/* For good: this process becomes the owner (no-op when not root). */
int folder_become_owner(const struct folder *f);
