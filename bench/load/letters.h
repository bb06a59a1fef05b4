/* Letters to measure with: the same ones for every server, made from a number. 4 KB and more, words of a small language in which
 * some are common and most are rare; one letter in seven is a multipart. "zyzzyva" stands in the body of one in a hundred, "quokka"
 * in the subject of one in fifty, "harbour" in every body. */
#pragma once
#include <stddef.h>

size_t letter_make(unsigned number, size_t size, char *out, size_t room); /* its octets */
