/* SPDX-License-Identifier: GPL-2.0-only */
/* A server for one user with one ed25519 key; host keys, ciphers and services beyond that are off. */
#define DROPBEAR_SMALL_CODE 0
#define DROPBEAR_REEXEC 0
#define INETD_MODE 0
#define DROPBEAR_ECDSA 0
#define DROPBEAR_SK_KEYS 0
#define DROPBEAR_ECDH 0
#define DROPBEAR_DH_GROUP14_SHA1 0
#define DROPBEAR_DH_GROUP14_SHA256 0
#define DROPBEAR_DH_GROUP1 0
#define DROPBEAR_CHACHA20POLY1305 0
#define DROPBEAR_SHA1_HMAC 0
#define DROPBEAR_SVR_PASSWORD_AUTH 0
#define DROPBEAR_SVR_LOCALTCPFWD 0
#define DROPBEAR_SVR_REMOTETCPFWD 0
#define DROPBEAR_SVR_AGENTFWD 0
#define DROPBEAR_SFTPSERVER 0
#define DO_MOTD 0

/* Tests log in many times at once, all from slirp's one address. */
#define MAX_UNAUTH_PER_IP 30
