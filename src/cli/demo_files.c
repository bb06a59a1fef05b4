#include "cli/demo_files.h"

#include "base/mem.h"
#include "store/disk.h"
#include "store/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define IMAGE_SIZE 1474560 /* a floppy disk */
#define IMAGES     "/pub/redhat/linux/9/en/os/i386/images"
#define RHYME      "/pub/jack-and-jill.txt"
#define USEC       1000000LL
#define SEP_2002   (1032868800 * USEC) /* Tue, 24 Sep 2002 12:00:00 UTC */
#define MAR_2003   (1047556800 * USEC) /* Thu, 13 Mar 2003 12:00:00 UTC */

/* Lines to play TYPE A with. */
static const char rhyme[] = "Jack and Jill went up the hill\n"
                            "To fetch a pail of water;\n"
                            "Jack fell down and broke his crown,\n"
                            "And Jill came tumbling after.\n";

/* Begins and ends its first sector as a disk that boots does; the rest is noise, the same in every demo. */
static void paint_image(char *image)
{
        static const unsigned char start[] = "\xeb\x3c\x90SYSLINUX";
        uint32_t x = 20020924;

        for (size_t i = 0; i < IMAGE_SIZE; i++) {
                x ^= x << 13;
                x ^= x >> 17;
                x ^= x << 5;
                image[i] = (char)(x | 1); /* no byte is zero */
        }
        for (size_t i = 0; i < sizeof(start) - 1; i++)
                image[i] = (char)start[i];
        image[510] = 0x55;
        image[511] = (char)0xaa;
}

static int put(struct root *r, const char *path, struct str bytes, int64_t modified)
{
        struct upload *u;
        int rc = upload_begin(r, str_of(path), UPLOAD_NEW, 0, &u);

        if (rc)
                return rc;
        rc = upload_write(u, 0, bytes);
        rc = rc ? rc : upload_commit(u, bytes.n, modified);
        upload_free(&u, false, 0);
        return rc;
}

/* Each part of the path that is not there yet. */
static int make_folders(struct root *r, struct str path)
{
        int rc = 0;

        for (size_t n = 1; n <= path.n && !rc; n++)
                if (n == path.n || path.p[n] == '/') {
                        rc = folder_make(r, str_from(path.p, n));
                        rc = rc == -EEXIST ? 0 : rc;
                }
        return rc;
}

static int fill_anonymous(struct root *r)
{
        char *image = mem_array(IMAGE_SIZE, 1);
        int rc = make_folders(r, S(IMAGES));

        paint_image(image);
        rc = rc ? rc : put(r, RHYME, str_from(rhyme, sizeof(rhyme) - 1), MAR_2003);
        rc = rc ? rc : put(r, IMAGES "/bootdisk.img", str_from(image, IMAGE_SIZE), MAR_2003);
        mem_free(image);
        return rc;
}

static int fill_forouzan(struct root *r)
{
        static const char *const reports[] = { "/reports/business", "/reports/personal", "/reports/school" };
        int rc = 0;

        for (size_t i = 0; i < sizeof(reports) / sizeof(*reports) && !rc; i++) {
                rc = make_folders(r, str_of(reports[i]));
                rc = rc ? rc : file_times(r, str_of(reports[i]), SEP_2002, SEP_2002);
        }
        return rc ? rc : file_times(r, S("/reports"), SEP_2002, SEP_2002);
}

int demo_files(void)
{
        static const struct {
                const char *account;
                int (*fill)(struct root *r);
        } rows[] = {
                { "forouzanb@adelphia.net", fill_forouzan },
                { "anonymous", fill_anonymous },
        };
        struct files_how how = { .durable = true };
        struct files *files = NULL;
        int folder = disk_open_dir(AT_FDCWD, "files");
        int rc = folder < 0 ? folder : files_open(&files, folder, &how);

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) && !rc; i++) {
                struct root *r;

                rc = root_open(files, str_of(rows[i].account), false, 0, &r);
                if (rc)
                        break;
                rc = rows[i].fill(r);
                root_close(&r);
        }
        files_close(&files);
        if (rc)
                fprintf(stderr, "pail demo: files: %s\n", strerror(-rc));
        return rc ? EX_CANTCREAT : EX_OK;
}
