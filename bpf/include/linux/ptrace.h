/* The x86-64 register block a system call leaves on the kernel stack. */
#ifndef STUB_LINUX_PTRACE_H
#define STUB_LINUX_PTRACE_H

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
	unsigned long ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

#endif
