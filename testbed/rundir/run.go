package rundir

import (
	"errors"
	"log/slog"

	"lbctl/testbed/netns"
)

// Run is a run of the testbed, the owner of namespaces and of a folder.
type Run struct {
	*netns.Run
	*Folder
}

// Begin sweeps what crashed runs left and begins one, without namespaces.
func (r Runs) Begin(log *slog.Logger) (*Run, error) {
	if err := r.Sweep(log); err != nil {
		return nil, err
	}
	run, err := netns.NewRun()
	if err != nil {
		return nil, err
	}
	folder, err := r.Make(run.ID())
	if err != nil {
		return nil, errors.Join(err, run.Close())
	}
	return &Run{Run: run, Folder: folder}, nil
}

// Close removes everything. No load balancer of the run may live.
func (r *Run) Close() error { return errors.Join(r.Folder.Close(), r.Run.Close()) }
