package balance

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/cli/clitest"
	"lbctl/lb"
	"lbctl/lb/oracle"
)

// everywhere is one way to all addresses, out of eth1.
type everywhere struct{}

func (everywhere) Route(netip.Addr) (oracle.Route, bool) {
	return oracle.Route{Interface: "eth1", Index: 3, MTU: 1500, Source: lb.MAC{2, 0, 0, 0, 0, 3}, Neighbour: lb.MAC{2, 0, 0, 0, 0, 9},
		Preferred: netip.MustParseAddr("10.0.0.254")}, true
}

const tunnelled = clitest.WebConfig + `  - name: tunnel
    vip: 192.0.2.3:80
    mode: ipip
    replicas: [{address: 10.0.0.5:80}]
`

// routedWorld has a daemon whose packets find a way out.
func routedWorld(t *testing.T) *clitest.World {
	t.Helper()
	w := newWorld(t)
	w.Memory = oracle.New(oracle.Config{Interfaces: map[string]int{"eth0": 2, "eth1": 3}, Routes: everywhere{}})
	w.Serve("-f", w.Write("web.yaml", tunnelled))
	return w
}

// TestExplainOutput: the way of a packet, step by step.
func TestExplainOutput(t *testing.T) {
	w := routedWorld(t)
	for _, c := range []struct{ line, want string }{
		{"explain --src 198.51.100.7:40000 --dst 192.0.2.1:80", `flow       tcp 198.51.100.7:40000 > 192.0.2.1:80
reason     forwarded
action     sent on
service    web (nat, modulo, jhash, 2 replicas)
hash       0x4c776042
slot       0 (owner 10.0.0.1:8080)
replica    10.0.0.1:8080 (owner of the slot)
rewritten  tcp 198.51.100.7:40000 > 10.0.0.1:8080
fields     eth.dst      00:00:00:00:00:00 > 02:00:00:00:00:09
           eth.src      00:00:00:00:00:00 > 02:00:00:00:00:03
           ip.ttl       64 > 63
           ip.checksum  0x8e94 > 0x4795
           ip.dst       192.0.2.1 > 10.0.0.1
           tcp.dport    80 > 8080
           tcp.checksum 0x2708 > 0xbfc8
next hop   eth1, from 02:00:00:00:00:03 to 02:00:00:00:00:09
`},
		{"explain --src 198.51.100.7:40000 --dst 192.0.2.3:80 --flags syn", `flow       tcp 198.51.100.7:40000 > 192.0.2.3:80
reason     forwarded
action     sent on
service    tunnel (ipip, modulo, jhash, 1 replica)
hash       0x1edf1a2d
slot       0 (owner 10.0.0.5:80)
replica    10.0.0.5:80 (owner of the slot)
rewritten  tcp 198.51.100.7:40000 > 192.0.2.3:80
tunnel     10.0.0.254 > 10.0.0.5
fields     eth.dst        00:00:00:00:00:00 > 02:00:00:00:00:09
           eth.src        00:00:00:00:00:00 > 02:00:00:00:00:03
           outer.version  none > 4
           outer.tos      none > 0x00
           outer.length   none > 60
           outer.id       none > 0x0000
           outer.fragment none > df 0
           outer.ttl      none > 64
           outer.protocol none > protocol-4
           outer.checksum none > 0x25bc
           outer.src      none > 10.0.0.254
           outer.dst      none > 10.0.0.5
           ip.ttl         64 > 63
           ip.checksum    0x8e92 > 0x8f92
next hop   eth1, from 02:00:00:00:00:03 to 02:00:00:00:00:09
`},
		{"replica set web 10.0.0.1:8080 --state draining", "10.0.0.1:8080 changed in web\n"},
		{"explain --src 198.51.100.7:40000 --dst 192.0.2.1:80", `flow       tcp 198.51.100.7:40000 > 192.0.2.1:80
reason     forwarded
action     sent on
service    web (nat, modulo, jhash, 2 replicas)
hash       0x4c776042
slot       0, in transition (owner 10.0.0.2:8080, previous owner 10.0.0.1:8080)
replica    10.0.0.1:8080 (previous owner of the slot, and the flow is from before the change)
rewritten  tcp 198.51.100.7:40000 > 10.0.0.1:8080
fields     eth.dst      00:00:00:00:00:00 > 02:00:00:00:00:09
           eth.src      00:00:00:00:00:00 > 02:00:00:00:00:03
           ip.ttl       64 > 63
           ip.checksum  0x8e94 > 0x4795
           ip.dst       192.0.2.1 > 10.0.0.1
           tcp.dport    80 > 8080
           tcp.checksum 0x2708 > 0xbfc8
next hop   eth1, from 02:00:00:00:00:03 to 02:00:00:00:00:09
`},
	} {
		got := w.OK(strings.Fields(c.line)...)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("lbctl %s (-want +got):\n%s", c.line, diff)
		}
	}
}

