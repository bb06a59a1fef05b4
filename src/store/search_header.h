/* The first bytes of a part. */
#pragma once
#include "store/search_part.h"

enum { HEADER_SIZE = 56 };
struct part_header {
        uint32_t first, last, letters, directory_n;
        uint64_t directory_at, directory_sum;
};
void part_header_put(struct buf *out, const struct part_header *h);
bool part_header_get(struct part_header *h,
                     struct str s); /* false: damaged, or of another version or folding */
