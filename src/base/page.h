/* Pages of memory in regions of their own: what thousands of sessions need while they are awake leaves no holes in the heap when they
 * park. Any thread. Under ASan they are pieces of the heap, where a byte too far or too late is seen. */
#pragma once

enum { PAGE = 4096 };
char *page_get(void);
void page_put(char *page);
