package interrupts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"lbctl/testbed/netns"
	"lbctl/testbed/vm"
)

// Load is what the host sends in one turn.
type Load struct {
	// Packets is how many.
	Packets int
	// Rate is that of packets that do not wait for answers, per second. 0: each waits for the answer to the one before it,
	// and then for Pause.
	Rate  float64
	Pause time.Duration
	// Idle is how long nothing is sent instead.
	Idle time.Duration
}

// Turn is what one turn did.
type Turn struct {
	Counts
	// Sent is the number of packets, Sending how long the host took to send them.
	Sent    int
	Sending time.Duration
}

// generator sends to the guest's receivers, and gives the orders around that.
type generator struct {
	machine *vm.Machine
	// socket is the host's: it is not connected, so that it hears nothing of packets that come after their receiver has
	// ended. To are the receivers' addresses, by NIC; answers has what comes back.
	socket, answers *net.UDPConn
	to              []netip.AddrPort
	names           []string
	peer            netip.Addr
	work            int
}

// back is the NIC that answers leave by.
const back = 2

// open makes the sockets.
func (g *generator) open(in *netns.Namespace) error {
	return in.Do(func() (err error) {
		g.answers, err = net.ListenUDP("udp4", &net.UDPAddr{IP: g.peer.AsSlice(), Port: answerPort})
		if err != nil {
			return fmt.Errorf("listen for answers: %w", err)
		}
		if g.socket, err = net.ListenUDP("udp4", nil); err != nil {
			return fmt.Errorf("open socket: %w", err)
		}
		return nil
	})
}

// Close closes the sockets.
func (g *generator) Close() error { return errors.Join(g.answers.Close(), g.socket.Close()) }

// warmup is the number of packets before those that count: by the first the socket learns which NIC to poll, and a NIC
// that was masked by the turn before is not any more.
const warmup = 3

// turn is one turn of an arm.
func (g *generator) turn(ctx context.Context, a arm, l Load) (t Turn, err error) {
	var answer Answer
	start := Order{Start: &Start{NIC: g.names[a.nic], Back: g.names[back], Setup: a.setup, Work: g.work, Peer: g.peer.String()}}
	if err := g.machine.Ask(ctx, start, &answer); err != nil {
		return t, err
	}
	if err := g.converse(ctx, g.to[a.nic], warmup, 0); err != nil {
		return t, err
	}
	if err := g.machine.Ask(ctx, Order{Begin: true}, &answer); err != nil {
		return t, err
	}
	began := time.Now()
	switch {
	case l.Rate > 0:
		err = g.pace(ctx, g.to[a.nic], l)
	case l.Idle == 0:
		err = g.converse(ctx, g.to[a.nic], l.Packets, l.Pause)
	}
	if err != nil {
		return t, err
	}
	t.Sent, t.Sending = l.Packets, time.Since(began)
	err = g.machine.Ask(ctx, Order{End: &End{Packets: uint64(l.Packets), Idle: l.Idle}}, &answer)
	t.Counts = answer.Counts
	return t, err
}

// lost is how long an answer may take.
const lost = 20 * time.Second

// converse sends packets, each after the answer to the one before it and a pause.
func (g *generator) converse(ctx context.Context, to netip.AddrPort, packets int, pause time.Duration) error {
	packet := make([]byte, length)
	packet[0] = 1
	for range packets {
		if err := wait(ctx, pause); err != nil {
			return err
		}
		if _, err := g.socket.WriteToUDPAddrPort(packet, to); err != nil {
			return fmt.Errorf("send packet: %w", err)
		}
		if err := g.answers.SetReadDeadline(time.Now().Add(lost)); err != nil {
			return err
		}
		if _, err := g.answers.Read(packet); err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("wait for an answer of the guest: %w", err))
		}
		packet[0] = 1
	}
	return nil
}

// pace sends packets at a rate. Those of high rates wait without sleeping: a sleep lasts too long.
func (g *generator) pace(ctx context.Context, to netip.AddrPort, l Load) error {
	const shortest = 200 * time.Microsecond
	packet := make([]byte, length)
	gap := time.Duration(float64(time.Second) / l.Rate)
	due := time.Now()
	for i := range l.Packets {
		for gap < shortest && time.Now().Before(due) {
			if i%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if gap >= shortest {
			if err := wait(ctx, time.Until(due)); err != nil {
				return err
			}
		}
		due = due.Add(gap)
		if _, err := g.socket.WriteToUDPAddrPort(packet, to); err != nil {
			return fmt.Errorf("send packet: %w", err)
		}
	}
	return nil
}

// wait waits, or returns the error of ctx.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
