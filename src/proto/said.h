/* What others say goes into logs, reports and terminals: printable, one line, valid UTF-8, cut to the room at a character's end. */
#pragma once
#include "base/str.h"

void said_put(char *room, size_t size, struct str said); /* ends with NUL */
