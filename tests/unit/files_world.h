/* For tests of the file store: a folder of its own, and short words for what is done most. */
#pragma once
#include "unit.h"
#include "base/arena.h"
#include "store/files.h"
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char world[64];
static struct files *files;
static struct root *root;

static inline int open_again(const struct files_how *how)
{
        int dir = open(world, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return files_open(&files, dir, how);
}

static inline void use(uint64_t quota)
{
        root_close(&root);
        assert_int_equal(root_open(files, S("jack"), false, quota, &root), 0);
}

static inline int world_begin(void **state)
{
        static const struct files_how how = { .durable = true, .keep_parts = 3600 };

        (void)state;
        snprintf(world, sizeof world, "/tmp/pail-files-XXXXXX");
        if (!mkdtemp(world) || open_again(&how))
                return -1;
        return root_open(files, S("jack"), false, 0, &root);
}

static inline int drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
        (void)st;
        (void)kind;
        (void)at;
        return remove(path);
}

static inline int world_end(void **state)
{
        (void)state;
        root_close(&root);
        files_close(&files);
        return nftw(world, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static inline const char *in_world(const char *name)
{
        static char path[4][4352];
        static unsigned next;
        char *p = path[next++ % 4];

        snprintf(p, sizeof path[0], "%s/%s", world, name);
        return p;
}

static inline int put_how(const char *path, enum upload_how how, uint64_t at, const char *text)
{
        struct upload *u;
        int rc = upload_begin(root, str_of(path), how, at, &u);

        if (!rc) {
                uint64_t from = upload_at(u);

                rc = upload_write(u, from, str_of(text));
                if (!rc)
                        rc = upload_commit(u, from + strlen(text), 0);
        }
        upload_free(&u, false, 0);
        return rc;
}

static inline int put(const char *path, const char *text)
{
        return put_how(path, UPLOAD_NEW, 0, text);
}

/* All of a short file; "-ERROR" as text if it cannot be read. */
static inline const char *get(const char *path)
{
        static char text[4][8192];
        static unsigned next;
        char *t = text[next++ % 4];
        struct file *f;
        size_t got = 0;
        int rc = file_open(root, str_of(path), &f, NULL);

        if (!rc)
                rc = file_read(f, 0, t, sizeof text[0] - 1, &got);
        t[got] = '\0';
        if (rc)
                snprintf(t, sizeof text[0], "%d", rc);
        file_close(&f);
        return t;
}

static inline uint64_t used(void)
{
        struct root_room room;

        assert_int_equal(root_room(root, &room), 0);
        return room.used;
}

/* Names in a folder of the disk that end so. */
static inline unsigned count_in(const char *folder, const char *end)
{
        DIR *d = opendir(in_world(folder));
        struct dirent *e;
        unsigned n = 0;

        while (d && (e = readdir(d)))
                n += e->d_name[0] != '.' && str_ends(str_of(e->d_name), str_of(end));
        if (d)
                closedir(d);
        return n;
}
