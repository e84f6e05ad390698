package ethtool

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// exchange is one question to a kernel and its answer.
type exchange struct {
	// Message is the netlink message's number, or 0 for an ioctl.
	Message uint8 `json:"message,omitempty"`
	// Request and Answer are in hex. Those of an ioctl are the struct before and after.
	Request string `json:"request"`
	Answer  string `json:"answer,omitempty"`
	Errno   uint   `json:"errno,omitempty"`
}

// recorder asks another kernel and records the answers.
type recorder struct {
	kernel kernel
	said   []exchange
}

func (r *recorder) message(command uint8, attributes []byte) ([]byte, error) {
	answer, err := r.kernel.message(command, attributes)
	r.note(exchange{Message: command, Request: hex.EncodeToString(attributes), Answer: hex.EncodeToString(answer)}, err)
	return answer, err
}

func (r *recorder) dump(command uint8, attributes []byte) ([][]byte, error) {
	return r.kernel.dump(command, attributes) // what a fixture holds was recorded of kernels that list nothing
}

func (r *recorder) ioctl(name string, b []byte) error {
	request := hex.EncodeToString(b)
	err := r.kernel.ioctl(name, b)
	r.note(exchange{Request: request, Answer: hex.EncodeToString(b)}, err)
	return err
}

func (r *recorder) note(e exchange, err error) {
	var errno unix.Errno
	if errors.As(err, &errno) {
		e.Errno, e.Answer = uint(errno), ""
	}
	r.said = append(r.said, e)
}

// playback answers as a recorded kernel did; a request that was not recorded fails the test.
type playback struct {
	t    *testing.T
	said []exchange
}

func (p *playback) message(command uint8, attributes []byte) ([]byte, error) {
	return p.answer(command, attributes)
}

func (p *playback) dump(uint8, []byte) ([][]byte, error) { return nil, unix.EOPNOTSUPP }

func (p *playback) ioctl(_ string, b []byte) error {
	answer, err := p.answer(0, b)
	copy(b, answer)
	return err
}

func (p *playback) answer(message uint8, request []byte) ([]byte, error) {
	p.t.Helper()
	at := slices.IndexFunc(p.said, func(e exchange) bool {
		return e.Message == message && e.Request == hex.EncodeToString(request)
	})
	if at < 0 {
		p.t.Fatalf("message %d, request %x: was not recorded", message, request)
	}
	e := p.said[at]
	if e.Errno != 0 {
		return nil, unix.Errno(e.Errno)
	}
	b, err := hex.DecodeString(e.Answer)
	if err != nil {
		p.t.Fatal(err)
	}
	return b, nil
}

// recording is a fixture: how a machine answered Read.
type recording struct {
	Origin    string     `json:"origin"`
	Interface string     `json:"interface"`
	Said      []exchange `json:"said"`
}

// TestRecord makes a fixture of the interface that LBCTL_RECORD names: it prints it, as the
// machine with the NIC may have no file system to keep.
func TestRecord(t *testing.T) {
	name := os.Getenv("LBCTL_RECORD")
	if name == "" {
		t.Skip("makes a fixture; LBCTL_RECORD names no interface")
	}
	r := &recorder{kernel: system{}}
	s, err := read(r, name)
	if err != nil {
		t.Fatal(err)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	origin := fmt.Sprintf("%s of driver %s, Linux %s", name, s.Driver, unix.ByteSliceToString(u.Release[:]))
	b, err := json.Marshal(recording{Origin: origin, Interface: name, Said: r.said})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s\n", b)
}

// played is the kernel of a fixture and the interface that was asked for.
func played(t *testing.T, fixture string) (*playback, string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", fixture))
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return &playback{t, r.Said}, r.Interface
}
