// SPDX-License-Identifier: GPL-2.0
/* Mode inline: the permission cache of a module's image.  Called by all above it. */
#include "cache.h"

#include <linux/bsearch.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/slab.h>

struct chariot_cache *chariot_cache_alloc(const struct chariot_domain_create *a)
{
	struct chariot_cache *img = kzalloc(sizeof(*img), GFP_KERNEL_ACCOUNT);

	if (!img)
		return NULL;
	img->cache = a->cache;
	img->cache_lines = a->cache_lines;
	img->data = a->data;
	img->runtime = a->runtime;
	img->runtime_len = a->runtime_len;
	img->left = a->left;
	img->flags = a->inline_flags;
	img->fills = kvcalloc(a->cache_lines, sizeof(*img->fills), GFP_KERNEL_ACCOUNT);
	if (img->fills)
		return img;
	kfree(img);
	return NULL;
}

void chariot_cache_free(struct chariot_cache *img)
{
	if (!img)
		return;
	kvfree(img->stores);
	kvfree(img->functions);
	kvfree(img->fills);
	kfree(img);
}

/* ---- what is written into the guest -------------------------------------- */

/* What cannot be taken out of a cache could be written: then isolation ends. */
static int write_word(struct chariot_domain *dom, u64 gva, u64 val)
{
	int err = chariot_guest_write_u64(dom->vm->kvm, dom->cr, gva, val);

	if (err && !val)
		dom->vm->stuck = true;
	return err;
}

static u64 entry_at(const struct chariot_cache *img, const struct chariot_fill *f)
{
	return img->cache + (f - img->fills) * sizeof(u64);
}

static struct hlist_head *head_of(struct chariot_cache *img, u64 gfn)
{
	return &img->by_gfn[hash_64(gfn, CHARIOT_FILL_BITS)];
}

static void forget(struct chariot_fill *f)
{
	if (f->last)
		hlist_del(&f->node);
	f->last = 0;
}

#define PARAM(img, name)						\
	((img)->runtime + CHARIOT_INLINE_PARAMS +			\
	 offsetof(struct chariot_inline_params, name))

/* It was mapped when it came, and the guest's loss if it is not any more. */
void chariot_cache_ask(struct chariot_domain *dom, struct chariot_cache *img, bool ask)
{
	chariot_guest_write_u64(dom->vm->kvm, dom->cr, PARAM(img, ask), ask);
}

/* Its init has returned: from where that was nothing is called any more. */
void chariot_cache_loaded(struct chariot_domain *dom, struct chariot_cache *img)
{
	chariot_cache_ask(dom, img, false);
	chariot_guest_write_u64(dom->vm->kvm, dom->cr, PARAM(img, init_len), 0);
}

void chariot_cache_off(struct chariot_domain *dom, struct chariot_cache *img, bool off)
{
	chariot_guest_write_u64(dom->vm->kvm, dom->cr, PARAM(img, off), off);
}

void chariot_cache_clear(struct chariot_domain *dom, struct chariot_cache *img)
{
	u32 i;

	for (i = 0; i < img->cache_lines; i++) {
		if (i % 64 == 0)
			cond_resched();
		if (!img->fills[i].last)
			continue;
		write_word(dom, img->cache + i * sizeof(u64), 0);
		forget(&img->fills[i]);
	}
}

/* Nothing of it is ever granted: chariot_domain_evident() looks there. */
static int keep(struct chariot_domain *dom, u64 gva, u64 len, u32 slot, bool zero)
{
	u64 at, n, end = gva + len;
	struct chariot_walk w;
	int err = 0;

	for (at = gva; at < end && !err; at += n) {
		if (chariot_guest_walk(dom->vm->kvm, dom->cr, at, &w))
			return -EFAULT;
		n = min(w.left, end - at);
		if (zero)
			err = chariot_guest_write(dom->vm->kvm, w.gpa,
						  page_address(ZERO_PAGE(0)), n);
		err = err ?: xa_err(xa_store(&dom->exec, w.gpa >> PAGE_SHIFT,
					     xa_mk_value(slot), GFP_KERNEL_ACCOUNT));
	}
	return err;
}

int chariot_cache_join(struct chariot_domain *dom, struct chariot_cache *img, u32 slot,
		       bool asks)
{
	int err;

	lockdep_assert_held(&dom->vm->lock);
	err = keep(dom, img->cache, img->cache_lines * sizeof(u64), slot, true) ?:
	      keep(dom, img->data, sizeof(struct chariot_inline_data), slot, false);
	if (err)
		return err;
	chariot_cache_ask(dom, img, asks);
	chariot_cache_off(dom, img, false);
	return 0;
}

