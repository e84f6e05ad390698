// Package vm boots a guest with another implementation of RSS in it: QEMU's virtio-net,
// driven by the virtio_net of a Debian kernel. The test sets it through the guest's ethtool
// interface, writes frames on its wire, and is told of each which queue it came on, and
// with which hash.
//
// QEMU emulates the processor (TCG): no KVM is needed, and a boot takes seconds. The NIC is
// attached to a multi-queue TAP without vhost, so that QEMU itself hashes every packet
// (hw/net/virtio-net.c, virtio_net_process_rss); with other backends there is one queue
// only. What is shown is QEMU's RSS: nothing about hardware.
package vm
