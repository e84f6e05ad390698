package nic

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lbctl/rss/ethtool"
	"lbctl/rss/observe"
)

// chooseMode returns where to observe, and why, if that is not what was asked for in the first place.
// Asked for nothing, it keeps away from where observing would change what is observed.
func chooseMode(asked observe.Mode, s ethtool.Settings, release string) (observe.Mode, []string) {
	if !forgetsRSS(s, release) {
		return asked, nil
	}
	const why = "attaching native XDP makes a virtio_net NIC forget RSS until it is set again (Linux before 6.13)"
	switch asked {
	case observe.Auto:
		return observe.Generic, []string{"not native: " + why}
	case observe.Native:
		return asked, []string{why + ": set it again after this, with lbctl rss set"}
	}
	return asked, nil
}

// forgetsRSS tells whether native XDP switches RSS off in the device. virtio_net sets the number of
// queue pairs on attaching, and on detaching, by VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, which ends RSS in the device
// (virtio 1.2 section 5.1.6.5.6); from Linux 6.13 on by the RSS command
// (50bfcaedd78e, "virtio_net: Update rss when set queue"). Seen with Linux 6.1 on QEMU 7.2.
func forgetsRSS(s ethtool.Settings, release string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return s.Driver == "virtio_net" && s.HasRSS() && (major < 6 || major == 6 && minor < 13)
}

// kernelRelease is what uname -r prints; empty if the kernel does not say.
func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
