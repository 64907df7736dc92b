// SPDX-License-Identifier: GPL-2.0
/*
 * Classes of devices: each has a table of functions, to which it hands what
 * they shall fill in.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/hw_random.h>
#include <linux/input.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/leds.h>
#include <linux/module.h>
#include <linux/nvmem-consumer.h>
#include <linux/nvmem-provider.h>
#include <linux/platform_device.h>
#include <linux/power_supply.h>
#include <linux/property.h>
#include <linux/regmap.h>
#include <linux/rtc.h>
#include <linux/slab.h>
#include <linux/spi/spi.h>
#include <linux/version.h>

#include "conform.h"

#define TIMEOUT		(600 * HZ)

/* ---- regmap: the value is on the kernel's stack, or in its cache -------- */

static u32 registers[16];

static int reg_read(void *context, unsigned int reg, unsigned int *val)
{
	*val = ((u32 *)context)[reg];
	return 0;
}

static int reg_write(void *context, unsigned int reg, unsigned int val)
{
	((u32 *)context)[reg] = val;
	return 0;
}

static const struct regmap_config reg_config = {
	.reg_bits	= 32,
	.val_bits	= 32,
	.max_register	= 15,
	.reg_read	= reg_read,
	.reg_write	= reg_write,
	.cache_type	= REGCACHE_RBTREE,
};

static int regmap_probing(struct device *dev)
{
	struct regmap *map = devm_regmap_init(dev, NULL, registers,
					      &reg_config);
	unsigned int val = 0;
	u32 bulk[4] = {};
	int ret;

	if (IS_ERR(map))
		return PTR_ERR(map);
	registers[5] = 0x1234;
	ret = regmap_read(map, 5, &val);
	if (!ret && val != 0x1234)
		ret = -EIO;
	if (!ret)
		ret = regmap_update_bits(map, 5, 0xff, 0x56);
	if (!ret)
		ret = regmap_bulk_read(map, 4, bulk, 4);
	return ret ? ret : bulk[1] == 0x1256 && registers[5] == 0x1256 ?
	       0 : -EIO;
}

int pass_regmap(struct job *job)
{
	return with_device(regmap_probing, NULL);
}

/* ---- nvmem -------------------------------------------------------------- */

static int nvmem_read(void *priv, unsigned int offset, void *val, size_t bytes)
{
	memset(val, 0x40 + offset, bytes);
	return 0;
}

static int nvmem_probing(struct device *dev)
{
	struct nvmem_config config = {
		.dev		= dev,
		.name		= "chariot",
		.id		= NVMEM_DEVID_NONE,
		.owner		= THIS_MODULE,
		.read_only	= true,
		.reg_read	= nvmem_read,
		.size		= 64,
		.word_size	= 1,
		.stride		= 1,
	};
	struct nvmem_device *nvmem = devm_nvmem_register(dev, &config);
	u8 buf[16] = {};

	if (IS_ERR(nvmem))
		return PTR_ERR(nvmem);
	if (nvmem_device_read(nvmem, 4, sizeof(buf), buf) != sizeof(buf))
		return -EIO;
	return memchr_inv(buf, 0x44, sizeof(buf)) ? -EIO : 0;
}

int pass_nvmem(struct job *job)
{
	return with_device(nvmem_probing, NULL);
}

/* ---- input: bits in a device that the kernel has allocated -------------- */

int pass_input(struct job *job)
{
	struct input_dev *input = input_allocate_device();
	int ret;

	if (!input)
		return -ENOMEM;
	input->name = "chariot_conform";
	input->id.bustype = BUS_VIRTUAL;
	__set_bit(EV_KEY, input->evbit);
	__set_bit(KEY_A, input->keybit);
	input_set_abs_params(input, ABS_X, 0, 1023, 4, 8);
	input_set_drvdata(input, job);
	ret = input_register_device(input);
	if (ret) {
		input_free_device(input);
		return ret;
	}
	input_report_key(input, KEY_A, 1);
	input_report_abs(input, ABS_X, 77);
	input_sync(input);
	if (!test_bit(KEY_A, input->key) || input_abs_get_val(input, ABS_X) != 77)
		ret = -EIO;
	input_unregister_device(input);
	return ret;
}

/* ---- rtc, power supply, led --------------------------------------------- */

static int rtc_get(struct device *dev, struct rtc_time *tm)
{
	rtc_time64_to_tm(1000000000, tm);
	return 0;
}

static const struct rtc_class_ops rtc_ops = {
	.read_time	= rtc_get,
};

static int rtc_probing(struct device *dev)
{
	struct rtc_device *rtc = devm_rtc_allocate_device(dev);
	struct rtc_time tm = {};
	int ret;

	if (IS_ERR(rtc))
		return PTR_ERR(rtc);
	rtc->ops = &rtc_ops;
	rtc->range_max = U32_MAX;
	ret = devm_rtc_register_device(rtc);
	if (!ret)
		ret = rtc_read_time(rtc, &tm);
	return ret ? ret : rtc_tm_to_time64(&tm) == 1000000000 ? 0 : -EIO;
}

