// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The driver in the guest that is fuzzed: a function for each way in which the
 * library treats one, with calls of the kernel.
 */
#include "types.h"

void *kmalloc_trace(struct kmem_cache *s, gfp_t flags, size_t size);
void kfree(const void *object);
int register_netdev(struct net_device *dev);
struct net_device *thing_get(struct device *dev);
struct urb *thing_new(const char *name, u32 len, struct device *parent);
void mutex_lock(void *lock);
void mutex_unlock(void *lock);

struct demo { struct net_device *netdev; struct sk_buff *rx[8]; struct list_head list; };
struct demo demo;
u64 demo_counter = 1;
const char demo_text[] = "demo";
static const char modinfo[] __attribute__((section(".modinfo"), used)) =
	"license=GPL\0name=demo_drv";

int init_module(void) __attribute__((section(".init.text")));
int init_module(void)
{
	demo.netdev = thing_get(0);
	return register_netdev(demo.netdev);
}

void cleanup_module(void)
{
	kfree(demo.netdev);
}

int demo_probe(struct pci_dev *pdev, const void *id)
{
	mutex_lock(&demo);
	pdev->driver_data = kmalloc_trace(0, 0, 64);
	mutex_unlock(&demo);
	return pdev->driver_data ? 0 : -12;
}

void demo_remove(struct pci_dev *pdev)
{
	kfree(pdev->driver_data);
}

netdev_tx_t demo_xmit(struct sk_buff *skb, struct net_device *dev)
{
	demo.rx[skb->len & 7] = skb;
	return dev->priv_len ? NETDEV_TX_BUSY : NETDEV_TX_OK;
}

irqreturn_t demo_irq(int irq, void *data)
{
	demo_counter += irq;
	return data ? IRQ_HANDLED : IRQ_NONE;
}

int demo_poll(struct napi_struct *napi, int budget)
{
	return napi->state ? budget : 0;
}

blk_status_t demo_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	return hctx->driver_data == bd->rq;
}

enum blk_eh_timer_return demo_timeout(struct request *rq)
{
	return rq->state ? BLK_EH_DONE : BLK_EH_RESET_TIMER;
}

void demo_end_io(struct request *rq, blk_status_t status)
{
	rq->state = status;
}

vm_fault_t demo_fault(struct page_frag *vmf)
{
	return vmf->size;
}

void demo_stats(struct net_device *dev, struct ethtool_stats *stats, u64 *data)
{
	data[stats->n_stats] = dev->priv_len;
}

ssize_t demo_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	buf[0] = attr->name[0];
	return dev->driver_data != 0;
}

long demo_write(struct file *file, const char *buf, u8 *out, size_t count, u64 *pos)
{
	out[count - 1] = buf[*pos];
	return file->private_data != 0;
}

bool demo_lock(struct device *dev)
{
	return thing_new("urb", 3, dev) != 0;
}
