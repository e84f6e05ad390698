package nicoracle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"lbctl/testbed/experiment"
	"lbctl/testbed/vm"
	"lbctl/testbed/vm/line"
)

// run is a trial and what it found.
type run struct {
	*trial
	env experiment.Env

	emulator, kernel string
	hello            line.Hello
	// evidence is that of the arms, off that of the one without hash.
	evidence []Evidence
	off      Evidence
	boot     time.Duration
	traffic  time.Duration
}

// play boots the guest, plays all arms, and ends the guest.
func (r *run) play(ctx context.Context) (err error) {
	start := r.env.Now()
	m, err := vm.Start(ctx, vm.Config{
		Program: r.env.Program, Install: r.install, Step: r.env.Progress.Step, Log: r.env.Log,
	})
	if errors.Is(err, vm.ErrMissing) && !r.install {
		return fmt.Errorf("%w: --set install=true", err)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(ctx.Err(), err) // what fails when ctx ends is only its consequence
		}
		err = errors.Join(err, m.Close())
	}()
	booted := r.env.Now()
	r.boot = booted.Sub(start)
	r.emulator, r.kernel, r.hello = m.Version(), m.Kernel(), m.Hello()
	done := 0
	for _, a := range arms(rand.New(rand.NewPCG(r.env.Seed, 1)), r.packets, r.hello) {
		e, err := r.playArm(ctx, m, a)
		if err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		if a.Name == hashOff {
			r.off = e
			break
		}
		r.evidence = append(r.evidence, e)
		done += len(a.Frames)
		r.env.Progress.At(done)
	}
	r.traffic = r.env.Now().Sub(booted)
	return nil
}

// playArm sets the NIC up and sends the arm's frames.
func (r *run) playArm(ctx context.Context, m *vm.Machine, a Arm) (Evidence, error) {
	r.env.Progress.Step(a.Name)
	settings, err := m.Apply(ctx, a.Change)
	if err != nil {
		return Evidence{}, err
	}
	frames := make([][]byte, len(a.Frames))
	for i, f := range a.Frames {
		frames[i] = f.Bytes
	}
	seen, err := m.Send(ctx, frames)
	if err != nil {
		return Evidence{}, err
	}
	return newEvidence(a, settings, seen)
}
