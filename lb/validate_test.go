package lb_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// valid returns a valid service; number tells VIPs and replicas apart.
func valid(number byte) lb.Service {
	at := func(net, host byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, net, number, host}), 80)
	}
	return lb.Service{
		VIP:      lb.VIP{Address: at(0, 1), Protocol: packet.TCP},
		Replicas: []lb.Replica{{Address: at(1, 1)}, {Address: at(1, 2)}, {Address: at(1, 3)}},
	}.WithDefaults()
}

// weighted returns a valid service with Maglev.
func weighted(size uint32) lb.Service {
	s := valid(1)
	s.Scheduler, s.TableSize, s.Replicas[1].Weight = lb.Maglev, size, 65535
	return s
}

// ends parses an address and port.
func ends(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// fieldsOf returns the fields of the problems, and checks that each says why, and what to do.
func fieldsOf(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var ps lb.Problems
	if !errors.As(err, &ps) || !errors.Is(err, lb.ErrInvalid) {
		t.Fatalf("error %v is not Problems that wrap ErrInvalid", err)
	}
	var fields []string
	for _, p := range ps {
		if p.Reason == "" || p.Hint == "" || strings.Contains(p.String(), "\n") {
			t.Errorf("%+v: want a reason and a hint, one line", p)
		}
		fields = append(fields, p.Field)
	}
	return fields
}

func TestValid(t *testing.T) {
	six := lb.Service{
		VIP:      lb.VIP{Address: ends("[2001:db8::1]:53"), Protocol: packet.UDP},
		Replicas: []lb.Replica{{Address: ends("[fd00::1]:53"), Weight: 1}, {Address: ends("[2001:db8::2]:53"), Weight: 1}},
	}.WithDefaults()
	empty, states, down, dsr, tunnel, always := valid(1), valid(1), weighted(13), valid(1), valid(1), valid(1)
	empty.Replicas, empty.TableSize = nil, 0
	states.Replicas[0].State, states.Replicas[1].State, states.TableSize = lb.Draining, lb.Down, 1
	for i := range down.Replicas {
		down.Replicas[i].State = lb.Down
	}
	dsr.Mode = lb.DSR
	ports, allPorts := dsr.Clone(), dsr.Clone()
	ports.EndPort, allPorts.EndPort = 81, 65535
	tunnel.Mode, tunnel.Replicas[1].Address = lb.IPIP, ends("[2001:db8::2]:80")
	always.Tracking, always.Idle = lb.TrackAlways, lb.MaxIdle
	changes := valid(1)
	changes.Tracking, changes.Idle = lb.TrackChanges, lb.MinIdle
	for name, s := range map[string]lb.Service{
		"modulo": valid(1), "ipv6": six, "maglev": weighted(65537), "no replicas": empty,
		"as many slots as replicas": weighted(3), "largest table": weighted(lb.MaxMaglevSize),
		"replicas in every state": states, "maglev, none active": down, "dsr": dsr, "two ports": ports, "ports to the last": allPorts, "ipip, 4in4 and 4in6": tunnel,
		"always, longest idle": always, "changes, shortest idle": changes,
	} {
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *lb.Service)
		fields []string
	}{
		"vip port 0":       {func(s *lb.Service) { s.VIP.Address = ends("10.0.0.1:0") }, []string{"vip.address"}},
		"no vip":           {func(s *lb.Service) { s.VIP.Address = netip.AddrPort{} }, []string{"vip.address", "vip.address"}},
		"unspecified":      {func(s *lb.Service) { s.VIP.Address = ends("0.0.0.0:80") }, []string{"vip.address"}},
		"loopback":         {func(s *lb.Service) { s.VIP.Address = ends("127.0.0.1:80") }, []string{"vip.address"}},
		"this network":     {func(s *lb.Service) { s.VIP.Address = ends("0.1.2.3:80") }, []string{"vip.address"}},
		"multicast":        {func(s *lb.Service) { s.VIP.Address = ends("239.1.2.3:80") }, []string{"vip.address"}},
		"broadcast":        {func(s *lb.Service) { s.VIP.Address = ends("255.255.255.255:80") }, []string{"vip.address"}},
		"protocol icmp":    {func(s *lb.Service) { s.VIP.Protocol = 1 }, []string{"vip.protocol"}},
		"ethertype":        {func(s *lb.Service) { s.VIP.Protocol = 0x08 }, []string{"vip.protocol"}},
		"scheduler":        {func(s *lb.Service) { s.Scheduler = 2 }, []string{"scheduler"}},
		"mode":             {func(s *lb.Service) { s.Mode = 3 }, []string{"mode"}},
		"dsr, other port":  {func(s *lb.Service) { s.Mode, s.Replicas[1].Address = lb.DSR, ends("10.1.1.2:81") }, []string{"replicas[1].address"}},
		"tracking":         {func(s *lb.Service) { s.Tracking, s.Idle = 3, time.Minute }, []string{"tracking"}},
		"udp, changes":     {func(s *lb.Service) { s.VIP.Protocol, s.Tracking, s.Idle = 17, lb.TrackChanges, time.Minute }, []string{"tracking"}},
		"never, but idle":  {func(s *lb.Service) { s.Idle = time.Minute }, []string{"idle"}},
		"no idle":          {func(s *lb.Service) { s.Tracking = lb.TrackChanges }, []string{"idle"}},
		"short idle":       {func(s *lb.Service) { s.Tracking, s.Idle = lb.TrackAlways, 7*time.Second }, []string{"idle"}},
		"split second":     {func(s *lb.Service) { s.Tracking, s.Idle = lb.TrackAlways, 8500*time.Millisecond }, []string{"idle"}},
		"long idle":        {func(s *lb.Service) { s.Tracking, s.Idle = lb.TrackAlways, lb.MaxIdle+time.Second }, []string{"idle"}},
		"negative idle":    {func(s *lb.Service) { s.Tracking, s.Idle = lb.TrackAlways, -time.Minute }, []string{"idle"}},
		"ipip, other port": {func(s *lb.Service) { s.Mode, s.Replicas[1].Address = lb.IPIP, ends("10.1.1.2:81") }, []string{"replicas[1].address"}},
		"dsr, ipv6":        {func(s *lb.Service) { s.Mode, s.Replicas[1].Address = lb.DSR, ends("[2001:db8::1]:80") }, []string{"replicas[1].address"}},
		"modulo, down":     {func(s *lb.Service) { s.Replicas[1].State = lb.Down }, []string{"table_size"}},
		"modulo, none active": {func(s *lb.Service) {
			s.Replicas[0].State, s.Replicas[1].State, s.Replicas[2].State = lb.Down, lb.Draining, lb.Down
		}, []string{"table_size"}},
		"maglev, fewer slots than replicas in any state": {func(s *lb.Service) {
			s.Scheduler, s.TableSize, s.Replicas[1].State, s.Replicas[2].State = lb.Maglev, 2, lb.Down, lb.Down
		}, []string{"table_size"}},
		"end port with nat":    {func(s *lb.Service) { s.EndPort = 99 }, []string{"end_port"}},
		"end port is the port": {func(s *lb.Service) { s.Mode, s.EndPort = lb.DSR, 80 }, []string{"end_port"}},
		"end port below":       {func(s *lb.Service) { s.Mode, s.EndPort = lb.DSR, 79 }, []string{"end_port"}},
		"end port, replica at another of its ports": {func(s *lb.Service) {
			s.Mode, s.EndPort, s.Replicas[1].Address = lb.DSR, 99, ends("10.1.1.2:81")
		}, []string{"replicas[1].address"}},
		"state":            {func(s *lb.Service) { s.Replicas[1].State, s.TableSize = 3, 2 }, []string{"replicas[1].state"}},
		"modulo, draining": {func(s *lb.Service) { s.Replicas[1].State = lb.Draining }, []string{"table_size"}},
		"hash":             {func(s *lb.Service) { s.Hash = 2 }, []string{"hash"}},
		"modulo, more":     {func(s *lb.Service) { s.TableSize = 4 }, []string{"table_size"}},
		"modulo, none":     {func(s *lb.Service) { s.TableSize = 0 }, []string{"table_size"}},
		"replica port 0":   {func(s *lb.Service) { s.Replicas[1].Address = ends("10.1.1.2:0") }, []string{"replicas[1].address"}},
		"replica is vip":   {func(s *lb.Service) { s.Replicas[1].Address = s.VIP.Address }, []string{"replicas[1].address"}},
		"vip, other port":  {func(s *lb.Service) { s.Replicas[1].Address = ends("10.0.1.1:81") }, []string{"replicas[1].address"}},
		"replica twice":    {func(s *lb.Service) { s.Replicas[2] = s.Replicas[0] }, []string{"replicas[2].address"}},
		"replica ipv6":     {func(s *lb.Service) { s.Replicas[1].Address = ends("[2001:db8::1]:80") }, []string{"replicas[1].address"}},
		"weight 0":         {func(s *lb.Service) { s.Replicas[0].Weight = 0 }, []string{"replicas[0].weight"}},
		"modulo, weight 2": {func(s *lb.Service) { s.Replicas[2].Weight = 2 }, []string{"replicas[2].weight"}},
		"maglev, weight 0": {func(s *lb.Service) { s.Scheduler, s.TableSize, s.Replicas[1].Weight = lb.Maglev, 13, 0 },
			[]string{"replicas[1].weight"}},
		"several": {func(s *lb.Service) {
			s.VIP.Protocol, s.TableSize, s.Replicas[0].Weight, s.Replicas[2].Address = 0, 9, 0, ends("10.1.1.3:0")
		}, []string{"vip.protocol", "table_size", "replicas[0].weight", "replicas[2].address"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := valid(1)
			c.change(&s)
			err := s.Validate()
			if diff := cmp.Diff(c.fields, fieldsOf(t, err)); diff != "" {
				t.Errorf("fields (-want +got):\n%s%v", diff, err)
			}
		})
	}
}

