package hold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"lbctl/testbed/helper"
)

// Helper is the clients as a helper process, which takes orders until SIGTERM.
func Helper() helper.Helper[Config] { return helper.Helper[Config]{Name: "hold", Run: Run} }

// Run carries out orders until standard input or the context ends, which is no error, and
// closes its connections.
func Run(ctx context.Context, c Config, stdin io.Reader, stdout io.Writer) error {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return err
	}
	h := &holder{config: c}
	defer h.close()
	orders, ended := make(chan Order), make(chan error, 1)
	go func() { ended <- read(ctx, stdin, orders) }() // ends with standard input, at the latest with the process
	answers := json.NewEncoder(stdout)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return err
		case o := <-orders:
			if err := answers.Encode(h.do(ctx, o)); err != nil {
				return fmt.Errorf("answer an order: %w", err)
			}
		}
	}
}

// read passes the orders on until there are no more.
func read(ctx context.Context, stdin io.Reader, orders chan<- Order) error {
	d := json.NewDecoder(stdin)
	d.DisallowUnknownFields()
	for {
		var o Order
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		select {
		case orders <- o:
		case <-ctx.Done():
			return nil
		}
	}
}

// holder holds connections. One goroutine.
type holder struct {
	config Config
	held   []*connection
	opened int // so far
	rounds uint64
}

func (h *holder) do(ctx context.Context, o Order) Report {
	var r Report
	r.Closed = h.finish(o.Close)
	if o.Ask {
		r.Asked, r.Lost = h.ask(o.Silent)
	}
	for _, w := range o.Open {
		opened, refused := h.open(ctx, w)
		r.Opened, r.Refused = append(r.Opened, opened...), append(r.Refused, refused...)
	}
	return r
}

func (h *holder) close() {
	for _, c := range h.held {
		_ = c.conn.Close()
	}
}
