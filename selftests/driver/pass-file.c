// SPDX-License-Identifier: GPL-2.0
/*
 * Files of the driver's.  The runner reads the one that is named as the case,
 * and hands on the last line that it got.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "conform.h"

static int seq_show_line(struct seq_file *m, void *v)
{
	seq_printf(m, "line-%llu\n", *(loff_t *)v);
	return 0;
}

static void *seq_at(struct seq_file *m, loff_t *pos)
{
	loff_t *p;

	if (*pos >= 1000)
		return NULL;
	p = kmalloc(sizeof(*p), GFP_KERNEL);
	if (p)
		*p = *pos;
	return p;
}

static void *seq_after(struct seq_file *m, void *v, loff_t *pos)
{
	kfree(v);
	++*pos;
	return seq_at(m, pos);
}

static void seq_end(struct seq_file *m, void *v)
{
	kfree(v);
}

static const struct seq_operations lines_sops = {
	.start	= seq_at,
	.next	= seq_after,
	.stop	= seq_end,
	.show	= seq_show_line,
};
DEFINE_SEQ_ATTRIBUTE(lines);

int pass_seq_file(struct job *job)
{
	return strcmp(job->arg, "line-999") ? -EIO : 0;
}

/* What is shown hangs on the file, where our open() has put it. */
static int show_private(struct seq_file *m, void *v)
{
	u64 *val = m->private;

	seq_printf(m, "private-%llu\n", (*val)++);
	return 0;
}

static void *one_at(struct seq_file *m, loff_t *pos)
{
	return *pos < 3 ? m : NULL;
}

static void *one_after(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return one_at(m, pos);
}

static void one_end(struct seq_file *m, void *v)
{
}

static const struct seq_operations private_sops = {
	.start	= one_at,
	.next	= one_after,
	.stop	= one_end,
	.show	= show_private,
};

static int private_open(struct inode *inode, struct file *file)
{
	u64 *val = kzalloc(sizeof(*val), GFP_KERNEL);
	int ret = val ? seq_open(file, &private_sops) : -ENOMEM;

	if (ret)
		kfree(val);
	else
		((struct seq_file *)file->private_data)->private = val;
	return ret;
}

static const struct file_operations private_fops = {
	.owner		= THIS_MODULE,
	.open		= private_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= seq_release_private,
};

int pass_seq_private(struct job *job)
{
	return strcmp(job->arg, "private-2") ? -EIO : 0;
}

static int seq_single_show(struct seq_file *m, void *v)
{
	char *buf;
	size_t size = seq_get_buf(m, &buf);

	/* A part is written where it goes, and is then said to be there. */
	if (size > 16) {
		strscpy(buf, "single-", size);
		seq_commit(m, strlen(buf));
	}
	seq_puts(m, (char *)m->private);
	seq_putc(m, '\n');
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(seq_single);

int pass_seq_single(struct job *job)
{
	return strcmp(job->arg, "single-data") ? -EIO : 0;
}

/* A file without seq_file: the driver copies, and moves the position. */
static ssize_t read_file_read(struct file *file, char __user *ubuf, size_t len,
			      loff_t *pos)
{
	static const char text[] = "read\n";

	if (*pos || len < sizeof(text) - 1)
		return 0;
	if (copy_to_user(ubuf, text, sizeof(text) - 1))
		return -EFAULT;
	*pos += sizeof(text) - 1;
	return sizeof(text) - 1;
}

static const struct file_operations read_file_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.read	= read_file_read,
	.llseek	= default_llseek,
};

int pass_read_file(struct job *job)
{
	return strcmp(job->arg, "read") ? -EIO : 0;
}

static u32 debugfs_number = 4711;

int pass_debugfs_number(struct job *job)
{
	return strcmp(job->arg, "4711") ? -EIO : 0;
}

void pass_files_init(void)
{
	static char data[] = "data";

	debugfs_create_file("seq_file", 0400, conform_dir, NULL, &lines_fops);
	debugfs_create_file("seq_private", 0400, conform_dir, NULL,
			    &private_fops);
	debugfs_create_file("seq_single", 0400, conform_dir, data,
			    &seq_single_fops);
	debugfs_create_file("read_file", 0400, conform_dir, NULL,
			    &read_file_fops);
	debugfs_create_u32("debugfs_number", 0400, conform_dir,
			   &debugfs_number);
}