// files makes a machine of files and symbolic links ("link -> target").
func files(t *testing.T, tree map[string]string) machine {
	t.Helper()
	root := t.TempDir()
	for name, text := range tree {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, isLink := strings.CutPrefix(text, "-> "); isLink {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return machine{root}
}

const interrupts = `           CPU0       CPU1
 24:          1          0  IO-APIC   5-edge      ACPI:Ged
 37:          0          0 PCI-MSIX-0000:00:03.0   0-edge      virtio2-config
 38:          0       8707 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0
 39:       6086          0 PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0
 40:       6086          0 PCI-MSIX-0000:00:03.0   3-edge      virtio2-input.1
 41:       6086          0 PCI-MSIX-0000:00:03.0   3-edge      virtio22-input.2
 50:       6086          0 PCI-MSIX-0000:00:04.0   3-edge      i40e-eth1-TxRx-0
 51:       6086          0 PCI-MSIX-0000:00:04.0   3-edge      i40e-eth1-TxRx-10
 52:       6086          0 PCI-MSIX-0000:00:04.0   3-edge      eth10-rx-1
 53:       6086          0 PCI-MSIX-0000:00:04.0   3-edge      eth3-tx-0
 60:       6086          0 PCI-MSIX-0000:00:05.0   3-edge      mlx5_comp3@pci:0000:03:00.0
NMI:          0          0   Non-maskable interrupts
`

func TestCore(t *testing.T) {
	m := files(t, map[string]string{
		"proc/interrupts":                     interrupts,
		"sys/class/net/eth0/address":          "02:00:00:00:00:00\n",
		"sys/class/net/eth0/device":           "-> ../../../virtio2",
		"sys/class/net/eth1/address":          "02:00:00:00:00:01\n",
		"sys/class/net/eth1/device":           "-> ../../../0000:00:04.0",
		"sys/class/net/eth2/address":          "02:00:00:00:00:02\n",
		"sys/class/net/eth2/device":           "-> ../../../0000:03:00.0",
		"sys/class/net/eth3/address":          "02:00:00:00:00:03\n",
		"sys/class/net/eth3/device":           "-> ../../../0000:00:06.0",
		"sys/class/net/eth4/address":          "02:00:00:00:00:04\n",
		"proc/irq/38/effective_affinity_list": "1\n",
		"proc/irq/40/effective_affinity_list": "\n",
		"proc/irq/40/smp_affinity_list":       "0-1\n",
		"proc/irq/50/smp_affinity_list":       "3\n",
		"proc/irq/60/effective_affinity_list": "7\n",
	})
	for _, c := range []struct {
		name      string
		queue     int
		number    int
		interrupt int
		why       string
	}{
		{"eth0", 0, 1, 38, ""},
		{"eth0", 1, -1, 40, "the interrupt may run on any of 0-1"},
		{"eth0", 2, -1, 0, "no interrupt has the name of eth0"},
		{"eth1", 0, 3, 50, ""},
		{"eth1", 1, -1, 0, "no interrupt has the name"},
		{"eth1", 10, -1, 51, "the kernel does not tell where"},
		{"eth2", 3, 7, 60, ""},
		{"eth3", 0, -1, 0, "no interrupt has the name"},
		{"eth4", 0, -1, 0, "eth4 is no device"},
		{"eth5", 0, -1, 0, "/sys does not show eth5"},
	} {
		got := m.core(c.name, "02:00:00:00:00:0"+c.name[3:], c.queue)
		if got.number != c.number || got.interrupt != c.interrupt || !strings.HasPrefix(got.why, c.why) || (c.why == "") != (got.why == "") {
			t.Errorf("%s queue %d: %+v, want %+v", c.name, c.queue, got, c)
		}
	}
	if got := (machine{t.TempDir()}).core("eth0", "02:00:00:00:00:00", 0); got.number != -1 || got.why == "" {
		t.Errorf("without proc: %+v", got)
	}
	// An interface of the same name in another network namespace.
	if got := m.core("eth0", "02:00:00:00:00:77", 0); got.number != -1 || !strings.HasPrefix(got.why, "/sys does not show eth0") {
		t.Errorf("eth0 of another namespace: %+v", got)
	}
}
