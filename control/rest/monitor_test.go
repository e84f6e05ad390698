package rest_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// monitor begins to watch; the stream ends with the test.
func (w *world) monitor(ctx context.Context, watched client.Watched) *client.Samples {
	w.t.Helper()
	s, err := w.client.Monitor(ctx, watched)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

func (w *world) next(s *client.Samples) api.Sample {
	w.t.Helper()
	sample, err := s.Next()
	if err != nil {
		w.t.Fatal(err)
	}
	return sample
}

func TestMonitorTellsAll(t *testing.T) {
	w := routedWorld(t)
	s := w.monitor(t.Context(), client.Watched{})
	frame := packet.Frame{
		Payload: make([]byte, 1000), Flow: packet.Flow{
			Source: netip.MustParseAddrPort("198.51.100.7:40000"), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP,
		},
	}.Marshal()
	w.dp.Process(2, frame)
	w.dp.Process(3, []byte{1, 2, 3})
	got := w.next(s)
	if at, err := time.Parse(time.RFC3339Nano, got.Time); err != nil || time.Since(at) > time.Minute {
		t.Errorf("time %s, %v", got.Time, err)
	}
	if !slices.Contains([]string{"10.0.0.1:80", "10.0.0.2:80"}, got.Replica) {
		t.Errorf("replica %s", got.Replica)
	}
	want := api.Sample{
		Interface: "eth0", IfIndex: 2, Reason: "forwarded", ServiceName: "web", VIP: "192.0.2.1:80", Protocol: "tcp", Length: len(frame), Frame: frame[:256],
		Flow: &api.Flow{Source: "198.51.100.7:40000", Destination: "192.0.2.1:80", Protocol: "tcp"},
		Time: got.Time, Replica: got.Replica,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sample (-want +got):\n%s", diff)
	}
	got = w.next(s)
	want = api.Sample{Interface: "eth1", IfIndex: 3, Reason: "malformed_ethernet", Length: 3, Frame: []byte{1, 2, 3}, Time: got.Time}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sample (-want +got):\n%s", diff)
	}
}

// Flows are told as far as they can be read.
func TestMonitorFlows(t *testing.T) {
	w := routedWorld(t)
	s := w.monitor(t.Context(), client.Watched{})
	tcp := packet.Flow{Source: netip.MustParseAddrPort("198.51.100.7:40000"), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}
	icmp := tcp
	icmp.Source, icmp.Destination = netip.AddrPortFrom(tcp.Source.Addr(), 0), netip.AddrPortFrom(tcp.Destination.Addr(), 0)
	icmp.Protocol = packet.ICMP
	for _, c := range []struct {
		frame packet.Frame
		want  *api.Flow
	}{
		{packet.Frame{Flow: tcp}, &api.Flow{Source: "198.51.100.7:40000", Destination: "192.0.2.1:80", Protocol: "tcp"}},
		{packet.Frame{Flow: tcp, Fragment: &packet.Fragment{Offset: 8}}, &api.Flow{Source: "198.51.100.7", Destination: "192.0.2.1", Protocol: "tcp"}},
		{packet.Frame{Flow: icmp, Payload: make([]byte, 8)}, &api.Flow{Source: "198.51.100.7", Destination: "192.0.2.1", Protocol: "icmp"}},
	} {
		w.dp.Process(2, c.frame.Marshal())
		if diff := cmp.Diff(c.want, w.next(s).Flow); diff != "" {
			t.Errorf("flow (-want +got):\n%s", diff)
		}
	}
}

