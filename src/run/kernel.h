/* Kernel constants younger than Debian 12's headers (Linux 6.1). Tried at run time, with a fallback. */
#pragma once
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13: pages that fault when touched, without a mapping of their own */
#endif
#ifndef MADV_GUARD_REMOVE
#define MADV_GUARD_REMOVE 103
#endif
