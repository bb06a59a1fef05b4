/* The file by which a domain tells a mail reader its servers (autoconfig, config-v1.1.xml), fetched by HTTPS with a good certificate only. Its reader is
 * our own: the few elements that are needed, at most 256 KB, no entities but the five of XML, nothing is fetched that the file names. */
#pragma once
#include "cli/mail/logins.h"

/* Fills what is empty from the file's text: the first incoming server that is IMAP, else POP3, and the first outgoing one, with TLS, and a user that is
 * the address or a part of it. How many it gave. Pure. */
unsigned autoconfig_read(struct str xml, struct login *l);
/* From https://autoconfig.DOMAIN/... (place 0) and https://DOMAIN/.well-known/autoconfig/... (1); host: that host, which is at `addresses` ("192.0.2.1,2001:db8::1").
 * *why gets a line. Waits. */
enum { AUTOCONFIG_PLACES = 2 };
unsigned autoconfig_find(struct login *l, unsigned place, struct str host, struct str addresses,
                         struct buf *why);
