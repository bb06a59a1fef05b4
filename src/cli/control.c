#include "cli/control.h"
#include "run/channel.h"
#include <errno.h>

enum { ANSWER_SECONDS = 60 };

int cli_control(enum control_kind kind, struct str body, struct buf *answer)
{
        return cli_control_fd(kind, body, -1, answer);
}

int cli_control_fd(enum control_kind kind, struct str body, int fd, struct buf *answer)
{
        struct channel *c;
        int rc = channel_connect("control.sock", &c);

        if (rc < 0)
                return rc;
        rc = channel_ask(c, (uint16_t)kind, body, fd, answer, NULL, in_seconds(ANSWER_SECONDS));
        channel_free(&c);
        return rc;
}

bool control_nobody(int rc)
{
        return rc == -ENOENT || rc == -ECONNREFUSED;
}
