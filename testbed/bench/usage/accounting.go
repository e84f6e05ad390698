package usage

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Accounting is how the kernel counts CPU time.
type Accounting struct {
	// Apart is true when time in interrupts and softirqs is measured by itself, as Debian's
	// kernels do (CONFIG_IRQ_TIME_ACCOUNTING), and false when it is part of that of the process that
	// was interrupted.
	Apart bool
}

// ReadAccounting reads it from the kernel's configuration. Where there is none to be read, time in
// softirqs is taken to be part of the processes', which is the kernel's default.
func ReadAccounting() Accounting {
	const apart = "\nCONFIG_IRQ_TIME_ACCOUNTING=y\n"
	return Accounting{Apart: bytes.Contains(kernelConfig(), []byte(apart))}
}

// kernelConfig returns the configuration of the running kernel, nil if it does not say.
func kernelConfig() []byte {
	if f, err := os.Open("/proc/config.gz"); err == nil {
		defer f.Close()
		if z, err := gzip.NewReader(f); err == nil {
			text, _ := io.ReadAll(z)
			return text
		}
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil
	}
	text, _ := os.ReadFile("/boot/config-" + unix.ByteSliceToString(u.Release[:]))
	return text
}
