/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The cases of the conformance driver: the one list that the driver, the
 * victim and cases.tsv ("make cases.tsv") are made from.
 *
 * Needs: "smp" is more than one CPU.
 */
#ifndef CASES_H
#define CASES_H

/* Where a trigger runs. */
enum chariot_context {
	ctx_process,		/* in write(2) on the device */
	ctx_softirq,		/* tasklet */
	ctx_timer,		/* softirq, timer wheel */
	ctx_hardirq,		/* irq_work: self-IPI */
	ctx_hrtimer,		/* hardirq, timer interrupt */
	ctx_ipi,		/* hardirq, function call from another CPU */
	ctx_work,		/* a kworker */
	ctx_kthread,		/* a thread of the driver */
	ctx_preempt,		/* one of two threads that share a CPU */
	ctx_migrate,		/* a thread that goes from CPU to CPU */
	ctx_init,		/* init function of a module of its own */
};

/*
 * What the host must stop: name, the target that the victim prepares, what
 * the driver does to it, context, needs, what it shows.  With target "none"
 * driver and victim arrange the target while the case runs.
 */
#define CHARIOT_STOP_CASES(X)						\
	X(kernel_data, kdata, store, process, -,			\
	  "store to init_uts_ns, in the kernel's .data")		\
	X(victim_data, data, store, process, -,				\
	  "store to another module's .data")				\
	X(kernel_text, ktext, store, process, -,			\
	  "store to kernel text through a writable vmap()")		\
	X(kernel_text_wp, ktext_wp, store_wp, process, -,		\
	  "store to kernel text with CR0.WP clear")			\
	X(victim_text, text, store, process, -,				\
	  "store to another module's text through a writable vmap()")	\
	X(own_text, none, own_text, process, -,				\
	  "store to own text through a writable vmap()")		\
	X(own_text_wp, none, own_text_wp, process, -,			\
	  "store to own text with CR0.WP clear")			\
	X(slab_cache, cache, store, process, -,				\
	  "store to an object of another's slab cache")			\
	X(slab_kmalloc, kmalloc, store, process, -,			\
	  "store to another's kmalloc() object")			\
	X(task_struct, task, store, process, -,				\
	  "store to a thread's task_struct")				\
	X(foreign_page, page, store, process, -,			\
	  "store to another's page, in the direct map")			\
	X(foreign_vmalloc, vmalloc, store, process, -,			\
	  "store to another's vmalloc() memory")			\
	X(vmap_alias, alias, store, process, -,				\
	  "store to another's page through a vmap() of it")		\
	X(foreign_percpu, percpu, store, process, -,			\
	  "store to another's per-CPU memory")				\
	X(past_end, none, past_end, process, -,				\
	  "store past the end of own kmalloc() object, same page")	\
	X(past_end_cache, none, past_end_cache, process, -,		\
	  "store past the end of own slab cache object, same page")	\
	X(before_start, none, before_start, process, -,			\
	  "store before the start of own slab cache object, same page")	\
	X(use_after_free, none, use_after_free, process, -,		\
	  "store to own freed object that another now has")		\
	X(thread_stack, stack, store, process, -,			\
	  "store to another thread's stack")				\
	X(caller_frame, none, caller_frame, process, -,			\
	  "store to the frame of the driver's caller")			\
	X(caller_frame_far, none, caller_frame_far, process, -,		\
	  "store to a frame a page above the driver's caller")		\
	X(cross_page, none, cross_page, process, -,			\
	  "8-byte store from own page over to another's")		\
	X(rep_movsb, none, rep_movsb, process, -,			\
	  "rep movsb over the end of own object")			\
	X(rep_stosq, none, rep_stosq, process, -,			\
	  "rep stosq over the end of own object")			\
	X(memcpy, data, memcpy, process, -,				\
	  "memcpy() to another's memory")				\
	X(memmove, data, memmove, process, -,				\
	  "memmove() to another's memory")				\
	X(memset, data, memset, process, -,				\
	  "memset() of another's memory")				\
	X(strscpy, data, strscpy, process, -,				\
	  "strscpy() to another's memory")				\
	X(snprintf, data, snprintf, process, -,				\
	  "snprintf() to another's memory")				\
	X(copy_from_user, data, from_user, process, -,			\
	  "copy_from_user() to another's memory")			\
	X(list_add, list, list_add, process, -,				\
	  "list_add() to another's list")				\
	X(cmpxchg, data, cmpxchg, process, -,				\
	  "8-byte cmpxchg of another's memory")				\
	X(cmpxchg16b, data, cmpxchg16b, process, -,			\
	  "16-byte cmpxchg of another's memory")			\
	X(xadd, data, xadd, process, -,					\
	  "lock xadd to another's memory")				\
	X(atomic_inc, data, atomic_inc, process, -,			\
	  "lock inc of another's memory")				\
	X(store_byte, data, store_byte, process, -,			\
	  "1-byte store to another's memory")				\
	X(set_bit, data, set_bit, process, -,				\
	  "lock btc in another's memory")				\
	X(sidt, data, sidt, process, -,					\
	  "sidt to another's memory: no store to KVM's emulator")		\
	X(store_softirq, data, store, softirq, -,			\
	  "store from a tasklet")					\
	X(store_timer, data, store, timer, -,				\
	  "store from a timer")						\
	X(store_hardirq, data, store, hardirq, -,			\
	  "store from a hard interrupt")				\
	X(store_hrtimer, data, store, hrtimer, -,			\
	  "store from the timer interrupt")				\
	X(store_ipi, data, store, ipi, smp,				\
	  "store from an interrupt sent by another CPU")		\
	X(store_work, data, store, work, -,				\
	  "store from a kworker")					\
	X(store_kthread, data, store, kthread, -,			\
	  "store from a thread of the driver")				\
	X(store_preempt, data, store, preempt, -,			\
	  "store between switches of two threads on one CPU")		\
	X(store_migrate, data, store, migrate, smp,			\
	  "store between moves from CPU to CPU")			\
	X(strncpy, data, strncpy, process, -,				\
	  "strncpy() to another's memory")				\
	X(sg_init_end, none, sg_init_end, process, -,			\
	  "sg_init_table() over the end of own object")			\
	X(random_bytes, data, random_bytes, process, -,			\
	  "get_random_bytes() to another's memory")			\
	X(from_io, data, from_io, process, -,				\
	  "memcpy_fromio() to another's memory")			\
	X(skb_copy, data, skb_copy, process, -,				\
	  "skb_copy_bits() to another's memory")			\
	X(sprintf_end, none, sprintf_end, process, -,			\
	  "sprintf() over the end of own object")			\
	X(bin2hex, data, bin2hex, process, -,				\
	  "bin2hex() to another's memory")				\
	X(hex2bin, data, hex2bin, process, -,				\
	  "hex2bin() to another's memory")				\
	X(unescape, data, unescape, process, -,				\
	  "string_unescape() to another's memory")			\
	X(kstrtoint, data, kstrtoint, process, -,			\
	  "kstrtoint() to another's memory")				\
	X(kstrtobool, data, kstrtobool, process, -,			\
	  "kstrtobool() to another's memory")				\
	X(simple_strtoul, data, simple_strtoul, process, -,		\
	  "simple_strtoul() to another's memory")			\
	X(memparse, data, memparse, process, -,				\
	  "memparse() to another's memory")				\
	X(get_option, data, get_option, process, -,			\
	  "get_option() to another's memory")				\
	X(sscanf, data, sscanf, process, -,				\
	  "sscanf() to another's memory")				\
	X(bitmap_parselist, data, bitmap_parselist, process, -,		\
	  "bitmap_parselist() to another's memory")			\
	X(mac_pton, data, mac_pton, process, -,				\
	  "mac_pton() to another's memory")				\
	X(in4_pton, data, in4_pton, process, -,				\
	  "in4_pton() to another's memory")				\
	X(guid_parse, data, guid_parse, process, -,			\
	  "guid_parse() to another's memory")				\
	X(time_to_tm, data, time_to_tm, process, -,			\
	  "time64_to_tm() to another's memory")				\
	X(nla_strscpy, data, nla_strscpy, process, -,			\
	  "nla_strscpy() to another's memory")				\
	X(nla_memcpy, data, nla_memcpy, process, -,			\
	  "nla_memcpy() to another's memory")				\
	X(kfree_twice, none, kfree_twice, process, -,			\
	  "kfree() of own freed object that another now has")		\
	X(kfree_middle, none, kfree_middle, process, -,			\
	  "kfree() of the middle of own object")			\
	X(kvfree_twice, none, kvfree_twice, process, -,			\
	  "kvfree() of own freed object that another now has")		\
	X(sensitive_twice, none, sensitive_twice, process, -,		\
	  "kfree_sensitive() of what another now has")			\
	X(kvfree_middle, none, kvfree_middle, process, -,		\
	  "kvfree() of the middle of own object")			\
	X(cache_free_twice, none, cache_free_twice, process, -,		\
	  "kmem_cache_free() of what another now has")			\
	X(cache_free_middle, none, cache_free_middle, process, -,	\
	  "kmem_cache_free() of the middle of own object")		\

