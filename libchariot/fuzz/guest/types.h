/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The types of the guest that is fuzzed: of the kernel's, those that the library
 * or its policy names, with the members that they name.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef _Bool bool;
typedef u8 blk_status_t;
typedef u32 vm_fault_t, gfp_t;
typedef u64 size_t;
typedef long ssize_t;

enum irqreturn { IRQ_NONE, IRQ_HANDLED };
typedef enum irqreturn irqreturn_t;
enum netdev_tx { NETDEV_TX_OK, NETDEV_TX_BUSY = 16 };
typedef enum netdev_tx netdev_tx_t;
enum blk_eh_timer_return { BLK_EH_DONE, BLK_EH_RESET_TIMER };
enum scsi_timeout_action { SCSI_EH_DONE, SCSI_EH_RESET_TIMER };
enum module_state { MODULE_STATE_LIVE, MODULE_STATE_COMING, MODULE_STATE_GOING };
enum wide { WIDE = 1UL << 40 };

struct list_head { struct list_head *next, *prev; };
struct qspinlock { u32 val; };
struct kobject { const char *name; struct list_head entry; };
struct device { struct device *parent; struct kobject kobj; void *driver_data; };
struct device_attribute { const char *name; };
struct work_struct { u64 data; struct list_head entry; void (*func)(struct work_struct *work); };
struct timer_list { void *entry[2]; u64 expires; };
struct file { void *private_data; };
struct inode { u64 i_ino; };

/* ---- modules ---- */
#ifdef OLD
struct module_layout {
	void *base;
	u32 size, text_size, ro_size, ro_after_init_size;
};
#else
enum mod_mem_type {
	MOD_TEXT, MOD_DATA, MOD_RODATA, MOD_RO_AFTER_INIT, MOD_INIT_TEXT,
	MOD_INIT_DATA, MOD_INIT_RODATA, MOD_MEM_NUM_TYPES,
};
struct module_memory { void *base; u32 size; };
#endif
struct mod_kallsyms { void *symtab; u32 num_symtab; char *strtab, *typetab; };
struct module {
	enum module_state state;
	struct list_head list;
	char name[56];
	int (*init)(void);
#ifdef OLD
	struct module_layout core_layout, init_layout;
#else
	struct module_memory mem[MOD_MEM_NUM_TYPES];
#endif
	struct mod_kallsyms *kallsyms;
	void *percpu;
	u32 percpu_size;
	void (*exit)(void);
	struct list_head source_list, target_list;
};
struct module_use {
	struct list_head source_list, target_list;
	struct module *source, *target;
};
struct btf { void *data; u32 data_size; };
struct btf_module { struct list_head list; struct btf *btf; struct module *module; };

/* ---- tasks and pages ---- */
struct task_struct {
	u32 __state;
	u32 flags;
	u64 task_state_change;
	int pagefault_disabled;
};
struct pcpu_hot { struct task_struct *current_task; int preempt_count; };
#ifdef OLD
enum pageflags { PG_locked, PG_slab = 9 };
#else
enum pagetype { PGTY_buddy = 0xf0, PGTY_slab = 0xf5 };
#endif
struct page { u64 flags; u64 compound_head; u32 page_type; u32 refs; u64 rest[5]; };
struct kmem_cache { u32 size, object_size; };
struct slab { u64 flags; struct kmem_cache *slab_cache; };
struct page_frag { struct page *page; u32 offset, size; };
struct mempool_s { void *pool_data; };
typedef struct mempool_s mempool_t;
struct scatterlist { u64 page_link; u32 offset, length; };

/* ---- network ---- */
struct rtnl_link_ops { const char *kind; size_t priv_size; };
struct netdev_queue { struct net_device *dev; u64 trans_start; u64 rest[6]; };
struct netdev_rx_queue { struct net_device *dev; u64 rest[7]; };
struct pcpu_sw_netstats { u64 v[4]; };
struct napi_struct { u64 state; struct list_head poll_list; struct sk_buff *skb; struct net_device *dev; };
struct net_device {
	char name[16];
	u32 priv_len;
	const struct rtnl_link_ops *rtnl_link_ops;
	struct netdev_queue *_tx;
	struct netdev_rx_queue *_rx;
	u32 num_tx_queues, num_rx_queues;
	int *pcpu_refcnt;
	struct pcpu_sw_netstats *tstats;
	struct device dev;
	struct { struct { struct napi_struct *napi; }; union { u64 a; void *b; }; };
	u32 low:4, high:28, bits:8;
};
struct skb_shared_info { u8 nr_frags; struct page_frag frags[17]; };
struct sk_buff {
	union {
		struct { struct sk_buff *next, *prev; struct net_device *dev; };
		struct list_head list;
	};
	char cb[48] ;
	u32 len, data_len;
	u32 tail, end;
	u8 *head, *data;
};
struct ethtool_stats { u32 cmd, n_stats; u64 data[]; };
struct ethtool_eeprom { u32 cmd, len; u8 data[]; };

/* ---- buses ---- */
struct pci_dev { struct device dev; u16 vendor; void *driver_data; };
struct usb_device { struct device dev; };
struct usb_interface { struct device dev; struct usb_device *udev; };
struct usb_host_endpoint { u64 v[8]; };
struct urb { struct usb_host_endpoint *ep; void *transfer_buffer; u32 transfer_buffer_length; void *context; };
struct hc_driver { const char *description; size_t hcd_priv_size; };
struct usb_hcd { const struct hc_driver *driver; };
struct virtio_device { struct device dev; void *priv; };
struct platform_device { struct device dev; };

/* ---- blocks ---- */
struct bio_vec { struct page *bv_page; u32 bv_len, bv_offset; };
struct bvec_iter { u64 bi_sector; u32 bi_size, bi_idx; };
struct bio { struct bio *bi_next; struct bvec_iter bi_iter; struct bio_vec *bi_io_vec; };
struct request_queue { void *queuedata; };
struct blk_mq_tags { u32 nr_tags; struct request **rqs; };
struct blk_mq_hw_ctx { struct blk_mq_tags *tags; void *driver_data; struct request_queue *queue; };
struct request {
	struct request_queue *q;
	struct blk_mq_hw_ctx *mq_hctx;
	struct bio *bio;
	struct request *rq_next;
	u32 state;
};
struct rq_list { struct request *head, *tail; };
struct blk_mq_queue_data { struct request *rq; bool last; };
struct scsi_cmnd { u8 *sense_buffer; struct scsi_device *device; };
struct ata_port { struct ata_host *host; void *private_data; };
struct ata_host { u32 n_ports; void *private_data; struct ata_port *ports[]; };
struct azx_dev { struct { struct list_head list; u32 v; } core; };
struct azx { struct { struct { struct list_head stream_list; } core; } bus; };

/* What compilers and people also write. */
struct empty { };
union both { u8 byte; u64 word; struct list_head list; };
struct two_registers { u64 a, b; };
struct by_value { u64 v[3]; };
struct matrix { u32 cell[3][4]; const volatile u8 *restrict text; float f; };
struct huge { u8 bytes[1 << 21]; };
struct declared;
