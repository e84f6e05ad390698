package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"lbctl/testbed/helper"
	"lbctl/testbed/vm/line"
)

// Role is a helper that is the only process of a guest, too, and obeys orders of an experiment: each order has one
// answer. An error of obey is told to the host, and ends nothing.
func Role[O, A any](name string, obey func(O) (A, error)) helper.Helper[struct{}] {
	return helper.Helper[struct{}]{Name: name, Run: func(context.Context, struct{}, io.Reader, io.Writer) error {
		return play(func(text json.RawMessage) (any, error) {
			var order O
			if err := json.Unmarshal(text, &order); err != nil {
				return nil, fmt.Errorf("decode order: %w", err)
			}
			return obey(order)
		})
	}}
}

// play is the whole life of a guest with a role. As process 1 it returns only with an error. Anywhere else it refuses.
func play(obey func(json.RawMessage) (any, error)) error {
	if os.Getpid() != 1 {
		return fmt.Errorf("start guest: process %d of a machine that is not a guest", os.Getpid())
	}
	if err := errors.Join(mount(), mountTracer(), loadModules(Modules)); err != nil {
		return err
	}
	port, err := openPort()
	if err != nil {
		return err
	}
	if err := line.Write(port, line.Message{Hello: &line.Hello{Kernel: release()}}); err != nil {
		return err
	}
	for r := line.NewReader(port); ; {
		m, err := r.Read()
		if err != nil {
			return err
		}
		if err := line.Write(port, answer(m, obey)); err != nil {
			return err
		}
	}
}

// answer is what obey makes of an order.
func answer(m line.Message, obey func(json.RawMessage) (any, error)) (said line.Message) {
	did, err := obey(m.Order)
	if err == nil {
		said.Answer, err = json.Marshal(did)
	}
	if err != nil {
		said.Failed = err.Error()
	}
	return said
}

// Tracer is where a role finds the kernel's tracer.
const Tracer = "/sys/kernel/tracing"

func mountTracer() error {
	if err := unix.Mount("tracefs", Tracer, "tracefs", 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", Tracer, err)
	}
	return nil
}