/* What must work: name, what the driver does, context, needs, what it shows. */
#define CHARIOT_PASS_CASES(X)						\
	X(own_data, data, process, -, ".data and .bss")			\
	X(own_kmalloc, kmalloc, process, -, "kmalloc(), 8 B to 64 KiB")	\
	X(own_vmalloc, vmalloc, process, -, "vmalloc()")		\
	X(own_cache, cache, process, -, "own slab cache")		\
	X(own_cache_ctor, cache_ctor, process, -,			\
	  "own slab cache whose objects have a constructor")		\
	X(own_page, page, process, -, "alloc_pages()")			\
	X(own_alloc_percpu, alloc_percpu, process, -, "alloc_percpu()")	\
	X(own_percpu, percpu, process, -, "static per-CPU variable")	\
	X(own_dma, dma, process, -, "dma_alloc_coherent()")		\
	X(own_devm, devm, process, -,					\
	  "devm_kzalloc() in a platform driver's probe()")		\
	X(shared_page, shared_page, process, -,				\
	  "own object between the kernel's, on one page")		\
	X(own_memcpy, memcpy, process, -, "memcpy()")			\
	X(own_memset, memset, process, -, "memset()")			\
	X(own_copy_from_user, from_user, process, -, "copy_from_user()") \
	X(own_list_add, list_add, process, -, "list operations")	\
	X(own_cmpxchg, cmpxchg, process, -, "8-byte cmpxchg")		\
	X(own_cmpxchg16b, cmpxchg16b, process, -, "16-byte cmpxchg")	\
	X(own_atomic, atomic, process, -, "atomic_t and bit operations") \
	X(own_rep_movs, rep_movs, process, -, "rep movs and rep stos")	\
	X(own_sidt, sidt, process, -, "sidt to own memory")		\
	X(own_cross_page, cross_page, process, -,			\
	  "store across two own pages")					\
	X(own_softirq, data, softirq, -, "own memory from a tasklet")	\
	X(own_timer, data, timer, -, "own memory from a timer")		\
	X(own_hardirq, data, hardirq, -,				\
	  "own memory from a hard interrupt")				\
	X(own_hrtimer, data, hrtimer, -,				\
	  "own memory from the timer interrupt")			\
	X(own_ipi, data, ipi, smp,					\
	  "own memory from an interrupt sent by another CPU")		\
	X(own_work, data, work, -, "own memory from a kworker")		\
	X(own_kthread, data, kthread, -,				\
	  "own memory from a thread of the driver")			\
	X(own_preempt, data, preempt, -,				\
	  "own memory, two threads on one CPU")				\
	X(own_migrate, data, migrate, smp,				\
	  "own memory, thread goes from CPU to CPU")			\
	X(stack_object, stack_object, process, -,			\
	  "object in own stack frame")					\
	X(nested, nested, process, -,					\
	  "driver, kernel, driver, 3 deep; inner writes outer frames")	\
	X(stack_completion, stack_completion, process, -,		\
	  "own frame written by another context of the driver")		\
	X(sleep, sleep, process, -, "a call that sleeps for 1 s")	\
	X(busy_loop, busy_loop, process, -,				\
	  "200 ms of interrupts in driver code without calls")		\
	X(bad_user, bad_user, process, -,				\
	  "copies to and from bad user addresses")			\
	X(user_fault, user_fault, process, -,				\
	  "copies to and from user pages that are not present")		\
	X(alloc_storm, storm, process, -,				\
	  "kmalloc() and kfree(), times parameter storm")		\
	X(typed_argument, typed, process, -,				\
	  "fields of a struct that the kernel passes")			\
	X(krealloc, krealloc, process, -, "krealloc()")			\
	X(kvmalloc, kvmalloc, process, -, "kvmalloc(), small and large") \
	X(strings, strings, process, -,					\
	  "kstrdup(), kasprintf(), kmemdup()")				\
	X(returned, returned, process, -,				\
	  "fields of a struct that a kernel function returned")		\
	X(returned_later, returned_later, work, -,			\
	  "the same in a later call")					\
	X(reached, reached, process, -,					\
	  "fields of a struct that a pointer in one leads to")		\
	X(task_state, task_state, process, -,				\
	  "set_current_state(), pagefault_disable()")			\
	X(timer_rearm, timer_rearm, process, -,				\
	  "timer that arms itself again")				\
	X(delayed_work, delayed_work, process, -, "delayed work")	\
	X(call_rcu, call_rcu, process, -, "call_rcu()")			\
	X(kfree_rcu, kfree_rcu, process, -, "kfree_rcu()")		\
	X(wait_queue, wait_queue, process, -, "wait queue")		\
	X(locks, locks, process, -, "mutex and spinlocks")		\
	X(static_key, static_key, process, -,				\
	  "static key: the kernel patches the driver's text")		\
	X(skb, skb, process, -, "alloc_skb(), skb_copy()")		\
	X(seq_file, seq_file, process, -,				\
	  "seq_printf() into the kernel's buffer")			\
	X(param_write, param_write, process, -,				\
	  "module parameter with a callback")				\
	X(kfifo, kfifo, process, -, "kfifo_alloc() into a member")	\
	X(kfifo_embedded, kfifo_embedded, process, -,			\
	  "kfifo inside an object")					\
	X(percpu_ref, percpu_ref, process, -,				\
	  "percpu_ref, killed and released")				\
	X(rhashtable, rhashtable, process, -, "rhashtable that grows")	\
	X(sg_table, sg_table, process, -,				\
	  "sg_alloc_table(), one array and chained")			\
	X(cache_bulk, cache_bulk, process, -, "kmem_cache_alloc_bulk()") \
	X(mempool_slab, mempool_slab, process, -,			\
	  "mempool over own slab cache")				\
	X(mempool_kmalloc, mempool_kmalloc, process, -,			\
	  "mempool of kmalloc()")					\
	X(mempool_page, mempool_page, process, -,			\
	  "mempool of pages, in a member")				\
	X(page_reference, page_reference, process, -,			\
	  "get_page() of a page of vmalloc()")				\
	X(pin_user_pages, pin_user_pages, process, -,			\
	  "pages of the user, pinned and mapped")			\
	X(user_inline, user_inline, process, -,				\
	  "__put_user(), __copy_to_user(), unsafe_put_user()")		\
	X(task_reference, task_reference, process, -,			\
	  "get_task_struct()")						\
	X(cred_reference, cred_reference, process, -,			\
	  "get_current_cred()")						\
	X(cred_made, cred_made, process, -,				\
	  "prepare_creds(), changed, and taken on for a while")		\
	X(mm_reference, mm_reference, process, -,			\
	  "mmgrab(), mmget_not_zero()")					\
	X(pid_reference, pid_reference, process, -, "get_pid()")	\
	X(netdev_reference, netdev_reference, process, -,		\
	  "dev_get_by_name(), dev_hold()")				\
	X(task_flags, task_flags, process, -, "memalloc_noio_save()")	\
	X(file, file, process, -,					\
	  "file of the kernel: reference, write, mapping's mask")	\
	X(seq_private, seq_private, process, -, "seq_open(), private")	\
	X(dma_parms, dma_parms, process, -,				\
	  "DMA parameters of a device and its parent")			\
	X(many_kobjects, many_kobjects, process, -,			\
	  "device that was handed over before 8300 kobjects")		\
	X(i2c_adapter, i2c_adapter, process, -, "i2c: msgs[i].buf")	\
	X(block_request, block_request, process, -,			\
	  "blk-mq: 1480 bytes behind each request")			\
	X(block_later, block_later, process, -,				\
	  "blk-mq: pages of a request, from a kworker")			\
	X(bio_clone, bio_clone, process, -,				\
	  "bio: memory in front of a clone")				\
	X(around_argument, around_argument, process, -,			\
	  "object around what the kernel passes")			\
	X(stack_argument, stack_argument, process, -,			\
	  "void pointer to the frame of the caller")			\
	X(read_retlen, read_retlen, process, -,				\
	  "buffer whose length is an earlier argument")			\
	X(hook_variable, hook_variable, process, -,			\
	  "variable that another module exports for it")		\
	X(grown_array, grown_array, process, -,				\
	  "element of another's array")					\
	X(arrays, arrays, process, -,					\
	  "kmalloc_array(), kcalloc(), kvmalloc_array()")		\
	X(text_copies, text_copies, process, -,				\
	  "kstrndup(), kmemdup_nul(), kfree_sensitive()")		\
	X(pages_exact, pages_exact, process, -, "alloc_pages_exact()")	\
	X(vmap, vmap, process, -,					\
	  "own pages through a mapping of them all")			\
	X(page_private, page_private, process, -,			\
	  "page_private() and flags of own pages")			\
	X(user_copies, user_copies, process, -,				\
	  "memdup_user(), memdup_user_nul(), vmemdup_user()")		\
	X(simple_buffer, simple_buffer, process, -,			\
	  "simple_write_to_buffer()")					\
	X(iov_iter, iov_iter, process, -,				\
	  "copy_to_iter(), copy_from_iter()")				\
	X(kthread, kthread, process, -,					\
	  "thread of the driver: reference, end")			\
	X(anon_file, anon_file, process, -,				\
	  "anon_inode_getfile(), private_data")				\
	X(module_reference, module_reference, process, -,		\
	  "try_module_get()")						\
	X(seq_single, seq_single, process, -,				\
	  "single_open(), seq_get_buf()")				\
	X(read_file, read_file, process, -,				\
	  "read() of a file of the driver's")				\
	X(debugfs_number, debugfs_number, process, -,			\
	  "debugfs_create_u32()")					\
	X(idr, idr, process, -, "idr_alloc()")				\
	X(ida, ida, process, -, "ida_alloc()")				\
	X(xarray, xarray, process, -, "xa_store(), xa_erase()")		\
	X(rbtree, rbtree, process, -, "rb_insert_color(), rb_erase()")	\
	X(list_sort, list_sort, process, -, "list_sort()")		\
	X(sort, sort, process, -, "sort()")				\
	X(llist, llist, process, -, "llist_add(), llist_del_all()")	\
	X(bitmap, bitmap, process, -,					\
	  "bitmap_zalloc(), bitmap_parselist()")			\
	X(percpu_counter, percpu_counter, process, -, "percpu_counter")	\
	X(kref, kref, process, -, "kref, released by its function")	\
	X(srcu, srcu, process, -,					\
	  "init_srcu_struct(), synchronize_srcu()")			\
	X(sleeping_locks, sleeping_locks, process, -,			\
	  "rw-semaphore, semaphore, seqlock")				\
	X(notifier, notifier, process, -, "own notifier chain")		\
	X(kthread_worker, kthread_worker, process, -,			\
	  "kthread_worker, work in own frame")				\
	X(gen_pool, gen_pool, process, -, "gen_pool over own memory")	\
	X(parse, parse, process, -,					\
	  "kstrtoint(), sscanf(), hex2bin(), mac_pton()")		\
	X(print, print, process, -,					\
	  "sprintf(), scnprintf(), strlcat(), hex_dump_to_buffer()")	\
	X(split, split, process, -, "strim(), strsep()")		\
	X(random, random, process, -, "get_random_bytes()")		\
	X(time, time, process, -, "ktime_get_ts64(), time64_to_tm()")	\
	X(shash, shash, process, -, "crypto_shash: state in own frame")	\
	X(devm_more, devm_more, process, -,				\
	  "devm_kmalloc_array(), devm_kasprintf(), devm_kmemdup()")	\
	X(devres, devres, process, -,					\
	  "devres_alloc(), devm_add_action()")				\
	X(dma_map, dma_map, process, -,					\
	  "dma_map_single(), dma_map_sg()")				\
	X(dma_pool, dma_pool, process, -, "dma_pool_alloc()")		\
	X(kobject, kobject, process, -, "kobject inside an object")	\
	X(regmap, regmap, process, -,					\
	  "regmap: value on the kernel's stack")			\
	X(nvmem, nvmem, process, -,					\
	  "nvmem: the kernel's or a user's buffer")			\
	X(input, input, process, -, "input: bits of a device, events")	\
	X(rtc, rtc, process, -,						\
	  "rtc: read_time() fills in the kernel's struct")		\
	X(power_supply, power_supply, process, -,			\
	  "power supply: get_property()")				\
	X(led, led, process, -, "LED inside an object")			\
	X(hwrng, hwrng, process, -,					\
	  "hwrng: a thread of the kernel's asks")			\
	X(spi_controller, spi_controller, process, -,			\
	  "spi: memory behind a controller, rx_buf")			\
	X(threaded_irq, threaded_irq, process, -,			\
	  "request_threaded_irq()")					\
	X(cdev, cdev, process, -,					\
	  "cdev_alloc(), class, device_create()")			\
	X(properties, properties, process, -,				\
	  "device_property_read_u32_array()")				\
	X(platform_data, platform_data, process, -,			\
	  "platform_device_add_data()")					\
	X(skb_queue, skb_queue, process, -,				\
	  "skb_queue_tail(), skb->cb")					\
	X(skb_clone, skb_clone, process, -,				\
	  "skb_clone(), skb_pull(), skb_trim()")			\
	X(skb_frags, skb_frags, process, -,				\
	  "skb_add_rx_frag(), pskb_may_pull()")				\
	X(skb_room, skb_room, process, -, "pskb_expand_head()")		\
	X(netdev, netdev, process, -,					\
	  "alloc_netdev(), setup(), transmit, statistics")		\
	X(napi, napi, process, -,					\
	  "napi_schedule(), napi_gro_receive()")			\
	X(pernet, pernet, process, -, "net_generic()")			\
	X(netdev_notifier, netdev_notifier, process, -,			\
	  "netdevice notifier")						\
	X(socket, socket, process, -,					\
	  "fields of a socket, datagram to itself")

