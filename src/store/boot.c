#include "store/boot.h"
#include "base/mem.h"
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static char id[37];
static char test_id[37];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_id(void)
{
        int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return;
        if (read(fd, id, sizeof id - 1) != sizeof id - 1)
                id[0] = 0;
        close(fd);
}

const char *boot_id(void)
{
        pthread_once(&once, read_id);
        return test_id[0] ? test_id : id;
}

void boot_id_for_tests(const char *other)
{
        struct str s = str_of(other);

        mem_copy(test_id, sizeof test_id - 1, s);
        test_id[s.n] = 0;
}
