package contract

import (
	"lbctl/lb"
	"lbctl/lb/oracle"
)

// double are the most tags that are looked behind.
var double = []Tag{{0x88a8, 0xe123}, {0x8100, 0x3fff}}

// tagged puts tags before the packet.
func tagged(tags ...Tag) func(scene, *Packet) {
	return func(_ scene, p *Packet) { p.Tags = tags }
}

// tagCases are packets with VLAN tags: they stay with a packet that leaves by the link that it came on.
func tagCases(s scene) []packetCase {
	west, back := sentTo(plain, West), sentTo(plain, West).by(oracle.Transmit)
	triple := append(double[:2:2], Tag{0x8100, 7})
	cases := []packetCase{
		{name: "arp with a tag", packet: tagged(double[1]), bytes: poke(16, 0x08, 0x06), want: passed(lb.NotIP)},
		{name: "length with a tag", packet: tagged(double[1]), bytes: poke(16, 0x00, 0x2e), want: passed(lb.NotIP)},
		{name: "three tags", packet: tagged(triple...), want: passed(lb.VLANTagged)},
		{name: "three tags of a provider", packet: tagged(double[0], double[0], double[0]), want: passed(lb.VLANTagged)},
		{name: "other ethertype of tags", packet: tagged(Tag{0x9100, 7}), want: passed(lb.NotIP)},
		{name: "tags, no replica", packet: all(tagged(double...), to(empty)), want: dropped(lb.NoReplica)},
		{name: "tags, not ours", packet: all(tagged(double...), to(99)), want: passed(lb.NotOurs)},
		{name: "tags, neighbour unknown", packet: all(tagged(double...), to(unresolved)), want: s.waiting(unresolved)},
		{name: "tags, ttl 1", packet: all(tagged(double...), ttl(1)), want: s.mortal(west)},
		{name: "tags, full frame", packet: all(tagged(double...), filling(1500, 0)), want: west},
		{name: "answer with tags", only: isNAT, ingress: West, packet: all(answer, tagged(double...)), want: returnedTo(East)},
		{name: "answer with tags by the ingress", only: isNAT, packet: all(answer, tagged(double...)), want: returnedTo(East).by(oracle.Transmit)},
		{name: "third tag cut short", packet: tagged(triple...), bytes: cutAt(ethernet + 8), want: passed(lb.VLANTagged)},
	}
	for name, tags := range map[string][]Tag{
		"802.1q": {{0x8100, 5}}, "802.1ad": {{0x88a8, 5}}, "priority": {{0x8100, 0xe000}},
		"802.1q in 802.1ad": double, "802.1ad in 802.1q": {{0x8100, 1}, {0x88a8, 2}}, "802.1q twice": {{0x8100, 1}, {0x8100, 1}},
	} {
		cases = append(cases,
			packetCase{name: name, packet: tagged(tags...), want: west},
			packetCase{name: name + ", back by the ingress", ingress: West, packet: tagged(tags...), want: back})
		for n := 12; n < ethernet+4*len(tags); n++ {
			cases = append(cases, packetCase{name: name + ", cut short", packet: tagged(tags...), bytes: cutAt(n), want: dropped(lb.MalformedEthernet)})
		}
	}
	return cases
}

// cutAt leaves the first n bytes of the frame.
func cutAt(n int) func(scene, []byte) []byte {
	return func(_ scene, frame []byte) []byte { return frame[:n] }
}

// pad puts n bytes behind the IP packet.
func pad(n int) func(scene, []byte) []byte {
	return func(_ scene, frame []byte) []byte {
		for i := range n {
			frame = append(frame, byte(i+1))
		}
		return frame
	}
}
