/* bare-ftp: what this machine can do without FTP, to compare with.
 *   bare-ftp send PORT FILE            whoever connects gets FILE by sendfile
 *   bare-ftp receive PORT FOLDER [splice] [sync]   what comes is written to a file of its own by recv and write, or by splice; at the end
 *                                      [fdatasync and] "226"
 *   bare-ftp files FOLDER N THREADS SIZE [sync]    N small uploads without a network: a part is made, written, [synced,] renamed,
 *                                      [its folder synced]
 *   bare-ftp list FOLDER TIMES         readdir and fstatat of all that is in it
 * The latter two print per_second=. */
#include <arpa/inet.h>
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 256 << 10, PIPE = 1 << 20, GIFT = 1 << 30 };

static const char *place;
static bool synced, spliced;
static int folder, files, threads;
static size_t size;
static atomic_int next;

static double now_seconds(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *give(void *arg)
{
        int to = (int)(intptr_t)arg, file = open(place, O_RDONLY | O_CLOEXEC);

        if (file < 0)
                err(1, "%s", place);
        while (sendfile(to, file, NULL, GIFT) > 0)
                ;
        close(file);
        close(to);
        return NULL;
}

static void copy(int from, int file)
{
        char *room = malloc(CHUNK);
        ssize_t k;

        while ((k = recv(from, room, CHUNK, MSG_WAITALL)) > 0)
                if (write(file, room, (size_t)k) != k)
                        err(1, "write");
        free(room);
}

static void splice_all(int from, int file)
{
        int ends[2];
        ssize_t k, out;

        if (pipe2(ends, O_CLOEXEC) < 0)
                err(1, "pipe");
        fcntl(ends[1], F_SETPIPE_SZ, PIPE);
        while ((k = splice(from, NULL, ends[1], NULL, PIPE, SPLICE_F_MOVE)) > 0)
                for (; k > 0; k -= out)
                        if ((out = splice(ends[0], NULL, file, NULL, (size_t)k, SPLICE_F_MOVE)) <= 0)
                                err(1, "splice");
        close(ends[0]);
        close(ends[1]);
}

static void *keep(void *arg)
{
        int from = (int)(intptr_t)arg;
        char name[32];

        snprintf(name, sizeof(name), "bare%d", atomic_fetch_add(&next, 1));
        int file = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        if (file < 0)
                err(1, "%s", name);
        if (spliced)
                splice_all(from, file);
        else
                copy(from, file);
        if (synced && fdatasync(file) < 0)
                err(1, "fdatasync");
        close(file);
        if (write(from, "226\r\n", 5) != 5)
                err(1, "226");
        close(from);
        return NULL;
}

static void serve(int port, void *(*each)(void *))
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
        int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, c;
        pthread_t thread;

        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s, 64) < 0)
                err(1, "port %d", port);
        while ((c = accept4(s, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                pthread_create(&thread, NULL, each, (void *)(intptr_t)c);
                pthread_detach(thread);
        }
}

static void *upload_some(void *arg)
{
        char part[32], name[32], *bytes = calloc(1, size);
        int i;

        (void)arg;
        while ((i = atomic_fetch_add(&next, 1)) < files) {
                snprintf(part, sizeof(part), ".part%d", i);
                snprintf(name, sizeof(name), "f%d", i);
                int file = openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

                if (file < 0 || write(file, bytes, size) != (ssize_t)size ||
                    (synced && fdatasync(file) < 0) || renameat(folder, part, folder, name) < 0 ||
                    (synced && fsync(folder) < 0))
                        err(1, "%s", name);
                close(file);
        }
        free(bytes);
        return NULL;
}

static void upload(void)
{
        pthread_t *list = calloc((size_t)threads, sizeof(*list));
        double began = now_seconds();

        for (int i = 0; i < threads; i++)
                pthread_create(&list[i], NULL, upload_some, NULL);
        for (int i = 0; i < threads; i++)
                pthread_join(list[i], NULL);
        printf("per_second=%.1f\n", files / (now_seconds() - began));
        free(list);
}

static void list(int times)
{
        double began = now_seconds();
        struct dirent *e;
        struct stat st;
        uint64_t sum = 0;

        for (int i = 0; i < times; i++) {
                DIR *d = fdopendir(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

                if (!d)
                        err(1, "%s", place);
                while ((e = readdir(d)))
                        if (!fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
                                sum += (uint64_t)st.st_size;
                closedir(d);
        }
        printf("per_second=%.2f octets=%ju\n", times / (now_seconds() - began), (uintmax_t)sum);
}

static bool word(int argc, char **argv, const char *wanted)
{
        for (int i = 4; i < argc; i++)
                if (!strcmp(argv[i], wanted))
                        return true;
        return false;
}

static int whole(const char *digits)
{
        return (int)strtol(digits, NULL, 10);
}

int main(int argc, char **argv)
{
        if (argc < 4)
                errx(
                    64,
                    "send PORT FILE | receive PORT FOLDER | files FOLDER N THREADS SIZE | list FOLDER TIMES");
        bool serves = !strcmp(argv[1], "send") || !strcmp(argv[1], "receive");

        place = argv[serves ? 3 : 2];
        synced = word(argc, argv, "sync");
        spliced = word(argc, argv, "splice");
        if (!strcmp(argv[1], "send"))
                serve(whole(argv[2]), give);
        folder = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
                err(1, "%s", place);
        if (!strcmp(argv[1], "receive")) {
                serve(whole(argv[2]), keep);
        } else if (!strcmp(argv[1], "list")) {
                list(whole(argv[3]));
        } else if (argc >= 6) {
                files = whole(argv[3]);
                threads = whole(argv[4]);
                size = strtoul(argv[5], NULL, 10);
                upload();
        }
        return 0;
}
