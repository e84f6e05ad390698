package verify

import (
	"testing"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/observe"
)

// Native XDP makes virtio_net forget RSS: auto avoids it, native notes it.
func TestChooseMode(t *testing.T) {
	virtio := ethtool.Settings{Driver: "virtio_net", Table: rss.Table{0, 1}}
	for _, c := range []struct {
		requested observe.Mode
		s         ethtool.Settings
		release   string
		want      observe.Mode
		notes     int
	}{
		{observe.Auto, virtio, "6.1.0-56-cloud-amd64", observe.Generic, 1},
		{observe.Native, virtio, "6.1.0-56-cloud-amd64", observe.Native, 1},
		{observe.Socket, virtio, "6.1.0-56-cloud-amd64", observe.Socket, 0},
		{observe.Auto, virtio, "5.15.0", observe.Generic, 1},
		{observe.Auto, virtio, "6.13.1", observe.Auto, 0},
		{observe.Auto, virtio, "7.0", observe.Auto, 0},
		{observe.Auto, virtio, "", observe.Auto, 0},
		{observe.Auto, ethtool.Settings{Driver: "virtio_net"}, "6.1.0", observe.Auto, 0},
		{observe.Auto, ethtool.Settings{Driver: "ixgbe", Table: rss.Table{0}}, "6.1.0", observe.Auto, 0},
	} {
		if got, notes := ChooseMode(c.requested, c.s, c.release); got != c.want || len(notes) != c.notes {
			t.Errorf("%s on %s, Linux %s: %s, %q, want %s", c.requested, c.s.Driver, c.release, got, notes, c.want)
		}
	}
}
