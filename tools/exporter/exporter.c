// SPDX-License-Identifier: GPL-2.0
/*
 * chariot-exporter: metrics over HTTP, for Prometheus.
 *
 * systemd gives it the socket, or it listens on 127.0.0.1.  VMs are looked at when
 * somebody asks, and no handle of a VM is kept.
 */
#include "../cli.h"
#include "../metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define DEFAULT_LISTEN	"127.0.0.1:9930"
#define CONNECTIONS	16
#define TIMEOUT_S	10

struct cli cli;

static const char root_text[] =
	"<!DOCTYPE html><title>chariot-exporter</title><a href=\"/metrics\">metrics</a>\n";

/* ---- requests ------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned int status,
			      const char *type, char *text,
			      enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r;
	enum MHD_Result ret;

	r = MHD_create_response_from_buffer(strlen(text), text, mode);
	if (!r) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	ret = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ret;
}

static enum MHD_Result answer_plain(struct MHD_Connection *c, unsigned int status,
				    const char *text)
{
	return answer(c, status, "text/plain; charset=utf-8", (char *)text,
		      MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result answer_metrics(struct MHD_Connection *c)
{
	char *text = metrics_text();

	if (text)
		return answer(c, MHD_HTTP_OK,
			      "text/plain; version=0.0.4; charset=utf-8", text,
			      MHD_RESPMEM_MUST_FREE);
	fail_lib(errno, "metrics");
	return answer_plain(c, MHD_HTTP_INTERNAL_SERVER_ERROR,
			    "the VMs of this host cannot be looked at, see the log\n");
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *size, void **state)
{
	(void)version;
	(void)data;
	/* First for the head, then for what follows it, which is of no use, then to answer. */
	if (!*state || *size) {
		*state = ctx;
		*size = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) &&
	    strcmp(method, MHD_HTTP_METHOD_HEAD))
		return answer_plain(c, MHD_HTTP_METHOD_NOT_ALLOWED,
				    "GET or HEAD\n");
	if (!strcmp(url, "/metrics"))
		return answer_metrics(c);
	if (!strcmp(url, "/"))
		return answer(c, MHD_HTTP_OK, "text/html; charset=utf-8",
			      (char *)root_text, MHD_RESPMEM_PERSISTENT);
	return answer_plain(c, MHD_HTTP_NOT_FOUND, "see /metrics\n");
}

/* ---- the socket ----------------------------------------------------------- */

/* "127.0.0.1:9930", "[::1]:9930" */
static int parse_address(const char *text, struct sockaddr_storage *to)
{
	struct sockaddr_in6 *six = (void *)to;
	struct sockaddr_in *four = (void *)to;
	const char *colon = strrchr(text, ':');
	char host[64];
	uint64_t port;
	size_t len;

	if (!colon || !parse_u64(colon + 1, &port) || port > 65535)
		return -EINVAL;
	len = colon - text;
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = 0;
	if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		return 0;
	}
	if (len < 2 || host[0] != '[' || host[len - 1] != ']')
		return -EINVAL;
	host[len - 1] = 0;
	if (inet_pton(AF_INET6, host + 1, &six->sin6_addr) != 1)
		return -EINVAL;
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	return 0;
}

/* With port 0 the kernel chooses one. */
static void tell_address(int fd)
{
	struct sockaddr_storage a = {};
	struct sockaddr_in6 *six = (void *)&a;
	struct sockaddr_in *four = (void *)&a;
	socklen_t len = sizeof(a);
	char host[INET6_ADDRSTRLEN] = "?";

	if (getsockname(fd, (void *)&a, &len))
		return;
	if (a.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
		note("chariot-exporter: http://[%s]:%u/metrics", host,
		     ntohs(six->sin6_port));
	} else if (a.ss_family == AF_INET) {
		inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
		note("chariot-exporter: http://%s:%u/metrics", host,
		     ntohs(four->sin_port));
	}
}

static int open_socket(const char *text)
{
	struct sockaddr_storage a = {};
	int fd, one = 1;

	if (parse_address(text, &a))
		return -usage("--listen: \"%s\" is no address and port, such as "
			      DEFAULT_LISTEN " or [::1]:9930", text);
	fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -fail_lib(errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *)&a, a.ss_family == AF_INET ?
		 sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)) ||
	    listen(fd, CONNECTIONS)) {
		fail_lib(errno, "%s", text);
		close(fd);
		return -EXIT_FAIL;
	}
	return fd;
}

/* A descriptor, or -EXIT_* after telling. */
static int find_socket(const char *text)
{
	int nr = sd_listen_fds(1);

	if (nr < 0)
		return -fail_lib(nr, "sockets of systemd");
	if (nr > 1)
		return -fail("systemd gives %d sockets, one is served: have one ListenStream=",
			     nr);
	if (nr && text)
		return -usage("--listen: systemd gives the socket, change its unit");
	if (!nr)
		return open_socket(text ? text : DEFAULT_LISTEN);
	if (sd_is_socket(SD_LISTEN_FDS_START, 0, SOCK_STREAM, 1) <= 0)
		return -fail("systemd's socket is none that listens");
	return SD_LISTEN_FDS_START;
}

/* ---- command line --------------------------------------------------------- */

static int help(void)
{
	puts("Usage: chariot-exporter [--listen ADDRESS:PORT]\n\n"
	     "  --listen ADDRESS:PORT  instead of " DEFAULT_LISTEN "; not under systemd's socket\n"
	     "  --version              version of this program\n"
	     "  --help                 this\n\n"
	     "Metrics of Chariot for Prometheus, at /metrics.  See chariot-exporter(8).");
	return EXIT_OK;
}

static int serve(int fd)
{
	struct MHD_Daemon *d;
	sigset_t signals;
	int sig;

	/* Before there is a thread, which inherits it. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	d = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0,
			     NULL, NULL, on_request, &cli,
			     MHD_OPTION_LISTEN_SOCKET, fd,
			     MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
			     MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
			     MHD_OPTION_END);
	if (!d)
		return fail_lib(errno, "HTTP");
	tell_address(fd);
	sd_notify(0, "READY=1");
	sigwait(&signals, &sig);
	sd_notify(0, "STOPPING=1");
	MHD_stop_daemon(d);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	const char *address = NULL;
	int c, fd;

	while ((c = getopt_long(argc, argv, "Vh", options, NULL)) >= 0) {
		switch (c) {
		case 'l':
			address = optarg;
			break;
		case 'V':
			printf("chariot-exporter %s\n", chariot_version());
			return EXIT_OK;
		case 'h':
			return help();
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return usage("one argument too many: \"%s\"", argv[optind]);
	lib_log_init();
	fd = find_socket(address);
	return fd < 0 ? -fd : serve(fd);
}
