/* Found by BCC before anything else: its presence is what "kernel headers exist" means to BCC. */
#ifndef STUB_LINUX_KCONFIG_H
#define STUB_LINUX_KCONFIG_H

#define CONFIG_BPF_SYSCALL 1
#define CONFIG_BPF_EVENTS 1
#define CONFIG_ARCH_HAS_SYSCALL_WRAPPER 1

#endif
