/* D/control.sock, where verbs ask a running server: the supervisor's end. Root and the owner of D may ask; the kernel
 * says who it is (SO_PEERCRED). What they may ask is role/control.h. */
#pragma once
#include "role/children.h"

int control_open(struct children *all); /* 0 or -errno, having said why */
void control_close(void);
