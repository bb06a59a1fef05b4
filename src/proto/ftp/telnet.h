/* Telnet's part of a line on the control connection. Pure.
 *
 * telnet_in: is there anything for telnet_take to do? Mostly there is not. telnet_take: the line without it goes to `out`, which never needs
 * more than line.n; what is to be answered, if anything, to `answers`, at most 48 bytes. CR NUL becomes CR; any other NUL is left. */
#pragma once
#include "base/buf.h"

bool telnet_in(struct str line);
void telnet_take(struct str line, struct buf *out, struct buf *answers);
