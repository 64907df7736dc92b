// SPDX-License-Identifier: GPL-2.0
/*
 * cipher: what the kernel's cryptography makes of data. "work cipher hash NAME"
 * prints the hash of 100,000 bytes, which the caller compares; "work cipher
 * skcipher NAME" encrypts, and decrypts with another request.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_alg.h>
#include <sys/socket.h>
#include "work.h"

#define SIZE	65536
#define HASHED	100000

static unsigned char plain[SIZE], coded[SIZE], back[SIZE];

static int algorithm(const char *type, const char *name)
{
	struct sockaddr_alg a = { .salg_family = AF_ALG };
	int s = socket(AF_ALG, SOCK_SEQPACKET, 0);

	snprintf((char *)a.salg_type, sizeof(a.salg_type), "%s", type);
	snprintf((char *)a.salg_name, sizeof(a.salg_name), "%s", name);
	return s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) ? -1 : s;
}

static int hash(const char *name)
{
	int s = algorithm("hash", name), op;
	unsigned char data[HASHED], sum[64];
	ssize_t n;

	if (s < 0 || (op = accept(s, NULL, NULL)) < 0)
		return fail(name);
	for (unsigned int i = 0; i < HASHED; i++)
		data[i] = (unsigned char)("0123456789"[i % 10]);
	for (unsigned int i = 0; i < HASHED; i += 10000)
		if (send(op, data + i, 10000, MSG_MORE) != 10000)
			return fail("send");
	n = recv(op, sum, sizeof(sum), 0);
	if (n <= 0)
		return fail("sum");
	printf("sum ");
	for (ssize_t i = 0; i < n; i++)
		printf("%02x", sum[i]);
	printf("\nops 10\n");
	return 0;
}

static int crypt_once(int op, __u32 what, void *from, void *to, int iv_size)
{
	char control[CMSG_SPACE(sizeof(__u32)) +
		     CMSG_SPACE(sizeof(struct af_alg_iv) + 16)] = "";
	struct iovec v = { from, SIZE };
	struct msghdr m = {
		.msg_control = control, .msg_controllen = sizeof(control),
		.msg_iov = &v, .msg_iovlen = 1,
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	struct af_alg_iv *iv;

	c->cmsg_level = SOL_ALG;
	c->cmsg_type = ALG_SET_OP;
	c->cmsg_len = CMSG_LEN(sizeof(__u32));
	memcpy(CMSG_DATA(c), &what, sizeof(what));
	c = CMSG_NXTHDR(&m, c);
	c->cmsg_level = SOL_ALG;
	c->cmsg_type = ALG_SET_IV;
	c->cmsg_len = CMSG_LEN(sizeof(*iv) + (size_t)iv_size);
	iv = (void *)CMSG_DATA(c);
	iv->ivlen = (__u32)iv_size;
	memset(iv->iv, 0x5a, (size_t)iv_size);
	if (!iv_size)
		m.msg_controllen = CMSG_SPACE(sizeof(__u32));
	return sendmsg(op, &m, 0) != SIZE || recv(op, to, SIZE, MSG_WAITALL) != SIZE ?
		-1 : 0;
}

static int cipher(const char *name)
{
	unsigned char key[64];
	int s = algorithm("skcipher", name), op, iv_size = 16;

	for (unsigned int i = 0; i < sizeof(key); i++)
		key[i] = (unsigned char)(i * 11 + 3);
	if (strstr(name, "ecb"))
		iv_size = 0;
	else if (strstr(name, "blowfish") || strstr(name, "cast5") || strstr(name, "des"))
		iv_size = 8;
	/* xts has two keys */
	if (s < 0 || setsockopt(s, SOL_ALG, ALG_SET_KEY, key,
				strstr(name, "xts") ? 64 : strstr(name, "des3") ? 24 : 16) ||
	    (op = accept(s, NULL, NULL)) < 0)
		return fail(name);
	for (unsigned int i = 0; i < SIZE; i++)
		plain[i] = (unsigned char)(i * 3 + i / 256);
	if (crypt_once(op, ALG_OP_ENCRYPT, plain, coded, iv_size) ||
	    crypt_once(op, ALG_OP_DECRYPT, coded, back, iv_size))
		return fail("operation");
	errno = EILSEQ;
	if (!memcmp(plain, coded, SIZE) || memcmp(plain, back, SIZE))
		return fail("data");
	printf("ops 2\n");
	return 0;
}

int cipher_main(char **arg)
{
	return !strcmp(arg[0], "hash") ? hash(arg[1]) : cipher(arg[1]);
}
