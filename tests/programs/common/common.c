/* SPDX-License-Identifier: GPL-2.0-only */
#include "common.h"

#include <errno.h>
#include <string.h>

#define NAME(number) { number, #number }

/* What a socket call can answer. EAGAIN before EWOULDBLOCK, and so on: one name for each number. */
static const struct {
	int number;
	const char *name;
} names[] = {
	NAME(EPERM),         NAME(ENOENT),       NAME(ESRCH),           NAME(EINTR),
	NAME(EIO),           NAME(ENXIO),        NAME(E2BIG),           NAME(ENOEXEC),
	NAME(EBADF),         NAME(ECHILD),       NAME(EAGAIN),          NAME(ENOMEM),
	NAME(EACCES),        NAME(EFAULT),       NAME(ENOTBLK),         NAME(EBUSY),
	NAME(EEXIST),        NAME(EXDEV),        NAME(ENODEV),          NAME(ENOTDIR),
	NAME(EISDIR),        NAME(EINVAL),       NAME(ENFILE),          NAME(EMFILE),
	NAME(ENOTTY),        NAME(ETXTBSY),      NAME(EFBIG),           NAME(ENOSPC),
	NAME(ESPIPE),        NAME(EROFS),        NAME(EMLINK),          NAME(EPIPE),
	NAME(EDOM),          NAME(ERANGE),       NAME(EDEADLK),         NAME(ENAMETOOLONG),
	NAME(ENOLCK),        NAME(ENOSYS),       NAME(ENOTEMPTY),       NAME(ELOOP),
	NAME(ENOMSG),        NAME(EIDRM),        NAME(ECHRNG),          NAME(EL2NSYNC),
	NAME(EL3HLT),        NAME(EL3RST),       NAME(ELNRNG),          NAME(EUNATCH),
	NAME(ENOCSI),        NAME(EL2HLT),       NAME(EBADE),           NAME(EBADR),
	NAME(EXFULL),        NAME(ENOANO),       NAME(EBADRQC),         NAME(EBADSLT),
	NAME(EBFONT),        NAME(ENOSTR),       NAME(ENODATA),         NAME(ETIME),
	NAME(ENOSR),         NAME(ENONET),       NAME(ENOPKG),          NAME(EREMOTE),
	NAME(ENOLINK),       NAME(EADV),         NAME(ESRMNT),          NAME(ECOMM),
	NAME(EPROTO),        NAME(EMULTIHOP),    NAME(EDOTDOT),         NAME(EBADMSG),
	NAME(EOVERFLOW),     NAME(ENOTUNIQ),     NAME(EBADFD),          NAME(EREMCHG),
	NAME(ELIBACC),       NAME(ELIBBAD),      NAME(ELIBSCN),         NAME(ELIBMAX),
	NAME(ELIBEXEC),      NAME(EILSEQ),       NAME(ERESTART),        NAME(ESTRPIPE),
	NAME(EUSERS),        NAME(ENOTSOCK),     NAME(EDESTADDRREQ),    NAME(EMSGSIZE),
	NAME(EPROTOTYPE),    NAME(ENOPROTOOPT),  NAME(EPROTONOSUPPORT), NAME(ESOCKTNOSUPPORT),
	NAME(EOPNOTSUPP),    NAME(EPFNOSUPPORT), NAME(EAFNOSUPPORT),    NAME(EADDRINUSE),
	NAME(EADDRNOTAVAIL), NAME(ENETDOWN),     NAME(ENETUNREACH),     NAME(ENETRESET),
	NAME(ECONNABORTED),  NAME(ECONNRESET),   NAME(ENOBUFS),         NAME(EISCONN),
	NAME(ENOTCONN),      NAME(ESHUTDOWN),    NAME(ETOOMANYREFS),    NAME(ETIMEDOUT),
	NAME(ECONNREFUSED),  NAME(EHOSTDOWN),    NAME(EHOSTUNREACH),    NAME(EALREADY),
	NAME(EINPROGRESS),   NAME(ESTALE),       NAME(EUCLEAN),         NAME(ENOTNAM),
	NAME(ENAVAIL),       NAME(EISNAM),       NAME(EREMOTEIO),       NAME(EDQUOT),
	NAME(ENOMEDIUM),     NAME(EMEDIUMTYPE),
};

const char *errno_name(int number)
{
	static char unknown[16];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == number)
			return names[i].name;
	snprintf(unknown, sizeof(unknown), "E%d", number);
	return unknown;
}

void hex_write(FILE *to, const void *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *byte = bytes;
	char text[512];
	size_t used = 0;

	while (length--) {
		text[used++] = digits[*byte >> 4];
		text[used++] = digits[*byte++ & 15];
		if (used == sizeof(text) || !length) {
			fwrite(text, 1, used, to);
			used = 0;
		}
	}
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

long hex_read(const char *text, void *bytes, size_t room)
{
	unsigned char *byte = bytes;
	size_t length;

	for (length = 0; *text; text += 2, length++) {
		int high = digit(text[0]);
		int low = high < 0 ? -1 : digit(text[1]);

		if (low < 0 || length == room)
			return -1;
		byte[length] = (unsigned char)(high << 4 | low);
	}
	return (long)length;
}

void json_string(FILE *to, const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	putc('"', to);
	for (; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(to, "\\%c", *c);
		else if (*c < 0x20 || *c > 0x7e)
			fprintf(to, "\\u%04x", (unsigned int)*c);
		else
			putc(*c, to);
	}
	putc('"', to);
}

int number_read(const char *text, unsigned long low, unsigned long high, unsigned long *number)
{
	unsigned long base = 10, value = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (!*text)
		return -1;
	for (; *text; text++) {
		int next = digit(*text);

		if (next < 0 || (unsigned long)next >= base)
			return -1;
		if (value > (high - (unsigned long)next) / base || (unsigned long)next > high)
			return -1;
		value = value * base + (unsigned long)next;
	}
	if (value < low)
		return -1;
	*number = value;
	return 0;
}

int address_read(const char *text, struct in_addr *address)
{
	unsigned char quad[4];
	int i;

	for (i = 0; i < 4; i++) {
		unsigned int byte = 0, digits = 0;

		for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++)
			byte = byte * 10 + (unsigned int)(*text - '0');
		if (digits < 1 || digits > 3 || byte > 255 || *text != (i < 3 ? '.' : '\0'))
			return -1;
		quad[i] = (unsigned char)byte;
		text++;
	}
	memcpy(&address->s_addr, quad, sizeof(quad));
	return 0;
}

const char *address_text(struct in_addr address)
{
	static char buffers[4][16];
	static unsigned int next;
	char *text = buffers[next++ % 4];
	unsigned char quad[4];

	memcpy(quad, &address.s_addr, sizeof(quad));
	snprintf(text, sizeof(buffers[0]), "%d.%d.%d.%d", quad[0], quad[1], quad[2], quad[3]);
	return text;
}

/* The C libraries export them, but not all declare them. Version 1, the only one that 2.2 knows. */
extern int capget(void *header, void *data);
extern int capset(void *header, const void *data);

#define CAPABILITY_VERSION 0x19980330

int capabilities_drop(uint32_t drop)
{
	struct {
		uint32_t version;
		int pid;
	} header = { CAPABILITY_VERSION, 0 };
	struct {
		uint32_t effective, permitted, inheritable;
	} data;

	if (capget(&header, &data) < 0)
		return -1;
	data.effective &= ~drop;
	data.permitted &= ~drop;
	data.inheritable &= ~drop;
	return capset(&header, &data);
}
