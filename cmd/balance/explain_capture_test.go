package balance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"lbctl/cmd/balance/explain"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// cutFrames are packets that the tables treat differently.
func cutFrames() map[string][]byte {
	at := netip.MustParseAddrPort
	tcp := packet.Flow{Source: at("198.51.100.7:40000"), Destination: at("192.0.2.1:80"), Protocol: packet.TCP}
	quoted := packet.Frame{Flow: packet.Flow{Source: at("192.0.2.1:80"), Destination: at("198.51.100.7:40000"), Protocol: packet.TCP}, Payload: make([]byte, 80)}.Marshal()
	other := tcp
	other.Destination = at("192.0.2.1:81")
	bare := func(kind byte, rest []byte) packet.Frame {
		f := packet.Frame{Flow: packet.Flow{Source: at("198.51.100.9:0"), Destination: at("192.0.2.1:0"), Protocol: packet.ICMP}, Payload: append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, rest...)}
		return f
	}
	return map[string][]byte{
		"syn":            packet.Frame{Flow: tcp, Flags: packet.SYN, Payload: make([]byte, 20)}.Marshal(),
		"other port":     packet.Frame{Flow: other}.Marshal(),
		"udp6":           packet.Frame{Flow: packet.Flow{Source: at("[2001:db8::7]:5000"), Destination: at("[2001:db8::1]:53"), Protocol: packet.UDP}, Payload: make([]byte, 20)}.Marshal(),
		"first fragment": packet.Frame{Flow: tcp, Fragment: &packet.Fragment{More: true}, Payload: make([]byte, 24)}.Marshal(),
		"echo":           bare(8, make([]byte, 40)).Marshal(),
		"error":          bare(3, quoted[14:]).Marshal(),
	}
}

// TestExplainCutCapture: a packet that was captured in part has the answer of the whole one, or none: queue, reason and
// replica. From a length on that tcpdump -s 128 has it is the answer.
func TestExplainCutCapture(t *testing.T) {
	w := routedWorld(t)
	for name, frame := range cutFrames() {
		var b bytes.Buffer
		capture, err := pcap.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		for n := len(frame); n > 0; n-- {
			if err := capture.Write(pcap.Packet{Frame: frame[:n], Length: len(frame)}); err != nil {
				t.Fatal(err)
			}
		}
		lines := strings.Split(strings.TrimSpace(w.OK("explain", "--pcap", w.Write("cut.pcapng", b.String()), "--queues", "4", "-o", "json")), "\n")
		answer := func(line string) (queue, verdict string) {
			var p explain.Packet
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatal(err)
			}
			queue = "?"
			if p.Queue != nil {
				queue = fmt.Sprint(*p.Queue)
			}
			return queue, p.Reason() + " " + p.Explanation.Replica
		}
		queue, verdict := answer(lines[0])
		told, unknown := 0, 0
		for i, line := range lines[:len(lines)-1] { // the last is the summary
			q, v := answer(line)
			if q != queue && q != "?" || v != verdict && v != explain.NotPredictable+" " {
				t.Errorf("%s, %d bytes of %d: queue %s, %s; whole: queue %s, %s", name, len(frame)-i, len(frame), q, v, queue, verdict)
			}
			if length := len(frame) - i; length >= min(128, len(frame)) && (q == "?" || v != verdict) {
				t.Errorf("%s, %d bytes: queue %s, %s", name, length, q, v)
			}
			told, unknown = told+len(strings.Trim(q, "?")), unknown+strings.Count(v, explain.NotPredictable)
		}
		if told == 0 || unknown == 0 {
			t.Errorf("%s: %d queues told, %d not explained: the test shows nothing", name, told, unknown)
		}
		if want := fmt.Sprintf(`"unpredictable":%d`, unknown); !strings.Contains(lines[len(lines)-1], want) {
			t.Errorf("%s: summary %s, want %s", name, lines[len(lines)-1], want)
		}
	}
}
