package ingress

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
