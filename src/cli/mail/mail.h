/* pail mail: a reader of mail, as a screen and as single commands. All of it reads from a store like the server's own (store/account.h), never from
 * the network: of an account at another server a copy is kept, `sync` brings copy and server together, at once, in the background, or when
 * there is a network again. So it opens at once, works in a train, searches by the index, and threads and MIME are those of the server's code.
 * On the server itself the account is opened where it lies, and there is nothing to bring together.
 *
 *   mail.c        the verb: which account, which command      command_*.c   single commands: list read search save reply send ... (command.h)
 *   logins.h      accounts of other servers: the file, discovery by RFC 6186 and autoconfig, passwords
 *   copy.h        an account's letters on this machine; changes   sync.h    copy and server brought together: IMAP, POP3
 *   view.h        a folder as rows: sorted, threaded, limited     letter.h  a letter as a person reads it
 *   compose.h     a letter as a person writes it, to bytes        outgo.h   on its way: submission, or pail send; kept in Sent
 *   screen.h      the terminal: folders, rows, letter; keys
 *
 * Text from letters reaches a terminal only through terminal_safe (cli/terminal.h); file names of attachments only through letter_file_name.
 * Everything here runs in fibers of client_run and may wait, unless a line says otherwise. Errors are said by whoever a person asked. */
#pragma once
#include "cli/mail/copy.h"
#include "cli/mail/logins.h"
#include "cli/tool.h"

struct mail {
        struct tool *tool; /* options, --json */
        struct logins logins;
        struct login *login; /* the chosen one */
        struct copy *copy;   /* its letters, open */
};
