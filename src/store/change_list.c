/* Sets of uids and lists of placements, in memory. */
#include "base/mem.h"
#include "store/change_inside.h"

void uid_list_add(struct uid_list *l, uint32_t first, uint32_t last)
{
        struct uid_range *end = l->n ? &l->ranges[l->n - 1] : NULL;

        if (end && first <= (uint64_t)end->last + 1) {
                if (last > end->last)
                        end->last = last;
                return;
        }
        if (l->n == l->room) {
                l->room = l->room ? l->room * 2 : 8;
                l->ranges = mem_grow(l->ranges, l->room, sizeof *l->ranges);
        }
        l->ranges[l->n++] = (struct uid_range){ first, last };
}

void uid_list_free(struct uid_list *l)
{
        mem_free(l->ranges);
        *l = (struct uid_list){ 0 };
}

bool uid_list_has(const struct uid_list *l, uint32_t uid)
{
        size_t low = 0, high = l->n;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (uid < l->ranges[middle].first)
                        high = middle;
                else if (uid > l->ranges[middle].last)
                        low = middle + 1;
                else
                        return true;
        }
        return false;
}

uint64_t uid_list_count(const struct uid_list *l)
{
        uint64_t n = 0;

        for (size_t i = 0; i < l->n; i++)
                n += (uint64_t)l->ranges[i].last - l->ranges[i].first + 1;
        return n;
}

void placed_add(struct placed_list *l, const struct placed *p)
{
        if (l->n == l->room) {
                l->room = l->room ? l->room * 2 : 16;
                l->list = mem_grow(l->list, l->room, sizeof *l->list);
        }
        l->list[l->n++] = *p;
}

void placed_list_free(struct placed_list *l)
{
        mem_free(l->list);
        *l = (struct placed_list){ 0 };
}
