package verify

import (
	"fmt"

	"lbctl/rss/ethtool"
	"lbctl/rss/observe"
)

// ChooseMode returns the mode to observe an interface in, on a kernel of this release (uname -r). It avoids native mode
// where that would switch RSS off, unless native was requested. The notes say why.
func ChooseMode(requested observe.Mode, s ethtool.Settings, release string) (observe.Mode, []string) {
	if !forgetsRSS(s, release) {
		return requested, nil
	}
	const why = "attaching native XDP makes a virtio_net NIC forget RSS until it is set again (Linux before 6.13)"
	switch requested {
	case observe.Auto:
		return observe.Generic, []string{"not native: " + why}
	case observe.Native:
		return requested, []string{why + ": set it again after this, with lbctl rss set"}
	}
	return requested, nil
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
