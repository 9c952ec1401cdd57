/* STUB_PAGE_SIZE comes from the command line: ring sizes are given in real pages. */
#ifndef STUB_ASM_PAGE_H
#define STUB_ASM_PAGE_H

#define PAGE_SIZE STUB_PAGE_SIZE

#endif
