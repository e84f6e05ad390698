package vm

import (
	"bytes"
	"debug/elf"
	"fmt"
	"path"
	"slices"
	"strings"
)

// module is a kernel module: its name with underscores, and its ELF file.
type module struct {
	name    string
	content []byte
}

// ordered loads the wanted modules and what they need, and returns them in an order in which a kernel
// takes them, without those that are built in.
func ordered(load func(name string) ([]byte, error), builtIn []string, wanted ...string) ([]module, error) {
	var order []module
	var visit func(name string) error
	visit = func(name string) error {
		known := func(m module) bool { return m.name == name }
		if slices.ContainsFunc(order, known) || slices.Contains(builtIn, name) {
			return nil
		}
		content, err := load(name)
		if err != nil {
			return fmt.Errorf("find module %s: %w", name, err)
		}
		needs, err := needed(content)
		if err != nil {
			return fmt.Errorf("read module %s: %w", name, err)
		}
		for _, n := range needs {
			if err := visit(n); err != nil {
				return err
			}
		}
		order = append(order, module{name, content})
		return nil
	}
	for _, name := range wanted {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// needed returns the names of the modules that a module depends on, which it says itself.
func needed(content []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("it has no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range bytes.SplitSeq(info, []byte{0}) {
		if list, ok := strings.CutPrefix(string(field), "depends="); ok && list != "" {
			return strings.Split(moduleName(list), ","), nil
		}
	}
	return nil, nil
}

// moduleName returns the name of the module in a file: foo_bar for kernel/x/foo-bar.ko.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}
