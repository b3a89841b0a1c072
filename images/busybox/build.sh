# SPDX-License-Identifier: GPL-2.0-only
# busybox: the small tools of the guest, those of the file `options` and no others.
sed 's/#.*//' "$RECIPE/options" | tr -s ' ' '\n' | sed '/^$/d; s/^/CONFIG_/' >wanted

# Its configurator cannot read a short list. So: answer the questions that the list brings up with
# whatever is offered, then take all that is not in the list back, when none is left to ask.
choose() {
	sed 's/^\(CONFIG_[A-Za-z0-9_]*\)=y$/# \1 is not set/' .config | grep -vwFf wanted >chosen
	sed 's/$/=y/' wanted >>chosen
	mv chosen .config
}
# Its configurator is a program of the host's too, where `gcc` need not be.
make -s HOSTCC="$HOST_CC" allnoconfig >/dev/null
choose
yes '' | make -s HOSTCC="$HOST_CC" oldconfig >/dev/null
choose
make -s HOSTCC="$HOST_CC" silentoldconfig >/dev/null
for name in $(cat wanted); do
	grep -q "^$name=y" .config || { echo "busybox has no $name, or it needs another option"; exit 1; }
done

make -s -j"$JOBS" HOSTCC="$HOST_CC" CC="$CC -include $RECIPE/dietlibc.h" CONFIG_EXTRA_CFLAGS=-w \
	SKIP_STRIP=y busybox busybox.links
mkdir -p "$OUT/bin"
strip -o "$OUT/bin/busybox" busybox
sed 's|.*/||' busybox.links | while read -r name; do
	ln -s busybox "$OUT/bin/$name"
done
