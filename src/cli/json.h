/* JSON to a stream, as it comes. Strings that are not UTF-8 are written with U+FFFD. With `to` NULL nothing is
 * written, so that callers need not ask. */
#pragma once
#include "base/str.h"
#include <stdio.h>

struct json {
        FILE *to;
        unsigned depth;
        bool comma; /* something stands before */
};
void json_open(struct json *j, const char *key /* NULL in a list */, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);                                      /* '}' or ']' */
void json_str(struct json *j, const char *key, struct str value);
void json_number(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
