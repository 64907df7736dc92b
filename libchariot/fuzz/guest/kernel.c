// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The kernel of the guest that is fuzzed.  Only its types are used, which pahole
 * turns to BTF: of these functions, the prototypes.
 */
#include "types.h"

#define P(proto)	proto { return 0; }
#define V(proto)	proto { }

/* Those that the policy knows. */
P(void *kmalloc_trace(struct kmem_cache *s, gfp_t flags, size_t size))
P(void *__kmalloc(size_t size, gfp_t flags))
V(void kfree(const void *object))
P(void *krealloc(const void *p, size_t new_size, gfp_t flags))
P(void *kmem_cache_alloc(struct kmem_cache *s, gfp_t flags))
P(struct page *alloc_pages(gfp_t flags, u32 order))
P(void *dma_alloc_attrs(struct device *dev, size_t size, u64 *handle, gfp_t flags, u64 attrs))
P(struct net_device *alloc_etherdev_mqs(int size, u32 txqs, u32 rxqs))
P(int register_netdev(struct net_device *dev))
V(void free_netdev(struct net_device *dev))
P(struct sk_buff *__alloc_skb(u32 size, gfp_t flags, int kind, int node))
V(void consume_skb(struct sk_buff *skb))
P(int pskb_expand_head(struct sk_buff *skb, int nhead, int ntail, gfp_t flags))
P(struct request *blk_mq_alloc_request(struct request_queue *q, u32 opf, u32 flags))
P(int __blk_rq_map_sg(struct request_queue *q, struct request *rq, struct scatterlist *sg,
		      struct scatterlist **last))
P(u64 _copy_from_user(void *to, const void *from, u64 n))
V(void memcpy_fromio(void *to, const volatile void *from, size_t n))
P(struct urb *usb_alloc_urb(int packets, gfp_t flags))
P(void *memcpy(void *to, const void *from, size_t n))
P(int azx_init_streams(struct azx *chip))

/* Those whose prototype has to tell. */
P(struct pci_dev *thing_alloc(size_t size))
P(void *thing_alloc_priv(int sizeof_priv, u32 flags))
P(struct urb *thing_new(const char *name, u32 len, struct device *parent))
P(const struct net_device *thing_peek(struct device *dev))
P(struct net_device *thing_get(struct device *dev))
P(int thing_find(struct device *dev, struct urb **out, struct request **rq))
P(struct declared *thing_opaque(void))
P(struct huge *thing_huge(void))
V(void thing_values(struct two_registers a, struct by_value b, struct list_head *list))
V(void thing_many(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f, struct device *g))
P(int thing_print(const char *fmt, ...))
P(float thing_float(float f, struct matrix *m))
P(struct empty *thing_empty(union both *b, struct azx_dev *dev))
