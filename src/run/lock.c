#include "run/fiber.h"
#include <assert.h>

/* lock_drop hands the lock to the first who waits, so nobody overtakes. A wait that was woken returns 0 even if its
 * fiber is cancelled before it runs, so no hand-over is lost. */

bool lock_try(struct fiber_lock *l)
{
        if (l->held)
                return false;
        l->held = true;
        l->owner = fiber_self();
        return true;
}

int lock_take(struct fiber_lock *l, const char *what, nsec deadline)
{
        if (lock_try(l))
                return 0;
        assert(fiber_self());             /* nobody else would ever free it */
        assert(l->owner != fiber_self()); /* nor would this fiber */
        return wait_on(&l->queue, what, deadline);
}

void lock_drop(struct fiber_lock *l)
{
        assert(l->held && l->owner == fiber_self());
        l->owner = l->queue.head;
        l->held = l->owner != NULL;
        wake_one(&l->queue);
}