/* Modules of their own: name, target, what it shows. */
#define CHARIOT_STOP_MODULES(X)						\
	X(wild_init, data, "store by the first instruction of init")

#define CHARIOT_PASS_MODULES(X)						\
	X(fail_init, none, "init that fails with memory allocated")	\
	X(second, none, "second driver that calls the first, and back")

/* cases.tsv, as one string */
#define CHARIOT_ROW(_name, _expect, _ctx, _needs, _shows) \
	#_name "\t" _expect "\t" #_ctx "\t" #_needs "\t" _shows "\n"
#define CHARIOT_STOP_ROW(_name, _target, _act, _ctx, _needs, _shows) \
	CHARIOT_ROW(_name, "stop", _ctx, _needs, _shows)
#define CHARIOT_PASS_ROW(_name, _act, _ctx, _needs, _shows) \
	CHARIOT_ROW(_name, "pass", _ctx, _needs, _shows)
#define CHARIOT_STOP_MODULE_ROW(_name, _target, _shows) \
	CHARIOT_ROW(_name, "stop", init, -, _shows)
#define CHARIOT_PASS_MODULE_ROW(_name, _target, _shows) \
	CHARIOT_ROW(_name, "pass", init, -, _shows)

#define CHARIOT_CASES_TSV						\
	"name\texpect\tcontext\tneeds\tshows\n"				\
	CHARIOT_STOP_CASES(CHARIOT_STOP_ROW)				\
	CHARIOT_STOP_MODULES(CHARIOT_STOP_MODULE_ROW)			\
	CHARIOT_PASS_CASES(CHARIOT_PASS_ROW)				\
	CHARIOT_PASS_MODULES(CHARIOT_PASS_MODULE_ROW)

#endif
