/* See switch.h. System V AMD64 ABI §3.2.1: rbx rbp r12-r15, MXCSR and the x87 control word belong to the caller.
 *
 * A stack switched away from, upwards from the saved top:
 *      mxcsr (4) | x87 control word (4) | r15 | r14 | r13 | r12 | rbx | rbp | return address
 * tools/gdb/fibers.py knows this layout.
 *
 * Made for -fcf-protection=branch: the landing points carry endbr64 (by cet.h). Shadow stacks are not supported: the
 * return below goes to another stack than the last call, and the object is not marked SHSTK. */
#include <cet.h>

        .text
        .globl  switch_stack
        .hidden switch_stack
        .type   switch_stack, @function
        .p2align 4
switch_stack:
        .cfi_startproc
        _CET_ENDBR
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        ret
        .cfi_endproc
        .size   switch_stack, .-switch_stack

/* The first frame of a stack: r12 is the entry, r13 its argument; no caller. */
        .type   switch_first, @function
        .p2align 4
switch_first:
        .cfi_startproc
        .cfi_undefined %rip
        _CET_ENDBR
        movq    %r13, %rdi
        callq   *%r12
        ud2
        .cfi_endproc
        .size   switch_first, .-switch_first

/* rdi low, rsi size, rdx entry, rcx arg -> rax */
        .globl  switch_prepare
        .hidden switch_prepare
        .type   switch_prepare, @function
        .p2align 4
switch_prepare:
        .cfi_startproc
        _CET_ENDBR
        leaq    (%rdi,%rsi), %rax
        andq    $-16, %rax
        subq    $80, %rax               /* 64 as above, and a zero for a return address, aligned */
        stmxcsr (%rax)
        fnstcw  4(%rax)
        movq    $0, 8(%rax)             /* r15 */
        movq    $0, 16(%rax)            /* r14 */
        movq    %rcx, 24(%rax)          /* r13 */
        movq    %rdx, 32(%rax)          /* r12 */
        movq    $0, 40(%rax)            /* rbx */
        movq    $0, 48(%rax)            /* rbp */
        leaq    switch_first(%rip), %r8
        movq    %r8, 56(%rax)
        movq    $0, 64(%rax)
        movq    $0, 72(%rax)
        ret
        .cfi_endproc
        .size   switch_prepare, .-switch_prepare

        .section .note.GNU-stack,"",@progbits
