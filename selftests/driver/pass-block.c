// SPDX-License-Identifier: GPL-2.0
/*
 * Block devices: requests with memory of the driver's behind them, bios with
 * memory of the driver's in front of them, pages that are somebody else's.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/version.h>
#include <linux/workqueue.h>

#include "conform.h"

#define SECTORS		(PAGE_SIZE / SECTOR_SIZE)
#define FILLED		0x6d

static const struct block_device_operations disk_ops = {
	.owner	= THIS_MODULE,
};

/* Read the first page of @disk, as a file system would. */
static int read_disk(struct gendisk *disk)
{
	struct page *page = alloc_page(GFP_KERNEL);
	struct bio *bio;
	int ret;

	if (!page)
		return -ENOMEM;
	bio = bio_alloc(disk->part0, 1, REQ_OP_READ, GFP_KERNEL);
	bio->bi_iter.bi_sector = 0;
	__bio_add_page(bio, page, PAGE_SIZE, 0);
	ret = submit_bio_wait(bio);
	bio_put(bio);
	if (!ret && memchr_inv(page_address(page), FILLED, PAGE_SIZE))
		ret = -EIO;
	__free_page(page);
	return ret;
}

/* Add it and read it. */
static int try_disk(struct gendisk *disk, const char *name)
{
	int ret;

	strscpy(disk->disk_name, name, sizeof(disk->disk_name));
	disk->flags |= GENHD_FL_NO_PART;
	set_capacity(disk, SECTORS);
	ret = add_disk(disk);
	if (ret)
		return ret;
	ret = read_disk(disk);
	del_gendisk(disk);
	return ret;
}

/* ---- requests ----------------------------------------------------------- */

/* Behind each request, as large as large ones are. */
struct block_cmd {
	struct work_struct	work;
	u8			table[1450];
};

static void fill_request(struct request *rq)
{
	struct req_iterator iter;
	struct bio_vec bv;
	void *p;

	rq_for_each_segment(bv, rq, iter) {
		p = bvec_kmap_local(&bv);
		memset(p, FILLED, bv.bv_len);
		kunmap_local(p);
	}
	blk_mq_end_request(rq, BLK_STS_OK);
}

static void cmd_work(struct work_struct *work)
{
	struct block_cmd *cmd = container_of(work, struct block_cmd, work);

	cmd->table[0]++;
	fill_request(blk_mq_rq_from_pdu(cmd));
}

static int cmd_init(struct blk_mq_tag_set *set, struct request *rq,
		    unsigned int hctx, unsigned int node)
{
	struct block_cmd *cmd = blk_mq_rq_to_pdu(rq);

	INIT_WORK(&cmd->work, cmd_work);
	return 0;
}

static blk_status_t queue_now(struct blk_mq_hw_ctx *hctx,
			      const struct blk_mq_queue_data *bd)
{
	struct block_cmd *cmd = blk_mq_rq_to_pdu(bd->rq);

	blk_mq_start_request(bd->rq);
	memset(cmd->table, 1, sizeof(cmd->table));
	fill_request(bd->rq);
	return BLK_STS_OK;
}

static blk_status_t queue_later(struct blk_mq_hw_ctx *hctx,
				const struct blk_mq_queue_data *bd)
{
	struct block_cmd *cmd = blk_mq_rq_to_pdu(bd->rq);

	blk_mq_start_request(bd->rq);
	memset(cmd->table, 1, sizeof(cmd->table));
	schedule_work(&cmd->work);
	return BLK_STS_OK;
}

static struct gendisk *mq_disk(struct blk_mq_tag_set *set)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	return blk_mq_alloc_disk(set, NULL, NULL);
#else
	return blk_mq_alloc_disk(set, NULL);
#endif
}

static int with_requests(const struct blk_mq_ops *ops, const char *name)
{
	struct blk_mq_tag_set *set = kzalloc(sizeof(*set), GFP_KERNEL);
	struct gendisk *disk;
	int ret;

	if (!set)
		return -ENOMEM;
	set->ops = ops;
	set->nr_hw_queues = 1;
	set->queue_depth = 8;
	set->numa_node = NUMA_NO_NODE;
	set->cmd_size = sizeof(struct block_cmd);
	ret = blk_mq_alloc_tag_set(set);
	if (ret)
		goto out;
	disk = mq_disk(set);
	ret = PTR_ERR_OR_ZERO(disk);
	if (!ret) {
		disk->fops = &disk_ops;
		ret = try_disk(disk, name);
		put_disk(disk);
	}
	blk_mq_free_tag_set(set);
out:
	kfree(set);
	return ret;
}

int pass_block_request(struct job *job)
{
	static const struct blk_mq_ops ops = {
		.queue_rq	= queue_now,
		.init_request	= (void *)cmd_init,	/* the node is signed, or not */
	};

	return with_requests(&ops, "chariot_now");
}

int pass_block_later(struct job *job)
{
	static const struct blk_mq_ops ops = {
		.queue_rq	= queue_later,
		.init_request	= (void *)cmd_init,	/* the node is signed, or not */
	};

	return with_requests(&ops, "chariot_later");
}

/* ---- bios --------------------------------------------------------------- */

static struct bio_set clones;

struct clone {
	struct bio	*from;
	u64		room[6];
	struct bio	bio;		/* at the end: its vectors follow */
};

static void clone_ended(struct bio *bio)
{
	struct clone *c = container_of(bio, struct clone, bio);
	struct bio *from = c->from;

	from->bi_status = fill(c->room, sizeof(c->room)) ? BLK_STS_IOERR :
			  bio->bi_status;
	bio_put(bio);
	bio_endio(from);
}

/* What is in front of a clone is ours, the clone's pages are another's. */
static void submit_clone(struct bio *from)
{
	struct bio *bio = bio_alloc_clone(from->bi_bdev, from, GFP_NOIO,
					  &clones);
	struct clone *c = container_of(bio, struct clone, bio);
	struct bvec_iter iter;
	struct bio_vec bv;

	c->from = from;
	bio->bi_private = c;
	bio->bi_end_io = clone_ended;
	bio_for_each_segment(bv, bio, iter) {
		memset(bvec_virt(&bv), FILLED, bv.bv_len);
	}
	bio_endio(bio);
}

static const struct block_device_operations clone_ops = {
	.owner		= THIS_MODULE,
	.submit_bio	= submit_clone,
};

static struct gendisk *bio_disk(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	struct gendisk *disk = blk_alloc_disk(NULL, NUMA_NO_NODE);

	return IS_ERR(disk) ? NULL : disk;
#else
	return blk_alloc_disk(NUMA_NO_NODE);
#endif
}

int pass_bio_clone(struct job *job)
{
	struct gendisk *disk;
	int ret = bioset_init(&clones, 4, offsetof(struct clone, bio), 0);

	if (ret)
		return ret;
	disk = bio_disk();
	if (disk) {
		disk->fops = &clone_ops;
		ret = try_disk(disk, "chariot_bio");
		put_disk(disk);
	} else {
		ret = -ENOMEM;
	}
	bioset_exit(&clones);
	return ret;
}
