package vm

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// fetchKernel downloads the distribution's kernel package, installs nothing, and keeps of it what a guest needs.
func fetchKernel(ctx context.Context, config Config) (kernel, error) {
	wantedPackage, cache := config.kernels()
	config.Step("download the guest's kernel")
	name, version, err := newestKernel(ctx, wantedPackage)
	if err != nil {
		return kernel{}, fmt.Errorf("find the package of a kernel: %w: %w", ErrMissing, err)
	}
	config.Log.Info("download a package, without installing it", "package", name, "version", version, "to", cache)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return kernel{}, fmt.Errorf("make cache of kernels: %w", err)
	}
	folder, err := os.MkdirTemp(cache, ".download-*")
	if err != nil {
		return kernel{}, fmt.Errorf("make cache of kernels: %w", err)
	}
	defer os.RemoveAll(folder)
	if _, err := ask(ctx, folder, "apt-get", "download", "-qq", name+"="+version); err != nil {
		return kernel{}, fmt.Errorf("download %s: %w: %w", name, ErrMissing, err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.deb"))
	if err != nil || len(files) != 1 {
		return kernel{}, fmt.Errorf("download %s: found %d files, %w", name, len(files), err)
	}
	c, err := unpack(ctx, files[0])
	if err != nil {
		return kernel{}, fmt.Errorf("unpack %s: %w", name, err)
	}
	load := func(name string) ([]byte, error) { return c.module(ctx, name) }
	modules, err := ordered(load, c.builtIn, append(wanted(wantedPackage), config.Modules...)...)
	if err != nil {
		return kernel{}, fmt.Errorf("unpack %s: %w", name, err)
	}
	k, err := keep(cache, name+"_"+version, unpackImage(ctx, c.image), modules)
	if err != nil {
		return kernel{}, fmt.Errorf("keep kernel: %w", err)
	}
	return k, nil
}

// kernelDependency finds package and version of "Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)".
var kernelDependency = regexp.MustCompile(`(?m)^Depends:.*?\b(linux-image-[0-9][^ ]*) \(= ([^)]+)\)`)

// newestKernel asks which kernel a package depends on.
func newestKernel(ctx context.Context, wanted string) (name, version string, err error) {
	show := []string{"apt-cache", "show", "--no-all-versions", wanted}
	out, err := ask(ctx, "", show...)
	if err != nil {
		// Perhaps the lists of packages were never fetched.
		if _, err := ask(ctx, "", "apt-get", "update", "-qq"); err != nil {
			return "", "", err
		}
		if out, err = ask(ctx, "", show...); err != nil {
			return "", "", err
		}
	}
	found := kernelDependency.FindSubmatch(out)
	if found == nil {
		return "", "", fmt.Errorf("%s depends on no kernel", wanted)
	}
	return string(found[1]), string(found[2]), nil
}

// contents are the files of a kernel package that matter.
type contents struct {
	image []byte
	// builtIn are the names of the modules that are in the image.
	builtIn []string
	// modules are ELF files, or, as of Debian 13, packed ones: many, of which few are needed.
	modules, packed map[string][]byte
}

// module returns the ELF file of a module.
func (c *contents) module(ctx context.Context, name string) ([]byte, error) {
	if content, ok := c.modules[name]; ok {
		return content, nil
	}
	packed, ok := c.packed[name]
	if !ok {
		return nil, errors.New("there is none of that name")
	}
	return unxz(ctx, packed)
}

// unpackImage returns the kernel inside an image that a boot loader would have it unpack itself, which takes an emulated
// processor seconds. An image that is packed otherwise than by xz, as Debian's are not, stays as it is.
// (Linux, Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length; QEMU enters the kernel by its note
// XEN_ELFNOTE_PHYS32_ENTRY.)
func unpackImage(ctx context.Context, image []byte) []byte {
	if len(image) < 0x250 || string(image[0x202:0x206]) != "HdrS" {
		return image
	}
	setup := (uint64(image[0x1f1]) + 1) * 512
	offset := setup + uint64(binary.LittleEndian.Uint32(image[0x248:]))
	end := offset + uint64(binary.LittleEndian.Uint32(image[0x24c:]))
	if end > uint64(len(image)) || !bytes.HasPrefix(image[offset:end], []byte("\xfd7zXZ\x00")) {
		return image
	}
	kernel, err := unxz(ctx, image[offset:end-4]) // the last four bytes are its length
	if err != nil || !bytes.HasPrefix(kernel, []byte(elf.ELFMAG)) {
		return image
	}
	return kernel
}

// unxz unpacks what xz packed.
func unxz(ctx context.Context, packed []byte) ([]byte, error) {
	xz := exec.CommandContext(ctx, "xz", "-dc")
	xz.Stdin = bytes.NewReader(packed)
	content, err := xz.Output()
	if err != nil {
		return nil, fmt.Errorf("unpack it with xz (package xz-utils): %w", err)
	}
	return content, nil
}

// unpack reads a Debian package: dpkg-deb makes a tar archive of it.
func unpack(ctx context.Context, file string) (contents, error) {
	c := contents{modules: map[string][]byte{}, packed: map[string][]byte{}}
	var said bytes.Buffer
	deb := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	deb.Stderr = &said
	out, err := deb.StdoutPipe()
	if err != nil {
		return c, err
	}
	if err := deb.Start(); err != nil {
		return c, err
	}
	read := c.readAll(out)
	_, _ = io.Copy(io.Discard, out) // it must be able to end
	if err := deb.Wait(); err != nil {
		return c, fmt.Errorf("run dpkg-deb: %w: %s", err, tail(said.Bytes()))
	}
	if read == nil && c.image == nil {
		return c, errors.New("there is no kernel in it")
	}
	return c, read
}

func (c *contents) readAll(archive io.Reader) error {
	for t := tar.NewReader(archive); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := c.take(header.Name, t); err != nil {
			return fmt.Errorf("read %s: %w", header.Name, err)
		}
	}
}

// network matches the files of modules that a NIC's driver may need.
var network = regexp.MustCompile(`/kernel/(net|lib|drivers/(net|virtio|ptp|pps))/`)

// take reads a file if it matters.
func (c *contents) take(name string, r io.Reader) (err error) {
	base := path.Base(name)
	switch {
	case strings.HasPrefix(base, "vmlinuz-"):
		c.image, err = io.ReadAll(r)
	case base == "modules.builtin":
		var list []byte
		list, err = io.ReadAll(r)
		for file := range strings.Lines(string(list)) {
			c.builtIn = append(c.builtIn, moduleName(strings.TrimSpace(file)))
		}
	case strings.Contains(base, ".ko") && !network.MatchString(name): // of hundreds of megabytes
	case strings.HasSuffix(base, ".ko"):
		c.modules[moduleName(base)], err = io.ReadAll(r)
	case strings.HasSuffix(base, ".ko.xz"):
		c.packed[moduleName(base)], err = io.ReadAll(r)
	}
	return err
}
