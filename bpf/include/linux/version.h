/* STUB_VERSION_CODE comes from the command line: the running kernel's release. */
#ifndef STUB_LINUX_VERSION_H
#define STUB_LINUX_VERSION_H

#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE STUB_VERSION_CODE

#endif
