#include "net/addr.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }; /* ::ffff:0:0/96 */

static void take_v6(struct addr *a, const uint8_t ip[16])
{
        if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
                a->family = 4;
                mem_copy(a->ip, 16, str_from(ip + 12, 4));
        } else {
                a->family = 6;
                mem_copy(a->ip, 16, str_from(ip, 16));
        }
}

struct addr addr_of(const struct sockaddr *sa)
{
        struct addr a = { 0 };

        if (sa->sa_family == AF_INET) {
                const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

                a.family = 4;
                mem_copy(a.ip, 16, str_from(&in->sin_addr, 4));
                a.port = ntohs(in->sin_port);
        } else if (sa->sa_family == AF_INET6) {
                const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

                take_v6(&a, in6->sin6_addr.s6_addr);
                a.port = ntohs(in6->sin6_port);
        }
        return a;
}

socklen_t addr_to(struct addr a, struct sockaddr_storage *out)
{
        *out = (struct sockaddr_storage){ 0 };
        if (a.family == 4) {
                struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;

                in->sin_family = AF_INET;
                in->sin_port = htons(a.port);
                mem_copy(&in->sin_addr, 4, str_from(a.ip, 4));
                return sizeof(*in);
        }
        if (a.family == 6) {
                struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)out;

                in6->sin6_family = AF_INET6;
                in6->sin6_port = htons(a.port);
                mem_copy(&in6->sin6_addr, 16, str_from(a.ip, 16));
                return sizeof(*in6);
        }
        return 0;
}

static bool parse_ip(struct str s, struct addr *a)
{
        char z[INET6_ADDRSTRLEN];
        uint8_t ip[16];

        if (s.n == 0 || s.n >= sizeof(z) || memchr(s.p, 0, s.n))
                return false;
        mem_copy(z, sizeof(z), s);
        z[s.n] = 0;
        if (inet_pton(AF_INET, z, ip) == 1) {
                a->family = 4;
                mem_copy(a->ip, 16, str_from(ip, 4));
                return true;
        }
        if (inet_pton(AF_INET6, z, ip) == 1) {
                take_v6(a, ip);
                return true;
        }
        return false;
}

static bool parse_port(struct str s, struct addr *a)
{
        uint64_t port;

        if (!str_u64(s, &port) || port > UINT16_MAX)
                return false;
        a->port = (uint16_t)port;
        return true;
}

bool addr_parse(struct str s, uint16_t port, struct addr *out)
{
        struct addr a = { .port = port };
        size_t end;

        if (str_starts(s, S("["))) {
                end = str_find(s, ']');
                if (end == STR_NONE || !parse_ip(str_sub(s, 1, end - 1), &a))
                        return false;
                s = str_from_at(s, end + 1);
                if (s.n > 0 && (s.p[0] != ':' || !parse_port(str_from_at(s, 1), &a)))
                        return false;
        } else if (!parse_ip(s, &a)) {
                /* "127.0.0.1:25"; an IPv6 address with a port needs its brackets */
                end = str_find(s, ':');
                if (end == STR_NONE || end != str_rfind(s, ':') || !parse_ip(str_sub(s, 0, end), &a) ||
                    !parse_port(str_from_at(s, end + 1), &a))
                        return false;
        }
        *out = a;
        return true;
}

struct addr_text addr_text(struct addr a)
{
        struct addr_text t = { "none" };

        if (a.family)
                inet_ntop(a.family == 4 ? AF_INET : AF_INET6, a.ip, t.z, sizeof(t.z));
        return t;
}

struct addr_text addr_literal(struct addr a)
{
        struct addr_text plain = addr_text(a), t;

        snprintf(t.z, sizeof(t.z), "[%s%.46s]", a.family == 6 ? "IPv6:" : "", plain.z);
        return t;
}

bool addr_loopback(struct addr a)
{
        static const uint8_t one[16] = { [15] = 1 };

        return a.family == 4 ? a.ip[0] == 127 : a.family == 6 && memcmp(a.ip, one, 16) == 0;
}

bool addr_any(struct addr a)
{
        return a.family && memcmp(a.ip, (const uint8_t[16]){ 0 }, a.family == 4 ? 4 : 16) == 0;
}

bool addr_same_host(struct addr a, struct addr b)
{
        return a.family == b.family && memcmp(a.ip, b.ip, a.family == 4 ? 4 : 16) == 0;
}

struct addr addr_net(struct addr a)
{
        struct addr net = { .family = a.family };

        mem_copy(net.ip, sizeof(net.ip), str_from(a.ip, a.family == 6 ? 8 : 4));
        return net;
}

static bool in_prefix(struct addr a, struct addr net, uint64_t bits)
{
        size_t whole = bits / 8;
        unsigned rest = bits % 8;

        if (a.family != net.family || memcmp(a.ip, net.ip, whole) != 0)
                return false;
        return rest == 0 || (a.ip[whole] ^ net.ip[whole]) >> (8 - rest) == 0;
}

bool addr_in_list(struct addr a, struct str list)
{
        while (list.n > 0) {
                size_t n = 0;
                struct str item, ip;
                struct addr net = { 0 };
                uint64_t bits;
                bool prefix;

                while (n < list.n && !strchr(" ,\t\r\n", list.p[n]))
                        n++;
                item = str_sub(list, 0, n);
                list = str_from_at(list, n + 1);
                prefix = str_cut(&item, '/', &ip);
                if (!parse_ip(ip, &net))
                        continue;
                bits = net.family == 4 ? 32 : 128;
                if (prefix) {
                        uint64_t most = bits;

                        if (!str_u64(item, &bits) || bits > most)
                                continue;
                }
                if (in_prefix(a, net, bits))
                        return true;
        }
        return false;
}
