/* What lies in a fresh demo's files/: the lectures' two sessions find there what they found then. 0 or an exit code, said. */
#pragma once

int demo_files(void);
