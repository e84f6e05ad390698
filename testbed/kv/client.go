package kv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/helper"
	"lbctl/testbed/journal"
	"lbctl/testbed/traffic/dial"
)

// Half is the line that the clients print when half of the requests on every connection were answered: all
// connections are open and silent. They go on when a line arrives on standard input.
const Half = "half"

// Clients says what is requested, from where.
type Clients struct {
	VIP netip.AddrPort
	// Sources are the addresses of the connections; a port that is 0 is left to the kernel.
	Sources []netip.AddrPort
	Plan    Plan
	// Values is the seed of the keys' values.
	Values uint64
	// Concurrency is how many connections have a request under way at a time.
	Concurrency int
	// Timeout bounds each connect and each request.
	Timeout time.Duration
	// Log is the path of a journal of Request.
	Log string
}

// Request is one request as the client saw it.
type Request struct {
	Connection int
	// Flow is client > VIP.
	Flow packet.Flow
	// Key is the key's number, or Hello. Put tells set from get.
	Key int
	Put bool
	// Err is empty when the right answer came.
	Err string
}

// Client is the clients as a helper process.
func Client() helper.Helper[Clients] { return helper.Helper[Clients]{Name: "kv-client", Run: Run} }

// Run opens the connections, makes the requests and closes the connections. A request that fails is no error of Run:
// the log says so. After the first that fails nothing more is sent on its connection, and what was to be sent is logged as failed.
func Run(ctx context.Context, c Clients, stdin io.Reader, stdout io.Writer) error {
	if err := c.Plan.Validate(); err != nil {
		return fmt.Errorf("clients: %w", err)
	}
	if len(c.Sources) != c.Plan.Connections || c.Concurrency < 1 {
		return fmt.Errorf("clients: %d sources of %d connections, %d at a time", len(c.Sources), c.Plan.Connections, c.Concurrency)
	}
	log, err := journal.Create[Request](c.Log)
	if err != nil {
		return err
	}
	return errors.Join(c.run(ctx, log, bufio.NewReader(stdin), stdout), log.Close())
}

func (c Clients) run(ctx context.Context, log *journal.Journal[Request], stdin *bufio.Reader, stdout io.Writer) error {
	clients := make([]*client, c.Plan.Connections)
	for i, steps := range c.Plan.Steps() {
		clients[i] = &client{number: i, steps: append([]Step{{Key: Hello}}, steps...), config: c, log: log}
	}
	defer func() {
		for _, l := range clients {
			l.close()
		}
	}()
	c.each(clients, func(l *client) { l.work(ctx, (len(l.steps)+1)/2) })
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, Half); err != nil {
		return fmt.Errorf("print at the barrier: %w", err)
	}
	if _, err := stdin.ReadString('\n'); err != nil {
		return fmt.Errorf("wait at the barrier: %w", err)
	}
	c.each(clients, func(l *client) {
		l.work(ctx, len(l.steps))
		l.close()
	})
	return ctx.Err()
}

// each calls f for all clients, Concurrency at a time, in random order: a store that hands connections to its threads in turn
// must not meet the classes of the plan in turn.
func (c Clients) each(clients []*client, f func(*client)) {
	queue := make(chan *client, len(clients))
	for _, i := range rand.New(rand.NewPCG(c.Plan.Seed, uint64(c.Plan.Keys))).Perm(len(clients)) {
		queue <- clients[i]
	}
	close(queue)
	var all sync.WaitGroup
	for range min(c.Concurrency, len(clients)) {
		all.Go(func() {
			for l := range queue {
				f(l)
			}
		})
	}
	all.Wait()
}

// client is one connection. One goroutine at a time.
type client struct {
	number int
	steps  []Step // those still to be done
	config Clients
	log    *journal.Journal[Request]
	conn   *net.TCPConn
	reader *bufio.Reader
	flow   packet.Flow
	broken error
}

// work does the next n steps, and connects before the first.
func (l *client) work(ctx context.Context, n int) {
	if l.conn == nil && l.broken == nil {
		l.broken = l.open(ctx)
	}
	for _, s := range l.steps[:n] {
		if l.broken == nil {
			l.broken = l.exchange(s)
		}
		r := Request{Connection: l.number, Flow: l.flow, Key: s.Key, Put: s.Put}
		if l.broken != nil {
			r.Err = l.broken.Error()
		}
		l.log.Append(r)
	}
	l.steps = l.steps[n:]
}

func (l *client) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.config.Timeout)
	defer cancel()
	source := l.config.Sources[l.number]
	l.flow = packet.Flow{Source: source, Destination: l.config.VIP, Protocol: packet.TCP}
	conn, err := dial.FromPort(ctx, source, l.config.VIP)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	l.flow.Source, l.conn, l.reader = dial.Local(conn), conn, bufio.NewReader(conn)
	return nil
}

func (l *client) close() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

func (l *client) exchange(s Step) error {
	if err := l.conn.SetDeadline(time.Now().Add(l.config.Timeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	if s.Key == Hello {
		return ask(l.conn, l.reader, "version\r\n", "VERSION ")
	}
	value := Value(l.config.Values, s.Key)
	if s.Put {
		return put(l.conn, l.reader, s.Key, value)
	}
	if err := ask(l.conn, l.reader, "get "+name(s.Key)+"\r\n", fmt.Sprintf("VALUE %s 0 %d\r\n", name(s.Key), len(value))); err != nil {
		return err
	}
	if err := expect(l.reader, string(value)+"\r\n"); err != nil {
		return err
	}
	return expect(l.reader, "END\r\n")
}

// Fill puts all keys over a connection.
func Fill(conn net.Conn, seed uint64, keys int) error {
	reader := bufio.NewReader(conn)
	for key := range keys {
		if err := put(conn, reader, key, Value(seed, key)); err != nil {
			return fmt.Errorf("put key %d: %w", key, err)
		}
	}
	return nil
}

func put(conn net.Conn, reader *bufio.Reader, key int, value []byte) error {
	return ask(conn, reader, fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", name(key), len(value), value), "STORED\r\n")
}

// ask sends a request, and reads a line that has to begin in a way.
func ask(conn net.Conn, reader *bufio.Reader, request, answer string) error {
	if _, err := conn.Write([]byte(request)); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	return expect(reader, answer)
}

func expect(reader *bufio.Reader, want string) error {
	line, err := reader.ReadString('\n')
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if len(line) < len(want) || line[:len(want)] != want {
		return fmt.Errorf("answer %q: want %q", line, want)
	}
	return nil
}
