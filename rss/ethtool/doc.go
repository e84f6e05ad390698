// Package ethtool reads and sets how a network interface spreads what it receives: its
// channels, and its RSS key, indirection table, hash function, input transformation and hash
// fields.
//
// It asks the kernel by ethtool's generic netlink family and, where the kernel or the
// driver does not answer there, by the older ioctl. No ethtool binary is needed. Calls
// are about the network namespace of the calling thread. Reading needs no privilege,
// setting needs CAP_NET_ADMIN.
//
// Source: include/uapi/linux/ethtool.h, ethtool_netlink_generated.h and net/ethtool/rss.c
// of Linux 6.18; Documentation/networking/ethtool-netlink.rst.
package ethtool
