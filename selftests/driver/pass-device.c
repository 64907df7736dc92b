// SPDX-License-Identifier: GPL-2.0
/*
 * Devices: what a driver writes in those that it is given, and what buses and
 * classes make it write.
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/dmapool.h>
#include <linux/i2c.h>
#include <linux/kobject.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "conform.h"

/* ---- a device that is bound to a driver --------------------------------- */

static int (*probe_act)(struct device *dev);

static int probe(struct platform_device *pdev)
{
	platform_set_drvdata(pdev, pdev);
	return probe_act ? probe_act(&pdev->dev) : 0;
}

static struct platform_driver plat_driver = {
	.probe	= probe,
	.driver	= { .name = "chariot_conform" },
};

int with_device(int (*probing)(struct device *dev),
		int (*bound)(struct device *dev))
{
	struct platform_device *pdev;
	int ret = platform_driver_register(&plat_driver);

	if (ret)
		return ret;
	probe_act = probing;
	pdev = platform_device_register_simple("chariot_conform",
					       PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pdev)) {
		ret = PTR_ERR(pdev);
	} else {
		/* Bound: the probe was there, and came out right. */
		ret = platform_get_drvdata(pdev) == pdev ? 0 : -EIO;
		if (!ret && bound)
			ret = bound(&pdev->dev);
		platform_device_unregister(pdev);
	}
	platform_driver_unregister(&plat_driver);
	return ret;
}

static int dma_act(struct device *dev)
{
	size_t size = 3 * PAGE_SIZE;
	dma_addr_t handle;
	void *p = dma_alloc_coherent(dev, size, &handle, GFP_KERNEL);
	int ret = fill(p, size);

	if (p)
		dma_free_coherent(dev, size, p, handle);
	return ret;
}

int pass_dma(struct job *job)
{
	return with_device(dma_act, NULL);
}

static int devm_act(struct device *dev)
{
	void *gone = devm_kzalloc(dev, 200, GFP_KERNEL);
	void *kept = devm_kzalloc(dev, 200, GFP_KERNEL);
	int ret = fill(gone, 200);

	if (!ret)
		ret = fill(kept, 200);
	if (gone)
		devm_kfree(dev, gone);
	return ret;
}

int pass_devm(struct job *job)
{
	return with_device(devm_act, NULL);
}

static int more_devm_act(struct device *dev)
{
	void *array = devm_kmalloc_array(dev, 20, 24, GFP_KERNEL);
	char *text = devm_kasprintf(dev, GFP_KERNEL, "%s-%d", "chariot", 42);
	char *copy = devm_kmemdup(dev, "chariot", 8, GFP_KERNEL);
	int ret = fill(array, 480);

	if (!text || !copy)
		return -ENOMEM;
	text[0] = 'C';
	copy[0] = 'C';
	if (strcmp(text, "Chariot-42") || strcmp(copy, "Chariot"))
		ret = -EIO;
	return ret;
}

int pass_devm_more(struct job *job)
{
	return with_device(more_devm_act, NULL);
}

static int released;

static void res_released(struct device *dev, void *res)
{
	released += *(u64 *)res == CHARIOT_WILD;
}

static void acted(void *data)
{
	released += *(u64 *)data;
}

static int devres_act(struct device *dev)
{
	static u64 ten = 10;
	u64 *res = devres_alloc(res_released, 64, GFP_KERNEL);
	int ret = fill(res, 64);

	if (ret) {
		devres_free(res);
		return ret;
	}
	devres_add(dev, res);
	return devm_add_action_or_reset(dev, acted, &ten);
}

/* Memory behind what the kernel keeps for a device, and called back with. */
int pass_devres(struct job *job)
{
	int ret;

	released = 0;
	ret = with_device(devres_act, NULL);
	return ret ? ret : released == 11 ? 0 : -EIO;
}

static int map_act(struct device *dev)
{
	void *p = kmalloc(PAGE_SIZE, GFP_KERNEL);
	struct scatterlist sg[2];
	dma_addr_t addr;
	int ret = dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(64));

	if (!ret)
		ret = fill(p, PAGE_SIZE);
	if (ret)
		goto out;
	addr = dma_map_single(dev, p, PAGE_SIZE, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, addr)) {
		ret = -EIO;
		goto out;
	}
	dma_sync_single_for_cpu(dev, addr, PAGE_SIZE, DMA_BIDIRECTIONAL);
	ret = fill(p, 64);
	dma_sync_single_for_device(dev, addr, PAGE_SIZE, DMA_BIDIRECTIONAL);
	dma_unmap_single(dev, addr, PAGE_SIZE, DMA_BIDIRECTIONAL);
	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], p, 512);
	sg_set_buf(&sg[1], p + 2048, 512);
	if (!dma_map_sg(dev, sg, 2, DMA_TO_DEVICE))
		ret = -EIO;
	else
		dma_unmap_sg(dev, sg, 2, DMA_TO_DEVICE);
