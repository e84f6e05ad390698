package ethtool

import (
	"errors"
	"maps"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestOfQueues: each driver's names, and no others.
func TestOfQueues(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  map[int]uint64
	}{
		{[]string{"rx_queue_0_packets", "rx_queue_0_bytes", "rx_queue_11_packets", "tx_queue_0_packets"}, map[int]uint64{0: 1, 11: 3}},
		{[]string{"rx_packets", "rx0_packets", "rx1_packets", "tx0_packets", "rx0_xdp_drop"}, map[int]uint64{0: 2, 1: 3}},
		{[]string{"rx-3.packets", "rx-3.bytes", "tx-3.packets"}, map[int]uint64{3: 1}},
		{[]string{"queue_0_tx_cnt", "queue_2_rx_cnt"}, map[int]uint64{2: 2}},
		{[]string{"[0]: rx_ucast_packets", "[0]: rx_mcast_packets"}, map[int]uint64{0: 1}},
		{[]string{"peer_ifindex", "rx_queue_0_xdp_packets", "rx_queue_0_xdp_drops"}, map[int]uint64{0: 2}},
		{[]string{"rx_queue_0_packets", "rx_queue_0_xdp_packets"}, map[int]uint64{0: 1}},
		{[]string{"rx_packets", "rx99999999999999999999_packets"}, nil},
		{nil, nil},
	} {
		var names, values []byte
		for n, name := range c.names {
			var row [nameLength]byte
			copy(row[:nameLength-1], name)
			names = append(names, row[:]...)
			values = native.AppendUint64(values, uint64(n+1))
		}
		if got := ofQueues(names, values, len(c.names)); !maps.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.names, got, c.want)
		}
	}
}

// TestLiveQueuePackets: a veth has as many queues as it was made with; lo has no statistics, and that is no error.
func TestLiveQueuePackets(t *testing.T) {
	inNamespace(t)
	a := netlink.NewLinkAttrs()
	a.Name, a.NumRxQueues, a.NumTxQueues = "here", 4, 4
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "there"}); err != nil {
		t.Fatal(err)
	}
	got, err := QueuePackets("here")
	if want := map[int]uint64{0: 0, 1: 0, 2: 0, 3: 0}; err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got, err := QueuePackets("lo"); err != nil || got != nil {
		t.Errorf("lo: %v, %v", got, err)
	}
	if _, err := QueuePackets("nothing"); !errors.Is(err, ErrNoInterface) && !errors.Is(err, unix.ENODEV) {
		t.Errorf("an interface that there is not: %v", err)
	}
}
