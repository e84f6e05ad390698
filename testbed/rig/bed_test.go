package rig_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"go.uber.org/goleak"

	"lbctl/bpf/need"
	"lbctl/rss/nic"
	"lbctl/testbed/netns"
	"lbctl/testbed/replica"
	"lbctl/testbed/rig"
	"lbctl/testbed/traffic"
)

// The addresses of the bed: clients on the wire, one host.
var (
	clientNet = netip.MustParsePrefix("10.1.0.0/16")
	hostAddr  = netip.MustParseAddr("10.1.255.1")
)

// clientAddr returns the address of client i.
func clientAddr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 1, byte(i / 200), byte(1 + i%200)})
}

// bed is clients, a softnic, and a host.
type bed struct {
	run           *netns.Run
	clients, host *netns.Namespace
	nic           *rig.SoftNIC
	model         *nic.NIC
}

// newBed makes one with a number of clients' addresses and of queues.
func newBed(tb testing.TB, clients, queues, mtu int) bed {
	tb.Helper()
	need.Root(tb)
	run, err := netns.NewRun()
	check(tb, err)
	tb.Cleanup(func() { check(tb, run.Close()) })
	b := bed{run: run}
	b.clients, err = run.Make("clients")
	check(tb, err)
	b.host, err = run.Make("host")
	check(tb, err)
	config, err := nic.Default(queues)
	check(tb, err)
	b.model, err = nic.New(config)
	check(tb, err)
	b.nic, err = rig.Start(rig.Config{
		Wire: netns.End{Namespace: b.clients, Name: "wire"}, Host: netns.End{Namespace: b.host, Name: "host"},
		NIC: b.model, MTU: mtu,
	})
	check(tb, err)
	tb.Cleanup(func() { check(tb, b.nic.Close()) })
	b.address(tb, clients)
	return b
}

// address gives both ends their addresses and each other's.
func (b bed) address(tb testing.TB, clients int) {
	tb.Helper()
	wire, err := b.nic.Wire()
	check(tb, err)
	host, err := b.nic.Host()
	check(tb, err)
	check(tb, host.AddAddress(netip.PrefixFrom(hostAddr, clientNet.Bits())))
	check(tb, wire.AddNeighbour(hostAddr, host.MAC))
	for i := range clients {
		check(tb, wire.AddAddress(netip.PrefixFrom(clientAddr(i), clientNet.Bits())))
		check(tb, host.AddNeighbour(clientAddr(i), wire.MAC))
	}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// role is what the test binary is when it runs itself: "replica" or "client", configured by its argument.
const role = "LBCTL_RIG_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(role) {
	case "replica":
		err = replica.Helper().Entry().Main(context.Background(), os.Args[1], os.Stdin, os.Stdout)
	case "client":
		err = traffic.Helper().Entry().Main(context.Background(), os.Args[1], os.Stdin, os.Stdout)
	default:
		goleak.VerifyTestMain(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
