// SPDX-License-Identifier: GPL-2.0-only
/*
 * String functions of i386 that are not inline.
 *
 * strncpy pads with zeros, strcmp and strncmp compare unsigned characters:
 * the generic ones in lib/string.c do neither, the kernel relied on both.
 * gcc emits calls to memcpy, memmove, memset and memcmp of its own accord.
 */
#include <linux/types.h>
#include <linux/string.h>

#undef memcpy
#undef memset
#undef memcmp

void *memcpy(void *to, const void *from, size_t n)
{
	int d0, d1, d2;

	__asm__ __volatile__("cld\n\t"
			     "rep ; movsl\n\t"
			     "movl %6,%%ecx\n\t"
			     "rep ; movsb"
			     : "=&c" (d0), "=&D" (d1), "=&S" (d2)
			     : "0" (n / 4), "1" (to), "2" (from), "r" (n % 4)
			     : "memory", "cc");
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	int d0, d1, d2;

	if (to <= from)
		return memcpy(to, from, n);
	__asm__ __volatile__("std\n\t"
			     "rep ; movsb\n\t"
			     "cld"
			     : "=&c" (d0), "=&D" (d1), "=&S" (d2)
			     : "0" (n), "1" ((char *) to + n - 1),
			       "2" ((const char *) from + n - 1)
			     : "memory", "cc");
	return to;
}

void *memset(void *s, int c, size_t n)
{
	int d0, d1;

	__asm__ __volatile__("cld\n\t"
			     "rep ; stosl\n\t"
			     "movl %5,%%ecx\n\t"
			     "rep ; stosb"
			     : "=&c" (d0), "=&D" (d1)
			     : "a" (0x01010101UL * (unsigned char) c),
			       "0" (n / 4), "1" (s), "r" (n % 4)
			     : "memory", "cc");
	return s;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	for (; n; p++, q++, n--)
		if (*p != *q)
			return *p < *q ? -1 : 1;
	return 0;
}

char *strncpy(char *to, const char *from, size_t n)
{
	char *p = to;

	while (n && (*p = *from) != '\0') {
		p++;
		from++;
		n--;
	}
	while (n--)
		*p++ = '\0';
	return to;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; a++, b++, n--) {
		if (*a != *b)
			return (unsigned char) *a < (unsigned char) *b ? -1 : 1;
		if (*a == '\0')
			break;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, ~(size_t) 0);
}
