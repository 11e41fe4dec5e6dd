/* embed.h - a file of the tree as a text inside the program: the contracts in schemas/. */
#ifndef TIDEWAY_EMBED_H
#define TIDEWAY_EMBED_H

/* Defines `const char name[]` with the bytes of the file (path from the top of the tree), NUL
 * terminated.  The name must be unique in a program. */
#define EMBED(name, file)                                                                          \
	extern const char name[];                                                                  \
	__asm__(".pushsection .rodata\n"                                                           \
		".global " #name "\n" #name ":\n"                                                  \
		".incbin \"" file "\"\n"                                                           \
		".byte 0\n"                                                                        \
		".popsection\n")

#endif
