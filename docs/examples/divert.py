# SPDX-License-Identifier: GPL-2.0-only
"""Read one packet from the divert port that is named, and reinject it as it was, with its tag."""

import ctypes
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
divert = socket.socket(socket.AF_INET, socket.SOCK_RAW, 254)
divert.bind(("0.0.0.0", int(sys.argv[1])))
print("listening")

packet = ctypes.create_string_buffer(65535)
address = ctypes.create_string_buffer(16)  # a struct sockaddr_in
size = ctypes.c_int(16)
length = libc.recvfrom(divert.fileno(), packet, len(packet), 0, address, ctypes.byref(size))
where, tag = socket.inet_ntoa(address.raw[4:8]), address.raw[2:4] + address.raw[8:]
print(f"{length} bytes from {where}, tag {tag.hex()}")
if libc.sendto(divert.fileno(), packet, length, 0, address, size) < 0:
    sys.exit(f"sendto: errno {ctypes.get_errno()}")
