// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The files of builds: written, read, spoilt, counted by several, copied.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"
#include "trust.h"

static char top[] = "/tmp/chariot-trust-XXXXXX";
static char warned[512];
static int nr_warned;

static void note(void *ctx, enum chariot_log_level level, const char *text)
{
	if (getenv("V"))
		printf("# %s\n", text);
	if (level != CHARIOT_LOG_WARN)
		return;
	nr_warned++;
	snprintf(warned, sizeof(warned), "%s", text);
}

static struct chariot_trust a_build(void)
{
	return (struct chariot_trust){
		.sz = sizeof(struct chariot_trust), .driver = "e1000",
		.module = "7d9962e57a79949f3cee8427d90dd6629b35edd5",
		.kernel = "0123456789abcdef0123456789abcdef01234567",
		.release = "6.1.0-43-amd64", .chariot = "1.0.0",
	};
}

static char *in(const char *dir, const char *name)
{
	static char path[2][512];
	static int n;

	n = !n;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static char *path_in(const char *dir, const struct chariot_trust *t)
{
	char name[TRUST_NAME_LEN];

	trust_file_name(t, name);
	return in(dir, name);
}

static const char *new_dir(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static size_t slurp(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(buf, 1, size - 1, f) : 0;

	if (f)
		fclose(f);
	buf[n] = 0;
	return n;
}

static void spit(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "we");

	if (!f || fwrite(text, 1, len, f) != len || fclose(f))
		exit(1);
}

static int nr_files(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n - 2;
}

/* ---- writing and reading ------------------------------------------------- */

static void test_round(void)
{
	const char *dir = new_dir("round");
	struct chariot_trust t = a_build(), got = { .sz = sizeof(got) };

	t.state = CHARIOT_TRUST_HELD;
	t.entries = 1ULL << 60;
	t.seconds = 12;
	strcpy(t.reason, "e1000: \"quoted\" \\ wrote");
	strcpy(t.rules, "rule jiffies 8\ngate kzalloc { grant ret 16 }\n");
	tap_ok(!chariot_trust__write(dir, &t) &&
	       !chariot_trust__read(path_in(dir, &t), &got) &&
	       !memcmp(&t, &got, sizeof(t)), "what is written is read");
	tap_ok(nr_files(dir) == 2, "nothing else is left but a lock");
	t.state = CHARIOT_TRUST_PROVED;
	tap_ok(!chariot_trust__write(dir, &t) &&
	       !chariot_trust__read(path_in(dir, &t), &got) &&
	       got.state == CHARIOT_TRUST_PROVED, "it is replaced");
	got = a_build();
	chariot_trust__of(dir, NULL, NULL, &got);
	tap_ok(got.state == CHARIOT_TRUST_PROVED && got.entries == t.entries,
	       "what is known of a build that is named");
	got.sz = 8;
	tap_ok(chariot_trust__read(path_in(dir, &t), &got) == -EINVAL &&
	       chariot_trust__read(NULL, &t) == -EINVAL &&
	       chariot_trust__read(in(dir, "none"), &t) == -ENOENT,
	       "bad arguments");
	strcpy(t.driver, "../e1000");
	tap_ok(chariot_trust__write(dir, &t) == -EINVAL, "no path for a driver");
	t = a_build();
	strcpy(t.module, "../../x");
	tap_ok(chariot_trust__write(dir, &t) == -EINVAL, "no path for an id");
}

/* ---- spoilt files -------------------------------------------------------- */

/* The file with @from replaced by @to says @want. */
static void expect_spoilt(const char *from, const char *to, const char *want)
{
	const char *dir = new_dir("spoilt");
	struct chariot_trust t = a_build(), got;
	char text[8192], *at, path[512];

	t.state = CHARIOT_TRUST_PROVED;
	chariot_trust__write(dir, &t);
	snprintf(path, sizeof(path), "%s", path_in(dir, &t));
	slurp(path, text, sizeof(text) - 256);
	at = strstr(text, from);
	if (!at) {
		tap_ok(false, "\"%s\" is in the file", from);
		return;
	}
	memmove(at + strlen(to), at + strlen(from), strlen(at + strlen(from)) + 1);
	memcpy(at, to, strlen(to));
	spit(path, text, strlen(text));
	nr_warned = 0;
	got = t;
	trust_lookup(dir, &got);
	if (!tap_ok(nr_warned == 1 && !strncmp(warned, path, strlen(path)) &&
		    strstr(warned, want) &&
		    got.state == CHARIOT_TRUST_PROBATION && !got.entries,
		    "spoilt: %s", want))
		printf("# %d: %s\n", nr_warned, warned);
}

static void test_spoilt(void)
{
	expect_spoilt("{", "", ":2: byte ");
	expect_spoilt("\"state\":", "\"state\" ", ":8: byte ");
	expect_spoilt("\n}", "\n", "it ends too early, after ");
	expect_spoilt("\n}", "\n} x", ":15: byte ");
	expect_spoilt("\"proved\"", "\"bogus\"", ":8: \"state\" has no value that is known");
	expect_spoilt("\"proved\"", "1", ":8: \"state\" is no string");
	expect_spoilt("\"entries\":0", "\"entries\":-1", ":10: \"entries\" is out of range");
	expect_spoilt("\"entries\":0", "\"entries\":18446744073709551615",
		      "\"entries\" is out of range");
	expect_spoilt("\"entries\":0", "\"entries\":1.5", "\"entries\" is no number");
	expect_spoilt("\"seconds\":0,", "", "\"seconds\" is missing");
	expect_spoilt("\"format\":1", "\"format\":2", ":2: \"format\" is of another version");
	expect_spoilt("\"driver\":\"e1000\"", "\"driver\":\"../e\"", ":3: \"driver\" is no name");
	expect_spoilt("\"driver\":\"e1000\"", "\"driver\":\"e100\\u0000\"",
		      ":3: \"driver\" has a zero byte");
	expect_spoilt("\"driver\":\"e1000\"",
		      "\"driver\":\"e1234567890123456789012345678901234567890123456789012345678901234567890\"",
		      ":3: \"driver\" is too long");
	expect_spoilt("\"module\":\"7", "\"module\":\"/", ":4: \"module\" is no build-id");
	expect_spoilt("\"module\":\"7", "\"module\":\"8", "is about another build");
	expect_spoilt("\"rules\":[", "\"rules\":[1", "\"rules\" has what is no string");
	expect_spoilt("\"rules\":[\n  ]", "\"rules\":{}", "\"rules\" is no list");
	expect_spoilt("6.1.0", "6.\xff.0", ":6: byte ");
}

static void test_no_files(void)
{
	const char *dir = new_dir("spoilt");
	struct chariot_trust t = a_build(), got = t;
	char path[512], big[70000];

	snprintf(path, sizeof(path), "%s", path_in(dir, &t));
	memset(big, ' ', sizeof(big));
	spit(path, big, sizeof(big));
	nr_warned = 0;
	trust_lookup(dir, &got);
	tap_ok(nr_warned == 1 && strstr(warned, "no plain file"), "one that is too big");
	unlink(path);
	mkfifo(path, 0600);
	trust_lookup(dir, &got);
	tap_ok(nr_warned == 2 && strstr(warned, "no plain file"), "a FIFO");
	unlink(path);
	spit(path, "", 0);
	trust_lookup(dir, &got);
	tap_ok(nr_warned == 3 && strstr(warned, ":1: it ends too early"), "an empty one");
	unlink(path);
}

/* Whatever is in it: it is good, or where it is bad is told. */
static void test_mutations(void)
{
	const char *dir = new_dir("round");
	struct chariot_trust t = a_build(), got;
	char text[8192], copy[8192];
	int good = 0, bad = 0, silent = 0;
	size_t len;

	strcpy(t.rules, "rule a 1\n");
	chariot_trust__write(dir, &t);
	len = slurp(path_in(dir, &t), text, sizeof(text));
	for (size_t i = 0; i < len; i++) {
		for (int how = 0; how < 12; how++) {
			static const char with[] = "\0\"\\{}[],:9x";
			size_t n = how == 11 ? i : len;

			memcpy(copy, text, len);
			if (how < 11)
				copy[i] = with[how];
			nr_warned = 0;
			got.sz = 0;
			if (!trust_parse(&got, "x", copy, n))
				good++;
			else
				bad++, silent += nr_warned != 1 ||
					strncmp(warned, "x:", 2);
		}
	}
	tap_ok(good > 100 && bad > 1000 && !silent,
	       "%d spoilt files are told of, %d are good", bad, good);
}

/* ---- several -------------------------------------------------------------- */

static void test_add(void)
{
	const char *dir = new_dir("add");
	struct chariot_trust t = a_build(), two;

	t.entries = 5;
	t.seconds = 1;
	two = t;
	tap_ok(!trust_add(dir, &t) && !trust_add(dir, &two) &&
	       two.entries == 10 && two.seconds == 2, "two guests count for one build");
	two = a_build();
	two.state = CHARIOT_TRUST_PROVED;
	tap_ok(!trust_add(dir, &two) && two.state == CHARIOT_TRUST_PROVED &&
	       two.entries == 10, "it has proved itself");
	t = a_build();
	t.state = CHARIOT_TRUST_HELD;
	strcpy(t.reason, "late");
	tap_ok(!trust_add(dir, &t) && t.state == CHARIOT_TRUST_PROVED,
	       "another guest's report takes nothing back");
	t.state = CHARIOT_TRUST_PROBATION;
	t.by = CHARIOT_TRUST_BY_OPERATOR;
	chariot_trust__write(dir, &t);
	t = a_build();
	t.state = CHARIOT_TRUST_HELD;
	strcpy(t.reason, "first");
	strcpy(t.rules, "rule a 1\n");
	trust_add(dir, &t);
	two = a_build();
	two.state = CHARIOT_TRUST_HELD;
	strcpy(two.reason, "second");
	strcpy(two.rules, "rule a 1\nrule b 2\n");
	tap_ok(!trust_add(dir, &two) && two.state == CHARIOT_TRUST_HELD &&
	       !strcmp(two.reason, "first") &&
	       !strcmp(two.rules, "rule a 1\nrule b 2\n"),
	       "the first report is the reason, rules are collected");
	two = a_build();
	two.state = CHARIOT_TRUST_PROVED;
	tap_ok(!trust_add(dir, &two) && two.state == CHARIOT_TRUST_HELD,
	       "nobody but the operator takes that back");
	memset(two.rules, 'x', sizeof(two.rules) - 2);
	two.rules[sizeof(two.rules) - 2] = 0;
	tap_ok(!trust_add(dir, &two), "a rule that is too long is left out");
}

static void test_locked(void)
{
	const char *dir = new_dir("add");
	struct chariot_trust t = a_build();
	int fd = open(in(dir, ".lock"), O_RDWR | O_CLOEXEC);

	flock(fd, LOCK_EX);
	tap_ok(trust_add(dir, &t) == -EBUSY && chariot_trust__write(dir, &t) == -EBUSY,
	       "who holds the lock for long does not hold us up");
	close(fd);
	tap_ok(!trust_add(dir, &t), "afterwards it works");
}

static void test_full(void)
{
	const char *dir = new_dir("full");
	struct chariot_trust t = a_build(), other = t;
	char name[32];

	trust_add(dir, &t);
	for (int i = 0; i < 4096; i++) {
		sprintf(name, "%d.json", i);
		spit(in(dir, name), "", 0);
	}
	other.module[0] = 'f';
	tap_ok(trust_add(dir, &other) == -ENOSPC, "guests cannot fill a directory");
	tap_ok(!trust_add(dir, &t), "what is known counts on");
}

static void test_unwritable(void)
{
	const char *dir = new_dir("file");
	struct chariot_trust t = a_build();

	spit(dir, "", 0);
	tap_ok(trust_add(dir, &t) == -ENOTDIR, "a file for a directory");
	tap_ok(trust_add("/proc/self/none", &t) < 0, "no directory can be made there");
	trust_lookup(dir, &t);
	tap_ok(t.state == CHARIOT_TRUST_PROBATION, "which is probation");
}

static int count(void *ctx, const char *path, int err,
		 const struct chariot_trust *t)
{
	int *n = ctx;

	n[err != 0]++;
	n[2] += !err && t->state == CHARIOT_TRUST_PROVED;
	return 0;
}

/* A build that is proved here is so where its file is copied to, and as a package. */
static void test_copied(void)
{
	char here[256], there[256], name[TRUST_NAME_LEN], text[8192];
	struct chariot_trust t = a_build(), got;
	int n[3] = {};
	size_t len;

	snprintf(here, sizeof(here), "%s", new_dir("here"));
	snprintf(there, sizeof(there), "%s", new_dir("there"));
	t.state = CHARIOT_TRUST_PROVED;
	t.by = CHARIOT_TRUST_BY_OPERATOR;
	chariot_trust__write(here, &t);
	got = a_build();
	trust_lookup(there, &got);
	tap_ok(got.state == CHARIOT_TRUST_PROBATION, "not proved at another host");
	trust_file_name(&t, name);
	len = slurp(in(here, name), text, sizeof(text));
	mkdir(there, 0755);
	spit(in(there, name), text, len);
	trust_lookup(there, &got);
	tap_ok(got.state == CHARIOT_TRUST_PROVED, "with the file copied it is");
	got = a_build();
	strcpy(got.chariot, "1.0.1");
	trust_lookup(there, &got);
	tap_ok(got.state == CHARIOT_TRUST_PROBATION, "not for another version");
	got = a_build();
	got.kernel[0] = 'f';
	trust_lookup(there, &got);
	tap_ok(got.state == CHARIOT_TRUST_PROBATION, "not for another kernel");

	setenv("CHARIOT_PROVED", here, 1);
	got = a_build();
	trust_lookup(new_dir("none"), &got);
	tap_ok(got.state == CHARIOT_TRUST_PROVED, "what is shipped is proved");
	t.state = CHARIOT_TRUST_HELD;
	chariot_trust__write(there, &t);
	got = a_build();
	trust_lookup(there, &got);
	tap_ok(got.state == CHARIOT_TRUST_HELD, "what was seen here counts more");
	t.state = CHARIOT_TRUST_PROBATION;
	chariot_trust__write(there, &t);
	got = a_build();
	trust_lookup(there, &got);
	tap_ok(got.state == CHARIOT_TRUST_PROBATION, "so does the operator's word");
	spit(in(there, "bad.json"), "x", 1);
	tap_ok(!chariot_trust__each(there, count, n) && n[0] == 2 && n[1] == 1 &&
	       n[2] == 1, "all of them: %d, %d spoilt, %d proved", n[0], n[1], n[2]);
	unsetenv("CHARIOT_PROVED");
}

static void test_dirs(void)
{
	unsetenv("CHARIOT_STATE");
	tap_ok(!strcmp(chariot_trust__dir(NULL), CHARIOT_STATE_DIR) &&
	       !strcmp(chariot_trust__dir("/x"), "/x"), "the directory");
	setenv("CHARIOT_STATE", "/y", 1);
	tap_ok(!strcmp(chariot_trust__dir(NULL), "/y") &&
	       !strcmp(chariot_trust__dir("/x"), "/x"), "by the environment");
	unsetenv("CHARIOT_STATE");
}

int main(void)
{
	char command[128];
	int r;

	if (!mkdtemp(top))
		return 1;
	setenv("CHARIOT_PROVED", "/nonexistent", 1);
	chariot_set_log(note, NULL);
	test_dirs();
	test_round();
	test_spoilt();
	test_no_files();
	test_mutations();
	test_add();
	test_locked();
	test_full();
	test_unwritable();
	test_copied();
	snprintf(command, sizeof(command), "rm -rf %s", top);
	r = system(command);
	return tap_done() || r;
}
