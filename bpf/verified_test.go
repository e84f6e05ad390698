package bpf

import (
	"testing"

	"lbctl/bpf/need"

	"github.com/cilium/ebpf"
)

// mostVerified is half of what the verifier examines at most of a program (BPF_COMPLEXITY_LIMIT_INSNS of
// linux/bpf_verifier.h, a million): each kernel counts differently, and the next one may need more.
const mostVerified = 500_000

// Every program loads, and keeps its distance from the verifier's limit.
func TestVerifiedInstructions(t *testing.T) {
	need.Root(t)
	for object, read := range map[string]func() (*ebpf.CollectionSpec, error){
		"lb": LoadLb, "decap": LoadDecap, "observe": LoadObserve, "steer": LoadSteer, "losses": LoadLosses, "check": LoadCheck,
	} {
		spec, err := read()
		if err != nil {
			t.Fatal(err)
		}
		for name := range spec.Programs {
			if name == ObserveProgObserveHash {
				continue // it can only be loaded for one interface, whose driver has the hash
			}
			n := verified(t, spec, name)
			t.Logf("%s %s: %d instructions verified", object, name, n)
			if n == 0 || n > mostVerified {
				t.Errorf("%s %s: %d instructions verified, want at most %d", object, name, n, mostVerified)
			}
		}
	}
}

// verified loads one program of an object and returns how many instructions the verifier examined.
func verified(t *testing.T, object *ebpf.CollectionSpec, name string) uint32 {
	t.Helper()
	spec := object.Copy()
	spec.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
	if v := spec.Variables[LbVarRejects]; v != nil { // else newer kernels skip what is not called
		if err := v.Set(true); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
		if m.Type != ebpf.SkStorage { // it has no size
			m.MaxEntries = max(m.MaxEntries, 1)
		}
		if m.Type == ebpf.RingBuf {
			m.MaxEntries = 1 << 12
		}
	}
	if err := Flatten(spec); err != nil {
		t.Fatal(err)
	}
	all, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Errorf("load %s: %v", name, err)
		return 0
	}
	defer all.Close()
	info, err := all.Programs[name].Info()
	if err != nil {
		t.Fatal(err)
	}
	n, _ := info.VerifiedInstructions()
	return n
}