// TestValidateIPv6 has the addresses that only IPv6 has.
func TestValidateIPv6(t *testing.T) {
	for name, address := range map[string]string{
		"unspecified": "[::]:80", "loopback": "[::1]:80", "multicast": "[ff02::1]:80", "mapped": "[::ffff:10.0.0.1]:80",
		"zone": "[fe80::1%eth0]:80", "port 0": "[2001:db8::1]:0",
	} {
		s := lb.Service{VIP: lb.VIP{Address: ends(address), Protocol: packet.TCP}}
		if diff := cmp.Diff([]string{"vip.address"}, fieldsOf(t, s.Validate())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	local := lb.Service{VIP: lb.VIP{Address: ends("[2001:db8::1]:80"), Protocol: packet.TCP}, Replicas: []lb.Replica{{Address: ends("[fe80::1]:80")}}}
	if diff := cmp.Diff([]string{"replicas[0].address"}, fieldsOf(t, local.WithDefaults().Validate())); diff != "" {
		t.Errorf("a link-local replica (-want +got):\n%s", diff)
	}
	for _, mode := range []lb.Mode{lb.NAT, lb.DSR, lb.IPIP} { // 6in4 is not known
		s := lb.Service{VIP: lb.VIP{Address: ends("[2001:db8::1]:80"), Protocol: packet.TCP}, Mode: mode, Replicas: []lb.Replica{{Address: ends("10.1.1.1:80")}}}
		if diff := cmp.Diff([]string{"replicas[0].address"}, fieldsOf(t, s.WithDefaults().Validate())); diff != "" {
			t.Errorf("ipv4 behind ipv6, %v (-want +got):\n%s", mode, diff)
		}
	}
}

func TestValidateMaglevSize(t *testing.T) {
	for size, hint := range map[uint32]string{
		0: "from 3", 1: "from 3", 2: "from 3", // a prime, but there are 3 replicas
		4: "5 for instance", 9: "11 for instance", 65536: "65537 for instance", 65539 * 3: "for instance",
		lb.MaxMaglevSize - 1: "4194301 for instance", lb.MaxMaglevSize + 1: "up to 4194301", 1<<32 - 5: "up to 4194301",
	} {
		err := weighted(size).Validate()
		if diff := cmp.Diff([]string{"table_size"}, fieldsOf(t, err)); diff != "" || !strings.Contains(err.Error(), hint) {
			t.Errorf("%d: %v, want a hint %q", size, err, hint)
		}
	}
}
