/* A network address and port, IPv4 or IPv6 (an IPv4-mapped IPv6 address is IPv4). */
#pragma once
#include "base/str.h"
#include <sys/socket.h>

struct addr {
        uint8_t ip[16]; /* IPv4: the first 4 */
        uint8_t family; /* 0 none, 4, 6 */
        uint16_t port;
};
struct addr_text {
        char z[64];
};
struct addr addr_of(const struct sockaddr *sa);
socklen_t addr_to(struct addr a, struct sockaddr_storage *out);
bool addr_parse(struct str s, uint16_t port,
                struct addr *out);            /* "127.0.0.1", "::1", "[::1]:25", "127.0.0.1:25" */
struct addr_text addr_text(struct addr a);    /* without the port */
struct addr_text addr_literal(struct addr a); /* "[127.0.0.1]", "[IPv6:::1]" -- RFC 5321 §4.1.3 */
bool addr_loopback(struct addr a);
bool addr_any(struct addr a); /* 0.0.0.0, :: */
bool addr_same_host(struct addr a, struct addr b);
struct addr addr_net(
    struct addr a); /* what limits and bans count by: the IPv4 address, the IPv6 /64; port 0 */
bool addr_in_list(struct addr a, struct str list); /* list: "127.0.0.0/8 ::1 10.0.0.0/8", by space or comma */
