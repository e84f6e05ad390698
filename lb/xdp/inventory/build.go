package inventory

import (
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"slices"

	"lbctl/bpf"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// Compiled is a program that this build brings.
type Compiled struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	Tag  string `json:"tag"`
}

// specs are the objects of this build, with the instructions that are loaded over the tables of a directory, but for the descriptors of maps.
func specs(dir string) (all []*ebpf.ProgramSpec, err error) {
	for _, load := range []func() (*ebpf.CollectionSpec, error){bpf.LoadLb, bpf.LoadCheck, bpf.LoadDecap} {
		spec, err := load()
		if err != nil {
			return nil, err
		}
		if err := size(spec, dir); err != nil {
			return nil, err
		}
		if err := bpf.Flatten(spec); err != nil {
			return nil, err
		}
		for _, p := range spec.Programs {
			// The calls of functions get their distances only when a program is written; the library hashes them without.
			if err := p.Instructions.Marshal(io.Discard, binary.LittleEndian); err != nil {
				return nil, fmt.Errorf("program %s: %w", p.Name, err)
			}
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *ebpf.ProgramSpec) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// size gives flat tables the rows of those that are pinned in a directory: they are operands of instructions. Where none is pinned it
// has those of the default limits.
func size(spec *ebpf.CollectionSpec, dir string) error {
	for name, table := range spec.Maps {
		if !bpf.IsFlat(table) {
			continue
		}
		pinned, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), &ebpf.LoadPinOptions{ReadOnly: true})
		if err != nil {
			continue
		}
		if rows, _ := bpf.Rows(pinned, table.ValueSize); rows > 0 {
			table.MaxEntries = rows
		}
		pinned.Close()
	}
	cache := spec.Maps[bpf.LbMapFibCache] // which is not pinned
	if cache == nil {
		return nil
	}
	cpus, err := ebpf.PossibleCPU()
	cache.MaxEntries = uint32(cpus) * bpf.FIBCacheEntries
	return err
}

// Build tells of the programs of this build, with the tags that this kernel gives them over the tables that are pinned in a directory.
func Build(dir string) ([]Compiled, error) {
	all, err := specs(dir)
	told := make([]Compiled, 0, len(all))
	for _, p := range all {
		tag, err := tagOf(p.Instructions)
		if err != nil {
			return nil, fmt.Errorf("program %s: %w", p.Name, err)
		}
		told = append(told, Compiled{p.Name, p.Type.String(), tag})
	}
	return told, err
}

// tagOf is the tag of instructions as bpf_prog_calc_tag makes it: the beginning of their SHA-256, of their SHA-1 before Linux 6.18,
// descriptors of maps left out.
func tagOf(all asm.Instructions) (string, error) {
	h := hash.Hash(sha256.New())
	if major, minor := version(Release()); major < 6 || major == 6 && minor < 18 {
		h = sha1.New()
	}
	for _, i := range all {
		if i.IsLoadFromMap() {
			i.Constant = 0
		}
		if _, err := i.Marshal(h, binary.LittleEndian); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:unix.BPF_TAG_SIZE]), nil
}

// isOurs reports whether a program is one of this build, over the tables that are pinned in a directory.
func isOurs(info *ebpf.ProgramInfo, dir string) bool {
	all, err := specs(dir)
	return err == nil && slices.ContainsFunc(all, func(p *ebpf.ProgramSpec) bool { return p.Compatible(info) == nil })
}

// Release is the kernel's, as uname -r has it; "" if it does not say.
func Release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func version(release string) (major, minor int) {
	_, _ = fmt.Sscanf(release, "%d.%d", &major, &minor)
	return major, minor
}

// Feature is something of the kernel that we use.
type Feature struct {
	Name  string `json:"name"`
	State string `json:"state" enum:"found,missing,unknown"`
	For   string `json:"used_for"`
	Error string `json:"error,omitempty"`
}

// Features looks for what we use of the kernel. Without privileges it is unknown.
func Features() (all []Feature) {
	helper := func(t ebpf.ProgramType, f asm.BuiltinFunc) func() error {
		return func() error { return features.HaveProgramHelper(t, f) }
	}
	table := func(t ebpf.MapType) func() error { return func() error { return features.HaveMapType(t) } }
	for _, f := range []struct {
		name, used string
		look       func() error
	}{
		{"program type xdp", "the datapath", func() error { return features.HaveProgramType(ebpf.XDP) }},
		{"program type sched_cls", "health checks in the modes dsr and ipip", func() error { return features.HaveProgramType(ebpf.SchedCLS) }},
		{"bounded loops", "the datapath", features.HaveBoundedLoops},
		{"mmap of arrays", "tables that are written without a system call", func() error { return features.HaveMapFlag(features.BPF_F_MMAPABLE) }},
		{"map type ringbuf", "monitor", table(ebpf.RingBuf)},
		{"helper bpf_fib_lookup", "the way back to clients", helper(ebpf.XDP, asm.FnFibLookup)},
		{"helper bpf_xdp_load_bytes", "monitor", helper(ebpf.XDP, asm.FnXdpLoadBytes)},
		{"helper bpf_xdp_adjust_head", "encapsulation", helper(ebpf.XDP, asm.FnXdpAdjustHead)},
		{"helper bpf_xdp_adjust_tail", "answers to packets that are too big", helper(ebpf.XDP, asm.FnXdpAdjustTail)},
	} {
		told := Feature{Name: f.name, For: f.used, State: "found"}
		if err := f.look(); errors.Is(err, ebpf.ErrNotSupported) {
			told.State = "missing"
		} else if err != nil {
			told.State, told.Error = "unknown", err.Error()
		}
		all = append(all, told)
	}
	return all
}
