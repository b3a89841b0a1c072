# SPDX-License-Identifier: GPL-2.0-only
# Put before libtomcrypt's own Makefile: of its three hundred files, those that this dropbear links.
override OBJECTS := $(patsubst %.c,%.o,$(wildcard $(addprefix src/, \
	ciphers/aes/aes.c hashes/sha1.c hashes/sha2/*.c hashes/helper/*.c mac/hmac/*.c \
	misc/*.c misc/base64/*.c misc/crypt/*.c modes/ctr/*.c)))
include Makefile
