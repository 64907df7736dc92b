// SPDX-License-Identifier: GPL-2.0
/*
 * display: set a mode, draw into a dumb buffer and read it back. What should
 * be seen is in /tmp/screen.ppm when "drawn" is printed; it stays until the
 * input ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libdrm/drm.h>
#include <libdrm/drm_mode.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "work.h"

static int card;
static uint32_t connector, crtc;
static struct drm_mode_modeinfo mode;

struct buffer {
	struct drm_mode_create_dumb dumb;
	uint32_t fb;
	uint8_t *map;
};

/* The first connector that has something on it, its best mode and a CRTC. */
static int find_output(void)
{
	static uint32_t crtcs[16], connectors[16], encoders[16], fbs[16];
	static struct drm_mode_modeinfo modes[128];
	struct drm_mode_card_res res = {
		.crtc_id_ptr = (uintptr_t)crtcs, .count_crtcs = 16,
		.connector_id_ptr = (uintptr_t)connectors, .count_connectors = 16,
		.encoder_id_ptr = (uintptr_t)encoders, .count_encoders = 16,
		.fb_id_ptr = (uintptr_t)fbs, .count_fbs = 16,
	};

	if (ioctl(card, DRM_IOCTL_MODE_GETRESOURCES, &res) || !res.count_crtcs)
		return -1;
	for (uint32_t i = 0; i < res.count_connectors; i++) {
		struct drm_mode_get_connector c = {
			.connector_id = connectors[i],
		};

		/* asks what is connected; what it has, the second time */
		if (ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &c) ||
		    c.count_modes > 128)
			continue;
		c.modes_ptr = (uintptr_t)modes;
		c.count_props = c.count_encoders = 0;
		if (ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &c) ||
		    c.connection != 1 || !c.count_modes)
			continue;
		connector = connectors[i];
		crtc = crtcs[0];
		mode = modes[0];
		for (uint32_t m = 1; m < c.count_modes; m++)
			if (modes[m].hdisplay == 800 && modes[m].vdisplay == 600)
				mode = modes[m];
		return 0;
	}
	errno = ENODEV;
	return -1;
}

static int make_buffer(struct buffer *b, uint32_t bpp)
{
	struct drm_mode_map_dumb map;
	struct drm_mode_fb_cmd fb;

	b->dumb = (struct drm_mode_create_dumb){
		.width = mode.hdisplay, .height = mode.vdisplay, .bpp = bpp,
	};
	if (ioctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &b->dumb))
		return -1;
	fb = (struct drm_mode_fb_cmd){
		.width = b->dumb.width, .height = b->dumb.height,
		.pitch = b->dumb.pitch, .bpp = bpp, .depth = bpp == 16 ? 16 : 24,
		.handle = b->dumb.handle,
	};
	map = (struct drm_mode_map_dumb){ .handle = b->dumb.handle };
	if (ioctl(card, DRM_IOCTL_MODE_ADDFB, &fb) ||
	    ioctl(card, DRM_IOCTL_MODE_MAP_DUMB, &map))
		return -1;
	b->fb = fb.fb_id;
	b->map = mmap(NULL, b->dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      card, (off_t)map.offset);
	return b->map == MAP_FAILED ? -1 : 0;
}

/* In 16 bits and in 32 the same is seen: green, which has a sixth, is all or none. */
static uint32_t colour(unsigned int x, unsigned int y, unsigned int n)
{
	return ((x / 8 + n) & 0x1f) << 10 | (y / 8 & 1 ? 0x1f : 0) << 5 |
	       ((x / 32 + y / 16) & 0x1f);
}

static uint32_t pixel(uint32_t c, uint32_t bpp)
{
	uint32_t r = c >> 10, g = c >> 5 & 0x1f, b = c & 0x1f;

	if (bpp == 16)
		return r << 11 | g << 6 | (g >> 4) << 5 | b;
	return (r << 3 | r >> 2) << 16 | (g << 3 | g >> 2) << 8 | b << 3 | b >> 2;
}

static void put(uint8_t *at, uint32_t p, uint32_t bpp)
{
	if (bpp == 16)
		*(volatile uint16_t *)at = (uint16_t)p;
	else
		*(volatile uint32_t *)at = p;
}

static uint32_t get(const uint8_t *at, uint32_t bpp)
{
	return bpp == 16 ? *(volatile uint16_t *)at :
		*(volatile uint32_t *)at & 0xffffff;
}

/* Number of pixels that are not as drawn */
static unsigned int pass(struct buffer *b, unsigned int n, int draw)
{
	unsigned int wrong = 0, bpp = b->dumb.bpp;

	for (unsigned int y = 0; y < b->dumb.height; y++)
		for (unsigned int x = 0; x < b->dumb.width; x++) {
			uint8_t *at = b->map + y * b->dumb.pitch + x * bpp / 8;
			uint32_t p = pixel(colour(x, y, n), bpp);

			if (draw)
				put(at, p, bpp);
			else
				wrong += get(at, bpp) != p;
		}
	return wrong;
}

static int show(struct buffer *b)
{
	struct drm_mode_crtc set = {
		.crtc_id = crtc, .fb_id = b->fb, .mode_valid = 1, .mode = mode,
		.set_connectors_ptr = (uintptr_t)&connector, .count_connectors = 1,
	};
	struct drm_clip_rect all = { 0, 0, mode.hdisplay, mode.vdisplay };
	struct drm_mode_fb_dirty_cmd dirty = {
		.fb_id = b->fb, .clips_ptr = (uintptr_t)&all, .num_clips = 1,
	};

	if (ioctl(card, DRM_IOCTL_MODE_SETCRTC, &set))
		return -1;
	return ioctl(card, DRM_IOCTL_MODE_DIRTYFB, &dirty) &&
		errno != ENOSYS ? -1 : 0;
}

static int write_picture(unsigned int n)
{
	FILE *f = fopen("/tmp/screen.ppm", "w");

	if (!f)
		return -1;
	fprintf(f, "P6\n%u %u\n255\n", mode.hdisplay, mode.vdisplay);
	for (unsigned int y = 0; y < mode.vdisplay; y++)
		for (unsigned int x = 0; x < mode.hdisplay; x++) {
			uint32_t p = pixel(colour(x, y, n), 32);
			uint8_t rgb[] = { p >> 16, p >> 8, p };

			fwrite(rgb, 3, 1, f);
		}
	return fclose(f);
}

int display_main(char **arg)
{
	struct buffer b[2];
	uint32_t bpp = 32;
	char c;

	card = open(arg[0], O_RDWR);
	if (card < 0)
		return fail(arg[0]);
	if (find_output())
		return fail("no output");
	if (make_buffer(&b[0], bpp)) {
		bpp = 16;
		if (make_buffer(&b[0], bpp))
			return fail("buffer");
	}
	if (make_buffer(&b[1], bpp))
		return fail("second buffer");
	/* one, the other, and the first anew while it is not seen */
	for (unsigned int n = 0; n < 3; n++) {
		pass(&b[n % 2], n, 1);
		if (show(&b[n % 2]))
			return fail("mode set");
		errno = EILSEQ;
		if (pass(&b[n % 2], n, 0))
			return fail("read back");
	}
	if (write_picture(2))
		return fail("picture");
	printf("ops %u\ndrawn %ux%u, %u bits\n", 3 * mode.hdisplay *
	       mode.vdisplay / 1024, mode.hdisplay, mode.vdisplay, bpp);
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
