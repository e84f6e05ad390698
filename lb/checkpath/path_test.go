package checkpath_test

import (
	"errors"
	"net/netip"
	"testing"

	"lbctl/lb/checkpath"

	"golang.org/x/sys/unix"
)

// A check finds out whether a replica serves at the VIP: not by another's answer, and not by that of its own address.
func TestChecksGoWhereClientsDo(t *testing.T) {
	for name, s := range services() {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.open(checkpath.Options{})
			for n := range b.replicas {
				b.hold(n, s)
			}
			stop := b.serve(0, s.VIP.Address.Addr())
			b.serve(1, s.VIP.Address.Addr())
			b.well(s, 0)
			b.well(s, 1)
			stop()
			b.unwell(s, 0)
			b.well(s, 1)
			b.drop(1, s)
			b.unwell(s, 1)
			direct, err := b.direct("tcp", s.Replicas[1].Address)
			if err != nil {
				t.Fatal("the replica's own address:", err)
			}
			direct.Close()
		})
	}
}

// A UDP server that answers from another address than the one it was asked at serves no client.
func TestAnswerOfAnotherAddress(t *testing.T) {
	for name, s := range services() {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.open(checkpath.Options{})
			b.hold(0, s)
			b.serve(0, netip.IPv6Unspecified())
			if got, err := b.check("udp", s, 0, brief); err == nil {
				t.Errorf("answered %q", got)
			}
			direct, err := b.direct("udp", s.Replicas[0].Address)
			if err != nil {
				t.Fatal(err)
			}
			defer direct.Close()
			if _, err := talk("udp", direct); err != nil {
				t.Error("the replica's own address:", err)
			}
		})
	}
}

// A closed port is found out at once: a UDP socket is told of the ICMP error that answers its packet.
func TestClosedPort(t *testing.T) {
	for name, s := range services() {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.open(checkpath.Options{})
			b.hold(0, s)
			for _, how := range []string{"tcp", "udp"} {
				if got, err := b.check(how, s, 0, patience); !errors.Is(err, unix.ECONNREFUSED) {
					t.Errorf("%s: %q, %v, want it refused", how, got, err)
				}
			}
		})
	}
}

// Nothing is left where a path was: neither of this process, nor of one that was killed.
func TestNothingIsLeft(t *testing.T) {
	b := newBed(t)
	s := services()["dsr4"]
	b.hold(0, s)
	b.serve(0, s.VIP.Address.Addr())
	b.open(checkpath.Options{})
	b.well(s, 0)
	if n := b.programs(); n == 0 {
		t.Fatal("no program is attached")
	}
	b.close()
	if n := b.programs(); n > 0 {
		t.Errorf("%d programs are left", n)
	}
}
