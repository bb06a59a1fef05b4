/* What a verb may ask a running server by D/control.sock (role/control_socket.c answers, cli/control.c asks). Bodies
 * and answers of those that concern secrets are the keeper's (proto/keeper_message.h): they pass through. An empty
 * answer to one of them means that the keeper is not there just now. */
#pragma once

enum control_kind {
        CONTROL_DIRECTORY_CHANGED = 1, /* -> "" */
        CONTROL_OUTBOX_CHANGED,        /* -> "" */
        CONTROL_STATUS,                /* -> one line a role */
        CONTROL_SET_SECRET,            /* struct ask_set_secret -> struct keeper_said */
        CONTROL_SECRETS, /* packed account -> struct keeper_said, text: rows of struct secret_entry */
        CONTROL_BANS,    /* u32 how many to pass over -> keeper_said, text: rows of struct ban_entry */
        CONTROL_UNBAN,   /* packed address as text -> struct keeper_said */
        CONTROL_SUBMIT, /* and a descriptor, a stream socket on which SMTP shall be spoken with pail send, who may send to
                            anywhere as anybody: whoever may ask here may -> "yes", or "" when no mail role is there just now */
        CONTROL_WATCH, /* struct tap_wanted and a descriptor, one end of a SOCK_SEQPACKET pair, to which the roles send what passes until the
                            other end is closed, also those that are started later (proto/tap.h) -> "yes", or "": too many watch */
};
