package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
)

// addressRow is the row by which packets find that a VIP has an address, whatever their
// port and protocol: an echo, a fragment without ports. Several VIPs may share it.
type addressRow struct {
	at   uint32
	vips int
}

// addressKey is the endpoint that stands for the address alone.
func addressKey(a netip.Addr) bpf.LbEndpoint {
	k := bpf.Endpoint(netip.AddrPortFrom(a, 0), 0)
	return k
}

func isAddress(k bpf.LbEndpoint) bool { return k.Protocol == 0 }

// holdAddress makes a VIP's address known, before the VIP is. Errors: lb.ErrFull.
func (d *Datapath) holdAddress(v lb.VIP) error {
	a := v.Address.Addr()
	if row := d.addresses[a]; row != nil {
		row.vips++
		return nil
	}
	at, err := d.take(&d.ids.rows, 1)
	if err != nil {
		return fmt.Errorf("the address of %v: %w", v, err)
	}
	d.tables.services.rows[at] = bpf.LbService{Vip: addressKey(a)}
	if err := d.tables.serviceAt().add(addressKey(a), at); err != nil {
		d.ids.rows.release(at, 1)
		return err
	}
	d.addresses[a] = &addressRow{at: at, vips: 1}
	return nil
}

// dropAddress is the reverse, after the VIP has gone.
func (d *Datapath) dropAddress(v lb.VIP) {
	a := v.Address.Addr()
	row := d.addresses[a]
	if row.vips--; row.vips == 0 {
		d.forget(a, row)
	}
}

func (d *Datapath) forget(a netip.Addr, row *addressRow) {
	d.tables.serviceAt().remove(addressKey(a), row.at)
	delete(d.addresses, a)
	d.resting = append(d.resting, func() { d.ids.rows.release(row.at, 1) })
}

// sweepAddresses makes the addresses right that a process before left half done: those of no
// service go, those that services lack come.
func (d *Datapath) sweepAddresses() error {
	for v := range d.services {
		if err := d.holdAddress(v); err != nil {
			return err
		}
	}
	for a, row := range d.addresses {
		if row.vips == 0 {
			d.forget(a, row)
		}
	}
	return nil
}
