/* The kernel's boot id: whoever finds another one than his own in a file knows that what was not synced may be lost. */
#pragma once

const char *boot_id(
    void); /* 36 characters; read once, so call it before the sandbox. Empty where there is none */
void boot_id_for_tests(const char *id); /* "": the kernel's again */
