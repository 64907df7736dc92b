/* SPDX-License-Identifier: GPL-2.0 */
#ifndef METRICS_H
#define METRICS_H

/*
 * All that is known of the VMs of this host, in Prometheus' text format: for chariot
 * stats --prometheus and chariot-exporter.  The text is malloc()ed; NULL with errno.
 */
char *metrics_text(void);

#endif
