// Package verify has the command lbctl rss verify: every packet that comes in, compared with the model of the NIC.
package verify

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/rss/ethtool"
	"lbctl/rss/nic"
	"lbctl/rss/observe"
	"lbctl/rss/setup"
	"lbctl/rss/verify"
)

// flags are those of lbctl rss verify.
type flags struct {
	*cli.ObserveFlags
	packets uint64
	nic     *setup.Setup
	// given are the names of the flags that override the NIC's settings.
	given []string
}

// Command is lbctl rss verify.
func Command(a *cli.App) *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use:   "verify IFACE",
		Short: "Compare the queue and hash of received packets with the model of the NIC",
		Long: `Observe an interface with an XDP program that passes every packet on. For each packet compare the receive
queue, and the NIC's own hash where the driver reports it, with the model of the NIC. The model has the key,
indirection table and hash fields that the driver reports, or those of the flags; --profile adds the quirks and the
byte order of the key, which no driver reports. Ctrl-C ends the observation early.

--mode auto observes in the driver (native), or if that is not possible on socket buffers (generic), or on a packet
socket (socket) if another XDP program is attached. The report says which. Attaching XDP restarts the rings of
some NICs and makes some forget RSS; auto avoids the latter. --mode socket never touches the NIC, and reads the
hash that the driver passes to the stack (ethtool -K IFACE rxhash on).

Exit codes: 0 every packet agrees, 1 some do not, or no packet came. Needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW.`,
		Example: `  lbctl rss verify eth0
  lbctl rss verify eth0 --for 1m --mode socket -o json
  lbctl rss verify veth0 --key ms --queues 4     # an interface without RSS, against a model`,
		Args: cli.Takes("IFACE"),
	}
	f.ObserveFlags = cli.NewObserveFlags(c, "0: until Ctrl-C or --packets")
	c.Flags().Uint64Var(&f.packets, "packets", 0, "end after this many packets; 0: no limit")
	f.nic = cli.NICOverrideFlags(c)
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.Validate(c); err != nil {
			return err
		}
		f.given = overrides(c)
		said, err := run(a, c, f, args[0])
		if err != nil {
			return err
		}
		if err := a.Print(*output, said, said.show); err != nil {
			return err
		}
		return said.failure()
	}
	return c
}

// verification is one run of lbctl rss verify.
type verification struct {
	index    int
	mode     observe.Mode
	model    nic.Config
	verifier *verify.Verifier
	answer   *answer
}

// prepare reads the NIC and makes its model. It attaches nothing.
func (f *flags) prepare(a *cli.App, c *cobra.Command, name string) (*verification, error) {
	s, err := a.NICs.Read(name)
	if err != nil {
		return nil, cli.AdviseInterface(err)
	}
	config, notes, err := f.model(c, s)
	if err != nil {
		return nil, err
	}
	n, err := nic.New(config)
	if err != nil {
		return nil, cli.Usage(c, "%v", err)
	}
	v, err := verify.New(n)
	if err != nil {
		return nil, err
	}
	device, err := net.InterfaceByName(name)
	if err != nil {
		return nil, cli.AdviseInterface(fmt.Errorf("find %s: %w", name, ethtool.ErrNoInterface))
	}
	mode, why := verify.ChooseMode(observe.Mode(f.Mode), s, kernelRelease())
	said := &answer{
		Interface: name, Driver: s.Driver, Receivers: s.Queues, Notes: append(notes, why...), Model: describeModel(config, f.given),
	}
	return &verification{device.Index, mode, config, v, said}, nil
}

// run observes until the time is over, enough packets have come, or Ctrl-C.
func run(a *cli.App, c *cobra.Command, f *flags, name string) (*answer, error) {
	r, err := f.prepare(a, c, name)
	if err != nil {
		return nil, err
	}
	o, err := observe.Open(r.index, observe.Options{
		Mode: r.mode, Samples: observe.DefaultSamples, EveryPacket: r.verifier.NeedsFrames(),
	})
	if err != nil {
		return nil, cli.AdviseObserver(fmt.Errorf("observe %s: %w", name, err))
	}
	defer o.Close()
	if r, err = f.again(a, c, r); err != nil {
		return nil, err
	}
	r.answer.Mode, r.answer.Notes = o.Mode(), append(r.answer.Notes, o.Notes()...)
	return r.answer, watch(a, c.Context(), f, r, o)
}

// again prepares once more after the observer was attached, because some drivers take queues away for XDP.
func (f *flags) again(a *cli.App, c *cobra.Command, before *verification) (*verification, error) {
	now, err := f.prepare(a, c, before.answer.Interface)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(now.model, before.model) {
		now.answer.Notes = append(now.answer.Notes, "attaching the observer changed the NIC's settings; the model has the new ones")
	}
	return now, nil
}

// watch compares the observed packets and completes the answer.
func watch(a *cli.App, ctx context.Context, f *flags, run *verification, o *observe.Observer) error {
	if f.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.Duration)
		defer cancel()
	}
	shown := a.Observation("observe "+run.answer.Interface, f.Duration, f.packets)
	started := time.Now()
	totals, err := run.verifier.Watch(ctx, o, f.packets, shown.Saw)
	shown.End()
	if err != nil {
		return fmt.Errorf("observe %s: %w", run.answer.Interface, err)
	}
	run.answer.Seconds = time.Since(started).Seconds()
	run.answer.Lost = totals.NoFlow + totals.TableFull
	run.answer.Report = run.verifier.Report()
	return nil
}
