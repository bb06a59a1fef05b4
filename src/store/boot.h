/* The kernel's boot id: whoever finds another one than his own in a file knows that what was not synced may be lost. */
#pragma once

/* 36 characters; read once, so call it before the sandbox. Where there is none, the process ends. */
const char *boot_id(void);
void boot_id_for_tests(const char *id); /* "": the kernel's again */
