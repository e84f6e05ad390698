package vm

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path"
	"path/filepath"
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

// libraries returns the files that a dynamically linked program needs: its loader first, then
// the shared libraries, those of the libraries included. A static program needs none. Go
// links lbctl dynamically where there is a C compiler, for the sake of name resolution.
func libraries(program []byte) ([]string, error) {
	loader, names, err := linked(program)
	if err != nil || loader == "" {
		return nil, err
	}
	files := []string{loader}
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		file, content, err := findLibrary(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(files, file) || filepath.Base(file) == filepath.Base(loader) {
			continue
		}
		files = append(files, file)
		_, more, err := linked(content)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		names = append(names, more...)
	}
	return files, nil
}

// linked returns an ELF file's loader and the names of the libraries that it asks for.
func linked(content []byte) (loader string, names []string, err error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return "", nil, err
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			return "", nil, err
		}
		loader = strings.TrimRight(string(b), "\x00")
	}
	names, err = f.ImportedLibraries()
	return loader, names, err
}

// findLibrary looks where the loader looks without a cache (ld.so(8)), on Debian and elsewhere.
func findLibrary(name string) (file string, content []byte, err error) {
	for _, folder := range []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"} {
		file = filepath.Join(folder, name)
		if content, err = os.ReadFile(file); err == nil {
			return file, content, nil
		}
	}
	return "", nil, fmt.Errorf("find library %s: %w", name, err)
}
