// Package doctor judges whether a network namespace is fit for the XDP load balancer, or for a
// replica behind it: Facts go in, Findings come out, each with its cure.
//
// Nothing here touches the kernel, so that every finding can be tested on facts that are
// broken on purpose. Package netstate gathers the facts of the namespace that it is called in.
//
// What breaks a packet's way without an error anywhere is from the kernel's source, Linux 6.18:
// net/core/filter.c (bpf_fib_lookup), net/core/dev.c (generic XDP), drivers/net/veth.c,
// drivers/net/virtio_net.c, net/ipv4/fib_frontend.c (source validation), net/ipv4/arp.c.
package doctor
