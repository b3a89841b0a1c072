/* SPDX-License-Identifier: GPL-2.0-only */
/* 2.2 has no such call; lib/utimes_of_2_2.c makes it of those that it has. */
