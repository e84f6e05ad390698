package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"lbctl/testbed/vm/line"
)

// How long the guest may be silent before it counts as dead: many times what it needs, because the machine may be
// busy.
const answerTime = 3 * time.Minute

// Apply makes a change of the guest's NIC and returns what its driver then reports.
func (m *Machine) Apply(ctx context.Context, c line.Change) (line.Settings, error) {
	if err := line.Write(m.control, line.Message{Change: &c}); err != nil {
		return line.Settings{}, err
	}
	answer, err := m.receive(ctx, answerTime)
	if err != nil {
		return line.Settings{}, fmt.Errorf("set RSS of the guest: %w", err)
	}
	if answer.Settings == nil {
		return line.Settings{}, errors.New("set RSS of the guest: it answered something else")
	}
	return *answer.Settings, nil
}

// Ask gives an order to the guest's role, and decodes its answer.
func (m *Machine) Ask(ctx context.Context, order, answer any) error {
	text, err := json.Marshal(order)
	if err != nil {
		return fmt.Errorf("encode order: %w", err)
	}
	if err := line.Write(m.control, line.Message{Order: text}); err != nil {
		return err
	}
	said, err := m.receive(ctx, answerTime)
	if err != nil {
		return fmt.Errorf("give the guest an order: %w", err)
	}
	if err := json.Unmarshal(said.Answer, answer); err != nil {
		return fmt.Errorf("decode the guest's answer: %w", err)
	}
	return nil
}

// Run runs a program in the guest, by its path there, and returns what became of it.
func (m *Machine) Run(ctx context.Context, command ...string) (line.Ran, error) {
	if err := line.Write(m.control, line.Message{Run: command}); err != nil {
		return line.Ran{}, err
	}
	answer, err := m.receive(ctx, answerTime)
	if err != nil {
		return line.Ran{}, fmt.Errorf("run %s in the guest: %w", command, err)
	}
	if answer.Ran == nil {
		return line.Ran{}, fmt.Errorf("run %s in the guest: it answered something else", command)
	}
	return *answer.Ran, nil
}

const (
	// window is how many frames are in flight at a time: fewer than a queue of the TAP (500) or
	// of the NIC (1024) holds, so that none is lost for lack of room.
	window = 256
	// patience is how long no frame may arrive before those that are missing count as lost.
	patience = 5 * time.Second
)

// Send puts frames on the wire and returns what the guest saw of them, in the order of arrival. The last four
// bytes of each are its tag, which identifies its sightings. A lost frame has no
// sighting, which is no error.
func (m *Machine) Send(ctx context.Context, frames [][]byte) ([]line.Sighting, error) {
	var seen []line.Sighting
	for len(frames) > 0 {
		n := min(window, len(frames))
		for _, frame := range frames[:n] {
			if err := m.wire.send(frame); err != nil {
				return seen, err
			}
		}
		arrived, err := m.sightings(ctx, n)
		seen = append(seen, arrived...)
		if err != nil {
			return seen, err
		}
		frames = frames[n:]
	}
	return seen, nil
}

// sightings waits for a number of them, or until the guest sees nothing more.
func (m *Machine) sightings(ctx context.Context, n int) ([]line.Sighting, error) {
	var seen []line.Sighting
	for len(seen) < n {
		message, err := m.receive(ctx, patience)
		if errors.Is(err, errSilent) {
			return seen, nil
		}
		if err != nil {
			return seen, fmt.Errorf("watch frames: %w", err)
		}
		seen = append(seen, message.Seen...)
	}
	return seen, nil
}

// errSilent is wrapped when the guest did not speak in time.
var errSilent = errors.New("the guest is silent")

// receive waits for the guest's next message, up to a limit. A failure of the guest is an error, and so is its
// end; its end and its silence are explained by the last lines of its console.
func (m *Machine) receive(ctx context.Context, limit time.Duration) (line.Message, error) {
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-ctx.Done():
		return line.Message{}, ctx.Err()
	case <-late.C:
		return line.Message{}, fmt.Errorf("%w for %v: %s", errSilent, limit, m.console.tail())
	case message, ok := <-m.messages:
		if !ok {
			return message, fmt.Errorf("the machine stopped: %s", m.console.tail())
		}
		if message.Failed != "" {
			return message, fmt.Errorf("in the guest: %s", message.Failed)
		}
		return message, nil
	}
}

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
