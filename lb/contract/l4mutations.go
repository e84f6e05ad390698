package contract

func l4Mutations() []mutation {
	return []mutation{
		change("a source port", hasIP, inL4(0), anything(0xff, 0xff)),
		change("a destination port", hasIP, inL4(2), anything(0xff, 0xff)),
		change("a likely port", hasIP, inL4(2), oneOf16(0, 80, 81, 0x5000, 8001, 8002, 8257)),
		change("a data offset", hasTCP, inL4(12), anything(0xf0)),
		change("tcp flags", hasTCP, inL4(12), anything(0x0f, 0xff)),
		change("a tcp checksum", hasTCP, inL4(16), anything(0xff, 0xff)),
		change("a likely tcp checksum", hasTCP, inL4(16), oneOf16(0, 1, 0xfffe, 0xffff)),
		change("an urgent pointer", hasTCP, inL4(18), anything(0xff, 0xff)),
		change("a udp length", hasUDP, inL4(4), anything(0xff, 0xff)),
		change("a udp length nearby", hasUDP, inL4(4), nearby),
		change("a likely udp length", hasUDP, inL4(4), oneOf16(0, 1, 7, 8, 9, 0xffff)),
		change("a udp checksum", hasUDP, inL4(6), anything(0xff, 0xff)),
		change("a likely udp checksum", hasUDP, inL4(6), oneOf16(0, 0, 0, 1, 0xfffe, 0xffff)),
	}
}
