// SPDX-License-Identifier: GPL-2.0
/*
 * Network devices, packets and sockets.
 */
#include <linux/etherdevice.h>
#include <linux/in.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <linux/slab.h>

#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/sock.h>

#include "conform.h"

#define TIMEOUT		(600 * HZ)

/* ---- packets ------------------------------------------------------------ */

int pass_skb_queue(struct job *job)
{
	struct sk_buff_head queue;
	struct sk_buff *skb;
	int i, ret = 0;

	skb_queue_head_init(&queue);
	for (i = 0; i < 10 && !ret; i++) {
		skb = alloc_skb(100, GFP_KERNEL);
		if (!skb) {
			ret = -ENOMEM;
			break;
		}
		*(u32 *)skb->cb = i;
		skb_queue_tail(&queue, skb);
	}
	for (i = 0; i < 5 && !ret; i++) {
		skb = skb_dequeue(&queue);
		if (!skb || *(u32 *)skb->cb != i)
			ret = -EIO;
		kfree_skb(skb);
	}
	skb_queue_purge(&queue);
	return ret;
}

int pass_skb_clone(struct job *job)
{
	struct sk_buff *clone, *skb = alloc_skb(200, GFP_KERNEL);
	int ret = -ENOMEM;

	if (!skb)
		return ret;
	skb_put_data(skb, "chariot", 7);
	clone = skb_clone(skb, GFP_KERNEL);
	if (clone) {
		clone->priority = 3;
		skb_pull(clone, 4);
		skb_trim(clone, 2);
		ret = clone->len == 2 && skb->len == 7 && skb->priority != 3 &&
		      !memcmp(clone->data, "io", 2) ? 0 : -EIO;
	}
	kfree_skb(clone);
	consume_skb(skb);
	return ret;
}

/* Its data is in pages, and comes to its head when it is asked for. */
int pass_skb_frags(struct job *job)
{
	struct sk_buff *skb = alloc_skb(256, GFP_KERNEL);
	struct page *page = alloc_page(GFP_KERNEL);
	int ret = -ENOMEM;
	u8 buf[8];

	if (!skb || !page) {
		kfree_skb(skb);
		if (page)
			__free_page(page);
		return ret;
	}
	memset(page_address(page), 0x21, PAGE_SIZE);
	skb_add_rx_frag(skb, 0, page, 0, 1000, PAGE_SIZE);
	if (skb_copy_bits(skb, 992, buf, 8) || memchr_inv(buf, 0x21, 8))
		ret = -EIO;
	else
		ret = pskb_may_pull(skb, 100) ? 0 : -EIO;
	if (!ret)
		memset(skb->data, 0x22, 100);
	if (!ret && (skb_headlen(skb) < 100 || skb->len != 1000))
		ret = -EIO;
	kfree_skb(skb);
	return ret;
}

int pass_skb_room(struct job *job)
{
	struct sk_buff *skb = alloc_skb(64, GFP_KERNEL);
	int ret;

	if (!skb)
		return -ENOMEM;
	memset(skb_put(skb, 64), 0x55, 64);
	ret = pskb_expand_head(skb, 128, 256, GFP_KERNEL);
	if (!ret) {
		memset(skb_push(skb, 128), 0x66, 128);
		memset(skb_put(skb, 256), 0x77, 256);
		if (skb->len != 448 || skb->data[128] != 0x55)
			ret = -EIO;
	}
	kfree_skb(skb);
	return ret;
}

/* ---- devices ------------------------------------------------------------ */

struct net_priv {
	struct napi_struct	napi;
	struct completion	polled;
	u64			sent;
	u64			room[20];
};

static netdev_tx_t net_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct net_priv *priv = netdev_priv(dev);

	priv->sent += skb->len;
	dev->stats.tx_packets++;
	dev->stats.tx_bytes += skb->len;
	dev_kfree_skb(skb);
	return NETDEV_TX_OK;
}

static int net_open(struct net_device *dev)
{
	struct net_priv *priv = netdev_priv(dev);

	napi_enable(&priv->napi);
	netif_start_queue(dev);
	return 0;
}

static int net_stop(struct net_device *dev)
{
	struct net_priv *priv = netdev_priv(dev);

	netif_stop_queue(dev);
	napi_disable(&priv->napi);
	return 0;
}

static const struct net_device_ops net_ops = {
	.ndo_open	= net_open,
	.ndo_stop	= net_stop,
	.ndo_start_xmit	= net_xmit,
};

static int net_poll(struct napi_struct *napi, int budget)
{
	struct net_priv *priv = container_of(napi, struct net_priv, napi);
	struct sk_buff *skb = napi_alloc_skb(napi, 128);

	if (skb) {
		memset(skb_put(skb, 60), 0xff, 60);
		skb->protocol = eth_type_trans(skb, napi->dev);
		napi_gro_receive(napi, skb);
		napi->dev->stats.rx_packets++;
	}
	napi_complete_done(napi, 1);
	complete(&priv->polled);
	return 1;
}

/* The kernel calls it for a device that is not registered yet. */
static void net_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &net_ops;
	dev->tx_queue_len = 0;
	dev->flags |= IFF_NOARP;
	dev->features |= NETIF_F_HIGHDMA;
	eth_hw_addr_random(dev);
}

