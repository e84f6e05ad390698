package vm

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// full is a writer without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

// newModule makes an ELF file with a section .modinfo, as small as it can be.
func newModule(info string) []byte {
	const names = "\x00.modinfo\x00.shstrtab\x00"
	start := binary.Size(elf.Header64{})
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: uint64(start), Size: uint64(len(info))},
		{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(start + len(info)), Size: uint64(len(names))},
	}
	header := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Shoff: uint64(start + len(info) + len(names)), Ehsize: uint16(start),
		Shentsize: uint16(binary.Size(elf.Section64{})), Shnum: uint16(len(sections)), Shstrndx: 2,
	}
	var b bytes.Buffer
	for _, part := range []any{header, []byte(info), []byte(names), sections} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func TestOrdered(t *testing.T) {
	all := map[string][]byte{
		"virtio_net":   newModule("license=GPL\x00depends=net-failover,virtio_ring,virtio\x00name=virtio_net\x00"),
		"net_failover": newModule("depends=failover\x00"),
		"failover":     newModule("depends=\x00"),
		"virtio_ring":  newModule("depends=virtio\x00"),
		"virtio":       newModule("license=GPL\x00"),
		"bad":          []byte("no ELF"),
		"lost":         newModule("depends=gone\x00"),
	}
	load := func(name string) ([]byte, error) {
		if content, ok := all[name]; ok {
			return content, nil
		}
		return nil, errors.New("there is none")
	}
	for _, c := range []struct {
		wanted, builtIn, order []string
		err                    string
	}{
		{wanted: []string{"virtio_net"}, order: []string{"failover", "net_failover", "virtio", "virtio_ring", "virtio_net"}},
		{wanted: []string{"virtio_ring", "virtio_net"}, order: []string{"virtio", "virtio_ring", "failover", "net_failover", "virtio_net"}},
		{wanted: []string{"virtio_net"}, builtIn: []string{"virtio", "virtio_ring"}, order: []string{"failover", "net_failover", "virtio_net"}},
		{wanted: []string{"virtio_pci"}, builtIn: []string{"virtio_pci"}},
		{wanted: []string{"lost"}, err: "gone"},
		{wanted: []string{"bad"}, err: "read module bad"},
	} {
		modules, err := ordered(load, c.builtIn, c.wanted...)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v: %v, want an error that names %q", c.wanted, err, c.err)
			}
			continue
		}
		var order []string
		for _, m := range modules {
			order = append(order, m.name)
			if diff := cmp.Diff(all[m.name], m.content); diff != "" {
				t.Errorf("%s: another content", m.name)
			}
		}
		if diff := cmp.Diff(c.order, order); diff != "" || err != nil {
			t.Errorf("%v: %v, order (-want +got):\n%s", c.wanted, err, diff)
		}
	}
}

func TestModuleName(t *testing.T) {
	for file, want := range map[string]string{
		"kernel/drivers/net/virtio_net.ko":  "virtio_net",
		"./lib/modules/6.12/virtio-x.ko.xz": "virtio_x",
		"net-failover":                      "net_failover",
	} {
		if got := moduleName(file); got != want {
			t.Errorf("moduleName(%q) = %q, want %q", file, got, want)
		}
	}
}

// A static program needs no libraries; a dynamic one needs those that ldd lists.
func TestLibraries(t *testing.T) {
	ldd, err := exec.LookPath("ldd")
	if err != nil {
		t.Skip("needs ldd, for a second opinion")
	}
	program, err := os.ReadFile("/bin/bash")
	if err != nil {
		t.Skip("needs a dynamically linked program, bash")
	}
	got, err := libraries(program)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), ldd, "/bin/bash").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, library := range got {
		if !strings.Contains(string(out), filepath.Base(library)) {
			t.Errorf("%s, which ldd does not list:\n%s", library, out)
		}
	}
	// linux-vdso is the kernel's own.
	if want := strings.Count(string(out), "\n") - strings.Count(string(out), "linux-vdso"); len(got) != want || want == 0 {
		t.Errorf("libraries %q, want %d:\n%s", got, want, out)
	}
	if got, err := libraries(newModule("static")); err != nil || len(got) != 0 {
		t.Errorf("libraries of a static file: %q, %v", got, err)
	}
	if _, err := libraries([]byte("#!/bin/sh\n")); err == nil {
		t.Error("a script has libraries")
	}
}
