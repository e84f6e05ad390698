package guest

import "testing"

func TestReceiveInterrupt(t *testing.T) {
	const text = `           CPU0
  3:         60   IO-APIC   3-edge      ttyS1
 10:          4   IO-APIC  10-fasteoi   eth1
 24:          0   PCI-MSI 49152-edge      virtio0-config
 25:         17   PCI-MSI 49153-edge      virtio0-input.0
LOC:       3237   Local timer interrupts
ERR:          0
`
	for _, c := range []struct {
		nic, device string
		want        Interrupt
	}{
		{"eth1", "0000:00:02.0", Interrupt{10, "eth1", 4}},
		{"eth0", "virtio0", Interrupt{25, "virtio0-input.0", 17}},
	} {
		if got, err := receiveInterrupt(text, c.nic, c.device); got != c.want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", c.nic, got, err, c.want)
		}
	}
	if got, err := receiveInterrupt(text, "eth9", "virtio9"); err == nil {
		t.Errorf("eth9 has the interrupt %+v", got)
	}
}
