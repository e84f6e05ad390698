package vm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// KernelPackage depends on the newest kernel of the distribution that is built for guests.
const KernelPackage = "linux-image-cloud-amd64"

// PlainKernel depends on the newest kernel of the distribution for any machine: a larger package, with the drivers of
// NICs that have hardware.
const PlainKernel = "linux-image-amd64"

// Cache is where kernels are kept, unpacked: a folder for each package that depends on them and the modules asked for, in it
// one for each, named after package and version.
const Cache = "/var/cache/lbctl/vm"

// The files of a kernel's folder: the image, and a folder of modules, whose names begin with their place
// in the order of loading.
const (
	imageFile    = "vmlinuz"
	moduleFolder = "modules"
)

// wanted returns the modules without which the guest has no NIC, or cannot make links of its own. Kernels built for clouds
// have drivers of few NICs.
func wanted(kernelPackage string) []string {
	modules := []string{"virtio_pci", "virtio_net", "veth", "tun"}
	if strings.Contains(kernelPackage, "cloud") {
		return modules
	}
	return append(modules, "e1000", "ne2k_pci")
}

// kernels returns the package that depends on the guest's kernel, and the folder where its kernels are kept.
func (c Config) kernels() (name, folder string) {
	name, folder = cmp.Or(c.Kernel, KernelPackage), cmp.Or(c.Cache, Cache)
	return name, filepath.Join(folder, strings.Join(append([]string{name}, c.Modules...), "+"))
}

// kernel is a kernel for the guest, unpacked in a folder.
type kernel struct{ folder string }

// name returns package and version.
func (k kernel) name() string { return filepath.Base(k.folder) }

func (k kernel) image() string { return filepath.Join(k.folder, imageFile) }

// modules reads the modules in the order of loading.
func (k kernel) modules() ([]module, error) {
	entries, err := os.ReadDir(filepath.Join(k.folder, moduleFolder))
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	var all []module
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(k.folder, moduleFolder, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read module: %w", err)
		}
		_, name, _ := strings.Cut(entry.Name(), "-") // behind its place
		all = append(all, module{moduleName(name), content})
	}
	return all, nil
}

// initramfs writes the guest's root file system to a file without a name, of which nothing is left
// behind whatever happens.
func (k kernel) initramfs(config Config) (*os.File, error) {
	modules, err := k.modules()
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("initramfs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make initramfs: %w", err)
	}
	f := os.NewFile(uintptr(fd), "initramfs")
	if err := writeInitramfs(f, modules, config); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// findKernel returns the kernel that was unpacked last, or, if there is none, fetches the distribution's,
// if allowed.
func findKernel(ctx context.Context, config Config) (kernel, error) {
	name, cache := config.kernels()
	images, err := filepath.Glob(filepath.Join(cache, "linux-image-*", imageFile))
	if err != nil {
		return kernel{}, fmt.Errorf("list kernels: %w", err)
	}
	if len(images) > 0 {
		return kernel{filepath.Dir(slices.MaxFunc(images, byAge))}, nil
	}
	if !config.Install {
		return kernel{}, fmt.Errorf("find a kernel in %s: %w: allow to download the package that %s depends on, which is not installed", cache, ErrMissing, name)
	}
	return fetchKernel(ctx, config)
}

// byAge compares when two files were written.
func byAge(a, b string) int {
	written := func(path string) time.Time {
		info, err := os.Stat(path)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	return written(a).Compare(written(b))
}

// keep puts a kernel's files in a folder of the cache in one step: it is there whole, or not.
func keep(cache, name string, image []byte, modules []module) (kernel, error) {
	k := kernel{filepath.Join(cache, name)}
	temporary, err := os.MkdirTemp(cache, ".unpack-*")
	if err != nil {
		return k, err
	}
	defer os.RemoveAll(temporary)
	if err := os.Mkdir(filepath.Join(temporary, moduleFolder), 0o755); err != nil {
		return k, err
	}
	for i, m := range modules {
		name := fmt.Sprintf("%02d-%s.ko", i, m.name)
		if err := os.WriteFile(filepath.Join(temporary, moduleFolder, name), m.content, 0o644); err != nil {
			return k, err
		}
	}
	if err := os.WriteFile(filepath.Join(temporary, imageFile), image, 0o644); err != nil {
		return k, err
	}
	if err := os.Rename(temporary, k.folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return k, err // unless another run was faster
	}
	return k, nil
}
