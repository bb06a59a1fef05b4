/* How an entry of a folder looks on a line. By hand and into a buffer, since ten thousand of them are asked for at once. */
#pragma once
#include "proto/ftp/ftp.h"
#include "proto/ftp/time.h"

struct line_dates {
        int64_t now; /* dates within half a year before it have their time, others their year */
        struct ftp_day day;
};
/* As `ls -l`, with CRLF: "-rw-r--r--   1 1000     1000         1234 Sep 24  2002 name -> target". Times are in UTC. */
void put_list_line(struct buf *b, struct line_dates *d, struct str name, const struct file_facts *f,
                   struct str target);
/* Control characters as '?': they would act on the terminal of whoever looks. */
void put_seen(struct buf *b, struct str name);
/* put_mlst_facts is in ftp.h. */
