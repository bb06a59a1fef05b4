/* What every unit test includes: cmocka, with what it wants before it, and comparing of strings with a length. */
#pragma once
#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Equal bytes, or the test ends and both are shown. */
#define assert_str(got, want) unit_same((got), (want), __FILE__, __LINE__)
static inline void unit_same(struct str got, struct str want, const char *file, int line)
{
        if (str_eq(got, want))
                return;
        print_error("got  \"" PRS "\"\nwant \"" PRS "\"\n", STR(got), STR(want));
        _fail(file, line);
}
