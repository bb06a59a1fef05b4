/* Times as FTP says them (RFC 3659 §2.3): YYYYMMDDHHMMSS[.fraction], always UTC. In wall microseconds. Pure. */
#pragma once
#include "base/buf.h"

/* All of s is a time. Years 1 to 9999; a second 60 is the next minute's first. */
[[nodiscard]] bool ftp_time_parse(struct str s, int64_t *usec);
void put_ftp_time(struct buf *b, int64_t usec); /* 14 digits; years outside are held to these */

/* A day of the calendar, remembered: files of a folder mostly have few. */
struct ftp_day {
        int64_t number; /* days since 1970 */
        unsigned year, month, day;
};
void ftp_day_set(struct ftp_day *d, int64_t number);
int64_t ftp_day_number(int64_t usec, unsigned *second_of_day);