int pass_rtc(struct job *job)
{
	return with_device(rtc_probing, NULL);
}

static int supply_get(struct power_supply *psy, enum power_supply_property psp,
		      union power_supply_propval *val)
{
	u64 *priv = power_supply_get_drvdata(psy);

	val->intval = ++*priv;
	return 0;
}

static const enum power_supply_property supply_props[] = {
	POWER_SUPPLY_PROP_VOLTAGE_NOW,
};

static const struct power_supply_desc supply_desc = {
	.name		= "chariot",
	.type		= POWER_SUPPLY_TYPE_BATTERY,
	.properties	= supply_props,
	.num_properties	= ARRAY_SIZE(supply_props),
	.get_property	= supply_get,
};

static int supply_probing(struct device *dev)
{
	u64 *priv = devm_kzalloc(dev, sizeof(*priv), GFP_KERNEL);
	struct power_supply_config config = { .drv_data = priv };
	union power_supply_propval val = {};
	struct power_supply *psy;
	int ret;

	if (!priv)
		return -ENOMEM;
	psy = devm_power_supply_register(dev, &supply_desc, &config);
	if (IS_ERR(psy))
		return PTR_ERR(psy);
	ret = power_supply_get_property(psy, POWER_SUPPLY_PROP_VOLTAGE_NOW,
					&val);
	return ret ? ret : val.intval ? 0 : -EIO;
}

int pass_power_supply(struct job *job)
{
	return with_device(supply_probing, NULL);
}

struct own_led {
	struct led_classdev	cdev;
	int			set;
};

static int led_set(struct led_classdev *cdev, enum led_brightness brightness)
{
	container_of(cdev, struct own_led, cdev)->set = brightness;
	return 0;
}

static int led_probing(struct device *dev)
{
	struct own_led *led = devm_kzalloc(dev, sizeof(*led), GFP_KERNEL);
	int ret;

	if (!led)
		return -ENOMEM;
	led->cdev.name = "chariot::conform";
	led->cdev.max_brightness = 255;
	led->cdev.brightness_set_blocking = led_set;
	ret = led_classdev_register(dev, &led->cdev);
	if (ret)
		return ret;
	ret = led_set_brightness_sync(&led->cdev, 99);
	led_classdev_unregister(&led->cdev);
	/* Unregistering turns it off. */
	return ret ? ret : led->set == 0 && led->cdev.brightness == 0 ?
	       0 : -EIO;
}

int pass_led(struct job *job)
{
	return with_device(led_probing, NULL);
}

/* ---- hwrng: a thread of the kernel's asks ------------------------------- */

static DECLARE_COMPLETION(rng_asked);

static int rng_read(struct hwrng *rng, void *data, size_t max, bool wait)
{
	memset(data, 0x5c, max);
	complete(&rng_asked);
	return max;
}

int pass_hwrng(struct job *job)
{
	static struct hwrng rng;
	int ret;

	memset(&rng, 0, sizeof(rng));
	rng.name = "chariot";
	rng.read = rng_read;
	rng.quality = 1;
	reinit_completion(&rng_asked);
	ret = hwrng_register(&rng);
	if (ret)
		return ret;
	if (!wait_for_completion_timeout(&rng_asked, TIMEOUT))
		ret = -ETIMEDOUT;
	hwrng_unregister(&rng);
	return ret;
}

/* ---- spi: memory behind a controller, messages of whoever sends --------- */

static int spi_one(struct spi_controller *ctlr, struct spi_message *msg)
{
	u64 *count = spi_controller_get_devdata(ctlr);
	struct spi_transfer *t;

	list_for_each_entry(t, &msg->transfers, transfer_list) {
		if (t->rx_buf)
			memset(t->rx_buf, 0x2b, t->len);
		msg->actual_length += t->len;
		count[0]++;
	}
	msg->status = 0;
	spi_finalize_current_message(ctlr);
	return 0;
}

static int spi_exchange(struct spi_controller *ctlr)
{
	struct spi_board_info info = {
		.modalias	= "chariot-none",
		.max_speed_hz	= 1000000,
	};
	struct spi_device *spi = spi_new_device(ctlr, &info);
	u64 *count = spi_controller_get_devdata(ctlr);
	u8 *rx = kzalloc(32, GFP_KERNEL);
	int ret = rx ? 0 : -ENOMEM;

	if (!spi)
		ret = -ENODEV;
	if (!ret)
		ret = spi_read(spi, rx, 32);
	if (!ret && (memchr_inv(rx, 0x2b, 32) || count[0] != 1))
		ret = -EIO;
	if (spi)
		spi_unregister_device(spi);
	kfree(rx);
	return ret;
}

static int spi_bound(struct device *dev)
{
	struct spi_controller *ctlr = __spi_alloc_controller(dev, 512, false);
	int ret;

	if (!ctlr)
		return -ENOMEM;
	ret = fill(spi_controller_get_devdata(ctlr), 512);
	memset(spi_controller_get_devdata(ctlr), 0, 512);
	ctlr->num_chipselect = 1;
	ctlr->transfer_one_message = spi_one;
	if (!ret)
		ret = spi_register_controller(ctlr);
	if (ret) {
		spi_controller_put(ctlr);
		return ret;
	}
	ret = spi_exchange(ctlr);
	spi_unregister_controller(ctlr);
	return ret;
}

