package doctor

import (
	"fmt"
	"slices"
)

// halved tells whether a driver needs as many queues again for XDP as it receives on (ena_xdp_set, gve_verify_xdp_configuration).
func (i Interface) halved() bool { return slices.Contains([]string{"ena", "gve"}, i.Driver) }

func queuesCheck() check[Interface] {
	return check[Interface]{
		"queues", "each receive queue keeps one CPU busy; sending from XDP needs a send queue for each CPU, else CPUs wait for each other or the driver refuses",
		func(f Facts, i Interface) verdict {
			possible := i.MaxChannels
			if i.halved() {
				possible /= 2
			}
			most := min(f.Host.CPUs, possible)
			switch {
			case i.stacked():
				return verdict{}
			case i.halved() && i.Channels > possible:
				return combined(i, possible, "%d of %d channels: %s wants half of them free for XDP", i.Channels, i.MaxChannels, i.Driver)
			case i.Driver == "virtio_net" && i.MaxChannels > 1 && i.Channels+f.Host.CPUs > i.MaxChannels:
				return sharing(f, i)
			case i.Channels > 0 && i.Channels < most:
				return combined(i, most, "%d of %d channels for %d CPUs", i.Channels, i.MaxChannels, f.Host.CPUs)
			}
			return ok("%s", queueText(f, i))
		},
	}
}

// combined advises another number of channels.
func combined(i Interface, n int, seen string, args ...any) verdict {
	return bad(Warning, fmt.Sprintf("ethtool -L %s combined %d", i.Name, max(n, 1)), seen, args...)
}

// sharing judges virtio_net without a send queue for each CPU (virtnet_xdp_set): it takes a lock then.
func sharing(f Facts, i Interface) verdict {
	if free := i.MaxChannels - f.Host.CPUs; free > 0 {
		return combined(i, free, "%d of %d channels and %d CPUs: XDP shares send queues", i.Channels, i.MaxChannels, f.Host.CPUs)
	}
	return bad(Warning, fmt.Sprintf("# give the virtual machine %d queues", 2*f.Host.CPUs), "%d channels at most and %d CPUs: XDP shares send queues", i.MaxChannels, f.Host.CPUs)
}

func queueText(f Facts, i Interface) string {
	text := fmt.Sprintf("%d, for %d CPUs", i.Queues, f.Host.CPUs)
	if i.RSS {
		text += "; RSS: lbctl rss show " + i.Name
	}
	return text
}
