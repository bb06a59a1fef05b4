/* The lectures' people, for a fresh demo folder. */
#pragma once
#include <stdbool.h>

/* The working directory is the folder, its layout and keys stand. `domains`: more of them, by comma, also later (not
 * fresh): those that are not there yet. An exit code of sysexits(3), after it has said why. */
int demo_people(const char *domains, bool fresh);
