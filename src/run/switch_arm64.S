/* See switch.h. AAPCS64 §6.1: x19-x30 and the low halves of v8-v15 belong to the caller; FPCR goes along.
 *
 * A stack switched away from, upwards from the saved top:
 *      x19 x20 | x21 x22 | x23 x24 | x25 x26 | x27 x28 | x29 x30 | d8 d9 | d10 d11 | d12 d13 | d14 d15 | fpcr, 0
 * tools/gdb/fibers.py knows this layout. `hint #34` is `bti c`: a landing point for branch protection. */
        .text
        .globl  switch_stack
        .hidden switch_stack
        .type   switch_stack, %function
        .p2align 4
switch_stack:
        .cfi_startproc
        hint    #34
        sub     sp, sp, #176
        .cfi_adjust_cfa_offset 176
        stp     x19, x20, [sp, #0]
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     x29, x30, [sp, #80]
        .cfi_rel_offset x29, 80
        .cfi_rel_offset x30, 88
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mrs     x9, fpcr
        stp     x9, xzr, [sp, #160]
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        ldp     x9, xzr, [sp, #160]
        msr     fpcr, x9
        ldp     x19, x20, [sp, #0]
        ldp     x21, x22, [sp, #16]
        ldp     x23, x24, [sp, #32]
        ldp     x25, x26, [sp, #48]
        ldp     x27, x28, [sp, #64]
        ldp     x29, x30, [sp, #80]
        ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        add     sp, sp, #176
        .cfi_adjust_cfa_offset -176
        .cfi_restore x29
        .cfi_restore x30
        ret
        .cfi_endproc
        .size   switch_stack, .-switch_stack

/* The first frame of a stack: x19 is the entry, x20 its argument; no caller. */
        .type   switch_first, %function
        .p2align 4
switch_first:
        .cfi_startproc
        .cfi_undefined x30
        hint    #36                     /* bti j */
        mov     x0, x20
        blr     x19
        brk     #1
        .cfi_endproc
        .size   switch_first, .-switch_first

/* x0 low, x1 size, x2 entry, x3 arg -> x0 */
        .globl  switch_prepare
        .hidden switch_prepare
        .type   switch_prepare, %function
        .p2align 4
switch_prepare:
        .cfi_startproc
        hint    #34
        add     x0, x0, x1
        and     x0, x0, #-16
        sub     x0, x0, #192            /* 176 as above, and an empty frame record */
        stp     x2, x3, [x0, #0]
        stp     xzr, xzr, [x0, #16]
        stp     xzr, xzr, [x0, #32]
        stp     xzr, xzr, [x0, #48]
        stp     xzr, xzr, [x0, #64]
        adr     x9, switch_first
        stp     xzr, x9, [x0, #80]
        stp     xzr, xzr, [x0, #96]
        stp     xzr, xzr, [x0, #112]
        stp     xzr, xzr, [x0, #128]
        stp     xzr, xzr, [x0, #144]
        mrs     x9, fpcr
        stp     x9, xzr, [x0, #160]
        stp     xzr, xzr, [x0, #176]
        ret
        .cfi_endproc
        .size   switch_prepare, .-switch_prepare

        .section .note.GNU-stack,"",%progbits
