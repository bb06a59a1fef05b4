#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void finds(void **state)
{
        (void)state;
        assert_int_equal(str_find(S("abc"), 'b'), 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(finds) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
