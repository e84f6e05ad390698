package ethtool

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
)

// queueNames are the names that drivers give the packets of a receive queue, of which the first that a driver has counts:
// virtio_net, igb, ixgbe, igc and gve; mlx5 and mlx4; i40e, ice and iavf; ena; hns3; bnxt; veth, where XDP is attached.
// Kernels agree on no name (Documentation/networking/statistics.rst).
var queueNames = []*regexp.Regexp{
	regexp.MustCompile(`^rx_queue_(\d+)_packets$`),
	regexp.MustCompile(`^rx(\d+)_packets$`),
	regexp.MustCompile(`^rx-(\d+)\.packets$`),
	regexp.MustCompile(`^queue_(\d+)_rx_cnt$`),
	regexp.MustCompile(`^rxq(\d+)_packets$`),
	regexp.MustCompile(`^\[(\d+)\]: rx_ucast_packets$`),
	regexp.MustCompile(`^rx_queue_(\d+)_xdp_packets$`),
}

// most is how many statistics a driver is believed to have.
const most = 1 << 16

// QueuePackets returns how many packets the driver of an interface has counted on each receive queue; nil if it does not say.
func QueuePackets(name string) (map[int]uint64, error) {
	packets, err := queuePackets(system{}, name)
	if err != nil {
		return nil, fmt.Errorf("read statistics of %s: %w", name, absent(err))
	}
	return packets, nil
}

func queuePackets(k kernel, name string) (map[int]uint64, error) {
	info := command(getSetSizes, setSizesLength)
	native.PutUint64(info[8:], 1<<statistics)
	if err := k.ioctl(name, info); err != nil {
		return nil, notRefused(err)
	}
	count := native.Uint32(info[setSizesLength-4:])
	if native.Uint64(info[8:]) == 0 || count == 0 || count > most { // the driver has no such set
		return nil, nil
	}
	names := command(getStrings, stringsLength+nameLength*int(count))
	native.PutUint32(names[4:], statistics)
	native.PutUint32(names[8:], count)
	if err := k.ioctl(name, names); err != nil {
		return nil, notRefused(err)
	}
	values := command(getStatistics, statisticsLength+8*int(count))
	native.PutUint32(values[4:], count)
	if err := k.ioctl(name, values); err != nil {
		return nil, notRefused(err)
	}
	// The kernel says again how many there are: fewer, if the interface has changed meanwhile.
	count = min(count, native.Uint32(names[8:]), native.Uint32(values[4:]))
	return ofQueues(names[stringsLength:], values[statisticsLength:], int(count)), nil
}

// notRefused is nil for a driver that has no statistics.
func notRefused(err error) error {
	if refused(err) {
		return nil
	}
	return err
}

// ofQueues picks the packets of receive queues out of a driver's statistics.
func ofQueues(names, values []byte, count int) map[int]uint64 {
	for _, pattern := range queueNames {
		found := map[int]uint64{}
		for n := range count {
			name, _, _ := bytes.Cut(names[n*nameLength:(n+1)*nameLength], []byte{0})
			if m := pattern.FindSubmatch(name); m != nil {
				if queue, err := strconv.Atoi(string(m[1])); err == nil {
					found[queue] = native.Uint64(values[8*n:])
				}
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}