// Each of several sees what it asked for.
func TestMonitorFilters(t *testing.T) {
	w := routedWorld(t)
	w.apply("interfaces: [{name: eth0}]\n" + webAndDNS)
	all := w.monitor(t.Context(), client.Watched{})
	dns := w.monitor(t.Context(), client.Watched{Service: "dns"})
	some := w.monitor(t.Context(), client.Watched{Reasons: []string{"not_ours", "ttl_expired"}})
	third := w.monitor(t.Context(), client.Watched{Every: 3})
	udp := w.monitor(t.Context(), client.Watched{Protocol: "udp", Source: "198.51.100.0/24", Destination: "192.0.2.0/24:53"})
	port := w.monitor(t.Context(), client.Watched{Port: 80, Destination: "192.0.2.9"})
	for _, to := range []string{"192.0.2.1:80", "192.0.2.9:80", "192.0.2.1:53"} {
		f := packet.Flow{Source: netip.MustParseAddrPort("198.51.100.7:40000"), Destination: netip.MustParseAddrPort(to), Protocol: packet.TCP}
		if strings.HasSuffix(to, ":53") {
			f.Protocol = packet.UDP
		}
		w.dp.Process(2, packet.Frame{Flow: f}.Marshal())
	}
	w.dp.Process(2, packet.Frame{TTL: 1, Flow: packet.Flow{
		Source: netip.MustParseAddrPort("198.51.100.7:40000"), Destination: netip.MustParseAddrPort("192.0.2.1:53"), Protocol: packet.UDP,
	}}.Marshal())
	for _, c := range []struct {
		name string
		from *client.Samples
		want []string
	}{
		{"all", all, []string{"forwarded", "not_ours", "forwarded", "ttl_expired"}},
		{"dns", dns, []string{"forwarded", "ttl_expired"}},
		{"some", some, []string{"not_ours", "ttl_expired"}},
		{"udp", udp, []string{"forwarded", "ttl_expired"}},
		{"port", port, []string{"not_ours"}},
		{"every third", third, []string{"forwarded", "ttl_expired"}},
	} {
		var got []string
		for range c.want {
			got = append(got, w.next(c.from).Reason)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestMonitorRefuses(t *testing.T) {
	w := routedWorld(t)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"?reason=fowarded":                     {422, "did you mean forwarded?"},
		"?reason=x":                            {422, "want one of forwarded, "},
		"?reason=hairpin&reason=nope":          {422, `reason \"nope\"`},
		"?service=wbe":                         {404, "lbctl get services"},
		"?every=0":                             {422, "every"},
		"?every=-1":                            {422, "every"},
		"?every=4294967296":                    {422, "every"},
		"?every=4294967297":                    {422, "every"},
		"?every=18446744073709551617":          {422, "every"},
		"?every=1e3":                           {422, "every"},
		"?evry=2":                              {422, "evry"},
		"?source=1.2.3.4:5":                    {422, `"location":"query.source","message":"\"1.2.3.4:5\" is neither"`},
		"?source=198.51.100.7/24":              {422, "want 198.51.100.0/24, or the single address"},
		"?source=::ffff:1.2.3.4":               {422, "write it as IPv4"},
		"?source=1.2.3.4&destination=::1":      {422, "want both of one address family"},
		"?destination=192.0.2.1:0":             {422, "want a port from 1 to 65535, as in 192.0.2.1:80"},
		"?destination=[2001:db8::1":            {422, "want [2001:db8::1]:80 or [2001:db8::/32]:80"},
		"?destination=[2001:db8::1]80":         {422, "want [2001:db8::1]:80 or [2001:db8::/32]:80"},
		"?destination=192.0.2.1:80&protocol=1": {422, "want tcp, udp or sctp, or leave the port out"},
		"?port=0":                              {422, "query.port"},
		"?port=65536":                          {422, "query.port"},
		"?protocol=tpc":                        {422, "query.protocol"},
		"?protocol=0":                          {422, "query.protocol"},
	} {
		response, text := w.request("GET", "/v1/monitor"+path, "")
		if response.StatusCode != want.status || !strings.Contains(text, want.text) {
			t.Errorf("%s: %d %s, want %d and %q", path, response.StatusCode, text, want.status, want.text)
		}
	}
}

// watchedBy waits until so many watch the datapath.
func (w *world) watchedBy(n int64) {
	w.t.Helper()
	for w.dp.watchers.Load() != n {
		select {
		case <-w.dp.watching:
		case <-time.After(10 * time.Second):
			w.t.Fatalf("%d watch, want %d", w.dp.watchers.Load(), n)
		}
	}
}

// A client that goes, by its context or by its connection, is not watched for any more.
func TestMonitorEndsWithItsClient(t *testing.T) {
	w := routedWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := w.monitor(ctx, client.Watched{}), w.monitor(t.Context(), client.Watched{})
	w.watchedBy(2)
	cancel()
	if _, err := first.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("the next sample after the context's end: %v", err)
	}
	w.watchedBy(1)
	w.dp.Process(2, frameToWeb(packet.SYN))
	w.next(second)
	second.Close()
	w.watchedBy(0)
}

// The daemon's end ends streams as they should: it does not wait for them until it hangs up.
func TestMonitorEndsWithTheServer(t *testing.T) {
	w := routedWorld(t)
	s := w.monitor(t.Context(), client.Watched{})
	w.dp.Process(2, frameToWeb(packet.SYN))
	w.next(s)
	w.stop()
	if _, err := s.Next(); !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), "ended the stream") {
		t.Errorf("the next sample after the daemon's end: %v", err)
	}
	if n := w.dp.watchers.Load(); n != 0 {
		t.Errorf("%d still watch", n)
	}
}

// What a slow client loses is told with the next sample that it gets.
func TestMonitorTellsWhatIsLost(t *testing.T) {
	w := routedWorld(t)
	s := w.monitor(t.Context(), client.Watched{})
	frame := packet.Frame{Payload: make([]byte, 1400), Flow: packet.Flow{
		Source: netip.MustParseAddrPort("198.51.100.7:40000"), Destination: netip.MustParseAddrPort("192.0.2.9:80"), Protocol: packet.UDP,
	}}.Marshal()
	const sent = 20 * lb.SampleBuffer
	for range sent {
		w.dp.Process(2, frame)
	}
	w.dp.Process(2, frameToWeb(packet.SYN)) // lost, or the last
	var got, lost uint64
	for got+lost < sent {
		sample := w.next(s)
		got, lost = got+1, lost+sample.Lost
	}
	t.Logf("%d samples, %d lost", got, lost)
	if got < lb.SampleBuffer || got+lost > sent+1 {
		t.Errorf("%d samples and %d lost of %d", got, lost, sent)
	}
}
