package nicoracle

import (
	"math/rand/v2"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/testbed/vm"
	"lbctl/testbed/vm/line"
)

// Arm is one set-up of the guest's NIC and the frames that it gets.
type Arm struct {
	Name   string
	Change line.Change
	Frames []Frame
}

// Names of arms that controls need.
const (
	beforeRewrite = "random key"
	afterRewrite  = "another table"
	hashOff       = "hash off"
)

// fields are what is hashed of TCP and UDP of both families. Of other IP packets the driver has the
// addresses hashed as long as it is not told to leave out TCP or UDP altogether (Linux,
// drivers/net/virtio_net.c, virtnet_set_hashflow).
func fields(tcp4, udp4, tcp6, udp6 rss.Fields) []ethtool.FieldsOf {
	return []ethtool.FieldsOf{
		{Type: ethtool.TCP4, Fields: tcp4}, {Type: ethtool.UDP4, Fields: udp4},
		{Type: ethtool.TCP6, Fields: tcp6}, {Type: ethtool.UDP6, Fields: udp6},
	}
}

// arms returns the set-ups, with a number of packets over all but the last of them: the one without hash is
// a control of its own, and has a tenth of an arm's packets more.
func arms(r *rand.Rand, packets int, hello line.Hello) []Arm {
	const all, addresses = rss.FourTuple, rss.Addresses
	whole, equal := fields(all, all, all, all), rss.TablePlan{Equal: vm.Queues}
	one, two, three, four, five := randomKey(r, hello), randomKey(r, hello), randomKey(r, hello), randomKey(r, hello), randomKey(r, hello)
	list := []Arm{
		arm("microsoft key", vm.Queues, rss.MicrosoftKey(), equal, whole),
		arm(beforeRewrite, vm.Queues, one, equal, whole),
		arm(afterRewrite, vm.Queues, one, rss.TablePlan{Weights: []int{1, 5, 3, 7}}, whole),
		arm("steep weights", vm.Queues, two, rss.TablePlan{Weights: []int{8, 4, 2, 1}}, whole),
		arm("three queues", 3, three, rss.TablePlan{Equal: 3}, whole),
		arm("two queues from 1", 3, symmetricKey(), rss.TablePlan{Start: 1, Equal: 2}, whole),
		arm("udp by addresses", vm.Queues, four, equal, fields(all, addresses, all, addresses)),
		arm("tcp by addresses", vm.Queues, five, equal, fields(addresses, all, addresses, all)),
	}
	for i := range list {
		n := packets*(i+1)/len(list) - packets*i/len(list)
		list[i].Frames = newFrames(r, n, hello)
		if list[i].Name == afterRewrite {
			list[i].Frames = list[i-1].Frames // the very same, so that only the table can make a difference
		}
	}
	off := arm(hashOff, vm.Queues, one, equal, whole)
	off.Change.Hash = false
	off.Frames = newFrames(r, 10*int(kinds), hello)
	return append(list, off)
}

func arm(name string, queues int, key rss.Key, table rss.TablePlan, fields []ethtool.FieldsOf) Arm {
	return Arm{Name: name, Change: line.Change{
		Queues: queues, Hash: true, RSS: ethtool.Change{Table: &table, Key: key, Fields: fields},
	}}
}

// newFrames makes frames of all kinds in turn, tagged with their places.
func newFrames(r *rand.Rand, n int, hello line.Hello) []Frame {
	frames := make([]Frame, n)
	for i := range frames {
		frames[i] = newFrame(r, Kind(i%int(kinds)), hello.MAC, uint32(i))
	}
	return frames
}

// randomKey returns a key of the length that the NIC has.
func randomKey(r *rand.Rand, hello line.Hello) rss.Key {
	key := make(rss.Key, len(hello.Settings.RSS.Key))
	for i := range key {
		key[i] = byte(r.Uint32())
	}
	return key
}

func symmetricKey() rss.Key {
	key, _ := rss.Named("symmetric")
	return key
}
