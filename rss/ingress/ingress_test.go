package ingress

import (
	"testing"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/nic"
)

// A packet that was captured too short has no queue, on a NIC that has several; elsewhere it has the only one.
func TestCutPacketHasNoQueue(t *testing.T) {
	for queues, settings := range map[int]ethtool.Settings{
		4: {Queues: 4, Key: rss.MicrosoftKey(), Table: rss.Table{0, 1, 2, 3}, Functions: []rss.Function{rss.FunctionToeplitz},
			Fields: map[ethtool.FlowType]rss.Fields{ethtool.TCP4: rss.FourTuple}},
		1: {Queues: 1},
	} {
		i := New(func(string) (ethtool.Settings, error) { return settings, nil }, t.TempDir(), "none0")
		a := i.Of(func(*nic.NIC) nic.Result { return nic.Result{Unhashed: nic.Cut} })
		if known := queues == 1; (a.Queue != nil) != known || (a.QueueUnknown == "") != known {
			t.Errorf("%d queues: %+v", queues, a)
		}
		if a := i.Of(func(*nic.NIC) nic.Result { return nic.Result{Hashed: true, Queue: 0} }); a.Queue == nil || a.QueueUnknown != "" {
			t.Errorf("%d queues, a whole packet: %+v", queues, a)
		}
	}
}