/* ---- tables --------------------------------------------------------------- */

static int store_cmp(const void *a, const void *b)
{
	u64 x = ((const struct chariot_store *)a)->ret;
	u64 y = ((const struct chariot_store *)b)->ret;

	return x < y ? -1 : x > y;
}

const struct chariot_store *chariot_cache_store(const struct chariot_cache *img, u64 ret)
{
	struct chariot_store key = { .ret = ret };

	return bsearch(&key, img->stores, img->nr_stores, sizeof(key), store_cmp);
}

/* ---- the cache ------------------------------------------------------------ */

/* May all of a line be written, whatever is called?  And where it is. */
static bool is_right(struct chariot_domain *dom, u64 last, bool device, u64 *gfn)
{
	u64 line = last & ~(CHARIOT_LINE - 1);
	struct chariot_walk w;

	if (chariot_guest_walk(dom->vm->kvm, dom->cr, line, &w))
		return false;
	*gfn = w.gpa >> PAGE_SHIFT;
	return device ? !kvm_call(kvm_is_visible_gfn)(dom->vm->kvm, *gfn) :
	       chariot_act_covers(&dom->act, *gfn, offset_in_page(line), CHARIOT_LINE);
}

bool chariot_cache_fill(struct chariot_domain *dom, struct chariot_cache *img, u64 gva,
			bool device)
{
	struct chariot_fill *f = &img->fills[gva / CHARIOT_LINE % img->cache_lines];
	u64 last = gva | (CHARIOT_LINE - 1), gfn;

	lockdep_assert_held(&dom->vm->lock);
	if (!is_right(dom, last, device, &gfn))
		return false;
	forget(f);
	if (write_word(dom, entry_at(img, f), last))
		return true;
	f->last = last;
	f->gfn = gfn;
	f->device = device;
	hlist_add_head(&f->node, head_of(img, gfn));
	return true;
}

static void take_out(struct chariot_domain *dom, struct chariot_cache *img,
		     struct chariot_fill *f)
{
	write_word(dom, entry_at(img, f), 0);
	forget(f);
	dom->stats.lines_lost++;
}

void chariot_cache_lost(struct chariot_domain *dom, struct chariot_cache *img, u64 gfn)
{
	struct hlist_node *next;
	struct chariot_fill *f;

	lockdep_assert_held(&dom->vm->lock);
	hlist_for_each_entry_safe(f, next, head_of(img, gfn), node) {
		if (f->gfn != gfn || f->device ||
		    chariot_act_covers(&dom->act, gfn,
				       offset_in_page(f->last) & ~(CHARIOT_LINE - 1),
				       CHARIOT_LINE))
			continue;
		take_out(dom, img, f);
	}
}

#define MAX_LOOKS	1024	/* at a time: vCPUs wait */

void chariot_cache_look(struct chariot_domain *dom, struct chariot_cache *img)
{
	struct kvm *kvm = dom->vm->kvm;
	int idx = srcu_read_lock(&kvm->srcu);
	struct chariot_fill *f;
	u64 gfn;
	u32 i;

	lockdep_assert_held(&dom->vm->lock);
	for (i = 0; i < min_t(u32, MAX_LOOKS, img->cache_lines); i++) {
		f = &img->fills[img->next];
		img->next = (img->next + 1) % img->cache_lines;
		if (f->last && (!is_right(dom, f->last, f->device, &gfn) || gfn != f->gfn))
			take_out(dom, img, f);
	}
	srcu_read_unlock(&kvm->srcu, idx);
}

void chariot_cache_compare(struct chariot_domain *dom, struct chariot_cache *img)
{
	u64 words[64], gfn;
	u32 i;

	for (i = 0; i < img->cache_lines; i++) {
		if (i % ARRAY_SIZE(words) == 0)
			cond_resched();
		if (i % ARRAY_SIZE(words) == 0 &&
		    chariot_guest_read_va(dom->vm->kvm, dom->cr,
					  img->cache + i * sizeof(u64), words,
					  sizeof(words)))
			return;
		if (words[i % ARRAY_SIZE(words)] != img->fills[i].last ||
		    (img->fills[i].last &&
		     !is_right(dom, img->fills[i].last, img->fills[i].device, &gfn)))
			dom->stats.lines_differ++;
	}
}