out:
	kfree(p);
	return ret;
}

int pass_dma_map(struct job *job)
{
	return with_device(map_act, NULL);
}

static int pool_act(struct device *dev)
{
	struct dma_pool *pool = dma_pool_create("chariot", dev, 256, 64, 0);
	void *p[20] = {};
	dma_addr_t addr[20];
	int i, ret = pool ? 0 : -ENOMEM;

	for (i = 0; i < ARRAY_SIZE(p) && !ret; i++) {
		p[i] = dma_pool_alloc(pool, GFP_KERNEL, &addr[i]);
		ret = fill(p[i], 256);
	}
	for (i = 0; i < ARRAY_SIZE(p); i++)
		if (p[i])
			dma_pool_free(pool, p[i], addr[i]);
	dma_pool_destroy(pool);
	return ret;
}

int pass_dma_pool(struct job *job)
{
	return with_device(pool_act, NULL);
}

/* ---- devices that the driver has made ----------------------------------- */

static struct device *root;

/* No policy knows the function: its prototype does. */
int pass_returned(struct job *job)
{
	int ret = 0;

	if (!root)
		root = root_device_register("chariot_root");
	if (IS_ERR_OR_NULL(root))
		return -ENOMEM;
	dev_set_drvdata(root, job);
	if (dev_get_drvdata(root) != job)
		ret = -EIO;
	dev_set_drvdata(root, NULL);
	return ret;
}

int pass_returned_later(struct job *job)
{
	int ret = -EIO;

	if (!root)
		ret = pass_returned(job);
	if (!root)
		return ret;
	dev_set_drvdata(root, job);
	ret = dev_get_drvdata(root) == job ? 0 : -EIO;
	root_device_unregister(root);
	root = NULL;
	return ret;
}

/* platform_device_register_full() returns it; it leads to its parent. */
int pass_reached(struct job *job)
{
	struct platform_device_info info = { .name = "chariot_child" };
	struct platform_device *dev;
	struct device *parent = root_device_register("chariot_parent");
	int ret = -EIO;

	if (IS_ERR(parent))
		return PTR_ERR(parent);
	info.parent = parent;
	dev = platform_device_register_full(&info);
	if (!IS_ERR(dev)) {
		dev_set_drvdata(dev->dev.parent, job);
		ret = dev_get_drvdata(parent) == job ? 0 : -EIO;
		dev_set_drvdata(dev->dev.parent, NULL);
		platform_device_unregister(dev);
	}
	root_device_unregister(parent);
	return ret;
}

static int check_parms(struct device *dev, unsigned int size)
{
	dma_set_max_seg_size(dev, size);
	return dma_get_max_seg_size(dev) == size ? 0 : -EIO;
}

static int parms_probing(struct device *dev)
{
	int ret = dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(32));

	if (!ret)
		ret = check_parms(dev, 8192);
	dma_set_seg_boundary(dev, 0xffff);
	if (!ret && dma_get_seg_boundary(dev) != 0xffff)
		ret = -EIO;
	return ret;
}

/* What a pointer in the parent of a device leads to. */
static int parms_of_parent(struct device *dev)
{
	struct platform_device_info info = {
		.name	= "chariot_child",
		.parent	= dev,
	};
	struct platform_device *child = platform_device_register_full(&info);
	int ret;

	if (IS_ERR(child))
		return PTR_ERR(child);
	ret = check_parms(child->dev.parent, 4096);
	platform_device_unregister(child);
	return ret;
}

int pass_dma_parms(struct job *job)
{
	return with_device(parms_probing, parms_of_parent);
}

/* More than anybody who looks on may want to remember. */
#define KOBJECTS	8300

static int add_kobjects(struct kobject **kobjs, struct device *dev)
{
	char name[16];
	int i;

	for (i = 0; i < KOBJECTS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		kobjs[i] = kobject_create_and_add(name, &dev->kobj);
		if (!kobjs[i])
			return -ENOMEM;
		if (!(i % 256))
			cond_resched();
	}
	return 0;
}

