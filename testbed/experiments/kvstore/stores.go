package kvstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"time"

	"lbctl/lb"
	"lbctl/testbed/cluster"
	"lbctl/testbed/helper"
	"lbctl/testbed/journal"
	"lbctl/testbed/kv"
	"lbctl/testbed/packages"
)

// within is how long a store may take to start, and a client to connect and to be answered: a busy machine is no fault.
const within = time.Minute

// findMemcached returns the path of memcached, which is installed if it is missing and may be.
func (d *design) findMemcached(ctx context.Context) (string, error) {
	path, err := exec.LookPath(memcached)
	if err == nil {
		return path, nil
	}
	if !d.install {
		return "", fmt.Errorf("find %s: %w: install the package %s, or --set install=true", memcached, lb.ErrNotFound, memcached)
	}
	d.run.Step("install " + memcached)
	if err := packages.Install(ctx, memcached); err != nil {
		return "", err
	}
	return exec.LookPath(memcached)
}

// stores are the processes behind the load balancer, for one arm.
type stores struct {
	processes []*helper.Process
	logs      []string
}

// start starts the stores of an arm, and puts all keys into each.
func (d *design) start(ctx context.Context, a arm) (s *stores, err error) {
	s = &stores{}
	for i := range d.stores {
		var p *helper.Process
		if a.memcached > 0 {
			p, err = d.startMemcached(ctx, i, a.memcached)
		} else {
			p, err = d.startOurs(ctx, i, a, s)
		}
		if err == nil {
			s.processes = append(s.processes, p)
			err = d.fill(ctx, i, p)
		}
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	return s, nil
}

func (d *design) startOurs(ctx context.Context, i int, a arm, s *stores) (*helper.Process, error) {
	log := d.file(fmt.Sprintf("store-%d", i))
	s.logs = append(s.logs, log)
	p, err := cluster.Start(ctx, d.cluster, kv.Server(), d.cluster.Replica(i), fmt.Sprintf("store %d", i), kv.Config{
		Listen: cluster.ReplicaAddress(i), Cores: d.cluster.Cores(), PerCore: a.perCore, Wrong: a.wrong, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if err := p.Await(helper.Ready); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (d *design) startMemcached(ctx context.Context, i, threads int) (*helper.Process, error) {
	at := cluster.ReplicaAddress(i)
	p, err := helper.Start(d.cluster.Replica(i), fmt.Sprintf("memcached %d", i), d.memcached,
		"-u", "nobody", "-l", at.Addr().String(), "-p", strconv.Itoa(int(at.Port())), "-U", "0",
		"-t", strconv.Itoa(threads), "-m", "64", "-c", strconv.Itoa(2*maxConnections))
	if err == nil {
		context.AfterFunc(ctx, p.Kill)
	}
	return p, err
}

// fill puts all keys into a store as soon as it accepts connections, from its own host.
func (d *design) fill(ctx context.Context, i int, p *helper.Process) error {
	var conn net.Conn
	err := helper.Until(ctx, within, fmt.Sprintf("store %d", i), func() error {
		return d.cluster.Replica(i).Do(func() (err error) {
			conn, err = (&net.Dialer{Timeout: within}).DialContext(ctx, "tcp", cluster.ReplicaAddress(i).String())
			return err
		})
	}, p.Over)
	if err != nil {
		return err
	}
	return errors.Join(kv.Fill(conn, d.run.Seed, d.keys), conn.Close())
}

// stop ends the stores, which completes their logs.
func (s *stores) stop() error {
	var all []error
	for _, p := range s.processes {
		all = append(all, p.Stop())
	}
	s.processes = nil
	return errors.Join(all...)
}

// served reads the logs of the stores.
func (s *stores) served() (all [][]kv.Served, err error) {
	for _, path := range s.logs {
		log, err := journal.Read[kv.Served](path)
		if err != nil {
			return nil, err
		}
		all = append(all, log)
	}
	return all, nil
}
