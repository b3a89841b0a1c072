# SPDX-License-Identifier: GPL-2.0-only
mkdir -p "$OUT/sbin"
$CC -O2 -Wall -Wextra -Werror -Wno-missing-field-initializers -s -o "$OUT/sbin/init" "$RECIPE/init.c"
$CC -O2 -Wall -Wextra -Werror -s -o "$OUT/sbin/insmod" "$RECIPE/insmod.c"
$CC -O2 -Wall -Wextra -Werror -s -o "$OUT/sbin/rmmod" "$RECIPE/rmmod.c"