static int among_kobjects(struct device *dev)
{
	struct kobject **kobjs = vzalloc(KOBJECTS * sizeof(*kobjs));
	void *drvdata = dev_get_drvdata(dev);
	int i, ret;

	if (!kobjs)
		return -ENOMEM;
	ret = add_kobjects(kobjs, dev);
	dev_set_drvdata(dev, kobjs);
	if (dev_get_drvdata(dev) != kobjs)
		ret = -EIO;
	dev_set_drvdata(dev, drvdata);
	for (i = 0; i < KOBJECTS; i++)
		kobject_put(kobjs[i]);
	vfree(kobjs);
	return ret;
}

/* The device is the driver's until it is unbound, whatever came since. */
int pass_many_kobjects(struct job *job)
{
	return with_device(NULL, among_kobjects);
}

struct own_kobject {
	struct kobject	kobj;
	bool		*gone;
};

static void kobject_gone(struct kobject *kobj)
{
	struct own_kobject *own = container_of(kobj, struct own_kobject, kobj);

	*own->gone = true;
	kfree(own);
}

static const struct kobj_type own_type = { .release = kobject_gone };

/* A kobject inside an object of the driver's. */
int pass_kobject(struct job *job)
{
	struct own_kobject *own = kzalloc(sizeof(*own), GFP_KERNEL);
	bool gone = false;
	int ret;

	if (!own)
		return -ENOMEM;
	own->gone = &gone;
	ret = kobject_init_and_add(&own->kobj, &own_type, kernel_kobj,
				   "chariot-%d", 1);
	if (!ret) {
		kobject_get(&own->kobj);
		kobject_put(&own->kobj);
		kobject_del(&own->kobj);
	}
	kobject_put(&own->kobj);
	return ret ? ret : gone ? 0 : -EIO;
}

/* ---- i2c ---------------------------------------------------------------- */

#define I2C_FIRST	0x40

/* The buffers are those of whoever asks: also on the kernel's stack. */
static int i2c_transfer_all(struct i2c_adapter *adap, struct i2c_msg *msgs,
			    int num)
{
	int i, j;

	for (i = 0; i < num; i++) {
		if (!(msgs[i].flags & I2C_M_RD))
			continue;
		for (j = 0; j < msgs[i].len; j++)
			msgs[i].buf[j] = I2C_FIRST + j;
	}
	return num;
}

static u32 i2c_functions(struct i2c_adapter *adap)
{
	return I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL;
}

static const struct i2c_algorithm i2c_algo = {
	.master_xfer	= i2c_transfer_all,
	.functionality	= i2c_functions,
};

static int read_i2c(struct i2c_adapter *adap)
{
	union i2c_smbus_data data = {};
	u8 reg = 0, buf[8] = {};
	struct i2c_msg msgs[2] = {
		{ .addr = 0x50, .len = 1, .buf = &reg },
		{ .addr = 0x50, .len = 8, .buf = buf, .flags = I2C_M_RD },
	};

	if (i2c_transfer(adap, msgs, 2) != 2 || buf[7] != I2C_FIRST + 7)
		return -EIO;
	if (i2c_smbus_xfer(adap, 0x50, 0, I2C_SMBUS_READ, 3,
			   I2C_SMBUS_WORD_DATA, &data))
		return -EIO;
	if (data.word != (I2C_FIRST | (I2C_FIRST + 1) << 8))
		return -EIO;
	data.block[0] = 4;
	if (i2c_smbus_xfer(adap, 0x50, 0, I2C_SMBUS_READ, 3,
			   I2C_SMBUS_I2C_BLOCK_DATA, &data))
		return -EIO;
	return data.block[4] == I2C_FIRST + 3 ? 0 : -EIO;
}

int pass_i2c_adapter(struct job *job)
{
	struct i2c_adapter *adap = kzalloc(sizeof(*adap), GFP_KERNEL);
	int ret;

	if (!adap)
		return -ENOMEM;
	adap->owner = THIS_MODULE;
	adap->algo = &i2c_algo;
	strscpy(adap->name, "chariot_conform", sizeof(adap->name));
	ret = i2c_add_adapter(adap);
	if (!ret) {
		ret = read_i2c(adap);
		i2c_del_adapter(adap);
	}
	kfree(adap);
	return ret;
}
