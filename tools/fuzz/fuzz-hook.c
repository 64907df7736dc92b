// SPDX-License-Identifier: GPL-2.0
/*
 * The XML of a domain, as libvirt's hook reads it.
 */
#include <libxml/tree.h>

#include "fuzz.h"

/* What the hook says is not wanted here, and what it leaves to exit(), is. */
static FILE *said_to;
static xmlChar *props[4096];
static size_t nr_props;

static xmlChar *keep_prop(const xmlNode *n, const xmlChar *name)
{
	xmlChar *v = xmlGetNoNsProp(n, name);

	fuzz_assert(nr_props < ARRAY_SIZE(props));
	if (v)
		props[nr_props++] = v;
	return v;
}

#undef stderr
#define stderr said_to
#define xmlGetNoNsProp keep_prop
#define main hook_main
int hook_main(int argc, char **argv);
#include "libvirt/hook.c"
#undef main
#undef xmlGetNoNsProp

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	said_to = fopen("/dev/null", "w");
	domain = "fuzz";
	xmlInitParser();
	/* Not used here: they do things. */
	(void)prepare;
	(void)attach;
	(void)read_xml;
	return said_to ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct isolation is = { .verdict = "recover" };
	xmlDoc *doc;

	/* Each element is at least 4 bytes, and so is an attribute. */
	if (len > 4 * ARRAY_SIZE(props))
		return 0;
	doc = len ? xmlReadMemory((const char *)data, len, NULL, NULL,
				  XML_PARSE_NONET | XML_PARSE_NOERROR |
				  XML_PARSE_NOWARNING) : NULL;
	if (doc && find(&is, doc) > 0) {
		fuzz_touch_str(is.drivers);
		fuzz_touch_str(is.verdict);
		for (int i = 0; i < is.nr_policies; i++)
			fuzz_touch_str(is.policies[i]);
	}
	xmlFreeDoc(doc);
	while (nr_props)
		xmlFree(props[--nr_props]);
	return 0;
}

#define HEAD	"<domain type='kvm' xmlns:chariot='" NAMESPACE "'><name>x</name><metadata>"
#define TAIL	"</metadata></domain>"

void fuzz_seeds(fuzz_emit emit)
{
	static const char *const seeds[] = {
		"<domain><name>x</name></domain>",
		HEAD TAIL,
		HEAD "<chariot:isolation><chariot:driver name='e1000'/>"
		"</chariot:isolation>" TAIL,
		HEAD "<chariot:isolation verdict='skip' on-restore='run'>"
		"<chariot:driver name='e1000'/><chariot:driver name='nvme'/>"
		"<chariot:policy file='/etc/a.policy'/></chariot:isolation>" TAIL,
		HEAD "<chariot:isolation verdict='no' x='y'/>" TAIL,
		HEAD "<chariot:isolation on-restore='refuse'><chariot:driver/>"
		"<chariot:policy/><x/></chariot:isolation>" TAIL,
		"<domain><metadata><isolation xmlns='" NAMESPACE "' verdict='oops'>"
		"<driver name='&lt;&#65;'>text</driver></isolation>" TAIL,
	};
	char name[16];

	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
		snprintf(name, sizeof(name), "%zu", i);
		emit(name, seeds[i], strlen(seeds[i]));
	}
}
