// Package pcap reads capture files as a stream: pcap and pcapng, of either byte order,
// in micro- or nanoseconds, gzipped or not. Its memory does not grow with the file. It writes
// pcapng.
//
// Every record comes as an Ethernet frame, whatever its link layer was: a packet without
// an Ethernet header gets one written in front of it, in place, with zeros for addresses.
//
// Why not gopacket's reader: that one allocates what a file's header asks for (up to 4 GiB), says not
// where a file is damaged, and knows neither gzip nor several link types as frames. This one takes two
// thirds of its time besides. Tests hold it against gopacket's.
//
// Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, and the list of link types
// on tcpdump.org.
package pcap
