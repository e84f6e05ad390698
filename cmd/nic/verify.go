package nic

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
	"lbctl/rss/verify"
)

// verifyFlag are the flags of rss verify.
type verifyFlag struct {
	duration      time.Duration
	packets       uint64
	mode          string
	key, profile  string
	queues, table int
	fields        *cli.FieldFlag
}

func verifyCommand(a *cli.App, nics cli.Interfaces) *cobra.Command {
	f := &verifyFlag{}
	c := &cobra.Command{
		Use:   "verify IFACE",
		Short: "Compare the queue and hash of every packet that comes in with the model of the NIC",
		Long: `Observe an interface with an XDP program that passes everything on, and compare, for every packet,
the receive queue it came on, and the NIC's own hash where the driver tells it, with the model
of the NIC: the key, indirection table and fields that the driver says it has, or that flags name. Ctrl-C
ends the observation, and what was seen is reported.

The observer stands in the driver (native), else on socket buffers (generic), else, where another
XDP program has the interface, on a packet socket (socket), and says so. Attaching XDP restarts the rings of
some NICs, and makes some forget RSS, of which auto keeps away; --mode socket never touches the NIC, and sees the
hash that the driver hands to the stack (ethtool -K IFACE rxhash on).

Exit codes: 0 every packet agrees, 1 some do not, or nothing was seen. It needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW.`,
		Example: `  lbctl rss verify eth0
  lbctl rss verify eth0 --for 1m --mode socket -o json
  lbctl rss verify veth0 --key ms --queues 4     # an interface without RSS, against a model`,
		Args: cli.Takes("IFACE"),
	}
	c.Flags().DurationVar(&f.duration, "for", 10*time.Second, "how long to observe; 0: until Ctrl-C or --packets")
	c.Flags().Uint64Var(&f.packets, "packets", 0, "end after so many packets; 0: no limit")
	c.Flags().StringVar(&f.mode, "mode", string(observe.Auto), "where to observe: auto, native, generic or socket")
	c.Flags().StringVar(&f.key, "key", "", "RSS key of the model instead of the NIC's: hexadecimal digits or a name")
	c.Flags().IntVar(&f.queues, "queues", 0, "queues of the model's table instead of the NIC's: ethtool -X IFACE equal QUEUES")
	c.Flags().IntVar(&f.table, "table", 0, "entries of the model's table instead of the NIC's")
	c.Flags().StringVar(&f.profile, "profile", "", "apply the quirks of a NIC's profile to the model")
	f.fields = cli.FieldFlags(c, "hash fields of the model instead of the NIC's, as in udp4=sd; may be repeated")
	output := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.validate(c); err != nil {
			return err
		}
		answer, err := runVerify(a, c, f, nics, args[0])
		if err != nil {
			return err
		}
		if err := a.Print(*output, answer, answer.show); err != nil {
			return err
		}
		return answer.failure()
	}
	return c
}

func (f *verifyFlag) validate(c *cobra.Command) error {
	switch observe.Mode(f.mode) {
	case observe.Auto, observe.Native, observe.Generic, observe.Socket:
	default:
		return cli.Usage(c, "--mode: %q is not known: want auto, native, generic or socket", f.mode)
	}
	if f.duration < 0 {
		return cli.Usage(c, "--for: %v is negative", f.duration)
	}
	return nil
}

// verification is one run of rss verify.
type verification struct {
	index    int
	mode     observe.Mode
	model    nic.Config
	verifier *verify.Verifier
	answer   *verifyAnswer
}

// prepare reads the NIC and makes the model; nothing is attached yet.
func (f *verifyFlag) prepare(c *cobra.Command, nics cli.Interfaces, name string) (*verification, error) {
	s, err := nics.Read(name)
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
	mode, why := chooseMode(observe.Mode(f.mode), s, kernelRelease())
	answer := &verifyAnswer{
		Interface: name, Driver: s.Driver, Receivers: s.Queues, Notes: append(notes, why...), Model: describeModel(config, f.overrides()),
	}
	return &verification{device.Index, mode, config, v, answer}, nil
}

// runVerify observes until the time is over, enough packets have passed, or Ctrl-C.
func runVerify(a *cli.App, c *cobra.Command, f *verifyFlag, nics cli.Interfaces, name string) (*verifyAnswer, error) {
	run, err := f.prepare(c, nics, name)
	if err != nil {
		return nil, err
	}
	o, err := observe.Open(run.index, observe.Options{
		Mode: run.mode, Samples: observe.DefaultSamples, EveryPacket: run.verifier.NeedsFrames(),
	})
	if err != nil {
		return nil, adviseObserver(fmt.Errorf("observe %s: %w", name, err))
	}
	defer o.Close()
	if run, err = f.again(c, nics, run); err != nil {
		return nil, err
	}
	run.answer.Mode, run.answer.Notes = o.Mode(), append(run.answer.Notes, o.Notes()...)
	return run.answer, watch(a, c.Context(), f, run, o)
}

// again looks whether attaching the observer has changed the NIC: some drivers take queues away for XDP.
func (f *verifyFlag) again(c *cobra.Command, nics cli.Interfaces, before *verification) (*verification, error) {
	now, err := f.prepare(c, nics, before.answer.Interface)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(now.model, before.model) {
		now.answer.Notes = append(now.answer.Notes, "attaching the observer changed the NIC's settings: it is compared with what they are now")
	}
	return now, nil
}

// watch compares what passes the observer, and completes the answer.
func watch(a *cli.App, ctx context.Context, f *verifyFlag, run *verification, o *observe.Observer) error {
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	shown := a.Watching("observe "+run.answer.Interface, f.duration, f.packets)
	started := time.Now()
	totals, err := run.verifier.Watch(ctx, o, f.packets, shown.At)
	shown.End()
	if err != nil {
		return fmt.Errorf("observe %s: %w", run.answer.Interface, err)
	}
	run.answer.Seconds = time.Since(started).Seconds()
	run.answer.Lost = totals.NoFlow + totals.TableFull
	run.answer.Report = run.verifier.Report()
	return nil
}

// adviseObserver says what to do about an observer that could not be attached.
func adviseObserver(err error) error {
	return cli.Advise(err, "run it as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW; another --mode may be possible")
}
