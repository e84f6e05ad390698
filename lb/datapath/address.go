package datapath

import (
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
)

// addressRow is the row that stands for the address of VIPs: echo requests and fragments ask for it.
type addressRow struct {
	at uint32
	// services is the number of VIPs with the address.
	services int
}

// addressKey has the port and the protocol 0, which no VIP has.
func addressKey(a netip.Addr) bpf.LbEndpoint { return bpf.Endpoint(netip.AddrPortFrom(a, 0), 0) }

// addAddress makes the address of a VIP visible. Errors: lb.ErrFull; nothing is changed then.
func (d *Datapath) addAddress(v lb.VIP) error {
	a := v.Address.Addr()
	if row, ok := d.addresses[a]; ok {
		row.services++
		return nil
	}
	at, err := d.take(&d.ids.rows, 1, "the row of the address", v, rowsFor(d.options.Limits))
	if err != nil {
		return err
	}
	d.tables.services.rows[at] = bpf.LbService{Vip: addressKey(a)}
	if err := d.tables.serviceAt().add(addressKey(a), at); err != nil {
		d.ids.rows.release(at, 1)
		return err
	}
	d.addresses[a] = &addressRow{at: at, services: 1}
	return nil
}

// removeAddress makes the address of a VIP that is gone invisible, if no other one has it.
func (d *Datapath) removeAddress(a netip.Addr) {
	row := d.addresses[a]
	if row.services--; row.services > 0 {
		return
	}
	d.tables.serviceAt().remove(addressKey(a), row.at)
	delete(d.addresses, a)
	d.deferFree(func() { d.ids.rows.release(row.at, 1) })
}

// address returns the row of an address, one without number and services if there is none.
func (d *Datapath) address(a netip.Addr) *addressRow {
	if d.addresses[a] == nil {
		d.addresses[a] = &addressRow{}
	}
	return d.addresses[a]
}
