package datapath

import (
	"fmt"
	"net/netip"
	"testing"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/nexthop"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

// What somebody else does to the tables is named, and nothing else; repaired, all packets go where they went before.
func TestVerifyTraffic(t *testing.T) {
	d := audited(t)
	up := testns.Up(t, "up")
	for _, a := range []string{"10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5"} {
		testns.Neighbour(t, up, a)
	}
	if err := d.refresh(nexthop.Everything()); err != nil {
		t.Fatal(err)
	}
	other := d.registry.services[web("192.0.2.2:80").VIP]
	first, second := other.ids[other.service.Replicas[0].Address], other.ids[other.service.Replicas[1].Address]
	replica, stranger := *d.registry.tables.Replicas.Row(first), other.row
	replica.Address = bpf.Address(netip.MustParseAddr("10.1.0.9"))
	word, _ := d.registry.tables.Short.Word(first)
	long, elsewhere, hop := bpf.LbShortReplica{}, word, *d.registry.tables.Short.Hops.Row(uint32(word.Hop))
	elsewhere.Address[3], hop.Hop.Destination[5] = 9, hop.Hop.Destination[5]+1
	unshort := put(t, d, bpf.LbMapShortReplicas, first, long) // so that packets look at the row
	stranger.Vip = vipKey(web("192.0.2.3:80").VIP)
	tables := d.registry.tables
	changed, free := other.row, uint32(tables.Services.Len()-1)
	changed.Mode = uint8(lb.DSR)
	line, in := other.row.Offset/bpf.OwnersLine, other.row.Offset%bpf.OwnersLine
	unknown, wrong := *tables.Owners.Row(line), *tables.Owners.Row(line)
	unknown.Owner[in], wrong.Owner[in] = bpf.OwnerElsewhere, uint16(second-other.row.FirstReplica)
	unread := put(t, d, bpf.LbMapSlotOwners, line, unknown) // so that packets look at the slot
	before := fates(t, d, up)
	for name, c := range map[string]struct {
		do         func() // by another handle
		table, key string
	}{
		"a service":     {put(t, d, bpf.LbMapServices, other.at, changed), bpf.LbMapServices, "tcp 192.0.2.2:80"},
		"a replica":     {both(unshort, put(t, d, bpf.LbMapReplicas, first, replica)), bpf.LbMapReplicas, "10.1.0.4:8080 of tcp 192.0.2.2:80"},
		"in short":      {put(t, d, bpf.LbMapShortReplicas, first, elsewhere), bpf.LbMapShortReplicas, "10.1.0.4:8080 of tcp 192.0.2.2:80"},
		"a shared hop":  {put(t, d, bpf.LbMapSharedHops, uint32(word.Hop), hop), bpf.LbMapSharedHops, fmt.Sprintf("row %d, of 1 replicas", word.Hop)},
		"a slot":        {both(unread, put(t, d, bpf.LbMapSlots, other.row.Offset, bpf.LbSlot{Owner: second, Previous: second})), bpf.LbMapSlots, "slot 0 of tcp 192.0.2.2:80"},
		"a settled one": {both(unread, put(t, d, bpf.LbMapSlots, other.row.Offset, bpf.LbSlot{Owner: first, Previous: second | 1<<31})), bpf.LbMapSlots, "slot 0 of tcp 192.0.2.2:80"},
		"an owner":      {put(t, d, bpf.LbMapSlotOwners, line, wrong), bpf.LbMapSlotOwners, "slot 0 of tcp 192.0.2.2:80"},
		"deleted":       {put(t, d, bpf.LbMapServiceIndex, tables.ServiceIndex().Bucket(other.row.Vip), bpf.LbBucket{}), bpf.LbMapServiceIndex, "tcp 192.0.2.2:80"},
		"a stranger's": {func() {
			put(t, d, bpf.LbMapServices, free, stranger)()
			put(t, d, bpf.LbMapServiceIndex, tables.ServiceIndex().Bucket(stranger.Vip), bpf.LbBucket{Row: [16]uint32{free + 1}})()
		}, bpf.LbMapServiceIndex, fmt.Sprintf("bucket %d", tables.ServiceIndex().Bucket(stranger.Vip))},
		"a range": {put(t, d, bpf.LbMapSourceRanges, other.row.FirstRange, bpf.LbSourceRange{}), bpf.LbMapSourceRanges, "source range 0 of tcp 192.0.2.2:80"},
	} {
		c.do()
		after := fates(t, d, up)
		found, err := d.Verify(t.Context(), false)
		if err != nil || len(found.Drifts) == 0 || !names(found, c.table, c.key) {
			t.Errorf("%s: %+v, %v, want %s", name, found, err, c.key)
		}
		if cmp.Equal(before, after) {
			t.Errorf("%s: no packet goes elsewhere", name)
		}
		mustAudit(t, d)
		if diff := cmp.Diff(before, fates(t, d, up)); diff != "" {
			t.Errorf("%s, repaired (-before +after): %s", name, diff)
		}
	}
}

func both(a, b func()) func() { return func() { a(); b() } }

// put returns what writes a row by another handle.
func put(t *testing.T, d *Datapath, table string, at uint32, row any) func() {
	return func() {
		t.Helper()
		overwrite(t, d, table, at, row)
	}
}

// inTransition returns the first slot of a service that is.
func inTransition(d *Datapath, e *entry) uint32 {
	at := e.row.Offset
	for !d.registry.tables.Slot(at).InTransition() {
		at++
	}
	return at
}

// fates says of flows of many clients to three VIPs what becomes of their packets: the verdict, and the Ethernet and IP header.
func fates(t *testing.T, d *Datapath, in netlink.Link) (all []string) {
	t.Helper()
	for vip := range 3 {
		for client := range 100 {
			f := packet.Flow{Protocol: packet.TCP, Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(client)}), 4000),
				Destination: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(vip + 1)}), 80)}
			v, err := send(d.Program(), in.Attrs().Index, contract.Packet{Flow: f, TTL: 64, Flags: 0x10}.Frame())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%v %v: %x", f, v.Action, v.Frame[:min(len(v.Frame), 34)]))
		}
	}
	return all
}
