# SPDX-License-Identifier: GPL-2.0-only
# dietlibc: headers, the libraries that link into programs, and a compiler that uses them. Behind its
# own headers come those of a later kernel ($BINARY), for programs that ask what there is at run time.
parts="start.o dietlibc.a libcompat.a libm.a libcrypt.a"

# What gcc 14 has come to refuse, in sources that are older than that.
lenient="-Wno-error=implicit-function-declaration -Wno-error=implicit-int \
	-Wno-error=int-conversion -Wno-error=incompatible-pointer-types"

# The makefile has no place for flags that every file needs, but beside the compiler's name.
gcc="$HOST_CC32 -march=i586 -mno-mmx -mno-sse -fno-pie -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables $lenient -w"
make -s ARCH=i386 CC="$gcc" bin-i386
make -s -j"$JOBS" ARCH=i386 STRIP=: CC="$gcc" $(printf 'bin-i386/%s ' $parts)

mkdir -p "$OUT/bin" "$OUT/lib"
cp -R include "$OUT/include"
cp -RL "$BINARY/usr/include" "$OUT/later"
for part in $parts; do
	cp "bin-i386/$part" "$OUT/lib/$part"
done
mv "$OUT/lib/dietlibc.a" "$OUT/lib/libc.a"
sed -e "s|@GCC@|$HOST_CC|" -e "s|@GCC_INCLUDE@|$($HOST_CC -print-file-name=include)|" \
	-e "s|@FLAGS@|-D_BSD_SOURCE $(echo $lenient)|" \
	-e 's|@AFTER@|-idirafter "$here/later" -idirafter "$here/later/i386-linux-gnu"|' \
	"$RECIPE/cc" >"$OUT/bin/cc"
chmod 755 "$OUT/bin/cc"
