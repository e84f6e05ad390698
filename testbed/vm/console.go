package vm

import (
	"bytes"
	"slices"
	"sync"
)

// console keeps the end of what the guest's kernel and QEMU say. Safe for concurrent use; the
// zero value is empty.
type console struct {
	mu   sync.Mutex
	said []byte
}

// Write implements io.Writer. It never fails.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, b...)
	const most = 1 << 14
	c.said = c.said[max(0, len(c.said)-most):]
	return len(b), nil
}

// tail returns the last lines, or, where the kernel panicked, those up to the cause: what
// follows it are registers.
func (c *console) tail() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := slices.Clone(c.said)
	if at := bytes.Index(said, []byte("Kernel panic")); at >= 0 {
		cause, _, _ := bytes.Cut(said[at:], []byte("\n"))
		said = said[:at+len(cause)]
	}
	return tail(said)
}
