// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A harness without libFuzzer:
 *
 *	replay-NAME [-s DIR] [-n MUTATIONS] [FILE|DIR...]
 *
 * Its seeds and the inputs that are named, each as it is and with a few bytes
 * changed, always in the same ways.  FILE.hex has hexadecimal digits, and lines
 * that begin with #.  -s writes the seeds, and what the .hex files are, to DIR,
 * as a corpus for libFuzzer, and runs nothing.
 */
#include <ctype.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX	(8UL << 20)
/* As libFuzzer's -max_len in the Makefile: what is longer is not changed. */
#define MUTATE_MAX	(256UL << 10)

static const char *seed_dir;
static unsigned int mutations, runs;

static uint64_t rnd(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void mutate(uint8_t *data, size_t len)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };

	for (int n = 1 + rnd() % 4; len && n; n--) {
		size_t at = rnd() % len;

		if (rnd() & 1)
			data[at] ^= 1 << rnd() % 8;
		else
			data[at] = rnd() & 1 ? rnd() : values[rnd() % sizeof(values)];
	}
}

/* A copy of just that size: a sanitizer sees reads behind its end. */
static void run(const uint8_t *data, size_t len, bool mutated)
{
	size_t n = mutated && !(rnd() % 4) && len ? rnd() % len : len;
	uint8_t *copy = malloc(n);

	fuzz_assert(copy || !n);
	if (n)
		memcpy(copy, data, n);
	if (mutated)
		mutate(copy, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	runs++;
}

static void write_seed(const char *name, const void *data, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/seed-%s", seed_dir, name);
	f = fopen(path, "w");
	fuzz_assert(f && fwrite(data, 1, len, f) == len && !fclose(f));
}

static void one(const char *name, const void *data, size_t len)
{
	if (seed_dir) {
		write_seed(name, data, len);
		return;
	}
	run(data, len, false);
	for (unsigned int i = 0; i < mutations && len <= MUTATE_MAX; i++)
		run(data, len, true);
}

/* In place; the number of bytes. */
static size_t decode_hex(uint8_t *text, size_t len)
{
	bool comment = false, high = true;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '#' || c == '\n')
			comment = c == '#';
		if (comment || !isxdigit((unsigned char)c))
			continue;
		c = isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10;
		if (high)
			text[n] = c << 4;
		else
			text[n++] |= c;
		high = !high;
	}
	return n;
}

static void take_file(const char *path)
{
	const char *base = strrchr(path, '/'), *dot = strrchr(path, '.');
	uint8_t *data = malloc(INPUT_MAX);
	FILE *f = fopen(path, "r");
	size_t len;

	fuzz_assert(data);
	if (!f) {
		perror(path);
		exit(2);
	}
	len = fread(data, 1, INPUT_MAX, f);
	fclose(f);
	if (dot && !strcmp(dot, ".hex"))
		len = decode_hex(data, len);
	one(base ? base + 1 : path, data, len);
	free(data);
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void take(const char *path)
{
	struct dirent **names;
	struct stat st;
	char file[4096];
	int n;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		take_file(path);
		return;
	}
	n = scandir(path, &names, visible, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		take_file(file);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "s:n:")) != -1) {
		if (opt == 's')
			seed_dir = optarg;
		else if (opt == 'n')
			mutations = atoi(optarg);
		else
			return 2;
	}
	LLVMFuzzerInitialize(&argc, &argv);
	/* One input alone is one that is looked into. */
	if (optind + 1 != argc || seed_dir || mutations)
		fuzz_seeds(one);
	for (int i = optind; i < argc; i++)
		take(argv[i]);
	if (!seed_dir)
		printf("%u\n", runs);
	return !seed_dir && !runs;
}
