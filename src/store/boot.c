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

        /* Without it every boot would look like the last, and numbers that a power cut took be given again. */
        if (fd < 0 || read(fd, id, sizeof id - 1) != sizeof id - 1)
                mem_die("the kernel's boot id cannot be read");
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
