/* Paths as clients say them: what path_join makes of them names something beneath the root, and nothing else. */
#include "store/files.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "%s\n", what);
        abort();
}

static void check(struct str path)
{
        struct str rest = str_from_at(path, 1), part;

        must(path.n && path.p[0] == '/', "it begins with a slash");
        must(path.n <= PATH_MOST && path.p[path.n] == '\0' && str_find(path, 0) == STR_NONE,
             "it is a path for the kernel");
        while (rest.n) {
                must(rest.p[0] != '/' && rest.p[rest.n - 1] != '/', "no empty parts");
                str_cut(&rest, '/', &part);
                must(!str_eq(part, S(".")) && !str_eq(part, S("..")), "no dots");
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct arena a auto_arena = { 0 };
        struct str path = str_from(data, size), cwd, again;

        arena_init(&a, 1 << 20);
        str_cut(&path, '\n', &cwd);
        cwd = path_join(&a, S("/"), cwd);
        if (!cwd.p)
                return 0;
        check(cwd);
        path = path_join(&a, cwd, path);
        if (!path.p)
                return 0;
        check(path);
        again = path_join(&a, cwd, path);
        must(str_eq(path, again), "joined again it is the same");
        again = path_join(&a, path, S(""));
        must(str_eq(path, again), "and the folder itself");
        return 0;
}
