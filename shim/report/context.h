/* Where unwinding begins. */
#pragma once

#include <stddef.h>
#include <ucontext.h>

#include "base/compiler.h"

/* Notes the registers that unwinding needs: those that calls preserve, the stack's and where the code is. As
 * getcontext, which musl lacks, but the others stay as they are. */
ND_INLINE void nd_context_note(ucontext_t *context) {
#if defined(__x86_64__)
    __asm__ volatile("movq %%rbx, %c1(%0)\n\tmovq %%rbp, %c2(%0)\n\tmovq %%rsp, %c3(%0)\n\t"
                     "movq %%r12, %c4(%0)\n\tmovq %%r13, %c5(%0)\n\tmovq %%r14, %c6(%0)\n\tmovq %%r15, %c7(%0)\n\t"
                     "leaq 0(%%rip), %%rax\n\tmovq %%rax, %c8(%0)"
                     :
                     : "r"(context->uc_mcontext.gregs), "i"(8 * REG_RBX), "i"(8 * REG_RBP), "i"(8 * REG_RSP),
                       "i"(8 * REG_R12), "i"(8 * REG_R13), "i"(8 * REG_R14), "i"(8 * REG_R15), "i"(8 * REG_RIP)
                     : "rax", "memory");
#elif defined(__i386__)
    __asm__ volatile("movl %%ebx, %c1(%0)\n\tmovl %%ebp, %c2(%0)\n\tmovl %%esp, %c3(%0)\n\t"
                     "movl %%esi, %c4(%0)\n\tmovl %%edi, %c5(%0)\n\tcall 1f\n1:\tpopl %%eax\n\tmovl %%eax, %c6(%0)"
                     :
                     : "r"(context->uc_mcontext.gregs), "i"(4 * REG_EBX), "i"(4 * REG_EBP), "i"(4 * REG_ESP),
                       "i"(4 * REG_ESI), "i"(4 * REG_EDI), "i"(4 * REG_EIP)
                     : "eax", "memory");
#elif defined(__aarch64__)
    unsigned long here, stack;
    __asm__ volatile("stp x19, x20, [%2, #152]\n\tstp x21, x22, [%2, #168]\n\tstp x23, x24, [%2, #184]\n\t"
                     "stp x25, x26, [%2, #200]\n\tstp x27, x28, [%2, #216]\n\tstp x29, x30, [%2, #232]\n\t"
                     "mov %1, sp\n\tadr %0, ."
                     : "=&r"(here), "=&r"(stack)
                     : "r"(context->uc_mcontext.regs)
                     : "memory");
    context->uc_mcontext.sp = stack;
    context->uc_mcontext.pc = here;
#else
#error "the registers of this architecture are missing here"
#endif
}