int pass_spi_controller(struct job *job)
{
	return with_device(NULL, spi_bound);
}

/* ---- interrupts --------------------------------------------------------- */

struct irq_counts {
	int			hard;
	int			thread;
	struct completion	done;
};

static irqreturn_t irq_hard(int irq, void *data)
{
	((struct irq_counts *)data)->hard++;
	return IRQ_WAKE_THREAD;
}

static irqreturn_t irq_thread(int irq, void *data)
{
	struct irq_counts *counts = data;

	counts->thread++;
	complete(&counts->done);
	return IRQ_HANDLED;
}

static int raise(int irq, struct irq_counts *counts)
{
	unsigned long flags;
	int ret = request_threaded_irq(irq, irq_hard, irq_thread, 0,
				       "chariot_conform", counts);

	if (ret)
		return ret;
	local_irq_save(flags);
	generic_handle_irq(irq);
	local_irq_restore(flags);
	if (!wait_for_completion_timeout(&counts->done, TIMEOUT))
		ret = -ETIMEDOUT;
	free_irq(irq, counts);
	return ret ? ret : counts->hard == 1 && counts->thread == 1 ? 0 : -EIO;
}

int pass_threaded_irq(struct job *job)
{
	struct irq_counts *counts = kzalloc(sizeof(*counts), GFP_KERNEL);
	int irq = irq_alloc_desc(NUMA_NO_NODE);
	int ret = -ENOMEM;

	if (counts && irq >= 0) {
		init_completion(&counts->done);
		irq_set_chip_and_handler(irq, &dummy_irq_chip,
					 handle_simple_irq);
		irq_clear_status_flags(irq, IRQ_NOREQUEST);
		ret = raise(irq, counts);
	}
	if (irq >= 0)
		irq_free_desc(irq);
	kfree(counts);
	return ret;
}

/* ---- character devices, properties, platform data ----------------------- */

static const struct file_operations chr_fops = {
	.owner	= THIS_MODULE,
};

static struct class *new_class(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	return class_create("chariot_conform");
#else
	return class_create(THIS_MODULE, "chariot_conform");
#endif
}

static int in_class(struct class *class, dev_t devt)
{
	struct device *dev = device_create(class, NULL, devt, NULL,
					   "chariot%d", 7);

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	dev_set_drvdata(dev, class);
	device_destroy(class, devt);
	return 0;
}

int pass_cdev(struct job *job)
{
	struct cdev *cdev = cdev_alloc();
	struct class *class;
	dev_t devt;
	int ret;

	if (!cdev)
		return -ENOMEM;
	ret = alloc_chrdev_region(&devt, 0, 1, "chariot");
	if (ret) {
		kobject_put(&cdev->kobj);
		return ret;
	}
	cdev->owner = THIS_MODULE;
	cdev->ops = &chr_fops;
	class = new_class();
	ret = PTR_ERR_OR_ZERO(class);
	if (!ret)
		ret = cdev_add(cdev, devt, 1);
	if (!ret)
		ret = in_class(class, devt);
	cdev_del(cdev);
	if (!IS_ERR(class))
		class_destroy(class);
	unregister_chrdev_region(devt, 1);
	return ret;
}

static int read_properties(struct device *dev)
{
	const char *label = NULL;
	u32 values[3] = {};

	if (device_property_read_u32_array(dev, "chariot,values", values, 3) ||
	    device_property_read_string(dev, "label", &label))
		return -EIO;
	return values[2] == 30 && !strcmp(label, "conform") ? 0 : -EIO;
}

int pass_properties(struct job *job)
{
	static const u32 values[] = { 10, 20, 30 };
	struct property_entry properties[] = {
		PROPERTY_ENTRY_U32_ARRAY("chariot,values", values),
		PROPERTY_ENTRY_STRING("label", "conform"),
		{}
	};
	struct platform_device_info info = {
		.name		= "chariot_child",
		.properties	= properties,
	};
	struct platform_device *pdev = platform_device_register_full(&info);
	int ret;

	if (IS_ERR(pdev))
		return PTR_ERR(pdev);
	ret = read_properties(&pdev->dev);
	platform_device_unregister(pdev);
	return ret;
}

int pass_platform_data(struct job *job)
{
	struct platform_device *pdev = platform_device_alloc("chariot_child", 1);
	u64 data[4] = { 1, 2, 3, 4 }, *copy;
	int ret;

	if (!pdev)
		return -ENOMEM;
	pdev->dev.coherent_dma_mask = DMA_BIT_MASK(32);
	ret = platform_device_add_data(pdev, data, sizeof(data));
	copy = dev_get_platdata(&pdev->dev);
	if (!ret && (copy == data || copy[3] != 4))
		ret = -EIO;
	if (!ret)
		ret = platform_device_add(pdev);
	if (!ret)
		platform_device_del(pdev);
	platform_device_put(pdev);
	return ret;
}
