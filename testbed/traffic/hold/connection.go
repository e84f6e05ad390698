package hold

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/replica/echo"
	"lbctl/testbed/traffic/dial"
)

// connection is one that is held. One goroutine at a time.
type connection struct {
	conn  *net.TCPConn
	flow  packet.Flow
	place Place
	// sent is the message that is in flight.
	sent []byte
	// segments is how many had been sent when the last exchange was over, and spoke whether there were more
	// when the next one began: the kernel sent something by itself.
	segments uint32
	spoke    bool
	// began and left are when the last message was sent: not before and not after. silence is how long before it the
	// message before was sent, at most.
	began, left time.Time
	silence     time.Duration
}

// open connects and learns from the answer to a first message where it came to.
func open(ctx context.Context, source, vip netip.AddrPort, timeout time.Duration, w *worker) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := dial.FromDealt(ctx, source, vip)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &connection{conn: conn, flow: packet.Flow{Source: dial.Local(conn), Destination: vip, Protocol: packet.TCP}}
	index := 0
	if c.segments, err = dial.Segments(conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	if err = c.send(timeout, w.random); err == nil {
		index, err = c.receive(time.Now().Add(timeout), w.buffer)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("first message: %w", err)
	}
	c.place = Place{VIP: vip, Replica: index}
	return c, nil
}

// send sends a message of random length and bytes.
func (c *connection) send(timeout time.Duration, random *rand.ChaCha8) error {
	before := c.began
	c.began = time.Now()
	defer func() {
		c.left = time.Now()
		c.silence = c.left.Sub(before)
	}()
	segments, err := dial.Segments(c.conn)
	if err != nil {
		return err
	}
	c.spoke = segments != c.segments
	if err := c.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	n := 1 + int(random.Uint64()%longest)
	c.sent = append(c.sent[:0], make([]byte, echo.HeaderLength+n)...)
	binary.BigEndian.PutUint16(c.sent, uint16(n))
	_, _ = random.Read(c.sent[echo.HeaderLength:]) // never fails, by its documentation
	_, err = c.conn.Write(c.sent)
	return err
}

// asked says what is known of a connection whose message was sent.
func (c *connection) asked() Asked {
	return Asked{Flow: c.flow, Sent: c.left, Silence: c.silence, Spoke: c.spoke}
}

// longest is the length in bytes of the longest message that is sent.
const longest = 256

// errGarbled is wrapped when other bytes came back.
var errGarbled = errors.New("the answer has other bytes than the message")

// moment is time enough to read what has arrived already.
const moment = 100 * time.Millisecond

// receive reads the answer, which is due at a time, and returns the number of the replica that gave it. When
// that time has passed, because it waited for others, it still reads what has arrived by now.
func (c *connection) receive(due time.Time, buffer []byte) (int, error) {
	if soon := time.Now().Add(moment); due.Before(soon) {
		due = soon
	}
	if err := c.conn.SetReadDeadline(due); err != nil {
		return 0, fmt.Errorf("set deadline: %w", err)
	}
	want := 2 + len(c.sent)
	n, err := io.ReadFull(c.conn, buffer[:want])
	if err != nil {
		return 0, fmt.Errorf("read answer, %d of %d bytes: %w", n, want, err)
	}
	if !bytes.Equal(buffer[2:want], c.sent) {
		return 0, errGarbled
	}
	if err := dial.Acknowledge(c.conn); err != nil {
		return 0, err
	}
	if c.segments, err = dial.Segments(c.conn); err != nil {
		return 0, err
	}
	return int(binary.BigEndian.Uint16(buffer)), nil
}

// lost returns what became of a connection after an exchange, nil if it is well.
func (c *connection) lost(index int, err error) *Lost {
	l := &Lost{Place: c.place, Flow: c.flow}
	switch {
	case err == nil && index == c.place.Replica:
		return nil
	case err == nil:
		l.Fate, l.Err = Moved, fmt.Sprintf("replica %d answered", index)
		return l
	case errors.Is(err, os.ErrDeadlineExceeded):
		l.Fate = Silent
	case errors.Is(err, errGarbled):
		l.Fate = Garbled
	default:
		l.Fate = Reset
	}
	l.Err = err.Error()
	return l
}