static int with_netdev(int (*act)(struct net_device *dev))
{
	struct net_device *dev = alloc_netdev(sizeof(struct net_priv),
					      "chariot%d", NET_NAME_ENUM,
					      net_setup);
	struct net_priv *priv;
	int ret;

	if (!dev)
		return -ENOMEM;
	priv = netdev_priv(dev);
	init_completion(&priv->polled);
	ret = fill(priv->room, sizeof(priv->room));
	netif_napi_add(dev, &priv->napi, net_poll);
	if (!ret)
		ret = register_netdev(dev);
	if (!ret) {
		ret = act(dev);
		unregister_netdev(dev);
	}
	free_netdev(dev);
	return ret;
}

static int set_up(struct net_device *dev, bool up)
{
	int ret = 0;

	rtnl_lock();
	if (up)
		ret = dev_open(dev, NULL);
	else
		dev_close(dev);
	rtnl_unlock();
	return ret;
}

static int transmit(struct net_device *dev)
{
	struct net_priv *priv = netdev_priv(dev);
	struct sk_buff *skb = alloc_skb(200, GFP_KERNEL);
	int ret = set_up(dev, true);

	if (ret || !skb) {
		kfree_skb(skb);
		return ret ? ret : -ENOMEM;
	}
	memset(skb_put(skb, 100), 0xff, 100);
	skb->dev = dev;
	skb->protocol = htons(ETH_P_802_3);
	dev_queue_xmit(skb);
	set_up(dev, false);
	/* The kernel may have sent something, too. */
	return priv->sent >= 100 && dev->stats.tx_packets ? 0 : -EIO;
}

int pass_netdev(struct job *job)
{
	return with_netdev(transmit);
}

static int receive(struct net_device *dev)
{
	struct net_priv *priv = netdev_priv(dev);
	int ret = set_up(dev, true);

	if (ret)
		return ret;
	local_bh_disable();
	napi_schedule(&priv->napi);
	local_bh_enable();
	if (!wait_for_completion_timeout(&priv->polled, TIMEOUT))
		ret = -ETIMEDOUT;
	set_up(dev, false);
	return ret ? ret : dev->stats.rx_packets ? 0 : -EIO;
}

int pass_napi(struct job *job)
{
	return with_netdev(receive);
}

/* ---- name spaces and notifiers ------------------------------------------ */

struct per_net {
	u64	room[12];
};

static unsigned int per_net_id;
static int per_net_ret;

static int per_net_init(struct net *net)
{
	struct per_net *p = net_generic(net, per_net_id);

	per_net_ret = fill(p->room, sizeof(p->room));
	return per_net_ret;
}

static struct pernet_operations per_net_ops = {
	.init	= per_net_init,
	.id	= &per_net_id,
	.size	= sizeof(struct per_net),
};

int pass_pernet(struct job *job)
{
	struct per_net *p;
	int ret;

	per_net_ret = -ENOENT;
	ret = register_pernet_subsys(&per_net_ops);
	if (ret)
		return ret;
	p = net_generic(&init_net, per_net_id);
	ret = per_net_ret ? per_net_ret : fill(p->room, sizeof(p->room));
	unregister_pernet_subsys(&per_net_ops);
	return ret;
}

static int devices_seen;

static int device_event(struct notifier_block *nb, unsigned long event,
			void *data)
{
	if (event == NETDEV_REGISTER && netdev_notifier_info_to_dev(data))
		devices_seen++;
	return NOTIFY_DONE;
}

int pass_netdev_notifier(struct job *job)
{
	static struct notifier_block nb = { .notifier_call = device_event };
	int ret;

	devices_seen = 0;
	ret = register_netdevice_notifier(&nb);
	if (ret)
		return ret;
	unregister_netdevice_notifier(&nb);
	return devices_seen ? 0 : -EIO;
}

/* ---- sockets ------------------------------------------------------------ */

static int send_to_itself(struct socket *sock)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct msghdr out = { .msg_name = &addr, .msg_namelen = sizeof(addr) };
	struct msghdr in = {};
	char text[] = "a datagram", buf[32] = {};
	struct kvec vec = { .iov_base = text, .iov_len = sizeof(text) };
	int ret = kernel_bind(sock, (void *)&addr, sizeof(addr));

	if (ret)
		return ret;
	ret = kernel_getsockname(sock, (struct sockaddr *)&addr);
	if (ret < 0)
		return ret;
	ret = kernel_sendmsg(sock, &out, &vec, 1, sizeof(text));
	if (ret != sizeof(text))
		return ret < 0 ? ret : -EIO;
	vec.iov_base = buf;
	vec.iov_len = sizeof(buf);
	ret = kernel_recvmsg(sock, &in, &vec, 1, sizeof(buf), 0);
	return ret == sizeof(text) && !strcmp(buf, text) ? 0 : -EIO;
}

/* What a driver sets in a socket that it has made. */
int pass_socket(struct job *job)
{
	struct socket *sock;
	int ret = sock_create_kern(&init_net, AF_INET, SOCK_DGRAM, IPPROTO_UDP,
				   &sock);

	if (ret)
		return ret;
	sock->sk->sk_allocation = GFP_NOIO;
	sock->sk->sk_rcvtimeo = TIMEOUT;
	lock_sock(sock->sk);
	sock->sk->sk_user_data = job;
	release_sock(sock->sk);
	ret = send_to_itself(sock);
	sock->sk->sk_user_data = NULL;
	sock_release(sock);
	return ret;
}
